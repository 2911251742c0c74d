"""The ladder of anybody's strategy: from backtrader's own broker, free and filled at once, to the account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.feeds import Panel

from ..workbench.allocations import config_summary
from ..workbench.assembly import our_sizer
from ..workbench.captions import growth_in_words
from ..workbench.parameters import Config
from ..workbench.rates import resolved_rates
from ..workbench.references import sources
from ..workbench.summaries import FORMAT, data_summary, versions
from ..workbench.theirs import ACCOUNT, Strategies, StrategyRun, legs_of, run_strategy
from .rungs import IDEAL, Rung
from .words import STATISTICS

__all__ = [
    "STRATEGY_RUNGS",
    "StrategyLadder",
    "StrategyStep",
    "climb_strategy",
    "strategy_conclusion",
    "strategy_frame",
    "strategy_rows",
    "strategy_summary",
]

STRATEGY_RUNGS = (
    Rung("stock_broker", "backtrader's broker, filled at once"),
    Rung("next_open_fills", "orders fill at the next open", ("execution",)),
    Rung("whole_shares", "no fractions of a share", ("whole_shares",)),
    Rung("margin_account", "a margin account and its limits", ("initial_margin", "maintenance_margin")),
    Rung("commission", "the broker takes its commission",
         ("commission_bps", "commission_per_share", "commission_min")),
    Rung("slippage", "fills are worse than the quote", ("slippage_bps",)),
    Rung("loan_interest", "loans cost, idle cash earns", ("borrow_rate", "cash_rate")),
)  # fmt: skip
"""Each keeps what the rungs above it changed; the last is `backtest_strategy`."""

NO_LOANS = {"initial_margin": 1.0, "maintenance_margin": 1.0}
"""What backtrader's own broker asks for."""

STOCK = ("stock_broker", "next_open_fills", "whole_shares")
"""Rungs on backtrader's own broker."""


@dataclass(frozen=True)
class StrategyStep:
    """A rung, run.

    Attributes
    ----------
    rung : Rung
    runs : mapping
        Portfolio -> StrategyRun.
    changes : bool
        Whether a return of a session differs from the rung above.
    """

    rung: Rung
    runs: Mapping[str, StrategyRun]
    changes: bool

    @property
    def what(self) -> str:
        """What it changes, in a few plain words."""
        return self.rung.what if self.changes else "changes nothing here"


@dataclass(frozen=True)
class StrategyLadder:
    """Every rung of `STRATEGY_RUNGS`, in order.

    Attributes
    ----------
    config : Config
    panel : Panel
    name : str
        Of the strategy.
    steps : tuple of StrategyStep
    files : mapping
        File name -> SHA-256 of what the strategy is made of.
    """

    config: Config
    panel: Panel
    name: str
    steps: tuple[StrategyStep, ...]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def legs(self) -> tuple[str, ...]:
        """base and dynamic, or the one account of a strategy that sizes itself."""
        return tuple(self.steps[-1].runs)

    def sharpes(self, leg: str) -> list[float]:
        """Sharpe ratio of a portfolio, rung by rung."""
        return [step.runs[leg].statistics["excess_sharpe"] for step in self.steps]

    def changes(self, leg: str) -> list[float]:
        """Sharpe ratio less that of the rung above; nan at the top."""
        return [float("nan"), *(b - a for a, b in pairwise(self.sharpes(leg)))]


def climb_strategy(panel: Panel, config: Config, theirs: Strategies) -> StrategyLadder:
    """Take a strategy from backtrader's own broker to the account of a configuration.

    Parameters
    ----------
    panel : Panel
    config : Config
        Of the account, the overlay and statistics.
    theirs : Strategies

    Returns
    -------
    StrategyLadder

    Raises
    ------
    InputError
        As `run_strategy`.
    """
    config = resolved_rates(config, panel.rates)
    legs = legs_of(panel, config, theirs)
    steps: list[StrategyStep] = []
    for at, rung in enumerate(STRATEGY_RUNGS):
        stock = rung.id in STOCK
        below = {name: IDEAL[name] for other in STRATEGY_RUNGS[at + 1 :] for name in other.switches}
        runs = {}
        for leg, (own, sizer) in legs.items():
            settings = {**own, **below, **(NO_LOANS if stock else {})}
            sized = sizer if leg == ACCOUNT else our_sizer(settings)
            broker = "stock" if stock else "margin"
            runs[leg] = run_strategy(panel, settings, theirs.strategy, sized, broker=broker, files=theirs.files)[0]
        changes = not steps or any(not runs[leg].value.equals(steps[-1].runs[leg].value) for leg in runs)
        steps.append(StrategyStep(rung, runs, changes))
    made_of = {name: digest for file in theirs.files for name, digest in sources(file).items()}
    return StrategyLadder(config, panel, theirs.strategy[0].__name__, tuple(steps), made_of)


def strategy_rows(result: StrategyLadder) -> tuple[list[str], list[list[str]]]:
    """A table of the ladder.

    Parameters
    ----------
    result : StrategyLadder

    Returns
    -------
    titles : list of str
    rows : list of list of str
        Two lines a rung.
    """
    changes, rows = {leg: result.changes(leg) for leg in result.legs}, []
    for at, step in enumerate(result.steps):
        labels = [step.rung.id, step.what]
        for label, leg in zip(labels, [*result.legs, ""], strict=False):
            if not leg:
                rows.append([label, *[""] * 7])
                continue
            s, change = step.runs[leg].statistics, changes[leg][at]
            shown = "" if np.isnan(change) else f"{change:+.2f}"
            percent = [f"{100 * s['growth']:.2f}", *(f"{100 * s[key]:.1f}" for key in ("ann_vol", "max_drawdown"))]
            leverage = f"{step.runs[leg].mean_leverage:.2f}"
            rows.append([label, leg, f"{s['excess_sharpe']:.2f}", shown, *percent, leverage])
    return ["rung", "", "Sharpe", "step", "growth", "vol", "fall", "lev."], rows


def strategy_conclusion(result: StrategyLadder) -> str:
    """Sharpe ratio at both ends, the largest single loss, growth in the account: in numbers."""
    parts = []
    for leg in result.legs:
        sharpes, changes = result.sharpes(leg), result.changes(leg)
        part = f"{leg}: Sharpe {sharpes[0]:.2f} on a free broker, {sharpes[-1]:.2f} in the account"
        worst = int(np.argmin([0.0, *np.nan_to_num(changes[1:])]))
        if worst:
            part += f", largest single loss {-changes[worst]:.2f} ({result.steps[worst].rung.id})"
        part += f"; it {growth_in_words(result.steps[-1].runs[leg].statistics['growth'])}"
        parts.append(part[0].upper() + part[1:])
    still = [step.rung.id for step in result.steps if not step.changes]
    if still:
        parts.append(f"Nothing changed at {', '.join(still)}")
    if result.panel.synthetic:
        parts.append("The market is synthetic: none of this happened")
    return ". ".join(parts) + "."


def strategy_frame(result: StrategyLadder) -> pd.DataFrame:
    """The ladder as a table.

    Parameters
    ----------
    result : StrategyLadder

    Returns
    -------
    DataFrame of shape (n_rungs, n_columns)
        Index the rung's id: what, then statistics of each portfolio and the change of its Sharpe ratio, fractions.
    """
    columns: dict[str, list[Any]] = {"what": [step.what for step in result.steps]}
    for leg in result.legs:
        for name in STATISTICS:
            columns[f"{leg}_{name}"] = [step.runs[leg].statistics[name] for step in result.steps]
        columns[f"{leg}_sharpe_change"] = result.changes(leg)
    return pd.DataFrame(columns, index=pd.Index([step.rung.id for step in result.steps], name="rung"))


def strategy_summary(result: StrategyLadder) -> dict[str, Any]:
    """Everything that describes the ladder, statistics as fractions.

    Parameters
    ----------
    result : StrategyLadder

    Returns
    -------
    dict
        For `write_json`.
    """
    first = min(step.runs[leg].returns.index[0] for step in result.steps for leg in result.legs)
    before = result.panel.sessions[max(0, int(result.panel.sessions.searchsorted(first)) - 1)]
    return {
        "format": FORMAT,
        "strategy": result.name,
        "rungs": [
            {
                "id": step.rung.id,
                "what": step.what,
                **{leg: {**run.statistics, "mean_leverage": run.mean_leverage} for leg, run in step.runs.items()},
            }
            for step in result.steps
        ],
        "conclusion": strategy_conclusion(result),
        **config_summary(result.config),
        "files": dict(result.files),
        "data": data_summary(result.panel, before, first),
        "versions": versions(),
    }
