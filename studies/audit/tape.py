"""A run on tape: every bar, weight, order, fill and account value, in the order in which they happened."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["LINES", "Difference", "Event", "Tape", "Value", "without_bars"]

Value = float | int | str | None

LINES = ("datetime", "open", "high", "low", "close", "volume", "dividend", "split")


class Event(NamedTuple):
    """Something that happened in a session, before any later bar was there.

    Attributes
    ----------
    day : float
        backtrader's number of the session.
    kind : str
        order, cancel, notice (what the broker says of an order), account, weights, crash.
    strategy, feed : str
    values : tuple
    when : str
        "open": decided before this session's fills, of which it may have the open; else "close".
    same_bar : bool
        An order that is filled at a price of the bar that decided it: at its close (coc), or its open (coo).
    """

    day: float
    kind: str
    strategy: str
    feed: str
    values: tuple[Value, ...]
    when: str
    same_bar: bool

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
    """What a run did. Plain values, so that it can be sent to another process.

    Attributes
    ----------
    events : list of Event
        In the order in which they happened.
    bars : dict
        By feed, shape (n, 8): `LINES` of every bar delivered; 0 of those that it has not.
    late : dict
        By order number: day, strategy, feed, size, price of fills booked a session after the one that priced them.
    refused : set of int
        Numbers of the orders that margin, a limit or a cancellation kept from being filled.
    indicators : dict
        Name of strategy, indicator and line -> its values, to the last session. Only of a run that was not stopped.
    started : bool
        Whether a first session came.
    error : Exception or None
    """

    events: list[Event] = field(default_factory=list)
    bars: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    late: dict[int, tuple[float, str, str, float, float]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    indicators: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    started: bool = False
    error: Exception | None = None

    @property
    def days(self) -> list[float]:
        """Sessions that came."""
        return [event.day for event in self.events if event.kind == "account"]

    def orders(self) -> list[Event]:
        """Every order sent."""
        return [event for event in self.events if event.kind == "order"]


def without_bars(tape: Tape) -> Tape:
    """The events alone."""
    return Tape(events=tape.events, started=tape.started)
