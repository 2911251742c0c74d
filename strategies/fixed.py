"""Fixed weights: benchmarks, and portfolios that somebody else has decided."""

from typing import Any

import numpy as np

from riskoverlay.notes import name_of

from .rebalancing import Rebalancing
from .weighting import check_symbols_of, check_weights

__all__ = ["FixedWeights"]


class FixedWeights(Rebalancing):
    """The rebalancing strategy with weights that do not change.

    Parameters
    ----------
    **params
        `weights`, a mapping or pairs of a feed's name to its fraction >= 0, in sum at most 1: the rest is cash. The
        weight of a feed that has not begun, or has ended, is cash, too. And those of `Rebalancing`.

    Raises
    ------
    InputError
        As `check_weights`; a name without a feed; as `Rebalancing`.
    """

    params = (("weights", ()),)

    def __init__(self) -> None:
        self._weights = check_weights(self.p.weights)
        check_symbols_of(self._weights, [name_of(data) for data in self.datas])
        super().__init__()

    def history(self) -> tuple[int, int]:
        """None but a price, as `Rebalancing.history`."""
        return 1, 0

    def weigh(self, closes: np.ndarray, feeds: list[Any]) -> np.ndarray:
        """The weights given: see `Rebalancing.weigh`.

        Parameters
        ----------
        closes : ndarray of shape (n, k)
        feeds : list of feeds, k

        Returns
        -------
        ndarray of shape (k,)
        """
        return np.array([self._weights.get(name_of(data), 0.0) for data in feeds])
