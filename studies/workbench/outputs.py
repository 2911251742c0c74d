"""How output files are written: whole, or not at all."""

import json
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.files import replace_file

__all__ = ["write_file", "write_json"]


def _plain(value: Any) -> Any:
    """JSON has no dates and no nan."""
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
    text = json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"
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
        The folder does not exist or cannot be written, or the disk is full.
    """
    try:
        replace_file(path, write)
    except IsADirectoryError:
        raise InputError(f"{path} is a folder", "give a file name") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})", "give a file in a folder that can") from None
