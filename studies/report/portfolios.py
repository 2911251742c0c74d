"""The portfolios of a page: the one place that says which there are, what they are called and how they are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..walkforward import Walk
from ..workbench.beside import on_sessions_of
from ..workbench.portfolios import Backtest
from ..workbench.runs import Run
from ..workbench.theirs import ACCOUNT

__all__ = [
    "Account",
    "AnyPortfolio",
    "Portfolio",
    "accounts",
    "base_and_dynamic",
    "lead_first",
    "lead_last",
    "leader",
    "walk_portfolios",
]

LOOKS = {
    "base": ("--base", "#83888e"),
    "constant": ("--constant", "#a8690a"),
    "dynamic": ("--dynamic", "#0b5f9e"),
    ACCOUNT: ("--dynamic", "#0b5f9e"),
}
"""Name of a portfolio -> its colour in page.css, and the same on white."""

BENCHMARKS = (("--b1", "#3f8f6b"), ("--b2", "#8a5aa8"), ("--b3", "#c2527a"), ("--b4", "#5c6b2f"))
"""The same of benchmarks, in turn."""


@dataclass(frozen=True, kw_only=True)
class Portfolio:
    """A portfolio that a page shows.

    Attributes
    ----------
    name, key : str
        What it is called, and its path in the summary.
    label : str
        What people read.
    colour : str
        A colour of page.css, for light and dark.
    ink : str
        The same colour on white, for pictures.
    lead : bool
        Whether the page is about it: it is drawn on top, and listed first where one must be.
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
    key: str
    label: str
    colour: str
    ink: str
    lead: bool = False
    returns: pd.Series
    risk_free: npt.NDArray[np.float64]
    before: pd.Timestamp
    statistics: Mapping[str, float]

    @property
    def width(self) -> float:
        """Of its line, dots."""
        return 2.0 if self.lead else 1.5

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """`before` and the m sessions that count."""
        return pd.DatetimeIndex([self.before, *self.returns.index])

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

    @property
    def values(self) -> pd.Series:
        """Money at each close, shape (m + 1,)."""
        return self.run.value.reindex(self.run.value.index.union(self.sessions)).ffill()[self.sessions]


AnyPortfolio = TypeVar("AnyPortfolio", bound=Portfolio)


def accounts(result: Backtest) -> tuple[Account, ...]:
    """The accounts of a backtest in the order of tables, on the sessions of the one that it is about.

    Whoever adds one to `Backtest.runs` gives it its look here; columns, lines and bars follow.
    """
    lead = result.leading
    index = pd.DatetimeIndex(lead.returns.index)
    looks = {result.lead: LOOKS[ACCOUNT], **LOOKS}
    others = dict(zip((name for name in result.runs if name not in looks), cycle(BENCHMARKS)))
    return tuple(
        Account(
            name=name,
            key=name if name in result.portfolios else f"benchmarks.{name}",
            label=name,
            colour=colour,
            ink=ink,
            lead=name == result.lead,
            returns=pd.Series(on_sessions_of(run, index), index),
            risk_free=lead.risk_free,
            before=lead.begins,
            statistics=run.statistics,
            run=run,
        )
        for name, run in result.runs.items()
        for colour, ink in [looks[name] if name in looks else others[name]]
    )


def lead_first(shown: Sequence[AnyPortfolio]) -> list[AnyPortfolio]:
    """As they are listed where one comes first: the one that the page is about."""
    return sorted(shown, key=lambda one: not one.lead)


def lead_last(shown: Sequence[AnyPortfolio]) -> list[AnyPortfolio]:
    """As they are drawn: the one that the page is about on top."""
    return sorted(shown, key=lambda one: one.lead)


def leader(shown: Sequence[AnyPortfolio]) -> AnyPortfolio:
    """The one that the page is about."""
    return lead_last(shown)[-1]


def base_and_dynamic(shown: Sequence[AnyPortfolio]) -> tuple[AnyPortfolio, AnyPortfolio]:
    """The two whose difference is what the overlay did."""
    named = {one.name: one for one in shown}
    return named["base"], named["dynamic"]


def walk_portfolios(walk: Walk) -> tuple[Portfolio, ...]:
    """The account of a walk-forward and what it is held against, on the sessions that were traded."""
    index = pd.DatetimeIndex(walk.account.returns.index)
    looks: dict[str, tuple[str, str, str, npt.NDArray[np.float64]]] = {
        "walk_forward": ("walk-forward", *LOOKS["dynamic"], np.asarray(walk.account.returns)),
        "unchosen": ("as given", *LOOKS["base"], np.asarray(walk.default)),
        **(
            {}
            if walk.constant is None
            else {"constant": ("constant", *LOOKS["constant"], np.asarray(walk.constant.returns))}
        ),
        "in_sample_winner": ("best in hindsight", "--hindsight", "#b8442c", walk.sweep.returns[:, walk.winner]),
    }
    statistics = walk.legs
    return tuple(
        Portfolio(
            name=name,
            key=name,
            label=label,
            colour=colour,
            ink=ink,
            lead=name == "walk_forward",
            returns=pd.Series(returns[-len(index) :], index),
            risk_free=walk.risk_free,
            before=walk.sweep.sessions[walk.windows[0].begin - 1],
            statistics=statistics[name],
        )
        for name, (label, colour, ink, returns) in looks.items()
    )
