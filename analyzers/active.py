"""One portfolio against another: what it earned beyond it, and how much of it is the other's."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from riskoverlay.conventions import PERIODS

from .statistics import growth, monthly_returns

__all__ = ["active_statistics"]

MONTHS = 12
"""A year."""


def active_statistics(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike,
    risk_free: npt.ArrayLike = 0.0,
    dates: Sequence[date] = (),
    periods: float = PERIODS,
) -> dict[str, float]:
    """What a portfolio did beyond a benchmark.

    Parameters
    ----------
    returns, benchmark : array-like of shape (n,)
        Of the same sessions, fractions.
    risk_free : array-like of shape (n,), or float
        Fractions per session, for beta.
    dates : sequence of date, n, optional
        Of the sessions, for the captures, which go by calendar months; without dates they are nan.
    periods : float
        Sessions a year.

    Returns
    -------
    dict
        `active_return`, growth − the benchmark's, a fraction a year; `tracking_error`, std(r − b, ddof=1)·√periods, a
        fraction a year; `information_ratio`, mean(r − b) / std(r − b, ddof=1) · √periods (Grinold, Kahn 2000);
        `beta`, cov(r − f, b − f) / var(b − f); `up_capture`, `down_capture`, growth over the months in which the
        benchmark rose (fell), per unit of the benchmark's (Morningstar's definition). nan where there is nothing to
        divide by.
    """
    r, b = np.asarray(returns, dtype=np.float64), np.asarray(benchmark, dtype=np.float64)
    off = r - b
    deviation = float(off.std(ddof=1)) if off.size > 1 and off.min() < off.max() else 0.0
    deviation = deviation if deviation > 0.0 else float("nan")
    bill = np.asarray(risk_free, dtype=np.float64)
    excess, other = r - bill, b - bill
    moves = other.size > 1 and float(other.var(ddof=1)) > 0.0
    beta = float(np.cov(excess, other, ddof=1)[0, 1] / other.var(ddof=1)) if moves else float("nan")
    up, down = _captures(r, b, dates) if len(dates) else (float("nan"), float("nan"))
    return {
        "active_return": growth(r, periods) - growth(b, periods),
        "tracking_error": deviation * periods**0.5 if deviation == deviation else 0.0,
        "information_ratio": float(off.mean() / deviation * periods**0.5),
        "beta": beta,
        "up_capture": up,
        "down_capture": down,
    }


def _captures(r: npt.NDArray[np.float64], b: npt.NDArray[np.float64], dates: Sequence[date]) -> tuple[float, float]:
    ours, theirs = (monthly_returns(series, dates).to_numpy().ravel() for series in (r, b))
    found = []
    for chosen in (theirs > 0.0, theirs < 0.0):
        one, other = growth(ours[chosen], MONTHS), growth(theirs[chosen], MONTHS)
        found.append(one / other if chosen.any() and other else float("nan"))
    return found[0], found[1]
