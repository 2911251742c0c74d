"""Daily bars from files: a folder of CSV files, Parquet, one wide CSV."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from reprlib import repr as shortened
from typing import NamedTuple

import pandas as pd

from riskoverlay.errors import InputError, MissingFileError, require

from .adjust import Raw, adjust
from .columns import EXTRA, field_name, field_positions, is_field, with_field_names
from .sheets import Layout, Sheet, dates_of, decimal_of, newest_first, number_of, read_sheet
from .symbols import check_symbols
from .tables import from_closes, raw_from_table
from .validation import FIELDS

__all__ = [
    "files_of",
    "raw_csv_folder",
    "raw_parquet",
    "raw_wide_csv",
    "read_csv_folder",
    "read_parquet",
    "read_wide_csv",
]

_STOOQ = ("_us_d.csv", ".us.txt")
"""What Stooq's file names have behind the symbol of a market in the United States."""


def read_csv_folder(folder: str | Path, symbols: Sequence[str] | str | None = None) -> dict[str, pd.DataFrame]:
    """Bars from one SYMBOL.csv each, in any case of the name, or as Stooq names it: symbol_us_d.csv, symbol.us.txt.

    Columns, in any order, under their own name or a vendor's (`ALIASES`): date, open, high, low, close, volume, and
    perhaps adj_close, by which the prices are then adjusted. Others are ignored. From dates and closes alone come
    open = high = low = close; volumes that are not there are 0. `Sheet`, `dates_of`, `decimal_of` and `number_of` say
    how separators, dates and numbers are read; three rows or more whose dates all fall are turned round.

    Parameters
    ----------
    folder : str or Path
    symbols : sequence of str, or str, optional
        Default: every file of the folder that is named so.

    Returns
    -------
    dict
        symbol -> validated frame.

    Raises
    ------
    MissingFileError
        A missing folder or file.
    InputError
        With file and line, what cannot be read; and as `validate`.
    """
    return _adjusted(raw_csv_folder(folder, symbols))


def raw_csv_folder(folder: str | Path, symbols: Sequence[str] | str | None = None) -> dict[str, Raw]:
    """As `read_csv_folder`, but the bars as they are in the files, with adj_close and dividend if there.

    Parameters
    ----------
    folder : str or Path
    symbols : sequence of str, or str, optional

    Returns
    -------
    dict
        symbol -> Raw.

    Raises
    ------
    InputError, MissingFileError
        As `read_csv_folder`.
    """
    paths = _paths(folder, symbols, ".csv")
    return {symbol: Raw(str(path), *_read_bars(path)) for symbol, path in paths.items()}


def read_wide_csv(path: str | Path, symbols: Sequence[str] | str | None = None) -> dict[str, pd.DataFrame]:
    """Bars from one CSV with a date column.

    Parameters
    ----------
    path : str or Path
        Either one close column a symbol, or two header rows, symbol and field in either order (the date column may be
        nameless in either). From closes alone come open = high = low = close, and volume 0. An empty cell is no
        session of its symbol.
    symbols : sequence of str, or str, optional
        Default: all there are.

    Returns
    -------
    dict
        symbol -> validated frame.

    Raises
    ------
    InputError, MissingFileError
        As `read_csv_folder`.
    """
    return _adjusted(raw_wide_csv(path, symbols))


def raw_wide_csv(path: str | Path, symbols: Sequence[str] | str | None = None) -> dict[str, Raw]:
    """As `read_wide_csv`, but the bars as they are in the file, with adj_close and dividend if there.

    Parameters
    ----------
    path : str or Path
    symbols : sequence of str, or str, optional

    Returns
    -------
    dict
        symbol -> Raw.

    Raises
    ------
    InputError, MissingFileError
        As `read_wide_csv`.
    """
    return _read_wide(read_sheet(Path(path)), symbols)


def read_parquet(path: str | Path, symbols: Sequence[str] | str | None = None) -> dict[str, pd.DataFrame]:
    """Bars from a folder of SYMBOL.parquet or from one file, long or wide.

    Parameters
    ----------
    path : str or Path
        Dates are in the index or in a column named date; `frames_from_table` says the shapes.
    symbols : sequence of str, or str, optional
        Default: all there are.

    Returns
    -------
    dict
        symbol -> validated frame.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    InputError, MissingFileError
        As `read_csv_folder`.
    """
    return _adjusted(raw_parquet(path, symbols))


def raw_parquet(path: str | Path, symbols: Sequence[str] | str | None = None) -> dict[str, Raw]:
    """As `read_parquet`, but the bars as they are in the files, with adj_close and dividend if there.

    Parameters
    ----------
    path : str or Path
    symbols : sequence of str, or str, optional

    Returns
    -------
    dict
        symbol -> Raw.

    Raises
    ------
    InputError, MissingFileError
        As `read_parquet`.
    """
    require("pyarrow", "parquet", "reading Parquet")
    path = Path(path)
    if path.is_file():
        return raw_from_table(_read_parquet_table(path), symbols, str(path))
    found = {}
    for symbol, file in _paths(path, symbols, ".parquet").items():
        table = _read_parquet_table(file)
        found[symbol] = Raw(str(file), with_field_names(table, str(file)), _layout(table.columns, str(file)))
    return found


def _adjusted(raw: dict[str, Raw]) -> dict[str, pd.DataFrame]:
    return {symbol: adjust(one.bars, one.name) for symbol, one in raw.items()}


# -- which file --------------------------------------------------------------------------------------------------------


def files_of(place: str | Path, symbols: Iterable[str]) -> list[Path]:
    """The files that prices of some symbols are read from.

    Parameters
    ----------
    place : str or Path
        A file, or a folder with one file a symbol.
    symbols : iterable of str

    Returns
    -------
    list of Path
        Those that are there.
    """
    place = Path(place)
    if not place.is_dir():
        return [place]
    wanted = {symbol.casefold() for symbol in symbols}
    named = [(path, _symbol_of(path, suffix)) for path in sorted(place.iterdir()) for suffix in (".csv", ".parquet")]
    return [path for path, symbol in named if symbol is not None and symbol.casefold() in wanted]


def _paths(folder: str | Path, symbols: Sequence[str] | str | None, suffix: str) -> dict[str, Path]:
    """symbol -> existing file of it in `folder`."""
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise MissingFileError(f"{folder} {what}", f"give a folder with one SYMBOL{suffix} each")
    there: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        name = _symbol_of(path, suffix)
        if name is not None:
            there.setdefault(name.casefold(), []).append(path)
    if not there:
        raise MissingFileError(f"{folder} has no {suffix} file", f"give a folder with one SYMBOL{suffix} each")
    names = sorted(str(_symbol_of(paths[0], suffix)) for paths in there.values())
    found = {}
    for symbol in check_symbols(names if symbols is None else symbols):
        paths = there.get(symbol.casefold(), [])
        if not paths:
            few = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise MissingFileError(f"{folder / symbol}{suffix} does not exist", f"the folder has {few}")
        if len(paths) > 1:
            both = " and ".join(path.name for path in paths)
            raise InputError(f"{folder}: {both} are both of {symbol}", "keep one of them")
        found[symbol] = paths[0]
    return found


def _symbol_of(path: Path, suffix: str) -> str | None:
    """The symbol that a file is named for: SPY.csv, spy.csv, and as Stooq has it spy_us_d.csv, spy.us.txt."""
    name = path.name
    for ending in (_STOOQ if suffix == ".csv" else ()) + (suffix,):
        if name.lower().endswith(ending) and len(name) > len(ending) and path.is_file():
            return name[: -len(ending)]
    return None


# -- one symbol a file -------------------------------------------------------------------------------------------------


def _read_bars(path: Path) -> tuple[pd.DataFrame, Layout]:
    """The rows of one SYMBOL.csv as they are, dates in the index, oldest first if all are newest first."""
    sheet = _one_header(read_sheet(path))
    labels = sheet.lines[0][1]
    at = field_positions(labels, str(path))
    if not labels[0]:
        at.setdefault("date", 0)  # the index of a table, which had no name
    alone = not any(field in at for field in ("open", "high", "low"))
    for field in ("date", "close") if alone else ("date", "open", "high", "low", "close"):
        if field not in at:
            raise InputError(f"{path}: column {field!r} is missing", f"give one each of date, {', '.join(FIELDS)}")
    fields = [field for field in (*FIELDS, *EXTRA) if field in at]
    amounts = ("volume", "dividend", "split")
    columns = [_Column(at[field], field == "volume", 0.0 if field in amounts else None) for field in fields]
    bars, layout = _table(sheet, 1, at["date"], columns)
    bars.columns = pd.Index(fields)
    if alone:
        bars = from_closes(bars["close"]).assign(**bars.drop(columns="close"))
    elif "volume" not in at:
        bars = bars.assign(volume=0.0)
    ignored = tuple(label for k, label in enumerate(labels) if k not in at.values())
    return bars, replace(layout, columns={name: labels[at[name]] for name in ("date", *fields)}, ignored=ignored)


def _one_header(sheet: Sheet) -> Sheet:
    """With one header line where yfinance's table of one symbol has three: Price, Ticker, Date."""
    if len(sheet.lines) < 2 or {row[0].lower() for _, row in sheet.lines[:2]} != {"price", "ticker"}:
        return sheet
    sheet.check_width(1)
    (number, fields), (_, tickers) = sorted(sheet.lines[:2], key=lambda line: line[1][0].lower())
    held = sorted(set(tickers[1:]))
    if len(held) > 1:
        raise InputError(f"{sheet.path}: has the bars of {', '.join(held)}", "read it as wide")
    first = 3 if _is_date_alone(sheet, 2) else 2
    return replace(sheet, lines=[(number, ["Date", *fields[1:]]), *sheet.lines[first:]])


def _is_date_alone(sheet: Sheet, at: int) -> bool:
    """Whether a line has nothing but the name of the dates."""
    row = sheet.lines[at][1] if len(sheet.lines) > at else [""]
    return is_field(row[0], "date") and not any(row[1:])


# -- several symbols a file --------------------------------------------------------------------------------------------


def _read_wide(sheet: Sheet, symbols: Sequence[str] | str | None) -> dict[str, Raw]:
    """The symbols of a wide file."""
    name, head = str(sheet.path), sheet.lines[0][1]
    below = sheet.lines[1][1] if len(sheet.lines) > 1 else []
    labels = next((row for row in (head, below) if "close" in map(field_name, row[1:])), None)
    columns, first = pd.Index(head[1:]), 1
    if labels is not None:
        sheet.check_width(1)
        columns = pd.MultiIndex.from_arrays([head[1:], below[1:]])
        first = 3 if _is_date_alone(sheet, 2) else 2  # pandas writes the index' name on a line of its own
    if not columns.is_unique:
        raise InputError(f"{name}: column {columns[columns.duplicated()][0]!r} is there twice", "give it once")
    volumes = [labels is not None and is_field(label, "volume") for label in (labels or head)[1:]]
    table, layout = _table(sheet, first, 0, [_Column(k, volume, math.nan) for k, volume in enumerate(volumes, 1)])
    found = raw_from_table(table.set_axis(columns, axis=1), symbols, name)
    for symbol, raw in found.items():
        named = {"close": symbol} if labels is None else _layout(dict.fromkeys(labels[1:]), name).columns
        found[symbol] = raw._replace(layout=replace(layout, columns={"date": head[0] or "date", **named}))
    return found


# -- cells -------------------------------------------------------------------------------------------------------------


class _Column(NamedTuple):
    """A column of numbers: its position, whether it is of volumes, and what an empty cell is (None: an error)."""

    at: int
    volume: bool
    blank: float | None


def _table(sheet: Sheet, first: int, dates_at: int, columns: Sequence[_Column]) -> tuple[pd.DataFrame, Layout]:
    """The numbers of a sheet by date, from line `first` of its lines on, oldest first if all are newest first."""
    body = sheet.lines[first:]
    if not body:
        raise InputError(f"{sheet.path}: no rows", "give at least one session")
    sheet.check_width(first)
    dates, form = dates_of([row[dates_at] for _, row in body], [number for number, _ in body], sheet.path)
    decimal = decimal_of([row[column.at] for _, row in body for column in columns], sheet.path)
    values = {column.at: [_number(sheet, line, column, decimal) for line in body] for column in columns}
    table = pd.DataFrame(values, index=dates)
    turned = newest_first(dates)
    order = "newest first" if turned else "oldest first"
    return table[::-1] if turned else table, Layout({}, (), sheet.separator_in_words, decimal, form, order)


def _number(sheet: Sheet, line: tuple[int, list[str]], column: _Column, decimal: str) -> float:
    number, row = line
    text = row[column.at]
    if not text and column.blank is not None:
        return column.blank
    value = number_of(text, decimal, column.volume)
    if math.isnan(value):
        raise InputError(
            f"{sheet.path}, line {number}: {sheet.lines[0][1][column.at]} {shortened(text)} is not a number",
            "correct or remove the line",
        )
    return value


# -- Parquet -----------------------------------------------------------------------------------------------------------


def _layout(labels: Iterable[object], name: str) -> Layout:
    """Of a table that has no separators and no written dates."""
    given = [str(label) for label in labels]
    at = field_positions(given, name)
    known = [field for field in ("date", *FIELDS, *EXTRA) if field in at]
    ignored = tuple(label for k, label in enumerate(given) if k not in at.values())
    return Layout({field: given[at[field]] for field in known}, ignored)


def _read_parquet_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, engine="pyarrow")
    except (ValueError, OSError) as error:  # pyarrow's own errors are among these
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a Parquet file ({first})", "give one") from None
    if isinstance(table.index, pd.DatetimeIndex):
        return table
    dated = [column for column in table.columns if is_field(column, "date")]
    if len(dated) != 1 or isinstance(table.columns, pd.MultiIndex):
        raise InputError(f"{path}: no dates", "put them in the index or in a column named date")
    dates = pd.to_datetime(table[dated[0]], errors="coerce")
    return table.drop(columns=dated[0]).set_index(pd.DatetimeIndex(dates))
