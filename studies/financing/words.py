"""What is said of the ways to pay: a table, sentences, and what the files hold."""

import math
from typing import Any

import pandas as pd

from ..workbench.allocations import config_summary
from ..workbench.captions import growth_in_words
from ..workbench.summaries import FORMAT, versions
from .routes import GIVEN, LEGS, Charged, Route, Routes

__all__ = [
    "COLUMNS",
    "MEANINGS",
    "routes_conclusion",
    "routes_frame",
    "routes_rows",
    "routes_summary",
    "terms_in_words",
]

COLUMNS = ("route", "", "loan", "growth", "vol", "Sharpe", "fall", "cost", "margin", "to call")
"""Titles of `routes_rows`."""


MEANINGS = (
    "Per cent a year: loan, what the money borrowed cost; cost, interest less what cash earned, commission, slippage "
    "and tax, of equity. Per cent: margin, the most of equity that the maintenance margin asked for; to call, the "
    "least fall of all that was held that would have brought a margin call."
)
"""What the columns are."""


def _shown(value: float, shape: str = "{:.2f}") -> str:
    return shape.format(value).replace("-", "−") if math.isfinite(value) else "–"


def routes_rows(result: Routes) -> list[list[str]]:
    """A row a route and portfolio: per cent, but for the Sharpe ratio.

    Parameters
    ----------
    result : Routes

    Returns
    -------
    list of list of str
        Cells under `COLUMNS`.
    """
    rows = []
    for route in result.routes:
        for leg in LEGS:
            one, name = route.legs[leg], route.name if leg == LEGS[0] else ""
            rows.append([name, leg, *_cells(one)])
    return rows


def _cells(one: Charged) -> list[str]:
    s = one.statistics
    return [
        _shown(100 * one.loan_rate),
        _shown(100 * s["growth"]),
        _shown(100 * s["ann_vol"], "{:.1f}"),
        _shown(s["excess_sharpe"]),
        _shown(100 * s["max_drawdown"], "{:.1f}"),
        _shown(100 * one.cost),
        _shown(100 * one.margin_used, "{:.0f}"),
        _shown(100 * one.to_call, "{:.0f}"),
    ]


def terms_in_words(result: Routes) -> str:
    """What each route charges for the loan, in one line."""
    return "; ".join(f"{route.name}: {route.terms}" for route in result.routes) + "."


def routes_conclusion(result: Routes) -> list[str]:
    """What the ways to pay decide, in sentences.

    Parameters
    ----------
    result : Routes

    Returns
    -------
    list of str
    """
    said = []
    whatever = "with every way to pay"
    for name, title in (("growth", "growth"), ("excess_sharpe", "Sharpe ratio")):
        ahead = [_with(route) for route in result.routes if _lead(route, name) > 0.0]
        behind = [_with(route) for route in result.routes if not _lead(route, name) > 0.0]
        if not behind:
            said.append(f"By {title} dynamic is ahead of base {whatever}")
        elif not ahead:
            said.append(f"By {title} dynamic is behind base {whatever}")
        else:
            both = ", ".join(ahead), ", ".join(behind)
            said.append(f"By {title} dynamic is ahead of base with {both[0]}, and not with {both[1]}")
    grew = {_with(route): route.legs["dynamic"].statistics["growth"] for route in result.routes}
    best, worst = (pick(grew, key=lambda name: grew[name]) for pick in (max, min))
    said.append(
        f"With {best} dynamic {growth_in_words(grew[best])}, with {worst} it {growth_in_words(grew[worst])}: the loan "
        f"alone decides over {100 * (grew[best] - grew[worst]):.2f} % of growth a year"
    )
    return [f"{one}." for one in said]


def _with(route: Route) -> str:
    return "the loan as given" if route.name == GIVEN else route.name


def _lead(route: Route, name: str) -> float:
    return float(route.legs["dynamic"].statistics[name]) - float(route.legs["base"].statistics[name])


def routes_summary(result: Routes) -> dict[str, Any]:
    """Everything that describes the routes, fractions; `config` runs them again.

    Parameters
    ----------
    result : Routes

    Returns
    -------
    dict
        For `write_json`.
    """
    return {
        "format": FORMAT,
        "routes": [
            {"name": route.name, "loan": route.terms, **{leg: _numbers(route.legs[leg]) for leg in LEGS}}
            for route in result.routes
        ],
        "bill": result.bill,
        "conclusion": routes_conclusion(result),
        "engine": result.engine,
        **config_summary(result.config),
        "versions": versions(),
    }


def _numbers(one: Charged) -> dict[str, Any]:
    rest = {name: value for name, value in vars(one).items() if name != "statistics"}
    return {**one.statistics, **rest}


def routes_frame(result: Routes) -> pd.DataFrame:
    """The routes as a table.

    Parameters
    ----------
    result : Routes

    Returns
    -------
    DataFrame of shape (3 · n_routes, n_columns)
        Index route and portfolio; fractions.
    """
    keys = [(route.name, leg) for route in result.routes for leg in LEGS]
    rows = [_numbers(route.legs[leg]) for route in result.routes for leg in LEGS]
    return pd.DataFrame(rows, index=pd.MultiIndex.from_tuples(keys, names=["route", "portfolio"]))
