"""Covariance of returns, shrunk: to its own diagonal, or by Ledoit and Wolf."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskoverlay.errors import InputError

__all__ = ["SHRINKAGES", "estimate_covariance", "ledoit_wolf", "sample_covariance", "shrink_to_diagonal"]

Array = NDArray[np.float64]

SHRINKAGES = ("diagonal", "ledoit_wolf")

# An asset whose returns spread over less than this fraction of their size is constant up to rounding.
CONSTANT = 1e-12


def sample_covariance(returns: ArrayLike) -> Array:
    """Sample covariance, ddof=1.

    Parameters
    ----------
    returns : array-like of shape (n_observations, n_assets)
        Fractions per bar.

    Returns
    -------
    ndarray of shape (n_assets, n_assets)
        Per bar.

    Raises
    ------
    InputError
        Not two-dimensional, fewer than 2 rows, not finite, an asset that never moves.
    """
    return np.atleast_2d(np.cov(_check_returns(returns), rowvar=False, ddof=1))


def shrink_to_diagonal(S: ArrayLike, shrink_alpha: float) -> Array:
    """(1 − a) S + a diag(S): variances stay, correlations shrink by 1 − a.

    Parameters
    ----------
    S : array-like of shape (n, n)
        Covariance.
    shrink_alpha : float
        a, in [0, 1].

    Returns
    -------
    ndarray of shape (n, n)

    Raises
    ------
    InputError
        `shrink_alpha` outside [0, 1].
    """
    if not 0.0 <= shrink_alpha <= 1.0:
        raise InputError("is outside [0, 1]", "give a fraction such as 0.30", "shrink_alpha", shrink_alpha)
    S = np.asarray(S, dtype=float)
    return (1.0 - shrink_alpha) * S + shrink_alpha * np.diag(np.diag(S))


def ledoit_wolf(returns: ArrayLike) -> tuple[Array, float]:
    """Covariance shrunk to μI, and the shrinkage that minimises the expected squared error [1]_.

    Parameters
    ----------
    returns : array-like of shape (n_observations, n_assets)
        Fractions per bar.

    Returns
    -------
    covariance : ndarray of shape (n_assets, n_assets)
        Per bar, normalised by 1/n as in the paper, not by 1/(n − 1) as `sample_covariance`; weights do not depend on
        that. Equal to `sklearn.covariance.ledoit_wolf`.
    shrinkage : float
        In [0, 1].

    Raises
    ------
    InputError
        As `sample_covariance`.

    References
    ----------
    .. [1] Ledoit, Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices.
    """
    X = _check_returns(returns)
    X = X - X.mean(axis=0)
    n, p = X.shape
    S = X.T @ X / n
    mu = np.trace(S) / p
    delta = np.sum((S - mu * np.eye(p)) ** 2) / p  # distance of S from its target
    beta = (np.sum(np.sum(X**2, axis=1) ** 2) / n - np.sum(S**2)) / (n * p)  # error of S itself
    shrinkage = float(np.clip(beta / delta, 0.0, 1.0)) if delta > 0.0 else 0.0
    return (1.0 - shrinkage) * S + shrinkage * mu * np.eye(p), shrinkage


def estimate_covariance(returns: ArrayLike, *, shrinkage: str = "diagonal", shrink_alpha: float = 0.30) -> Array:
    """Covariance by the name of its shrinkage.

    Parameters
    ----------
    returns : array-like of shape (n_observations, n_assets)
        Fractions per bar.
    shrinkage : {"diagonal", "ledoit_wolf"}
        Towards the own diagonal, by `shrink_alpha`; or by Ledoit and Wolf, who find their own.
    shrink_alpha : float
        In [0, 1].

    Returns
    -------
    ndarray of shape (n_assets, n_assets)
        Per bar.

    Raises
    ------
    InputError
        Another name, or as `sample_covariance` and `shrink_to_diagonal`.
    """
    if shrinkage == "diagonal":
        return shrink_to_diagonal(sample_covariance(returns), shrink_alpha)
    if shrinkage == "ledoit_wolf":
        return ledoit_wolf(returns)[0]
    raise InputError("is unknown", f"give one of {', '.join(SHRINKAGES)}", "shrinkage", shrinkage)


def _check_returns(returns: ArrayLike) -> Array:
    X = np.asarray(returns, dtype=float)
    if X.ndim != 2 or X.shape[1] == 0:
        raise InputError(f"returns have shape {X.shape}", "give one row an observation and one column an asset")
    if X.shape[0] < 2:
        raise InputError(f"returns have {X.shape[0]} rows", "a covariance needs at least 2, give a longer history")
    bad = ~np.isfinite(X).all(axis=0)
    if bad.any():
        raise InputError(f"returns of asset {int(np.argmax(bad))} are not all finite", "drop or fill those rows")
    still = np.ptp(X, axis=0) <= CONSTANT * np.abs(X).max(axis=0)
    if still.any():
        asset = int(np.argmax(still))
        raise InputError(f"returns of asset {asset} never change in {X.shape[0]} rows", "drop it or look further back")
    return X
