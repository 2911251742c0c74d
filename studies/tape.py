"""A run on tape: every bar, weight, order, fill and account value, in the order in which they happened."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np
import numpy.typing as npt

from feeds import Panel

__all__ = ["LINES", "Difference", "Event", "Feeds", "Setup", "Tape", "difference", "record", "values_differ"]

Setup = Callable[[bt.Cerebro], Any]
"""Puts account, strategies, sizers and analyzers into a Cerebro whose feeds are there."""
Feeds = Callable[[Panel], list[Any]]
"""The feeds made of a panel, each with a name."""
Value = float | int | str | None

LINES = ("datetime", "open", "high", "low", "close", "volume")


class Event(NamedTuple):
    """Something that happened in a session, before any later bar was there."""

    day: float
    """backtrader's number of the session."""
    kind: str
    """order, cancel, notice (what the broker says of an order), account, weights, crash."""
    strategy: str
    feed: str
    values: tuple[Value, ...]
    when: str
    """"open": decided before this session's fills, of which it may have the open; else "close"."""
    same_bar: bool
    """An order that is filled at a price of the bar that decided it: at its close (coc), or its open (coo)."""

    def text(self) -> str:
        """In a few words."""
        if self.kind == "account":
            value, cash = (float(number or 0.0) for number in self.values)
            return f"value {value:,.2f}, cash {cash:,.2f}"
        if self.kind == "weights":
            return "weights " + " ".join(f"{value:.4g}" for value in self.values)
        if self.kind == "crash":
            return "crash: " + " ".join(str(value) for value in self.values)
        head, *rest = self.values
        words = [_shown(value) for value in rest if value is not None]
        return " ".join([str(head), self.feed, *words])


def _shown(value: Value) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


class Difference(NamedTuple):
    """Where two tapes part."""

    day: float
    kind: str
    strategy: str
    feed: str
    before: str
    after: str


@dataclass
class Tape:
    """What a run did. Plain values, so that it can be sent to another process."""

    events: list[Event] = field(default_factory=list)
    bars: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    """By feed, shape (n, 6): `LINES` of every bar delivered."""
    late: dict[int, tuple[float, str, str, float, float]] = field(default_factory=dict)
    """By order number: day, strategy, feed, size, price of fills booked a session after the one that priced them."""
    refused: set[int] = field(default_factory=set)
    """Numbers of the orders that margin, a limit or a cancellation kept from being filled."""
    indicators: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    """Name of strategy, indicator and line -> its values, to the last session. Only of a run that was not stopped."""
    started: bool = False
    """Whether a first session came."""
    error: Exception | None = None

    @property
    def days(self) -> list[float]:
        """Sessions that came."""
        return [event.day for event in self.events if event.kind == "account"]

    def orders(self) -> list[Event]:
        return [event for event in self.events if event.kind == "order"]


class _Stop(BaseException):
    """Ends a run from inside; no strategy catches it."""


class _Recorder(bt.Cerebro):
    """A Cerebro that writes a tape: its hooks are called whatever the strategies do."""

    def prepare(self, tape: Tape, until: float) -> None:
        """Record what happens in sessions before `until`."""
        self.tape, self.until, self.open_phase = tape, until, True
        self.now = 0.0  # number of the session, from its fills on
        self.numbers: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.weights: dict[int, Any] = {}
        broker = self.broker
        submit, cancel, notification = broker.submit, broker.cancel, broker.get_notification

        def on_submit(order: Any, *args: Any, **kwargs: Any) -> Any:
            self.on_order(order)
            return submit(order, *args, **kwargs)

        def on_cancel(order: Any, *args: Any, **kwargs: Any) -> Any:
            self.write("cancel", self.name_of(order.owner), order.data, ("cancel", self.number(order)))
            return cancel(order, *args, **kwargs)

        def on_notification() -> Any:
            order = notification()
            if order is not None:
                self.on_notice(order)
            return order

        broker.submit, broker.cancel, broker.get_notification = on_submit, on_cancel, on_notification

    # -- what is written ---------------------------------------------------------------------------------------------

    def day(self) -> float:
        return max((data.datetime[0] for data in self.datas if len(data)), default=0.0)

    def name_of(self, strategy: Any) -> str:
        name = self.names.get(id(strategy))
        if name is None:
            # By identity: strategies are lines, and lines compare what they hold.
            at = [other is strategy for other in (*self.runningstrats, strategy)].index(True)
            name = f"{type(strategy).__name__}{f'_{at}' if len(self.strats) > 1 else ''}"
            self.names[id(strategy)] = name
        return name

    def number(self, order: Any) -> int:
        return self.numbers.setdefault(order.ref, len(self.numbers) + 1)

    def write(
        self, kind: str, strategy: str, data: Any, values: tuple[Value, ...], same_bar: bool = False
    ) -> None:
        feed = "" if data is None else str(data._name)
        when = "open" if self.open_phase else "close"
        day = self.day() if self.open_phase else self.now
        self.tape.events.append(Event(day, kind, strategy, feed, values, when, same_bar))

    def on_order(self, order: Any) -> None:
        params = getattr(self.broker, "p", None)
        at_close = getattr(params, "coc", False) and order.info.get("coc", True)
        at_open = getattr(params, "coo", False) and self.open_phase
        same_bar = order.exectype == bt.Order.Market and bool(at_open or at_close)
        values = (
            "buy" if order.isbuy() else "sell", float(abs(order.size)), order.getordername(),
            order.price, order.pricelimit, order.trailamount, order.trailpercent,
            None if order.valid is None else str(order.valid), self.number(order),
        )  # fmt: skip
        self.write("order", self.name_of(order.owner), order.data, values, same_bar)

    def on_notice(self, order: Any) -> None:
        number, owner = self.number(order), self.name_of(order.owner)
        if order.status in (order.Margin, order.Rejected, order.Canceled, order.Expired):
            self.tape.refused.add(number)
        fills = []
        if order.status in (order.Partial, order.Completed):
            fills = [(bit.dt, float(bit.size), float(bit.price)) for bit in order.executed.iterpending()]
        for day, size, price in fills:
            if day < self.now:
                self.tape.late[number] = (day, owner, str(order.data._name), size, price)
        values: list[Value] = [order.getstatusname(), number]
        for _, size, price in fills:
            values += [size, price]
        self.write("notice", owner, order.data, tuple(values))

    # -- backtrader's hooks ------------------------------------------------------------------------------------------

    def _brokernotify(self) -> None:
        self.now = self.day()
        beyond = self.now >= self.until
        self.tape.started = True
        self.open_phase = False
        super()._brokernotify()
        if beyond:  # what was priced before `until` is booked now
            raise _Stop
        self.write("account", "", None, (float(self.broker.getvalue()), float(self.broker.getcash())))

    def _next_writers(self, runstrats: list[Any]) -> None:
        super()._next_writers(runstrats)
        self.open_phase = True
        for strategy in runstrats:
            weights = getattr(strategy, "base_weights", None)
            if weights is not None and weights is not self.weights.get(id(strategy)):
                self.weights[id(strategy)] = weights
                self.write(
                    "weights", self.name_of(strategy), None, tuple(float(weight) for weight in weights)
                )

    def _runonce(self, runstrats: list[Any]) -> None:
        super()._runonce(runstrats)
        self._finish(runstrats)

    def _runnext(self, runstrats: list[Any]) -> None:
        super()._runnext(runstrats)
        self._finish(runstrats)

    def _finish(self, runstrats: list[Any]) -> None:
        for strategy in runstrats:
            for i, indicator in enumerate(strategy.getindicators_lines()):
                for line, alias in zip(indicator.lines, indicator.getlinealiases(), strict=False):
                    name = f"{self.name_of(strategy)} {type(indicator).__name__}[{i}].{alias}"
                    self.tape.indicators[name] = np.array(line.array)
        raise _Stop  # what analyzers make of a run in their `stop` decides nothing any more


def record(
    setup: Setup,
    panel: Panel,
    feeds: Feeds,
    until: float = math.inf,
    **mode: Any,
) -> Tape:
    """Run and write down what happened in sessions before `until`.

    The run ends there, with what it has priced before. Errors end the tape with a "crash" and are kept in it.
    **mode : parameters of Cerebro such as runonce and preload.
    """
    tape = Tape()
    cerebro = _Recorder(stdstats=False)
    with _quiet():
        try:
            for data in feeds(panel):
                cerebro.adddata(data)
            setup(cerebro)
            cerebro.prepare(tape, until)
            cerebro.run(**mode)
        except _Stop:
            pass
        except Exception as error:
            tape.error = error
            cerebro.open_phase = False
            day = cerebro.day() if tape.started else 0.0
            tape.events.append(Event(day, "crash", "", "", (type(error).__name__,), "close", False))
    if tape.started:
        tape.bars = {str(data._name): _bars(data) for data in cerebro.datas}
    return tape


def _bars(data: Any) -> npt.NDArray[np.float64]:
    n = len(data)
    columns = [np.array(getattr(data.lines, line).array[:n]) for line in LINES]
    if any(len(column) != n for column in columns):  # a mode that keeps no history
        return np.empty((0, len(LINES)))
    return np.column_stack(columns)


@contextmanager
def _quiet() -> Iterator[None]:
    """Notes and warnings of hundreds of runs on bars that never happened say nothing."""
    log = logging.getLogger("riskoverlay")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


# -- comparing -------------------------------------------------------------------------------------------------------


def difference(
    one: Tape, two: Tape, until: float = math.inf, tolerance: float = 1e-9, late: bool = True
) -> Difference | None:
    """The first difference in what happened before `until`, or None.

    Numbers differ when they are further apart than `tolerance`, as a fraction of themselves. late: compare also the
    fills priced before `until` and booked after it.
    """
    found = [
        _bar_difference(one, two, until, tolerance),
        _event_difference(one, two, until, tolerance),
        _late_difference(one, two, until, tolerance) if late else None,
    ]
    return min((each for each in found if each is not None), key=lambda each: each.day, default=None)


def values_differ(one: tuple[Value, ...], two: tuple[Value, ...], tolerance: float) -> bool:
    if len(one) != len(two):
        return True
    for a, b in zip(one, two, strict=True):
        if a == b or (a != a and b != b):
            continue
        if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
            return True
        if not abs(a - b) <= tolerance * max(abs(a), abs(b)):
            return True
    return False


def _bar_difference(one: Tape, two: Tape, until: float, tolerance: float) -> Difference | None:
    first: Difference | None = None
    if not (one.started and two.started):
        return None  # nothing was delivered; the events say why
    for feed, before in one.bars.items():
        after = two.bars.get(feed)
        if after is None:
            continue
        a, b = before[before[:, 0] < until], after[after[:, 0] < until]
        n = min(len(a), len(b))
        apart = np.abs(a[:n] - b[:n]) > tolerance * np.maximum(np.abs(a[:n]), np.abs(b[:n]))
        apart |= np.isnan(a[:n]) != np.isnan(b[:n])
        rows = np.flatnonzero(apart.any(axis=1))
        if len(rows):
            row = int(rows[0])
            column = int(np.flatnonzero(apart[row])[0])
            day, name = min(a[row, 0], b[row, 0]), LINES[column]
            texts = (f"{name} {a[row, column]:.10g}", f"{name} {b[row, column]:.10g}")
        elif len(a) != len(b):
            # A run that crashed has fewer bars; its crash is told from the events.
            if one.error is not None or two.error is not None:
                continue
            day = (a if len(a) > n else b)[n, 0]
            texts = ("a bar", "no bar") if len(a) > n else ("no bar", "a bar")
        else:
            continue
        if first is None or day < first.day:
            first = Difference(float(day), "bar", "", feed, *texts)
    return first


def _event_difference(one: Tape, two: Tape, until: float, tolerance: float) -> Difference | None:
    before = [event for event in one.events if event.day < until]
    after = [event for event in two.events if event.day < until]
    for a, b in zip(before, after, strict=False):
        if a[:4] != b[:4] or values_differ(a.values, b.values, tolerance):
            return parting(a, b)
    n = min(len(before), len(after))
    if len(before) > n:
        return parting(before[n], None)
    if len(after) > n:
        return parting(None, after[n])
    return None


def _lacking(event: Event, before: str, after: str) -> Difference:
    return Difference(event.day, event.kind, event.strategy, event.feed, before, after)


_RANK = ("crash", "order", "cancel", "weights", "notice", "account")


def parting(before: Event | None, after: Event | None) -> Difference | None:
    """Two events that should be one: the earlier is what the other run has not, or has otherwise."""
    if before is None:
        return _lacking(after, "nothing", after.text()) if after is not None else None
    if after is None:
        return _lacking(before, before.text(), "nothing")
    if before[:2] == after[:2]:
        return Difference(before.day, before.kind, before.strategy, before.feed, before.text(), after.text())
    # Not the same kind: one run did something here that the other did not. Accounts come every session.
    if (before.day, _RANK.index(before.kind)) <= (after.day, _RANK.index(after.kind)):
        return parting(before, None)
    return parting(None, after)


def _late_difference(one: Tape, two: Tape, until: float, tolerance: float) -> Difference | None:
    """Fills priced before `until`: the same size and price, or refused in one of the runs for want of margin."""
    found = []
    for number in sorted(one.late.keys() | two.late.keys()):
        a, b = one.late.get(number), two.late.get(number)
        known = a or b
        if known is None or known[0] >= until:
            continue
        if (a is None and number in one.refused) or (b is None and number in two.refused):
            continue
        if a is None or b is None or values_differ(a, b, tolerance):
            texts = [
                "nothing" if fill is None else f"filled {fill[3]:g} at {fill[4]:.10g}" for fill in (a, b)
            ]
            found.append(Difference(known[0], "fill", known[1], known[2], texts[0], texts[1]))
    return min(found, key=lambda each: each.day, default=None)
