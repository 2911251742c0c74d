"""Code of the user's: a class or a function of a Python file, with arguments, and what it was made of."""

import ast
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from riskoverlay.errors import InputError, MissingFileError, RiskOverlayError, StrategyError

__all__ = ["FromFile", "Part", "parse_arguments", "parse_reference", "sources"]

Part = tuple[type, Mapping[str, Any]]
"""A class of backtrader's, and its parameters."""


@dataclass(frozen=True)
class FromFile:
    """A class or a function of a Python file, with its arguments. The file is code: loading it runs it.

    Attributes
    ----------
    path, name : str
        Of the file, and of what is in it.
    arguments : tuple of (str, object)
    """

    path: str
    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    @property
    def file(self) -> str:
        """The whole path."""
        return str(Path(self.path).resolve())

    def part(self, base: type) -> Part:
        """The class and its arguments, see `load`."""
        return self.load(base), dict(self.arguments)

    def found(self) -> Any:
        """Whatever has the name.

        Raises
        ------
        InputError
            A file without it.
        StrategyError
            A file that does not run.
        """
        module = _module(self.file)
        if not hasattr(module, self.name):
            known = [name for name, item in vars(module).items() if callable(item) and not name.startswith("_")]
            there = f"one of {', '.join(known)}" if known else "a file with a function"
            raise InputError(f"{self.path}: there is no {self.name}", f"give {there}")
        return getattr(module, self.name)

    def load(self, base: type) -> type:
        """The class.

        Parameters
        ----------
        base : type
            What it must be a subclass of.

        Returns
        -------
        type

        Raises
        ------
        InputError
            A file without it, or arguments that are not its own.
        StrategyError
            A file that does not run.
        """
        module = _module(self.file)
        found = getattr(module, self.name, None)
        if not (isinstance(found, type) and issubclass(found, base)):
            known = [
                name for name, item in vars(module).items()
                if isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__
            ]  # fmt: skip
            there = f"one of {', '.join(known)}" if known else f"a file with a class of bt.{base.__name__}"
            what = "is no" if found is not None else "has no"
            raise InputError(f"{self.path}: {self.name} {what} {base.__name__.lower()} there", f"give {there}")
        known = list(found.params._getkeys())  # type: ignore[attr-defined]
        for name, value in self.arguments:
            if name not in known:  # backtrader says nothing where there is no `__init__` to say it
                there = f"one of {', '.join(known)}" if known else "none"
                raise InputError(f"is no parameter of {self.name}", f"give {there}", name, value)
        return found


def parse_reference(text: str) -> FromFile:
    """Read FILE:Class or FILE:Class:name=value,...

    Parameters
    ----------
    text : str
        Values are Python literals, and nothing in them is run.

    Returns
    -------
    FromFile

    Raises
    ------
    InputError, MissingFileError
        Another shape, a value that is no literal, no such file.
    """
    shape = re.fullmatch(r"(?P<path>.+?\.py):(?P<name>[^\W\d]\w*)(?::(?P<arguments>.*))?", text, re.DOTALL)
    if shape is None:
        raise InputError(f"{text!r} does not name a class", "give FILE.py:Class or FILE.py:Class:name=value,...")
    path = shape["path"]
    if not Path(path).is_file():
        raise MissingFileError(f"{path} does not exist", "give a Python file")
    return FromFile(path, shape["name"], parse_arguments(shape["arguments"] or ""))


def parse_arguments(text: str) -> tuple[tuple[str, Any], ...]:
    """Read name=value,... whose values are Python literals; nothing in them is run.

    Parameters
    ----------
    text : str

    Returns
    -------
    tuple of (str, object)

    Raises
    ------
    InputError
    """
    wrong = InputError(f"arguments {text!r} are not readable", "give name=value,... with numbers or quoted text")
    try:
        call = ast.parse(f"dict({text}\n)", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            raise wrong
        pairs = []
        for keyword in call.keywords:
            if keyword.arg is None:
                raise wrong
            pairs.append((keyword.arg, ast.literal_eval(keyword.value)))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise wrong from None
    return tuple(pairs)


def _module(path: str) -> Any:
    """The module of a file, run once a process under a name of its own; its neighbours can be imported."""
    name = "audited_" + re.sub(r"\W", "_", path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file", "give one")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # backtrader looks its classes' modules up there
    sys.path.append(str(Path(path).parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        first = (str(error).splitlines() or [""])[0]
        raise StrategyError(f"{path} does not run ({type(error).__name__}: {first})", "correct it") from error
    finally:
        sys.path.remove(str(Path(path).parent))
    return module


@contextmanager
def blamed(name: str, files: Sequence[str]) -> Iterator[None]:
    """While a strategy of the user's runs: what is raised on its way through one of his files is his.

    Parameters
    ----------
    name : str
        Of the strategy.
    files : sequence of str

    Yields
    ------
    None

    Raises
    ------
    StrategyError
        From the error.
    """
    try:
        yield
    except RiskOverlayError:
        raise
    except Exception as error:
        frames = {str(Path(frame.filename).resolve()) for frame in traceback.extract_tb(error.__traceback__)}
        if not frames & set(files):
            raise
        first = (str(error).splitlines() or [""])[0]
        raise StrategyError(
            f"{name} raises {type(error).__name__}: {first}", "correct the strategy or its arguments"
        ) from error


@cache
def sources(path: str) -> dict[str, str]:
    """What a file's code was made of when it was run: itself, and every module of its folder that it has imported.

    Parameters
    ----------
    path : str
        Of a file that was run.

    Returns
    -------
    dict
        File name -> SHA-256 of its bytes.
    """
    folder, of = Path(path).resolve().parent, {Path(path).resolve()}
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None)
        if file and Path(file).suffix == ".py" and Path(file).resolve().is_relative_to(folder):
            of.add(Path(file).resolve())
    installed = Path(sys.prefix).resolve()  # a virtual environment in the user's folder is none of his files
    mine = sorted(one for one in of if not one.is_relative_to(installed))
    return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in mine}
