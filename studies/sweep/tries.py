"""One try of a sweep, and all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.analyzers import summary
from riskoverlay.errors import ConvergenceError, InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies.weights import WeightMemory

from ..judgement import SCORES
from ..workbench.allocations import with_params
from ..workbench.parameters import Config
from ..workbench.rates import bill_returns
from ..workbench.runs import simulate
from ..workbench.twins import Twins
from .space import Dimension, Params

__all__ = ["CRITERIA", "Outcome", "Sweep", "Try", "run_try"]

CRITERIA = {"sharpe": "excess_sharpe", "growth": "growth"}
"""What may be maximised, and the name of that statistic."""


@dataclass(frozen=True)
class Outcome:
    """What one try came to.

    Attributes
    ----------
    returns : ndarray of shape (m,)
        Of the sessions that count, the last of the panel, fractions; (0,) of a try that failed.
    statistics : dict
        `analyzers.summary` of `returns`, fractions; {} of a try that failed.
    reason : str or None
        Why it failed; None if it did not.
    seconds : float
        How long it took.
    """

    returns: npt.NDArray[np.float64]
    statistics: dict[str, float]
    reason: str | None
    seconds: float


_remember = WeightMemory()
"""Weights that the runs of this process share."""


def run_try(bars: Panel | Twins, config: Config) -> Outcome:
    """One try: what is wrong with its parameters is its outcome; anything else that goes wrong is raised.

    Parameters
    ----------
    bars : Panel or Twins
        A panel is run through Cerebro, its twins by the twin of the account.
    config : Config

    Returns
    -------
    Outcome
    """
    began = time.monotonic()
    try:
        run = bars.run(config) if isinstance(bars, Twins) else simulate(bars, config, remember=_remember)
    except (InputError, ConvergenceError) as error:
        return Outcome(np.empty(0), {}, str(error), time.monotonic() - began)
    if not np.isfinite(run.statistics["excess_sharpe"]):
        return Outcome(np.empty(0), {}, "its returns have no volatility", time.monotonic() - began)
    return Outcome(np.asarray(run.returns, dtype=np.float64), run.statistics, None, time.monotonic() - began)


@dataclass(frozen=True)
class Try:
    """One point, run.

    Attributes
    ----------
    number : int
        Which point it is, from 0: of the grid in its order, or as drawn.
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


class Recalls(Protocol):
    """Where a sweep is kept."""

    def recall(self, what: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """What is computed from tries, and takes long: once.

        Parameters
        ----------
        what : mapping
            All that it depends on.
        make : callable
            Computes it; JSON has to know how to write it.

        Returns
        -------
        object
        """


@dataclass(frozen=True)
class Sweep:
    """Every try of a sweep, finished; what follows from them is computed once.

    Attributes
    ----------
    config : Config
        Every parameter that is not tried.
    panel : Panel
    dimensions : tuple of Dimension
    seed : int or None
        Of the draw; None: every point of the grid was tried.
    criterion : str
        As given to `sweep`.
    tries : tuple of Try
        In the order of their numbers.
    kept : Recalls or None
        Where it is kept.
    engine : {"twin", "cerebro"}
        What ran the tries.
    checked : mapping
        Number of a try that was run by both engines -> largest relative difference of its daily equity.
    """

    config: Config
    panel: Panel
    dimensions: tuple[Dimension, ...]
    seed: int | None
    criterion: str
    tries: tuple[Try, ...]
    kept: Recalls | None = field(default=None, compare=False, repr=False)
    engine: str = "cerebro"
    checked: Mapping[int, float] = field(default_factory=dict, compare=False)

    @cached_property
    def good(self) -> list[Try]:
        """Tries that did not fail."""
        return [one for one in self.tries if one.reason is None]

    @cached_property
    def sessions(self) -> pd.DatetimeIndex:
        """Sessions that count for every good try, shape (m,)."""
        return self.panel.sessions[-min(one.returns.size for one in self.good) :]

    @cached_property
    def returns(self) -> npt.NDArray[np.float64]:
        """Returns of the good tries on `sessions`, shape (m, n_good)."""
        m = len(self.sessions)
        return np.column_stack([one.returns[-m:] for one in self.good])

    @cached_property
    def risk_free(self) -> npt.NDArray[np.float64]:
        """What a bill paid over each of `sessions`, shape (m,), fractions."""
        m, every = len(self.sessions), self.panel.sessions
        before = every[-m - 1] if m < len(every) else None
        return bill_returns(self.config["risk_free"], self.panel.rates, list(self.sessions), before)

    @cached_property
    def scored(self) -> npt.NDArray[np.float64]:
        """What the criterion looks at: returns, above the bill for the Sharpe ratio; shape (m, n_good)."""
        return self.returns if self.criterion == "growth" else self.excess

    @cached_property
    def excess(self) -> npt.NDArray[np.float64]:
        """Returns of the good tries above the bill, shape (m, n_good)."""
        return self.returns - self.risk_free[:, None]

    @cached_property
    def statistics(self) -> list[dict[str, float]]:
        """`analyzers.summary` of each good try on `sessions`."""
        bill = self.risk_free
        return [summary(column, bill) for column in self.returns.T]

    @cached_property
    def worth(self) -> list[float]:
        """The criterion of each good try on `sessions`: what chooses is what judges."""
        return [float(worth) for worth in SCORES[self.criterion](self.scored)]

    def config_of(self, one: Try) -> Config:
        """The whole configuration of a try: `simulate` runs it again."""
        return with_params(self.config, one.params)
