"""What a vendor says that bars are of, and that one account holds one currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from riskoverlay.errors import InputError

__all__ = ["Identity", "check_currencies", "currencies_in_words"]


@dataclass(frozen=True)
class Identity:
    """What a vendor says that a symbol's bars are of; None is what it does not say.

    Attributes
    ----------
    currency : str or None
        Of the prices, as the vendor writes it: at Yahoo GBp is a hundredth of GBP.
    exchange : str or None
        A short name.
    kind : str or None
        EQUITY, ETF, INDEX, ...
    """

    currency: str | None = None
    exchange: str | None = None
    kind: str | None = None

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Self:
        """Pick it out of the `meta` of an answer of Yahoo's, or of what `described` gave.

        Parameters
        ----------
        meta : mapping
            Whatever was sent.

        Returns
        -------
        Identity
        """
        return cls(*(_word(meta.get(name)) for name in ("currency", "exchangeName", "instrumentType")))

    def described(self) -> dict[str, str]:
        """By Yahoo's own names, for a file; what is not known has none."""
        named = {"currency": self.currency, "exchangeName": self.exchange, "instrumentType": self.kind}
        return {name: value for name, value in named.items() if value is not None}

    def changes(self, before: Self) -> list[str]:
        """What another answer said before, where both say something: "currency USD, EUR before"."""
        pairs = ((name, getattr(self, name), getattr(before, name)) for name in ("currency", "exchange", "kind"))
        return [f"{name} {now}, {then} before" for name, now, then in pairs if now and then and now != then]


def _word(value: object) -> str | None:
    """A name of a few characters, or None: nothing else of an answer is shown or kept."""
    return value if isinstance(value, str) and value.isascii() and value.isalnum() and len(value) <= 16 else None


def currencies_in_words(currencies: Mapping[str, str | None]) -> str:
    """Which symbols have which currency, if they are of several.

    Parameters
    ----------
    currencies : mapping
        symbol -> currency; None, which is not known, is none of them.

    Returns
    -------
    str
        "SPY, TLT are in USD, BMW.DE is in EUR"; nothing, if there is one only.
    """
    held: dict[str, list[str]] = {}
    for symbol, currency in currencies.items():
        if currency is not None:
            held.setdefault(currency, []).append(symbol)
    parts = [f"{', '.join(who)} {'are' if len(who) > 1 else 'is'} in {what}" for what, who in held.items()]
    return ", ".join(parts) if len(parts) > 1 else ""


def check_currencies(currencies: Mapping[str, str | None]) -> None:
    """Refuse prices of several currencies: an account adds them up, and converts none.

    Parameters
    ----------
    currencies : mapping
        As `currencies_in_words`.

    Raises
    ------
    InputError
    """
    mixed = currencies_in_words(currencies)
    if mixed:
        raise InputError(mixed, "give symbols of one currency; none is converted")
