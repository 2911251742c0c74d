"""What the audit looks at: our own strategy with a config, or a strategy, sizer and analyzers from files."""

import ast
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.errors import InputError, MissingFileError, StrategyError
from riskoverlay.strategies.weights import WeightMemory

from ..workbench.assembly import Part, our_sizer, our_strategy, set_up
from ..workbench.parameters import Config

__all__ = ["FromFile", "Ours", "Theirs", "parse_reference"]


_remember = WeightMemory()
"""Weights that the runs of this process share: they depend on the window that is weighed, whatever comes after it."""


@dataclass(frozen=True)
class Ours:
    """Sets up a Cerebro as `simulate` does: RiskParityBlend, its sizer, account and analyzers.

    Attributes
    ----------
    config : Config
    rates : mapping
        As `Panel.rates`.
    files : tuple of str
        Whose errors are the user's: none.
    """

    config: Config
    rates: Mapping[str, pd.Series] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def __call__(self, cerebro: bt.Cerebro) -> None:
        pair = our_strategy(self.config, _remember), our_sizer(self.config)
        set_up(cerebro, self.config, self.rates, pairs=[pair])


@dataclass(frozen=True)
class FromFile:
    """A class of a Python file, with its arguments. The file is code: loading it runs it.

    Attributes
    ----------
    path, name : str
        Of the file and of the class.
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


@dataclass(frozen=True)
class Theirs:
    """Sets up a Cerebro with classes from files, in the account of a config.

    Attributes
    ----------
    config : Config
    strategy : FromFile
    sizer : FromFile or None
        None: the strategy's own.
    analyzers : tuple of FromFile
    rates : mapping
        As `Panel.rates`.
    """

    config: Config
    strategy: FromFile
    sizer: FromFile | None = None
    analyzers: tuple[FromFile, ...] = ()
    rates: Mapping[str, pd.Series] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Whose errors are the user's."""
        return tuple(one.file for one in (self.strategy, self.sizer, *self.analyzers) if one is not None)

    def __call__(self, cerebro: bt.Cerebro) -> None:
        sizer = None if self.sizer is None else self.sizer.part(bt.Sizer)
        set_up(
            cerebro,
            self.config,
            self.rates,
            pairs=[(self.strategy.part(bt.Strategy), sizer)],
            analyzers=[analyzer.part(bt.Analyzer) for analyzer in self.analyzers],
        )


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
    return FromFile(path, shape["name"], _arguments(shape["arguments"] or ""))


def _arguments(text: str) -> tuple[tuple[str, Any], ...]:
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
