"""`riskoverlay backtest`: base and dynamic portfolio through a broker."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from riskoverlay.errors import InputError, require
from riskoverlay.feeds import Panel

from ..financing import breakeven_summary
from ..judgement import confidence, interval_rows, intervals_summary
from ..pictures import check_picture, write_picture
from ..report import accounts, check_report, check_spans, page_spans, write_report
from ..workbench.allocations import sessions_before
from ..workbench.attributed import attributed, attributed_in_words
from ..workbench.beside import parse_benchmark
from ..workbench.captions import costs_in_words, pending_in_words, risk_free_in_words
from ..workbench.outputs import write_file, write_json
from ..workbench.parameters import BLEND, Config, resolved
from ..workbench.portfolios import Backtest, backtest
from ..workbench.runs import UNLEVERED, Run, simulate
from ..workbench.summaries import backtest_summary, series_frame, weights_frame
from ..workbench.theirs import named
from ..workbench.twins import Twins, check_twin
from ..workbench.workers import begun
from .flags import Output, add_breakeven, add_parameters, bars_of, breakeven_of, config_of, panel_of, write_outputs
from .pages import add_spans, spans_of
from .screen import Screen, shown

__all__ = ["SERIES", "SUMMARY", "add_flags", "run", "show_accounts"]

SERIES = "level63_dd_leverage_series.csv"
SUMMARY = "level63_dd_leverage_summary.json"

OUTPUTS = (
    Output("csv", "daily series", SERIES),
    Output("json", "summary", SUMMARY),
    Output(
        "html", "report: one page with charts, tables and trades that needs no network", check=lambda _: check_report()
    ),
    Output("weights_csv", "unlevered weights by date of decision, which --weights FILE.csv gives again"),
    Output("png", "picture of four panels that fits a slide (or .svg, .pdf)", check=check_picture),
)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_parameters(command, OUTPUTS)
    command.add_argument(
        "--confidence", action="store_true", help="bootstrap intervals of Sharpe ratio, return and max drawdown"
    )
    command.add_argument(
        "--benchmark", action="append", default=[], metavar="SYMBOL|NAME=SYMBOL:WEIGHT,...",
        help="a portfolio to stand beside, rebalanced and charged alike; once for each",
    )  # fmt: skip
    command.add_argument(
        "--check-twin", action="store_true",
        help="run base and dynamic by the twin of the account, too, and say by how much each column differs",
    )  # fmt: skip
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
    if config["strategy"] is not None:
        _refuse_of_weights(options)
    benchmarks = [parse_benchmark(text) for text in options.benchmark]
    spans = spans_of(options, "html", "json")
    panel = panel_of(options, config, screen)
    check_spans(spans, panel.sessions)
    bars = bars_of(options, benchmarks, panel, config, screen)
    with _dynamic_begun(panel, config) as dynamic, screen.progress("backtest", 3 * len(panel.sessions)) as advance:
        result = backtest(panel, config, benchmarks=benchmarks, bars=bars, dynamic=dynamic, advance=advance)
    show_accounts(screen, result)
    content, intervals = backtest_summary(result), None
    if found := page_spans(panel, accounts(result), spans):
        content["spans"] = found
    if options.confidence:
        with screen.step("intervals"):
            first = result.portfolios.get("base")
            intervals = confidence(
                result.leading.returns, None if first is None else first.returns, result.leading.risk_free
            )
        screen.table(*interval_rows(intervals))
        content["confidence"] = intervals_summary(intervals)
    if options.check_twin:
        content["twin"] = _check_twin(result, screen)
    spread = breakeven_of(options, panel, config, None, screen)
    if spread is not None:
        content["breakeven"] = breakeven_summary(spread)

    def write_series(path: str) -> None:
        frame = series_frame(result)
        write_file(path, lambda temporary: frame.to_csv(temporary, index_label="date"))

    write_outputs(
        options,
        screen,
        {
            "csv": write_series,
            "weights_csv": lambda path: write_file(
                path, lambda temporary: weights_frame(result.leading).to_csv(temporary)
            ),
            "json": lambda path: write_json(path, content),
            "html": lambda path: write_report(path, result, spans=spans, intervals=intervals, spread=spread),
            "png": lambda path: write_picture(path, result),
        },
    )


@contextmanager
def _dynamic_begun(panel: Panel, config: Config) -> Iterator[Callable[[], Run] | None]:
    """Dynamic beside base, begun before a bar moves: its thread would forbid it. The blend's alone: code of the user's
    runs once, here."""
    if config["weights"] != BLEND or config["strategy"] is not None:
        yield None
        return
    with begun(partial(simulate, panel, resolved(config, panel))) as dynamic:
        yield dynamic


def _refuse_of_weights(options: argparse.Namespace) -> None:
    """InputError for what needs weights."""
    for name in ("weights_csv", "check_twin"):
        if getattr(options, name):
            raise InputError(f"--{name.replace('_', '-')} is of weights, and a strategy decides itself", "leave it out")


def _check_twin(result: Backtest, screen: Screen) -> dict[str, dict[str, float]]:
    """Largest difference of each column, by portfolio."""
    with screen.step("twin"):
        twins = Twins(result.panel)
        runs = {"base": {**result.config, **UNLEVERED}, "dynamic": result.config}
        found = {name: dict(check_twin(twins, config, result.runs[name])) for name, config in runs.items()}
    rows = [[column, *(f"{found[name][column]:.1e}" for name in found)] for column in found["base"]]
    screen.table(["twin − Cerebro at most", *found], rows)
    return found


TAX = "tax on dividends"
"""A label."""

ROWS: tuple[tuple[str, Callable[[Run], Any], str], ...] = (
    ("growth a year", lambda one: 100 * one.statistics["growth"], "{:.2f} %"),
    ("volatility a year", lambda one: 100 * one.statistics["ann_vol"], "{:.2f} %"),
    ("Sharpe ratio", lambda one: one.statistics["excess_sharpe"], "{:.3f}"),
    ("max drawdown", lambda one: 100 * one.statistics["max_drawdown"], "{:.2f} %"),
    ("mean leverage held", lambda one: one.mean_leverage, "{:.2f}"),
    ("end value", lambda one: one.costs["end"], "{:,.0f}"),
    ("commission", lambda one: one.costs["commission"], "{:,.0f}"),
    ("slippage", lambda one: one.costs["slippage"], "{:,.0f}"),
    ("interest paid", lambda one: one.interest[0], "{:,.0f}"),
    ("interest earned", lambda one: one.interest[1], "{:,.0f}"),
    ("dividends", lambda one: one.costs["dividends"], "{:,.0f}"),
    (TAX, lambda one: one.costs["tax"], "{:,.0f}"),
    ("turnover a year", lambda one: one.turnover, "{:.2f} x"),
    ("orders sent", lambda one: one.costs["orders"]["sent"], "{:,}"),
    ("orders filled", lambda one: one.costs["orders"]["filled"], "{:,}"),
    ("orders rejected", lambda one: one.costs["orders"]["rejected"], "{:,}"),
    ("margin calls", lambda one: one.costs["orders"]["margin_calls"], "{:,}"),
    ("below maintenance", lambda one: one.below_maintenance, "{:,}"),
)
"""What is printed of an account, and how."""

OF_RAW_PRICES = ("dividends", TAX)
"""Labels of what adjusted prices hide."""


BEYOND = (
    ("growth a year", "active_return", 100.0, "{:+.2f} %"),
    ("tracking error", "tracking_error", 100.0, "{:.2f} %"),
    ("information ratio", "information_ratio", 1.0, "{:.2f}"),
    ("beta", "beta", 1.0, "{:.2f}"),
    ("up capture", "up_capture", 1.0, "{:.2f}"),
    ("down capture", "down_capture", 1.0, "{:.2f}"),
)
"""What is printed of `active_statistics`: label, key, factor, shape."""


def show_accounts(screen: Screen, result: Backtest) -> None:
    """Print a backtest: every account, and what the leading one did beyond the others.

    Parameters
    ----------
    screen : Screen
    result : Backtest
    """
    panel, lead = result.panel, result.leading
    more = f", ... ({len(panel.symbols)})" if len(panel.symbols) > 12 else ""
    screen.line(f"{named(result.config, ' on ')}{', '.join(panel.symbols[:12])}{more}, {panel.source}")
    screen.synthetic(panel)
    screen.window(panel)
    why = "from the session of the first fill"
    if lead.decided:
        warm_up = sessions_before(result.config)
        why = f"the first {warm_up} returns warm up, and weights are decided from {lead.begins:%Y-%m-%d} on"
    screen.line(
        f"Statistics from {lead.first:%Y-%m-%d} to {panel.sessions[-1]:%Y-%m-%d} ({len(lead.returns)} sessions; {why})."
    )
    screen.line(f"{costs_in_words(result.config)}. {risk_free_in_words(result.config)}.")
    runs = result.runs
    width = 14 if len(runs) < 4 else 10
    rows = [
        [label, *(shown(shape, value(one)) for one in runs.values())]
        for label, value, shape in ROWS
        if label not in OF_RAW_PRICES or (panel.raw and (label != TAX or result.config["withholding"]))
    ]
    screen.table(["", *runs], rows, min_width=width)
    beyond = result.active
    if result.overlaid:
        screen.line("constant: base at dynamic's mean leverage, which is known only afterwards.", style="dim")
    if beyond:
        rows = [
            [label, *(shown(shape, scale * one[key]) for one in beyond.values())] for label, key, scale, shape in BEYOND
        ]
        screen.table([f"{result.lead} beyond", *beyond], rows, min_width=width)
    if result.overlaid:
        timing = 100 * beyond["constant"]["active_return"]
        screen.line(f"Timing the leverage {'added' if timing >= 0 else 'took'} {abs(timing):.2f} % of growth a year.")
    if (apart := attributed(result)) is not None:
        screen.line(attributed_in_words(apart))
    for line in pending_in_words(lead, result.config):
        screen.line(f"{result.lead.capitalize()}: {line[0].lower()}{line[1:]}")
