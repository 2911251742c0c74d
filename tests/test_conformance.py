"""MarginBroker is backtrader's BackBroker, event by event, wherever money is not short."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets import frame

from riskoverlay.feeds import PanelFeed
from riskoverlay.strategies import MarginAccount, MarginBroker

KINDS = ("Market", "Close", "Limit", "Stop", "StopLimit", "StopTrail", "StopTrailLimit")

# -- both brokers on the same orders -----------------------------------------------------------------------------------


class Sends(bt.Strategy):
    """Orders drawn from a seed, and everything that is heard of them."""

    params = (("seed", 0), ("kinds", KINDS), ("habits", ()), ("compensate", False), ("rate", 0.4))

    def __init__(self) -> None:
        self.rng = np.random.default_rng(self.p.seed)
        self.orders: list[tuple[Any, ...]] = []
        self.trades: list[tuple[Any, ...]] = []
        self.account: list[tuple[float, ...]] = []
        self.numbers: dict[int, int] = {}
        self.trade_numbers: dict[int, int] = {}
        self.sent: list[Any] = []

    def prenext(self) -> None:
        self.session()

    def next(self) -> None:
        self.session()

    def next_open(self) -> None:
        if self.broker.p.coo:
            self.act()

    def session(self) -> None:
        positions = [self.broker.getposition(data) for data in self.datas]
        self.account.append(
            (
                self.broker.getvalue(), self.broker.fundvalue, self.broker.fundshares, self.broker.getcash(),
                *[number for held in positions for number in (held.size, held.price)],
            )
        )  # fmt: skip
        if not self.broker.p.coo:
            self.act()

    def act(self) -> None:
        for data in self.datas:
            if len(data) and self.rng.random() < self.p.rate:
                self.order(data)
        if "cash" in self.p.habits and self.rng.random() < 0.05:
            self.broker.add_cash(float(self.rng.integers(-500, 1_000)))
        if "cancel" in self.p.habits and self.sent and self.rng.random() < 0.3:
            self.cancel(self.sent[int(self.rng.integers(len(self.sent)))])
        if "target" in self.p.habits and self.rng.random() < 0.2:
            self.order_target_value(self.datas[0], target=float(self.rng.integers(0, 3_000)))
        if "close" in self.p.habits and self.rng.random() < 0.1:
            self.close(self.datas[-1])

    def order(self, data: Any) -> None:
        rng, price = self.rng, float(data.open[0] if self.broker.p.coo else data.close[0])
        side = rng.random() < 0.55
        send, other = (self.buy, self.sell) if side else (self.sell, self.buy)
        kind = str(rng.choice(self.p.kinds))
        terms = self.terms(kind, price, side)
        if "valid" in self.p.habits and rng.random() < 0.5:
            days = int(rng.integers(0, 6))
            terms["valid"] = (
                data.datetime.date(0) + dt.timedelta(days=days) if rng.random() < 0.5 else dt.timedelta(days)
            )
        size = int(rng.integers(1, 9))
        habit = rng.random()
        if "bracket" in self.p.habits and habit < 0.4:
            bracket = self.buy_bracket if side else self.sell_bracket
            way = 1.0 if side else -1.0
            parent = {name: terms[name] for name in ("price", "valid") if name in terms}
            self.sent += [
                order
                for order in bracket(
                    data=data, size=size, exectype=getattr(bt.Order, "Limit" if "price" in parent else "Market"),
                    stopprice=price * (1.0 - way * float(rng.uniform(0.003, 0.03))),
                    limitprice=price * (1.0 + way * float(rng.uniform(0.003, 0.03))), **parent,
                )
                if order is not None
            ]  # fmt: skip
        elif "oco" in self.p.habits and habit < 0.7:
            leader = send(data=data, size=size, **terms)
            self.sent += [leader, other(data=data, size=size, oco=leader, **self.terms("Stop", price, not side))]
            if habit < 0.5:
                self.sent.append(send(data=data, size=size, oco=leader, **self.terms("Limit", price, side)))
        else:
            self.sent.append(send(data=data, size=size, **terms))

    def terms(self, kind: str, price: float, side: bool) -> dict[str, Any]:
        """A price on either side of the market, so that some orders are filled and some wait."""
        way = 1.0 if side else -1.0
        near = price * (1.0 + float(self.rng.normal(0.0, 0.01)))
        terms: dict[str, Any] = {"exectype": getattr(bt.Order, kind)}
        if kind in ("Limit", "Stop", "StopLimit"):
            terms["price"] = near
        if kind == "StopLimit":
            terms["plimit"] = near * (1.0 + way * float(self.rng.uniform(-0.002, 0.01)))
        if kind in ("StopTrail", "StopTrailLimit"):
            terms |= {"trailamount": price * 0.01} if self.rng.random() < 0.5 else {"trailpercent": 0.01}
        if kind == "StopTrailLimit":
            terms |= {"price": price, "plimit": price * (1.0 + way * 0.004)}
        return terms

    def notify_order(self, order: Any) -> None:
        number = self.numbers.setdefault(order.ref, len(self.numbers))
        done = order.executed
        bits = [(bit.size, bit.price, bit.closed, bit.opened, bit.pnl, bit.dt) for bit in done.iterpending()]
        self.orders.append(
            (
                len(self), number, order.getstatusname(), order.getordername(), order.data._name,
                order.created.size, order.created.price, order.created.pricelimit,
                done.size, done.price, done.remsize, done.value, done.comm, done.pnl, done.margin, done.dt,
                done.psize, done.pprice, *[value for bit in bits for value in bit],
            )
        )  # fmt: skip

    def notify_trade(self, trade: Any) -> None:
        number = self.trade_numbers.setdefault(trade.ref, len(self.trade_numbers))
        self.trades.append(
            (
                len(self), number, trade.status, trade.size, trade.price, trade.value, trade.commission, trade.pnl,
                trade.pnlcomm, trade.baropen, trade.barclose, trade.barlen, trade.isclosed,
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """How two runs are made that should be the same."""

    broker: Mapping[str, Any] = field(default_factory=dict)
    cerebro: Mapping[str, Any] = field(default_factory=dict)
    strategy: Mapping[str, Any] = field(default_factory=dict)
    schemes: Mapping[str | None, Any] = field(default_factory=dict)
    """Arguments of `setcommission` by name of the feed, or makers of schemes."""
    bars: Callable[[int], list[Any]] | None = None
    sessions: int = 120
    fund: Any = None


def daily(seed: int, sessions: int) -> list[Any]:
    """Two feeds that gap; the second begins a little later."""
    rng = np.random.default_rng(seed + 1)
    feeds = []
    for name, begin in (("A", 0), ("B", 7)):
        closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.012, sessions)))
        opens = np.r_[closes[0], closes[:-1]] * np.exp(rng.normal(0.0, 0.006, sessions))
        bars = frame(closes, opens=opens)
        bars["high"] *= 1.0 + rng.uniform(0.0, 0.01, sessions)
        bars["low"] *= 1.0 - rng.uniform(0.0, 0.01, sessions)
        bars["volume"] = rng.integers(1, 60, sessions).astype(float)
        feeds.append(PanelFeed(dataname=bars.iloc[begin:], name=name))
    return feeds


def run(broker: Any, scenario: Scenario, seed: int) -> Sends:
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=bool(scenario.broker.get("coo")))
    feeds = (scenario.bars or (lambda s: daily(s, scenario.sessions)))(seed)
    for data in feeds:
        cerebro.adddata(data)
    cerebro.broker = broker
    for name, scheme in scenario.schemes.items():
        if callable(scheme):
            broker.addcommissioninfo(scheme(), name=name)
        else:
            broker.setcommission(**scheme, name=name)
    if scenario.strategy.get("compensate"):
        feeds[1].compensate(feeds[0])
    if scenario.fund is not None:
        cerebro.set_fund_history(scenario.fund(feeds))
    cerebro.addstrategy(Sends, seed=seed, **scenario.strategy)
    (strategy,) = cerebro.run(**scenario.cerebro)
    return strategy  # type: ignore[no-any-return]


def compare(scenario: Scenario, seed: int) -> tuple[Sends, Sends]:
    """Run both, and find no difference."""
    free = MarginAccount(commission_bps=0.0, borrow_rate=0.0, cash_rate=0.0)  # type: ignore[call-arg]
    terms = {"cash": 1e6, **scenario.broker}
    stock = run(bt.brokers.BackBroker(**terms), scenario, seed)
    assert "Margin" not in {event[2] for event in stock.orders}, "money is short"
    ours = run(MarginBroker(account=free, **terms), scenario, seed)  # type: ignore[call-arg]
    for kind in ("orders", "trades", "account"):
        theirs, mine = getattr(stock, kind), getattr(ours, kind)
        for one, other in zip(theirs, mine, strict=False):
            assert same(one, other), f"{kind}, seed {seed}:\n{one}\n{other}"
        assert len(theirs) == len(mine)
    return stock, ours


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    if len(one) != len(other):
        return False
    for a, b in zip(one, other, strict=True):
        if isinstance(a, float) or isinstance(b, float):
            if not (a == b or abs(a - b) <= 1e-9 * max(1.0, abs(a)) or (a != a and b != b)):
                return False
        elif a != b:
            return False
    return True


# -- scenarios ---------------------------------------------------------------------------------------------------------


class Tiers(bt.CommInfoBase):
    """Cheaper after a hundred shares: counts what `confirmexec` tells."""

    params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))

    def __init__(self) -> None:
        super().__init__()
        self.traded = 0.0

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        rate = 0.001 if self.traded < 100 else 0.0002
        if not pseudoexec:
            self.traded += abs(size)
        return abs(size) * price * rate


FUTURES = {"margin": 500.0, "mult": 10.0, "commission": 2.0}
HABITS = ("bracket", "oco", "valid", "cancel", "close")

MODES: dict[str, Scenario] = {
    "plain": Scenario(),
    "coc": Scenario(broker={"coc": True}),
    "coo": Scenario(broker={"coo": True}),
    "slip out": Scenario(broker={"slip_perc": 0.002, "slip_out": True}),
    "slip match": Scenario(broker={"slip_perc": 0.004, "slip_match": True, "slip_limit": False}),
    "slip none": Scenario(broker={"slip_fixed": 0.7, "slip_match": False, "slip_open": True}),
    "coc slip": Scenario(broker={"coc": True, "slip_perc": 0.001, "slip_out": True}),
    "fixed size": Scenario(broker={"filler": bt.broker.fillers.FixedSize(size=3)}),
    "bar perc": Scenario(broker={"filler": bt.broker.fillers.FixedBarPerc(perc=20.0)}),
    "bar point": Scenario(broker={"filler": bt.broker.fillers.BarPointPerc(minmov=0.05, perc=40.0)}),
    "no check": Scenario(broker={"checksubmit": False}),
    "fund": Scenario(broker={"fundmode": True, "fundstartval": 50.0}, strategy={"habits": ("cash",)}),
    "commission": Scenario(schemes={None: {"commission": 0.001}}),
    "contracts": Scenario(schemes={None: FUTURES}),
}
"""Every way to fill × every kind of order."""

MORE: dict[str, Scenario] = {
    **{f"habits {name}": Scenario(strategy={"habits": (name,)}) for name in HABITS},
    "every habit": Scenario(strategy={"habits": (*HABITS, "cash")}),
    "every habit, coc": Scenario(broker={"coc": True}, strategy={"habits": HABITS}),
    "every habit, coo": Scenario(broker={"coo": True}, strategy={"habits": HABITS}),
    "every habit, filler": Scenario(
        broker={"filler": bt.broker.fillers.FixedSize(size=2)}, strategy={"habits": HABITS}
    ),
    "every habit, slippage": Scenario(broker={"slip_perc": 0.002}, strategy={"habits": HABITS}),
    "targets": Scenario(strategy={"habits": ("target", "cash")}),
    "targets of contracts": Scenario(strategy={"habits": ("target",)}, schemes={"A": FUTURES}),
    "contracts beside shares": Scenario(strategy={"habits": HABITS}, schemes={"B": FUTURES}),
    "interest of shorts": Scenario(schemes={None: {"interest": 0.09, "commission": 0.0005}}),
    "interest of shorts and longs": Scenario(
        schemes={"A": {"interest": 0.09, "interest_long": True}}, strategy={"habits": HABITS}
    ),
    "interest, not in profits": Scenario(broker={"int2pnl": False}, schemes={None: {"interest": 0.05}}),
    "tiers": Scenario(schemes={None: Tiers}),
    "tiers, filler": Scenario(schemes={"A": Tiers}, broker={"filler": bt.broker.fillers.FixedSize(size=2)}),
    "fixed commission": Scenario(
        schemes={None: {"commission": 3.0, "commtype": bt.CommInfoBase.COMM_FIXED, "stocklike": True}}
    ),
    "shares with a multiplier": Scenario(schemes={"A": {"mult": 3.0, "stocklike": True, "commission": 0.001}}),
    "compensate": Scenario(strategy={"compensate": True}, schemes={None: {"commission": 0.001}}),
    "compensate contracts": Scenario(strategy={"compensate": True}, schemes={None: FUTURES}),
    "compensate, habits": Scenario(strategy={"compensate": True, "habits": HABITS}),
    "fund history": Scenario(
        cerebro={"runonce": False},  # backtrader knows no date otherwise
        fund=lambda feeds: [(day.date(), 100.0 + i, 1e6 + 500.0 * i) for i, day in enumerate(dates(feeds)[::10])],
    ),
    "next": Scenario(cerebro={"runonce": False}, strategy={"habits": HABITS}),
    "not preloaded": Scenario(cerebro={"preload": False, "runonce": False}, strategy={"habits": HABITS}),
    "exactbars": Scenario(cerebro={"exactbars": -1}, strategy={"habits": HABITS}),
    "live": Scenario(cerebro={"live": True}, strategy={"habits": HABITS}),
}


def dates(feeds: list[Any]) -> list[pd.Timestamp]:
    return list(feeds[0].p.dataname.index)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_order_in_every_way_to_fill(kind: str, mode: str) -> None:
    scenario = MODES[mode]
    only = Scenario(**{**vars(scenario), "strategy": {"kinds": (kind,), **scenario.strategy}, "sessions": 60})
    stock, _ = compare(only, seed=KINDS.index(kind))
    assert len(stock.orders) > 20


@pytest.mark.parametrize("name", MORE)
def test_habits_schemes_and_modes(name: str) -> None:
    stock, _ = compare(MORE[name], seed=3)
    assert {event[2] for event in stock.orders} >= {"Submitted", "Accepted", "Completed"}
    assert any(trade[-1] for trade in stock.trades)


def test_what_the_scenarios_contain() -> None:
    """Nothing is compared that never happens: expiry, cancellation, partial fills, interest, short positions."""
    stock, _ = compare(MORE["every habit"], seed=3)
    assert {event[2] for event in stock.orders} >= {"Canceled", "Expired", "Completed"}
    assert min(row[4] for row in stock.account) < 0 < max(row[4] for row in stock.account)
    partial, _ = compare(MORE["every habit, filler"], seed=3)
    assert "Partial" in {event[2] for event in partial.orders}
    charged, free = (compare(MORE[name], seed=3)[0] for name in ("interest of shorts and longs", "every habit"))
    assert charged.account[-1][0] < free.account[-1][0]
    tiers, _ = compare(MORE["tiers"], seed=3)
    rates = {round(event[12] / (abs(event[8]) * event[9]), 6) for event in tiers.orders if event[2] == "Completed"}
    assert {0.001, 0.0002} <= rates
    assert len(MODES) * len(KINDS) + len(MORE) >= 60


def drawn(rng: np.random.Generator) -> Scenario:
    """Any way to fill with any habits and schemes."""

    def some(*choices: Any) -> Any:
        return choices[int(rng.integers(len(choices)))]

    broker: dict[str, Any] = some({}, {}, {"coc": True}, {"coo": True}, {"checksubmit": False})
    broker = broker | some({}, {}, {"slip_perc": 0.002, "slip_out": True}, {"slip_fixed": 0.3, "slip_match": False})
    broker = broker | some({}, {}, {"filler": bt.broker.fillers.FixedSize(size=int(rng.integers(1, 5)))})
    broker = broker | some({}, {"fundmode": True}, {"int2pnl": False})
    plain = {"commission": 0.001, "interest": some(0.0, 0.08), "interest_long": some(True, False)}
    schemes: dict[str | None, Any] = some({}, {None: plain}, {"A": plain, "B": FUTURES}, {None: FUTURES}, {"B": Tiers})
    habits = tuple(habit for habit in (*HABITS, "cash", "target") if rng.random() < 0.5)
    kinds = tuple(kind for kind in KINDS if rng.random() < 0.6) or KINDS
    mode = some({}, {}, {}, {"runonce": False}, {"preload": False, "runonce": False}, {"exactbars": -1})
    strategy = {"habits": habits, "kinds": kinds, "compensate": bool(rng.random() < 0.15)}
    if strategy["compensate"] and "B" in schemes:
        schemes = {None: schemes["B"]}  # shares are not settled by contracts
    if schemes.get(None) is FUTURES:
        # Backtrader values a short contract at its margin, so that a target of more sells ever more of them.
        strategy["habits"] = tuple(habit for habit in habits if habit != "target")
    return Scenario(broker=broker, cerebro=mode, strategy=strategy, schemes=schemes, sessions=60)


@given(seed=st.integers(0, 2**32 - 1))
def test_random_sequences(seed: int) -> None:
    compare(drawn(np.random.default_rng(seed)), seed)


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(20))
def test_two_thousand_random_sequences(chunk: int) -> None:
    for seed in range(100 * chunk, 100 * chunk + 100):
        compare(drawn(np.random.default_rng(seed)), seed)
