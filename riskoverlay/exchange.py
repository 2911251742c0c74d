"""Sessions and closes of exchanges: exchange_calendars is asked here alone, so that a calendar is built once."""

from functools import lru_cache
from typing import Any

import exchange_calendars
import pandas as pd

from .errors import InputError

__all__ = ["CALENDARS", "exchange_calendar", "reach"]

CALENDARS = frozenset(exchange_calendars.get_calendar_names())
"""Names that exchange_calendars knows, its aliases too."""

USUAL = (1990, 2049)
"""Years that one calendar serves. Building takes tenths of a second, hardly more for sixty years than for one."""


def exchange_calendar(name: str, first: int, last: int) -> Any:
    """The calendar of an exchange, as far as it is defined.

    Parameters
    ----------
    name : str
        One of `CALENDARS`.
    first, last : int
        Years that it has to hold, both included; it may hold others.

    Returns
    -------
    exchange_calendars.ExchangeCalendar

    Raises
    ------
    InputError
        A calendar that exchange_calendars cannot make.
    """
    if USUAL[0] <= first and last <= USUAL[1]:
        return _built(name, *USUAL)
    return _built(name, first, last)


def reach(name: str) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """The first and the last date that a calendar is defined for.

    Parameters
    ----------
    name : str
        One of `CALENDARS`.

    Returns
    -------
    Timestamp or None, Timestamp or None
        None where there is no end.

    Raises
    ------
    InputError
        As `exchange_calendar`.
    """
    known = _built(name, *USUAL)
    return known.bound_min(), known.bound_max()


@lru_cache(maxsize=64)
def _built(name: str, first: int, last: int) -> Any:
    start, end = pd.Timestamp(first, 1, 1), pd.Timestamp(last, 12, 31)
    try:
        try:
            return exchange_calendars.get_calendar(name, start=start, end=end)
        except ValueError:  # most have no ends
            known = exchange_calendars.get_calendar(name)  # its last 20 years
            low, high = known.bound_min(), known.bound_max()
            start, end = (start if low is None else max(start, low)), (end if high is None else min(end, high))
            return known if end <= start else exchange_calendars.get_calendar(name, start=start, end=end)
    except (NotImplementedError, ValueError) as error:
        raise InputError("cannot be made by exchange_calendars", "give another, or none", "calendar", name) from error
