"""What every row of daily bars must be: one list, of which `validate` raises the first and `quality` tells all."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "FIELDS",
    "MOST_VOLUME",
    "PRICES",
    "Flags",
    "RowCheck",
    "check_numbers",
    "check_ranges",
    "repeated",
    "step_back",
]

FIELDS = ("open", "high", "low", "close", "volume")

_ROUNDING = 1e-6
"""Adjusted prices carry the rounding of the adjusted close: six decimals, or the vendor's single precision."""

PRICES = (1e-9, 1e15)
"""A price beyond these was never paid, however often a share was split or merged since."""

MOST_VOLUME = 1e18

Flags = npt.NDArray[np.bool_]


class RowCheck(NamedTuple):
    """One rule, and the rows that break it.

    Attributes
    ----------
    field : str
        The column it is about.
    rule : str
        number, price, volume, size, crossed, outside.
    bad : ndarray of shape (n_rows,)
        True where the rule is broken.
    """

    field: str
    rule: str
    bad: Flags


def repeated(dates: pd.DatetimeIndex) -> Flags:
    """Rows whose date was there before, anywhere.

    Parameters
    ----------
    dates : DatetimeIndex of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,)
        True where it was.
    """
    return np.asarray(dates.duplicated())


def step_back(dates: pd.DatetimeIndex) -> Flags:
    """Rows whose date is before that of the row above.

    Parameters
    ----------
    dates : DatetimeIndex of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,)
        True where it is.
    """
    return np.r_[False, np.diff(dates.asi8) < 0][: len(dates)]


def check_numbers(bars: pd.DataFrame) -> Iterator[RowCheck]:
    """Numbers that are none, prices not above zero, volumes and dividends below it, and what is beyond all measure.

    Parameters
    ----------
    bars : DataFrame of shape (n_rows, n_fields)
        Floats, nan for what was no number.

    Yields
    ------
    RowCheck
        Three for each column.
    """
    for field in bars.columns:
        values = bars[field].to_numpy()
        odd = ~np.isfinite(values)
        yield RowCheck(field, "number", odd)
        amount = field in ("volume", "dividend")
        negative = ~odd & ((values < 0) if amount else (values <= 0))
        yield RowCheck(field, "volume" if amount else "price", negative)
        least, most = (0.0, MOST_VOLUME) if amount else PRICES
        yield RowCheck(field, "size", ~odd & ~negative & ((values < least) | (values > most)))


def check_ranges(bars: pd.DataFrame) -> Iterator[RowCheck]:
    """A high below the low, an open or close outside of low .. high, by more than rounding.

    Parameters
    ----------
    bars : DataFrame of shape (n_rows, n_fields)
        Finite, prices above zero.

    Yields
    ------
    RowCheck
        crossed of high, then outside of open and of close where high is not below low.
    """
    high, low, close = (bars[field].to_numpy() for field in ("high", "low", "close"))
    room = _ROUNDING * close
    crossed = high < low - room
    yield RowCheck("high", "crossed", crossed)
    for field in ("open", "close"):
        price = bars[field].to_numpy()
        yield RowCheck(field, "outside", ~crossed & ((price > high + room) | (price < low - room)))
