"""Dividends and splits beside the prices: what they must be, and how prices are taken back to what they were, or on."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.errors import InputError

from .validation import FIELDS, validate

__all__ = [
    "ACTIONS",
    "SplitEvidence",
    "action_numbers",
    "as_traded",
    "back_adjusted",
    "carried",
    "in_shares",
    "raw_bars",
    "split_evidence",
    "undo_splits",
    "unpayable",
]

Floats = npt.NDArray[np.float64]

ACTIONS = ("dividend", "split")
"""Cash a share on its ex-date, in that day's shares; new shares for one, effective before that day's open."""

_NONE = {"dividend": 0.0, "split": 1.0}
_PRICES = ("open", "high", "low", "close")
_TELLING = np.log(1.25)
"""Log of the smallest split that a market's own move cannot be taken for."""


class SplitEvidence(NamedTuple):
    """Whether closes are as traded, by what they do at their announced splits.

    Attributes
    ----------
    traded : bool
        Whether the splits are in the closes; False: the vendor has taken them out, or there are none.
    against : tuple of int
        Rows of splits that say the opposite.
    """

    traded: bool
    against: tuple[int, ...] = ()


def action_numbers(column: pd.Series, field: str) -> Floats:
    """Dividends or splits as numbers.

    Parameters
    ----------
    column : Series of shape (n_sessions,)
    field : str
        "dividend" or "split".

    Returns
    -------
    ndarray of shape (n_sessions,)
        0 or 1 for a blank, 1 for a split of 0, nan for what is no number.
    """
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan, copy=True)
    numbers[column.isna().to_numpy()] = _NONE[field]
    if field == "split":
        numbers[numbers == 0.0] = 1.0
    return numbers


def split_evidence(close: Floats, dividend: Floats, split: Floats) -> SplitEvidence:
    """Whether closes move at their announced splits as traded ones do: by 1/s rather than by nothing.

    Parameters
    ----------
    close, dividend, split : ndarray of shape (n_sessions,)
        Above zero; money a share, 0 where none; new shares for one, 1 where none.

    Returns
    -------
    SplitEvidence
        A split below 1.25 for 1, or above 1 for 1.25, speaks against no other: a market may move as far.
    """
    ratio = np.log(split[1:])
    at = np.flatnonzero(ratio)
    if not len(at):
        return SplitEvidence(False)
    ratio, moves = ratio[at], np.log((close[at + 1] + dividend[at + 1]) / close[at])
    traded = bool(np.abs(moves + ratio).sum() < np.abs(moves).sum())
    against = (np.abs(moves + ratio) < np.abs(moves)) != traded
    return SplitEvidence(traded, tuple((at + 1)[against & (np.abs(ratio) >= _TELLING)].tolist()))


def unpayable(close: Floats, dividend: Floats, split: Floats) -> npt.NDArray[np.bool_]:
    """Sessions whose dividend is not below what the last close is worth, a new share.

    Parameters
    ----------
    close, dividend, split : ndarray of shape (n_sessions,)
        As traded.

    Returns
    -------
    ndarray of shape (n_sessions,)
    """
    return np.r_[False, dividend[1:] >= close[:-1] / split[1:]][: len(close)]


def in_shares(ratio: float) -> str:
    """3 for 1, 1 for 10, 1.5 for 1."""
    return f"{ratio:g} for 1" if ratio >= 1.0 else f"1 for {1.0 / ratio:g}"


def raw_bars(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A checked copy of bars as traded, with their dividends and splits.

    Parameters
    ----------
    frame : DataFrame
        As `validate` takes it, with columns dividend and split, in any case; one that is not there has none.
    name : str
        What errors call it.

    Returns
    -------
    DataFrame of shape (n_sessions, 7)
        open high low close volume dividend split.

    Raises
    ------
    InputError
        As `validate`; a dividend or split that is no finite number, a dividend below zero or not below the last close,
        a split below zero.
    """
    bars = _with_actions(frame, name)
    _refuse_unpayable(bars, name)
    return bars


def as_traded(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """As `raw_bars`, of bars that are as traded or that a vendor has adjusted for the splits beside them.

    Parameters
    ----------
    frame : DataFrame
        All that there is: later splits say what earlier prices were.
    name : str
        What errors call it.

    Returns
    -------
    DataFrame of shape (n_sessions, 7)

    Raises
    ------
    InputError
        As `raw_bars`, and splits of which some are in the prices and some are not.
    """
    bars = _with_actions(frame, name)
    evidence = split_evidence(*(bars[field].to_numpy() for field in ("close", "dividend", "split")))
    if evidence.against:
        at = evidence.against[0]
        found = "is not in the prices, but others are" if evidence.traded else "is in the prices, but others are not"
        raise InputError(
            f"{name}: the split of {in_shares(bars['split'].iloc[at])} on {bars.index[at]:%Y-%m-%d} {found}",
            "give all prices as traded, or all adjusted for splits",
        )
    bars = bars if evidence.traded else undo_splits(bars)
    _refuse_unpayable(bars, name)
    return bars


def undo_splits(bars: pd.DataFrame) -> pd.DataFrame:
    """Split-adjusted bars as they were traded: prices and dividends times the product of later splits, volume over it.

    Parameters
    ----------
    bars : DataFrame
        Oldest first; open high low close volume dividend split. Not checked here: a split that is no number above zero
        counts as none.

    Returns
    -------
    DataFrame
    """
    split = action_numbers(bars["split"], "split")
    later = _product_of_later(np.where(np.isfinite(split) & (split > 0.0), split, 1.0))
    restated = {field: bars[field] * later for field in (*_PRICES, "dividend")}
    return bars.assign(**restated, volume=bars["volume"] / later)


def back_adjusted(raw: pd.DataFrame) -> pd.DataFrame:
    """Bars as traded, adjusted by their own dividends and splits; the last bar stays.

    Closes before an ex-date u are multiplied by (C(u-1)/s(u) - D(u))/C(u-1), so that returns are total returns:
    C(u)/(C(u-1)/s(u) - D(u)) - 1. Volumes are in the last bar's shares.

    Parameters
    ----------
    raw : DataFrame of shape (n_sessions, 7)
        As `raw_bars` gives it.

    Returns
    -------
    DataFrame of shape (n_sessions, 5)
    """
    close, dividend, split = (raw[field].to_numpy() for field in ("close", *ACTIONS))
    steps = np.ones(len(raw))  # exactly 1 where there is neither
    at = np.flatnonzero((dividend[1:] != 0.0) | (split[1:] != 1.0)) + 1
    steps[at] = (close[at - 1] / split[at] - dividend[at]) / close[at - 1]
    factor = _product_of_later(steps)
    prices = {field: raw[field] * factor for field in _PRICES}
    return raw[list(FIELDS)].assign(**prices, volume=raw["volume"] * _product_of_later(split))


def carried(raw: pd.DataFrame, kept: pd.DatetimeIndex, name: str) -> pd.DataFrame:
    """The rows of some sessions; what happened between two of them happens on the later.

    Splits multiply, dividends are added in the later day's shares. What was before the first one happens to nobody.

    Parameters
    ----------
    raw : DataFrame of shape (n_sessions, 7)
        As `raw_bars` gives it.
    kept : DatetimeIndex
        Dates of some of its rows, in order.
    name : str
        What errors call it.

    Returns
    -------
    DataFrame of shape (len(kept), 7)

    Raises
    ------
    InputError
        Dividends that come to more than the last close.
    """
    out = raw.loc[kept]
    happened = ((raw["dividend"] != 0.0) | (raw["split"] != 1.0)).to_numpy()
    late = np.flatnonzero(happened & ~raw.index.isin(kept))
    following = np.unique(np.searchsorted(kept, raw.index[late]))
    following = following[(following > 0) & (following < len(kept))]
    if not len(following):
        return out
    out = out.copy()
    dividend, split = (out[field].to_numpy(copy=True) for field in ACTIONS)
    for k in following:
        between = raw[(raw.index > kept[k - 1]) & (raw.index <= kept[k])]
        dividend[k], split[k] = 0.0, 1.0
        for paid, ratio in zip(between["dividend"], between["split"], strict=True):
            dividend[k] = dividend[k] / ratio + paid
            split[k] *= ratio
    out = out.assign(dividend=dividend, split=split)
    _refuse_unpayable(out, name)
    return out


def _product_of_later(steps: Floats) -> Floats:
    """Of each row, the product of the rows behind it."""
    product = np.ones(len(steps))
    product[:-1] = np.cumprod(steps[:0:-1])[::-1]
    return product


def _with_actions(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    bars = validate(frame, name)
    lowered = [str(column).strip().lower() for column in frame.columns]
    for field in ACTIONS:
        count = lowered.count(field)
        if count > 1:
            raise InputError(f"{name}: column {field!r} is there more than once", "give it once")
        column = frame.iloc[:, lowered.index(field)] if count else pd.Series(_NONE[field], frame.index)
        bars[field] = action_numbers(column, field)
        for problem, bad in _unusable(bars[field].to_numpy()):
            if bad.any():
                at = int(np.argmax(bad))
                raise InputError(
                    f"{name}: {field} is {column.tolist()[at]!r} on {bars.index[at]:%Y-%m-%d}, {problem}",
                    f"give {_NONE[field]:g} or nothing where there is none, or correct the row",
                )
    return bars


def _unusable(numbers: Floats) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    finite = np.isfinite(numbers)
    yield "which is no finite number", ~finite
    yield "below zero", finite & (numbers < 0.0)


def _refuse_unpayable(bars: pd.DataFrame, name: str) -> None:
    bad = unpayable(*(bars[field].to_numpy() for field in ("close", *ACTIONS)))
    if bad.any():
        at = int(np.argmax(bad))
        last = bars["close"].iloc[at - 1] / bars["split"].iloc[at]
        raise InputError(
            f"{name}: dividend {bars['dividend'].iloc[at]:.10g} on {bars.index[at]:%Y-%m-%d} is not below the close "
            f"before, {last:.10g} a new share",
            "give cash a share, in that day's shares, or correct the row",
        )
