"""The command line: `riskoverlay [backtest] [flags]`, `python -m riskoverlay`, `python run.py`."""

import argparse
import importlib
import logging
import sys
import traceback
from collections.abc import Iterable, Sequence

from riskoverlay import __version__
from riskoverlay.errors import RiskOverlayError, StrategyError

from .commands import COMMANDS
from .commands.screen import Screen

__all__ = ["main", "make_parser"]

FOUND, BAD_INPUT, BUG, INTERRUPTED = 1, 2, 70, 130
"""Exit statuses beside 0; 1 means that `check` or `audit` found something, and nothing else."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit status. 0: it worked; 1: `check` or `audit` found something; 2: bad input, one line and no file (an error
        inside a user's own file shows its traceback, too); 70: a bug, with its traceback; 130: interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "backtest")
    options = make_parser([name for name in given[:1] if name in COMMANDS]).parse_args(given)
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)
    screen = Screen(quiet=getattr(options, "quiet", False), no_color=getattr(options, "no_color", None))
    try:
        return options.run(options, screen) or 0
    except StrategyError as error:
        traceback.print_exception(error.__cause__)
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except RiskOverlayError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted: no file was written", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        print(
            f"This is a bug of riskoverlay {__version__}, not of your input. Please report it: the command, and the "
            "lines above.",
            file=sys.stderr,
        )
        return BUG


def make_parser(commands: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of the command line.

    Parameters
    ----------
    commands : iterable of str
        Those whose flags are wanted; a command that is not run need not be imported.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(
        prog="riskoverlay",
        description="Risk parity × minimum variance, levered by volatility target × drawdown brake.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"riskoverlay {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    wanted = set(commands)
    for name, (help, description) in COMMANDS.items():
        command = subparsers.add_parser(name, help=help, description=description, allow_abbrev=False)
        if name in wanted:
            module = importlib.import_module(f".commands.{name}", __package__)
            module.add_flags(command)
            command.set_defaults(run=module.run)
    return parser
