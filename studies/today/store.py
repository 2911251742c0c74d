"""The account file of a person who trades by `today`, and its journal: one tells the same as the other, come what may.

Beside NAME are NAME.journal, a line for each session done, and NAME.lock, which a run holds while it uses them. To
replace the account is what makes a session done: it carries the lines that its last save adds to the journal, and
whoever opens it next adds them if that save was killed before it had. Its checksum is of the journal before them, too,
so that no line is lost, doubled or changed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from riskoverlay.errors import InputError, MissingFileError

from ..workbench.outputs import check_file, write_file

__all__ = ["AccountFile", "account_file"]

_FORMAT = 2
_CURE = "restore both from a backup, or give another name to begin anew"


class AccountFile:
    """An account file in use: made by `account_file`.

    Attributes
    ----------
    path : Path
        As it was given.
    state : dict or None
        What was saved last; None: nothing yet, the file does not exist.
    entries : list of dict
        What the journal says, oldest first.
    """

    def __init__(self, path: Path, real: Path, lock: FileLock) -> None:
        self.path, self._real, self._lock = path, real, lock
        self._journal = real.with_name(f"{real.name}.journal")
        self.state: dict[str, Any] | None = None
        self.entries: list[dict[str, Any]] = []
        self._told = b""
        self._load()

    def save(self, state: Mapping[str, Any], entries: Sequence[Mapping[str, Any]] = ()) -> None:
        """Replace the account and add to its journal.

        Parameters
        ----------
        state : mapping
            Of what JSON can say.
        entries : sequence of mapping
            A journal line for each.

        Raises
        ------
        InputError
            The account cannot be written, the disk is full: both are as they were. The journal cannot be written: it is
            done when the account is next opened.
        TypeError, ValueError
            Something that JSON cannot say, nan among it; nothing was written.
        """
        if not self._lock.is_locked:
            raise RuntimeError(f"account {self.path} is not locked any more")
        told = {"format": _FORMAT, "state": dict(state), "journal": len(self._told), "adds": list(entries)}
        content = _dumped({"sha256": _checksum(told, self._told), **told}, indent=2)
        write_file(self._real, lambda temporary: temporary.write_bytes(content))
        self._load()

    def _load(self) -> None:
        """Read both, and end what a save began."""
        if not self._real.exists():
            if self._journal.exists():
                raise MissingFileError(f"account {self.path} is gone, its journal is not", _CURE)
            return
        try:
            journal = self._journal.read_bytes() if self._journal.exists() else b""
            found = json.loads(self._real.read_bytes())
            told, state, number = journal[: found["journal"]], dict(found["state"]), found["format"]
            sealed = found.pop("sha256", None)
            sound = sealed in (None, _checksum(found, told))
            told += b"".join(map(_dumped, found["adds"]))
            entries = list(map(json.loads, told.splitlines()))
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            raise InputError(f"account {self.path}, or its journal, cannot be read ({error!r:.80})", _CURE) from None
        if number != _FORMAT:
            said = f"account {self.path} has format {number}, and this program knows {_FORMAT}"
            raise InputError(said, "use the riskoverlay that wrote it, or give another name to begin anew")
        if not sound:
            said = f"account {self.path}, or its journal, is not as it was written (its checksum does not match)"
            raise InputError(said, f"{_CURE}; if they are meant as they are, delete the line sha256 in {self.path}")
        if told != journal:
            write_file(self._journal, lambda temporary: temporary.write_bytes(told))
        self.state, self.entries, self._told = state, entries, told
        if sealed is None:  # by hand, and meant: from here on it is as we write it
            self.save(state)


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
        No such account, and `must_exist`; an account that is gone without its journal, or cannot be read.
    InputError
        Another run is using it; a place that cannot be written; a file that is damaged, was changed by hand, was
        written by another format of this program, or is no account.
    """
    place = check_file(path)
    if place.stream:
        raise InputError(f"account {path} is a device or a pipe", "give the name of a file")
    check_file(f"{place.real}.journal")
    if must_exist and place.found is None:
        raise MissingFileError(f"account {path} does not exist", "give the file of an account that was begun")
    try:
        with FileLock(f"{place.real}.lock", timeout=0) as lock:  # of its own, because the account is replaced
            yield AccountFile(Path(path), place.real, lock)
    except Timeout:
        raise InputError(f"account {path}: another run is using it", "wait until that has ended") from None


def _checksum(told: Mapping[str, Any], journal: bytes) -> str:
    """Of what an account says, whatever its spaces and line ends, which an editor may change; and of its journal."""
    return hashlib.sha256(_dumped(told) + journal).hexdigest()


def _dumped(content: Any, indent: int | None = None) -> bytes:
    return json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False).encode() + b"\n"
