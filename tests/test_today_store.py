"""The account file of `today`: what a kill, a full disk, a second run and a hand at the files leave of it."""

from __future__ import annotations

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
from riskoverlay.studies.today import account_file

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
        return account.state, [entry["session"] for entry in account.entries]


def files(path: Path) -> dict[str, bytes]:
    """Of a folder, but the locks: these are empty, and stay."""
    locks = [one for one in path.parent.iterdir() if one.suffix == ".lock"]
    assert not any(one.read_bytes() for one in locks)
    return {one.name: one.read_bytes() for one in path.parent.iterdir() if one not in locks}


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
    state = {"z": FLOATS, "a": {"Größe": 2**70, "none": None, "yes": True}, "line": "two\n\u2028lines"}
    with account_file(path) as account:
        assert account.path == path
        assert account.state is None
        assert account.entries == []
        account.save(state, [{"n": 7, "fill": FLOATS}, {"before": "ü"}])
        account.save(state)
        assert account.entries == [{"n": 7, "fill": FLOATS}, {"before": "ü"}]
    with account_file(path, must_exist=True) as account:
        assert json.dumps(account.state) == json.dumps(state)  # also the order of names, and the sign of zero
        assert json.dumps(account.entries[0]["fill"]) == json.dumps(FLOATS)
    assert sorted(files(path)) == sorted([name, f"{name}.journal"])
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n  "sha256": "') and '\n  "format": 2,\n  "state": {\n' in text
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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "\ud800"])
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


def test_a_name_that_is_too_long_for_its_journal_is_refused(tmp_path: Path) -> None:
    with account_file(tmp_path / ("x" * 245)) as account:
        account.save({}, [{"session": 1}])
    assert re.search(
        r"\.journal cannot be written \(File name too long\): give a shorter", refused(tmp_path / ("x" * 250))
    )


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
    assert told(path) == ({"done": 1}, [1])
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
        assert [entry["session"] for entry in account.entries] == list(range(1, 41))
        assert sorted(entry["who"] for entry in account.entries) == [0] * 20 + [1] * 20


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
        assert {one for one in files(path) if not one.startswith(".")} <= {path.name, f"{path.name}.journal"}


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
        left = {one for one in files(path) if not one.startswith(".")}  # beside what a killed run was writing
        assert left == ({"x.json", "x.json.journal"} if done else set()), step
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
    ("state", "entries"), [({}, [{"session": 4, "long": "x" * 9000}]), ({"long": "x" * 9000}, [{"session": 4}])]
)
def test_a_full_disk_leaves_all_as_it_was(
    path: Path, limited: Any, state: dict[str, Any], entries: list[dict[str, Any]]
) -> None:
    before = files(begun(path))
    with account_file(path) as account:
        limited(1000)
        with pytest.raises(InputError, match=rf"^{path} cannot be written \(File too large\): raise the limit .* as"):
            account.save(state, entries)
        assert account.state == {"done": 3, "cash": 1000.5} and len(account.entries) == 3
        limited(None)
        assert files(path) == before
        account.save({"done": 4}, [{"session": 4}])  # there is room again
    assert told(path) == ({"done": 4}, [1, 2, 3, 4])


def test_a_journal_for_which_there_is_no_room_is_written_later(path: Path, limited: Any) -> None:
    """The account is what makes a session done: then it is, and the next opening says it again until there is room."""
    begun(path, 40)
    before = beside(path, ".journal").read_bytes()
    with account_file(path) as account:
        limited(1200)  # less than the journal is, more than the account
        said = rf"^{path}.journal cannot be written \(File too large\)"
        with pytest.raises(InputError, match=said):
            account.save({"done": 41}, [{"session": 41}])
    assert beside(path, ".journal").read_bytes() == before
    with pytest.raises(InputError, match=said), account_file(path):
        pass
    limited(None)
    assert told(path) == ({"done": 41}, list(range(1, 42)))
    assert told(path) == ({"done": 41}, list(range(1, 42)))


def test_the_account_is_on_the_disk_before_the_journal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(path)
    real, kept = os.fsync, []

    def fsync(handle: int) -> None:
        kept.append((os.fstat(handle).st_ino, json.loads(path.read_text(encoding="utf-8"))["state"]["done"]))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with account_file(path) as account:
        account.save({"done": 4}, [{"session": 4}])
    inodes = [os.stat(one).st_ino for one in (path, beside(path, ".journal"))]
    assert kept == [(inodes[0], 3), (inodes[1], 4)]


@pytest.mark.parametrize("size", [0, 100, 300, 500])
def test_a_full_disk_at_the_first_save_leaves_nothing(path: Path, limited: Any, size: int) -> None:
    with account_file(path) as account:
        limited(size)
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)"):
            account.save({"long": "x" * 1000}, [{"session": 1, "long": "x" * 200}])
        limited(None)
        assert files(path) == {}
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


@pytest.mark.parametrize("more", [b'{"session": 4}\n', b"\x00\x00\x00", b'{"torn', b"\n"])
def test_what_the_account_does_not_count_is_cut_off(path: Path, more: bytes) -> None:
    before = files(begun(path))
    journal = beside(path, ".journal")
    journal.write_bytes(journal.read_bytes() + more)
    assert told(path) == ({"done": 3, "cash": 1000.5}, [1, 2, 3])
    assert files(path) == before


def test_what_the_last_save_adds_is_added_again(path: Path) -> None:
    before = files(begun(path))
    journal = beside(path, ".journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    for content in (b"".join(lines[:2]), b"".join(lines[:2]) + lines[2][:5]):
        journal.write_bytes(content)
        assert told(path) == ({"done": 3, "cash": 1000.5}, [1, 2, 3])
        assert files(path) == before


CHANGED = "or its journal, is not as it was written (its checksum does not match): restore both from a backup"


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:1],
        lambda lines: [],
        lambda lines: [lines[0].replace(b'"session": 1', b'"session": 9'), *lines[1:]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [lines[0], *lines],
        lambda lines: [b"{]\n", *lines[1:]],
        lambda lines: [b"\xff\n", *lines[1:]],
        lambda lines: [b"".join(lines).replace(b"\n", b"\r\n")],
    ],
)
def test_a_journal_that_was_changed_is_refused(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    journal = beside(begun(path), ".journal")
    journal.write_bytes(b"".join(change(journal.read_bytes().splitlines(keepends=True))))
    said = refused(path)
    assert said.startswith(f"account {path}, {CHANGED}") or "or its journal, cannot be read (" in said


def test_a_journal_that_is_gone_is_refused_unless_it_is_meant(path: Path) -> None:
    begun(path)
    beside(path, ".journal").unlink()
    assert refused(path).startswith(f"account {path}, {CHANGED}")
    path.write_text(re.sub(r' *"sha256".*\n', "", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert told(path) == ({"done": 3, "cash": 1000.5}, [3])
    with account_file(path) as account:
        account.save({"done": 4}, [{"session": 4}])
    assert told(path) == ({"done": 4}, [3, 4])


def test_a_journal_of_another_account_is_refused(tmp_path: Path, path: Path) -> None:
    begun(path)
    with account_file(tmp_path / "other.json") as account:
        for number in (1, 2, 3, 4):
            account.save({}, [{"session": number}])
    beside(path, ".journal").write_bytes((tmp_path / "other.json.journal").read_bytes())
    assert READ in refused(path)


def test_an_account_changed_by_hand_is_refused_unless_it_is_meant(path: Path) -> None:
    begun(path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("1000.5", "2000.5"), encoding="utf-8")
    assert refused(path) == (
        f"account {path}, {CHANGED}, or give another name to begin anew; if they are meant as they are, delete the "
        f"line sha256 in {path}"
    )
    path.write_text(re.sub(r' *"sha256".*\n', "", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert told(path) == ({"done": 3, "cash": 2000.5}, [1, 2, 3])
    path.write_text(text.replace("\n", "\r\n").replace("  ", "\t"), encoding="utf-8-sig", newline="")  # an editor's way
    assert told(path) == ({"done": 3, "cash": 1000.5}, [1, 2, 3])


def test_an_account_that_is_gone_is_not_begun_anew_over_its_journal(path: Path) -> None:
    begun(path)
    copy = path.read_bytes()
    path.unlink()
    assert refused(path).startswith(f"account {path} is gone, its journal is not: restore both from a backup, or give")
    assert "does not exist" in refused(path, must_exist=True)
    path.write_bytes(copy)
    assert told(path) == ({"done": 3, "cash": 1000.5}, [1, 2, 3])


def test_an_account_of_before_goes_on_from_there(path: Path) -> None:
    """What was done since is done again, once."""
    before = begun(path, 2).read_bytes()
    begun_again = files(begun(path.with_name("other.json"), 3))["other.json.journal"]
    path.write_bytes(before)
    beside(path, ".journal").write_bytes(begun_again)
    assert told(path) == ({"done": 2, "cash": 1000.5}, [1, 2])
    with account_file(path) as account:
        account.save({"done": 3, "cash": 1000.5}, [{"session": 3, "note": "ä"}])
    assert beside(path, ".journal").read_bytes() == begun_again


READ = ", or its journal, cannot be read ("


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", READ), ("{", READ), ("[" * 100_000, READ), ("[]", READ), ("7", READ), ("null", READ),
        ('{"format": 6, "config": {}}', READ),
        ('{"format": 2, "state": {}, "journal": 0}', READ),
        ('{"format": 2, "state": null, "journal": 0, "adds": []}', READ),
        ('{"format": 2, "state": {}, "journal": "x", "adds": []}', READ),
        ('{"format": 2, "state": {}, "journal": 0, "adds": 5}', READ),
        ('{"format": 2, "state": {}, "journal": 0, "adds": [NaN]}', READ),
        ('{"format": 3, "state": {}, "journal": 0, "adds": []}',
         " has format 3, and this program knows 2: use the riskoverlay that wrote it, or give another name"),
        ('{"format": 2, "sha256": 5, "state": {}, "journal": 0, "adds": []}', ", " + CHANGED),
    ],
)  # fmt: skip
def test_what_is_no_account_is_refused(path: Path, content: str, said: str) -> None:
    path.write_text(content, encoding="utf-8")
    assert refused(path).startswith(f"account {path}{said}")
    path.write_bytes(b"\xff\xfe")
    assert refused(path).startswith(f"account {path}{READ}")


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
