"""Annual interest rates, constant or known day by day."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

import pandas as pd

from .conventions import DAYS_PER_YEAR
from .dates import ordinals
from .errors import InputError
from .rules import per_cent

__all__ = ["HIGHEST_RATE", "DatedRate", "Rate", "by_date"]

Rate = float | pd.Series | Mapping[Any, float]
"""An annual fraction, or annual fractions by date, each from its date until the next."""

HIGHEST_RATE = 1.0
"""Annual fraction (100 %): what is above it was meant per cent."""


def by_date(rate: pd.Series | Mapping[Any, float]) -> pd.Series:
    """A rate by date as a series."""
    return rate if isinstance(rate, pd.Series) else pd.Series(dict(rate), dtype=float)


class DatedRate:
    """An annual interest rate that is known day by day.

    Parameters
    ----------
    rate : float, or pandas Series / mapping of date to float
        Annual rate as a fraction (0.05 = 5 %). A dated rate holds from its date until the next one; days before
        the first date have no rate and are refused.
    name : str
        The argument's name, for error messages.

    Raises
    ------
    InputError
        Empty, unordered, or not finite.
    """

    def __init__(self, rate: Rate, name: str = "borrow_rate") -> None:
        self.name = name
        if isinstance(rate, (int, float)):
            if not 0.0 <= rate <= HIGHEST_RATE:
                cure = f"give an annual fraction >= 0, e.g. 0.05 (at most {HIGHEST_RATE:g})"
                if rate > HIGHEST_RATE:
                    cure = per_cent(rate, HIGHEST_RATE) or cure
                raise InputError("is not a rate", cure, name, rate)
            self.constant: float | None = float(rate)
            return
        self.constant = None
        series = by_date(rate)
        days = ordinals(series.index)
        values = [float(value) for value in series]
        if not days:
            raise InputError(f"{name} is an empty series", "give at least one dated annual rate")
        if any(b <= a for a, b in pairwise(days)):
            raise InputError(f"{name} has duplicate or unsorted dates", "sort it and keep one rate a day")
        if not all(abs(value) <= HIGHEST_RATE for value in values):
            raise InputError(
                f"{name} holds a rate that is not finite, or above {HIGHEST_RATE:g}",
                "fill or drop it; if they are per cent, divide by 100",
            )
        self._days = days
        self._rates = values
        # Sum of the daily rates from the first date up to each dated change, so that any span is two look-ups.
        spans = [0.0] + [(b - a) * r for (a, b), r in zip(pairwise(days), values, strict=False)]
        self._cumulative = list(accumulate(spans))

    def _integral(self, ordinal: int) -> float:
        i = bisect_right(self._days, ordinal) - 1
        if i < 0:
            first = dt.date.fromordinal(self._days[0])
            raise InputError(
                f"{self.name} starts on {first}, interest is due from {dt.date.fromordinal(ordinal)}",
                "give a series that starts earlier",
            )
        return self._cumulative[i] + (ordinal - self._days[i]) * self._rates[i]

    def between(self, start: int, end: int) -> float:
        """Interest on 1 unit of money: every night costs rate/365 at the rate of the day on which it begins.

        Parameters
        ----------
        start, end : int
            Days, as proleptic ordinals.

        Returns
        -------
        float
            A fraction.

        Raises
        ------
        InputError
            A dated rate that begins after `start`.
        """
        if self.constant is not None:
            return self.constant * (end - start) / DAYS_PER_YEAR
        return (self._integral(end) - self._integral(start)) / DAYS_PER_YEAR
