"""The sweep on a page: the criterion over the grid, in sample against out of sample, and the best tries beside base."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..judgement import Overfitting
from ..sweep import CRITERIA, Dimension, Judged, heat, params_in_words, value_in_words
from .chart import Chart, Mark, css
from .markup import cell, escape, figure, packed, plotly_text, table

__all__ = ["ranking", "sweep_charts"]

WORDS = {"sharpe": ("Sharpe ratio", ".2f"), "growth": ("growth a year", ".1%")}
"""Name and number format of a criterion."""

SHOWN, CELLS, COLUMNS = 1000, 150, 8
"""Splits that are drawn at most; cells and columns with which every cell of a map has its figure written in it."""

STATISTICS = (
    ("growth a year", "growth", "percent"),
    ("Sharpe ratio", "excess_sharpe", "ratio"),
    ("volatility", "ann_vol", "percent"),
    ("max drawdown", "max_drawdown", "percent"),
)
"""Label, name in `analyzers.summary`, unit."""


def sweep_charts(judged: Judged) -> list[Chart]:
    """The map, or the order of the tries where there is none; and the splits, if there were any.

    Parameters
    ----------
    judged : Judged

    Returns
    -------
    list of Chart
    """
    found = heat(judged)
    first = _order(judged) if found is None else _map(judged, *found)
    return [first] if judged.overfitting is None else [first, _splits(judged, judged.overfitting)]


def _axes(x: str, y: str, form: str = "", **more: Any) -> dict[str, Any]:
    """Layout of a chart whose axes have names."""
    tick = {"tickformat": form} if form else {}
    return {
        "hovermode": "closest",
        "margin": {"l": 62, "b": 48},
        "xaxis": {"title": {"text": plotly_text(x), "standoff": 6}, "showgrid": bool(form)},
        "yaxis": {"title": {"text": plotly_text(y), "standoff": 6}, **tick},
        **more,
    }


def _map(judged: Judged, rows: Dimension, columns: Dimension, cells: np.ndarray) -> Chart:
    what, form = WORDS[judged.sweep.criterion]
    across, up = ([value_in_words(value) for value in one.values or ()] for one in (columns, rows))
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": across,
        "y": up,
        "z": [[float(value) if np.isfinite(value) else None for value in row] for row in cells],
        "colorscale": [[0, css("--map-low")], [1, css("--map-high")]],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": f"{columns.name} %{{x}}<br>{rows.name} %{{y}}<br>{what} %{{z:{form}}}<extra></extra>",
    }
    if cells.size <= CELLS and len(across) <= COLUMNS:
        trace |= {"texttemplate": f"%{{z:{form}}}", "textfont": {"color": css("--map-ink")}}
    own = judged.winner.params
    j, i = ((one.values or ()).index(own[one.name]) for one in (columns, rows))
    best = {"type": "rect", "x0": j - 0.5, "x1": j + 0.5, "y0": i - 0.5, "y1": i + 0.5,
            "line": {"color": css("--loss"), "width": 3}}  # fmt: skip
    more = len(judged.sweep.dimensions) - 2
    layout = _axes(columns.name, rows.name, shapes=[best])
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"type": "category"}
    return Chart(
        id="map",
        title=f"{what[0].upper()}{what[1:]} over the grid",
        note="Framed: the best. A single bright cell among dark ones is likely to be luck; neighbours that are as good "
        "are a reason to believe it." + (f" Each cell is the best over {more} more." if more else ""),
        data=[trace],
        layout=layout,
        timed=False,
        height=110 + 44 * max(len(up), 3),
    )


def _order(judged: Judged) -> Chart:
    """Tries from best to worst, for a sweep that has no map."""
    what, form = WORDS[judged.sweep.criterion]
    found, good = judged.sweep.statistics, judged.sweep.good
    worth = [found[place][CRITERIA[judged.sweep.criterion]] for place in judged.ranking]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": list(range(1, len(worth) + 1)),
        "y": packed(worth),
        "marker": {"color": css("--dynamic"), "size": 8},
        "customdata": [plotly_text(params_in_words(good[place].params)) for place in judged.ranking],
        "hovertemplate": f"%{{customdata}}<br>{what} %{{y:{form}}}<extra></extra>",
    }
    layout = _axes("tries, best first", what, form)
    legend = []
    if judged.sweep.criterion == "sharpe" and len(worth) > 1:
        line = {"color": css("--loss"), "width": 1, "dash": "dash"}
        at = judged.luck
        layout["shapes"] = [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "line": line}]
        legend = [Mark(f"luck alone, {at:.2f}", "--loss", dash="dashed")]
    return Chart(
        id="map",
        title=f"{what[0].upper()}{what[1:]} of every try",
        note="Best first.",
        data=[trace],
        layout=layout,
        legend=legend,
        timed=False,
    )


def _splits(judged: Judged, found: Overfitting) -> Chart:
    what, form = WORDS[judged.sweep.criterion]
    x, y = found.in_sample, found.out_of_sample
    keep = np.linspace(0, len(x) - 1, min(len(x), SHOWN)).astype(int)
    ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": packed(x[keep]),
        "y": packed(y[keep]),
        "marker": {"color": css("--dynamic"), "size": 4, "opacity": 0.35},
        "hovertemplate": f"%{{x:{form}}}, then %{{y:{form}}}<extra></extra>",
    }
    equal = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip",
             "line": {"color": css("--base"), "width": 1, "dash": "dash"}}  # fmt: skip
    layout = _axes(f"{what}, half it was chosen on", f"{what}, other half", form)
    layout["xaxis"] |= {"tickformat": form, "type": "linear"}
    return Chart(
        id="splits",
        title="The best of one half, on the other half",
        note=f"A point is one way to cut the sessions in halves. In {100 * found.probability:.0f} % of them the best "
        "of one half was in the worse half of all tries on the other; in "
        f"{100 * np.mean(y < 0):.0f} % it was below zero.",
        data=[points, equal],
        layout=layout,
        legend=[Mark("as good on the other half", "--base", dash="dashed")],
        timed=False,
        height=380,
    )


def ranking(judged: Judged, most: int = 10) -> str:
    """The best tries, best first, and what the best is held against, on the sessions that all tries share.

    Parameters
    ----------
    judged : Judged
    most : int
        Tries at most.

    Returns
    -------
    str
    """
    result, found = judged.sweep, judged.sweep.statistics
    names = [dimension.name for dimension in result.dimensions]
    at = {one.number: i for i, one in enumerate(result.tries)}
    rows = []
    for place in judged.ranking[:most]:
        one = result.good[place]
        key = f"tries.{at[one.number]}"
        values = [cell(escape(value_in_words(one.params[name]))) for name in names]
        rows.append([cell(f"try {one.number}", tag="th"), *values, *_figures(found[place], key)])
    for name, statistics in judged.beside.items():
        rows.append([cell(name.replace("_", " "), tag="th"), *(cell("") for _ in names), *_figures(statistics)])
    return table(["", *names, *(label for label, *_ in STATISTICS)], rows, kind="wide")


def _figures(statistics: Mapping[str, float], key: str = "") -> list[str]:
    return [cell(figure(statistics[name], unit, f"{key}.{name}" if key else "")) for _, name, unit in STATISTICS]
