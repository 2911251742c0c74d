"""Adjustment of prices for dividends and splits, by the vendor's adjusted close."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

from .sheets import Layout
from .validation import validate

__all__ = ["Raw", "adjust"]


class Raw(NamedTuple):
    """Bars as a source gives them: neither checked nor adjusted.

    Attributes
    ----------
    name : str
        What errors call them: a file, or a vendor and a symbol.
    bars : DataFrame
        Dates in the index; open high low close volume, and perhaps adj_close, dividend (cash a share, ex-date) and
        split (new shares for one).
    layout : Layout or None
        How a file was understood.
    currency : str or None
        Of the prices, where the source says it.
    """

    name: str
    bars: pd.DataFrame
    layout: Layout | None = None
    currency: str | None = None


def adjust(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Open, high and low times adj_close/close, close replaced by adj_close; volume as it is.

    Parameters
    ----------
    frame : DataFrame
        The columns of `validate` and perhaps `adj_close`; without it prices are taken as adjusted.
    name : str
        What errors call them.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        As `validate`, for the prices before and after, and for an adj_close <= 0.
    """
    raw = validate(frame, name)
    if "adj_close" not in frame.columns:
        return raw
    adjusted = pd.to_numeric(frame["adj_close"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ~(np.isfinite(adjusted) & (adjusted > 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(
            f"{name}: adj_close is {frame['adj_close'].tolist()[at]!r} on {raw.index[at]:%Y-%m-%d}: "
            "prices must be above zero",
            "correct or remove the row",
        )
    ratio = adjusted / raw["close"].to_numpy()
    for field in ("open", "high", "low"):
        raw[field] = raw[field].to_numpy() * ratio
    raw["close"] = adjusted
    return validate(raw, f"{name} (adjusted)")
