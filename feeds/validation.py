"""What a frame of daily bars must be before anything trades on it."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

from .rows import FIELDS, MOST_VOLUME, PRICES, RowCheck, check_numbers, check_ranges, repeated, step_back

__all__ = ["FIELDS", "validate"]

_WORDS = {
    "number": ("{label} on {day} is {given!r}", "give a finite number or remove the row"),
    "price": ("{field} is {value} on {day}", "prices must be above zero: correct or remove the row"),
    "volume": ("volume is {value} on {day}", "volume must not be negative: correct or remove the row"),
    "size": (
        "{field} is {value} on {day}",
        f"prices are from {PRICES[0]:g} to {PRICES[1]:g}, volumes up to {MOST_VOLUME:g}: correct or remove the row",
    ),
    "crossed": ("high {high} is below low {low} on {day}", "correct or remove the row"),
    "outside": (
        "{field} {value} is outside low {low} .. high {high} on {day}",
        "correct the row, or adjust all four prices alike",
    ),
}
"""Rule of a row -> what an error says, and the cure."""


def validate(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A checked copy of daily bars.

    Parameters
    ----------
    frame : DataFrame of shape (n_sessions, n_columns)
        Dates in the index; a tz-aware one becomes its local dates. Columns are matched without case, others than open,
        high, low, close and volume are left out.
    name : str
        The symbol or file that errors name.

    Returns
    -------
    DataFrame of shape (n_sessions, 5)
        tz-naive dates named "date", float columns open high low close volume.

    Raises
    ------
    InputError
        A missing column, no rows, dates that are none, missing, duplicate or unsorted, a value that is not a finite
        number, a price <= 0, a volume < 0, either beyond `PRICES` and `MOST_VOLUME`, high < low, and an open or close
        outside low..high by more than 1e-6 of itself (rounding of adjusted prices stays within).
    """
    lowered = [str(column).strip().lower() for column in frame.columns]
    for field in FIELDS:
        if lowered.count(field) != 1:
            problem = "missing" if field not in lowered else "there more than once"
            raise InputError(f"{name}: column {field!r} is {problem}", f"give one each of {', '.join(FIELDS)}")
    if frame.empty:
        raise InputError(f"{name}: no rows", "give at least one session")
    dates = _dates(frame.index, name)
    given = {field: frame.iloc[:, lowered.index(field)] for field in FIELDS}
    bars = pd.DataFrame({field: _numbers(column, name) for field, column in given.items()}, index=dates)
    # All that is no number first: it can be neither too low nor too high.
    _refuse(sorted(check_numbers(bars), key=lambda check: check.rule != "number"), bars, given, name)
    _refuse(check_ranges(bars), bars, given, name)
    return bars


def _refuse(checks: Iterable[RowCheck], bars: pd.DataFrame, given: Mapping[str, pd.Series], name: str) -> None:
    """Raise for the first row of the first rule that is broken."""
    for field, rule, bad in checks:
        if bad.any():
            at = int(np.argmax(bad))
            row = {each: f"{bars[each].iloc[at]:.10g}" for each in FIELDS}
            label, value = given[field].name, given[field].tolist()[at]
            day = f"{bars.index[at]:%Y-%m-%d}"
            problem, cure = _WORDS[rule]
            said = problem.format(field=field, value=row[field], label=label, given=value, day=day, **row)
            raise InputError(f"{name}: {said}", cure)


def _dates(index: pd.Index, name: str) -> pd.DatetimeIndex:
    if not isinstance(index, pd.DatetimeIndex):
        raise InputError(f"{name}: index is {type(index).__name__}, not dates", "give a DatetimeIndex")
    if index.hasnans:
        raise InputError(f"{name}: row {int(np.argmax(index.isna())) + 1} has no date", "remove or date it")
    days = index.tz_localize(None).normalize()
    outside = (days.year < 1678) | (days.year > 2261)
    if outside.any():
        raise InputError(
            f"{name}: date {days[int(np.argmax(outside))].date()} is outside 1678 to 2261", "correct or remove the row"
        )
    dates = days.as_unit("ns").rename("date")
    back = step_back(dates)
    wrong = back | repeated(dates)
    if not wrong.any():
        return pd.DatetimeIndex(dates.to_numpy(), name="date")  # without a frequency
    at = int(np.argmax(wrong))
    if back[at]:
        raise InputError(
            f"{name}: date {dates[at]:%Y-%m-%d} comes after {dates[at - 1]:%Y-%m-%d}",
            "sort the rows by date, oldest first",
        )
    raise InputError(f"{name}: date {dates[at]:%Y-%m-%d} is there more than once", "give one row a session")


def _numbers(column: pd.Series, name: str) -> np.ndarray:
    if column.dtype.kind in "mMb":
        raise InputError(f"{name}: {column.name} is of type {column.dtype}, not numbers", "give numbers")
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
