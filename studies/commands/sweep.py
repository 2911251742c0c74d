"""`riskoverlay sweep`: many parameters, one judgement."""

import argparse

from riskoverlay.errors import require

from ..pictures import check_picture, draw_sweep
from ..report import check_report, check_spans, write_report
from ..sweep import in_words, judge, number_of_tries, ranking_rows, sweep, sweep_frame, sweep_summary
from ..workbench.outputs import write_file, write_json
from ..workbench.portfolios import backtest
from .flags import Output, add_parameters, config_of, panel_of, write_outputs
from .pages import add_spans, spans_of
from .screen import Screen
from .tries import add_tries, tries_of

__all__ = ["add_flags", "run"]


OUTPUTS = (
    Output("json", "tries, judgement, config of the best"),
    Output("csv", "one row a try"),
    Output("png", "heat map, and in sample against out (or .svg, .pdf)", check=check_picture),
    Output("html", "page of the sweep, its verdict first, and of the best try", check=lambda _: check_report()),
)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_tries(command)
    add_parameters(command, OUTPUTS)
    add_spans(command)
    command.add_argument(
        "--storage", default="sweep.db", metavar="FILE|URL", help="SQLite file or database (default sweep.db)"
    )


def run(options: argparse.Namespace, screen: Screen) -> None:
    """Run the command.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    config = config_of(options, OUTPUTS)
    dimensions, where = tries_of(options, config)
    require("arch", "sweep", "a confidence interval")
    total = number_of_tries(dimensions, options.trials, options.sweep_seed)
    spans = spans_of(options, "html")
    panel = panel_of(options, config, screen)
    check_spans(spans, panel.sessions)
    with screen.progress("sweep", total) as advance:
        result = sweep(panel, config, dimensions, **where, advance=advance)
    with screen.step("judging"):
        judged = judge(result)
    best = result.config_of(judged.winner)
    screen.window(panel)
    screen.table(*ranking_rows(judged))
    for line in in_words(judged):
        screen.line(line)
    write_outputs(
        options,
        screen,
        {
            "json": lambda path: write_json(path, sweep_summary(judged)),
            "csv": lambda path: write_file(path, lambda temporary: sweep_frame(result).to_csv(temporary)),
            "png": lambda path: write_file(path, lambda temporary: draw_sweep(judged, temporary)),
            "html": lambda path: write_report(path, backtest(panel, best), sweep=judged, spans=spans),
        },
    )
