"""Rules of weights that have a name: those this package solves itself, and doors to the optimizers of others.

Each is a function `rule(returns, **arguments)`, of simple returns known at the close, shape (n, k), to weights (k,).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.errors import InputError, require

from .covariance import estimate_covariance
from .weighting import rounded
from .weights import minimum_variance, risk_parity

__all__ = ["NAMED_RULES", "named_rule"]

Floats = npt.NDArray[np.float64]


def equal(returns: pd.DataFrame) -> Floats:
    """The same weight for every symbol."""
    return np.full(returns.shape[1], 1.0 / returns.shape[1])


def inverse_volatility(returns: pd.DataFrame) -> Floats:
    """Weights ∝ 1 / σ: risk parity where correlations are equal."""
    inverse = 1.0 / np.sqrt(_variances(returns.to_numpy(dtype=np.float64)))
    return np.asarray(inverse / inverse.sum())


def equal_risk(
    returns: pd.DataFrame, *, budgets: Mapping[str, float] | None = None, shrink_alpha: float = 0.0
) -> Floats:
    """Each symbol the same share of the variance, or shares ∝ `budgets` by symbol: see `risk_parity`.

    Parameters
    ----------
    returns : DataFrame of shape (n, k)
    budgets : mapping, optional
        Positive shares of the variance by symbol (default: equal).
    shrink_alpha : float
        Of the covariance towards its diagonal, in [0, 1].

    Returns
    -------
    ndarray of shape (k,)
    """
    shares = None
    if budgets is not None:
        missing = [name for name in map(str, returns.columns) if name not in budgets]
        if missing:
            raise InputError(f"budgets have none for {', '.join(missing)}", "give one for each symbol")
        shares = [budgets[name] for name in map(str, returns.columns)]
    return risk_parity(_covariance(returns, shrink_alpha), shares)


def least_variance(returns: pd.DataFrame, *, shrink_alpha: float = 0.0) -> Floats:
    """Least variance, long only: see `minimum_variance`.

    Parameters
    ----------
    returns : DataFrame of shape (n, k)
    shrink_alpha : float
        Of the covariance towards its diagonal, in [0, 1].

    Returns
    -------
    ndarray of shape (k,)
    """
    return minimum_variance(_covariance(returns, shrink_alpha))


def max_diversification(returns: pd.DataFrame, *, shrink_alpha: float = 0.0) -> Floats:
    """The largest ratio of mean volatility to the portfolio's, long only [1]_.

    It is the minimum-variance portfolio of the correlation matrix, each weight divided by its σ.

    Parameters
    ----------
    returns : DataFrame of shape (n, k)
    shrink_alpha : float
        Of the covariance towards its diagonal, in [0, 1].

    Returns
    -------
    ndarray of shape (k,)

    References
    ----------
    .. [1] Choueifaty, Coignard (2008), Toward maximum diversification.
    """
    cov = _covariance(returns, shrink_alpha)
    sigma = np.sqrt(np.diag(cov))
    w = minimum_variance(cov / np.outer(sigma, sigma)) / sigma
    return np.asarray(w / w.sum())


def hrp(returns: pd.DataFrame, **arguments: Any) -> Any:
    """Hierarchical risk parity, by skfolio's `HierarchicalRiskParity(**arguments)`.

    Parameters
    ----------
    returns : DataFrame of shape (n, k)
    **arguments
        Of the model.

    Returns
    -------
    ndarray of shape (k,)
    """
    return skfolio(returns, model="HierarchicalRiskParity", **arguments)


def skfolio(returns: pd.DataFrame, *, model: str = "MeanRisk", **arguments: Any) -> Any:
    """A model of skfolio's `optimization` by name, with its arguments.

    Parameters
    ----------
    returns : DataFrame of shape (n, k)
    model : str
        Name of a class of `skfolio.optimization`.
    **arguments
        Of the model.

    Returns
    -------
    ndarray of shape (k,)
    """
    require("skfolio", "optimizers", f"{model} of skfolio")
    from skfolio import optimization

    return rounded(_named(optimization, model, "skfolio")(**arguments).fit(returns).weights_)


def pyportfolioopt(returns: pd.DataFrame, *, model: str = "min_volatility", **arguments: Any) -> Any:
    """PyPortfolioOpt: `HRPOpt` of the returns, or a method of its `EfficientFrontier` of their mean and covariance.

    Parameters
    ----------
    returns : DataFrame of shape (n, k)
    model : str
        HRPOpt, or the name of a method.
    **arguments
        Of the method.

    Returns
    -------
    ndarray of shape (k,)
    """
    require("pypfopt", "optimizers", f"{model} of PyPortfolioOpt")
    import pypfopt

    if model == "HRPOpt":
        found = pypfopt.HRPOpt(returns).optimize(**arguments)
    else:
        frontier = pypfopt.EfficientFrontier(returns.mean(), returns.cov())
        found = _named(frontier, model, "PyPortfolioOpt's EfficientFrontier")(**arguments)
    return rounded([found[name] for name in returns.columns])


def riskfolio(returns: pd.DataFrame, **arguments: Any) -> Any:
    """Riskfolio-Lib's `Portfolio.rp_optimization(**arguments)`, of its historical mean and covariance.

    Parameters
    ----------
    returns : DataFrame of shape (n, k)
    **arguments
        Of the method: model, rm, rf, b, hist, ...

    Returns
    -------
    ndarray of shape (k,)
    """
    require("riskfolio", "optimizers", "an optimizer of Riskfolio-Lib")
    import riskfolio as rp

    portfolio = rp.Portfolio(returns=returns)
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    found = portfolio.rp_optimization(**{"model": "Classic", "rm": "MV", "rf": 0, "b": None, "hist": True, **arguments})
    if found is None:
        raise InputError("rp_optimization of Riskfolio-Lib finds no weights", "give another rm, or a longer lookback")
    return rounded(found["weights"].reindex(returns.columns).to_numpy())


NAMED_RULES: dict[str, Callable[..., Any]] = {
    "equal": equal,
    "inverse_volatility": inverse_volatility,
    "risk_parity": equal_risk,
    "min_variance": least_variance,
    "max_diversification": max_diversification,
    "hrp": hrp,
    "skfolio": skfolio,
    "pyportfolioopt": pyportfolioopt,
    "riskfolio": riskfolio,
}
"""Rules by name; `blend` is `RiskParityBlend`."""


def named_rule(name: str) -> Callable[..., Any]:
    """A rule of `NAMED_RULES`.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Of returns, and of arguments of its own.

    Raises
    ------
    InputError
    """
    if name not in NAMED_RULES:
        raise InputError("is no rule of weights", f"give one of blend, {', '.join(NAMED_RULES)}", "weights", name)
    return NAMED_RULES[name]


def _covariance(returns: pd.DataFrame, shrink_alpha: float) -> Floats:
    return estimate_covariance(returns.to_numpy(dtype=np.float64), shrinkage="diagonal", shrink_alpha=shrink_alpha)


def _variances(returns: Floats) -> Floats:
    return np.diag(estimate_covariance(returns, shrinkage="diagonal", shrink_alpha=0.0))


def _named(where: Any, name: str, what: str) -> Any:
    found = getattr(where, name, None)
    if name.startswith("_") or not callable(found):
        raise InputError(f"is not in {what}", "give a name that is", "model", name)
    return found
