"""How sure each step of a ladder is: intervals of its change, from the same history drawn again."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskoverlay.conventions import PERIODS

from ..judgement import Interval, bootstrap_intervals
from ..judgement.sharpe import growths, session_sharpe
from ..workbench.rates import bill_returns
from .run import Ladder

__all__ = ["NOT_TOLD", "Surety", "step_intervals", "surety_rows", "surety_summary"]

NOT_TOLD = "~"
"""Beside a step that history does not tell from no change."""

ROUNDING = 1e-9
"""A change that is the last digits of two ways to compute one number."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Surety:
    """Intervals of the change that one rung makes to one portfolio.

    Attributes
    ----------
    excess_sharpe, growth : Interval
        Of the Sharpe ratio over bills, and of the growth of a year (a fraction), each less that of the rung above.
    """

    excess_sharpe: Interval
    growth: Interval

    @property
    def told_apart(self) -> bool:
        """Whether history tells one of them from no change."""
        return any(one.low > ROUNDING or one.high < -ROUNDING for one in (self.excess_sharpe, self.growth))


def step_intervals(
    result: Ladder, *, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, dict[str, Surety]]:
    """Intervals of what each rung changes, by the stationary bootstrap: all rungs are drawn from the same sessions.

    Parameters
    ----------
    result : Ladder
    draws, level, seed
        As `bootstrap_intervals`.

    Returns
    -------
    dict
        Portfolio -> rung's id -> Surety, of the rungs that change something; on the sessions that all rungs have.

    Raises
    ------
    InputError, MissingExtraError
        As `bootstrap_intervals`.
    """
    changing = [i for i, step in enumerate(result.steps) if i and step.changes]
    legs = result.legs
    first = max(step.legs[leg].returns.index[0] for step in result.steps for leg in legs)
    shown = sorted({0, *changing})
    columns = [result.steps[i].legs[leg].returns.loc[first:].to_numpy(dtype=np.float64) for leg in legs for i in shown]
    days = list(result.bottom.returns.loc[first:].index)
    before = result.panel.sessions[int(result.panel.sessions.searchsorted(first)) - 1]
    bill = bill_returns(result.config["risk_free"], result.panel.rates, days, before)
    drawn = np.column_stack([*columns, bill])
    found = bootstrap_intervals(
        drawn,
        lambda sample: _changes(sample, len(shown)),
        draws=draws,
        level=level,
        seed=seed,
        dependence=drawn[:, [0, len(shown) - 1, -2]],
    )
    steps = len(shown) - 1
    sharpes, grown = found[: len(legs) * steps], found[len(legs) * steps :]
    ids = [result.steps[i].rung.id for i in shown[1:]]
    return {
        leg: {id_: Surety(sharpes[k * steps + j], grown[k * steps + j]) for j, id_ in enumerate(ids)}
        for k, leg in enumerate(legs)
    }


def _changes(sample: Floats, rungs: int) -> Floats:
    """Changes of the Sharpe ratio, then of growth, from rung to rung; the last column of the sample is bills."""
    returns, bill = sample[:, :-1], sample[:, -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = session_sharpe(returns - bill) * math.sqrt(PERIODS)
    return np.concatenate([np.diff(one.reshape(-1, rungs), axis=1).ravel() for one in (sharpe, growths(returns))])


def surety_rows(sure: dict[str, dict[str, Surety]]) -> tuple[list[str], list[list[str]]]:
    """A table of the steps.

    Parameters
    ----------
    sure : dict
        As `step_intervals` gives them.

    Returns
    -------
    titles : list of str
    rows : list of list of str
        Sharpe ratio, and growth in per cent; of dynamic below base; `NOT_TOLD` beside what is not told from 0.
    """
    rows, first = [], next(iter(sure))
    for id_ in sure[first]:
        for leg in sure:
            one = sure[leg][id_]
            rows.append([
                id_ if leg == first else "", leg,
                _in_words(one.excess_sharpe, 1.0, 2), _in_words(one.growth, 100.0, 2),
                "" if one.told_apart else NOT_TOLD,
            ])  # fmt: skip
    level = next(iter(sure[first].values())).growth.level
    return [f"{100 * level:g} % intervals", "", "Sharpe", "growth %", ""], rows


def surety_summary(sure: dict[str, dict[str, Surety]]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Intervals for `write_json`: portfolio -> rung -> statistic -> estimate, low, high, level."""
    return {
        leg: {id_: {"excess_sharpe": vars(one.excess_sharpe), "growth": vars(one.growth)} for id_, one in found.items()}
        for leg, found in sure.items()
    }


def _in_words(one: Interval, scale: float, digits: int) -> str:
    estimate, low, high = (f"{scale * x:+.{digits}f}" for x in (one.estimate, one.low, one.high))
    return f"{estimate} [{low} {high}]"
