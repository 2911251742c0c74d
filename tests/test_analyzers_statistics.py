"""Statistics and accounting functions against arithmetic done by hand or by other means."""

from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskoverlay.analyzers.accounting import carried_profit, deposits, position_values, share_interest, turnover
from riskoverlay.analyzers.sessions import first_index, parse_first
from riskoverlay.analyzers.statistics import (
    annualized_return,
    annualized_volatility,
    drawdown_series,
    excess_sharpe,
    growth,
    max_drawdown,
    monthly_returns,
    sharpe_ratio,
    simple_returns,
    summary,
    worst_drawdowns,
)

finite = st.floats(-0.2, 0.2)


def days(n: Any, start: Any = date(2020, 1, 1)) -> Any:
    return [start + timedelta(days=i) for i in range(n)]


def test_annualized_figures_by_hand() -> None:
    r = [0.02, -0.01, 0.0, 0.03]  # mean 0.01; deviations .01 −.02 −.01 .02, sum of squares .001
    assert annualized_return(r) == pytest.approx(1.01**252 - 1.0, rel=1e-12)
    assert annualized_return(r, periods=12) == pytest.approx(0.12682503, abs=1e-8)
    assert annualized_volatility(r) == pytest.approx(math.sqrt(0.001 / 4 * 252), rel=1e-12)
    assert annualized_volatility(r, periods=1) == pytest.approx(math.sqrt(0.00025), rel=1e-12)
    assert sharpe_ratio(r, 0.0, 12) == pytest.approx(0.12682503 / math.sqrt(0.00025 * 12), abs=1e-6)
    assert sharpe_ratio(r, 0.05, 12) == pytest.approx((0.12682503 - 0.05) / math.sqrt(0.00025 * 12), abs=1e-6)


def test_nothing_to_compute_is_nan() -> None:
    assert math.isnan(annualized_return([])) and math.isnan(annualized_volatility([]))
    assert all(math.isnan(x) for x in summary([]).values())
    assert annualized_volatility([0.001] * 7) == 0.0
    assert math.isnan(sharpe_ratio([0.001] * 7))
    assert not math.isnan(sharpe_ratio([0.001] * 7 + [0.0010001]))
    assert math.isnan(annualized_return([0.1, math.nan])) and math.isnan(summary([0.1, math.nan])["max_drawdown"])
    assert annualized_return([-1.5, -1.0]) == -1.0


def test_two_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="returns has 2 dimensions: give one series"):
        annualized_return(np.zeros((2, 2)))


@given(st.lists(finite, min_size=2, max_size=40))
def test_summary_agrees_with_pandas(r: Any) -> None:
    s = pd.Series(r)
    value = pd.concat([pd.Series([1.0]), (1.0 + s).cumprod()])
    got = summary(r)
    assert got["ann_ret"] == pytest.approx((1.0 + s.mean()) ** 252 - 1.0, rel=1e-9, abs=1e-9)
    assert got["ann_vol"] == pytest.approx(s.std(ddof=0) * 252**0.5, rel=1e-6, abs=1e-9)
    assert got["max_drawdown"] == pytest.approx((value / value.cummax() - 1.0).min(), abs=1e-12)


def test_simple_returns() -> None:
    np.testing.assert_allclose(simple_returns([11.0, 11.0, 5.5], 10.0), [0.1, 0.0, -0.5], rtol=1e-15)
    assert simple_returns([], 10.0).size == 0
    assert np.isnan(simple_returns([5.0, 0.0, 1.0], 10.0)).tolist() == [False, False, True]


def test_a_first_loss_is_a_drawdown() -> None:
    assert summary([-0.1, 0.05])["max_drawdown"] == pytest.approx(-0.1, rel=1e-12)


VALUES = [100, 100, 90, 95, 100, 120, 60, 90, 119.9, 120, 130, 117]


def test_drawdowns_by_hand() -> None:
    d = days(len(VALUES))
    deepest = max_drawdown(VALUES, d)
    assert (deepest.depth, deepest.peak, deepest.trough, deepest.recovery, deepest.length) == (
        -0.5,
        d[5],
        d[6],
        d[9],
        4,
    )
    worst = worst_drawdowns(VALUES, d, 9)
    assert [w.depth for w in worst] == pytest.approx([-0.5, -0.1, -0.1])
    flat, last = worst[1:]
    assert (flat.peak, flat.trough, flat.recovery, flat.length) == (d[1], d[2], d[4], 3)  # the last day at the peak
    assert (last.peak, last.trough, last.recovery, last.length) == (d[10], d[11], None, 1)
    assert worst_drawdowns(VALUES, d, 1) == [deepest]
    np.testing.assert_allclose(drawdown_series([2.0, 1.0, 4.0, 3.0]), [0.0, -0.5, 0.0, -0.25])


def test_recovery_is_at_the_peak_not_just_below_it() -> None:
    assert max_drawdown([10.0, 9.0, 10.0], days(3)).recovery == days(3)[2]
    assert max_drawdown([10.0, 9.0, np.nextafter(10.0, 0.0)], days(3)).recovery is None


def test_no_drawdown() -> None:
    none = max_drawdown([1.0, 1.0, 2.0], days(3))
    assert (none.depth, none.peak, none.trough, none.recovery, none.length) == (0.0, None, None, None, 0)
    assert worst_drawdowns([1.0, 1.0, 2.0], days(3), 3) == []
    assert math.isnan(max_drawdown([1.0, math.nan, 2.0], days(3)).depth)


@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=40))
def test_worst_drawdowns_are_separate_and_sorted(values: Any) -> None:
    d = days(len(values))
    got = worst_drawdowns(values, d, 99)
    assert [w.depth for w in got] == sorted(w.depth for w in got)
    assert min([0.0, *(w.depth for w in got)]) == drawdown_series(values).min()
    for w in got:
        p, t = d.index(w.peak), d.index(w.trough)
        end = len(d) - 1 if w.recovery is None else d.index(w.recovery)
        assert p < t <= end and w.length == end - p
        assert values[t] == min(values[p : end + 1]) and values[p] == max(values[: end if w.recovery else None])
        assert w.recovery is None or values[end] >= values[p]
    spans = sorted((w.peak, w.recovery or date.max) for w in got)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_drawdown_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="2 values but 3 dates: give"):
        max_drawdown([1.0, 2.0], days(3))
    with pytest.raises(ValueError, match="n=0 is below 1: give"):
        worst_drawdowns([1.0], days(1), 0)


def test_monthly_returns_by_hand() -> None:
    d = [date(2019, 12, 30), date(2019, 12, 31), date(2020, 1, 2), date(2020, 3, 2)]
    table = monthly_returns([0.1, 0.1, -0.5, 0.25], d)
    assert list(table.index) == [2019, 2020] and list(table.columns) == list(range(1, 13))
    assert table.loc[2019, 12] == pytest.approx(0.21)
    assert table.loc[2020, 1] == pytest.approx(-0.5) and table.loc[2020, 3] == pytest.approx(0.25)
    assert table.notna().to_numpy().sum() == 3
    assert monthly_returns([], []).shape == (0, 12)
    assert math.isnan(monthly_returns([math.nan, 0.1], d[:2]).loc[2019, 12])
    with pytest.raises(ValueError, match="1 returns but 2 dates: give"):
        monthly_returns([0.1], d[:2])


def test_positions_and_what_they_earned() -> None:
    nan = math.nan
    sizes = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, -5.0], [0.0, -5.0]])
    closes = np.array([[5.0, nan], [6.0, nan], [8.0, 20.0], [7.0, 22.0]])
    units = np.array([1.0, 10.0])
    assert position_values(sizes, closes, units).tolist() == [[0, 0], [60, 0], [80, -1000], [0, -1100]]
    assert carried_profit(sizes, closes, units).tolist() == [0.0, 0.0, 20.0, -10.0 - 100.0]
    assert carried_profit(sizes[:1], closes[:1], units).tolist() == [0.0]
    assert carried_profit(sizes[:0], closes[:0], units).tolist() == []


def test_deposits_from_fund_shares() -> None:
    # 1000 at 100 a share = 10 shares; earns 10 %; 220 more at 110 = 2 shares; loses half; 110 out at 55.
    fund, shares = np.array([100.0, 110.0, 55.0, 55.0]), np.array([10.0, 10.0, 12.0, 10.0])
    np.testing.assert_allclose(deposits(fund * shares, fund, shares, 100.0, 10.0), [0.0, 0.0, 220.0, -110.0])
    # Shares issued a session before their money is in the equity: the money counts when it arrives.
    early = np.array([10.0, 12.0, 12.0, 10.0])
    np.testing.assert_allclose(deposits(fund * shares, fund, early, 100.0, 10.0), [0, 0, 220, -110], atol=1e-9)


def test_turnover() -> None:
    assert turnover(300.0, np.array([50.0, 150.0]), 252) == (3.0, 378.0)
    assert all(math.isnan(x) for x in turnover(0.0, np.array([]), 252))


def test_interest_is_shared_by_what_was_carried() -> None:
    #                 nothing  loan  short fee  received  no loan, no shorts
    interest = np.array([7.0, 9.0, 4.0, -6.0, 2.0])
    equity = np.array([100.0, 100.0, 200.0, 100.0, 100.0])
    longs = np.array([[0.0, 120.0, 10.0, 90.0, 60.0], [0.0, 60.0, 30.0, 80.0, 20.0]])
    shorts = np.array([[0.0, 0.0, 10.0, 0.0, 0.0], [0.0, 30.0, 30.0, 5.0, 0.0]])
    got = share_interest(interest, equity, longs, shorts)
    assert got.tolist() == [[3.5, 6.0, 1.0, -3.0, 1.5], [3.5, 3.0, 3.0, -3.0, 0.5]]
    # A loan of exactly nothing is none: then shorts pay; one cent more, and longs do.
    for worth, first in [(180.0, 0.0), (179.99, 6.0)]:
        assert share_interest(interest[1:2], np.array([worth]), longs[:, 1:2], shorts[:, 1:2])[0, 0] == first


def test_first() -> None:
    d = days(3)
    assert parse_first(None) is None
    assert parse_first("2020-01-02") == parse_first(pd.Timestamp("2020-01-02 10:00")) == parse_first(d[1]) == d[1]
    assert [first_index(d, f) for f in (None, date(2019, 1, 1), d[0], d[1], d[2], date(2020, 1, 4))] == [
        0,
        0,
        0,
        1,
        2,
        3,
    ]
    for bad in ("2020-1-2", "x", 5):
        with pytest.raises(ValueError, match="is not a date: give"):
            parse_first(bad)


def test_returns_too_small_to_deviate() -> None:
    """Their squares are 0 in a float: no ratio, and no warning."""
    assert np.isnan(excess_sharpe([0.0, 4.4e-212]))


def test_a_summary_counts_periods_throughout() -> None:
    r = np.random.default_rng(4).normal(0.001, 0.01, 120)
    weekly = summary(r, periods=52)
    assert weekly["sharpe"] == sharpe_ratio(r, periods=52) != summary(r)["sharpe"]
    assert weekly["ann_vol"] == pytest.approx(r.std(ddof=1) * np.sqrt(52), rel=0.01)


def test_two_losses_of_more_than_all_are_not_a_gain() -> None:
    assert growth([-1.5, -1.5, *[0.0] * 250]) == -1.0
    assert growth([-0.5, -0.5, *[0.0] * 250]) == -0.75
