"""What is said of a ladder: sentences, tables, and what its files hold."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ..workbench.allocations import config_summary
from ..workbench.captions import growth_in_words
from ..workbench.summaries import FORMAT, data_summary, versions
from ..workbench.theirs import named
from .run import LEGS, Ladder, Leg

__all__ = [
    "conclusion",
    "engine_in_words",
    "ladder_frame",
    "ladder_summary",
    "signed",
    "universe_in_words",
    "waterfall_bars",
]

STATISTICS = ("growth", "excess_sharpe", "ann_ret", "ann_vol", "sharpe", "max_drawdown")


def universe_in_words(result: Ladder) -> str:
    """Whose strategy, symbols, source and the sessions that count at the bottom, in one line."""
    panel, first = result.panel, result.bottom.returns.index[0]
    symbols = ", ".join(panel.symbols[:12]) + (", ..." if len(panel.symbols) > 12 else "")
    count = f" ({len(panel.symbols)})" if len(panel.symbols) > 12 else ""
    whose = named(result.config, " on ")
    return f"{whose}{symbols}{count}; {panel.source}, {first:%Y-%m-%d} to {panel.sessions[-1]:%Y-%m-%d}"


def waterfall_bars(sharpes: Sequence[float]) -> list[tuple[float, float]]:
    """Where each bar of a waterfall begins, and how far it goes.

    Parameters
    ----------
    sharpes : sequence of float
        Rung by rung.

    Returns
    -------
    list of (float, float)
        The first rung whole, each change from the one above, and the sum whole: one more than the rungs.
    """
    changes = [(before, after - before) for before, after in pairwise(sharpes)]
    return [(0.0, sharpes[0]), *changes, (0.0, sharpes[-1])]


def signed(change: float) -> str:
    """A change of Sharpe ratio to print: +0.12, -0.03, 0.00; nothing for nan."""
    if math.isnan(change):
        return ""
    shown = f"{change:+.2f}"
    return shown if float(shown) else "0.00"


def conclusion(result: Ladder) -> str:
    """Sharpe at the top and in the account, the largest single loss, dynamic against base at the bottom: in numbers."""
    parts = []
    end = "in the account" if result.steps[0].rung.broker else "through the broker"
    for leg in result.legs:
        sharpes, changes = result.sharpes(leg), result.changes(leg)
        part = f"{leg}: Sharpe {sharpes[0]:.2f} on {result.top}, {sharpes[-1]:.2f} {end}"
        worst = int(np.argmin([0.0, *np.nan_to_num(changes[1:])]))
        if worst:
            part += f", largest single loss {-changes[worst]:.2f} ({result.steps[worst].rung.id})"
        if len(result.legs) == 1:
            part += f"; it {growth_in_words(result.bottom.statistics['growth'])}"
        parts.append(part[0].upper() + part[1:])
    if result.constant is not None:
        parts += _overlay_in_words(result, result.constant)
    if result.config["strategy"] is not None and (still := [s.rung.id for s in result.steps[1:] if not s.changes]):
        parts.append(f"Nothing changed at {', '.join(still)}")
    if result.panel.synthetic:
        parts.append("The market is synthetic: none of this happened")
    return ". ".join(parts) + "."


def _overlay_in_words(result: Ladder, constant: Leg) -> list[str]:
    """What the overlay is worth at both ends, and what of it is timing."""
    parts = []
    ends = [
        step.legs["dynamic"].statistics["excess_sharpe"] - step.legs["base"].statistics["excess_sharpe"]
        for step in (result.steps[0], result.steps[-1])
    ]
    if np.isfinite(ends).all():
        base, dynamic = (growth_in_words(result.steps[-1].legs[leg].statistics["growth"]) for leg in LEGS)
        parts.append(
            f"The overlay is worth {ends[0]:+.2f} of Sharpe on {result.top} and {ends[1]:+.2f} in the account, where "
            f"dynamic {dynamic} and base {base}"
        )
    held, steady = result.bottom, constant.statistics["growth"]
    timing = 100 * (held.statistics["growth"] - steady)
    if np.isfinite(timing):
        parts.append(
            f"The same leverage on average, {held.mean_leverage:.2f}, held constant {growth_in_words(steady)}: timing "
            f"it {'added' if timing >= 0 else 'took'} {abs(timing):.2f} % a year"
        )
    return parts


def engine_in_words(result: Ladder) -> str | None:
    """Which rungs the twin of the account ran, in a sentence.

    Parameters
    ----------
    result : Ladder

    Returns
    -------
    str or None
        None where all of the account went through Cerebro.
    """
    account = [step.rung.id for step in result.steps if step.rung.broker and step.changes]
    if result.engine == "cerebro" or len(account) < 3:
        return None
    first, *between, last = account
    said = between[0] if len(between) == 1 else f"{between[0]} to {between[-1]}"
    return (
        f"{said}: by the twin of the account, which agrees with Cerebro on {first} and {last} (--engine cerebro: all)."
    )


def ladder_summary(result: Ladder) -> dict[str, Any]:
    """Everything that describes a ladder, statistics as fractions; `config` runs it again.

    Parameters
    ----------
    result : Ladder

    Returns
    -------
    dict
        For `write_json`.
    """
    first = result.bottom.returns.index[0]
    before, constant = int(result.panel.sessions.searchsorted(first)) - 1, result.constant
    return {
        "format": FORMAT,
        "rungs": [
            {
                "id": step.rung.id,
                "what": step.what,
                "first_session": step.legs[result.legs[-1]].returns.index[0],
                **{name: leg.statistics for name, leg in step.legs.items()},
                "mean_leverage": {name: leg.mean_leverage for name, leg in step.legs.items()},
            }
            for step in result.steps
        ],
        **({} if constant is None else {"constant": {**constant.statistics, "mean_leverage": constant.mean_leverage}}),
        "conclusion": conclusion(result),
        "engine": result.engine,
        **config_summary(result.config),
        "data": data_summary(result.panel, result.panel.sessions[before], first),
        "versions": versions(),
    }


def ladder_frame(result: Ladder) -> pd.DataFrame:
    """The ladder as a table.

    Parameters
    ----------
    result : Ladder

    Returns
    -------
    DataFrame of shape (n_rungs, n_columns)
        Index the rung's id: what, then statistics of each portfolio (base_, dynamic_) and change of its Sharpe ratio,
        fractions.
    """
    columns: dict[str, list[Any]] = {"what": [step.what for step in result.steps]}
    for leg in result.legs:
        for name in STATISTICS:
            columns[f"{leg}_{name}"] = [step.legs[leg].statistics[name] for step in result.steps]
        columns[f"{leg}_sharpe_change"] = result.changes(leg)
    return pd.DataFrame(columns, index=pd.Index([step.rung.id for step in result.steps], name="rung"))
