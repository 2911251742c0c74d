"""pyfolio's and QuantStats' own functions take the analyzer's output and agree with our figures."""

from __future__ import annotations

import warnings
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from markets import frame
from test_examples import example

from riskoverlay.analyzers import PERIODS, PortfolioReturns, TradingCosts, summary
from riskoverlay.feeds import Panel
from riskoverlay.strategies import RiskParityBlend, open_account

warnings.filterwarnings("ignore", message='Module "zipline.assets" not found')
pytest.importorskip("matplotlib").use("Agg")
qs = pytest.importorskip("quantstats", reason="quantstats is not installed")
pyfolio = pytest.importorskip("pyfolio", reason="pyfolio-reloaded is not installed")

from pyfolio import pos, round_trips, tears, timeseries, txn  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def strategy(sample: Panel) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in sample.feeds():
        cerebro.adddata(feed)
    open_account(cerebro)
    cerebro.addstrategy(RiskParityBlend, cov_lookback=60, min_hist=60, overlay={"vol_lookback": 20})
    cerebro.addanalyzer(PortfolioReturns, _name="utc")
    cerebro.addanalyzer(PortfolioReturns, tz=None, _name="naive")
    cerebro.addanalyzer(TradingCosts, _name="costs")
    return cerebro.run()[0]


def ours(returns: pd.Series) -> tuple[float, float]:
    """Sharpe ratio as both libraries define it, and our drawdown."""
    r = returns.to_numpy()
    return r.mean() / r.std(ddof=1) * PERIODS**0.5, summary(r)["max_drawdown"]


def test_pyfolio_agrees(strategy: Any) -> None:
    returns, positions, transactions, gross = strategy.analyzers.utc.get_pf_items()
    stats = timeseries.perf_stats(returns, positions=positions, transactions=transactions)
    sharpe, fall = ours(returns)
    assert stats["Sharpe ratio"] == pytest.approx(sharpe)
    assert stats["Max drawdown"] == pytest.approx(fall)
    assert stats["Gross leverage"] == pytest.approx(gross.mean())
    assert np.allclose(timeseries.gross_lev(positions), gross)
    total = summary(returns.to_numpy())["ann_vol"] * np.sqrt(len(returns) / (len(returns) - 1))
    assert stats["Annual volatility"] == pytest.approx(total)


def test_pyfolio_reads_every_asset(strategy: Any, sample: Panel) -> None:
    returns, positions, transactions, _ = strategy.analyzers.utc.get_pf_items()
    costs = strategy.analyzers.costs.get_analysis()
    assert list(positions) == [*sample.symbols, "cash"]
    assert np.allclose(pos.get_percent_alloc(positions).sum(axis=1), 1.0)
    assert positions.sum(axis=1).iloc[-1] == pytest.approx(costs["end"])
    assert txn.get_txn_vol(transactions)["txn_volume"].sum() == pytest.approx(costs["traded"])
    assert txn.get_turnover(positions, transactions).sum() > 0.5
    trips = round_trips.extract_round_trips(transactions, portfolio_value=positions.sum(axis=1))
    assert set(trips["symbol"]) == set(sample.symbols)
    assert len(txn.adjust_returns_for_slippage(returns, positions, transactions, 5)) == len(returns)


@pytest.mark.ci
def test_pyfolio_draws_its_sheets(strategy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "show", lambda *_: None)
    returns, positions, transactions, _ = strategy.analyzers.utc.get_pf_items()
    tears.create_position_tear_sheet(returns, positions, transactions=transactions)
    tears.create_txn_tear_sheet(returns, positions, transactions)
    tears.create_round_trip_tear_sheet(returns, positions, transactions)
    pyplot.close("all")


def test_quantstats_agrees(strategy: Any) -> None:
    returns, *_ = strategy.analyzers.naive.get_pf_items()
    assert returns.index.tz is None
    sharpe, fall = ours(returns)
    assert qs.stats.sharpe(returns) == pytest.approx(sharpe)
    assert qs.stats.max_drawdown(returns) == pytest.approx(fall)
    assert qs.stats.comp(returns) == pytest.approx((1.0 + returns).prod() - 1.0)
    assert qs.reports.metrics(returns, mode="full", display=False).shape[0] > 40


class Once(bt.Strategy):
    def next(self) -> None:
        if len(self) == 1:
            self.buy(size=90)


def test_a_fall_on_the_first_days_counts_for_all() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(10_000.0)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame([100.0, 80.0, 82.0, 81.0])))
    cerebro.addstrategy(Once)
    cerebro.addanalyzer(PortfolioReturns, tz=None, _name="naive")
    returns, *_ = cerebro.run()[0].analyzers.naive.get_pf_items()
    returns = returns.iloc[1:]
    assert returns.iloc[0] == pytest.approx(-0.18)
    assert ours(returns)[1] == pytest.approx(-0.18)
    assert timeseries.perf_stats(returns)["Max drawdown"] == pytest.approx(-0.18)
    assert qs.stats.max_drawdown(returns) == pytest.approx(-0.18)


def test_the_example_shows_the_same_figures_three_times(capsys: pytest.CaptureFixture[str]) -> None:
    figures = example("pyfolio_quantstats").main()
    mine = figures.pop("riskoverlay")
    assert mine["max_drawdown"] < -0.05
    for name, theirs in figures.items():
        assert theirs == pytest.approx(mine), name
    assert "LQD" in capsys.readouterr().out
