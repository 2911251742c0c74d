"""Where jobs are run: in this process, in several on this machine, or on a Dask cluster."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, Protocol, TypeVar

from riskoverlay.errors import InputError
from riskoverlay.notes import gathered, log, silenced

__all__ = ["Work", "Workers", "begun", "can_fork", "check_workers", "open_workers"]

MOST_WORKERS = 1024
"""Processes; each has a Python of its own, with pandas in it."""

DEATHS = 3
"""Times that processes may die in a row, nothing being finished in between."""

Work = Callable[[Any, Any], Any]
"""(what all jobs share, one job) -> its result. A function of a module, so that it can be named to other processes."""


Made = TypeVar("Made")


class Workers(Protocol):
    """Runs jobs; what they share is there already."""

    def perform(self, jobs: Mapping[int, Any]) -> Iterator[tuple[int, Any]]:
        """Run jobs.

        Parameters
        ----------
        jobs : mapping
            By number.

        Yields
        ------
        number, result
            As they finish.
        """


def check_workers(workers: int | None) -> int:
    """A number of processes; None is one a processor.

    Parameters
    ----------
    workers : int or None

    Returns
    -------
    int

    Raises
    ------
    InputError
        Fewer than 1, or more than MOST_WORKERS.
    """
    if workers is None:
        return os.cpu_count() or 1
    if workers < 1:
        raise InputError("is not a number of processes", "give a whole number >= 1", "workers", workers)
    if workers > MOST_WORKERS:
        raise InputError(f"is above {MOST_WORKERS}", "give as many as there are processors", "workers", workers)
    return workers


def can_fork() -> bool:
    """Whether copies of this process are safe: on Linux, without threads. They begin at once, others take a second."""
    return sys.platform == "linux" and threading.active_count() == 1


@contextmanager
def open_workers(
    work: Work, shared: Any, workers: int | None = 1, *, dask: str | None = None, fork: bool = False
) -> Iterator[Workers]:
    """Workers for as long as a `with` lasts.

    Whatever ends it, Ctrl-C and SIGKILL included, ends the processes too; one of them that is killed is replaced, and
    what it was at is done again. Notes of runs are not printed: they would come once for every job.

    Parameters
    ----------
    work : Work
        What to do.
    shared : object
        What all jobs share, such as the prices: it travels once to each worker.
    workers : int, optional
        Processes; 1 is this one, None one a processor.
    dask : str, optional
        Address of a scheduler: jobs are run there, and `workers` means nothing.
    fork : bool
        Whether processes may be copies of this one, where they can be: they need not import everything again, which
        is a tenth of a ladder.

    Yields
    ------
    Workers

    Raises
    ------
    InputError
        `workers` below 1; processes that die again and again; a cluster that does not answer or loses its workers.
    MissingExtraError
        `dask` is not installed.
    """
    count = check_workers(workers)
    if dask is not None:
        from .dask_workers import DaskWorkers

        with DaskWorkers(work, shared, dask) as cluster:
            yield cluster
    elif count == 1:
        yield _Here(work, shared)
    else:
        pool = _Processes(work, shared, count, "fork" if fork and can_fork() else "spawn")
        try:
            yield pool
        except BaseException:
            pool.stop(now=True)
            raise
        pool.stop()


class _Here:
    def __init__(self, work: Work, shared: Any) -> None:
        self._work, self._shared = work, shared

    def perform(self, jobs: Mapping[int, Any]) -> Iterator[tuple[int, Any]]:
        for number, job in jobs.items():
            with silenced():
                result = self._work(self._shared, job)
            yield number, result


# -- processes on this machine -----------------------------------------------------------------------------------------

_begun_with: tuple[Work, Any]  # of a worker


def _begin(work: Work, shared: Any) -> None:
    global _begun_with
    _begun_with = work, shared
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its workers, who would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _perform_there(job: Any) -> Any:
    work, shared = _begun_with
    with silenced():
        return work(shared, job)


class _Processes:
    def __init__(self, work: Work, shared: Any, count: int, method: str) -> None:
        self._begun_with = work, shared
        self._count = count
        self._context = multiprocessing.get_context(method)
        self._pool: ProcessPoolExecutor | None = None
        self._others = set(multiprocessing.active_children())

    def perform(self, jobs: Mapping[int, Any]) -> Iterator[tuple[int, Any]]:
        left = dict(jobs)
        deaths = 0
        while left:
            try:
                for number, result in self._round(left):
                    deaths = 0
                    del left[number]
                    yield number, result
            except BrokenProcessPool:
                # A worker was killed, and the executor has ended the others: begin again with what is left.
                self.stop()
                deaths += 1
                if deaths == DEATHS:
                    raise InputError(
                        f"workers={self._count}: processes die again and again (out of memory?)",
                        "give fewer; the same command goes on where this one stopped",
                    ) from None

    def _round(self, jobs: Mapping[int, Any]) -> Iterator[tuple[int, Any]]:
        with _interrupts_held():
            if self._pool is None:
                # The first process of all starts it, which lets Ctrl-C through again.
                resource_tracker.ensure_running()
                self._pool = ProcessPoolExecutor(
                    min(self._count, len(jobs)), self._context, initializer=_begin, initargs=self._begun_with
                )
            futures: dict[Future[Any], int] = {}
            for number, job in jobs.items():
                futures[self._pool.submit(_perform_there, job)] = number
        for future in as_completed(futures):
            yield futures.pop(future), future.result()

    def stop(self, *, now: bool = False) -> None:
        """End the workers; `now`: without waiting for what they are at."""
        if self._pool is None:
            return
        if now:
            for process in set(multiprocessing.active_children()) - self._others:
                process.terminate()
        self._pool.shutdown(cancel_futures=True)
        self._pool = None


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes born here never see Ctrl-C, so that one process, the parent, answers it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- one thing beside another ------------------------------------------------------------------------------------------


@contextmanager
def begun(make: Callable[[], Made]) -> Iterator[Callable[[], Made]]:
    """Begin something in a copy of this process, if there can be one and a processor is free for it.

    Parameters
    ----------
    make : callable
        It changes nothing in this process, and gives the same wherever it is called.

    Yields
    ------
    callable
        Waits for what was made, and says the notes that it had. Without a copy, or if that failed or was killed, it is
        made here and now: results, errors and notes are those of a call.
    """
    if not can_fork() or len(os.sched_getaffinity(0)) < 2:
        yield make
        return
    copies = multiprocessing.get_context("fork")
    here, there = copies.Pipe(duplex=False)
    process = copies.Process(target=_make, args=(make, there), daemon=True)
    with _interrupts_held():
        process.start()
    there.close()

    def made() -> Made:
        try:
            notes, found = here.recv()
        except EOFError:
            return make()
        for note in notes:
            log.handle(note)
        return found

    try:
        yield made
    finally:
        process.terminate()
        process.join()
        here.close()


def _make(make: Callable[[], Any], there: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with gathered() as notes:
            found = make()
    except Exception:
        return  # it is made again where it can be told
    there.send((notes, found))
