"""The books of a run, kept again from its fills and the prices alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from riskoverlay.feeds import Panel
from riskoverlay.studies.workbench.runs import Run

__all__ = ["Books", "check_books"]

COLUMNS = ["date", "symbol", "size", "price", "reference", "commission"]


class Books(NamedTuple):
    """What a run came to, by whoever keeps its books a second time. Money."""

    held: dict[str, float]
    """Shares at the end."""
    profit: float
    commission: float
    fills: int


def check_books(panel: Panel, run: Run, *, rounding: float = 0.0) -> Books:
    """Cash + positions = equity each day, and start + profit − costs = end, to 1e-9 of themselves.

    rounding: what may be lost beside it, as a fraction of all that was held, turned over and borrowed: an account of
    millions that has come to nothing is known no better.
    """
    assert np.isfinite(run.value).all()
    fills = pd.DataFrame(run.fills, columns=COLUMNS)
    interest: Any = pd.Series(run.costs["sessions"]["interest"], run.sessions)
    cash: float = run.costs["start"]
    held = dict.fromkeys(panel.symbols, 0.0)
    profit = commission = slippage = gross = turned = 0.0
    by_day: dict[Any, Any] = dict(iter(fills.groupby("date")))
    last: Any = None
    rows: Any = panel.closes.iterrows()
    for day, close in rows:
        if last is not None:
            profit += sum(size * (close[s] - last[s]) for s, size in held.items())
        for fill in by_day[day.date()].itertuples() if day.date() in by_day else ():
            held[fill.symbol] += fill.size
            cash -= fill.size * fill.price + fill.commission
            profit += fill.size * (close[fill.symbol] - fill.reference)
            commission += fill.commission
            slippage += fill.size * (fill.price - fill.reference)
            turned += abs(fill.size) * max(fill.price, close[fill.symbol])
        cash -= interest[day]
        worth = [size * close[s] for s, size in held.items()]
        gross = max(gross, sum(map(abs, worth)))
        room = rounding * (gross + turned + abs(cash))
        assert run.value[day] == pytest.approx(cash + sum(worth), rel=1e-9, abs=room)
        last = close
    room = rounding * (gross + turned + abs(cash))
    end = run.costs["start"] + profit - commission - slippage - interest.sum()
    assert run.costs["end"] == pytest.approx(end, rel=1e-9, abs=room)
    assert run.costs["commission"] == pytest.approx(commission, abs=room or None)
    assert run.costs["slippage"] == pytest.approx(slippage, abs=room or None)
    assert run.costs["gross_profit"] == pytest.approx(profit, abs=room or None)
    return Books(held, profit, commission, len(fills))
