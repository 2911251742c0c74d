"""How much of a result is luck: plain functions over returns, fractions per session in and out.

Sources: Bailey and López de Prado, "The Sharpe ratio efficient frontier" (2012) and "The deflated Sharpe ratio"
(2014); Bailey, Borwein, López de Prado and Zhu, "The probability of backtest overfitting" (2017); Politis and Romano,
"The stationary bootstrap" (1994); Politis and White, "Automatic block-length selection" (2004).

A Sharpe ratio here is mean / std(ddof=0) per session unless it is said to be annual: that is the one whose error
is known. The annual one of the tables, `analyzers.sharpe_ratio`, compounds the mean first; `annual_sharpe` translates.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

__all__ = [
    "CRITERIA",
    "EULER_GAMMA",
    "PERIODS",
    "Deflated",
    "Interval",
    "Overfitting",
    "annual_sharpe",
    "annualized_returns",
    "bootstrap_intervals",
    "check_arch",
    "confidence",
    "cscv",
    "deflated_sharpe",
    "expect_arch",
    "expected_maximum",
    "minimum_track_record",
    "probabilistic_sharpe",
    "session_sharpe",
]

PERIODS = 252
"""Sessions in a year."""

EULER_GAMMA = 0.5772156649015329

Floats = npt.NDArray[np.float64]


# -- Sharpe ratios -----------------------------------------------------------------------------------------------------


def session_sharpe(returns: npt.ArrayLike) -> Floats:
    """mean / std(ddof=0) per session of each column, shape (n_columns,); nan where nothing moves.

    returns: (n_sessions, n_columns), or (n_sessions,) for one, which gives shape (1,).
    """
    r = _columns(returns)
    still = r.min(axis=0) == r.max(axis=0)  # the mean of equal numbers may round: std would be 1e-18, not 0
    deviation = np.where(still, np.nan, r.std(axis=0))
    return np.asarray(r.mean(axis=0) / deviation)


def annualized_returns(returns: npt.ArrayLike) -> Floats:
    """(1 + mean)^252 − 1 of each column, as `analyzers.annualized_return`."""
    return np.asarray(np.maximum(1.0 + _columns(returns).mean(axis=0), 0.0) ** PERIODS - 1.0)


def annual_sharpe(sharpe: float, volatility: float) -> float:
    """The ratio of the tables, ((1 + mean)^252 − 1) / annual volatility, for a Sharpe ratio per session.

    volatility: annual, a fraction: the two differ only by compounding the mean, which depends on its size.
    """
    mean = sharpe * volatility / math.sqrt(PERIODS)
    return (max(1.0 + mean, 0.0) ** PERIODS - 1.0) / volatility if volatility > 0.0 else math.nan


CRITERIA: dict[str, Callable[[npt.ArrayLike], Floats]] = {
    "sharpe": session_sharpe,
    "return": annualized_returns,
}
"""What may be chosen by: (n_sessions, n_columns) -> (n_columns,), more is better."""


def probabilistic_sharpe(
    sharpe: float, benchmark: float, n: int, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Probability that the true Sharpe ratio is above `benchmark` (2012, eq. 11), all per session.

    Φ((SR − SR*)·√(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4·SR²)); n sessions, kurtosis 3 for the normal. nan when the
    estimate has no variance to speak of (n < 2, or moments that no distribution has).
    """
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if n < 2 or not variance > 0.0:
        return math.nan
    return float(ndtr((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(variance)))


def minimum_track_record(
    sharpe: float,
    benchmark: float = 0.0,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    level: float = 0.95,
) -> float:
    """Sessions after which a Sharpe ratio is above `benchmark` with probability `level` (2012, eq. 12); inf if never.

    1 + (1 − γ₃·SR + (γ₄ − 1)/4·SR²)·(Φ⁻¹(level) / (SR − SR*))².
    """
    if math.isnan(sharpe) or math.isnan(benchmark):
        return math.nan
    if sharpe <= benchmark:
        return math.inf
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return float(1.0 + variance * (ndtri(level) / (sharpe - benchmark)) ** 2)


def expected_maximum(n: int) -> float:
    """E[max] of n independent standard normals, by the approximation of 2014: (1−γ)Φ⁻¹(1−1/n) + γΦ⁻¹(1−1/(n·e)).

    0 for one, where nothing is chosen. Raises ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"n={n} is not a number of trials: give a whole number >= 1")
    if n == 1:
        return 0.0
    return float((1.0 - EULER_GAMMA) * ndtri(1.0 - 1.0 / n) + EULER_GAMMA * ndtri(1.0 - 1.0 / (n * math.e)))


@dataclass(frozen=True)
class Deflated:
    """A Sharpe ratio against the best that as many trials without any skill would show. Per session."""

    sharpe: float
    luck: float
    """SR₀, the expected best of the trials if every true Sharpe ratio were 0."""
    probability: float
    """The deflated Sharpe ratio: probability that the true one is above `luck`."""
    zero: float
    """The probabilistic Sharpe ratio: probability that the true one is above 0."""
    sessions: int
    needed: float
    """Sessions after which it is above `luck` with 95 % probability; inf if it is not."""


def deflated_sharpe(returns: npt.ArrayLike, sharpes: npt.ArrayLike) -> Deflated:
    """Deflated Sharpe ratio (2014) of the series chosen, among the trials it was chosen from.

    Parameters
    ----------
    returns : (n_sessions,) of the chosen series
    sharpes : (n_trials,) Sharpe ratios per session of every trial run, the chosen one included; nan is left out

    SR₀ = √V·E[max of n_trials], V the variance (ddof=1) between the trials. Trials are counted as if independent;
    neighbours on a grid are not, which makes the count too large but V small.
    """
    r = np.asarray(returns, dtype=np.float64)
    tried = np.asarray(sharpes, dtype=np.float64)
    tried = tried[np.isfinite(tried)]
    own = float(session_sharpe(r)[0])
    z = (r - r.mean()) / r.std() if math.isfinite(own) else np.zeros(1)
    shape = (float((z**3).mean()), float((z**4).mean()))  # skewness and kurtosis
    luck = float(np.sqrt(tried.var(ddof=1)) * expected_maximum(tried.size)) if tried.size > 1 else 0.0
    return Deflated(
        sharpe=own,
        luck=luck,
        probability=probabilistic_sharpe(own, luck, r.size, *shape),
        zero=probabilistic_sharpe(own, 0.0, r.size, *shape),
        sessions=r.size,
        needed=minimum_track_record(own, luck, *shape),
    )


# -- overfitting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overfitting:
    """What choosing the best of the past did for the rest, over every split of the sessions in halves."""

    probability: float
    """PBO: how often the best in sample is in the lower half out of sample; 0.5 is what chance does."""
    in_sample: Floats
    """Criterion of the best in sample, shape (n_splits,)."""
    out_of_sample: Floats
    """Its criterion on the other half, shape (n_splits,)."""
    chosen: npt.NDArray[np.intp]
    """Which trial it was, shape (n_splits,)."""


def cscv(returns: npt.ArrayLike, *, blocks: int = 16, criterion: str = "sharpe") -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation (2017).

    The sessions are cut into `blocks` of equal length (the first few that do not fit are left out). For every choice
    of half of the blocks the best trial on them is ranked among all trials on the other half; ω = rank / (n + 1) with
    rank n the best, and PBO is how often ω < ½. A median, ω = ½, counts half, so that noise gives ½ for every n.

    returns : (n_sessions, n_trials), the same sessions for all; criterion : "sharpe" or "return" (of `CRITERIA`).
    Raises ValueError for fewer than 2 trials, blocks odd, below 2, or with fewer than 2 sessions each.
    """
    r = _columns(returns)
    if r.shape[1] < 2:
        raise ValueError(f"returns has {r.shape[1]} trials: give at least 2 to choose from")
    if blocks < 2 or blocks % 2:
        raise ValueError(f"blocks={blocks} cannot be split in halves: give an even number, e.g. 16")
    length = len(r) // blocks
    if length < 2:
        raise ValueError(f"{len(r)} sessions are too few for blocks={blocks}: give a smaller even number")
    if criterion not in CRITERIA:
        raise ValueError(f"criterion={criterion!r} is unknown: give one of {', '.join(CRITERIA)}")
    parts = r[len(r) - length * blocks :].reshape(blocks, length, -1)
    half = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, kept in zip(half, combinations(range(blocks), blocks // 2), strict=True):
        row[list(kept)] = 1.0
    # Mean and variance of any union of blocks follow from sums over blocks, taken about the overall mean.
    centre = parts.mean(axis=(0, 1))
    sums = (parts - centre).sum(axis=1)
    squares = ((parts - centre) ** 2).sum(axis=1)
    n = length * blocks // 2

    def score(chosen: Floats) -> Floats:
        off = chosen @ sums / n
        if criterion == "return":
            return np.asarray(centre + off)
        variance = np.maximum(chosen @ squares / n - off**2, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(variance > 1e-24, (centre + off) / np.sqrt(variance), -np.inf)

    inside, outside = score(half), score(1.0 - half)
    best = inside.argmax(axis=1)
    every = np.arange(len(half))
    own = outside[every, best, None]
    rank = (outside < own).sum(axis=1) + ((outside == own).sum(axis=1) + 1) / 2
    middle = (r.shape[1] + 1) / 2
    annual = PERIODS if criterion == "return" else math.sqrt(PERIODS)
    return Overfitting(
        probability=float(np.mean(rank < middle) + np.mean(rank == middle) / 2),
        in_sample=inside[every, best] * annual,
        out_of_sample=outside[every, best] * annual,
        chosen=best,
    )


# -- bootstrap ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """An estimate and where the truth may be. Fractions; a Sharpe ratio is annual."""

    estimate: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f} [{self.low:.2f}, {self.high:.2f}]"


def check_arch() -> None:
    """Raise ImportError, with the cure, unless the bootstrap can be drawn."""
    if importlib.util.find_spec("arch") is None:
        raise ImportError(
            "confidence intervals need arch: install it with pip install 'backtrader-riskoverlay[sweep]'"
        )


def expect_arch() -> None:
    """Import arch in the background: it takes seconds, which a sweep may as well spend at the same time."""
    check_arch()
    threading.Thread(target=importlib.import_module, args=("arch.bootstrap",), daemon=True).start()


def bootstrap_intervals(
    returns: npt.ArrayLike,
    statistic: Callable[[Floats], npt.ArrayLike],
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """Percentile intervals of k statistics from the stationary bootstrap (1994), its block length automatic (2004).

    The mean block is the longest that the data ask for: of each column and of its squares, because calm and
    nervous times come in runs too. Columns are drawn together, so that a difference between them is paired.

    Parameters
    ----------
    returns : (n_sessions, n_columns), at least 50 sessions
    statistic : (n_sessions, n_columns) -> (k,), called once for each draw; nan among the draws gives nan
    draws, level, seed : number of draws, coverage wanted as a fraction, seed of the draws

    Raises
    ------
    ValueError, ImportError
        Too few sessions, or a level outside (0, 1); arch is not installed.
    """
    check_arch()
    from arch.bootstrap import StationaryBootstrap

    r = _columns(returns)
    if len(r) < 50:
        raise ValueError(f"{len(r)} sessions are too few for a confidence interval: give at least 50")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level} is not a coverage: give a fraction such as 0.95")
    bootstrap = StationaryBootstrap(_block_length(r), r, seed=seed)
    drawn = np.array([statistic(data[0]) for data, _ in bootstrap.bootstrap(draws)]).reshape(draws, -1)
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
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
    dynamic: npt.ArrayLike, base: npt.ArrayLike, *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, dict[str, Interval]]:
    """Intervals of `sharpe`, `ann_ret`, `max_drawdown` (as `analyzers.summary`) of `base`, `dynamic`, `difference`.

    dynamic, base : (n_sessions,) returns of the same sessions. The difference, dynamic − base, is paired: both are
    drawn from the same sessions. Errors as `bootstrap_intervals`.
    """
    names = ("sharpe", "ann_ret", "max_drawdown")
    both = np.column_stack([np.asarray(base, dtype=np.float64), np.asarray(dynamic, dtype=np.float64)])
    found = bootstrap_intervals(both, _base_dynamic_difference, draws=draws, level=level, seed=seed)
    legs = ("base", "dynamic", "difference")
    return {leg: {name: found[3 * i + j] for j, name in enumerate(names)} for i, leg in enumerate(legs)}


def _base_dynamic_difference(r: Floats) -> Floats:
    """Sharpe ratio, return and max drawdown of two columns and of their difference, shape (9,)."""
    annual = annualized_returns(r)
    volatility = r.std(axis=0) * math.sqrt(PERIODS)
    value = np.vstack([np.ones((1, r.shape[1])), np.cumprod(1.0 + r, axis=0)])
    fall = (value / np.maximum.accumulate(value, axis=0)).min(axis=0) - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = np.where(r.min(axis=0) < r.max(axis=0), annual / volatility, np.nan)
    legs = np.column_stack([sharpe, annual, fall])
    return np.concatenate([legs[0], legs[1], legs[1] - legs[0]])


def _columns(returns: npt.ArrayLike) -> Floats:
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim == 1:
        r = r[:, None]
    if r.ndim != 2 or not r.size:
        raise ValueError(f"returns has shape {r.shape}: give (n_sessions, n_columns), not empty")
    return r
