"""The rebalancing strategy with anybody's rule of weights."""

import datetime as dt
from typing import Any

import numpy as np

from riskoverlay.errors import InputError, RiskOverlayError
from riskoverlay.notes import log, name_of

from .rebalancing import Rebalancing
from .rules import MOST_SESSIONS, AllocationRules
from .schedule import DatedSchedule, RebalanceSchedule
from .weighting import Known, WeightRule, as_rule, check_symbols_of, decided_by

__all__ = ["Allocation"]


class Allocation(Rebalancing):
    """The rebalancing strategy with a rule of weights: a function, an optimizer, fixed or dated weights.

    It does what `RiskParityBlend` does around its rule: schedule, eligibility, orders, drift, band, ledger, feeds that
    begin late or end. What weights sum to below 1 is cash.

    Parameters
    ----------
    **params
        `rule`, see `as_rule`; the fields of `AllocationRules` and `TradingRules`, and those that are backtrader's
        only: see `Rebalancing`.

    Attributes
    ----------
    failed : list of date
        Sessions on which the rule raised, or gave no weights, and the last ones were kept (`on_error="hold"`).

    Raises
    ------
    InputError
        As `as_rule`, `checked_weights` (with the date) and `Rebalancing`; a symbol of the rule without a feed.
    StrategyError
        The rule raises; with the date and the feeds.
    """

    rules = AllocationRules
    params = (*AllocationRules.params(), ("rule", None))

    def __init__(self) -> None:
        if self.p.rule is None:
            raise InputError("rule is missing", "give a function of returns, see as_rule")
        self.rule = as_rule(self.p.rule)
        self.failed: list[dt.date] = []
        super().__init__()
        self._check_symbols(self.rule)

    def make_schedule(self) -> RebalanceSchedule | DatedSchedule:
        """The rule's own dates, where it has some: see `Rebalancing.make_schedule`."""
        return super().make_schedule() if self.rule.dates is None else DatedSchedule(self.rule.dates)

    def history(self) -> tuple[int, int]:
        """`lookback` and `min_hist`, as `Rebalancing.history`; a rule without a look-back needs a price only."""
        if self.rule.least is not None:
            return 1, self.rule.least
        lookback = self._weight_rules.lookback
        return lookback or MOST_SESSIONS, self._weight_rules.min_hist

    def reconfigure(self, **parameters: Any) -> None:
        """Change parameters from the next close on: weights follow at the next rebalance session.

        Parameters
        ----------
        **parameters
            As `Rebalancing.reconfigure`, and `rule`.

        Raises
        ------
        InputError
            As `Rebalancing.reconfigure` and `as_rule`; nothing has changed then.
        """
        before = self.rule
        rule = as_rule(parameters.pop("rule")) if "rule" in parameters else before
        self._check_symbols(rule)
        self.rule = rule
        try:
            super().reconfigure(**parameters)
        except InputError:
            self.rule = before
            raise
        if rule.dates != before.dates:
            self._schedule = self.make_schedule()

    def _check_symbols(self, rule: WeightRule) -> None:
        check_symbols_of(rule.symbols, [name_of(data) for data in self._universe])

    def weigh(self, closes: np.ndarray, feeds: list[Any]) -> np.ndarray:
        """What the rule says: see `Rebalancing.weigh`.

        Parameters
        ----------
        closes : ndarray of shape (n, k)
        feeds : list of feeds, k

        Returns
        -------
        ndarray of shape (k,)
        """

        def holds() -> np.ndarray:
            held = self._proportions()
            return np.array([held.get(data, 0.0) for data in feeds])

        names = tuple(map(name_of, feeds))
        return decided_by(self.rule, Known(self.deciding, closes, self.window_days, names, holds))

    def _decide(self, today: dt.date) -> bool:
        try:
            return super()._decide(today)
        except RiskOverlayError as error:
            if self._weight_rules.on_error != "hold":
                raise
            log.warning("%s; the last weights are kept", error)
            self.failed.append(today)
            return False
