"""One call for every source of daily bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from .adjust import Raw, adjust
from .cache import Cache
from .files import raw_csv_folder, raw_parquet, raw_wide_csv
from .panel import Panel, align
from .quality import errors, quality, sentences
from .sample import SAMPLE_END, SAMPLE_START, sample_market
from .symbols import DEFAULT_SYMBOLS, check_symbols
from .window import between, check_window
from .yahoo import WIDENED, prepared

__all__ = ["SOURCES", "load", "load_raw", "widening"]

_FILES = {"csv": raw_csv_folder, "parquet": raw_parquet, "wide": raw_wide_csv}
SOURCES = ("sample", "csv", "yahoo", "parquet", "wide")


def load(
    source: str = "sample",
    symbols: Sequence[str] | str | None = None,
    start: object = "2010-01-01",
    end: object = None,
    data_dir: str | Path | None = None,
    seed: int = 63,
    *,
    cache: Cache | None = None,
) -> Panel:
    """The validated, aligned bars of `symbols` from `source`.

    source: where the bars are from: sample (a synthetic market), csv (folder of SYMBOL.csv), parquet (folder
        or file), wide (one wide CSV) or yahoo
    symbols: names of the assets, separated by commas (default SPY,QQQ,IWM,EFA,EEM,TLT,LQD,GLD)
    start: first day, included; the sample market opens on 2010-01-04, or on an earlier start, which makes
        another market of it
    end: last day, included (default: the last there is)
    data_dir: folder or file with the prices, for csv, parquet and wide
    seed: whole number from which the sample market is drawn
    cache: keeps what Yahoo says (default: in the user's cache folder, asking Yahoo for what is not fresh)

    What `quality` finds odd about bars that are not made up, and of when cached prices are, is in `Panel.warnings`.
    Raises ValueError and FileNotFoundError, in one line, for whatever argument or file is not right, and ValueError
    for bars that `quality` finds wrong.
    """
    _check_source(source, data_dir)
    first, last = check_window(start, end)
    if source == "sample":
        return _sample(check_symbols(DEFAULT_SYMBOLS if symbols is None else symbols), first, last, seed)
    raw, notes = load_raw(source, symbols, first, last, data_dir, seed, cache=cache)
    widened = widening(source)
    frames, seen = {}, {}
    for symbol, (name, bars) in raw.items():
        frames[symbol] = between(adjust(prepared(bars, widened), name), first, last, symbol)
        dates = pd.DatetimeIndex(bars.index).tz_localize(None).normalize()
        seen[symbol] = Raw(name, bars[dates.isin(frames[symbol].index)])
    found = quality(seen, widened=widened)
    wrong = sentences(errors(found))
    if wrong:
        raise ValueError(f"{wrong[0]}: correct or remove the rows, or choose another window")
    return replace(align(frames, source=source), warnings=(*notes, *sentences(found)))


def load_raw(
    source: str = "sample",
    symbols: Sequence[str] | str | None = None,
    start: object = "2010-01-01",
    end: object = None,
    data_dir: str | Path | None = None,
    seed: int = 63,
    *,
    cache: Cache | None = None,
) -> tuple[dict[str, Raw], list[str]]:
    """The bars as `source` gives them, each symbol's own, and sentences about their age; arguments as `load`.

    What a file holds is given whole, Yahoo's bars from `start` to `end`: its history often opens with years of bars
    that are none, and nobody can correct them.
    """
    _check_source(source, data_dir)
    names = check_symbols(DEFAULT_SYMBOLS if symbols is None else symbols)
    first, last = check_window(start, end)
    if source == "sample":
        panel = _sample(names, first, last, seed)
        return {symbol: Raw(symbol, frame) for symbol, frame in panel.frames.items()}, []
    if data_dir is not None:
        return _FILES[source](data_dir, names), []
    cached, notes = (cache or Cache()).bars(names, last)
    return {
        symbol: Raw(f"Yahoo: {symbol}", between(entry.bars, first, last, f"Yahoo: {symbol}"))
        for symbol, entry in cached.items()
    }, notes


def widening(source: str) -> float:
    """The fraction by which an open or close of this source may lie outside low..high: see `prepared`."""
    return WIDENED if source == "yahoo" else 0.0


def _check_source(source: str, data_dir: str | Path | None) -> None:
    if source not in SOURCES:
        raise ValueError(f"source={source!r} is unknown: give one of {', '.join(SOURCES)}")
    if source in _FILES and data_dir is None:
        raise ValueError(f"source={source!r} needs data_dir: give the folder or file with the prices")
    if source not in _FILES and data_dir is not None:
        raise ValueError(
            f"data_dir={str(data_dir)!r} is not read by source={source!r}: give one of {', '.join(_FILES)}"
        )


def _sample(names: Sequence[str], first: pd.Timestamp | None, last: pd.Timestamp | None, seed: int) -> Panel:
    opening = pd.Timestamp(SAMPLE_START) if first is None else min(first, pd.Timestamp(SAMPLE_START))
    market = sample_market(names, opening, pd.Timestamp(SAMPLE_END) if last is None else last, seed)
    return market.between(first, last)
