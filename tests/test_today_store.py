"""The account file of `today`: what a kill, a full disk, a second run and a hand at the files leave of it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskoverlay.errors import InputError, MissingFileError
from riskoverlay.studies.today import store
from riskoverlay.studies.today.store import account_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")

BY_FORK = multiprocessing.get_context("fork") if sys.platform != "win32" else multiprocessing.get_context()

FLOATS = [0.1, 0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, 1e22, 123456789.123456789, 1e16]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "account.json"


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def begun(path: Path, sessions: int = 3) -> Path:
    """An account that was saved once for each of some sessions."""
    with account_file(path) as account:
        for number in range(1, sessions + 1):
            account.save({"done": number, "cash": 1000.5}, [{"session": number, "note": "ä"}])
    return path


def told(path: Path) -> tuple[dict[str, Any] | None, list[int]]:
    """The state, and the sessions of the journal."""
    with account_file(path) as account:
        return account.state, [entry["session"] for entry in account.entries()]


def files(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.parent.iterdir()}


def refused(path: Path, **options: Any) -> str:
    """The line with which it is refused; no file is touched."""
    before = files(path)
    with pytest.raises(InputError) as caught, account_file(path, **options):
        raise AssertionError("it was opened")
    assert files(path) == before
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.cure
    return line


# -- what is saved is there -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["account.json", "Mein Konto für später.json", "a[1]*.json", "noending"])
def test_what_was_saved_comes_back_to_the_bit(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (tmp_path / f".{name}.writing-abc.json").write_text("of a killed run")
    state = {"z": FLOATS, "a": {"Größe": 2**70, "none": None, "yes": True}, "line": "two\n\u2028lines"}
    with account_file(path) as account:
        assert account.path == path
        assert account.state is None
        assert account.entries() == []
        account.save(state, [{"n": 7, "fill": FLOATS}, {"before": "ü"}])
        account.save(state)
        assert account.entries() == [{"n": 7, "fill": FLOATS}, {"before": "ü"}]
    with account_file(path, must_exist=True) as account:
        assert json.dumps(account.state) == json.dumps(state)  # also the order of names, and the sign of zero
        assert json.dumps(account.entries()[0]["fill"]) == json.dumps(FLOATS)
        account.entries()[0]["n"] = 8
        assert account.entries()[0]["n"] == 7
    assert sorted(files(path)) == sorted([name, f"{name}.bak", f"{name}.journal"])
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n  "format": 1,\n  "sha256": "')
    assert '"Größe": 1180591620717411303424' in text
    assert beside(path, ".journal").read_bytes().count(b"\n") == 2


def test_an_account_that_is_not_saved_leaves_nothing(path: Path) -> None:
    with account_file(path) as account:
        assert account.state is None
    assert files(path) == {}
    with (
        pytest.raises(MissingFileError, match=rf"^account {path} does not exist: give"),
        account_file(path, must_exist=True),
    ):
        pass
    assert files(path) == {}
    with (
        pytest.raises(InputError, match=r"folder .*there does not exist, create it first"),
        account_file(path.parent / "not there" / "x.json"),
    ):
        pass


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 1, "1": 2}, "\ud800"])
def test_what_json_cannot_say_changes_nothing(path: Path, value: object) -> None:
    before = files(begun(path))
    with account_file(path) as account:
        for state, entries in (({"x": value}, []), ({}, [{"session": 4}, {"x": value}])):
            with pytest.raises((TypeError, ValueError)):
                account.save(state, entries)
        assert account.state == {"done": 3, "cash": 1000.5}
    assert files(path) == before


def test_it_is_saved_only_while_it_is_locked(path: Path) -> None:
    with account_file(path) as account:
        pass
    with pytest.raises(RuntimeError, match="not locked any more"):
        account.save({})
    assert files(path) == {}


def test_no_account_is_made_of_a_device_or_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in ((tmp_path / "pipe", "is a device or a pipe"), (tmp_path, "is a folder"), ("/dev/null", "is a")):
        with pytest.raises(InputError, match=said), account_file(name):
            pass
    assert not Path("/dev/null.lock").exists()


# -- two at once ----------------------------------------------------------------------------------------------------


def hold(path: Path, ready: Any, over: Any) -> None:
    with account_file(path) as account:
        account.save({"done": 1}, [{"session": 1}])
        ready.set()
        over.wait(60)


@pytest.mark.parametrize("killed", [False, True])
def test_a_second_run_is_refused_until_the_first_has_ended(path: Path, killed: bool) -> None:
    ready, over = BY_FORK.Event(), BY_FORK.Event()
    holder = BY_FORK.Process(target=hold, args=(path, ready, over))
    holder.start()
    try:
        assert ready.wait(60)
        busy = f"account {path}: another run is using it: wait until that has ended"
        assert refused(path) == busy
        link = path.parent / "link.json"
        link.symlink_to(path)
        assert refused(link).startswith(f"account {link}: another run is using it")
        link.unlink()
    finally:
        if killed:
            holder.kill()  # and not told, which would wait until it has heard
        else:
            over.set()
        holder.join(60)
    assert beside(path, ".lock").exists() is killed
    assert told(path) == ({"done": 1}, [1])
    assert not beside(path, ".lock").exists()
    with account_file(path):
        assert refused(path) == busy  # in one process, too


def test_a_child_that_outlives_the_run_does_not_keep_the_lock(path: Path) -> None:
    over = BY_FORK.Event()
    with account_file(path):
        child = BY_FORK.Process(target=over.wait, args=(60,))
        child.start()
    try:
        assert told(path) == (None, [])
    finally:
        over.set()
        child.join(60)


def test_a_lock_that_its_owner_removes_just_now_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = store._lock

    def late(handle: int, on: bool) -> None:
        if on:
            beside(path, ".lock").unlink()  # whoever locks a new one must not find it free
        real(handle, on)

    monkeypatch.setattr(store, "_lock", late)
    assert "another run is using it" in refused(path)


def add(path: Path, who: int, times: int) -> None:
    while times:
        try:
            with account_file(path) as account:
                done = 0 if account.state is None else account.state["done"]
                account.save({"done": done + 1}, [{"session": done + 1, "who": who}])
                times -= 1
        except InputError as error:
            if "another run is using it" not in str(error):
                raise
        time.sleep(0.001)


def test_two_runs_that_take_turns_lose_nothing(path: Path) -> None:
    runs = [BY_FORK.Process(target=add, args=(path, who, 20)) for who in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0]
    with account_file(path) as account:
        assert account.state == {"done": 40}
        assert [entry["session"] for entry in account.entries()] == list(range(1, 41))
        assert sorted(entry["who"] for entry in account.entries()) == [0] * 20 + [1] * 20


# -- killed ---------------------------------------------------------------------------------------------------------


def save_for_ever(path: Path, ready: Any, saved: Any, seed: int) -> None:
    moments = random.Random(seed)
    with account_file(path) as account:
        done = 0 if account.state is None else account.state["done"]
        ready.set()
        while True:
            more = moments.randrange(4)
            account.save({"done": done + more}, [{"session": done + one} for one in range(1, more + 1)])
            done += more
            saved.value = done


def check_kills(path: Path, times: int) -> None:
    moments = random.Random(7)
    saved = BY_FORK.Value("q", 0, lock=False)  # which a killed run would keep
    for number in range(times):
        if number % 10 == 0:
            for one in path.parent.iterdir():
                one.unlink()
            saved.value = 0
        ready = BY_FORK.Event()
        run = BY_FORK.Process(target=save_for_ever, args=(path, ready, saved, number))
        run.start()
        assert ready.wait(60)
        time.sleep(moments.uniform(0.0, 0.03))
        run.kill()
        run.join()
        state, sessions = told(path)
        done = 0 if state is None else state["done"]
        assert sessions == list(range(1, done + 1))
        assert done >= saved.value  # what was saved is there
        assert {one.name.removeprefix(path.name) for one in path.parent.iterdir()} <= {"", ".bak", ".journal"}


def test_killed_at_random_moments(path: Path) -> None:
    check_kills(path, 20)


@pytest.mark.long
def test_killed_at_random_moments_200_times(path: Path) -> None:
    check_kills(path, 200)


STEPS = {"open", "os.rename", "os.remove", "os.truncate", "os.chmod", "os.chown"}


def stop_at(step: int, path: Path, stop: Callable[[], None]) -> None:
    """Save twice; `stop` is called before a step's touch of a file in the folder."""
    seen, watching = 0, False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if watching and event in STEPS and str(path.parent) in str(arguments[0]):
            seen += 1
            if seen == step:
                stop()

    sys.addaudithook(watch)
    with account_file(path) as account:
        watching = True
        account.save({"done": 2}, [{"session": 1}, {"session": 2}])
        account.save({"done": 3}, [{"session": 3}])
        watching = False


def stop_there(step: int, path: Path, raises: bool) -> None:
    def stop() -> None:
        if not raises:
            os._exit(9)  # as good as a kill: no `finally` is run
        raise KeyboardInterrupt

    try:
        stop_at(step, path, stop)
    except KeyboardInterrupt:
        os._exit(9)
    os._exit(0)


@pytest.mark.parametrize(
    ("raises", "steps"),
    [(False, 1), (True, 3), pytest.param(True, 1, marks=pytest.mark.long)],
    ids=["killed", "interrupted", "interrupted everywhere"],
)
def test_stopped_before_each_touch_of_a_file(tmp_path: Path, raises: bool, steps: int) -> None:
    found = []
    for step in range(1, 100, steps):
        path = tmp_path / f"{step}" / "x.json"
        path.parent.mkdir()
        run = BY_FORK.Process(target=stop_there, args=(step, path, raises))
        run.start()
        run.join(60)
        state, sessions = told(path)
        done = 0 if state is None else state["done"]
        assert sessions == list(range(1, done + 1)), step
        assert set(files(path)) <= {"x.json", "x.json.bak", "x.json.journal"}, step
        if done == 0:
            assert files(path) == {}, step
        found.append(done)
        if run.exitcode == 0:
            break
    else:
        raise AssertionError("it was always stopped")
    assert found == sorted(found)
    assert set(found) == {0, 2, 3}
    assert len(found) > 15 / steps


# -- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def limited() -> Any:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (before[1] if size is None else size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("state", "entries", "which"),
    [
        ({}, [{"session": 4, "long": "x" * 700}], "account.json.journal"),
        ({}, [{"session": 4}, {"session": 5, "long": "x" * 9000}], "account.json.journal"),
        ({"long": "x" * 9000}, [{"session": 4}], "account.json"),
    ],
)
def test_a_full_disk_leaves_all_as_it_was(
    path: Path, limited: Any, state: dict[str, Any], entries: list[dict[str, Any]], which: str
) -> None:
    begun(path)
    before = files(path)
    with account_file(path) as account:
        limited(1000)
        where = path.with_name(which)
        with pytest.raises(InputError, match=rf"^{where} cannot be written \(File too large\): raise the limit .* as"):
            account.save(state, entries)
        assert account.state == {"done": 3, "cash": 1000.5}
        limited(None)
        found = files(path)
        for name in ("account.json", "account.json.journal"):
            assert found[name] == before[name]
        account.save({"done": 4}, [{"session": 4}])  # there is room again
    assert told(path) == ({"done": 4}, [1, 2, 3, 4])


def test_what_could_not_be_cut_off_is_cut_off_later(path: Path, limited: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(begun(path))

    def never(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    with account_file(path) as account, monkeypatch.context() as patched:
        limited(1000)
        patched.setattr(os, "truncate", never)
        with pytest.raises(InputError, match=r"journal cannot be written \(File too large\)"):
            account.save({}, [{"session": 4, "long": "x" * 700}])
        limited(None)
        assert files(path)["account.json.journal"] != before["account.json.journal"]
        account.save({"done": 4}, [{"session": 4}])
    assert told(path) == ({"done": 4}, [1, 2, 3, 4])


def test_the_journal_is_on_the_disk_before_the_account(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(path)
    real, kept = os.fsync, []

    def fsync(handle: int) -> None:
        kept.append((os.fstat(handle).st_ino, json.loads(path.read_text(encoding="utf-8"))["n"]))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with account_file(path) as account:
        account.save({"done": 4}, [{"session": 4}])
    inodes = [os.stat(beside(path, ending)).st_ino for ending in (".bak", ".journal", "")]
    assert kept == [(inode, 3) for inode in inodes]


@pytest.mark.parametrize("size", [0, 100, 300, 500])
def test_a_full_disk_at_the_first_save_leaves_nothing(path: Path, limited: Any, size: int) -> None:
    with account_file(path) as account:
        limited(size)
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)"):
            account.save({"long": "x" * 1000}, [{"session": 1, "long": "x" * 200}])
        limited(None)
        assert set(files(path)) == {"account.json.lock"}
    assert files(path) == {}


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(path: Path) -> None:
    begun(path)
    path.parent.chmod(0o555)
    try:
        assert re.search(r"cannot be written \(Permission denied\)", refused(path))
    finally:
        path.parent.chmod(0o755)


# -- a hand at the files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [b'{"n": 4, "befo', b"\x00\x00\x00", b'{"n": 4, "before": "x", "entry": {}}\n', b"\n"])
def test_what_the_account_does_not_count_is_cut_off(path: Path, more: bytes) -> None:
    before = files(begun(path))
    journal = beside(path, ".journal")
    journal.write_bytes(journal.read_bytes() + more)
    assert told(path) == ({"done": 3, "cash": 1000.5}, [1, 2, 3])
    assert files(path) == before


GO_ON = "restore it from a backup or, to go on without what it told, move it away, write 0 for n in "


def test_a_journal_that_is_short_is_refused(path: Path) -> None:
    journal = beside(begun(path), ".journal")
    whole = journal.read_bytes()
    for content, lines in ((whole[:-1], 2), (whole.splitlines(keepends=True)[0], 1), (b"", 0)):
        journal.write_bytes(content)
        said = f"journal {journal} holds {lines} of the 3 lines that {path} counts: {GO_ON}{path}"
        assert refused(path).startswith(said)
    journal.unlink()
    with pytest.raises(MissingFileError), account_file(path):
        pass
    assert refused(path).startswith(f"journal {journal} does not exist: {GO_ON}{path} and delete the line sha256 there")
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["sha256"]
    path.write_text(json.dumps({**content, "n": 0}), encoding="utf-8")
    with account_file(path) as account:
        assert account.entries() == []
        account.save({"done": 4}, [{"session": 4}])
    assert told(path) == ({"done": 4}, [4])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace(b'"session": 2', b'"session": 9'), lines[2]], 3),
        (lambda lines: [lines[0], lines[1], lines[2].replace(b'"session": 3', b'"session": 9')], 3),
        (lambda lines: [lines[0], lines[2], lines[1]], 2),
        (lambda lines: [lines[0], lines[0], lines[1], lines[2]], 2),
        (lambda lines: [lines[0], lines[2], lines[2]], 2),
        (lambda lines: [b"{]\n", lines[1], lines[2]], 1),
        (lambda lines: [b"[]\n", lines[1], lines[2]], 1),
        (lambda lines: [lines[0], b'{"n": 2, "n": 2}\n', lines[2]], 2),
        (lambda lines: [lines[0], b"\xff\n", lines[2]], 2),
    ],
)
def test_a_journal_that_was_changed_is_refused(
    path: Path, change: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    journal = beside(begun(path), ".journal")
    journal.write_bytes(b"".join(change(journal.read_bytes().splitlines(keepends=True))))
    said = f"journal {journal} is not as it was written (its checksums do not match at line {line}): {GO_ON}{path}"
    assert refused(path).startswith(said)


def test_a_journal_of_another_account_is_refused(tmp_path: Path, path: Path) -> None:
    begun(path)
    with account_file(tmp_path / "other.json") as account:
        account.save({}, [{"session": number} for number in (1, 2, 3, 4)])
    beside(path, ".journal").write_bytes((tmp_path / "other.json.journal").read_bytes())
    assert "do not match at line 3" in refused(path)


def test_an_account_changed_by_hand_is_refused_unless_it_is_meant(path: Path) -> None:
    begun(path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("1000.5", "2000.5"), encoding="utf-8")
    assert refused(path) == (
        f"account {path} is not as it was written (its checksum does not match): put {path}.bak in its place (what was "
        "done since its last save is done again), or, if it is meant as it is, delete its line sha256"
    )
    path.write_text(re.sub(r' *"sha256".*\n', "", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert told(path) == ({"done": 3, "cash": 2000.5}, [1, 2, 3])
    path.write_text(text.replace("\n", "\r\n").replace("  ", "\t"), encoding="utf-8-sig", newline="")  # an editor's way
    assert told(path) == ({"done": 3, "cash": 1000.5}, [1, 2, 3])


def test_the_account_before_the_last_save_takes_its_place(path: Path) -> None:
    before = files(begun(path))
    path.unlink()
    assert refused(path).startswith(f"account {path} is gone, its journal is not: put {path}.bak in its place")
    assert "is gone" in refused(path, must_exist=True)
    beside(path, ".bak").rename(path)
    assert told(path) == ({"done": 2, "cash": 1000.5}, [1, 2])
    with account_file(path) as account:
        account.save({"done": 3, "cash": 1000.5}, [{"session": 3, "note": "ä"}])
    assert files(path) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON (Expecting value"),
        ("{", "is not JSON ("),
        ("[" * 100_000, "is not JSON ("),
        ('{"format": 1, "n": 0, "state": {"x": NaN}}', "is not JSON (Out of range"),
        ('{"format": 1, "n": 0, "state": {"x": 1e999}}', "is not JSON (Out of range"),
        ('{"format": 1, "n": 0, "state": {"x": 1, "x": 2}}', "names 'x' more than once: give one value for it"),
        ("[]", "is not an account: give one"),
        ('{"format": 6, "config": {}}', "is not an account: give one"),
        ('{"format": "x", "state": {}}', "is not an account: give one"),
        (
            '{"format": 2, "state": {}}',
            "has format 2, and this program knows none above 1: give it a newer riskoverlay",
        ),
        ('{"format": 1, "state": {}}', "has an n or a state that is none: restore it and its journal from a backup"),
        ('{"format": 1, "n": 0, "state": null}', "has an n or a state that is none: restore it"),
        ('{"format": 1, "n": true, "state": {}}', "has an n or a state that is none: restore it"),
        ('{"format": 1, "sha256": 5, "n": 0, "state": {}}', "is not as it was written (its checksum does not match)"),
    ],
)
def test_what_is_no_account_is_refused(path: Path, content: str, said: str) -> None:
    path.write_text(content, encoding="utf-8")
    assert refused(path).startswith(f"account {path} {said}")
    path.write_bytes(b"\xff\xfe")
    assert refused(path).startswith(f"account {path} is not JSON (")


def test_every_byte_counts(path: Path) -> None:
    """Whichever byte is another: refused in one line, or it says the same."""
    begun(path, 2)
    for name in (path, beside(path, ".journal")):
        whole = name.read_bytes()
        for place in range(len(whole)):
            name.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            try:
                found = told(path)
            except InputError as error:
                assert "\n" not in str(error)
                continue
            assert found == ({"done": 2, "cash": 1000.5}, [1, 2]), place
        name.write_bytes(whole)
