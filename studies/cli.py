"""The command line: `riskoverlay [backtest] [flags]`, `python -m riskoverlay`, `python run.py`."""

import gc
import logging
import sys
import traceback
from collections.abc import Sequence

from riskoverlay import __version__
from riskoverlay.errors import RiskOverlayError, StrategyError, TwinError

from .commands.parser import make_parser, parse
from .commands.screen import Screen

__all__ = ["main", "make_parser"]

FOUND, BAD_INPUT, BUG, INTERRUPTED = 1, 2, 70, 130
"""Exit statuses beside 0; 1 means that `check` or `audit` found something, and nothing else; 10 is of `today`."""


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
        inside a user's own file shows its traceback, too); 10: `today` has orders; 70: a bug, with its traceback; 130:
        interrupted.
    """
    gc.freeze()  # what was imported stays: the collector need not look at it again, which is a tenth of a run's time
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "backtest")
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)
    try:
        options = parse(given)
        return options.run(options, Screen(quiet=options.quiet, no_color=options.no_color)) or 0
    except StrategyError as error:
        traceback.print_exception(error.__cause__)
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except TwinError as error:
        print(f"error: {error}", file=sys.stderr)
        return BUG
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
