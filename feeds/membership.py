"""Who belonged to a universe, and when: a CSV with symbol, from and to."""

import csv
from datetime import date
from itertools import pairwise
from pathlib import Path

from riskoverlay.errors import InputError, MissingFileError

from .symbols import check_symbols

__all__ = ["Stretches", "read_members"]

Stretches = tuple[tuple[date | None, date | None], ...]
"""From and to, both included, in order; None is open."""


def read_members(path: str | Path) -> dict[str, Stretches]:
    """The stretches of each symbol.

    Parameters
    ----------
    path : str or Path
        CSV with the columns symbol, from and perhaps to, in any order and case; dates are ISO 8601, a blank one is
        open. A symbol that came back has a row for each stretch.

    Returns
    -------
    dict
        symbol -> its stretches, in the order of the file's first rows.

    Raises
    ------
    MissingFileError
        No file.
    InputError
        With file and row: what is no symbol or no date, a stretch that ends before it begins, two that overlap.
    """
    path = Path(path)
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise MissingFileError(f"members: {path} {what}", "give a CSV with the columns symbol, from, to")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"members: {path} cannot be read ({error})", "give a CSV in UTF-8") from None
    at = _columns(lines[0][1] if lines else [], path)
    found: dict[str, list[tuple[date | None, date | None, int]]] = {}
    for number, row in lines[1:]:
        cells = {name: row[k].strip() if k < len(row) else "" for name, k in at.items()}
        where = f"members: {path}, row {number}"
        symbol = _symbol(cells["symbol"], where)
        first, last = (_day(cells.get(name, ""), name, where) for name in ("from", "to"))
        if first is not None and last is not None and last < first:
            raise InputError(f"{where}: from {first} is after to {last}", "give from <= to")
        found.setdefault(symbol, []).append((first, last, number))
    if not found:
        raise InputError(f"members: {path} has no rows", "give symbol, from, to a row")
    return {symbol: _in_order(symbol, rows, path) for symbol, rows in found.items()}


def _columns(labels: list[str], path: Path) -> dict[str, int]:
    names = [label.strip().lower() for label in labels]
    for name in ("symbol", "from", "to"):
        if names.count(name) > 1 or (name not in names and name != "to"):
            problem = "missing" if name not in names else "there more than once"
            raise InputError(f"members: {path}, row 1: column {name!r} is {problem}", "give symbol, from, to")
    return {name: names.index(name) for name in ("symbol", "from", "to") if name in names}


def _symbol(text: str, where: str) -> str:
    try:
        (symbol,) = check_symbols([text])
    except InputError as error:
        raise InputError(f"{where}: {error.said}", error.cure) from None
    return symbol


def _day(text: str, name: str, where: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{where}: {name} {text!r} is not a date", "give YYYY-MM-DD, or nothing if open") from None


def _in_order(symbol: str, rows: list[tuple[date | None, date | None, int]], path: Path) -> Stretches:
    ordered = sorted(rows, key=lambda row: row[0] or date.min)
    for (first, last, above), (begins, _, number) in pairwise(ordered):
        if last is None or begins is None or begins <= last:
            raise InputError(
                f"members: {path}, rows {above} and {number}: stretches of {symbol} overlap "
                f"({first or 'open'} to {last or 'open'}, and from {begins or 'open'})",
                "end one before the other begins, or make one row of them",
            )
    return tuple((first, last) for first, last, _ in ordered)
