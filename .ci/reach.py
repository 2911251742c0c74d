"""Which test runs which lines, and tests in processes of their own: for `mutate.py`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
from mutations import Mutant

ROOT = Path(__file__).parents[1]
PRODUCT = ("riskoverlay", "strategies", "analyzers", "feeds", "studies")
Map = dict[str, Any]


def files(folder: Path, *patterns: str) -> list[str]:
    """Files of a folder that fit, as names from it."""
    return sorted(path.relative_to(folder).as_posix() for one in patterns for path in folder.glob(one))


def digest(names: list[str]) -> str:
    """Hash of some files of the checkout."""
    return hashlib.sha256(b"".join(name.encode() + (ROOT / name).read_bytes() for name in names)).hexdigest()


def copy_to(folder: Path) -> Path:
    """A copy of what git knows of the checkout, or would add to it; bytecode that is there stays, and is quick."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    names = [name for name in listed if name and (ROOT / name).is_file()]
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and path.relative_to(folder).as_posix() not in names:
            path.unlink()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


class Watch:
    """A plugin of pytest: who passed, how long each took, who failed first; and, while measured, who runs what."""

    def __init__(self, coverage: Any = None) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []
        self.started = False
        self.unfit: set[str] = set()  # failed or skipped

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what starts a browser."""
        items[:] = [item for item in items if "browser" not in getattr(item, "fixturenames", ())]

    def pytest_sessionstart(self) -> None:
        """What `conftest.py` imports is imported."""
        self.started = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that does not import."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """What runs from now on is run by this test."""
        if self.coverage is not None:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a phase of a test."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)
        if not report.passed:
            self.unfit.add(report.nodeid)


def in_process(folder: Path, task: Callable[[], int], seconds: float) -> int | None:
    """Exit status of a task in a fork that works in a folder; None if it had to be killed. Its words are in `log`."""
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(folder)
        log = os.open(folder.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        sys.path.insert(0, str(folder))
        status = 3
        try:
            status = task()
        finally:
            os._exit(status)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None
    finally:
        try:
            os.killpg(child, signal.SIGKILL)  # with whatever it has left behind
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def run_tests(folder: Path, tests: list[str], watch: Watch, *flags: str) -> int:
    """Run tests of a copy in this process."""
    given = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=steady", "--rootdir", str(folder)]
    return int(pytest.main([*given, "-c", str(folder / "pyproject.toml"), *flags, *tests], plugins=[watch]))


def measure(folder: Path, tests: list[str], found: Path) -> int:
    """Run test files under coverage; write which test runs what into a file."""
    import coverage

    data = coverage.Coverage(data_file=None, include=[f"{folder}/{room}/*" for room in PRODUCT], config_file=False)
    watch = Watch(data)
    data.start()
    status = run_tests(folder, tests, watch)
    data.stop()
    lines: dict[str, dict[str, list[int]]] = {}  # test -> file -> lines
    for path in data.get_data().measured_files():
        for line, names in data.get_data().contexts_by_lineno(path).items():
            for name in names:
                if name:
                    lines.setdefault(name, {}).setdefault(os.path.relpath(path, folder), []).append(line)
    kept = {name: took for name, took in watch.seconds.items() if name not in watch.unfit}
    found.write_text(json.dumps({"seconds": kept, "lines": lines, "unfit": sorted(watch.unfit)}))
    return status


def the_map(place: Path, anew: bool = False) -> Map:
    """Which test runs which lines, and for how long: of before, where a test is what it was.

    Lines that have moved since are followed, and a line that was changed is run by whoever ran what it was.
    """
    keep = place / "map.json"
    known: Map = {"sources": {}, "tests": {}, "seconds": {}, "lines": {}}
    if keep.exists() and not anew:
        known = json.loads(keep.read_text())
    sources = {
        name: (ROOT / name).read_text(encoding="utf-8") for room in PRODUCT for name in files(ROOT, f"{room}/**/*.py")
    }
    for name, before in known["sources"].items():
        if sources.get(name) != before:
            moved = moves(before, sources.get(name, ""))
            for runs in known["lines"].values():
                if name in runs:
                    runs[name] = sorted({now for line in runs[name] for now in moved.get(line, ())})
    hashes = {name: digest([name]) for name in files(ROOT, "tests/test_*.py")}
    stale = [name for name in hashes if known["tests"].get(name) != hashes[name]]
    gone = {*stale, *(known["tests"].keys() - hashes)}
    for kind in ("seconds", "lines"):
        known[kind] = {test: value for test, value in known[kind].items() if test.partition("::")[0] not in gone}
    if stale:
        print(f"measuring what {len(stale)} of {len(hashes)} test files run ...", flush=True)
        base, found = copy_to(place / "base"), place / "found.json"
        status = in_process(base, lambda: measure(base, stale, found), 3600.0)
        if status not in (0, 1):
            raise SystemExit(f"the tests did not run (status {status}): see {base.with_suffix('.log')}")
        new = json.loads(found.read_text())
        for test in new["unfit"]:
            print(f"skipped, or failing without any mutant, and not used: {test}")
        known["seconds"] |= new["seconds"]
        known["lines"] |= new["lines"]
    keep.write_text(json.dumps({**known, "tests": hashes, "sources": sources}))
    return known


def moves(before: str, after: str) -> dict[int, range]:
    """Line of a text -> its lines in a later one."""
    found = {}
    matcher = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    for same, old, old_end, new, new_end in matcher.get_opcodes():
        for line in range(old, old_end):
            found[line + 1] = (
                range(new + line - old + 1, new + line - old + 2) if same == "equal" else range(new + 1, new_end + 1)
            )
    return found


class Chooser:
    """The tests to try for a mutant."""

    def __init__(self, known: Map) -> None:
        self.seconds: dict[str, float] = known["seconds"]
        self.runs: dict[str, dict[str, set[int]]] = defaultdict(dict)
        for test, found in known["lines"].items():
            for file, lines in found.items():
                if test in self.seconds:
                    self.runs[file][test] = set(lines)
        self.texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in known["tests"]}

    def order(self, tests: Iterator[str]) -> list[str]:
        """Fastest first; one case of every function before a second one of any."""
        seen: dict[str, int] = defaultdict(int)
        ranked = []
        for test in sorted(tests, key=lambda one: (self.seconds[one], one)):
            function = test.partition("[")[0]
            ranked.append((seen[function] > 0, seen[function] > 3, self.seconds[test], test))
            seen[function] += 1
        return [test for *_, test in sorted(ranked)]

    def choose(self, mutant: Mutant, budget: float) -> list[str]:
        """Tests by distance from the mutant, those of the file of its name first, up to a budget in seconds; at least
        one."""
        runs = self.runs[mutant.file]
        stem = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        naming = {name for name, text in self.texts.items() if f"riskoverlay.{stem.rpartition('.')[0]}" in text}
        own = f"tests/test_{Path(mutant.file).stem}.py"
        rings = (
            # What is run at import is run by every test: those of its own file are about it.
            (test for test in self.seconds if test.startswith(own) and mutant.around[0] <= 1),
            (test for test, lines in runs.items() if lines & set(range(mutant.first, mutant.last + 1))),
            (test for test, lines in runs.items() if lines & set(range(mutant.around[0], mutant.around[1] + 1))),
            iter(runs),
            (test for test in self.seconds if test.partition("::")[0] in naming),
        )
        wanted = list(dict.fromkeys(test for ring in rings for test in self.order(ring)))
        chosen, took = [], 0.0
        for test in wanted:
            if not chosen or took + self.seconds[test] <= budget:
                chosen.append(test)
                took += self.seconds[test]
        return chosen
