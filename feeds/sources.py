"""One call for every source of daily bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.rules import Rules, parameter

from .adjust import Raw, adjust
from .cache import Cache
from .currencies import check_currencies
from .files import raw_csv_folder, raw_parquet, raw_wide_csv
from .panel import Panel, align
from .quality import UNADJUSTED, errors, quality, sentences
from .sample import SAMPLE_END, SAMPLE_START, sample_market
from .spacing import check_daily
from .symbols import DEFAULT_SYMBOLS, check_symbols
from .window import between, check_window
from .yahoo import WIDENED, prepared

__all__ = ["SOURCES", "PriceSelection", "load", "load_raw", "widening", "without_adjustment"]

_FILES = {"csv": raw_csv_folder, "parquet": raw_parquet, "wide": raw_wide_csv}
_SAMPLE_YEARS = (1970, 2100)  # its bill's rate begins with the first; a price after the second would be no price
SOURCES = ("sample", "csv", "yahoo", "parquet", "wide")


@dataclass(frozen=True)
class PriceSelection(Rules):
    """Which bars: where they are from, of what, and from when to when. `load` checks what is given."""

    source: str = parameter(
        "sample",
        "where the bars are from: sample (a synthetic market), csv (folder of SYMBOL.csv), parquet (folder or file), "
        "wide (one wide CSV) or yahoo",
        checked=False,
    )
    symbols: Sequence[str] | str | None = parameter(
        None,
        "names of the assets, separated by commas (default SPY,QQQ,IWM,EFA,EEM,TLT,LQD,GLD)",
        optional=True,
        checked=False,
    )
    start: object = parameter(
        "2010-01-01",
        "first day, included; the sample market opens on 2010-01-04, or on an earlier start, which makes another "
        "market of it",
        "date",
        optional=True,
        checked=False,
    )
    end: object = parameter(
        None, "last day, included (default: the last there is)", "date", optional=True, checked=False
    )
    data_dir: str | Path | None = parameter(
        None, "folder or file with the prices, for csv, parquet and wide", optional=True, checked=False
    )
    seed: int = parameter(63, "whole number from which the sample market is drawn", checked=False)
    adjusted: bool = parameter(
        False, "whether prices without an adjusted close are adjusted for dividends and splits all the same"
    )


def load(
    source: str = PriceSelection.source,
    symbols: Sequence[str] | str | None = PriceSelection.symbols,
    start: object = PriceSelection.start,
    end: object = PriceSelection.end,
    data_dir: str | Path | None = PriceSelection.data_dir,
    seed: int = PriceSelection.seed,
    adjusted: bool = PriceSelection.adjusted,
    *,
    calendar: str | None = "XNYS",
    cache: Cache | None = None,
) -> Panel:
    """The validated, aligned bars of `symbols` from `source`.

    Parameters
    ----------
    source, symbols, start, end, data_dir, seed, adjusted
        See `PriceSelection`.
    calendar : str or None
        Exchange calendar of the run, by which bars that are not daily, or have large holes, are refused; None: by their
        spacing alone.
    cache : Cache, optional
        Keeps what Yahoo says (default: in the user's cache folder, asking Yahoo for what is not fresh).

    Returns
    -------
    Panel
        What `quality` finds odd about bars that are not made up, of when cached prices are, and prices of which nothing
        says that they are adjusted, are in its `warnings`.

    Raises
    ------
    InputError, MissingFileError
        Whatever argument or file is not right, prices of several currencies, and bars that `quality` or `check_daily`
        finds wrong.
    """
    _check_source(source, data_dir)
    first, last = check_window(start, end)
    if source == "sample":
        return _sample(check_symbols(DEFAULT_SYMBOLS if symbols is None else symbols), first, last, seed)
    raw, notes = load_raw(source, symbols, first, last, data_dir, seed, cache=cache)
    widened = widening(source)
    frames, seen = {}, {}
    check_currencies({symbol: one.currency for symbol, one in raw.items()})
    for symbol, one in raw.items():
        frames[symbol] = between(adjust(prepared(one.bars, widened), one.name), first, last, symbol)
        dates = pd.DatetimeIndex(one.bars.index).tz_localize(None).normalize()
        seen[symbol] = Raw(one.name, one.bars[dates.isin(frames[symbol].index)])
    found = quality(seen, widened=widened)
    wrong = sentences(errors(found))
    if wrong:
        raise InputError(wrong[0], "correct or remove the rows, or choose another window")
    bare = [] if adjusted else without_adjustment(raw)
    panel = align(frames, source=source, adjusted=not bare)
    panel = replace(panel, currency=next((one.currency for one in raw.values() if one.currency), None))
    check_daily({symbol: pd.DatetimeIndex(frame.index) for symbol, frame in frames.items()}, panel.sessions, calendar)
    if bare:
        who = "prices are" if len(bare) == len(raw) else f"prices of {', '.join(bare)} are"
        notes = [*notes, f"{who} {panel.adjustment} (--adjusted, or adjusted=True, says that they are)"]
    odd = [one for one in found if one.text != UNADJUSTED]  # the note says it of all prices
    return replace(panel, warnings=(*notes, *sentences(odd)))


def load_raw(
    source: str = PriceSelection.source,
    symbols: Sequence[str] | str | None = PriceSelection.symbols,
    start: object = PriceSelection.start,
    end: object = PriceSelection.end,
    data_dir: str | Path | None = PriceSelection.data_dir,
    seed: int = PriceSelection.seed,
    *,
    cache: Cache | None = None,
) -> tuple[dict[str, Raw], list[str]]:
    """The bars as `source` gives them.

    What a file holds is given whole, Yahoo's bars from `start` to `end`: its history often opens with years of bars
    that are none, and nobody can correct them.

    Parameters
    ----------
    source, symbols, start, end, data_dir, seed, cache
        As `load`.

    Returns
    -------
    raw : dict
        symbol -> its own bars.
    notes : list of str
        Sentences about their age.

    Raises
    ------
    InputError, MissingFileError
        As `load`, but for what `quality` finds.
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
        symbol: Raw(
            f"Yahoo: {symbol}", between(entry.bars, first, last, f"Yahoo: {symbol}"), currency=entry.identity.currency
        )
        for symbol, entry in cached.items()
    }, notes


def without_adjustment(raw: Mapping[str, Raw]) -> list[str]:
    """The symbols of which nothing says that their prices are adjusted for dividends and splits.

    Parameters
    ----------
    raw : mapping
        symbol -> Raw.

    Returns
    -------
    list of str
    """
    return [symbol for symbol, one in raw.items() if "adj_close" not in one.bars.columns]


def widening(source: str) -> float:
    """By how much an open or close may lie outside low..high: see `prepared`.

    Parameters
    ----------
    source : str

    Returns
    -------
    float
        A fraction of the price.
    """
    return WIDENED if source == "yahoo" else 0.0


def _check_source(source: str, data_dir: str | Path | None) -> None:
    if source not in SOURCES:
        raise InputError("is unknown", f"give one of {', '.join(SOURCES)}", "source", source)
    if source in _FILES and data_dir is None:
        raise InputError("needs data_dir", "give the folder or file with the prices", "source", source)
    if source not in _FILES and data_dir is not None:
        raise InputError(
            f"is not read by source={source!r}", f"give one of {', '.join(_FILES)}", "data_dir", str(data_dir)
        )


def _sample(names: Sequence[str], first: pd.Timestamp | None, last: pd.Timestamp | None, seed: int) -> Panel:
    for name, day in (("start", first), ("end", last)):
        if day is not None and not _SAMPLE_YEARS[0] <= day.year <= _SAMPLE_YEARS[1]:
            years = " to ".join(map(str, _SAMPLE_YEARS))
            raise InputError(
                f"is outside of the sample market's years, {years}", "give a date within", name, str(day.date())
            )
    opening = pd.Timestamp(SAMPLE_START) if first is None else min(first, pd.Timestamp(SAMPLE_START))
    market = sample_market(names, opening, pd.Timestamp(SAMPLE_END) if last is None else last, seed)
    return market.between(first, last)
