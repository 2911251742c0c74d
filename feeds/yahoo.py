"""Daily bars from Yahoo, through yfinance: one request for all symbols, repeated for those that failed in passing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.notes import silenced

from .adjust import adjust
from .calendars import calendar_of, finished_session
from .columns import field_name
from .currencies import Identity, check_currencies
from .symbols import check_symbols
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


def read_yahoo(symbols: Sequence[str] | str, start: object = None, end: object = None) -> dict[str, pd.DataFrame]:
    """Dividend- and split-adjusted bars, straight from Yahoo; `Cache` spares the request.

    Parameters
    ----------
    symbols : sequence of str, or str
    start, end : date, optional
        First and last day, both included (default: the first there is, and the last session that is over).

    Returns
    -------
    dict
        symbol -> validated frame.

    Raises
    ------
    InputError
        Symbols without bars, with the reason; prices of several currencies; and as `validate`.
    """
    names = check_symbols(symbols)
    first, last = check_window(start, end)
    currencies: dict[str, str | None] = {}
    fetched, faults = fetch_yahoo(
        names, first, identified=lambda symbol, one: currencies.update({symbol: one.currency})
    )
    if faults:
        raise refusal(faults)
    check_currencies(currencies)
    frames = {}
    for symbol, bars in fetched.items():
        kept = between(bars, first, last, f"Yahoo: {symbol}")
        frames[symbol] = adjust(prepared(kept, WIDENED), f"Yahoo: {symbol}")
    return frames


def prepared(bars: pd.DataFrame, widened: float) -> pd.DataFrame:
    """The bars with high and low widened to hold an open and a close that lie slightly outside of them.

    Parameters
    ----------
    bars : DataFrame
    widened : float
        Fraction by which they may lie outside; of more, `validate` says the date.

    Returns
    -------
    DataFrame
    """
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
    identified: Callable[[str, Identity], None] | None = None,
    now: pd.Timestamp | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, Fault]]:
    """Bars as Yahoo gives them, or why there are none.

    Parameters
    ----------
    symbols : sequence of str
        Any case, asked of Yahoo in upper case.
    start : Timestamp, optional
        First day (default: the first there is).
    timeout : float, optional
        Seconds for one answer (default: TIMEOUT).
    waits : sequence of float, optional
        Seconds before each further attempt at what failed in passing (default: WAITS). Where nothing answers at all
        there is one further attempt only.
    sleep : callable
        Does the waiting.
    answered : callable, optional
        Called with each symbol as its bars arrive.
    identified : callable, optional
        Called with each symbol that has bars, and what its answer says that they are of.
    now : Timestamp, optional
        The time, UTC, by which a session is over.

    Returns
    -------
    bars : dict
        symbol -> open high low close volume (split-adjusted), adj_close, dividend (cash a share, ex-date), split (new
        shares for one, 0 on other days); none is checked, but a row without a close is no bar, and a session that is
        not over is left out.
    faults : dict
        symbol -> why there are none; each symbol is in one of the two.
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
            if identified is not None:
                for upper in got:
                    identified(as_written[upper], session.identity(upper))
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


def refusal(faults: dict[str, Fault]) -> InputError:
    """The error for symbols that have no bars, by reason; those that Yahoo does not know come first.

    Parameters
    ----------
    faults : dict
        symbol -> Fault, not empty.

    Returns
    -------
    InputError
    """
    reasons: dict[Fault, list[str]] = {}
    for symbol, fault in sorted(faults.items(), key=lambda item: item[1].passing):
        reasons.setdefault(fault, []).append(symbol)
    parts = [f"{', '.join(symbols)} ({fault.reason})" for fault, symbols in reasons.items()]
    cure = "try again later, or use offline with a filled cache"
    if not next(iter(reasons)).passing:
        cure = "check the spelling and the window, or leave it out"
    elif all(fault.silent for fault in reasons):
        cure = "check the network, or use offline with a filled cache"
    cure = next(iter(reasons)).cure or cure
    return InputError(f"Yahoo gives no bars of {', '.join(parts)}", cure)


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
    """Take yfinance's table apart.

    Parameters
    ----------
    answer : DataFrame or None
        Columns by field and symbol, in either order, or, for one symbol, by field alone; rows in which a symbol has
        no close are sessions of the others.
    symbols : sequence of str

    Returns
    -------
    dict
        symbol -> bars with the columns of `fetch_yahoo`, for those that have any.
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
    # What yfinance logs, our errors say; and what it uses of pandas is its own matter.
    with silenced(logging.getLogger("yfinance"), level=logging.CRITICAL, category=DeprecationWarning):
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


def utc_now() -> pd.Timestamp:
    """The time now.

    Returns
    -------
    Timestamp
        UTC, tz-aware.
    """
    return pd.Timestamp.now(tz="UTC")
