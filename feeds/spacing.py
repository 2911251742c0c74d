"""Whether sessions are those of daily bars: every rule and every statistic counts sessions, 252 a year."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

from .calendars import exchange_sessions
from .window import span

__all__ = ["check_daily", "irregular"]

FEWEST = 10
"""Sessions; of fewer nothing is said."""

LEAST = 0.9
"""Share of the calendar's sessions, between the first bar and the last, that have a bar."""

MOST = 30
"""Sessions of the calendar, six weeks, that may be without a bar in a row, and altogether whatever their share."""


def irregular(sessions: pd.DatetimeIndex, calendar: str | None) -> tuple[str, str] | None:
    """Why sessions are not those of daily bars, and the cure.

    Parameters
    ----------
    sessions : DatetimeIndex
        Dates in order.
    calendar : str or None
        Exchange calendar whose sessions there should be; None is none, and the spacing alone is looked at.

    Returns
    -------
    problem, cure : str
        Or None, if they are, or are fewer than `FEWEST`. Problems are a median of more than a day from bar to bar; bars
        on fewer than `LEAST` of the calendar's sessions between the first and the last, with more than `MOST` missing;
        more than `MOST` missing in a row.

    Raises
    ------
    InputError
        An unknown calendar.
    """
    if len(sessions) < FEWEST:
        return None
    apart = float(np.median(np.diff(sessions.to_numpy()) / np.timedelta64(1, "D")))
    if apart > 1:
        return f"bars are {apart:g} days apart (median)", "give daily bars, rules and statistics count sessions"
    if calendar is None:
        return None
    expected = exchange_sessions(sessions[0], sessions[-1], calendar)
    there = expected.isin(sessions)
    if not len(expected):  # years that the calendar does not know
        return None
    if there.mean() < LEAST and (~there).sum() > MOST:
        return (
            f"bars on {there.sum():,} of {len(there):,} sessions of {calendar} ({100 * there.mean():.1f} %), "
            f"{span(sessions)}, at least {100 * LEAST:.0f} % are needed",
            "give the missing bars, the calendar of this market, or a window without holes",
        )
    bars = np.flatnonzero(there)
    hole = int(np.argmax(np.diff(bars)))
    missing = expected[bars[hole] + 1 : bars[hole + 1]]
    if len(missing) > MOST:
        return (
            f"no bar on {len(missing)} sessions of {calendar} in a row, {span(missing)}, at most {MOST} are allowed",
            "give the missing bars, or a window without the hole",
        )
    return None


def check_daily(held: Mapping[str, pd.DatetimeIndex], common: pd.DatetimeIndex, calendar: str | None) -> None:
    """Refuse a panel whose sessions are not those of daily bars.

    Parameters
    ----------
    held : mapping
        symbol -> the sessions it has.
    common : DatetimeIndex
        Those that all of them have; what a symbol has before and after does not count.
    calendar : str or None
        As `irregular`.

    Raises
    ------
    InputError
        As `irregular` says, with the symbols it is true of, or of none but of what they have in common.
    """
    found = irregular(common, calendar)
    if found is None:
        return
    within = {symbol: days[(days >= common[0]) & (days <= common[-1])] for symbol, days in held.items()}
    alone = {symbol: why for symbol, days in within.items() if (why := irregular(days, calendar)) is not None}
    problem, cure = next(iter(alone.values()), found)
    who = ", ".join(alone) if alone else f"the sessions common to {', '.join(held)}"
    raise InputError(f"{who}: {problem}", cure)
