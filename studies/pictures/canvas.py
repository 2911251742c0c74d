"""What every picture is drawn on: a figure of matplotlib's that needs no screen, and the colours."""

import io
from pathlib import Path
from typing import Any

from riskoverlay.errors import InputError, require
from riskoverlay.files import place_of

__all__ = ["BLUE", "GREY", "INK", "RULE", "VERMILION", "check_picture", "new_figure", "save"]

ENDINGS = (".png", ".svg", ".pdf")

INK, GREY, RULE = "#1f2933", "#6b7785", "#d9dee4"
BLUE, VERMILION = "#0072b2", "#d55e00"
"""Of Okabe and Ito: told apart by every kind of eye."""


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
    require("matplotlib", "plot", "drawing a picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white", **more)
    FigureCanvasAgg(figure)
    return figure


def check_picture(path: str | Path) -> None:
    """Whether a picture can be drawn: to be asked before a long run. A pipe or a device needs no ending: it gets a png.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        An ending that is no picture's.
    MissingExtraError
        matplotlib is not installed.
    """
    require("matplotlib", "plot", "drawing a picture")
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS and (ending or not place_of(path).stream):
        raise InputError(f"{path} does not end as a picture does", f"give a name that ends in {', '.join(ENDINGS)}")


def save(figure: Any, path: str | Path, dpi: int = 110) -> None:
    """Write a figure, the same bytes for the same figure where the kind of file allows it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
        The kind of file is that of the ending; without one, as the temporary file for a pipe, png.
    dpi : int
        Dots an inch.
    """
    kind = Path(path).suffix[1:].lower() or "png"
    drawn = io.BytesIO()  # on a full disk, what draws a PDF into a file stumbles over its own traces
    figure.savefig(drawn, format=kind, dpi=dpi, metadata={"Software": None} if kind == "png" else None)
    Path(path).write_bytes(drawn.getvalue())
