"""Session dates: of each bar, and the parameter that says where statistics begin."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime

import backtrader as bt

from riskoverlay.dates import day_of
from riskoverlay.errors import InputError

__all__ = ["DateClock", "first_index", "parse_first"]


class DateClock:
    """Says of each bar of a strategy which date it has: its feed's own, where that has a time zone, else Cerebro's.

    Parameters
    ----------
    strategy : bt.Strategy
        That has been started.
    """

    def __init__(self, strategy: bt.Strategy) -> None:
        self._now = strategy.lines.datetime
        self._feeds = [
            (data, self._now._tz if data._tz is None else data._tz, data._timeframe >= bt.TimeFrame.Days)
            for data in strategy.datas
        ]
        self.zoned = any(zone is not None for _, zone, _ in self._feeds)

    def day(self) -> int:
        """Ordinal of the date of the bar under way, the latest if feeds differ."""
        if not self.zoned:
            return int(self._now[0])
        return max([self.day_in(i, data.datetime[0]) for i, (data, _, _) in enumerate(self._feeds) if len(data)])

    def day_in(self, feed: int, number: float) -> int:
        """Ordinal of the date of a moment where a feed is.

        Parameters
        ----------
        feed : int
            Its index.
        number : float
            backtrader's day number.

        Returns
        -------
        int
        """
        _, zone, daily = self._feeds[feed]
        return day_of(number, zone, daily=daily)


def parse_first(first: date | str | None) -> date | None:
    """The `first` parameter of analyzers.

    Parameters
    ----------
    first : date, str or None
        A Timestamp is a date; text is YYYY-MM-DD.

    Returns
    -------
    date or None

    Raises
    ------
    InputError
        Anything else.
    """
    if first is None:
        return None
    if isinstance(first, datetime):
        return first.date()
    if isinstance(first, date):
        return first
    try:
        return date.fromisoformat(first)
    except (TypeError, ValueError):
        raise InputError("is not a date", "give datetime.date, 'YYYY-MM-DD' or None", "first", first) from None


def first_index(dates: Sequence[date], first: date | None) -> int:
    """Index of the first session that counts.

    Parameters
    ----------
    dates : sequence of date
    first : date or None
        None: all count.

    Returns
    -------
    int
        The first on or after `first`; len(dates) if there is none.
    """
    return 0 if first is None else bisect_left(dates, first)
