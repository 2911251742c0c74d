"""Anybody's strategy, as a configuration names it: a class of a file, or a class as it stands."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import backtrader as bt

from riskoverlay.errors import InputError
from riskoverlay.strategies import VolTargetDrawdownSizer

from .references import Part, parse_reference, sources

__all__ = [
    "ACCOUNT",
    "AskedOverlay",
    "Theirs",
    "check_filed",
    "described",
    "files_of_strategy",
    "named",
    "theirs_of",
    "with_arguments",
    "written",
]

ACCOUNT = "account"
"""Name of the one portfolio of a strategy that sizes itself."""


@dataclass(frozen=True)
class Theirs:
    """A strategy of somebody's, and how it is sized.

    Attributes
    ----------
    strategy : Part
        A class of backtrader's, and its parameters.
    sizer : Part or None
        Its own sizer; None: the overlay, which matters if it sends orders without a size.
    files : tuple of str
        Where they come from: errors that arise there are the user's.
    """

    strategy: Part
    sizer: Part | None
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the strategy's class."""
        return self.strategy[0].__name__


class AskedOverlay(VolTargetDrawdownSizer):
    """The overlay, which knows whether it was asked for a size."""

    asked = False

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        self.asked = True
        return super()._getsizing(comminfo, cash, data, isbuy)


def theirs_of(config: Mapping[str, Any]) -> Theirs | None:
    """The strategy of somebody's that a configuration names.

    Parameters
    ----------
    config : mapping
        `strategy` and `sizer`: None; FILE.py:Class:name=value,...; or, in Python, a class, or a class and a mapping of
        its parameters.

    Returns
    -------
    Theirs or None
        None: the strategy is ours.

    Raises
    ------
    InputError, MissingFileError, StrategyError
        A file or a class that is none, parameters that it does not have.
    """
    if config["strategy"] is None:
        return None
    strategy, sizer = config["strategy"], config["sizer"]
    files = tuple(parse_reference(one).file for one in (strategy, sizer) if isinstance(one, str))
    return Theirs(_part(strategy, bt.Strategy), None if sizer is None else _part(sizer, bt.Sizer), files)


def named(config: Mapping[str, Any], after: str) -> str:
    """The name of somebody's strategy and what stands after it, to begin a line with.

    Parameters
    ----------
    config : mapping
        As `theirs_of`.
    after : str

    Returns
    -------
    str
        Nothing for ours.
    """
    theirs = theirs_of(config)
    return "" if theirs is None else f"{theirs.name}{after}"


def _class_of(given: Any) -> tuple[Any, Mapping[str, Any]]:
    """A class, or a class with its parameters, as both."""
    return given if isinstance(given, tuple) else (given, {})


def _part(given: Any, base: type) -> Part:
    if isinstance(given, str):
        return parse_reference(given).part(base)
    found, arguments = _class_of(given)
    if not (isinstance(found, type) and issubclass(found, base)):
        kind = base.__name__.lower()
        raise InputError("is none", f"give a class of bt.{base.__name__}, or FILE.py:Class", kind, found)
    return found, dict(arguments)


def described(given: Any) -> str | None:
    """What stands in a file for a strategy or a sizer: its text, or module:Class:name=value,... of a class.

    Parameters
    ----------
    given : object
        As a configuration has it.

    Returns
    -------
    str or None
    """
    if given is None or isinstance(given, str):
        return given
    found, arguments = _class_of(given)
    return written(f"{found.__module__}:{found.__qualname__}", arguments)


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """Name and arguments as `parse_reference` and rules of weights read them: NAME:argument=value,...

    Parameters
    ----------
    name : str
    arguments : mapping
        Of Python literals.

    Returns
    -------
    str
    """
    return ":".join(filter(None, (name, ",".join(f"{key}={value!r}" for key, value in arguments.items()))))


def with_arguments(given: Any, own: Mapping[str, Any]) -> Any:
    """A strategy or a sizer with some arguments changed, in the form in which it was given.

    Parameters
    ----------
    given : str, type or (type, mapping)
    own : mapping
        By name.

    Returns
    -------
    str or (type, dict)
    """
    if isinstance(given, str):
        reference = parse_reference(given)
        return written(f"{reference.path}:{reference.name}", {**dict(reference.arguments), **own})
    found, arguments = _class_of(given)
    return found, {**arguments, **own}


def files_of_strategy(config: Mapping[str, Any]) -> dict[str, str]:
    """What the strategy and the sizer of a configuration are made of.

    Parameters
    ----------
    config : mapping

    Returns
    -------
    dict
        File name -> SHA-256 of its bytes; nothing for what is installed, or in no file.
    """
    found: dict[str, str] = {}
    for part in _parts(config):
        if (file := _file_of(part[0])) is not None:
            found |= sources(file)
    return found


def check_filed(config: Mapping[str, Any]) -> None:
    """InputError for a class that is in no file, such as one of a notebook: a changed one could not be told from it."""
    for found, _ in _parts(config):
        if _file_of(found) is None:
            raise InputError(
                f"{found.__name__} is in no file: a changed one could not be told from it", "put it in one"
            )


def _parts(config: Mapping[str, Any]) -> list[Part]:
    theirs = theirs_of(config)
    return [] if theirs is None else [part for part in (theirs.strategy, theirs.sizer) if part is not None]


def _file_of(found: type) -> str | None:
    try:
        return inspect.getsourcefile(found)
    except (TypeError, OSError):
        return None
