"""`riskoverlay report`: the page of an account, beside the backtest of the same dates."""

import argparse
import datetime as dt
from typing import Any

from ..report import check_report, write_report
from ..today import Tracked, account_file, load_window, tracked
from ..workbench.outputs import write_json
from ..workbench.runs import symbols_read
from .flags import Output, add_cache, add_outputs, check_outputs, open_cache, write_outputs
from .screen import Screen

__all__ = ["add_flags", "run"]

OUTPUTS = (
    Output("html", "the page", "report.html", check=lambda _: check_report()),
    Output("json", "tracking difference, and the fills that differ"),
)

MOST_FILLS = 12
"""That are printed."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_outputs(command, OUTPUTS)
    group = command.add_argument_group("account")
    group.add_argument("--account", metavar="FILE", required=True, help="of `riskoverlay today`")
    add_cache(group)


def run(options: argparse.Namespace, screen: Screen) -> None:
    """Run the command.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    check_outputs(options, OUTPUTS)
    with account_file(options.account, must_exist=True) as file:
        account, entries = dict(file.state or {}), file.entries()
    config = account["config"]
    opened, last = map(dt.date.fromisoformat, (account["opened"], account["strategy"]["session"]))
    with open_cache(options, symbols_read(config), screen) as cache:
        panel = load_window(config, None, last, cache, begins=opened)
    with screen.step("backtest"):
        found = tracked(panel, account, entries)
    _show(screen, found)
    content = {"tracking": found.tracking, "fills": found.fills}
    writers = {"html": lambda path: write_report(path, found.result), "json": lambda path: write_json(path, content)}
    write_outputs(options, screen, writers)


def _show(screen: Screen, found: Tracked) -> None:
    mine, beside = found.result.leading, found.result.benchmarks["backtest"]
    screen.synthetic(found.result.panel)
    screen.line(f"From {mine.begins:%Y-%m-%d} to {mine.sessions[-1]:%Y-%m-%d}, {len(mine.returns)} sessions.")
    rows = [
        [name, f"{100 * one.statistics['growth']:.2f} %", f"{one.statistics['excess_sharpe']:.2f}",
         f"{one.value.iloc[-1]:,.2f}", f"{len(one.fills):,}"]
        for name, one in (("account", mine), ("backtest", beside))
    ]  # fmt: skip
    screen.table(["", "growth a year", "Sharpe ratio", "end value", "fills"], rows)
    screen.line(f"Tracking difference: {100 * found.tracking:+.4f} % of growth a year.".replace("-", "−"))
    for one in found.fills[:MOST_FILLS]:
        screen.line(f"{one['date']} {one['symbol']}: {_fill(one['account'])}; backtest {_fill(one['backtest'])}.")
    if len(found.fills) > MOST_FILLS:
        screen.line(f"... {len(found.fills)} fills differ.")


def _fill(fill: Any) -> str:
    return "nothing" if fill is None else f"{fill[0]:+,g} at {fill[1]:,.4f}"
