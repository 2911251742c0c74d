"""What is looked for beside the cuts: crashes, runs that do not repeat, modes of Cerebro, and where the bars start."""

import math

import numpy as np

from .compare import difference, first_apart, parting, values_differ
from .cuts import TOLERANCE, Auditor
from .findings import Dependence
from .recorder import record
from .tape import Difference, Tape

__all__ = ["MODES", "crash", "mode", "repeat", "warm_up"]

MODES: dict[str, dict[str, bool]] = {
    "runonce=False": {"runonce": False},
    "preload=False": {"runonce": False, "preload": False},
}
"""Parameters of Cerebro that must not matter."""

FORGOTTEN = 1e-6
"""What a value may still depend on bars a third of the run before it, as a fraction of itself."""


def crash(auditor: Auditor) -> list[Dependence]:
    """An error that ends the run on the whole panel."""
    error, last = auditor.base.error, auditor.base.events[-1] if auditor.base.events else None
    if error is None or last is None:
        return []
    text = f"{type(error).__name__}: {error}"
    return [Dependence("crash", "none", None, auditor.day_date(last.day), "crash", "", "", text, text)]


def repeat(auditor: Auditor) -> list[Dependence]:
    """Whether two runs do the same."""
    found = difference(auditor.base, record(auditor.setup, auditor.panel, auditor.feeds))
    return [] if found is None else [auditor.dependence("repeat", "a second run", found)]


def mode(auditor: Auditor, name: str) -> list[Dependence]:
    """Whether one of Cerebro's `MODES` does the same.

    Parameters
    ----------
    auditor : Auditor
    name : str

    Returns
    -------
    list of Dependence
        One, or none.
    """
    tape = record(auditor.setup, auditor.panel, auditor.feeds, **MODES[name])
    found = difference(auditor.base, tape, tolerance=TOLERANCE)
    return [] if found is None else [auditor.dependence("mode", name, found)]


def warm_up(auditor: Auditor, start: int) -> list[Dependence]:
    """Whether the last third of the run depends on where bars start.

    Parameters
    ----------
    auditor : Auditor
    start : int
        Number of the session that they start with instead of the first.

    Returns
    -------
    list of Dependence
        One, or none.
    """
    tail = len(auditor.days) // 3
    late = record(auditor.setup, auditor.panel.between(auditor.panel.sessions[start], None), auditor.feeds)
    if late.error is not None or auditor.base.error is not None:
        return []
    found = _indicators(auditor, late, tail) or _weights(auditor, late, tail)
    if not auditor.base.indicators and not any(event.kind == "weights" for event in auditor.base.events):
        found = _sides(auditor, late, tail)
    if found is None:
        return []
    return [auditor.dependence("warm-up", f"the panel starts {auditor.session(start)}", found)]


def _indicators(auditor: Auditor, late: Tape, tail: int) -> Difference | None:
    for name, values in auditor.base.indicators.items():
        other = late.indicators.get(name)
        if other is None or min(len(values), len(other)) < tail:
            continue
        a, b = values[-tail:], other[-tail:]
        apart = np.abs(a - b) > FORGOTTEN * np.maximum(np.abs(a), np.abs(b))
        if apart.any():
            at = int(np.argmax(apart))
            strategy, indicator = name.split(" ", 1)
            texts = (f"{indicator} {a[at]:.10g}", f"{b[at]:.10g}")
            return Difference(auditor.days[len(auditor.days) - tail + at], "indicator", strategy, "", *texts)
    return None


def _weights(auditor: Auditor, late: Tape, tail: int) -> Difference | None:
    one, two = (
        {(event.day, event.strategy): event for event in tape.events if event.kind == "weights"}
        for tape in (auditor.base, late)
    )
    begun = max(auditor.days[-tail], min((day for day, _ in two), default=math.inf))
    for key in sorted(one.keys() | two.keys()):
        a, b = one.get(key), two.get(key)
        if key[0] >= begun and (a is None or b is None or values_differ(a.values, b.values, FORGOTTEN)):
            return parting(a, b)
    return None


def _sides(auditor: Auditor, late: Tape, tail: int) -> Difference | None:
    one, two = (
        [
            event._replace(values=(event.values[0], event.values[2]))
            for event in tape.orders()
            if event.day >= auditor.days[-tail]
        ]
        for tape in (auditor.base, late)
    )
    return first_apart(one, two, tolerance=TOLERANCE)
