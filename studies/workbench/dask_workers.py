"""A Dask cluster as the place for jobs."""

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, Self

from riskoverlay import __version__
from riskoverlay.errors import InputError, require
from riskoverlay.notes import silenced

require("distributed", "sweep", "a Dask cluster")

import distributed  # noqa: E402

__all__ = ["DaskWorkers", "source_hash"]

CONNECT_SECONDS = 15
ASK_SECONDS = 5
"""Seconds in which workers should say which program they have."""

ALONE_SECONDS = 15
"""Seconds without any worker, or without the scheduler, after which jobs are given up: others may come."""

LOOK_SECONDS = 1.0
"""Seconds between two looks for workers, while nothing is finished."""

ROOMS = ("riskoverlay", "strategies", "analyzers", "feeds", "studies")

START = "start `dask scheduler` and `dask worker ADDRESS`, and give the scheduler's address, e.g. tcp://127.0.0.1:8786"
SAME = "install this version there, or start it with PYTHONPATH=/path/to/checkout, as the page on clusters says"
AGAIN = "start {} again; the same command goes on where this one stopped"

_LOST = (distributed.KilledWorker, distributed.CancelledError, CancelledError, OSError)

_NONE = re.compile(r"No module named \W*riskoverlay\W*$")  # what is wrong in asking comes in several wrappings

_one_at_a_time = threading.Lock()
"""A worker with threads would share backtrader's globals among them."""


@cache
def source_hash() -> str:
    """Hash of the sources that make a result: another program on a worker would give other numbers."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _program() -> tuple[str, str]:
    """Version and sources of the riskoverlay that a process of the cluster has."""
    return __version__, source_hash()


def _in_words(program: tuple[str, str]) -> str:
    version, source = program
    return f"{version} ({source[:8]})".lstrip()


def _another(who: str, program: tuple[str, str], ours: tuple[str, str]) -> InputError:
    return InputError(
        f"dask {who} has another version of riskoverlay, {_in_words(program)}, not {_in_words(ours)}", SAME
    )


def _given(shared: Any) -> Any:
    """What all jobs share, as a task: a worker that is lost is not all that has it."""
    return shared


def _perform_there(work: Callable[[Any, Any], Any], source: str, shared: Any, job: Any) -> Any:
    if source_hash() != source:
        raise _another(f"worker {distributed.get_worker().address}", _program(), ("", source))
    with _one_at_a_time, silenced():
        return work(shared, job)


class DaskWorkers:
    """Workers of a cluster, for as long as a `with` lasts; it is asked when there is a first job.

    Parameters
    ----------
    work : callable
        (shared, job) -> result.
    shared : object
    address : str
        Of the scheduler.
    """

    def __init__(self, work: Callable[[Any, Any], Any], shared: Any, address: str) -> None:
        self._work, self._shared = work, shared
        self._address = address
        self._client: Any = None
        self._quiet = ExitStack()

    def __enter__(self) -> Self:
        # What its client logs, with a traceback, our errors say.
        for name in ("distributed", "distributed.client"):
            self._quiet.enter_context(silenced(logging.getLogger(name), level=logging.CRITICAL))
        return self

    def __exit__(self, *_: object) -> None:
        with self._quiet:
            self._close()

    def _close(self) -> None:
        if self._client is not None:
            # The cluster may be gone: no reason to lose what was found.
            with suppress(OSError, RuntimeError, ValueError):
                self._client.close()

    def _connect(self) -> None:
        try:
            self._client = distributed.Client(
                self._address, timeout=CONNECT_SECONDS, set_as_default=False, name="riskoverlay"
            )
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            what = "has no workers" if self._client is not None else "does not answer"
            raise InputError(f"{what} within {CONNECT_SECONDS} s", START, "dask", self._address) from error
        self._check_programs()
        self._shared = self._client.submit(_given, self._shared, pure=False)

    def _check_programs(self) -> None:
        """Ask scheduler and workers for the riskoverlay they have; those that come later are asked with each job."""
        try:
            found: dict[str, Any] = {f"scheduler {self._address}": self._client.run_on_scheduler(_program)}
        except _LOST as error:
            self._lost(error)
        except (ImportError, AttributeError, TypeError, RuntimeError) as error:  # in taking the question apart
            found = {f"scheduler {self._address}": error}
        found |= self._asked_of_workers()
        for who, answer in found.items():
            if isinstance(answer, BaseException) and _NONE.search(str(answer)):
                raise InputError(f"dask {who} has no riskoverlay", SAME) from answer
            if isinstance(answer, BaseException):
                raise InputError(f"dask {who} has another version of riskoverlay ({answer})", SAME) from answer
            if answer != _program():
                raise _another(who, answer, _program())

    def _asked_of_workers(self) -> dict[str, Any]:
        """What each worker has, or what went wrong in asking; nothing, if one hangs: it is asked with each job."""
        found: dict[str, Any] = {}

        def ask() -> None:
            with suppress(*_LOST):
                answers = self._client.run(_program, on_error="return")
                found.update({f"worker {address}": answer for address, answer in answers.items()})

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(ASK_SECONDS)
        return dict(found)

    def _lost(self, error: BaseException) -> NoReturn:
        if isinstance(error, distributed.KilledWorker):
            raise InputError(
                "lost worker after worker at one job (out of memory?)",
                "give them more (--memory-limit); the same command goes on where this one stopped",
                "dask", self._address,
            ) from error  # fmt: skip
        raise InputError(
            f"lost its scheduler ({type(error).__name__})", AGAIN.format("it"), "dask", self._address
        ) from error

    def perform(self, jobs: Mapping[int, Any]) -> Iterator[tuple[int, Any]]:
        """As `Workers.perform`.

        Parameters
        ----------
        jobs : mapping
            By number.

        Yields
        ------
        number, result
            As they finish.

        Raises
        ------
        InputError
            The cluster does not answer, loses its scheduler or all of its workers, or has another version of the
            program.
        """
        if not jobs:
            return
        if self._client is None:
            self._connect()
        executor = self._client.get_executor(pure=False)
        futures = {
            executor.submit(_perform_there, self._work, source_hash(), self._shared, job): number
            for number, job in jobs.items()
        }
        seen = time.monotonic()
        try:
            while futures:
                done, _ = wait(futures, LOOK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    yield futures.pop(future), future.result()
                if done or self._client.nthreads():
                    seen = time.monotonic()
                elif time.monotonic() - seen > ALONE_SECONDS:
                    raise InputError(
                        f"has had no workers for {ALONE_SECONDS} s", AGAIN.format("them"), "dask", self._address
                    )
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "riskoverlay":
                raise
            raise InputError("a dask worker has no riskoverlay", SAME) from error
        except _LOST as error:
            self._lost(error)
