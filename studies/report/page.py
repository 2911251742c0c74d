"""The page: sections in order, style, script and data in one file."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from riskoverlay.errors import require

from ..workbench.outputs import write_file
from ..workbench.portfolios import Backtest
from .figures import Chart, charts, shared_arrays, waterfall
from .markup import day, escape, number, policy, script_json
from .tables import (
    configuration,
    costs_by_year,
    data,
    headline,
    monthly,
    rungs_table,
    trade_columns,
    worst_drawdowns_tables,
)

__all__ = ["SweepStory", "check_report", "report_html", "write_report"]

HERE = Path(__file__).parent

SPANS = {"all": 0, "10 years": 10, "5 years": 5, "1 year": 1}


def check_report() -> None:
    """Ask for plotly before a long run. MissingExtraError without it."""
    require("plotly", "report", "a report")


@cache
def _plotly() -> str:
    check_report()
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@dataclass(frozen=True)
class SweepStory:
    """What the page tells of the sweep that chose the configuration.

    Attributes
    ----------
    lines : sequence of str
        The judgement, a sentence or two each.
    picture : bytes
        PNG.
    """

    lines: Sequence[str]
    picture: bytes


def write_report(
    path: str | Path, result: Backtest, *, ladder: Mapping[str, Any] | None = None, sweep: SweepStory | None = None
) -> None:
    """Write the page as `write_file` does.

    Parameters
    ----------
    path : str or Path
    result, ladder, sweep
        As `report_html`.

    Raises
    ------
    InputError
        A file that cannot be written.
    MissingExtraError
        plotly is not installed.
    """
    page = report_html(result, ladder=ladder, sweep=sweep)
    write_file(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))


def report_html(result: Backtest, *, ladder: Mapping[str, Any] | None = None, sweep: SweepStory | None = None) -> str:
    """The report of a backtest: HTML that needs no other file and asks the network for nothing.

    Parameters
    ----------
    result : Backtest
    ladder : mapping, optional
        Of the same market and configuration, {"rungs": [{"id", "what", "base", "dynamic"}]} with the statistics of both
        portfolios as fractions.
    sweep : SweepStory, optional
        The sweep whose best try `result` is.

    Returns
    -------
    str

    Raises
    ------
    MissingExtraError
        plotly is not installed.
    """
    drawn = {chart.id: chart for chart in charts(result)}
    rungs = ladder["rungs"] if ladder else []
    if rungs:
        drawn["ladder"] = waterfall(rungs)
    content = {
        "shared": shared_arrays(result),
        "charts": [_for_script(chart) for chart in drawn.values()],
        "symbols": list(result.panel.symbols),
        "trades": trade_columns(result),
    }
    sections = _sections(result, drawn, rungs, sweep)
    scripts = (_plotly(), _asset("page.js"))
    contents = "".join(f'<li><a href="#{key}">{title}</a></li>' for key, title, _ in sections)
    body = "".join(f'<section id="{key}"><h2>{title}</h2>{text}</section>' for key, title, text in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escape(_title(result))}</title>
<link rel="icon" href="data:,">
<style>{_asset("page.css")}</style>
</head>
<body>
<div class="page">
<nav aria-label="Contents"><p>riskoverlay</p><ol>{contents}</ol></nav>
<main>
{_header(result)}
{body}
</main>
</div>
<script type="application/json" id="report-data">{script_json(content)}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _for_script(chart: Chart) -> dict[str, Any]:
    return {"id": chart.id, "data": chart.data, "layout": chart.layout, "timed": chart.timed, "fit": chart.fit}


def _title(result: Backtest) -> str:
    first, last = result.dynamic.first, result.panel.sessions[-1]
    return f"Dynamic against base, {first:%Y-%m-%d} to {last:%Y-%m-%d}"


# -- words -------------------------------------------------------------------------------------------------------------


def _header(result: Backtest) -> str:
    panel, run = result.panel, result.dynamic
    symbols = ", ".join(panel.symbols[:12]) + (
        f" and {len(panel.symbols) - 12} more" if len(panel.symbols) > 12 else ""
    )
    notice = (
        '<p class="notice"><strong>Synthetic market.</strong> Every price is made up, with the moments of real ones. '
        "Nothing here happened.</p>"
        if panel.synthetic
        else ""
    )
    return (
        f"<header><h1>Dynamic against base</h1>{notice}"
        f'<p class="lede">{_sentence(result)}</p>'
        f'<p class="soft">{escape(symbols)} · {day(run.first)} to {day(panel.sessions[-1])} · '
        f"{number(len(run.returns), 'count')} sessions · prices: {escape(panel.source)}</p></header>"
    )


def _sentence(result: Backtest) -> str:
    """The outcome in one sentence, from the figures."""
    one, other = result.base.statistics, result.dynamic.statistics
    return (
        f"The overlay made {number(other['ann_ret'], 'percent')} a year at {number(other['ann_vol'], 'percent')} "
        f"volatility, the same portfolio without it {number(one['ann_ret'], 'percent')} at "
        f"{number(one['ann_vol'], 'percent')}: a Sharpe ratio of {number(other['sharpe'], 'ratio')} against "
        f"{number(one['sharpe'], 'ratio')}, both after costs."
    )


def _truth(result: Backtest) -> str:
    """What is made up and what is not."""
    prices = (
        "<strong>Prices are synthetic</strong>: drawn at random with the volatilities and correlations of real "
        "markets. No such prices were ever quoted, and no result here says anything about the past of any market."
        if result.panel.synthetic
        else f"<strong>Prices are not synthetic</strong>: they are as read from “{escape(result.panel.source)}”, "
        f"{result.panel.adjustment}; the hash below identifies them."
    )
    return (
        f"<p>{prices}</p><p><strong>The accounts are simulated.</strong> Orders, fills, slippage, commission, the "
        "loan and its interest are what backtrader’s broker made of these prices under the configuration below. "
        "No money moved, taxes are not counted, and past results promise nothing.</p>"
    )


# -- sections ----------------------------------------------------------------------------------------------------------


def _sections(
    result: Backtest, drawn: Mapping[str, Chart], rungs: Any, sweep: SweepStory | None
) -> list[tuple[str, str, str]]:
    """Id, title and HTML of each section."""
    over_time = ("equity", "drawdown", "leverage", "volatility", "weights", "risk")
    sections = [
        ("figures", "Figures", headline(result)),
        ("time", "Over time", _spans() + "".join(_figure(drawn[key]) for key in over_time)),
        ("costs", "Costs", _figure(drawn["costs"]) + _folded("Costs of both accounts", costs_by_year(result))),
        ("monthly", "Monthly returns", monthly(result)),
        ("drawdowns", "Worst drawdowns", worst_drawdowns_tables(result)),
    ]
    if rungs:
        ladder = _figure(drawn["ladder"]) + _folded("Every rung in figures", rungs_table(rungs))
        sections.append(("ladder", "The ladder", ladder))
    if sweep is not None:
        sections.append(("sweep", "The sweep", _story(sweep)))
    return [
        *sections,
        ("trades", "Trades", _trades(result)),
        ("truth", "What is synthetic", _truth(result)),
        ("data", "Data and versions", data(result)),
        ("config", "Configuration", '<p class="soft">Marked: not the default.</p>' + configuration(result.config)),
    ]


def _story(sweep: SweepStory) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in sweep.lines)
    source = base64.b64encode(sweep.picture).decode()
    return (
        f'{lines}<figure><img style="max-width:100%;height:auto" src="data:image/png;base64,{source}" '
        'alt="The criterion over the grid, and in sample against out of sample"></figure>'
    )


def _spans() -> str:
    buttons = "".join(
        f'<button type="button" data-years="{years}" aria-pressed="{str(not years).lower()}">{name}</button>'
        for name, years in SPANS.items()
    )
    return (
        f'<div class="spans" role="group" aria-label="Time shown">{buttons}<output id="range"></output></div>'
        '<p class="soft hint">Drag across a chart to zoom all of them, double-click to go back.</p>'
    )


def _figure(chart: Chart) -> str:
    marks = "".join(
        f'<li><button type="button" aria-pressed="true" data-chart="{chart.id}" '
        f'data-traces="{" ".join(map(str, traces))}">'
        f'<i style="background:var({colour})"></i>{escape(name)}</button></li>'
        for name, colour, traces in chart.legend
    )
    legend = f'<ul class="legend">{marks}</ul>' if marks else ""
    return (
        f'<figure id="{chart.id}"><figcaption><h3>{chart.title}</h3><p>{escape(chart.note)}</p></figcaption>{legend}'
        f'<div class="chart" id="chart-{chart.id}" style="height:{chart.height}px" role="img" '
        f'aria-label="{escape(chart.title)}: {escape(chart.note)}"></div></figure>'
    )


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>"


def _trades(result: Backtest) -> str:
    symbols = "".join(f'<option value="{escape(s)}">{escape(s)}</option>' for s in result.panel.symbols)
    head = ("date", "side", "symbol", "shares", "price", "value", "commission", "slippage")
    titles = "".join(f'<th scope="col"{" class=text" if i < 3 else ""}>{title}</th>' for i, title in enumerate(head))
    return (
        '<form id="trade-filter"><select name="account" aria-label="account"><option>dynamic</option>'
        "<option>base</option></select>"
        f'<select name="symbol" aria-label="symbol"><option value="">all symbols</option>{symbols}</select>'
        '<span class="soft" id="trade-count" role="status"></span><span class="pager">'
        '<button type="button" name="newer">newer</button><button type="button" name="older">older</button>'
        '<button type="button" name="save">save as CSV</button></span></form>'
        f'<div class="scroll"><table id="trade-table" class="wide"><thead><tr>{titles}</tr></thead>'
        "<tbody></tbody></table></div>"
        "<noscript><p>Charts and trades need JavaScript.</p></noscript>"
    )
