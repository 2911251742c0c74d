"""What the audit looks at: our own strategy with a config, or a strategy, sizer and analyzers from files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import backtrader as bt
import pandas as pd

from riskoverlay.strategies.weights import WeightMemory

from ..workbench.assembly import our_sizer, our_strategy, set_up
from ..workbench.parameters import Config
from ..workbench.references import FromFile, parse_reference

__all__ = ["FromFile", "Ours", "Theirs", "parse_reference"]


_remember = WeightMemory()
"""Weights of the blend that runs of this process share: they depend on the window alone, whatever comes after it."""


@dataclass(frozen=True)
class Ours:
    """Sets up a Cerebro as `simulate` does: RiskParityBlend, its sizer, account and analyzers.

    Attributes
    ----------
    config : Config
    rates : mapping
        As `Panel.rates`.
    files : tuple of str
        Whose errors are the user's: none.
    """

    config: Config
    rates: Mapping[str, pd.Series] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def __call__(self, cerebro: bt.Cerebro) -> None:
        pair = our_strategy(self.config, _remember, anew=True), our_sizer(self.config)
        set_up(cerebro, self.config, self.rates, pairs=[pair])


@dataclass(frozen=True)
class Theirs:
    """Sets up a Cerebro with classes from files, in the account of a config.

    Attributes
    ----------
    config : Config
    strategy : FromFile
    sizer : FromFile or None
        None: the strategy's own.
    analyzers : tuple of FromFile
    rates : mapping
        As `Panel.rates`.
    """

    config: Config
    strategy: FromFile
    sizer: FromFile | None = None
    analyzers: tuple[FromFile, ...] = ()
    rates: Mapping[str, pd.Series] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Whose errors are the user's."""
        return tuple(one.file for one in (self.strategy, self.sizer, *self.analyzers) if one is not None)

    def __call__(self, cerebro: bt.Cerebro) -> None:
        sizer = None if self.sizer is None else self.sizer.part(bt.Sizer)
        set_up(
            cerebro,
            self.config,
            self.rates,
            pairs=[(self.strategy.part(bt.Strategy), sizer)],
            analyzers=[analyzer.part(bt.Analyzer) for analyzer in self.analyzers],
        )
