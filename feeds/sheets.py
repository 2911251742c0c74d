"""A text file of daily bars: its cells, and the dates and numbers in them, however the vendor writes these."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError, MissingFileError

__all__ = ["Layout", "Sheet", "dates_of", "decimal_of", "newest_first", "number_of", "read_sheet"]

MOST_ROWS = 214_000
"""One for each day from 1678 to 2261, and headers: more are not daily bars, and would take gigabytes."""

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_FEWEST = 3  # rows that have an order; of two in the wrong one, one is misplaced
_UNKNOWN = ("", "-", "n/a")  # how vendors write a volume that they do not know

_TIME = r"(?:[T ]+\d{1,2}:\d{2}.*)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}", re.ASCII)
_DIGITS = re.compile(rf"(\d{{4}})()(\d{{2}})(\d{{2}}){_TIME}", re.ASCII)
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}", re.ASCII)

_EXPONENT = r"(?:[eE][+-]?\d+)?"
_POINT = re.compile(rf"[+-]?(?:(?:[1-9]\d{{0,2}}(?:[,']\d{{3}})+|\d+)(?:\.\d*)?|\.\d+){_EXPONENT}", re.ASCII)
_COMMA = re.compile(rf"[+-]?(?:[1-9]\d{{0,2}}(?:[.' \u00a0\u202f]\d{{3}})+|\d+)(?:,\d*)?{_EXPONENT}", re.ASCII)
_NUMBERS = {".": _POINT, ",": _COMMA}
_PLAIN = re.compile(rf"(?:-?\d+(?:\.\d*)?{_EXPONENT}\n)*", re.ASCII)  # one a line, nothing between thousands
_THOUSANDS = {".": re.compile("[,']"), ",": re.compile("[.' \u00a0\u202f]")}
_CURRENCY = re.compile(r"^[$€£]\s*|\s*[$€£]$")
_POWERS = {"K": 3, "M": 6, "B": 9}
_SUFFIX = re.compile(r"(?<=\d)\s?[KMB]$", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a file was understood.

    Attributes
    ----------
    columns : dict
        Field -> the column that it was read from, as the file names it.
    ignored : tuple of str
        Columns that were not read.
    separator : str
        Between the cells: commas, semicolons, tabs; "" in a file that has none.
    decimal : str
        . or ,
    dates : str
        Their form: YYYY-MM-DD, MM/DD/YYYY, DD.MM.YYYY, ...
    order : str
        oldest first, newest first.
    """

    columns: dict[str, str]
    ignored: tuple[str, ...] = ()
    separator: str = ""
    decimal: str = "."
    dates: str = ""
    order: str = ""

    def in_words(self) -> str:
        """In one line."""
        named = ", ".join(
            field if label.lower() == field else f"{field} from {label!r}" for field, label in self.columns.items()
        )
        if "open" not in self.columns:
            named += " alone: open = high = low = close"
        parts = [named if "volume" in self.columns else f"{named}; no volume"]
        if self.ignored:
            parts.append(f"not read: {', '.join(map(repr, self.ignored))}")
        if self.separator:
            parts.append(f"dates {self.dates}, {self.order}")
            parts.append(f"{self.separator}, decimal {'point' if self.decimal == '.' else 'comma'}")
        if "adj_close" in self.columns:
            parts.append(f"adjusted by {self.columns['adj_close']!r}")
        else:
            parts.append("no adjusted close: prices as they are")
        return "; ".join(parts)


@dataclass(frozen=True)
class Sheet:
    """The lines of a text file that are not blank.

    Attributes
    ----------
    path : Path
    separator : str
        The one of comma, semicolon and tab that divides the first line most.
    lines : list of (int, list of str)
        Number of the line in the file, and its cells without blanks around them. There is at least one.
    """

    path: Path
    separator: str
    lines: list[tuple[int, list[str]]]

    @property
    def separator_in_words(self) -> str:
        """Commas, semicolons or tabs."""
        return _SEPARATORS[self.separator]

    def check_width(self, first: int) -> None:
        """Refuse a line from `first` on that has not as many cells as the header.

        Raises
        ------
        InputError
        """
        width = len(self.lines[0][1])
        for number, row in self.lines[first:]:
            if len(row) != width:
                raise InputError(
                    f"{self.path}, line {number}: {len(row)} columns where the header has {width}", "complete the line"
                )


def read_sheet(path: Path) -> Sheet:
    """The cells of a text file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Sheet

    Raises
    ------
    MissingFileError, InputError
        No such file; not text in UTF-8; nothing in it, or more rows than there are days.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist", "give a CSV file")
    lines = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = next((line for line in file if line.strip()), "")
            separator = max(_SEPARATORS, key=lambda sign: len(next(csv.reader([head], delimiter=sign), [])))
            file.seek(0)
            reader = csv.reader(file, delimiter=separator)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    lines.append((reader.line_num, cells))
                if len(lines) > MOST_ROWS:
                    raise InputError(f"{path} has more than {MOST_ROWS:,} rows", "give daily bars: one row a session")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV text file ({error})", "give one in UTF-8") from None
    if not lines:
        raise InputError(f"{path} is empty", "give a header line and at least one session")
    return Sheet(path, separator, lines)


# -- dates -------------------------------------------------------------------------------------------------------------


def dates_of(texts: Sequence[str], numbers: Sequence[int], path: Path) -> tuple[pd.DatetimeIndex, str]:
    """The dates of a column, which are all of one form; a time after the date is not looked at.

    Year first (2020-01-02, 2020/1/2, 20200102) is year, month, day. Year last (01/02/2020, 2.1.2020) has the order in
    which every row is a date: a first number above 12 somewhere says the day, a second one the month comes first.

    Parameters
    ----------
    texts : sequence of str
        At least one.
    numbers : sequence of int
        Their lines in the file.
    path : Path
        Of the file.

    Returns
    -------
    dates : DatetimeIndex
        As written, without a time zone.
    form : str
        YYYY-MM-DD, MM/DD/YYYY, ...

    Raises
    ------
    InputError
        A date that is unreadable or of another form than the first, and an order that no row tells, or two rows
        otherwise.
    """
    form = next((each for each in (_DIGITS, _YEAR_LAST) if each.fullmatch(texts[0])), _YEAR_FIRST)
    parts = []
    for number, text in zip(numbers, texts, strict=True):
        found = form.fullmatch(text)
        if found is None:
            like = "YYYY-MM-DD" if form is not _YEAR_LAST else f"as the others, {texts[0][:10]}"
            raise _unreadable(path, number, text, like)
        parts.append((int(found[1]), int(found[3]), int(found[4])))
    sign = form.fullmatch(texts[0])[2]  # type: ignore[index]  # the first matched above
    days_first = False
    if form is _YEAR_LAST:
        days_first = _day_first(parts, texts, numbers, path)
        parts = [(year, two, one) if days_first else (year, one, two) for one, two, year in parts]
    days = []
    for number, text, (year, month, day) in zip(numbers, texts, parts, strict=True):
        try:
            days.append(date(year, month, day))
        except ValueError:
            raise _unreadable(path, number, text, "YYYY-MM-DD") from None
    order = "YYYY MM DD" if form is not _YEAR_LAST else "DD MM YYYY" if days_first else "MM DD YYYY"
    return pd.DatetimeIndex(np.array(days, dtype="datetime64[s]")), order.replace(" ", sign)


def newest_first(dates: pd.DatetimeIndex) -> bool:
    """Whether each of three or more dates is before the one above it.

    Parameters
    ----------
    dates : DatetimeIndex

    Returns
    -------
    bool
    """
    return len(dates) >= _FEWEST and bool((np.diff(dates.asi8) < 0).all())


def _day_first(parts: list[tuple[int, int, int]], texts: Sequence[str], numbers: Sequence[int], path: Path) -> bool:
    """Whether dates with the year last begin with the day."""
    day = next((at for at, (one, _, _) in enumerate(parts) if one > 12), None)
    month = next((at for at, (_, two, _) in enumerate(parts) if two > 12), None)
    if day is None and month is None:
        raise InputError(
            f"{path}: dates such as {texts[0]!r} may have the day or the month first", "write them YYYY-MM-DD"
        )
    if day is not None and month is not None:
        raise InputError(
            f"{path}: date {texts[day]!r} in line {numbers[day]} has the day first, {texts[month]!r} in line "
            f"{numbers[month]} the month",
            "write all of them YYYY-MM-DD",
        )
    return day is not None


def _unreadable(path: Path, number: int, text: str, like: str) -> InputError:
    return InputError(f"{path}, line {number}: date {shortened(text)} is unreadable", f"write it {like}")


# -- numbers -----------------------------------------------------------------------------------------------------------


def decimal_of(texts: Sequence[str], path: Path) -> str:
    """The decimal sign of a file's numbers.

    Point or comma, whichever makes a number of every cell, the other one being between thousands. A file without a
    comma has the point.

    Parameters
    ----------
    texts : sequence of str
        All of its prices and volumes.
    path : Path
        Of the file.

    Returns
    -------
    str
        "." or ","; where neither fits, the one that fits more.

    Raises
    ------
    InputError
        Cells as 1,234 alone, of which both make numbers.
    """
    if _PLAIN.fullmatch("\n".join([*texts, ""])):
        return "."
    cells = [_SUFFIX.sub("", cell) for cell in map(_bare, texts) if cell.lower() not in _UNKNOWN]
    with_comma = next((text for text in cells if "," in text), None)
    point = sum(_POINT.fullmatch(text) is not None for text in cells)
    if with_comma is None and point == len(cells):
        return "."
    comma = sum(_COMMA.fullmatch(text) is not None for text in cells)
    if with_comma is not None and point == comma == len(cells):
        raise InputError(
            f"{path}: {with_comma} may be {with_comma.replace(',', '')} or {with_comma.replace(',', '.')}",
            "write numbers with a decimal point and without thousands separators",
        )
    return "," if comma > point else "."


def number_of(text: str, decimal: str, volume: bool = False) -> float:
    """The number in a cell, to the last bit what Python makes of its digits.

    Parameters
    ----------
    text : str
        A currency sign ($, €, £) and thousands separators are not part of it.
    decimal : str
        "." or ",".
    volume : bool
        Whether 1.5M is 1,500,000 (K, M, B), and nothing, - and N/A are 0.

    Returns
    -------
    float
        nan if it is none.
    """
    power = 0
    if not _NUMBERS[decimal].fullmatch(text):
        text = _bare(text)
        if volume and text.lower() in _UNKNOWN:
            return 0.0
        suffix = _SUFFIX.search(text) if volume else None
        if suffix:
            text, power = text[: suffix.start()], _POWERS[text[-1].upper()]
        if not _NUMBERS[decimal].fullmatch(text):
            return math.nan
    digits = _THOUSANDS[decimal].sub("", text).replace(",", ".")
    value = float(Decimal(digits).scaleb(power)) if power else float(digits)
    return value if math.isfinite(value) else math.nan


def _bare(text: str) -> str:
    return _CURRENCY.sub("", text)
