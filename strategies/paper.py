"""The rules of the system as array arithmetic, no broker: the notebook, and its form without look-ahead."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError

from .histories import Histories, Stretches
from .leverage import drawdown, target_leverage
from .rules import NOTEBOOK, AllocationRules, LeverageRules, WeightRules
from .schedule import RebalanceSchedule, check_frequency, due_sessions
from .weighting import WeightRule, decisions_of
from .weights import blended_weights

__all__ = ["PORTFOLIO_RETURNS", "PaperResult", "paper_backtest"]

Array = NDArray[np.float64]

PORTFOLIO_RETURNS = ("log", "simple")


@dataclass(frozen=True)
class PaperResult:
    """Fractions, one a session, from the first session with weights in force.

    Attributes
    ----------
    weights : DataFrame of shape (n_sessions, n_assets)
        In force during the session, unlevered, sum 1.
    base_returns : ndarray of shape (n_sessions,)
        Unlevered, per session.
    leverage : ndarray of shape (n_sessions,)
        Applied to that session's base return.
    dynamic_returns : ndarray of shape (n_sessions,)
        leverage · base return, per session.
    """

    weights: pd.DataFrame
    base_returns: Array
    leverage: Array
    dynamic_returns: Array

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Sessions with weights in force."""
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
    weights: WeightRules | AllocationRules = NOTEBOOK,
    leverage: LeverageRules | None = None,
    *,
    rule: WeightRule | None = None,
    budgets: ArrayLike | None = None,
    portfolio_returns: str = "log",
    look_ahead: bool = True,
    members: Mapping[str, Stretches] | None = None,
) -> PaperResult:
    """Base and dynamic portfolio of the notebook, re-weighted every session at no cost.

    The defaults are the notebook; each of the switches below, and `risk_parity` and `min_variance` of the weights,
    takes one of its assumptions away.

    Parameters
    ----------
    closes : DataFrame of shape (n_sessions, n_assets)
        Adjusted, by date, columns are symbols; nan before the first bar of a symbol and after its last.
    weights : WeightRules, or AllocationRules
        The notebook's by default. `calendar` is not used by the look-ahead form.
    leverage : LeverageRules, optional
        Default: the defaults, which are the notebook's.
    rule : WeightRule, optional
        Whose weights, with `AllocationRules` (default: the blend).
    budgets : array-like of shape (n_assets,), optional
        Risk budgets of risk parity (default: equal).
    portfolio_returns : {"log", "simple"}
        Σ w·(log return), compounded as if simple; or Σ w·(simple return). The covariance is always that of log returns.
    look_ahead : bool
        True: the weights of a label earn from the label's own session on, and leverage looks at the very return it
        multiplies (volatility through day t, drawdown through t − 1). False: weights decided at the close of a
        rebalance session (`RebalanceSchedule`) earn from the next session on, and the leverage of a session knows base
        returns and equity through the session before.
    members : mapping, optional
        Symbol -> stretches of dates on which it may be weighed, as `is_member` (default: always).

    Returns
    -------
    PaperResult

    Raises
    ------
    InputError
        A bad argument or price, or too short a history.
    ConvergenceError
        Risk parity has not converged.

    Notes
    -----
    Labels of the look-ahead form are the period ends of `closes.resample(rebalance_freq)`, which need not be sessions.
    Weights come from the last `cov_lookback` log returns, as soon as `min_hist` of them exist; nothing is held before.
    Leverage is 1 until `vol_lookback` base returns exist, times the brake on the drawdown of the dynamic equity from
    its peak (the start, 1, included), within bounds.
    """
    leverage = leverage or LeverageRules()
    if portfolio_returns not in PORTFOLIO_RETURNS:
        raise InputError(
            "is unknown", f"give one of {', '.join(PORTFOLIO_RETURNS)}", "portfolio_returns", portfolio_returns
        )
    least = weights.min_hist if rule is None or rule.least is None else rule.least
    histories = _histories(closes, least, members)
    P, index = histories.closes, pd.DatetimeIndex(closes.index)
    if isinstance(weights, WeightRules):
        in_force = _weights_in_force(histories, index, weights, budgets, look_ahead)
    else:
        in_force = _weights_of(histories, index, weights, rule, look_ahead)
    held = ~np.isnan(in_force[:, 0])
    if not held.any():
        raise InputError(
            f"no rebalance session with min_hist={least} returns before the last of {len(P)} sessions",
            "give a longer history or a smaller min_hist",
        )
    asset_returns = np.diff(np.log(P), axis=0) if portfolio_returns == "log" else P[1:] / P[:-1] - 1.0
    base = np.sum(in_force[held] * asset_returns[held[1:]], axis=1)
    applied = _leverage(base, leverage, look_ahead)
    return PaperResult(
        weights=pd.DataFrame(in_force[held], index=index[held], columns=closes.columns),
        base_returns=base,
        leverage=applied,
        dynamic_returns=applied * base,
    )


def _weights_in_force(
    histories: Histories, index: pd.DatetimeIndex, rules: WeightRules, budgets: ArrayLike | None, look_ahead: bool
) -> Array:
    """Weights in force during each session, shape (n_sessions, n_assets); nan before the first."""
    decisions = _labels(index, rules.rebalance_freq) if look_ahead else _rebalance_closes(index, rules)
    weights = np.full(histories.closes.shape, np.nan)
    starts = _starts([(known, start) for known, start in decisions if start < len(index)])
    for known, eligible in histories.deciding(list(starts), rules.min_hist):
        weights[starts[known] :] = 0.0
        if eligible:
            _, window = histories.window(known, rules.cov_lookback, eligible)
            chosen = np.asarray(budgets)[eligible] if budgets is not None and not histories.whole else budgets
            in_force = blended_weights(np.diff(np.log(window), axis=0), rules, budgets=chosen)
            weights[starts[known] :, eligible] = in_force
    return weights


def _weights_of(
    histories: Histories, index: pd.DatetimeIndex, rules: AllocationRules, rule: WeightRule | None, look_ahead: bool
) -> Array:
    """Weights of a rule in force during each session, shape (n_sessions, n_assets); nan before the first."""
    if rule is None:
        raise InputError("rule is missing", "give one with AllocationRules, see as_rule")
    asked = None
    if look_ahead and rule.dates is None:
        labels = _labels(index, rules.rebalance_freq)
        starts = _starts(labels)
        asked = list(starts)
    sessions, decided = decisions_of(histories, rules, rule, asked)
    weights = np.full(histories.closes.shape, np.nan)
    for t, w in zip(sessions, decided, strict=True):
        start = t + 1 if not look_ahead else t if asked is None else starts[t]
        weights[start:] = w
    return weights


def _leverage(base: Array, rules: LeverageRules, look_ahead: bool) -> Array:
    """Leverage applied to each base return, shape (n,)."""
    sigma = _rolling_volatility(base, rules.vol_lookback)
    if not look_ahead:
        sigma = [None, *sigma[:-1]]
    leverage = np.empty(len(base))
    equity = peak = 1.0
    for t, r in enumerate(base.tolist()):
        leverage[t] = target_leverage(sigma[t], 1.0 - equity / peak, rules)
        equity *= 1.0 + float(leverage[t]) * r
        peak = max(peak, equity)
    return leverage


def _labels(index: pd.DatetimeIndex, rebalance_freq: str) -> list[tuple[int, int]]:
    """(returns known at a label, first session at or after it), for the labels of the notebook."""
    labels = pd.Series(0, index=index).resample(check_frequency(rebalance_freq)).last().index
    known = index.searchsorted(labels, side="right") - 1
    start = index.searchsorted(labels, side="left")
    return list(zip(known.tolist(), start.tolist(), strict=True))


def _starts(decisions: list[tuple[int, int]]) -> dict[int, int]:
    """The first start of each decision: a label of a period without a session knows no more than the one before."""
    return dict(sorted(dict(reversed(decisions)).items()))


def _rebalance_closes(index: pd.DatetimeIndex, rules: WeightRules) -> list[tuple[int, int]]:
    """(returns known at the close that decides, the session after it)."""
    schedule = RebalanceSchedule(rules.rebalance_freq, rules.calendar)
    return [(t, t + 1) for t in due_sessions(schedule, list(index.date))]


def _rolling_volatility(returns: Array, vol_lookback: int) -> list[float | None]:
    """Annual volatility of the last vol_lookback returns through each one; None before there are as many."""
    unknown: list[float | None] = [None] * min(vol_lookback - 1, len(returns))
    if len(returns) < vol_lookback:
        return unknown
    windows = sliding_window_view(returns, vol_lookback)
    known: list[float] = (np.std(windows, axis=1, ddof=0) * np.sqrt(PERIODS)).tolist()
    return [*unknown, *known]


def _histories(closes: pd.DataFrame, min_hist: int, members: Mapping[str, Stretches] | None) -> Histories:
    if not isinstance(closes.index, pd.DatetimeIndex):
        raise InputError(f"closes have an index of {closes.index.dtype}", "give a DatetimeIndex, one row a session")
    if not closes.index.is_monotonic_increasing or closes.index.has_duplicates:
        raise InputError("closes have unsorted or duplicate dates", "sort them and keep one row a date")
    if closes.shape[1] == 0 or len(closes) < min_hist + 1:
        raise InputError(
            f"closes have {len(closes)} sessions of {closes.shape[1]} assets",
            f"give at least min_hist + 1 = {min_hist + 1} of one asset, or a smaller min_hist",
        )
    P = closes.to_numpy(dtype=float)
    there = ~np.isnan(P)
    begun = np.logical_or.accumulate(there, axis=0)
    ended = ~np.logical_or.accumulate(there[::-1], axis=0)[::-1]
    bad = ~(np.isfinite(P) & (P > 0.0)) & (begun & ~ended | ~begun[-1])
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"close of {closes.columns[column]} on {closes.index[row].date()} is {P[row, column]}",
            "give positive prices, drop or fill the others",
        )
    return Histories.of(list(closes.index.date), P, list(map(str, closes.columns)), members=members)
