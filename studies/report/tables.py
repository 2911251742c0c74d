"""The tables of the page, as HTML."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.analyzers import monthly_returns
from riskoverlay.feeds import Panel

from ..judgement import Interval
from ..workbench.captions import universe_in_words
from ..workbench.parameters import GROUPS, Config, shown_parameters
from ..workbench.summaries import data_summary, run_summary, versions
from ..workbench.theirs import described
from .markup import MISSING, cell, day, escape, figure, number, packed, table
from .portfolios import Account, Portfolio, base_and_dynamic, lead_first, leader

__all__ = [
    "beyond",
    "configuration",
    "costs_by_year",
    "data",
    "headline",
    "intervals_table",
    "monthly",
    "spans_table",
    "trade_columns",
    "worst_drawdowns_tables",
]

HEADLINE = (
    ("growth a year", "growth", "percent"),
    ("volatility a year", "ann_vol", "percent"),
    ("Sharpe ratio", "excess_sharpe", "ratio"),
    ("max drawdown", "max_drawdown", "percent"),
    ("mean leverage held", "mean_leverage", "times"),
    ("end value", "costs.end", "money"),
    ("commission", "costs.commission", "money"),
    ("slippage", "costs.slippage", "money"),
    ("interest paid", "interest_paid", "money"),
    ("interest earned", "interest_earned", "money"),
    ("dividends", "costs.dividends", "money"),
    ("tax on dividends", "costs.tax", "money"),
    ("turnover a year", "turnover", "times"),
    ("orders sent", "costs.orders.sent", "count"),
    ("orders filled", "costs.orders.filled", "count"),
    ("orders rejected", "costs.orders.rejected", "count"),
    ("margin calls", "costs.orders.margin_calls", "count"),
    ("sessions below maintenance", "sessions_below_maintenance", "count"),
)
"""Label, path in the summary of a run, unit."""

ACTIONS = ("costs.dividends", "costs.tax")
"""Paths of what is 0 in adjusted prices, and not shown then."""

INTERVALS = (("growth a year", "growth", "percent"), ("Sharpe ratio", "excess_sharpe", "ratio"),
             ("max drawdown", "max_drawdown", "percent"))  # fmt: skip
"""Label, name of a statistic with an interval, unit."""

DIFFERENCE = "dynamic − base"

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

FULL_COLOUR = 0.08
"""Monthly return, up or down, that has the full colour."""


def _at(summary: Mapping[str, Any], path: str) -> Any:
    for name in path.split("."):
        summary = summary[name]
    return summary


def headline(shown: Sequence[Account]) -> str:
    """Figures of every account, and the difference that the overlay makes."""
    summaries = {one.key: run_summary(one.run) for one in shown}
    overlaid = _overlaid(shown)
    rows = []
    for label, path, unit in HEADLINE:
        if path in ACTIONS and not any(_at(found, path) for found in summaries.values()):
            continue
        row = [cell(label, tag="th")]
        row += [cell(figure(_at(found, path), unit, f"{key}.{path}")) for key, found in summaries.items()]
        if overlaid:
            base, dynamic = (_at(summaries[one.key], path) for one in base_and_dynamic(shown))
            row.append(cell(figure(dynamic - base, "points" if unit == "percent" else unit, signed=True), kind="soft"))
        rows.append(row)
    head = ["", *(one.label for one in shown)]
    return table([*head, DIFFERENCE] if overlaid else head, rows, kind="figures")


def _overlaid(shown: Sequence[Portfolio]) -> bool:
    return {"base", "dynamic"} <= {one.name for one in shown}


BEYOND = (
    ("growth a year", "active_return", "points"),
    ("tracking error", "tracking_error", "percent"),
    ("information ratio", "information_ratio", "ratio"),
    ("beta", "beta", "ratio"),
    ("up capture", "up_capture", "ratio"),
    ("down capture", "down_capture", "ratio"),
)
"""Label, name in `active_statistics`, unit."""


def beyond(lead: str, found: Mapping[str, Mapping[str, float]]) -> str:
    """What an account did beyond each of the others.

    Parameters
    ----------
    lead : str
        Its name.
    found : mapping
        As `Backtest.active`.

    Returns
    -------
    str
    """
    rows = [
        [
            cell(label, tag="th"),
            *(
                cell(figure(one[key], unit, f"{lead}_beyond.{name}.{key}", signed=unit == "points"))
                for name, one in found.items()
            ),
        ]
        for label, key, unit in BEYOND
    ]
    head = ["", *(f"beyond {name}" for name in found)]
    return table(head, rows, kind="figures", caption=f"What {lead} did beyond the others, on the same sessions")


def intervals_table(intervals: Mapping[str, Mapping[str, Interval]], labels: Mapping[str, str], key: str) -> str:
    """Where growth, Sharpe ratio and drawdown may truly be.

    Parameters
    ----------
    intervals : mapping
        As `confidence` gives them: portfolio -> statistic -> Interval.
    labels : mapping
        Name of a portfolio -> what people read; of others the name itself.
    key : str
        Path of the intervals in the summary.

    Returns
    -------
    str
    """
    named = {"difference": DIFFERENCE, **labels}
    rows = []
    for name, found in intervals.items():
        row = [cell(escape(named.get(name, name)), tag="th")]
        for _, statistic, unit in INTERVALS:
            one, path = found[statistic], f"{key}.{name}.{statistic}"
            kind = "points" if name == "difference" and unit == "percent" else unit
            estimate, low, high = (
                figure(getattr(one, end), kind, f"{path}.{end}") for end in ("estimate", "low", "high")
            )
            row.append(cell(f'{estimate}<br><span class="soft">{low} to {high}</span>'))
        rows.append(row)
    level = next(iter(next(iter(intervals.values())).values())).level
    caption = f"{100 * level:g} % intervals: the same returns drawn again in blocks (stationary bootstrap)"
    return table(["", *(label for label, *_ in INTERVALS)], rows, kind="intervals", caption=caption)


def spans_table(found: Sequence[Mapping[str, Any]], shown: Sequence[Portfolio]) -> str:
    """Return and drawdown of every portfolio over each span.

    Parameters
    ----------
    found : sequence of mapping
        As `spans_summary` gives them.
    shown : sequence of Portfolio

    Returns
    -------
    str
    """
    rows = []
    for i, span in enumerate(found):
        dates = f"{day(span['from'])} to {day(span['to'])}" if span["from"] else "not among the sessions that count"
        row = [cell(f'{escape(span["name"])}<br><span class="soft">{dates}</span>', tag="th")]
        for name in ("return", "max_drawdown"):
            for one in shown:
                row.append(cell(figure(span[one.name][name], "percent", f"spans.{i}.{one.name}.{name}")))
        rows.append(row)
    head = ["", *(f"{one.label} {what}" for what in ("return", "max drawdown") for one in shown)]
    return table(head, rows, kind="wide crises")


def monthly(shown: Sequence[Portfolio]) -> str:
    """Returns by month of every portfolio and of dynamic − base if both are there, all but the first folded away.

    Parameters
    ----------
    shown : sequence of Portfolio

    Returns
    -------
    str
    """
    tables = {one.label: _months(one) for one in lead_first(shown)}
    if _overlaid(shown):
        base, dynamic = base_and_dynamic(shown)
        tables[DIFFERENCE] = tables[dynamic.label] - tables[base.label]
    return "".join(
        f"<details{'' if i else ' open'}><summary>{escape(name)}</summary>{_heat(name, months)}</details>"
        for i, (name, months) in enumerate(tables.items())
    )


def _months(one: Portfolio) -> pd.DataFrame:
    """Fractions; a row a year, columns 1 to 12 and "year"."""
    months = monthly_returns(one.returns.to_numpy(), [stamp.date() for stamp in one.returns.index])
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


def worst_drawdowns_tables(shown: Sequence[Account]) -> str:
    """The deepest falls of every account."""
    return "".join(_falls(one) for one in lead_first(shown))


def _falls(one: Account) -> str:
    rows = [
        [
            cell(day(fall["peak"])),
            cell(day(fall["trough"])),
            cell(day(fall["recovery"]) if fall["recovery"] else "not yet"),
            cell(figure(fall["depth"], "percent", f"{one.key}.drawdown.worst.{i}.depth")),
            cell(number(fall["length"], "count")),
        ]
        for i, fall in enumerate(one.run.drawdown["worst"])
    ]
    head = ["peak", "trough", "recovered", "depth", "sessions"]
    return table(head, rows, kind="falls", caption=f"Worst drawdowns of {one.label}")


def costs_by_year(shown: Sequence[Account]) -> str:
    """Costs of every account, money."""
    paid = [one.run.costs for one in shown]
    kinds = {"commission": "commission", "slippage": "slippage", "interest": "interest, net"}
    if any(one["tax"] for one in paid):
        kinds["tax"] = "tax on dividends"
    rows = [
        [cell(year, tag="th"), *(cell(number(one["by_year"][year][kind], "money")) for one in paid for kind in kinds)]
        for year in leader(shown).run.costs["by_year"]
    ]
    total = [cell(number(one[kind], "money"), kind="total") for one in paid for kind in kinds]
    rows.append([cell("all", tag="th"), *total])
    head = ["", *(f"{one.label} {kind}" for one in shown for kind in kinds.values())]
    return table(head, rows, kind="wide")


def trade_columns(shown: Sequence[Account], symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The fills of every account as packed columns.

    Parameters
    ----------
    shown : sequence of Account
    symbols : sequence of str
        A fill's symbol is its place among these.

    Returns
    -------
    dict
    """
    place = {symbol: i for i, symbol in enumerate(symbols)}
    return {one.name: _columns(one.run.fills, place) for one in shown}


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
    if isinstance(value, type) or (isinstance(value, tuple) and isinstance(value[0], type)):
        return str(described(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def data(panel: Panel, first_weights: date, statistics_from: date) -> str:
    """Range, hash and what was left out of the bars, and the versions that made the numbers.

    Parameters
    ----------
    panel, first_weights, statistics_from
        As `data_summary`.

    Returns
    -------
    str
    """
    about = data_summary(panel, first_weights, statistics_from)
    made_up = f"{panel.adjustment}, made up"
    words = {
        "source": escape(about["source"]),
        "prices": made_up if panel.synthetic else f"as read, {panel.adjustment}; the hash below identifies them",
        "symbols": escape(", ".join(about["symbols"])),
        **({"universe": "<br>".join(map(escape, universe))} if (universe := universe_in_words(panel)) else {}),
        "sessions": f"{about['sessions']:,}, {day(about['first_session'])} to {day(about['last_session'])}",
        "first weights": day(about["first_weights"]),
        "statistics from": day(about["statistics_from"]),
        "left out": "<br>".join(map(escape, about["dropped"])) or "nothing",
        "notes": "<br>".join(map(escape, about["warnings"])) or "none",
        "SHA-256": f'<code data-key="data.sha256">{escape(about["sha256"])}</code>',
        "versions": escape(", ".join(f"{name} {version}" for name, version in versions().items())),
    }
    return "<dl>" + "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in words.items()) + "</dl>"
