"""The best of a sweep, judged."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskoverlay.analyzers import summary
from riskoverlay.conventions import PERIODS

from ..judgement import Deflated, Interval, Overfitting, confidence, cscv, deflated_sharpe, session_sharpe
from ..workbench.beside import constant_target
from ..workbench.parameters import Config
from ..workbench.runs import UNLEVERED, simulate
from ..workbench.twins import Twins
from ..workbench.workers import can_fork, open_workers
from .rows import key_of, pack, unpack
from .tries import Sweep, Try

__all__ = ["Judged", "judge"]

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
    base, constant : ndarray of shape (m,)
        Returns of the unlevered portfolio with the same parameters, and of it at the constant leverage that the best
        try holds on average; fractions.
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
    base: npt.NDArray[np.float64]
    constant: npt.NDArray[np.float64]
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
        """`analyzers.summary` of base and constant, on the sessions that all tries share."""
        bill = self.sweep.risk_free
        return {"base": summary(self.base, bill), "constant": summary(self.constant, bill)}

    @property
    def ranking(self) -> list[int]:
        """Places of the good tries, best first; of equal ones the first tried."""
        worth = self.sweep.worth
        return sorted(range(len(worth)), key=lambda i: -worth[i])


def judge(result: Sweep, *, draws: int = 1000, level: float = 0.95) -> Judged:
    """Judge the best of a sweep: deflated Sharpe ratio, overfitting, intervals, and the base it must beat.

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
    base, constant, intervals = _measured(result, best, draws, level)
    deflated = deflated_sharpe(excess[:, best], session_sharpe(excess))
    blocks = next((blocks for blocks in BLOCKS if len(returns) // blocks >= 20), None)
    return Judged(
        sweep=result,
        best=best,
        base=base,
        constant=constant,
        deflated=deflated,
        luck=deflated.luck * math.sqrt(PERIODS),
        overfitting=cscv(result.scored, blocks=blocks, criterion=result.criterion)
        if blocks and returns.shape[1] > 1
        else None,
        intervals=intervals,
    )


def _returns(twins: Twins, config: Config) -> npt.NDArray[np.float64]:
    run = simulate(twins.panel, config, remember=twins.remember)
    return np.asarray(run.returns, dtype=np.float64)


def _measured(
    result: Sweep, best: int, draws: int, level: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], dict[str, dict[str, Interval]]]:
    """Returns of base and constant, and the intervals: what takes long, and is therefore kept with the tries."""
    returns, config = result.returns[:, best], result.config_of(result.good[best])

    def measure() -> dict[str, Any]:
        twins = Twins(result.panel)
        target = constant_target(twins, config, twins.run(config).mean_leverage)
        accounts = {0: {**config, **UNLEVERED}, 1: {**config, "lev_min": target, "lev_max": target}}
        with open_workers(_returns, twins, 2 if can_fork() else 1, fork=True) as pool:
            legs = dict(pool.perform(accounts))
        base, steady = (legs[leg][-len(returns) :] for leg in accounts)
        intervals = confidence(returns, base, result.risk_free, draws=draws, level=level)
        ends = {leg: {name: asdict(one) for name, one in ones.items()} for leg, ones in intervals.items()}
        return {"base": pack(base), "constant": pack(steady), "intervals": ends}

    what = {"best": key_of(config), "sessions": len(returns), "draws": draws, "level": level, "beside": "constant"}
    found = measure() if result.kept is None else result.kept.recall(what, measure)
    intervals = {
        leg: {name: Interval(**ends) for name, ends in ones.items()} for leg, ones in found["intervals"].items()
    }
    return unpack(found["base"]), unpack(found["constant"]), intervals
