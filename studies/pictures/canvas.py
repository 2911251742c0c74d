"""What every picture is drawn on: a figure of matplotlib's that needs no screen, and the colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from riskoverlay.errors import require

__all__ = ["BLUE", "GREY", "INK", "RULE", "VERMILION", "need_matplotlib", "new_figure", "save_png"]

INK, GREY, RULE = "#1f2933", "#6b7785", "#d9dee4"
BLUE, VERMILION = "#0072b2", "#d55e00"
"""Of Okabe and Ito: told apart by every kind of eye."""


def need_matplotlib() -> None:
    """Ask for it before a long run. MissingExtraError without it."""
    require("matplotlib", "plot", "drawing a picture")


def new_figure(width: float, height: float, **more: Any) -> Any:
    """A figure that is drawn without a screen.

    Parameters
    ----------
    width, height : float
        Inches.
    **more
        As `matplotlib.figure.Figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    need_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white", **more)
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
    """
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})
