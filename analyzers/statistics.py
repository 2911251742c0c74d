"""Statistics of a series of returns or values: plain functions over arrays, fractions in and out.

Simple returns per session, `periods` sessions a year. Nothing is raised for a short series: what cannot be
computed (no returns, NaN among them, no volatility to divide by) is nan.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError

__all__ = [
    "PERIODS",
    "Drawdown",
    "annualized_return",
    "annualized_volatility",
    "drawdown_series",
    "drawdown_summary",
    "excess_sharpe",
    "growth",
    "max_drawdown",
    "monthly_returns",
    "sharpe_ratio",
    "simple_returns",
    "summary",
    "worst_drawdowns",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drawdown:
    """One fall from a peak, and the way back. No fall at all: depth 0.0, no dates, length 0.

    Attributes
    ----------
    depth : float
        A negative fraction of the peak.
    peak, trough : date or None
        The last session at the peak, the (first) deepest.
    recovery : date or None
        The first at or above the peak again, None if the series ends before.
    length : int
        Sessions from peak to recovery, or to the end.
    """

    depth: float
    peak: date | None
    trough: date | None
    recovery: date | None
    length: int


def simple_returns(values: npt.ArrayLike, start: float) -> Floats:
    """Returns per session.

    Parameters
    ----------
    values : array-like of shape (n,)
    start : float
        The value before the first.

    Returns
    -------
    ndarray of shape (n,)
        Fractions; nan after a value not positive.
    """
    v = _vector(values, "values")
    before = np.concatenate(([start], v[:-1])) if v.size else v
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0.0, v / before - 1.0, np.nan)


def growth(returns: npt.ArrayLike, periods: float = PERIODS) -> float:
    """(end / start)^(periods / n) − 1: the growth a year of what was put in (CAGR), `empyrical.cagr`.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per session.
    periods : float
        Sessions a year.

    Returns
    -------
    float
        A fraction; −1 when all is lost, inf when a float cannot hold it.
    """
    r = _vector(returns, "returns")
    if not r.size or not np.isfinite(r).all():
        return float("nan")
    end = max(float(np.prod(1.0 + r)), 0.0) if r.min() > -1.0 else 0.0
    with np.errstate(over="ignore"):
        return float(np.float64(end) ** (periods / r.size) - 1.0)


def excess_sharpe(returns: npt.ArrayLike, risk_free: npt.ArrayLike = 0.0, periods: float = PERIODS) -> float:
    """mean(r − r_f) / std(r − r_f, ddof=1) · √periods: the Sharpe ratio (Sharpe 1994), `empyrical.sharpe_ratio`.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per session.
    risk_free : array-like of shape (n,), or float
        Fractions per session (`risk_free_returns`), not a rate a year.
    periods : float
        Sessions a year.

    Returns
    -------
    float
        nan when nothing moves, or there are fewer than two returns.
    """
    excess = _vector(returns, "returns") - np.asarray(risk_free, dtype=np.float64)
    if excess.size < 2 or not np.isfinite(excess).all() or excess.min() == excess.max():
        return float("nan")
    deviation = float(excess.std(ddof=1))
    return float(excess.mean() / deviation * np.sqrt(periods)) if deviation > 0.0 else float("nan")


def annualized_return(returns: npt.ArrayLike, periods: float = PERIODS) -> float:
    """(1 + mean)^periods − 1: the arithmetic mean, compounded over a year, the notebook's return.

    Above `growth` by about half the annual variance, which growth pays for: an account can lose and show a gain here.
    It stands where the notebook is reproduced and heads nothing.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per session.
    periods : float
        Sessions a year.

    Returns
    -------
    float
        A fraction; −1 when the mean session loses everything, inf when a float cannot hold it.
    """
    r = _vector(returns, "returns")
    if not r.size or not np.isfinite(r).all():
        return float("nan")
    with np.errstate(over="ignore"):
        return float(np.float64(max(1.0 + float(r.mean()), 0.0)) ** periods - 1.0)


def annualized_volatility(returns: npt.ArrayLike, periods: float = PERIODS) -> float:
    """std(ddof=0)·√periods; `empyrical.annual_volatility` has ddof=1: √(n/(n−1)) ×.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per session.
    periods : float
        Sessions a year.

    Returns
    -------
    float
        A fraction a year.
    """
    r = _vector(returns, "returns")
    if not r.size:
        return float("nan")
    if r.min() == r.max():
        return 0.0  # exactly: the mean of equal numbers may round, and leave a volatility of 1e-18
    return float(r.std(ddof=0) * np.sqrt(periods))


def sharpe_ratio(returns: npt.ArrayLike, risk_free: float = 0.0, periods: float = PERIODS) -> float:
    """(annualized_return − risk_free) / annualized_volatility.

    With a rate of 0 this is the notebook's ratio. The Sharpe ratio is `excess_sharpe`: here the mean is compounded to a
    year first, and ddof is 0. backtrader's SharpeRatio works on yearly returns by default: another number again.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per session.
    risk_free : float
        Annual fraction.
    periods : float
        Sessions a year.

    Returns
    -------
    float
        nan when the volatility is zero.
    """
    volatility = annualized_volatility(returns, periods)
    if not volatility > 0.0:
        return float("nan")
    return (annualized_return(returns, periods) - risk_free) / volatility


def drawdown_series(values: npt.ArrayLike) -> Floats:
    """values / running maximum − 1.

    Parameters
    ----------
    values : array-like of shape (n,)

    Returns
    -------
    ndarray of shape (n,)
        0 at a peak, negative fractions below it.
    """
    v = _vector(values, "values")
    peak = np.maximum.accumulate(v) if v.size else v
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(peak > 0.0, v / peak - 1.0, np.nan)


def max_drawdown(values: npt.ArrayLike, dates: Sequence[date]) -> Drawdown:
    """The deepest fall; of equal ones the first.

    Parameters
    ----------
    values : array-like of shape (n,)
    dates : sequence of date

    Returns
    -------
    Drawdown
        Its depth is nan with NaN among the values.

    Raises
    ------
    InputError
        Values and dates differ in number.
    """
    worst = worst_drawdowns(values, dates, 1)
    if worst:
        return worst[0]
    falls = drawdown_series(values)
    return Drawdown(float("nan") if np.isnan(falls).any() else 0.0, None, None, None, 0)


def worst_drawdowns(values: npt.ArrayLike, dates: Sequence[date], n: int) -> list[Drawdown]:
    """The deepest falls, deepest first. One fall lasts from its peak to its recovery: two never overlap.

    Parameters
    ----------
    values : array-like of shape (n_sessions,)
    dates : sequence of date
    n : int
        How many.

    Returns
    -------
    list of Drawdown

    Raises
    ------
    InputError
        Values and dates differ in number, or n is below 1.
    """
    if n < 1:
        raise InputError("is below 1", "give the number of drawdowns wanted", "n", n)
    falls = drawdown_series(values)
    if falls.size != len(dates):
        raise InputError(f"{falls.size} values but {len(dates)} dates", "give one date for each value")
    if np.isnan(falls).any():
        return []
    under = np.concatenate(([False], falls < 0.0, [False]))
    turns = np.flatnonzero(under[1:] != under[:-1])
    found = []
    for begin, end in zip(turns[::2], turns[1::2], strict=True):  # below the peak on begin .. end − 1
        trough = int(begin + np.argmin(falls[begin:end]))
        back = int(end) if end < falls.size else None
        found.append(
            Drawdown(
                depth=float(falls[trough]),
                peak=dates[begin - 1],
                trough=dates[trough],
                recovery=None if back is None else dates[back],
                length=(falls.size - 1 if back is None else back) - (int(begin) - 1),
            )
        )
    return sorted(found, key=lambda d: d.depth)[:n]


def drawdown_summary(values: npt.ArrayLike, dates: Sequence[date], n: int) -> dict[str, Any]:
    """The deepest fall, and a list of the deepest, as plain values.

    Parameters
    ----------
    values, dates, n
        As `worst_drawdowns`.

    Returns
    -------
    dict
        The fields of `max_drawdown`'s `Drawdown`, and `worst`, a list of such.

    Raises
    ------
    InputError
        As `worst_drawdowns`.
    """
    return asdict(max_drawdown(values, dates)) | {"worst": [asdict(d) for d in worst_drawdowns(values, dates, n)]}


def summary(returns: npt.ArrayLike, risk_free: npt.ArrayLike = 0.0, periods: float = PERIODS) -> dict[str, float]:
    """Growth and Sharpe ratio, and the four figures of the notebook.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per session.
    risk_free : array-like of shape (n,), or float
        Fractions per session, of `excess_sharpe` only.
    periods : float
        Sessions a year.

    Returns
    -------
    dict
        `growth`, `excess_sharpe`; the notebook's `ann_ret`, `ann_vol`, `sharpe`, `max_drawdown`; fractions. The
        drawdown is that of the compounded value, its start of 1 included: a first return below zero is a fall.
    """
    r = _vector(returns, "returns")
    value = np.concatenate(([1.0], np.cumprod(1.0 + r)))
    return {
        "growth": growth(r, periods),
        "excess_sharpe": excess_sharpe(r, risk_free, periods),
        "ann_ret": annualized_return(r, periods),
        "ann_vol": annualized_volatility(r, periods),
        "sharpe": sharpe_ratio(r, periods=periods),
        "max_drawdown": float(drawdown_series(value).min()) if r.size else float("nan"),
    }


def monthly_returns(returns: npt.ArrayLike, dates: Sequence[date]) -> pd.DataFrame:
    """Returns compounded by calendar month.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per session.
    dates : sequence of date

    Returns
    -------
    DataFrame of shape (n_years, 12)
        A row a year, columns 1 to 12, nan where there is no session.

    Raises
    ------
    InputError
        Returns and dates differ in number.
    """
    r = _vector(returns, "returns")
    if r.size != len(dates):
        raise InputError(f"{r.size} returns but {len(dates)} dates", "give one date for each return")
    growth: dict[tuple[int, int], float] = {}
    for day, one in zip(dates, r.tolist(), strict=True):
        month = (day.year, day.month)
        growth[month] = growth.get(month, 1.0) * (1.0 + one)
    years, months = sorted({year for year, _ in growth}), range(1, 13)
    rows = [[growth.get((year, month), np.nan) - 1.0 for month in months] for year in years]
    table = pd.DataFrame(rows, index=years, columns=months, dtype=float)
    return table.rename_axis(index="year", columns="month")


def _vector(x: npt.ArrayLike, name: str) -> Floats:
    v = np.asarray(x, dtype=np.float64)
    if v.ndim != 1:
        raise InputError(f"{name} has {v.ndim} dimensions", "give one series, shape (n,)")
    return v
