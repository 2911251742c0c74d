"""A chart of the page as plotly's own dictionaries: what is drawn is said here, how it looks in page.css and page.js.

Three kinds of value are filled in by the page: {"css": name} a colour of the style sheet, {"shared": name} an array
that several charts use, {"dtype", "bdata"} a packed array.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .markup import packed, plotly_text

__all__ = ["Chart", "Mark", "Trace", "css", "days", "level", "line"]

Trace = dict[str, Any]


@dataclass(frozen=True)
class Mark:
    """An entry of a legend. Whatever a chart says in words stands there, or beside it: never across a curve.

    Attributes
    ----------
    label : str
        Text.
    colour : str
        Of the style sheet.
    traces : tuple of int
        Those that it shows and hides; none for a level, which is always there.
    dash : {"", "dashed", "dotted"}
        Of a level.
    """

    label: str
    colour: str
    traces: tuple[int, ...] = ()
    dash: str = ""


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Attributes
    ----------
    id, title : str
    note : str
        What is to be seen, one or two sentences, plain text.
    data : list of Trace
    layout : dict
    legend : list of Mark
    timed : bool
        Whether its x axis is the time that all such charts share.
    fit : tuple of str
        Axes that follow what is in view.
    height : int
        Pixels.
    """

    id: str
    title: str
    note: str
    data: list[Trace]
    layout: dict[str, Any]
    legend: list[Mark] = field(default_factory=list)
    timed: bool = True
    fit: tuple[str, ...] = ()
    height: int = 300

    @property
    def for_script(self) -> Mapping[str, Any]:
        """What page.js needs of it."""
        return {"id": self.id, "data": self.data, "layout": self.layout, "timed": self.timed, "fit": self.fit}


def css(name: str) -> dict[str, str]:
    """A colour of the style sheet."""
    return {"css": name}


def days(index: pd.Index) -> dict[str, str]:
    """Dates as days since 1970, packed."""
    return packed(index.to_numpy().astype("datetime64[D]").astype(np.int64), "i4")


def line(
    name: str,
    y: Any,
    colour: str,
    form: str,
    *,
    x: str = "sessions",
    width: float = 1.5,
    dash: str = "solid",
    **more: Any,
) -> Trace:
    """A line.

    Parameters
    ----------
    name : str
        Plain text.
    y : array-like
    colour : str
        Of the style sheet.
    form : str
        Number format of its hover text.
    x : str
        Name of a shared array.
    width : float
        Dots.
    dash : str
        Of plotly's.
    **more
        More of plotly's.

    Returns
    -------
    Trace
    """
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plotly_text(name),
        "x": {"shared": x},
        "y": packed(y),
        "line": {"color": css(colour), "width": width, "dash": dash},
        "hovertemplate": f"%{{y:{form}}}",
        **more,
    }


def level(y: float, colour: str, dash: str = "dash") -> dict[str, Any]:
    """A horizontal line across the plot; its words are a `Mark` without traces.

    Parameters
    ----------
    y : float
    colour : str
        Of the style sheet.
    dash : str
        Of plotly's.

    Returns
    -------
    dict
        A shape.
    """
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": css(colour), "width": 1, "dash": dash},
    }
