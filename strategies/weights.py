"""Portfolio weights from a covariance: risk parity, minimum variance, and their blend."""

from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.lapack import dposv
from scipy.optimize import nnls

from riskoverlay.errors import ConvergenceError, InputError

from .covariance import estimate_covariance
from .rules import WeightRules
from .weighting import Answers

__all__ = [
    "WeightMemory",
    "blend",
    "blended_weights",
    "minimum_variance",
    "minimum_variance_clipped",
    "risk_contributions",
    "risk_parity",
    "risk_parity_notebook",
]

Array = NDArray[np.float64]

SINGULAR_CURE = "raise shrink_alpha, lengthen cov_lookback or drop the asset that repeats others"

# Risk contributions x Cx of a converged solution (they sum to 1) differ from the budgets by no more.
RESIDUAL = 1e-11
# A correlation matrix with an eigenvalue below -n * this is not a rounding error away from semidefinite.
NEGATIVE_EIGENVALUE = 1e-10
# Above this condition number the inverse of a correlation matrix holds no correct digit worth trading.
SINGULAR = 1e13
# Newton steps are taken whole once no x changes by more than this fraction of itself.
WHOLE_STEP = 0.25


def risk_parity(cov: ArrayLike, budgets: ArrayLike | None = None, *, tol: float = 1e-20, max_iter: int = 100) -> Array:
    """Long-only weights at which asset i holds the share b_i of the variance.

    Parameters
    ----------
    cov : array-like of shape (n, n)
        Covariance, of any period; it may be singular (repeated assets) unless some long-only portfolio has no risk.
    budgets : array-like of shape (n,), optional
        Positive shares b, normalised to sum 1 (default: equal).
    tol : float
        It ends when the squared Newton decrement λ² is at most this.
    max_iter : int
        Steps after which it gives up; markets take 5 to 7.

    Returns
    -------
    ndarray of shape (n,)
        Fractions, sum 1.

    Raises
    ------
    InputError
        Bad `cov` or `budgets`.
    ConvergenceError
        Not converged in `max_iter` steps; with count and residual.

    Notes
    -----
    Minimises ½x'Cx − b'ln x on the correlation matrix C and returns w ∝ x/σ [1]_ [2]_, by Newton's method, its step d
    found by Cholesky and damped by 1 / (1 + max|d/x|) until the steps are short [3]_. The start √b, scaled so that
    x'Cx = 1 as in the solution, is the solution itself when correlations are zero.

    References
    ----------
    .. [1] Maillard, Roncalli, Teiletche (2010), The properties of equally weighted risk contribution portfolios.
    .. [2] Bruder, Roncalli (2012), Managing risk exposures using the risk budgeting approach.
    .. [3] Spinu (2013), An algorithm for computing risk parity weights.
    """
    C, sigma = _correlation(cov)
    b = _check_budgets(budgets, len(sigma))
    x: Array = np.sqrt(b)
    x = x / np.sqrt(np.maximum(x @ C @ x, np.finfo(float).eps))
    B = np.diag(b)
    for steps in range(max_iter):
        # In y = d/x the Hessian C + diag(b/x²) becomes XCX + diag(b), which no size of x makes singular.
        g = x * (C @ x) - b
        _, y, info = dposv(C * x * x[:, None] + B, -g)
        if info:  # x has run away: some portfolio without short positions has no risk
            raise ConvergenceError(_not_converged(C, x, b, f"after {steps} steps"))
        if -g @ y <= tol:  # λ²
            x = x * (1.0 + y)
            break
        change = np.max(np.abs(y))
        x = x * (1.0 + (y if change <= WHOLE_STEP else y / (1.0 + change)))
    else:
        raise ConvergenceError(_not_converged(C, x, b, f"after {max_iter} steps"))
    if not _residual(C, x, b) <= RESIDUAL:
        raise ConvergenceError(_not_converged(C, x, b, "at its last step"))
    w = x / sigma
    return np.asarray(w / w.sum())


def risk_parity_notebook(
    cov: ArrayLike, budgets: ArrayLike | None = None, *, max_iter: int = 1000, tol: float = 1e-8
) -> Array:
    """The notebook's iteration w ← w b σp² / (w Σw), kept only to reproduce its results: use `risk_parity`.

    It does NOT converge in general. It divides by a risk contribution that is itself proportional to w, so
    with low correlations w is thrown from one side of the solution to the other for ever: two uncorrelated
    assets of σ 2 and 3 cycle (.5, .5) ↔ (.692, .308) about the answer (.6, .4). What it returns then is
    wherever `max_iter` left it, and no error is raised.

    Parameters
    ----------
    cov : array-like of shape (n, n)
        Covariance per bar.
    budgets : array-like of shape (n,), optional
        Positive shares of the variance (default: equal).
    max_iter : int
        Rounds at most.
    tol : float
        It stops when max|w Σw − b σp²| is below this: in units of variance, so it depends on the scale of `cov`.

    Returns
    -------
    ndarray of shape (n,)
        Fractions, sum 1.

    Raises
    ------
    InputError
        Bad `cov` or `budgets`.
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
    """Long-only weights of least variance, Σw = 1, w >= 0, solved exactly.

    Parameters
    ----------
    cov : array-like of shape (n, n)
        Covariance, of any period. Where assets are repeated the split among the copies is arbitrary.

    Returns
    -------
    ndarray of shape (n,)
        Fractions, sum 1.

    Raises
    ------
    InputError
        Bad `cov`, or one with a clearly negative eigenvalue.

    Notes
    -----
    With Σ = A'A the weights are w ∝ argmin |Ay|² + (Σy − 1)² over y >= 0, a non-negative least squares problem. (The
    scale of y that the second term asks for does not depend on its direction, so the direction is that of least
    variance; the form argmin |L'x − L⁻¹1| has the same solution but needs an invertible Σ.) A comes from the
    correlation matrix and the smallest σ is the unit, so that neither the period nor unequal volatilities spoil the
    tolerance.
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
        raise InputError(f"cov has a negative eigenvalue ({values[0]:.3g} in correlations)", "give a covariance")
    return np.asarray(np.sqrt(np.clip(values, 0.0, None))[:, None] * V.T)


def minimum_variance_clipped(cov: ArrayLike) -> Array:
    """The notebook's shortcut: Σ⁻¹1 normalised, negative weights set to 0, normalised again.

    Not of minimum variance as soon as one weight is clipped: use `minimum_variance`.

    Parameters
    ----------
    cov : array-like of shape (n, n)
        Covariance, of any period.

    Returns
    -------
    ndarray of shape (n,)
        Fractions, sum 1.

    Raises
    ------
    InputError
        Bad `cov`, or a singular one.
    """
    Sigma = _check_cov(cov)
    C, _ = _correlation(Sigma)
    condition = np.linalg.cond(C)
    if condition > SINGULAR:
        raise InputError(f"cov is singular (condition number {condition:.1e})", SINGULAR_CURE)
    w = np.linalg.solve(Sigma, np.ones(len(Sigma)))
    w = np.clip(w / w.sum(), 0.0, None)
    return np.asarray(w / w.sum())


def risk_contributions(w: ArrayLike, cov: ArrayLike) -> Array:
    """Shares of the portfolio's variance, w Σw / w'Σw.

    Parameters
    ----------
    w : array-like of shape (n,)
        Weights.
    cov : array-like of shape (n, n)
        Covariance, of any period.

    Returns
    -------
    ndarray of shape (n,)
        Fractions, sum 1; negative where an asset hedges.

    Raises
    ------
    InputError
        A portfolio without variance.
    """
    w = np.asarray(w, dtype=float)
    rc = w * (np.asarray(cov, dtype=float) @ w)
    variance = rc.sum()
    if not variance > 0.0:
        raise InputError(f"portfolio variance is {variance:.3g}", "risk shares need a portfolio with risk")
    return np.asarray(rc / variance)


def blend(w_rp: ArrayLike, w_mv: ArrayLike, alpha_minvar: float) -> Array:
    """(1 − a) w_rp + a w_mv, renormalised to sum 1.

    Parameters
    ----------
    w_rp, w_mv : array-like of shape (n,)
        Weights of risk parity and of minimum variance.
    alpha_minvar : float
        a, in [0, 1].

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    InputError
        `alpha_minvar` outside [0, 1].
    """
    if not 0.0 <= alpha_minvar <= 1.0:
        raise InputError("is outside [0, 1]", "give a fraction such as 0.30", "alpha_minvar", alpha_minvar)
    w = (1.0 - alpha_minvar) * np.asarray(w_rp, dtype=float) + alpha_minvar * np.asarray(w_mv, dtype=float)
    return np.asarray(w / w.sum())


def blended_weights(returns: ArrayLike, rules: WeightRules | None = None, *, budgets: ArrayLike | None = None) -> Array:
    """Weights of the system from the returns of the lookback.

    Parameters
    ----------
    returns : array-like of shape (n_observations, n_assets)
        Log returns per bar, of the lookback only.
    rules : WeightRules, optional
        `shrinkage`, `shrink_alpha`, `alpha_minvar`, `risk_parity` and `min_variance` are used (default: the defaults).
    budgets : array-like of shape (n_assets,), optional
        Risk budgets of the risk parity part (default: equal).

    Returns
    -------
    ndarray of shape (n_assets,)
        Fractions >= 0, sum 1.

    Raises
    ------
    InputError
        Returns or budgets that no weights can be computed from.
    ConvergenceError
        Risk parity has not converged.
    """
    rules = rules or WeightRules()
    cov = estimate_covariance(returns, shrinkage=rules.shrinkage, shrink_alpha=rules.shrink_alpha)
    solve = risk_parity if rules.risk_parity == "converged" else risk_parity_notebook
    w_rp = solve(cov, budgets)
    w_mv = minimum_variance(cov) if rules.min_variance == "long_only" else minimum_variance_clipped(cov)
    return blend(w_rp, w_mv, rules.alpha_minvar)


class WeightMemory:
    """`blended_weights`, computed once: they depend on returns and rules only, and many runs of one panel ask alike.

    Parameters
    ----------
    most : int
        Weights that are kept, the oldest go first.
    """

    def __init__(self, most: int = 4096) -> None:
        self._answers = Answers(most)

    def __call__(self, returns: Array, rules: WeightRules) -> Array:
        """As `blended_weights`.

        Parameters
        ----------
        returns : ndarray of shape (n_observations, n_assets)
        rules : WeightRules

        Returns
        -------
        ndarray of shape (n_assets,)

        Raises
        ------
        InputError, ConvergenceError
            As `blended_weights`; nothing is kept then.
        """
        digest = blake2b(np.ascontiguousarray(returns).tobytes(), digest_size=16)
        digest.update(repr((returns.shape, rules)).encode())
        return np.asarray(self._answers.get(digest.digest(), lambda: blended_weights(returns, rules)))


def _check_cov(cov: ArrayLike) -> Array:
    Sigma = np.asarray(cov, dtype=float)
    if Sigma.ndim != 2 or Sigma.shape[0] != Sigma.shape[1] or Sigma.size == 0:
        raise InputError(f"cov has shape {Sigma.shape}", "give a square matrix, one row an asset")
    if not np.isfinite(Sigma).all():
        raise InputError("cov is not finite", "drop or fill the returns it was made from")
    variance = np.diag(Sigma)
    if not (variance > 0.0).all():
        asset = int(np.argmax(~(variance > 0.0)))
        raise InputError(f"variance of asset {asset} is {variance[asset]:.3g}", "drop it or look further back")
    if np.max(np.abs(Sigma - Sigma.T)) > 1e-8 * variance.max():
        raise InputError("cov is not symmetric", "give a covariance")
    return Sigma


def _correlation(cov: ArrayLike) -> tuple[Array, Array]:
    Sigma = _check_cov(cov)
    sigma = np.sqrt(np.diag(Sigma))
    C = Sigma / np.outer(sigma, sigma)
    return (C + C.T) / 2.0, sigma


def _check_budgets(budgets: ArrayLike | None, n: int) -> Array:
    b = np.ones(n) if budgets is None else np.asarray(budgets, dtype=float)
    if b.shape != (n,):
        raise InputError(f"budgets have shape {b.shape} for {n} assets", "give one budget an asset")
    if not (np.isfinite(b).all() and (b > 0.0).all()):
        raise InputError("are not all positive", "drop an asset that may carry no risk", "budgets", b.tolist())
    return np.asarray(b / b.sum())


def _residual(C: Array, x: Array, b: Array) -> float:
    return float(np.max(np.abs(x * (C @ x) - b)))


def _not_converged(C: Array, x: Array, b: Array, when: str) -> str:
    residual = _residual(C, x, b)
    return f"risk parity has not converged {when}, risk shares are off by {residual:.3g}: {SINGULAR_CURE}"
