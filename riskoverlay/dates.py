"""The date of a bar: backtrader's day number, read where the exchange is."""

import datetime as dt

import pandas as pd

__all__ = ["SECOND", "day_of", "ordinals"]

SECOND = 1.0 / 86_400.0
"""A second in days, the unit of backtrader's numbers."""

_MICROSECONDS = 86_400e6
# A double near today's numbers knows a moment to 5 µs; backtrader's last moment of a day is 11 µs before its end.
_ROUNDING = 5.5


def day_of(number: float, zone: dt.tzinfo | None = None, *, daily: bool = False) -> int:
    """Ordinal of the date that a bar belongs to by its stamp.

    `num2date(number, zone).date()` of backtrader, but for two things. The stamp of a daily bar at 00:00 is a date and
    no moment, so no zone moves it. And the last moment of a day (23:59:59.999989, as backtrader's CSV feeds stamp it)
    stays on its day in every zone, where backtrader may round it up into the next.

    Parameters
    ----------
    number : float
        backtrader's: days since 0001-01-01 plus one; in UTC if there is a zone.
    zone : tzinfo, optional
        The exchange's (default: the number is local time already).
    daily : bool
        Whether it is the stamp of a bar of a day or longer.

    Returns
    -------
    int
        As `date.toordinal`.
    """
    day = int(number)
    if zone is None or (daily and number == day):
        return day
    moment = dt.datetime.fromordinal(day) + dt.timedelta(microseconds=int((number - day) * _MICROSECONDS + _ROUNDING))
    return moment.replace(tzinfo=dt.UTC).astimezone(zone).toordinal()


def ordinals(days: pd.Index) -> list[int]:
    """Ordinals of dates, as `date.toordinal` counts them; of a moment with a zone the date that it has there.

    Parameters
    ----------
    days : Index of shape (n,)
        Of dates, or of what pandas reads as such.

    Returns
    -------
    list of int
    """
    if not isinstance(days, pd.DatetimeIndex) or days.hasnans:
        return [pd.Timestamp(day).toordinal() for day in days]
    whole = days.tz_localize(None).as_unit("s").asi8 // 86_400
    return (whole + dt.date(1970, 1, 1).toordinal()).tolist()
