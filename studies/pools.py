"""Where the tries of a sweep are run: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from feeds import Panel

from .backtest import simulate
from .parameters import Config

__all__ = ["Outcome", "Pool", "check_workers", "open_pool", "quiet", "run_one"]

DEATHS = 3
"""Times that processes may die in a row, nothing being finished in between."""


@dataclass(frozen=True)
class Outcome:
    """What one try came to. Fractions."""

    returns: npt.NDArray[np.float64]
    """Of the sessions that count, the last of the panel: shape (m,); (0,) of a try that failed."""
    statistics: dict[str, float]
    """ann_ret, ann_vol, sharpe, max_drawdown of `returns`."""
    reason: str | None
    """Why it failed; None if it did not."""
    seconds: float
    """How long it took."""


class Pool(Protocol):
    """Runs configs; knows the prices already."""

    def perform(self, jobs: Mapping[int, Config]) -> Iterator[tuple[int, Outcome]]:
        """Each job with its outcome, as they finish."""


def check_workers(workers: int) -> None:
    """ValueError for fewer than 1."""
    if workers < 1:
        raise ValueError(f"workers={workers!r} is not a number of processes: give a whole number >= 1")


def run_one(panel: Panel, config: Config) -> Outcome:
    """One try. What is wrong with its parameters is its outcome; anything else that goes wrong is raised."""
    began = time.monotonic()
    gc.collect()
    try:
        with quiet():
            run = simulate(panel, config)
        reason = None if np.isfinite(run.statistics["sharpe"]) else "its returns have no volatility"
    except (ValueError, ArithmeticError, RuntimeError) as error:
        return Outcome(np.empty(0), {}, str(error) or repr(error), time.monotonic() - began)
    returns = np.asarray(run.returns, dtype=np.float64)
    return Outcome(returns, run.statistics, reason, time.monotonic() - began)


@contextmanager
def quiet() -> Iterator[None]:
    """Notes of a run (a trimmed leverage, an order tried again) would come once for every try or rung."""
    log = logging.getLogger("riskoverlay")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def open_pool(panel: Panel, *, workers: int = 1, dask: str | None = None) -> Iterator[Pool]:
    """The place for a sweep on `panel`: `dask`, address of a scheduler, or else `workers` processes.

    Nothing is started or connected before the first job.

    Raises ValueError for workers below 1, ImportError with a `dask` that is not installed.
    """
    check_workers(workers)
    if dask is not None:
        from .dask_pool import dask_pool

        pool: AbstractContextManager[Pool] = dask_pool(panel, dask)
    elif workers == 1:
        pool = _here(panel)
    else:
        pool = _processes(panel, workers)
    with pool as opened:
        yield opened


# -- this process ------------------------------------------------------------------------------------------------------


class _Here:
    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def perform(self, jobs: Mapping[int, Config]) -> Iterator[tuple[int, Outcome]]:
        for number, config in jobs.items():
            yield number, run_one(self._panel, config)


@contextmanager
def _here(panel: Panel) -> Iterator[Pool]:
    collecting = gc.isenabled()
    gc.disable()  # looking for cycles among a run's hundred thousand orders takes a sixth of the run
    try:
        yield _Here(panel)
    finally:
        if collecting:
            gc.enable()


# -- processes on this machine -----------------------------------------------------------------------------------------

_panel: Panel  # of a worker


def _begin(panel: Panel) -> None:
    global _panel
    _panel = panel
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()
    gc.disable()


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its workers, who would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(config: Config) -> Outcome:
    return run_one(_panel, config)


class _Processes:
    def __init__(self, panel: Panel, workers: int) -> None:
        self._panel = panel
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._others = set(multiprocessing.active_children())

    def perform(self, jobs: Mapping[int, Config]) -> Iterator[tuple[int, Outcome]]:
        left = dict(jobs)
        deaths = 0
        while left:
            try:
                for number, outcome in self._round(left):
                    deaths = 0
                    del left[number]
                    yield number, outcome
            except BrokenProcessPool:
                # A worker was killed, and the executor has ended the others: begin again with what is left.
                self.stop()
                deaths += 1
                if deaths == DEATHS:
                    raise ValueError(
                        f"workers={self._workers}: processes die again and again (out of memory?): give fewer; "
                        "the same command goes on where this one stopped"
                    ) from None

    def _round(self, jobs: Mapping[int, Config]) -> Iterator[tuple[int, Outcome]]:
        with _interrupts_held():
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(
                    self._workers, context, initializer=_begin, initargs=(self._panel,)
                )
            futures: dict[Future[Outcome], int] = {}
            for number, config in jobs.items():
                futures[self._pool.submit(_work, config)] = number
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
def _processes(panel: Panel, workers: int) -> Iterator[Pool]:
    pool = _Processes(panel, workers)
    try:
        yield pool
    except BaseException:
        pool.stop(now=True)
        raise
    pool.stop()


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
