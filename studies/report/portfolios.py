"""The portfolios of a page: the one place that says which there are, what they are called and how they are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..walkforward import Walk
from ..workbench.runs import Backtest, Run

__all__ = ["Account", "Portfolio", "accounts", "base_and_dynamic", "walk_portfolios"]


@dataclass(frozen=True, kw_only=True)
class Portfolio:
    """A portfolio that a page shows.

    Attributes
    ----------
    name : str
        Its key in the summary.
    label : str
        What people read.
    colour : str
        A colour of page.css, for light and dark.
    ink : str
        The same colour on white, for pictures.
    width : float
        Of its line, dots.
    returns : Series of shape (m,)
        Of the sessions that count, fractions.
    risk_free : ndarray of shape (m,)
        What a bill paid over each, fractions.
    before : Timestamp
        The session before the first return, from whose close it counts.
    statistics : mapping
        `analyzers.summary` of `returns`.
    """

    name: str
    label: str
    colour: str
    ink: str
    width: float = 1.5
    returns: pd.Series
    risk_free: npt.NDArray[np.float64]
    before: pd.Timestamp
    statistics: Mapping[str, float]

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """`before` and the m sessions that count."""
        return pd.DatetimeIndex([self.before]).append(pd.DatetimeIndex(self.returns.index))

    @property
    def growth(self) -> pd.Series:
        """What 1 at the close of `before` became at each close, shape (m + 1,)."""
        values = np.concatenate(([1.0], np.cumprod(1.0 + self.returns.to_numpy())))
        return pd.Series(values, self.sessions)


@dataclass(frozen=True, kw_only=True)
class Account(Portfolio):
    """A portfolio that is one run through a broker.

    Attributes
    ----------
    run : Run
    """

    run: Run


AnyPortfolio = TypeVar("AnyPortfolio", bound=Portfolio)


def accounts(result: Backtest) -> tuple[Account, ...]:
    """The accounts of a backtest, as tables and charts list them.

    Whoever adds one adds its line here, and its colour to page.css; columns, lines and bars follow.
    """
    return (
        _account("base", "base", "--base", "#83888e", result.base),
        _account("dynamic", "dynamic", "--dynamic", "#0b5f9e", result.dynamic, width=2.0),
    )


def _account(name: str, label: str, colour: str, ink: str, run: Run, width: float = 1.5) -> Account:
    return Account(
        name=name,
        label=label,
        colour=colour,
        ink=ink,
        width=width,
        returns=run.returns,
        risk_free=run.risk_free,
        before=run.sessions[int(run.sessions.searchsorted(run.first)) - 1],
        statistics=run.statistics,
        run=run,
    )


def base_and_dynamic(shown: Sequence[AnyPortfolio]) -> tuple[AnyPortfolio, AnyPortfolio]:
    """The two whose difference is what the overlay did."""
    named = {one.name: one for one in shown}
    return named["base"], named["dynamic"]


def walk_portfolios(walk: Walk) -> tuple[Portfolio, ...]:
    """The account of a walk-forward and what it is held against, on the sessions that were traded."""
    index = pd.DatetimeIndex(walk.account.returns.index)
    looks = {
        "unchosen": ("as given", "--base", "#83888e", 1.5, np.asarray(walk.default)),
        "in_sample_winner": ("best in hindsight", "--hindsight", "#b8442c", 1.5, walk.sweep.returns[:, walk.winner]),
        "walk_forward": ("walk-forward", "--dynamic", "#0b5f9e", 2.0, np.asarray(walk.account.returns)),
    }
    statistics = walk.legs
    return tuple(
        Portfolio(
            name=name,
            label=label,
            colour=colour,
            ink=ink,
            width=width,
            returns=pd.Series(returns[-len(index) :], index),
            risk_free=walk.risk_free,
            before=walk.sweep.sessions[walk.windows[0].begin - 1],
            statistics=statistics[name],
        )
        for name, (label, colour, ink, width, returns) in looks.items()
    )
