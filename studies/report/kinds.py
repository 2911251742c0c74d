"""The kinds of page: of a backtest, of a ladder, of a sweep, of a walk-forward."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from riskoverlay.feeds import Panel

from ..financing import MEANINGS, Breakeven, Routes, breakeven_in_words, routes_conclusion, terms_in_words
from ..judgement import Interval
from ..ladder import Ladder, Surety, engine_in_words
from ..sweep import Judged, in_words, params_in_words
from ..walkforward import Walk, walk_in_words
from ..workbench.attributed import Attributed, attributed, attributed_in_words
from ..workbench.captions import NOTEBOOK_RATIO, costs_in_words, pending_in_words, risk_free_in_words
from ..workbench.outputs import write_text
from ..workbench.parameters import Config
from ..workbench.portfolios import Backtest
from ..workbench.theirs import named
from .attribution import attribution_chart, attribution_table
from .chart import Chart
from .figures import account_charts, costs, drawdown, growth, rolling, shared_arrays, years
from .loans import routes_chart, routes_table
from .markup import day, escape, number
from .page import Page, Section, drawn, folded, page_html, paragraphs, time_spans
from .portfolios import Account, Portfolio, accounts, lead_first, leader, walk_portfolios
from .rungs import rungs_table, surety_table, waterfall
from .spans import Span, crises, spans_summary
from .tables import (
    beyond,
    configuration,
    costs_by_year,
    data,
    headline,
    intervals_table,
    monthly,
    spans_table,
    trade_columns,
    worst_drawdowns_tables,
)
from .trades import trades
from .tries import ranking, sweep_charts
from .windows import walk_costs, walk_table, windows_table
from .words import TRUTH, backtest_words, ladder_words, simulated, sweep_words, symbols_in_words, walk_words

__all__ = ["page_spans", "report_html", "walk_html", "write_report", "write_walk"]

CONSTANT = (
    "Constant is base at the mean leverage of dynamic, which is known only afterwards: what dynamic did beyond it is "
    "timing."
)

ATTRIBUTION = (
    "Each session's return is the sum of these terms, and linked to log growth they add up without a rest (Cariño "
    "1999). The source is the unlevered return of the decided weights; the mean leverage is known only afterwards."
)

Intervals = Mapping[str, Mapping[str, Interval]]


def write_report(
    path: str | Path,
    result: Backtest,
    *,
    ladder: Ladder | None = None,
    sure: Mapping[str, Mapping[str, Surety]] | None = None,
    sweep: Judged | None = None,
    spans: Sequence[Span] = (),
    intervals: Intervals | None = None,
    spread: Breakeven | None = None,
    routes: Routes | None = None,
    sections: Sequence[Section] = (),
) -> None:
    """Write the page of a backtest as `write_file` does.

    Parameters
    ----------
    path : str or Path
    result, ladder, sure, sweep, spans, intervals, spread, routes, sections
        As `report_html`.

    Raises
    ------
    InputError
        A file that cannot be written.
    MissingExtraError
        plotly is not installed.
    """
    page = report_html(
        result, ladder=ladder, sure=sure, sweep=sweep, spans=spans, intervals=intervals, spread=spread, routes=routes,
        sections=sections,
    )  # fmt: skip
    write_text(path, page)


def write_walk(path: str | Path, walk: Walk, *, spans: Sequence[Span] = ()) -> None:
    """Write the page of a walk-forward as `write_file` does.

    Parameters
    ----------
    path : str or Path
    walk, spans
        As `walk_html`.

    Raises
    ------
    InputError
        A file that cannot be written.
    MissingExtraError
        plotly is not installed.
    """
    page = walk_html(walk, spans=spans)
    write_text(path, page)


def report_html(
    result: Backtest,
    *,
    ladder: Ladder | None = None,
    sure: Mapping[str, Mapping[str, Surety]] | None = None,
    sweep: Judged | None = None,
    spans: Sequence[Span] = (),
    intervals: Intervals | None = None,
    spread: Breakeven | None = None,
    routes: Routes | None = None,
    sections: Sequence[Section] = (),
) -> str:
    """The page of a backtest, of the ladder that ends in it, or of the sweep whose best try it is.

    HTML that needs no other file and asks the network for nothing.

    Parameters
    ----------
    result : Backtest
    ladder : Ladder, optional
        Of the same market and configuration: the page is its page, and shows it first.
    sure : mapping, optional
        As `step_intervals` gives them: how sure the steps of the ladder are.
    sweep : Judged, optional
        The sweep whose best try `result` is: the page is its page, and begins with the verdict.
    spans : sequence of Span
        Shown beside the crises of history that the prices cover; of a synthetic market alone.
    intervals : mapping, optional
        As `confidence` gives them.
    spread : Breakeven, optional
        At which the overlay is worth nothing.
    routes : Routes, optional
        Of the same market and configuration: the page shows the ways to pay for its loan first.
    sections : sequence of Section
        More of it, shown before all others.

    Returns
    -------
    str

    Raises
    ------
    MissingExtraError
        plotly is not installed.
    """
    shown = accounts(result)
    heading, lede = _heading(result), backtest_words(result)
    own = [*sections]
    charts: list[Chart] = []
    if ladder is not None:
        heading, lede = f"{named(result.config, ': ')}from {ladder.top} to account", ladder_words(ladder)
        heading = heading[0].upper() + heading[1:]
        found = [waterfall(ladder, leg) for leg in ladder.legs]
        own, charts = [*own, _ladder(ladder, found, sure)], [*charts, *found]
    if sweep is not None:
        tries = len(sweep.sweep.good)
        heading, lede = f"The best of {tries} tries" if tries > 1 else "The only try", sweep_words(sweep)
        found = sweep_charts(sweep)
        own, charts = [*own, *_sweep(sweep, found)], [*charts, *found]
    if routes is not None:
        *first, apart = routes_conclusion(routes)
        heading, lede = f"{named(result.config, ': ')}what the loan decides", [apart, " ".join(first)]
        heading = heading[0].upper() + heading[1:]
        found = [routes_chart(routes)]
        own, charts = [*own, _routes(routes, found, spread)], [*charts, *found]
    gone = []
    if (taken_apart := attributed(result)) is not None:
        chart = attribution_chart(taken_apart)
        gone, charts = [_attribution(taken_apart, chart)], [*charts, chart]
    traded = (fill["symbol"] for one in shown for fill in one.run.fills)
    symbols = list(dict.fromkeys([*result.panel.symbols, *traded]))
    coming = paragraphs(pending_in_words(result.leading, result.config))
    over_time, bars, paid = account_charts(result, shown), years(shown), costs(leader(shown))
    return page_html(
        Page(
            title=f"{heading}, {shown[0].returns.index[0]:%Y-%m-%d} to {shown[0].returns.index[-1]:%Y-%m-%d}",
            heading=heading,
            lede=lede,
            scope=_scope(result.panel, shown[0]),
            synthetic=result.panel.synthetic,
            sections=[
                *own,
                Section("figures", "Figures", _figures(result, shown, intervals, None if routes else spread)),
                *gone,
                Section("time", "Over time", time_spans() + drawn(over_time)),
                Section("years", "Years and months", drawn([bars]) + monthly(shown)),
                *_crises(result.panel, shown, spans),
                Section("drawdowns", "Worst drawdowns", worst_drawdowns_tables(shown)),
                Section("costs", "Costs", drawn([paid]) + folded("Costs of every account", costs_by_year(shown))),
                Section("trades", "Trades", coming + trades([one.name for one in lead_first(shown)], symbols)),
                *_origin(result.panel, result.config, result.leading.begins.date(), result.leading.first),
            ],
            charts=[*charts, *over_time, bars, paid],
            shared=shared_arrays(shown, result.leading.decided),
            symbols=symbols,
            trades=trade_columns(shown, symbols),
        )
    )


def walk_html(walk: Walk, *, spans: Sequence[Span] = ()) -> str:
    """The page of a walk-forward: the verdict, the account beside hindsight and nothing chosen, every window.

    HTML that needs no other file and asks the network for nothing.

    Parameters
    ----------
    walk : Walk
    spans : sequence of Span
        As `report_html`.

    Returns
    -------
    str

    Raises
    ------
    MissingExtraError
        plotly is not installed.
    """
    shown, panel = walk_portfolios(walk), walk.sweep.panel
    begins = [walk.sweep.sessions[window.begin] for window in walk.windows]
    over_time, bars = [growth(shown, begins), drawdown(shown), *rolling(shown)], years(shown)
    how = "All of the past was" if walk.expanding else "A rolling window was"
    chosen = f"{how} chosen on. “Then” is the chosen try’s own run in the window, beside it the one account."
    heading = "Walk-forward: chosen on the past, traded next"
    return page_html(
        Page(
            title=f"{heading}, {begins[0]:%Y-%m-%d} to {shown[0].returns.index[-1]:%Y-%m-%d}",
            heading=heading,
            lede=walk_words(walk),
            scope=_scope(panel, shown[0]),
            synthetic=panel.synthetic,
            sections=[
                Section("verdict", "Verdict", walk_table(shown) + paragraphs(walk_in_words(walk))),
                Section("windows", "What was chosen", windows_table(walk) + paragraphs([chosen], "soft")),
                Section("time", "Over time", time_spans() + drawn(over_time)),
                Section("years", "Years and months", drawn([bars]) + monthly(shown)),
                *_crises(panel, shown, spans),
                Section("costs", "Costs", walk_costs(walk)),
                *_origin(panel, walk.sweep.config, shown[0].before.date(), begins[0].date()),
            ],
            charts=[*over_time, bars],
            shared=shared_arrays(shown),
        )
    )


def page_spans(panel: Panel, shown: Sequence[Portfolio], spans: Sequence[Span] = ()) -> list[dict[str, Any]]:
    """What the portfolios did over the crises that the sessions cover, and over the user's spans.

    Parameters
    ----------
    panel : Panel
        Of a synthetic market no crisis of history is shown: there was none.
    shown : sequence of Portfolio
    spans : sequence of Span
        The user's.

    Returns
    -------
    list of dict
        As `spans_summary`.
    """
    known = [] if panel.synthetic else crises(shown[0].sessions)
    return spans_summary([*known, *spans], shown)


# -- sections ----------------------------------------------------------------------------------------------------------


def _heading(result: Backtest) -> str:
    heading = named(result.config, "") or result.lead
    if result.overlaid:
        heading = f"{named(result.config, ': ')}dynamic against base"
    return heading[0].upper() + heading[1:]


def _scope(panel: Panel, one: Portfolio) -> str:
    return (
        f"{escape(symbols_in_words(panel))} · {day(one.returns.index[0])} to {day(one.returns.index[-1])} · "
        f"{number(len(one.returns), 'count')} sessions · prices: {escape(panel.source)}"
    )


def _ladder(ladder: Ladder, found: Sequence[Chart], sure: Mapping[str, Mapping[str, Surety]] | None) -> Section:
    notes = [
        "Each rung is a full run that keeps all above it; the last is the account of this page. Change is of the "
        f"Sharpe ratio, from the rung above. {risk_free_in_words(ladder.config)}"
        + (f"; the notebook ratio is {NOTEBOOK_RATIO}." if ladder.config["strategy"] is None else ".")
    ]
    if (said := engine_in_words(ladder)) is not None:
        notes.append(said)
    charts = f'<div class="pair">{drawn(found)}</div>'
    return Section(
        "ladder",
        "The ladder",
        charts + rungs_table(ladder) + ("" if sure is None else surety_table(sure)) + paragraphs(notes, "soft"),
    )


def _attribution(found: Attributed, chart: Chart) -> Section:
    said, how = attributed_in_words(found), paragraphs([ATTRIBUTION], "soft")
    return Section("attribution", "Where it went", paragraphs([said]) + drawn([chart]) + attribution_table(found) + how)


def _routes(routes: Routes, found: Sequence[Chart], spread: Breakeven | None) -> Section:
    said = [*routes_conclusion(routes), *([] if spread is None else [breakeven_in_words(spread)])]
    notes = paragraphs([terms_in_words(routes), MEANINGS], "soft")
    return Section("financing", "Ways to pay", drawn(found) + routes_table(routes) + paragraphs(said) + notes)


def _sweep(judged: Judged, found: Sequence[Chart]) -> list[Section]:
    verdict = intervals_table(
        judged.intervals,
        {"base": judged.against, "dynamic": "the best", "difference": f"the best − {judged.against}"},
        "judgement.intervals",
    ) + paragraphs(in_words(judged))
    best = params_in_words(judged.winner.params)
    beside = "base has its parameters, constant also its mean leverage"
    if judged.against != "base":
        beside = "as given: the parameters that were not tried"
    note = f"The best: {best}. On the sessions that all tries share; {beside}."
    return [
        Section("verdict", "Verdict", verdict),
        Section("tries", "The tries", drawn(found) + ranking(judged) + paragraphs([note], "soft")),
    ]


def _figures(result: Backtest, shown: Sequence[Account], intervals: Intervals | None, spread: Breakeven | None) -> str:
    over = f"{risk_free_in_words(result.config)}. {costs_in_words(result.config)}."
    text = paragraphs([over], "soft") + headline(shown)
    if result.overlaid:
        text += paragraphs([CONSTANT], "soft")
    if found := result.active:
        text += beyond(result.lead, found)
    if spread is not None:
        text += paragraphs([breakeven_in_words(spread)])
    if intervals is not None:
        text += intervals_table(intervals, {one.name: one.label for one in shown}, "confidence")
    return text


def _crises(panel: Panel, shown: Sequence[Portfolio], spans: Sequence[Span]) -> list[Section]:
    found = page_spans(panel, shown, spans)
    if not found:
        return []
    note = "From the close of the first day to the close of the second, after every cost; the fall is within the span."
    return [Section("crises", "Crises and spans", spans_table(found, shown) + paragraphs([note], "soft"))]


def _origin(panel: Panel, config: Config, first_weights: date, statistics_from: date | pd.Timestamp) -> list[Section]:
    """Where all of it is from; what is synthetic only where something is."""
    truth = [Section("truth", "What is synthetic", paragraphs([TRUTH]))] if panel.synthetic else []
    return [
        *truth,
        Section(
            "data",
            "Data and versions",
            paragraphs([simulated(costs_in_words(config))]) + data(panel, first_weights, statistics_from),
        ),
        Section("config", "Configuration", '<p class="soft">Marked: not the default.</p>' + configuration(config)),
    ]
