"""The loan's spread at which the overlay is worth nothing: found by running the account."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel

from ..workbench.loans import financing_of
from ..workbench.parameters import Config, resolved
from ..workbench.rates import IRX_RATE
from ..workbench.runs import UNLEVERED, Run, simulate
from ..workbench.twins import Twins, check_twin, engine_of
from ..workbench.workers import check_workers, open_workers

__all__ = ["BREAKEVENS", "Breakeven", "breakeven", "breakeven_in_words", "breakeven_summary"]

BREAKEVENS = {"growth": "growth", "excess_sharpe": "Sharpe ratio"}
"""What is held against base, and its name."""

LOWEST, HIGHEST, STEP = -200, 1500, 100
"""Spreads that are tried first, basis points a year."""

AHEAD, BEHIND = "ahead at every spread", "behind at every spread"


@dataclass(frozen=True)
class Breakeven:
    """Where dynamic stops to be ahead of base.

    Attributes
    ----------
    over_bill : bool
        Whether spreads are over the bill, or over 0 where no bill is known.
    spreads : mapping
        Statistic of `BREAKEVENS` -> basis points a year at which dynamic is ahead, and no longer one above; or that it
        is ahead, or behind, at every spread.
    tried : mapping
        Basis points -> dynamic − base by statistic, of every spread that was run.
    """

    over_bill: bool
    spreads: Mapping[str, int | str]
    tried: Mapping[int, Mapping[str, float]]


def breakeven(
    panel: Panel,
    config: Config,
    *,
    engine: str | None = None,
    workers: int | None = 1,
    advance: Callable[[int], None] | None = None,
) -> Breakeven:
    """The first spread from −2 % to +15 % at which dynamic loses its lead over base, to 1 bp.

    Both pay for what they borrow. Each spread in steps of 1 % is run, then the first step in which the sign changes is
    halved down to 1 bp.

    Parameters
    ----------
    panel : Panel
    config : Config
        Everything else of the account.
    engine : {"twin", "cerebro"}, optional
        The twin of the account (default: where it can, which is of weights) runs here, and dynamic at the first of the
        spreads that are found through Cerebro, too; Cerebro runs in the workers.
    workers : int, optional
        Processes, None: one a processor. Results do not depend on it.
    advance : callable, optional
        Called with the number of spreads run since the last call.

    Returns
    -------
    Breakeven

    Raises
    ------
    InputError, ConvergenceError
        As `simulate`.
    TwinError
        Twin and Cerebro differ.
    """
    config = resolved(config, panel)
    over_bill = "irx" in panel.rates
    tried: dict[int, dict[str, float]] = {}
    twins = Twins(panel) if engine_of(engine, config) == "twin" else None
    count = 1 if twins else check_workers(workers)
    with open_workers(_lead, twins or panel, count, fork=True) as pool:

        def run(spreads: list[int]) -> None:
            jobs = {spread: _with_spread(config, spread, over_bill) for spread in spreads if spread not in tried}
            for spread, lead in pool.perform(jobs):
                tried[spread] = lead
                if advance is not None:
                    advance(1)

        run(list(range(LOWEST if over_bill else 0, HIGHEST + 1, STEP)))
        coarse = sorted(tried)
        found: dict[str, int | str] = {}
        for name in BREAKEVENS:
            ahead = [tried[spread][name] > 0.0 for spread in coarse]
            found[name] = _first_change(name, coarse, ahead, tried, run)
    if twins:  # what it says is held against Cerebro where it matters
        spread = next((one for one in found.values() if isinstance(one, int)), 0)
        there = _with_spread(config, spread, over_bill)
        check_twin(twins, there, simulate(panel, there, remember=twins.remember))
    return Breakeven(over_bill, found, dict(sorted(tried.items())))


def _first_change(
    name: str,
    coarse: list[int],
    ahead: list[bool],
    tried: Mapping[int, Mapping[str, float]],
    run: Callable[[list[int]], None],
) -> int | str:
    """Halve the first step in which the sign changes."""
    changes = [i for i in range(len(coarse) - 1) if ahead[i] != ahead[i + 1]]
    if not changes:
        return AHEAD if ahead[0] else BEHIND
    low, high = coarse[changes[0]], coarse[changes[0] + 1]
    before = ahead[changes[0]]
    while high - low > 1:
        middle = (low + high) // 2
        run([middle])
        if (tried[middle][name] > 0.0) == before:
            low = middle
        else:
            high = middle
    return low


def _with_spread(config: Config, basis_points: int, over_bill: bool) -> Config:
    """The loan at one spread, everything else as it is."""
    spread = basis_points / 1e4
    if config["financing"] is None:
        return {**config, "borrow_rate": f"irx{spread:+.4f}" if over_bill else spread}
    terms = financing_of(config["financing"])
    base = IRX_RATE if over_bill else 0.0
    idle = terms.benchmark if terms.cash_benchmark is None else terms.cash_benchmark
    return {**config, "financing": replace(terms, benchmark=base, tiers=((math.inf, spread),), cash_benchmark=idle)}


def _lead(bars: Panel | Twins, config: Config) -> dict[str, float]:
    """What dynamic is ahead of base, by statistic."""
    both = ({**config, **UNLEVERED}, config)
    runs = [bars.run(one) if isinstance(bars, Twins) else simulate(bars, one) for one in both]
    if not all(run.overlaid for run in runs if isinstance(run, Run)):
        raise InputError("a strategy that sizes itself has no dynamic and no base", "ask for no breakeven")
    base, dynamic = (run.statistics for run in runs)
    return {name: float(np.float64(dynamic[name]) - base[name]) for name in BREAKEVENS}


def breakeven_in_words(found: Breakeven) -> str:
    """One sentence.

    Parameters
    ----------
    found : Breakeven

    Returns
    -------
    str
    """
    over = "the bill" if found.over_bill else "0"
    parts = []
    for name, title in BREAKEVENS.items():
        spread = found.spreads[name]
        parts.append(f"{title}: {spread}" if isinstance(spread, str) else f"{title}: {spread / 100:.2f} %")
    return f"Spread of the loan over {over} at which dynamic is worth no more than base, by {'; by '.join(parts)}."


def breakeven_summary(found: Breakeven) -> dict[str, Any]:
    """For `write_json`: spreads in fractions a year, or words.

    Parameters
    ----------
    found : Breakeven

    Returns
    -------
    dict
    """
    return {
        "over_bill": found.over_bill,
        **{name: one / 1e4 if isinstance(one, int) else one for name, one in found.spreads.items()},
        "tried": {f"{spread / 1e4:.4f}": dict(lead) for spread, lead in found.tried.items()},
    }
