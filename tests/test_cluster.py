"""A Dask cluster of real processes: what each fault of it costs, and that the page's recipe works as it is written."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from house import ROOT

from riskoverlay import __version__
from riskoverlay.errors import InputError
from riskoverlay.studies.workbench.workers import open_workers

pytest.importorskip("distributed", reason="the extra `sweep` is not installed")

from riskoverlay.studies.workbench import dask_workers

HERE = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
GOES_ON = "the same command goes on where this one stopped"
SAME = dask_workers.SAME

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no signals to stop a process with"),
]


def nap(seconds: float, job: int) -> int:
    time.sleep(seconds)
    return job


def dies(_: Any, job: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return job


class Cluster:
    """A scheduler and its workers, as processes of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: list[subprocess.Popen[str]] = []
        self.address = ""

    def _start(self, *arguments: str, path: str, **environment: str) -> subprocess.Popen[str]:
        settings = {**os.environ, "PYTHONPATH": path, "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error", **environment}
        log = (self._folder / f"log{len(self._begun)}").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=settings, cwd=self._folder, stdout=log, stderr=log, text=True
        )
        self._begun.append(process)
        return process

    def scheduler(self, path: str = HERE, **environment: str) -> subprocess.Popen[str]:
        """Start it, and wait until it says where it is."""
        said = self._folder / "scheduler.json"
        process = self._start(
            "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--scheduler-file", str(said), path=path, **environment,
        )  # fmt: skip
        end = time.monotonic() + 30
        while not self.address and time.monotonic() < end:
            time.sleep(0.02)
            try:
                self.address = json.loads(said.read_text())["address"]
            except (OSError, ValueError):
                continue
        return process

    def worker(self, path: str = HERE, *more: str) -> subprocess.Popen[str]:
        nanny = () if more else ("--no-nanny",)
        arguments = (self.address, "--nthreads", "1", "--no-dashboard", *nanny, *more)
        return self._start("distributed.cli.dask_worker", *arguments, path=path)

    def stop(self) -> None:
        for process in self._begun:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(dask_workers, "CONNECT_SECONDS", 20)
    monkeypatch.setattr(dask_workers, "ALONE_SECONDS", 1)
    monkeypatch.setattr(dask_workers, "LOOK_SECONDS", 0.2)
    one = Cluster(tmp_path)
    try:
        yield one
    finally:
        one.stop()


def perform(
    cluster: Cluster, work: Any = nap, shared: Any = 0.3, jobs: int = 6, then: Callable[[], Any] | None = None
) -> dict[int, Any]:
    """The results of some jobs; `then` is done when the first is there."""
    found = {}
    with open_workers(work, shared, dask=cluster.address) as pool:
        for number, result in pool.perform({job: job for job in range(jobs)}):
            found[number] = result
            if then is not None and len(found) == 1:
                then()
    return found


def refusal(cluster: Cluster, capfd: pytest.CaptureFixture[str], **more: Any) -> str:
    """The line that jobs end with; nothing else is printed."""
    with pytest.raises(InputError) as caught:
        perform(cluster, **more)
    assert capfd.readouterr().err == ""
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- which program -----------------------------------------------------------------------------------------------------


def without_us(folder: Path) -> str:
    """A path on which Python finds no riskoverlay, though it may be installed."""
    (folder / "none").mkdir()
    (folder / "none" / "sitecustomize.py").write_text(
        "import sys\n\nclass Nothing:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'riskoverlay':\n"
        "            raise ModuleNotFoundError(\"No module named 'riskoverlay'\", name=name)\n\n"
        "sys.meta_path.insert(0, Nothing())\n"
    )
    return os.pathsep.join((str(folder / "none"), str(ROOT / "tests")))


def another(folder: Path, room: str = "riskoverlay", version: str = __version__) -> str:
    """A path to a copy of the checkout that is another program by one comment, or by its version."""
    for name in ("riskoverlay", "strategies", "analyzers", "feeds", "studies"):
        shutil.copytree(ROOT / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    changed = folder / "copy" / room / "__init__.py"
    changed.write_text(changed.read_text().replace(f'"{__version__}"', f'"{version}"') + "# another\n")
    return os.pathsep.join((str(folder / "copy"), str(ROOT / "tests")))


@pytest.mark.long
def test_a_scheduler_without_the_program_is_named(
    cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster.scheduler(without_us(tmp_path))
    cluster.worker()
    assert refusal(cluster, capfd) == f"dask scheduler {cluster.address} has no riskoverlay: {SAME}"


@pytest.mark.long
def test_a_worker_without_the_program_is_named(
    cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster.scheduler()
    cluster.worker(without_us(tmp_path))
    said = refusal(cluster, capfd)
    assert re.fullmatch(rf"dask worker tcp://127\.0\.0\.1:\d+ has no riskoverlay: {re.escape(SAME)}", said), said


@pytest.mark.long
def test_a_worker_of_another_version_is_named_with_both(
    cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The ground floor counts as well as the rooms."""
    cluster.scheduler()
    cluster.worker(another(tmp_path, version="9.9"))
    said = refusal(cluster, capfd)
    ours = f"{__version__} \\({dask_workers.source_hash()[:8]}\\)"
    other = r"9\.9 \([0-9a-f]{8}\)"
    assert re.fullmatch(
        rf"dask worker tcp://127\.0\.0\.1:\d+ has another version of riskoverlay, {other}, not {ours}: "
        + re.escape(SAME), said,
    ), said  # fmt: skip


def test_every_room_is_part_of_the_program() -> None:
    assert set(dask_workers.ROOMS) == {
        path.name for path in ROOT.iterdir() if (path / "__init__.py").exists() and path.name != "tests"
    }


@pytest.mark.long
def test_a_worker_of_another_version_that_comes_later_is_named(
    cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.scheduler()
    monkeypatch.setattr(dask_workers, "ALONE_SECONDS", 30)
    first = cluster.worker()
    path = another(tmp_path, "feeds")

    def replace() -> None:
        cluster.worker(path)
        first.kill()

    said = refusal(cluster, capfd, then=replace, jobs=20)
    assert "has another version of riskoverlay" in said


# -- who is there ------------------------------------------------------------------------------------------------------


def test_no_workers_are_waited_for_a_little(
    cluster: Cluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.scheduler()
    monkeypatch.setattr(dask_workers, "CONNECT_SECONDS", 1)
    assert refusal(cluster, capfd) == f"dask={cluster.address!r} has no workers within 1 s: {dask_workers.START}"


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_last_worker_is_killed(how: signal.Signals, cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.scheduler()
    worker = cluster.worker()
    said = refusal(cluster, capfd, then=lambda: worker.send_signal(how))
    assert said == f"dask={cluster.address!r} has had no workers for 1 s: start them again; {GOES_ON}"


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_scheduler_is_killed(how: signal.Signals, cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    scheduler = cluster.scheduler()
    cluster.worker()
    said = refusal(cluster, capfd, then=lambda: scheduler.send_signal(how))
    assert said.startswith(f"dask={cluster.address!r} lost its scheduler (")
    assert said.endswith(f"): start it again; {GOES_ON}")


@pytest.mark.long
def test_a_job_that_kills_worker_after_worker_is_given_up(
    cluster: Cluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.scheduler(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    monkeypatch.setattr(dask_workers, "ALONE_SECONDS", 30)
    cluster.worker(HERE, "--nanny")
    assert refusal(cluster, capfd, work=dies) == (
        f"dask={cluster.address!r} lost worker after worker at one job (out of memory?): give them more "
        f"(--memory-limit); {GOES_ON}"
    )


@pytest.mark.long
@pytest.mark.parametrize("slow", ["killed", "replaced", "stopped", "asleep"])
def test_what_one_worker_leaves_another_does(slow: str, cluster: Cluster) -> None:
    """One is killed; or killed and another comes; or hangs, and the scheduler gives it up; or takes its time."""
    cluster.scheduler(DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="2s")
    first = cluster.worker()

    def then() -> None:
        if slow == "replaced":
            first.kill()
        if slow != "asleep":
            cluster.worker()
        if slow == "killed":
            time.sleep(2)
            first.kill()
        if slow == "stopped":
            first.send_signal(signal.SIGSTOP)

    shared = 3.0 if slow == "asleep" else 0.2  # without a result for longer than workers may be away
    jobs = 2 if slow == "asleep" else 20
    assert perform(cluster, shared=shared, jobs=jobs, then=then) == {job: job for job in range(jobs)}


# -- the page ----------------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def recipe(mark: str) -> list[str]:
    """The commands of a marked block, without the comments between them."""
    found = re.search(rf"<!-- {mark} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return [line for line in found[1].splitlines() if not line.startswith("#")]


@pytest.mark.long
@pytest.mark.parametrize("mark", ["cluster", "cluster from a checkout"])
def test_the_recipe_works_as_it_is_written(mark: str, tmp_path: Path) -> None:
    """Word for word but for the address, a free port of this machine, fewer tries and the folder of the checkout."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "bin").mkdir()
    for name, module in (("riskoverlay", "-m riskoverlay"), ("dask", "-m dask"), ("python", "")):
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
        script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    if mark == "cluster":  # where it is installed, which a checkout stands for
        environment["PYTHONPATH"] = str(ROOT)
    begun: list[subprocess.Popen[bytes]] = []
    try:
        *servers, command = recipe(mark)
        assert len(servers) == 2
        for line in (*servers, command):
            line = line.replace("10.0.0.1:8786", f"127.0.0.1:{port}").replace("0.20:0.01", "0.20:0.06")
            line = line.replace("10.0.0.1 --port 8786", f"127.0.0.1 --port {port}").replace(
                "-nworkers 8", "-nworkers 2"
            )
            line = line.replace("/path/to/checkout", str(ROOT))
            if "sweep" not in line:
                log = (tmp_path / f"log{len(begun)}").open("w")
                begun.append(
                    subprocess.Popen(line, shell=True, cwd=tmp_path, env=environment, stdout=log, stderr=log,
                                     start_new_session=True)
                )  # fmt: skip
                continue
            small = f"{line} --end 2010-12-31 --cov-lookback 60 --min-hist 60 --symbols SPY,TLT,GLD --json swept.json"
            done = subprocess.run(small, shell=True, cwd=tmp_path, env=environment, capture_output=True, check=False)
            assert (done.returncode, done.stderr.decode()) == (0, "")
    finally:
        for process in begun:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert len(json.loads((tmp_path / "swept.json").read_text())["tries"]) == 9
