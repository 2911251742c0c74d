"""What is said of a day: lines and tables, and a page of it."""

from collections.abc import Mapping
from typing import Any

from ..report.markup import cell, escape, table
from ..report.page import Page, Section, page_html, paragraphs
from ..workbench.captions import costs_in_words

__all__ = ["ORDERS", "STANDS", "day_html", "day_in_words", "holding_rows", "order_rows"]

ORDERS = ("order", "side", "shares", "last close", "money", "est. cost")
"""Titles of `order_rows`."""

STANDS = ("symbol", "held", "last close", "weight", "after the orders")
"""Titles of `holding_rows`."""


def order_rows(answer: Mapping[str, Any]) -> list[list[str]]:
    """A row an order, sells first, as they are to be sent."""
    return [
        [one["symbol"], one["side"], f"{one['shares']:,g}", f"{one['close']:,.2f}",
         f"{one['money']:+,.0f}".replace("-", "−"), f"{one['cost']:,.2f}"]
        for one in answer["orders"]
    ]  # fmt: skip


def holding_rows(answer: Mapping[str, Any]) -> list[list[str]]:
    """A row a symbol: what is held, its weight before leverage, and what will be held."""
    ordered = {one["symbol"]: one["shares"] if one["side"] == "BUY" else -one["shares"] for one in answer["orders"]}
    shown = {*answer["holdings"], *ordered, *answer["weights"]}
    rows = []
    for name in [name for name in answer["closes"] if name in shown]:
        held = answer["holdings"].get(name, 0.0)
        weight = f"{100 * answer['weights'].get(name, 0.0):.1f} %"
        close, then = f"{answer['closes'][name]:,.2f}", f"{held + ordered.get(name, 0.0):,g}"
        rows.append([name, f"{held:,g}", close, weight, then])
    return rows


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
    lever, after = answer["leverage"], answer["afterwards"]
    volatility = "not known yet" if lever["volatility"] is None else f"{100 * lever['volatility']:.2f} %"
    lines = [
        f"Session {answer['session']}: equity {answer['value']:,.2f}, cash {answer['cash']:,.2f}.",
        f"Weights of {answer['decided']}; next rebalance session {answer['next_rebalance']}.",
        f"Leverage aimed at {lever['target']:.2f}: {lever['volatility_part']:.2f} by a volatility of {volatility}, × "
        f"{lever['brake_part']:.2f} by a drawdown of {100 * lever['drawdown']:.2f} % since the peak of "
        f"{lever['peak_on']}.",
        f"{answer['why'][0].upper()}{answer['why'][1:]}.",
    ]
    lines += [
        f"{one['symbol']}: {one['held']:,.10g} held, {one['expected']:,.10g} expected: {one['cause']}."
        for one in answer["differences"]
    ]
    others = ", ".join(f"{name} {shares:,g}" for name, shares in answer["others"].items())
    lines += [f"Not this account's, left alone: {others}."] if others else []
    called = "Below the maintenance margin: the broker will cut the holdings at the next open."
    lines += [called] if answer["called"] else []
    lines += [f"{note}." for note in answer["notes"]]
    cost = sum(one["cost"] for one in answer["orders"])
    to_do = f"To be sent for the next open: {len(answer['orders'])} market orders, some {cost:,.2f} of costs."
    return [
        *lines,
        to_do if answer["orders"] else "Nothing to do.",
        f"Afterwards: leverage {after['leverage']:.2f}, loan {after['loan']:,.0f}, margin used "
        f"{100 * after['margin_used']:.0f} %, a fall by {100 * after['to_call']:.0f} % would bring a margin call.",
    ]


def day_html(account: Mapping[str, Any], synthetic: bool) -> str:
    """One page of the day.

    Parameters
    ----------
    account : mapping
        As `advance` gives it.
    synthetic : bool
        Whether its prices are made up.

    Returns
    -------
    str
        HTML that needs no other file.

    Raises
    ------
    MissingExtraError
        plotly is not installed.
    """
    answer = account["answer"]
    first, *more = day_in_words(answer)
    sections = [
        Section("why", "Why", paragraphs([*more, f"{costs_in_words(account['config'])}."])),
        Section("orders", "Orders", _table(ORDERS, order_rows(answer))),
        Section("holdings", "Holdings", _table(STANDS, holding_rows(answer))),
    ]
    heading = f"{len(answer['orders'])} orders" if answer["orders"] else "Nothing to do"
    scope = f"account opened {account['opened']}"
    title = f"Orders for the session after {answer['session']}"
    return page_html(Page(title, heading, [first], scope, synthetic, sections, (), {}))


def _table(titles: Any, rows: list[list[str]]) -> str:
    cells = [[cell(escape(first), tag="th"), *(cell(escape(one)) for one in rest)] for first, *rest in rows]
    return table(titles, cells, kind="figures")
