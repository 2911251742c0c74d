"""A Dask cluster as the place for a sweep's tries. Prices travel once to each worker, by a plugin of Dask's."""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from feeds import Panel

from .parameters import Config
from .pools import Outcome, Pool, run_one

try:
    import distributed
except ImportError as error:
    raise ImportError(
        "a Dask cluster needs dask: install it with pip install 'backtrader-riskoverlay[sweep]'"
    ) from error

__all__ = ["Prices", "dask_pool", "source_hash"]

CONNECT_SECONDS = 15

ROOMS = ("strategies", "analyzers", "feeds", "studies")


def source_hash() -> str:
    """Hash of the sources that make a result: another program on a worker would give other numbers."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Prices(distributed.WorkerPlugin):
    """The bars of a sweep, on a worker. Workers that come later are given them too."""

    def __init__(self, panel: Panel, source: str) -> None:
        self.panel = panel
        self.source = source
        self.name = f"riskoverlay-{panel.sha256[:16]}-{source[:16]}"

    def setup(self, worker: Any) -> None:
        """Called by Dask on each worker. ValueError for a worker that has another version of the program."""
        self.one_at_a_time = (
            threading.Lock()
        )  # a worker with threads would share backtrader's globals among them
        if source_hash() != self.source:
            raise ValueError(
                f"dask worker {worker.address} has another version of riskoverlay: give it the same checkout"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "one_at_a_time"}


def _there(name: str, config: Config) -> Outcome:
    prices = distributed.get_worker().plugins[name]
    with prices.one_at_a_time:
        gc.collect()
        return run_one(prices.panel, config)


class _Dask:
    def __init__(self, panel: Panel, address: str) -> None:
        self._panel = panel
        self._address = address
        self._client: Any = None
        self._prices = Prices(panel, source_hash())

    def _connect(self) -> None:
        try:
            self._client = distributed.Client(
                self._address, timeout=CONNECT_SECONDS, set_as_default=False, name="riskoverlay"
            )
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            what = "has no workers" if self._client is not None else "does not answer"
            raise ValueError(
                f"dask={self._address!r} {what} within {CONNECT_SECONDS} s: start `dask scheduler` and "
                "`dask worker ADDRESS`, and give the scheduler's address, e.g. tcp://127.0.0.1:8786"
            ) from error
        self._client.register_plugin(self._prices)

    def perform(self, jobs: Mapping[int, Config]) -> Iterator[tuple[int, Outcome]]:
        if not jobs:
            return
        if self._client is None:
            self._connect()
        futures = {
            self._client.submit(_there, self._prices.name, config, pure=False): number
            for number, config in jobs.items()
        }
        try:
            for future in distributed.as_completed(futures, loop=self._client.loop):
                outcome = future.result()
                yield futures.pop(future), outcome
        except (distributed.KilledWorker, distributed.CancelledError, OSError, KeyError) as error:
            raise ValueError(
                f"dask={self._address!r} lost its workers ({type(error).__name__}): start them again; "
                "the same command goes on where this one stopped"
            ) from error

    def close(self) -> None:
        if self._client is None:
            return
        with suppress(
            OSError, RuntimeError, ValueError
        ):  # the cluster may be gone: no reason to lose what was found
            self._client.unregister_worker_plugin(self._prices.name)
        self._client.close()


@contextmanager
def dask_pool(panel: Panel, address: str) -> Iterator[Pool]:
    """A cluster by the address of its scheduler. ValueError when it does not answer or loses its workers."""
    pool = _Dask(panel, address)
    try:
        yield pool
    finally:
        pool.close()
