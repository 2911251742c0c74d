"""Walk-forward: choose on the past, trade the next months, move on; one account from the first window to the last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.analyzers import summary
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel

from ..judgement import SCORES
from ..sweep import Dimension, Sweep, sweep
from ..workbench.allocations import OWNERS
from ..workbench.beside import held_on_average
from ..workbench.parameters import BLEND, GROUPS, Config, shown_parameters
from ..workbench.runs import simulate
from .account import Account, check_plannable, trade_plan
from .choosing import Window, choose, windows

__all__ = ["Walk", "walkforward"]


@dataclass(frozen=True)
class Walk:
    """A walk-forward and what it is to be held against, all on the sessions that were traded, `account.returns`'.

    Attributes
    ----------
    sweep : Sweep
    expanding : bool
    windows : tuple of Window
        Positions among `sweep.sessions`.
    choices : tuple of int
        Place among `sweep.good` of what was chosen for each window.
    account : Account
    winner : int
        Place of the try that was best on the very sessions: what only hindsight finds.
    default : Series
        Returns of the configuration as given, nothing chosen, fractions.
    constant : Account or None
        The base portfolio as given, at the constant leverage that `account` held on average; None of a strategy that
        sizes itself.
    """

    sweep: Sweep
    expanding: bool
    windows: tuple[Window, ...]
    choices: tuple[int, ...]
    account: Account
    winner: int
    default: pd.Series
    constant: Account | None

    @property
    def legs(self) -> dict[str, dict[str, float]]:
        """Statistics of `walk_forward`, `in_sample_winner`, `unchosen` and, where there is one, `constant`."""
        m = len(self.account.returns)
        bill = self.risk_free
        found = {
            "walk_forward": summary(np.asarray(self.account.returns), bill),
            "in_sample_winner": summary(self.sweep.returns[-m:, self.winner], bill),
            "unchosen": summary(np.asarray(self.default)[-m:], bill),
        }
        if self.constant is not None:
            found["constant"] = summary(np.asarray(self.constant.returns), bill)
        return found

    @property
    def risk_free(self) -> npt.NDArray[np.float64]:
        """What a bill paid over each session that was traded, fractions."""
        return self.sweep.risk_free[-len(self.account.returns) :]


def walkforward(
    panel: Panel,
    config: Config,
    dimensions: Sequence[Dimension],
    *,
    train: int = 36,
    test: int = 12,
    expanding: bool = False,
    criterion: str = "sharpe",
    **more: Any,
) -> Walk:
    """Choose from a grid, or from points drawn from it, on each training window, trade the next, in one account.

    Every point is run once over all sessions; a run knows nothing of what comes after, so its returns up to a session
    are what a trader could have had on that day, and a choice looks at no others. The chosen parameters are in force
    from the close before the window's first session. The account begins there, with cash, and keeps its positions,
    its peak and its loan when the parameters change: the change is paid for. Leverage follows the new parameters at
    once, weights at the next rebalance session.

    Parameters
    ----------
    panel, config, dimensions, criterion
        As of `sweep`; only parameters of weights and leverage can be chosen.
    train, test, expanding
        As of `windows`.
    **more
        trials, seed, storage, study, workers, dask, advance of `sweep`, which shares its tries with a sweep of the same
        flags.

    Returns
    -------
    Walk

    Raises
    ------
    InputError
        As `sweep`, `windows` and `check_plannable`, and for a parameter that is no decision.
    """
    decisions = shown_parameters(*GROUPS["weights"], *GROUPS["leverage"])
    for dimension in dimensions:
        if dimension.name not in decisions and not dimension.name.startswith(tuple(OWNERS)):
            raise InputError(
                f"grid={str(dimension)!r}: {dimension.name} is no decision of the trader's",
                "give parameters of weights and leverage",
            )
        if dimension.name == "weights" and len({value == BLEND for value in dimension.values or ()}) > 1:
            raise InputError(
                f"grid={str(dimension)!r}: the blend is another strategy than the rest, and an account has one",
                "give rules without it",
            )
    check_plannable(config, [dimension.name for dimension in dimensions])
    windows(panel.sessions, train=train, test=test)  # what is wrong with them is said before the long part
    tries = sweep(panel, config, dimensions, criterion=criterion, **more)
    scored, sessions = tries.scored, tries.sessions
    found = windows(sessions, train=train, test=test, expanding=expanding)
    choices = [choose(scored, window, criterion) for window in found]
    plan = [
        (sessions[window.begin - 1], tries.good[chosen].params) for window, chosen in zip(found, choices, strict=True)
    ]
    worth = SCORES[criterion](scored[found[0].begin :])
    account = trade_plan(panel, tries.config, plan)
    return Walk(
        sweep=tries,
        expanding=expanding,
        windows=tuple(found),
        choices=tuple(choices),
        account=account,
        winner=int(np.nanargmax(worth)),
        default=simulate(panel, tries.config).every_return,
        constant=_constant(panel, tries.config, plan[0][0], account.mean_leverage) if account.overlaid else None,
    )


def _constant(panel: Panel, config: Config, begins: pd.Timestamp, wanted: float) -> Account:
    """The base portfolio from a session on, at the leverage whose mean held is the one wanted, to 0.01."""

    def run(leverage: float) -> Account:
        return trade_plan(panel, {**config, "lev_min": leverage, "lev_max": leverage}, [(begins, {})])

    return held_on_average(run, wanted)
