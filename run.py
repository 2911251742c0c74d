#!/usr/bin/env python3
"""The command line of riskoverlay: `python run.py [backtest] [flags]`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from analyzers import *  # noqa: F403  re-exported so that `btrun` finds the classes in this file
from feeds import *  # noqa: F403
from feeds import DEFAULT_SYMBOLS, Cache, Finding, Panel, check_symbols, load_raw, quality
from feeds.adjust import Raw
from feeds.calendars import calendar_of, check_calendar, exchange_sessions
from feeds.quality import errors, findings_table
from feeds.sources import widening
from strategies import *  # noqa: F403
from studies.audit import AuditResult, audit, audit_summary
from studies.backtest import Backtest, backtest, load_panel
from studies.candidate import Ours, Theirs, parse_reference
from studies.judgement import check_arch, confidence, expect_arch
from studies.ladder import (
    RUNGS,
    Ladder,
    conclusion,
    costs_in_words,
    ladder,
    ladder_frame,
    ladder_summary,
    signed,
    universe_in_words,
)
from studies.outputs import read_config, series_frame, summary, write_file, write_json
from studies.parameters import PARAMETERS, RATES, Config, make_config, parse_value, part
from studies.pictures import check_picture, write_picture
from studies.rates import dated
from studies.report import SweepStory, check_report, write_report
from studies.space import check_optuna, parse_dimension
from studies.sweep import (
    BATCH,
    CRITERIA,
    SEARCHES,
    in_words,
    interval_rows,
    intervals_summary,
    judge,
    number_of_tries,
    ranking_rows,
    sweep,
    sweep_frame,
    sweep_summary,
)
from studies.sweep_pictures import draw_sweep, draw_walk
from studies.tearsheet import check_tearsheet, write_tearsheet
from studies.walkforward import choice_rows, walk_frame, walk_in_words, walk_rows, walk_summary, walkforward
from studies.waterfall import check_matplotlib, draw_waterfall

SERIES = "level63_dd_leverage_series.csv"
SUMMARY = "level63_dd_leverage_summary.json"

SYNTHETIC = "Synthetic market: made-up prices with the moments of the real ones. Nothing here happened."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0: it worked, 1: `check` or `audit` found something, 2: bad input, one line and no file."""
    parser = _parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "backtest")
    options = parser.parse_args(given)
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)
    console = Console(
        soft_wrap=False, quiet=getattr(options, "quiet", False), no_color=getattr(options, "no_color", None)
    )
    try:
        status: int | None = options.run(options, console)
    except (ValueError, RuntimeError, FileNotFoundError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted: no file was written", file=sys.stderr)
        return 130
    return status or 0


# -- flags -----------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Risk parity × minimum variance, levered by volatility target × drawdown brake.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser(
        "backtest",
        help="base and dynamic portfolio through a broker (the default command)",
        description="Base and dynamic portfolio through Cerebro and a margin account.",
    )
    command.set_defaults(run=_backtest)
    _add_parameters(command)
    files = command.add_argument_group("files")
    files.add_argument(
        "--csv", default=SERIES, metavar="FILE", help=f"daily series; '' for none (default {SERIES})"
    )
    files.add_argument(
        "--json", default=SUMMARY, metavar="FILE", help=f"summary; '' for none (default {SUMMARY})"
    )
    files.add_argument(
        "--html", metavar="FILE", help="report: one page with charts, tables and trades that needs no network"
    )
    files.add_argument(
        "--png", metavar="FILE", help="picture of four panels that fits a slide (or .svg, .pdf)"
    )
    files.add_argument("--tearsheet", metavar="FILE", help="QuantStats' page of dynamic against base")
    command.add_argument(
        "--confidence",
        action="store_true",
        help="bootstrap intervals of Sharpe ratio, return and max drawdown",
    )
    screen = command.add_argument_group("screen")
    screen.add_argument("--quiet", action="store_true", help="print nothing but notes and errors")
    screen.add_argument(
        "--no-color", action="store_true", default=None, help="no colours on a terminal; a pipe gets none"
    )
    command = commands.add_parser(
        "ladder",
        help="from the notebook's paper result to the account, one difference at a time",
        description="Base and dynamic portfolio on every rung from the notebook to `backtest` with the same flags.",
    )
    command.set_defaults(run=_ladder)
    _add_parameters(command)
    command.add_argument("--workers", type=int, metavar="N", help="processes (default: one a processor)")
    files = command.add_argument_group("files")
    files.add_argument(
        "--json", metavar="FILE", help="every rung, with config and data (default: not written)"
    )
    files.add_argument("--csv", metavar="FILE", help="one row a rung (default: not written)")
    files.add_argument("--png", metavar="FILE", help="waterfall picture (default: not written)")
    files.add_argument("--html", metavar="FILE", help="report of the account with the ladder in it")
    command = commands.add_parser(
        "audit",
        help="does a strategy read the future? it is run on others",
        description="Change what comes after many sessions, and compare what was done by then. Exit status 1 if a "
        "decision depends on it (or on the mode of Cerebro, or on where the bars start), 0 if none does.",
    )
    command.set_defaults(run=_audit)
    _add_parameters(command)
    audited = command.add_argument_group("audit")
    audited.add_argument(
        "--strategy",
        metavar="FILE:CLASS[:KWARGS]",
        help="a strategy of your own, e.g. mine.py:Mine:period=20 (default: RiskParityBlend). The file is run",
    )
    audited.add_argument(
        "--sizer", metavar="FILE:CLASS[:KWARGS]", help="its sizer (default: the strategy's own)"
    )
    audited.add_argument(
        "--analyzer",
        metavar="FILE:CLASS[:KWARGS]",
        action="append",
        default=[],
        help="its analyzers, one a flag",
    )
    audited.add_argument(
        "--cuts", type=int, default=50, metavar="N", help="sessions to change the future after (default 50)"
    )
    audited.add_argument("--workers", type=int, metavar="N", help="processes (default: one a processor)")
    audited.add_argument("--json", metavar="FILE", help="every cut and finding (default: not written)")
    command = commands.add_parser(
        "sweep",
        help="many parameters, one judgement: what is best, and how much of it is luck",
        description="Every point of a grid, or of a search, kept as it finishes; called again it goes on.",
    )
    command.set_defaults(run=_sweep)
    _add_tries(command)
    _add_parameters(command)
    command.add_argument(
        "--search", default="grid", choices=SEARCHES, help="all points, or what TPE proposes"
    )
    command.add_argument("--trials", type=int, metavar="N", help="tries of a search")
    command.add_argument(
        "--sweep-seed", type=int, default=0, metavar="N", help="seed of a search (default 0)"
    )
    command.add_argument(
        "--batch",
        type=int,
        default=BATCH,
        metavar="N",
        help=f"points a search asks for at once (default {BATCH})",
    )
    command.add_argument(
        "--storage", default="sweep.db", metavar="FILE|URL", help="SQLite file or database (default sweep.db)"
    )
    files = command.add_argument_group("files")
    files.add_argument(
        "--json", metavar="FILE", help="tries, judgement, config of the best (default: not written)"
    )
    files.add_argument("--csv", metavar="FILE", help="one row a try (default: not written)")
    files.add_argument(
        "--png", metavar="FILE", help="heat map, and in sample against out (default: not written)"
    )
    files.add_argument("--html", metavar="FILE", help="report of the best try with the sweep in it")
    command = commands.add_parser(
        "walkforward",
        help="choose on the past, trade the next months, in one account",
        description="What choosing from a grid would have earned, beside the best in hindsight.",
    )
    command.set_defaults(run=_walkforward)
    _add_tries(command)
    _add_parameters(command)
    command.add_argument("--train", type=int, default=36, metavar="MONTHS", help="to choose on (default 36)")
    command.add_argument("--test", type=int, default=12, metavar="MONTHS", help="to trade (default 12)")
    command.add_argument(
        "--expanding", action="store_true", help="choose on all of the past, not on a rolling window"
    )
    command.add_argument(
        "--storage", metavar="FILE|URL", help="share the tries of a sweep (default: none kept)"
    )
    files = command.add_argument_group("files")
    files.add_argument("--json", metavar="FILE", help="windows, statistics, costs (default: not written)")
    files.add_argument("--csv", metavar="FILE", help="one row a window (default: not written)")
    files.add_argument("--png", metavar="FILE", help="growth of the account (default: not written)")
    command = commands.add_parser(
        "fetch",
        help="fill the cache of real prices, and show what is in it",
        description="Fetch every symbol's history from Yahoo into the cache, as far as it is not there.",
    )
    command.set_defaults(run=_fetch)
    command.add_argument(
        "--symbols", metavar="SYMBOLS", help=f"separated by commas (default {','.join(DEFAULT_SYMBOLS)})"
    )
    _add_cache(command)
    command = commands.add_parser(
        "check",
        help="look for what is wrong or odd with the prices of any source",
        description="Check every symbol's bars as the source gives them. Exit status 1 if there is an error, 0 if not.",
    )
    command.set_defaults(run=_check)
    _add_parameters(command, ("data",))
    command.add_argument(
        "--calendar", metavar="NAME", help="exchange calendar of all symbols (default: by the symbol; XNYS)"
    )
    command.add_argument("--json", metavar="FILE", help="every finding with its dates (default: not written)")
    return parser


def _add_tries(command: argparse.ArgumentParser) -> None:
    """What is tried, and where."""
    group = command.add_argument_group("tries")
    group.add_argument(
        "--grid", action="append", required=True, metavar="NAME=VALUES",
        help="a parameter and its values, a,b,c or low:high:step; once for each",
    )  # fmt: skip
    group.add_argument(
        "--criterion", default="sharpe", choices=CRITERIA, help="what is best (default sharpe)"
    )
    group.add_argument("--study", default="sweep", metavar="NAME", help="name in the storage (default sweep)")
    group.add_argument("--workers", type=int, metavar="N", help="processes (default: one a processor)")
    group.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that runs the tries")


def _add_cache(group: Any) -> None:
    """How real prices are kept; none of it changes a result, so none of it is in the config."""
    group.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="folder that keeps Yahoo's prices (default: the user's cache folder)",
    )
    group.add_argument("--refresh", action="store_true", help="fetch from Yahoo what the cache has, too")
    group.add_argument("--offline", action="store_true", help="prices of the cache only, whatever their age")


def _add_parameters(command: argparse.ArgumentParser, owners: Sequence[str] | None = None) -> None:
    """The flags of all parameters, or of those owners only."""
    titles = {
        "data": "prices",
        "strategy": "weights",
        "sizer": "leverage",
        "run": "execution",
        "account": "account",
    }
    groups = {
        owner: command.add_argument_group(title)
        for owner, title in titles.items()
        if owners is None or owner in owners
    }
    groups["data"].add_argument(
        "--config",
        metavar="FILE",
        help="run again with the config of a summary file; other flags override it",
    )
    _add_cache(groups["data"])
    for parameter in PARAMETERS.values():
        if parameter.owner not in groups:
            continue
        text = parameter.help.replace("%", "%%")
        if parameter.name in RATES:
            text += "; here also irx+0.015: the 13-week bill's rate of the day plus a spread"
        if parameter.default is not None:
            text += f" (default {parameter.default})"
        more: dict[str, Any] = {"metavar": type(parameter.default).__name__.upper()}
        if parameter.default is None or isinstance(parameter.default, str):
            more = {"metavar": parameter.name.split("_")[-1].upper()}
        if isinstance(parameter.default, bool):
            more = {"action": argparse.BooleanOptionalAction}
        groups[parameter.owner].add_argument(parameter.flag, default=argparse.SUPPRESS, help=text, **more)


def _config(options: argparse.Namespace) -> Config:
    config = read_config(options.config) if options.config else make_config()
    for name in PARAMETERS:
        if hasattr(options, name):
            value = getattr(options, name)
            config[name] = parse_value(name, value) if isinstance(value, str) else value
    return config


# -- commands --------------------------------------------------------------------------------------------------------


def _backtest(options: argparse.Namespace, console: Console) -> None:
    config = _config(options)
    _check_outputs(options.csv, options.json, options.html, options.png, options.tearsheet)
    if options.confidence:
        check_arch()
    if options.html:
        check_report()
    if options.png:
        check_picture(options.png)
    if options.tearsheet:
        check_tearsheet()
    panel = _panel(options, config, console)
    with _progress(console, "backtest", 2 * len(panel.sessions)) as advance:
        result = backtest(panel, config, advance=advance)
    _show(console, result)
    more: dict[str, Any] = {}
    if options.confidence:
        intervals = confidence(result.dynamic.returns, result.base.returns)
        _show_rows(console, *interval_rows(intervals))
        more["confidence"] = intervals_summary(intervals)
    written = _write_backtest(options, console, result, more)
    if written:
        words = " and ".join(filter(None, (", ".join(written[:-1]), written[-1])))
        console.print(f"Wrote {words}.", highlight=False, markup=False)


def _write_backtest(
    options: argparse.Namespace, console: Console, result: Backtest, more: dict[str, Any]
) -> list[str]:
    """Write the files asked for; their names."""

    def series(path: str) -> None:
        frame = series_frame(result)
        write_file(path, lambda temporary: frame.to_csv(temporary, index_label="date"))

    writers: dict[str, Callable[[str], None]] = {
        "csv": series,
        "json": lambda path: write_json(path, summary(result) | more),
        "html": lambda path: write_report(path, result),
        "png": lambda path: write_picture(path, result),
        "tearsheet": lambda path: write_tearsheet(path, result),
    }
    wanted = {kind: getattr(options, kind) for kind in writers if getattr(options, kind)}
    with _progress(console, "writing", len(wanted)) as advance:
        for kind, path in wanted.items():
            writers[kind](path)
            if advance is not None:
                advance(1)
    return list(wanted.values())


def _ladder(options: argparse.Namespace, console: Console) -> None:
    config = _config(options)
    _check_outputs(options.json, options.csv, options.png, options.html)
    if options.png:
        check_matplotlib()
    if options.html:
        check_report()
    panel = _panel(options, config, console)
    with _progress(console, "ladder", len(RUNGS)) as advance:
        result = ladder(panel, config, workers=options.workers, advance=advance)
    _show_ladder(console, result)
    if options.json:
        write_json(options.json, ladder_summary(result))
    if options.csv:
        frame = ladder_frame(result)
        write_file(options.csv, lambda path: frame.to_csv(path))
    if options.png:
        write_file(options.png, lambda path: draw_waterfall(result, path))
    if options.html:
        write_report(options.html, backtest(panel, config), ladder=ladder_summary(result))
    written = [name for name in (options.json, options.csv, options.png, options.html) if name]
    if written:
        console.print(f"Wrote {', '.join(written)}.", highlight=False)


def _audit(options: argparse.Namespace, console: Console) -> int:
    config = _config(options)
    _check_outputs(options.json)
    references = [parse_reference(text) for text in options.analyzer]
    sizer = parse_reference(options.sizer) if options.sizer else None
    strategy = parse_reference(options.strategy) if options.strategy else None
    if strategy is None and (sizer or references):
        raise ValueError("--sizer and --analyzer belong to --strategy: give one, or neither of them")
    panel = _panel(options, config, console)
    real = {**config, **dated(part(config, "account"), panel.rates)}
    setup = Ours(real) if strategy is None else Theirs(real, strategy, sizer, tuple(references))
    workers = (os.cpu_count() or 1) if options.workers is None else options.workers
    with _progress(console, "audit", min(max(options.cuts, 1), len(panel.sessions) - 1)) as advance:
        result = audit(setup, panel, cuts=options.cuts, workers=workers, advance=advance)
    if not result.orders and result.clean:
        raise ValueError(
            f"no order was sent in {result.sessions} sessions: give more history, there is nothing to audit"
        )
    _show_audit(console, result)
    if options.json:
        about = {
            "strategy": options.strategy or "RiskParityBlend",
            "sizer": options.sizer,
            "analyzers": options.analyzer,
        }
        write_json(options.json, {**about, **audit_summary(result), "config": config, "sha256": panel.sha256})
        console.print(f"Wrote {options.json}.", highlight=False, markup=False)
    return 0 if result.clean else 1


def _sweep(options: argparse.Namespace, console: Console) -> None:
    config, dimensions = _config(options), [parse_dimension(text) for text in options.grid]
    _check_tries(options)
    _check_outputs(options.html)
    if options.html:
        check_report()
        check_matplotlib()
    total = number_of_tries(dimensions, options.search, options.trials)
    panel = _panel(options, config, console)
    search = {
        "search": options.search,
        "trials": options.trials,
        "seed": options.sweep_seed,
        "batch": options.batch,
    }
    with _progress(console, "sweep", total) as advance:
        result = sweep(panel, config, dimensions, **search, **_tries(options), advance=advance)
    judged = judge(result)
    _show_rows(console, *ranking_rows(judged))
    for line in in_words(judged):
        console.print(line, highlight=False, markup=False)
    if options.html:
        with tempfile.TemporaryDirectory() as folder:
            draw_sweep(judged, Path(folder) / "sweep.png")
            story = SweepStory(in_words(judged), (Path(folder) / "sweep.png").read_bytes())
        write_report(options.html, backtest(panel, result.config_of(judged.winner)), sweep=story)
        console.print(f"Wrote {options.html}.", highlight=False, markup=False)
    _write_tries(
        options, console, sweep_summary(judged), sweep_frame(result), lambda path: draw_sweep(judged, path)
    )


def _walkforward(options: argparse.Namespace, console: Console) -> None:
    config, dimensions = _config(options), [parse_dimension(text) for text in options.grid]
    _check_tries(options)
    total = number_of_tries(dimensions, "grid", None)
    panel = _panel(options, config, console)
    windows = {"train": options.train, "test": options.test, "expanding": options.expanding}
    with _progress(console, "walkforward", total) as advance:
        walk = walkforward(panel, config, dimensions, **windows, **_tries(options), advance=advance)
    _show_rows(console, *choice_rows(walk))
    _show_rows(console, *walk_rows(walk))
    for line in walk_in_words(walk):
        console.print(line, highlight=False, markup=False)
    _write_tries(options, console, walk_summary(walk), walk_frame(walk), lambda path: draw_walk(walk, path))


def _tries(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("criterion", "storage", "study", "workers", "dask")}


def _check_tries(options: argparse.Namespace) -> None:
    _check_outputs(options.json, options.csv, options.png)
    check_optuna()
    if options.run is _sweep:
        expect_arch()
    if options.png:
        check_matplotlib()


def _write_tries(
    options: argparse.Namespace,
    console: Console,
    content: dict[str, Any],
    table: Any,
    draw: Callable[[Path], None],
) -> None:
    if options.json:
        write_json(options.json, content)
    if options.csv:
        write_file(options.csv, lambda path: table.to_csv(path))
    if options.png:
        write_file(options.png, draw)
    written = [name for name in (options.json, options.csv, options.png) if name]
    if written:
        console.print(f"Wrote {', '.join(written)}.", highlight=False, markup=False)


def _fetch(options: argparse.Namespace, console: Console) -> None:
    symbols = check_symbols(options.symbols or DEFAULT_SYMBOLS)
    with _cache(options, symbols, console) as cache:
        entries, notes = cache.bars(symbols)
    _say(notes)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("symbol", "first", "last", "rows", "gaps", "fetched (UTC)", "age"):
        table.add_column(name, justify="right" if name in ("rows", "gaps", "age") else "left")
    for symbol, entry in entries.items():
        sessions = exchange_sessions(entry.bars.index[0], entry.last, calendar_of(symbol))
        gaps = int((~sessions.isin(entry.bars.index)).sum())
        hours = (cache.now() - entry.fetched).total_seconds() / 3600.0
        table.add_row(
            symbol, f"{entry.bars.index[0]:%Y-%m-%d}", f"{entry.last:%Y-%m-%d}", f"{len(entry.bars):,}",
            f"{gaps:,}", f"{entry.fetched:%Y-%m-%d %H:%M}", f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d",
        )  # fmt: skip
    console.print(table)
    console.print(f"In {cache.folder}.", highlight=False, markup=False)


def _check(options: argparse.Namespace, console: Console) -> int:
    config = _config(options)
    if options.json:
        _check_outputs(options.json)
    if options.calendar:
        check_calendar(options.calendar)
    symbols = check_symbols(config["symbols"] or DEFAULT_SYMBOLS)
    data = {name: value for name, value in part(config, "data").items() if name != "symbols"}
    findings: list[Finding] = []
    raw: dict[str, Raw] = {}
    by_file = config["source"] in ("csv", "parquet")
    with _cache(options, symbols, console) as cache:
        for names in [[symbol] for symbol in symbols] if by_file else [list(symbols)]:
            try:
                found, notes = load_raw(**data, symbols=names, cache=cache)
            except ValueError as error:
                if not by_file or not config["data_dir"] or not Path(config["data_dir"]).is_dir():
                    raise
                findings.append(Finding(names[0], "columns", "error", str(error)))  # no check can look at it
                continue
            raw |= found
            _say(notes)
    findings += quality(raw, calendar=options.calendar, widened=widening(config["source"]))
    rows = sum(len(bars) for _, bars in raw.values())
    if config["source"] == "sample":
        console.print(SYNTHETIC, style="yellow", highlight=False)
    if findings:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("symbol", "check", "severity", "dates", "finding"):
            table.add_column(name, justify="right" if name == "dates" else "left", overflow="fold")
        for found in findings:
            table.add_row(
                found.symbol, found.check, found.severity, str(len(found.dates) or ""), escape(found.text)
            )
        console.print(table)
    wrong = len(errors(findings))
    console.print(
        f"{len(symbols)} symbols, {rows:,} bars: {wrong} errors, {len(findings) - wrong} warnings.",
        highlight=False,
    )
    if options.json:
        content = {"source": config["source"], "symbols": list(symbols), "bars": rows, "errors": wrong,
                   "warnings": len(findings) - wrong, "findings": findings_table(findings)}  # fmt: skip
        write_json(options.json, content)
        console.print(f"Wrote {options.json}.", highlight=False, markup=False)
    return 1 if wrong else 0


def _panel(options: argparse.Namespace, config: Config, console: Console) -> Panel:
    """The bars of a command, and on stderr what there is to know about them."""
    with _cache(options, check_symbols(config["symbols"] or DEFAULT_SYMBOLS), console) as cache:
        panel = load_panel(config, cache)
    _say((*panel.dropped, *panel.warnings))
    return panel


def _say(notes: Iterable[str]) -> None:
    for sentence in notes:
        print(f"note: {sentence}", file=sys.stderr)


@contextmanager
def _cache(options: argparse.Namespace, symbols: Sequence[str], console: Console) -> Iterator[Cache]:
    """The cache that the flags ask for, with a bar that moves on with each symbol from Yahoo."""
    given = {"folder": options.cache_dir} if options.cache_dir else {}
    if not console.is_terminal:
        yield Cache(**given, refresh=options.refresh, offline=options.offline)
        return
    columns = (TextColumn("prices {task.fields[symbol]}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("prices", total=len(symbols), symbol="", visible=False)

        done: list[str] = []  # with the symbols of rates, there may be more than were asked for

        def told(symbol: str) -> None:
            done.append(symbol)
            total = max(len(symbols), len(done))
            bar.update(task, completed=len(done), total=total, symbol=symbol, visible=True)

        yield Cache(**given, refresh=options.refresh, offline=options.offline, progress=told)


def _check_outputs(*names: str | None) -> None:
    """Say before a long run, not after it, that a file cannot be written."""
    for name in names:
        if name and not Path(name).parent.is_dir():
            raise ValueError(
                f"{name} cannot be written: folder {Path(name).parent} does not exist, create it first"
            )


@contextmanager
def _progress(console: Console, what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal, nothing in a pipe."""
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    # Without a thread that redraws it: a process with threads cannot be forked.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task(what, total=total)

        def advance(steps: int) -> None:
            bar.advance(task, steps)
            bar.refresh()

        bar.refresh()
        yield advance


def _show(console: Console, result: Backtest) -> None:
    panel, base, dynamic = result.panel, result.base, result.dynamic
    symbols = ", ".join(panel.symbols[:12]) + (
        f", ... ({len(panel.symbols)})" if len(panel.symbols) > 12 else ""
    )
    console.print(f"{symbols}, {panel.source}", highlight=False, markup=False)
    if panel.synthetic:
        console.print(SYNTHETIC, style="yellow", highlight=False)
    console.print(
        f"Statistics from {base.first:%Y-%m-%d} to {panel.sessions[-1]:%Y-%m-%d} ({len(base.returns)} sessions).",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in ("base", "dynamic"):
        table.add_column(name, justify="right", min_width=14)

    def row(label: str, show: Callable[[Any], str]) -> None:
        table.add_row(label, show(base), show(dynamic))

    row("return a year", lambda run: f"{100 * run.statistics['ann_ret']:.2f} %")
    row("volatility a year", lambda run: f"{100 * run.statistics['ann_vol']:.2f} %")
    row("Sharpe ratio", lambda run: f"{run.statistics['sharpe']:.3f}")
    row("max drawdown", lambda run: f"{100 * run.statistics['max_drawdown']:.2f} %")
    row("mean leverage held", lambda run: f"{run.exposure['leverage'].loc[run.first :].mean():.2f}")
    row("end value", lambda run: f"{run.costs['end']:,.0f}")
    for kind in ("commission", "slippage", "interest"):
        row("loan interest" if kind == "interest" else kind, lambda run, k=kind: f"{run.costs[k]:,.0f}")
    row("turnover a year", lambda run: f"{run.costs['turnover_annual']:.2f} x")
    row("orders filled", lambda run: f"{run.costs['orders']['filled']:,}")
    row("orders rejected", lambda run: f"{run.costs['orders']['rejected']:,}")
    console.print(table)


def _show_audit(console: Console, result: AuditResult) -> None:
    shown = result.cuts if len(result.cuts) <= 12 else [cut for cut in result.cuts if cut.finding][:12]
    if shown:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("cut after", "runs", "verdict", "first difference"):
            table.add_column(name, justify="right" if name == "runs" else "left", overflow="fold")
        for cut in shown:
            found = cut.finding
            verdict, text = ("clean", "") if found is None else (found.kind, f"{found.date}: {found.what}")
            table.add_row(f"{cut.date}", str(cut.runs), verdict, text)
        console.print(table)
    wrong = sum(cut.finding is not None for cut in result.cuts)
    runs = sum(cut.runs for cut in result.cuts)
    console.print(
        f"{result.orders:,} orders in {result.sessions:,} sessions; {len(result.cuts)} cuts, {runs:,} runs: "
        f"{len(result.cuts) - wrong} cuts clean, {wrong} not.",
        highlight=False,
    )
    told = [finding for finding in (result.first,) if finding is not None]
    told += [finding for finding in result.findings if finding.kind not in ("look-ahead", "same bar")]
    for finding in told:
        console.print(f"{finding.kind}: {finding.sentence()}", style="red", highlight=False, markup=False)
    if result.clean:
        console.print("Nothing found.", highlight=False)


def _show_rows(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, title in enumerate(titles):
        table.add_column(escape(title), justify="right" if i else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _show_ladder(console: Console, result: Ladder) -> None:
    console.print(universe_in_words(result), highlight=False, markup=False)
    console.print(f"At the bottom: {costs_in_words(result.config)}.", highlight=False)
    if result.panel.synthetic:
        console.print(SYNTHETIC, style="yellow", highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("rung", min_width=36)
    table.add_column("")
    for title in ("Sharpe", "change", "return", "vol", "max dd"):
        table.add_column(title, justify="right")
    changes = zip(result.changes("base"), result.changes("dynamic"), strict=True)
    for step, (base, dynamic) in zip(result.steps, changes, strict=True):
        for label, name, leg, change in (
            (step.rung.id, "base", step.base, base),
            (f"[dim]{step.what}[/dim]", "dynamic", step.dynamic, dynamic),
        ):
            s = leg.statistics
            percent = (f"{100 * s[key]:.2f}" for key in ("ann_ret", "ann_vol", "max_drawdown"))
            table.add_row(label, name, f"{s['sharpe']:.2f}", signed(change), *percent)
    console.print(table)
    console.print(
        "Return, volatility and maximum drawdown in per cent; change is of Sharpe, from the rung above."
    )
    console.print(conclusion(result), highlight=False)


if __name__ == "__main__":
    raise SystemExit(main())
