"""One try of a sweep, and all of them."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.analyzers import summary as statistics
from riskoverlay.errors import ConvergenceError, InputError
from riskoverlay.feeds import Panel

from ..workbench.parameters import Config
from ..workbench.runs import simulate
from .space import Dimension, Params

__all__ = ["CRITERIA", "Outcome", "Sweep", "Try", "run_try"]

CRITERIA = {"sharpe": "sharpe", "return": "ann_ret"}
"""What may be maximised, and the name of that statistic."""


@dataclass(frozen=True)
class Outcome:
    """What one try came to.

    Attributes
    ----------
    returns : ndarray of shape (m,)
        Of the sessions that count, the last of the panel, fractions; (0,) of a try that failed.
    statistics : dict
        ann_ret, ann_vol, sharpe, max_drawdown of `returns`, fractions.
    reason : str or None
        Why it failed; None if it did not.
    seconds : float
        How long it took.
    """

    returns: npt.NDArray[np.float64]
    statistics: dict[str, float]
    reason: str | None
    seconds: float


def run_try(panel: Panel, config: Config) -> Outcome:
    """One try: what is wrong with its parameters is its outcome; anything else that goes wrong is raised.

    Parameters
    ----------
    panel : Panel
    config : Config

    Returns
    -------
    Outcome
    """
    began = time.monotonic()
    try:
        run = simulate(panel, config)
    except (InputError, ConvergenceError) as error:
        return Outcome(np.empty(0), {}, str(error), time.monotonic() - began)
    reason = None if np.isfinite(run.statistics["sharpe"]) else "its returns have no volatility"
    returns = np.asarray(run.returns, dtype=np.float64)
    return Outcome(returns, run.statistics, reason, time.monotonic() - began)


@dataclass(frozen=True)
class Try:
    """One point, run.

    Attributes
    ----------
    number : int
        Which point it is, from 0: of the grid in its order, or of the search.
    params : Params
        What was tried.
    returns : ndarray of shape (m,)
        Of the dynamic portfolio, on the last sessions of the panel, fractions; (0,) if it failed.
    reason : str or None
        Why it failed; None if it did not.
    """

    number: int
    params: Params
    returns: npt.NDArray[np.float64]
    reason: str | None


@dataclass(frozen=True)
class Sweep:
    """Every try of a sweep, finished.

    Attributes
    ----------
    config : Config
        Every parameter that is not tried.
    panel : Panel
    dimensions : tuple of Dimension
    search, criterion : str
        As given to `sweep`.
    tries : tuple of Try
        In the order of their numbers.
    """

    config: Config
    panel: Panel
    dimensions: tuple[Dimension, ...]
    search: str
    criterion: str
    tries: tuple[Try, ...]

    @property
    def good(self) -> list[Try]:
        """Tries that did not fail."""
        return [one for one in self.tries if one.reason is None]

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Sessions that count for every good try, shape (m,)."""
        return self.panel.sessions[-min(one.returns.size for one in self.good) :]

    @property
    def returns(self) -> npt.NDArray[np.float64]:
        """Returns of the good tries on `sessions`, shape (m, n_good)."""
        m = len(self.sessions)
        return np.column_stack([one.returns[-m:] for one in self.good])

    @property
    def statistics(self) -> list[dict[str, float]]:
        """ann_ret, ann_vol, sharpe, max_drawdown of each good try on `sessions`."""
        return [statistics(column) for column in self.returns.T]

    @property
    def worth(self) -> list[float]:
        """The criterion of each good try on `sessions`."""
        return [found[CRITERIA[self.criterion]] for found in self.statistics]

    def config_of(self, one: Try) -> Config:
        """The whole configuration of a try: `simulate` runs it again."""
        return {**self.config, **one.params}
