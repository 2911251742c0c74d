"""Everything that backtrader's users do with strategies, sizers, analyzers and feeds, done with these."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from markets import frame

from riskoverlay.analyzers import AnnualizedSharpe, DailySeries, Exposure, Fills, MaxDrawdown, TradingCosts
from riskoverlay.feeds import Panel, PanelFeed
from riskoverlay.strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account

ROOT = Path(__file__).parents[1]
SHORT = {"cov_lookback": 20, "min_hist": 20}


def cerebro_of(*feeds: Any, cash: float = 1e6, execution: str = "next_open", **params: Any) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in feeds:
        cerebro.adddata(feed)
    open_account(cerebro, cash=cash, execution=execution)
    cerebro.addstrategy(RiskParityBlend, **{**SHORT, **params})
    for analyzer in (TradingCosts, DailySeries, Exposure, Fills):
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    return cerebro


@pytest.mark.long
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_optstrategy_in_two_processes(sample: Panel, method: str) -> None:
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT"])

    def sharpes(maxcpus: int) -> dict[Any, float]:
        cerebro = bt.Cerebro(stdstats=False, maxcpus=maxcpus)
        for feed in panel.feeds():
            cerebro.adddata(feed)
        open_account(cerebro)
        cerebro.optstrategy(
            RiskParityBlend, cov_lookback=20, min_hist=20, alpha_minvar=(0.0, 0.5), lev_band=(0.05, 0.2),
            overlay=({"vol_lookback": 10, "target_vol": 0.06}, {"vol_lookback": 10, "target_vol": 0.12}),
        )  # fmt: skip
        cerebro.addanalyzer(AnnualizedSharpe, _name="sharpe")
        return {
            (run.p.alpha_minvar, run.p.lev_band, run.p.overlay["target_vol"]): run.analyzers.sharpe.get_analysis()[
                "sharpe"
            ]
            for (run,) in cerebro.run()
        }

    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        two = sharpes(2)
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert two == sharpes(1)
    assert len(set(two.values())) == 8


def btrun_line() -> str:
    found = re.search(r"<!-- btrun -->\n```sh\n(.*?)```", (ROOT / "docs" / "parts.md").read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.long
def test_the_btrun_line_of_the_pages(sample: Panel, tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    folder.mkdir()
    for symbol in ("SPY", "TLT", "GLD"):
        bars = sample.frames[symbol].assign(openinterest=0)
        bars.to_csv(folder / f"{symbol}.csv")
    line = btrun_line().replace("python -m", f"{sys.executable} -m").replace("prices/", f"{folder}/")
    done = subprocess.run(
        line, shell=True, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "MPLBACKEND": "Agg"}
    )
    assert done.returncode == 0, done.stderr
    assert "TradingCosts" in done.stdout or "tradingcosts" in done.stdout
    filled = re.search(r"filled\W+(\d+)", done.stdout)
    assert filled
    assert int(filled[1]) > 50
    interest = re.search(r"'?interest'?: +([\d.]+)", done.stdout)
    assert interest
    assert float(interest[1]) > 0


def test_beside_backtraders_own_analyzers_and_observers(sample: Panel) -> None:
    cerebro = cerebro_of(*sample.between(None, "2011-12-30").feeds())
    cerebro.addobserver(bt.observers.Broker)
    cerebro.addobserver(bt.observers.DrawDown)
    for name in ("SharpeRatio", "DrawDown", "Returns", "TradeAnalyzer", "TimeReturn", "SQN", "VWR"):
        cerebro.addanalyzer(getattr(bt.analyzers, name), _name=name)
    for analyzer in (AnnualizedSharpe, MaxDrawdown):
        cerebro.addanalyzer(analyzer, _name=f"our{analyzer.__name__}")
    strategy = cerebro.run()[0]
    theirs = strategy.analyzers.DrawDown.get_analysis()["max"]["drawdown"]
    assert strategy.analyzers.ourMaxDrawdown.get_analysis()["depth"] == pytest.approx(-theirs / 100)
    total = strategy.analyzers.Returns.get_analysis()["rtot"]
    series = strategy.analyzers.DailySeries.get_analysis()
    assert np.log(series["value"][-1] / series["start"]) == pytest.approx(total)


def test_weekly_bars_resampled_by_backtrader(sample: Panel) -> None:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in sample.select(["SPY", "TLT", "GLD"]).feeds():
        cerebro.resampledata(feed, timeframe=bt.TimeFrame.Weeks)
    open_account(cerebro, cash=1e6)
    cerebro.addstrategy(RiskParityBlend, **SHORT)
    cerebro.addsizer(VolTargetDrawdownSizer, vol_lookback=13, periods=52)
    cerebro.addanalyzer(AnnualizedSharpe, periods=52, _name="sharpe")
    strategy = cerebro.run()[0]
    assert len(strategy) == len(sample.closes["SPY"].resample("W-FRI").last())
    assert 20 < len(strategy.rebalances) < 36  # a month end in the middle of a week is served at its Friday
    assert strategy.getsizer().volatility_part != 1.0
    assert strategy.analyzers.sharpe.get_analysis()["ann_vol"] > 0.01


def test_a_feed_that_starts_late_joins_when_it_has_history(sample: Panel) -> None:
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT", "GLD"])
    start = pd.Timestamp("2010-05-03")
    frames = {s: f.loc[start:] if s == "GLD" else f for s, f in panel.frames.items()}

    def weights(changed: bool) -> tuple[list[Any], pd.DataFrame]:
        late = frames["GLD"].copy()
        if changed:  # bars that nobody may have seen before they came
            late.iloc[40:, :4] *= 3.0
        feeds = [PanelFeed(dataname=f, name=s) for s, f in {**frames, "GLD": late}.items()]
        strategy = cerebro_of(*feeds).run()[0]
        table = pd.DataFrame(strategy.analyzers.Exposure.get_analysis()["target_weights"], panel.sessions)
        return strategy.rebalances, table

    rebalances, table = weights(False)
    assert str(rebalances[0]) == "2010-02-26"
    decided = table.loc[[pd.Timestamp(day) for day in rebalances]]
    # 21 bars of GLD by 2010-06-01: the end of May is one short, the end of June serves.
    assert (decided["GLD"][:"2010-05-31"] == 0.0).all()
    assert (decided["GLD"]["2010-06-30":] > 0.0).all()
    assert decided.sum(axis=1).to_numpy() == pytest.approx(1.0)
    _, other = weights(True)
    pd.testing.assert_frame_equal(table[: frames["GLD"].index[39]], other[: frames["GLD"].index[39]])


@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_a_feed_that_ends_early_is_left_out_and_paid_out(
    sample: Panel, execution: str, caplog: pytest.LogCaptureFixture
) -> None:
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT", "GLD"])
    end = pd.Timestamp("2010-06-18")
    frames = {s: f.loc[:end] if s == "GLD" else f for s, f in panel.frames.items()}
    with caplog.at_level(logging.WARNING):
        cerebro = cerebro_of(*(PanelFeed(dataname=f, name=s) for s, f in frames.items()), execution=execution)
        strategy = cerebro.run()[0]
    assert "2010-06-30: no bar of GLD since 2010-06-18: left out" in caplog.text
    assert caplog.text.count("left out") == 1
    gold = next(data for data in strategy.datas if data._name == "GLD")
    assert strategy.held(gold) == 0 == strategy.broker.getposition(gold).size
    last = [fill for fill in strategy.analyzers.Fills.get_analysis()["fills"] if fill["symbol"] == "GLD"][-1]
    assert str(last["date"]) == "2010-07-01"
    assert last["price"] == pytest.approx(frames["GLD"]["close"].iloc[-1] * (1 - 2e-4))
    costs = strategy.analyzers.TradingCosts.get_analysis()
    assert costs["end"] == pytest.approx(costs["start"] + costs["gross_profit"] - costs["total"], rel=1e-9)
    assert strategy.unfilled == 0


def test_a_feed_with_holes_trades_on_the_bars_it_has(sample: Panel) -> None:
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT", "GLD"])
    holes = pd.DatetimeIndex(["2010-04-01", "2010-05-03", "2010-07-01", "2010-08-02"])  # days after decisions
    frames = {s: f.drop(holes) if s == "TLT" else f for s, f in panel.frames.items()}
    withdrawn = []

    class Watched(RiskParityBlend):
        def cancel(self, order: Any) -> None:
            withdrawn.append(order.ref)
            super().cancel(order)

    cerebro = cerebro_of(*(PanelFeed(dataname=f, name=s) for s, f in frames.items()))
    cerebro.strats.clear()
    cerebro.addstrategy(Watched, **SHORT, lev_band=0.0)
    strategy = cerebro.run()[0]
    assert withdrawn  # an order that met a hole is replaced at the next session, not sent twice
    assert not strategy._withdrawn
    assert len(strategy._alive) <= 3  # those of the last bar
    fills = [fill for fill in strategy.analyzers.Fills.get_analysis()["fills"] if fill["symbol"] == "TLT"]
    assert fills
    assert not {str(day.date()) for day in holes} & {str(fill["date"]) for fill in fills}
    costs = strategy.analyzers.TradingCosts.get_analysis()
    assert costs["end"] == pytest.approx(costs["start"] + costs["gross_profit"] - costs["total"], rel=1e-9)


@pytest.mark.parametrize("fundmode", [True, False])
def test_money_paid_in_is_not_performance(sample: Panel, fundmode: bool) -> None:
    class Deposits(RiskParityBlend):
        params = (("paid", 0.0),)

        def next(self) -> None:
            super().next()
            if self.p.paid and len(self) in (100, 150):
                self.broker.add_cash(self.p.paid if len(self) == 100 else -self.p.paid / 2)

    def run(paid: float) -> Any:
        cerebro = cerebro_of(*sample.between(None, "2010-12-31").feeds())
        cerebro.strats.clear()
        cerebro.addstrategy(Deposits, **SHORT, overlay={"vol_lookback": 10, "whole_shares": False}, paid=paid)
        cerebro.broker.set_fundmode(fundmode)
        strategy = cerebro.run()[0]
        return strategy.getsizer(), strategy.analyzers.DailySeries.get_analysis(), strategy

    sizer, series, strategy = run(500_000.0)
    other_sizer, other, _ = run(0.0)
    assert sum(series["deposits"]) == pytest.approx(250_000.0)
    # The money is idle for at most a few sessions: performance and drawdown stay close, equity does not.
    assert sizer.drawdown == pytest.approx(other_sizer.drawdown, abs=0.01)
    assert series["fund"][-1] == pytest.approx(other["fund"][-1], rel=0.01)
    assert series["value"][-1] > other["value"][-1] + 200_000.0
    costs = strategy.analyzers.TradingCosts.get_analysis()
    assert costs["end"] == pytest.approx(costs["start"] + 250_000.0 + costs["gross_profit"] - costs["total"], rel=1e-9)


def test_a_cash_account_without_margin_is_trimmed_and_rejections_are_retried() -> None:
    # Stock commission scheme, no margin: targets stay within equity; an order refused for a gap comes again.
    rng = np.random.default_rng(5)
    frames = {s: frame(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 120)))) for s in "AB"}
    cerebro = bt.Cerebro(stdstats=False)
    for symbol, bars in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=bars, name=symbol))
    cerebro.broker.set_cash(1e6)
    cerebro.addstrategy(RiskParityBlend, **SHORT)
    cerebro.addsizer(VolTargetDrawdownSizer, lev_min=1.5, lev_max=1.5)
    cerebro.addanalyzer(Exposure, _name="exposure")
    strategy = cerebro.run()[0]
    assert strategy.getsizer().trims > 0
    held = strategy.analyzers.exposure.get_analysis()["leverage"]
    assert 0.9 < max(held) <= 1.02
