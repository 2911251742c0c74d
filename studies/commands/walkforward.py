"""`riskoverlay walkforward`: choose on the past, trade the next months, in one account."""

import argparse

from ..pictures import check_picture, draw_walk
from ..report import check_report, check_spans, page_spans, walk_portfolios, write_walk
from ..sweep import number_of_tries
from ..walkforward import choice_rows, walk_frame, walk_in_words, walk_rows, walk_summary, walkforward
from ..workbench.outputs import write_file, write_json
from .flags import Output, add_parameters, config_of, panel_of, write_outputs
from .pages import add_spans, spans_of
from .screen import Screen
from .tries import add_tries, tries_of

__all__ = ["add_flags", "run"]

OUTPUTS = (
    Output("json", "windows, statistics, costs"),
    Output("csv", "one row a window"),
    Output("png", "growth of the account (or .svg, .pdf)", check=check_picture),
    Output(
        "html", "page: the verdict, what was chosen when, and what it is held against", check=lambda _: check_report()
    ),
)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_tries(command)
    add_parameters(command, OUTPUTS)
    add_spans(command)
    command.add_argument("--train", type=int, default=36, metavar="MONTHS", help="to choose on (default 36)")
    command.add_argument("--test", type=int, default=12, metavar="MONTHS", help="to trade (default 12)")
    command.add_argument("--expanding", action="store_true", help="choose on all of the past, not on a rolling window")
    command.add_argument("--storage", metavar="FILE|URL", help="share the tries of a sweep (default: none kept)")


def run(options: argparse.Namespace, screen: Screen) -> None:
    """Run the command.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    config = config_of(options, OUTPUTS)
    dimensions, where = tries_of(options, config)
    total = number_of_tries(dimensions, options.trials, options.sweep_seed)
    spans = spans_of(options, "html", "json")
    panel = panel_of(options, config, screen)
    check_spans(spans, panel.sessions)
    windows = {"train": options.train, "test": options.test, "expanding": options.expanding}
    with screen.progress("walkforward", total) as advance:
        walk = walkforward(panel, config, dimensions, **windows, **where, advance=advance)
    screen.window(panel)
    screen.table(*choice_rows(walk))
    screen.table(*walk_rows(walk))
    for line in walk_in_words(walk):
        screen.line(line)
    content = walk_summary(walk)
    if found := page_spans(panel, walk_portfolios(walk), spans):
        content["spans"] = found
    write_outputs(
        options,
        screen,
        {
            "json": lambda path: write_json(path, content),
            "csv": lambda path: write_file(path, lambda temporary: walk_frame(walk).to_csv(temporary)),
            "png": lambda path: write_file(path, lambda temporary: draw_walk(walk, temporary)),
            "html": lambda path: write_walk(path, walk, spans=spans),
        },
    )
