"""Mutation testing, a long target run by hand: mutate.py --sample 300 --seed 1

Small changes are made one by one in copies of the checkout, and each has to make a test fail. Tests are chosen by what
they run: first those that run the changed line, then those that run its function, then those that run its file, then
those whose text names its room (what a test runs in a process of its own is not seen), fastest first, up to a budget.
A mutant that lives is printed, unless `equivalents.txt` says that it changes nothing. Exit status 1 below 95 %.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mutations import Mutant, mutants
from reach import ROOT, Chooser, Watch, copy_to, files, in_process, run_tests, the_map

SCOPE = (
    "strategies/*.py", "analyzers/*.py", "feeds/adjust.py", "feeds/bars.py", "feeds/cache.py", "feeds/panel.py",
    "feeds/quality.py", "studies/judgement/*.py", "studies/ladder/*.py", "studies/walkforward/*.py",
    "studies/audit/*.py", "studies/today/*.py", "studies/workbench/theirs.py", "studies/report/own.py",
)  # fmt: skip
EQUIVALENTS = ROOT / ".ci" / "equivalents.txt"
WANTED = 0.95
FIRST = 4.0  # seconds of tests that are tried before the rest: collecting all of them takes as long
SLACK = 60.0  # seconds that a run may take beyond three times what its tests took: more is a mutant that hangs
# Imported once, before the processes of the tests are forked off.
HEAVY = (
    "hypothesis", "numpy", "pandas", "scipy.optimize", "scipy.stats", "backtrader", "exchange_calendars", "yfinance",
    "rich.console", "plotly.graph_objects", "sqlalchemy", "arch.bootstrap", "coverage",
)  # fmt: skip
Tried = list[tuple[Mutant, str]]


def stages(tests: list[str], seconds: dict[str, float]) -> list[list[str]]:
    """The tests in two parts, the first of them short."""
    took, at = 0.0, 0
    while at < len(tests) and (not at or took + seconds[tests[at]] <= FIRST) and at < 40:
        took += seconds[tests[at]]
        at += 1
    return [part for part in (tests[:at], tests[at:]) if part]


def try_mutant(job: tuple[Mutant, list[list[str]], dict[str, float], Path]) -> tuple[Mutant, str]:
    """A mutant and who has killed it: a test, or what it does; empty if nobody has."""
    mutant, parts, seconds, place = job
    folder = place / f"work-{os.getpid()}"
    if not folder.exists():
        shutil.copytree(place / "base", folder)
    path, killer = folder / mutant.file, folder.with_suffix(".killer")
    source, times = path.read_bytes(), path.stat()

    def task(tests: list[str]) -> int:
        watch = Watch()
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        status = run_tests(folder, tests, watch, "-x")
        lost = watch.started and not watch.failed  # the tests are not there: that is no kill
        killer.write_text(watch.failed[0] if watch.failed else "" if lost else "does not import")
        return status

    try:
        path.write_bytes(mutant.apply(source))
        for tests in parts:
            killer.write_text("crashes")
            limit = SLACK + 3.0 * sum(seconds[test] for test in tests)
            status = in_process(folder, lambda tests=tests: task(tests), limit)
            if status != 0 and (who := "hangs" if status is None else killer.read_text()):
                return mutant, who
        return mutant, ""
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # its bytecode is good again


def sound(tried: Tried, place: Path) -> Tried:
    """What was tried, without the deeds of tests that fail in the unchanged copy too."""
    killers = sorted({killer for _, killer in tried if "::" in killer})
    watch, found = Watch(), place / "found.txt"

    def task() -> int:
        status = run_tests(place / "base", killers, watch)
        found.write_text("\n".join(watch.failed))
        return status

    if not killers or in_process(place / "base", task, 3600.0) == 0:
        return tried
    failing = found.read_text().split("\n")
    print("failing without any mutant, so they kill none:", *failing)
    return [(mutant, "" if killer in failing else killer) for mutant, killer in tried]


def listed() -> Iterator[tuple[str, str, str]]:
    """(file, line before, line after or * for any) of the equivalents."""
    for block in EQUIVALENTS.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if lines:
            yield lines[0].strip(), lines[1].removeprefix("- "), lines[2].removeprefix("+ ")


def change_of(mutant: Mutant) -> tuple[str, str, str]:
    """(file, line before, line after)."""
    return (mutant.file, *mutant.lines((ROOT / mutant.file).read_bytes()))


def report(tried: Tried, equivalent: int) -> float:
    """Print what came of it; the score."""
    alive = sorted((mutant.file, mutant.line, change_of(mutant)) for mutant, killer in tried if not killer)
    killed = len(tried) - len(alive)
    score = killed / max(1, len(tried))
    for file, line, (_, before, after) in alive:
        print(f"\n{file}:{line}\n- {before}\n+ {after}")
    print(
        f"\nsample {len(tried) + equivalent}, killed {killed}, equivalent {equivalent}, survived {len(alive)}: "
        f"score {100 * score:.1f} %"
    )
    return score


def drawn_from(start: str, seed: int) -> list[Mutant]:
    """All mutants of the files whose names begin so, in an order that is drawn: by a hash, so that a change of the code
    moves no others."""
    found = {}
    for file in files(ROOT, *SCOPE):
        if file.startswith(start):
            source = (ROOT / file).read_bytes()
            found |= {one: (file, *one.lines(source)) for one in mutants(ROOT, file)}
    there = {*found.values(), *((file, before, "*") for file, before, _ in found.values())}
    for gone in sorted(set(listed()) - there):
        if gone[0].startswith(start):
            print("listed as equivalent, but there is no such mutant any more:", *gone, sep="\n  ")
    return sorted(found, key=lambda one: hashlib.sha256(repr((seed, found[one])).encode()).digest())


def main() -> int:
    """Draw, try, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=300, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", type=int, default=0, help="how many of those drawn to leave out, from the first")
    parser.add_argument("--budget", type=float, default=40.0, help="seconds of tests for one mutant")
    parser.add_argument("--only", default="", help="draw from files whose names begin so")
    parser.add_argument("--anew", action="store_true", help="find out again what every test runs")
    parser.add_argument("-j", "--processes", type=int, default=2)
    parser.add_argument(
        "--place",
        type=Path,
        default=Path(tempfile.gettempdir()) / "riskoverlay-mutation",
        help="folder outside the checkout for the copies, and for what is known of the tests",
    )
    given = parser.parse_args()
    given.place.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in HEAVY:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"{name} is not installed: tests of it are skipped")
    began = time.monotonic()
    chooser = Chooser(the_map(given.place, given.anew))
    drawn = drawn_from(given.only, given.seed)
    print(f"{len(drawn)} mutants, {len(chooser.seconds)} tests", flush=True)
    for old in given.place.glob("work-*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    copy_to(given.place / "base")
    jobs = []
    known = set(listed())
    sample = drawn[given.skip : given.sample]
    for mutant in sample:
        file, before, after = change_of(mutant)
        if known & {(file, before, after), (file, before, "*")}:
            continue
        parts = stages(chooser.choose(mutant, given.budget), chooser.seconds)
        jobs.append((mutant, parts, chooser.seconds, given.place))
    tried: Tried = []
    with multiprocessing.get_context("fork").Pool(given.processes) as pool:
        try:
            for mutant, killer in pool.imap_unordered(try_mutant, jobs):
                tried.append((mutant, killer))
                print(f"{len(tried):4} {mutant.file}:{mutant.line} {killer or 'LIVES'}", flush=True)
        except KeyboardInterrupt:
            print(f"interrupted: {len(jobs) - len(tried)} were not tried")
    score = report(sound(tried, given.place), len(sample) - len(jobs))
    print(f"{(time.monotonic() - began) / 60:.0f} minutes")
    return int(score < WANTED)


if __name__ == "__main__":
    raise SystemExit(main())
