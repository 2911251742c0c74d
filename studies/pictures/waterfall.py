"""The ladder as a picture: the Sharpe ratio falling, rung by rung, from paper to account."""

import math
import textwrap
from pathlib import Path
from typing import Any

from ..ladder import Ladder, signed, universe_in_words, waterfall_bars
from ..workbench.captions import costs_in_words, risk_free_in_words
from ..workbench.theirs import ACCOUNT
from .canvas import BLUE, GREY, INK, RULE, VERMILION, new_figure, save

__all__ = ["draw_waterfall"]

BAND = "#f5f7f9"
PAPER, BROKER = "#9aa5b1", "#323f4b"

PANELS = {
    "base": "Base: leverage 1",
    "dynamic": "Dynamic: volatility target × drawdown brake",
    ACCOUNT: "The account: it sizes its own orders",
}


def draw_waterfall(result: Ladder, path: str | Path) -> None:
    """Draw the portfolios side by side: what each rung gives or takes, between two full bars.

    Parameters
    ----------
    result : Ladder
    path : str or Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    figure = new_figure(13, 8)
    left, top, gap = 0.255, 0.82, 0.02
    legs = result.legs
    width = (0.985 - left - gap * (len(legs) - 1)) / len(legs)
    panels = [figure.add_axes((left + i * (width + gap), 0.02, width, top - 0.02)) for i in range(len(legs))]
    finite = [s for leg in legs for s in result.sharpes(leg) if math.isfinite(s)]
    low, high = min([0.0, *finite]), max([0.1, *finite])
    room = high - low
    for axes, leg in zip(panels, legs, strict=True):
        _panel(axes, result, leg, room)
        axes.set_xlim(low - (0.12 * room if low < 0 else 0.0), high + 0.17 * room)
        axes.set_ylim(len(result.steps) + 0.5, -0.5)
    _rows(panels[0], result)

    ends = [f"{leg} {result.sharpes(leg)[0]:.2f} → {result.sharpes(leg)[-1]:.2f}" for leg in legs]
    title = f"Sharpe ratio from {result.top} to account: {', '.join(ends)}".replace("-", "−")
    figure.text(0.015, 0.972, title, size=18, weight="bold", color=INK, va="top")
    after = f"{costs_in_words(result.config)}. {risk_free_in_words(result.config)}."
    scope = "\n".join(textwrap.fill(line, 170) for line in (universe_in_words(result), after))
    figure.text(0.015, 0.93, scope, size=11, color=GREY, va="top", linespacing=1.4)
    if result.panel.synthetic:
        mark = "SYNTHETIC MARKET\nmade-up prices"
        figure.text(0.985, 0.972, mark, size=12, weight="bold", color=VERMILION, va="top", ha="right")
    save(figure, path)


def _panel(axes: Any, result: Ladder, leg: str, room: float) -> None:
    """Bars of one portfolio; a row a rung, and one for the sum."""
    sharpes, last = result.sharpes(leg), len(result.steps)
    pad = 0.012 * room
    axes.spines[:].set_visible(False)
    axes.axvline(0.0, color=RULE, lw=1, zorder=0)
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    axes.set_title(PANELS[leg], size=12.5, weight="bold", color=INK, loc="left", pad=10)

    for row in range(1, last, 2):
        axes.axhspan(row - 0.5, row + 0.5, color=BAND, zorder=-2)
    if not all(map(math.isfinite, sharpes)):
        axes.text(0.5, 0.5, "no volatility, no Sharpe ratio", transform=axes.transAxes, ha="center", color=GREY)
        return
    axes.plot([sharpes[0]] * 2, [0.36, last - 0.5], color=PAPER, lw=1, ls=(0, (2, 3)), zorder=-1)
    bars = waterfall_bars(sharpes)
    for row, color in ((0, PAPER), (last, BROKER)):
        _, value = bars[row]
        axes.barh(row, value, height=0.72, color=color)
        shown = f"{value:.2f}".replace("-", "−")
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # the dotted line is not to cross a figure
        axes.text(max(value, 0.0) + pad, row, shown, va="center", size=13, weight="bold", color=INK, bbox=behind)
    for row, step in enumerate(result.steps[1:], start=1):
        before, change = bars[row]
        axes.plot([before, before], [row - 1 + 0.36, row + 0.36], color=GREY, lw=0.8, zorder=1)
        shown = signed(change)
        color = GREY if shown in ("", "0.00") else BLUE if change > 0 else VERMILION
        axes.barh(row, change, left=before, height=0.72, color=color, zorder=2)
        if not step.changes:
            shown = "same"
        behind = {"facecolor": BAND if row % 2 else "white", "edgecolor": "none", "pad": 1.0}
        axes.text(max(before, sharpes[row]) + pad, row, shown.replace("-", "−"), va="center", size=11, color=color,
                  weight="normal" if color == GREY else "bold", bbox=behind)  # fmt: skip
    axes.plot([sharpes[-1]] * 2, [last - 1 + 0.36, last - 0.36], color=GREY, lw=0.8, zorder=1)


def _rows(axes: Any, result: Ladder) -> None:
    """Name and meaning of each row, left of the first panel."""
    rows = [(step.rung.id.replace("_", " "), step.what) for step in result.steps]
    rows.append(("account", "the sum: what a backtest reports"))
    across = axes.get_yaxis_transform()
    for row, (name, what) in enumerate(rows):
        axes.text(-0.03, row - 0.17, name, transform=across, ha="right", va="center", size=11.5, color=INK,
                  weight="bold" if row in (0, len(rows) - 1) else "normal")  # fmt: skip
        axes.text(-0.03, row + 0.21, what, transform=across, ha="right", va="center", size=9, color=GREY)
