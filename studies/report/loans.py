"""The ways to pay for a loan on a page: a chart of growth by route, and a table of every one."""

from ..financing import LEGS, Routes
from .chart import Chart, Mark, css
from .markup import cell, escape, figure, packed, plotly_text, table
from .portfolios import LOOKS

__all__ = ["routes_chart", "routes_table"]

FIGURES = (
    ("loan", "loan_rate", "percent"),
    ("growth", "growth", "percent"),
    ("volatility", "ann_vol", "percent"),
    ("Sharpe ratio", "excess_sharpe", "ratio"),
    ("max drawdown", "max_drawdown", "percent"),
    ("cost a year", "cost", "percent"),
    ("margin used", "margin_used", "percent"),
    ("to a call", "to_call", "percent"),
)
"""Title, name, kind of number."""


def routes_chart(routes: Routes) -> Chart:
    """Growth of base, constant and dynamic, a group of bars a route.

    Parameters
    ----------
    routes : Routes

    Returns
    -------
    Chart
    """
    names = [plotly_text(route.name.replace("_", " ")) for route in routes.routes]
    data = [
        {
            "type": "bar",
            "name": leg,
            "x": names,
            "y": packed([route.legs[leg].statistics["growth"] for route in routes.routes]),
            "marker": {"color": css(LOOKS[leg][0])},
            "hovertemplate": "%{y:.2%}",
        }
        for leg in LEGS
    ]
    return Chart(
        id="routes",
        title="Growth by way to pay",
        note="The same strategy, the same prices; what the loan costs is all that differs.",
        data=data,
        layout={"barmode": "group", "bargap": 0.3, "xaxis": {"type": "category"}, "yaxis": {"tickformat": ".0%"}},
        legend=[Mark(leg, LOOKS[leg][0], (i,)) for i, leg in enumerate(LEGS)],
        timed=False,
    )


def routes_table(routes: Routes) -> str:
    """Every route with its portfolios."""
    rows = []
    for i, route in enumerate(routes.routes):
        for leg in LEGS:
            one = route.legs[leg]
            values = {**one.statistics, **vars(one)}
            first = escape(route.name.replace("_", " ")) if leg == LEGS[0] else ""
            row = [cell(first, tag="th"), cell(leg)]
            row += [cell(figure(values[name], unit, f"routes.{i}.{leg}.{name}")) for _, name, unit in FIGURES]
            rows.append(row)
    return table(["route", "", *(title for title, *_ in FIGURES)], rows, kind="wide")
