"""Flags that several commands have: parameters, prices, tries, output files."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from riskoverlay.feeds import Cache, Panel
from riskoverlay.rules import Parameter

from ..financing import Breakeven, breakeven, breakeven_in_words
from ..workbench.beside import Benchmark, benchmark_panel
from ..workbench.loans import check_one_loan, one_loan
from ..workbench.outputs import check_apart
from ..workbench.parameters import GROUPS, PARAMETERS, Config, check_owner, make_config, parse_value, shown_parameters
from ..workbench.rates import AUTO_RATES
from ..workbench.runs import load_panel, symbols_read
from ..workbench.summaries import read_config
from ..workbench.theirs import theirs_of
from ..workbench.twins import ENGINES
from .inputs import inputs_of
from .screen import Screen

__all__ = [
    "Output",
    "add_breakeven",
    "add_cache",
    "add_engine",
    "add_outputs",
    "add_parameters",
    "add_screen",
    "add_workers",
    "bars_of",
    "breakeven_of",
    "check_outputs",
    "config_of",
    "open_cache",
    "panel_of",
    "write_outputs",
]


@dataclass(frozen=True)
class Output:
    """A file that a command can write.

    Attributes
    ----------
    kind : str
        Its flag, as a name of Python's.
    help : str
    default : str or None
        Its name unless another is given; None: it is not written.
    check : callable or None
        Called with the name before a long run; raises if it could not be written after it.
    """

    kind: str
    help: str
    default: str | None = None
    check: Callable[[str], None] | None = None

    @property
    def flag(self) -> str:
        """On the command line."""
        return "--" + self.kind.replace("_", "-")


# -- parameters --------------------------------------------------------------------------------------------------------


def add_parameters(
    command: argparse.ArgumentParser, outputs: Iterable[Output] = (), groups: Iterable[str] = GROUPS
) -> None:
    """The flags of all parameters, or of some groups only, those of the prices' cache, and those of output files.

    Parameters
    ----------
    command : argparse.ArgumentParser
    outputs : iterable of Output
    groups : iterable of str
        Some of `GROUPS`.
    """
    for title in groups:
        group = command.add_argument_group(title)
        if title == "prices":
            group.add_argument(
                "--config", metavar="FILE", help="run again with the config of a summary file; other flags override it"
            )
            add_cache(group)
        for about in shown_parameters(*GROUPS[title]).values():
            group.add_argument(about.flag, default=argparse.SUPPRESS, help=_help(about), **_kind(about))
    add_outputs(command, outputs)


def _help(about: Parameter) -> str:
    text = about.help.replace("%", "%%")
    if about.dated:
        bill, number = AUTO_RATES[about.name]
        text += (
            "; here also irx+0.015, the 13-week bill's rate of the day plus a spread, or auto: "
            f"{bill} where the prices' source has the bill, else {number:g}"
        )
    return text if about.default is None else f"{text} (default {about.default})"


WORDS = {"fraction a year": "FRACTION", "basis points": "BPS", "sessions a year": "SESSIONS"}
"""Unit of a parameter -> what stands for its value in the help, where that is not the unit itself."""


def _kind(about: Parameter) -> dict[str, Any]:
    if isinstance(about.default, bool):
        return {"action": argparse.BooleanOptionalAction}
    if about.dated:
        return {"metavar": "RATE"}
    if about.choices:
        return {"metavar": "|".join(about.choices)}
    if about.unit:
        return {"metavar": WORDS.get(about.unit, about.unit.upper())}
    return {"metavar": "NUMBER" if isinstance(about.default, int) else about.name.split("_")[-1].upper()}


def config_of(options: argparse.Namespace, outputs: Iterable[Output] = ()) -> Config:
    """The configuration that the flags ask for; and whether what is to be written can be, before a long run.

    Parameters
    ----------
    options : argparse.Namespace
    outputs : iterable of Output

    Returns
    -------
    Config

    Raises
    ------
    InputError, MissingFileError
        A config file or a value that cannot be read; and as `check_outputs` and `theirs_of`.
    """
    check_outputs(options, outputs)
    config = read_config(options.config) if options.config else make_config()
    given = {name: getattr(options, name) for name in PARAMETERS if hasattr(options, name)}
    config |= one_loan(given)
    config |= {name: parse_value(name, value) if isinstance(value, str) else value for name, value in given.items()}
    check_one_loan(config)
    check_owner(config, given)
    check_apart(_named(options, outputs), inputs_of(options, config))
    theirs_of(config)  # what is wrong with the user's file is said before prices are fetched
    return config


def add_workers(command: Any, what: str = "processes") -> None:
    """The flag of the number of processes.

    Parameters
    ----------
    command : argparse.ArgumentParser or group
    what : str
        What the number is of.
    """
    command.add_argument("--workers", type=int, metavar="N", help=f"{what} (default: one a processor)")


def add_engine(command: Any, twin: str, cerebro: str) -> None:
    """The flag of what runs the account.

    Parameters
    ----------
    command : argparse.ArgumentParser or group
    twin, cerebro : str
        What each choice means.
    """
    command.add_argument(
        "--engine",
        choices=ENGINES,
        help=f"twin: {twin}; cerebro: {cerebro} (default twin, and cerebro for a strategy of your own)",
    )


def add_breakeven(command: argparse.ArgumentParser) -> None:
    """The flag of the breakeven spread."""
    command.add_argument(
        "--breakeven", action="store_true",
        help="find the loan's spread at which dynamic is worth no more than base, by running the account",
    )  # fmt: skip


def breakeven_of(
    options: argparse.Namespace, panel: Panel, config: Config, workers: int | None, screen: Screen
) -> Breakeven | None:
    """Find the breakeven spread and print it, if it is wanted.

    Parameters
    ----------
    options : argparse.Namespace
    panel : Panel
    config : Config
    workers : int or None
    screen : Screen

    Returns
    -------
    Breakeven or None
    """
    if not options.breakeven:
        return None
    with screen.progress("breakeven", 32) as advance:  # 18 spreads, and two halvings of a step
        found = breakeven(panel, config, workers=workers, advance=advance)
    screen.line(breakeven_in_words(found))
    return found


def add_screen(command: argparse.ArgumentParser) -> Any:
    """The flags of what is printed.

    Parameters
    ----------
    command : argparse.ArgumentParser

    Returns
    -------
    group
    """
    group = command.add_argument_group("screen")
    group.add_argument("--quiet", action="store_true", help="print nothing but notes and errors")
    group.add_argument(
        "--no-color",
        action="store_true",
        default=None,
        help="plain text on a terminal: no colours, nothing bold (as NO_COLOR=1 in the environment); a pipe gets that",
    )
    return group


# -- prices ------------------------------------------------------------------------------------------------------------


def add_cache(group: Any) -> None:
    """How real prices are kept; none of it changes a result, so none of it is in the config."""
    group.add_argument(
        "--cache-dir", metavar="DIR", help="folder that keeps Yahoo's prices (default: the user's cache folder)"
    )
    group.add_argument("--refresh", action="store_true", help="fetch from Yahoo what the cache has, too")
    group.add_argument("--offline", action="store_true", help="prices of the cache only, whatever their age")


@contextmanager
def open_cache(options: argparse.Namespace, symbols: Sequence[str], screen: Screen) -> Iterator[Cache]:
    """The cache that the flags ask for, with a bar that moves on with each symbol from Yahoo.

    Parameters
    ----------
    options : argparse.Namespace
    symbols : sequence of str
    screen : Screen

    Yields
    ------
    Cache
    """
    given = {"folder": options.cache_dir} if options.cache_dir else {}
    with screen.prices(len(symbols)) as progress:
        yield Cache(**given, refresh=options.refresh, offline=options.offline, progress=progress)


def panel_of(options: argparse.Namespace, config: Config, screen: Screen) -> Panel:
    """The bars of a command, and on stderr what there is to know about them.

    Parameters
    ----------
    options : argparse.Namespace
    config : Config
    screen : Screen

    Returns
    -------
    Panel

    Raises
    ------
    InputError, MissingFileError
        As `load_panel`.
    """
    with open_cache(options, symbols_read(config), screen) as cache:
        panel = load_panel(config, cache)
    screen.notes((*panel.dropped, *panel.warnings))
    return panel


def bars_of(
    options: argparse.Namespace, benchmarks: Sequence[Benchmark], panel: Panel, config: Config, screen: Screen
) -> Panel | None:
    """The bars of benchmarks, and on stderr what there is to know about those that are not the panel's.

    Parameters
    ----------
    options : argparse.Namespace
    benchmarks : sequence of Benchmark
    panel : Panel
    config : Config
    screen : Screen

    Returns
    -------
    Panel or None

    Raises
    ------
    InputError, MissingFileError
        As `benchmark_panel`.
    """
    symbols = [symbol for one in benchmarks for symbol in one.weights]
    with open_cache(options, symbols, screen) as cache:
        bars = benchmark_panel(benchmarks, panel, config, cache)
    if bars is not None:
        screen.notes(f"benchmarks: {note}" for note in (*bars.dropped, *bars.warnings) if note not in panel.warnings)
    return bars


# -- output files ------------------------------------------------------------------------------------------------------


def add_outputs(command: argparse.ArgumentParser, outputs: Iterable[Output]) -> None:
    """The flags of output files.

    Parameters
    ----------
    command : argparse.ArgumentParser
    outputs : iterable of Output
    """
    group = command.add_argument_group("files")
    for one in outputs:
        what = f"'' for none (default {one.default})" if one.default else "(default: not written)"
        text = f"{one.help}; {what}" if one.default else f"{one.help} {what}"
        group.add_argument(one.flag, metavar="FILE", default=one.default, help=text)


def _named(options: argparse.Namespace, outputs: Iterable[Output]) -> dict[str, str]:
    """Flag -> name of the files that are to be written."""
    return {one.flag: getattr(options, one.kind) for one in outputs if getattr(options, one.kind)}


def check_outputs(options: argparse.Namespace, outputs: Iterable[Output]) -> None:
    """Say before a long run, not after it, that a file cannot be written.

    Parameters
    ----------
    options : argparse.Namespace
    outputs : iterable of Output

    Raises
    ------
    InputError
        As `check_apart` of the outputs alone, and what their own checks raise.
    """
    check_apart(_named(options, outputs), ())
    for one in outputs:
        name = getattr(options, one.kind)
        if name and one.check is not None:
            one.check(name)


def write_outputs(options: argparse.Namespace, screen: Screen, writers: Mapping[str, Callable[[str], None]]) -> None:
    """Write the files that were asked for, and announce them.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    writers : mapping
        Kind of `Output` -> what writes it, called with its name.
    """
    wanted = {kind: getattr(options, kind) for kind in writers if getattr(options, kind)}
    if not wanted:
        return
    with screen.progress("writing", len(wanted)) as advance:
        for kind, name in wanted.items():
            writers[kind](name)
            if advance is not None:
                advance(1)
    *most, last = wanted.values()
    screen.line(f"Wrote {' and '.join(filter(None, (', '.join(most), last)))}.")
