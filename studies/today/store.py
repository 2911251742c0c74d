"""The account file of a person who trades by `today`, and its journal: one tells the same as the other, come what may.

Beside NAME are NAME.journal, a line for each session done; NAME.bak, the account before its last save; and NAME.lock
while a run uses it. A save appends to the journal first and then replaces the account, which says how many lines
count: lines beyond are of a run that was killed between the two, and are cut off when the account is next opened.
Every line has the SHA-256 of the line before it, and the account that of the last, so that none is lost or doubled.
"""

import copy
import glob
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from riskoverlay.errors import InputError, MissingFileError
from riskoverlay.files import replace_file

from ..workbench.outputs import CURES, check_file
from ..workbench.summaries import each_name_once

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, on: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK if on else msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(handle: int, on: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if on else fcntl.LOCK_UN)


__all__ = ["AccountFile", "account_file"]

_FORMAT = 1
_START = "0" * 64  # stands before the first line of a journal


class AccountFile:
    """An account file in use: made by `account_file`.

    Attributes
    ----------
    path : Path
        As it was given.
    state : dict or None
        What was saved last; None: nothing yet, the file does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state: dict[str, Any] | None = None
        self._real = Path(os.path.realpath(path)) if path.is_symlink() else path  # one lock, whatever it is called
        self._journal, self._old = _beside(self._real, ".journal"), _beside(self._real, ".bak")
        self._writing = f".{self._real.name}.writing-"  # begins the names of temporary files
        self._content: bytes | None = None
        self._entries: list[dict[str, Any]] = []
        self._chain, self._size = _START, 0  # of the lines of the journal that count
        self._held = False

    def entries(self) -> list[dict[str, Any]]:
        """What the journal's lines that count say, oldest first."""
        return copy.deepcopy(self._entries)

    def save(self, state: Mapping[str, Any], entries: Sequence[Mapping[str, Any]] = ()) -> None:
        """Append to the journal and replace the account: all of it or, whatever happens, nothing.

        Parameters
        ----------
        state : mapping
            Of what JSON can say.
        entries : sequence of mapping
            A journal line for each.

        Raises
        ------
        InputError
            It cannot be written, the disk is full: the account and its journal are as they were.
        TypeError, ValueError
            Something that JSON cannot say, nan among it; nothing was written.
        """
        if not self._held:
            raise RuntimeError(f"account {self.path} is not locked any more")
        lines, chain = b"", self._chain
        for number, entry in enumerate(entries, len(self._entries) + 1):
            line = _dumped({"n": number, "before": chain, "entry": dict(entry)})
            chain, lines = _sha(line), lines + line + b"\n"
        content = _written(len(self._entries) + len(entries), chain, dict(state))
        try:
            if self._content is not None:
                self._replace(self._old, self._content)
            elif lines:
                self._replace(self._real, _STUB)
            if lines:
                with _refusing(self._journal), self._journal.open("ab") as stream:
                    stream.truncate(self._size)  # what could not be cut off before
                    stream.write(lines)
                    stream.flush()
                    os.fsync(stream.fileno())
            self._replace(self._real, content)
        except BaseException:
            with suppress(InputError):  # the next opening does it, or says why it cannot
                self._load()
            raise
        self._load()

    # -- steps -------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Read the files, and cut off what a save began and did not end."""
        content, journal = self._read(self._real), self._read(self._journal)
        if content is None and journal:
            cure = f"{self._restored()}, or move {self._journal} away to begin anew"
            raise MissingFileError(f"account {self.path} is gone, its journal is not", cure)
        known = None if content == _STUB else content
        count, chain, state = (0, _START, None) if known is None else self._checked(known)
        entries, size = self._counted(journal or b"", count, chain)
        with _refusing(self._journal):
            if journal is not None and len(journal) > size:
                os.truncate(self._journal, size)
            if content == _STUB:  # the first save was not ended: nothing is left of it
                self._journal.unlink(missing_ok=True)
                self._real.unlink()
        for path in self._real.parent.glob(f"{glob.escape(self._writing)}*"):  # a killed run's: no other writes now
            with suppress(OSError):
                path.unlink()
        self.state, self._content = state, known
        self._entries, self._chain, self._size = entries, chain, size

    def _read(self, path: Path) -> bytes | None:
        with _refusing(path, "read"):
            return path.read_bytes() if path.exists() else None

    def _replace(self, path: Path, content: bytes) -> None:
        with _refusing(path):
            replace_file(path, lambda temporary: temporary.write_bytes(content), prefix=self._writing)

    def _checked(self, content: bytes) -> tuple[int, str, dict[str, Any]]:
        """How many lines of the journal count, the chain's value after them, and the state."""
        try:
            found = _parsed(content)
            number = found.get("format") if isinstance(found, dict) and "state" in found else None
            if not isinstance(number, int) or number < 1:
                raise InputError("is not an account", "give one, or another name to begin one")
            if number > _FORMAT:
                said = f"has format {number}, and this program knows none above {_FORMAT}"
                raise InputError(said, "give it a newer riskoverlay")
            if found.pop("sha256", None) not in (None, _sum(found)):
                cure = f"{self._restored()}, or, if it is meant as it is, delete its line sha256"
                raise InputError("is not as it was written (its checksum does not match)", cure)
            if type(found.get("n")) is not int or found["n"] < 0 or not isinstance(found["state"], dict):
                raise InputError("has an n or a state that is none", self._restored())
        except InputError as error:
            raise InputError(f"account {self.path} {error.said}", error.cure or self._restored()) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"account {self.path} is not JSON ({error})", self._restored()) from None
        return found["n"], str(found.get("chain")) if found["n"] else _START, found["state"]

    def _counted(self, journal: bytes, count: int, chain: str) -> tuple[list[dict[str, Any]], int]:
        """What the lines that count say, and how many bytes they are."""
        cure = (
            f"restore it from a backup or, to go on without what it told, move it away, write 0 for n in {self.path} "
            "and delete the line sha256 there"
        )
        lines = journal.split(b"\n")[:-1][:count]  # what no newline ends is torn
        if count and not self._journal.exists():
            raise MissingFileError(f"journal {self._journal} does not exist", cure)
        if len(lines) < count:
            what = f"holds {len(lines)} of the {count} lines that {self.path} counts"
            raise InputError(f"journal {self._journal} {what}", cure)
        entries: list[dict[str, Any]] = []
        before = _START
        for number, line in enumerate(lines, 1):
            try:
                said = _parsed(line)
                whole = said["n"] == number and said["before"] == before and isinstance(said["entry"], dict)
            except (ValueError, RecursionError, KeyError, TypeError):
                whole = False
            before = _sha(line)
            if not whole or (number == count and before != chain):
                what = f"is not as it was written (its checksums do not match at line {number})"
                raise InputError(f"journal {self._journal} {what}", cure)
            entries.append(said["entry"])
        return entries, sum(len(line) + 1 for line in lines)

    def _restored(self) -> str:
        """How to get a whole account back."""
        if self._old.exists():
            return f"put {self._old} in its place (what was done since its last save is done again)"
        return "restore it and its journal from a backup, or give another name to begin anew"


@contextmanager
def account_file(path: str | Path, *, must_exist: bool = False) -> Iterator[AccountFile]:
    """An account file, locked for as long as the `with` lasts; the lock of a killed run is none.

    Parameters
    ----------
    path : str or Path
        The file, or where it is to be: its folder must exist.
    must_exist : bool
        Refuse one that was not saved yet.

    Yields
    ------
    AccountFile

    Raises
    ------
    MissingFileError
        No such account, and `must_exist`; an account or a journal that is gone without the other.
    InputError
        Another run is using it; a place that cannot be written; a file that is damaged, was changed by hand, was
        written by a newer program, or is no account.
    """
    account = AccountFile(Path(path))
    if check_file(path).stream:
        raise InputError(f"account {path} is a device or a pipe", "give the name of a file")
    with _locked(account):
        account._load()
        if must_exist and account.state is None:
            raise MissingFileError(f"account {path} does not exist", "give the file of an account that was begun")
        yield account


@contextmanager
def _locked(account: AccountFile) -> Iterator[None]:
    """A file of its own is locked, because the account is replaced; the system unlocks it when its process dies."""
    name = _beside(account._real, ".lock")
    with _refusing(name):
        stream = name.open("ab")
    with stream:
        with _refusing(name), suppress(BlockingIOError, PermissionError, FileNotFoundError):
            _lock(stream.fileno(), True)
            account._held = os.path.samestat(os.fstat(stream.fileno()), os.stat(name))  # not one that is removed now
        if not account._held:
            raise InputError(f"account {account.path}: another run is using it", "wait until that has ended")
        try:
            yield
        finally:
            account._held = False
            with suppress(OSError):  # Windows removes no file that is open: it stays, and keeps nobody out
                name.unlink()
            _lock(stream.fileno(), False)  # where it stays: Windows asks for it, and a forked child may have it open


@contextmanager
def _refusing(path: Path, done: str = "written") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cure = CURES.get(error.errno or 0, "give a file in a folder that can")
        raise InputError(f"{path} cannot be {done} ({error.strerror or error})", cure) from None


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _written(count: int, chain: str, state: dict[str, Any] | None) -> bytes:
    """An account file."""
    told = {"n": count, "chain": chain, "state": state}
    return _dumped({"format": _FORMAT, "sha256": _sum({"format": _FORMAT, **told}), **told}, indent=2) + b"\n"


def _sum(content: dict[str, Any]) -> str:
    """Of what it says: spaces and line ends, which an editor may change, do not count."""
    return _sha(json.dumps(content, allow_nan=False).encode())


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _dumped(content: dict[str, Any], indent: int | None = None) -> bytes:
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False).encode()
    _parsed(text)  # 1 and "1" are names that JSON spells alike
    return text


def _parsed(content: bytes) -> Any:
    return json.loads(content.decode("utf-8-sig"), object_pairs_hook=each_name_once)


_STUB = _written(0, _START, None)
"""Of an account while it is first saved: a journal without an account is one whose account was lost."""
