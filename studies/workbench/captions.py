"""What stands above or below a table: what the account charges, what results are measured against, what is to come."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from riskoverlay.feeds import Panel

from .loans import financing_in_words
from .parameters import Config
from .rates import rate_in_words
from .runs import Run

__all__ = [
    "NOTEBOOK_RATIO",
    "costs_in_words",
    "growth_in_words",
    "loan_in_words",
    "pending_in_words",
    "risk_free_in_words",
    "universe_in_words",
]

NOTEBOOK_RATIO = "((1 + mean)^252 − 1) / volatility"
"""The ratio that the notebook prints, as a formula to print."""


MOST_ORDERS = 12
"""Orders that a sentence names."""


def costs_in_words(config: Config) -> str:
    """What the account charges, in one line.

    Parameters
    ----------
    config : Config
        With the rates that `auto` came to.

    Returns
    -------
    str
    """
    commission = f"{config['commission_bps']:g} bps"
    if config["commission_per_share"]:
        commission += f" + {config['commission_per_share']:g} a share"
    if config["commission_min"]:
        commission += f" (at least {config['commission_min']:g})"
    loan, cash = _loan_and_cash(config)
    of_whom = f" ({config['financing']})" if isinstance(config["financing"], str) else ""
    dividends = ""
    if config["prices"] == "raw":
        taxed = f", less {100 * config['withholding']:g} % tax" if config["withholding"] else ""
        dividends = f", dividends in cash{taxed}"
    return (
        f"Loans{of_whom} at {loan} a year, idle cash at {cash}, commission {commission}, "
        f"slippage {config['slippage_bps']:g} bps{dividends}"
    )


def _loan_and_cash(config: Config) -> tuple[str, str]:
    if config["financing"] is not None:
        return financing_in_words(config["financing"])
    return rate_in_words(config["borrow_rate"]), rate_in_words(config["cash_rate"])


def loan_in_words(config: Config) -> str:
    """What a loan costs a year: T-bill + 1.5 %.

    Parameters
    ----------
    config : Config
        With the rates that `auto` came to.

    Returns
    -------
    str
    """
    return _loan_and_cash(config)[0]


def universe_in_words(panel: Panel) -> list[str]:
    """Which symbols join a panel late or leave it early, and from when on it has all.

    Parameters
    ----------
    panel : Panel

    Returns
    -------
    list of str
        Empty, if all are there from its first session to its last.
    """
    found = [
        f"{what}: {', '.join(f'{symbol} {word} {day:%Y-%m-%d}' for symbol, day in some[:MOST_ORDERS])}"
        + (f", ... ({len(some)})" if len(some) > MOST_ORDERS else "")
        for what, word, some in (("Join later", "from", panel.joins), ("Leave", "after", panel.leaves))
        if some
    ]
    if panel.joins:
        before = int(panel.sessions.searchsorted(pd.Timestamp(panel.complete_from)))
        found.append(f"{before} of {len(panel.sessions)} sessions are before all have joined")
    if panel.members:
        some = [f"{symbol} {_stretches(panel.members[symbol])}" for symbol in [*panel.members][:MOST_ORDERS]]
        more = f", ... ({len(panel.members)})" if len(panel.members) > MOST_ORDERS else ""
        found.append(f"Members: {', '.join(some)}{more}")
    return found


def _stretches(stretches: Sequence[tuple[date | None, date | None]]) -> str:
    """When a symbol belongs to a universe."""
    words = []
    for first, last in stretches:
        since = "" if first is None else f"from {first} "
        until = "" if last is None else f"to {last} "
        words.append((since + until).strip() or "always")
    return " and ".join(words)


def risk_free_in_words(config: Config) -> str:
    """What the Sharpe ratio is over.

    Parameters
    ----------
    config : Config
        With the rate that `auto` came to.

    Returns
    -------
    str
    """
    rate = config["risk_free"]
    if isinstance(rate, str):
        return f"Sharpe ratio over {'T-bills' if rate == 'irx' else rate_in_words(rate)}"
    return f"Sharpe ratio over {100 * rate:g} % a year" if rate else "Sharpe ratio over 0"


def growth_in_words(growth: float) -> str:
    """A growth a year as a verb: grew by 5.00 % a year, lost 3.00 % a year. A loss is never called a gain."""
    shown = f"{100 * abs(growth):.2f}"
    if not math.isfinite(growth):
        return "has no growth"
    if not float(shown):
        return "neither grew nor shrank"
    return f"{'grew by' if growth > 0.0 else 'lost'} {shown} % a year"


def pending_in_words(run: Run, config: Config) -> list[str]:
    """The orders that no bar fills any more, in a sentence for each session that has sent some.

    Parameters
    ----------
    run : Run
    config : Config
        Of the run.

    Returns
    -------
    list of str
        Empty, if none waits.
    """
    when = "at the next open" if config["execution"] == "next_open" else "at that close, which the next session books"
    days: dict[Any, list[str]] = {}
    for order in run.pending:
        days.setdefault(order["decided"], []).append(f"{order['symbol']} {_shares(order['size'])}")
    return [
        f"Decided on {day:%Y-%m-%d}, to be filled {when}: {', '.join(orders[:MOST_ORDERS])}"
        + (f", ... ({len(orders)} orders)" if len(orders) > MOST_ORDERS else "")
        + (f"; leverage {run.next_decision[1]:.2f}." if run.decided else ".")
        for day, orders in days.items()
    ]


def _shares(size: float) -> str:
    """A signed number of shares to print: +12, −3, +0.125."""
    return f"{size:+,.0f}".replace("-", "−") if float(size).is_integer() else f"{size:+,.3f}".replace("-", "−")
