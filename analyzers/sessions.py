"""Session dates: from backtrader's numbers, and the parameter that says where statistics begin."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo

from backtrader.utils.dateintern import num2date

from riskoverlay.errors import InputError

__all__ = ["first_index", "parse_first", "session_dates"]


def session_dates(numbers: Iterable[float], tz: tzinfo | None = None) -> list[date]:
    """Dates of backtrader's day numbers: what `strategy.datetime.date(0)` gave on each bar, in one go.

    Parameters
    ----------
    numbers : iterable of float
    tz : tzinfo, optional
        Of the clock.

    Returns
    -------
    list of date
    """
    if tz is None:
        return [date.fromordinal(int(x)) if x == int(x) else num2date(x).date() for x in numbers]
    return [num2date(x, tz).date() for x in numbers]


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
