"""What a rebalancing strategy's account depends on and does not change: weights, volatilities, interest by night."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from riskoverlay.errors import InputError, RiskOverlayError
from riskoverlay.rates import DatedRate

from .financing import Charges
from .histories import Histories
from .leverage import RollingVolatility, base_return
from .rebalancing import DUST
from .rules import SizingRules, WeightRules
from .schedule import RebalanceSchedule, due_sessions
from .weighting import about_weights
from .weights import blended_weights

__all__ = ["Decisions", "decide", "nightly", "volatilities"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decisions:
    """Unlevered weights, and the sessions at whose close they are decided.

    Attributes
    ----------
    sessions : ndarray of shape (d,)
        Positions, ascending.
    weights : ndarray of shape (d, k)
        Fractions >= 0; what they sum to below 1 is cash.
    """

    sessions: npt.NDArray[np.int64]
    weights: Floats

    @cached_property
    def invested(self) -> Floats:
        """What the weights sum to, shape (d,): 1 but for rounding, or less where some is cash."""
        totals = [sum(weights) for weights in self.weights.tolist()]
        return np.array([1.0 if abs(total - 1.0) < DUST else total for total in totals])


def decide(histories: Histories, rules: WeightRules, weigh: Callable[..., Floats] = blended_weights) -> Decisions:
    """The weights of `RiskParityBlend`, decided at the close of each rebalance session.

    Parameters
    ----------
    histories : Histories
    rules : WeightRules
    weigh : callable
        `blended_weights`, or a `WeightMemory`.

    Returns
    -------
    Decisions

    Raises
    ------
    InputError, ConvergenceError
        Weights that cannot be solved for, with date and feeds.
    """
    schedule = RebalanceSchedule(rules.rebalance_freq, rules.calendar)
    known: list[int] = []
    weights: list[Floats] = []
    for t, eligible in histories.deciding(due_sessions(schedule, histories.days), rules.min_hist):
        decided = np.zeros(len(histories.names))
        try:
            if eligible:
                _, window = histories.window(t, rules.cov_lookback, eligible)
                decided[eligible] = weigh(np.diff(np.log(window), axis=0), rules)
        except RiskOverlayError as error:
            names = [histories.names[i] for i in eligible]
            raise about_weights(error, histories.days[t], names) from None
        known.append(t)
        weights.append(decided)
    return Decisions(np.array(known, dtype=np.int64), np.array(weights).reshape(-1, len(histories.names)))


def volatilities(decisions: Decisions, histories: Histories, vol_lookback: int) -> Floats:
    """Annual volatility of the unlevered portfolio, known at each close.

    Parameters
    ----------
    decisions : Decisions
    histories : Histories
    vol_lookback : int
        Returns in the window.

    Returns
    -------
    ndarray of shape (n,)
        Fractions; nan where it is not known yet.
    """
    rolling = RollingVolatility(vol_lookback, SizingRules.periods)
    rows, bases = histories.closes.tolist(), histories.bases.tolist()
    found = np.full(len(rows), np.nan)
    ends = [*decisions.sessions.tolist()[1:], len(rows) - 1]
    for first, last, weights in zip(decisions.sessions.tolist(), ends, decisions.weights.tolist(), strict=True):
        for t in range(first + 1, last + 1):  # the session that decides still has the weights before
            rolling.push(base_return(weights, bases[t], rows[t]))
            value = rolling.value
            found[t] = math.nan if value is None else value
    return found


def nightly(charges: Charges, days: Sequence[date]) -> Floats:
    """Interest on 1 unit of money from the session before, by session.

    Parameters
    ----------
    charges : Charges
        With k tiers.
    days : sequence of date, n

    Returns
    -------
    ndarray of shape (n, k + 1)
        Fractions, by 365 days a year: of each tier of the debit, then of idle cash; nan on the first session, and where
        a dated rate is not known yet.
    """
    spans = [(day.toordinal(), end.toordinal()) for day, end in pairwise(days)]
    return np.column_stack([_by_night(rate, spans) for rate in (*charges.loans, charges.idle)])


def _by_night(rate: DatedRate, spans: Sequence[tuple[int, int]]) -> Floats:
    found = np.full(len(spans) + 1, np.nan)
    for t, (start, end) in enumerate(spans, 1):
        try:
            found[t] = rate.between(start, end)
        except InputError:  # it begins later: an error only if money is lent until then
            continue
    return found
