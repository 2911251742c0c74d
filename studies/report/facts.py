"""What the report shows and no analyzer gives: series of the sessions that count, shares of risk, volatility."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from riskoverlay.analyzers import PERIODS, drawdown_series, excess_sharpe
from riskoverlay.strategies.covariance import estimate_covariance
from riskoverlay.strategies.weights import risk_contributions

from ..workbench.parameters import BLEND
from ..workbench.portfolios import Backtest
from ..workbench.runs import Run
from .portfolios import Portfolio

__all__ = [
    "at_decisions",
    "calendar_years",
    "counted",
    "drawdowns",
    "largest_and_others",
    "risk_shares",
    "rolling_sharpe",
    "rolling_volatility",
]


FEWEST = 21
"""Closes from which a covariance says something: a month's returns."""


def counted(run: Run) -> pd.DatetimeIndex:
    """The session that decided the first weights (the start of equity, no return yet) and all after it."""
    return run.sessions[int(run.sessions.searchsorted(run.first)) - 1 :]


def drawdowns(portfolio: Portfolio) -> pd.Series:
    """Fall of a portfolio from its peak on the sessions that count: 0 or a negative fraction."""
    growth = portfolio.growth
    return pd.Series(drawdown_series(growth), growth.index)


def rolling_volatility(portfolio: Portfolio, vol_lookback: int) -> pd.Series:
    """std(ddof=0)·√252 of the last `vol_lookback` returns.

    Parameters
    ----------
    portfolio : Portfolio
    vol_lookback : int
        Sessions.

    Returns
    -------
    Series
        Annual fractions; nan until there are so many.
    """
    spread = portfolio.returns.rolling(vol_lookback).std(ddof=0) * np.sqrt(PERIODS)
    return spread.reindex(portfolio.sessions)


def rolling_sharpe(portfolio: Portfolio, window: int) -> pd.Series:
    """`excess_sharpe` of the last `window` sessions: mean / std(ddof=1) · √252 of what was earned above the bill.

    Parameters
    ----------
    portfolio : Portfolio
    window : int
        Sessions.

    Returns
    -------
    Series
        nan until there are so many, and where nothing moved.
    """
    excess = portfolio.returns.to_numpy(dtype=np.float64) - portfolio.risk_free
    found = np.full(excess.size + 1, np.nan)
    if excess.size >= window:
        found[window:] = [excess_sharpe(one) for one in np.lib.stride_tricks.sliding_window_view(excess, window)]
    return pd.Series(found, portfolio.sessions)


def calendar_years(portfolio: Portfolio) -> pd.Series:
    """Returns compounded by calendar year: the first and the last may be parts of one.

    Parameters
    ----------
    portfolio : Portfolio

    Returns
    -------
    Series
        Fractions; the index is the year.
    """
    growth = 1.0 + portfolio.returns
    return growth.groupby(pd.DatetimeIndex(growth.index).year).prod() - 1.0


def at_decisions(table: pd.DataFrame, run: Run) -> pd.DataFrame:
    """Rows of the sessions that decided weights.

    Parameters
    ----------
    table : DataFrame
        A row a session.
    run : Run

    Returns
    -------
    DataFrame
    """
    return table.loc[pd.DatetimeIndex(run.decided)]


def risk_shares(result: Backtest) -> pd.DataFrame:
    """Share of the variance of the unlevered portfolio that each asset brings.

    Of the weights decided there and, for the blend, the covariance they were decided from: the last `cov_lookback` log
    returns up to that close, shrunk as configured. For another rule, that of its `lookback`, as it is.

    Parameters
    ----------
    result : Backtest

    Returns
    -------
    DataFrame of shape (n_decisions, n_symbols)
        Fractions, sum 1; nan where too few returns are known, or nothing is held.
    """
    config, run = result.config, result.leading
    blend = config["weights"] == BLEND
    lookback = config["cov_lookback"] if blend else config["lookback"] or len(result.panel.sessions)
    shrinkage = (config["shrinkage"], config["shrink_alpha"]) if blend else ("diagonal", 0.0)
    closes = np.log(result.panel.adjusted_prices().closes.ffill().to_numpy())
    ends = result.panel.sessions.searchsorted(pd.DatetimeIndex(run.decided), side="right")
    weights = at_decisions(run.weights, run)[list(result.panel.symbols)]
    rows = []
    for end, w in zip(ends, weights.to_numpy(), strict=True):
        window = closes[max(0, end - lookback - 1) : end]
        there = np.isfinite(window).all(axis=0) | (w > 0.0)  # what has just begun weighs nothing yet
        window = window[np.isfinite(window[:, there]).all(axis=1)][:, there]
        if not blend and (len(window) < FEWEST or not w.any()):
            rows.append(np.full(len(w), np.nan))
            continue
        cov = estimate_covariance(np.diff(window, axis=0), shrinkage=shrinkage[0], shrink_alpha=shrinkage[1])
        rows.append(np.zeros(len(w)))
        rows[-1][there] = risk_contributions(w[there], cov)
    return pd.DataFrame(rows, weights.index, weights.columns)


def largest_and_others(table: pd.DataFrame, largest: Sequence[str]) -> pd.DataFrame:
    """The columns named, and all others as one.

    Parameters
    ----------
    table : DataFrame
    largest : sequence of str
        Columns.

    Returns
    -------
    DataFrame
        The others are "other (n)".
    """
    others = [name for name in table if name not in largest]
    shown = table[list(largest)]
    return shown.assign(**{f"other ({len(others)})": table[others].sum(axis=1)}) if others else shown
