#!/usr/bin/env python3
"""The command line of riskoverlay: `python run.py [backtest] [flags]`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from analyzers import *  # noqa: F403  re-exported so that `btrun` finds the classes in this file
from feeds import *  # noqa: F403
from strategies import *  # noqa: F403
from studies.backtest import Backtest, backtest, load_panel
from studies.outputs import read_config, series_frame, summary, write_file, write_json
from studies.parameters import PARAMETERS, Config, make_config, parse_value

SERIES = "level63_dd_leverage_series.csv"
SUMMARY = "level63_dd_leverage_summary.json"

SYNTHETIC = "Synthetic market: made-up prices with the moments of the real ones. Nothing here happened."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it worked, 2 for bad input, which costs one line and no file."""
    parser = _parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "backtest")
    options = parser.parse_args(given)
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)
    console = Console(soft_wrap=False)
    try:
        options.run(options, console)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: no file was written", file=sys.stderr)
        return 130
    return 0


# -- flags -----------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Risk parity × minimum variance, levered by volatility target × drawdown brake.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser(
        "backtest",
        help="base and dynamic portfolio through a broker (the default command)",
        description="Base and dynamic portfolio through Cerebro and a margin account.",
    )
    command.set_defaults(run=_backtest)
    _add_parameters(command)
    files = command.add_argument_group("files")
    files.add_argument(
        "--csv", default=SERIES, metavar="FILE", help=f"daily series; '' for none (default {SERIES})"
    )
    files.add_argument(
        "--json", default=SUMMARY, metavar="FILE", help=f"summary; '' for none (default {SUMMARY})"
    )
    return parser


def _add_parameters(command: argparse.ArgumentParser) -> None:
    titles = {
        "data": "prices",
        "strategy": "weights",
        "sizer": "leverage",
        "run": "execution",
        "account": "account",
    }
    groups = {owner: command.add_argument_group(title) for owner, title in titles.items()}
    groups["data"].add_argument(
        "--config",
        metavar="FILE",
        help="run again with the config of a summary file; other flags override it",
    )
    for parameter in PARAMETERS.values():
        text = parameter.help.replace("%", "%%")
        if parameter.default is not None:
            text += f" (default {parameter.default})"
        more: dict[str, Any] = {"metavar": type(parameter.default).__name__.upper()}
        if parameter.default is None or isinstance(parameter.default, str):
            more = {"metavar": parameter.name.split("_")[-1].upper()}
        if isinstance(parameter.default, bool):
            more = {"action": argparse.BooleanOptionalAction}
        groups[parameter.owner].add_argument(parameter.flag, default=argparse.SUPPRESS, help=text, **more)


def _config(options: argparse.Namespace) -> Config:
    config = read_config(options.config) if options.config else make_config()
    for name in PARAMETERS:
        if hasattr(options, name):
            value = getattr(options, name)
            config[name] = parse_value(name, value) if isinstance(value, str) else value
    return config


# -- commands --------------------------------------------------------------------------------------------------------


def _backtest(options: argparse.Namespace, console: Console) -> None:
    config = _config(options)
    _check_outputs(options.csv, options.json)
    panel = load_panel(config)
    for sentence in panel.dropped:
        print(f"note: {sentence}", file=sys.stderr)
    with _progress(console, "backtest", 2 * len(panel.sessions)) as advance:
        result = backtest(panel, config, advance=advance)
    _show(console, result)
    if options.csv:
        frame = series_frame(result)
        write_file(options.csv, lambda path: frame.to_csv(path, index_label="date"))
    if options.json:
        write_json(options.json, summary(result))
    written = " and ".join(name for name in (options.csv, options.json) if name)
    if written:
        console.print(f"Wrote {written}.", highlight=False)


def _check_outputs(*names: str) -> None:
    """Say before a long run, not after it, that a file cannot be written."""
    for name in names:
        if name and not Path(name).parent.is_dir():
            raise ValueError(
                f"{name} cannot be written: folder {Path(name).parent} does not exist, create it first"
            )


@contextmanager
def _progress(console: Console, what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal, nothing in a pipe."""
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda sessions: bar.advance(task, sessions)


def _show(console: Console, result: Backtest) -> None:
    panel, base, dynamic = result.panel, result.base, result.dynamic
    symbols = ", ".join(panel.symbols[:12]) + (
        f", ... ({len(panel.symbols)})" if len(panel.symbols) > 12 else ""
    )
    console.print(f"{symbols}, {panel.source}", highlight=False, markup=False)
    if panel.synthetic:
        console.print(SYNTHETIC, style="yellow", highlight=False)
    console.print(
        f"Statistics from {base.first:%Y-%m-%d} to {panel.sessions[-1]:%Y-%m-%d} ({len(base.returns)} sessions).",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in ("base", "dynamic"):
        table.add_column(name, justify="right", min_width=14)

    def row(label: str, show: Callable[[Any], str]) -> None:
        table.add_row(label, show(base), show(dynamic))

    row("return a year", lambda run: f"{100 * run.statistics['ann_ret']:.2f} %")
    row("volatility a year", lambda run: f"{100 * run.statistics['ann_vol']:.2f} %")
    row("Sharpe ratio", lambda run: f"{run.statistics['sharpe']:.3f}")
    row("max drawdown", lambda run: f"{100 * run.statistics['max_drawdown']:.2f} %")
    row("mean leverage held", lambda run: f"{run.exposure['leverage'].loc[run.first :].mean():.2f}")
    row("end value", lambda run: f"{run.costs['end']:,.0f}")
    for kind in ("commission", "slippage", "interest"):
        row("loan interest" if kind == "interest" else kind, lambda run, k=kind: f"{run.costs[k]:,.0f}")
    row("turnover a year", lambda run: f"{run.costs['turnover_annual']:.2f} x")
    row("orders filled", lambda run: f"{run.costs['orders']['filled']:,}")
    row("orders rejected", lambda run: f"{run.costs['orders']['rejected']:,}")
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main())
