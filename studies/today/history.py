"""What an account did, session by session, as a run that pages can show; beside it the backtest of the same dates."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.analyzers import active_statistics, summary
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import Correction

from ..workbench.parameters import Config
from ..workbench.portfolios import Backtest
from ..workbench.runs import Run, collect
from ..workbench.theirs import ACCOUNT
from .run import KINDS, ran

__all__ = ["Tracked", "backtest_since", "tracked"]


@dataclass(frozen=True)
class Tracked:
    """An account beside the backtest of its dates.

    Attributes
    ----------
    result : Backtest
        `account`, and the backtest as its benchmark.
    tracking : float
        Growth a year of the account less the backtest's, a fraction.
    fills : list of dict
        Those that differ: `date`, `symbol`, `account` and `backtest`, each (shares, price) or None.
    """

    result: Backtest
    tracking: float
    fills: list[dict[str, Any]]


def backtest_since(panel: Panel, config: Config, opened: dt.date) -> Run:
    """The uninterrupted backtest that begins on the day an account was opened.

    Parameters
    ----------
    panel : Panel
        With the warm-up before it.
    config : Config
    opened : date

    Returns
    -------
    Run
    """
    statement = Correction(opened.toordinal(), cash=config["cash"], opens=True)
    return collect(ran(panel, config, statement, trade_from=opened), panel, config, opened)


def tracked(panel: Panel, account: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Tracked:
    """Hold an account against the backtest of the same dates.

    Parameters
    ----------
    panel : Panel
        From the warm-up before the account was opened.
    account : mapping
        As `advance` gives it.
    entries : sequence of mapping
        Its journal.

    Returns
    -------
    Tracked

    Raises
    ------
    InputError
        As `simulate`; an account of one session.
    """
    if len(entries) < 3:
        raise InputError("the account has too few sessions to be shown", "ask again after some more")
    opened = dt.date.fromisoformat(account["opened"])
    run = backtest_since(panel, account["config"], opened)
    mine = _run_of(run, entries)
    result = Backtest(account["config"], panel, {ACCOUNT: mine}, {"backtest": run})
    dates = [day.date() for day in mine.returns.index]
    apart = active_statistics(mine.returns.to_numpy(), run.returns.to_numpy(), run.risk_free, dates)
    return Tracked(result, float(apart["active_return"]), _other_fills(mine.fills, run.fills))


def _run_of(run: Run, entries: Sequence[Mapping[str, Any]]) -> Run:
    """The journal in the shape of the run beside it: before its first session the account is what that was."""
    days = pd.DatetimeIndex([entry["session"] for entry in entries], name="date")
    if not days[1:].equals(pd.DatetimeIndex(run.returns.index)):
        raise InputError("the journal has other sessions than the prices", "give the prices that were there")
    table = pd.DataFrame(list(entries), index=days)
    returns, value, exposure = table["fund"].pct_change().iloc[1:], run.value.copy(), run.exposure.copy()
    value[days], exposure.loc[days] = table["value"], table[list(exposure)]
    sessions = pd.DataFrame(run.costs["sessions"]).set_axis(run.sessions)
    sessions.loc[days, KINDS] = table[KINDS]
    costs: dict[str, Any] = {
        **run.costs, **{name: float(sessions[name].sum()) for name in KINDS}, "sessions": sessions.to_dict("list"),
        "end": float(value.iloc[-1]), "deposits": float(table["deposit"].sum()),
    }  # fmt: skip
    return replace(
        run, value=value, returns=returns, exposure=exposure, costs=costs, fills=[*chain(*table["fills"])],
        statistics=summary(returns.to_numpy(), run.risk_free), decided=[], attribution={"contributions": {}},
    )  # fmt: skip


def _other_fills(mine: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fills of one that the other has not, or at another price."""
    one, other = (
        {(str(fill["date"])[:10], fill["symbol"]): (fill["size"], fill["price"]) for fill in fills}
        for fills in (mine, theirs)
    )
    return [
        {"date": day, "symbol": name, "account": one.get((day, name)), "backtest": other.get((day, name))}
        for day, name in sorted({*one, *other})
        if not _same(one.get((day, name)), other.get((day, name)))
    ]


def _same(one: Any, other: Any) -> bool:
    return one is not None and other is not None and bool(np.allclose(one, other, rtol=1e-9, atol=0.0))
