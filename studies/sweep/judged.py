"""The best of a sweep, judged."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskoverlay.analyzers import summary
from riskoverlay.conventions import PERIODS

from ..judgement import Deflated, Interval, Overfitting, confidence, cscv, deflated_sharpe, session_sharpe
from ..workbench.beside import constant_leverage, constant_target
from ..workbench.parameters import Config
from ..workbench.runs import UNLEVERED, simulate
from ..workbench.twins import Twins
from ..workbench.workers import can_fork, open_workers
from .rows import key_of, pack, unpack
from .tries import Sweep, Try

__all__ = ["Judged", "judge"]

AS_GIVEN = "as_given"
"""Name of a strategy with the parameters that are not tried."""

BLOCKS = (16, 14, 12, 10, 8, 6, 4, 2)
"""Numbers of blocks for CSCV; the first that leaves 20 sessions or more to a block."""


@dataclass(frozen=True)
class Judged:
    """The best of a sweep and what to think of it, on the sessions that all tries share.

    Attributes
    ----------
    sweep : Sweep
    best : int
        Its place among the sweep's good tries.
    others : mapping
        Name -> returns of shape (m,), fractions, of what the best try is held against, first of all the first. `base`,
        the unlevered portfolio with the same parameters, and `constant`, at the constant leverage that the best try
        holds on average; of a strategy that sizes itself `as_given`, with the parameters that are not tried.
    deflated : Deflated
    luck : float
        `deflated.luck` as the annual Sharpe ratio of the tables.
    overfitting : Overfitting or None
        None with fewer than 2 good tries, or too few sessions.
    intervals : dict
        As `confidence` gives them.
    """

    sweep: Sweep
    best: int
    others: Mapping[str, npt.NDArray[np.float64]]
    deflated: Deflated
    luck: float
    overfitting: Overfitting | None
    intervals: dict[str, dict[str, Interval]]

    @property
    def winner(self) -> Try:
        """The best try."""
        return self.sweep.good[self.best]

    @property
    def beside(self) -> dict[str, dict[str, float]]:
        """`analyzers.summary` of the others, on the sessions that all tries share."""
        return {name: summary(returns, self.sweep.risk_free) for name, returns in self.others.items()}

    @property
    def against(self) -> str:
        """The first of the others, in words."""
        return next(iter(self.others)).replace("_", " ")

    @property
    def ranking(self) -> list[int]:
        """Places of the good tries, best first; of equal ones the first tried."""
        worth = self.sweep.worth
        return sorted(range(len(worth)), key=lambda i: -worth[i])


def judge(result: Sweep, *, draws: int = 1000, level: float = 0.95) -> Judged:
    """Judge the best of a sweep: deflated Sharpe ratio, overfitting, intervals, and what it must beat.

    Parameters
    ----------
    result : Sweep
    draws, level
        Of the bootstrap, see `bootstrap_intervals`.

    Returns
    -------
    Judged

    Raises
    ------
    InputError
        Fewer than 50 sessions.
    MissingExtraError
        arch is not installed.
    """
    returns, excess, best = result.returns, result.excess, int(np.argmax(result.worth))
    others, intervals = _measured(result, best, draws, level)
    deflated = deflated_sharpe(excess[:, best], session_sharpe(excess))
    blocks = next((blocks for blocks in BLOCKS if len(returns) // blocks >= 20), None)
    return Judged(
        sweep=result,
        best=best,
        others=others,
        deflated=deflated,
        luck=deflated.luck * math.sqrt(PERIODS),
        overfitting=cscv(result.scored, blocks=blocks, criterion=result.criterion)
        if blocks and returns.shape[1] > 1
        else None,
        intervals=intervals,
    )


def _returns(twins: Twins, config: Config) -> npt.NDArray[np.float64]:
    return simulate(twins.panel, config, remember=twins.remember).every_return.to_numpy(dtype=np.float64)


def _accounts(twins: Twins, config: Config, given: Config) -> dict[str, Config]:
    """What the best try is held against, by name."""
    if config["strategy"] is None:
        target = constant_target(twins, config, twins.run(config).mean_leverage)
    else:
        run = simulate(twins.panel, config)
        if not run.overlaid:
            return {AS_GIVEN: given}
        held = constant_leverage(twins.panel, config, run.mean_leverage)
        target = float(held.exposure["target_leverage"].iloc[-1])
    return {"base": {**config, **UNLEVERED}, "constant": {**config, "lev_min": target, "lev_max": target}}


def _measured(
    result: Sweep, best: int, draws: int, level: float
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, dict[str, Interval]]]:
    """Returns of the others, and the intervals: what takes long, and is therefore kept with the tries."""
    returns, config = result.returns[:, best], result.config_of(result.good[best])

    def measure() -> dict[str, Any]:
        twins = Twins(result.panel)
        accounts = _accounts(twins, config, result.config)
        names = dict(enumerate(accounts))
        with open_workers(_returns, twins, 2 if can_fork() else 1, fork=True) as pool:
            legs = dict(pool.perform({number: accounts[name] for number, name in names.items()}))
        others = {name: legs[number][-len(returns) :] for number, name in names.items()}
        intervals = confidence(returns, next(iter(others.values())), result.risk_free, draws=draws, level=level)
        ends = {leg: {name: asdict(one) for name, one in ones.items()} for leg, ones in intervals.items()}
        return {**{name: pack(one) for name, one in others.items()}, "intervals": ends}

    what = {"best": key_of(config), "sessions": len(returns), "draws": draws, "level": level, "beside": "constant"}
    found = measure() if result.kept is None else result.kept.recall(what, measure)
    intervals = {
        leg: {name: Interval(**ends) for name, ends in ones.items()} for leg, ones in found["intervals"].items()
    }
    return {name: unpack(text) for name, text in found.items() if name != "intervals"}, intervals
