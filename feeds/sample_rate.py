"""The short rate of the sample market: made up, on a stated path."""

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

__all__ = ["RATE_PATH", "sample_rate"]

RATE_PATH = (
    ("2010-01-01", 0.0010), ("2015-12-01", 0.0010), ("2019-01-01", 0.0240), ("2019-08-01", 0.0210),
    ("2020-04-01", 0.0010), ("2022-03-01", 0.0030), ("2023-08-01", 0.0530), ("2024-09-01", 0.0490),
    ("2025-12-31", 0.0370),
)  # fmt: skip
"""Dates, and the annual fraction on them; straight between, level before the first and after the last.

Low, up, low, up: a borrower meets cheap years and dear ones, as real ones did.
"""

NOISE = 0.0005
"""The most by which a day is off the path, either way."""

_EPOCH = pd.Timestamp("1970-01-01")


def sample_rate(sessions: pd.DatetimeIndex, seed: int = 63) -> pd.Series:
    """An annual rate for each session, bond-equivalent: `RATE_PATH`, and uniform noise of `NOISE` from the seed.

    Parameters
    ----------
    sessions : DatetimeIndex of shape (n,)
        tz-naive, from 1970 on. A day has the same rate whatever the others.
    seed : int
        >= 0.

    Returns
    -------
    Series of shape (n,)
        Fractions a year, never negative, in whole hundredths of a basis point.

    Raises
    ------
    InputError
        A session before 1970, a negative seed.
    """
    days = (sessions - _EPOCH).days.to_numpy()
    if len(days) and days.min() < 0:
        raise InputError(f"session {sessions.min():%Y-%m-%d} is before 1970", "give later sessions")
    if seed < 0:
        raise InputError("is not an integer >= 0", "give one, as 63", "seed", seed)
    knots = pd.DatetimeIndex([date for date, _ in RATE_PATH])
    path = np.interp(days, (knots - _EPOCH).days, [rate for _, rate in RATE_PATH])
    # One draw a calendar day, of a stream of its own: the same number on every machine.
    draws = np.random.PCG64(np.random.SeedSequence([seed, 13])).random_raw(int(days.max()) + 1 if len(days) else 1)
    noise = ((draws[days] >> np.uint64(11)).astype(np.float64) / 2.0**53 * 2.0 - 1.0) * NOISE
    return pd.Series(np.round(np.maximum(path + noise, 0.0), 6), sessions, name="rate")
