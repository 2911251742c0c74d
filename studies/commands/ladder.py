"""`riskoverlay ladder`: from a paper result, or a free broker, to the account, one difference at a time."""

import argparse
from collections.abc import Callable
from itertools import zip_longest

from riskoverlay.errors import require

from ..financing import breakeven_summary
from ..ladder import (
    NOT_TOLD,
    Ladder,
    Leg,
    conclusion,
    engine_in_words,
    ladder,
    ladder_frame,
    ladder_summary,
    rungs_of,
    signed,
    step_intervals,
    surety_rows,
    surety_summary,
    universe_in_words,
)
from ..pictures import check_picture, draw_waterfall
from ..report import check_report, check_spans, write_report
from ..workbench.captions import NOTEBOOK_RATIO, costs_in_words, risk_free_in_words
from ..workbench.outputs import write_file, write_json
from ..workbench.portfolios import backtest
from .flags import (
    Output,
    add_breakeven,
    add_engine,
    add_parameters,
    add_workers,
    breakeven_of,
    config_of,
    panel_of,
    write_outputs,
)
from .pages import add_spans, spans_of
from .screen import Screen

__all__ = ["add_flags", "run"]

LAST: dict[bool, tuple[str, str, Callable[[Leg], float]]] = {
    True: ("paper", f"the notebook's ratio, {NOTEBOOK_RATIO}", lambda leg: leg.statistics["sharpe"]),
    False: ("lev.", "the mean leverage held", lambda leg: leg.mean_leverage),
}
"""The last column of a ladder of weights, and of any other: title, meaning, value."""

OUTPUTS = (
    Output("json", "every rung, with config and data"),
    Output("csv", "one row a rung"),
    Output("png", "waterfall picture (or .svg, .pdf)", check=check_picture),
    Output("html", "page of the ladder and of the account at its end", check=lambda _: check_report()),
)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_parameters(command, OUTPUTS)
    add_engine(command, "rungs between the account's first and last by its twin", "every rung of it through Cerebro")
    add_workers(command)
    command.add_argument(
        "--confidence",
        action="store_true",
        help="bootstrap intervals of what each step changes, and which are not told from 0",
    )
    add_breakeven(command)
    add_spans(command)


def run(options: argparse.Namespace, screen: Screen) -> None:
    """Run the command.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    config = config_of(options, OUTPUTS)
    if options.confidence:
        require("arch", "sweep", "a confidence interval")
    spans = spans_of(options, "html")
    panel = panel_of(options, config, screen)
    check_spans(spans, panel.sessions)
    with screen.progress("ladder", len(rungs_of(config))) as advance:
        result = ladder(panel, config, engine=options.engine, workers=options.workers, advance=advance)
    _show(screen, result)
    content, frame = ladder_summary(result), ladder_frame(result)
    sure = None
    if options.confidence:
        with screen.step("intervals"):
            sure = step_intervals(result)
        screen.table(*surety_rows(sure))
        screen.line(f"{NOT_TOLD}: history does not tell the step from no change.", style="dim")
        content["confidence"] = surety_summary(sure)
    spread = breakeven_of(options, panel, config, options.workers, screen)
    if spread is not None:
        content["breakeven"] = breakeven_summary(spread)
    write_outputs(
        options,
        screen,
        {
            "json": lambda path: write_json(path, content),
            "csv": lambda path: write_file(path, lambda temporary: frame.to_csv(temporary)),
            "png": lambda path: write_file(path, lambda temporary: draw_waterfall(result, temporary)),
            "html": lambda path: write_report(
                path, backtest(panel, config), ladder=result, sure=sure, spans=spans, spread=spread
            ),
        },
    )


def _show(screen: Screen, result: Ladder) -> None:
    screen.line(universe_in_words(result))
    screen.line(f"At the bottom: {costs_in_words(result.config)}.")
    screen.synthetic(result.panel)
    screen.window(result.panel)
    changes = {leg: result.changes(leg) for leg in result.legs}
    last, meaning, value = LAST[result.config["strategy"] is None]
    rows = []
    for at, step in enumerate(result.steps):
        for label, name in zip_longest((step.rung.id, step.what), result.legs):
            if name is None:
                rows.append([label, *[""] * 7])
                continue
            s = step.legs[name].statistics
            percent = [f"{100 * s['growth']:.2f}", *(f"{100 * s[key]:.1f}" for key in ("ann_vol", "max_drawdown"))]
            sharpe, change = f"{s['excess_sharpe']:.2f}", signed(changes[name][at])
            rows.append([label, name, sharpe, change, *percent, f"{value(step.legs[name]):.2f}"])
    screen.table(["rung", "", "Sharpe", "step", "growth", "vol", "fall", last], rows, dim_under=True)
    screen.line(
        f"Growth, volatility and largest fall in per cent; step is of Sharpe, from the rung above. "
        f"{risk_free_in_words(result.config)}; {last}: {meaning}."
    )
    screen.line(conclusion(result))
    if (said := engine_in_words(result)) is not None:
        screen.line(said)
