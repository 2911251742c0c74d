"""One account whose parameters change by a plan."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from riskoverlay.analyzers import DailySeries, Exposure, TradingCosts
from riskoverlay.feeds import Panel
from riskoverlay.strategies import Allocation, Rebalancing, RiskParityBlend

from ..sweep import Params
from ..workbench.allocations import sessions_before, with_params
from ..workbench.assembly import assemble, our_sizer, our_strategy
from ..workbench.parameters import Config

__all__ = ["Account", "Plan", "trade_plan"]

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
    """

    returns: pd.Series
    costs: dict[str, Any]
    mean_leverage: float


def trade_plan(panel: Panel, config: Config, plan: Plan) -> Account:
    """One run through Cerebro whose parameters change at closes.

    From the start the strategy computes weights, so that it knows the volatility of its portfolio when it begins;
    it sends no order before the first session of the plan. A plan of one entry on the first session is `simulate`.

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
    InputError, ConvergenceError
        As `simulate`.
    """
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
    pair = ((planned, {**parameters, **begins}), (sizer, {**sizing, "memory": returns}))
    cerebro = assemble(
        panel, config, pairs=[pair], analyzers=[(one, {}) for one in (DailySeries, TradingCosts, Exposure)]
    )
    (ran,) = cerebro.run()
    daily = ran.analyzers.DailySeries.get_analysis()
    series = pd.Series(daily["returns"], pd.DatetimeIndex(daily["dates"], name="date"))
    traded = series.index > plan[0][0]
    held = pd.Series(ran.analyzers.Exposure.get_analysis()["leverage"], series.index)
    costs = ran.analyzers.TradingCosts.get_analysis()
    return Account(returns=series[traded], costs=costs, mean_leverage=float(held[traded].mean()))


class _Planned(Rebalancing):
    """A strategy, it and its sizer reconfigured by a plan: (date, parameters of the one, of the other)."""

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
            self.reconfigure(**strategy)
            self.getsizer().reconfigure(**sizer)


class _PlannedBlend(_Planned, RiskParityBlend):
    """With the blend."""

    params = (("plan", ()),)


class _PlannedAllocation(_Planned, Allocation):
    """With any other rule of weights."""

    params = (("plan", ()),)
