"""Spans of time that a page looks at: crises that everybody knows, and the user's own."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from riskoverlay.analyzers import drawdown_series
from riskoverlay.errors import InputError

from .portfolios import Portfolio

__all__ = ["CRISES", "Span", "check_spans", "crises", "parse_span", "spans_summary"]


@dataclass(frozen=True)
class Span:
    """From the close of one day to the close of another.

    Attributes
    ----------
    name : str
    first, last : date
        Of a day without a close, the last close before it.
    """

    name: str
    first: date
    last: date

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InputError("has no name", "give name=2020-02-19:2020-03-23", "span", str(self))
        if self.first >= self.last:
            raise InputError("does not end after it begins", "give name=from:to, from before to", "span", str(self))

    def __str__(self) -> str:
        """As `parse_span` reads it."""
        return f"{self.name}={self.first}:{self.last}"


CRISES = (
    Span("dot-com", date(2000, 3, 24), date(2002, 10, 9)),
    Span("financial crisis", date(2007, 10, 9), date(2009, 3, 9)),
    Span("flash crash, Greece", date(2010, 4, 23), date(2010, 7, 2)),
    Span("euro crisis, US downgrade", date(2011, 7, 22), date(2011, 10, 3)),
    Span("taper tantrum", date(2013, 5, 21), date(2013, 6, 24)),
    Span("China, oil", date(2015, 8, 17), date(2016, 2, 11)),
    Span("Volmageddon", date(2018, 1, 26), date(2018, 2, 8)),
    Span("rate rises, end of 2018", date(2018, 9, 20), date(2018, 12, 24)),
    Span("Covid", date(2020, 2, 19), date(2020, 3, 23)),
    Span("inflation", date(2022, 1, 3), date(2022, 10, 12)),
    Span("tariffs", date(2025, 2, 19), date(2025, 4, 8)),
)
"""Falls of the S&P 500, close to close."""

_WRITTEN = re.compile(r"(.*)=(\d{4}-\d\d-\d\d):(\d{4}-\d\d-\d\d)", re.DOTALL)


def parse_span(text: str) -> Span:
    """Read `name=2020-02-19:2020-03-23`.

    Parameters
    ----------
    text : str

    Returns
    -------
    Span

    Raises
    ------
    InputError
        Not so written, a date that does not exist, or an end that is not after the beginning.
    """
    found = _WRITTEN.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        first, last = (date.fromisoformat(found[i]) for i in (2, 3))
    except ValueError:
        raise InputError("is no span", "give name=2020-02-19:2020-03-23, dates as YYYY-MM-DD", "span", text) from None
    return Span(found[1].strip(), first, last)


def check_spans(spans: Iterable[Span], sessions: pd.DatetimeIndex) -> None:
    """Whether the prices have anything to say of them: to be asked before a long run.

    Parameters
    ----------
    spans : iterable of Span
    sessions : DatetimeIndex
        Of the prices.

    Raises
    ------
    InputError
        A span without two closes among them.
    """
    for span in spans:
        i, j = _places(span, sessions)
        if i == j:
            raise InputError(
                f"has fewer than two closes among the prices, {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}",
                "give dates between", "span", str(span),
            )  # fmt: skip


def crises(sessions: pd.DatetimeIndex) -> list[Span]:
    """Those of `CRISES` that lie wholly within the sessions."""
    first, last = sessions[0].date(), sessions[-1].date()
    return [span for span in CRISES if first <= span.first and span.last <= last]


def spans_summary(spans: Iterable[Span], portfolios: Sequence[Portfolio]) -> list[dict[str, Any]]:
    """What each portfolio did over each span.

    Parameters
    ----------
    spans : iterable of Span
    portfolios : sequence of Portfolio
        On the same sessions.

    Returns
    -------
    list of dict
        name; from, to: the closes it is of, None where fewer than two of the span count; and by the name of a
        portfolio its return and max_drawdown within the span, fractions, nan without closes.
    """
    return [_summary(span, portfolios) for span in spans]


def _summary(span: Span, portfolios: Sequence[Portfolio]) -> dict[str, Any]:
    sessions = portfolios[0].sessions
    i, j = _places(span, sessions)
    out: dict[str, Any] = {"name": span.name, "from": None, "to": None}
    if i < j:
        out |= {"from": sessions[i], "to": sessions[j]}
    for one in portfolios:
        value = one.growth.to_numpy()[i : j + 1]
        out[one.name] = {
            "return": float(value[-1] / value[0] - 1.0) if i < j else float("nan"),
            "max_drawdown": float(drawdown_series(value).min()) if i < j else float("nan"),
        }
    return out


def _places(span: Span, sessions: pd.DatetimeIndex) -> tuple[int, int]:
    """Places of a span's first and last close among the sessions; one that begins before them begins with them."""
    i, j = (int(sessions.searchsorted(pd.Timestamp(day), side="right")) - 1 for day in (span.first, span.last))
    return max(i, 0), max(j, 0)
