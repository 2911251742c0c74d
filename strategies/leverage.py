"""How much of the portfolio to hold: volatility target × drawdown brake."""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "PERIODS",
    "RollingVolatility",
    "annualized_volatility",
    "check_leverage_params",
    "drawdown",
    "drawdown_brake",
    "target_leverage",
    "volatility_target",
]

Array = NDArray[np.float64]

PERIODS = 252  # sessions in a year


def annualized_volatility(returns: ArrayLike, periods: int = PERIODS) -> float:
    """Annual volatility (fraction) of returns per bar, shape (n,): std(ddof=0) · √periods."""
    return float(np.std(np.asarray(returns, dtype=float), ddof=0)) * math.sqrt(periods)


def volatility_target(sigma: float | None, target_vol: float, lev_min: float, lev_max: float) -> float:
    """Leverage at which the portfolio has the target volatility: target_vol / σ, in [lev_min, lev_max].

    sigma: annual volatility (fraction) of the unlevered portfolio. A volatility of 0 gives lev_max. None, not
    known yet, gives 1, whatever the bounds: `target_leverage` applies them after the brake.
    """
    if sigma is None:
        return 1.0
    if sigma <= 0.0:
        return lev_max
    return min(max(target_vol / sigma, lev_min), lev_max)


def drawdown_brake(drawdown: float, dd_threshold1: float, dd_threshold2: float, dd_min_scale: float) -> float:
    """Factor on leverage: 1 up to dd_threshold1, dd_min_scale from dd_threshold2 on, linear between.

    drawdown: POSITIVE fraction lost since the peak (0.10 is 10 % under water). With equal thresholds it is a
    step: 1 at the threshold, dd_min_scale above it.
    """
    if drawdown <= dd_threshold1:
        return 1.0
    if drawdown >= dd_threshold2:
        return dd_min_scale
    way = (drawdown - dd_threshold1) / (dd_threshold2 - dd_threshold1)
    return 1.0 - (1.0 - dd_min_scale) * way


def target_leverage(
    sigma: float | None,
    drawdown: float,
    *,
    target_vol: float = 0.12,
    lev_min: float = 0.30,
    lev_max: float = 2.0,
    dd_threshold1: float = 0.10,
    dd_threshold2: float = 0.25,
    dd_min_scale: float = 0.30,
) -> float:
    """`volatility_target` × `drawdown_brake`, in [lev_min, lev_max].

    sigma: annual volatility or None (unknown: counts as leverage 1); drawdown: positive fraction from peak.
    """
    wanted = volatility_target(sigma, target_vol, lev_min, lev_max)
    wanted *= drawdown_brake(drawdown, dd_threshold1, dd_threshold2, dd_min_scale)
    return min(max(wanted, lev_min), lev_max)


def drawdown(equity: ArrayLike) -> Array:
    """Loss since the highest value so far, shape (n,), as NEGATIVE fractions (0 at a peak).

    equity: (n,), positive. Put the starting value first if losses from the start shall count.
    """
    equity = np.asarray(equity, dtype=float)
    return np.asarray(equity / np.maximum.accumulate(equity) - 1.0)


def check_leverage_params(
    *,
    target_vol: float = 0.12,
    lev_min: float = 0.30,
    lev_max: float = 2.0,
    dd_threshold1: float = 0.10,
    dd_threshold2: float = 0.25,
    dd_min_scale: float = 0.30,
    vol_lookback: int = 60,
) -> None:
    """Raise a one-line ValueError for the first parameter out of bounds or in the wrong order."""
    if not 0.0 < target_vol < math.inf:
        raise ValueError(f"target_vol={target_vol} is not positive: give an annual volatility such as 0.12")
    if not 0.0 <= lev_min < math.inf:
        raise ValueError(f"lev_min={lev_min} is negative or not a number: give a leverage such as 0.30")
    if not 0.0 <= lev_max < math.inf:
        raise ValueError(f"lev_max={lev_max} is negative or not a number: give a leverage such as 2.0")
    if lev_min > lev_max:
        raise ValueError(f"lev_min={lev_min} is above lev_max={lev_max}: give lev_min <= lev_max")
    if not 0.0 <= dd_threshold1 < math.inf:
        raise ValueError(
            f"dd_threshold1={dd_threshold1} is negative or not a number: give a loss such as 0.10"
        )
    if not 0.0 <= dd_threshold2 < math.inf:
        raise ValueError(
            f"dd_threshold2={dd_threshold2} is negative or not a number: give a loss such as 0.25"
        )
    if dd_threshold1 > dd_threshold2:
        raise ValueError(
            f"dd_threshold1={dd_threshold1} is above dd_threshold2={dd_threshold2}: "
            "give dd_threshold1 <= dd_threshold2"
        )
    if not 0.0 <= dd_min_scale <= 1.0:
        raise ValueError(f"dd_min_scale={dd_min_scale} is outside [0, 1]: give a fraction such as 0.30")
    if not (isinstance(vol_lookback, Integral) and vol_lookback >= 2):
        raise ValueError(
            f"vol_lookback={vol_lookback} is not a whole number of at least 2: give a number of sessions"
        )


class RollingVolatility:
    """Annual volatility, std(ddof=0) · √periods, of the last vol_lookback returns, a few operations a push.

    Nothing is ever subtracted, so nothing drifts and an outlier leaves no trace when it leaves the window.
    The window is the tail of the last full block of vol_lookback returns and the head of the next: spreads of
    all tails are computed once a block, the head grows with each push, and the two are merged.
    Formulas: Welford (1962) for growing, Chan, Golub and LeVeque (1979) for merging.
    """

    def __init__(self, vol_lookback: int, periods: int = PERIODS) -> None:
        check_leverage_params(vol_lookback=vol_lookback)
        self.vol_lookback = vol_lookback
        self.periods = periods
        self._head: list[float] = []
        self._head_mean = 0.0
        self._head_spread = 0.0  # sum of squared deviations from the mean
        self._tails: list[
            tuple[float, float]
        ] = []  # (mean, spread) of the last block less its first 0, 1, ...

    def push(self, r: float) -> None:
        """Add one return per bar (fraction)."""
        self._head.append(r)
        self._head_mean, self._head_spread = _grow(len(self._head), self._head_mean, self._head_spread, r)
        if len(self._head) == self.vol_lookback:
            self._tails = _tails(self._head)
            self._head = []
            self._head_mean = self._head_spread = 0.0

    @property
    def value(self) -> float | None:
        """Annual volatility (fraction), or None until vol_lookback returns have been pushed."""
        if not self._tails:
            return None
        n, k = self.vol_lookback, len(self._head)
        tail_mean, tail_spread = self._tails[k]
        spread = tail_spread
        if k:
            spread += self._head_spread + (self._head_mean - tail_mean) ** 2 * (k * (n - k) / n)
        return math.sqrt(spread / n * self.periods)


def _grow(count: int, mean: float, spread: float, r: float) -> tuple[float, float]:
    off = r - mean
    mean += off / count
    return mean, spread + off * (r - mean)


def _tails(block: list[float]) -> list[tuple[float, float]]:
    mean = spread = 0.0
    tails = []
    for count, r in enumerate(reversed(block), start=1):
        mean, spread = _grow(count, mean, spread, r)
        tails.append((mean, spread))
    return tails[::-1]
