"""Intervals as a table, and as what a file holds."""

from collections.abc import Mapping
from typing import Any

from .bootstrap import Interval

__all__ = ["interval_rows", "intervals_summary"]


def interval_rows(intervals: Mapping[str, Mapping[str, Interval]]) -> tuple[list[str], list[list[str]]]:
    """A table of intervals.

    Parameters
    ----------
    intervals : mapping
        As `confidence` gives them.

    Returns
    -------
    titles : list of str
    rows : list of list of str
        Growth and drawdown in per cent.
    """
    rows = []
    for leg, found in intervals.items():
        name = "dynamic − base" if leg == "difference" else leg
        cells = [(found["growth"], 100, 1), (found["excess_sharpe"], 1, 2), (found["max_drawdown"], 100, 1)]
        rows.append([name, *(f"{k * i.estimate:.{d}f} [{k * i.low:.{d}f}, {k * i.high:.{d}f}]" for i, k, d in cells)])
    level = next(iter(intervals.values()))["growth"].level
    return [f"{100 * level:g} % intervals", "growth %", "Sharpe", "max drawdown %"], rows


def intervals_summary(intervals: Mapping[str, Mapping[str, Interval]]) -> dict[str, Any]:
    """Intervals for `write_json`: portfolio -> statistic -> estimate, low, high, level."""
    return {leg: {name: vars(one) for name, one in found.items()} for leg, found in intervals.items()}
