"""Interest rates: a number, `irx+0.015` (the 13-week Treasury bill of each day plus 1.5 %), or `auto`."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.analyzers import risk_free_returns
from riskoverlay.errors import InputError
from riskoverlay.feeds import Cache, load_raw, sample_rate
from riskoverlay.strategies.financing import MOST_SPREAD

__all__ = [
    "AUTO",
    "IRX",
    "IRX_RATE",
    "bill_returns",
    "bond_equivalent",
    "parse_rate",
    "rate_in_words",
    "read_rates",
    "resolved_rates",
    "spread",
    "with_dated_rates",
]

AUTO = "auto"

IRX_RATE = "irx"
"""The bill's rate of each day, as an expression."""

AUTO_RATES: dict[str, tuple[str, float]] = {
    "borrow_rate": ("irx+0.015", 0.05),
    "cash_rate": ("irx-0.005", 0.0),
    "risk_free": ("irx", 0.0),
}
"""What `auto` means: where the bill is known, and where it is not."""

IRX = "^IRX"
"""Yahoo's symbol of the 13-week bill; its close is the rate in per cent a year, as a bank discount."""

BILL_DAYS = 91

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


def bond_equivalent(discount: npt.ArrayLike, days: int = BILL_DAYS) -> npt.NDArray[np.float64]:
    """The rate on what a bill costs, actual/365, from its bank discount on what it pays, actual/360.

    365·d / (360 − d·days), as the US Treasury publishes it ("coupon equivalent") for bills of up to half a year.

    Parameters
    ----------
    discount : array-like
        Annual fractions.
    days : int
        To maturity.

    Returns
    -------
    ndarray
        Annual fractions.
    """
    d = np.asarray(discount, dtype=np.float64)
    return np.asarray(365.0 * d / (360.0 - d * days))


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
        An annual fraction, "auto", or an expression of irx as it is stored.

    Raises
    ------
    InputError
        Text that is neither.
    """
    if text.strip().lower() == AUTO:
        return AUTO
    added = spread(text)
    if added is not None:
        _check_spread(name, text, added)
        return re.sub(r"[\s^]", "", text).lower()
    try:
        return float(text)
    except ValueError:
        raise InputError("is unreadable", f"give a number as 0.05, irx+0.015, or {AUTO}", name, text) from None


def _check_spread(name: str, text: str, added: float) -> None:
    """Refuse a spread that was meant per cent."""
    if abs(added) > MOST_SPREAD:
        fraction = f"per cent? give irx{added / 100:+g}" if abs(added) / 100 <= MOST_SPREAD else "give irx+0.015"
        raise InputError(f"is more than {MOST_SPREAD:g} from the bill's rate", fraction, name, text)


def read_rates(
    values: Mapping[str, Any],
    sessions: pd.DatetimeIndex,
    source: str,
    data_dir: str | Path | None,
    cache: Cache | None = None,
    seed: int = 63,
) -> tuple[dict[str, pd.Series], list[str]]:
    """The rates that the expressions among `values` ask for; for `auto`, where the source of the prices has them.

    Parameters
    ----------
    values : mapping
        Rates by name, as a configuration has them.
    sessions : DatetimeIndex
        Of the prices.
    source, data_dir : str, path or None
        Where the prices are from. A ^IRX file in a folder of csv or parquet files is read, the sample market has a
        rate of its own; else an expression asks Yahoo, and `auto` does so only where the prices are Yahoo's.
    cache : Cache, optional
        Of what Yahoo says.
    seed : int
        Of the sample market.

    Returns
    -------
    rates : dict
        irx -> annual fractions by date (bond-equivalent); empty if nothing asks for it, or `auto` does not find it.
    notes : list of str
        What to know about them.

    Raises
    ------
    InputError, MissingFileError
        As the sources, and if they do not reach back to the first session, for an expression; never for `auto`.
    """
    asked = [name for name, value in values.items() if isinstance(value, str) and spread(value) is not None]
    if not asked and AUTO not in [value for value in values.values() if isinstance(value, str)]:
        return {}, []
    if source == "sample":
        return {"irx": sample_rate(sessions, seed)}, []
    beside = data_dir is not None and (Path(data_dir) / f"{IRX}.{source}").is_file()
    if not asked and not beside and source != "yahoo":
        return {}, []
    try:
        irx, notes = _read_bill(source if beside else "yahoo", sessions, data_dir if beside else None, cache)
        _check_reach(irx, sessions)
    except InputError as error:
        if asked:
            name = asked[0]
            raise InputError(f"{name}={values[name]!r}: {error.said}", error.cure) from None
        return {}, [f"the bill's rate is not used: {error.said}"]
    if sessions[-1] - irx.index[-1] > _OLD:
        notes = [*notes, f"{IRX} is known up to {irx.index[-1]:%Y-%m-%d}; later days bear its last rate"]
    return {"irx": irx}, notes


def _read_bill(
    source: str, sessions: pd.DatetimeIndex, data_dir: str | Path | None, cache: Cache | None
) -> tuple[pd.Series, list[str]]:
    first, last = sessions[0] - _BEFORE, sessions[-1]
    raw, notes = load_raw(source, [IRX], first, last, data_dir, cache=cache)
    bars = raw[IRX].bars
    quote = pd.to_numeric(bars["close"], errors="coerce").to_numpy(np.float64, na_value=np.nan) / 100.0
    irx = pd.Series(bond_equivalent(quote), pd.DatetimeIndex(bars.index).tz_localize(None).normalize()).dropna()
    return irx[irx.index <= last], notes


def _check_reach(irx: pd.Series, sessions: pd.DatetimeIndex) -> None:
    if irx.empty or irx.index[0] > sessions[0]:
        begins = "has no rates" if irx.empty else f"begins on {irx.index[0]:%Y-%m-%d}"
        raise InputError(f"{IRX} {begins}, the prices on {sessions[0]:%Y-%m-%d}", "give a later start, or a number")


def resolved_rates(values: Mapping[str, Any], rates: Mapping[str, pd.Series]) -> dict[str, Any]:
    """What `auto` comes to.

    Parameters
    ----------
    values : mapping
        By name, other parameters may be among them.
    rates : mapping
        As `read_rates` gives them.

    Returns
    -------
    dict
        T-bill + 1.5 % for a loan, T-bill − 0.5 % (never below 0) on idle cash and the T-bill as the risk-free rate
        where it is known; 5 %, 0 and 0 where it is not.
    """
    known = "irx" in rates
    return {
        name: AUTO_RATES[name][0 if known else 1]
        if name in AUTO_RATES and isinstance(value, str) and value == AUTO
        else value
        for name, value in values.items()
    }


def with_dated_rates(values: Mapping[str, Any], rates: Mapping[str, pd.Series]) -> dict[str, Any]:
    """Replace each expression by its series: a rate is known from its day's close on. No account charges below 0.

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
    out = resolved_rates(values, rates)
    for name, value in out.items():
        if not isinstance(value, str):
            continue
        added = spread(value)
        if added is None:
            raise InputError("is unreadable", "give a number as 0.05, or irx+0.015", name, value)
        if "irx" not in rates:
            raise InputError("needs dated rates", "read the bars by load_panel, or give Panel.rates", name, value)
        dated = rates["irx"] + added
        out[name] = dated if name == "risk_free" else dated.clip(lower=0.0)
    return out


def bill_returns(
    risk_free: Any, rates: Mapping[str, pd.Series], dates: Sequence[date], before: date | None
) -> npt.NDArray[np.float64]:
    """What the risk-free rate of a configuration pays over each session.

    Parameters
    ----------
    risk_free : float or str
        A number, an expression or `auto`.
    rates : mapping
        As `read_rates` gives them.
    dates : sequence of date, n
    before : date or None
        Of the session before the first.

    Returns
    -------
    ndarray of shape (n,)
        Fractions per session, as `risk_free_returns`.

    Raises
    ------
    InputError
        As `with_dated_rates` and `risk_free_returns`.
    """
    (rate,) = with_dated_rates({"risk_free": risk_free}, rates).values()
    return risk_free_returns(rate, dates, before)


def rate_in_words(rate: Any) -> str:
    """A rate to print: 5 %, T-bill + 1.5 %, a dated rate.

    Parameters
    ----------
    rate : object
        As a configuration has it.

    Returns
    -------
    str
    """
    if isinstance(rate, str):
        added = spread(rate)
        if added is None:
            return rate
        return "T-bill" + (f" {'+' if added > 0 else '−'} {100 * abs(added):g} %" if added else "")
    return f"{100 * rate:g} %" if isinstance(rate, (int, float)) else "a dated rate"
