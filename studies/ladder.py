"""The reality ladder: from the notebook's paper result to the broker's account, one difference at a time."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analyzers import summary as statistics
from feeds import Panel
from strategies.paper import paper_backtest

from .backtest import UNLEVERED, simulate
from .outputs import data_summary, versions
from .parameters import Config
from .pools import quiet

__all__ = [
    "LEGS",
    "RUNGS",
    "Ladder",
    "Leg",
    "Rung",
    "Step",
    "conclusion",
    "costs_in_words",
    "ladder",
    "ladder_frame",
    "ladder_summary",
    "run_rung",
    "rung_settings",
]

LEGS = ("base", "dynamic")

STATISTICS = ("ann_ret", "ann_vol", "sharpe", "max_drawdown")


@dataclass(frozen=True)
class Rung:
    """One difference between paper and account."""

    id: str
    what: str
    """What changes, in a few plain words."""
    switches: tuple[str, ...] = ()
    """Settings that are ideal (`IDEAL`) above this rung, real from it on."""
    broker: bool = False
    """Whether it runs through Cerebro, or as array arithmetic."""


RUNGS = (
    Rung("notebook", "nothing: the notebook as published"),
    Rung("converged_risk_parity", "risk parity is solved", ("risk_parity",)),
    Rung("long_only_min_variance", "minimum variance solved, not clipped", ("min_variance",)),
    Rung("simple_returns", "simple returns of assets, not log", ("portfolio_returns",)),
    Rung("no_look_ahead", "what is known today earns tomorrow", ("look_ahead",)),
    Rung("event_driven", "the same through a broker, no costs", (), True),
    Rung("hold_between_rebalances", "holdings drift between rebalances", ("drift",), True),
    Rung("leverage_band", "leverage acts only beyond a band", ("lev_band", "relever"), True),
    Rung("next_open_fills", "orders fill at the next open", ("execution",), True),
    Rung("whole_shares", "no fractions of a share", ("whole_shares",), True),
    Rung("commission", "the broker takes its commission",
         ("commission_bps", "commission_per_share", "commission_min"), True),
    Rung("slippage", "fills are worse than the quote", ("slippage_bps",), True),
    Rung("loan_interest", "loans cost interest, and have limits",
         ("borrow_rate", "cash_rate", "initial_margin", "maintenance_margin"), True),
)  # fmt: skip
"""From paper to account. Each rung keeps what the rungs above it changed; the last is `backtest`."""

IDEAL: dict[str, Any] = {
    "risk_parity": "notebook",
    "min_variance": "clipped",
    "portfolio_returns": "log",
    "look_ahead": True,
    "drift": "daily",
    "lev_band": 0.0,
    "relever": "daily",
    "execution": "close",
    "whole_shares": False,
    "commission_bps": 0.0,
    "commission_per_share": 0.0,
    "commission_min": 0.0,
    "slippage_bps": 0.0,
    "borrow_rate": 0.0,
    "cash_rate": 0.0,
    "initial_margin": 1e-6,  # no limit that any leverage could reach
    "maintenance_margin": 1e-6,
}
"""Every switch as the paper has it."""

REAL = {"portfolio_returns": "simple", "look_ahead": False}
"""Switches that are no parameters of the account: a broker leaves no choice."""

RULES = (
    "rebalance_freq", "cov_lookback", "min_hist", "shrinkage", "shrink_alpha", "alpha_minvar", "vol_lookback",
    "target_vol", "lev_min", "lev_max", "dd_threshold1", "dd_threshold2", "dd_min_scale", "calendar",
)  # fmt: skip
"""Parameters of weights and leverage: the user's on every rung."""


@dataclass(frozen=True)
class Leg:
    """One portfolio on one rung. Fractions; returns are simple, one a session that counts."""

    returns: pd.Series
    statistics: dict[str, float]
    """ann_ret, ann_vol, sharpe, max_drawdown of `returns`."""


@dataclass(frozen=True)
class Step:
    """A rung, run."""

    rung: Rung
    changes: bool
    """False when the user's settings make it the rung above."""
    base: Leg
    dynamic: Leg

    @property
    def what(self) -> str:
        return self.rung.what if self.changes else "no change with these flags"


@dataclass(frozen=True)
class Ladder:
    """Every rung of `RUNGS`, in order."""

    config: Config
    panel: Panel
    steps: tuple[Step, ...]

    def sharpes(self, leg: str) -> list[float]:
        """Sharpe ratio of "base" or "dynamic", rung by rung."""
        return [getattr(step, leg).statistics["sharpe"] for step in self.steps]

    def changes(self, leg: str) -> list[float]:
        """Sharpe ratio less that of the rung above; nan at the top."""
        sharpes = self.sharpes(leg)
        return [float("nan"), *(b - a for a, b in pairwise(sharpes))]


# -- rungs -----------------------------------------------------------------------------------------------------------


def rung_settings(config: Config, rung: Rung) -> dict[str, Any]:
    """The user's config with every switch of the rungs below `rung` ideal; on the last rung nothing is."""
    below = RUNGS[RUNGS.index(rung) + 1 :]
    return {**config, **REAL, **{name: IDEAL[name] for other in below for name in other.switches}}


def run_rung(
    panel: Panel, settings: Mapping[str, Any], *, broker: bool, legs: tuple[str, ...] = LEGS
) -> list[Leg]:
    """The legs asked for: through Cerebro (`simulate`), or as arrays (`paper_backtest`). Raises as these do."""
    if broker:
        config = {name: value for name, value in settings.items() if name not in REAL}
        runs = [simulate(panel, config | UNLEVERED if leg == "base" else config) for leg in legs]
        return [Leg(run.returns, run.statistics) for run in runs]
    names = (*RULES, "risk_parity", "min_variance", *REAL)
    paper = paper_backtest(panel.closes, **{name: settings[name] for name in names})
    returns = {"base": paper.base_returns, "dynamic": paper.dynamic_returns}
    return [Leg(pd.Series(returns[leg], paper.sessions), statistics(returns[leg])) for leg in legs]


def _changes(settings: Mapping[str, Any], rung: Rung) -> bool:
    """Whether a rung differs from the one above. A dated rate is a Series, and never ideal."""

    def ideal(name: str) -> bool:
        return isinstance(settings[name], type(IDEAL[name])) and bool(settings[name] == IDEAL[name])

    return not rung.switches or not all(ideal(name) for name in rung.switches)


def ladder(
    panel: Panel,
    config: Config,
    *,
    workers: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Ladder:
    """Climb down from paper to account.

    Parameters
    ----------
    panel : bars of the universe
    config : every parameter; the last rung is `backtest(panel, config)`, to the last digit
    workers : processes, None: one a processor. Results do not depend on it. With more than one, a script must call
        this under `if __name__ == "__main__":`, because each process reads the script again
    advance : called with 1 for each rung done

    Raises
    ------
    ValueError
        workers below 1; otherwise as `simulate` and `paper_backtest`.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers!r} is not a number of processes: give a whole number >= 1")
    real = {**config, **REAL}
    changing = [rung for rung in RUNGS if _changes(real, rung)]
    jobs: list[Job] = []
    for rung in changing:
        settings = rung_settings(config, rung)
        jobs += (
            [(rung.id, settings, True, (leg,)) for leg in LEGS]
            if rung.broker
            else [(rung.id, settings, False, LEGS)]
        )
    # The account as the user wants it first, so that a wrong value is found at once; then what trades every session.
    jobs.sort(key=lambda job: (job[0] != changing[-1].id, not job[2]))

    done: dict[str, dict[str, Leg]] = {rung.id: {} for rung in changing}
    if advance is not None:
        advance(len(RUNGS) - len(changing))
    for (id_, _, _, legs), result in _perform(panel, jobs, workers or os.cpu_count() or 1):
        done[id_] |= zip(legs, result, strict=True)
        if advance is not None and len(done[id_]) == len(LEGS):
            advance(1)

    steps: list[Step] = []
    for rung in RUNGS:
        found = done.get(rung.id) or {"base": steps[-1].base, "dynamic": steps[-1].dynamic}
        steps.append(Step(rung, rung in changing, found["base"], found["dynamic"]))
    return Ladder(config, panel, tuple(steps))


# -- processes -------------------------------------------------------------------------------------------------------

Job = tuple[str, dict[str, Any], bool, tuple[str, ...]]
"""Rung, settings, whether through the broker, legs."""

_panel: Panel  # of a worker


def _perform(panel: Panel, jobs: list[Job], workers: int) -> Iterator[tuple[Job, list[Leg]]]:
    """Jobs with their results, as they finish."""
    if workers == 1:
        for job in jobs:
            with quiet():
                result = run_rung(panel, job[1], broker=job[2], legs=job[3])
            yield job, result
        return
    others = set(multiprocessing.active_children())
    with tempfile.TemporaryDirectory(prefix="riskoverlay-") as folder:
        # A file, because a process that is handed more than a pipe holds keeps its parent waiting while it starts.
        prices = Path(folder) / "panel"
        prices.write_bytes(pickle.dumps(panel))
        context = multiprocessing.get_context(_start_method())
        pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_begin, initargs=(prices,))
        try:
            with _deaf_to_interrupts():
                futures: dict[Future[list[Leg]], Job] = {pool.submit(_work, job): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            # Wrong input or Ctrl-C: nobody waits for what is still running.
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _start_method() -> str:
    """Forked workers need not import everything again, which is a tenth of the work; safe only while no thread runs."""
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"


def _begin(prices: Path) -> None:
    global _panel
    _panel = pickle.loads(prices.read_bytes())
    gc.freeze()
    gc.disable()  # looking for cycles among a run's hundred thousand orders takes a sixth of the run


def _work(job: Job) -> list[Leg]:
    _, settings, broker, legs = job
    gc.collect()
    with quiet():
        return run_rung(_panel, settings, broker=broker, legs=legs)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes born here never hear Ctrl-C, so that one process, the parent, answers it."""
    if threading.current_thread() is not threading.main_thread():  # only that one may
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# -- what is told ----------------------------------------------------------------------------------------------------


def universe_in_words(result: Ladder) -> str:
    """Symbols, source and the sessions that count at the bottom, in one line."""
    panel, first = result.panel, result.steps[-1].dynamic.returns.index[0]
    symbols = ", ".join(panel.symbols[:12]) + (", ..." if len(panel.symbols) > 12 else "")
    count = f" ({len(panel.symbols)})" if len(panel.symbols) > 12 else ""
    return f"{symbols}{count}; {panel.source}, {first:%Y-%m-%d} to {panel.sessions[-1]:%Y-%m-%d}"


def signed(change: float) -> str:
    """A change of Sharpe ratio to print: +0.12, -0.03, 0.00; nothing for nan."""
    if math.isnan(change):
        return ""
    shown = f"{change:+.2f}"
    return shown if float(shown) else "0.00"


def costs_in_words(config: Config) -> str:
    """What the account at the bottom charges, in one line."""
    commission = f"{config['commission_bps']:g} bps"
    if config["commission_per_share"]:
        commission += f" + {config['commission_per_share']:g} a share"
    if config["commission_min"]:
        commission += f" (at least {config['commission_min']:g})"
    rate = config["borrow_rate"]
    loan = (
        f"{100 * rate:g} %" if isinstance(rate, float) else rate if isinstance(rate, str) else "a dated rate"
    )
    return f"commission {commission}, slippage {config['slippage_bps']:g} bps, loans at {loan} a year"


def conclusion(result: Ladder) -> str:
    """Paper Sharpe, broker Sharpe, the largest single loss, dynamic against base at the bottom: in numbers."""
    parts = []
    for leg in LEGS:
        sharpes, changes = result.sharpes(leg), result.changes(leg)
        part = f"{leg}: Sharpe {sharpes[0]:.2f} on paper, {sharpes[-1]:.2f} through the broker"
        worst = int(np.argmin([0.0, *np.nan_to_num(changes[1:])]))
        if worst:
            part += f", largest single loss {-changes[worst]:.2f} ({result.steps[worst].rung.id})"
        parts.append(part[0].upper() + part[1:])
    ends = [
        step.dynamic.statistics["sharpe"] - step.base.statistics["sharpe"]
        for step in (result.steps[0], result.steps[-1])
    ]
    if np.isfinite(ends).all():
        base, dynamic = (100 * getattr(result.steps[-1], leg).statistics["ann_ret"] for leg in LEGS)
        parts.append(
            f"The overlay is worth {ends[0]:+.2f} of Sharpe on paper and {ends[1]:+.2f} in the account, "
            f"where it earns {dynamic:.2f} % a year against {base:.2f} % without it"
        )
    if result.panel.synthetic:
        parts.append("The market is synthetic: none of this happened")
    return ". ".join(parts) + "."


def ladder_summary(result: Ladder) -> dict[str, Any]:
    """Everything that describes a ladder, JSON-able, statistics as fractions; `config` runs it again."""
    first = result.steps[-1].dynamic.returns.index[0]
    before = int(result.panel.sessions.searchsorted(first)) - 1
    return {
        "rungs": [
            {
                "id": step.rung.id,
                "what": step.what,
                "first_session": step.dynamic.returns.index[0],
                "base": step.base.statistics,
                "dynamic": step.dynamic.statistics,
            }
            for step in result.steps
        ],
        "conclusion": conclusion(result),
        "config": result.config,
        "data": data_summary(result.panel, result.panel.sessions[before], first),
        "versions": versions(),
    }


def ladder_frame(result: Ladder) -> pd.DataFrame:
    """One row a rung, index its id: what, then base_ and dynamic_ statistics and change of Sharpe, fractions."""
    columns: dict[str, list[Any]] = {"what": [step.what for step in result.steps]}
    for leg in LEGS:
        for name in STATISTICS:
            columns[f"{leg}_{name}"] = [getattr(step, leg).statistics[name] for step in result.steps]
        columns[f"{leg}_sharpe_change"] = result.changes(leg)
    return pd.DataFrame(columns, index=pd.Index([step.rung.id for step in result.steps], name="rung"))
