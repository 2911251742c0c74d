"""What is said of a day: on the screen, on a page, and in the files of its orders.

The basket's columns are those that IBKR's guides give for a market order: "Manually Create a Basket File"
(www.interactivebrokers.com.hk/php/webhelp/Making_Trades/baskets/manualBasket.htm, and
www.ibkrguides.com/traderworkstation/manually-create-a-basket-file.htm) and "Basket Fields"
(www.ibkrguides.com/traderworkstation/basket-fields.htm), where opg is a time in force; OPG with MKT is market-on-open
by "Market-on-Open" (interactivebrokers.ca/en/trading/orders/moo.php).
"""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from riskoverlay.errors import InputError

from ..report.markup import text_table
from ..report.page import Page, Section, page_html, paragraphs
from ..workbench import costs_in_words, write_file, write_text

__all__ = ["day_in_words", "day_tables", "write_basket", "write_day", "write_orders"]

_ORDERS = ["symbol", "side", "shares", "last_close", "estimated_cost", "money"]
_BASKET = ("Action", "Quantity", "Symbol", "SecType", "Exchange", "Currency", "TimeInForce", "OrderType")

# BRK-B, BRK.B; not VOD.L, SAP.DE or 7203.T, which are of other exchanges and currencies.
_AMERICAN = re.compile(r"[A-Z]{1,6}(-[A-Z]|\.[AB])?")


def day_tables(answer: Mapping[str, Any]) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Tables of the orders, if there are any, and of what is held.

    Parameters
    ----------
    answer : mapping
        As `advance` gives it.

    Returns
    -------
    dict
        Heading -> titles and rows.
    """
    ordered = {one["symbol"]: math.copysign(one["shares"], one["money"]) for one in answer["orders"]}
    held, weights = answer["holdings"], answer["weights"]
    orders = [
        [one["symbol"], one["side"], f"{one['shares']:,.10g}", f"{one['last_close']:,.2f}",
         f"{one['money']:+,.0f}".replace("-", "−"), f"{one['estimated_cost']:,.2f}"]
        for one in answer["orders"]
    ]  # fmt: skip
    holdings = [
        [name, f"{held.get(name, 0.0):,.10g}", f"{close:,.2f}", f"{100 * weights.get(name, 0.0):.1f} %",
         f"{held.get(name, 0.0) + ordered.get(name, 0.0):,.10g}"]
        for name, close in answer["closes"].items() if name in {*held, *ordered, *weights}
    ]  # fmt: skip
    tables = {"Orders": (["order", "side", "shares", "last close", "money", "est. cost"], orders)} if orders else {}
    return tables | {"Holdings": (["symbol", "held", "last close", "weight", "after the orders"], holdings)}


def day_in_words(answer: Mapping[str, Any]) -> list[str]:
    """Why something is to be done or nothing, the leverage with its parts, what comes of the orders.

    Parameters
    ----------
    answer : mapping
        As `advance` gives it.

    Returns
    -------
    list of str
    """
    lever, after, orders = answer["leverage"], answer["afterwards"], answer["orders"]
    volatility = "not known yet" if lever["volatility"] is None else f"{100 * lever['volatility']:.2f} %"
    others = ", ".join(f"{name} {shares:,.10g}" for name, shares in answer["others"].items())
    cost = sum(one["estimated_cost"] for one in orders)
    lines = [
        f"Session {answer['session']}: equity {answer['value']:,.2f}, cash {answer['cash']:,.2f}.",
        f"Weights of {answer['decided']}; next rebalance session {answer['next_rebalance']}.",
        f"Leverage aimed at {lever['target']:.2f}: {lever['volatility_part']:.2f} by a volatility of {volatility}, × "
        f"{lever['brake_part']:.2f} by a drawdown of {100 * lever['drawdown']:.2f} % since the peak of "
        f"{lever['peak_on']}.",
        f"{answer['why'][0].upper()}{answer['why'][1:]}.",
        *("{symbol}: {held:,.10g} held, {expected:,.10g} expected: {cause}.".format(**one)
          for one in answer["differences"]),
        f"Not this account's, left alone: {others}." if others else "",
        "Below the maintenance margin: the broker will cut the holdings at the next open." if answer["called"] else "",
        *(f"{note}." for note in answer["notes"]),
        f"To be sent for the next open: {len(orders)} market orders, some {cost:,.2f} of costs."
        if orders else "Nothing to do.",
        f"Afterwards: leverage {after['leverage']:.2f}, loan {after['loan']:,.0f}, margin used "
        f"{100 * after['margin_used']:.0f} %, a fall by {100 * after['to_call']:.0f} % would bring a margin call.",
    ]  # fmt: skip
    return [line for line in lines if line]


def write_day(path: str | Path, account: Mapping[str, Any], synthetic: bool) -> None:
    """Write one page of the day, which needs no other file, as `write_file` does.

    Parameters
    ----------
    path : str or Path
    account : mapping
        As `advance` gives it.
    synthetic : bool
        Whether its prices are made up.

    Raises
    ------
    InputError
        A file that cannot be written.
    MissingExtraError
        plotly is not installed.
    """
    answer = account["answer"]
    first, *more = [*day_in_words(answer), f"{costs_in_words(account['config'])}."]
    sections = [Section("why", "Why", paragraphs(more))]
    for heading, (titles, rows) in day_tables(answer).items():
        sections.append(Section(heading.lower(), heading, text_table(titles, rows)))
    heading = f"{len(answer['orders'])} orders" if answer["orders"] else "Nothing to do"
    title, scope = f"Orders for the session after {answer['session']}", f"account opened {account['opened']}"
    page = page_html(Page(title, heading, [first], scope, synthetic, sections, (), {}))
    write_text(path, page)


def write_orders(path: str | Path, orders: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file with columns symbol, side, shares, last_close, estimated_cost, money; the last two in cents.

    Parameters
    ----------
    path : str or Path
    orders : iterable of mapping
        As the answer of `advance` has them; none makes a header alone.

    Raises
    ------
    InputError
        As `write_file`.
    """
    table = pd.DataFrame(list(orders), columns=_ORDERS).round({"estimated_cost": 2, "money": 2})
    write_file(path, lambda file: table.to_csv(file, index=False, float_format="%.15g"))


def write_basket(path: str | Path, orders: Iterable[Mapping[str, Any]]) -> None:
    """Write what TWS's BasketTrader imports: market orders at the open, in US dollars, through SMART.

    Nothing is sent: TWS shows the orders, and a person transmits them.

    Parameters
    ----------
    path : str or Path
    orders : iterable of mapping
        Whole shares of companies and funds that are listed in the United States.

    Raises
    ------
    InputError
        A fraction of a share, which no auction takes; a symbol of elsewhere, or of no share. As `write_file`.
    """
    rows = []
    for one in orders:
        side, shares, symbol = one["side"], one["shares"], one["symbol"]
        if not float(shares).is_integer() or not _AMERICAN.fullmatch(symbol):
            problem = f"{side} {shares:g} {symbol} is no order of whole shares listed in the United States"
            raise InputError(problem, "leave --no-whole-shares away, or send that order by hand")
        rows.append((side, int(shares), re.sub("[-.]", " ", symbol), "STK", "SMART", "USD", "OPG", "MKT"))
    write_file(path, lambda file: pd.DataFrame(rows, columns=_BASKET).to_csv(file, index=False))
