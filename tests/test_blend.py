"""RiskParityBlend: when it decides, what it orders, and what it knows."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from markets import FREE, QUICK, blended, charges_of, frame

from riskoverlay.feeds import Panel, align
from riskoverlay.strategies import (
    ExecutionTerms,
    LeverageRules,
    MarginBroker,
    OwnPosition,
    RiskParityBlend,
    SizingRules,
    TradingRules,
    VolTargetDrawdownSizer,
    WeightRules,
    open_account,
)
from riskoverlay.studies.workbench.parameters import make_config, values_of
from riskoverlay.studies.workbench.runs import UNLEVERED, simulate

SHORT = {"cov_lookback": 20, "min_hist": 20, "calendar": "XNYS"}


def cerebro_of(panel: Panel, sizer: dict[str, Any] | None = None, cash: float = 1e6, **params: Any) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    open_account(cerebro, cash=cash, slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
    cerebro.addstrategy(RiskParityBlend, **{**SHORT, **params})
    if sizer is not None:
        cerebro.addsizer(VolTargetDrawdownSizer, **sizer)
    return cerebro


def test_weights_are_decided_on_the_last_session_from_its_close(sample: Panel) -> None:
    panel = sample.between("2010-01-04", "2010-06-30").select(["SPY", "TLT", "GLD"])
    strategy = cerebro_of(panel).run()[0]
    last = pd.Series(panel.sessions, panel.sessions).resample("ME").last()
    assert strategy.rebalances == [day.date() for day in last if (panel.sessions <= day).sum() > 20]
    closes = panel.closes[: pd.Timestamp(strategy.rebalances[-1])].to_numpy()
    expected = blended(np.diff(np.log(closes[-21:]), axis=0))
    np.testing.assert_allclose(strategy.base_weights, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cov_lookback", 15), ("shrink_alpha", 0.9), ("alpha_minvar", 0.9), ("risk_parity", "notebook"),
        ("min_variance", "clipped"), ("shrinkage", "ledoit_wolf"), ("rebalance_freq", "W-FRI"), ("calendar", None),
        ("min_hist", 40), ("symbols", ("SPY", "TLT", "GLD", "EEM")),
    ],
)  # fmt: skip
def test_every_weight_parameter_acts(sample: Panel, name: str, value: Any) -> None:
    panel = sample.between("2010-01-04", "2010-05-28")

    def decided(**params: Any) -> tuple[Any, ...]:
        strategy = cerebro_of(panel, **params).run()[0]
        return strategy.rebalances[0], strategy.rebalances[-1], np.round(strategy.base_weights, 12).tolist()

    base = {"min_hist": 15} if name == "cov_lookback" else {"alpha_minvar": 0.5}
    assert decided(**base) != decided(**{**base, name: value})


def test_without_calendar_the_first_session_of_the_next_period_serves(sample: Panel) -> None:
    panel = sample.between("2010-01-04", "2010-06-30").select(["SPY", "TLT"])
    known = cerebro_of(panel).run()[0].rebalances
    seen = cerebro_of(panel, calendar=None).run()[0].rebalances
    sessions = list(panel.sessions.date)
    assert seen[0] == sessions[sessions.index(known[0]) + 1]


def test_a_rebalance_session_without_a_bar_is_served_by_the_next(sample: Panel) -> None:
    panel = sample.between("2010-01-04", "2010-06-30").select(["SPY", "TLT"])
    lost = pd.Timestamp("2010-03-31")
    holes = align({s: f.drop(lost) for s, f in panel.frames.items()})
    assert lost.date() in cerebro_of(panel).run()[0].rebalances
    assert dt.date(2010, 4, 1) in cerebro_of(holes).run()[0].rebalances


@pytest.mark.parametrize(("count", "decides"), [(20, False), (21, True)])
def test_min_hist_is_a_number_of_returns(count: int, decides: bool) -> None:
    # 21 closes are 20 returns; the last of them falls on a month end.
    end = pd.Timestamp("2020-04-30")
    index = pd.bdate_range(end=end, periods=count)
    rng = np.random.default_rng(0)
    frames = {s: frame(100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))).set_axis(index) for s in "AB"}
    assert bool(cerebro_of(align(frames)).run()[0].rebalances) is decides


def test_a_feed_without_a_weight_is_not_traded_whatever_sizes_the_orders() -> None:
    """The last is too young to have one; a sizer that knows nothing of weights would sell it short."""
    rng = np.random.default_rng(0)
    cerebro = bt.Cerebro(stdstats=False)
    for count, name in ((120, "A"), (120, "B"), (15, "C")):
        bars = frame(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 120)))).iloc[-count:]
        cerebro.adddata(bt.feeds.PandasData(dataname=bars), name=name)
    open_account(cerebro, cash=1e5, slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
    cerebro.addstrategy(RiskParityBlend, **{**SHORT, "rebalance_freq": "W-FRI"})
    cerebro.addsizer(bt.sizers.FixedSize, stake=1)
    strategy = cerebro.run()[0]
    traded = [strategy.broker.getposition(data).size for data in strategy.datas]
    assert traded[0] > 0
    assert traded[1] > 0
    assert traded[2] == 0


def test_an_asset_that_stands_still_is_named_with_the_date(sample: Panel) -> None:
    panel = sample.between("2010-01-04", "2010-04-30").select(["SPY", "TLT"])
    still = panel.frames["TLT"].copy()
    still.iloc[:, :4] = 90.0
    with pytest.raises(ValueError, match=r"weights of 2010-02-26 of assets 0 to 1, SPY, TLT: returns of asset 1 never"):
        cerebro_of(align({**panel.frames, "TLT": still})).run()


def test_sells_go_before_buys_and_all_orders_are_sized_by_the_sizer(sample: Panel) -> None:
    sides: list[tuple[int, bool]] = []

    class Watched(RiskParityBlend):
        def _send(self, order: Any) -> None:
            if order is not None:
                sides.append((len(self), order.isbuy()))
            super()._send(order)

    cerebro = cerebro_of(sample.between("2010-01-04", "2010-12-31"), cash=4_000.0)
    cerebro.strats.clear()
    cerebro.addstrategy(Watched, **SHORT)
    cerebro.addsizer(bt.sizers.FixedSize, stake=7)
    strategy = cerebro.run()[0]
    for bar in {bar for bar, _ in sides}:
        kinds = [buy for at, buy in sides if at == bar]
        assert kinds == sorted(kinds)
    assert {buy for _, buy in sides} == {True, False}
    assert all(abs(strategy.held(data)) % 7 == 0 for data in strategy.datas)


def test_the_default_sizer_is_its_own_and_takes_overlay(sample: Panel) -> None:
    panel = sample.between("2010-01-04", "2010-04-30")
    strategy = cerebro_of(panel, overlay={"lev_min": 0.5, "lev_max": 0.5}).run()[0]
    assert isinstance(strategy.getsizer(), VolTargetDrawdownSizer)
    assert strategy.getsizer().leverage == 0.5
    pairs = cerebro_of(panel, overlay=(("lev_min", 0.7), ("lev_max", 0.7))).run()[0]
    assert pairs.getsizer().leverage == 0.7
    replaced = cerebro_of(panel, sizer={"lev_min": 0.9, "lev_max": 0.9}, overlay={"lev_max": 0.5}).run()[0]
    assert replaced.getsizer().leverage == 0.9


def held_leverage(run: Any) -> pd.Series:
    return run.exposure["leverage"].loc[run.first :]


def test_hold_lets_holdings_drift_and_daily_does_not(sample: Panel) -> None:
    config = make_config({**QUICK, **FREE, **UNLEVERED, "lev_band": 1.0})
    hold = simulate(sample, config)
    daily = simulate(sample, {**config, "drift": "daily"})
    # Daily: the return is that of constant weights; hold: of weights that drift with prices since the fill.
    simple = sample.closes.pct_change().loc[hold.first :]
    weights = daily.weights.shift(1).loc[hold.first :]
    np.testing.assert_allclose(daily.returns, (weights * simple).sum(axis=1), atol=1e-12)
    drifting = last = None
    expected = []
    for day, row in simple.iterrows():
        if last is None or (weights.loc[day] != last).any():
            drifting = weights.loc[day]
        last = weights.loc[day]
        expected.append(float((drifting * row).sum()))
        drifting = drifting * (1 + row) / (1 + expected[-1])
    np.testing.assert_allclose(hold.returns, expected, atol=1e-12)


def test_lev_band_decides_when_leverage_acts(sample: Panel) -> None:
    config = make_config({**QUICK, **FREE, "rebalance_freq": "YE"})
    sent = {band: simulate(sample, {**config, "lev_band": band}).costs["orders"]["sent"] for band in (0.0, 0.1, 0.5)}
    assert sent[0.0] > 2 * sent[0.1] > 4 * sent[0.5] > 0
    run = simulate(sample, {**config, "lev_band": 0.25})
    target, held = run.exposure["target_leverage"], run.exposure["leverage"]
    # Decided at a close, held from the next session on: never farther than the band after acting, prices apart.
    acted = (target - held).abs() > 0.25
    after = acted.shift(1, fill_value=False) & (held.index > run.first)
    assert after.sum() > 5
    moved = (held - target.shift(1)).abs()[after]
    assert (moved < 0.05).all()


def test_leverage_changes_scale_holdings_in_proportion(sample: Panel) -> None:
    config = make_config({**QUICK, **FREE, "rebalance_freq": "YE", "lev_band": 0.2})
    run = simulate(sample, config)
    decided = {str(day) for day in run.decided}
    fills = pd.DataFrame(run.fills)
    fills["executed"] = fills["executed"].astype(str)
    between = fills[~fills["executed"].isin(decided)]
    assert not between.empty
    position: dict[str, float] = {}
    for day, group in fills.groupby("executed", sort=False):
        if day not in decided:
            part_of = {row.symbol: row.size / position[row.symbol] for row in group.itertuples(index=False)}
            assert np.ptp(list(part_of.values())) < 1e-9, day
        rows: Any = group.itertuples(index=False)
        for row in rows:
            position[row.symbol] = position.get(row.symbol, 0.0) + row.size


def test_leverage_comes_back_from_zero_between_rebalances(sample: Panel) -> None:
    # A brake that sells everything in a fall, and lets go in the recovery, within one year.
    config = make_config({**QUICK, **FREE, "rebalance_freq": "YE", "lev_min": 0.0, "dd_min_scale": 0.0})
    config |= {"dd_threshold1": 0.0, "dd_threshold2": 0.01, "cash_rate": 0.9}  # idle cash lifts equity again
    run = simulate(sample, config)
    held = run.exposure["leverage"].loc[run.first :]
    out = held[held == 0.0].index
    assert len(out)
    year_end = pd.Timestamp(run.decided[1])
    assert (held.loc[out[0] : year_end] > 0.5).any()


def test_relever_on_rebalance_sessions_only(sample: Panel) -> None:
    config = make_config({**QUICK, **FREE, "relever": "rebalance", "lev_band": 0.0})
    run = simulate(sample, config)
    assert {fill["executed"] for fill in run.fills} <= set(run.decided)
    daily = simulate(sample, {**config, "drift": "daily"})
    assert daily.costs["orders"]["sent"] > run.costs["orders"]["sent"]
    # Re-weighted every session, at the leverage it has: only a rebalance moves it by more than prices do.
    jumps = held_leverage(daily).diff().abs() > 0.1
    sessions = list(daily.sessions.date)
    assert {sessions[sessions.index(day.date()) - 1] for day in jumps[jumps].index} <= set(daily.decided)


def test_an_order_that_came_to_nothing_is_said_counted_and_tried_again(
    sample: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    class Refuses(MarginBroker):
        refused = 0

        def check_submitted(self) -> None:
            if not self.refused and self.submitted:
                self.refused = len(self.submitted)
                while self.submitted:
                    order = self.submitted.popleft()
                    self._take_children(order)
                    order.reject()
                    self.notify(order)
            super().check_submitted()

    cerebro = cerebro_of(sample.between("2010-01-04", "2010-03-15").select(["SPY", "TLT"]))
    cerebro.broker = Refuses()
    cerebro.broker.set_cash(1e6)
    with caplog.at_level(logging.WARNING):
        strategy = cerebro.run()[0]
    assert strategy.unfilled == 2
    assert "came to Rejected: it is tried again" in caplog.text
    assert {record.getMessage()[:10] for record in caplog.records} == {"2010-03-01"}  # the session after the decision
    assert all(strategy.held(data) > 0 for data in strategy.datas)


def test_trades_only_its_own_shares(sample: Panel) -> None:
    class Holder(OwnPosition, bt.Strategy):
        def next(self) -> None:
            if len(self) == 5:
                self.buy(self.datas[0], size=123)

    panel = sample.between("2010-01-04", "2010-06-30").select(["SPY", "TLT"])
    cerebro = cerebro_of(panel, sizer=None, overlay={"allocation": 0.5, **UNLEVERED})
    cerebro.addstrategy(Holder)
    ours, other = cerebro.run()
    assert other.held(ours.datas[0]) == 123
    for data in ours.datas:
        assert ours.broker.getposition(data).size == ours.held(data) + other.held(data)


def test_weights_and_orders_do_not_depend_on_later_bars(sample: Panel) -> None:
    config = make_config(QUICK)
    cut = 420
    rng = np.random.default_rng(3)
    changed = {}
    for symbol, bars in sample.frames.items():
        bars = bars.copy()
        bars.iloc[cut:, :4] = bars.iloc[cut:, :4].mul(rng.uniform(0.5, 2.0, len(bars) - cut), axis=0)
        changed[symbol] = bars
    one, two = simulate(sample, config), simulate(align(changed), config)
    shorter = simulate(sample.between(None, sample.sessions[cut - 1]), config)
    for other in (two, shorter):
        pd.testing.assert_series_equal(one.value[:cut], other.value[:cut])
        pd.testing.assert_frame_equal(one.weights[:cut], other.weights[:cut])
        pd.testing.assert_frame_equal(one.exposure[:cut], other.exposure[:cut])
    assert not np.allclose(one.value[cut:], two.value[cut:])


def test_engine_modes_agree_and_so_do_two_runs(sample: Panel) -> None:
    panel = sample.between("2010-01-04", "2011-03-31").select(["SPY", "TLT", "GLD"])
    config = make_config(QUICK)

    def values(**mode: Any) -> list[float]:
        cerebro = bt.Cerebro(stdstats=False, **mode)
        for feed in panel.feeds():
            cerebro.adddata(feed)
        open_account(cerebro, **values_of(config, ExecutionTerms), **charges_of(config))
        cerebro.addstrategy(RiskParityBlend, **values_of(config, WeightRules, TradingRules))
        cerebro.addsizer(VolTargetDrawdownSizer, **values_of(config, LeverageRules, SizingRules))
        cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.Days)
        (strategy,) = cerebro.run()
        return [*strategy.analyzers[0].get_analysis().values(), strategy.broker.getvalue()]

    expected = values()
    assert values() == expected
    for preload in (True, False):
        for runonce in (True, False):
            for exactbars in (-2, -1, 0, 1):
                assert values(preload=preload, runonce=runonce, exactbars=exactbars) == expected


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rebalance_freq": "X"}, "rebalance_freq='X'"),
        ({"calendar": "NOWHERE"}, "calendar='NOWHERE'"),
        ({"cov_lookback": 1}, "cov_lookback=1"),
        ({"min_hist": 0}, "min_hist=0"),
        ({"shrink_alpha": 1.5}, "shrink_alpha=1.5"),
        ({"alpha_minvar": -0.1}, "alpha_minvar=-0.1"),
        ({"risk_parity": "equal"}, "risk_parity='equal'"),
        ({"min_variance": "short"}, "min_variance='short'"),
        ({"shrinkage": "none"}, "shrinkage='none'"),
        ({"relever": "weekly"}, "relever='weekly'"),
        ({"drift": "none"}, "drift='none'"),
        ({"lev_band": -0.1}, "lev_band=-0.1"),
        ({"symbols": ("SPY", "XXX")}, "'XXX' has no feed"),
    ],
)
def test_bad_parameters_are_refused_at_start(sample: Panel, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cerebro_of(sample.between("2010-01-04", "2010-01-29"), **params).run()
