"""One account whose parameters change by a plan."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.analyzers import DailySeries, Exposure, TradingCosts
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import Allocation, RiskParityBlend

from ..sweep import Params
from ..workbench.allocations import arguments_of, sessions_before, with_params
from ..workbench.assembly import Pair, assemble, our_sizer, our_strategy, pair_of
from ..workbench.parameters import Config
from ..workbench.references import blamed
from ..workbench.theirs import theirs_of

__all__ = ["Account", "Plan", "check_plannable", "trade_plan"]

Plan = Sequence[tuple[pd.Timestamp, Params]]
"""(session, parameters): in force from that session's close on. The first begins the account."""


@dataclass(frozen=True)
class Account:
    """One run of an account whose parameters change.

    Attributes
    ----------
    returns : Series of shape (m,)
        Of the sessions after the first of the plan, fractions.
    costs : dict
        Analysis of `TradingCosts`, money.
    mean_leverage : float
        Held, over the same sessions.
    overlaid : bool
        Whether the overlay sizes its orders.
    """

    returns: pd.Series
    costs: dict[str, Any]
    mean_leverage: float
    overlaid: bool = True


def check_plannable(config: Config, names: Iterable[str] = ()) -> None:
    """Refuse a strategy of somebody's that cannot be changed in the middle of a run.

    Parameters
    ----------
    config : Config
    names : iterable of str
        Parameters that are to change.

    Raises
    ------
    InputError
        Its class, or that of a sizer whose arguments are to change, has no `reconfigure`.
    """
    theirs = theirs_of(config)
    if theirs is None:
        return
    parts = {"strategy.": theirs.strategy, "sizer.": theirs.sizer}
    for prefix, part in parts.items():
        concerned = prefix == "strategy." or any(name.startswith(prefix) for name in names)
        if part is not None and concerned and not callable(getattr(part[0], "reconfigure", None)):
            raise InputError(
                f"{part[0].__name__} cannot be changed in the middle of a run",
                "give it a method reconfigure(**params), or ask for a sweep",
            )


def trade_plan(panel: Panel, config: Config, plan: Plan) -> Account:
    """One run through Cerebro whose parameters change at closes.

    From the start the strategy computes weights, so that it knows the volatility of its portfolio when it begins;
    it sends no order before the first session of the plan. Somebody's strategy runs from the start, too, and its `buy`
    and `sell` send nothing before that session. A plan of one entry on the first session is `simulate`.

    Parameters
    ----------
    panel : Panel
    config : Config
    plan : Plan
        Parameters of strategy and sizer that differ from `config`, sessions rising.

    Returns
    -------
    Account

    Raises
    ------
    InputError, ConvergenceError, StrategyError
        As `simulate` and `check_plannable`.
    """
    theirs = theirs_of(config)
    pair = _our_pair(config, plan) if theirs is None else _their_pair(config, plan)
    cerebro = assemble(
        panel, config, pairs=[pair], analyzers=[(one, {}) for one in (DailySeries, TradingCosts, Exposure)]
    )
    with blamed("the strategy" if theirs is None else theirs.name, () if theirs is None else theirs.files):
        (ran,) = cerebro.run()
    daily = ran.analyzers.DailySeries.get_analysis()
    series = pd.Series(daily["returns"], pd.DatetimeIndex(daily["dates"], name="date"))
    traded = series.index > plan[0][0]
    held = pd.Series(ran.analyzers.Exposure.get_analysis()["leverage"], series.index)
    costs = ran.analyzers.TradingCosts.get_analysis()
    overlaid = theirs is None or getattr(ran.getsizer(), "asked", False)
    return Account(series[traded], costs, float(held[traded].mean()), overlaid)


def _our_pair(config: Config, plan: Plan) -> Pair:
    settings = [with_params(config, params) for _, params in plan]
    strategy, parameters = our_strategy(settings[0])
    changes = tuple(
        (day.date(), our_strategy(values)[1], our_sizer(values)[1])
        for (day, _), values in zip(plan[1:], settings[1:], strict=True)
    )
    sizer, sizing = our_sizer(settings[0])
    history = max(map(sessions_before, settings))
    returns = max(values["vol_lookback"] for values in settings)
    begins = {"trade_from": plan[0][0].date(), "memory": history, "plan": changes}
    planned = _PlannedBlend if strategy is RiskParityBlend else _PlannedAllocation
    return (planned, {**parameters, **begins}), (sizer, {**sizing, "memory": returns})


def _their_pair(config: Config, plan: Plan) -> Pair:
    check_plannable(config, [name for _, params in plan for name in params])
    settings = [with_params(config, params) for _, params in plan]
    (strategy, parameters), sized = pair_of(settings[0])
    overlay = config["sizer"] is None
    changes = []
    for (day, params), values in zip(plan[1:], settings[1:], strict=True):
        sizing = our_sizer(values)[1] if overlay else arguments_of(params, "sizer.")
        changes.append((day.date(), arguments_of(params, "strategy."), sizing))
    planned = type(f"Planned{strategy.__name__}", (_Waiting, strategy), {})
    begins = {"trade_from": plan[0][0].date(), "plan": tuple(changes)}
    if sized is not None and overlay:
        sized = sized[0], {**sized[1], "memory": max(values["vol_lookback"] for values in settings)}
    return (planned, {**parameters, **begins}), sized


class _Planned(bt.Strategy):
    """A strategy, it and its sizer reconfigured by `plan`: (date, parameters of the one, of the other)."""

    def __init__(self) -> None:
        super().__init__()
        self._coming = list(self.p.plan)

    def prenext(self) -> None:
        self._follow()
        super().prenext()

    def next(self) -> None:
        self._follow()
        super().next()

    def _follow(self) -> None:
        today = dt.date.fromordinal(int(self.datetime[0]))
        while self._coming and self._coming[0][0] <= today:
            _, strategy, sizer = self._coming.pop(0)
            for of, changed in ((self, strategy), (self.getsizer(), sizer)):
                if changed:
                    of.reconfigure(**changed)


class _PlannedBlend(_Planned, RiskParityBlend):
    """With the blend."""

    params = (("plan", ()),)


class _PlannedAllocation(_Planned, Allocation):
    """With any other rule of weights."""

    params = (("plan", ()),)


class _Waiting(_Planned):
    """Somebody's strategy, which sends nothing before a date."""

    params = (("plan", ()), ("trade_from", None))

    def buy(self, *order: Any, **more: Any) -> Any:
        """As the strategy's, from the date on; None before."""
        return super().buy(*order, **more) if self._has_begun() else None

    def sell(self, *order: Any, **more: Any) -> Any:
        """As `buy`."""
        return super().sell(*order, **more) if self._has_begun() else None

    def _has_begun(self) -> bool:
        return dt.date.fromordinal(int(self.datetime[0])) >= self.p.trade_from
