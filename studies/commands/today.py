"""`riskoverlay today`: what an account holds after the close, what it should hold, what is to be sent."""

import argparse
import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel

from .. import today as accounts
from ..report import check_report
from ..workbench.outputs import write_file, write_json
from ..workbench.parameters import PARAMETERS, Config, parse_value
from ..workbench.runs import symbols_read
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
    group.add_argument(
        "--account", metavar="FILE", required=True,
        help="what a broker does not know of it (json, a journal beside it); made on the first day",
    )  # fmt: skip
    group.add_argument("--positions", metavar="FILE", help="what is held: symbol,shares, or a broker's export")
    group.add_argument("--balance", type=float, metavar="MONEY", help="cash at the broker; negative: the loan")
    group.add_argument(
        "--deposit", type=float, default=0.0, metavar="MONEY",
        help="paid in since the session before, negative: paid out; it is no performance",
    )  # fmt: skip
    group.add_argument("--paper", action="store_true", help="no broker: orders are filled by the backtest's own")
    group.add_argument("--as-of", metavar="DATE", help="the last session to look at, however old")


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Run the command; 10: there are orders.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    config = config_of(options, OUTPUTS)
    if config["strategy"] is not None:
        raise InputError("keeps a state that nobody else can restore", "give weights", "strategy", config["strategy"])
    as_of = _date(options.as_of)
    for name in ("balance", "deposit"):
        if not math.isfinite(getattr(options, name) or 0.0):
            raise InputError("is no money", "give a number", name, getattr(options, name))
    with accounts.account_file(options.account) as file:
        account, again = _account_of(file, options, config), False
        config = config if account is None else account["config"]
        with open_cache(options, symbols_read(config), screen) as cache:
            panel = accounts.load_window(config, account and account["strategy"], as_of, cache)
        screen.notes((*panel.dropped, *panel.warnings))
        day = str(panel.sessions[-1].date())
        if account is not None and day <= account["strategy"]["session"]:
            again = _said_before(account, day, options)
        else:
            account = account or {**accounts.open_day(panel, config), "paper": options.paper}
            account, entries = accounts.advance(panel, account, _held(options, account, panel))
            file.save(account, entries)
    answer = account["answer"]
    _show(screen, panel, answer, again)
    names = ("symbol", "side", "shares", "close", "cost")
    lines = [accounts.OrderLine(**{name: one[name] for name in names}) for one in answer["orders"]]
    page = accounts.day_html(account, panel.synthetic) if options.html else ""
    write_outputs(options, screen, {
        "orders": lambda path: accounts.write_orders(path, lines),
        "basket": lambda path: accounts.write_basket(path, lines),
        "json": lambda path: write_json(path, answer),
        "html": lambda path: write_file(path, lambda temporary: temporary.write_text(page, encoding="utf-8")),
    })  # fmt: skip
    return TO_DO if lines else 0


def _date(text: str | None) -> dt.date | None:
    try:
        return None if text is None else dt.date.fromisoformat(text)
    except ValueError:
        raise InputError("is no date", "give YYYY-MM-DD", "as_of", text) from None


def _account_of(file: accounts.AccountFile, options: argparse.Namespace, config: Config) -> dict[str, Any] | None:
    """Where the account stands; None: it begins. The strategy is what it was opened with."""
    account = file.state
    if account is None:
        if not options.paper and options.balance is None:
            raise InputError("needs the cash at the broker", "give --balance, or --paper", "account", options.account)
        if options.deposit:
            raise InputError("is of an account that is there", "give it in --balance", "deposit", options.deposit)
        return None
    if options.paper and not account["paper"]:
        raise InputError("has a broker", "give --positions and --balance", "account", options.account)
    given = [name for name in PARAMETERS if hasattr(options, name)]
    for name in given:
        value = getattr(options, name)
        value = parse_value(name, value) if isinstance(value, str) else value
        if value != account["config"][name]:
            raise InputError(
                f"is {account['config'][name]!r} in this account", "leave it out, or open another account", name, value
            )
    return account


def _said_before(account: Mapping[str, Any], day: str, options: argparse.Namespace) -> bool:
    """A session that is done is said again."""
    done = account["strategy"]["session"]
    if day < done:
        raise InputError(f"the prices end on {day}, and {done} is done", "fetch newer ones")
    if options.deposit:
        raise InputError(f"comes too late: {done} is done", "give it with the next session", "deposit", options.deposit)
    return True


def _held(options: argparse.Namespace, account: Mapping[str, Any], panel: Panel) -> accounts.Held:
    """What the broker says, or nothing."""
    if account["paper"]:
        if options.positions or (options.balance is not None and "strategy" in account):
            raise InputError("is a paper account: it fills its own orders", "leave out --positions and --balance")
        begins = None if "strategy" in account else account["config"]["cash"]  # without what it earned in the warm-up
        return accounts.Held(cash=begins, deposit=options.deposit)
    if account["config"]["execution"] == "close":
        raise InputError("cannot be sent after that close", "use next_open", "execution", "close")
    if not options.positions:
        if "strategy" in account:
            raise InputError("needs what the broker says is held", "give --positions", "account", options.account)
        return accounts.Held(cash=options.balance)
    found = accounts.read_statement(options.positions, panel.symbols)
    cash = options.balance if options.balance is not None else found.cash
    if cash is None:
        raise InputError("needs the cash at the broker", "give --balance", "account", options.account)
    return accounts.Held(found.positions, cash, options.deposit, found.others)


def _show(screen: Screen, panel: Panel, answer: Mapping[str, Any], again: bool) -> None:
    screen.synthetic(panel)
    if again:
        screen.line("This session is done: as it was said before.", style="dim")
    *lines, last = accounts.day_in_words(answer)
    for line in lines:
        screen.line(line)
    if answer["orders"]:
        screen.table(accounts.ORDERS, accounts.order_rows(answer), left=["side"])
    screen.table(accounts.STANDS, accounts.holding_rows(answer))
    screen.line(last)
