"""Weights against published numbers, closed forms, enumeration and the conditions that define them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import blended
from numpy.typing import ArrayLike

from riskoverlay.strategies import WeightRules
from riskoverlay.strategies import weights as module
from riskoverlay.strategies.covariance import estimate_covariance, sample_covariance
from riskoverlay.strategies.weights import (
    blend,
    minimum_variance,
    minimum_variance_clipped,
    risk_contributions,
    risk_parity,
    risk_parity_notebook,
)


def covariance(vols: ArrayLike, correlations: Any = None) -> np.ndarray:
    vols = np.asarray(vols, dtype=float)
    R = np.eye(len(vols))
    for (i, j), rho in (correlations or {}).items():
        R[i, j] = R[j, i] = rho
    return R * np.outer(vols, vols)


# Maillard, Roncalli and Teiletche (2010), section 4: volatilities 10/20/30/40 %.
PAPER = covariance([0.10, 0.20, 0.30, 0.40], {(0, 1): 0.8, (2, 3): -0.5})


@st.composite
def covariances(draw: Any, max_assets: int = 12) -> np.ndarray:
    """Full rank to nearly singular, volatilities over two orders of magnitude, daily to annual size."""
    n = draw(st.integers(1, max_assets))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    factors = draw(st.integers(1, 6))
    noise = draw(st.sampled_from([1.0, 0.1, 0.01]))
    B = rng.normal(size=(n, factors))
    S = B @ B.T + noise * np.diag(rng.uniform(0.2, 1.0, n))
    sigma = draw(st.sampled_from([1e-3, 0.1, 10.0])) * 10.0 ** rng.uniform(-1, 1, n)
    R = S / np.sqrt(np.outer(np.diag(S), np.diag(S)))
    return R * np.outer(sigma, sigma)


def budgets_for(cov: np.ndarray) -> np.ndarray:
    b = np.random.default_rng(len(cov)).uniform(0.1, 3.0, len(cov))
    return b / b.sum()


# Risk parity


def test_risk_parity_of_the_paper() -> None:
    w = risk_parity(PAPER)
    np.testing.assert_allclose(w, [0.38361251, 0.19180625, 0.24261785, 0.18196339], atol=5e-9)
    sigma = np.sqrt(w @ PAPER @ w)
    assert sigma == pytest.approx(0.10293404, abs=5e-9)
    np.testing.assert_allclose(risk_contributions(w, PAPER) * sigma, 0.02573351, atol=5e-9)


def test_risk_budgets_of_the_paper() -> None:
    w = risk_parity(PAPER, [0.4, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(w, [0.49279874, 0.19016605, 0.19422574, 0.12280947], atol=5e-9)
    np.testing.assert_allclose(risk_parity(PAPER, [40, 30, 20, 10]), w, rtol=1e-14)


def test_risk_parity_of_bruder_and_roncalli() -> None:
    cov = covariance([0.20, 0.21, 0.10], {(0, 1): 0.8, (0, 2): 0.8, (1, 2): 0.8})
    np.testing.assert_allclose(risk_parity(cov), [0.25301205, 0.24096386, 0.5060241], atol=5e-9)


def test_zero_correlation_has_a_closed_form() -> None:
    np.testing.assert_allclose(risk_parity(covariance([2.0, 3.0])), [0.6, 0.4], rtol=1e-14)
    sigma, b = np.array([1.0, 2.0, 5.0]), np.array([0.2, 0.3, 0.5])
    expected = np.sqrt(b) / sigma / np.sum(np.sqrt(b) / sigma)
    np.testing.assert_allclose(risk_parity(covariance(sigma), b), expected, rtol=1e-14)


@pytest.mark.parametrize("rho", [-0.2, 0.3, 0.99])
def test_constant_correlation_has_a_closed_form(rho: float) -> None:
    sigma = np.array([0.1, 0.25, 0.4, 2.0])
    cov = covariance(sigma, {pair: rho for pair in combinations(range(4), 2)})
    np.testing.assert_allclose(risk_parity(cov), 1 / sigma / np.sum(1 / sigma), rtol=1e-12)


@pytest.mark.parametrize("rho", [-0.99, -0.5, 0.0, 0.7, 0.99])
def test_two_assets_do_not_depend_on_correlation(rho: float) -> None:
    np.testing.assert_allclose(risk_parity(covariance([2.0, 3.0], {(0, 1): rho})), [0.6, 0.4], rtol=1e-12)


@settings(max_examples=150, deadline=None)
@given(covariances(), st.booleans())
def test_risk_shares_equal_budgets(cov: np.ndarray, equal: bool) -> None:
    n = len(cov)
    b = np.full(n, 1 / n) if equal else budgets_for(cov)
    w = risk_parity(cov, None if equal else b)
    assert (w > 0).all()
    assert w.sum() == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(risk_contributions(w, cov), b, atol=1e-10)


def test_neither_the_period_nor_the_units_matter() -> None:
    units = np.array([1.0, 1e-4, 1e3, 7.0])
    w = risk_parity(PAPER)
    np.testing.assert_allclose(risk_parity(PAPER / 252e6), w, rtol=1e-12)
    moved = risk_parity(PAPER * np.outer(units, units)) * units
    np.testing.assert_allclose(moved / moved.sum(), w, rtol=1e-12)


def test_five_hundred_assets_take_no_more_than_seven_steps() -> None:
    rng = np.random.default_rng(3)
    cov = sample_covariance(rng.normal(size=(1000, 500)) + 0.7 * rng.normal(size=(1000, 1)))
    w = risk_parity(cov, max_iter=7)
    np.testing.assert_allclose(risk_contributions(w, cov), 1 / 500, atol=1e-10)


def test_max_iter_is_obeyed_and_the_error_gives_count_and_residual() -> None:
    with pytest.raises(RuntimeError, match=r"not converged after 1 steps, risk shares are off by 0\.\d+: raise"):
        risk_parity(PAPER, max_iter=1)
    risk_parity(PAPER, max_iter=7)


def test_a_loose_tolerance_that_misses_the_budgets_is_not_passed_off_as_converged() -> None:
    with pytest.raises(RuntimeError, match="not converged at its last step"):
        risk_parity(PAPER, tol=1e-2)


def test_repeated_assets_share_the_risk() -> None:
    cov = np.ones((2, 2))
    np.testing.assert_allclose(risk_parity(cov), [0.5, 0.5], rtol=1e-14)
    three = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(risk_contributions(risk_parity(three), three), 1 / 3, atol=1e-10)


def test_portfolios_without_risk_are_refused() -> None:
    few_rows = np.cov(np.random.default_rng(0).normal(size=(5, 50)), rowvar=False)
    for cov in (np.array([[1.0, -1.0], [-1.0, 1.0]]), few_rows):
        with pytest.raises(RuntimeError, match=r"not converged .*: raise shrink_alpha"):
            risk_parity(cov)
    shrunk = 0.9 * few_rows + 0.1 * np.diag(np.diag(few_rows))
    np.testing.assert_allclose(risk_contributions(risk_parity(shrunk), shrunk), 1 / 50, atol=1e-10)


# The notebook's iteration


def test_the_notebook_cycles_between_two_points() -> None:
    cov = covariance([2.0, 3.0])
    high = 9 / 13  # w ∝ 1/(w σ²) from (.5, .5)
    for max_iter, expected in [(0, [0.5, 0.5]), (1, [high, 1 - high]), (2, [0.5, 0.5]), (1001, [high, 1 - high])]:
        np.testing.assert_allclose(risk_parity_notebook(cov, max_iter=max_iter), expected, atol=1e-6)
    np.testing.assert_allclose(risk_parity_notebook(cov), [0.5, 0.5], atol=1e-6)
    assert np.abs(risk_contributions(risk_parity_notebook(cov), cov) - 0.5).max() > 0.19


def test_the_notebook_goes_a_thousand_rounds() -> None:
    """Where it comes nearer so slowly that the number of rounds is its result."""
    cov = np.array([[4.0, 0.006], [0.006, 9.0]])
    thousand = risk_parity_notebook(cov)
    np.testing.assert_array_equal(thousand, risk_parity_notebook(cov, max_iter=1000))
    assert np.abs(thousand - risk_parity_notebook(cov, max_iter=2000)).max() > 0.01


def test_the_notebook_checks_before_it_updates() -> None:
    cov = covariance([0.010, 0.011], {(0, 1): 0.9})
    w = np.array([0.5, 0.5])
    rc = w * (cov @ w)
    error = np.max(np.abs(rc - w @ cov @ w / 2))
    np.testing.assert_array_equal(risk_parity_notebook(cov, tol=error * 1.001), w)
    assert not np.array_equal(risk_parity_notebook(cov, tol=error * 0.999), w)


def test_the_notebook_uses_budgets_and_clips() -> None:
    b = np.array([0.8, 0.2])
    w = np.array([0.5, 0.5])
    cov = covariance([2.0, 3.0], {(0, 1): 0.9})
    step = w * b * (w @ cov @ w) / (w * (cov @ w) + 1e-12)
    np.testing.assert_allclose(risk_parity_notebook(cov, b, max_iter=1), step / step.sum(), rtol=1e-14)
    hedge = covariance([1.0, 0.2], {(0, 1): -0.9})  # the second asset's contribution is negative
    np.testing.assert_array_equal(risk_parity_notebook(hedge, max_iter=1), [1.0, 0.0])


def test_the_notebook_agrees_where_it_converges() -> None:
    sigma = np.array([0.5, 1.0, 1.5])
    cov = covariance(sigma, {pair: 0.9 for pair in combinations(range(3), 2)})
    np.testing.assert_allclose(risk_parity_notebook(cov, tol=1e-13), risk_parity(cov), atol=1e-6)


# Minimum variance


def by_enumeration(cov: np.ndarray) -> np.ndarray:
    """The best of the unconstrained solutions on every subset of assets that is long-only."""
    n, best, least = len(cov), np.zeros(len(cov)), np.inf
    for size in range(1, n + 1):
        for subset in map(list, combinations(range(n), size)):
            x = np.linalg.solve(cov[np.ix_(subset, subset)], np.ones(size))
            w = np.zeros(n)
            w[subset] = x / x.sum()
            if (w >= 0).all() and w @ cov @ w < least:
                best, least = w, w @ cov @ w
    return best


def test_minimum_variance_of_the_paper() -> None:
    w = minimum_variance(PAPER)
    np.testing.assert_allclose(w, [0.74482759, 0.0, 0.15172414, 0.10344828], atol=5e-9)
    assert np.sqrt(w @ PAPER @ w) == pytest.approx(0.08630339, abs=5e-9)
    assert w[1] == 0.0


def test_the_clipped_inverse_of_the_paper() -> None:
    clipped = np.clip([1.04651163, -0.26162791, 0.12790698, 0.08720930], 0, None)
    np.testing.assert_allclose(minimum_variance_clipped(PAPER), clipped / clipped.sum(), atol=1e-8)
    assert minimum_variance_clipped(PAPER)[0] > 0.8


@settings(max_examples=150, deadline=None)
@given(covariances())
def test_minimum_variance_meets_its_optimality_conditions(cov: np.ndarray) -> None:
    w = minimum_variance(cov)
    assert (w >= 0).all()
    assert w.sum() == pytest.approx(1.0, abs=1e-14)
    marginal = cov @ w / (w @ cov @ w)  # 1 on what is held, no less on what is not
    assert marginal.min() >= 1.0 - 1e-8
    np.testing.assert_allclose(marginal[w > 1e-9], 1.0, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(covariances(max_assets=6))
def test_minimum_variance_equals_enumeration(cov: np.ndarray) -> None:
    np.testing.assert_allclose(minimum_variance(cov), by_enumeration(cov), atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(covariances())
def test_long_only_is_never_worse_than_clipped(cov: np.ndarray) -> None:
    exact, clipped = minimum_variance(cov), minimum_variance_clipped(cov)
    assert (clipped >= 0).all()
    assert clipped.sum() == pytest.approx(1.0, abs=1e-12)
    assert exact @ cov @ exact <= clipped @ cov @ clipped * (1 + 1e-10)


def test_minimum_variance_does_not_depend_on_the_period() -> None:
    for scale in (1e-9, 1e9):
        np.testing.assert_allclose(minimum_variance(PAPER * scale), minimum_variance(PAPER), atol=1e-13)


def test_minimum_variance_of_singular_matrices() -> None:
    assert minimum_variance(np.ones((3, 3))).sum() == pytest.approx(1.0)
    np.testing.assert_allclose(minimum_variance([[1.0, -1.0], [-1.0, 1.0]]), [0.5, 0.5], rtol=1e-12)
    two_and_copy = covariance([1.0, 2.0, 1.0], {(0, 2): 1.0})
    w = minimum_variance(two_and_copy)
    np.testing.assert_allclose([w[0] + w[2], w[1]], [0.8, 0.2], rtol=1e-12)
    few_rows = np.cov(np.random.default_rng(0).normal(size=(5, 50)), rowvar=False)
    w = minimum_variance(few_rows)
    assert (few_rows @ w).min() >= w @ few_rows @ w - 1e-12
    with pytest.raises(ValueError, match=r"^cov is singular \(condition number .*\): raise shrink_alpha"):
        minimum_variance_clipped(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"^cov has a negative eigenvalue"):
        minimum_variance(covariance([1.0, 1.0, 1.0], {(0, 1): 0.9, (0, 2): 0.9, (1, 2): -0.9}))


# What they share


@pytest.mark.parametrize(("apart", "refused"), [(2.2e-13, False), (1.8e-13, True)])
def test_where_an_inverse_is_no_longer_taken(apart: float, refused: bool) -> None:
    """Two assets of correlation 1 − d have a condition number of 2/d: 1e13 is the most."""
    cov = np.array([[1.0, 1.0 - apart], [1.0 - apart, 1.0]])
    if refused:
        with pytest.raises(ValueError, match=r"condition number 1\.1e\+13"):
            minimum_variance_clipped(cov)
    else:
        np.testing.assert_allclose(minimum_variance_clipped(cov), [0.5, 0.5], rtol=1e-12)


@pytest.mark.parametrize("solve", [risk_parity, risk_parity_notebook, minimum_variance, minimum_variance_clipped])
def test_one_asset_and_bad_covariances(solve: Any) -> None:
    np.testing.assert_array_equal(solve([[0.04]]), [1.0])
    for cov, message in [
        (np.ones((2, 3)), r"cov has shape \(2, 3\): give a square matrix"),
        (np.ones(2), r"cov has shape \(2,\): give a square matrix"),
        (np.zeros((0, 0)), r"cov has shape \(0, 0\)"),
        (np.diag([1.0, np.nan]), "cov is not finite"),
        (np.diag([1.0, 0.0]), "variance of asset 1 is 0: drop it"),
        (np.array([[1.0, 0.5], [0.1, 1.0]]), "cov is not symmetric"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            solve(cov)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("solve", [risk_parity, risk_parity_notebook])
def test_bad_budgets(solve: Any) -> None:
    with pytest.raises(ValueError, match=r"budgets have shape \(2,\) for 4 assets"):
        solve(PAPER, [0.5, 0.5])
    for b in ([1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, np.nan], [1.0, 1.0, 1.0, -1.0]):
        with pytest.raises(ValueError, match="are not all positive: drop"):
            solve(PAPER, b)


def test_risk_contributions_sum_to_one_and_show_hedges() -> None:
    w = np.array([0.9, 0.1])
    cov = covariance([1.0, 0.2], {(0, 1): -0.9})
    shares = risk_contributions(w, cov)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[1] < 0
    with pytest.raises(ValueError, match=r"^portfolio variance is 0: risk shares need"):
        risk_contributions([0.5, 0.5], [[1.0, -1.0], [-1.0, 1.0]])


def test_blend_is_linear_and_renormalised() -> None:
    np.testing.assert_allclose(blend([0.5, 0.5], [1.0, 0.0], 0.3), [0.65, 0.35], rtol=1e-15)
    np.testing.assert_allclose(blend([1.0, 1.0], [2.0, 0.0], 0.3), [0.65, 0.35], rtol=1e-15)
    np.testing.assert_allclose(blend([0.5, 0.5], [1.0, 0.0], 0.0), [0.5, 0.5])
    np.testing.assert_allclose(blend([0.5, 0.5], [1.0, 0.0], 1.0), [1.0, 0.0])
    for bad in (-0.01, 1.01, float("nan")):
        with pytest.raises(ValueError, match=r"^alpha_minvar=.* is outside \[0, 1\]"):
            blend([0.5, 0.5], [1.0, 0.0], bad)


def returns(n_observations: int = 120) -> np.ndarray:
    """Three assets that move together and one that hedges them, which no notebook iteration settles."""
    rng = np.random.default_rng(8)
    common = rng.normal(size=(n_observations, 1)) * [1.0, 1.0, 1.0, -1.0]
    return 0.01 * (rng.normal(size=(n_observations, 4)) + common) * [0.3, 0.9, 1.4, 2.0]


@pytest.mark.parametrize("parity", ["converged", "notebook"])
@pytest.mark.parametrize("minvar", ["long_only", "clipped"])
@pytest.mark.parametrize("shrinkage", ["diagonal", "ledoit_wolf"])
def test_blended_weights_are_the_blend_of_their_parts(parity: str, minvar: str, shrinkage: str) -> None:
    X = returns()
    cov = estimate_covariance(X, shrinkage=shrinkage, shrink_alpha=0.2)
    solvers: dict[str, Any] = {"converged": risk_parity, "notebook": risk_parity_notebook}
    w_rp = solvers[parity](cov, [1, 2, 3, 4])
    w_mv = {"long_only": minimum_variance, "clipped": minimum_variance_clipped}[minvar](cov)
    w = blended(
        X,
        shrinkage=shrinkage,
        shrink_alpha=0.2,
        alpha_minvar=0.4,
        risk_parity=parity,
        min_variance=minvar,
        budgets=[1, 2, 3, 4],
    )
    np.testing.assert_allclose(w, 0.6 * w_rp + 0.4 * w_mv, rtol=1e-12)
    assert w.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"shrinkage": "ledoit_wolf"},
        {"shrink_alpha": 0.6},
        {"alpha_minvar": 0.6},
        {"risk_parity": "notebook"},
        {"min_variance": "clipped"},
        {"budgets": [1, 2, 3, 4]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_argument_of_blended_weights_counts(changed: dict[str, Any]) -> None:
    assert np.abs(blended(returns(), **changed) - blended(returns())).max() > 1e-3


def test_the_check_of_parameters_names_the_first_bad_one() -> None:
    WeightRules()
    WeightRules(cov_lookback=2, min_hist=np.int64(2), shrink_alpha=0.0, alpha_minvar=1.0)
    for bad, message in [
        ({"shrinkage": "x"}, "shrinkage='x' is unknown: give one of diagonal, ledoit_wolf"),
        ({"risk_parity": "x"}, "risk_parity='x' is unknown: give one of converged, notebook"),
        ({"min_variance": "x"}, "min_variance='x' is unknown: give one of long_only, clipped"),
        ({"shrink_alpha": 1.5}, "shrink_alpha=1.5 is above 1: per cent"),
        ({"alpha_minvar": -0.5}, "alpha_minvar=-0.5 is outside"),
        ({"cov_lookback": 1}, "cov_lookback=1 is not a whole number of at least 2"),
        ({"min_hist": 2.5}, "min_hist=2.5 is not a whole number of at least 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            WeightRules(**bad)
        if "cov_lookback" not in bad and "min_hist" not in bad:
            with pytest.raises(ValueError, match=message):
                blended(returns(), **bad)


def test_all_names_exist() -> None:
    assert all(hasattr(module, name) for name in module.__all__)
