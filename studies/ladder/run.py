"""The reality ladder: from the notebook's paper result to the broker's account, one difference at a time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd

from riskoverlay.analyzers import summary
from riskoverlay.feeds import Panel
from riskoverlay.strategies import LeverageRules, WeightRules
from riskoverlay.strategies.paper import paper_backtest
from riskoverlay.strategies.weights import WeightMemory

from ..workbench.beside import constant_leverage
from ..workbench.parameters import Config
from ..workbench.rates import bill_returns, resolved_rates
from ..workbench.runs import UNLEVERED, Run, simulate
from ..workbench.twins import Twins
from ..workbench.workers import check_workers, open_workers
from .rungs import REAL, RUNGS, Rung, changes_something, rung_settings

__all__ = ["LEGS", "Ladder", "Leg", "Step", "ladder", "run_rung"]

LEGS = ("base", "dynamic")

Job = tuple[str, dict[str, Any], bool, tuple[str, ...]]
"""Rung, settings, whether through the broker, legs."""


@dataclass(frozen=True)
class Leg:
    """One portfolio on one rung.

    Attributes
    ----------
    returns : Series
        Simple, one a session that counts, fractions.
    statistics : dict
        `analyzers.summary` of `returns`, fractions.
    mean_leverage : float
        Held in the account; nan on paper.
    """

    returns: pd.Series
    statistics: dict[str, float]
    mean_leverage: float = math.nan


@dataclass(frozen=True)
class Step:
    """A rung, run.

    Attributes
    ----------
    rung : Rung
    changes : bool
        False when the user's settings make it the rung above.
    base, dynamic : Leg
    """

    rung: Rung
    changes: bool
    base: Leg
    dynamic: Leg

    @property
    def what(self) -> str:
        """What it changes, in a few plain words."""
        return self.rung.what if self.changes else "no change with these flags"


@dataclass(frozen=True)
class Ladder:
    """Every rung of `RUNGS`, in order.

    Attributes
    ----------
    config : Config
    panel : Panel
    steps : tuple of Step
    constant : Leg
        In the account of the last rung, base at the constant leverage that dynamic holds there on average.
    """

    config: Config
    panel: Panel
    steps: tuple[Step, ...]
    constant: Leg

    def sharpes(self, leg: str) -> list[float]:
        """Sharpe ratio of "base" or "dynamic", rung by rung."""
        return [getattr(step, leg).statistics["excess_sharpe"] for step in self.steps]

    def changes(self, leg: str) -> list[float]:
        """Sharpe ratio less that of the rung above; nan at the top."""
        sharpes = self.sharpes(leg)
        return [float("nan"), *(b - a for a, b in pairwise(sharpes))]


_remember = WeightMemory()
"""Weights that the rungs of this process share."""


def run_rung(panel: Panel, settings: Mapping[str, Any], *, broker: bool, legs: tuple[str, ...] = LEGS) -> list[Leg]:
    """The portfolios asked for, on one rung.

    Parameters
    ----------
    panel : Panel
    settings : mapping
        As `rung_settings` gives them.
    broker : bool
        Through Cerebro (`simulate`), or as arrays (`paper_backtest`).
    legs : tuple of str
        Some of `LEGS`.

    Returns
    -------
    list of Leg

    Raises
    ------
    InputError, ConvergenceError
        As these two.
    """
    if broker:
        config = {name: value for name, value in settings.items() if name not in REAL}
        asked = [config | UNLEVERED if leg == "base" else config for leg in legs]
        runs = [simulate(panel, one, remember=_remember) for one in asked]
        return [_leg(run) for run in runs]
    paper = paper_backtest(
        panel.closes, WeightRules.of(settings), LeverageRules.of(settings), **{name: settings[name] for name in REAL}
    )
    returns = {"base": paper.base_returns, "dynamic": paper.dynamic_returns}
    at = int(panel.sessions.searchsorted(paper.sessions[0]))
    before = panel.sessions[at - 1] if at else None
    bill = bill_returns(settings["risk_free"], panel.rates, list(paper.sessions), before)
    return [Leg(pd.Series(returns[leg], paper.sessions), summary(returns[leg], bill)) for leg in legs]


def _climb(panel: Panel, job: Job) -> list[Leg]:
    _, settings, broker, legs = job
    return run_rung(panel, settings, broker=broker, legs=legs)


def ladder(
    panel: Panel, config: Config, *, workers: int | None = None, advance: Callable[[int], None] | None = None
) -> Ladder:
    """Climb down from paper to account.

    Parameters
    ----------
    panel : Panel
        Bars of the universe.
    config : Config
        Every parameter; the last rung is `backtest(panel, config)`, to the last digit.
    workers : int, optional
        Processes, None: one a processor. Results do not depend on it. With more than one, a script must call this under
        `if __name__ == "__main__":`, because each process may read the script again.
    advance : callable, optional
        Called with 1 for each rung done.

    Returns
    -------
    Ladder

    Raises
    ------
    InputError
        `workers` below 1; otherwise as `simulate` and `paper_backtest`.
    ConvergenceError
        Weights that cannot be solved for.
    """
    count = check_workers(workers)
    config = resolved_rates(config, panel.rates)
    real = {**config, **REAL}
    changing = [rung for rung in RUNGS if changes_something(real, rung)]
    jobs: list[Job] = []
    for rung in changing:
        settings = rung_settings(config, rung)
        jobs += (
            [(rung.id, settings, True, (leg,)) for leg in LEGS] if rung.broker else [(rung.id, settings, False, LEGS)]
        )
    # The account as the user wants it first, so that a wrong value is found at once; then what trades every session.
    jobs.sort(key=lambda job: (job[0] != changing[-1].id, not job[2]))

    done: dict[str, dict[str, Leg]] = {rung.id: {} for rung in changing}
    if advance is not None:
        advance(len(RUNGS) - len(changing))
    with open_workers(_climb, panel, min(count, len(jobs)), fork=True) as pool:
        for number, result in pool.perform(dict(enumerate(jobs))):
            id_, _, _, legs = jobs[number]
            done[id_] |= zip(legs, result, strict=True)
            if advance is not None and len(done[id_]) == len(LEGS):
                advance(1)

    steps: list[Step] = []
    for rung in RUNGS:
        found = done.get(rung.id) or {"base": steps[-1].base, "dynamic": steps[-1].dynamic}
        steps.append(Step(rung, rung in changing, found["base"], found["dynamic"]))
    wanted, twins = steps[-1].dynamic.mean_leverage, Twins(panel)
    constant = constant_leverage(panel, config, wanted, remember=twins.remember, twins=twins)
    return Ladder(config, panel, tuple(steps), _leg(constant))


def _leg(run: Run) -> Leg:
    return Leg(run.returns, run.statistics, run.mean_leverage)
