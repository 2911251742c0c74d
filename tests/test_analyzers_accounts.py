"""The books balance: whatever a strategy does, costs and profits add up to what the broker shows."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from riskoverlay.analyzers import (
    AnnualizedSharpe,
    DailySeries,
    Exposure,
    Fills,
    MaxDrawdown,
    PortfolioReturns,
    StrategyProfit,
    TradingCosts,
)

ALL = (AnnualizedSharpe, DailySeries, Exposure, Fills, MaxDrawdown, PortfolioReturns, StrategyProfit, TradingCosts)


def walk(seed: Any, n: Any = 120, start: Any = "2011-11-01") -> Any:
    """Bars of a random walk with gaps between close and open."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.015, n)))
    open_ = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, 0.01, n))
    high = np.maximum(open_, close) * (1.0 + rng.uniform(0.001, 0.01, n))
    low = np.minimum(open_, close) * (1.0 - rng.uniform(0.001, 0.01, n))
    index = pd.bdate_range(start, periods=n, name="date")
    return pd.DataFrame(dict(open=open_, high=high, low=low, close=close, volume=1e6), index=index)


class Loan(bt.CommInfoBase):
    """Fee in fractions, buying power × 4, interest on longs and a fee on shorts, by the broker's own hook."""

    params = (
        ("commission", 0.0007),
        ("leverage", 4.0),
        ("stocklike", True),
        ("commtype", bt.CommInfoBase.COMM_PERC),
        ("percabs", True),
        ("rate", 0.08),
    )

    def get_credit_interest(self, data: Any, pos: Any, dt: Any) -> Any:
        days = (dt.date() - pos.datetime.date()).days
        return days * self.p.rate / 365.0 * abs(pos.size) * data.close[0] * (1.0 if pos.size < 0 else 0.5)


class Random(bt.Strategy):
    """Longs, shorts, reversals; several orders a bar of several types; some too large, some that expire."""

    params = (("seed", 1), ("whole", False), ("cash_every", 0))

    def __init__(self) -> None:
        self.rng = np.random.default_rng(self.p.seed)
        self.sent: list[Any] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        rng = self.rng
        for data in self.datas:
            if len(data) and rng.random() < 0.5:
                size = float(rng.uniform(-150.0, 150.0)) if rng.random() < 0.9 else 9e4
                size = round(size) if self.p.whole else size
                kind = rng.choice([bt.Order.Market] * 4 + [bt.Order.Limit, bt.Order.Stop, bt.Order.Close])
                price = None if kind in (bt.Order.Market, bt.Order.Close) else data.close[0] * rng.uniform(0.98, 1.02)
                valid = None if rng.random() < 0.5 else data.datetime.datetime(0) + pd.Timedelta(days=3)
                send = self.buy if size > 0 else self.sell
                self.sent.append(send(data=data, size=abs(size), exectype=int(kind), price=price, valid=valid))
        if self.sent and rng.random() < 0.3:
            self.cancel(self.sent[int(rng.integers(max(len(self.sent) - 8, 0), len(self.sent)))])
        if self.p.cash_every and len(self) % self.p.cash_every == 0:
            self.broker.add_cash(float(rng.uniform(-2000.0, 3000.0)))


def run(
    strategies: Any,
    frames: Any,
    coc: Any = False,
    filler: Any = None,
    int2pnl: Any = False,
    modes: Any = None,
    analyzers: Any = ALL,
    slip: Any = 0.001,
    info: Any = Loan,
) -> Any:
    cerebro = bt.Cerebro(stdstats=False, **(modes or {}))
    for name, frame in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=name)
    cerebro.broker.setcash(50_000.0)
    cerebro.broker.addcommissioninfo(info())
    cerebro.broker.set_int2pnl(int2pnl)
    cerebro.broker.set_coc(coc)
    cerebro.broker.set_slippage_perc(slip, slip_open=True, slip_out=coc)
    cerebro.broker.set_filler(filler)
    for cls, kwargs in strategies:
        cerebro.addstrategy(cls, **kwargs)
    for cls in analyzers:
        cerebro.addanalyzer(cls)
    return cerebro.run(), cerebro.broker


def part(order: Any, price: Any, ago: Any) -> Any:
    """Fills at most 40 units of an order a bar."""
    return min(abs(order.executed.remsize), 40.0)


def holes(frame: Any) -> Any:
    return frame.drop(frame.index[[5, 6, 30, 31, 32, 70]])


FRAMES = {"AAA": walk(1), "BBB": walk(2), "CCC": walk(3)}
LATE = {"AAA": walk(1), "LATE": walk(3).iloc[20:]}
RAGGED = {"AAA": walk(1), "BBB": holes(walk(2)), "LATE": walk(3).iloc[20:], "EARLY": walk(4).iloc[:80]}


def balance(costs: Any) -> Any:
    """start + deposits + gross profit − costs, to be compared with end."""
    paid = costs["commission"] + costs["slippage"] + costs["interest"]
    return costs["start"] + costs["deposits"] + costs["gross_profit"] - paid


@pytest.mark.parametrize("frames", [FRAMES, RAGGED], ids=["aligned", "ragged"])
@pytest.mark.parametrize("filler", [None, part], ids=["full", "partial"])
@pytest.mark.parametrize("coc", [False, True], ids=["open", "close"])
@pytest.mark.parametrize("whole", [False, True], ids=["fractional", "whole"])
@pytest.mark.parametrize("int2pnl", [False, pytest.param(True, marks=pytest.mark.ci)])
def test_one_account_balances(frames: Any, filler: Any, coc: Any, whole: Any, int2pnl: Any) -> None:
    orders = dict.fromkeys(("filled", "rejected", "expired", "cancelled", "partial"), 0)
    for seed in range(2):
        strategies = [(Random, dict(seed=seed, whole=whole, cash_every=25))]
        (strategy,), broker = run(strategies, frames, coc, filler, int2pnl)
        costs = strategy.analyzers.tradingcosts.get_analysis()
        assert costs["end"] == broker.getvalue()
        assert balance(costs) == pytest.approx(costs["end"], rel=1e-9)
        assert min(costs["commission"], costs["slippage"], costs["interest"]) > 1.0
        assert costs["deposits"] != 0.0
        count = costs["orders"]
        ended = count["filled"] + count["rejected"] + count["expired"] + count["cancelled"] + count["open"]
        assert count["sent"] == ended
        orders = {kind: orders[kind] + count[kind] for kind in orders}
    assert orders.pop("partial") > 0 or filler is None
    assert min(orders.values()) > 0


def test_interest_is_the_same_however_the_broker_books_it() -> None:
    """int2pnl moves interest into the commission of closing orders; neither figure may move."""
    strategies = [(Random, dict(seed=1)), (Random, dict(seed=2))]
    apart, _ = run(strategies, FRAMES, int2pnl=False)
    mixed, _ = run(strategies, FRAMES, int2pnl=True)
    for a, b in zip(apart, mixed, strict=True):
        want, got = (s.analyzers.tradingcosts.get_analysis() for s in (a, b))
        for kind in ("interest", "commission", "slippage", "gross_profit", "end"):
            assert got[kind] == pytest.approx(want[kind], rel=1e-9)
        np.testing.assert_allclose(got["sessions"]["interest"], want["sessions"]["interest"], atol=1e-8)


@pytest.mark.parametrize("coc", [False, True], ids=["open", "close"])
@pytest.mark.parametrize("frames", [FRAMES, RAGGED], ids=["aligned", "ragged"])
@pytest.mark.parametrize("int2pnl", [False, True])
def test_strategies_add_up_to_the_account(coc: Any, frames: Any, int2pnl: Any) -> None:
    strategies = [(Random, dict(seed=s, cash_every=30)) for s in range(3)]
    runs, broker = run(strategies, frames, coc=coc, filler=part, int2pnl=int2pnl)
    own = [s.analyzers.strategyprofit.get_analysis() for s in runs]
    costs = runs[0].analyzers.tradingcosts.get_analysis()
    total = sum(p["profit"] for p in own)
    assert costs["start"] + costs["deposits"] + total == pytest.approx(broker.getvalue(), rel=1e-9)
    assert sum(p["interest"] for p in own) == pytest.approx(costs["interest"], rel=1e-9)
    # The same at every session, not only at the end.
    series = runs[0].analyzers.dailyseries.get_analysis()
    profit = np.sum([p["sessions"]["profit"] for p in own], axis=0)
    equity = series["start"] + np.cumsum(profit + series["deposits"])
    np.testing.assert_allclose(equity, series["value"], rtol=1e-9)
    for p in own:
        assert p["profit"] == pytest.approx(sum(p["sessions"]["profit"]), rel=1e-9, abs=1e-6)


def test_a_strategy_without_analyzers_takes_its_share_of_the_interest() -> None:
    class Watched(Random):
        def __init__(self) -> None:
            super().__init__()
            self._addanalyzer(StrategyProfit)

    strategies = [(Watched, dict(seed=1)), (Random, dict(seed=2))]
    (one, _), _ = run(strategies, FRAMES, analyzers=())
    (want, _), _ = run([(Random, dict(seed=1)), (Random, dict(seed=2))], FRAMES)
    alone, shared = one.analyzers.strategyprofit.get_analysis(), want.analyzers.strategyprofit.get_analysis()
    assert alone["interest"] == pytest.approx(shared["interest"], rel=0.05)  # longs and shorts of the rest are netted
    assert alone["gross_profit"] == shared["gross_profit"]


def test_futures_count_their_multiplier() -> None:
    def contract() -> Any:
        return bt.CommissionInfo(commission=2.0, margin=1000.0, mult=10.0)

    (strategy,), broker = run([(Random, dict(seed=3, whole=True))], FRAMES, info=contract, filler=part)
    costs = strategy.analyzers.tradingcosts.get_analysis()
    assert costs["commission"] > 0.0
    assert balance(costs) == pytest.approx(broker.getvalue(), rel=1e-9)
    got = strategy.analyzers.dailyseries.get_analysis()
    assert got["cash"] == got["value"]  # a future is not paid for
    assert max(got["loan"]) == 0.0


MODES = [
    dict(preload=preload, runonce=runonce, exactbars=exactbars)
    for preload in (True, False)
    for runonce in (True, False)
    for exactbars in (False, 1)
] + [dict(quicknotify=True)]


def same(a: Any, b: Any) -> Any:
    """Equality of plain results in which nan equals nan."""
    return repr(a) == repr(b)


@pytest.mark.parametrize("frames", [FRAMES, LATE, RAGGED], ids=["aligned", "late", "ragged"])
def test_all_modes_of_the_engine_agree(frames: Any) -> None:
    got = []
    # exactbars and a feed that ended or has holes: backtrader raises IndexError, or shows its next bar early.
    for modes in MODES if frames is not RAGGED else [m for m in MODES if not m.get("exactbars")]:
        runs, _ = run([(Random, dict(seed=1, cash_every=20)), (Random, dict(seed=2))], frames, modes=modes, filler=part)
        got.append([[a.get_analysis() for a in s.analyzers] for s in runs])
    assert all(same(other, got[0]) for other in got[1:])


def test_results_are_plain_and_survive_pickling() -> None:
    runs, _ = run([(Random, dict(seed=1))], FRAMES)
    plain = {int, float, str, bool, type(None), type(pd.Timestamp("2020-01-01").date())}

    def leaves(x: Any) -> Any:
        if isinstance(x, dict):
            assert all(type(k) is str for k in x)
            x = list(x.values())
        return [leaf for y in x for leaf in leaves(y)] if isinstance(x, list) else [x]

    for analyzer in runs[0].analyzers:
        result = analyzer.get_analysis()
        assert type(result) is dict
        assert {type(leaf) for leaf in leaves(result)} <= plain, type(analyzer).__name__
        assert same(pickle.loads(pickle.dumps(result)), result)


def test_optimisation_in_two_processes() -> None:
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2)
    for name, frame in FRAMES.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=name)
    cerebro.broker.setcash(50_000.0)
    cerebro.optstrategy(Random, seed=[1, 2])
    for cls in ALL:
        cerebro.addanalyzer(cls)
    results = cerebro.run()
    ends = [one[0].analyzers.tradingcosts.get_analysis()["end"] for one in results]
    assert len(set(ends)) == 2
    returns, positions, transactions, _ = results[0][0].analyzers.portfolioreturns.get_pf_items()
    assert len(returns) == len(positions) == 120
    assert len(transactions) > 50


def test_they_stand_beside_backtraders_own_and_a_writer(tmp_path: Path) -> None:
    cerebro = bt.Cerebro(stdstats=True)
    cerebro.adddata(bt.feeds.PandasData(dataname=FRAMES["AAA"]), name="AAA")
    cerebro.addstrategy(Random)
    for cls in (*ALL, bt.analyzers.TimeReturn, bt.analyzers.DrawDown, bt.analyzers.PyFolio, bt.analyzers.Returns):
        cerebro.addanalyzer(cls)
    cerebro.addwriter(bt.WriterFile, out=str(tmp_path / "log.txt"))
    (strategy,) = cerebro.run()
    ours, theirs = strategy.analyzers.maxdrawdown.get_analysis(), strategy.analyzers.drawdown.get_analysis()
    assert ours["depth"] == pytest.approx(-theirs.max.drawdown / 100.0, rel=1e-12)
    want = list(strategy.analyzers.timereturn.get_analysis().values())
    np.testing.assert_allclose(strategy.analyzers.dailyseries.get_analysis()["returns"], want, atol=1e-15)
    assert "TradingCosts".lower() in (tmp_path / "log.txt").read_text().lower()


def test_they_work_as_slaves_of_a_strategy() -> None:
    """As a sizer adds them: no `next`, all else."""

    class Watched(Random):
        def __init__(self) -> None:
            super().__init__()
            self.slaves = [self._addanalyzer_slave(cls) for cls in ALL]

    (slave,), _ = run([(Watched, dict(seed=1))], FRAMES, analyzers=())
    (usual,), _ = run([(Random, dict(seed=1))], FRAMES)
    for analyzer, want in zip(slave.slaves, usual.analyzers, strict=True):
        want = want.get_analysis()
        assert same(analyzer.get_analysis(), {**want, "strategy": "Watched"} if "strategy" in want else want)


def test_no_session_is_read_from_the_future() -> None:
    """A preloaded feed that has not started holds its last bar at [0]: it must not be read."""
    late = {"AAA": walk(1), "LATE": walk(3).iloc[60:]}
    (strategy,), _ = run([(Random, dict(seed=1))], late)
    weights = strategy.analyzers.exposure.get_analysis()["weights"]["LATE"]
    assert not any(weights[:60])
    assert any(weights[60:])
    assert all(math.isfinite(w) for w in weights)


@pytest.mark.parametrize(
    ("cls", "bad", "words"),
    [
        (AnnualizedSharpe, dict(periods=0), "periods=0 is not positive"),
        (AnnualizedSharpe, dict(risk_free=math.nan), "risk_free=nan is not a number"),
        (AnnualizedSharpe, dict(first="2011-13-01"), "first='2011-13-01' is not a date"),
        (DailySeries, dict(first=20111301), "first=20111301 is not a date"),
        (MaxDrawdown, dict(first="soon"), "first='soon' is not a date"),
        (MaxDrawdown, dict(worst=0), "worst=0 is not a positive whole number"),
        (TradingCosts, dict(periods=-1), "periods=-1 is not positive"),
        (PortfolioReturns, dict(tz="Mars/Base"), "tz='Mars/Base' is not a time zone"),
    ],
)
def test_bad_parameters_are_named_at_the_start(cls: Any, bad: Any, words: Any) -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=FRAMES["AAA"]))
    cerebro.addstrategy(Random)
    cerebro.addanalyzer(cls, **bad)
    with pytest.raises(ValueError) as error:
        cerebro.run()
    assert words in str(error.value) and ": give" in str(error.value) and "\n" not in str(error.value)
