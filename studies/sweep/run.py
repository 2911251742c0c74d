"""Many runs: tries of parameters, kept as they finish, and some of them run once more through Cerebro."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from riskoverlay.errors import ConvergenceError, InputError, TwinError
from riskoverlay.feeds import Panel

from ..judgement import check_criterion
from ..workbench.allocations import files_of, with_params
from ..workbench.parameters import Config, check_owner, resolved
from ..workbench.runs import simulate
from ..workbench.theirs import check_filed
from ..workbench.twins import Twins, check_twin, engine_of
from ..workbench.workers import Workers, can_fork, check_workers, open_workers
from .rows import key_of
from .space import Dimension, points_of
from .tries import Outcome, Sweep, Try, run_try

__all__ = ["number_of_tries", "sweep"]

BLOCK = 64
"""Tries by the twin that are one job."""
FEW = 256
"""Tries by the twin that this process runs sooner than others could begin."""


class _Job(NamedTuple):
    """Configurations to run, or to run by both engines and compare."""

    configs: tuple[Config, ...]
    check: bool = False


def sweep(
    panel: Panel,
    config: Config,
    dimensions: Sequence[Dimension],
    *,
    trials: int | None = None,
    seed: int = 0,
    criterion: str = "sharpe",
    storage: str | None = None,
    study: str = "sweep",
    engine: str | None = None,
    workers: int | None = 1,
    dask: str | None = None,
    advance: Callable[[int], None] | None = None,
) -> Sweep:
    """Try every point of a grid, or some that are drawn from it.

    Only finished tries are stored, in transactions of this process, and every one of them when this returns or raises:
    a sweep that is stopped in whatever way leaves nothing to clean up, and called again runs what is missing. Killed
    outright it loses what finished since the last transaction, a second of computing. What is tried depends on
    no result, and no result on `workers`, `dask`, or how often it was stopped.

    Parameters
    ----------
    panel : Panel
        Bars of the universe.
    config : Config
        Every parameter that is not tried.
    dimensions : sequence of Dimension
        What is tried.
    trials : int, optional
        So many points, spread evenly, as `draw` gives them (default: every point).
    seed : int
        Of the draw.
    criterion : {"sharpe", "growth"}
        What is best, of the dynamic portfolio.
    storage : str, optional
        Path of an SQLite file, or a URL of SQLite or PostgreSQL (default: nothing is kept, and no database needed).
    study : str
        Name of the sweep in its storage.
    engine : {"twin", "cerebro"}, optional
        The twin of the account, or Cerebro (default: the twin where it can, which is of weights). Of tries by the twin
        the best 3 and 3 others (of fewer than 100 the best and another) are run through Cerebro as well: daily equity
        has to be equal to 1e-9.
    workers : int, optional
        Processes on this machine, None: one a processor. With more than one, a script must call this under
        `if __name__ == "__main__":`, because each process reads the script again.
    dask : str, optional
        Address of a scheduler: tries are run there, and `workers` means nothing.
    advance : callable, optional
        Called with the number of tries done since the last call.

    Returns
    -------
    Sweep

    Raises
    ------
    InputError
        Bad arguments, a storage that holds a sweep of something else or fails, every try failed.
    TwinError
        A try by the twin differs from Cerebro's.
    MissingExtraError
        An extra is not installed.
    KeyboardInterrupt
        With a message that says what is kept.
    """
    points = points_of(dimensions, trials, seed)
    check_criterion(criterion)
    engine = engine_of(engine, config)
    names = [dimension.name for dimension in dimensions]
    if "weights" not in names:
        check_owner(config, names)
    if storage is not None or dask is not None:
        check_filed(config)
    if dask is not None and (made_of := files_of(config)):
        named = "weights" if config["strategy"] is None else "strategy"
        raise InputError(
            f"{named}={config[named]!r} needs {', '.join(made_of)}, which a cluster does not have",
            "run it without --dask, or give a rule by name",
        )
    config = resolved(config, panel)
    count = check_workers(workers)
    jobs = [with_params(config, params) for params in points]
    kept = None
    tries: dict[int, Try] = {}
    if storage is not None:
        from .storage import StudyStorage  # it needs the extra

        keys = [key_of(job) for job in jobs]
        kept = StudyStorage(storage, study, panel, dict(zip(keys, points, strict=True)), engine)
        tries = {n: Try(n, points[n], *kept.found[key]) for n, key in enumerate(keys) if key in kept.found}
    if advance is not None:
        advance(len(tries))
    todo = [number for number in range(len(jobs)) if number not in tries]
    bars = Twins(panel) if engine == "twin" else panel
    few = engine == "twin" and len(todo) < FEW and dask is None

    def found() -> Sweep:
        drawn = None if trials is None else seed
        of = tuple(tries[number] for number in sorted(tries))
        return Sweep(config, panel, tuple(dimensions), drawn, criterion, of, kept, engine)

    try:
        with open_workers(_perform, bars, 1 if few else count, dask=dask) as pool:
            with kept or nullcontext():
                blocks = _blocks(todo, engine)
                for block, outcomes in pool.perform({n: _Job(tuple(jobs[i] for i in of)) for n, of in blocks.items()}):
                    for number, outcome in zip(blocks[block], outcomes, strict=True):
                        if kept is not None:
                            kept.add(jobs[number], outcome)
                        tries[number] = Try(number, points[number], outcome.returns, outcome.reason)
                        if advance is not None:
                            advance(1)
            result = found()
            if not result.good:
                raise InputError(f"all {len(result.tries)} tries failed, the first with", f"{result.tries[0].reason}")
            if engine != "twin":
                return result
            if not few or not can_fork():
                return replace(result, checked=_check(result, pool))
        with open_workers(_perform, bars, min(count, 2), fork=True) as pool:
            return replace(result, checked=_check(result, pool))
    except KeyboardInterrupt:
        there = len(tries) if kept is None else kept.count
        where = f"they are kept in {kept.name}, the same command goes on from there" if kept else "none is kept"
        raise KeyboardInterrupt(f"interrupted after {there} of {len(points)} tries: {where}") from None


def _perform(bars: Panel | Twins, job: _Job) -> list[Outcome] | list[float]:
    """What a worker does: tries; or the largest difference of a try by both engines, TwinError if it is one."""
    if not job.check:
        return [run_try(bars, config) for config in job.configs]
    twins = bars if isinstance(bars, Twins) else Twins(bars)
    return [_difference(twins, config) for config in job.configs]


def _difference(twins: Twins, config: Config) -> float:
    try:
        run = simulate(twins.panel, config, remember=twins.remember)
    except (InputError, ConvergenceError) as error:
        said = run_try(twins, config).reason
        if said != str(error):
            raise TwinError(twins.days[-1], "what is said of the try", str(error), said) from None
        return 0.0
    return check_twin(twins, config, run)["value"]


def _blocks(todo: Sequence[int], engine: str) -> dict[int, Sequence[int]]:
    """Numbers of the tries of each job."""
    size = max(1, min(BLOCK, len(todo) // 32)) if engine == "twin" else 1
    return {at: todo[at : at + size] for at in range(0, len(todo), size)}


def _check(result: Sweep, pool: Workers) -> dict[int, float]:
    """The largest difference of each try that is run by both engines; what is kept was checked before."""
    most = 1 if len(result.tries) < 100 else 3
    best = [result.good[place].number for place in np.argsort(-np.asarray(result.worth), kind="stable")[:most]]
    others = [one.number for one in result.tries if one.number not in best]
    drawn = np.random.default_rng(len(result.tries)).permutation(others)[:most].tolist()
    configs = {number: result.config_of(result.tries[number]) for number in sorted([*best, *map(int, drawn)])}
    keys = {number: key_of(config) for number, config in configs.items()}  # another grid has other numbers for them

    def compare() -> dict[str, float]:
        jobs = {number: _Job((config,), check=True) for number, config in configs.items()}
        return {keys[number]: off for number, (off,) in pool.perform(jobs)}

    what = {"checked": list(keys.values())}
    found = compare() if result.kept is None else result.kept.recall(what, compare)
    return {number: float(found[key]) for number, key in keys.items()}


def number_of_tries(dimensions: Sequence[Dimension], trials: int | None = None, seed: int = 0) -> int:
    """Tries that a sweep will make.

    Parameters
    ----------
    dimensions, trials, seed
        As `sweep`.

    Returns
    -------
    int

    Raises
    ------
    InputError
        As `points_of`.
    """
    return len(points_of(dimensions, trials, seed))
