"""Daily bars from files: a folder of CSV files, Parquet, one wide CSV."""

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from reprlib import repr as shortened

import pandas as pd

from riskoverlay.errors import InputError, MissingFileError, require

from .adjust import Raw, adjust
from .symbols import check_symbols
from .tables import EXTRA, field_name, raw_from_table
from .validation import FIELDS

__all__ = ["raw_csv_folder", "raw_parquet", "raw_wide_csv", "read_csv_folder", "read_parquet", "read_wide_csv"]


def read_csv_folder(folder: str | Path, symbols: Sequence[str] | str | None = None) -> dict[str, pd.DataFrame]:
    """Bars from one SYMBOL.csv each.

    Columns, in any order and case: date (YYYY-MM-DD), open, high, low, close, volume, and perhaps adj_close ("Adj
    Close"), by which the prices are then adjusted. Others are ignored.

    Parameters
    ----------
    folder : str or Path
    symbols : sequence of str, or str, optional
        Default: every .csv of the folder.

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
    return {symbol: Raw(str(path), _read_bars(path)) for symbol, path in paths.items()}


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
    path = Path(path)
    lines = _lines(path)
    head = next(lines)[1]
    second = next(lines, None)
    below = [] if second is None else second[1]
    two_rows = "close" in map(field_name, (*head[1:], *below[1:]))
    columns = pd.Index([cell.strip() for cell in head[1:]])
    if two_rows:
        _check_width(path, 2, below, len(head))
        columns = pd.MultiIndex.from_arrays([columns, [cell.strip() for cell in below[1:]]])
    if not columns.is_unique:
        raise InputError(f"{path}: column {columns[columns.duplicated()][0]!r} is there twice", "give it once")
    dates: list[datetime] = []
    values: list[list[float]] = []
    body = lines if second is None or two_rows else _chained(second, lines)
    for number, row in body:
        if not values and field_name(row[0]) == "date" and not any(cell.strip() for cell in row[1:]):
            continue  # pandas writes the index' name on a line of its own
        _check_width(path, number, row, len(head))
        dates.append(_date(path, number, row[0]))
        values.append(
            [_number(path, number, head[k], row[k]) if row[k].strip() else math.nan for k in range(1, len(head))]
        )
    if not values:
        raise InputError(f"{path}: no rows", "give at least one session")
    table = pd.DataFrame(values, index=pd.DatetimeIndex(dates), columns=columns)
    return raw_from_table(table, symbols, str(path))


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
    paths = _paths(path, symbols, ".parquet")
    return {
        symbol: Raw(str(file), _read_parquet_table(file).rename(columns=field_name)) for symbol, file in paths.items()
    }


def _adjusted(raw: dict[str, Raw]) -> dict[str, pd.DataFrame]:
    return {symbol: adjust(bars, name) for symbol, (name, bars) in raw.items()}


def _paths(folder: str | Path, symbols: Sequence[str] | str | None, suffix: str) -> dict[str, Path]:
    """symbol -> existing file of it in `folder`."""
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise MissingFileError(f"{folder} {what}", f"give a folder with one SYMBOL{suffix} each")
    there = sorted(path.stem for path in folder.glob(f"*{suffix}"))
    if not there:
        raise MissingFileError(f"{folder} has no {suffix} file", f"give a folder with one SYMBOL{suffix} each")
    paths = {}
    for symbol in check_symbols(there if symbols is None else symbols):
        paths[symbol] = folder / f"{symbol}{suffix}"
        if not paths[symbol].is_file():
            few = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "")
            raise MissingFileError(f"{paths[symbol]} does not exist", f"the folder has {few}")
    return paths


def _read_bars(path: Path) -> pd.DataFrame:
    """The rows of one SYMBOL.csv as they are, dates in the index."""
    lines = _lines(path)
    _, head = next(lines)
    fields = [field_name(cell) for cell in head]
    wanted = ["date", *FIELDS, *(field for field in EXTRA if field in fields)]
    for field in wanted:
        if fields.count(field) != 1:
            problem = "missing" if field not in fields else "there more than once"
            raise InputError(f"{path}: column {field!r} is {problem}", f"give one each of date, {', '.join(FIELDS)}")
    at = {field: fields.index(field) for field in wanted}
    dates, rows = [], []
    for number, row in lines:
        _check_width(path, number, row, len(fields))
        dates.append(_date(path, number, row[at["date"]]))
        cells = {field: row[at[field]] for field in wanted[1:]}
        if not cells.get("dividend", "0").strip():
            cells["dividend"] = "0"  # none paid
        rows.append([_number(path, number, field, cell) for field, cell in cells.items()])
    return pd.DataFrame(rows, index=pd.DatetimeIndex(dates), columns=wanted[1:])


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that is not blank. The first is there, or ValueError."""
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist", "give a CSV file")
    empty = True
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if any(cell.strip() for cell in row):
                    empty = False
                    yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV text file ({error})", "give one in UTF-8") from None
    if empty:
        raise InputError(f"{path} is empty", "give a header line and at least one session")


def _chained(first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _check_width(path: Path, number: int, row: list[str], width: int) -> None:
    if len(row) != width:
        raise InputError(f"{path}, line {number}: {len(row)} columns where the header has {width}", "complete the line")


def _date(path: Path, number: int, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip()).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    except ValueError:
        raise InputError(
            f"{path}, line {number}: date {shortened(text)} is unreadable", "write it YYYY-MM-DD"
        ) from None


def _number(path: Path, number: int, field: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{path}, line {number}: {field} {shortened(text)} is not a number", "correct or remove the line"
        )
    return value


def _read_parquet_table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, engine="pyarrow")
    except (ValueError, OSError) as error:  # pyarrow's own errors are among these
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a Parquet file ({first})", "give one") from None
    if isinstance(table.index, pd.DatetimeIndex):
        return table
    dated = [column for column in table.columns if field_name(column) == "date"]
    if len(dated) != 1 or isinstance(table.columns, pd.MultiIndex):
        raise InputError(f"{path}: no dates", "put them in the index or in a column named date")
    dates = pd.to_datetime(table[dated[0]], errors="coerce")
    return table.drop(columns=dated[0]).set_index(pd.DatetimeIndex(dates))
