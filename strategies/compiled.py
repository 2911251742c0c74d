"""Functions of numbers and arrays, compiled where numba is installed (extra `fast`); without it they run as written."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

import platformdirs

__all__ = ["COMPILED", "compiled"]

numba: Any = import_module("numba") if find_spec("numba") else None

F = TypeVar("F", bound=Callable[..., Any])

COMPILED = numba is not None and os.environ.get("RISKOVERLAY_COMPILED", "1") != "0"
"""Whether functions are compiled; the environment variable RISKOVERLAY_COMPILED=0 says no."""


def compiled(function: F) -> F:
    """Compile a function at its first call, and keep the result on disk for other processes.

    Parameters
    ----------
    function : callable
        Of numbers and arrays; so must be all that it calls.

    Returns
    -------
    callable
        The function itself without numba.
    """
    if not COMPILED:
        return function
    folder = _folder()
    if folder is None:
        return cast(F, numba.njit(function))
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder  # looked at while it decorates: what others compile goes where it went
    try:
        return cast(F, numba.njit(cache=True)(function))
    finally:
        numba.config.CACHE_DIR = before


@cache
def _folder() -> str | None:
    """Where compiled code is kept; None if nothing can be written there.

    Named for the sources: numba sees that a function has changed, but not what it calls in other files.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    folder = platformdirs.user_cache_path("riskoverlay") / "compiled" / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError:
        return None
