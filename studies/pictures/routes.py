"""The ways to pay as a picture: growth and Sharpe ratio of base, constant and dynamic under each."""

import math
import textwrap
from pathlib import Path
from typing import Any

from ..financing import LEGS, Routes
from ..workbench.captions import risk_free_in_words
from .canvas import BLUE, GREY, INK, RULE, VERMILION, new_figure, save

__all__ = ["draw_routes"]

MARKS = {"base": (GREY, "o", 70), "constant": (VERMILION, "D", 60), "dynamic": (BLUE, "o", 110)}
PANELS = (("growth", "Growth a year, %", 100.0), ("excess_sharpe", "Sharpe ratio", 1.0))


def draw_routes(result: Routes, path: str | Path) -> None:
    """Draw a row a route, the cheapest loan on top: two panels, growth and Sharpe ratio.

    Parameters
    ----------
    result : Routes
    path : str or Path

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    figure = new_figure(13, 7)
    routes = sorted(result.routes, key=lambda route: route.legs["dynamic"].loan_rate)
    panels = [figure.add_axes((left, 0.09, 0.36, 0.67)) for left in (0.235, 0.625)]
    for axes, (name, title, scale) in zip(panels, PANELS, strict=True):
        _panel(axes, [[scale * route.legs[leg].statistics[name] for leg in LEGS] for route in routes], title)
    across = panels[0].get_yaxis_transform()
    for row, route in enumerate(routes):
        panels[0].text(-0.04, row - 0.13, route.name.replace("_", " "), transform=across, ha="right", va="center",
                       size=12, weight="bold", color=INK)  # fmt: skip
        rate = route.legs["dynamic"].loan_rate
        cost = f"loan {100 * rate:.2f} % a year" if math.isfinite(rate) else "nothing borrowed"
        panels[0].text(-0.04, row + 0.2, cost, transform=across, ha="right", va="center", size=9.5, color=GREY)
    for at, leg in enumerate(LEGS):
        colour, mark, _ = MARKS[leg]
        panels[0].scatter([], [], color=colour, marker=mark, label=leg)
        figure.text(
            0.235 + 0.115 * at, 0.845, f"{'◆' if mark == 'D' else '●'} {leg}", size=12, color=colour, weight="bold"
        )
    figure.text(0.015, 0.965, "What the loan decides", size=18, weight="bold", color=INK, va="top")
    panel = result.panel
    scope = (
        f"{', '.join(panel.symbols[:12])}{', ...' if len(panel.symbols) > 12 else ''}; {panel.source}, to "
        f"{panel.sessions[-1]:%Y-%m-%d}. The same strategy under each way to pay; bill {100 * result.bill:.2f} % on "
        f"average. {risk_free_in_words(result.config)}."
    )
    figure.text(0.015, 0.915, textwrap.fill(scope, 170), size=11, color=GREY, va="top", linespacing=1.4)
    if panel.synthetic:
        mark = "SYNTHETIC MARKET\nmade-up prices"
        figure.text(0.985, 0.972, mark, size=12, weight="bold", color=VERMILION, va="top", ha="right")
    save(figure, path)


def _panel(axes: Any, rows: list[list[float]], title: str) -> None:
    """Three marks a row, joined by a line from base to dynamic."""
    axes.spines[:].set_visible(False)
    axes.set_title(title, size=12.5, weight="bold", color=INK, loc="left", pad=10)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(left=False, labelleft=False, bottom=False, labelcolor=GREY)
    axes.grid(axis="x", color=RULE, lw=0.8)
    axes.set_axisbelow(True)
    for row, values in enumerate(rows):
        by_leg = dict(zip(LEGS, values, strict=True))
        if not all(map(math.isfinite, values)):
            continue
        ahead = by_leg["dynamic"] >= by_leg["base"]
        axes.plot([by_leg["base"], by_leg["dynamic"]], [row, row], color=BLUE if ahead else VERMILION, lw=2, alpha=0.45,
                  zorder=1)  # fmt: skip
        for leg, value in by_leg.items():
            colour, mark, size = MARKS[leg]
            axes.scatter([value], [row], color=colour, marker=mark, s=size, zorder=3 if leg == "dynamic" else 2)
        shown = f"{by_leg['dynamic']:.2f}".replace("-", "−")
        axes.annotate(shown, (by_leg["dynamic"], row), (0, 10), textcoords="offset points", ha="center", size=10.5,
                      color=INK)  # fmt: skip
