"""Sharpe ratios, and how sure one may be of them.

A Sharpe ratio here is mean / std(ddof=1) per session of what is given, returns above the bill where it is to be that of
the tables: `analyzers.excess_sharpe` is √252 × it.

References
----------
.. [1] Bailey, López de Prado (2012), The Sharpe ratio efficient frontier.
.. [2] Bailey, López de Prado (2014), The deflated Sharpe ratio.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError

__all__ = [
    "SCORES",
    "Deflated",
    "as_columns",
    "check_criterion",
    "deflated_sharpe",
    "expected_maximum",
    "growths",
    "minimum_track_record",
    "probabilistic_sharpe",
    "session_sharpe",
]

Floats = npt.NDArray[np.float64]


def session_sharpe(returns: npt.ArrayLike) -> Floats:
    """mean / std(ddof=1) per session of each column.

    Parameters
    ----------
    returns : array-like of shape (n_sessions, n_columns) or (n_sessions,)
        Fractions, above the bill.

    Returns
    -------
    ndarray of shape (n_columns,)
        nan where nothing moves.
    """
    r = as_columns(returns)
    still = r.min(axis=0) == r.max(axis=0)  # the mean of equal numbers may round: std would be 1e-18, not 0
    deviation = r.std(axis=0, ddof=min(1, len(r) - 1))
    deviation = np.where(still | (deviation == 0.0), np.nan, deviation)
    return np.asarray(r.mean(axis=0) / deviation)


def growths(returns: npt.ArrayLike) -> Floats:
    """`analyzers.growth` of each column, (end / start)^(252 / n) − 1: a higher end value is a higher growth."""
    r = as_columns(returns)
    end = np.where(r.min(axis=0) > -1.0, np.prod(1.0 + r, axis=0), 0.0)
    with np.errstate(over="ignore"):
        return np.asarray(np.maximum(end, 0.0) ** (PERIODS / len(r)) - 1.0)


def probabilistic_sharpe(
    sharpe: float, benchmark: float, n: int, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Probability that the true Sharpe ratio is above a benchmark ([1]_, eq. 11).

    Φ((SR − SR*)·√(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4·SR²)).

    Parameters
    ----------
    sharpe, benchmark : float
        Per session.
    n : int
        Sessions.
    skewness, kurtosis : float
        Of the returns; kurtosis is 3 for the normal.

    Returns
    -------
    float
        nan when the estimate has no variance to speak of (n < 2, or moments that no distribution has).
    """
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if n < 2 or not variance > 0.0:
        return math.nan
    return float(ndtr((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(variance)))


def minimum_track_record(
    sharpe: float, benchmark: float = 0.0, skewness: float = 0.0, kurtosis: float = 3.0, level: float = 0.95
) -> float:
    """Sessions after which a Sharpe ratio is above a benchmark with some probability ([1]_, eq. 12).

    1 + (1 − γ₃·SR + (γ₄ − 1)/4·SR²)·(Φ⁻¹(level) / (SR − SR*))².

    Parameters
    ----------
    sharpe, benchmark : float
        Per session.
    skewness, kurtosis : float
        Of the returns.
    level : float
        Probability wanted.

    Returns
    -------
    float
        inf if never.
    """
    if math.isnan(sharpe) or math.isnan(benchmark):
        return math.nan
    if sharpe <= benchmark:
        return math.inf
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return float(1.0 + variance * (ndtri(level) / (sharpe - benchmark)) ** 2)


def expected_maximum(n: int) -> float:
    """E[max] of n independent standard normals, approximated [2]_: (1−γ)Φ⁻¹(1−1/n) + γΦ⁻¹(1−1/(n·e)).

    Parameters
    ----------
    n : int

    Returns
    -------
    float
        0 for one, where nothing is chosen.

    Raises
    ------
    InputError
        n below 1.
    """
    if n < 1:
        raise InputError("is not a number of trials", "give a whole number >= 1", "n", n)
    if n == 1:
        return 0.0
    return float((1.0 - np.euler_gamma) * ndtri(1.0 - 1.0 / n) + np.euler_gamma * ndtri(1.0 - 1.0 / (n * math.e)))


@dataclass(frozen=True)
class Deflated:
    """A Sharpe ratio against the best that as many trials without any skill would show, per session.

    Attributes
    ----------
    sharpe : float
    luck : float
        SR₀, the expected best of the trials if every true Sharpe ratio were 0.
    probability : float
        The deflated Sharpe ratio: probability that the true one is above `luck`.
    zero : float
        The probabilistic Sharpe ratio: probability that the true one is above 0.
    sessions : int
    needed : float
        Sessions after which it is above `luck` with 95 % probability; inf if it is not.
    """

    sharpe: float
    luck: float
    probability: float
    zero: float
    sessions: int
    needed: float


def deflated_sharpe(returns: npt.ArrayLike, sharpes: npt.ArrayLike) -> Deflated:
    """Deflated Sharpe ratio [2]_ of the series chosen, among the trials it was chosen from.

    SR₀ = √V·E[max of n_trials], V the variance (ddof=1) between the trials. Trials are counted as if independent;
    neighbours on a grid are not, which makes the count too large but V small.

    Parameters
    ----------
    returns : array-like of shape (n_sessions,)
        Of the chosen series, fractions.
    sharpes : array-like of shape (n_trials,)
        Sharpe ratios per session of every trial run, the chosen one included; nan is left out.

    Returns
    -------
    Deflated
    """
    r = np.asarray(returns, dtype=np.float64)
    tried = np.asarray(sharpes, dtype=np.float64)
    tried = tried[np.isfinite(tried)]
    own = session_sharpe(r).item()
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


def as_columns(returns: npt.ArrayLike) -> Floats:
    """Returns as (n_sessions, n_columns); (n_sessions,) is one column. InputError for any other shape, or none."""
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim == 1:
        r = r[:, None]
    if r.ndim != 2 or not r.size:
        raise InputError(f"returns has shape {r.shape}", "give (n_sessions, n_columns), not empty")
    return r


SCORES: dict[str, Callable[[npt.ArrayLike], Floats]] = {"sharpe": session_sharpe, "growth": growths}
"""What may be chosen by: (n_sessions, n_columns) -> (n_columns,), more is better. Sharpe: of returns above the bill."""


def check_criterion(criterion: str) -> None:
    """InputError for what nothing may be chosen by."""
    if criterion == "return":
        raise InputError("is the mean, by which an account may lose and win", "give growth", "criterion", criterion)
    if criterion not in SCORES:
        raise InputError("is unknown", f"give one of {', '.join(SCORES)}", "criterion", criterion)
