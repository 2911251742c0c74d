"""Which session a bar belongs to, and when that session is over: a session is a date."""

from typing import Any

import backtrader as bt

from riskoverlay.conventions import STALE_DAYS
from riskoverlay.dates import SECOND, day_of
from riskoverlay.errors import InputError

from .schedule import SessionCloses, check_calendar, session_closes

__all__ = ["SessionClock", "ended"]

_PERIOD_DAYS = {bt.TimeFrame.Weeks: 7, bt.TimeFrame.Months: 31, bt.TimeFrame.Years: 366}


def ended(data: Any, number: float) -> bool:
    """Whether a feed has come to its end: no bar for ten calendar days beyond the length of its bars.

    Parameters
    ----------
    data : feed
        That has begun.
    number : float
        backtrader's day number of now.

    Returns
    -------
    bool
    """
    days = int(number) - int(data.datetime[0])
    return days > STALE_DAYS and days > STALE_DAYS + _PERIOD_DAYS.get(data._timeframe, 0) * data._compression


class _Feed:
    """A feed, and what its bars so far tell of its time of day."""

    __slots__ = ("data", "intraday", "latest", "length", "line", "session", "stamp", "zone")

    def __init__(self, data: Any, zone: Any) -> None:
        self.data, self.line, self.zone = data, data.lines.datetime, zone
        # A bar that is replayed grows through the day.
        self.intraday = data._timeframe < bt.TimeFrame.Days or bool(data.replaying)
        self.length = (data._timeframe, data._compression)
        self.stamp: float | None = None  # of the last bar seen
        self.session = 0  # that it counted for
        self.latest = float("-inf")  # how long after the start of its session any bar came, days

    def day(self) -> int:
        """The date of the last bar seen."""
        return day_of(self.stamp or 0.0, self.zone, daily=not self.intraday)


class SessionClock:
    """Says of each bar of a strategy which session it belongs to, and when to decide for a session.

    Daily and longer bars: a session is a date, the feed's own where it has a time zone (`tz`), else Cerebro's, else the
    stamp's. It is over with the bar on which no feed is missing that would come later on the date. A feed is missed if
    it has the shortest bars of all, has begun and not `ended`, and ever came later after the start of its session. If
    what is missing does not come, the session is decided late, with the first bar of a later date.

    Bars within a day, and an exchange calendar: a bar belongs to the first session that closes at its stamp or later.
    The session is over with the bar stamped at the close (and the daily bars of that date, if there are such feeds
    beside it). Without such a bar it is decided late, with the first bar after the close. Feeds with a time zone keep
    UTC, as backtrader does; without one, stamps are read as the exchange's own time.

    Bars within a day, and no calendar: the session is the date, decided late with the first bar of the next.

    A bar that comes with a date before the session under way counts for that.

    Parameters
    ----------
    strategy : bt.Strategy
        Whose bars are counted.
    feeds : sequence of feeds
        Those that make sessions: the universe.
    calendar : str or None
        Exchange calendar; only feeds with bars within a day need it.

    Attributes
    ----------
    session : int
        Ordinal of the date of the session under way; 0 before the first.
    begins : bool
        Whether this bar is the first of its session.
    over : bool
        Whether the session is over with this bar: decide.
    late : int
        Ordinal of a session that ended before this bar and was not over with any: decide, from what was known on the
        bar before. Else 0.

    Raises
    ------
    InputError
        An unknown calendar.
    """

    def __init__(self, strategy: Any, feeds: Any, calendar: str | None) -> None:
        self._strategy = strategy
        self._datas = list(feeds)
        self._feeds: list[_Feed] = []
        self._now = strategy.lines.datetime
        self._bar = (0, 0.0)
        self._plain = False  # every bar so far of every feed was a daily one stamped 00:00: each call is a session
        self._open = False  # the session under way is not decided
        self.session = self.late = 0
        self.begins = self.over = False
        self.follow(calendar)

    def follow(self, calendar: str | None) -> None:
        """Take another calendar from the next bar on.

        Parameters
        ----------
        calendar : str or None
        """
        check_calendar(calendar)
        self.calendar = calendar
        self._closes: SessionCloses | None = None

    def see(self) -> None:
        """Look at the bar under way; looking again changes nothing."""
        number: float = self._now[0]
        bar = (self._now.lencount, number)  # a bar that is replayed changes its stamp and not its count
        if bar == self._bar:
            return
        self._bar = bar
        if self._plain and number > self.session and number.is_integer():
            self.session = int(number)  # begins and is over, as the one before
        else:
            self._look(number)

    def _begin(self) -> None:
        """Read the time zones, which backtrader sets after strategies are made."""
        default = self._now._tz
        self._feeds = [_Feed(data, default if data._tz is None else data._tz) for data in self._datas]
        self._intraday = any(feed.intraday for feed in self._feeds)
        self._shortest = min((feed.length for feed in self._feeds if not feed.intraday), default=None)
        zoned = any(feed.zone is not None for feed in self._feeds)
        self._plain = not (self._intraday or zoned or len(self._datas) < len(self._strategy.datas))

    def _look(self, now: float) -> None:
        if not self._feeds:
            self._begin()
            self._plain = self._plain and now.is_integer()
        elif self._plain:
            self._plain = False
            for feed in self._feeds:
                feed.stamp = None  # they have not been looked at since the first bar
        moved = [feed for feed in self._feeds if len(feed.data) and self._has_moved(feed, now)]
        session = max([self.session, *[self._session_of(feed) for feed in moved]])
        self.begins = session > self.session
        self.late = self.session if self.begins and self._open else 0
        self._open = self._open or self.begins
        self.session = session
        for feed in moved:
            feed.session = session
            feed.latest = max(feed.latest, now - session)
        self.over = bool(moved) and self._open and self._is_over(now, moved)
        self._open = self._open and not self.over

    def _has_moved(self, feed: _Feed, now: float) -> bool:
        """Whether a feed has a bar that is new."""
        stamp: float = feed.line[0]
        if stamp == feed.stamp:
            return False
        new = feed.stamp is not None or stamp == now  # else it came while nobody looked
        feed.stamp = stamp
        return new

    def _session_of(self, feed: _Feed) -> int:
        """The session that a feed's last bar belongs to by itself."""
        if not feed.intraday or self.calendar is None:
            return feed.day()
        number = feed.line[0]
        found = self._known_closes(number).session(number, utc=feed.zone is not None)
        if found is None:
            self._closes = None
            found = self._known_closes(number).session(number, utc=feed.zone is not None)
        if found is None:
            raise InputError(
                f"a bar of {bt.num2date(number)} is in no session of calendar {self.calendar}",
                "give other dates or another calendar",
            )
        return found

    def _known_closes(self, number: float) -> SessionCloses:
        if self._closes is None:
            self._closes = session_closes(str(self.calendar), bt.num2date(number).year)
        return self._closes

    def _is_over(self, now: float, moved: list[_Feed]) -> bool:
        if self._intraday and (self.calendar is None or not any(self._is_closed(feed) for feed in moved)):
            return False
        passed = now - self.session + SECOND / 2
        return not any(
            feed.latest > passed and feed.session < self.session and not ended(feed.data, now)
            for feed in self._feeds
            if feed.length == self._shortest and not feed.intraday
        )

    def _is_closed(self, feed: _Feed) -> bool:
        """Whether the exchange has closed by a feed's last bar."""
        number = feed.line[0]
        return self._known_closes(number).is_closed(self.session, number, utc=feed.zone is not None)
