"""What an account did, session by session, as a run that pages can show; beside it the backtest of the same dates."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.analyzers import drawdown_summary, summary
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import Correction

from ..workbench import Backtest, Config, Run, collect, sessions_below
from ..workbench.theirs import ACCOUNT
from .run import KINDS, ran

__all__ = ["BACKTEST", "backtest_since", "other_fills", "tracked"]

BACKTEST = "backtest"
"""What the backtest beside an account is called."""


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


def tracked(panel: Panel, account: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Backtest:
    """An account beside the backtest of its dates, which stands where benchmarks do.

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
    Backtest
        The tracking difference is its `active["backtest"]["active_return"]`.

    Raises
    ------
    InputError
        As `simulate`; an account of one session.
    """
    if len(entries) < 3:
        raise InputError("the account has too few sessions to be shown", "ask again after some more")
    run = backtest_since(panel, account["config"], dt.date.fromisoformat(account["opened"]))
    return Backtest(account["config"], panel, {ACCOUNT: _run_of(run, account, entries)}, {BACKTEST: run})


def _run_of(run: Run, account: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Run:
    """The journal in the shape of the run beside it: before its first session the account is what that was."""
    days = pd.DatetimeIndex([entry["session"] for entry in entries], name="date")
    if not days[1:].equals(pd.DatetimeIndex(run.returns.index)):
        raise InputError("the journal has other sessions than the prices", "give the prices that were there")
    table = pd.DataFrame(list(entries), index=days)
    returns, value, exposure = table["fund"].pct_change().iloc[1:], run.value.copy(), run.exposure.copy()
    weights, sessions = run.weights.copy(), pd.DataFrame(run.costs["sessions"]).set_axis(run.sessions)
    value[days], exposure.loc[days], sessions.loc[days, KINDS] = table["value"], table[list(exposure)], table[KINDS]
    weights.loc[days] = pd.DataFrame(list(table["weights"]), days)
    fills, fund, dates = [*chain(*table["fills"])], table["fund"].to_numpy(), [day.date() for day in days]
    costs: dict[str, Any] = {
        **run.costs, **{name: float(sessions[name].sum()) for name in KINDS}, "sessions": sessions.to_dict("list"),
        "end": float(value.iloc[-1]), "deposits": float(table["deposit"].sum()),
        "orders": {**dict.fromkeys(run.costs["orders"], math.nan), "filled": len(fills)},  # others are not kept
    }  # fmt: skip
    below = sessions_below(exposure["leverage"], account["config"]["maintenance_margin"])
    pending = [{**order, "decided": dates[-1]} for order in account["strategy"]["orders"]]
    return replace(
        run, value=value, returns=returns, weights=weights, exposure=exposure, costs=costs, fills=fills, actions=[],
        statistics=summary(returns.to_numpy(), run.risk_free), attribution={"contributions": {}}, pending=pending,
        drawdown=drawdown_summary(fund, dates, 5), below_maintenance=below,
    )  # fmt: skip


def other_fills(result: Backtest) -> pd.DataFrame:
    """Fills of an account that its backtest has not, or at another size or price, and the other way round.

    Parameters
    ----------
    result : Backtest
        As `tracked`.

    Returns
    -------
    DataFrame of shape (n, 6)
        date, symbol, size and price, and size_backtest and price_backtest; nan of what is not there.
    """
    one, other = (
        pd.DataFrame(list(run.fills), columns=["date", "symbol", "size", "price"]).astype({"date": str})
        for run in (result.leading, result.benchmarks[BACKTEST])
    )
    for table in (one, other):  # two of a symbol on one day: an order, and the cut of a margin call
        table["number"] = table.groupby(["date", "symbol"]).cumcount()
    both = one.merge(other, how="outer", on=["date", "symbol", "number"], suffixes=("", "_backtest"))
    same = np.isclose(both[["size", "price"]], both[["size_backtest", "price_backtest"]], rtol=1e-9, atol=0.0)
    return both.iloc[np.flatnonzero(~same.all(axis=1))].drop(columns="number")
