"""MarginBroker, MarginAccount and open_account."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from markets import frame

from riskoverlay.feeds import PanelFeed
from riskoverlay.strategies import PORTFOLIO_MARGIN, DatedRate, MarginAccount, MarginBroker, debit_balance, open_account
from riskoverlay.strategies.fast_orders import FastOrders


class Script(bt.Strategy):
    """Trades {bar number: [(feed, size), ...]} and records the account at each close."""

    params = (("orders", ()),)

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.value: list[float] = []
        self.cash: list[float] = []
        self.loan: list[float] = []
        self.fund: list[float] = []

    def notify_order(self, order: Any) -> None:
        if not order.alive():
            self.statuses.append(order.getstatusname())

    def next(self) -> None:
        self.value.append(self.broker.getvalue())
        self.cash.append(self.broker.getcash())
        self.loan.append(debit_balance(self.broker))
        self.fund.append(self.broker.fundvalue)
        for feed, size in dict(self.p.orders).get(len(self), ()):
            (self.buy if size > 0 else self.sell)(self.datas[feed], size=abs(size))


def run(orders: dict[int, Any], *frames: pd.DataFrame, **account: Any) -> tuple[Script, Any]:
    cerebro = bt.Cerebro(stdstats=False)
    for i, data in enumerate(frames):
        cerebro.adddata(bt.feeds.PandasData(dataname=data, name=f"F{i}"))
    account = {"slippage_bps": 0.0, "commission_bps": 0.0, **account}
    broker = open_account(cerebro, **account)
    cerebro.addstrategy(Script, orders=tuple(orders.items()))
    return cerebro.run()[0], broker


@pytest.mark.parametrize("broker", ["margin", "stock"])
def test_loan_interest_compounds_on_the_debit(broker: str) -> None:
    # Oracle: 10,000 equity, 15,000 long, 298 calendar days at 5 % on the debit of 5,000: 208.3 ± 0.3.
    index = pd.bdate_range("2021-01-01", "2021-12-31")
    flat = frame([100.0] * len(index)).set_axis(index)
    strategy, account = run({1: [(0, 150)]}, flat, cash=10_000.0, borrow_rate=0.05, broker=broker)
    opened = index[1]
    by_session = dict(zip(index, np.cumsum(-np.diff(strategy.value, prepend=10_000.0)), strict=True))
    day = opened + pd.Timedelta(days=298)
    assert by_session[day] == pytest.approx(208.3, abs=0.3)
    # Independent: the debit grows by each charge, over the calendar days between sessions.
    debit = 5_000.0
    for before, now in pairwise(index[1:]):
        debit *= 1 + 0.05 * (now - before).days / 365
    assert sum(account.d_credit.values()) == pytest.approx(debit - 5_000.0, rel=1e-12)
    assert strategy.loan[-1] == pytest.approx(debit, rel=1e-12)


@pytest.mark.parametrize("broker", ["margin", "stock"])
def test_nothing_is_charged_while_exposure_is_within_equity(broker: str) -> None:
    strategy, account = run({1: [(0, 100)]}, frame([100.0] * 50), cash=10_000.0, broker=broker)
    assert sum(account.d_credit.values()) == 0.0
    assert strategy.value[-1] == 10_000.0


@pytest.mark.parametrize("broker", ["margin", "stock"])
def test_dated_rate_equals_a_sum_night_by_night(broker: str) -> None:
    index = pd.bdate_range("2022-01-03", periods=80)
    rates = pd.Series([0.01, 0.03, 0.06], pd.to_datetime(["2021-12-01", "2022-02-02", "2022-03-12"]))
    bars = frame(np.linspace(100, 110, 80)).set_axis(index)
    _, account = run({1: [(0, 180)]}, bars, cash=10_000.0, borrow_rate=rates, broker=broker)
    cash = 10_000.0 - 180 * bars.open.iloc[1]
    charged = 0.0
    for before, now in pairwise(index[1:]):
        nights = [rates.asof(day) / 365 for day in pd.date_range(before, now, inclusive="left")]
        interest = -cash * sum(nights)
        charged, cash = charged + interest, cash - interest
    assert sum(account.d_credit.values()) == pytest.approx(charged, rel=1e-9)


def test_idle_cash_earns_its_own_rate() -> None:
    index = pd.bdate_range("2022-01-03", periods=30)
    bars = frame([100.0] * 30).set_axis(index)
    strategy, account = run({1: [(0, 50)]}, bars, cash=10_000.0, cash_rate=0.02, borrow_rate=0.5)
    cash = 10_000.0
    for i in range(1, 30):
        cash *= 1 + 0.02 * (index[i] - index[i - 1]).days / 365
        cash -= 5_000.0 if i == 1 else 0.0
    assert strategy.cash[-1] == pytest.approx(cash, rel=1e-12)
    assert sum(account.d_credit.values()) < 0.0


def test_short_proceeds_do_not_pay_the_loan() -> None:
    # 150 % long, 50 % short: cash is 0 after both, the debit is gross longs − equity = 5,000.
    bars = frame([100.0] * 60)
    strategy, account = run({1: [(0, 150), (1, -50)]}, bars, bars, cash=10_000.0)
    assert strategy.loan[2] == pytest.approx(5_000.0, rel=1e-3)
    assert sum(account.d_credit.values()) == pytest.approx(208.3 / 298 * 80, rel=0.05)


def test_fund_value_feels_interest() -> None:
    strategy, _ = run({1: [(0, 150)]}, frame([100.0] * 60), cash=10_000.0)
    assert strategy.fund[-1] / strategy.fund[0] == pytest.approx(strategy.value[-1] / 10_000.0, rel=1e-12)
    assert strategy.fund[-1] < strategy.fund[0]


def test_interest_of_fills_at_the_close_starts_that_night() -> None:
    # Decided and filled at the close of bar 1 (Wednesday 2020-01-01): charged from there, not from bar 2.
    strategy, account = run({1: [(0, 150)]}, frame([100.0] * 3), cash=10_000.0, execution="close", borrow_rate=0.365)
    assert strategy.value[1] == pytest.approx(10_000.0 - 5_000.0 * 0.001)
    assert sum(account.d_credit.values()) == pytest.approx(5.0 + 5_005.0 * 0.001)


def test_stock_and_margin_broker_agree() -> None:
    rng = np.random.default_rng(1)
    frames = [frame(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))) for _ in range(3)]
    orders = {i: [(i % 3, int(rng.integers(-20, 60)) or 1)] for i in range(1, 190, 3)}
    options = {"cash": 60_000.0, "commission_bps": 3.0, "slippage_bps": 2.0, "borrow_rate": 0.06}
    ours, _ = run(orders, *frames, **options)
    stock, _ = run(orders, *frames, broker="stock", **options)
    assert set(ours.statuses) == {"Completed"} == set(stock.statuses)
    np.testing.assert_allclose(ours.value, stock.value, rtol=1e-9)


def test_grown_portfolio_is_collateral() -> None:
    # Bought at 10, now 100: stock backtrader counts what was paid as collateral and refuses the second order.
    bars = frame([10.0] * 3 + [100.0] * 5)
    orders = {1: [(0, 1000)], 5: [(0, 800)]}
    ours, _ = run(orders, bars, cash=10_000.0)
    stock, _ = run(orders, bars, cash=10_000.0, broker="stock")
    assert ours.statuses == ["Completed", "Completed"]
    assert stock.statuses == ["Completed", "Margin"]


@pytest.mark.parametrize(("size", "status"), [(200, "Completed"), (201, "Margin")])
def test_initial_margin_is_a_sharp_bound(size: int, status: str) -> None:
    strategy, _ = run({1: [(0, size)]}, frame([100.0] * 4), cash=10_000.0, initial_margin=0.5)
    assert strategy.statuses == [status]


def test_portfolio_margin_holds_more() -> None:
    strategy, _ = run({1: [(0, 600)]}, frame([100.0] * 4), cash=10_000.0, **PORTFOLIO_MARGIN)
    assert strategy.statuses == ["Completed"]


def test_one_refused_order_does_not_poison_the_batch() -> None:
    strategy, _ = run({1: [(0, 500), (0, 100)]}, frame([100.0] * 4), cash=10_000.0)
    assert sorted(strategy.statuses) == ["Completed", "Margin"]


def test_an_overnight_gap_rejects_nothing() -> None:
    # Full initial margin at the close, then every open gaps down or up by 8 %.
    for gap in (0.92, 1.08):
        opens = [100.0, 100.0] + [100.0 * gap] * 3
        strategy, _ = run({1: [(0, 200)]}, frame([100.0] * 5, opens=opens), cash=10_000.0)
        assert strategy.statuses == ["Completed"]


def test_margin_call_cuts_to_maintenance_at_the_next_fill() -> None:
    # 20,000 long on 10,000; at 66 equity is 3,200 of 13,200 (24.2 %): below 25 %.
    closes = [100.0, 100.0, 66.0, 66.0, 66.0]
    strategy, broker = run(
        {1: [(0, 200)]}, frame(closes, opens=[100, 100, 100, 66, 66]), cash=10_000.0, borrow_rate=0.0
    )
    position = broker.getposition(strategy.datas[0]).size
    # Independent: fewest whole shares sold so that 0.25 · size · 66 <= equity.
    assert position == math.floor(3_200 / 0.25 / 66)
    assert position * 66.0 * 0.25 <= strategy.value[-1]
    assert (position + 1) * 66.0 * 0.25 > strategy.value[-1]
    assert strategy.statuses == ["Completed", "Completed"]


def test_no_margin_call_at_exactly_maintenance() -> None:
    closes = [100.0, 100.0, 200 / 3, 200 / 3]
    strategy, broker = run(
        {1: [(0, 200)]}, frame(closes, opens=[100, 100, 100, 200 / 3]), cash=10_000.0, borrow_rate=0.0
    )
    assert strategy.value[-1] == pytest.approx(0.25 * 200 * 200 / 3)
    assert broker.getposition(strategy.datas[0]).size == 200


def test_commission_bps_per_share_and_minimum() -> None:
    def paid(**account: float) -> float:
        strategy, _ = run({1: [(0, 10)]}, frame([100.0] * 3), cash=10_000.0, **account)
        return 10_000.0 - strategy.value[-1]

    assert paid(commission_bps=5.0) == pytest.approx(1_000 * 0.0005)
    assert paid(commission_per_share=0.01) == pytest.approx(0.1)
    assert paid(commission_bps=5.0, commission_per_share=0.01) == pytest.approx(0.6)
    assert paid(commission_bps=5.0, commission_min=1.0) == pytest.approx(1.0)
    assert paid(commission_bps=50.0, commission_min=1.0) == pytest.approx(5.0)


def test_slippage_applies_even_where_the_bar_has_no_range() -> None:
    for execution in ("next_open", "close"):
        strategy, _ = run({1: [(0, 10)]}, frame([100.0] * 3), cash=10_000.0, slippage_bps=10.0, execution=execution)
        assert 10_000.0 - strategy.value[-1] == pytest.approx(1.0)


def test_acknowledge_says_what_strategies_hear() -> None:
    heard: dict[bool, list[str]] = {}
    values = {}
    for acknowledge in (True, False):

        class Hears(Script):
            def notify_order(self, order: Any) -> None:
                super().notify_order(order)
                self.heard = [*getattr(self, "heard", []), order.getstatusname()]

        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame([100.0, 101, 99, 102])))
        open_account(cerebro, cash=10_000.0, acknowledge=acknowledge)
        cerebro.addstrategy(Hears, orders=((1, [(0, 50)]), (2, [(0, 900)])))
        strategy = cerebro.run()[0]
        heard[acknowledge], values[acknowledge] = strategy.heard, strategy.value
    assert heard[False] == ["Completed", "Margin"]
    assert heard[True] == ["Submitted", "Accepted", "Completed", "Submitted", "Margin"]
    assert values[True] == values[False]


def test_a_futures_feed_is_refused_by_name() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame([100.0] * 3), name="ES"))
    open_account(cerebro).setcommission(margin=1_000.0, mult=50.0, name="ES")
    cerebro.addstrategy(Script, orders=((1, [(0, 1)]),))
    with pytest.raises(ValueError, match=r"ES.*futures.*stock-like"):
        cerebro.run()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cash": 0.0}, "cash=0.0 .*money > 0"),
        ({"cash": math.nan}, "cash=nan"),
        ({"slippage_bps": -1.0}, "slippage_bps=-1.0"),
        ({"execution": "open"}, "execution='open'.*next_open"),
        ({"broker": "paper"}, "broker='paper'.*margin"),
        ({"comission_bps": 1.0}, "comission_bps=1.0 is not a parameter"),
        ({"commission_bps": -1.0}, "commission_bps=-1.0"),
        ({"commission_min": -1.0}, "commission_min=-1.0"),
        ({"commission_per_share": math.inf}, "commission_per_share=inf"),
        ({"initial_margin": 0.2}, "initial_margin=0.2, maintenance_margin=0.25"),
        ({"initial_margin": 1.5}, "initial_margin=1.5"),
        ({"maintenance_margin": 0.0}, "maintenance_margin=0.0"),
        ({"borrow_rate": -0.01}, "borrow_rate=-0.01"),
        ({"cash_rate": math.nan}, "cash_rate=nan"),
        ({"commission": 0.1}, "commission=0.1 is not used here: give commission_bps"),
        ({"interest": 0.1}, "interest=0.1 is not used here: give borrow_rate"),
    ],
)
def test_bad_arguments_are_named_with_their_cure(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_account(bt.Cerebro(), **arguments)


def test_dated_rate_refuses_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="borrow_rate is an empty series"):
        DatedRate(pd.Series([], dtype=float))
    with pytest.raises(ValueError, match="duplicate or unsorted"):
        DatedRate({"2020-01-02": 0.01, "2020-01-01": 0.02})
    with pytest.raises(ValueError, match="not finite"):
        DatedRate({"2020-01-02": math.nan})
    rate = DatedRate({"2020-01-02": 0.0365})
    assert rate.between(
        pd.Timestamp("2020-01-02").toordinal(), pd.Timestamp("2020-01-03").toordinal()
    ) == pytest.approx(1e-4)
    with pytest.raises(ValueError, match="starts on 2020-01-02, interest is due from 2020-01-01"):
        rate.between(pd.Timestamp("2020-01-01").toordinal(), pd.Timestamp("2020-01-03").toordinal())


def test_account_defaults_are_regulation_t() -> None:
    account = MarginAccount()
    assert (account.p.initial_margin, account.p.maintenance_margin) == (0.5, 0.25)
    assert account.max_leverage == 2.0
    assert MarginBroker().account.p.borrow_rate == account.p.borrow_rate


# -- speed -------------------------------------------------------------------------------------------------------------


class Sends(bt.Strategy):
    """Orders of every kind by the number of the session, and what is heard of them."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.refs: dict[int, int] = {}

    def next(self) -> None:
        close, at = self.data.close[0], len(self)
        kinds = (bt.Order.Market, bt.Order.Close, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit, bt.Order.StopTrail)
        kind = kinds[at % len(kinds)]
        send = self.buy if at % 4 < 2 else self.sell
        trail = {"trailamount": 0.5} if kind == bt.Order.StopTrail else {}
        expires = self.data.datetime.date(0) + dt.timedelta(days=4)
        send(size=1 + at % 5, exectype=kind, price=close * (1.0 + 0.004 * (at % 3 - 1)), valid=expires, **trail)
        if at % 7 == 0:
            self.buy_bracket(size=2, price=close * 0.99, stopprice=close * 0.95, limitprice=close * 1.02)
        if at % 13 == 0:
            leader = self.buy(size=3, exectype=bt.Order.Limit, price=close * 0.995, valid=expires)
            self.sell(size=3, exectype=bt.Order.Stop, price=close * 0.99, oco=leader)
        if at % 11 == 0 and self.broker.pending:
            self.cancel(self.broker.pending[0])

    def notify_order(self, order: Any) -> None:
        number = self.refs.setdefault(order.ref, len(self.refs))
        done = order.executed
        self.heard.append((len(self), number, order.getstatusname(), done.size, done.price, done.comm, done.pnl))


def heard_of(broker: Any, commission: float | None = 0.001) -> tuple[list[tuple[Any, ...]], list[float]]:
    """What a strategy hears of its orders, and the account's value at each close."""
    rng = np.random.default_rng(5)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 300)))), name="A"))
    cerebro.broker = broker
    broker.set_cash(1e6)
    if commission is not None:
        broker.setcommission(commission=commission)
    cerebro.addstrategy(Sends)
    cerebro.addanalyzer(bt.analyzers.TimeReturn, _name="returns")
    (strategy,) = cerebro.run()
    return strategy.heard, list(strategy.analyzers.returns.get_analysis().values())


def test_fast_orders_are_backtraders_orders() -> None:
    stock, fast = heard_of(bt.brokers.BackBroker()), heard_of(FastOrders())
    assert {event[2] for event in stock[0]} >= {"Submitted", "Accepted", "Completed", "Canceled", "Expired"}
    assert fast == stock
    silent = heard_of(FastOrders(acknowledge=False))
    assert silent[1] == stock[1]
    assert {event[2] for event in silent[0]} == {"Completed", "Canceled", "Expired"}
    kept = [event[3:] for event in stock[0] if event[2] == "Completed"]
    assert [event[3:] for event in silent[0] if event[2] == "Completed"] == kept


# -- beside other strategies' orders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [{}, {"coc": True}, {"slip_perc": 0.001, "slip_out": True}])
def test_brackets_and_oco_are_backtraders_where_money_is_not_short(mode: dict[str, Any]) -> None:
    """Stopped out, leader filled or expired, parent expired: each takes orders out of the queue in use."""
    terms = MarginAccount(commission_bps=10.0, borrow_rate=0.0, cash_rate=0.0)  # type: ignore[call-arg]
    ours = MarginBroker(account=terms, **mode)  # type: ignore[call-arg]
    stock, margin = heard_of(bt.brokers.BackBroker(**mode), commission=0.001), heard_of(ours, commission=None)
    assert [event[:3] for event in margin[0]] == [event[:3] for event in stock[0]]
    np.testing.assert_allclose(
        [event[3:] for event in margin[0]], [event[3:] for event in stock[0]], rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(margin[1], stock[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("broker", ["margin", "stock"])
def test_a_target_is_what_it_says(broker: str) -> None:
    """order_target_percent(0.2) every bar: what is held is a fifth at the close that decided, to a share."""
    rng = np.random.default_rng(8)
    apart: list[float] = []

    class Fifth(bt.Strategy):
        wanted: tuple[float, float] | None = None

        def next(self) -> None:
            if self.wanted is not None:
                money, close = self.wanted
                apart.append(abs(self.position.size * close - money) / close)
            self.wanted = (0.2 * self.broker.getvalue(), self.data.close[0])
            self.order_target_percent(target=0.2)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 1_000)))), name="A"))
    open_account(cerebro, cash=1e6, broker=broker)
    cerebro.addstrategy(Fifth)
    cerebro.run()
    assert len(apart) == 999
    assert max(apart) <= 1.0


@pytest.mark.parametrize("size", [1_500, 1_990, 2_010, 2_500])
def test_an_order_at_the_open_is_accepted_by_the_open(size: int) -> None:
    """With cheat-on-open nobody knows the bar's close yet: whatever it is, the answer is the same."""

    class AtOpen(bt.Strategy):
        heard: list[str]

        def __init__(self) -> None:
            self.heard = []

        def next_open(self) -> None:
            if len(self) == 3:
                self.buy(size=size)

        def notify_order(self, order: Any) -> None:
            self.heard.append(order.getstatusname())

    answers = []
    for close in (50.0, 100.0, 200.0):
        cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True)
        cerebro.adddata(PanelFeed(dataname=frame([100.0, 100.0, close, close], opens=[100.0] * 4), name="A"))
        open_account(cerebro, cash=100_000.0, commission_bps=0.0, slippage_bps=0.0).set_coo(True)
        cerebro.addstrategy(AtOpen)
        (strategy,) = cerebro.run()
        answers.append(strategy.heard[:2])
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1] == ("Accepted" if size <= 2_000 else "Margin")  # twice the equity, at the open
