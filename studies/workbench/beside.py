"""What a result stands beside: the same leverage without timing it, and benchmarks; through the same account."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd

from riskoverlay.analyzers import active_statistics
from riskoverlay.errors import InputError
from riskoverlay.feeds import Cache, Panel
from riskoverlay.feeds.currencies import check_currencies
from riskoverlay.notes import log
from riskoverlay.strategies import (
    FixedWeights,
    LeverageRules,
    ScheduleRules,
    SizingRules,
    TradingRules,
    VolTargetDrawdownSizer,
    check_weights,
)
from riskoverlay.strategies.weights import WeightMemory

from .parameters import Config, values_of
from .runs import UNLEVERED, Run, load_panel, simulate
from .twins import Twins

__all__ = [
    "Benchmark",
    "active",
    "benchmark_panel",
    "benchmark_run",
    "constant_leverage",
    "constant_target",
    "held_on_average",
    "on_sessions_of",
    "parse_benchmark",
]

CLOSE_ENOUGH = 0.01
"""How near the mean leverage of the constant portfolio comes to that of the dynamic one."""

ATTEMPTS = 6


class _Held(Protocol):
    @property
    def mean_leverage(self) -> float: ...


Held = TypeVar("Held", bound=_Held)


@dataclass(frozen=True)
class Benchmark:
    """A portfolio to stand beside.

    Attributes
    ----------
    name : str
    weights : mapping
        Symbol -> fraction, in sum at most 1.
    """

    name: str
    weights: Mapping[str, float]


def parse_benchmark(text: str) -> Benchmark:
    """A benchmark from text.

    Parameters
    ----------
    text : str
        `SPY`, or `60/40=SPY:0.6,TLT:0.4`.

    Returns
    -------
    Benchmark

    Raises
    ------
    InputError
        Text that is neither; weights as `check_weights`.
    """
    name, equals, rest = text.partition("=")
    if not equals:
        return Benchmark(text.strip(), {text.strip(): 1.0}) if text.strip() else _unreadable(text)
    weights: dict[str, float] = {}
    for part in rest.split(","):
        symbol, colon, weight = part.partition(":")
        try:
            weights[symbol.strip()] = float(weight)
        except ValueError:
            _unreadable(text)
        if not (colon and symbol.strip()):
            _unreadable(text)
    return Benchmark(name.strip(), check_weights(weights)) if name.strip() else _unreadable(text)


def _unreadable(text: str) -> Benchmark:
    raise InputError("is unreadable", "give SYMBOL or NAME=SYMBOL:WEIGHT,SYMBOL:WEIGHT", "benchmark", text)


def benchmark_panel(
    benchmarks: Sequence[Benchmark], panel: Panel, config: Config, cache: Cache | None = None
) -> Panel | None:
    """The bars that benchmarks are made of; the panel they stand beside keeps its own sessions.

    Parameters
    ----------
    benchmarks : sequence of Benchmark
    panel : Panel
        Of the universe; its bars serve where it has all of the symbols.
    config : Config
        From whose source the others are.
    cache : Cache, optional

    Returns
    -------
    Panel or None
        None if there are no benchmarks.

    Raises
    ------
    InputError, MissingFileError
        As `load_panel`.
    """
    symbols = list(dict.fromkeys(symbol for one in benchmarks for symbol in one.weights))
    if not symbols:
        return None
    if all(symbol in panel.symbols for symbol in symbols):
        return replace(panel.select(symbols), members={})
    bars = load_panel({**config, "symbols": ",".join(symbols), "members": None}, cache)
    check_currencies({", ".join(panel.symbols): panel.currency, f"benchmark {', '.join(symbols)}": bars.currency})
    return bars


def benchmark_run(
    benchmark: Benchmark, bars: Panel, beside: Run, config: Config, rates: Mapping[str, pd.Series]
) -> Run:
    """A benchmark through the same account, at leverage 1, from the close that decided the first weights on.

    Parameters
    ----------
    benchmark : Benchmark
    bars : Panel
        As `benchmark_panel`.
    beside : Run
        Whose sessions it is to have.
    config : Config
        Schedule, execution, account and statistics.
    rates : mapping
        Dated rates of the panel that it stands beside.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        Bars that do not cover the sessions.
    """
    begins, ends = beside.begins.date(), beside.sessions[-1]
    bars = bars.select(list(benchmark.weights))
    sessions = bars.sessions
    if sessions[0].date() > begins or sessions[-1] < ends:
        raise InputError(
            f"benchmark {benchmark.name} has bars from {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}, the account "
            f"is held against it from {begins} to {ends:%Y-%m-%d}",
            "give another benchmark, or another window",
        )
    rules = values_of(config, ScheduleRules, TradingRules)
    sizing = values_of({**config, **UNLEVERED}, LeverageRules, SizingRules)
    strategy = (FixedWeights, {**rules, "weights": tuple(benchmark.weights.items()), "trade_from": begins})
    bars = replace(bars.between(None, ends), rates=rates)
    return simulate(bars, config, pair=(strategy, (VolTargetDrawdownSizer, sizing)), since=begins)


def constant_leverage(
    panel: Panel,
    config: Config,
    wanted: float,
    *,
    advance: Callable[[int], None] | None = None,
    remember: WeightMemory | None = None,
) -> Run:
    """The base portfolio at one leverage throughout, such that it holds what the dynamic portfolio holds on average.

    The leverage is found by running the account, to 0.01 of the mean: in-sample, since nobody knew the mean beforehand.

    Parameters
    ----------
    panel, config
        As `simulate`.
    wanted : float
        Mean leverage held by the dynamic portfolio.
    advance : callable, optional
        Hears of the first attempt.
    remember : WeightMemory, optional
        As `simulate`.

    Returns
    -------
    Run
        Where the account cannot hold so much, the nearest found, and a note.

    Raises
    ------
    InputError, ConvergenceError
        As `simulate`.
    """
    told = [advance]  # the first attempt only

    def run(leverage: float) -> Run:
        bounds = {"lev_min": leverage, "lev_max": leverage}
        return simulate(panel, {**config, **bounds}, advance=told.pop() if told else None, remember=remember)

    return held_on_average(run, wanted)


def constant_target(twins: Twins, config: Config, wanted: float) -> float:
    """The target leverage of `constant_leverage`, found by the twin of the account.

    Parameters
    ----------
    twins : Twins
    config, wanted
        As `constant_leverage`.

    Returns
    -------
    float
    """
    near = held_on_average(lambda one: twins.run({**config, "lev_min": one, "lev_max": one}), wanted)
    return float(near.account.daily["target_leverage"][-1])


def held_on_average(run: Callable[[float], Held], wanted: float) -> Held:
    """The run at the leverage whose mean held is the one wanted, to 0.01.

    Parameters
    ----------
    run : callable
        Of a target leverage; what it gives has `mean_leverage`.
    wanted : float

    Returns
    -------
    object
        Of `run`; the nearest found after six attempts, with a note.
    """
    found: list[Held] = []
    leverage = wanted
    for _ in range(ATTEMPTS):
        found.append(run(leverage))
        off = wanted - found[-1].mean_leverage
        if not abs(off) > CLOSE_ENOUGH:
            return found[-1]
        leverage = max(leverage + off, 0.0)
    best = min(found, key=lambda one: abs(wanted - one.mean_leverage))
    log.warning("constant leverage: %.3f is the mean found, %.3f was wanted", best.mean_leverage, wanted)
    return best


def active(run: Run, beside: Run) -> dict[str, float]:
    """What a run did beyond another, on the sessions that count for both.

    Parameters
    ----------
    run, beside : Run

    Returns
    -------
    dict
        As `active_statistics`.
    """
    other = on_sessions_of(beside, run.returns.index)
    dates: list[date] = [day.date() for day in run.returns.index]
    return active_statistics(np.asarray(run.returns), other, run.risk_free, dates)


def on_sessions_of(run: Run, sessions: pd.Index) -> np.ndarray:
    """A run's returns on the sessions of another: what happened between them is compounded.

    Parameters
    ----------
    run : Run
    sessions : DatetimeIndex of shape (m,)
        Those of the other that count.

    Returns
    -------
    ndarray of shape (m,)
        Fractions.
    """
    if run.returns.index.equals(sessions):
        return np.asarray(run.returns)
    value = (1.0 + run.returns).cumprod()
    held = value.reindex(value.index.union(sessions)).ffill().fillna(1.0)[sessions].to_numpy()
    return np.asarray(held / np.concatenate(([1.0], held[:-1])) - 1.0)
