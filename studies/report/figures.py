"""The charts, as plotly's own dictionaries: what is drawn is said here, how it looks in page.css and page.js.

Three kinds of value are filled in by the page: {"css": name} a colour of the style sheet, {"shared": name} an array
that several charts use, {"dtype", "bdata"} a packed array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..ladder import waterfall_bars
from ..workbench.portfolios import Backtest
from .facts import at_decisions, counted, drawdowns, largest_and_others, risk_shares, rolling_volatility
from .markup import number, packed, plotly_text

__all__ = ["ASSETS", "Chart", "charts", "shared_arrays", "waterfall"]

ASSETS = 8
"""Assets with a colour of their own; more are shown as one."""

COSTS = (
    ("interest", "loan interest", "--interest"),
    ("slippage", "slippage", "--slippage"),
    ("commission", "commission", "--commission"),
)
"""Key in the costs of a run, name, colour."""

Trace = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Attributes
    ----------
    id, title : str
    note : str
        What is to be seen, one or two sentences, plain text.
    data : list of Trace
    layout : dict
    legend : list of (str, str, list of int)
        Name (text), colour, and the traces that it shows and hides.
    timed : bool
        Whether its x axis is the time that all such charts share.
    fit : tuple of str
        Axes that follow what is in view.
    height : int
        Pixels.
    """

    id: str
    title: str
    note: str
    data: list[Trace]
    layout: dict[str, Any]
    legend: list[tuple[str, str, list[int]]] = field(default_factory=list)
    timed: bool = True
    fit: tuple[str, ...] = ()
    height: int = 300


def _css(name: str) -> dict[str, str]:
    return {"css": name}


def _line(
    name: str,
    y: Any,
    colour: str,
    form: str,
    *,
    x: str = "sessions",
    width: float = 1.5,
    dash: str = "solid",
    **more: Any,
) -> Trace:
    """A line; `form` is the number format of its hover text. `name` is plain text."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plotly_text(name),
        "x": {"shared": x},
        "y": packed(y),
        "line": {"color": _css(colour), "width": width, "dash": dash},
        "hovertemplate": f"%{{y:{form}}}",
        **more,
    }


def _level(y: float, colour: str, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A horizontal dashed line across the plot, and the words on it."""
    line = {"color": _css(colour), "width": 1, "dash": "dash"}
    shape = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}
    note = {
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "y": y,
        "yanchor": "bottom",
        "text": text,
        "showarrow": False,
        "font": {"color": _css(colour), "size": 11},
    }
    return shape, note


def shared_arrays(result: Backtest) -> dict[str, Any]:
    """The x arrays, in days since 1970.

    Parameters
    ----------
    result : Backtest

    Returns
    -------
    dict
        sessions that count, and decisions with the last session behind them, packed.
    """
    sessions = counted(result.dynamic)
    decided = pd.DatetimeIndex(result.dynamic.decided).append(sessions[-1:])
    return {
        name: packed(index.to_numpy().astype("datetime64[D]").astype(np.int64), "i4")
        for name, index in {"sessions": sessions, "decisions": decided}.items()
    }


def charts(result: Backtest) -> list[Chart]:
    """All charts of a backtest, in the order of the page."""
    return [_equity(result), _drawdown(result), _leverage(result), _volatility(result), *_areas(result), _costs(result)]


def _equity(result: Backtest) -> Chart:
    data = [
        _line("base", result.base.value.loc[counted(result.base)], "--base", ",.0f"),
        _line("dynamic", result.dynamic.value.loc[counted(result.dynamic)], "--dynamic", ",.0f", width=2),
    ]
    return Chart(
        id="equity",
        title="Account value",
        note="Money at each close, after every cost. Logarithmic: equal steps are equal percentages.",
        data=data,
        layout={"yaxis": {"type": "log", "tickformat": "~s", "nticks": 8}},
        legend=[("dynamic", "--dynamic", [1]), ("base", "--base", [0])],
        fit=("yaxis",),
        height=380,
    )


def _drawdown(result: Backtest) -> Chart:
    config = result.config
    data = [
        _line("base", drawdowns(result.base), "--base", ".1%"),
        _line(
            "dynamic", drawdowns(result.dynamic), "--dynamic", ".1%", fill="tozeroy", fillcolor=_css("--dynamic-soft")
        ),
    ]
    levels = (
        (config["dd_threshold1"], "brake starts", "--brake"),
        (config["dd_threshold2"], f"brake full, × {config['dd_min_scale']:g}", "--brake"),
    )
    marks = [_level(-value, colour, f"{text} ({100 * value:g} %)") for value, text, colour in levels]
    return Chart(
        id="drawdown",
        title="Drawdown",
        note="Fall from the highest value before. Between the two thresholds the brake reduces leverage in a straight "
        "line; it sees the dynamic account only.",
        data=data,
        layout={
            "yaxis": {"tickformat": ".0%", "rangemode": "tozero"},
            "shapes": [shape for shape, _ in marks],
            "annotations": [note for _, note in marks],
        },
        legend=[("dynamic", "--dynamic", [1]), ("base", "--base", [0])],
    )


def _leverage(result: Backtest) -> Chart:
    config, table = result.config, result.dynamic.exposure.loc[counted(result.dynamic)]
    brake = {"line": {"color": _css("--brake"), "width": 1.5, "shape": "hv"}, "fill": "tozeroy", "yaxis": "y2"}
    data = [
        _line("volatility part", table["volatility_part"], "--volatility", ".2f", dash="dot"),
        _line("target", table["target_leverage"], "--target", ".2f", width=1),
        _line("held", table["leverage"].where(table.index >= result.dynamic.first), "--dynamic", ".2f", width=2),
        _line("brake part", table["brake_part"], "--brake", ".2f") | brake | {"fillcolor": _css("--brake-soft")},
    ]
    bounds = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y,
         "line": {"color": _css("--rule"), "width": 1, "dash": "dash"}}
        for y in (config["lev_min"], config["lev_max"])
    ]  # fmt: skip
    return Chart(
        id="leverage",
        title="Leverage of the dynamic account",
        note=f"Target = volatility part × brake part, within {config['lev_min']:g} and {config['lev_max']:g} (dashed). "
        f"Held is acted on when it is more than {config['lev_band']:g} away from target. Below: the brake, 1 is off.",
        data=data,
        layout={
            "yaxis": {"domain": [0.34, 1], "rangemode": "tozero", "tickformat": ".1f"},
            "yaxis2": {"domain": [0, 0.22], "range": [0, 1.05], "tickvals": [0, 0.5, 1], "tickformat": ".1f"},
            "xaxis": {"anchor": "y2"},
            "shapes": bounds,
        },
        legend=[
            ("held", "--dynamic", [2]),
            ("target", "--target", [1]),
            ("volatility part", "--volatility", [0]),
            ("brake part", "--brake", [3]),
        ],
        height=420,
    )


def _volatility(result: Backtest) -> Chart:
    config = result.config
    data = [
        _line(name, rolling_volatility(run, config["vol_lookback"]), colour, ".1%")
        for name, run, colour in (("base", result.base, "--base"), ("dynamic", result.dynamic, "--dynamic"))
    ]
    shape, note = _level(config["target_vol"], "--target", f"target {100 * config['target_vol']:g} %")
    return Chart(
        id="volatility",
        title="Volatility",
        note=f"Of the last {config['vol_lookback']} daily returns, a year. The overlay aims at the dashed line; the "
        "brake and the bounds of leverage may keep it away.",
        data=data,
        layout={"yaxis": {"tickformat": ".0%", "rangemode": "tozero"}, "shapes": [shape], "annotations": [note]},
        legend=[("dynamic", "--dynamic", [1]), ("base", "--base", [0])],
        fit=("yaxis",),
    )


def _areas(result: Backtest) -> list[Chart]:
    """Weights and shares of risk; both change at decisions only, so both are drawn as steps from one to the next."""
    weights, risk = at_decisions(result.dynamic.weights, result.dynamic), risk_shares(result)
    largest = weights.mean().sort_values(ascending=False, kind="stable").index[:ASSETS]
    named = [name for name in result.panel.symbols if name in largest]
    blend = f"{100 * (1 - result.config['alpha_minvar']):g} % risk parity, {100 * result.config['alpha_minvar']:g} % "
    return [
        _stack(
            "weights",
            "Weights",
            f"{blend}minimum variance, before leverage, as decided; sum 100 %. Base and dynamic share them.",
            largest_and_others(weights, named),
            named,
        ),
        _stack(
            "risk",
            "Risk contributions",
            "Each asset's share of the variance of that portfolio, by the covariance it was decided from. Pure risk "
            "parity would make them equal.",
            largest_and_others(risk, named),
            named,
        ),
    ]


def _stack(id: str, title: str, note: str, table: pd.DataFrame, named: Sequence[str]) -> Chart:
    colours = [f"--a{i + 1}" for i in range(len(named))] + ["--other"] * (table.shape[1] - len(named))
    data = []
    for name, colour in zip(map(str, table), colours, strict=True):
        values = table[name].to_numpy()
        trace = _line(name, np.append(values, values[-1]), colour, ".1%", x="decisions")
        trace["line"] = {"color": _css("--paper"), "width": 0.6, "shape": "hv"}
        data.append(trace | {"stackgroup": "one", "fillcolor": _css(colour)})
    top = float(np.where(table > 0, table, 0.0).sum(axis=1).max())
    low = float(np.where(table < 0, table, 0.0).sum(axis=1).min())
    return Chart(
        id=id,
        title=title,
        note=note,
        data=data,
        layout={"yaxis": {"tickformat": ".0%", "range": [low, max(top, 1.0)]}},
        legend=[(str(name), colour, [i]) for i, (name, colour) in enumerate(zip(table, colours, strict=True))],
    )


def _costs(result: Backtest) -> Chart:
    by_year = result.dynamic.costs["by_year"]
    years = [year for year in by_year if int(year) >= result.dynamic.first.year]
    data: list[Trace] = [
        {
            "type": "bar",
            "name": name,
            "x": years,
            "y": packed([by_year[year][kind] for year in years]),
            "marker": {"color": _css(colour)},
            "hovertemplate": "%{y:,.0f}",
        }
        for kind, name, colour in COSTS
    ]
    return Chart(
        id="costs",
        title="Costs by year",
        note="Money that the dynamic account paid. The table has both accounts.",
        data=data,
        layout={"barmode": "relative", "xaxis": {"type": "category"}, "yaxis": {"tickformat": "~s"}},
        legend=[(name, colour, [i]) for i, (_, name, colour) in enumerate(COSTS)],
        timed=False,
    )


def waterfall(rungs: Sequence[Mapping[str, Any]]) -> Chart:
    """Sharpe ratio of the dynamic portfolio from rung to rung of a ladder, top to bottom.

    Parameters
    ----------
    rungs : sequence of mapping
        As in the summary of a ladder.

    Returns
    -------
    Chart
    """
    sharpes = [rung["dynamic"]["sharpe"] for rung in rungs]
    starts, changes = map(list, zip(*waterfall_bars(sharpes), strict=True))
    labels = [*(str(rung["what"]) for rung in rungs), "the account"]
    rows = list(range(len(changes)))
    colours = ["--base", *("--gain" if change >= 0 else "--loss" for change in changes[1:-1]), "--dynamic"]
    texts = [number(change, "level", signed=0 < i < len(changes) - 1) for i, change in enumerate(changes)]
    bars = {
        "type": "bar",
        "name": "Sharpe ratio",
        "orientation": "h",
        "base": packed(starts),
        "x": packed(changes),
        "y": rows,
        "width": 0.34,
        "marker": {"color": [_css(colour) for colour in colours]},
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [[plotly_text(label), number(total, "level")]
                       for label, total in zip(labels, [*sharpes, sharpes[-1]], strict=True)],
        "hovertemplate": "%{customdata[0]}<br>%{text}, now %{customdata[1]}<extra></extra>",
    }  # fmt: skip
    notes = [
        {
            "xref": "paper",
            "x": 0,
            "xanchor": "left",
            "y": row - 0.4,
            "text": plotly_text(label),
            "showarrow": False,
            "font": {"size": 11.5, "color": _css("--ink-soft")},
        }
        for row, label in zip(rows, labels, strict=True)
    ]
    ends = np.array([*sharpes, *starts])
    room = 0.12 * float(np.ptp(ends))
    low = float(ends.min()) - room if ends.min() < 0.0 else 0.0
    return Chart(
        id="ladder",
        title="From paper to account",
        note="Sharpe ratio of the dynamic portfolio, one difference between the paper result and a broker's account "
        "after another.",
        data=[bars],
        layout={
            "hovermode": "closest",
            "margin": {"l": 8, "r": 8},
            "yaxis": {"range": [len(rows) - 0.5, -0.75], "showticklabels": False, "showgrid": False},
            "xaxis": {"type": "linear", "range": [low, float(ends.max()) + room],
                      "tickformat": ".1f", "showgrid": True, "zeroline": True},
            "annotations": notes,
        },
        timed=False,
        height=50 * len(rows) + 50,
    )  # fmt: skip
