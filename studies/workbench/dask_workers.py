"""A Dask cluster as the place for jobs."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import as_completed
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

from riskoverlay.errors import InputError, require
from riskoverlay.notes import silenced

require("distributed", "sweep", "a Dask cluster")

import distributed  # noqa: E402

__all__ = ["DaskWorkers", "source_hash"]

CONNECT_SECONDS = 15
ROOMS = ("strategies", "analyzers", "feeds", "studies")

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


def _given(shared: Any) -> Any:
    """What all jobs share, as a task: a worker that is lost is not all that has it."""
    return shared


def _perform_there(work: Callable[[Any, Any], Any], source: str, shared: Any, job: Any) -> Any:
    if source_hash() != source:
        address = distributed.get_worker().address
        raise InputError(f"dask worker {address} has another version of riskoverlay", "give it the same version")
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
            raise InputError(
                f"{what} within {CONNECT_SECONDS} s",
                "start `dask scheduler` and `dask worker ADDRESS`, and give the scheduler's address, e.g. "
                "tcp://127.0.0.1:8786", "dask", self._address,
            ) from error  # fmt: skip
        self._shared = self._client.submit(_given, self._shared, pure=False)

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
            The cluster does not answer, loses its workers, or has another version of the program.
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
        try:
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        except (distributed.KilledWorker, distributed.CancelledError, OSError) as error:
            raise InputError(
                f"lost its workers ({type(error).__name__})",
                "start them again; the same command goes on where this one stopped", "dask", self._address,
            ) from error  # fmt: skip
