"""`riskoverlay fetch`: fill the cache of real prices, and show what is in it."""

import argparse

from riskoverlay.feeds import DEFAULT_SYMBOLS, check_symbols
from riskoverlay.feeds.calendars import calendar_of, exchange_sessions

from .flags import add_cache, open_cache
from .screen import Screen

__all__ = ["add_flags", "run"]


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    command.add_argument(
        "--symbols", metavar="SYMBOLS", help=f"separated by commas (default {','.join(DEFAULT_SYMBOLS)})"
    )
    add_cache(command)


def run(options: argparse.Namespace, screen: Screen) -> None:
    """Run the command.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    symbols = check_symbols(options.symbols or DEFAULT_SYMBOLS)
    with open_cache(options, symbols, screen) as cache:
        entries, notes = cache.bars(symbols)
    screen.notes(notes)
    rows = []
    for symbol, entry in entries.items():
        sessions = exchange_sessions(entry.bars.index[0], entry.last, calendar_of(symbol))
        gaps = int((~sessions.isin(entry.bars.index)).sum())
        hours = (cache.now() - entry.fetched).total_seconds() / 3600.0
        rows.append([
            symbol, f"{entry.bars.index[0]:%Y-%m-%d}", f"{entry.last:%Y-%m-%d}", f"{len(entry.bars):,}",
            f"{gaps:,}", f"{entry.fetched:%Y-%m-%d %H:%M}", f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d",
        ])  # fmt: skip
    text = ["first", "last", "fetched (UTC)"]
    screen.table(["symbol", "first", "last", "rows", "gaps", "fetched (UTC)", "age"], rows, left=text)
    screen.line(f"In {cache.folder}.")
