"""Errors of our own: what a user can cure. Anything else that is raised is a bug, and shows its traceback."""

import importlib.util
from datetime import date
from typing import Any

__all__ = [
    "ConvergenceError",
    "InputError",
    "MissingExtraError",
    "MissingFileError",
    "RiskOverlayError",
    "StrategyError",
    "TwinError",
    "require",
]


class RiskOverlayError(Exception):
    """Base of every error of our own; its text is one line that ends in the cure."""


class InputError(RiskOverlayError, ValueError):
    """A value that cannot be used.

    Parameters
    ----------
    problem : str
        What is wrong; with an `argument` it follows "argument=value ".
    cure : str
        What to give instead.
    argument : str, optional
        Name of the argument, parameter or file.
    value : object, optional
        What was given.
    """

    def __init__(self, problem: str, cure: str = "", argument: str = "", value: Any = None) -> None:
        super().__init__(problem, cure, argument, value)  # so that it pickles
        self.problem = problem
        self.cure = cure
        self.argument = argument
        self.value = value

    def __str__(self) -> str:
        """In one line."""
        return f"{self.said}: {self.cure}" if self.cure else self.said

    @property
    def said(self) -> str:
        """The line without the cure."""
        return f"{self.argument}={self.value!r} {self.problem}" if self.argument else self.problem


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that is not there."""


class ConvergenceError(RiskOverlayError, RuntimeError):
    """A solver that has not converged, with its count and residual."""


class MissingExtraError(RiskOverlayError, ImportError):
    """A package that an optional part needs."""


class StrategyError(InputError):
    """An exception raised inside a user's own file; it is the `__cause__`, and its traceback is theirs to read."""


def require(package: str, extra: str, what: str) -> None:
    """Ask for an optional package before a long run, not in the middle of it.

    Parameters
    ----------
    package : str
        Name to import.
    extra : str
        Extra of this distribution that brings it.
    what : str
        What needs it, the beginning of a sentence: "a report".

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(
            f"{what} needs {package}: install it with pip install 'backtrader-riskoverlay[{extra}]'"
        )


class TwinError(RiskOverlayError, RuntimeError):
    """The twin of the account differs from Cerebro, which is a bug of the twin.

    Parameters
    ----------
    day : date
        The session that shows the largest difference.
    column : str
        Of what.
    cerebro, twin : object
        What each has.
    """

    def __init__(self, day: date, column: str, cerebro: object, twin: object) -> None:
        super().__init__(
            f"{day}: {column} is {cerebro} through Cerebro and {twin} by the twin of the account. This is a bug of "
            "riskoverlay: please report it; --engine cerebro does without the twin"
        )
