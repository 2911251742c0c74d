"""The rules of the system as array arithmetic, no broker: the notebook, and its form without look-ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from .leverage import PERIODS, check_leverage_params, drawdown, target_leverage
from .schedule import RebalanceSchedule, check_frequency
from .weights import blended_weights, check_weight_params

__all__ = ["PORTFOLIO_RETURNS", "PaperResult", "paper_backtest"]

Array = NDArray[np.float64]

PORTFOLIO_RETURNS = ("log", "simple")


@dataclass(frozen=True)
class PaperResult:
    """Fractions, one a session, from the first session with weights in force."""

    weights: pd.DataFrame  # (n_sessions, n_assets) in force during the session, unlevered, sum 1
    base_returns: Array  # (n_sessions,) per bar, unlevered
    leverage: Array  # (n_sessions,) applied to that session's base return
    dynamic_returns: Array  # (n_sessions,) leverage · base return

    @property
    def sessions(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.weights.index)

    @property
    def first(self) -> pd.Timestamp:
        """The first session with weights in force."""
        return self.sessions[0]

    @property
    def equity_base(self) -> Array:
        """At each session's close; 1 before the first session."""
        return np.asarray(np.cumprod(1.0 + self.base_returns))

    @property
    def equity_dynamic(self) -> Array:
        """At each session's close; 1 before the first session."""
        return np.asarray(np.cumprod(1.0 + self.dynamic_returns))

    @property
    def drawdown_base(self) -> Array:
        """Negative fractions from the highest close so far, the first session's being the first."""
        return drawdown(self.equity_base)

    @property
    def drawdown_dynamic(self) -> Array:
        """Negative fractions from the highest close so far, the first session's being the first."""
        return drawdown(self.equity_dynamic)


def paper_backtest(
    closes: pd.DataFrame,
    *,
    rebalance_freq: str = "ME",
    cov_lookback: int = 252,
    min_hist: int = 252,
    shrinkage: str = "diagonal",
    shrink_alpha: float = 0.30,
    alpha_minvar: float = 0.30,
    budgets: ArrayLike | None = None,
    vol_lookback: int = 60,
    target_vol: float = 0.12,
    lev_min: float = 0.30,
    lev_max: float = 2.0,
    dd_threshold1: float = 0.10,
    dd_threshold2: float = 0.25,
    dd_min_scale: float = 0.30,
    risk_parity: str = "notebook",
    min_variance: str = "clipped",
    portfolio_returns: str = "log",
    look_ahead: bool = True,
    calendar: str | None = "XNYS",
) -> PaperResult:
    """Base and dynamic portfolio of the notebook, re-weighted every session at no cost.

    closes: (n_sessions, n_assets), adjusted, by date, columns are symbols. The defaults are the notebook,
    and each of these switches takes one of its assumptions away:

    risk_parity="converged", min_variance="long_only": see `weights`.
    portfolio_returns="simple": Σ w·(simple return) instead of Σ w·(log return) compounded as if simple. The
        covariance is always that of log returns.
    look_ahead=False: the weights of a label earn from the label's own session on, and leverage looks at the
        very return it multiplies (volatility through day t, drawdown through t-1). Without it weights decided
        at the close of a rebalance session (`RebalanceSchedule(rebalance_freq, calendar)`) earn from the next
        session on, and the leverage of a session knows base returns and equity through the session before.

    Labels of the look-ahead form are the period ends of `closes.resample(rebalance_freq)`, which need not be
    sessions; calendar is not used then. Weights come from the last cov_lookback log returns, as soon as
    min_hist of them exist; nothing is held before. Leverage is 1 until vol_lookback base returns exist, times
    the brake on the drawdown of the dynamic equity from its peak (the start, 1, included), within bounds.

    ValueError: a bad parameter or price, or too short a history; RuntimeError: risk parity not converged.
    """
    check_leverage_params(
        target_vol=target_vol,
        lev_min=lev_min,
        lev_max=lev_max,
        dd_threshold1=dd_threshold1,
        dd_threshold2=dd_threshold2,
        dd_min_scale=dd_min_scale,
        vol_lookback=vol_lookback,
    )
    check_weight_params(
        shrinkage=shrinkage,
        shrink_alpha=shrink_alpha,
        alpha_minvar=alpha_minvar,
        risk_parity=risk_parity,
        min_variance=min_variance,
        cov_lookback=cov_lookback,
        min_hist=min_hist,
    )
    if portfolio_returns not in PORTFOLIO_RETURNS:
        names = ", ".join(PORTFOLIO_RETURNS)
        raise ValueError(f"portfolio_returns={portfolio_returns!r} is unknown: give one of {names}")
    P = _check_closes(closes, min_hist)
    index = pd.DatetimeIndex(closes.index)

    log_returns = np.diff(np.log(P), axis=0)  # row t - 1 is the return of session t
    simple_returns = P[1:] / P[:-1] - 1.0
    if look_ahead:
        decisions = _labels(index, rebalance_freq)
    else:
        decisions = _rebalance_closes(index, rebalance_freq, calendar)

    weights = np.full(P.shape, np.nan)  # in force during a session
    for known, start in decisions:
        if known < min_hist or start == len(P):
            continue
        weights[start:] = blended_weights(
            log_returns[max(known - cov_lookback, 0) : known],
            shrinkage=shrinkage,
            shrink_alpha=shrink_alpha,
            alpha_minvar=alpha_minvar,
            risk_parity=risk_parity,
            min_variance=min_variance,
            budgets=budgets,
        )
    held = ~np.isnan(weights[:, 0])
    if not held.any():
        raise ValueError(
            f"no rebalance session with min_hist={min_hist} returns before the last of {len(P)} sessions: "
            "give a longer history or a smaller min_hist"
        )

    asset_returns = log_returns if portfolio_returns == "log" else simple_returns
    base = np.sum(weights[held] * asset_returns[held[1:]], axis=1)
    sigma = _rolling_volatility(base, vol_lookback)
    if not look_ahead:
        sigma = [None, *sigma[:-1]]

    leverage = np.empty(len(base))
    equity = peak = 1.0
    for t, r in enumerate(base.tolist()):
        leverage[t] = target_leverage(
            sigma[t],
            1.0 - equity / peak,
            target_vol=target_vol,
            lev_min=lev_min,
            lev_max=lev_max,
            dd_threshold1=dd_threshold1,
            dd_threshold2=dd_threshold2,
            dd_min_scale=dd_min_scale,
        )
        equity *= 1.0 + float(leverage[t]) * r
        peak = max(peak, equity)

    return PaperResult(
        weights=pd.DataFrame(weights[held], index=index[held], columns=closes.columns),
        base_returns=base,
        leverage=leverage,
        dynamic_returns=leverage * base,
    )


def _labels(index: pd.DatetimeIndex, rebalance_freq: str) -> list[tuple[int, int]]:
    """(returns known at a label, first session at or after it), for the labels of the notebook."""
    labels = pd.Series(0, index=index).resample(check_frequency(rebalance_freq)).last().index
    known = index.searchsorted(labels, side="right") - 1
    start = index.searchsorted(labels, side="left")
    return list(zip(known.tolist(), start.tolist(), strict=True))


def _rebalance_closes(
    index: pd.DatetimeIndex, rebalance_freq: str, calendar: str | None
) -> list[tuple[int, int]]:
    """(returns known at the close that decides, the session after it)."""
    schedule = RebalanceSchedule(rebalance_freq, calendar)
    dates = [None, *index.date]
    return [(t, t + 1) for t in range(len(index)) if schedule.due(dates[t + 1], dates[t])]


def _rolling_volatility(returns: Array, vol_lookback: int) -> list[float | None]:
    """Annual volatility of the last vol_lookback returns through each one; None before there are as many."""
    unknown: list[float | None] = [None] * min(vol_lookback - 1, len(returns))
    if len(returns) < vol_lookback:
        return unknown
    windows = sliding_window_view(returns, vol_lookback)
    known: list[float] = (np.std(windows, axis=1, ddof=0) * np.sqrt(PERIODS)).tolist()
    return [*unknown, *known]


def _check_closes(closes: pd.DataFrame, min_hist: int) -> Array:
    if not isinstance(closes.index, pd.DatetimeIndex):
        raise ValueError(
            f"closes have an index of {closes.index.dtype}: give a DatetimeIndex, one row a session"
        )
    if not closes.index.is_monotonic_increasing or closes.index.has_duplicates:
        raise ValueError("closes have unsorted or duplicate dates: sort them and keep one row a date")
    if closes.shape[1] == 0 or len(closes) < min_hist + 1:
        raise ValueError(
            f"closes have {len(closes)} sessions of {closes.shape[1]} assets: "
            f"give at least min_hist + 1 = {min_hist + 1} of one asset, or a smaller min_hist"
        )
    P = closes.to_numpy(dtype=float)
    bad = ~(np.isfinite(P) & (P > 0.0))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"close of {closes.columns[column]} on {closes.index[row].date()} is {P[row, column]}: "
            "give positive prices, drop or fill the others"
        )
    return P
