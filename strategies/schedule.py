"""Which sessions are rebalance sessions: the last exchange session of each period."""

import datetime as dt
import re
from bisect import bisect_right
from functools import cache, lru_cache

import exchange_calendars
import pandas as pd
from pandas.tseries.frequencies import to_offset

from riskoverlay.errors import InputError

__all__ = ["STALE_DAYS", "RebalanceSchedule", "check_frequency", "rebalance_sessions"]

# Aliases of period ends that pandas no longer reads.
OLD_ALIASES = {"M": "ME", "BM": "BME", "Q": "QE", "BQ": "BQE", "A": "YE", "Y": "YE", "BA": "BYE", "BY": "BYE"}

# The years beyond which no calendar is asked, and how far ahead of the bars one is read at a time.
FIRST_DAY = pd.Timestamp("1800-01-01")
LAST_DAY = pd.Timestamp("2200-12-31")
HORIZON_YEARS = 20

_KNOWN = frozenset(exchange_calendars.get_calendar_names())

STALE_DAYS = 10
"""Calendar days without a bar after which a feed counts as ended; the NYSE has not closed for so long since 1914."""


def check_frequency(rebalance_freq: str) -> pd.offsets.BaseOffset:
    """The pandas offset of an alias: ME, QE, YE, W-FRI, 2ME, ...; M, Q, Y and A are read as ME, QE, YE, YE.

    Parameters
    ----------
    rebalance_freq : str
        Alias.

    Returns
    -------
    pandas offset

    Raises
    ------
    InputError
        An alias that pandas does not know, shorter than a day, or not forward in time.
    """
    match = re.fullmatch(r"(\d*)([A-Z]+)(-[A-Z]+)?", str(rebalance_freq))
    alias = str(rebalance_freq)
    if match and match[2] in OLD_ALIASES:
        alias = match[1] + OLD_ALIASES[match[2]] + (match[3] or "")
    try:
        offset = to_offset(alias)
    except ValueError:
        offset = None
    intraday = isinstance(offset, pd.offsets.Tick) and pd.Timedelta(offset) < pd.Timedelta(days=1)
    if offset is None or offset.n < 1 or intraday:
        raise InputError(
            "is no period of days", "give an alias such as ME, QE, YE, W-FRI", "rebalance_freq", rebalance_freq
        )
    return offset


def rebalance_sessions(sessions: pd.DatetimeIndex, rebalance_freq: str) -> pd.DatetimeIndex:
    """The last of the sessions in each period, periods being the bins of `Series.resample(rebalance_freq)`.

    Parameters
    ----------
    sessions : DatetimeIndex
        Sorted, tz-naive. The last one given always closes its period, so give sessions beyond the last period that
        matters. Multiples such as 2ME count from the first session given.
    rebalance_freq : str
        Alias, see `check_frequency`.

    Returns
    -------
    DatetimeIndex
    """
    last = pd.Series(sessions, index=sessions).resample(check_frequency(rebalance_freq)).last()
    return pd.DatetimeIndex(last.dropna().array)


class RebalanceSchedule:
    """Says bar by bar whether to rebalance, from the exchange calendar alone: it never sees a later bar.

    Periods of multiples such as 2ME count from the first date asked. Calendars know closures decided on
    short notice (2012-10-29, 2001-09-11) beforehand, which matters to weekly schedules only.

    Parameters
    ----------
    rebalance_freq : str
        Pandas offset alias (`check_frequency`).
    calendar : str or None
        A name known to exchange_calendars, or None for a market without one: then the first bar of a period serves
        for the period before it.

    Raises
    ------
    InputError
        Unknown alias or calendar.
    """

    def __init__(self, rebalance_freq: str = "ME", calendar: str | None = "XNYS") -> None:
        check_frequency(rebalance_freq)
        if calendar is not None and calendar not in _KNOWN:
            raise _unknown(calendar)
        self.rebalance_freq = rebalance_freq
        self.calendar = calendar
        self._first: int | None = None  # ordinal of the first date asked
        self._known = 0  # ordinal of the last date for which the marks are complete
        self._marks: list[int] = []  # ordinals of the dates that make a bar due, sorted

    def due(self, date: dt.date, previous: dt.date | None) -> bool:
        """Whether a rebalance session s exists with previous < s <= date.

        So a rebalance session without a bar is served by the next bar.

        Parameters
        ----------
        date : date
            The bar's.
        previous : date or None
            That of the bar before it. On the first bar of all, None, only s = date counts.

        Returns
        -------
        bool

        Raises
        ------
        InputError
            A date that the calendar does not reach.
        """
        day = date.toordinal()
        after = day - 1 if previous is None else previous.toordinal()
        first = day if previous is None else after
        if self._first is None or first < self._first:
            self._read(first, day)
        elif day > self._known:
            self._read(self._first, day)
        at = bisect_right(self._marks, day) - 1
        return at >= 0 and self._marks[at] > after

    def _read(self, first: int, day: int) -> None:
        """Make the marks complete from `first` to `day` at least (ordinals)."""
        start, date = pd.Timestamp.fromordinal(first), pd.Timestamp.fromordinal(day)
        lower, upper = (FIRST_DAY, LAST_DAY) if self.calendar is None else _bounds(self.calendar)
        if start < lower or date > upper:
            wrong = start if start < lower else date
            raise InputError(
                f"date {wrong.date()} is outside calendar {self.calendar}, {lower.date()} to {upper.date()}",
                "give other dates or another calendar",
            )
        end = start
        years = HORIZON_YEARS
        marks: list[int] = []
        # At the upper end the period under way has no known end, so no rebalance session.
        while (not marks or marks[-1] < day) and end < upper:
            end = min(pd.Timestamp(min(date.year + years, LAST_DAY.year), 12, 31), upper)
            years *= 2
            marks = _marks_between(self.rebalance_freq, self.calendar, start, end)
        self._first = first
        self._marks = marks
        self._known = upper.toordinal() if end == upper else marks[-1]


@lru_cache(maxsize=64)
def _marks_between(rebalance_freq: str, calendar: str | None, start: pd.Timestamp, end: pd.Timestamp) -> list[int]:
    """Ordinals of the dates between start and end that make a bar due. Cached: sweeps ask the same again and again."""
    if calendar is None:
        days = pd.Series(pd.date_range(start, end), index=pd.date_range(start, end))
        firsts = days.resample(check_frequency(rebalance_freq)).first().dropna()
        return [day.toordinal() for day in firsts[1:]]
    # Calendars are read from the start of a year, so that runs which start on different days share them.
    lower, _ = _bounds(calendar)
    sessions = _sessions(calendar, max(pd.Timestamp(start.year, 1, 1), lower), end)
    # The day after the last known one stands for all that follow: it ends up in the last period, which
    # is the only one that may still grow and is dropped.
    known = pd.DatetimeIndex([*sessions[sessions >= start], end + pd.Timedelta(days=1)])
    return [day.toordinal() for day in rebalance_sessions(known, rebalance_freq)[:-1]]


def _unknown(calendar: str) -> InputError:
    return InputError("is unknown", "give a name of exchange_calendars such as XNYS, or None", "calendar", calendar)


@cache
def _bounds(calendar: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    try:
        known = exchange_calendars.get_calendar(calendar)
    except exchange_calendars.errors.InvalidCalendarName:
        raise InputError(
            "is unknown", "give a name of exchange_calendars such as XNYS, or None", "calendar", calendar
        ) from None
    lower, upper = known.bound_min(), known.bound_max()
    return max(lower or FIRST_DAY, FIRST_DAY), min(upper or LAST_DAY, LAST_DAY)


@cache
def _sessions(calendar: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    """Sessions from start to end. Cached: a calendar takes tenths of a second to build."""
    return pd.DatetimeIndex(exchange_calendars.get_calendar(calendar, start=start, end=end).sessions)
