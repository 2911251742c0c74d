"""Probability of backtest overfitting.

References
----------
.. [1] Bailey, Borwein, López de Prado, Zhu (2017), The probability of backtest overfitting.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError

from .sharpe import as_columns, check_criterion

__all__ = ["Overfitting", "cscv"]

Floats = npt.NDArray[np.float64]

SPLITS = 128
"""That are scored at a time."""


@dataclass(frozen=True)
class Overfitting:
    """What choosing the best of the past did for the rest, over every split of the sessions in halves.

    Attributes
    ----------
    probability : float
        PBO: how often the best in sample is in the lower half out of sample; 0.5 is what chance does.
    in_sample, out_of_sample : ndarray of shape (n_splits,)
        Criterion of the best in sample there, and on the other half: annual Sharpe ratio, or growth a year.
    chosen : ndarray of shape (n_splits,)
        Which trial it was.
    """

    probability: float
    in_sample: Floats
    out_of_sample: Floats
    chosen: npt.NDArray[np.intp]


def cscv(returns: npt.ArrayLike, *, blocks: int = 16, criterion: str = "sharpe") -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation [1]_.

    The sessions are cut into blocks of equal length (the first few that do not fit are left out). For every choice of
    half of the blocks the best trial on them is ranked among all trials on the other half; ω = rank / (n + 1) with rank
    n the best, and PBO is how often ω < ½. A median, ω = ½, counts half, so that noise gives ½ for every n.

    Parameters
    ----------
    returns : array-like of shape (n_sessions, n_trials)
        Fractions, the same sessions for all; for "sharpe" those above the bill.
    blocks : int
        Even.
    criterion : {"sharpe", "growth"}
        See `SCORES`.

    Returns
    -------
    Overfitting

    Raises
    ------
    InputError
        Fewer than 2 trials; blocks odd, below 2, or with fewer than 2 sessions each.
    """
    r = as_columns(returns)
    if r.shape[1] < 2:
        raise InputError(f"returns has {r.shape[1]} trials", "give at least 2 to choose from")
    if blocks < 2 or blocks % 2:
        raise InputError("cannot be split in halves", "give an even number, e.g. 16", "blocks", blocks)
    length = len(r) // blocks
    if length < 2:
        raise InputError(f"{len(r)} sessions are too few for blocks={blocks}", "give a smaller even number")
    check_criterion(criterion)
    if criterion == "growth":  # what compounds adds up in logarithms; all that is lost stays lost
        r = np.log(np.maximum(1.0 + r, 1e-300))
    parts = r[len(r) - length * blocks :].reshape(blocks, length, -1)
    half = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, kept in zip(half, combinations(range(blocks), blocks // 2), strict=True):
        row[list(kept)] = 1.0
    # Mean and variance of any union of blocks follow from sums over blocks, taken about the overall mean.
    centre = parts.mean(axis=(0, 1))
    sums = np.array([(part - centre).sum(axis=0) for part in parts])
    squares = np.array([((part - centre) ** 2).sum(axis=0) for part in parts])
    n = length * blocks // 2

    def score(chosen: Floats) -> Floats:
        off = chosen @ sums / n
        if criterion == "growth":
            return np.asarray(centre + off)
        variance = np.maximum(chosen @ squares / n - off**2, 0.0) * n / (n - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(variance > 1e-24, (centre + off) / np.sqrt(variance), -np.inf)

    best = np.empty(len(half), dtype=np.intp)
    inside, outside, rank = np.empty(len(half)), np.empty(len(half)), np.empty(len(half))
    # Some splits at a time: of 10,000 trials all of them would take gigabytes. The rest of split i is split −1 − i.
    for first in range(0, len(half) // 2, SPLITS):
        splits = np.arange(first, min(first + SPLITS, len(half) // 2))
        scores = score(half[splits]), score(1.0 - half[splits])
        for which, here, there in ((splits, *scores), (len(half) - 1 - splits, *scores[::-1])):
            every, best[which] = np.arange(len(which)), here.argmax(axis=1)
            inside[which], outside[which] = here[every, best[which]], there[every, best[which]]
            own = outside[which, None]
            rank[which] = (there < own).sum(axis=1) + ((there == own).sum(axis=1) + 1) / 2
    middle = (r.shape[1] + 1) / 2

    def annual(worth: Floats) -> Floats:
        return np.expm1(worth * PERIODS) if criterion == "growth" else worth * math.sqrt(PERIODS)

    return Overfitting(
        probability=float(np.mean(rank < middle) + np.mean(rank == middle) / 2),
        in_sample=annual(inside),
        out_of_sample=annual(outside),
        chosen=best,
    )
