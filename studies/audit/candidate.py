"""What the audit looks at: the strategy of a configuration, ours or somebody's, set up as a backtest sets it up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import backtrader as bt
import pandas as pd

from riskoverlay.strategies.weights import WeightMemory

from ..workbench.assembly import ANALYZERS, pair_of, set_up
from ..workbench.parameters import Config
from ..workbench.references import FromFile
from ..workbench.theirs import theirs_of

__all__ = ["Candidate"]


_remember = WeightMemory()
"""Weights of the blend that runs of this process share: they depend on the window alone, whatever comes after it."""


@dataclass(frozen=True)
class Candidate:
    """Sets up a Cerebro as `simulate` does: strategy, sizer and account of a configuration, and analyzers.

    Attributes
    ----------
    config : Config
    rates : mapping
        As `Panel.rates`.
    analyzers : tuple of FromFile
        Of the user's; his strategy has no others, since they look at nothing that it decides.
    """

    config: Config
    rates: Mapping[str, pd.Series] = field(default_factory=dict)
    analyzers: tuple[FromFile, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Whose errors are the user's."""
        theirs = theirs_of(self.config)
        return (*(() if theirs is None else theirs.files), *(one.file for one in self.analyzers))

    def __call__(self, cerebro: bt.Cerebro) -> None:
        own = [analyzer.part(bt.Analyzer) for analyzer in self.analyzers]
        analyzers = ANALYZERS if self.config["strategy"] is None else own
        pairs = [pair_of(self.config, _remember, anew=True)]
        set_up(cerebro, self.config, self.rates, pairs=pairs, analyzers=analyzers)
