"""Contracts: margined, settled in cash at each close, sized by price × multiplier."""

from __future__ import annotations

import logging
import math
from itertools import pairwise
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from markets import frame

from riskoverlay.analyzers import DailySeries, Exposure, TradingCosts
from riskoverlay.feeds import Panel, PanelFeed, load
from riskoverlay.strategies import MarginAccount, RiskParityBlend, VolTargetDrawdownSizer, debit_balance, open_account
from riskoverlay.strategies.fixed import FixedWeights
from riskoverlay.strategies.terms import margin_rate, point_value

BROKERS = ("margin", "stock")


class Script(bt.Strategy):
    """Trades {bar: contracts} of the first feed; keeps cash and value."""

    params = (("sizes", ()),)

    def __init__(self) -> None:
        self.cash: list[float] = []
        self.value: list[float] = []
        self.loan: list[float] = []
        self.heard: list[str] = []

    def notify_order(self, order: Any) -> None:
        if not order.alive():
            self.heard.append(order.getstatusname())

    def next(self) -> None:
        self.cash.append(self.broker.getcash())
        self.value.append(self.broker.getvalue())
        self.loan.append(debit_balance(self.broker))
        size = dict(self.p.sizes).get(len(self), 0)
        if size:
            (self.buy if size > 0 else self.sell)(size=abs(size))


def script(sizes: dict[int, int], closes: Any, scheme: dict[str, Any], **account: Any) -> tuple[Script, Any]:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame(closes), name="ES"))
    broker = open_account(cerebro, **{"slippage_bps": 0.0, **account})
    broker.setcommission(**scheme, name="ES")
    cerebro.addstrategy(Script, sizes=tuple(sizes.items()))
    return cerebro.run()[0], broker


# -- in the account ----------------------------------------------------------------------------------------------------


def test_variation_margin_moves_true_cash_and_nothing_is_lent() -> None:
    # Two contracts of 50 a point from bar 2's open (100) on; one sold at bar 5's open (103).
    closes = [100.0, 100.0, 104.0, 103.0, 103.0, 99.0]
    scheme = {"margin": 1_000.0, "mult": 50.0, "commission": 2.5}
    strategy, broker = script({1: 2, 4: -1}, closes, scheme, cash=10_000.0, borrow_rate=0.5)
    paid = [0.0, 5.0, 5.0, 5.0, 7.5, 7.5]
    points = [0.0, 0.0, 8.0, 6.0, 6.0, 2.0]  # contracts held × change, summed
    expected = [10_000.0 + 50.0 * p - fee for p, fee in zip(points, paid, strict=True)]
    assert strategy.value == pytest.approx(expected, rel=1e-12)
    assert broker.cash == pytest.approx(expected[-1], rel=1e-12)
    aside = [0.0, 2_000.0, 2_000.0, 2_000.0, 1_000.0, 1_000.0]
    assert strategy.cash == pytest.approx([e - a for e, a in zip(expected, aside, strict=True)], rel=1e-12)
    assert sum(broker.d_credit.values()) == 0.0
    assert max(strategy.loan) <= 0.0  # 10,400 of notional on 10,000


@pytest.mark.parametrize("broker", BROKERS)
def test_debit_of_shares_beside_contracts(broker: str) -> None:
    """The loan is that of the shares alone, whatever margin the contracts have set aside."""

    class Both(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(self.datas[0], size=150)
                self.buy(self.datas[1], size=3)

    cerebro = bt.Cerebro(stdstats=False)
    for name in ("SPY", "ES"):
        cerebro.adddata(PanelFeed(dataname=frame([100.0] * 60), name=name))
    account = open_account(cerebro, cash=10_000.0, commission_bps=0.0, slippage_bps=0.0, broker=broker)
    account.setcommission(margin=500.0, mult=50.0, name="ES")
    cerebro.addstrategy(Both)
    cerebro.run()
    debit = 5_000.0
    days = cerebro.datas[0].p.dataname.index
    for before, now in pairwise(days[1:]):
        debit *= 1.0 + 0.05 * (now - before).days / 365.0
    assert 10_000.0 - account.getvalue() == pytest.approx(debit - 5_000.0, rel=1e-9)


@pytest.mark.parametrize(("size", "answer"), [(10, "Completed"), (11, "Margin")])
def test_the_margin_of_contracts_counts_against_equity(size: int, answer: str) -> None:
    strategy, _ = script({1: size}, [100.0] * 4, {"margin": 1_000.0, "mult": 50.0}, cash=10_000.0)
    assert strategy.heard == [answer]


def test_margin_of_contracts_and_of_shares_is_one_sum() -> None:
    """10,000 of equity: 100 shares at 100 take 5,000 of it, contracts at 1,000 the rest."""

    class Both(Script):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(self.datas[1], size=100)
                for _ in range(6):
                    self.buy(self.datas[0], size=1)

    cerebro = bt.Cerebro(stdstats=False)
    for name in ("ES", "SPY"):
        cerebro.adddata(PanelFeed(dataname=frame([100.0] * 4), name=name))
    open_account(cerebro, cash=10_000.0, commission_bps=0.0, slippage_bps=0.0).setcommission(
        margin=1_000.0, mult=50.0, name="ES"
    )
    cerebro.addstrategy(Both)
    (strategy,) = cerebro.run()
    assert sorted(strategy.heard) == ["Completed"] * 6 + ["Margin"]


def test_margin_call_on_contracts() -> None:
    """Five contracts at 1,000: after a loss of 6,000 of 10,000, four of them can be kept."""
    strategy, broker = script({1: 5}, [100.0, 100.0, 76.0, 76.0], {"margin": 1_000.0, "mult": 50.0}, cash=10_000.0)
    assert strategy.value[2] == 10_000.0 - 5 * 24.0 * 50.0
    assert broker.getposition(strategy.datas[0]).size == 4
    assert strategy.value[-1] == 4_000.0


def test_margin_by_the_price() -> None:
    """`automargin`: a fifth of the price is set aside; equity holds no more than was won (BackBroker's holds more)."""
    scheme = {"automargin": 10.0, "mult": 50.0, "commtype": bt.CommInfoBase.COMM_FIXED}
    strategy, _ = script({1: 9, 3: 9}, [100.0, 100.0, 110.0, 110.0, 110.0], scheme, cash=10_000.0)
    assert strategy.heard == ["Completed", "Margin"]  # 9 × 1,100 of 14,500: no room for nine more
    assert strategy.value[-1] == 10_000.0 + 9 * 10.0 * 50.0
    other, _ = script({1: 11}, [100.0] * 3, scheme, cash=10_000.0)
    assert other.heard == ["Margin"]


def test_a_multiplier_that_is_no_multiplier() -> None:
    with pytest.raises(ValueError, match=r"mult=0.0 the contract of feed ES .*multiplier > 0"):
        script({}, [100.0] * 3, {"margin": 1_000.0, "mult": 0.0})


def test_terms_by_hand() -> None:
    feed = PanelFeed(dataname=frame([100.0] * 2), name="ES")
    contract = bt.CommInfoBase(margin=1_000.0, mult=50.0)
    assert (point_value(feed, contract), point_value(feed, bt.CommInfoBase())) == (50.0, 1.0)
    assert margin_rate(feed, contract, 100.0) == pytest.approx(1_000.0 / 5_000.0)
    assert margin_rate(feed, bt.CommInfoBase(leverage=4.0), 100.0) == 0.25
    assert margin_rate(feed, MarginAccount(initial_margin=0.4), 100.0) == pytest.approx(0.4)  # type: ignore[call-arg]


# -- sized -------------------------------------------------------------------------------------------------------------


class Watched(RiskParityBlend):
    """Notes at each close that orders what is held and ordered: gross notional, equity, one contract of the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, float, float]] = []

    def next(self) -> None:
        super().next()
        sizes = {data: self.held(data) for data in self.datas}
        for order in self.broker.submitted:
            sizes[order.data] += order.executed.remsize
        worth = {data: data.close[0] * self._point(data) for data in self.datas}
        gross = sum(abs(size) * worth[data] for data, size in sizes.items())
        if self.broker.submitted:
            self.seen.append((gross, self.broker.getvalue(), max(worth.values())))


@pytest.fixture(scope="module")
def market() -> Panel:
    """Enough of the sample market for 2,000 sessions after the warm-up."""
    return load("sample", symbols="SPY,TLT,GLD", end="2019-03-29")


def levered(panel: Panel, mult: float, broker: str = "margin", **parameters: Any) -> Any:
    """The strategy on contracts of `mult` a point, with money that does not mind whole ones."""
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    account = open_account(cerebro, cash=2e6 * mult, broker=broker, slippage_bps=1.0)
    for symbol in panel.symbols:
        margin = 0.05 * mult * float(panel.closes[symbol].iloc[0])
        account.setcommission(margin=margin, mult=mult, commission=0.01 * mult, name=symbol)
    cerebro.addstrategy(Watched, cov_lookback=60, min_hist=60)
    cerebro.addsizer(VolTargetDrawdownSizer, **parameters)
    for analyzer in (TradingCosts, DailySeries, Exposure):
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    return cerebro.run()[0]


@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("mult", [1.0, 5.0, 50.0, 1_000.0])
def test_gross_notional_stays_within_the_leverage(market: Panel, mult: float, broker: str) -> None:
    strategy = levered(market.between(end="2012-12-31"), mult, broker, lev_max=2.0)
    assert max(gross - (2.0 * equity + one) for gross, equity, one in strategy.seen) <= 0.0
    assert max(gross / equity for gross, equity, _ in strategy.seen) > 1.5
    costs = strategy.analyzers.TradingCosts.get_analysis()
    assert costs["interest"] == 0.0
    end = costs["start"] + costs["gross_profit"] - costs["commission"] - costs["slippage"] - costs["interest"]
    assert costs["end"] == pytest.approx(end, rel=1e-9)
    series, exposure = (strategy.analyzers.getbyname(n).get_analysis() for n in ("DailySeries", "Exposure"))
    assert series["cash"] == pytest.approx(series["value"], rel=1e-12)  # all of equity is cash
    assert exposure["leverage"][-1] == pytest.approx(strategy._held_leverage(), rel=1e-9)


@pytest.mark.parametrize("mult", [1.0, 5.0, 50.0, 1_000.0])
def test_what_is_realised_is_the_target(market: Panel, mult: float) -> None:
    """Brake and bounds out of the way: 2,000 sessions of the sample market have the volatility aimed at."""
    free = {"lev_max": 10.0, "lev_min": 0.0, "dd_threshold1": 0.99, "dd_threshold2": 0.99, "target_vol": 0.12}
    strategy = levered(market, mult, **free)
    returns = np.array(strategy.analyzers.DailySeries.get_analysis()["returns"])[-2_000:]
    assert len(returns) == 2_000
    assert np.std(returns) * math.sqrt(252.0) == pytest.approx(0.12, rel=0.15)


def test_the_multiplier_changes_nothing_but_the_count(market: Panel) -> None:
    """In parts of contracts, 50 a point is a fiftieth of the contracts: the same account."""
    short = market.between(end="2011-12-30")
    one, fifty = (levered(short, mult, whole_shares=False).analyzers for mult in (1.0, 50.0))
    relative = [
        np.array(a.DailySeries.get_analysis()["value"]) / a.DailySeries.get_analysis()["start"] for a in (one, fifty)
    ]
    assert relative[0] == pytest.approx(relative[1], rel=1e-9)
    leverage = [np.array(a.Exposure.get_analysis()["leverage"]) for a in (one, fifty)]
    assert leverage[0] == pytest.approx(leverage[1], rel=1e-9)
    assert leverage[0].max() > 1.2


def test_sleeve_drawdown_counts_points(market: Panel) -> None:
    """Alone in its account, the sleeve's drawdown is the account's."""
    short = market.between(end="2011-12-30")
    by_account, by_sleeve = (
        levered(short, 50.0, drawdown=kind, dd_threshold1=0.02, dd_threshold2=0.06) for kind in ("account", "sleeve")
    )
    assert min(by_account.analyzers.Exposure.get_analysis()["brake_part"][100:]) < 0.9
    for name in ("brake_part", "leverage"):
        mine, its = (s.analyzers.Exposure.get_analysis()[name] for s in (by_sleeve, by_account))
        assert mine == pytest.approx(its, rel=1e-9)


def test_an_account_too_small_for_one_contract_is_told_once(market: Panel, caplog: pytest.LogCaptureFixture) -> None:
    cerebro = bt.Cerebro(stdstats=False)
    short = market.between(end="2010-12-31")
    for feed in short.feeds():
        cerebro.adddata(feed)
    account = open_account(cerebro, cash=20_000.0)
    for symbol in short.symbols:
        account.setcommission(margin=100.0, mult=1_000.0, name=symbol)
    cerebro.addstrategy(RiskParityBlend, cov_lookback=60, min_hist=60)
    with caplog.at_level(logging.WARNING, "riskoverlay"):
        (strategy,) = cerebro.run()
    said = [record.getMessage() for record in caplog.records if "contracts of" in record.getMessage()]
    assert len(said) == 1
    assert "none can be held" in said[0]
    assert not any(strategy.held(data) for data in strategy.datas)


def test_targets_are_trimmed_to_the_margin_of_the_contracts(market: Panel) -> None:
    """At a margin of two thirds of the value no account opens more than 1.5 times its equity."""
    short = market.between(end="2011-06-30")
    cerebro = bt.Cerebro(stdstats=False)
    for feed in short.feeds():
        cerebro.adddata(feed)
    account = open_account(cerebro, cash=1e7, slippage_bps=0.0)
    for symbol in short.symbols:
        scheme = bt.CommInfoBase(automargin=2.0 / 3.0, mult=1.0, commtype=bt.CommInfoBase.COMM_FIXED)
        account.addcommissioninfo(scheme, name=symbol)
    cerebro.addstrategy(Watched, cov_lookback=60, min_hist=60)
    cerebro.addsizer(VolTargetDrawdownSizer, lev_min=2.0, lev_max=2.0)
    (strategy,) = cerebro.run()
    assert strategy.getsizer().trims > 0
    assert 1.45 < max(gross / equity for gross, equity, _ in strategy.seen) <= 1.5


def test_a_contract_that_is_not_wanted_is_not_too_large(market: Panel, caplog: pytest.LogCaptureFixture) -> None:
    """Its weight is 0: that none is held says nothing of the account."""
    short = market.between(end="2010-06-30")
    cerebro = bt.Cerebro(stdstats=False)
    for feed in short.feeds():
        cerebro.adddata(feed)
    account = open_account(cerebro, cash=20_000.0)
    account.setcommission(margin=100.0, mult=1_000.0, name=short.symbols[1])
    cerebro.addstrategy(FixedWeights, weights={short.symbols[0]: 1.0})
    with caplog.at_level(logging.WARNING, "riskoverlay"):
        cerebro.run()
    assert not [record for record in caplog.records if "contracts of" in record.getMessage()]
