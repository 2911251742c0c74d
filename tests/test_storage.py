"""A storage that fails costs a line that says how to go on; whatever is killed, the same bytes come out."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from postgres import Server, find_programs

from riskoverlay.feeds import Panel, load
from riskoverlay.studies.cli import main
from riskoverlay.studies.sweep import judge, parse_dimension, run_try, sweep
from riskoverlay.studies.sweep.rows import checksum
from riskoverlay.studies.workbench import Config, make_config

pytest.importorskip("sqlalchemy", reason="the extra `sweep` is not installed")

from riskoverlay.studies.sweep import database, storage

ROOT = Path(__file__).parents[1]
QUICK = {"cov_lookback": 40, "min_hist": 40, "vol_lookback": 10}
SYMBOLS = "SPY,TLT,GLD"
END = "2010-09-30"
GRID = ("target_vol=0.08,0.10,0.14", "dd_threshold1=0.01:0.05:0.04")
FLAGS = ["--end", END, "--symbols", SYMBOLS,
         *(x for name, value in QUICK.items() for x in ("--" + name.replace("_", "-"), str(value))),
         *(x for text in GRID for x in ("--grid", text))]  # fmt: skip
HERE = ["sweep", *FLAGS, "--workers", "1", "--quiet"]

COLUMNS = "key, config, statistics, returns, reason"
"""What of a row does not depend on when it was made."""


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", SYMBOLS, end=END)


@pytest.fixture
def config() -> Config:
    return make_config(QUICK)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(find_programs()) as running:
        yield running


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server that a test may kill."""
    with Server(find_programs()) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a sweep that was done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("finished"))
        assert main(HERE) == 0
        return Path("sweep.db").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


class Fault(NamedTuple):
    """A sweep whose storage fails after some tries, each of which is written at once."""

    before: Callable[[int, Callable[[], Any]], None]
    ran: list[Config]


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """`before(3, what)`: `what` happens before the fourth try of the next sweep is run."""
    coming: dict[int, Callable[[], Any]] = {}
    ran: list[Config] = []

    def counted(panel: Panel, config: Config) -> Any:
        coming.pop(len(ran), lambda: None)()
        ran.append(config)
        return run_try(panel, config)

    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", counted)
    monkeypatch.setattr(storage, "MOST_ROWS", 1)
    return Fault(coming.__setitem__, ran)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    assert "secret" not in error
    return error.removeprefix("error: ").rstrip("\n")


KEPT = "tries were kept before"


# -- a file ------------------------------------------------------------------------------------------------------------


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "full").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def test_a_full_disk_costs_one_line_and_nothing_that_was_kept(
    small_disk: Path, folder: Path, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small_disk / "sweep.db"
    fault.before(3, lambda: fill(small_disk))
    assert main([*HERE, "--storage", str(path)]) == 2
    assert said(capsys) == (
        f"storage='{path}' cannot keep the try target_vol 0.1, dd_threshold1 0.05 (database or disk is full); 3 of 6 "
        f"{KEPT}: make room, then the same command goes on from there"
    )
    (small_disk / "full").unlink()
    assert main([*HERE, "--storage", str(path)]) == 0
    assert len(fault.ran) == 4 + 3


def test_a_storage_that_turns_read_only_costs_one_line(
    small_disk: Path, folder: Path, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small_disk / "sweep.db"
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    fault.before(2, lambda: subprocess.run(remount, check=True))
    assert main([*HERE, "--storage", str(path)]) == 2
    line = said(capsys)
    assert line.startswith(f"storage='{path}' cannot keep the try target_vol 0.1, dd_threshold1 0.01 (")
    assert f"; 2 of 6 {KEPT}: " in line
    assert line.endswith("then the same command goes on from there")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes to every file")
def test_a_file_that_turns_read_only_costs_one_line(
    folder: Path, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    fault.before(2, lambda: Path("sweep.db").chmod(0o444))
    assert main(HERE) == 2
    assert "(attempt to write a readonly database); 2 of 6 tries were kept before: make the file" in said(capsys)


def overwrite(path: Path, first: int) -> None:
    """Noise in every page from one on; the first tells that it is a database."""
    size, noise = path.stat().st_size, random.Random(0)
    with path.open("r+b") as file:
        file.seek(first * 4096)
        file.write(noise.randbytes(size - first * 4096))


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pages overwritten": (lambda path: overwrite(path, 1), "database disk image is malformed"),
    "all overwritten": (lambda path: overwrite(path, 0), "file is not a database"),
    "cut in half": (lambda path: os.truncate(path, path.stat().st_size // 8192 * 4096), "database disk image is malf"),
    "emptied": (lambda path: os.truncate(path, 0), "no such table: sweep_tries"),
    "deleted": (Path.unlink, "no such table: sweep_tries"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_damaged_meanwhile_costs_one_line(
    name: str, folder: Path, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, why = DAMAGES[name]
    fault.before(3, lambda: damage(folder / "sweep.db"))
    assert main(HERE) == 2
    line = said(capsys)
    assert line.startswith(f"storage='sweep.db' cannot keep the try target_vol 0.1, dd_threshold1 0.05 ({why}")
    assert line.endswith(
        f"; 3 of 6 {KEPT}: the file is damaged, give another --storage or a copy of the file from before"
    )


@pytest.mark.parametrize("name", ["pages overwritten", "all overwritten", "cut in half"])
def test_a_file_that_was_damaged_costs_one_line(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(HERE) == 0
    damage, why = DAMAGES[name]
    damage(folder / "sweep.db")
    assert main(HERE) == 2
    assert re.match(
        rf"storage='sweep\.db' cannot be (opened|read) \({why}.*\): the file is damaged, give", said(capsys)
    )


def test_a_storage_that_is_held_too_long_costs_one_line(
    folder: Path, fault: Fault, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCKED_SECONDS", 0.2)
    assert main([*HERE, "--study", "other"]) == 0
    with closing(sqlite3.connect(folder / "sweep.db")) as other:
        fault.ran.clear()
        fault.before(2, lambda: other.execute("begin exclusive"))
        assert main(HERE) == 2
        assert said(capsys) == (
            f"storage='sweep.db' cannot keep the try target_vol 0.1, dd_threshold1 0.01 (database is locked); 2 of 6 "
            f"{KEPT}: end the program that holds it, then the same command goes on from there"
        )
        assert main(HERE) == 2
        assert said(capsys).startswith("storage='sweep.db' cannot be opened (database is locked): end the program")


ALTERED = {
    "returns": ("set returns = zeroblob(length(returns))", "target_vol 0.1, dd_threshold1 0.05"),
    "returns that are none": ("set returns = 'none'", "target_vol 0.1, dd_threshold1 0.05"),
    "a reason": ("set reason = 'not liked'", "target_vol 0.1, dd_threshold1 0.05"),
    "statistics": ("set statistics = replace(statistics, '0.', '1.')", "target_vol 0.1, dd_threshold1 0.05"),
    "parameters": ("set config = replace(config, '0.05', '0.06')", "target_vol 0.1, dd_threshold1 0.05"),
    "parameters and key": ("set key = 'k', config = replace(config, '0.05', '0.06')", "target_vol 0.1, dd_.* 0.06"),
    "key and no parameters": ("set key = 'k', config = '{'", "of key k"),
    "parameters that are no text": ("set config = cast(x'7bff' as text)", "target_vol 0.1, dd_threshold1 0.05"),
    "seconds": ("set seconds = seconds + 1", "target_vol 0.1, dd_threshold1 0.05"),
    "seconds that are none": ("set seconds = 'x'", "target_vol 0.1, dd_threshold1 0.05"),
    "checksum": ("set checksum = 'x'", "target_vol 0.1, dd_threshold1 0.05"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALTERED)
def test_a_try_that_was_altered_is_refused_by_its_parameters(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str], fault: Fault, finished: bytes
) -> None:
    what, tried = ALTERED[name]
    (folder / "sweep.db").write_bytes(finished)
    where = "json_extract(config, '$.target_vol') = 0.1 and json_extract(config, '$.dd_threshold1') = 0.05"
    with closing(sqlite3.connect(folder / "sweep.db")) as db, db:
        assert db.execute(f"update sweep_tries {what} where {where}").rowcount == 1
    assert main(HERE) == 2
    line = said(capsys)
    expected = rf"^storage='sweep\.db' holds the try {tried}, which was altered after it was kept: delete the row \("
    assert re.match(expected, line), line
    assert line.endswith("it is made again; or give another --study")
    cure = line.partition("(delete")[2].partition("), it is")[0]
    with closing(sqlite3.connect(folder / "sweep.db")) as db, db:
        assert db.execute(f"delete{cure}").rowcount == 1
    fault.ran.clear()
    assert main(HERE) == 0
    assert len(fault.ran) == 1


def test_a_judgement_that_was_altered_is_refused(
    folder: Path, panel: Panel, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    assert main(HERE) == 0
    with closing(sqlite3.connect(folder / "sweep.db")) as db, db:
        assert db.execute("update sweep_judgements set content = replace(content, '0.', '1.')").rowcount == 2
    assert main(HERE) == 2
    assert said(capsys).startswith("storage='sweep.db' holds a judgement, which was altered after it was kept: delete")


def test_a_finished_sweep_is_read_from_a_file_that_cannot_be_written(
    small_disk: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(small_disk / "sweep.db")
    assert main([*HERE, "--storage", path]) == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert main([*HERE, "--storage", path]) == 0


# -- batches -----------------------------------------------------------------------------------------------------------


def kept_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("select count(*) from sweep_tries").fetchone()[0])


@pytest.mark.parametrize("way", ["the end", "an interrupt", "a bug"])
def test_whatever_ends_a_sweep_what_was_finished_is_kept(
    way: str, folder: Path, panel: Panel, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing is written meanwhile, but for the first."""
    monkeypatch.setattr(storage, "MOST_SECONDS", 1e9)
    seen: list[int] = []

    def watched(panel: Panel, config: Config) -> Any:
        seen.append(kept_in(folder / "s.db"))
        if len(seen) == 5 and way != "the end":
            raise KeyboardInterrupt if way == "an interrupt" else MemoryError
        return run_try(panel, config)

    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", watched)
    ends = contextlib.nullcontext() if way == "the end" else pytest.raises((KeyboardInterrupt, MemoryError))
    with ends:
        sweep(panel, config, [parse_dimension(text) for text in GRID], storage="s.db")
    assert seen == [0, 1, 1, 1, 1, 1][: len(seen)]
    assert kept_in(folder / "s.db") == (6 if way == "the end" else 4)


AT_ONCE, IN_FOURS = [1, 2, 3, 4, 5, 6], [1, 1, 1, 4, 4, 4]


@pytest.mark.parametrize(
    ("rows", "seconds", "computed", "passing", "expected"),
    [
        (3, 1e9, 0.0, 0.0, IN_FOURS),
        (64, 1.0, 0.4, 0.0, IN_FOURS),  # 1.2 s would be lost
        (64, 1.0, 0.0, 0.4, IN_FOURS),  # 1.2 s have passed
        (64, 1.0, 1.0, 0.0, AT_ONCE),
        (64, 1.0, 0.0, 1.0, AT_ONCE),
    ],
)
def test_rows_are_written_by_number_by_time_and_by_what_would_be_lost(
    rows: int, seconds: float, computed: float, passing: float, expected: list[int],
    folder: Path, panel: Panel, config: Config, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The first is written at once, whatever comes: a storage that cannot be written shows itself."""
    clock = itertools.count(0.0, passing)
    monkeypatch.setattr(storage, "MOST_ROWS", rows)
    monkeypatch.setattr(storage, "MOST_SECONDS", seconds)
    monkeypatch.setattr(storage, "monotonic", lambda: next(clock))
    told: list[int] = []
    one = replace(run_try(panel, config), seconds=computed)
    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", lambda *_: one)
    values = [parse_dimension(text) for text in GRID]
    sweep(panel, config, values, storage="s.db", advance=lambda n: told.append(kept_in(folder / "s.db")) if n else None)
    assert told == expected


@pytest.mark.long
def test_two_processes_on_one_study_keep_every_try_once(folder: Path, server: Server) -> None:
    for name in ("sweep.db", server.url):
        command = [sys.executable, str(ROOT / "run.py"), *HERE, "--storage", name, "--study", "two"]
        both = [subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) for _ in range(2)]
        for process in both:
            _, error = process.communicate(timeout=240)
            assert (process.returncode, error) == (0, b"")
    with closing(sqlite3.connect(folder / "sweep.db")) as db:
        lite = db.execute(f"select {COLUMNS} from sweep_tries order by key").fetchall()
    assert len(lite) == 6
    assert server.execute(f"select {COLUMNS} from sweep_tries where study = 'two' order by key") == lite


# -- no database -------------------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_a_sweep_that_keeps_nothing_needs_no_database() -> None:
    script = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from riskoverlay.feeds import load\n"
        "from riskoverlay.studies.sweep import parse_dimension, sweep\n"
        "from riskoverlay.studies.workbench import make_config\n"
        f"config = make_config({QUICK})\n"
        f"print(len(sweep(load('sample', '{SYMBOLS}', end='{END}'), config, [parse_dimension('{GRID[0]}')]).good))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr


@pytest.mark.parametrize(
    ("package", "where", "cure"),
    [("sqlalchemy", "sweep.db", "sweep"), ("psycopg", "postgresql://me:secret@127.0.0.1/x", "postgres")],
)
def test_an_extra_that_is_missing_is_named(
    package: str, where: str, cure: str,
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    real = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == package else real(name, *more))
    assert main([*HERE, "--storage", where]) == 2
    assert said(capsys).endswith(f"needs {package}: install it with pip install 'backtrader-riskoverlay[{cure}]'")


# -- a server ----------------------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_a_server_holds_what_a_file_holds(server: Server, folder: Path, panel: Panel, config: Config) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    values = [parse_dimension("dd_threshold1=0.1,0.5,0.2")]  # one of them fails
    both = ("s.db", server.url)
    found = [judge(sweep(panel, config, values, storage=where, study="same"), draws=50) for where in both]
    again = judge(sweep(panel, config, values, storage=server.url, study="same"), draws=50)
    assert again.intervals == found[0].intervals == found[1].intervals
    assert [one.reason for one in again.sweep.tries] == [one.reason for one in found[0].sweep.tries]
    for mine, theirs in zip(again.sweep.tries, found[0].sweep.tries, strict=True):
        assert np.array_equal(mine.returns, theirs.returns)
    with closing(sqlite3.connect("s.db")) as db:
        lite = db.execute(f"select {COLUMNS} from sweep_tries order by key").fetchall()
    assert server.execute(f"select {COLUMNS} from sweep_tries where study = 'same' order by key") == lite


@pytest.mark.long
def test_a_server_that_is_killed_meanwhile_costs_one_line(
    mortal: Server, folder: Path, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    fault.before(3, mortal.kill)
    assert main([*HERE, "--storage", mortal.url]) == 2
    line = said(capsys)
    shown = mortal.url.replace("secret", "***")
    assert line.startswith(f"storage='{shown}' cannot keep the try target_vol 0.1, dd_threshold1 0.05 (")
    assert "Connection refused" in line
    assert line.endswith(f"; 3 of 6 {KEPT}: see that it can be reached, then the same command goes on from there")
    assert main([*HERE, "--storage", mortal.url]) == 2
    assert said(capsys).startswith(f"storage='{shown}' cannot be opened (")
    mortal.start()
    fault.ran.clear()
    assert main([*HERE, "--storage", mortal.url]) == 0
    assert len(fault.ran) == 3


@pytest.mark.long
def test_a_server_that_is_killed_ends_a_sweep_of_several_processes_too(mortal: Server, folder: Path) -> None:
    process = begin(folder, "--storage", mortal.url, "--grid", "vol_lookback=10:29")
    while not count_of(mortal, "sweep") and process.poll() is None:
        time.sleep(0.05)
    mortal.kill()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert re.fullmatch(
        rb"error: storage='postgresql://tester:\*\*\*@.*' cannot keep the try .* of 240 tries .*\n", error
    )


@pytest.mark.ci
def test_a_server_that_is_started_again_between_two_tries_is_not_noticed(
    mortal: Server, folder: Path, fault: Fault
) -> None:
    def again() -> None:
        mortal.kill()
        mortal.start()

    fault.before(3, again)
    assert main([*HERE, "--storage", mortal.url]) == 0


@pytest.mark.long
def test_a_table_of_a_server_that_is_held_too_long_costs_one_line(
    server: Server, folder: Path, fault: Fault, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setattr(database, "LOCKED_SECONDS", 1)
    assert main([*HERE, "--storage", server.url, "--study", "before"]) == 0
    with psycopg.connect(server.url) as other:
        fault.ran.clear()
        fault.before(2, lambda: other.execute("lock table sweep_tries"))
        assert main([*HERE, "--storage", server.url, "--study", "held"]) == 2
    line = said(capsys)
    assert "(canceling statement due to lock timeout); 2 of 6 tries were kept before: end the program that hold" in line


@pytest.mark.ci
def test_a_try_of_a_server_that_was_altered_is_refused(
    server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*HERE, "--storage", server.url, "--study", "altered"]) == 0
    server.execute("update sweep_tries set reason = 'no' where study = 'altered' and config like '%_vol\": 0.14%'")
    assert main([*HERE, "--storage", server.url, "--study", "altered"]) == 2
    assert "holds the try target_vol 0.14, dd_threshold1 0.0" in said(capsys)


# -- killed ------------------------------------------------------------------------------------------------------------

MOMENTS = 20
WIDER = [
    "--grid", "lev_max=1.5,2.0", "--workers", "2", "--csv", "s.csv", "--json", "s.json",
    "--engine", "cerebro",  # tries that take a while
]  # fmt: skip


class Whole(NamedTuple):
    """What a sweep that nobody has disturbed leaves."""

    seconds: float
    csv: bytes
    summary: bytes
    rows: list[Any]


def begin(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "run.py"), "sweep", *FLAGS, *WIDER, *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(folder: Path, *more: str) -> tuple[bytes, bytes]:
    process = begin(folder, *more)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return (folder / "s.csv").read_bytes(), (folder / "s.json").read_bytes()


def rows_of(place: Path | Server, study: str = "sweep") -> list[Any]:
    """Every row but when it was made; its checksum has to be right."""
    columns = f"study, {COLUMNS}, seconds, finished_at, checksum"
    query = f"select {columns} from sweep_tries where study = '{study}' order by key"
    if isinstance(place, Server):
        found = place.execute(query)
    else:
        with closing(sqlite3.connect(place)) as db:
            found = db.execute(query).fetchall()
    names = columns.split(", ")[:-1]
    for *row, known in found:
        assert checksum(dict(zip(names, row, strict=True))) == known
    return [row[1:6] for row in found]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    began = time.monotonic()
    csv, summary = finish(folder)
    return Whole(time.monotonic() - began, csv, summary, rows_of(folder / "sweep.db"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.long
@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("kind", ["file", "server"])
def test_killed_at_a_random_moment_the_same_bytes_come_out(
    kind: str, moment: int, tmp_path: Path, whole: Whole, request: pytest.FixtureRequest
) -> None:
    """A quarter of the moments are spread over the whole of a run, imports and judgement included; the others come a
    little after a number of tries.
    """
    study = f"{kind} {moment}"
    place = tmp_path / "sweep.db" if kind == "file" else request.getfixturevalue("server")
    where = ["--study", study, "--storage", place.url if isinstance(place, Server) else str(place)]
    draw = random.Random(study)
    process = begin(tmp_path, *where)
    if moment % 4 == 0:
        wait = (moment + draw.random()) / MOMENTS * whole.seconds
    else:
        after, wait = draw.randrange(12), draw.uniform(0.0, 0.3)
        while count_of(place, study) < after and process.poll() is None:
            time.sleep(0.02)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(wait)
    process.kill()
    process.communicate()
    print(f"{study}: killed with {count_of(place, study)} of 12 tries kept")
    assert finish(tmp_path, *where) == (whole.csv, whole.summary)
    assert rows_of(place, study) == whole.rows


def count_of(place: Path | Server, study: str) -> int:
    """Tries that a sweep has kept; it may not have come as far as its tables."""
    tables = "select count(*) from sqlite_master where name = 'sweep_tries'"
    if isinstance(place, Server):
        tables = "select count(*) from pg_tables where tablename = 'sweep_tries'"
        there = place.execute(tables)[0][0]
    else:
        with closing(sqlite3.connect(place)) as db:
            there = db.execute(tables).fetchone()[0]
    return len(rows_of(place, study)) if there else 0
