"""Many runs: tries of parameters, kept by Optuna as they finish."""

from collections.abc import Callable, Mapping, Sequence

from riskoverlay.errors import InputError, require
from riskoverlay.feeds import Panel

from ..judgement import check_criterion
from ..workbench.parameters import Config
from ..workbench.rates import resolved_rates
from ..workbench.workers import check_workers, open_workers
from .space import Dimension, Params, check_dimensions, grid, propose, size
from .storage import StudyStorage
from .tries import Sweep, Try, run_try

__all__ = ["BATCH", "SEARCHES", "number_of_tries", "sweep"]

SEARCHES = ("grid", "tpe")

BATCH = 8
"""Points that TPE proposes at once. The tries depend on it, so it does not depend on the workers."""


def sweep(
    panel: Panel,
    config: Config,
    dimensions: Sequence[Dimension],
    *,
    search: str = "grid",
    trials: int | None = None,
    seed: int = 0,
    batch: int = BATCH,
    criterion: str = "sharpe",
    storage: str | None = None,
    study: str = "sweep",
    workers: int | None = 1,
    dask: str | None = None,
    advance: Callable[[int], None] | None = None,
) -> Sweep:
    """Try every point of a grid, or what TPE proposes.

    Only finished tries are stored, each in one transaction of this process, so a sweep that is stopped in whatever way
    leaves nothing to clean up: called again it runs what is missing. Neither results nor proposals depend on
    `workers`, `dask`, or on how often it was stopped.

    Parameters
    ----------
    panel : Panel
        Bars of the universe.
    config : Config
        Every parameter that is not tried.
    dimensions : sequence of Dimension
        What is tried.
    search : {"grid", "tpe"}
        Every point; or `trials` points proposed by Optuna's TPE in batches of `batch` from `seed`.
    trials : int, optional
        Tries of a search.
    seed, batch : int
        Of a search.
    criterion : {"sharpe", "growth"}
        What is best, of the dynamic portfolio.
    storage : str, optional
        Path of an SQLite file or any URL that SQLAlchemy takes (default: nothing is kept).
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
        Bad arguments, a storage that holds a sweep of something else, every try failed.
    MissingExtraError
        An extra is not installed.
    KeyboardInterrupt
        With a message that says what is kept.
    """
    require("optuna", "sweep", "a sweep")
    check_dimensions(dimensions)
    _check_search(search, criterion, batch, seed)
    total = number_of_tries(dimensions, search, trials)
    config = resolved_rates(config, panel.rates)
    count = check_workers(workers)
    kept = StudyStorage(storage, study, panel, dimensions)
    tries: dict[int, Try] = {}

    def found(tries: Mapping[int, Try]) -> Sweep:
        of = tuple(tries[number] for number in sorted(tries))
        return Sweep(config, panel, tuple(dimensions), search, criterion, of, kept)

    def points() -> list[Params]:
        if search == "grid":
            return grid(dimensions)
        before = found(tries)
        history = [(one.params, before.worth_of(one)) for one in before.tries]
        return propose(dimensions, history, count=min(batch, total - len(tries)), seed=seed)

    try:
        with open_workers(run_try, panel, count, dask=dask) as pool:
            while len(tries) < total:
                wanted = dict(enumerate(points(), len(tries)))
                jobs = {number: {**config, **params} for number, params in wanted.items()}
                known = {number: kept.find(job) for number, job in jobs.items()}
                there = {number: Try(number, wanted[number], *one) for number, one in known.items() if one is not None}
                tries |= there
                if advance is not None:
                    advance(len(there))
                todo = {number: job for number, job in jobs.items() if number not in there}
                for number, outcome in pool.perform(todo):
                    kept.add(todo[number], wanted[number], outcome)
                    tries[number] = Try(number, wanted[number], outcome.returns, outcome.reason)
                    if advance is not None:
                        advance(1)
    except KeyboardInterrupt:
        where = f"they are kept in {kept.name}, the same command goes on from there" if storage else "none is kept"
        raise KeyboardInterrupt(f"interrupted after {len(tries)} of {total} tries: {where}") from None
    result = found(tries)
    if not result.good:
        raise InputError(f"all {len(result.tries)} tries failed, the first with", f"{result.tries[0].reason}")
    return result


def _check_search(search: str, criterion: str, batch: int, seed: int) -> None:
    if search not in SEARCHES:
        raise InputError("is unknown", f"give one of {', '.join(SEARCHES)}", "search", search)
    check_criterion(criterion)
    for name, number, least in (("batch", batch, 1), ("sweep_seed", seed, 0)):
        if number < least:
            raise InputError("is too small", f"give a whole number >= {least}", name, number)


def number_of_tries(dimensions: Sequence[Dimension], search: str, trials: int | None) -> int:
    """Tries that a sweep will make.

    Parameters
    ----------
    dimensions, search, trials
        As `sweep`.

    Returns
    -------
    int

    Raises
    ------
    InputError
        `trials` with a grid, none for TPE, or more than there are points.
    """
    if search == "grid":
        if trials is not None:
            raise InputError(
                "is for --search tpe", f"a grid has {len(grid(dimensions))}, all of them", "trials", trials
            )
        return len(grid(dimensions))
    if trials is None or trials < 1:
        raise InputError("is not a number of tries", "give --trials N with --search tpe", "trials", trials)
    if trials > size(dimensions):
        raise InputError(
            f"is more than the {size(dimensions):.0f} points", "give fewer, or no --search", "trials", trials
        )
    return trials
