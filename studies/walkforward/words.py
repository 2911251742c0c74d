"""What is said of a walk-forward: sentences, tables, and what its files hold."""

from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.analyzers import excess_sharpe

from ..sweep import params_in_words, value_in_words
from ..workbench.allocations import config_summary
from ..workbench.captions import growth_in_words
from ..workbench.summaries import FORMAT, data_summary, versions
from .run import Walk

__all__ = ["choice_rows", "walk_frame", "walk_in_words", "walk_rows", "walk_summary"]


def walk_in_words(walk: Walk) -> list[str]:
    """What the choosing was worth, in a few sentences."""
    legs = walk.legs
    own, winner, unchosen = (legs[name]["excess_sharpe"] for name in ("walk_forward", "in_sample_winner", "unchosen"))
    distinct = len(set(walk.choices))
    lines = [
        f"Choosing {len(walk.windows)} times from {len(walk.sweep.good)} tries ({distinct} of them were ever chosen) "
        f"and trading what was chosen gave a Sharpe ratio of {own:.2f}. "
        f"The best try in hindsight, {params_in_words(walk.sweep.good[walk.winner].params)}, shows {winner:.2f}; "
        f"the difference, {winner - own:+.2f}, is what hindsight adds.",
        f"The parameters as given, nothing chosen, have {unchosen:.2f}: choosing was worth {own - unchosen:+.2f}.",
    ]
    account = f"The account {growth_in_words(legs['walk_forward']['growth'])}; its mean leverage"
    held = f"{walk.account.mean_leverage:.2f}"
    if walk.constant is None:
        lines.append(f"{account} was {held}.")
    else:
        steady = growth_in_words(legs["constant"]["growth"])
        lines.append(f"{account}, {held}, held constant on the portfolio as given {steady}.")
    if walk.sweep.panel.synthetic:
        lines.append("The market is synthetic: none of this happened.")
    return lines


def walk_rows(walk: Walk) -> tuple[list[str], list[list[str]]]:
    """A table of the portfolios.

    Parameters
    ----------
    walk : Walk

    Returns
    -------
    titles : list of str
    rows : list of list of str
        Growth, volatility and drawdown in per cent.
    """
    rows = []
    for leg, s in walk.legs.items():
        growth, volatility, fall = (f"{100 * s[name]:.2f}" for name in ("growth", "ann_vol", "max_drawdown"))
        rows.append([leg.replace("_", " "), growth, f"{s['excess_sharpe']:.3f}", volatility, fall])
    return ["", "growth %", "Sharpe", "vol %", "max dd %"], rows


def choice_rows(walk: Walk) -> tuple[list[str], list[list[str]]]:
    """A table of what was chosen.

    Parameters
    ----------
    walk : Walk

    Returns
    -------
    titles : list of str
    rows : list of list of str
        Sharpe ratios where it was chosen and in the account.
    """
    rows = [
        [
            f"{row['trade_from']:%Y-%m-%d}",
            *(value_in_words(row[d.name]) for d in walk.sweep.dimensions),
            f"{row['in_sample']:.2f}",
            f"{row['account']:.2f}",
        ]
        for row in walk_frame(walk).to_dict("records")
    ]
    return ["traded from", *(d.name for d in walk.sweep.dimensions), "Sharpe before", "then"], rows


def walk_frame(walk: Walk) -> pd.DataFrame:
    """The windows as a table.

    Parameters
    ----------
    walk : Walk

    Returns
    -------
    DataFrame of shape (n_windows, n_columns)
        First and last session of training and trading, parameters, Sharpe ratios of the choice: `in_sample` and
        `out_of_sample` are of the chosen try's own run, `account` of the one account in the window.
    """
    sessions, excess = walk.sweep.sessions, walk.sweep.excess
    begin = walk.windows[0].begin
    traded = np.asarray(walk.account.returns) - walk.risk_free
    rows = []
    for window, chosen in zip(walk.windows, walk.choices, strict=True):
        rows.append(
            {
                "train_from": sessions[window.train],
                "train_to": sessions[window.begin - 1],
                "trade_from": sessions[window.begin],
                "trade_to": sessions[window.end - 1],
                **walk.sweep.good[chosen].params,
                "in_sample": excess_sharpe(excess[window.train : window.begin, chosen]),
                "out_of_sample": excess_sharpe(excess[window.begin : window.end, chosen]),
                "account": excess_sharpe(traded[window.begin - begin : window.end - begin]),
            }
        )
    return pd.DataFrame(rows)


def walk_summary(walk: Walk) -> dict[str, Any]:
    """Everything that describes a walk-forward, fractions; `config` is the one it started from.

    Parameters
    ----------
    walk : Walk

    Returns
    -------
    dict
        For `write_json`.
    """
    first = walk.account.returns.index[0]
    before = int(walk.sweep.panel.sessions.searchsorted(first)) - 1
    return {
        "format": FORMAT,
        **walk.legs,
        "in_sample_winner_params": walk.sweep.good[walk.winner].params,
        "in_words": walk_in_words(walk),
        "costs": {name: value for name, value in walk.account.costs.items() if name != "sessions"},
        "windows": walk_frame(walk).to_dict("records"),
        "expanding": walk.expanding,
        "criterion": walk.sweep.criterion,
        "grid": [str(dimension) for dimension in walk.sweep.dimensions],
        **config_summary(walk.sweep.config),
        "data": data_summary(walk.sweep.panel, walk.sweep.panel.sessions[before], first),
        "versions": versions(),
    }
