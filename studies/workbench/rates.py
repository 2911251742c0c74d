"""Dated interest rates from an expression: `irx+0.015` is the 13-week Treasury bill rate of each day plus 1.5 %."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.feeds import Cache, load_raw

__all__ = ["IRX", "parse_rate", "read_rates", "spread", "with_dated_rates"]

IRX = "^IRX"
"""Yahoo's symbol of the 13-week bill; its close is the rate in per cent a year (bank discount)."""

_EXPRESSION = re.compile(r"\^?irx\s*(?:([+-])\s*(\d+\.?\d*|\.\d+))?", re.IGNORECASE)
_BEFORE = pd.Timedelta(days=14)  # read before the first session, which may be a holiday of the bill
_OLD = pd.Timedelta(days=10)


def spread(text: str) -> float | None:
    """What an expression adds to irx.

    Parameters
    ----------
    text : str

    Returns
    -------
    float or None
        An annual fraction: 0.015 for irx+0.015, 0 for irx; None if it is no such expression.
    """
    match = _EXPRESSION.fullmatch(text.strip())
    if match is None:
        return None
    return float(f"{match[1]}{match[2]}") if match[1] else 0.0


def parse_rate(name: str, text: str) -> float | str:
    """A rate from text.

    Parameters
    ----------
    name : str
        Of the parameter, for the error.
    text : str

    Returns
    -------
    float or str
        An annual fraction, or an expression of irx as it is stored.

    Raises
    ------
    InputError
        Text that is neither.
    """
    if spread(text) is not None:
        return re.sub(r"[\s^]", "", text).lower()
    try:
        return float(text)
    except ValueError:
        raise InputError("is unreadable", "give a number as 0.05, or irx+0.015", name, text) from None


def read_rates(
    values: Mapping[str, Any],
    sessions: pd.DatetimeIndex,
    source: str,
    data_dir: str | Path | None,
    cache: Cache | None = None,
) -> tuple[dict[str, pd.Series], list[str]]:
    """The rates that the expressions among `values` ask for.

    Parameters
    ----------
    values : mapping
        Parameters of the account by name.
    sessions : DatetimeIndex
        Of the prices.
    source, data_dir : str, path or None
        Where the prices are from: a ^IRX file in a folder of csv or parquet files is read, else Yahoo is asked.
    cache : Cache, optional
        Of what Yahoo says.

    Returns
    -------
    rates : dict
        irx -> annual fractions by date; empty if no expression asks for it.
    notes : list of str
        What to know about them.

    Raises
    ------
    InputError, MissingFileError
        As the sources, and if they do not reach back to the first session.
    """
    asked = [name for name, value in values.items() if isinstance(value, str) and spread(value) is not None]
    if not asked:
        return {}, []
    beside = data_dir is not None and (Path(data_dir) / f"{IRX}.{source}").is_file()
    first, last = sessions[0] - _BEFORE, sessions[-1]
    raw, notes = load_raw(source if beside else "yahoo", [IRX], first, last, data_dir if beside else None, cache=cache)
    bars = raw[IRX].bars
    close = pd.to_numeric(bars["close"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    irx = pd.Series(close / 100.0, pd.DatetimeIndex(bars.index).tz_localize(None).normalize()).dropna()
    irx = irx[irx.index <= last]
    if irx.empty or irx.index[0] > sessions[0]:
        begins = "has no rates" if irx.empty else f"begins on {irx.index[0]:%Y-%m-%d}"
        raise InputError(
            f"{asked[0]}={values[asked[0]]!r}: {IRX} {begins}, the prices on {sessions[0]:%Y-%m-%d}",
            "give a later start, or a number",
        )
    if last - irx.index[-1] > _OLD:
        notes = [*notes, f"{IRX} is known up to {irx.index[-1]:%Y-%m-%d}; later days bear its last rate"]
    return {"irx": irx}, notes


def with_dated_rates(values: Mapping[str, Any], rates: Mapping[str, pd.Series]) -> dict[str, Any]:
    """Replace each expression by its series, never below 0: a rate is known from its day's close on.

    Parameters
    ----------
    values : mapping
        Parameters of the account by name.
    rates : mapping
        As `read_rates` gives them.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        An expression that is none, or of rates that are not there.
    """
    out = dict(values)
    for name, value in values.items():
        if not isinstance(value, str):
            continue
        added = spread(value)
        if added is None:
            raise InputError("is unreadable", "give a number as 0.05, or irx+0.015", name, value)
        if "irx" not in rates:
            raise InputError("needs dated rates", "read the bars by load_panel, or give Panel.rates", name, value)
        out[name] = (rates["irx"] + added).clip(lower=0.0)
    return out
