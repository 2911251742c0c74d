"""Where dynamic's growth beyond base comes from, on a page: a chart by year, and a table of every term."""

from riskoverlay.analyzers import TERMS

from ..workbench.attributed import Attributed
from .chart import Chart, Mark, css, level
from .markup import cell, escape, figure, packed, plotly_text, table

__all__ = ["attribution_chart", "attribution_table"]

COLOURS = {
    "mean_leverage": "--dynamic",
    "timing": "--volatility",
    "drift": "--b4",
    "execution": "--b2",
    "commission": "--commission",
    "slippage": "--slippage",
    "tax": "--tax",
    "loan_interest": "--brake",
    "idle_cash": "--b3",
    "others": "--a3",
}


def attribution_chart(found: Attributed) -> Chart:
    """Dynamic − base by year: a stack of terms, those that gave above 0, those that took below.

    Parameters
    ----------
    found : Attributed

    Returns
    -------
    Chart
    """
    terms, mean = [str(name) for name in found.by_year], found.difference
    data = [
        {
            "type": "bar",
            "name": plotly_text(TERMS[name]),
            "x": [*map(str, found.by_year.index), "a year"],
            "y": packed([*found.by_year[name], mean[name]]),
            "marker": {"color": css(COLOURS[name])},
            "hovertemplate": "%{y:.2%}",
        }
        for name in terms
    ]
    return Chart(
        id="attribution",
        title="Dynamic − base by year",
        note="Log growth: the terms of a year add up to what dynamic was ahead or behind. Last: a year on average.",
        data=data,
        layout={"barmode": "relative", "xaxis": {"type": "category"}, "yaxis": {"tickformat": ".0%"},
                "shapes": [level(0.0, "--rule", "solid")]},
        legend=[Mark(TERMS[name], COLOURS[name], (i,)) for i, name in enumerate(terms)],
        timed=False,
    )  # fmt: skip


def attribution_table(found: Attributed) -> str:
    """Log growth a year of each portfolio by term, and dynamic − base.

    Parameters
    ----------
    found : Attributed

    Returns
    -------
    str
    """
    apart = found.difference
    rows = []
    for name in map(str, found.terms.index):
        row = [cell(escape(TERMS[name]), tag="th")]
        values = {str(one): float(value) for one, value in found.terms.T[name].to_dict().items()}
        row += [cell(figure(value, "points", f"attribution.{one}.{name}")) for one, value in values.items()]
        key = f"attribution.dynamic_minus_base.{name}"
        row.append(cell(figure(apart[name], "points", key, signed=True), kind="soft"))
        rows.append(row)
    sums = [cell(figure(float(found.terms[one].sum()), "points")) for one in found.terms]
    last = cell(figure(float(apart.sum()), "points", signed=True), kind="soft")
    rows.append([cell("log growth a year", tag="th"), *sums, last])
    return table(["", *map(str, found.terms), "dynamic − base"], rows, kind="figures")
