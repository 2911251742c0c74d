"""The same strategy under every way to pay for its loan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskoverlay.conventions import DAYS_PER_YEAR
from riskoverlay.dates import ordinals
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import PRESETS

from ..workbench.beside import constant_leverage, constant_target
from ..workbench.captions import loan_in_words
from ..workbench.loans import one_loan
from ..workbench.parameters import Config, resolved
from ..workbench.rates import bill_returns
from ..workbench.runs import UNLEVERED, Run, simulate
from ..workbench.twins import TwinRun, Twins, check_twin, engine_of
from ..workbench.workers import check_workers, open_workers

__all__ = ["GIVEN", "LEGS", "Charged", "Route", "Routes", "charged", "distance_to_call", "financing_routes"]

GIVEN = "as given"
"""The route of the configuration itself, where it is no preset."""

LEGS = ("base", "constant", "dynamic")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Charged:
    """What one portfolio did under one route, over the sessions that count.

    Attributes
    ----------
    statistics : dict
        `analyzers.summary`: growth, excess_sharpe, ann_vol, max_drawdown, ...; fractions.
    mean_leverage : float
        Held.
    loan_rate : float
        What the money borrowed cost, annual fraction of it; nan, if none was.
    interest : float
        Paid less earned, annual fraction of equity.
    cost : float
        Interest, commission, slippage and tax, annual fraction of equity.
    margin_used : float
        The largest part of equity that the maintenance margin has asked for.
    to_call : float
        Worst distance to a margin call: the least fall of all that was held that would have brought one; a fraction.
    """

    statistics: dict[str, float]
    mean_leverage: float
    loan_rate: float
    interest: float
    cost: float
    margin_used: float
    to_call: float


@dataclass(frozen=True)
class Route:
    """One way to pay.

    Attributes
    ----------
    name : str
        Of a preset, or `GIVEN`.
    terms : str
        What a loan costs, to print.
    legs : mapping
        base, constant and dynamic -> Charged.
    """

    name: str
    terms: str
    legs: Mapping[str, Charged]


@dataclass(frozen=True)
class Routes:
    """A strategy under every route.

    Attributes
    ----------
    config : Config
        With what `auto` came to.
    panel : Panel
    routes : tuple of Route
        The configuration's own first, then by what the loan of dynamic cost.
    bill : float
        Mean rate of the bill over the sessions that count, annual fraction.
    engine : {"twin", "cerebro"}
        What ran them.
    """

    config: Config
    panel: Panel
    routes: tuple[Route, ...]
    bill: float
    engine: str


def financing_routes(
    panel: Panel,
    config: Config,
    *,
    engine: str | None = None,
    workers: int | None = 1,
    advance: Callable[[int], None] | None = None,
) -> Routes:
    """Base, constant and dynamic under the configuration's own loan and under every preset.

    Parameters
    ----------
    panel : Panel
        With the bill among its rates.
    config : Config
        Everything else of the account.
    engine : {"twin", "cerebro"}, optional
        The twin of the account (default: where it can, which is of weights) runs here, and dynamic of the first route
        through Cerebro, too; Cerebro runs in the workers.
    workers : int, optional
        Processes, None: one a processor. Results do not depend on it.
    advance : callable, optional
        Called with the number of routes run since the last call.

    Returns
    -------
    Routes

    Raises
    ------
    InputError, ConvergenceError
        As `simulate`; a strategy that sizes itself; a panel without the bill.
    TwinError
        Twin and Cerebro differ.
    """
    config = resolved(config, panel)
    if "irx" not in panel.rates:
        raise InputError(
            "the ways to pay are over the bill's rate, which is not known here",
            "put ^IRX.csv beside the prices, or give Panel.rates",
        )
    jobs = _configurations(config)
    known = engine_of(engine, config)
    twins = Twins(panel) if known == "twin" else None
    found: dict[int, dict[str, Charged]] = {}
    with open_workers(_legs, twins or panel, 1 if twins else check_workers(workers), fork=True) as pool:
        for at, legs in pool.perform(dict(enumerate(jobs.values()))):
            found[at] = legs
            if advance is not None:
                advance(1)
    if twins:
        check_twin(twins, config, simulate(panel, config, remember=twins.remember))
    own, *others = (Route(name, loan_in_words(one), found[at]) for at, (name, one) in enumerate(jobs.items()))
    others.sort(key=lambda route: route.legs["dynamic"].loan_rate)
    return Routes(config, panel, (own, *others), _mean_bill(panel), known)


def _configurations(config: Config) -> dict[str, Config]:
    """The routes by name: the configuration's own first."""
    own = config["financing"] if isinstance(config["financing"], str) else GIVEN
    presets = {name: {**config, **one_loan(["financing"]), "financing": name} for name in PRESETS if name != own}
    return {own: config, **presets}


def _mean_bill(panel: Panel) -> float:
    days = list(panel.sessions)
    paid = bill_returns("irx", panel.rates, days[1:], days[0])
    return float(paid.sum() * DAYS_PER_YEAR / (days[-1] - days[0]).days)


def _legs(bars: Panel | Twins, config: Config) -> dict[str, Charged]:
    """Base, constant and dynamic of one route."""
    runs: dict[str, Run | TwinRun] = {}
    if isinstance(bars, Twins):
        dynamic = bars.run(config)
        target = constant_target(bars, config, dynamic.mean_leverage)
        runs = {
            "base": bars.run({**config, **UNLEVERED}),
            "constant": bars.run({**config, "lev_min": target, "lev_max": target}),
            "dynamic": dynamic,
        }
    else:
        base, levered = simulate(bars, {**config, **UNLEVERED}), simulate(bars, config)
        if not (base.overlaid and levered.overlaid):
            raise InputError("a strategy that sizes itself has no leverage of ours to pay for", "give one of weights")
        runs = {"base": base, "constant": constant_leverage(bars, config, levered.mean_leverage), "dynamic": levered}
    return {name: charged(run, config["maintenance_margin"]) for name, run in runs.items()}


def charged(run: Run | TwinRun, maintenance: float) -> Charged:
    """What a run cost, and how near it came to a margin call.

    Parameters
    ----------
    run : Run or TwinRun
    maintenance : float
        Fraction of a position's value.

    Returns
    -------
    Charged
    """
    if isinstance(run, Run):
        columns: Any = {name: np.asarray(values) for name, values in run.costs["sessions"].items() if name != "dates"}
        columns |= {"value": run.value.to_numpy(), "leverage": run.exposure["leverage"].to_numpy()}
        first = int(run.sessions.searchsorted(run.first))
    else:
        columns = run.account.daily
        first = len(run.sessions) - len(run.returns)
    counted = slice(first, None)
    value, leverage, interest = (
        np.asarray(columns[name], dtype=np.float64) for name in ("value", "leverage", "interest")
    )
    days = ordinals(run.sessions)
    nights = np.diff(days, prepend=days[0])[counted]
    years = nights.sum() / DAYS_PER_YEAR
    equity = float(value[counted].mean())
    paid = interest[counted]
    debit = np.maximum((leverage - 1.0) * value, 0.0)[first - 1 : -1]
    lent = float(debit @ nights) / DAYS_PER_YEAR
    others = sum(float(np.asarray(columns[name])[counted].sum()) for name in ("commission", "slippage", "tax"))
    held = leverage[counted]
    return Charged(
        statistics=run.statistics,
        mean_leverage=run.mean_leverage,
        loan_rate=float(paid[paid > 0.0].sum()) / lent if lent > 0.0 else np.nan,
        interest=float(paid.sum()) / equity / years,
        cost=(float(paid.sum()) + others) / equity / years,
        margin_used=float(np.nanmax(held)) * maintenance,
        to_call=float(np.nanmin(distance_to_call(held, maintenance))),
    )


def distance_to_call(leverage: npt.ArrayLike, maintenance: float) -> Floats:
    """The fall of all that is held at which equity is the maintenance margin: (1 − m·L) / (L·(1 − m)).

    From (1 − L·f) = m·L·(1 − f), equity and requirement after a fall f.

    Parameters
    ----------
    leverage : array-like of shape (n,)
        Value held over equity.
    maintenance : float
        m, a fraction of the value held, below 1.

    Returns
    -------
    ndarray of shape (n,)
        Fractions; 1 where nothing could bring a call, 0 or below where there is one.
    """
    held = np.asarray(leverage, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (1.0 - maintenance * held) / (held * (1.0 - maintenance))
    return np.where(held <= 1.0, 1.0, found)
