"""The walk-forward on a page: what was chosen when, and the three portfolios beside each other."""

from collections.abc import Sequence

from ..sweep import value_in_words
from ..walkforward import Walk, walk_frame
from .markup import cell, day, escape, figure, table
from .portfolios import Portfolio

__all__ = ["walk_costs", "walk_table", "windows_table"]

STATISTICS = (
    ("growth a year", "growth", "percent"),
    ("volatility a year", "ann_vol", "percent"),
    ("Sharpe ratio", "excess_sharpe", "ratio"),
    ("max drawdown", "max_drawdown", "percent"),
)
"""Label, name in `analyzers.summary`, unit."""

RATIOS = (("Sharpe before", "in_sample"), ("Sharpe then", "out_of_sample"), ("in the account", "account"))
"""Title and column of `walk_frame`."""


def walk_table(shown: Sequence[Portfolio]) -> str:
    """The portfolios side by side."""
    rows = [
        [cell(label, tag="th"), *(cell(figure(one.statistics[name], unit, f"{one.key}.{name}")) for one in shown)]
        for label, name, unit in STATISTICS
    ]
    return table(["", *(one.label for one in shown)], rows, kind="figures")


def windows_table(walk: Walk) -> str:
    """A row a window: when it was traded, what was chosen, and what came of it."""
    rows = []
    for i, window in enumerate(walk_frame(walk).to_dict("records")):
        rows.append(
            [
                cell(day(window["trade_from"]), tag="th"),
                cell(day(window["trade_to"])),
                *(cell(escape(value_in_words(window[one.name]))) for one in walk.sweep.dimensions),
                *(cell(figure(window[column], "ratio", f"windows.{i}.{column}")) for _, column in RATIOS),
            ]
        )
    head = ["traded from", "to", *(one.name for one in walk.sweep.dimensions), *(title for title, _ in RATIOS)]
    return table(head, rows, kind="wide")


def walk_costs(walk: Walk) -> str:
    """What the account paid."""
    labels = {"commission": "commission", "slippage": "slippage", "interest": "interest, paid less earned"}
    if walk.account.costs["tax"]:
        labels["tax"] = "tax on dividends"
    rows = [
        [cell(label, tag="th"), cell(figure(walk.account.costs[name], "money", f"costs.{name}"))]
        for name, label in labels.items()
    ]
    rows.append(
        [cell("margin calls", tag="th"),
         cell(figure(walk.account.costs["orders"]["margin_calls"], "count", "costs.orders.margin_calls"))]
    )  # fmt: skip
    return table(["", "walk-forward"], rows, kind="figures")
