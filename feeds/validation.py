"""What a frame of daily bars must be before anything trades on it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

__all__ = ["FIELDS", "validate"]

FIELDS = ("open", "high", "low", "close", "volume")

# Adjusted prices carry the rounding of the adjusted close: six decimals, or the vendor's single precision.
_ROUNDING = 1e-6


def validate(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A checked copy of `frame`: tz-naive dates named "date", float columns open high low close volume.

    Column names are matched without case, other columns are left out. A tz-aware index becomes its local
    dates. `name` is the symbol or file that errors name.

    Raises ValueError for a missing column, no rows, dates that are not dates, missing, duplicate or unsorted,
    a value that is not a finite number, a price <= 0, a volume < 0, high < low, and an open or close outside
    low..high by more than 1e-6 of itself (rounding of adjusted prices stays within).
    """
    lowered = [str(column).strip().lower() for column in frame.columns]
    for field in FIELDS:
        if lowered.count(field) != 1:
            problem = "missing" if field not in lowered else "there more than once"
            raise InputError(
                f"{name}: column {field!r} is {problem}", f"give one each of {', '.join(FIELDS)}"
            )
    if frame.empty:
        raise InputError(f"{name}: no rows", "give at least one session")
    dates = _dates(frame.index, name)
    columns = {field: _numbers(frame.iloc[:, lowered.index(field)], dates, name) for field in FIELDS}
    checked = pd.DataFrame(columns, index=dates)
    _check_prices(checked, name)
    return checked


def _dates(index: pd.Index, name: str) -> pd.DatetimeIndex:
    if not isinstance(index, pd.DatetimeIndex):
        raise InputError(f"{name}: index is {type(index).__name__}, not dates", "give a DatetimeIndex")
    if index.hasnans:
        raise InputError(f"{name}: row {int(np.argmax(index.isna())) + 1} has no date", "remove or date it")
    days = index.tz_localize(None).normalize()
    outside = (days.year < 1678) | (days.year > 2261)
    if outside.any():
        raise InputError(
            f"{name}: date {days[int(np.argmax(outside))].date()} is outside 1678 to 2261",
            "correct or remove the row",
        )
    dates = days.as_unit("ns").rename("date")
    if dates.is_monotonic_increasing and dates.is_unique:
        return pd.DatetimeIndex(dates.to_numpy(), name="date")  # without a frequency
    at = int(np.argmax(np.diff(dates.asi8) <= 0))
    first, second = dates[at], dates[at + 1]
    if first == second or dates.is_monotonic_increasing:
        raise InputError(f"{name}: date {first:%Y-%m-%d} is there more than once", "give one row a session")
    raise InputError(
        f"{name}: date {second:%Y-%m-%d} comes after {first:%Y-%m-%d}", "sort the rows by date, oldest first"
    )


def _numbers(column: pd.Series, dates: pd.DatetimeIndex, name: str) -> np.ndarray:
    if column.dtype.kind in "mMb":
        raise InputError(f"{name}: {column.name} is of type {column.dtype}, not numbers", "give numbers")
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(
            f"{name}: {column.name} on {dates[at]:%Y-%m-%d} is {column.tolist()[at]!r}",
            "give a finite number or remove the row",
        )
    return values


def _check_prices(bars: pd.DataFrame, name: str) -> None:
    o, h, l, c, volume = (bars[field].to_numpy() for field in FIELDS)  # noqa: E741
    room = _ROUNDING * c

    def refuse(bad: np.ndarray, text: str, cure: str) -> None:
        if bad.any():
            at = int(np.argmax(bad))
            row = {field: f"{bars[field].iloc[at]:.10g}" for field in FIELDS}
            raise InputError(f"{name}: {text.format(**row)} on {bars.index[at]:%Y-%m-%d}", cure)

    for field in FIELDS[:4]:
        refuse(
            bars[field].to_numpy() <= 0,
            f"{field} is {{{field}}}",
            "prices must be above zero: correct or remove the row",
        )
    refuse(volume < 0, "volume is {volume}", "volume must not be negative: correct or remove the row")
    refuse(h < l - room, "high {high} is below low {low}", "correct or remove the row")
    outside = "{field} {{{field}}} is outside low {{low}} .. high {{high}}"
    for field, price in (("open", o), ("close", c)):
        refuse(
            (price > h + room) | (price < l - room),
            outside.format(field=field),
            "correct the row, or adjust all four prices alike",
        )
