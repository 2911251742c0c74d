"""How output files are written: whole, or not at all; and what can be known of that before a long run."""

import errno
import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.files import Place, check_place, place_of, replace_file

__all__ = ["check_apart", "check_file", "write_file", "write_json", "write_text"]

_NO_ROOM = "make room, or give a file on another disk; what was there is as it was"
CURES = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: "raise the limit (ulimit -f), or give a file elsewhere; what was there is as it was",
    errno.EPIPE: "its reader is gone: read it to the end, or give a file",
    errno.ELOOP: "correct the links, or give another name",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EINVAL: "give the name of a file, a pipe or a character device",
}
"""What to do when a file cannot be written, by why not; the name of a file elsewhere, where nothing better is known."""


def _plain(value: Any) -> Any:
    """JSON has no dates and no nan."""
    if isinstance(value, pd.Series):  # a rate by date
        value = {f"{day:%Y-%m-%d}": item for day, item in value.items()}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (date, pd.Timestamp)):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON as `write_file` does.

    Parameters
    ----------
    path : str or Path
    content : object
        Dates become YYYY-MM-DD, nan null.

    Raises
    ------
    InputError
        As `write_file`.
    """
    write_text(path, json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write text in UTF-8 as `write_file` does.

    Parameters
    ----------
    path : str or Path
    text : str

    Raises
    ------
    InputError
        As `write_file`.
    """
    write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_file(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file, then put it in place of the old one: see `replace_file`.

    Parameters
    ----------
    path : str or Path
    write : callable
        Called with the path of the temporary file.

    Raises
    ------
    InputError
        The folder does not exist or cannot be written, the disk is full, the reader of a pipe is gone.
    """
    try:
        replace_file(path, write)
    except OSError as error:
        raise _refusal(path, error) from None


def check_file(path: str | Path) -> Place:
    """Say before a long run, not after it, that a file cannot be written.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Place

    Raises
    ------
    InputError
        A folder that does not exist or cannot be written; a folder, a socket, a block device; links in a circle.
    """
    try:
        place = place_of(path)
        for folder in (Path(path).parent, place.real.parent):  # as it was given, if it is that one
            if not folder.is_dir():
                raise InputError(f"{path} cannot be written", f"folder {folder} does not exist, create it first")
        return check_place(path)
    except OSError as error:
        raise _refusal(path, error) from None


def check_apart(outputs: Mapping[str, str | Path], inputs: Iterable[tuple[str, str | Path]]) -> None:
    """Refuse two outputs of one name, and an output that is read, or written otherwise, by the same command.

    Parameters
    ----------
    outputs : mapping
        Flag -> name of a file.
    inputs : iterable of (str, str or Path)
        What a file is, and its name.

    Raises
    ------
    InputError
        Two names, however they are spelled and through whatever links, that lead to one file. A device that keeps
        nothing (/dev/null, a terminal) may be given twice.
    """
    read = []
    for what, name in inputs:
        with suppress(OSError):  # whoever reads it says what is wrong with it
            read.append((what, name, place_of(name)))
    before: list[tuple[str, str | Path, Place]] = []
    for flag, name in outputs.items():
        place = check_file(name)
        for what, other, there in read:
            if place.same(there):
                raise InputError(f"{flag} {name} is {what} {other}", "give another name, or that would be lost")
        for first, other, there in before:
            if place.same(there) and not place.forgets:
                raise InputError(f"{flag} {name} is the same file as {first} {other}", "give each a name of its own")
        before.append((flag, name, place))


def _refusal(path: str | Path, error: OSError) -> InputError:
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder", "give a file name")
    cure = CURES.get(error.errno or 0, "give a file in a folder that can")
    return InputError(f"{path} cannot be written ({error.strerror or error})", cure)
