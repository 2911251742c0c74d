"""Confidence intervals from the stationary bootstrap.

References
----------
.. [1] Politis, Romano (1994), The stationary bootstrap.
.. [2] Politis, White (2004), Automatic block-length selection for the dependent bootstrap.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError, require

from .sharpe import as_columns, growths, session_sharpe

__all__ = ["Interval", "bootstrap_intervals", "confidence"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and where the truth may be.

    Attributes
    ----------
    estimate, low, high : float
        Fractions; a Sharpe ratio is annual.
    level : float
        Coverage, a fraction.
    """

    estimate: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f} [{self.low:.2f}, {self.high:.2f}]"


def bootstrap_intervals(
    returns: npt.ArrayLike,
    statistic: Callable[[Floats], npt.ArrayLike],
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    dependence: npt.ArrayLike | None = None,
) -> list[Interval]:
    """Percentile intervals of k statistics from the stationary bootstrap [1]_, its block length automatic [2]_.

    The mean block is the longest that the data ask for: of each column and of its squares, because calm and
    nervous times come in runs too. Columns are drawn together, so that a difference between them is paired.

    Parameters
    ----------
    returns : array-like of shape (n_sessions, n_columns)
        Fractions, at least 50 sessions.
    statistic : callable
        (n_sessions, n_columns) -> (k,), called once for each draw; nan among the draws gives nan.
    draws : int
    level : float
        Coverage wanted, a fraction.
    seed : int
        Of the draws.
    dependence : array-like of shape (n_sessions, n), optional
        Columns whose dependence sets the length of blocks (default: `returns`); a rate moves over years.

    Returns
    -------
    list of Interval

    Raises
    ------
    InputError
        Too few sessions, or a level outside (0, 1).
    MissingExtraError
        arch is not installed.
    """
    require("arch", "sweep", "a confidence interval")
    from arch.bootstrap import StationaryBootstrap

    r = as_columns(returns)
    if len(r) < 50:
        raise InputError(f"{len(r)} sessions are too few for a confidence interval", "give at least 50")
    if not 0.0 < level < 1.0:
        raise InputError("is not a coverage", "give a fraction such as 0.95", "level", level)
    length = _block_length(r if dependence is None else as_columns(dependence))
    bootstrap = StationaryBootstrap(length, r, seed=seed)
    low, high = bootstrap.conf_int(statistic, reps=draws, method="percentile", size=level)
    found = np.atleast_1d(np.asarray(statistic(r), dtype=np.float64))
    return [Interval(float(e), float(a), float(b), level) for e, a, b in zip(found, low, high, strict=True)]


def _block_length(r: Floats) -> float:
    from arch.bootstrap import optimal_block_length

    moving = r[:, r.min(axis=0) < r.max(axis=0)]
    if not moving.size:
        return 1.0
    series = np.hstack([moving, (moving - moving.mean(axis=0)) ** 2])
    scaled = series / series.std(axis=0).clip(min=1e-300)  # numbers near 1e-10 lose digits in arch
    lengths = optimal_block_length(scaled)["stationary"].to_numpy(dtype=np.float64)
    return float(np.nanmax([1.0, *lengths]))


def confidence(
    dynamic: npt.ArrayLike,
    base: npt.ArrayLike | None,
    risk_free: npt.ArrayLike = 0.0,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, Interval]]:
    """Intervals of `excess_sharpe`, `growth`, `max_drawdown`, as `analyzers.summary` defines them.

    Parameters
    ----------
    dynamic, base : array-like of shape (n_sessions,)
        Returns of the same sessions, fractions. Without base it is of one account.
    risk_free : array-like of shape (n_sessions,), or float
        What a bill paid over them; drawn with them.
    draws, level, seed
        As `bootstrap_intervals`.

    Returns
    -------
    dict
        `base`, `dynamic` and `difference` -> statistic -> Interval. The difference, dynamic − base, is paired: both are
        drawn from the same sessions. Of one account: `account` alone.

    Raises
    ------
    InputError, MissingExtraError
        As `bootstrap_intervals`.
    """
    names = ("excess_sharpe", "growth", "max_drawdown")
    legs = [np.asarray(leg, dtype=np.float64) for leg in (base, dynamic) if leg is not None]
    drawn = np.column_stack([*legs, np.broadcast_to(np.asarray(risk_free, dtype=np.float64), legs[0].shape)])
    found = bootstrap_intervals(drawn, _measured, draws=draws, level=level, seed=seed, dependence=drawn[:, :-1])
    portfolios = ("account",) if base is None else ("base", "dynamic", "difference")
    return {leg: {name: found[3 * i + j] for j, name in enumerate(names)} for i, leg in enumerate(portfolios)}


def _measured(drawn: Floats) -> Floats:
    """Sharpe ratio, growth and max drawdown of each column, and of the difference of two, the last is the bill; (3,) or
    (9,)."""
    r, bill = drawn[:, :-1], drawn[:, -1:]
    value = np.vstack([np.ones((1, r.shape[1])), np.cumprod(1.0 + r, axis=0)])
    fall = (value / np.maximum.accumulate(value, axis=0)).min(axis=0) - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = session_sharpe(r - bill) * math.sqrt(PERIODS)
    legs = np.column_stack([sharpe, growths(r), fall])
    return np.concatenate([*legs, *np.diff(legs, axis=0)])
