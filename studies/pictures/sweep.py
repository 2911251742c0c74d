"""A sweep and a walk-forward as pictures."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ..report.portfolios import walk_portfolios
from ..report.words import symbols_in_words
from ..sweep import CRITERIA, Dimension, Judged, Sweep, heat, params_in_words
from ..walkforward import Walk
from ..workbench.captions import costs_in_words, risk_free_in_words
from .canvas import BLUE, GREY, INK, RULE, VERMILION, new_figure, save

__all__ = ["draw_sweep", "draw_walk"]

TITLES = {"sharpe": ("Sharpe ratio", 1.0, ".2f"), "growth": ("growth a year, %", 100.0, ".1f")}
"""Name, scale and number format of a criterion."""


def draw_sweep(judged: Judged, path: str | Path) -> None:
    """Draw: the criterion over the grid, and in sample against out of sample over the splits of CSCV.

    Parameters
    ----------
    judged : Judged
    path : str or Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    figure = new_figure(13, 6.4)
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.97, top=0.73, bottom=0.12, wspace=0.26)
    table = heat(judged)
    if table is None:
        _ranking(left, judged)
    else:
        _heat(left, judged, *table)
    _splits(right, judged)
    own, base = (judged.intervals[leg]["excess_sharpe"].estimate for leg in ("dynamic", "base"))
    count = len(judged.sweep.good)
    title = (
        f"Best of {count} tries: Sharpe ratio {own:.3f}, {judged.against} {base:.3f}; "
        f"luck alone would give {judged.luck:.2f}"
    )
    _head(figure, title, _below(judged.sweep, params_in_words(judged.winner.params)), judged.sweep.panel.synthetic)
    save(figure, path)


def draw_walk(walk: Walk, path: str | Path) -> None:
    """Draw: growth of the walk-forward account and of what it is held against.

    Parameters
    ----------
    walk : Walk
    path : str or Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    figure = new_figure(13, 6.4)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.06, right=0.86, top=0.76, bottom=0.08)
    ends = []
    for one in walk_portfolios(walk):
        growth = one.growth
        axes.plot(growth, color=one.ink, lw=one.width, zorder=1.0 + one.width)
        ends.append((float(growth.iloc[-1]), f"{one.label}\nSharpe {one.statistics['excess_sharpe']:.2f}", one.ink))
    low, high = axes.get_ylim()
    at = -np.inf
    for end, text, colour in sorted(ends):
        at = max(end, at + 0.09 * (high - low))
        axes.text(1.01, at, text, color=colour, transform=axes.get_yaxis_transform(), va="center", size=10)
    for window in walk.windows:
        axes.axvline(walk.sweep.sessions[window.begin], color=RULE, lw=0.8, zorder=0)
    _plain(axes)
    axes.set_ylabel("growth of 1", color=GREY)
    how = "all of the past" if walk.expanding else "a rolling window"
    title = f"Chosen on {how}, traded next: {len(walk.windows)} choices among {len(walk.sweep.good)} tries"
    hindsight = f"best in hindsight: {params_in_words(walk.sweep.good[walk.winner].params)}"
    _head(figure, title, _below(walk.sweep, hindsight), walk.sweep.panel.synthetic)
    save(figure, path)


def _below(result: Sweep, first: str) -> str:
    """What is under a title: symbols and dates, and after which costs."""
    panel = result.panel
    scope = f"{symbols_in_words(panel)}; {panel.sessions[0]:%Y-%m-%d} to {panel.sessions[-1]:%Y-%m-%d}; {panel.source}"
    after = f"{costs_in_words(result.config)}. {risk_free_in_words(result.config)}."
    return "\n".join(textwrap.fill(line, 165) for line in (first, scope, after))


def _head(figure: Any, title: str, below: str, synthetic: bool) -> None:
    figure.text(0.015, 0.965, title, size=15, weight="bold", color=INK, va="top")
    figure.text(0.015, 0.9, below, size=10.5, color=GREY, va="top", linespacing=1.4)
    if synthetic:
        figure.text(0.985, 0.965, "SYNTHETIC MARKET", size=10, weight="bold", color=VERMILION, va="top", ha="right")


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.tick_params(colors=GREY)


def _heat(axes: Any, judged: Judged, rows: Dimension, columns: Dimension, cells: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    what, scale, form = TITLES[judged.sweep.criterion]
    shown = cells * scale
    image = axes.imshow(shown, cmap="cividis", aspect="auto", origin="lower")
    for dimension, ticks, label in (
        (columns, axes.set_xticks, axes.set_xlabel),
        (rows, axes.set_yticks, axes.set_ylabel),
    ):
        values = dimension.values or ()
        every = max(1, len(values) // 12)
        ticks(range(0, len(values), every), [str(value) for value in values[::every]])
        label(dimension.name, color=GREY)
    if cells.size <= 150:
        middle = (np.nanmin(shown) + np.nanmax(shown)) / 2
        for (i, j), value in np.ndenumerate(shown):
            text = "failed" if np.isnan(value) else format(value, form)
            colour = GREY if np.isnan(value) else INK if value > middle else "white"
            axes.text(j, i, text, ha="center", va="center", color=colour, size=10)
    own = judged.winner.params
    j, i = ((d.values or ()).index(own[d.name]) for d in (columns, rows))
    axes.add_patch(Rectangle((j - 0.48, i - 0.47), 0.96, 0.94, fill=False, edgecolor=VERMILION, lw=2.5))
    more = len(judged.sweep.dimensions) - 2
    best = f", best over {more} more" if more else ""
    axes.set_title(f"{what}{best}", loc="left", size=11.5, weight="bold", color=INK)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=GREY, length=0)
    axes.figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02).outline.set_visible(False)


def _ranking(axes: Any, judged: Judged) -> None:
    """Tries from best to worst, for a sweep that has no map."""
    what, scale, _ = TITLES[judged.sweep.criterion]
    found = judged.sweep.statistics
    worth = [found[place][CRITERIA[judged.sweep.criterion]] * scale for place in judged.ranking]
    axes.plot(range(1, len(worth) + 1), worth, "o", ms=4, color=BLUE)
    if judged.sweep.criterion == "sharpe":
        axes.axhline(judged.luck, color=VERMILION, lw=1, ls="--")
        text = f"- -  luck alone, {judged.luck:.2f}"
        axes.text(1.0, 1.01, text, color=VERMILION, ha="right", va="bottom", size=10, transform=axes.transAxes)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("tries, best first", color=GREY)
    axes.set_title(what, loc="left", size=11.5, weight="bold", color=INK)
    _plain(axes)


def _splits(axes: Any, judged: Judged) -> None:
    _plain(axes)
    axes.set_title("The best of one half, on the other half", loc="left", size=11.5, weight="bold", color=INK, pad=22)
    found = judged.overfitting
    if found is None:
        text = "two tries and 40 sessions are needed"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=GREY)
        return
    what, scale, _ = TITLES[judged.sweep.criterion]
    x, y = found.in_sample * scale, found.out_of_sample * scale
    keep = np.linspace(0, len(x) - 1, min(len(x), 3000)).astype(int)
    axes.plot(x[keep], y[keep], ".", ms=3, color=BLUE, alpha=0.25, mew=0)
    # The halves share one total, so the cloud falls to the right; how far it lies below the dashes is what counts.
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    axes.plot(ends, ends, color=GREY, lw=0.8, ls=(0, (3, 3)))
    axes.axhline(0.0, color=RULE, lw=1, zorder=0)
    axes.set_xlabel(f"{what}, half it was chosen on", color=GREY)
    axes.set_ylabel(f"{what}, other half", color=GREY)
    note = f"{100 * found.probability:.0f} % in the worse half of all tries, {100 * np.mean(y < 0):.0f} % below zero"
    axes.text(0.0, 1.02, note, transform=axes.transAxes, va="bottom", color=INK, size=10)
