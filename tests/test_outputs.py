"""What a command writes: to files, links, pipes and devices, and on a disk that is full."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riskoverlay.errors import InputError
from riskoverlay.feeds import load
from riskoverlay.files import replace_file
from riskoverlay.studies.cli import main
from riskoverlay.studies.pictures import write_picture
from riskoverlay.studies.report import write_report
from riskoverlay.studies.workbench import Backtest, backtest, backtest_summary, make_config, series_frame
from riskoverlay.studies.workbench.outputs import check_file, write_file, write_json

resource = pytest.importorskip("resource")

SHORT = ["--end", "2010-09-30", "--cov-lookback", "30", "--min-hist", "30", "--vol-lookback", "10",
         "--symbols", "SPY,TLT,GLD", "--quiet"]  # fmt: skip
NONE = ["--csv", "", "--json", ""]

root_only = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes devices")
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The line that a command ends with before it has read any price."""

    def never(*_: object) -> None:
        raise AssertionError("prices were read")

    monkeypatch.setattr("riskoverlay.studies.commands.flags.load_panel", never)
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error.removeprefix("error: ").rstrip()


def forked(act: Callable[[], int], stdout: int | None = None) -> tuple[int, str]:
    """Exit status and stderr of what a child of this process does, which has everything imported."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 99
        try:
            os.dup2(write, 2)
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            if stdout is not None:
                os.dup2(stdout, 1)
                sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            status = act()
            sys.stderr.flush()
            sys.stdout.flush()
        finally:
            os._exit(status)
    os.close(write)
    with open(read) as errors:
        said = errors.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


@pytest.fixture(scope="module")
def result() -> Backtest:
    quick = {"cov_lookback": 30, "min_hist": 30, "vol_lookback": 10}
    return backtest(load("sample", "SPY,TLT,GLD", end="2010-09-30"), make_config({**quick, "symbols": "SPY,TLT,GLD"}))


def write_any(name: str, result: Backtest, path: str | Path) -> None:
    """Write what the ending of `name` is for, as `backtest` does, wherever `path` is."""
    kind = name.rpartition(".")[2]
    if kind == "csv":
        write_file(path, series_frame(result).to_csv)
    elif kind == "json":
        write_json(path, backtest_summary(result))
    elif kind == "html":
        write_report(path, result)
    else:
        write_picture(path, result)


# -- devices and pipes -------------------------------------------------------------------------------------------------


def read_all(pipe: Path) -> tuple[threading.Thread, list[bytes]]:
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    return reader, found


BEGINS = {"csv": b"date,", "json": b"{\n", "html": b"<!DOCTYPE html>", "png": b"\x89PNG"}


@pytest.mark.parametrize("kind", BEGINS)
def test_a_pipe_is_written_through(kind: str, result: Backtest, folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader, found = read_all(pipe)
    write_any(f"x.{kind}", result, "pipe")
    reader.join(10)
    write_any(f"x.{kind}", result, f"file.{kind}")
    assert found[0][:15].lower().startswith(BEGINS[kind].lower())
    if kind != "html":  # which has the time in it
        assert found[0] == Path(f"file.{kind}").read_bytes()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert {path.name for path in folder.iterdir()} == {"pipe", f"file.{kind}"}


def test_a_reader_that_leaves_costs_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "pipe")

    def read_a_little() -> None:
        with open("pipe", "rb", buffering=0) as pipe:
            pipe.read(10)

    threading.Thread(target=read_a_little, daemon=True).start()
    assert main([*SHORT, *NONE, "--html", "pipe"]) == 2
    assert capsys.readouterr().err == (
        "error: pipe cannot be written (Broken pipe): its reader is gone: read it to the end, or give a file\n"
    )
    assert [path.name for path in folder.iterdir()] == ["pipe"]


@root_only
def test_a_device_stays_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of its own: a bug here would cost the machine's."""
    full, null = folder / "full", folder / "null"
    os.mknod(full, stat.S_IFCHR | 0o666, os.makedev(1, 7))
    os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert main([*SHORT, *[f"--{kind}=null" for kind in BEGINS]]) == 0
    assert main([*SHORT, "--csv", "", "--json", "full"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: full cannot be written (No space left on device): make room")
    assert error.count("\n") == 1
    assert [stat.S_ISCHR(path.stat().st_mode) for path in (full, null)] == [True, True]
    assert {path.name for path in folder.iterdir()} == {"full", "null"}


def own_stdout(folder: Path) -> Path:
    """A link as /dev/stdout is one, which may be replaced without harm."""
    (folder / "stdout").symlink_to("/proc/self/fd/1")
    return folder / "stdout"


@pytest.mark.skipif(not Path("/proc/self/fd/1").exists(), reason="no /proc")
def test_stdout_is_written_through_whatever_it_is(folder: Path) -> None:
    """`> redirected`: what is there is written on, not replaced."""
    with open("redirected", "wb") as file:
        file.write(b"before\n")
        file.flush()
        arguments = ["check", "--symbols", "SPY", "--end", "2010-02-26", "--json", own_stdout(folder).name]
        assert forked(lambda: main(arguments), file.fileno()) == (0, "")
        file.write(b"after\n")
    lines = Path("redirected").read_text().splitlines()
    assert (lines[0], lines[-2], lines[-1]) == ("before", "Wrote stdout.", "after")
    assert "0 errors" in lines[lines.index("{") - 1]  # what was printed before comes before
    assert json.loads("\n".join(lines[lines.index("{") : -2]))["errors"] == 0
    assert (folder / "stdout").is_symlink()


@pytest.mark.parametrize("full", [False, True])
def test_nobody_reads_what_is_printed(full: bool) -> None:
    if full and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    read, write = os.pipe()
    os.close(read)
    target = os.open("/dev/full", os.O_WRONLY) if full else write
    why = "No space left on device" if full else "Broken pipe"
    line = f"error: stdout cannot be written ({why}): give it a reader, or room\n"
    assert forked(lambda: main(["check", "--symbols", "SPY", "--end", "2010-02-26"]), target) == (2, line)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)


def make_block(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))


def make_circle(path: Path) -> None:
    path.symlink_to("other")
    path.with_name("other").symlink_to(path)


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "socket": (make_socket, "x.json cannot be written (it is a socket): give the name of a file, a pipe"),
    "block": (make_block, "x.json cannot be written (it is a block device): give the name of a file, a pipe"),
    "folder": (Path.mkdir, "x.json is a folder: give a file name"),
    "circle": (make_circle, "x.json cannot be written (Too many levels of symbolic links): correct the links"),
    "link to a folder": (lambda path: path.symlink_to("."), "x.json is a folder: give a file name"),
    "link to nowhere": (
        lambda path: path.symlink_to("no/x.json"), "x.json cannot be written: folder {}/no does not exist, create it"
    ),
}  # fmt: skip


def kept(path: Path) -> tuple[int, ...]:
    """What tells whether a file is as it was; to read a link changes when it was read."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("command", ["backtest", "check"])
def test_what_is_no_place_for_a_file_is_refused_at_the_start(
    what: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, line = REFUSED[what]
    make(folder / "x.json")
    before = kept(folder / "x.json")
    more = SHORT if command == "backtest" else ["--symbols", "SPY"]
    monkeypatch.setattr("riskoverlay.studies.commands.check.load_raw", None)
    said = refused([command, *more, "--json", "x.json"], capsys, monkeypatch)
    assert said.startswith(line.format(folder.resolve()))
    assert kept(folder / "x.json") == before
    assert os.path.lexists("x.json")


def test_a_name_that_is_too_long_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = "x" * 250 + ".json"
    assert "(File name too long): give a shorter name" in refused(
        [*SHORT, "--json", "x" + longest], capsys, monkeypatch
    )
    write_json(longest, {})  # its temporary file's is longer by nothing
    assert Path(longest).read_text() == "{}\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_folder_that_takes_no_file_is_refused_at_the_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody, not even root, makes a file in /proc."""
    assert refused([*SHORT, "--json", "/proc/self/x.json"], capsys, monkeypatch).startswith(
        "/proc/self/x.json cannot be written (No such file or directory): give a file in a folder that can"
    )


@root_only
@pytest.mark.parametrize("what", ["folder", "file"])
def test_without_the_right_to_write_it_is_refused_at_the_start(what: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        os.chmod(name, 0o755)
        inside = Path(name) / "closed"
        inside.mkdir()
        path = inside / "x.json"
        path.write_text("old")
        path.chmod(0o444 if what == "file" else 0o666)
        inside.chmod(0o555 if what == "folder" else 0o777)

        def as_nobody() -> int:
            os.setgroups([])
            os.setuid(65534)
            for act in (check_file, lambda path: write_json(path, {})):
                try:
                    act(path)
                except InputError as error:
                    print(error, file=sys.stderr)
            return 0

        line = f"{path} cannot be written (Permission denied): give a file in a folder that can\n"
        assert forked(as_nobody) == (0, line * 2)
        assert path.read_text() == "old"
        assert [one.name for one in inside.iterdir()] == ["x.json"]


# -- links and permissions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_what_a_link_leads_to_is_replaced(there: bool, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    real, link, chain = folder / "elsewhere" / "real.json", folder / "link.json", folder / "chain.json"
    link.symlink_to("elsewhere/real.json")
    chain.symlink_to("link.json")
    if there:
        real.write_text("old")
    number = real.stat().st_ino if there else None
    seen: list[list[str]] = []

    def write(temporary: Path) -> None:
        seen.append(sorted(path.name for path in (folder / "elsewhere").iterdir() if path != real))
        assert temporary.parent == real.parent.resolve()  # where it can be renamed in one step
        temporary.write_text("new")
        assert not there or real.read_text() == "old"

    write_file(chain, write)
    assert seen[0]
    assert real.read_text() == link.read_text() == "new"
    assert (link.is_symlink(), chain.is_symlink()) == (True, True)
    assert real.stat().st_ino != number
    assert [path.name for path in (folder / "elsewhere").iterdir()] == ["real.json"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_permissions_of_an_old_file_are_kept(mode: int, folder: Path) -> None:
    path = folder / "x.json"
    path.write_text("old")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    write_json(path, {})
    found = path.stat()
    assert stat.S_IMODE(found.st_mode) == mode
    assert os.geteuid() != 0 or (found.st_uid, found.st_gid) == (1234, 4321)


def test_a_new_file_has_the_permissions_of_new_files(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(folder / "x.json", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "x.json").stat().st_mode) == 0o640


# -- one name for two --------------------------------------------------------------------------------------------------


def files(folder: Path) -> None:
    (folder / "sub").mkdir()
    for name in ("a", "mine.py"):
        (folder / name).write_text("{}")
    os.link("a", "hard")
    (folder / "soft").symlink_to("a")
    (folder / "dangling").symlink_to("new")
    (folder / "here").symlink_to(".")
    os.mkfifo("pipe")
    (folder / "prices").mkdir()
    for name in ("SPY.csv", "tlt_us_d.csv", "^IRX.csv"):
        (folder / "prices" / name).write_text("date,close\n2010-01-04,1.0\n")


ONE_NAME = [
    ("a", "a"), ("a", "./a"), ("sub/../a", "a"), ("a", "hard"), ("soft", "a"), ("soft", "hard"), ("new", "dangling"),
    ("new", "here/new"), ("pipe", "./pipe"), ("sub/new", "sub/../here/sub/new"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), ONE_NAME)
def test_two_outputs_of_one_name_are_refused(
    first: str, second: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files(folder)
    said = refused([*SHORT, "--csv", first, "--json", second], capsys, monkeypatch)
    assert said == f"--json {second} is the same file as --csv {first}: give each a name of its own"


def test_two_outputs_may_go_where_nothing_is_kept(folder: Path) -> None:
    check_file(os.devnull)
    assert main([*SHORT, "--csv", os.devnull, "--json", os.devnull]) == 0
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


CSV = ["--source", "csv", "--data-dir", "prices", "--symbols", "SPY,TLT"]
GRID = ["--grid", "target_vol=0.1,0.2"]
INPUTS = [
    (["--config", "a", "--json", "here/a"], "--json here/a is the config file a"),
    (["--config", "soft", "--csv", "hard"], "--csv hard is the config file soft"),
    ([*CSV, "--csv", "prices/SPY.csv"], "--csv prices/SPY.csv is the price file prices/SPY.csv"),
    ([*CSV, "--json", "here/prices/tlt_us_d.csv"], "is the price file prices/tlt_us_d.csv"),
    ([*CSV, "--csv", "prices/^IRX.csv"], "is the price file prices/^IRX.csv"),
    (["--source", "wide", "--data-dir", "a", "--csv", "soft"], "--csv soft is the price file a"),
    (["sweep", *GRID, "--storage", "new", "--json", "./new"], "--json ./new is the storage new"),
    (["sweep", *GRID, "--storage", "sqlite:///new", "--csv", "new"], "--csv new is the storage new"),
    (["sweep", *GRID, "--storage", "new", "--csv", "new-wal"], "--csv new-wal is the storage new-wal"),
    (["sweep", *GRID, "--json", "sweep.db"], "--json sweep.db is the storage sweep.db"),
    (["walkforward", *GRID, "--storage", "new", "--json", "dangling"], "--json dangling is the storage new"),
    (["audit", "--strategy", "mine.py:Mine:x=1", "--json", "mine.py"], "--json mine.py is the strategy's file mine.py"),
    (["--source", "yahoo", "--cache-dir", "sub", "--csv", "sub/SPY.csv"], "is the cached price file sub/SPY.csv"),
]


@pytest.mark.parametrize(("arguments", "line"), INPUTS)
def test_an_output_that_is_an_input_is_refused(
    arguments: list[str], line: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said = refused(arguments, capsys, monkeypatch)
    assert f"{line}: give another name, or that would be lost" in said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_file_beside_the_prices_is_no_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(folder)
    for name in ("QQQ.csv", "level63.csv"):
        (folder / "prices" / name).write_text("old")
        assert main([*CSV, "--csv", f"prices/{name}", "--json", ""]) == 2  # of too few prices, not of its name
        assert "is the price file" not in capsys.readouterr().err


# -- a disk that is full -----------------------------------------------------------------------------------------------

KINDS = ("x.csv", "x.json", "x.html", "x.png", "x.svg", "x.pdf")


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    place = tmp_path_factory.mktemp("small")
    command = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_costs_one_line_and_no_file(name: str, result: Backtest, small_disk: Path) -> None:
    path = small_disk / name
    path.write_text("old")
    with pytest.raises(InputError) as caught:
        write_any(name, result, path)
    assert str(caught.value) == (
        f"{path} cannot be written (No space left on device): make room, or give a file on another disk; "
        "what was there is as it was"
    )
    assert [(one.name, one.read_text()) for one in small_disk.iterdir()] == [(name, "old")]
    path.unlink()


@pytest.mark.parametrize("name", KINDS)
def test_a_limit_of_file_sizes_costs_one_line_and_no_file(name: str, result: Backtest, folder: Path) -> None:
    (folder / name).write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(InputError, match=rf"^{name} cannot be written \(File too large\): raise the limit"):
            write_any(name, result, name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "old")]


@root_only
def test_a_command_on_a_full_disk_costs_one_line(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, *NONE, "--html", str(small_disk / "x.html")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {small_disk}/x.html cannot be written (No space left on device): make room")
    assert error.count("\n") == 1
    assert not list(small_disk.iterdir())


def test_a_killed_writer_leaves_the_old_file(folder: Path) -> None:
    (folder / "x.json").write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

    def act() -> int:
        replace_file("x.json", write)
        return 0

    assert forked(act)[0] == -signal.SIGKILL
    assert (folder / "x.json").read_text() == "old"


def test_what_is_interrupted_leaves_nothing(folder: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file("x.json", write)
    assert not list(folder.iterdir())
