"""Text into HTML: everything that was not written in this folder passes through here."""

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "MISSING",
    "cell",
    "day",
    "escape",
    "figure",
    "number",
    "packed",
    "plotly_text",
    "policy",
    "script_json",
    "table",
    "text_table",
]

MISSING = "–"
"""A figure that does not exist."""


def escape(text: object) -> str:
    """Text for an element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def plotly_text(text: object) -> str:
    """Text for a name or a label of plotly, which reads tags and some entities in them, but not that of a quote."""
    return html.escape(str(text), quote=False)


def script_json(content: object) -> str:
    """JSON for a <script> element: nothing in it can end the element or open another."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def packed(values: npt.ArrayLike, dtype: str = "f4") -> dict[str, str]:
    """An array as base64 of its bytes, as plotly writes it: 5 characters a number at 7 digits, nan allowed.

    Parameters
    ----------
    values : array-like
    dtype : str
        As numpy's, without the byte order.

    Returns
    -------
    dict
        dtype, bdata.
    """
    array = np.ascontiguousarray(values, dtype=f"<{dtype}" if dtype != "u1" else "u1")
    return {"dtype": dtype, "bdata": base64.b64encode(array.tobytes()).decode("ascii")}


def policy(scripts: Iterable[str]) -> str:
    """Content-Security-Policy under which these scripts run, no others, and no request leaves the page."""
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


# -- figures -----------------------------------------------------------------------------------------------------------


def number(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A figure as people read it.

    Parameters
    ----------
    value : float or None
    unit : {"percent", "points", "ratio", "times", "money", "count", "level"}
        percent of a fraction, points of a difference of fractions.
    signed : bool
        Whether a gain has a plus.

    Returns
    -------
    str
    """
    if value is None or not math.isfinite(value):
        return MISSING
    sign = "+" if signed else ""
    shown = {
        "percent": f"{100.0 * value:{sign},.2f} %",
        "points": f"{100.0 * value:{sign},.2f} pts",
        "ratio": f"{value:{sign}.3f}",
        "times": f"{value:{sign},.2f} ×",
        "level": f"{value:{sign},.2f}",
        "money": f"{value:{sign},.0f}",
        "count": f"{value:{sign},.0f}",
    }[unit]
    if not any(digit in shown for digit in "123456789"):
        shown = shown.lstrip("+-")  # no −0.00
    return shown.replace("-", "−").replace(" ", "\u00a0")


def figure(value: float | None, unit: str, key: str = "", *, signed: bool = False) -> str:
    """A <data> element: the figure for people, its exact value for programs.

    Parameters
    ----------
    value, unit, signed
        As `number`.
    key : str
        Path in the summary.

    Returns
    -------
    str
    """
    exact = "" if value is None or not math.isfinite(value) else f' value="{float(value)!r}"'
    named = f' data-key="{escape(key)}"' if key else ""
    return f"<data{exact}{named}>{number(value, unit, signed=signed)}</data>"


def day(value: Any) -> str:
    """A <time> element, or a dash for None."""
    return MISSING if value is None else f"<time>{value:%Y-%m-%d}</time>"


# -- tables ------------------------------------------------------------------------------------------------------------


def cell(content: str, *, tag: str = "td", kind: str = "", style: str = "") -> str:
    """A cell of a table.

    Parameters
    ----------
    content : str
        HTML.
    tag, kind, style : str
        Element, class and style.

    Returns
    -------
    str
    """
    attributes = (f' class="{kind}"' if kind else "") + (f' style="{style}"' if style else "")
    scope = ' scope="row"' if tag == "th" else ""
    return f"<{tag}{scope}{attributes}>{content}</{tag}>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "", caption: str = "") -> str:
    """A table in a box that scrolls sideways if it must.

    Parameters
    ----------
    head : sequence of str
        Text.
    rows : iterable of sequence of str
        Finished cells.
    kind, caption : str
        Class, and text above.

    Returns
    -------
    str
    """
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table class="{kind}">{title}<thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def text_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """HTML of a table of text.

    Parameters
    ----------
    titles : sequence of str
    rows : iterable of sequence of str

    Returns
    -------
    str
    """
    cells = [[cell(escape(name), tag="th"), *(cell(escape(one)) for one in rest)] for name, *rest in rows]
    return table(titles, cells, kind="figures")
