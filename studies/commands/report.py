"""`riskoverlay report`: the page of an account, beside the backtest of the same dates."""

import argparse

from ..report import Section, check_report, paragraphs, write_report
from ..report.markup import text_table
from ..today import BACKTEST, account_file, load_window, other_fills, tracked
from ..workbench import symbols_read, write_json
from .backtest import show_accounts
from .flags import Output, add_cache, add_outputs, check_outputs, open_cache, write_outputs
from .screen import Screen, shown

__all__ = ["add_flags", "run"]

OUTPUTS = (
    Output("html", "the page", "report.html", check=lambda _: check_report()),
    Output("json", "tracking difference, and the fills that differ"),
)

MOST = 20
"""Fills that differ and are printed; the page has all of them."""


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
        account, entries = dict(file.state or {}), file.entries
    config = {**account["config"], "end": account["strategy"]["session"]}
    with open_cache(options, symbols_read(config), screen) as cache:
        panel = load_window(config, None, cache, begins=account["opened"])
    with screen.step("backtest"):
        result = tracked(panel, account, entries)
    fills, tracking = other_fills(result), result.active[BACKTEST]["active_return"]
    apart, kind = f"{100 * tracking:+.4f}".replace("-", "−"), "fills" if account["paper"] else "expected fills"
    said = f"Tracking difference: {apart} % of growth a year; {len(fills)} {kind} differ."
    rows = [[*one[:2], *(shown("{:,.10g}", x) for x in one[2:])] for one in fills.itertuples(index=False)]
    titles = ["date", "symbol", "shares", "price", "backtest's", "its price"] if rows else []
    show_accounts(screen, result)
    screen.line(said)
    screen.table(titles, rows[:MOST])
    section = Section("tracking", "Beside the backtest", paragraphs([said]) + text_table(titles, rows))
    write_outputs(options, screen, {
        "html": lambda path: write_report(path, result, sections=[section]),
        "json": lambda path: write_json(path, {"tracking": tracking, "fills": fills.to_dict("records")}),
    })  # fmt: skip
