"""The reality ladder: from a paper result, or a free broker, to the account, one difference at a time."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.analyzers import summary
from riskoverlay.errors import TwinError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import LeverageRules
from riskoverlay.strategies.paper import paper_backtest

from ..workbench.allocations import rule_of, rules_of_weights
from ..workbench.beside import constant_leverage, constant_target
from ..workbench.parameters import BLEND, Config, resolved
from ..workbench.rates import bill_returns
from ..workbench.runs import UNLEVERED, Run, simulate
from ..workbench.theirs import ACCOUNT
from ..workbench.twins import EQUAL, TwinRun, Twins, engine_of
from ..workbench.workers import check_workers, open_workers
from .rungs import ARRAYS, MARGIN, REAL, Rung, changes_something, rung_settings, rungs_of

__all__ = ["LEGS", "Ladder", "Leg", "Step", "ladder", "run_rung"]

LEGS = ("base", "dynamic")

FIRST = "event_driven"
"""The first rung of the account."""
CONSTANT = "constant"
"""What stands below the last rung."""

Job = tuple[str, dict[str, Any], str, tuple[str, ...]]
"""Rung, settings, what it runs through, legs."""


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
        False when it is the rung above: by the user's settings, or to the last digit of every return.
    legs : mapping
        Portfolio -> Leg.
    """

    rung: Rung
    changes: bool
    legs: Mapping[str, Leg]

    @property
    def what(self) -> str:
        """What it changes, in a few plain words."""
        return self.rung.what if self.changes else "no change with these flags"


@dataclass(frozen=True)
class Ladder:
    """Every rung of `rungs_of(config)`, in order.

    Attributes
    ----------
    config : Config
    panel : Panel
    steps : tuple of Step
    constant : Leg or None
        In the account of the last rung, base at the constant leverage that dynamic holds there on average; None where
        there is no overlay.
    engine : {"twin", "cerebro"}
        What ran the rungs between the account's first and its last.
    """

    config: Config
    panel: Panel
    steps: tuple[Step, ...]
    constant: Leg | None
    engine: str = "cerebro"

    @property
    def legs(self) -> tuple[str, ...]:
        """base and dynamic, or the one account of a strategy that sizes itself."""
        return tuple(self.steps[-1].legs)

    @property
    def bottom(self) -> Leg:
        """On the last rung, the portfolio that the ladder is about: dynamic, or the one account."""
        return self.steps[-1].legs[self.legs[-1]]

    @property
    def top(self) -> str:
        """On what it begins, to go into a sentence."""
        return "a free broker" if self.steps[0].rung.broker else "paper"

    def sharpes(self, leg: str) -> list[float]:
        """Sharpe ratio of one of `legs`, rung by rung."""
        return [step.legs[leg].statistics["excess_sharpe"] for step in self.steps]

    def changes(self, leg: str) -> list[float]:
        """Sharpe ratio less that of the rung above; nan at the top."""
        sharpes = self.sharpes(leg)
        return [float("nan"), *(b - a for a, b in pairwise(sharpes))]


def run_rung(
    bars: Panel | Twins, settings: Mapping[str, Any], *, through: str, legs: tuple[str, ...] = LEGS
) -> list[Leg]:
    """The portfolios asked for, on one rung.

    Parameters
    ----------
    bars : Panel or Twins
        Twins remember weights of the blend.
    settings : mapping
        As `rung_settings` gives them.
    through : {"arrays", "stock", "margin"}
        As arrays (`paper_backtest`), or through Cerebro (`simulate`) and one of the brokers.
    legs : tuple of str
        Some of `LEGS`, or the one account.

    Returns
    -------
    list of Leg

    Raises
    ------
    InputError, ConvergenceError
        As these two.
    """
    twins = _prices_of(bars if isinstance(bars, Twins) else Twins(bars), settings)
    panel = twins.panel
    if through != ARRAYS:
        runs = [simulate(panel, _account(settings, leg), remember=twins.remember, broker=through) for leg in legs]
        return [_leg(run) for run in runs]
    paper = paper_backtest(
        panel.closes,
        rules_of_weights(settings),
        LeverageRules.of(settings),
        rule=None if settings["weights"] == BLEND else rule_of(settings["weights"]),
        members=panel.members,
        **{name: settings[name] for name in REAL},
    )
    returns = {"base": paper.base_returns, "dynamic": paper.dynamic_returns}
    at = int(panel.sessions.searchsorted(paper.sessions[0]))
    before = panel.sessions[at - 1] if at else None
    bill = bill_returns(settings["risk_free"], panel.rates, list(paper.sessions), before)
    return [Leg(pd.Series(returns[leg], paper.sessions), summary(returns[leg], bill)) for leg in legs]


def _prices_of(twins: Twins, settings: Mapping[str, Any]) -> Twins:
    return twins.adjusted if settings["prices"] == "adjusted" else twins


def _account(settings: Mapping[str, Any], leg: str) -> Config:
    config = {name: value for name, value in settings.items() if name not in REAL}
    return config | UNLEVERED if leg == "base" else config


def _climb(twins: Twins, job: Job) -> list[Leg]:
    _, settings, through, legs = job
    return run_rung(twins, settings, through=through, legs=legs)


def ladder(
    panel: Panel,
    config: Config,
    *,
    engine: str | None = None,
    workers: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Ladder:
    """Climb down from paper, or of somebody's strategy from backtrader's own broker, to the account.

    Parameters
    ----------
    panel : Panel
        Bars of the universe.
    config : Config
        Every parameter; the last rung is `backtest(panel, config)`, to the last digit.
    engine : {"twin", "cerebro"}, optional
        What runs the account (default: the twin where it can, which is of weights). Its first and its last rung, and
        the constant portfolio, go through Cerebro in any case; "twin": those between are run by the twin of the
        account, which has to agree with Cerebro on these two to 1e-9.
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
        `workers` below 1, an unknown engine; otherwise as `simulate` and `paper_backtest`.
    ConvergenceError
        Weights that cannot be solved for.
    TwinError
        The twin differs from Cerebro.
    """
    count = check_workers(workers)
    engine = engine_of(engine, config)
    config = resolved(config, panel)
    rungs, legs = rungs_of(config), _legs_of(panel, config)
    changing = [rung for rung in rungs if changes_something({**config, **REAL}, rung)]
    twins, bottom = Twins(panel), changing[-1].id
    done = _by_twin(twins, config, changing) if engine == "twin" else {}
    jobs = _jobs(config, changing, legs, only=(FIRST, bottom) if done else None)
    if done:
        steady = constant_target(twins, config, done[bottom]["dynamic"].mean_leverage)
        jobs.append((CONSTANT, {**config, "lev_min": steady, "lev_max": steady}, MARGIN, LEGS[1:]))
    # The account as the user wants it first, so that a wrong value is found at once; then what trades every session.
    jobs.sort(key=lambda job: (job[0] != bottom, job[2] == ARRAYS))

    found: dict[str, dict[str, Leg]] = {id_: {} for id_, *_ in jobs}
    if advance is not None:
        advance(len(rungs) - len(found.keys() - {CONSTANT}))
    with open_workers(_climb, twins, min(count, len(jobs)), fork=True) as pool:
        for number, result in pool.perform(dict(enumerate(jobs))):
            id_, _, _, of = jobs[number]
            found[id_] |= zip(of, result, strict=True)
            if advance is not None and len(found[id_]) == len(legs):
                advance(1)
    for id_ in [id_ for id_ in found if id_ in done]:
        for leg in legs:
            _compare(found[id_][leg], done[id_][leg], f"{id_}, {leg}: return of the session")
    done |= found

    steps: list[Step] = []
    for rung in rungs:
        here = {leg: done[rung.id][leg] for leg in legs} if rung.id in done else steps[-1].legs
        steps.append(Step(rung, rung in changing and not (steps and _same(here, steps[-1].legs)), here))
    if CONSTANT in done:
        constant: Leg | None = done[CONSTANT]["dynamic"]
    elif legs == LEGS:
        held = steps[-1].legs["dynamic"].mean_leverage
        constant = _leg(constant_leverage(panel, config, held, remember=twins.remember))
    else:
        constant = None
    return Ladder(config, panel, tuple(steps), constant, engine)


def _legs_of(panel: Panel, config: Config) -> tuple[str, ...]:
    """The portfolios: of a strategy of somebody's one run shows whether it ever asks the overlay for a size."""
    if config["strategy"] is None or simulate(panel, {**config, **UNLEVERED}).overlaid:
        return LEGS
    return (ACCOUNT,)


def _same(legs: Mapping[str, Leg], above: Mapping[str, Leg]) -> bool:
    return all(one.returns.equals(above[name].returns) for name, one in legs.items())


def _jobs(config: Config, changing: Sequence[Rung], legs: tuple[str, ...], only: tuple[str, ...] | None) -> list[Job]:
    """What is run on arrays, and through Cerebro: the rungs named, or all."""
    jobs: list[Job] = []
    for rung in changing:
        settings = rung_settings(config, rung)
        if not rung.broker:
            jobs.append((rung.id, settings, rung.through, legs))
        elif only is None or rung.id in only:
            jobs += [(rung.id, settings, rung.through, (leg,)) for leg in legs]
    return jobs


def _by_twin(twins: Twins, config: Config, changing: Sequence[Rung]) -> dict[str, dict[str, Leg]]:
    """Every rung of the account by its twin, the last one first: a wrong value is found at once."""
    found: dict[str, dict[str, Leg]] = {}
    for rung in reversed([rung for rung in changing if rung.broker]):
        settings = rung_settings(config, rung)
        found[rung.id] = {leg: _leg(_prices_of(twins, settings).run(_account(settings, leg))) for leg in LEGS}
    return found


def _compare(through: Leg, by_twin: Leg, what: str) -> None:
    """TwinError for a session on which they differ."""
    off = np.abs(through.returns.to_numpy() - by_twin.returns.to_numpy())
    worst = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
    if not off[worst] <= EQUAL:
        values = float(through.returns.iloc[worst]), float(by_twin.returns.iloc[worst])
        raise TwinError(through.returns.index[worst].date(), what, *values)


def _leg(run: Run | TwinRun) -> Leg:
    if isinstance(run, Run):
        return Leg(run.returns, run.statistics, run.mean_leverage)
    days = pd.DatetimeIndex(run.sessions[-len(run.returns) :].date, name="date")
    return Leg(pd.Series(run.returns, days), run.statistics, run.mean_leverage)
