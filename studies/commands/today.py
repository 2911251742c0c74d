"""`riskoverlay today`: what an account holds after the close, what it should hold, what is to be sent."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel

from .. import today as accounts
from ..report import check_report
from ..workbench import Config, resolved, symbols_read, write_json
from .flags import Output, add_parameters, config_of, open_cache, write_outputs
from .screen import Screen

__all__ = ["add_flags", "run"]

TO_DO = 10
"""Exit status: there are orders."""

OUTPUTS = (
    Output("orders", "the orders, one a row (csv)"),
    Output("basket", "the orders as Interactive Brokers' TWS imports a basket (csv)"),
    Output("json", "everything that is said"),
    Output("html", "one page of it", check=lambda _: check_report()),
)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_parameters(command, OUTPUTS)
    group = command.add_argument_group("this account")
    group.add_argument("--account", metavar="FILE", required=True, help="what no broker knows of it; made when missing")
    group.add_argument("--positions", metavar="FILE", help="what is held: symbol,shares, or a broker's export")
    group.add_argument("--balance", type=float, metavar="MONEY", help="cash at the broker; negative: the loan")
    flow = "paid in since the last session done, negative: paid out; no performance"
    group.add_argument("--deposit", type=float, default=0.0, metavar="MONEY", help=flow)
    group.add_argument("--paper", action="store_true", help="no broker: orders are filled by the backtest's own")
    last = "the session to look at, however old; the same as --end"
    group.add_argument("--as-of", metavar="DATE", dest="end", default=argparse.SUPPRESS, help=last)


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Run the command; 10: there are orders.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    asked = config = config_of(options, OUTPUTS)
    if config["strategy"] is not None:
        raise InputError("keeps a state that nobody else can restore", "give weights", "strategy", config["strategy"])
    for name in ("balance", "deposit"):
        if not math.isfinite(getattr(options, name) or 0.0):
            raise InputError("is no money", "give a number", name, getattr(options, name))
    with accounts.account_file(options.account) as file:
        account, state = file.state, None
        if account is not None:
            config, state = {**account["config"], "end": asked["end"]}, account["strategy"]
        with open_cache(options, symbols_read(config), screen) as cache:
            panel = accounts.load_window(config, state, cache)
        if account is not None:
            _check_same(account, resolved(asked, panel), options)
        screen.notes((*panel.dropped, *panel.warnings))
        day, done = str(panel.sessions[-1].date()), "" if state is None else state["session"]
        if day < done:
            raise InputError(f"the prices end on {day}, and {done} is done", "fetch newer ones")
        if day == done and options.deposit:
            raise InputError(f"comes too late: {done} is done", "give it the next time", "deposit", options.deposit)
        if account is None:
            account = {"config": {**resolved(config, panel), "end": None}, "opened": day, "paper": options.paper}
        if day > done:
            account, entries = accounts.advance(panel, account, _held(options, account, panel), options.deposit)
            file.save(account, entries)
    answer = account["answer"]
    screen.synthetic(panel)
    if day == done:
        screen.line("This session is done: as it was said before.", style="dim")
    for line in accounts.day_in_words(answer):
        screen.line(line)
    for titles, rows in accounts.day_tables(answer).values():
        screen.table(titles, rows, left=["side"])
    write_outputs(options, screen, {
        "orders": lambda path: accounts.write_orders(path, answer["orders"]),
        "basket": lambda path: accounts.write_basket(path, answer["orders"]),
        "json": lambda path: write_json(path, answer),
        "html": lambda path: accounts.write_day(path, account, panel.synthetic),
    })  # fmt: skip
    return TO_DO if answer["orders"] else 0


def _check_same(account: Mapping[str, Any], config: Config, options: argparse.Namespace) -> None:
    """Refuse another strategy than the account was opened with."""
    if options.paper and not account["paper"]:
        raise InputError("has a broker", "give --positions and --balance", "account", options.account)
    for name, was in account["config"].items():
        if name != "end" and (options.config or hasattr(options, name)) and config[name] != was:
            raise InputError(f"is {was!r} in this account", "leave it out, or open another account", name, config[name])


def _held(options: argparse.Namespace, account: Mapping[str, Any], panel: Panel) -> accounts.Statement:
    """What the broker says, or nothing."""
    config, new = account["config"], "strategy" not in account
    if new and options.deposit:
        raise InputError("is of an account that is there", "give it in --balance", "deposit", options.deposit)
    if account["paper"]:
        if options.positions or options.balance is not None:
            raise InputError("is a paper account: it fills its own orders", "leave out --positions and --balance")
        return accounts.Statement(cash=config["cash"] if new else None)  # without what it earned in the warm-up
    if config["execution"] == "close":
        raise InputError("cannot be sent after that close", "use next_open", "execution", "close")
    found = accounts.read_statement(options.positions, panel.symbols) if options.positions else accounts.Statement()
    cash = found.cash if options.balance is None else options.balance
    if cash is None or not (options.positions or new):
        cure = "give --positions and --balance" + ", or --paper" * new
        raise InputError("needs what the broker says is held, and the cash there", cure, "account", options.account)
    return replace(found, cash=cash)
