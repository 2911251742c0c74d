"""One call for every source of daily bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.rules import Rules, parameter

from .actions import as_traded, back_adjusted, raw_bars, undo_splits
from .adjust import Raw, adjust
from .alignment import UNIVERSES, align
from .cache import Cache
from .currencies import check_currencies
from .files import raw_csv_folder, raw_parquet, raw_wide_csv
from .membership import Stretches, read_members
from .panel import Panel
from .quality import errors, quality, sentences
from .sample import SAMPLE_END, SAMPLE_START, sample_market
from .sample_actions import with_sample_actions
from .spacing import check_daily
from .symbols import DEFAULT_SYMBOLS, check_symbols
from .treatment import PRICES, Treatment, treatment
from .window import between, check_window
from .yahoo import WIDENED, prepared

__all__ = ["SOURCES", "PriceSelection", "load", "load_raw", "selected_symbols", "widening"]

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
    prices: str = parameter(
        "auto",
        "raw: as traded that day, dividends and splits paid by the account; adjusted: for both; auto: raw where every "
        "symbol's dividends are known, adjusted in the sample market; given: by the vendor's adjusted close, else as "
        "they are",
        choices=PRICES,
    )
    universe: str = parameter(
        "ragged",
        "which sessions: ragged (each symbol from its first bar to its last) or common (those that all symbols have)",
        choices=UNIVERSES,
    )
    members: str | Path | None = parameter(
        None,
        "CSV of who belonged to the universe, and when: symbol, from, to (default: all symbols always do)",
        optional=True,
        checked=False,
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
    prices: str = PriceSelection.prices,
    universe: str = PriceSelection.universe,
    members: str | Path | None = PriceSelection.members,
    calendar: str | None = "XNYS",
    cache: Cache | None = None,
) -> Panel:
    """The validated, aligned bars of `symbols` from `source`.

    Parameters
    ----------
    source, symbols, start, end, data_dir, seed, adjusted, prices, universe, members
        See `PriceSelection`; symbols are those of `members`, if only that is given.
    calendar : str or None
        Exchange calendar of the run, by which bars that are not daily, or have large holes, are refused; None: by their
        spacing alone.
    cache : Cache, optional
        Keeps what Yahoo says (default: in the user's cache folder, asking Yahoo for what is not fresh).

    Returns
    -------
    Panel
        What `quality` finds odd about bars that are not made up, of when cached prices are, and what the source does
        not say of dividends and splits, are in its `warnings`.

    Raises
    ------
    InputError, MissingFileError
        Whatever argument or file is not right, raw prices without dividends, prices of several currencies, and bars
        that `quality` or `check_daily` finds wrong.
    """
    _check_source(source, data_dir)
    PriceSelection(prices=prices, universe=universe)  # refuses others
    stretches = {} if members is None else read_members(members)
    names = _names(symbols, stretches, members)
    first, last = check_window(start, end)
    if source == "sample":
        panel = _sample(names, first, last, seed, prices)
    else:
        whole, notes = _whole(source, names, last, data_dir, cache)
        check_currencies({symbol: one.currency for symbol, one in whole.items()})
        given = treatment(whole, prices, adjusted)
        panel = _aligned(whole, given, source, first, last, universe, calendar)
        panel = replace(panel, warnings=(*notes, *given.notes, *panel.warnings))
    return replace(panel, members={symbol: stretches[symbol] for symbol in names} if stretches else {})


def load_raw(
    source: str = PriceSelection.source,
    symbols: Sequence[str] | str | None = PriceSelection.symbols,
    start: object = PriceSelection.start,
    end: object = PriceSelection.end,
    data_dir: str | Path | None = PriceSelection.data_dir,
    seed: int = PriceSelection.seed,
    *,
    prices: str = PriceSelection.prices,
    universe: str = PriceSelection.universe,
    members: str | Path | None = PriceSelection.members,
    cache: Cache | None = None,
) -> tuple[dict[str, Raw], list[str]]:
    """The bars as `source` gives them.

    What a file holds is given whole, Yahoo's bars from `start` to `end`: its history often opens with years of bars
    that are none, and nobody can correct them.

    Parameters
    ----------
    source, symbols, start, end, data_dir, seed, prices, universe, members, cache
        As `load`; only the sample market's bars differ by `prices`, and no bar by `universe`.

    Returns
    -------
    raw : dict
        symbol -> its own bars.
    notes : list of str
        Sentences about their age.

    Raises
    ------
    InputError, MissingFileError
        As `load`, but for what `treatment` and `quality` find.
    """
    _check_source(source, data_dir)
    PriceSelection(prices=prices, universe=universe)  # refuses others
    names = selected_symbols(symbols, members)
    first, last = check_window(start, end)
    if source == "sample":
        panel = _sample(names, first, last, seed, prices)
        return {symbol: Raw(symbol, frame) for symbol, frame in panel.frames.items()}, []
    whole, notes = _whole(source, names, last, data_dir, cache)
    return _in_window(whole, source, first, last), notes


def selected_symbols(
    symbols: Sequence[str] | str | None = PriceSelection.symbols, members: str | Path | None = PriceSelection.members
) -> tuple[str, ...]:
    """The symbols that a selection means.

    Parameters
    ----------
    symbols, members
        As `load`.

    Returns
    -------
    tuple of str
        Those given, or those of the file of members, or the default eight.

    Raises
    ------
    InputError, MissingFileError
        What `check_symbols` or `read_members` refuses, and a symbol without a row in the file.
    """
    return _names(symbols, {} if members is None else read_members(members), members)


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


def _names(
    symbols: Sequence[str] | str | None, stretches: Mapping[str, Stretches], members: str | Path | None
) -> tuple[str, ...]:
    if symbols is None:
        return tuple(stretches) or DEFAULT_SYMBOLS
    names = check_symbols(symbols)
    strangers = [symbol for symbol in names if symbol not in stretches]
    if stretches and strangers:
        raise InputError(
            f"has no row of {', '.join(strangers)}", "give one a symbol, or leave it out", "members", str(members)
        )
    return names


def _whole(
    source: str, names: Sequence[str], last: pd.Timestamp | None, data_dir: str | Path | None, cache: Cache | None
) -> tuple[dict[str, Raw], list[str]]:
    """All that a source has of each symbol, and notes about its age."""
    if data_dir is not None:
        return _FILES[source](data_dir, names), []
    cached, notes = (cache or Cache()).bars(names, last)
    return {
        symbol: Raw(f"Yahoo: {symbol}", entry.bars, currency=entry.identity.currency)
        for symbol, entry in cached.items()
    }, notes


def _in_window(
    whole: Mapping[str, Raw], source: str, first: pd.Timestamp | None, last: pd.Timestamp | None
) -> dict[str, Raw]:
    """What there is to be checked: files whole, Yahoo's bars of the window."""
    if source != "yahoo":
        return dict(whole)
    return {symbol: one._replace(bars=between(one.bars, first, last, one.name)) for symbol, one in whole.items()}


def _aligned(
    whole: Mapping[str, Raw],
    given: Treatment,
    source: str,
    first: pd.Timestamp | None,
    last: pd.Timestamp | None,
    universe: str,
    calendar: str | None,
) -> Panel:
    """The panel of a source's bars, with what is odd about them."""
    widened = widening(source)
    raw = _in_window(whole, source, first, last)
    frames, seen = {}, {}
    for symbol, one in raw.items():
        if symbol in given.own:
            traded = between(_as_traded(whole[symbol], source, first, last), first, last, symbol)
            frames[symbol] = traded if given.raw else back_adjusted(traded)
        else:
            frames[symbol] = between(adjust(prepared(one.bars, widened), one.name), first, last, symbol)
        dates = pd.DatetimeIndex(one.bars.index).tz_localize(None).normalize()
        seen[symbol] = Raw(one.name, one.bars[dates.isin(frames[symbol].index)])
    for symbol, frame in frames.items():
        if len(frame) == 1:
            raise InputError(f"{symbol} has 1 session, {frame.index[0]:%Y-%m-%d}", "leave it out, or widen the window")
    found = quality(seen, widened=widened, own=given.own)
    wrong = sentences(errors(found))
    if wrong:
        raise InputError(wrong[0], "correct or remove the rows, or choose another window")
    panel = align(frames, source=source, adjusted=not given.raw and not given.bare, universe=universe)
    held = {symbol: pd.DatetimeIndex(frame.index) for symbol, frame in frames.items()}
    lives = {id(frame.index): pd.DatetimeIndex(frame.index) for frame in panel.frames.values()}
    for days in (panel.sessions, *lives.values()):
        check_daily(held, days, calendar)
    return replace(
        panel,
        currency=next((one.currency for one in raw.values() if one.currency), None),
        warnings=tuple(sentences(found)),
        split_adjusted=given.unsplit if given.raw else (),
    )


def _as_traded(one: Raw, source: str, first: pd.Timestamp | None, last: pd.Timestamp | None) -> pd.DataFrame:
    """Bars as traded, by all splits that the source knows, those after the window too."""
    if source != "yahoo":
        return as_traded(one.bars, one.name)
    traded = undo_splits(prepared(one.bars, widening(source)))
    return raw_bars(between(traded, first, last, one.name), one.name)


def _sample(
    names: Sequence[str], first: pd.Timestamp | None, last: pd.Timestamp | None, seed: int, prices: str
) -> Panel:
    for name, day in (("start", first), ("end", last)):
        if day is not None and not _SAMPLE_YEARS[0] <= day.year <= _SAMPLE_YEARS[1]:
            years = " to ".join(map(str, _SAMPLE_YEARS))
            raise InputError(
                f"is outside of the sample market's years, {years}", "give a date within", name, str(day.date())
            )
    opening = pd.Timestamp(SAMPLE_START) if first is None else min(first, pd.Timestamp(SAMPLE_START))
    market = sample_market(names, opening, pd.Timestamp(SAMPLE_END) if last is None else last, seed)
    if prices == "raw":
        market = with_sample_actions(market)
    return market.between(first, last)
