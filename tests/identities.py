"""The books of a run, kept again from its fills and the prices alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from riskoverlay.feeds import Panel
from riskoverlay.studies.workbench.runs import Run

__all__ = ["Books", "check_books"]

COLUMNS = ["date", "executed", "symbol", "size", "price", "reference", "commission", "margin_call"]


class Books(NamedTuple):
    """What a run came to, by whoever keeps its books a second time. Money."""

    held: dict[str, float]
    """Shares at the end."""
    profit: float
    commission: float
    fills: int


def check_action(action: Any, paid: Any, ratios: Any, last: Any, held: float) -> None:
    """What the account has booked is what the bar says, of the shares held at the close before (or bought at it)."""
    dividend, split = paid[action.symbol], ratios[action.symbol]
    after = held + action.shares
    assert dividend or split != 1.0
    assert action.dividend == pytest.approx(after * dividend, rel=1e-6, abs=1e-9)
    before = last[action.symbol] / split
    assert action.cashed == pytest.approx((held * split - after) * before, rel=1e-6, abs=1e-6 * abs(after) * before)
    assert action.cashed <= before * (1.0 + 1e-9)


def check_books(panel: Panel, run: Run, *, rounding: float = 0.0) -> Books:
    """Cash + positions = equity each day, and start + profit − costs = end, to 1e-9 of themselves.

    rounding: what may be lost beside it, as a fraction of all that was held, turned over and borrowed: an account of
    millions that has come to nothing is known no better.
    """
    assert np.isfinite(run.value).all()
    fills = pd.DataFrame(run.fills, columns=COLUMNS)
    interest: Any = pd.Series(run.costs["sessions"]["interest"], run.sessions)
    actions = pd.DataFrame(run.actions, columns=["date", "symbol", "shares", "cashed", "dividend", "tax"])
    booked: dict[Any, Any] = dict(iter(actions.groupby("date")))
    income = tax = 0.0
    cash: float = run.costs["start"]
    held = dict.fromkeys(panel.symbols, 0.0)
    profit = commission = slippage = gross = turned = 0.0
    by_day: dict[Any, Any] = dict(iter(fills.groupby("date")))
    last: Any = None
    # Plain dicts: a table is looked at some thousand times.
    rows: Any
    paid: Any
    ratios: Any
    rows, paid, ratios = (
        table.to_dict("index") for table in (panel.closes.ffill().bfill(), panel.dividends, panel.splits)
    )
    for day, close in rows.items():
        if last is not None:
            profit += sum(size * (close[s] - last[s]) for s, size in held.items())
        today = list(by_day[day.date()].itertuples()) if day.date() in by_day else []
        at_close: dict[str, float] = {}  # bought at the close before: what the session pays is theirs
        for fill in today:
            met = fill.margin_call and last is not None and fill.reference == last[fill.symbol]
            if fill.executed < day.date() or met:
                at_close[fill.symbol] = at_close.get(fill.symbol, 0.0) + fill.size
        for one in booked[day.date()].itertuples() if day.date() in booked else ():
            check_action(one, paid[day], ratios[day], last, held[one.symbol] + at_close.get(one.symbol, 0.0))
            held[one.symbol] += one.shares
            cash += one.cashed + one.dividend - one.tax
            profit += one.cashed + one.shares * close[one.symbol]
            income, tax = income + one.dividend, tax + one.tax
        for fill in today:
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
    end = run.costs["start"] + profit + income - commission - slippage - interest.sum() - tax
    assert run.costs["end"] == pytest.approx(end, rel=1e-9, abs=room)
    assert run.costs["commission"] == pytest.approx(commission, abs=room or None)
    assert run.costs["slippage"] == pytest.approx(slippage, abs=room or None)
    assert run.costs["gross_profit"] == pytest.approx(profit, abs=room or None)
    assert run.costs["dividends"] == pytest.approx(income, abs=room or None)
    assert run.costs["tax"] == pytest.approx(tax, abs=room or None)
    return Books(held, profit, commission, len(fills))
