"""What is made of a source's prices: run as traded, adjusted by their own dividends and splits or by a vendor, or as
given."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from riskoverlay.errors import InputError

from .adjust import Raw

__all__ = ["AS_GIVEN", "PRICES", "Treatment", "treatment"]

PRICES = ("auto", "raw", "adjusted", "given")

AS_GIVEN = "taken as given: if they are not adjusted, this is price return only"
"""What prices are of which nothing says that they are adjusted."""


class Treatment(NamedTuple):
    """What a run makes of the prices.

    Attributes
    ----------
    raw : bool
        Whether they are run as traded, dividends and splits apart.
    own : tuple of str
        Symbols that are run as traded, or adjusted by us, by the dividends and splits beside their prices.
    bare : tuple of str
        Symbols of which nothing says that their prices are adjusted.
    unsplit : tuple of str
        Of `own`, those without a column of splits: their prices are taken as adjusted for them.
    notes : tuple of str
        A sentence for each of these things that a user should know.
    """

    raw: bool
    own: tuple[str, ...]
    bare: tuple[str, ...]
    unsplit: tuple[str, ...]
    notes: tuple[str, ...]


def treatment(raw: Mapping[str, Raw], prices: str = "auto", adjusted: bool = False) -> Treatment:
    """What `prices` and `adjusted` make of a source's columns.

    Parameters
    ----------
    raw : mapping
        symbol -> Raw.
    prices : {"auto", "raw", "adjusted", "given"}
        given: adjusted by the vendor's adj_close, else as they are, whatever dividends there are.
    adjusted : bool
        Whether prices without an adj_close are adjusted all the same.

    Returns
    -------
    Treatment

    Raises
    ------
    InputError
        Raw prices of symbols without dividends, or that are said to be adjusted.
    """
    columns = {symbol: set(one.bars.columns) for symbol, one in raw.items()}
    by_vendor = [symbol for symbol, there in columns.items() if "adj_close" in there]
    said = [symbol for symbol in raw if adjusted and symbol not in by_vendor]
    lacking = [symbol for symbol, there in columns.items() if "dividend" not in there]
    if prices == "raw" and said:
        raise InputError(
            f"with adjusted=True, which says that prices of {', '.join(said)} are adjusted",
            "give one of them", "prices", prices,
        )  # fmt: skip
    if prices == "raw" and lacking:
        raise InputError(
            f"needs dividends, and {', '.join(lacking)} {_has(lacking)} no column of them",
            "give a column dividend, cash a share on its ex-date, or prices=adjusted", "prices", prices,
        )  # fmt: skip
    as_traded = prices == "raw" or (prices == "auto" and not lacking and not said)
    apart = [symbol for symbol in raw if symbol not in lacking and symbol not in said and prices != "given"]
    own = [symbol for symbol in apart if as_traded or symbol not in by_vendor]
    bare = [symbol for symbol in raw if symbol not in {*own, *by_vendor, *said}]
    unsplit = [symbol for symbol in own if "split" not in columns[symbol]]
    notes = []
    if prices == "auto" and lacking and len(bare) + len(said) < len(raw):
        notes.append(f"prices are adjusted, not as traded: {', '.join(lacking)} {_has(lacking)} no column of dividends")
    if unsplit:
        notes.append(
            f"{_whose(unsplit, raw)} and dividends are taken as adjusted for splits: there is no column of splits"
        )
    if bare:
        notes.append(f"{_whose(bare, raw)} are {AS_GIVEN} (--adjusted, or adjusted=True, says that they are)")
    return Treatment(as_traded, tuple(own), tuple(bare), tuple(unsplit), tuple(notes))


def _has(symbols: Sequence[str]) -> str:
    return "has" if len(symbols) == 1 else "have"


def _whose(symbols: Sequence[str], all_symbols: Mapping[str, Raw]) -> str:
    return "prices" if len(symbols) == len(all_symbols) else f"prices of {', '.join(symbols)}"
