"""The tables of the page, as HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.analyzers import monthly_returns

from ..workbench.parameters import GROUPS, Config, shown_parameters
from ..workbench.portfolios import Backtest
from ..workbench.runs import Run
from ..workbench.summaries import data_summary, run_summary, versions
from .markup import MISSING, cell, day, escape, figure, number, packed, table

__all__ = [
    "configuration",
    "costs_by_year",
    "data",
    "headline",
    "monthly",
    "rungs_table",
    "trade_columns",
    "worst_drawdowns_tables",
]

HEADLINE = (
    ("return a year", "ann_ret", "percent"),
    ("volatility a year", "ann_vol", "percent"),
    ("Sharpe ratio", "sharpe", "ratio"),
    ("max drawdown", "max_drawdown", "percent"),
    ("mean leverage held", "mean_leverage", "times"),
    ("end value", "costs.end", "money"),
    ("commission", "costs.commission", "money"),
    ("slippage", "costs.slippage", "money"),
    ("loan interest", "costs.interest", "money"),
    ("turnover a year", "costs.turnover_annual", "times"),
    ("orders filled", "costs.orders.filled", "count"),
    ("orders rejected", "costs.orders.rejected", "count"),
    ("margin calls", "costs.orders.margin_calls", "count"),
)
"""Label, path in the summary of a run, unit."""

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

FULL_COLOUR = 0.08
"""Monthly return, up or down, that has the full colour."""


def _at(summary: Mapping[str, Any], path: str) -> Any:
    for name in path.split("."):
        summary = summary[name]
    return summary


def headline(result: Backtest) -> str:
    """Figures of base and dynamic and their differences."""
    base, dynamic = run_summary(result.base), run_summary(result.dynamic)
    rows = []
    for label, path, unit in HEADLINE:
        one, other = _at(base, path), _at(dynamic, path)
        rows.append(
            [
                cell(label, tag="th"),
                cell(figure(one, unit, f"base.{path}")),
                cell(figure(other, unit, f"dynamic.{path}")),
                cell(figure(other - one, "points" if unit == "percent" else unit, signed=True), kind="soft"),
            ]
        )
    return table(["", "base", "dynamic", "difference"], rows, kind="figures")


def monthly(result: Backtest) -> str:
    """Returns by month of dynamic, base and their difference, per cent, the last two folded away."""
    tables = {name: _months(run) for name, run in (("dynamic", result.dynamic), ("base", result.base))}
    tables["dynamic − base"] = tables["dynamic"] - tables["base"]
    return "".join(
        f"<details{' open' if name == 'dynamic' else ''}><summary>{name}</summary>{_heat(name, months)}</details>"
        for name, months in tables.items()
    )


def _months(run: Run) -> pd.DataFrame:
    """Fractions; a row a year, columns 1 to 12 and "year"."""
    months = monthly_returns(run.returns.to_numpy(), [stamp.date() for stamp in run.returns.index])
    return months.assign(year=(1.0 + months).prod(axis=1, skipna=True) - 1.0)


def _heat(name: str, months: pd.DataFrame) -> str:
    rows = []
    for year, values in zip(months.index, months.to_numpy(), strict=True):
        rows.append(
            [cell(str(year), tag="th"), *(_warm(value) for value in values[:-1]), _per_cent(values[-1], "total")]
        )
    return table(["", *MONTHS, "year"], rows, kind="heat", caption=f"Monthly returns of {name}, per cent")


def _warm(value: float) -> str:
    strength = round(100 * min(abs(value) / FULL_COLOUR, 1.0)) if np.isfinite(value) else 0
    return _per_cent(value, "up" if value >= 0 else "down", f"--p:{strength}%" if strength else "")


def _per_cent(value: float, kind: str, style: str = "") -> str:
    if not np.isfinite(value):
        return cell("", kind="none")
    shown = f"{100 * value:.1f}"
    return cell(shown.replace("-", "−") if shown != "-0.0" else "0.0", kind=kind, style=style)


def worst_drawdowns_tables(result: Backtest) -> str:
    """The deepest falls of both accounts."""
    return "".join(_falls(name, run) for name, run in (("dynamic", result.dynamic), ("base", result.base)))


def _falls(name: str, run: Run) -> str:
    rows = [
        [
            cell(day(fall["peak"])),
            cell(day(fall["trough"])),
            cell(day(fall["recovery"]) if fall["recovery"] else "not yet"),
            cell(figure(fall["depth"], "percent", f"{name}.drawdown.worst.{i}.depth")),
            cell(number(fall["length"], "count")),
        ]
        for i, fall in enumerate(run.drawdown["worst"])
    ]
    return table(
        ["peak", "trough", "recovered", "depth", "sessions"], rows, kind="falls", caption=f"Worst drawdowns of {name}"
    )


def costs_by_year(result: Backtest) -> str:
    """Costs of both accounts, money."""
    kinds = ("commission", "slippage", "interest")
    base, dynamic = result.base.costs, result.dynamic.costs
    rows = [
        [
            cell(year, tag="th"),
            *(cell(number(run["by_year"][year][kind], "money")) for run in (base, dynamic) for kind in kinds),
        ]
        for year in dynamic["by_year"]
    ]
    rows.append(
        [
            cell("all", tag="th"),
            *(cell(number(run[kind], "money"), kind="total") for run in (base, dynamic) for kind in kinds),
        ]
    )
    head = ["", *(f"{run} {kind}" for run in ("base", "dynamic") for kind in kinds)]
    return table(head, rows, kind="wide")


def rungs_table(rungs: Sequence[Mapping[str, Any]]) -> str:
    """Sharpe ratio and return of every rung."""
    rows = []
    for i, rung in enumerate(rungs):
        before = rungs[max(i - 1, 0)]
        figures = [
            cell(figure(rung[leg][key], unit, f"rungs.{i}.{leg}.{key}"))
            for leg in ("base", "dynamic")
            for key, unit in (("ann_ret", "percent"), ("sharpe", "ratio"))
        ]
        change = rung["dynamic"]["sharpe"] - before["dynamic"]["sharpe"] if i else None
        rows.append(
            [cell(escape(rung["what"]), tag="th"), *figures, cell(number(change, "ratio", signed=True), kind="soft")]
        )
    head = ["", "base return", "base Sharpe", "dynamic return", "dynamic Sharpe", "change"]
    return table(head, rows, kind="wide")


def trade_columns(result: Backtest) -> dict[str, dict[str, Any]]:
    """The fills of both accounts as packed columns; `symbol` counts in the panel's symbols."""
    place = {symbol: i for i, symbol in enumerate(result.panel.symbols)}
    return {name: _columns(run.fills, place) for name, run in (("dynamic", result.dynamic), ("base", result.base))}


def _columns(fills: Sequence[Mapping[str, Any]], place: Mapping[str, int]) -> dict[str, Any]:
    dates = np.array([fill["executed"] for fill in fills], dtype="datetime64[D]").astype(np.int64)
    return {
        "date": packed(dates, "i4"),
        "symbol": packed([place[fill["symbol"]] for fill in fills], "u2"),
        "size": packed([fill["size"] for fill in fills]),
        "price": packed([fill["price"] for fill in fills]),
        "commission": packed([fill["commission"] for fill in fills]),
        "slippage": packed([fill["size"] * (fill["price"] - fill["reference"]) for fill in fills]),
        "call": packed([fill["margin_call"] for fill in fills], "u1"),
    }


# -- where it is from --------------------------------------------------------------------------------------------------


def configuration(config: Config) -> str:
    """Every parameter by what it is about; what differs from the default is marked."""
    parts = []
    for title, rules in GROUPS.items():
        rows = []
        for parameter in shown_parameters(*rules).values():
            value = config[parameter.name]
            changed = type(value) is not type(parameter.default) or _differs(value, parameter.default)
            rows.append(
                [
                    cell(escape(parameter.name), tag="th"),
                    cell(escape(_shown(value)), kind="value changed" if changed else "value"),
                    cell(escape(parameter.help.replace("`", "")), kind="help"),
                ]
            )
        parts.append(table(["", "value", "meaning"], rows, kind="config", caption=title))
    return "".join(parts)


def _differs(value: Any, default: Any) -> bool:
    return (
        bool(value != default)
        if np.ndim(value) == 0 and not isinstance(value, Mapping)
        else _shown(value) != _shown(default)
    )


def _shown(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, (pd.Series, Mapping)):
        return f"{len(value)} dated values"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def data(result: Backtest) -> str:
    """Range, hash and what was left out of the bars, and the versions that made the numbers."""
    about = data_summary(result.panel, result.dynamic.decided[0], result.dynamic.first)
    words = {
        "source": escape(about["source"]),
        "synthetic": "yes: every price is made up" if about["synthetic"] else "no",
        "prices": result.panel.adjustment,
        "symbols": escape(", ".join(about["symbols"])),
        "sessions": f"{about['sessions']:,}, {day(about['first_session'])} to {day(about['last_session'])}",
        "first weights": day(about["first_weights"]),
        "statistics from": day(about["statistics_from"]),
        "left out": "<br>".join(map(escape, about["dropped"])) or "nothing",
        "notes": "<br>".join(map(escape, about["warnings"])) or "none",
        "SHA-256": f'<code data-key="data.sha256">{escape(about["sha256"])}</code>',
        "versions": escape(", ".join(f"{name} {version}" for name, version in versions().items())),
    }
    return "<dl>" + "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in words.items()) + "</dl>"
