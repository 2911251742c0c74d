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


@pytest.mark.parametrize("cents", [-0.01, 0.01])
def test_a_cent_is_borrowed_or_idle(cents: float) -> None:
    account = MarginAccount(borrow_rate=0.10, cash_rate=0.02, day_count=365)  # type: ignore[call-arg]
    assert account.interest(cents, 1, 366) == pytest.approx(cents * (0.10 if cents > 0 else 0.02), rel=1e-12)


@pytest.mark.parametrize(("day_count", "known"), [(359, False), (360, True), (361, False), (365, True), (366, False)])
def test_a_year_of_interest_has_360_days_or_365(day_count: int, known: bool) -> None:
    if known:
        account = MarginAccount(borrow_rate=0.10, day_count=day_count)  # type: ignore[call-arg]
        assert account.interest(1_000.0, 1, 1 + day_count) == pytest.approx(100.0, rel=1e-12)
    else:
        with pytest.raises(ValueError, match=f"day_count={day_count}"):
            MarginAccount(day_count=day_count)  # type: ignore[call-arg]


def test_short_proceeds_do_not_pay_the_loan() -> None:
    # 150 % long, 50 % short: cash is 0 after both, the debit is gross longs − equity = 5,000.
    bars = frame([100.0] * 60)
    strategy, account = run({1: [(0, 150), (1, -50)]}, bars, bars, cash=10_000.0)
    assert strategy.loan[2] == pytest.approx(5_000.0, rel=1e-3)
    assert sum(account.d_credit.values()) == pytest.approx(208.3 / 298 * 80, rel=0.05)


def test_under_the_stock_broker_longs_bear_the_interest_and_a_short_none() -> None:
    """The hook is asked for every position: those that were bought add up to the account's interest, alone or not."""
    bars = frame([100.0] * 60)
    options = {"cash": 10_000.0, "borrow_rate": 0.05, "broker": "stock"}
    _, both = run({1: [(0, 150), (1, -50)]}, bars, bars, **options)
    _, ours = run({1: [(0, 150), (1, -50)]}, bars, bars, **{**options, "broker": "margin"})
    long, short = (both.d_credit[data] for data in both.positions)
    assert long == pytest.approx(ours.d_credit["loan"], rel=1e-9)
    assert short == 0.0
    _, alone = run({1: [(0, -50)]}, bars, **options)
    assert sum(alone.d_credit.values()) == 0.0


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


def test_a_margin_call_is_heard_of_as_any_order_is() -> None:
    heard: list[str] = []

    class Hears(Script):
        def notify_order(self, order: Any) -> None:
            if order.info.get("margin_call"):
                heard.append(order.getstatusname())

    cerebro = bt.Cerebro(stdstats=False)
    closes = [100.0, 100.0, 66.0, 66.0]
    cerebro.adddata(bt.feeds.PandasData(dataname=frame(closes, opens=[100, 100, 100, 66]), name="A"))
    open_account(cerebro, cash=10_000.0, slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
    cerebro.addstrategy(Hears, orders=((1, [(0, 200)]),))
    cerebro.run()
    assert heard == ["Submitted", "Accepted", "Completed"]


@pytest.mark.parametrize("close", [50.0, 40.0])
def test_an_account_that_has_lost_all_of_its_equity_sells_all(close: float) -> None:
    """20,000 long on 10,000: at 50 nothing is left, at 40 less than nothing."""
    closes = [100.0, 100.0, close, close, close]
    strategy, broker = run(
        {1: [(0, 200)]}, frame(closes, opens=[100, 100, 100, close, close]), cash=10_000.0, borrow_rate=0.0
    )
    assert broker.getposition(strategy.datas[0]).size == 0
    assert strategy.value[-1] == pytest.approx(200 * close - 10_000.0)


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
    rate = DatedRate({"2020-01-02": 0.0365, "2020-02-03": 0.05})
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
    """order_target_percent(0.2) every bar: what is held is what a fifth was at the close that decided.

    Exactly, as backtrader rounds: the money between is turned into whole shares, so that a purchase stops below the
    target and a sale above it.
    """
    rng = np.random.default_rng(8)
    apart: list[float] = []

    class Fifth(bt.Strategy):
        wanted: tuple[float, float, float] | None = None

        def next(self) -> None:
            if self.wanted is not None:
                money, close, before = self.wanted
                bought = money > before * close
                assert self.position.size == (math.floor if bought else math.ceil)(money / close)
                apart.append(abs(self.position.size * close - money) / close)
            self.wanted = (0.2 * self.broker.getvalue(), self.data.close[0], self.position.size)
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


class Orders(bt.Strategy):
    """Does what a test says at the first close; keeps what comes of each order, and what is held at each close."""

    params = (("does", None),)

    def __init__(self) -> None:
        self.answers: dict[int, str] = {}
        self.held: list[float] = []

    def notify_order(self, order: Any) -> None:
        self.answers[order.ref] = order.getstatusname()

    def next(self) -> None:
        self.held.append(self.position.size)
        if len(self) == 2:
            self.p.does(self)


def ordered(does: Any, closes: Any, **account: Any) -> Orders:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame(closes), name="A"))
    open_account(cerebro, **{"cash": 10_000.0, "commission_bps": 0.0, "slippage_bps": 0.0, **account})
    cerebro.addstrategy(Orders, does=does)
    (strategy,) = cerebro.run()
    return strategy  # type: ignore[no-any-return]


@pytest.mark.parametrize("margin", [1.0, 0.5])
@pytest.mark.parametrize(
    ("closes", "last"), [([100.0, 100, 100, 103, 111, 111], 110.0), ([100.0, 100, 100, 97, 89, 89], 90.0)]
)
def test_both_exits_of_a_bracket_need_no_margin(margin: float, closes: list[float], last: float) -> None:
    """0.95 × what may be opened: its target would be as much again, if its stop were not there."""
    size = int(95 / margin)
    strategy = ordered(
        lambda s: s.buy_bracket(size=size, exectype=bt.Order.Market, stopprice=90.0, limitprice=110.0),
        closes, initial_margin=margin, maintenance_margin=min(margin, 0.25), borrow_rate=0.0,
    )  # fmt: skip
    assert sorted(strategy.answers.values()) == ["Canceled", "Completed", "Completed"]
    assert strategy.held[2] == size
    assert strategy.held[-1] == 0
    assert strategy.broker.getvalue() == pytest.approx(10_000.0 + size * (last - 100.0), abs=size * 1.01)


@pytest.mark.parametrize(("size", "opens", "ends"), [(210, 100.0, "Rejected"), (190, 250.0, "Canceled")])
def test_no_exit_of_a_refused_entry_waits(size: int, opens: float, ends: str) -> None:
    """Refused when it is sent (more than twice the equity), or when it is filled (a gap, below maintenance)."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0, 100, opens, opens], opens=[100.0, 100, opens, opens]), name="A"))
    open_account(cerebro, cash=10_000.0, commission_bps=0.0, slippage_bps=0.0)
    bracket = {"exectype": bt.Order.Market, "stopprice": 90.0, "limitprice": 300.0}
    cerebro.addstrategy(Orders, does=lambda s: s.buy_bracket(size=size, **bracket))
    (strategy,) = cerebro.run()
    assert list(strategy.answers.values()) == ["Margin", ends, ends]
    assert not strategy.broker.pending
    assert strategy.held == [0.0] * 4


@pytest.mark.parametrize("first", [bt.Order.Stop, bt.Order.Limit])
def test_both_orders_of_an_oco_exit_need_no_margin(first: int) -> None:
    """Long with all of the margin: stop and target, sent together a session later, are both accepted."""

    class Exits(Orders):
        def next(self) -> None:
            super().next()
            if len(self) == 4:
                prices = {bt.Order.Stop: 90.0, bt.Order.Limit: 110.0}
                leader = self.sell(size=200, exectype=first, price=prices.pop(first))
                ((kind, price),) = prices.items()
                self.sell(size=200, exectype=kind, price=price, oco=leader)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 6 + [111.0, 111.0]), name="A"))
    open_account(cerebro, cash=10_000.0, commission_bps=0.0, slippage_bps=0.0, borrow_rate=0.0)
    cerebro.addstrategy(Exits, does=lambda s: s.buy(size=200))
    (strategy,) = cerebro.run()
    assert sorted(strategy.answers.values()) == ["Canceled", "Completed", "Completed"]
    assert strategy.held[-1] == 0


def test_alternative_entries_need_the_margin_of_one() -> None:
    def entries(strategy: Any) -> None:
        leader = strategy.buy(size=190, exectype=bt.Order.Stop, price=104.0)
        strategy.buy(size=190, exectype=bt.Order.Limit, price=96.0, oco=leader)

    strategy = ordered(entries, [100.0, 100.0, 100.0, 95.0, 95.0], borrow_rate=0.0)
    assert sorted(strategy.answers.values()) == ["Canceled", "Completed"]
    alone = ordered(lambda s: [s.buy(size=190, exectype=bt.Order.Limit, price=p) for p in (96.0, 95.0)], [100.0] * 4)
    assert sorted(alone.answers.values()) == ["Accepted", "Margin"]


def test_an_exit_that_waits_makes_no_room() -> None:
    """The stop of a bracket may never be filled: what is bought behind it needs its own margin."""

    def both(strategy: Any) -> None:
        strategy.buy_bracket(size=150, exectype=bt.Order.Market, stopprice=90.0, limitprice=120.0)
        strategy.buy(size=100)

    strategy = ordered(both, [100.0] * 5, borrow_rate=0.0)
    assert sorted(strategy.answers.values()) == ["Accepted", "Accepted", "Completed", "Margin"]
    swapped = ordered(lambda s: [s.sell(size=150), s.buy(size=100)], [100.0] * 5, borrow_rate=0.0)
    assert sorted(swapped.answers.values()) == ["Completed", "Completed"]


@pytest.mark.parametrize("period", [bt.TimeFrame.Months, bt.TimeFrame.Weeks])
def test_a_longer_bar_is_no_ended_feed(period: int) -> None:
    """A market order on monthly bars beside daily ones waits for its month, and fills at its open."""
    index = pd.bdate_range("2020-01-01", "2020-12-31")
    days = frame(np.linspace(100.0, 150.0, len(index))).set_axis(index)
    rule = "ME" if period == bt.TimeFrame.Months else "W-FRI"
    bars = days.resample(rule).agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    fills: list[tuple[Any, float]] = []

    class Buys(bt.Strategy):
        def next(self) -> None:
            if self.data.datetime.date(0).day == 10:
                self.buy(self.datas[1], size=1)

        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                fills.append((bt.num2date(order.executed.dt).date(), order.executed.price))

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=days, name="D"))
    cerebro.adddata(PanelFeed(dataname=bars, name="P", timeframe=period))
    open_account(cerebro, slippage_bps=0.0)
    cerebro.addstrategy(Buys)
    cerebro.run()
    opens = {day.date(): price for day, price in bars["open"].items()}
    assert len(fills) >= 7
    assert all(opens[day] == price for day, price in fills)


def test_a_delisted_share_is_paid_out_on_the_day() -> None:
    """At its last close, on the date on which it counts as ended: not before the order was sent."""
    long, short = frame([100.0] * 40), frame([50.0] * 10)

    class Sells(bt.Strategy):
        def __init__(self) -> None:
            self.done: list[tuple[Any, Any, float]] = []

        def next(self) -> None:
            if len(self) == 2:
                self.buy(self.datas[1], size=10)
            if len(self) == 14:
                self.sell(self.datas[1], size=10)

        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                day = bt.num2date(order.executed.dt).date()
                self.done.append((day, self.datas[0].datetime.date(0), order.executed.price))

    cerebro = bt.Cerebro(stdstats=False)
    for bars in (long, short):
        cerebro.adddata(bt.feeds.PandasData(dataname=bars))
    open_account(cerebro, slippage_bps=0.0)
    cerebro.addstrategy(Sells)
    (strategy,) = cerebro.run(runonce=False)
    assert len(strategy.done) == 2
    executed, heard, price = strategy.done[1]
    assert (price, executed) == (50.0, heard)
    assert 10 < (executed - short.index[-1].date()).days < 14


class Arrives(bt.feeds.PandasData):
    """A live-style feed: the first loads bring nothing yet."""

    def islive(self) -> bool:
        return True

    def start(self) -> None:
        super().start()
        self.waits = 3

    def _load(self) -> bool | None:
        if self.waits:
            self.waits -= 1
            return None
        return super()._load()  # type: ignore[no-any-return]


def test_a_feed_that_has_nothing_at_first() -> None:
    values = []
    for broker in (bt.brokers.BackBroker(), MarginBroker()):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(Arrives(dataname=frame([100.0, 101.0, 103.0, 102.0])))
        cerebro.broker = broker
        cerebro.addstrategy(Script, orders=((1, [(0, 10)]),))
        (strategy,) = cerebro.run()
        values.append(strategy.value)
    assert len(values[0]) == 4
    if values[0] != values[1]:  # the commission of a `MarginAccount`, 1 bp
        assert values[1] == pytest.approx([v - 0.101 * (i > 0) for i, v in enumerate(values[0])])


# -- settings of the broker --------------------------------------------------------------------------------------------


def test_a_feed_has_margins_of_its_own() -> None:
    """A at 40 %, 2.5 times the equity; B at the account's half."""

    def answers(sizes: tuple[int, int], **of_a: Any) -> list[str]:
        cerebro = bt.Cerebro(stdstats=False)
        for name in ("A", "B"):
            cerebro.adddata(PanelFeed(dataname=frame([100.0] * 4), name=name))
        broker = open_account(cerebro, cash=10_000.0, commission_bps=0.0, slippage_bps=0.0)
        if "leverage" in of_a:
            broker.setcommission(**of_a, name="A")
        elif of_a:
            broker.addcommissioninfo(MarginAccount(commission_bps=0.0, **of_a), name="A")
        cerebro.addstrategy(Script, orders=((1, [(feed, size) for feed, size in enumerate(sizes) if size]),))
        return cerebro.run()[0].statuses  # type: ignore[no-any-return]

    assert answers((200, 0)) == ["Completed"]
    assert answers((201, 0)) == ["Margin"]
    for own in ({"initial_margin": 0.4}, {"leverage": 2.5}):
        assert answers((250, 0), **own) == ["Completed"]
        assert answers((251, 0), **own) == ["Margin"]
        assert answers((0, 201), **own) == ["Margin"]
        assert answers((125, 100), **own) == ["Completed", "Completed"]
        assert sorted(answers((125, 101), **own)) == ["Completed", "Margin"]
    assert answers((101, 0), leverage=1.0, commission=0.0) == ["Completed"]  # backtrader's default: the account's own


def test_a_feed_is_called_by_its_own_maintenance() -> None:
    """At 45 % to keep, 200 of 100 on 10,000 is called at 85 (7,000 of 17,000), not at 75 only."""
    closes = [100.0, 100.0, 85.0, 85.0, 85.0]
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame(closes), name="A"))
    broker = open_account(cerebro, cash=10_000.0, commission_bps=0.0, slippage_bps=0.0, borrow_rate=0.0)
    own = MarginAccount(commission_bps=0.0, borrow_rate=0.0, maintenance_margin=0.45)  # type: ignore[call-arg]
    broker.addcommissioninfo(own, name="A")
    cerebro.addstrategy(Script, orders=((1, [(0, 200)]),))
    (strategy,) = cerebro.run()
    assert broker.getposition(strategy.datas[0]).size == math.floor(7_000.0 / 0.45 / 85.0)


def test_the_account_may_be_replaced() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 40), name="A"))
    broker = open_account(cerebro, cash=10_000.0, commission_bps=0.0, slippage_bps=0.0)
    broker.addcommissioninfo(MarginAccount(initial_margin=0.25, borrow_rate=0.10, commission_bps=0.0))  # type: ignore[call-arg]
    cerebro.addstrategy(Script, orders=((1, [(0, 300)]),))
    (strategy,) = cerebro.run()
    assert strategy.statuses == ["Completed"]
    debit = 20_000.0
    for before, now in pairwise(strategy.data.p.dataname.index[1:]):
        debit *= 1.0 + 0.10 * (now - before).days / 365
    assert broker.d_credit["loan"] == pytest.approx(debit - 20_000.0, rel=1e-12)


@pytest.mark.parametrize("setting", ["shortcash", "rate"])
def test_what_a_margin_account_cannot_have_is_refused_at_start(setting: str) -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 4)))
    broker = open_account(cerebro)
    if setting == "shortcash":
        broker.set_shortcash(False)
        message = "shortcash=False is not a margin account's"
    else:
        broker.addcommissioninfo(MarginAccount(borrow_rate=0.09), name="")  # type: ignore[call-arg]
        message = "borrow_rate=0.09 of feed data0: the loan is the account's.*give borrow_rate to open_account"
    cerebro.addstrategy(Script)  # sends no order
    with pytest.raises(ValueError, match=message):
        cerebro.run()


def test_the_brokers_own_commission_is_charged() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 4), name="A"))
    cerebro.broker = MarginBroker(commission=bt.CommissionInfo(commission=0.002))  # type: ignore[call-arg]
    cerebro.addstrategy(Script, orders=((1, [(0, 10)]),))
    (strategy,) = cerebro.run()
    assert strategy.value[-1] == 10_000.0 - 10 * 100.0 * 0.002


def test_a_filler_leaves_whole_sizes_whole() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 6), name="A"))
    open_account(cerebro).set_filler(bt.broker.fillers.FixedSize(size=3))
    cerebro.addstrategy(Script, orders=((1, [(0, 7)]), (4, [(0, -5)])))
    (strategy,) = cerebro.run()
    size = strategy.broker.getposition(strategy.data).size
    assert (size, type(size)) == (2, int)


def test_a_feed_may_repeat_the_rate_of_the_account() -> None:
    for rate in (0.05, 0.07):  # the default, or the account's own
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(PanelFeed(dataname=frame([100.0] * 4), name="A"))
        open_account(cerebro, borrow_rate=0.07).addcommissioninfo(MarginAccount(borrow_rate=rate), name="A")  # type: ignore[call-arg]
        cerebro.addstrategy(Script)
        cerebro.run()


def test_before_any_feed_has_begun_there_is_no_session() -> None:
    broker = MarginBroker()
    broker.init()
    broker._waiting = [[]]
    assert broker._latest() == 0.0
