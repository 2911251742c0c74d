"""The ladder on a page: a waterfall a portfolio, and a table of every rung."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ladder import Ladder, Surety, waterfall_bars
from .chart import Chart, css
from .markup import cell, escape, figure, number, packed, plotly_text, table
from .portfolios import LOOKS

__all__ = ["rungs_table", "surety_table", "waterfall"]


def waterfall(ladder: Ladder, leg: str) -> Chart:
    """Sharpe ratio of a portfolio from rung to rung, top to bottom.

    Parameters
    ----------
    ladder : Ladder
    leg : str
        One of `Ladder.legs`.

    Returns
    -------
    Chart
    """
    sharpes = ladder.sharpes(leg)
    first, last = (number(sharpes[end], "level") for end in (0, -1))
    starts, changes = map(list, zip(*waterfall_bars(sharpes), strict=True))
    labels = [*(step.what for step in ladder.steps), "the account"]
    rows = list(range(len(changes)))
    between = ["--gain" if change >= 0 else "--loss" for change in changes[1:-1]]
    low, high = _room([*sharpes, *starts])
    return Chart(
        id=f"ladder-{leg}",
        title=leg.capitalize(),
        note=f"Sharpe ratio from {first} on {ladder.top} to {last} in the account.",
        data=[_bars(starts, changes, ["--paper-bar", *between, LOOKS[leg][0]], labels, [*sharpes, sharpes[-1]])],
        layout={
            "hovermode": "closest",
            "margin": {"l": 8, "r": 8},
            "yaxis": {"range": [len(rows) - 0.5, -0.75], "showticklabels": False, "showgrid": False},
            "xaxis": {"type": "linear", "range": [low, high], "tickformat": ".2~f", "showgrid": True, "zeroline": True},
            "annotations": [_label(row, label) for row, label in zip(rows, labels, strict=True)],
        },
        timed=False,
        height=50 * len(rows) + 50,
    )


def _room(ends: Sequence[float]) -> tuple[float, float]:
    """Range of the axis: the bars, and as much beside them as their figures need."""
    finite = [0.0, *(end for end in ends if np.isfinite(end))]
    low, high = min(finite), max(finite)
    room = 0.16 * max(high - low, 0.1)
    return low - (room if low < 0.0 else 0.0), high + room


def _bars(starts: Any, changes: Any, colours: Sequence[str], labels: Sequence[str], totals: Any) -> dict[str, Any]:
    """Every bar from its lower end up, so that its figure stands to the right of it, where no label is."""
    last = len(changes) - 1
    shown = [number(change, "level", signed=0 < i < last) for i, change in enumerate(changes)]
    return {
        "type": "bar",
        "name": "Sharpe ratio",
        "orientation": "h",
        "base": packed([start + min(change, 0.0) for start, change in zip(starts, changes, strict=True)]),
        "x": packed(np.abs(changes)),
        "y": list(range(len(changes))),
        "width": 0.34,
        "marker": {"color": [css(colour) for colour in colours]},
        "text": shown,
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [[plotly_text(label), number(total, "level")]
                       for label, total in zip(labels, totals, strict=True)],
        "hovertemplate": "%{customdata[0]}<br>%{text}, now %{customdata[1]}<extra></extra>",
    }  # fmt: skip


def _label(row: int, label: str) -> dict[str, Any]:
    return {
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "y": row - 0.4,
        "text": plotly_text(label),
        "showarrow": False,
        "font": {"size": 11.5, "color": css("--ink-soft")},
    }


FIGURES = (("growth", "growth", "percent"), ("Sharpe ratio", "excess_sharpe", "ratio"))


def rungs_table(ladder: Ladder) -> str:
    """Growth and Sharpe ratio of every rung, its change, and the notebook's ratio beside it, or leverage held."""
    of_weights = ladder.config["strategy"] is None
    changes = {leg: ladder.changes(leg) for leg in ladder.legs}
    rows = []
    for i, step in enumerate(ladder.steps):
        rung = escape(step.rung.id.replace("_", " "))
        row = [cell(f'{rung}<br><span class="soft">{escape(step.what)}</span>', tag="th")]
        for leg in ladder.legs:
            found, key = step.legs[leg].statistics, f"rungs.{i}.{leg}"
            row += [cell(figure(found[name], unit, f"{key}.{name}")) for _, name, unit in FIGURES]
            row.append(cell(number(changes[leg][i], "ratio", signed=True), kind="soft"))
            last = figure(found["sharpe"], "ratio", f"{key}.sharpe")
            if not of_weights:
                last = figure(step.legs[leg].mean_leverage, "times", f"rungs.{i}.mean_leverage.{leg}")
            row.append(cell(last, kind="soft"))
        rows.append(row)
    head = ["rung"]
    for leg in ladder.legs:
        head += [f"{leg} {label}" for label, *_ in FIGURES] + [
            "change",
            f"{leg} {'notebook ratio' if of_weights else 'leverage held'}",
        ]
    return table(head, rows, kind="wide rungs")


def surety_table(sure: Mapping[str, Mapping[str, Surety]]) -> str:
    """What each step changes, with its interval; a step that history does not tell from 0 says so.

    Parameters
    ----------
    sure : mapping
        As `step_intervals` gives them: portfolio -> rung -> Surety.

    Returns
    -------
    str
    """
    rows, level = [], 0.0
    for id_ in next(iter(sure.values())):
        unsure = [leg for leg in sure if not sure[leg][id_].told_apart]
        said = f'<br><span class="soft">{" and ".join(unsure)} not told from 0</span>' if unsure else ""
        row = [cell(escape(id_.replace("_", " ")) + said, tag="th")]
        for leg in sure:
            one, key = sure[leg][id_], f"confidence.{leg}.{id_}"
            level = one.growth.level
            for name, unit in (("excess_sharpe", "ratio"), ("growth", "points")):
                found = getattr(one, name)
                estimate, low, high = (
                    figure(getattr(found, end), unit, f"{key}.{name}.{end}") for end in ("estimate", "low", "high")
                )
                row.append(cell(f'{estimate}<br><span class="soft">{low} to {high}</span>'))
        rows.append(row)
    head = [f"change, {100 * level:g} % intervals"]
    for leg in sure:
        head += [f"{leg} Sharpe ratio", f"{leg} growth"]
    return table(head, rows, kind="wide rungs")
