"""What a session pays without risk: the bill of the close before, by calendar days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.conventions import DAYS_PER_YEAR
from riskoverlay.dates import ordinals
from riskoverlay.errors import InputError
from riskoverlay.rates import Rate, by_date
from riskoverlay.rules import Rules, parameter, per_cent

__all__ = ["StatisticsRules", "check_risk_free", "risk_free_returns"]


@dataclass(frozen=True)
class StatisticsRules(Rules):
    """What results are measured against."""

    risk_free: Any = parameter(
        0.0, "annual fraction that the Sharpe ratio takes off; a number or a dated series", "fraction a year",
        checked=False, dated=True,
    )  # fmt: skip

    def check(self) -> None:
        """Whether it is a rate."""
        check_risk_free(self.risk_free)


def check_risk_free(rate: Rate) -> None:
    """Refuse what is no rate.

    Parameters
    ----------
    rate : float, Series or mapping of date to float
        Annual fraction.

    Raises
    ------
    InputError
    """
    values = np.atleast_1d(np.asarray(_series(rate) if not isinstance(rate, (int, float)) else rate, dtype=np.float64))
    if not values.size or not np.isfinite(values).all():
        raise InputError(
            "is not a number", "give an annual fraction such as 0.02, or fractions by date", "risk_free", rate
        )
    if np.abs(values).max() > 1.0:
        if values.size > 1:
            raise InputError("risk_free holds a rate above 1", "per cent? divide by 100")
        cure = per_cent(abs(values.item())) or "give an annual fraction such as 0.02"
        raise InputError("is above 1", cure, "risk_free", rate)


def risk_free_returns(rate: Rate, dates: Sequence[date], before: date | None = None) -> npt.NDArray[np.float64]:
    """Return of the bill over each session: rate known at the close before × calendar days since it / 365.

    Parameters
    ----------
    rate : float, Series or mapping of date to float
        Annual fraction.
    dates : sequence of date, n
        Of the sessions.
    before : date, optional
        Of the session before the first (default: the day before it).

    Returns
    -------
    ndarray of shape (n,)
        Fractions per session.

    Raises
    ------
    InputError
        No rate; rates by date that begin after the session before the first.
    """
    check_risk_free(rate)
    if not len(dates):
        return np.zeros(0)
    days = np.array([pd.Timestamp(day).toordinal() for day in dates], dtype=np.int64)
    first = days[0] - 1 if before is None else pd.Timestamp(before).toordinal()
    starts = np.concatenate(([first], days[:-1]))
    spans = (days - starts) / DAYS_PER_YEAR
    if isinstance(rate, (int, float)):
        return np.asarray(float(rate) * spans)
    series = _series(rate)
    known = np.array(ordinals(pd.DatetimeIndex(series.index)), dtype=np.int64)
    at = np.searchsorted(known, starts, side="right") - 1
    if at[0] < 0:
        raise InputError(
            f"risk_free begins on {pd.Timestamp(series.index[0]).date()}, "
            f"a rate is needed from {date.fromordinal(int(starts[0]))}",
            "give rates that start earlier",
        )
    return np.asarray(series.to_numpy(dtype=np.float64)[at] * spans)


def _series(rate: pd.Series | Mapping[Any, float]) -> pd.Series:
    series = by_date(rate)
    series = series.set_axis(pd.DatetimeIndex(series.index))
    return series.sort_index()
