"""One way to run jobs: here, in processes, and what becomes of them when somebody is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskoverlay.errors import InputError
from riskoverlay.studies.workbench.workers import check_workers, open_workers

ROOT = Path(__file__).parents[1]


def power(shared: int, job: int) -> int:
    return shared**job


def killed_once(folder: str, job: int) -> int:
    """The first process to come to job 2 is killed, as by a system that is out of memory."""
    mark = Path(folder) / "killed"
    if job == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job * job


def always_killed(_: Any, job: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return job


def fails(_: Any, job: int) -> int:
    if job == 1:
        raise InputError("is no job", "give another", "job", job)
    time.sleep(60)
    return job


def interrupts(_: Any, job: int) -> Any:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(("workers", "fork"), [(1, False), (2, False), (2, True)])
def test_every_job_has_its_result(workers: int, fork: bool) -> None:
    jobs = {number: number for number in range(5)}
    with open_workers(power, 3, workers, fork=fork) as pool:
        assert dict(pool.perform(jobs)) == {number: 3**number for number in jobs}
        assert dict(pool.perform({7: 2})) == {7: 9}  # and again, by the same processes
        assert dict(pool.perform({})) == {}


def test_one_process_takes_jobs_in_order_and_only_when_asked() -> None:
    done: list[int] = []

    def note(_: Any, job: int) -> None:
        done.append(job)

    with open_workers(note, None, 1) as pool:
        results = pool.perform({2: 2, 1: 1})
        assert done == []
        next(results)
        assert done == [2]


def test_a_number_of_processes_is_checked() -> None:
    assert check_workers(None) == os.cpu_count()
    assert check_workers(3) == 3
    with pytest.raises(InputError, match="workers=0 is not a number of processes: give a whole number >= 1"):
        check_workers(0)


@pytest.mark.long
def test_a_killed_worker_is_replaced_and_its_job_done_again(tmp_path: Path) -> None:
    with open_workers(killed_once, str(tmp_path), 2) as pool:
        assert dict(pool.perform({number: number for number in range(6)})) == {n: n * n for n in range(6)}
    assert (tmp_path / "killed").exists()


@pytest.mark.long
def test_workers_that_die_again_and_again_are_given_up() -> None:
    with (
        pytest.raises(InputError, match=r"workers=2: processes die again and again .*: give fewer"),
        open_workers(always_killed, None, 2) as pool,
    ):
        list(pool.perform({0: 0, 1: 1}))


def test_an_error_ends_the_others_at_once() -> None:
    with pytest.raises(InputError, match="job=1 is no job: give another"), open_workers(fails, None, 2) as pool:
        list(pool.perform({0: 0, 1: 1}))
    assert not multiprocessing.active_children()  # though the other job takes a minute


def test_workers_do_not_hear_ctrl_c() -> None:
    with open_workers(interrupts, None, 2) as pool:
        assert list(dict(pool.perform({0: 0, 1: 1})).values()) == [True, True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


# -- the parent is killed ----------------------------------------------------------------------------------------------


def descendants(parent: int) -> dict[int, str]:
    """Processes below one, by number, with the time each began: a number may be used again."""
    found: dict[int, str] = {}
    family = {parent}
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = path.read_text().split(" (", 1)
        except OSError:
            continue
        fields = rest.rpartition(") ")[2].split()
        if fields[0] != "Z":
            stats[int(number)] = (int(fields[1]), fields[19])
    while True:
        more = {number for number, (above, _) in stats.items() if above in family} - family
        if not more:
            return found
        family |= more
        found |= {number: stats[number][1] for number in more}


def wait_for(what: Callable[[], Any], seconds: float) -> Any:
    """What it gives as soon as that is something, or what it gives at the end."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look for processes in")
@pytest.mark.parametrize(
    "command", ["ladder", *(pytest.param(name, marks=pytest.mark.long) for name in ("audit", "sweep"))]
)
def test_no_child_outlives_a_killed_parent(command: str, tmp_path: Path) -> None:
    more = {
        "sweep": ["--grid", "target_vol=0.05:0.30:0.01", "--engine", "cerebro"],
        "audit": ["--end", "2011-12-31", "--cuts", "400"],
    }
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), command, "--workers", "2", *more.get(command, [])],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_for(lambda: len(descendants(process.pid)) >= 2, 60)
        time.sleep(0.5)
        children = descendants(process.pid)
        assert len(children) >= 2
        process.kill()
        process.wait()

        def gone() -> bool:
            return not any(begun(number) == when for number, when in children.items())

        assert wait_for(gone, 20.0), f"{command} leaves {children}"  # one that still imports hears of it after that
    finally:
        process.kill()


def begun(number: int) -> str:
    """When a process began; "" if there is none of that number."""
    try:
        rest = Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if rest[0] == "Z" else rest[19]
