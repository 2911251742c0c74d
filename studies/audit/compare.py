"""Where two tapes part."""

import math
from collections.abc import Sequence

import numpy as np

from .tape import LINES, Difference, Event, Tape, Value

__all__ = ["difference", "first_apart", "parting", "values_differ"]


def difference(
    one: Tape, two: Tape, until: float = math.inf, tolerance: float = 1e-9, late: bool = True
) -> Difference | None:
    """The first difference in what happened before `until`.

    Parameters
    ----------
    one, two : Tape
    until : float
        backtrader's number of a day.
    tolerance : float
        Numbers differ when they are further apart, as a fraction of themselves.
    late : bool
        Compare also the fills priced before `until` and booked after it.

    Returns
    -------
    Difference or None
    """
    found = [
        _bar_difference(one, two, until, tolerance),
        _event_difference(one, two, until, tolerance),
        _late_difference(one, two, until, tolerance) if late else None,
    ]
    return min((each for each in found if each is not None), key=lambda each: each.day, default=None)


def values_differ(one: tuple[Value, ...], two: tuple[Value, ...], tolerance: float) -> bool:
    """Whether two tuples do: numbers by a fraction of themselves, nan not from nan.

    Parameters
    ----------
    one, two : tuple
    tolerance : float

    Returns
    -------
    bool
    """
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


def first_apart(one: Sequence[Event], two: Sequence[Event], *, tolerance: float) -> Difference | None:
    """The first difference of two lists of events; order numbers aside, which count what came before.

    Parameters
    ----------
    one, two : sequence of Event
    tolerance : float
        As `difference`.

    Returns
    -------
    Difference or None
    """
    for i in range(max(len(one), len(two))):
        a, b = one[i] if i < len(one) else None, two[i] if i < len(two) else None
        if a is None or b is None or a[:4] != b[:4] or values_differ(a.values, b.values, tolerance):
            return parting(a, b)
    return None


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
    """Two events that should be one: the earlier is what the other run has not, or has otherwise.

    Parameters
    ----------
    before, after : Event or None

    Returns
    -------
    Difference or None
    """
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
            texts = ["nothing" if fill is None else f"filled {fill[3]:g} at {fill[4]:.10g}" for fill in (a, b)]
            found.append(Difference(known[0], "fill", known[1], known[2], texts[0], texts[1]))
    return min(found, key=lambda each: each.day, default=None)
