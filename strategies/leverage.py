"""How much of the portfolio to hold: volatility target × drawdown brake."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskoverlay.conventions import PERIODS

from .rules import LeverageRules

__all__ = [
    "RollingVolatility",
    "annualized_volatility",
    "base_return",
    "drawdown",
    "drawdown_brake",
    "target_leverage",
    "volatility_target",
]

Array = NDArray[np.float64]

CONSTANT = 1e-15
"""Returns that spread over less than this fraction of their mean are equal up to rounding."""


def annualized_volatility(returns: ArrayLike, periods: float = PERIODS) -> float:
    """Annual volatility, std(ddof=0) · √periods.

    Parameters
    ----------
    returns : array-like of shape (n,)
        Fractions per bar.
    periods : float
        Bars a year.

    Returns
    -------
    float
        A fraction a year.
    """
    return float(np.std(np.asarray(returns, dtype=float), ddof=0)) * math.sqrt(periods)


def volatility_target(sigma: float | None, target_vol: float, lev_min: float, lev_max: float) -> float:
    """Leverage at which the portfolio has the target volatility: target_vol / σ, in [lev_min, lev_max].

    Parameters
    ----------
    sigma : float or None
        Annual volatility (fraction) of the unlevered portfolio. 0 gives `lev_max`. None, not known yet, gives 1
        whatever the bounds: `target_leverage` applies them after the brake.
    target_vol : float
        Annual volatility aimed at (fraction).
    lev_min, lev_max : float
        Bounds of leverage.

    Returns
    -------
    float
    """
    if sigma is None:
        return 1.0
    if sigma <= 0.0:
        return lev_max
    return min(max(target_vol / sigma, lev_min), lev_max)


def drawdown_brake(drawdown: float, dd_threshold1: float, dd_threshold2: float, dd_min_scale: float) -> float:
    """Factor on leverage: 1 up to dd_threshold1, dd_min_scale from dd_threshold2 on, linear between.

    Parameters
    ----------
    drawdown : float
        POSITIVE fraction lost since the peak (0.10 is 10 % under water).
    dd_threshold1, dd_threshold2 : float
        Positive fractions. Equal thresholds make a step: 1 at the threshold, `dd_min_scale` above it.
    dd_min_scale : float
        Factor of the full brake, in [0, 1].

    Returns
    -------
    float
        In [dd_min_scale, 1].
    """
    if drawdown <= dd_threshold1:
        return 1.0
    if drawdown >= dd_threshold2:
        return dd_min_scale
    way = (drawdown - dd_threshold1) / (dd_threshold2 - dd_threshold1)
    return 1.0 - (1.0 - dd_min_scale) * way


def target_leverage(sigma: float | None, drawdown: float, rules: LeverageRules) -> float:
    """`volatility_target` × `drawdown_brake`, in [lev_min, lev_max].

    Parameters
    ----------
    sigma : float or None
        Annual volatility (fraction) of the unlevered portfolio; None, unknown, counts as leverage 1.
    drawdown : float
        Positive fraction lost since the peak.
    rules : LeverageRules

    Returns
    -------
    float
    """
    wanted = volatility_target(sigma, rules.target_vol, rules.lev_min, rules.lev_max)
    wanted *= drawdown_brake(drawdown, rules.dd_threshold1, rules.dd_threshold2, rules.dd_min_scale)
    return min(max(wanted, rules.lev_min), rules.lev_max)


def drawdown(equity: ArrayLike) -> Array:
    """Loss since the highest value so far, as NEGATIVE fractions (0 at a peak).

    Parameters
    ----------
    equity : array-like of shape (n,)
        Positive. Put the starting value first if losses from the start shall count.

    Returns
    -------
    ndarray of shape (n,)
    """
    equity = np.asarray(equity, dtype=float)
    return np.asarray(equity / np.maximum.accumulate(equity) - 1.0)


def base_return(weights: Sequence[float], before: Sequence[float], now: Sequence[float]) -> float:
    """Unlevered return of a session, Σ wᵢ·(simple return of i); a feed without a price yet earns nothing.

    Parameters
    ----------
    weights : sequence of float, k
        In force during the session, fractions.
    before, now : sequence of float, k
        Closes of the session before and of this one.

    Returns
    -------
    float
        A fraction.
    """
    return sum([w * (b / a - 1.0) for w, a, b in zip(weights, before, now, strict=True) if w])


class RollingVolatility:
    """Annual volatility, std(ddof=0) · √periods, of the last `vol_lookback` returns.

    Computed anew from the window each time, so that nothing drifts and an outlier leaves no trace.

    Parameters
    ----------
    vol_lookback : int
        Returns in the window.
    periods : float
        Returns a year.
    memory : int, optional
        Returns kept, so that `vol_lookback` can be raised to it later (default: `vol_lookback`).
    """

    def __init__(self, vol_lookback: int, periods: float = PERIODS, memory: int | None = None) -> None:
        self.vol_lookback = LeverageRules(vol_lookback=vol_lookback).vol_lookback
        self.periods = periods
        self.memory = max(vol_lookback, memory or 0)
        self._returns = np.zeros(2 * self.memory)
        self._ones = np.ones(self.memory)
        self._count = 0

    def push(self, r: float) -> None:
        """Add one return (fraction)."""
        if self._count == len(self._returns):
            self._count = self.memory
            self._returns[: self.memory] = self._returns[self.memory :]
        self._returns[self._count] = r
        self._count += 1

    @property
    def known(self) -> list[float]:
        """The last returns, `memory` at most; fractions."""
        return self._returns[max(0, self._count - self.memory) : self._count].tolist()

    def restart(self, returns: Sequence[float]) -> None:
        """Forget all, and push these.

        Parameters
        ----------
        returns : sequence of float
            Fractions.
        """
        self._count = 0
        for r in returns:
            self.push(r)

    @property
    def value(self) -> float | None:
        """Annual volatility (fraction), or None until `vol_lookback` returns have been pushed."""
        n = self.vol_lookback
        if self._count < n:
            return None
        window = self._returns[self._count - n : self._count]
        mean = window.dot(self._ones[:n]) / n  # a third of the time of window.mean()
        off = window - mean
        variance = off.dot(off) / n
        return math.sqrt(variance * self.periods) if variance > (CONSTANT * mean) ** 2 else 0.0
