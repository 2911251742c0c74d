"""What the report shows and no analyzer gives: series of the sessions that count, shares of risk, volatility."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from riskoverlay.analyzers import PERIODS, drawdown_series
from riskoverlay.strategies.covariance import estimate_covariance
from riskoverlay.strategies.weights import risk_contributions

from ..workbench.portfolios import Backtest
from ..workbench.runs import Run

__all__ = ["at_decisions", "counted", "drawdowns", "largest_and_others", "risk_shares", "rolling_volatility"]


def counted(run: Run) -> pd.DatetimeIndex:
    """The session that decided the first weights (the start of equity, no return yet) and all after it."""
    return run.sessions[int(run.sessions.searchsorted(run.first)) - 1 :]


def drawdowns(run: Run) -> pd.Series:
    """Fall of the account from its peak on the sessions that count: 0 or a negative fraction."""
    growth = np.concatenate(([1.0], np.cumprod(1.0 + run.returns.to_numpy())))
    return pd.Series(drawdown_series(growth), counted(run))


def rolling_volatility(run: Run, vol_lookback: int) -> pd.Series:
    """std(ddof=0)·√252 of the account's last `vol_lookback` returns.

    Parameters
    ----------
    run : Run
    vol_lookback : int
        Sessions.

    Returns
    -------
    Series
        Annual fractions; nan until there are so many.
    """
    spread = run.returns.rolling(vol_lookback).std(ddof=0) * np.sqrt(PERIODS)
    return spread.reindex(counted(run))


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

    Of the weights decided there and the covariance they were decided from: the last `cov_lookback` log returns up to
    that close, shrunk as configured.

    Parameters
    ----------
    result : Backtest

    Returns
    -------
    DataFrame of shape (n_decisions, n_symbols)
        Fractions, sum 1.
    """
    config, run = result.config, result.dynamic
    closes = np.log(result.panel.closes.to_numpy())
    ends = result.panel.sessions.searchsorted(pd.DatetimeIndex(run.decided), side="right")
    weights = at_decisions(run.weights, run)[list(result.panel.symbols)]
    rows = []
    for end, w in zip(ends, weights.to_numpy(), strict=True):
        window = closes[max(0, end - config["cov_lookback"] - 1) : end]
        cov = estimate_covariance(
            np.diff(window, axis=0), shrinkage=config["shrinkage"], shrink_alpha=config["shrink_alpha"]
        )
        rows.append(risk_contributions(w, cov))
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
