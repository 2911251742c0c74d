"""One table that holds several symbols, taken apart into a frame per symbol."""

from collections.abc import Sequence

import pandas as pd

from riskoverlay.errors import InputError

from .adjust import Raw, adjust
from .columns import EXTRA, field_name, with_field_names
from .symbols import check_symbols
from .validation import FIELDS

__all__ = ["frames_from_table", "from_closes", "raw_from_table"]


def frames_from_table(table: pd.DataFrame, symbols: Sequence[str] | str | None, name: str) -> dict[str, pd.DataFrame]:
    """Bars from a table that holds several symbols.

    Parameters
    ----------
    table : DataFrame
        Long: columns symbol, open, high, low, close, volume and perhaps adj_close, dates in the index. Wide with two
        levels of columns, symbol and field in either order. Wide with one level, a close per symbol: then open = high
        = low = close, and volume is 0. A row in which a symbol has no value at all is no session of that symbol.
    symbols : sequence of str, or str, optional
        Default: all there are.
    name : str
        What errors call it.

    Returns
    -------
    dict
        symbol -> validated frame.

    Raises
    ------
    InputError
        A symbol that is not in the table, and as `validate`.
    """
    return {symbol: adjust(raw.bars, raw.name) for symbol, raw in raw_from_table(table, symbols, name).items()}


def raw_from_table(table: pd.DataFrame, symbols: Sequence[str] | str | None, name: str) -> dict[str, Raw]:
    """As `frames_from_table`, but the bars as they are in the table, with adj_close and dividend if there.

    Parameters
    ----------
    table, symbols, name
        As `frames_from_table`.

    Returns
    -------
    dict
        symbol -> Raw.

    Raises
    ------
    InputError
        A symbol that is not in the table.
    """
    if isinstance(table.columns, pd.MultiIndex):
        parts = _by_symbol(table, name)
    elif "symbol" in map(field_name, table.columns):
        long = with_field_names(table, name)
        parts = {str(symbol): part for symbol, part in long.groupby("symbol", sort=False)}
    else:
        parts = {str(symbol): from_closes(table[symbol].dropna()) for symbol in table.columns}
    if symbols is None:
        try:
            wanted = check_symbols(list(parts))
        except InputError as error:
            raise InputError(f"{name}: {error.said}", error.cure) from None
    else:
        wanted = check_symbols(symbols)
    for symbol in wanted:
        if symbol not in parts:
            raise InputError(f"{name}: symbol {symbol!r} is not there", f"it has {', '.join(parts)}")
    raw = {}
    for symbol in wanted:
        part = parts[symbol]
        held = [field for field in (*FIELDS, *EXTRA) if field in part.columns]
        prices = [field for field in held if field not in ("dividend", "split")]
        raw[symbol] = Raw(f"{name}: {symbol}", part[held].dropna(how="all", subset=prices))
    return raw


def from_closes(close: pd.Series) -> pd.DataFrame:
    """Bars of which nothing but the close is known: open = high = low = close, and volume 0.

    Parameters
    ----------
    close : Series
        By date.

    Returns
    -------
    DataFrame
    """
    prices = {field: close for field in ("open", "high", "low", "close")}
    return pd.DataFrame({**prices, "volume": 0.0}, index=close.index)


def _by_symbol(table: pd.DataFrame, name: str) -> dict[str, pd.DataFrame]:
    if table.columns.nlevels != 2:
        raise InputError(f"{name}: {table.columns.nlevels} header rows", "give two, symbol and field")
    level = next((k for k in (0, 1) if "close" in map(field_name, table.columns.get_level_values(k))), None)
    if level is None:
        raise InputError(f"{name}: no column is named close", "give two header rows, symbol and field")
    found: dict[str, pd.DataFrame] = {}
    for symbol in table.columns.get_level_values(1 - level).unique():
        part = pd.DataFrame(table.xs(symbol, axis=1, level=1 - level))
        found[str(symbol).strip()] = with_field_names(part, f"{name}: {symbol}")
    return found
