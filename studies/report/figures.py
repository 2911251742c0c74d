"""The charts of portfolios and accounts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.conventions import PERIODS

from ..workbench.parameters import BLEND
from ..workbench.portfolios import Backtest
from .chart import Chart, Mark, Trace, css, days, level, line
from .facts import (
    at_decisions,
    calendar_years,
    counted,
    drawdowns,
    largest_and_others,
    risk_shares,
    rolling_sharpe,
    rolling_volatility,
)
from .markup import packed, plotly_text
from .portfolios import Account, AnyPortfolio, Portfolio, lead_last

__all__ = ["ASSETS", "account_charts", "costs", "drawdown", "growth", "rolling", "shared_arrays", "years"]

ASSETS = 8
"""Assets with a colour of their own; more are shown as one."""

COSTS = (
    ("interest", "interest, paid less earned", "--interest"),
    ("slippage", "slippage", "--slippage"),
    ("commission", "commission", "--commission"),
    ("tax", "tax on dividends", "--tax"),
)
"""Key in the costs of a run, name, colour."""


def shared_arrays(shown: Sequence[Portfolio], decided: Sequence[Any] = ()) -> dict[str, Any]:
    """The x arrays.

    Parameters
    ----------
    shown : sequence of Portfolio
        On the same sessions.
    decided : sequence of date
        On which weights were decided.

    Returns
    -------
    dict
        sessions that count, and decisions with the last session behind them, packed.
    """
    sessions = shown[0].sessions
    found = {"sessions": days(sessions)}
    return found | {"decisions": days(pd.DatetimeIndex(list(decided)).append(sessions[-1:]))} if len(decided) else found


def account_charts(result: Backtest, shown: Sequence[Account]) -> list[Chart]:
    """The charts of a backtest that share the time, in the order of the page.

    Parameters
    ----------
    result : Backtest
    shown : sequence of Account

    Returns
    -------
    list of Chart
    """
    fell = _drawdown_and_brake(result, shown) if result.overlaid else drawdown(shown)
    levered = _leverage(result) if result.overlaid else _held(result)
    areas = _areas(result) if result.leading.decided else []
    return [_equity(shown), fell, levered, _volatility(result, shown), *rolling(shown), *areas]


# -- of any portfolios -------------------------------------------------------------------------------------------------


def _legend(shown: Sequence[Portfolio]) -> list[Mark]:
    """What the page is about first."""
    *others, lead = (Mark(one.label, one.colour, (i,)) for i, one in enumerate(lead_last(shown)))
    return [lead, *others]


def _lines(shown: Sequence[AnyPortfolio], values: Callable[[AnyPortfolio], Any], form: str) -> list[Trace]:
    """A line a portfolio, in the order in which `_legend` counts them."""
    return [line(one.label, values(one), one.colour, form, width=one.width) for one in lead_last(shown)]


def growth(shown: Sequence[Portfolio], begins: Sequence[pd.Timestamp] = ()) -> Chart:
    """What 1 became.

    Parameters
    ----------
    shown : sequence of Portfolio
    begins : sequence of Timestamp
        Sessions that a thin upright line marks.

    Returns
    -------
    Chart
    """
    upright = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    marks = [
        {**upright, "x0": f"{day:%Y-%m-%d}", "x1": f"{day:%Y-%m-%d}", "line": {"color": css("--grid"), "width": 1}}
        for day in begins
    ]
    return Chart(
        id="growth",
        title="Growth of 1",
        note="After every cost. Logarithmic: equal steps are equal percentages."
        + (" Upright lines: parameters were chosen anew." if begins else ""),
        data=_lines(shown, lambda one: one.growth, ".3f"),
        layout={"yaxis": {"type": "log", "tickformat": ".2~f", "nticks": 8}, "shapes": marks},
        legend=_legend(shown),
        fit=("yaxis",),
        height=380,
    )


def drawdown(shown: Sequence[Portfolio]) -> Chart:
    """Fall from the peak; that of the one that the page is about is filled."""
    data = _lines(shown, drawdowns, ".1%")
    data = [trace | {"line": {**trace["line"], "width": 1.5}} for trace in data]
    data[-1] |= {"fill": "tozeroy", "fillcolor": css("--dynamic-soft")}
    return Chart(
        id="drawdown",
        title="Drawdown",
        note="Fall from the highest value before.",
        data=data,
        layout={"yaxis": {"tickformat": ".0%", "rangemode": "tozero"}},
        legend=_legend(shown),
    )


def rolling(shown: Sequence[Portfolio], window: int = PERIODS) -> list[Chart]:
    """The Sharpe ratio of the last year: one chart, or none for a record that is shorter.

    Parameters
    ----------
    shown : sequence of Portfolio
    window : int
        Sessions.

    Returns
    -------
    list of Chart
    """
    if len(shown[0].returns) < window:
        return []
    chart = Chart(
        id="rolling",
        title="Rolling Sharpe ratio",
        note=f"Of the last {window} sessions, over the risk-free rate of the configuration. Chance alone moves the "
        "ratio of one year by about ± 2.",
        data=_lines(shown, lambda one: rolling_sharpe(one, window), ".2f"),
        layout={"yaxis": {"tickformat": ".1f"}, "shapes": [level(0.0, "--rule", "solid")]},
        legend=_legend(shown),
        fit=("yaxis",),
    )
    return [chart]


def years(shown: Sequence[Portfolio]) -> Chart:
    """Growth of each calendar year, a bar a portfolio."""
    first, last = shown[0].returns.index[0], shown[0].returns.index[-1]
    data: list[Trace] = []
    for one in shown:
        table = calendar_years(one)
        data.append(
            {
                "type": "bar",
                "name": plotly_text(one.label),
                "x": [str(year) for year in table.index],
                "y": packed(table),
                "marker": {"color": css(one.colour)},
                "hovertemplate": "%{y:.1%}",
            }
        )
    return Chart(
        id="years",
        title="Calendar years",
        note=f"Growth of each year after every cost; {first.year} from {first.day} {first:%B} on, "
        f"{last.year} to {last.day} {last:%B}.",
        data=data,
        layout={"barmode": "group", "bargap": 0.3, "xaxis": {"type": "category"}, "yaxis": {"tickformat": ".0%"},
                "shapes": [level(0.0, "--rule", "solid")]},
        legend=[Mark(one.label, one.colour, (i,)) for i, one in enumerate(shown)],
        timed=False,
    )  # fmt: skip


# -- of accounts -------------------------------------------------------------------------------------------------------


def _equity(shown: Sequence[Account]) -> Chart:
    return Chart(
        id="equity",
        title="Account value",
        note="Money at each close, after every cost. Logarithmic: equal steps are equal percentages.",
        data=_lines(shown, lambda one: one.values, ",.0f"),
        layout={"yaxis": {"type": "log", "tickformat": "~s", "nticks": 8}},
        legend=_legend(shown),
        fit=("yaxis",),
        height=380,
    )


def _drawdown_and_brake(result: Backtest, shown: Sequence[Account]) -> Chart:
    config, chart = result.config, drawdown(shown)
    one, other = config["dd_threshold1"], config["dd_threshold2"]
    return replace(
        chart,
        note=f"{chart.note} Between the two thresholds the brake reduces leverage in a straight line; it sees the "
        "dynamic account only.",
        layout={**chart.layout, "shapes": [level(-one, "--brake", "dot"), level(-other, "--brake")]},
        legend=[
            *chart.legend,
            Mark(f"brake starts, −{100 * one:g} %", "--brake", dash="dotted"),
            Mark(f"brake full, × {config['dd_min_scale']:g}, −{100 * other:g} %", "--brake", dash="dashed"),
        ],
    )


def _leverage(result: Backtest) -> Chart:
    config, table, run = result.config, result.dynamic.exposure.loc[counted(result.dynamic)], result.dynamic
    acted = f"Held is acted on when it is more than {config['lev_band']:g} away from target."
    if not run.decided:
        acted = "It sizes the orders that ask for it: what is held is not levered anew between them."
    brake = {"line": {"color": css("--brake"), "width": 1.5, "shape": "hv"}, "fill": "tozeroy", "yaxis": "y2"}
    data = [
        line("volatility part", table["volatility_part"], "--volatility", ".2f", dash="dot"),
        line("target", table["target_leverage"], "--target", ".2f", width=1),
        line("held", table["leverage"].where(table.index >= run.first), "--dynamic", ".2f", width=2),
        line("brake part", table["brake_part"], "--brake", ".2f") | brake | {"fillcolor": css("--brake-soft")},
    ]
    bounds = [level(config[name], "--rule") for name in ("lev_min", "lev_max")]
    return Chart(
        id="leverage",
        title="Leverage of the dynamic account",
        note=f"Target = volatility part × brake part, within its bounds. {acted} Below: the brake, 1 is off.",
        data=data,
        layout={
            "yaxis": {"domain": [0.34, 1], "rangemode": "tozero", "tickformat": ".1f"},
            "yaxis2": {"domain": [0, 0.22], "range": [0, 1.05], "tickvals": [0, 0.5, 1], "tickformat": ".1f"},
            "xaxis": {"anchor": "y2"},
            "shapes": bounds,
        },
        legend=[
            Mark("held", "--dynamic", (2,)),
            Mark("target", "--target", (1,)),
            Mark("volatility part", "--volatility", (0,)),
            Mark("brake part", "--brake", (3,)),
            Mark(f"bounds, {config['lev_min']:g} and {config['lev_max']:g}", "--rule", dash="dashed"),
        ],
        height=420,
    )


def _held(result: Backtest) -> Chart:
    """Leverage of an account that no overlay sizes."""
    run = result.leading
    table = run.exposure.loc[counted(run)]
    return Chart(
        id="leverage",
        title="Leverage of the account",
        note="Held at each close: the value of its positions, shorts as much as longs, over equity.",
        data=[line("held", table["leverage"], "--dynamic", ".2f", width=2)],
        layout={"yaxis": {"rangemode": "tozero", "tickformat": ".1f"}, "shapes": [level(1.0, "--rule")]},
        legend=[Mark("held", "--dynamic", (0,))],
    )


def _volatility(result: Backtest, shown: Sequence[Account]) -> Chart:
    config, marks, aims, shapes = result.config, _legend(shown), "", []
    if result.overlaid:
        aims = " The overlay aims at the dashed line; the brake and the bounds of leverage may keep it away."
        shapes = [level(config["target_vol"], "--target")]
        marks.append(Mark(f"target, {100 * config['target_vol']:g} %", "--target", dash="dashed"))
    return Chart(
        id="volatility",
        title="Volatility",
        note=f"Of the last {config['vol_lookback']} daily returns, a year.{aims}",
        data=_lines(shown, lambda one: rolling_volatility(one, config["vol_lookback"]), ".1%"),
        layout={"yaxis": {"tickformat": ".0%", "rangemode": "tozero"}, "shapes": shapes},
        legend=marks,
        fit=("yaxis",),
    )


def _areas(result: Backtest) -> list[Chart]:
    """Weights and shares of risk; both change at decisions only, so both are drawn as steps from one to the next."""
    weights, risk = at_decisions(result.leading.weights, result.leading), risk_shares(result)
    largest = weights.mean().sort_values(ascending=False, kind="stable").index[:ASSETS]
    named = [name for name in result.panel.symbols if name in largest]
    whose = f"By {plotly_text(result.config['weights'])}"
    if result.config["weights"] == BLEND:
        part = 100 * result.config["alpha_minvar"]
        whose = f"{100 - part:g} % risk parity, {part:g} % minimum variance"
    return [
        _stack(
            "weights",
            "Weights",
            f"{whose}, before leverage, as decided; sum 100 %. Base and dynamic share them.",
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
        trace = line(name, np.append(values, values[-1]), colour, ".1%", x="decisions")
        trace["line"] = {"color": css("--paper"), "width": 0.6, "shape": "hv"}
        data.append(trace | {"stackgroup": "one", "fillcolor": css(colour)})
    top = float(np.where(table > 0, table, 0.0).sum(axis=1).max())
    low = float(np.where(table < 0, table, 0.0).sum(axis=1).min())
    return Chart(
        id=id,
        title=title,
        note=note,
        data=data,
        layout={"yaxis": {"tickformat": ".0%", "range": [low, max(top, 1.0)]}},
        legend=[Mark(str(name), colour, (i,)) for i, (name, colour) in enumerate(zip(table, colours, strict=True))],
    )


def costs(one: Account) -> Chart:
    """What an account paid in each year that counts."""
    by_year = one.run.costs["by_year"]
    kinds = [one for one in COSTS if one[0] != "tax" or any(by_year[year]["tax"] for year in by_year)]
    counting = [year for year in by_year if int(year) >= one.run.first.year]
    data: list[Trace] = [
        {
            "type": "bar",
            "name": name,
            "x": counting,
            "y": packed([by_year[year][kind] for year in counting]),
            "marker": {"color": css(colour)},
            "hovertemplate": "%{y:,.0f}",
        }
        for kind, name, colour in kinds
    ]
    return Chart(
        id="costs",
        title="Costs by year",
        note=f"Money that {one.label} paid. The tables have every account.",
        data=data,
        layout={"barmode": "relative", "xaxis": {"type": "category"}, "yaxis": {"tickformat": "~s"}},
        legend=[Mark(name, colour, (i,)) for i, (_, name, colour) in enumerate(kinds)],
        timed=False,
    )
