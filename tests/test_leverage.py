"""Volatility target, drawdown brake and the rolling volatility, at and around every boundary."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets import leverage_at

from riskoverlay.conventions import PERIODS
from riskoverlay.strategies import LeverageRules
from riskoverlay.strategies.leverage import (
    RollingVolatility,
    annualized_volatility,
    drawdown,
    drawdown_brake,
    volatility_target,
)


def test_annualized_volatility_is_the_population_one() -> None:
    r = [0.01, -0.02, 0.03]
    by_hand = (sum((x - 0.02 / 3) ** 2 for x in r) / 3 * 252) ** 0.5
    assert annualized_volatility(r) == pytest.approx(by_hand, rel=1e-14)
    assert annualized_volatility(r, 12) == pytest.approx(by_hand * (12 / 252) ** 0.5, rel=1e-14)
    assert PERIODS == 252


@pytest.mark.parametrize(
    ("sigma", "expected"),
    [(0.12, 1.0), (0.24, 0.5), (0.06, 2.0), (0.0599, 2.0), (0.4, 0.3), (0.41, 0.3), (0.0, 2.0), (5e-324, 2.0)],
)
def test_volatility_target(sigma: float, expected: float) -> None:
    assert volatility_target(sigma, 0.12, 0.3, 2.0) == pytest.approx(expected, rel=1e-14)


def test_a_volatility_not_known_yet_counts_as_leverage_one() -> None:
    assert volatility_target(None, 0.12, 0.3, 2.0) == 1.0
    assert leverage_at(None, 0.0) == 1.0
    assert leverage_at(None, 0.25) == pytest.approx(0.3)
    assert leverage_at(None, 0.0, lev_min=1.5) == 1.5
    assert leverage_at(None, 0.0, lev_max=0.8) == 0.8


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(0.0, 1.0), (0.10, 1.0), (0.1 + 1e-9, 1.0), (0.175, 0.65), (0.25 - 1e-9, 0.3), (0.25, 0.3), (1.5, 0.3)],
)
def test_drawdown_brake(loss: float, expected: float) -> None:
    assert drawdown_brake(loss, 0.10, 0.25, 0.30) == pytest.approx(expected, abs=1e-8)


def test_brake_bites_just_past_its_first_threshold() -> None:
    assert drawdown_brake(0.10, 0.10, 0.25, 0.30) == 1.0
    assert drawdown_brake(0.10 + 1e-9, 0.10, 0.25, 0.30) < 1.0
    assert drawdown_brake(0.25 - 1e-9, 0.10, 0.25, 0.30) > 0.30
    assert drawdown_brake(0.25, 0.10, 0.25, 0.30) == 0.30


def test_equal_thresholds_are_a_step() -> None:
    assert drawdown_brake(0.2, 0.2, 0.2, 0.4) == 1.0
    assert drawdown_brake(0.2 + 1e-12, 0.2, 0.2, 0.4) == 0.4


def test_target_leverage_is_clipped_before_and_after_the_brake() -> None:
    # Clipped first: 0.12/0.01 = 12 becomes 2, and half a brake halves that.
    assert leverage_at(0.01, 0.175, dd_min_scale=0.0) == pytest.approx(1.0)
    assert leverage_at(0.20, 0.30) == pytest.approx(0.3)  # 0.6 · 0.3 = 0.18 is below lev_min
    assert leverage_at(0.20, 0.30, lev_min=0.0) == pytest.approx(0.18)
    assert leverage_at(0.20, 0.30, lev_min=1.0, lev_max=1.0) == 1.0


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"target_vol": 0.20}, 0.20 / 0.15 * 0.65),
        ({"lev_min": 0.9}, 0.9),
        ({"lev_max": 0.7}, 0.7 * 0.65),
        ({"dd_threshold1": 0.175}, 0.8),
        ({"dd_threshold2": 0.20}, 0.8 * 0.475),
        ({"dd_min_scale": 0.8}, 0.8 * 0.9),
    ],
    ids=lambda value: str(value),
)
def test_every_argument_counts(changed: dict[str, float], expected: float) -> None:
    assert leverage_at(0.15, 0.175) == pytest.approx(0.8 * 0.65)
    assert leverage_at(0.15, 0.175, **changed) == pytest.approx(expected)


fractions = st.floats(0.0, 1.0)


@given(
    sigma=st.one_of(st.none(), st.floats(0.0, 2.0)),
    losses=st.lists(st.floats(0.0, 1.2), min_size=2, max_size=6).map(sorted),
    bounds=st.lists(st.floats(0.0, 4.0), min_size=2, max_size=2).map(sorted),
    thresholds=st.lists(fractions, min_size=2, max_size=2).map(sorted),
    dd_min_scale=fractions,
    target_vol=st.floats(1e-3, 1.0),
)
def test_leverage_stays_in_bounds_and_never_rises_with_the_loss(
    sigma: float | None,
    losses: list[float],
    bounds: list[float],
    thresholds: list[float],
    dd_min_scale: float,
    target_vol: float,
) -> None:
    L = [
        leverage_at(
            sigma,
            loss,
            target_vol=target_vol,
            lev_min=bounds[0],
            lev_max=bounds[1],
            dd_threshold1=thresholds[0],
            dd_threshold2=thresholds[1],
            dd_min_scale=dd_min_scale,
        )
        for loss in losses
    ]
    assert all(bounds[0] <= x <= bounds[1] for x in L)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(L))


def test_drawdown_is_negative_from_the_highest_so_far() -> None:
    np.testing.assert_allclose(drawdown([1.0, 2.0, 1.5, 2.5, 1.0]), [0, 0, -0.25, 0, -0.6])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"target_vol": 0.0}, "target_vol=0.0 is not positive: give"),
        ({"target_vol": float("nan")}, "target_vol=nan is not positive"),
        ({"target_vol": float("inf")}, "target_vol=inf"),
        ({"lev_min": -0.1}, "lev_min=-0.1 is negative"),
        ({"lev_max": float("nan")}, "lev_max=nan"),
        ({"lev_max": float("inf")}, "lev_max=inf"),
        ({"lev_min": 2.0, "lev_max": 1.0}, "lev_min=2.0 is above lev_max=1.0: give lev_min <= lev_max"),
        ({"dd_threshold1": -0.1}, "dd_threshold1=-0.1 is negative"),
        ({"dd_threshold2": float("nan")}, "dd_threshold2=nan"),
        ({"dd_threshold1": 0.3}, "dd_threshold1=0.3 is above dd_threshold2=0.25: give dd_threshold1 <="),
        ({"dd_min_scale": 1.1}, r"dd_min_scale=1.1 is above 1"),
        ({"dd_min_scale": -0.1}, r"dd_min_scale=-0.1 is outside \[0, 1\]"),
        ({"vol_lookback": 1}, "vol_lookback=1 is not a whole number of at least 2"),
        ({"vol_lookback": 20.5}, "vol_lookback=20.5 is not a whole number"),
    ],
)
def test_bad_parameters_are_named_in_one_line(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        LeverageRules(**bad)
    assert "\n" not in str(caught.value)


def test_parameters_at_their_bounds_are_allowed() -> None:
    LeverageRules(lev_min=0.0, lev_max=0.0, dd_threshold1=0.0, dd_threshold2=0.0, dd_min_scale=0.0)
    LeverageRules(lev_min=1.0, lev_max=1.0, dd_threshold1=0.2, dd_threshold2=0.2, dd_min_scale=1.0)
    LeverageRules(vol_lookback=2)


@pytest.mark.parametrize("vol_lookback", [2, 3, 60, 251])
def test_rolling_volatility_does_not_drift(vol_lookback: int) -> None:
    rng = np.random.default_rng(vol_lookback)
    r = 0.01 * rng.standard_t(3, 50_000) + 3e-4
    r[10_000] = 1e6  # and its leaving must leave no trace
    rolling = RollingVolatility(vol_lookback)
    seen = []
    for x in r.tolist():
        rolling.push(x)
        seen.append(rolling.value)
    assert seen[: vol_lookback - 1] == [None] * (vol_lookback - 1)
    windows = np.lib.stride_tricks.sliding_window_view(r, vol_lookback)
    expected = windows.std(axis=1, ddof=0) * 252**0.5
    np.testing.assert_allclose(seen[vol_lookback - 1 :], expected, rtol=1e-12)


def test_rolling_volatility_of_constant_returns_is_exactly_zero() -> None:
    rolling = RollingVolatility(7)
    for _ in range(25):
        rolling.push(0.1)
    assert rolling.value == 0.0


def test_rolling_volatility_takes_periods_and_checks_its_window() -> None:
    rolling = RollingVolatility(2, periods=12)
    assert rolling.value is None
    rolling.push(0.01)
    assert rolling.value is None
    rolling.push(0.03)
    assert rolling.value == pytest.approx(0.01 * 12**0.5)
    with pytest.raises(ValueError, match=r"^vol_lookback=1 is not"):
        RollingVolatility(1)
