"""Daily bars from Yahoo, through yfinance."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .symbols import check_symbols
from .tables import field_name, frames_from_table
from .window import check_window

__all__ = ["frames_from_answer", "read_yahoo"]


def read_yahoo(
    symbols: Sequence[str] | str, start: object = None, end: object = None
) -> dict[str, pd.DataFrame]:
    """symbol -> validated frame of dividend- and split-adjusted bars, from one request for all symbols.

    start, end: first and last day, both included; None is the first and the last there is.
    Raises ValueError, naming the symbol, for one of which Yahoo gives no bars, and as `validate` does.
    """
    import yfinance  # takes a second, and the other sources do without it

    names = check_symbols(symbols)
    first, last = check_window(start, end)
    answer = yfinance.download(
        list(names),
        start=first,
        end=None if last is None else last + pd.Timedelta(days=1),  # Yahoo's end is not included
        period="max" if first is None else None,
        interval="1d",
        auto_adjust=True,
        actions=False,
        progress=False,
        threads=False,
    )
    return frames_from_answer(answer, names)


def frames_from_answer(answer: pd.DataFrame | None, symbols: Sequence[str]) -> dict[str, pd.DataFrame]:
    """symbol -> validated frame, from yfinance's table: columns by field and symbol, in either order, or, for
    one symbol, by field alone. Rows in which a symbol has no prices are sessions of the others.

    Raises ValueError naming the symbols without bars.
    """
    if answer is None:
        answer = pd.DataFrame()
    if not isinstance(answer.columns, pd.MultiIndex) and len(symbols) == 1 and not answer.empty:
        answer = pd.concat({symbols[0]: answer}, axis=1)
    held: set[str] = set()
    if isinstance(answer.columns, pd.MultiIndex):
        for label in answer.columns:
            if "close" in map(field_name, label) and answer[label].notna().any():
                held.update(str(part) for part in label)
    missing = [symbol for symbol in symbols if symbol not in held]
    if missing:
        raise ValueError(
            f"Yahoo gives no bars of {', '.join(missing)}: check the spelling, the window and the network"
        )
    return frames_from_table(answer, symbols, "Yahoo")
