"""The strategy: risk parity blended with minimum variance."""

from typing import Any

import numpy as np

from .rebalancing import Rebalancing
from .rules import WeightRules
from .weights import blended_weights

__all__ = ["RiskParityBlend"]


class RiskParityBlend(Rebalancing):
    """The rebalancing strategy with the notebook's rule: risk parity blended with minimum variance.

    Parameters
    ----------
    **params
        The fields of `WeightRules` and `TradingRules`, and those that are backtrader's only: see `Rebalancing`, and
        `remember`, a `WeightMemory` that several runs share (default: each computes its weights).

    Raises
    ------
    InputError
        As `Rebalancing`.
    ConvergenceError
        Risk parity that does not converge, with date and feeds.
    """

    rules = WeightRules
    params = (*WeightRules.params(), ("remember", None))

    def history(self) -> tuple[int, int]:
        """`cov_lookback` and `min_hist`, as `Rebalancing.history`."""
        return self._weight_rules.cov_lookback, self._weight_rules.min_hist

    def weigh(self, closes: np.ndarray, feeds: list[Any]) -> np.ndarray:
        """The blend of the log returns: see `Rebalancing.weigh`.

        Parameters
        ----------
        closes : ndarray of shape (n, k)
        feeds : list of feeds, k

        Returns
        -------
        ndarray of shape (k,)
        """
        returns = np.diff(np.log(closes), axis=0)
        if self.p.remember is not None:
            return np.asarray(self.p.remember(returns, self._weight_rules))
        return blended_weights(returns, self._weight_rules)
