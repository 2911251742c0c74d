"""Symbols: which names are accepted, and so may become file names."""

import re
from collections.abc import Sequence

from riskoverlay.errors import InputError

__all__ = ["DEFAULT_SYMBOLS", "check_symbols"]

DEFAULT_SYMBOLS = ("SPY", "QQQ", "IWM", "EFA", "EEM", "TLT", "LQD", "GLD")

# What vendors use: BRK-B, BF.B, ^IRX, EURUSD=X, 005930.KS, ES=F. No separator, no leading dot: a symbol never
# leads out of a folder.
_SYMBOL = re.compile(r"[A-Za-z0-9^][A-Za-z0-9^=._-]{0,31}")


def check_symbols(symbols: Sequence[str] | str) -> tuple[str, ...]:
    """The symbols as a tuple.

    Parameters
    ----------
    symbols : sequence of str, or str
        One string is split at its commas.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        None, one twice, and one that is not 1 to 32 of the characters A-Z a-z 0-9 ^ = . _ - beginning with a letter,
        a digit or ^.
    """
    parts = symbols.split(",") if isinstance(symbols, str) else symbols
    names = tuple(str(part).strip() for part in parts)
    if not names:
        raise InputError("symbols is empty", "give at least one, as SPY,TLT,GLD")
    for at, name in enumerate(names):
        if not _SYMBOL.fullmatch(name):
            shown = name if len(name) <= 40 else name[:37] + "..."
            raise InputError(
                f"symbols: {shown!r} is not a symbol", "give 1 to 32 letters, digits or ^ = . _ -, as SPY,BRK-B,^IRX"
            )
        if name in names[:at]:
            raise InputError(f"symbols: {name!r} is there twice", "give each symbol once")
    return names
