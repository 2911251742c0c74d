"""Anybody's strategy in an account: with the overlay, without it, or sizing itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.analyzers import summary
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import VolTargetDrawdownSizer

from .assembly import Part, assemble, our_sizer
from .parameters import Config
from .rates import bill_returns, resolved_rates
from .references import blamed
from .runs import UNLEVERED

__all__ = ["ACCOUNT", "Strategies", "StrategyRun", "backtest_strategy", "legs_of", "run_strategy"]

ACCOUNT = "account"
"""Name of the one portfolio of a strategy that sizes itself."""


@dataclass(frozen=True)
class Strategies:
    """A strategy of somebody's, and how it is sized.

    Attributes
    ----------
    strategy : Part
        A class of backtrader's, and its parameters.
    sizer : Part, optional
        Its own sizer (default: the overlay, if the strategy sends orders without a size).
    files : tuple of str
        Where they come from: errors that arise there are the user's.
    """

    strategy: Part
    sizer: Part | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class StrategyRun:
    """What one run of somebody's strategy gave.

    Attributes
    ----------
    value : Series of shape (n,)
        Equity at each close, money.
    returns : Series of shape (m,)
        From the session of the first fill on; fractions.
    risk_free : ndarray of shape (m,)
        What a bill paid over each, fractions.
    statistics : dict
        `analyzers.summary` of `returns`.
    mean_leverage : float
        Held, over these sessions.
    drawdown, costs : dict
        Analyses of `MaxDrawdown` and `TradingCosts`.
    fills : list of dict
        As `Fills` lists them.
    """

    value: pd.Series
    returns: pd.Series
    risk_free: npt.NDArray[np.float64]
    statistics: dict[str, float]
    mean_leverage: float
    drawdown: dict[str, Any]
    costs: dict[str, Any]
    fills: list[dict[str, Any]]


class _Asked(VolTargetDrawdownSizer):
    """The overlay, which knows whether it was asked for a size."""

    asked = 0

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        self.asked += 1
        return super()._getsizing(comminfo, cash, data, isbuy)


def run_strategy(
    panel: Panel,
    config: Config,
    strategy: Part,
    sizer: Part | None,
    *,
    broker: str = "margin",
    files: Sequence[str] = (),
) -> tuple[StrategyRun, Any]:
    """One run through Cerebro.

    Parameters
    ----------
    panel : Panel
    config : Config
        Of the account and of statistics.
    strategy : Part
    sizer : Part or None
        None: backtrader's, one share an order.
    broker : {"margin", "stock"}
        As `open_account`.
    files : sequence of str
        Whose errors are the user's.

    Returns
    -------
    StrategyRun
    strategy
        As it was at the end.

    Raises
    ------
    InputError
        Nothing was ever filled; as `assemble`.
    StrategyError
        Something raised in one of the files; it is the cause.
    """
    config = resolved_rates(config, panel.rates)
    cerebro = assemble(panel, config, pairs=[(strategy, sizer)], broker=broker)
    with blamed(strategy[0].__name__, files):
        (ran,) = cerebro.run()
    analyses = {name: analyzer.get_analysis() for name, analyzer in ran.analyzers.getitems()}
    daily, fills = analyses["DailySeries"], analyses["Fills"]["fills"]
    sessions = pd.DatetimeIndex(daily["dates"], name="date")
    if not fills:
        raise InputError(
            f"no order of {strategy[0].__name__} was filled in {len(sessions)} sessions", "give more history, or cash"
        )
    first = int(sessions.searchsorted(pd.Timestamp(fills[0]["date"])))
    first = max(first, 1)  # a return needs a close before it
    returns = pd.Series(daily["returns"], sessions)[first:]
    risk_free = bill_returns(config["risk_free"], panel.rates, list(returns.index), sessions[first - 1])
    held = pd.Series(analyses["Exposure"]["leverage"], sessions)[first:]
    run = StrategyRun(
        value=pd.Series(daily["value"], sessions),
        returns=returns,
        risk_free=risk_free,
        statistics=summary(np.asarray(returns), risk_free),
        mean_leverage=float(held.mean()),
        drawdown=analyses["MaxDrawdown"],
        costs=analyses["TradingCosts"],
        fills=fills,
    )
    return run, ran


def _sizes_itself(panel: Panel, config: Config, theirs: Strategies) -> bool:
    """Whether a strategy never asks its sizer, or has one of its own: then there is one account and no overlay."""
    if theirs.sizer is not None:
        return True
    _, ran = run_strategy(panel, config, theirs.strategy, (_Asked, dict(our_sizer(config)[1])), files=theirs.files)
    return not ran.getsizer().asked


def legs_of(panel: Panel, config: Config, theirs: Strategies) -> dict[str, tuple[Config, Part | None]]:
    """The portfolios of a strategy, found by a run that sees whether its sizer is asked.

    Parameters
    ----------
    panel : Panel
    config : Config
    theirs : Strategies

    Returns
    -------
    dict
        Name -> configuration, sizer.

    Raises
    ------
    InputError, StrategyError
        As `run_strategy`.
    """
    if _sizes_itself(panel, config, theirs):
        return {ACCOUNT: (config, theirs.sizer)}
    base = {**config, **UNLEVERED}
    return {"base": (base, our_sizer(base)), "dynamic": (config, our_sizer(config))}


def backtest_strategy(panel: Panel, config: Config, theirs: Strategies) -> dict[str, StrategyRun]:
    """A strategy in the account of a configuration.

    Parameters
    ----------
    panel : Panel
    config : Config
        Those of weights are not looked at.
    theirs : Strategies

    Returns
    -------
    dict
        base at the sizer's leverage of 1, and dynamic with the overlay; `account` alone, if the strategy sizes itself.

    Raises
    ------
    InputError
        As `run_strategy`.
    """
    return {
        name: run_strategy(panel, one, theirs.strategy, sizer, files=theirs.files)[0]
        for name, (one, sizer) in legs_of(panel, config, theirs).items()
    }
