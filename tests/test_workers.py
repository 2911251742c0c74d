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


pytestmark = pytest.mark.ci


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


# -- one thing beside another ------------------------------------------------------------------------------------------

BESIDE = """
import logging, os
from riskoverlay.notes import log
from riskoverlay.studies.workbench import workers

here, said = os.getpid(), []
keep = logging.Handler()
keep.emit = lambda record: said.append(record.getMessage())
log.addHandler(keep)

def make():
    log.warning("%s, %d", "made", 7)
    if os.getpid() != here and how == "killed":
        os.kill(os.getpid(), 9)
    if how == "fails":
        raise KeyError("mine")
    return os.getpid() != here

for how in ("plain", "killed", "fails", "no copy"):
    if how == "no copy":
        workers.can_fork = lambda: False
    with workers.begun(make) as made:
        log.warning("before")
        try:
            found = made()
        except KeyError as error:
            found = error
    print(how, found, said, sep=": ")
    said.clear()
"""


def test_what_is_begun_beside_is_as_if_it_were_made_here(tmp_path: Path) -> None:
    """With the same notes in the same order, also where the copy is killed, or fails, or cannot be made."""
    alone = sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2
    found = {"plain": not alone, "killed": False, "fails": "'mine'", "no copy": False}
    notes = ["before", "made, 7"]
    assert python(BESIDE, folder=tmp_path).stdout.splitlines() == [
        f"{how}: {one}: {notes}" for how, one in found.items()
    ]


def python(source: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_what_is_begun_and_not_asked_for_is_ended(tmp_path: Path) -> None:
    source = "import pathlib, time\nfrom riskoverlay.studies.workbench.workers import begun\n"
    source += "def make():\n    time.sleep(3)\n    pathlib.Path('late').touch()\nwith begun(make):\n    pass\n"
    python(source, folder=tmp_path)
    assert not (tmp_path / "late").exists()


def test_a_backtest_in_two_processes_is_the_backtest_in_one(tmp_path: Path) -> None:
    """The same bytes and the same notes, in the same order: of base first."""
    source = "import sys\nfrom riskoverlay.studies.cli import main\nfrom riskoverlay.studies.workbench import workers\n"
    source += "if sys.argv[1] == 'one':\n    workers.can_fork = lambda: False\nsys.exit(main(sys.argv[2:]))\n"
    flags = [
        "backtest",
        "--end",
        "2011-12-30",
        "--lev-max",
        "3",
        "--target-vol",
        "0.3",
        "--json",
        "a.json",
        "--csv",
        "a.csv",
    ]
    done = {}
    for how in ("one", "two"):
        (tmp_path / how).mkdir()
        done[how] = python(source, how, *flags, folder=tmp_path / how)
    assert done["one"].stdout == done["two"].stdout
    assert done["one"].stderr == done["two"].stderr
    assert "leverage 3.0000 wanted" in done["one"].stderr
    for name in ("a.json", "a.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
