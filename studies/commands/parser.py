"""The parser of the command line: argparse, whose errors are ours."""

import argparse
import difflib
import importlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from riskoverlay import __version__
from riskoverlay.errors import InputError

from . import COMMANDS
from .flags import add_screen

__all__ = ["make_parser", "parse"]

EXAMPLES = "examples:\n"

GONE = {
    "--search": "every point is tried; or give --trials N, points spread evenly",
    "--batch": "it was of --search tpe, which is no more; give --trials N, points spread evenly",
}
"""Flags of before, where --trials is known -> what to give instead."""


class _Formatter(argparse.HelpFormatter):
    """Leaves examples as they are, a line each."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLES) else super()._fill_text(text, width, indent)


class _Parser(argparse.ArgumentParser):
    """Its errors are one line, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message.removeprefix("argument "), f"see {self.prog} --help")


def make_parser(commands: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of the command line.

    Parameters
    ----------
    commands : iterable of str
        Those whose flags are wanted; a command that is not run need not be imported.

    Returns
    -------
    argparse.ArgumentParser
        It raises InputError for what it does not take.
    """
    return _make_parsers(commands)[0]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command with its flags.

    Parameters
    ----------
    arguments : sequence of str
        The command's name first.

    Returns
    -------
    argparse.Namespace
        With `run`, the function of the command.

    Raises
    ------
    InputError
        A command or a flag that does not exist, with the nearest that does; and what else cannot be read.
    """
    name, *given = arguments
    if name not in COMMANDS and not name.startswith("-"):
        raise InputError(f"{name} is not a command", _nearest(name, COMMANDS, f"give one of {', '.join(COMMANDS)}"))
    parser, parsers = _make_parsers([name])
    # Before argparse asks for a flag that is missing: it may be there, mistyped.
    if name in parsers:
        _check_flags(given, parsers[name]._option_string_actions, f"see riskoverlay {name} --help")
    return parser.parse_args(arguments)


def _make_parsers(commands: Iterable[str]) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of its commands by name."""
    parser = _Parser(
        prog="riskoverlay",
        description="Risk parity × minimum variance, levered by volatility target × drawdown brake.",
        allow_abbrev=False,
    )
    _add_version(parser)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    parsers: dict[str, argparse.ArgumentParser] = {}
    wanted = set(commands)
    for name, (help, description, examples) in COMMANDS.items():
        parsers[name] = command = subparsers.add_parser(
            name,
            help=help,
            description=description,
            epilog=EXAMPLES + "\n".join(f"  {example}" for example in examples),
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        if name in wanted:
            module = importlib.import_module(f".{name}", __package__)
            module.add_flags(command)
            _add_version(add_screen(command))
            command.set_defaults(run=module.run)
    return parser, parsers


def _add_version(parser: Any) -> None:
    parser.add_argument(
        "--version", action="version", version=f"riskoverlay {__version__}", help="print the version, and do nothing"
    )


def _check_flags(given: Sequence[str], flags: Iterable[str], otherwise: str) -> None:
    """Refuse a flag that does not exist. What begins with a dash is one to argparse, but for numbers and sentences."""
    known = frozenset(flags)
    for word in given:
        flag = word.partition("=")[0]
        if word == "--":
            return
        if re.match(r"-[^\d.]", flag) and " " not in word and flag not in known:
            gone = GONE.get(flag) if "--trials" in known else None
            raise InputError(f"{flag} is not a flag", gone or _nearest(flag, known, otherwise))


def _nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    words = {one.lstrip("-"): one for one in sorted(known)}  # dashes would make all flags alike
    near = difflib.get_close_matches(name.lstrip("-"), words, n=1)
    return f"did you mean {words[near[0]]}?" if near else otherwise
