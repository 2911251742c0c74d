"""`riskoverlay financing`: the same strategy under every way to pay for its loan."""

import argparse

from riskoverlay.strategies import PRESETS

from ..financing import (
    COLUMNS,
    MEANINGS,
    Breakeven,
    Routes,
    breakeven,
    breakeven_in_words,
    breakeven_summary,
    financing_routes,
    routes_conclusion,
    routes_frame,
    routes_rows,
    routes_summary,
    terms_in_words,
)
from ..pictures import check_picture, draw_routes
from ..report import check_report, check_spans, write_report
from ..workbench.captions import risk_free_in_words
from ..workbench.outputs import write_file, write_json
from ..workbench.portfolios import backtest
from ..workbench.theirs import named
from .flags import Output, add_engine, add_parameters, add_workers, config_of, panel_of, write_outputs
from .pages import add_spans, spans_of
from .screen import Screen

__all__ = ["add_flags", "run"]

OUTPUTS = (
    Output("json", "every route, with config"),
    Output("csv", "one row a route and portfolio"),
    Output("png", "picture of growth and Sharpe ratio by route (or .svg, .pdf)", check=check_picture),
    Output("html", "page of the account, with the routes first", check=lambda _: check_report()),
)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_parameters(command, OUTPUTS)
    add_engine(command, "routes by the twin of the account", "every route through Cerebro")
    add_workers(command)
    add_spans(command)


def run(options: argparse.Namespace, screen: Screen) -> None:
    """Run the command.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    config = config_of(options, OUTPUTS)
    spans = spans_of(options, "html")
    panel = panel_of(options, config, screen)
    check_spans(spans, panel.sessions)
    given = {"engine": options.engine, "workers": options.workers}
    with screen.progress("financing", len(PRESETS) + 1) as advance:
        result = financing_routes(panel, config, **given, advance=advance)
    with screen.progress("breakeven", 32) as advance:
        spread = breakeven(panel, config, **given, advance=advance)
    _show(screen, result, spread)
    content, frame = {**routes_summary(result), "breakeven": breakeven_summary(spread)}, routes_frame(result)
    write_outputs(
        options,
        screen,
        {
            "json": lambda path: write_json(path, content),
            "csv": lambda path: write_file(path, lambda temporary: frame.to_csv(temporary)),
            "png": lambda path: write_file(path, lambda temporary: draw_routes(result, temporary)),
            "html": lambda path: write_report(path, backtest(panel, config), routes=result, spans=spans, spread=spread),
        },
    )


def _show(screen: Screen, result: Routes, spread: Breakeven) -> None:
    panel = result.panel
    more = f", ... ({len(panel.symbols)})" if len(panel.symbols) > 12 else ""
    screen.line(f"{named(result.config, ' on ')}{', '.join(panel.symbols[:12])}{more}, {panel.source}")
    screen.synthetic(panel)
    screen.window(panel)
    screen.line(f"Mean rate of the bill {100 * result.bill:.2f} %. {risk_free_in_words(result.config)}.")
    screen.table(COLUMNS, routes_rows(result))
    screen.line(terms_in_words(result), style="dim")
    screen.line(MEANINGS, style="dim")
    for line in routes_conclusion(result):
        screen.line(line)
    screen.line(breakeven_in_words(spread))
