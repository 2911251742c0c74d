"""How a file is written without losing an old one, and where a name leads."""

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Place", "check_place", "place_of", "replace_file"]

_REFUSED = ((stat.S_ISSOCK, "it is a socket"), (stat.S_ISBLK, "it is a block device"))
_LONGEST_STEM = 40  # characters of it in a temporary file's name, which must not be longer than a name may be


@dataclass(frozen=True)
class Place:
    """Where a name leads.

    Attributes
    ----------
    path : Path
        The name that was given.
    real : Path
        The file that is replaced: links are followed, also one that leads to a file that is not there yet.
    found : os.stat_result or None
        What is there.
    own : int or None
        Which of this process's own streams it is, 1 or 2: that is written, not replaced.
    """

    path: Path
    real: Path
    found: os.stat_result | None
    own: int | None

    @property
    def stream(self) -> bool:
        """Whether it is written through: a terminal, a pipe, /dev/null, what stdout is redirected to."""
        kind = 0 if self.found is None else self.found.st_mode
        return self.own is not None or stat.S_ISCHR(kind) or stat.S_ISFIFO(kind)

    @property
    def forgets(self) -> bool:
        """Whether two may be written to it, one after the other: a terminal, /dev/null."""
        return self.found is not None and stat.S_ISCHR(self.found.st_mode)

    def same(self, other: "Place") -> bool:
        """Whether two names lead to one thing: by spelling, link or hard link."""
        if self.found is None or other.found is None:
            return self.real == other.real
        return os.path.samestat(self.found, other.found)


def place_of(path: str | Path) -> Place:
    """Follow a name.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Place

    Raises
    ------
    OSError
        Links that lead in a circle, or through a file; a name that is too long.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = None
    return Place(Path(path), Path(os.path.realpath(path)), found, _own(found))


def check_place(path: str | Path) -> Place:
    """Whether a name can be written to, found out by making a temporary file beside it; nothing is left.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Place

    Raises
    ------
    OSError
        As `replace_file`.
    """
    place = place_of(path)
    _refuse(place)
    if not place.stream:
        handle, name = tempfile.mkstemp(prefix=_beginning(place.path), suffix=place.path.suffix, dir=place.real.parent)
        os.close(handle)
        os.unlink(name)
    return place


def replace_file(path: str | Path, write: Callable[[Path], Any], *, prefix: str | None = None) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: the old file is whole until the new one is.

    The new file has the permissions of the old one. A link stays, and what it leads to is replaced. A pipe or a
    character device has no old content to keep: what was written is copied to it, at the end.

    Parameters
    ----------
    path : str or Path
        The file; its folder must exist.
    write : callable
        Called with the path of the temporary file, which has the same ending.
    prefix : str, optional
        Beginning of the temporary file's name (default: a dot and the file's name without its ending).

    Raises
    ------
    OSError
        The folder or the file cannot be written, or `path` is a folder, a socket or a block device.
    """
    place = place_of(path)
    _refuse(place)
    begins = _beginning(place.path) if prefix is None else prefix
    folder = None if place.stream else place.real.parent
    handle, name = tempfile.mkstemp(prefix=begins, suffix=place.path.suffix, dir=folder)
    temporary = Path(name)
    try:
        os.close(handle)
        write(temporary)
        if place.stream:
            _copy(temporary, place)
            return
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        _permit(temporary, place.found)
        temporary.replace(place.real)
    finally:
        temporary.unlink(missing_ok=True)


def _own(found: os.stat_result | None) -> int | None:
    """Which of this process's streams that is."""
    if found is None or stat.S_ISCHR(found.st_mode):
        return None
    for number in (1, 2):
        with suppress(OSError):  # a process may have been started without it
            if os.path.samestat(os.fstat(number), found):
                return number
    return None


def _beginning(path: Path) -> str:
    """Of a temporary file's name; no dot stands before what is random, which would be taken for the ending."""
    return f".{path.stem[:_LONGEST_STEM]}-"


def _refuse(place: Place) -> None:
    if place.found is None:
        return
    if stat.S_ISDIR(place.found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    for kind, what in _REFUSED:
        if kind(place.found.st_mode) and place.own is None:
            raise OSError(errno.EINVAL, what)
    if place.own is None and not os.access(place.path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _permit(temporary: Path, old: os.stat_result | None) -> None:
    """Give a temporary file the old file's permissions, or those of a new file."""
    if old is None:
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 is for secrets, and a folder may be shared
        return
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give a file away
            os.chown(temporary, old.st_uid, old.st_gid)
    temporary.chmod(stat.S_IMODE(old.st_mode))


def _copy(written: Path, place: Place) -> None:
    """Copy a file to a stream."""
    if place.own is None:
        target = os.open(place.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
    else:
        (sys.stdout if place.own == 1 else sys.stderr).flush()  # what was printed before comes before
        target = os.dup(place.own)
    with written.open("rb") as source, os.fdopen(target, "wb") as stream:
        shutil.copyfileobj(source, stream)
