"""What a broker says one holds.

Headers of Interactive Brokers' files are as its guides and public samples show them: the sections of the activity
statement ("Open Positions", "Cash Report"), the Flex query's columns
(www.ibkrguides.com/reportingreference/reportguide/open%20positionsfq.htm), TWS's export of the portfolio ("Financial
Instrument", "Position").

A statement that is misread is traded on: what may be meant otherwise is refused, never guessed.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from riskoverlay.errors import InputError, MissingFileError

__all__ = ["Statement", "read_statement"]

_ALIASES = dict.fromkeys(("ticker", "financialinstrument"), "symbol")
_ALIASES |= dict.fromkeys(("quantity", "position", "qty"), "shares")
_ALIASES |= dict.fromkeys(("assetcategory", "assetclass", "sectype", "securitytype"), "kind")
_STOCKS = ("", "stk", "stock", "stocks", "etf", "etfs", "equity", "equities", "fund", "funds")
_EXCHANGE = re.compile(r" (ARCA|NASDAQ|NYSE|AMEX|BATS|IEX|SMART|PINK)(\.\w+)?$")  # TWS writes "SPY ARCA"
_AMONG_COMMAS = re.compile(r"[+-]?(\d{1,15}|[1-9]\d{0,2}(,\d{3}){1,4})(\.\d*)?")
_ELSEWHERE = re.compile(r"[+-]?\d{1,15}(\.(?!\d{3}$)\d*)?")  # 1.234 may be thousands
_CURE = "give a CSV file with the header symbol,shares (alone: nothing is held), or IBKR's statement in English"


@dataclass(frozen=True)
class Statement:
    """What a broker says one holds.

    Attributes
    ----------
    positions : mapping or None
        Our symbol -> shares, below zero if sold short; 0 for one that the file does not name. None: nothing is said.
    others : mapping
        What else is held -> how much: to be named and left alone.
    cash : float or None
        Money, negative: the loan. From a file the ending cash in the base currency, of an activity statement with a
        Cash Report; None from any other.
    """

    positions: Mapping[str, float] | None = None
    others: Mapping[str, float] = field(default_factory=dict)
    cash: float | None = None


def read_statement(path: str | Path, symbols: Sequence[str]) -> Statement:
    """Read what one holds.

    A CSV file with columns symbol and shares (or quantity, position, qty), between commas, semicolons or tabs; or from
    Interactive Brokers the activity statement, a Flex query of open positions or TWS's export of the portfolio. Numbers
    have a decimal point; between commas, in quotes, they may have commas between thousands. Lots below a position are
    not read again.

    Parameters
    ----------
    path : str or Path
    symbols : sequence of str
        Ours. BRK-B is found as BRK B and BRK.B too.

    Returns
    -------
    Statement

    Raises
    ------
    MissingFileError
        No such file, or none that can be read.
    InputError
        With file and line: no such columns, more cells than they are (thousands without quotes), a quantity that is no
        number, one of our symbols twice, lots without their position, trades or orders, and what may be a share of ours
        or something else.
    """
    separator, lines = _lines(Path(path))
    ours = {_spelled(symbol): symbol for symbol in symbols}
    positions, others, cash = dict[str, float](), dict[str, float](), None
    for at, row in _rows(lines, "Open Positions", "symbol", "shares"):
        name, text, stock = row.pop("symbol"), row.pop("shares"), _squeezed(row.get("kind", "")) in _STOCKS
        symbol, words = ours.get(_spelled(name)) if stock else None, {*map(_squeezed, row.values())}
        if not (name or text) or ("lot" in words and (symbol in positions or name in others)):
            continue
        if not name or words & {"lot", "buy", "sell", "bot", "sld"}:
            raise InputError(f"{at}: {name or 'that'} is no position, but a sum, a lot, a trade or an order", _CURE)
        if symbol in positions:
            raise InputError(f"{at}: {symbol} once more", "give one line a symbol, its shares added up")
        like = ours.get(_spelled(name).rpartition(" ")[0])
        if like and stock and not symbol and _spelled(name)[-2:].isalpha():  # no class, and no month of a future
            raise InputError(f"{at}: {name} may be {like}", f"write {like}, or leave the line out")
        held, key = (positions, symbol) if symbol else (others, name)
        held[key] = held.get(key, 0.0) + _number(f"{at}: {name} has", text, separator)
    for at, row in _rows(lines, "Cash Report"):
        if (row.get("currencysummary"), row.get("currency")) == ("Ending Cash", "Base Currency Summary"):
            if cash is not None:
                raise InputError(f"{at}: Ending Cash once more", "give the statement of one account")
            cash = _number(f"{at}: Ending Cash is", row.get("total", ""), separator)
    return Statement(dict.fromkeys(symbols, 0.0) | positions, {name: n for name, n in others.items() if n}, cash)


def _lines(file: Path) -> tuple[str, list[tuple[str, list[str]]]]:
    """What is between the cells; which line it is and its cells, marked as the activity statement marks its own."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")  # only names are beyond ASCII
        separator = max(",;\t", key=text.strip().partition("\n")[0].count)
        reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
        lines = [(f"{file}, line {reader.line_num}", [cell.strip() for cell in row]) for row in reader]
    except (OSError, csv.Error) as error:
        raise MissingFileError(f"{file} cannot be read ({getattr(error, 'strerror', error)})", _CURE) from None
    lines = [line for line in lines if any(line[1])] or [(f"{file}, empty", [])]
    if not any(cells[:2] == ["Open Positions", "Header"] for _, cells in lines):
        lines = [(at, ["Open Positions", "Data" if i else "Header", *cells]) for i, (at, cells) in enumerate(lines)]
    return separator, lines


def _rows(lines: list[tuple[str, list[str]]], section: str, *columns: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a section, by what its header calls them; some columns it has to have, once."""
    keys: list[str] = []
    for at, cells in lines:
        if cells[:2] == [section, "Header"]:
            keys = [_ALIASES.get(key, key) for key in map(_squeezed, cells)]
            if re.search("trade|ordertype|estimated", "".join(keys)) or any(keys.count(one) != 1 for one in columns):
                raise InputError(f"{at}: {','.join(cells[2:])[:80]!r} is no header of positions", _CURE)
        elif cells[:2] == [section, "Data"]:
            if any(cells[len(keys) :]) or "\n" in "".join(cells):
                raise InputError(f"{at}: more cells than the header has", "write 1234, not 1,234, or in quotes")
            yield at, dict(zip(keys, cells + [""] * len(keys), strict=False))


def _number(what: str, text: str, separator: str) -> float:
    if not (_AMONG_COMMAS if separator == "," else _ELSEWHERE).fullmatch(text):
        raise InputError(f"{what} {text[:40]!r}, which is no number or may be two", "write 1234, 12.5 or 1.2340")
    return float(text.replace(",", ""))


def _spelled(name: str) -> str:
    return " ".join(re.split(r"[\s.-]+", _EXCHANGE.sub("", name.upper())))


def _squeezed(label: str) -> str:
    return "".join(filter(str.isalnum, label.lower()))
