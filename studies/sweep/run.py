"""Many runs: tries of parameters, kept as they finish."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel

from ..judgement import check_criterion
from ..workbench.parameters import Config
from ..workbench.rates import resolved_rates
from ..workbench.workers import check_workers, open_workers
from .rows import key_of
from .space import Dimension, points_of
from .tries import Sweep, Try, run_try

__all__ = ["number_of_tries", "sweep"]


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
    MissingExtraError
        An extra is not installed.
    KeyboardInterrupt
        With a message that says what is kept.
    """
    points = points_of(dimensions, trials, seed)
    check_criterion(criterion)
    config = resolved_rates(config, panel.rates)
    count = check_workers(workers)
    jobs = [{**config, **params} for params in points]
    kept = None
    tries: dict[int, Try] = {}
    if storage is not None:
        from .storage import StudyStorage  # it needs the extra

        keys = [key_of(job) for job in jobs]
        kept = StudyStorage(storage, study, panel, dict(zip(keys, points, strict=True)))
        tries = {n: Try(n, points[n], *kept.found[key]) for n, key in enumerate(keys) if key in kept.found}
    if advance is not None:
        advance(len(tries))
    todo = {number: job for number, job in enumerate(jobs) if number not in tries}
    try:
        with kept or nullcontext(), open_workers(run_try, panel, count, dask=dask) as pool:
            for number, outcome in pool.perform(todo):
                if kept is not None:
                    kept.add(jobs[number], outcome)
                tries[number] = Try(number, points[number], outcome.returns, outcome.reason)
                if advance is not None:
                    advance(1)
    except KeyboardInterrupt:
        there = len(tries) if kept is None else kept.count
        where = f"they are kept in {kept.name}, the same command goes on from there" if kept else "none is kept"
        raise KeyboardInterrupt(f"interrupted after {there} of {len(points)} tries: {where}") from None
    drawn = None if trials is None else seed
    of = tuple(tries[number] for number in sorted(tries))
    result = Sweep(config, panel, tuple(dimensions), drawn, criterion, of, kept)
    if not result.good:
        raise InputError(f"all {len(result.tries)} tries failed, the first with", f"{result.tries[0].reason}")
    return result


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
