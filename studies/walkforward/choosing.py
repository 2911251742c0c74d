"""When to choose and when to trade, and what to choose."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

from ..judgement import SCORES

__all__ = ["Window", "choose", "windows"]

MOST_MONTHS = 1200


@dataclass(frozen=True)
class Window:
    """Sessions by position: chosen on `train` .. `begin` − 1, traded on `begin` .. `end` − 1.

    Attributes
    ----------
    train, begin, end : int
    """

    train: int
    begin: int
    end: int


def windows(sessions: pd.DatetimeIndex, *, train: int, test: int, expanding: bool = False) -> list[Window]:
    """Windows that begin with calendar months; the last may be shorter.

    Parameters
    ----------
    sessions : DatetimeIndex
        Sorted; the month under way at the first counts as the first month of training.
    train : int
        Months to choose on; with `expanding` the first time, all of the past later.
    test : int
        Months to trade.
    expanding : bool

    Returns
    -------
    list of Window

    Raises
    ------
    InputError
        Fewer than 1 month or more than MOST_MONTHS, or too few sessions for one window.
    """
    for name, months in (("train", train), ("test", test)):
        if months < 1:
            raise InputError("is not a number of months", "give a whole number >= 1", name, months)
        if months > MOST_MONTHS:
            raise InputError(f"is above {MOST_MONTHS}", "give no more than a hundred years of months", name, months)
    first = sessions[0].to_period("M")
    last = sessions[-1].to_period("M")
    found = []
    month = first + train
    while month <= last:
        begin, end = (int(sessions.searchsorted((month + k).to_timestamp())) for k in (0, test))
        start = 0 if expanding else int(sessions.searchsorted((month - train).to_timestamp()))
        if start < begin < end:
            found.append(Window(start, begin, end))
        month += test
    if not found:
        raise InputError(
            f"months leave nothing to trade from {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}",
            "give fewer, or more history",
            "train",
            train,
        )
    return found


def choose(returns: np.ndarray, window: Window, criterion: str = "sharpe") -> int:
    """The column that was best on the training sessions of a window; of equal ones the first.

    Parameters
    ----------
    returns : ndarray of shape (n_sessions, n_tries)
        Fractions, above the bill for "sharpe". Nothing from `window.begin` on is looked at.
    window : Window
    criterion : {"sharpe", "growth"}

    Returns
    -------
    int
    """
    worth = SCORES[criterion](returns[window.train : window.begin])
    return int(np.nanargmax(worth)) if np.isfinite(worth).any() else 0
