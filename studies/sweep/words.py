"""What is said of a sweep: sentences, tables, and what its files hold."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..judgement import Interval, intervals_summary
from ..workbench.allocations import config_summary
from ..workbench.captions import growth_in_words
from ..workbench.summaries import FORMAT, data_summary, versions
from .judged import Judged
from .space import Params
from .tries import Sweep

__all__ = ["in_words", "params_in_words", "ranking_rows", "sweep_frame", "sweep_summary", "value_in_words"]


def params_in_words(params: Params) -> str:
    """Parameters to print: target_vol 0.1, dd_threshold1 0.05."""
    return ", ".join(f"{name} {value_in_words(value)}" for name, value in params.items())


def value_in_words(value: Any) -> str:
    """A parameter's value to print: 0.1, 252, ME."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_words(judged: Judged) -> list[str]:
    """What to think of the best try, one sentence or two a line."""
    lines = [_best(judged), *_luck(judged), *_overfitting(judged)]
    gain = judged.intervals["difference"]["excess_sharpe"]
    sure = "" if gain.low > 0.0 or gain.high < 0.0 else ": not told apart from none"
    lines.append(
        f"Against the {'base portfolio' if judged.against == 'base' else 'strategy as given'} its Sharpe ratio differs "
        f"by {gain.estimate:+.2f}, between {gain.low:+.2f} and {gain.high:+.2f}{sure}."
    )
    lines.append(_beside(judged.beside))
    if judged.sweep.checked:
        lines.append(_checked(judged.sweep))
    tries = judged.sweep.tries
    failed = [one for one in tries if one.reason is not None]
    if failed:
        lines.append(
            f"{len(failed)} of {len(tries)} tries failed; the first, {params_in_words(failed[0].params)}: "
            f"{failed[0].reason}"
        )
    if judged.sweep.panel.synthetic:
        lines.append("The market is synthetic: none of this happened.")
    return lines


def _beside(found: Mapping[str, Mapping[str, float]]) -> str:
    """What the best try is held against."""
    told = [f"{growth_in_words(s['growth'])} (Sharpe ratio {s['excess_sharpe']:.2f})" for s in found.values()]
    if len(told) == 1:
        return f"With the parameters as given the account {told[0]}."
    base, constant = told[0], told[1].replace("(Sharpe ratio ", "(")
    return f"With the same parameters base {base}, and at the best try's mean leverage, held constant, it {constant}."


def _best(judged: Judged) -> str:
    own = judged.intervals["dynamic"]
    return (
        f"Best: {params_in_words(judged.winner.params)}. With {100 * own['growth'].level:g} % intervals "
        f"({_chosen(judged)}): growth {_with_ends(own['growth'], 100)} % a year, Sharpe ratio "
        f"{_with_ends(own['excess_sharpe'])}, max drawdown {_with_ends(own['max_drawdown'], 100)} %."
    )


def _chosen(judged: Judged) -> str:
    """What the intervals of the best leave out: they are those of a try that nobody has chosen."""
    tries = len(judged.sweep.good)
    return f"best of {tries}, not corrected for choosing" if tries > 1 else "one try, nothing was chosen"


def _luck(judged: Judged) -> Iterator[str]:
    d, tries = judged.deflated, len(judged.sweep.good)
    if tries > 1:
        yield (
            f"If the {tries} tries were independent, luck alone would give a Sharpe of {judged.luck:.2f}; yours is "
            f"{judged.intervals['dynamic']['excess_sharpe'].estimate:.2f}. That it is more than the luck of choosing "
            f"has a probability of {100 * d.probability:.0f} % (deflated Sharpe ratio); more than nothing, "
            f"{100 * d.zero:.0f} %."
        )
    needed = f"{d.needed / 252:.1f} years of record would" if np.isfinite(d.needed) else "no record would show it"
    yield (
        f"To be 95 % sure that it is more than luck, {needed}; there are {d.sessions / 252:.1f} "
        "(minimum track record length)."
    )


def _overfitting(judged: Judged) -> Iterator[str]:
    if judged.overfitting is not None:
        yield (
            f"Chosen on half of the sessions, the best try was in the worse half of all tries on the other "
            f"{100 * judged.overfitting.probability:.0f} % of the time (probability of backtest overfitting; "
            "50 % is what a blind choice does)."
        )


def _checked(result: Sweep) -> str:
    worst = max(result.checked.values())
    numbers = ", ".join(map(str, result.checked))
    return (
        f"Run by the twin of the account; through Cerebro, too: tries {numbers}. Daily equity differs by "
        f"{worst:.0e} at most." if worst else
        f"Run by the twin of the account; through Cerebro, too: tries {numbers}. Daily equity is the same to the bit."
    )  # fmt: skip


def _with_ends(interval: Interval, scale: float = 1.0) -> str:
    estimate, low, high = (scale * x for x in (interval.estimate, interval.low, interval.high))
    return f"{estimate:.2f} ({low:.2f} to {high:.2f})"


def ranking_rows(judged: Judged, most: int = 10) -> tuple[list[str], list[list[str]]]:
    """A table of the best tries, best first.

    Parameters
    ----------
    judged : Judged
    most : int
        Rows at most.

    Returns
    -------
    titles : list of str
    rows : list of list of str
        Growth, volatility and drawdown in per cent.
    """
    result, found = judged.sweep, judged.sweep.statistics
    rows = []
    for place in judged.ranking[:most]:
        one, s = result.good[place], found[place]
        values = map(value_in_words, one.params.values())
        growth, volatility, fall = (f"{100 * s[name]:.2f}" for name in ("growth", "ann_vol", "max_drawdown"))
        rows.append([str(one.number), *values, growth, f"{s['excess_sharpe']:.3f}", volatility, fall])
    return ["try", *(d.name for d in result.dimensions), "growth %", "Sharpe", "vol %", "max dd %"], rows


def sweep_frame(result: Sweep) -> pd.DataFrame:
    """The tries as a table.

    Parameters
    ----------
    result : Sweep

    Returns
    -------
    DataFrame of shape (n_tries, n_columns)
        Index the number of the try: parameters, statistics on the shared sessions (fractions), reason.
    """
    found = {one.number: s for one, s in zip(result.good, result.statistics, strict=True)}
    rows = [{**one.params, **found.get(one.number, {}), "reason": one.reason or ""} for one in result.tries]
    return pd.DataFrame(rows, index=pd.Index([one.number for one in result.tries], name="try"))


def sweep_summary(judged: Judged) -> dict[str, Any]:
    """Everything that describes a sweep, fractions; `config` is the best try's and runs it again.

    Parameters
    ----------
    judged : Judged

    Returns
    -------
    dict
        For `write_json`.
    """
    result, d = judged.sweep, judged.deflated
    found = {one.number: s for one, s in zip(result.good, result.statistics, strict=True)}
    first = result.sessions[0]
    before = int(result.panel.sessions.searchsorted(first)) - 1
    return {
        "format": FORMAT,
        "best": {"try": judged.winner.number, "params": judged.winner.params},
        "judgement": {
            "tries": len(result.good),
            "luck_sharpe": judged.luck,
            "deflated_sharpe_ratio": d.probability,
            "probabilistic_sharpe_ratio": d.zero,
            "minimum_track_record_years": d.needed / 252,
            "track_record_years": d.sessions / 252,
            "probability_of_backtest_overfitting": None
            if judged.overfitting is None
            else judged.overfitting.probability,
            "intervals": intervals_summary(judged.intervals),
            "intervals_are_of": _chosen(judged),
            "in_words": in_words(judged),
        },
        **judged.beside,
        "sweep_seed": result.seed,
        "criterion": result.criterion,
        "engine": result.engine,
        "checked": {str(number): off for number, off in result.checked.items()},
        "grid": [str(dimension) for dimension in result.dimensions],
        "tries": [
            {"try": one.number, "params": one.params, **found.get(one.number, {}), "reason": one.reason}
            for one in result.tries
        ],
        **config_summary(result.config_of(judged.winner)),
        "data": data_summary(result.panel, result.panel.sessions[before], first),
        "versions": versions(),
    }
