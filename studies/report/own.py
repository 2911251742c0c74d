"""The page of runs that somebody has made in a Cerebro of his own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import (
    AccountTerms,
    AllocationRules,
    LeverageRules,
    Rebalancing,
    RiskParityBlend,
    SizingRules,
    TradingRules,
    VolTargetDrawdownSizer,
    WeightRules,
)
from riskoverlay.strategies.margin import MarginAccount

from ..workbench.assembly import ANALYZERS
from ..workbench.loans import one_loan
from ..workbench.parameters import PARAMETERS, Config, make_config, resolved
from ..workbench.portfolios import Backtest
from ..workbench.rates import AUTO
from ..workbench.runs import Run, collect
from ..workbench.theirs import ACCOUNT
from .kinds import write_report
from .spans import Span

__all__ = ["report"]


def report(
    path: str | Path, strategies: Any, panel: Panel, *, risk_free: Any = AUTO, spans: Sequence[Span] = ()
) -> Backtest:
    """Write the page of runs through a Cerebro of your own, as `write_report` does of a backtest.

    What the accounts charge is read from the broker of the last run, parameters of ours from its strategy and sizer.

    Parameters
    ----------
    path : str or Path
    strategies : sequence of one bt.Strategy, or mapping
        What `cerebro.run()` gave, after `add_analyzers(cerebro)`; or, of several runs, name -> strategy, last the one
        that the page is about.
    panel : Panel
        Whose feeds they ran on.
    risk_free : float, Series or str
        What the Sharpe ratio is over, a fraction a year (default: the bill of the panel, else 0).
    spans : sequence of Span
        As `report_html`.

    Returns
    -------
    Backtest
        What the page shows.

    Raises
    ------
    InputError
        No strategy, or several that share one account; analyzers that are not there; a run on other sessions than the
        panel's; a commission scheme of which the page could not say what it charges; as `write_file`.
    MissingExtraError
        plotly is not installed.
    """
    named = _named(strategies)
    lead = [*named.values()][-1]
    config = resolved({**_config_of(lead), "risk_free": risk_free}, panel)
    runs = {name: _run_of(name, strategy, panel, config) for name, strategy in named.items()}
    result = Backtest(config, panel, runs)
    write_report(path, result, spans=spans)
    return result


def _named(strategies: Any) -> dict[str, Any]:
    named = dict(strategies) if isinstance(strategies, Mapping) else dict(enumerate(strategies))
    if not named:
        raise InputError("there is no strategy", "give what cerebro.run() gave")
    if isinstance(strategies, Mapping):
        return {str(name): strategy for name, strategy in named.items()}
    if len(named) > 1:
        raise InputError(
            f"{len(named)} strategies share one account", "give a mapping of name -> strategy, each of a run of its own"
        )
    return {ACCOUNT: named[0]}


def _run_of(name: str, strategy: Any, panel: Panel, config: Config) -> Run:
    there = {key for key, _ in strategy.analyzers.getitems()}
    for analyzer, _ in ANALYZERS:
        if analyzer.__name__ not in there:
            raise InputError(f"{name} has no {analyzer.__name__}", "call add_analyzers(cerebro) before it runs")
    run = collect(strategy, panel, config)
    if not run.sessions.equals(pd.DatetimeIndex(panel.sessions)):
        raise InputError(
            f"{name} ran on {len(run.sessions)} sessions, and the panel has {len(panel.sessions)}, or others",
            "give the panel whose feeds it ran on",
        )
    return run


def _config_of(strategy: Any) -> Config:
    """What a run says of itself: whose it is, what sized it, and what its broker charges."""
    known: dict[str, Any] = _terms_of(strategy.broker)
    if isinstance(strategy, Rebalancing):
        blend = isinstance(strategy, RiskParityBlend)
        known |= {} if blend else {"weights": f"a rule of {type(strategy).__name__}"}
        known |= _of(strategy.p, WeightRules if blend else AllocationRules, TradingRules)
    else:
        given = {name: value for name, value in strategy.p._getkwargs(skip_=True).items()
                 if not strategy.p.isdefault(name)}  # fmt: skip
        known["strategy"] = type(strategy), given
    sizer = strategy.getsizer()
    if isinstance(sizer, VolTargetDrawdownSizer):
        known |= _of(sizer.p, LeverageRules, SizingRules)
    return {**make_config(), **known}


def _of(params: Any, *rules: Any) -> dict[str, Any]:
    names = [name for one in rules for name in one.described() if name in PARAMETERS]
    return {name: getattr(params, name) for name in names if hasattr(params, name)}


def _terms_of(broker: Any) -> dict[str, Any]:
    scheme = getattr(broker, "account", broker.comminfo[None])
    slippage = {"slippage_bps": round(1e4 * broker.p.slip_perc, 9), "cash": float(broker.startingcash)}
    known = {**slippage, "execution": "close" if broker.p.coc else "next_open"}
    if isinstance(scheme, MarginAccount):
        charged = known | _of(scheme.p, AccountTerms)
        return charged if charged["financing"] is None else charged | one_loan(["financing"])
    if type(scheme) not in (bt.CommInfoBase, bt.CommissionInfo) or not scheme._stocklike or broker.p.slip_fixed:
        raise InputError(
            f"the page cannot say what {type(scheme).__name__} charges",
            "open the account with open_account(cerebro, ...)",
        )
    by_value = scheme._commtype == bt.CommInfoBase.COMM_PERC
    charged = (
        {"commission_bps": 1e4 * scheme.p.commission} if by_value else {"commission_per_share": scheme.p.commission}
    )
    free = {"commission_bps": 0.0, "commission_per_share": 0.0, "commission_min": 0.0, "cash_rate": 0.0}
    return known | free | charged | {"borrow_rate": 0.0, "initial_margin": 1.0, "maintenance_margin": 1.0}
