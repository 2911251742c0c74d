"""Base and dynamic portfolio, both through Cerebro and the same kind of account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from analyzers import DailySeries, Exposure, Fills, MaxDrawdown, TradingCosts, summary
from feeds import Cache, Panel, load
from strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account

from .parameters import Config, part
from .progress import Progress
from .rates import dated, read_rates

__all__ = ["UNLEVERED", "Backtest", "Run", "backtest", "load_panel", "simulate"]

UNLEVERED = {"lev_min": 1.0, "lev_max": 1.0}
"""The base portfolio: the same strategy, sizer and broker, its leverage bounded to 1."""


@dataclass(frozen=True)
class Run:
    """What one run through Cerebro gave. Money in the account's currency, returns and weights as fractions."""

    decided: list[date]
    """Sessions on which weights were decided; statistics count from the session after the first."""
    sessions: pd.DatetimeIndex
    """All n sessions of the run."""
    value: pd.Series
    """Equity at each close, shape (n,), money."""
    returns: pd.Series
    """Returns of the sessions that count, shape (m,), m < n."""
    weights: pd.DataFrame
    """Unlevered weights in force at each close, after what was decided on it, shape (n, n_symbols)."""
    exposure: pd.DataFrame
    """Per session: leverage (held), target_leverage, volatility_part, brake_part."""
    statistics: dict[str, float]
    """ann_ret, ann_vol, sharpe, max_drawdown of `returns`."""
    drawdown: dict[str, Any]
    """Of the whole run: depth, peak, trough, recovery, length, worst."""
    costs: dict[str, Any]
    """Analysis of `TradingCosts`."""
    fills: list[dict[str, Any]]
    """Every execution, as `Fills` lists them."""
    unfilled: int
    """Own orders that came to nothing."""
    trims: int
    """Sessions on which the account could not open the leverage wanted."""

    @property
    def first(self) -> pd.Timestamp:
        """The first session whose return counts."""
        return self.returns.index[0]


@dataclass(frozen=True)
class Backtest:
    """Base and dynamic on one panel."""

    config: Config
    panel: Panel
    base: Run
    dynamic: Run


def load_panel(config: Config, cache: Cache | None = None) -> Panel:
    """The bars that a configuration names, with the dated rates its account needs. Raises as `feeds.load` does."""
    panel = load(**part(config, "data"), cache=cache)
    account = part(config, "account")
    rates, notes = read_rates(account, panel.sessions, config["source"], config["data_dir"], cache)
    return replace(panel, rates=rates, warnings=(*panel.warnings, *notes)) if rates else panel


def simulate(
    panel: Panel, config: Config, *, advance: Callable[[int], None] | None = None, **account: Any
) -> Run:
    """One run through Cerebro.

    Parameters
    ----------
    panel : bars of the universe
    config : every parameter; those of the data are not looked at
    advance : called with the number of sessions done, now and then
    **account : more arguments of `open_account`, e.g. broker="stock"

    Raises
    ------
    ValueError
        A parameter out of bounds, or a panel too short for the first weights.
    """
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    account.setdefault("acknowledge", False)
    open_account(cerebro, **part(config, "run"), **dated(part(config, "account"), panel.rates), **account)
    cerebro.addstrategy(RiskParityBlend, **part(config, "strategy"))
    cerebro.addsizer(VolTargetDrawdownSizer, **part(config, "sizer"))
    for analyzer in (DailySeries, Exposure, TradingCosts, MaxDrawdown, Fills):
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    if advance is not None:
        cerebro.addanalyzer(Progress, advance=advance)
    (strategy,) = cerebro.run()
    return _collect(panel, config, strategy)


def _collect(panel: Panel, config: Config, strategy: Any) -> Run:
    analyses = {name: analyzer.get_analysis() for name, analyzer in strategy.analyzers.getitems()}
    if not strategy.rebalances:
        raise ValueError(
            f"{len(panel.sessions)} sessions common to all symbols decide no weights: min_hist={config['min_hist']} "
            f"needs {config['min_hist'] + 1} up to a rebalance session ({config['rebalance_freq']}): give more "
            "history, or a smaller min_hist"
        )
    daily, exposure = analyses["DailySeries"], analyses["Exposure"]
    sessions = pd.DatetimeIndex(daily["dates"], name="date")
    after = int(sessions.searchsorted(pd.Timestamp(strategy.rebalances[0]), side="right"))
    returns = pd.Series(daily["returns"], sessions)[after:]
    if returns.empty:
        raise ValueError(
            f"the first weights are decided on the last session, {strategy.rebalances[0]}: nothing can be earned; "
            "give more history, or a smaller min_hist"
        )
    leverages = ("leverage", "target_leverage", "volatility_part", "brake_part")
    return Run(
        decided=strategy.rebalances,
        sessions=sessions,
        value=pd.Series(daily["value"], sessions),
        returns=returns,
        weights=pd.DataFrame(exposure["target_weights"], sessions),
        exposure=pd.DataFrame({name: exposure[name] for name in leverages}, sessions),
        statistics=summary(np.asarray(returns)),
        drawdown=analyses["MaxDrawdown"],
        costs=analyses["TradingCosts"],
        fills=analyses["Fills"]["fills"],
        unfilled=strategy.unfilled,
        trims=strategy.getsizer().trims,
    )


def backtest(panel: Panel, config: Config, *, advance: Callable[[int], None] | None = None) -> Backtest:
    """Base and dynamic. Arguments and errors as `simulate`; `advance` hears of 2 × the panel's sessions."""
    return Backtest(
        config=config,
        panel=panel,
        base=simulate(panel, {**config, **UNLEVERED}, advance=advance),
        dynamic=simulate(panel, config, advance=advance),
    )
