"""`riskoverlay check`: what is wrong or odd with the prices of any source."""

import argparse
from dataclasses import asdict
from pathlib import Path

from riskoverlay.errors import InputError
from riskoverlay.feeds import Cache, Finding, PriceSelection, load_raw, quality, treatment
from riskoverlay.feeds.adjust import Raw
from riskoverlay.feeds.calendars import check_calendar
from riskoverlay.feeds.currencies import currencies_in_words
from riskoverlay.feeds.quality import errors, findings_table, spacing
from riskoverlay.feeds.sources import widening

from ..workbench.outputs import write_json
from ..workbench.parameters import Config, values_of
from ..workbench.runs import symbols_read
from .flags import Output, add_parameters, config_of, open_cache, write_outputs
from .screen import SYNTHETIC, Screen

__all__ = ["add_flags", "run"]

OUTPUTS = (Output("json", "every finding with its dates, and how files were read"),)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_parameters(command, OUTPUTS, ("prices",))
    command.add_argument(
        "--calendar", metavar="NAME", help="exchange calendar of all symbols (default: by the symbol; XNYS)"
    )


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Run the command; 1: there is an error.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    calendar = getattr(options, "calendar", None)
    config = config_of(options, OUTPUTS)
    if calendar:
        check_calendar(calendar)
    symbols = symbols_read(config)
    with open_cache(options, symbols, screen) as cache:
        raw, findings, notes = _read(config, symbols, cache)
    screen.notes(notes)
    with screen.step("checks"):
        given = treatment(raw, config["prices"], config["adjusted"])
        findings += quality(raw, calendar=calendar, widened=widening(config["source"]), own=given.own)
        findings += spacing(raw, calendar=calendar)
        mixed = currencies_in_words({symbol: one.currency for symbol, one in raw.items()})
        findings += [Finding(",".join(raw), "currency", "error", mixed)] if mixed else []
    if config["source"] != "sample":
        screen.notes(given.notes)
    rows = sum(len(one.bars) for one in raw.values())
    if config["source"] == "sample":
        screen.line(SYNTHETIC, style="yellow")
    layouts = {symbol: one.layout for symbol, one in raw.items() if one.layout is not None}
    for words, alike in _grouped({symbol: layout.in_words() for symbol, layout in layouts.items()}).items():
        screen.line(f"{', '.join(alike)}: read as {words}.")
    if findings:
        cells = [[one.symbol, one.check, one.severity, str(len(one.dates) or ""), one.text] for one in findings]
        titles = ["symbol", "check", "severity", "dates", "finding"]
        screen.table(titles, cells, left=["check", "severity", "finding"], fold=True)
    wrong = len(errors(findings))
    screen.line(f"{len(symbols)} symbols, {rows:,} bars: {wrong} errors, {len(findings) - wrong} warnings.")
    content = {"source": config["source"], "symbols": list(symbols), "bars": rows, "errors": wrong,
               "warnings": len(findings) - wrong, "findings": findings_table(findings),
               "read": {symbol: asdict(layout) for symbol, layout in layouts.items()}}  # fmt: skip
    write_outputs(options, screen, {"json": lambda path: write_json(path, content)})
    return 1 if wrong else 0


def _grouped(words: dict[str, str]) -> dict[str, list[str]]:
    """Words -> the symbols they are said of."""
    who: dict[str, list[str]] = {}
    for symbol, said in words.items():
        who.setdefault(said, []).append(symbol)
    return who


def _read(config: Config, symbols: tuple[str, ...], cache: Cache) -> tuple[dict[str, Raw], list[Finding], list[str]]:
    """Bars as the source gives them; files that no check can look at, as findings; and notes."""
    others = ("symbols", "adjusted")
    selection = {name: value for name, value in values_of(config, PriceSelection).items() if name not in others}
    raw: dict[str, Raw] = {}
    findings: list[Finding] = []
    notes: list[str] = []
    by_file = config["source"] in ("csv", "parquet")
    for names in [[symbol] for symbol in symbols] if by_file else [list(symbols)]:
        try:
            found, more = load_raw(**selection, symbols=names, cache=cache)
        except InputError as error:
            if not by_file or not config["data_dir"] or not Path(config["data_dir"]).is_dir():
                raise
            findings.append(Finding(names[0], "columns", "error", str(error)))
            continue
        raw |= found
        notes += more
    return raw, findings, notes
