"""Portfolio weights from a covariance: risk parity, minimum variance, and their blend."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from .covariance import SHRINKAGES, estimate_covariance

__all__ = [
    "MIN_VARIANCES",
    "RISK_PARITIES",
    "blend",
    "blended_weights",
    "check_weight_params",
    "minimum_variance",
    "minimum_variance_clipped",
    "risk_contributions",
    "risk_parity",
    "risk_parity_notebook",
]

Array = NDArray[np.float64]

RISK_PARITIES = ("converged", "notebook")
MIN_VARIANCES = ("long_only", "clipped")

SINGULAR_CURE = "raise shrink_alpha, lengthen cov_lookback or drop the asset that repeats others"

# Risk contributions x Cx of a converged solution (they sum to 1) differ from the budgets by no more.
RESIDUAL = 1e-11
# A correlation matrix with an eigenvalue below -n * this is not a rounding error away from semidefinite.
NEGATIVE_EIGENVALUE = 1e-10
# Above this condition number the inverse of a correlation matrix holds no correct digit worth trading.
SINGULAR = 1e13
# Newton steps are taken whole once no x changes by more than this fraction of itself.
WHOLE_STEP = 0.25


def risk_parity(
    cov: ArrayLike, budgets: ArrayLike | None = None, *, tol: float = 1e-20, max_iter: int = 100
) -> Array:
    """Long-only weights, shape (n,), sum 1, at which asset i holds the share b_i of the variance.

    cov: (n, n), any period. budgets: (n,), positive, normalised to sum 1; None means equal.
    Minimises 1/2 x'Cx - b'ln x on the correlation matrix C and returns w ∝ x/σ (Maillard, Roncalli,
    Teiletche 2010; Bruder, Roncalli 2012) by Newton's method, its step d damped by 1 / (1 + max|d/x|) until
    the steps are short (Spinu 2013).
    The start √b, scaled so that x'Cx = 1 as in the solution, is the solution itself when correlations are
    zero, and takes 5 to 7 steps on markets. It ends when the squared Newton decrement λ² is at most tol.

    Works on singular matrices (repeated assets) unless some long-only portfolio has no risk at all.
    ValueError: bad cov or budgets. RuntimeError, with count and residual: not converged in max_iter steps.
    """
    C, sigma = _correlation(cov)
    b = _check_budgets(budgets, len(sigma))
    x: Array = np.sqrt(b)
    x = x / np.sqrt(np.maximum(x @ C @ x, np.finfo(float).eps))
    for steps in range(max_iter):
        # In y = d/x the Hessian C + diag(b/x²) becomes XCX + diag(b), which no size of x makes singular.
        g = x * (C @ x) - b
        try:
            y = -np.linalg.solve(C * np.outer(x, x) + np.diag(b), g)
        except np.linalg.LinAlgError:  # x has run away: some portfolio without short positions has no risk
            raise RuntimeError(_not_converged(C, x, b, f"after {steps} steps")) from None
        if -g @ y <= tol:  # λ²
            x = x * (1.0 + y)
            break
        change = np.max(np.abs(y))
        x = x * (1.0 + (y if change <= WHOLE_STEP else y / (1.0 + change)))
    else:
        raise RuntimeError(_not_converged(C, x, b, f"after {max_iter} steps"))
    if not _residual(C, x, b) <= RESIDUAL:
        raise RuntimeError(_not_converged(C, x, b, "at its last step"))
    w = x / sigma
    return np.asarray(w / w.sum())


def risk_parity_notebook(
    cov: ArrayLike, budgets: ArrayLike | None = None, *, max_iter: int = 1000, tol: float = 1e-8
) -> Array:
    """The notebook's iteration w <- w b σp² / (w Σw), kept only to reproduce its results.

    It does NOT converge in general. It divides by a risk contribution that is itself proportional to w, so
    with low correlations w is thrown from one side of the solution to the other for ever: two uncorrelated
    assets of σ 2 and 3 cycle (.5, .5) <-> (.692, .308) about the answer (.6, .4). What it returns then is
    wherever max_iter left it, and no error is raised: use `risk_parity`.
    tol bounds max|w Σw - b σp²| in units of variance per bar, so it also depends on the scale of cov.
    """
    Sigma = _check_cov(cov)
    b = _check_budgets(budgets, len(Sigma))
    w = np.full(len(Sigma), 1.0 / len(Sigma))
    for _ in range(max_iter):
        rc = w * (Sigma @ w)
        target = b * rc.sum()
        if np.max(np.abs(rc - target)) < tol:
            break
        w = np.maximum(w * target / (rc + 1e-12), 0.0)
        w = w / w.sum()
    return w


def minimum_variance(cov: ArrayLike) -> Array:
    """Long-only weights of least variance, shape (n,), Σw = 1, w >= 0, solved exactly.

    cov: (n, n), any period. With Σ = A'A the weights are w ∝ argmin |Ay|² + (Σy - 1)² over y >= 0, a
    non-negative least squares problem. (The scale of y that the second term asks for does not depend on its
    direction, so the direction is that of least variance; the form argmin |L'x - L⁻¹1| has the same
    solution but needs an invertible Σ.) A comes from the correlation matrix and the smallest σ is the unit,
    so that neither the period nor unequal volatilities spoil the tolerance.
    Repeated assets: the portfolio is of least variance, its split among the copies is arbitrary.
    ValueError: bad cov, or one with a clearly negative eigenvalue.
    """
    C, sigma = _correlation(cov)
    A = _square_root(C)
    inverse_sigma = sigma.min() / sigma
    y, _ = nnls(np.vstack([A, inverse_sigma]), np.append(np.zeros(len(A)), 1.0), maxiter=30 * len(A) + 100)
    w = y * inverse_sigma
    return np.asarray(w / w.sum())


def _square_root(C: Array) -> Array:
    """A with A'A = C: by Cholesky, or from the eigenvectors where C is singular, which takes ten times as long."""
    try:
        return np.asarray(np.linalg.cholesky(C).T)
    except np.linalg.LinAlgError:
        values, V = np.linalg.eigh(C)
    if values[0] < -NEGATIVE_EIGENVALUE * len(C):
        raise ValueError(
            f"cov has a negative eigenvalue ({values[0]:.3g} in correlations): give a covariance"
        )
    return np.asarray(np.sqrt(np.clip(values, 0.0, None))[:, None] * V.T)


def minimum_variance_clipped(cov: ArrayLike) -> Array:
    """The notebook's shortcut: Σ⁻¹1 normalised, negative weights set to 0, normalised again.

    Not of minimum variance as soon as one weight is clipped: use `minimum_variance`.
    ValueError: bad cov, or a singular one.
    """
    Sigma = _check_cov(cov)
    C, _ = _correlation(Sigma)
    condition = np.linalg.cond(C)
    if condition > SINGULAR:
        raise ValueError(f"cov is singular (condition number {condition:.1e}): {SINGULAR_CURE}")
    w = np.linalg.solve(Sigma, np.ones(len(Sigma)))
    w = np.clip(w / w.sum(), 0.0, None)
    return np.asarray(w / w.sum())


def risk_contributions(w: ArrayLike, cov: ArrayLike) -> Array:
    """Shares of the portfolio's variance, w Σw / w'Σw, shape (n,), sum 1; negative where an asset hedges.

    ValueError: a portfolio without variance.
    """
    w = np.asarray(w, dtype=float)
    rc = w * (np.asarray(cov, dtype=float) @ w)
    variance = rc.sum()
    if not variance > 0.0:
        raise ValueError(f"portfolio variance is {variance:.3g}: risk shares need a portfolio with risk")
    return np.asarray(rc / variance)


def blend(w_rp: ArrayLike, w_mv: ArrayLike, alpha_minvar: float) -> Array:
    """(1 - a) w_rp + a w_mv, renormalised to sum 1; a = alpha_minvar in [0, 1]."""
    _check_fraction("alpha_minvar", alpha_minvar)
    w = (1.0 - alpha_minvar) * np.asarray(w_rp, dtype=float) + alpha_minvar * np.asarray(w_mv, dtype=float)
    return np.asarray(w / w.sum())


def blended_weights(
    returns: ArrayLike,
    *,
    shrinkage: str = "diagonal",
    shrink_alpha: float = 0.30,
    alpha_minvar: float = 0.30,
    risk_parity: str = "converged",
    min_variance: str = "long_only",
    budgets: ArrayLike | None = None,
) -> Array:
    """Weights of the system, shape (n_assets,), >= 0, sum 1, from returns (n_observations, n_assets).

    returns: log returns per bar of the lookback only. risk_parity: "converged" or "notebook"; min_variance:
    "long_only" or "clipped"; shrinkage: "diagonal" (with shrink_alpha) or "ledoit_wolf".
    budgets: risk budgets of the risk parity part, None means equal.
    ValueError: a bad argument or return; RuntimeError: no convergence.
    """
    check_weight_params(
        shrinkage=shrinkage,
        shrink_alpha=shrink_alpha,
        alpha_minvar=alpha_minvar,
        risk_parity=risk_parity,
        min_variance=min_variance,
    )
    cov = estimate_covariance(returns, shrinkage=shrinkage, shrink_alpha=shrink_alpha)
    solve = _converged if risk_parity == "converged" else risk_parity_notebook
    w_rp = solve(cov, budgets)
    w_mv = minimum_variance(cov) if min_variance == "long_only" else minimum_variance_clipped(cov)
    return blend(w_rp, w_mv, alpha_minvar)


def check_weight_params(
    *,
    shrinkage: str = "diagonal",
    shrink_alpha: float = 0.30,
    alpha_minvar: float = 0.30,
    risk_parity: str = "converged",
    min_variance: str = "long_only",
    cov_lookback: int = 252,
    min_hist: int = 252,
) -> None:
    """Raise a one-line ValueError for the first parameter that no weights can be computed with."""
    _check_choice("shrinkage", shrinkage, SHRINKAGES)
    _check_choice("risk_parity", risk_parity, RISK_PARITIES)
    _check_choice("min_variance", min_variance, MIN_VARIANCES)
    _check_fraction("shrink_alpha", shrink_alpha)
    _check_fraction("alpha_minvar", alpha_minvar)
    for name, value in (("cov_lookback", cov_lookback), ("min_hist", min_hist)):
        if not (isinstance(value, Integral) and value >= 2):
            raise ValueError(f"{name}={value} is not a whole number of at least 2: give a number of sessions")


_converged = risk_parity  # the function, where a parameter of the same name hides it


def _check_cov(cov: ArrayLike) -> Array:
    Sigma = np.asarray(cov, dtype=float)
    if Sigma.ndim != 2 or Sigma.shape[0] != Sigma.shape[1] or Sigma.size == 0:
        raise ValueError(f"cov has shape {Sigma.shape}: give a square matrix, one row an asset")
    if not np.isfinite(Sigma).all():
        raise ValueError("cov is not finite: drop or fill the returns it was made from")
    variance = np.diag(Sigma)
    if not (variance > 0.0).all():
        asset = int(np.argmax(~(variance > 0.0)))
        raise ValueError(f"variance of asset {asset} is {variance[asset]:.3g}: drop it or look further back")
    if np.max(np.abs(Sigma - Sigma.T)) > 1e-8 * variance.max():
        raise ValueError("cov is not symmetric: give a covariance")
    return Sigma


def _correlation(cov: ArrayLike) -> tuple[Array, Array]:
    Sigma = _check_cov(cov)
    sigma = np.sqrt(np.diag(Sigma))
    C = Sigma / np.outer(sigma, sigma)
    return (C + C.T) / 2.0, sigma


def _check_budgets(budgets: ArrayLike | None, n: int) -> Array:
    b = np.ones(n) if budgets is None else np.asarray(budgets, dtype=float)
    if b.shape != (n,):
        raise ValueError(f"budgets have shape {b.shape} for {n} assets: give one budget an asset")
    if not (np.isfinite(b).all() and (b > 0.0).all()):
        raise ValueError(f"budgets={b.tolist()} are not all positive: drop an asset that may carry no risk")
    return np.asarray(b / b.sum())


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown: give one of {', '.join(choices)}")


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name}={value} is outside [0, 1]: give a fraction such as 0.30")


def _residual(C: Array, x: Array, b: Array) -> float:
    return float(np.max(np.abs(x * (C @ x) - b)))


def _not_converged(C: Array, x: Array, b: Array, when: str) -> str:
    residual = _residual(C, x, b)
    return f"risk parity has not converged {when}, risk shares are off by {residual:.3g}: {SINGULAR_CURE}"
