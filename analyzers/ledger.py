"""What one strategy and its account did, recorded bar by bar and read session by session by all analyzers here."""

from array import array
from collections.abc import Sequence
from datetime import date
from functools import cached_property, partial
from math import isclose
from pprint import pprint
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np
import numpy.typing as npt

from .accounting import carried_profit, deposits, per_session, position_values
from .sessions import DateClock

__all__ = [
    "Fill",
    "Ledger",
    "LedgerReader",
    "cheats_on_close",
    "interest_in_fee",
    "ledger_of",
    "reference_price",
    "symbols_of",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Fill(NamedTuple):
    """One execution of an own order.

    Attributes
    ----------
    bar, feed : int
        Indices. The bar is the strategy's that heard of it: `Ledger.fill_sessions` has the session.
    size : float
        Signed.
    price : float
    reference : float
        What the price is measured against: `reference_price`.
    commission : float
        Money.
    interest : float
        Money that int2pnl has hidden in the fee, taken out of `commission`.
    executed : float
        backtrader's day number of the price.
    at_close : bool
        Whether it `cheats_on_close`.
    kind : str
        Order type, such as "Market".
    margin_call : bool
        Whether the broker sent the order.
    """

    bar: int
    feed: int
    size: float
    price: float
    reference: float
    commission: float
    interest: float
    executed: float
    at_close: bool
    kind: str
    margin_call: bool


class Booked(NamedTuple):
    """What a dividend or a split has done to the own shares of a feed.

    Attributes
    ----------
    bar, feed : int
        Indices.
    shares : float
        That a split has added.
    cashed, dividend, tax : float
        Money: for fractions of a share, received (paid: negative), and withheld from it.
    """

    bar: int
    feed: int
    shares: float
    cashed: float
    dividend: float
    tax: float


def ledger_of(strategy: bt.Strategy) -> "Ledger":
    """The strategy's ledger, opened by the first analyzer that asks for it.

    Parameters
    ----------
    strategy : bt.Strategy

    Returns
    -------
    Ledger
    """
    for analyzer in strategy._slave_analyzers:
        if isinstance(analyzer, Ledger):
            return analyzer
    opened: Ledger = strategy._addanalyzer_slave(Ledger)
    return opened


def symbols_of(datas: Sequence[Any]) -> list[str]:
    """Names of feeds: `_name`, or data0, data1, ...; a name that was taken gets the feed's index.

    Parameters
    ----------
    datas : sequence of feeds

    Returns
    -------
    list of str
    """
    names: list[str] = []
    for i, data in enumerate(datas):
        name = data._name or f"data{i}"
        names.append(f"{name}_{i}" if name in names else name)
    return names


def cheats_on_close(order: bt.Order, broker: Any) -> bool:
    """Whether an order's fill, booked on one bar, is priced at the close of the bar that decided it.

    Parameters
    ----------
    order : bt.Order
    broker : broker

    Returns
    -------
    bool
    """
    market = order.exectype == bt.Order.Market
    return market and getattr(_params(broker), "coc", False) and bool(order.info.get("coc", True))


def reference_price(order: bt.Order, price: float, at_close: bool) -> float:
    """The price a fill is measured against: what a market order gets without slippage.

    Parameters
    ----------
    order : bt.Order
    price : float
        Of the fill.
    at_close : bool
        Whether it `cheats_on_close`.

    Returns
    -------
    float
        What the broker has written into `order.info.reference`, if it has. Else the open of the bar that filled it,
        or the close it was decided on. `price` itself for other orders: a limit or stop order names its price, and
        what it gets beside it is not counted as slippage.
    """
    if "reference" in order.info:
        return float(order.info["reference"])
    if order.exectype != bt.Order.Market:
        return float(price)
    if at_close:
        return float(order.created.pclose)
    tick = getattr(order.data, "tick_open", None)  # as the broker: differs from open when replaying
    return float(order.data.open[0] if tick is None else tick)


def interest_in_fee(order: bt.Order, bit: Any, broker: Any) -> float:
    """Interest that the broker has added to the commission of a closing fill (`int2pnl`).

    What was paid beyond the fee, which the commission scheme is asked for: the whole fill's, or that of its
    two parts, as the stock broker asks. They differ where there is a minimum.

    Parameters
    ----------
    order : bt.Order
    bit : execution bit
    broker : broker

    Returns
    -------
    float
        Money; 0 where nothing is added.
    """
    if not (bit.closed and getattr(_params(broker), "int2pnl", False)):
        return 0.0
    scheme = broker.getcommissioninfo(order.data)
    fee = scheme.getcommission(bit.size, bit.price)
    if not isclose(bit.comm, fee):
        parts = [size for size in (bit.closed, bit.opened) if size]
        fee = sum(scheme.getcommission(size, bit.price) for size in parts)
    return float(bit.comm - fee)


def _params(broker: Any) -> Any:
    return getattr(broker, "p", None)  # a live broker has none


class Ledger(bt.Analyzer):
    """Recorder, not for users: `ledger_of(strategy)` opens one a strategy.

    Per bar of the strategy it keeps numbers in lists; arrays are made when the run is over. A session is a date: of
    bars with one date (feeds of different time stamps, bars within a day) the last is the session's, and what came in
    on the others is counted with it. Own sizes are the sum of own fills, so two strategies on one feed are kept apart;
    account sizes are the broker's.
    """

    def __init__(self) -> None:
        self._parent = None  # else it becomes a child of the analyzer that asked, and hears everything twice
        self.symbols = symbols_of(self.datas)
        self.fills: list[Fill] = []
        self.booked: list[Booked] = []
        self.bases: list[tuple[int, int, float]] = []  # bar, feed, its last close ex split and dividend
        # by reference: last status, whether anything was filled, whether a margin call sent it
        self.orders: dict[int, tuple[int, bool, bool]] = {}
        self._times: list[float] = []
        self._value: list[float] = []
        self._fund: list[float] = []
        self._shares: list[float] = []
        self._credit: list[float] = []
        self._close = array("d")  # feeds side by side, bar after bar: lists of lists keep the
        self._account = array("d")  # garbage collector busy
        self._own: list[tuple[float, ...]] = []
        self._every_bar = False  # whether bars are looked at as sessions: `by_bar`

    def start(self) -> None:
        """Look at the account before the first session."""
        broker = self._broker = self.strategy.broker
        self._clock = self.strategy.lines.datetime
        self._calendar = DateClock(self.strategy)
        self._feeds = {id(data): i for i, data in enumerate(self.datas)}
        self._positions = getattr(broker, "positions", None)
        infos = [broker.getcommissioninfo(data) for data in self.datas]
        self.units = np.array([1.0 if info.stocklike else info.p.mult for info in infos])
        self.paid = np.array([1.0 if info.stocklike else 0.0 for info in infos])  # futures are not paid for
        self.start_value, self.start_fund = float(broker.getvalue()), float(broker.fundvalue)
        self.start_shares = float(broker.fundshares)
        self._start_credit = self._interest_so_far()
        self._sizes = (0.0,) * len(self.datas)
        self._lines: list[Any] = [None] * len(self.datas)
        self._not_begun = list(range(len(self.datas)))

    def notify_order(self, order: bt.Order) -> None:
        """Record status and fills of an own order.

        Parameters
        ----------
        order : bt.Order
        """
        called = bool(order.info.get("margin_call", False))
        self.orders[order.ref] = (order.status, bool(order.executed.size), called)
        for bit in order.executed.iterpending():
            if bit is not None:
                self._record_fill(order, bit)

    def _record_fill(self, order: bt.Order, bit: Any) -> None:
        held = order.data if order.data._compensate is None else order.data._compensate
        feed, at_close = self._feeds[id(held)], cheats_on_close(order, self._broker)
        interest = interest_in_fee(order, bit, self._broker)
        fill = Fill(
            bar=len(self._times),
            feed=feed,
            size=float(bit.size),
            price=float(bit.price),
            reference=reference_price(order, bit.price, at_close),
            commission=float(bit.comm - interest),
            interest=interest,
            executed=bit.dt,
            at_close=at_close,
            kind=order.getordername(),
            margin_call=bool(order.info.get("margin_call", False)),
        )
        self.fills.append(fill)
        self._add(feed, bit.size)

    def _add(self, feed: int, shares: float) -> None:
        sizes = list(self._sizes)
        sizes[feed] += shares
        self._sizes = tuple(sizes)

    def notify_action(self, action: Any) -> None:
        """Record a dividend or a split: what the last close is ex of it, and what it does to own shares.

        Parameters
        ----------
        action : CorporateAction
            Of a broker that books them.
        """
        feed, mine = self._feeds[id(action.data)], action.holders.get(self.strategy)
        self.bases.append((len(self._times), feed, action.base))
        if mine is None:
            return
        more = mine.after - mine.before
        self.booked.append(Booked(len(self._times), feed, more, mine.cashed, mine.dividend, mine.tax))
        self._add(feed, more)

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        """Record a bar.

        Parameters
        ----------
        cash, value, fundvalue, shares : float
            As backtrader gives them.
        """
        if self._not_begun:
            self._look_for_first_bars()
        self._times.append(self._calendar.day() if self._calendar.zoned else self._clock[0])
        self._value.append(value)
        self._fund.append(fundvalue)
        self._shares.append(shares)
        self._credit.append(self._interest_so_far())
        self._close.extend([np.nan if line is None else line[0] for line in self._lines])
        held = self._positions
        if held is None:
            self._account.extend([self._broker.getposition(data).size for data in self.datas])
        else:  # not getposition: it makes the broker keep, and value, a position in every feed
            self._account.extend([held[data].size if data in held else 0.0 for data in self.datas])
        self._own.append(self._sizes)

    def _look_for_first_bars(self) -> None:
        """No line of a feed without bars is read before: preloaded, its [0] would be a bar of the future."""
        for i in [i for i in self._not_begun if len(self.datas[i])]:
            self._lines[i] = self.datas[i].lines.close
            self._not_begun.remove(i)

    def _interest_so_far(self) -> float:
        """Interest that the account has been charged so far and that no closing order has taken over."""
        credit = getattr(self._broker, "d_credit", None)
        return float(sum(credit.values())) if credit else 0.0

    # What follows is for the time after the last bar.

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def bars(self) -> int:
        """Number of bars of the strategy."""
        return len(self._times)

    @cached_property
    def _days(self) -> Ints:
        """Ordinal of each bar's date, shape (bars,); one that comes after a later date counts for that."""
        return np.maximum.accumulate(np.array(self._times, dtype=float).astype(np.int64))

    @cached_property
    def sent(self) -> dict[int, tuple[int, bool, bool]]:
        """`orders`, and what the last bar has sent or cancelled: the strategy never hears of it."""
        broker = self._broker
        if not isinstance(broker, bt.brokers.BackBroker):  # a live one has no last bar
            return self.orders
        unheard = (*broker.submitted, *broker.pending, *broker.notifs)
        own = [order for order in unheard if order is not None and order.owner is self.strategy]
        called = {order.ref: bool(order.info.get("margin_call", False)) for order in own}
        last = {order.ref: (order.status, bool(order.executed.size), called[order.ref]) for order in own}
        return {**self.orders, **last}

    @cached_property
    def ends(self) -> Ints:
        """The last bar of each session, shape (T,)."""
        days = self._days
        return np.flatnonzero(np.append(days[1:] != days[:-1], days.size > 0)).astype(np.int64)

    @cached_property
    def dates(self) -> list[date]:
        """Dates of the sessions."""
        return [date.fromordinal(day) for day in self._days[self.ends].tolist()]

    @cached_property
    def value(self) -> Floats:
        """Equity at each close, shape (T,), money."""
        return np.array(self._value, dtype=float)[self.ends]

    @cached_property
    def fund(self) -> Floats:
        """Fund value at each close, shape (T,)."""
        return np.array(self._fund, dtype=float)[self.ends]

    @cached_property
    def deposits(self) -> Floats:
        """Money paid in per session, shape (T,)."""
        value, fund, shares = (np.array(x, dtype=float) for x in (self._value, self._fund, self._shares))
        paid = deposits(value, fund, shares, self.start_fund, self.start_shares)
        begins = np.concatenate(([0], self.ends[:-1] + 1))
        return np.add.reduceat(paid, begins) if len(self) else paid

    @cached_property
    def closes(self) -> Floats:
        """Closes, shape (T, n)."""
        return self._by_feed(self._close)

    @cached_property
    def account_sizes(self) -> Floats:
        """The account's positions at each close, shape (T, n)."""
        return self._by_feed(self._account)

    @cached_property
    def account_values(self) -> Floats:
        """Value of the account's positions, shape (T, n), money."""
        return position_values(self.account_sizes, self.closes, self.units)

    @cached_property
    def own_sizes(self) -> Floats:
        """Own positions at each close, shape (T, n)."""
        return self._by_feed(self._own)

    @cached_property
    def own_values(self) -> Floats:
        """Value of own positions, shape (T, n), money."""
        return position_values(self.own_sizes, self.closes, self.units)

    @cached_property
    def carried_values(self) -> Floats:
        """Value of own positions carried overnight into each session, at the closes before it, shape (T, n), money.

        A fill that cheats on close is booked a bar late. If that is a session late, it was held that night, or not any
        more.
        """
        sizes = _shifted(self.own_sizes)
        for fill, session, day in zip(self.fills, self.fill_sessions, self.fill_dates, strict=True):
            if fill.at_close and day < self.dates[session]:
                sizes[session, fill.feed] += fill.size
        return position_values(sizes, _shifted(self.closes), self.units)

    @cached_property
    def carried_account_values(self) -> Floats:
        """Value of what was carried into each session at its close before, shape (T, n), money."""
        return _shifted(self.account_values)

    @cached_property
    def fill_sessions(self) -> Ints:
        """Session of each fill, shape (m,)."""
        return self._sessions([fill.bar for fill in self.fills])

    def _sessions(self, bars: Sequence[int]) -> Ints:
        last = max(len(self) - 1, 0)  # a run stopped between fill and session: counted with the last one
        return np.minimum(np.searchsorted(self.ends, np.array(bars, dtype=np.int64)), last).astype(np.int64)

    @cached_property
    def fill_dates(self) -> list[date]:
        """Date of the price of each fill."""
        return [date.fromordinal(self._calendar.day_in(fill.feed, fill.executed)) for fill in self.fills]

    @cached_property
    def commission(self) -> Floats:
        """Own commission per session, shape (T,), money."""
        return self._by_session([fill.commission for fill in self.fills])

    @cached_property
    def slippage(self) -> Floats:
        """Own slippage per session, shape (T,), money."""
        return self._by_session([f.size * (f.price - f.reference) * self.units[f.feed] for f in self.fills])

    @cached_property
    def traded(self) -> Floats:
        """Value of own fills per session, both sides, shape (T,), money."""
        return self._by_session([abs(f.size) * f.price * self.units[f.feed] for f in self.fills])

    @cached_property
    def gross_profit(self) -> Floats:
        """Own profit per session before all costs, shape (T,), money.

        What was carried earns the change of its close; what was filled, from its reference price to the close. A fill
        at the last close (cheat on close) so earns the whole change since. Shares that a split adds earn their close.
        """
        closes = self.closes
        fresh = [
            f.size * (closes[t, f.feed] - f.reference) * self.units[f.feed]
            for f, t in zip(self.fills, self.fill_sessions, strict=True)
        ]
        split = [
            b.cashed + (b.shares * closes[t, b.feed] if b.shares else 0.0)
            for b, t in zip(self.booked, self.booked_sessions, strict=True)
        ]
        profit = carried_profit(self.own_sizes, closes, self.units) + self._by_session(fresh)
        return profit + self._per_session(split, self.booked_sessions) if split else profit

    @cached_property
    def booked_sessions(self) -> Ints:
        """Session of each dividend and split, shape (b,)."""
        return self._sessions([booked.bar for booked in self.booked])

    @cached_property
    def dividends(self) -> Floats:
        """Dividends on own shares per session, shape (T,), money: received positive, paid negative."""
        return self._per_session([booked.dividend for booked in self.booked], self.booked_sessions)

    @cached_property
    def tax(self) -> Floats:
        """Withheld from them per session, shape (T,), money."""
        return self._per_session([booked.tax for booked in self.booked], self.booked_sessions)

    @cached_property
    def interest(self) -> Floats:
        """Interest of the account per session, shape (T,), money: paid positive, received negative."""
        total = np.diff(np.concatenate(([self._start_credit], np.array(self._credit, dtype=float)[self.ends])))
        for ledger in self.all():  # what closing orders took over, whosesoever they were
            moved = ledger._by_session([fill.interest for fill in ledger.fills])
            n = min(len(moved), len(total))
            total[:n] += moved[:n]
        return total

    def all(self) -> list["Ledger"]:
        """The ledgers of all strategies in this Cerebro that have one, in its order.

        Returns
        -------
        list of Ledger
        """
        slaves = [a for s in self.strategy.cerebro.runningstrats for a in s._slave_analyzers]
        found = [a for a in slaves if isinstance(a, Ledger)]
        return [ledger.by_bar for ledger in found] if self._every_bar else found

    @cached_property
    def by_bar(self) -> "Ledger":
        """This ledger with every bar for a session, and so those of `all`: for what changes within one."""
        if self._every_bar or all(len(ledger) == ledger.bars for ledger in self.all()):
            return self
        known = {k: v for k, v in vars(self).items() if not isinstance(getattr(Ledger, k, None), cached_property)}
        other = object.__new__(Ledger)
        other.__dict__.update(known, _every_bar=True, ends=np.arange(self.bars))
        return other

    def _by_feed(self, rows: npt.ArrayLike) -> Floats:
        return np.array(rows, dtype=float).reshape(self.bars, len(self.datas))[self.ends]

    def _by_session(self, amounts: Sequence[float]) -> Floats:
        return self._per_session(amounts, self.fill_sessions)

    def _per_session(self, amounts: Sequence[float], sessions: Ints) -> Floats:
        n = len(self)
        return per_session(amounts, sessions, n)[:n]


def _shifted(table: Floats) -> Floats:
    """The rows of the session before; zeros before the first."""
    return np.vstack([np.zeros((1, table.shape[1])), table])[:-1]


class LedgerReader(bt.Analyzer):
    """Base of the analyzers: parameters checked at start, the ledger turned into plain values at stop.

    Nothing but the result outlives the run, so that an analyzer pickles out of an optimisation's process. What is
    printed of it (`print`, `pprint`, a `WriterFile`) is the `digest`, a line a figure; `get_analysis()` has all of it.
    """

    def __init__(self) -> None:
        self._ledger: Ledger | None = ledger_of(self.strategy)

    def start(self) -> None:
        """Check the parameters, and have a ledger kept."""
        self.check()

    def stop(self) -> None:
        """Analyse what was recorded."""
        if self._ledger is not None:
            self.rets = self.analyse(self._ledger)
            self._ledger = None
            # The writer asks the strategy, which would give it every session of every series.
            self.strategy.getwriterinfo = partial(_writer_info, self.strategy)

    def digest(self) -> dict[str, Any]:
        """The analysis with a few words for each series.

        Returns
        -------
        dict
            The keys of `get_analysis()`.
        """
        return _digest(self.get_analysis())

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Write the digest as backtrader writes an analysis.

        Parameters
        ----------
        *args, **kwargs
            Of `bt.WriterFile`.
        """
        writer = bt.WriterFile(*args, **kwargs)
        writer.start()
        writer.writedict({type(self).__name__: self.digest()})
        writer.stop()

    def pprint(self, *args: Any, **kwargs: Any) -> None:
        """Pretty-print the digest.

        Parameters
        ----------
        *args, **kwargs
            Of `pprint.pprint`.
        """
        pprint(self.digest(), *args, **kwargs)

    def check(self) -> None:
        """Refuse a parameter that makes no sense; for the subclass.

        Raises
        ------
        InputError
        """

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """What `get_analysis()` gives.

        Parameters
        ----------
        ledger : Ledger

        Returns
        -------
        dict
        """
        raise NotImplementedError


SHORT = 10
"""Values of a list that are printed one by one."""


def _digest(analysis: dict[str, Any]) -> dict[str, Any]:
    return {key: _few_words(value) for key, value in analysis.items()}


def _few_words(value: Any) -> Any:
    if isinstance(value, dict):
        return _digest(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} rows of {', '.join(value[0])}"
    if isinstance(value, (list, tuple, np.ndarray)) and len(value) > SHORT:
        return f"{len(value)} values, {value[0]} ... {value[-1]}"
    return value


def _writer_info(strategy: Any) -> Any:
    """What a strategy tells a writer, the digest for the analysis of each of our analyzers."""
    info = type(strategy).getwriterinfo(strategy)
    for name, analyzer in strategy.analyzers.getitems():
        if isinstance(analyzer, LedgerReader):
            info.Analyzers[name].Analysis = analyzer.digest()
    return info
