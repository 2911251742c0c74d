"""Daily bars from Yahoo, through yfinance: one request for all symbols, repeated for those that failed in passing."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .adjust import adjust
from .calendars import calendar_of, finished_session
from .symbols import check_symbols
from .tables import field_name
from .validation import FIELDS
from .window import between, check_window

if TYPE_CHECKING:
    from .yahoo_http import Fault

__all__ = ["WIDENED", "bars_from_answer", "fetch_yahoo", "prepared", "read_yahoo", "refusal", "utc_now"]

WAITS = (2.0, 8.0, 30.0)
"""Seconds before the second, third and fourth attempt."""

TIMEOUT = 15.0
"""Seconds that one symbol's answer may take; twenty years of bars are well under a megabyte."""

WIDENED = 0.005
"""By how much of itself Yahoo's open or close may lie outside low..high: the range is then widened to hold it."""

_COLUMNS = (*FIELDS, "adj_close", "dividend", "split")


def read_yahoo(
    symbols: Sequence[str] | str, start: object = None, end: object = None
) -> dict[str, pd.DataFrame]:
    """symbol -> validated frame of dividend- and split-adjusted bars, straight from Yahoo; `Cache` spares the request.

    start, end: first and last day, both included; None is the first there is and the last session that is over.
    Raises ValueError, naming the symbols and the reason, when any has no bars, and as `validate` does.
    """
    names = check_symbols(symbols)
    first, last = check_window(start, end)
    fetched, faults = fetch_yahoo(names, first)
    if faults:
        raise ValueError(refusal(faults))
    frames = {}
    for symbol, bars in fetched.items():
        kept = between(bars, first, last, f"Yahoo: {symbol}")
        frames[symbol] = adjust(prepared(kept, WIDENED), f"Yahoo: {symbol}")
    return frames


def prepared(bars: pd.DataFrame, widened: float) -> pd.DataFrame:
    """The bars with high and low widened to hold an open and a close that lie outside them by up to the fraction
    `widened`; of more, `validate` says the date."""
    if not widened:
        return bars
    out = bars.copy()
    for price in (bars["open"], bars["close"]):
        out["high"] = out["high"].mask((price > out["high"]) & (price <= bars["high"] * (1 + widened)), price)
        out["low"] = out["low"].mask((price < out["low"]) & (price >= bars["low"] * (1 - widened)), price)
    return out


def fetch_yahoo(
    symbols: Sequence[str],
    start: pd.Timestamp | None = None,
    *,
    timeout: float | None = None,
    waits: Sequence[float] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    answered: Callable[[str], None] | None = None,
    now: pd.Timestamp | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, Fault]]:
    """symbol -> bars as Yahoo gives them, and symbol -> why there are none; each symbol is in one of the two.

    Bars have the columns open high low close volume (split-adjusted), adj_close, dividend (cash a share, ex-date) and
    split (new shares for one, 0 on other days); none is checked, but a row without a close is no bar, and a session
    that is not over is left out.

    symbols: any case, asked of Yahoo in upper case
    start: first day; None is the first there is
    timeout: seconds for one answer (default TIMEOUT)
    waits: seconds before each further attempt at what failed in passing (default WAITS). Where nothing answers at
        all there is one further attempt only
    sleep: does the waiting
    answered: called with each symbol as its bars arrive
    now: the time, UTC, by which a session is over
    """
    from .yahoo_http import Fault, YahooSession  # brings in libcurl, and the other sources do without it

    as_written = {symbol.upper(): symbol for symbol in symbols}
    waits = WAITS if waits is None else waits
    found: dict[str, pd.DataFrame] = {}
    faults: dict[str, Fault] = {}
    wanted = list(as_written)
    for attempt in range(len(waits) + 1):
        session = YahooSession(
            TIMEOUT if timeout is None else timeout,
            None if answered is None else lambda upper: answered(as_written[upper]),
        )
        with session:
            got = bars_from_answer(_download(wanted, start, session), wanted)
            faults |= {upper: session.fault(upper) for upper in wanted if upper not in got}
        found |= got
        wanted = [upper for upper in wanted if upper not in got and faults[upper].passing]
        silent = not found and all(faults[upper].silent for upper in wanted)
        if not wanted or attempt == len(waits) or (silent and attempt > 0):
            break
        sleep(waits[attempt])
    now = utc_now() if now is None else now
    over: dict[str, pd.DataFrame] = {}
    for symbol in symbols:
        bars = found.get(symbol.upper())
        if bars is not None:
            over[symbol] = _finished(bars, symbol, now)
            if over[symbol].empty:
                del over[symbol]
                faults[symbol.upper()] = Fault("no session is over yet", passing=False)
    return over, {symbol: faults[symbol.upper()] for symbol in symbols if symbol not in over}


def refusal(faults: dict[str, Fault]) -> str:
    """The sentence for symbols that have no bars, by reason; those that Yahoo does not know come first."""
    reasons: dict[Fault, list[str]] = {}
    for symbol, fault in sorted(faults.items(), key=lambda item: item[1].passing):
        reasons.setdefault(fault, []).append(symbol)
    parts = [f"{', '.join(symbols)} ({fault.reason})" for fault, symbols in reasons.items()]
    cure = "try again later, or use offline with a filled cache"
    if not next(iter(reasons)).passing:
        cure = "check the spelling and the window, or leave it out"
    elif all(fault.silent for fault in reasons):
        cure = "check the network, or use offline with a filled cache"
    return f"Yahoo gives no bars of {', '.join(parts)}: {cure}"


def _table(answer: pd.DataFrame | None, symbols: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """yfinance's table with two levels of columns, and which of the symbols have bars in it."""
    if answer is None:
        answer = pd.DataFrame()
    if not isinstance(answer.columns, pd.MultiIndex) and len(symbols) == 1 and not answer.empty:
        answer = pd.concat({symbols[0]: answer}, axis=1)
    held: set[str] = set()
    if isinstance(answer.columns, pd.MultiIndex):
        for label in answer.columns:
            if "close" in map(field_name, label) and answer[label].notna().any():
                held.update(str(part) for part in label)
    return answer, [symbol for symbol in symbols if symbol in held]


def bars_from_answer(answer: pd.DataFrame | None, symbols: Sequence[str]) -> dict[str, pd.DataFrame]:
    """symbol -> bars with the columns of `fetch_yahoo`, for those of the symbols that have any.

    answer: yfinance's table, with columns by field and symbol, in either order, or, for one symbol, by field alone;
        rows in which a symbol has no close are sessions of the others
    """
    table, held = _table(answer, symbols)
    found = {}
    for symbol in held:
        level = next(k for k in (0, 1) if symbol in table.columns.get_level_values(k))
        bars = pd.DataFrame(table.xs(symbol, axis=1, level=level))
        bars = bars.set_axis([field_name(column) for column in bars.columns], axis=1)
        bars = bars.rename(columns={"dividends": "dividend", "stock_splits": "split"})
        bars = bars[bars["close"].notna()].reindex(columns=list(_COLUMNS))
        bars[["dividend", "split"]] = bars[["dividend", "split"]].fillna(0.0)
        bars["adj_close"] = bars["adj_close"].where(bars["adj_close"].notna(), bars["close"])
        dates = pd.DatetimeIndex(bars.index).tz_localize(None).normalize().as_unit("ns")
        found[symbol] = bars.astype(np.float64).set_axis(pd.DatetimeIndex(dates.to_numpy(), name="date"))
    return found


def _finished(bars: pd.DataFrame, symbol: str, now: pd.Timestamp) -> pd.DataFrame:
    """The bars without those of a session under way: yfinance gives its prices so far as a bar."""
    last = finished_session(now, calendar_of(symbol))
    return bars if last is None else bars[bars.index <= last]


def _download(symbols: list[str], start: pd.Timestamp | None, session: object) -> pd.DataFrame | None:
    """yfinance's table: unadjusted, so that what a dividend restates can be seen."""
    import yfinance

    # It remembers answers for as long as the process lives, bad ones too.
    yfinance.data.YfData.cache_get.cache_clear()
    with _quiet(logging.getLogger("yfinance")):
        table: pd.DataFrame | None = yfinance.download(
            symbols,
            start=None if start is None else f"{start:%Y-%m-%d}",
            period="max" if start is None else None,
            interval="1d",
            auto_adjust=False,
            actions=True,
            progress=False,
            threads=False,
            session=session,
        )
    return table


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """What yfinance logs, our errors say; and what it uses of pandas is its own matter."""
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def utc_now() -> pd.Timestamp:
    """The time, tz-aware."""
    return pd.Timestamp.now(tz="UTC")
