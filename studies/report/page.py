"""A page: sections in order, style, script and data in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from riskoverlay import __version__
from riskoverlay.errors import require

from .chart import Chart
from .markup import escape, policy, script_json

__all__ = ["Page", "Section", "check_report", "drawn", "folded", "page_html", "paragraphs", "time_spans"]

HERE = Path(__file__).parent

YEARS = {"all": 0, "10 years": 10, "5 years": 5, "1 year": 1}


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading, and an entry among the contents.

    Attributes
    ----------
    id, title : str
        Its anchor, and its heading as text.
    html : str
    """

    id: str
    title: str
    html: str


@dataclass(frozen=True)
class Page:
    """What is on a page.

    Attributes
    ----------
    title : str
        Of the window, text.
    heading : str
        Text.
    lede : sequence of str
        The outcome and its reason, first of all; text.
    scope : str
        Symbols, dates, source; HTML.
    synthetic : bool
        Whether prices are made up: said above everything.
    sections : sequence of Section
    charts : sequence of Chart
        All that are in the sections.
    shared : mapping
        Arrays that charts share; `sessions` is the time of all that are `timed`.
    symbols : sequence of str
    trades : mapping
        Fills by account as packed columns; none of a page without a list of trades.
    """

    title: str
    heading: str
    lede: Sequence[str]
    scope: str
    synthetic: bool
    sections: Sequence[Section]
    charts: Sequence[Chart]
    shared: Mapping[str, Any]
    symbols: Sequence[str] = ()
    trades: Mapping[str, Any] = field(default_factory=dict)


def check_report() -> None:
    """Ask for plotly before a long run. MissingExtraError without it."""
    require("plotly", "report", "a report")


@cache
def _plotly() -> str:
    check_report()
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def page_html(page: Page) -> str:
    """HTML that needs no other file and asks the network for nothing. MissingExtraError without plotly."""
    content = {
        "shared": page.shared,
        "charts": [chart.for_script for chart in page.charts],
        "symbols": list(page.symbols),
        "trades": page.trades,
    }
    scripts = (_plotly(), _asset("page.js"))
    contents = "".join(f'<li><a href="#{one.id}">{escape(one.title)}</a></li>' for one in page.sections)
    body = "".join(f'<section id="{one.id}"><h2>{escape(one.title)}</h2>{one.html}</section>' for one in page.sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="riskoverlay {escape(__version__)}">
<title>{escape(page.title)}</title>
<link rel="icon" href="data:,">
<style>{_asset("page.css")}</style>
</head>
<body>
<div class="page">
<nav aria-label="Contents"><p>riskoverlay {escape(__version__)}</p><ol>{contents}</ol></nav>
<main>
{_header(page)}
{body}
</main>
</div>
<script type="application/json" id="report-data">{script_json(content)}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""


def _header(page: Page) -> str:
    notice = (
        '<p class="notice"><strong>Synthetic market.</strong> Every price is made up, with the moments of real ones. '
        "Nothing here happened.</p>"
        if page.synthetic
        else ""
    )
    first, *more = page.lede
    return (
        f'<header><h1>{escape(page.heading)}</h1>{notice}<p class="lede">{escape(first)}</p>{paragraphs(more)}'
        f'<p class="soft">{page.scope}</p></header>'
    )


# -- parts of a section ------------------------------------------------------------------------------------------------


def paragraphs(lines: Sequence[str], kind: str = "") -> str:
    """Text as paragraphs.

    Parameters
    ----------
    lines : sequence of str
    kind : str
        Class.

    Returns
    -------
    str
    """
    start = f'<p class="{kind}">' if kind else "<p>"
    return "".join(f"{start}{escape(line)}</p>" for line in lines)


def folded(title: str, content: str) -> str:
    """HTML that opens when its title is touched.

    Parameters
    ----------
    title, content : str
        Text, and HTML.

    Returns
    -------
    str
    """
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def time_spans() -> str:
    """Buttons that choose the time that all charts show."""
    buttons = "".join(
        f'<button type="button" data-years="{years}" aria-pressed="{str(not years).lower()}">{name}</button>'
        for name, years in YEARS.items()
    )
    return (
        f'<div class="spans" role="group" aria-label="Time shown">{buttons}<output id="range"></output></div>'
        '<p class="soft hint">Drag across a chart to zoom all of them, double-click to go back.</p>'
    )


def drawn(charts: Sequence[Chart]) -> str:
    """Charts with their titles, notes and legends, one below the other."""
    return "".join(_figure(chart) for chart in charts)


def _figure(chart: Chart) -> str:
    marks = []
    for mark in chart.legend:
        swatch = f'<i class="{mark.dash}" style="--c:var({mark.colour})"></i>{escape(mark.label)}'
        traces = " ".join(map(str, mark.traces))
        button = f'<button type="button" aria-pressed="true" data-chart="{chart.id}" data-traces="{traces}">'
        marks.append(f"<li>{button}{swatch}</button></li>" if mark.traces else f"<li><span>{swatch}</span></li>")
    legend = f'<ul class="legend">{"".join(marks)}</ul>' if marks else ""
    title, note = escape(chart.title), escape(chart.note)
    return (
        f'<figure id="{chart.id}"><figcaption><h3>{title}</h3><p>{note}</p></figcaption>{legend}'
        f'<div class="chart" id="chart-{chart.id}" style="height:{chart.height}px" role="img" '
        f'aria-label="{title}: {note}"></div></figure>'
    )
