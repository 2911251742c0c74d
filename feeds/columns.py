"""Which column is which field: vendors name them in their own ways."""

from collections.abc import Iterable

import pandas as pd

from riskoverlay.errors import InputError

__all__ = ["ALIASES", "EXTRA", "field_name", "field_positions", "is_field", "with_field_names"]

EXTRA = ("adj_close", "dividend", "split")
"""What bars may have beside open, high, low, close and volume: the adjusted close, cash a share on its ex-date, and new
shares for one (0 or 1 on other days)."""

ALIASES: dict[str, tuple[str, ...]] = {
    "date": ("datetime", "timestamp", "datum"),
    "open": ("eröffnung", "erster"),
    "high": ("hoch",),
    "low": ("tief",),
    "close": ("closelast", "last", "price", "schluss", "schlusskurs"),
    "volume": ("vol", "volumen"),
    "adj_close": ("adjustedclose",),
    "dividend": ("dividends", "dividendamount", "divcash"),
    "split": ("stocksplits", "splitfactor", "splitcoefficient"),
}
"""Field -> what vendors call it beside its own name, in small letters and digits only."""


def field_name(label: object) -> str:
    """A column label as our fields are spelt: "Adj Close" is adj_close.

    Parameters
    ----------
    label : object

    Returns
    -------
    str
    """
    return str(label).strip().lower().replace(" ", "_")


def is_field(label: object, field: str) -> bool:
    """Whether a label is a name of a field: its own or a vendor's, whatever the case and between which signs.

    Parameters
    ----------
    label : object
        "adjClose", "Adj. Close" and "<ADJ_CLOSE>" are adj_close.
    field : str
        A key of `ALIASES`.

    Returns
    -------
    bool
    """
    return _squeezed(label) in (_squeezed(field), *ALIASES[field])


def field_positions(labels: Iterable[object], name: str) -> dict[str, int]:
    """Where each field is among the columns of a table.

    A column with the field's own name ("Close") comes before one with a vendor's name for it ("Price").

    Parameters
    ----------
    labels : iterable of object
    name : str
        What errors call the table.

    Returns
    -------
    dict
        Field -> position, for those that are there.

    Raises
    ------
    InputError
        Two columns that may both be a field.
    """
    given = [str(label).strip() for label in labels]
    found = {}
    for field in ALIASES:
        own = [at for at, label in enumerate(given) if field_name(label) == field]
        at = own or [at for at, label in enumerate(given) if is_field(label, field)]
        if len(own) > 1:
            raise InputError(f"{name}: column {field!r} is there more than once", "give it once")
        if len(at) > 1:
            both = " and ".join(repr(given[each]) for each in at)
            raise InputError(f"{name}: columns {both} may all be the {field}", f"name one of them {field}")
        if at:
            found[field] = at[0]
    return found


def with_field_names(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table, its columns named as our fields are.

    Parameters
    ----------
    table : DataFrame
    name : str
        What errors call it.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        As `field_positions`.
    """
    names = [field_name(label) for label in table.columns]
    for field, at in field_positions(table.columns, name).items():
        names[at] = field
    return table.set_axis(names, axis=1)


def _squeezed(label: object) -> str:
    return "".join(sign for sign in str(label).lower() if sign.isalnum())
