"""`backtest --strategy` and `ladder --strategy`: anybody's strategy in the account, and on its way there."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import AllocationRules, TradingRules, WeightRules

from ..ladder import climb_strategy, strategy_conclusion, strategy_frame, strategy_rows, strategy_summary
from ..workbench.captions import costs_in_words, risk_free_in_words
from ..workbench.outputs import write_file, write_json
from ..workbench.parameters import PARAMETERS, Config
from ..workbench.rates import resolved_rates
from ..workbench.references import parse_reference, sources
from ..workbench.summaries import FORMAT, data_summary, versions
from ..workbench.theirs import Strategies, StrategyRun, backtest_strategy
from .flags import write_outputs
from .screen import Screen, shown

__all__ = ["add_strategy", "run_strategy_backtest", "run_strategy_ladder", "theirs_of"]

OF_WEIGHTS = frozenset(
    {"weights", *WeightRules.described(), *TradingRules.described(), *AllocationRules.described()} - {"calendar"}
)
"""Parameters that a strategy which decides for itself does not have."""

Row = tuple[str, Callable[[StrategyRun], Any], str]
ROWS: tuple[Row, ...] = (
    ("growth a year", lambda one: 100 * one.statistics["growth"], "{:.2f} %"),
    ("volatility a year", lambda one: 100 * one.statistics["ann_vol"], "{:.2f} %"),
    ("Sharpe ratio", lambda one: one.statistics["excess_sharpe"], "{:.3f}"),
    ("max drawdown", lambda one: 100 * one.statistics["max_drawdown"], "{:.2f} %"),
    ("mean leverage held", lambda one: one.mean_leverage, "{:.2f}"),
    ("end value", lambda one: one.costs["end"], "{:,.0f}"),
    ("commission", lambda one: one.costs["commission"], "{:,.0f}"),
    ("slippage", lambda one: one.costs["slippage"], "{:,.0f}"),
    ("interest, net", lambda one: one.costs["interest"], "{:,.0f}"),
    ("orders sent", lambda one: one.costs["orders"]["sent"], "{:,}"),
    ("orders filled", lambda one: one.costs["orders"]["filled"], "{:,}"),
    ("orders rejected", lambda one: one.costs["orders"]["rejected"], "{:,}"),
    ("margin calls", lambda one: one.costs["orders"]["margin_calls"], "{:,}"),
)  # fmt: skip
"""What is printed of an account, and how."""


def add_strategy(command: argparse.ArgumentParser) -> None:
    """The flags of a strategy and a sizer of the user's own."""
    group = command.add_argument_group("a strategy of your own")
    group.add_argument(
        "--strategy", metavar="FILE.py:Class[:name=value,...]",
        help="instead of weights, e.g. mine.py:Mine:period=20. The file is run",
    )  # fmt: skip
    group.add_argument(
        "--sizer", metavar="FILE.py:Class[:name=value,...]", help="of it (default: the overlay, if it sends no sizes)"
    )


def theirs_of(options: argparse.Namespace, *refused: str) -> Strategies | None:
    """The strategy that the flags name.

    Parameters
    ----------
    options : argparse.Namespace
    *refused : str
        Names of options that it cannot have.

    Returns
    -------
    Strategies or None
        None without `--strategy`.

    Raises
    ------
    InputError, MissingFileError, StrategyError
        A file or a class that is none; a flag that belongs to weights.
    """
    if options.strategy is None:
        if options.sizer is not None:
            raise InputError("--sizer belongs to --strategy", "give one, or neither of them")
        return None
    for name in refused:
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise InputError(f"{flag} does not go with --strategy", "leave it out")
    for name in OF_WEIGHTS:
        if hasattr(options, name):
            raise InputError(f"{PARAMETERS[name].flag} is of weights, and --strategy decides itself", "leave it out")
    strategy = parse_reference(options.strategy)
    sizer = None if options.sizer is None else parse_reference(options.sizer)
    return Strategies(
        strategy.part(bt.Strategy),
        None if sizer is None else sizer.part(bt.Sizer),
        tuple(one.file for one in (strategy, sizer) if one is not None),
    )


def run_strategy_backtest(
    options: argparse.Namespace, panel: Panel, config: Config, theirs: Strategies, screen: Screen
) -> None:
    """Run a strategy in the account, print it and write its files.

    Parameters
    ----------
    options : argparse.Namespace
    panel : Panel
    config : Config
    theirs : Strategies
    screen : Screen
    """
    config = resolved_rates(config, panel.rates)
    with screen.step("backtest"):
        runs = backtest_strategy(panel, config, theirs)
    first = min(run.returns.index[0] for run in runs.values())
    _head(screen, panel, theirs, config)
    screen.line(f"Statistics from {first:%Y-%m-%d}, the session of the first fill, to {panel.sessions[-1]:%Y-%m-%d}.")
    rows = [[label, *(shown(shape, value(run)) for run in runs.values())] for label, value, shape in ROWS]
    screen.table(["", *runs], rows, min_width=14)
    before = panel.sessions[max(0, int(panel.sessions.searchsorted(first)) - 1)]
    content = {
        "format": FORMAT,
        "strategy": options.strategy,
        "sizer": options.sizer,
        "config": config,
        "files": {name: digest for file in theirs.files for name, digest in sources(file).items()},
        **{name: _summary(run) for name, run in runs.items()},
        "data": data_summary(panel, before, first),
        "versions": versions(),
    }
    frame = pd.DataFrame({f"{what}_{name}": getattr(run, of) for name, run in runs.items()
                          for what, of in (("value", "value"), ("return", "returns"))})  # fmt: skip
    writers: Mapping[str, Callable[[str], None]] = {
        "csv": lambda path: write_file(path, lambda temporary: frame.to_csv(temporary, index_label="date")),
        "json": lambda path: write_json(path, content),
    }
    write_outputs(options, screen, writers)


def run_strategy_ladder(
    options: argparse.Namespace, panel: Panel, config: Config, theirs: Strategies, screen: Screen
) -> None:
    """Take a strategy up the ladder, print it and write its files.

    Parameters
    ----------
    options : argparse.Namespace
    panel : Panel
    config : Config
    theirs : Strategies
    screen : Screen
    """
    with screen.step("ladder"):
        result = climb_strategy(panel, config, theirs)
    _head(screen, panel, theirs, result.config)
    screen.table(*strategy_rows(result), dim_under=True)
    screen.line(
        "Growth, volatility and largest fall in per cent; step is of Sharpe, from the rung above; lev. is the mean "
        "leverage held."
    )
    screen.line(strategy_conclusion(result))
    content, frame = strategy_summary(result), strategy_frame(result)
    writers: Mapping[str, Callable[[str], None]] = {
        "json": lambda path: write_json(path, content),
        "csv": lambda path: write_file(path, lambda temporary: frame.to_csv(temporary)),
    }
    write_outputs(options, screen, writers)


def _head(screen: Screen, panel: Panel, theirs: Strategies, config: Config) -> None:
    more = f", ... ({len(panel.symbols)})" if len(panel.symbols) > 12 else ""
    screen.line(f"{theirs.strategy[0].__name__} on {', '.join(panel.symbols[:12])}{more}, {panel.source}")
    screen.synthetic(panel)
    screen.window(panel)
    screen.line(f"{costs_in_words(config)}. {risk_free_in_words(config)}.")


def _summary(run: StrategyRun) -> dict[str, Any]:
    costs = {name: value for name, value in run.costs.items() if name != "sessions"}
    return {**run.statistics, "mean_leverage": run.mean_leverage, "drawdown": run.drawdown, "costs": costs}
