"""The sample market as it would have been traded: made-up dividends and splits, of the same total return."""

from dataclasses import replace

import numpy as np
import pandas as pd

from .panel import Panel
from .sample import SAMPLE_SYMBOLS

__all__ = ["with_sample_actions"]

_QUARTERS, _HALVES, _MONTHS = (3, 6, 9, 12), (6, 12), tuple(range(1, 13))

# Of each of the calibrated eight, a year's dividends as a fraction of the price, and the months in which they are paid:
# round figures of such funds. A twin pays as the one that it is like.
_PAID = (
    (0.018, _QUARTERS),  # SPY
    (0.007, _QUARTERS),  # QQQ
    (0.013, _QUARTERS),  # IWM
    (0.029, _HALVES),  # EFA
    (0.022, _HALVES),  # EEM
    (0.026, _MONTHS),  # TLT
    (0.033, _MONTHS),  # LQD
    (0.0, ()),  # GLD
)

_SPLIT, _SPLIT_ABOVE = 2.0, 250.0
"""New shares for one, on the first session of the month after a month's last close above."""


def with_sample_actions(market: Panel) -> Panel:
    """Bars as traded, with dividends and splits, whose total returns are those of the sample market.

    On the first session t of a month that pays, the price falls by a fraction y of itself, D(t) = y·C(t-1)/s(t), so
    that C(t)/(C(t-1)/s(t) - D(t)) = A(t)/A(t-1), where A are the sample's closes. The first session's prices are the
    sample's. Every step looks back only: a later end changes no bar.

    Parameters
    ----------
    market : Panel
        From `sample_market`, from its opening day on.

    Returns
    -------
    Panel
    """
    first_of_month = np.flatnonzero(np.diff(market.sessions.month)) + 1
    months = market.sessions.month.to_numpy()
    frames = {}
    for symbol, bars in market.frames.items():
        yearly, paying = _PAID[SAMPLE_SYMBOLS.index(symbol) % len(_PAID)]
        close = bars["close"].to_numpy()
        dividend, split, factor = np.zeros(len(close)), np.ones(len(close)), np.ones(len(close))
        shares = np.ones(len(close))
        for t in first_of_month:
            last = close[t - 1] * factor[t - 1]
            fraction = yearly / len(paying) if months[t] in paying else 0.0
            split[t] = _SPLIT if last > _SPLIT_ABOVE else 1.0
            dividend[t] = fraction * last / split[t]
            factor[t:] = factor[t - 1] * (1.0 - fraction) / split[t]
            shares[t:] = shares[t - 1] * split[t]
        prices = {field: bars[field] * factor for field in ("open", "high", "low", "close")}
        actions = {"dividend": dividend, "split": split}
        frames[symbol] = pd.DataFrame({**prices, "volume": bars["volume"] * shares, **actions}, index=bars.index)
    return replace(market, frames=frames, adjusted=False)
