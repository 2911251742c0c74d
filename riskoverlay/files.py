"""How a file is written without losing an old one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["replace_file"]


def replace_file(path: str | Path, write: Callable[[Path], Any], *, prefix: str | None = None) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: the old file is whole until the new one is.

    Parameters
    ----------
    path : str or Path
        The file; its folder must exist.
    write : callable
        Called with the path of the temporary file, which has the same ending.
    prefix : str, optional
        Beginning of the temporary file's name (default: a dot and the name of the file).

    Raises
    ------
    OSError
        The folder or the file cannot be written, or `path` is a folder.
    """
    path = Path(path)
    begins = f".{path.stem}." if prefix is None else prefix
    handle, name = tempfile.mkstemp(prefix=begins, suffix=path.suffix, dir=path.parent)
    temporary = Path(name)
    try:
        os.close(handle)
        write(temporary)
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 is for secrets, and a folder may be shared
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
