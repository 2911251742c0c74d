"""One way to put a Cerebro together: feeds, account, strategies with their sizers, analyzers."""

from collections.abc import Mapping, Sequence
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.analyzers import DailySeries, Exposure, Fills, LeverageAttribution, MaxDrawdown, TradingCosts
from riskoverlay.feeds import Panel
from riskoverlay.strategies import (
    ExecutionTerms,
    LeverageRules,
    RiskParityBlend,
    SizingRules,
    TradingRules,
    VolTargetDrawdownSizer,
    open_account,
)
from riskoverlay.strategies.weights import WeightMemory

from .allocations import strategy_of
from .loans import account_terms
from .parameters import Config, values_of
from .references import Part
from .theirs import AskedOverlay, theirs_of

__all__ = ["ANALYZERS", "Pair", "Part", "add_analyzers", "assemble", "our_sizer", "our_strategy", "pair_of", "set_up"]

Pair = tuple[Part, Part | None]
"""A strategy, and its sizer; None: the strategy's own."""

ANALYZERS: tuple[Part, ...] = tuple(
    (analyzer, {}) for analyzer in (DailySeries, Exposure, TradingCosts, MaxDrawdown, Fills, LeverageAttribution)
)
"""What a backtest is made of."""


def our_strategy(config: Config, remember: WeightMemory | None = None, *, anew: bool = False) -> Part:
    """The rebalancing strategy with the rule of weights and the parameters of a configuration.

    Parameters
    ----------
    config : Config
    remember : WeightMemory, optional
        Weights of the blend that several runs share.
    anew : bool
        As `strategy_of`.

    Returns
    -------
    Part
    """
    strategy, values = strategy_of(config, anew=anew)
    values |= values_of(config, TradingRules)
    if remember is not None and strategy is RiskParityBlend:
        values["remember"] = remember
    return strategy, values


def our_sizer(config: Config) -> Part:
    """`VolTargetDrawdownSizer` with the parameters of a configuration."""
    return VolTargetDrawdownSizer, values_of(config, LeverageRules, SizingRules)


def pair_of(config: Config, remember: WeightMemory | None = None, *, anew: bool = False) -> Pair:
    """The strategy of a configuration with its sizer: ours with ours, or somebody's.

    Parameters
    ----------
    config : Config
    remember, anew
        As `our_strategy`.

    Returns
    -------
    Pair

    Raises
    ------
    InputError, MissingFileError, StrategyError
        As `theirs_of`.
    """
    theirs = theirs_of(config)
    if theirs is None:
        return our_strategy(config, remember, anew=anew), our_sizer(config)
    return theirs.strategy, theirs.sizer or (AskedOverlay, our_sizer(config)[1])


def set_up(
    cerebro: bt.Cerebro,
    config: Config,
    rates: Mapping[str, pd.Series] | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    analyzers: Sequence[Part] = ANALYZERS,
    **account: Any,
) -> bt.Cerebro:
    """Give a Cerebro that has its feeds all the rest.

    Parameters
    ----------
    cerebro : bt.Cerebro
    config : Config
        Every parameter; those of the prices are not looked at.
    rates : mapping, optional
        Dated rates by name, as `Panel.rates`, where the account charges by them.
    pairs : sequence of Pair, optional
        Strategies with their sizers (default: that of `config`); () for none.
    analyzers : sequence of Part
        Named for their classes.
    **account
        More arguments of `open_account`: broker="stock", acknowledge=False.

    Returns
    -------
    bt.Cerebro
        The same.

    Raises
    ------
    InputError
        A parameter out of bounds.
    """
    terms = account_terms(config, rates or {})
    open_account(cerebro, **values_of(config, ExecutionTerms), **terms, **account)
    for (strategy, parameters), sizer in (pair_of(config),) if pairs is None else pairs:
        at = cerebro.addstrategy(strategy, **parameters)
        if sizer is not None:
            cerebro.addsizer_byidx(at, sizer[0], **sizer[1])
    add_analyzers(cerebro, analyzers)
    return cerebro


def add_analyzers(cerebro: bt.Cerebro, analyzers: Sequence[Part] = ANALYZERS) -> None:
    """Give a Cerebro what a backtest is made of, so that its runs can be shown.

    Parameters
    ----------
    cerebro : bt.Cerebro
    analyzers : sequence of Part
        Named for their classes.
    """
    for analyzer, parameters in analyzers:
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__, **parameters)


def assemble(panel: Panel, config: Config, **more: Any) -> bt.Cerebro:
    """A Cerebro with the feeds of a panel and all the rest.

    Parameters
    ----------
    panel : Panel
        Bars of the universe, and dated rates.
    config : Config
        Every parameter.
    **more
        As `set_up`.

    Returns
    -------
    bt.Cerebro
        Ready to run.

    Raises
    ------
    InputError
        As `set_up`.
    """
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    return set_up(cerebro, config, panel.rates, **more)
