"""Which sessions are rebalance sessions: the last exchange session of each period."""

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd
from pandas.tseries.frequencies import to_offset

from riskoverlay.dates import SECOND, ordinals
from riskoverlay.errors import InputError
from riskoverlay.exchange import CALENDARS, exchange_calendar, reach

__all__ = [
    "DatedSchedule",
    "RebalanceSchedule",
    "SessionCloses",
    "check_calendar",
    "check_frequency",
    "due_sessions",
    "rebalance_sessions",
    "session_closes",
]

# Aliases of period ends that pandas no longer reads.
OLD_ALIASES = {"M": "ME", "BM": "BME", "Q": "QE", "BQ": "BQE", "A": "YE", "Y": "YE", "BA": "BYE", "BY": "BYE"}

# The years beyond which no calendar is asked, and how far ahead of the bars one is read at a time.
FIRST_DAY = pd.Timestamp("1800-01-01")
LAST_DAY = pd.Timestamp("2200-12-31")
HORIZON_YEARS = 20


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


def check_calendar(calendar: str | None) -> None:
    """Refuse a name that exchange_calendars has no calendar of; None is none.

    Parameters
    ----------
    calendar : str or None

    Raises
    ------
    InputError
    """
    if calendar is not None and calendar not in CALENDARS:
        raise _unknown(calendar)


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
        check_calendar(calendar)
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
            raise _outside(start if start < lower else date, self.calendar, lower, upper)
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


class DatedSchedule:
    """Rebalances on dates that are given, each at its own close or at the next one that there is.

    Parameters
    ----------
    dates : sequence of date
        Sorted.
    """

    def __init__(self, dates: Sequence[dt.date]) -> None:
        self._marks = [date.toordinal() for date in dates]

    def due(self, date: dt.date, previous: dt.date | None) -> bool:
        """Whether one of the dates is after `previous` and not after `date`; on the first bar of all, whatever is past.

        Parameters
        ----------
        date, previous
            As `RebalanceSchedule.due`.

        Returns
        -------
        bool
        """
        at = bisect_right(self._marks, date.toordinal()) - 1
        return at >= 0 and (previous is None or self._marks[at] > previous.toordinal())


def due_sessions(plan: RebalanceSchedule | DatedSchedule, days: Sequence[dt.date]) -> list[int]:
    """Positions of the sessions that rebalance.

    Parameters
    ----------
    plan : RebalanceSchedule or DatedSchedule
    days : sequence of date, n
        All of the sessions.

    Returns
    -------
    list of int

    Raises
    ------
    InputError
        As `due`.
    """
    return [t for t, (today, last) in enumerate(zip(days, [None, *days[:-1]], strict=True)) if plan.due(today, last)]


@lru_cache(maxsize=64)
def _marks_between(rebalance_freq: str, calendar: str | None, start: pd.Timestamp, end: pd.Timestamp) -> list[int]:
    """Ordinals of the dates between start and end that make a bar due. Cached: sweeps ask the same again and again."""
    if calendar is None:
        days = pd.Series(pd.date_range(start, end), index=pd.date_range(start, end))
        firsts = days.resample(check_frequency(rebalance_freq)).first().dropna()
        return ordinals(pd.DatetimeIndex(firsts.array))[1:]
    sessions = pd.DatetimeIndex(exchange_calendar(calendar, start.year, end.year).sessions)
    # The day after the last known one stands for all that follow: it ends up in the last period, which
    # is the only one that may still grow and is dropped.
    known = pd.DatetimeIndex([*sessions[(sessions >= start) & (sessions <= end)], end + pd.Timedelta(days=1)])
    return ordinals(rebalance_sessions(known, rebalance_freq))[:-1]


@dataclass(frozen=True)
class SessionCloses:
    """When the sessions of an exchange close, early closes too.

    Attributes
    ----------
    days : list of int
        Ordinals of the sessions' dates, sorted.
    utc, local : list of float
        Their closes as backtrader's day numbers (days since 0001-01-01 plus one), in UTC and in the exchange's time.
    """

    days: list[int]
    utc: list[float]
    local: list[float]

    def session(self, number: float, *, utc: bool) -> int | None:
        """The session that a moment belongs to: the first that closes at it or later, to half a second.

        Parameters
        ----------
        number : float
            backtrader's day number.
        utc : bool
            Whether it is in UTC; else in the exchange's time.

        Returns
        -------
        int or None
            Ordinal; None before the first session and after the last, of which nothing is known here.
        """
        closes = self.utc if utc else self.local
        at = bisect_left(closes, number - SECOND / 2)
        known = at < len(closes) and number >= self.days[0]
        return self.days[at] if known else None

    def is_closed(self, day: int, number: float, *, utc: bool) -> bool:
        """Whether a session is over at a moment, to half a second.

        Parameters
        ----------
        day : int
            Ordinal of a date; if it is no session it never closes.
        number : float
            backtrader's day number.
        utc : bool
            Whether it is in UTC; else in the exchange's time.

        Returns
        -------
        bool
        """
        at = bisect_left(self.days, day)
        if at == len(self.days) or self.days[at] != day:
            return False
        return number >= (self.utc if utc else self.local)[at] - SECOND / 2


@lru_cache(maxsize=64)
def session_closes(calendar: str, year: int) -> SessionCloses:
    """The closes of an exchange from the year before to 20 years after. Cached: a calendar takes tenths of a second.

    Parameters
    ----------
    calendar : str
        A name known to exchange_calendars.
    year : int

    Returns
    -------
    SessionCloses

    Raises
    ------
    InputError
        Unknown calendar; a year that it does not reach.
    """
    lower, upper = _bounds(calendar)
    if not lower.year <= year <= upper.year:
        raise _outside(pd.Timestamp(year, 1, 1), calendar, lower, upper)
    start = max(pd.Timestamp(max(year - 1, FIRST_DAY.year), 1, 1), lower)
    end = min(pd.Timestamp(min(year + HORIZON_YEARS, LAST_DAY.year), 12, 31), upper)
    known = exchange_calendar(calendar, start.year, end.year)
    of = known.closes[start:end]
    closes = pd.DatetimeIndex(of.array)
    return SessionCloses(
        ordinals(of.index),
        _day_numbers(closes.tz_convert(None)),
        _day_numbers(closes.tz_convert(known.tz).tz_localize(None)),
    )


def _day_numbers(moments: pd.DatetimeIndex) -> list[float]:
    days = (moments - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1)
    return [float(day) + dt.date(1970, 1, 1).toordinal() for day in days]


def _outside(date: pd.Timestamp, calendar: str | None, lower: pd.Timestamp, upper: pd.Timestamp) -> InputError:
    return InputError(
        f"date {date.date()} is outside calendar {calendar}, {lower.date()} to {upper.date()}",
        "give other dates or another calendar",
    )


def _unknown(calendar: str) -> InputError:
    return InputError("is unknown", "give a name of exchange_calendars such as XNYS, or None", "calendar", calendar)


def _bounds(calendar: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    check_calendar(calendar)
    lower, upper = reach(calendar)
    return max(lower or FIRST_DAY, FIRST_DAY), min(upper or LAST_DAY, LAST_DAY)
