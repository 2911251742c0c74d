"""The exchange calendar of a symbol: which days are sessions, and which of them are over."""

import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.exchange import CALENDARS, exchange_calendar

__all__ = ["calendar_of", "check_calendar", "exchange_sessions", "finished_session"]

# Yahoo's suffixes of the exchanges that exchange_calendars knows; what has none trades in New York.
_SUFFIXES = {
    "AS": "XAMS", "AX": "XASX", "BO": "XBOM", "BR": "XBRU", "CO": "XCSE", "DE": "XETR", "F": "XFRA", "HE": "XHEL",
    "HK": "XHKG", "IR": "XDUB", "JK": "XIDX", "JO": "XJSE", "KL": "XKLS", "KQ": "XKRX", "KS": "XKRX", "L": "XLON",
    "LS": "XLIS", "MC": "XMAD", "MI": "XMIL", "MX": "XMEX", "NS": "XBOM", "NZ": "XNZE", "OL": "XOSL", "PA": "XPAR",
    "SA": "BVMF", "SI": "XSES", "SN": "XSGO", "SS": "XSHG", "ST": "XSTO", "SW": "XSWX", "SZ": "XSHG", "T": "XTKS",
    "TA": "XTAE", "TO": "XTSE", "TW": "XTAI", "V": "XTSX", "VI": "XWBO", "WA": "XWAR",
}  # fmt: skip
_LONGEST = 20  # days: no exchange has been closed for so long in a century
_DAY = pd.Timedelta(days=1)


def calendar_of(symbol: str) -> str:
    """The calendar by Yahoo's way of writing symbols: 7203.T, VOD.L, EURUSD=X (weekdays), BTC-USD (every day).

    Parameters
    ----------
    symbol : str

    Returns
    -------
    str
        A name of exchange_calendars; XNYS where the symbol says nothing else.
    """
    name = symbol.upper()
    if name.endswith("=X"):
        return "24/5"
    if name.endswith(("-USD", "-EUR", "-GBP", "-USDT", "-BTC")):
        return "24/7"
    return _SUFFIXES.get(name.rpartition(".")[2], "XNYS") if "." in name else "XNYS"


def check_calendar(calendar: str) -> None:
    """Refuse a name that exchange_calendars has no calendar of.

    Parameters
    ----------
    calendar : str

    Raises
    ------
    InputError
    """
    if calendar not in CALENDARS:
        raise InputError("is unknown", "give a name of exchange_calendars, as XNYS, XLON or 24/7", "calendar", calendar)


def exchange_sessions(first: pd.Timestamp, last: pd.Timestamp, calendar: str = "XNYS") -> pd.DatetimeIndex:
    """The sessions of an exchange.

    Parameters
    ----------
    first, last : Timestamp
        Both included; years before and after the calendar's own have none.
    calendar : str

    Returns
    -------
    DatetimeIndex

    Raises
    ------
    InputError
        An unknown calendar.
    """
    check_calendar(calendar)
    sessions = exchange_calendar(calendar, first.year, last.year).sessions
    return pd.DatetimeIndex(sessions[(sessions >= first) & (sessions <= last)])


def finished_session(now: pd.Timestamp, calendar: str = "XNYS", end: pd.Timestamp | None = None) -> pd.Timestamp | None:
    """The last session that is over.

    Parameters
    ----------
    now : Timestamp
        UTC, tz-aware.
    calendar : str
    end : Timestamp, optional
        It is not after this.

    Returns
    -------
    Timestamp or None
        None if there is none.
    """
    today = now.tz_convert("UTC").tz_localize(None).normalize()
    # A session's label is its exchange's date, which may be one ahead of UTC's.
    last = today + _DAY if end is None else min(end, today + _DAY)
    check_calendar(calendar)
    closes = exchange_calendar(calendar, (last - _LONGEST * _DAY).year, last.year).closes
    over = closes.index[(closes.index <= last) & (closes <= now).to_numpy()]
    return pd.Timestamp(over[-1]) if len(over) else None
