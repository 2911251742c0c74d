"""The window of dates a user asks for, both ends included."""

from datetime import date, datetime

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

__all__ = ["between", "check_window", "span"]


def check_window(start: object, end: object) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """First and last day of a window.

    Parameters
    ----------
    start, end : date, str or None
        A text is YYYY-MM-DD, as ISO 8601 has it: 01/02/2020 is two dates. None is open.

    Returns
    -------
    start, end : Timestamp or None
        tz-naive midnights.

    Raises
    ------
    InputError
        No date, or start after end.
    """
    first, last = _day(start, "start"), _day(end, "end")
    if first is not None and last is not None and first > last:
        raise InputError(f"start={first:%Y-%m-%d} is after end={last:%Y-%m-%d}", "give start <= end")
    return first, last


def between(frame: pd.DataFrame, start: object, end: object, name: str) -> pd.DataFrame:
    """The rows of a window.

    Parameters
    ----------
    frame : DataFrame
        By date.
    start, end : date, str or None
        Both included; None is open.
    name : str
        What errors call it.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        There are none.
    """
    first, last = check_window(start, end)
    inside = np.ones(len(frame), dtype=bool)
    if first is not None:
        inside &= frame.index >= first
    if last is not None:
        inside &= frame.index <= last
    if not inside.any():
        asked = f"from {first:%Y-%m-%d}" if first is not None else "from the first"
        asked += f" to {last:%Y-%m-%d}" if last is not None else " to the last"
        raise InputError(f"{name}: no session {asked}", f"it has {span(frame.index)}, give start and end within")
    return frame[inside]


def span(index: pd.Index) -> str:
    """First and last date of an index, or its only one, for messages.

    Parameters
    ----------
    index : DatetimeIndex
        Not empty.

    Returns
    -------
    str
    """
    return f"{index[0]:%Y-%m-%d}" + (f" to {index[-1]:%Y-%m-%d}" if len(index) > 1 else "")


def _day(value: object, name: str) -> pd.Timestamp | None:
    if value is None:
        return None
    try:
        day = datetime.fromisoformat(value) if isinstance(value, str) else value
        stamp = pd.Timestamp(day) if isinstance(day, (date, np.datetime64)) else None
    except ValueError:
        stamp = None
    if stamp is None or pd.isna(stamp):
        raise InputError("is not a date", "give YYYY-MM-DD", name, value)
    return stamp.tz_localize(None).normalize()
