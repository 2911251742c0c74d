"""Covariance estimators against numpy, sklearn and sums written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from riskoverlay.strategies.covariance import estimate_covariance, ledoit_wolf, sample_covariance, shrink_to_diagonal


def market(n_observations: int = 80, n_assets: int = 4, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.01 * (rng.standard_t(4, (n_observations, n_assets)) + rng.normal(size=(n_observations, 1)))


def test_sample_covariance_divides_by_one_less_than_the_rows() -> None:
    X = market()
    D = X - X.mean(axis=0)
    by_hand = sum(np.outer(row, row) for row in D) / (len(X) - 1)
    np.testing.assert_allclose(sample_covariance(X), by_hand, rtol=1e-13)


def test_one_asset_gives_a_one_by_one_matrix() -> None:
    X = market(n_assets=1)
    assert sample_covariance(X).shape == (1, 1)
    assert sample_covariance(X)[0, 0] == pytest.approx(X.var(ddof=1), rel=1e-14)
    cov, shrinkage = ledoit_wolf(X)
    assert cov[0, 0] == pytest.approx(X.var(ddof=0), rel=1e-14)
    assert shrinkage == 0.0


def test_shrinking_keeps_variances_and_scales_correlations() -> None:
    S = sample_covariance(market())
    shrunk = shrink_to_diagonal(S, 0.3)
    np.testing.assert_allclose(np.diag(shrunk), np.diag(S), rtol=1e-15)
    off = ~np.eye(len(S), dtype=bool)
    np.testing.assert_allclose(shrunk[off], 0.7 * S[off], rtol=1e-14)


def test_shrink_alpha_at_and_beyond_its_bounds() -> None:
    S = sample_covariance(market())
    np.testing.assert_array_equal(shrink_to_diagonal(S, 0.0), S)
    np.testing.assert_array_equal(shrink_to_diagonal(S, 1.0), np.diag(np.diag(S)))
    for bad in (-1e-9, 1.0 + 1e-9, float("nan")):
        with pytest.raises(ValueError, match=r"^shrink_alpha=.* is outside \[0, 1\]"):
            shrink_to_diagonal(S, bad)


def test_ledoit_wolf_minimises_the_estimated_error_by_hand() -> None:
    X = market(30, 3)
    D = X - X.mean(axis=0)
    n, p = D.shape
    S = D.T @ D / n
    mu = np.trace(S) / p
    d2 = np.linalg.norm(S - mu * np.eye(p)) ** 2
    b2 = sum(np.linalg.norm(np.outer(row, row) - S) ** 2 for row in D) / n**2
    share = min(b2, d2) / d2
    cov, shrinkage = ledoit_wolf(X)
    assert 0.0 < share < 1.0
    assert shrinkage == pytest.approx(share, rel=1e-12)
    np.testing.assert_allclose(cov, share * mu * np.eye(p) + (1 - share) * S, rtol=1e-12)


def test_what_cannot_be_told_from_the_target_becomes_the_target_and_no_more() -> None:
    """The error of S is larger than its distance from the target: the whole of it is shrunk away, not twice as much."""
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.1], [0.0, -1.1]])
    cov, shrinkage = ledoit_wolf(X)
    assert shrinkage == 1.0
    np.testing.assert_allclose(cov, (1.0 + 1.21) / 4.0 * np.eye(2), rtol=1e-12)


@pytest.mark.parametrize("shape", [(10, 40), (60, 8), (2000, 3), (2, 2), (50, 1)])
def test_ledoit_wolf_equals_sklearn(shape: tuple[int, int]) -> None:
    sklearn = pytest.importorskip("sklearn.covariance")
    X = market(*shape)
    expected, share = sklearn.ledoit_wolf(X)
    cov, shrinkage = ledoit_wolf(X)
    np.testing.assert_allclose(cov, expected, rtol=1e-10, atol=1e-18)
    assert shrinkage == pytest.approx(share, abs=1e-10)


def test_estimate_covariance_uses_its_arguments() -> None:
    X = market()
    S = sample_covariance(X)
    np.testing.assert_array_equal(estimate_covariance(X, shrink_alpha=0.5), shrink_to_diagonal(S, 0.5))
    np.testing.assert_array_equal(estimate_covariance(X, shrinkage="ledoit_wolf"), ledoit_wolf(X)[0])
    assert not np.allclose(estimate_covariance(X, shrink_alpha=0.1), estimate_covariance(X, shrink_alpha=0.5))
    with pytest.raises(ValueError, match=r"^shrinkage='oas' is unknown: give one of diagonal, ledoit_wolf$"):
        estimate_covariance(X, shrinkage="oas")


@pytest.mark.parametrize("estimator", [sample_covariance, ledoit_wolf, estimate_covariance])
def test_bad_returns_are_refused_in_one_line(estimator: Any) -> None:
    good = market(10, 3)
    nan, still = good.copy(), good.copy()
    nan[4, 2] = np.nan
    still[:, 1] = 0.0
    for X, message in [
        (nan, "returns of asset 2 are not all finite: drop or fill"),
        (still, "returns of asset 1 never change in 10 rows: drop it or"),
        (good[:1], "returns have 1 rows: a covariance needs at least 2"),
        (good[:, 0], r"returns have shape \(10,\): give one row"),
        (good[:, :0], r"returns have shape \(10, 0\): give one row"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            estimator(X)
        assert "\n" not in str(caught.value)
    assert np.isfinite(estimator(good[:2])[0]).all()


def test_a_price_that_grows_at_one_rate_counts_as_constant() -> None:
    X = market(50, 2)
    X[:, 0] = np.diff(np.log(100 * 1.0001 ** np.arange(51.0)))
    X[:, 0] = X[:, 0].mean() * (1 + 1e-15 * np.sign(X[:, 1]))
    with pytest.raises(ValueError, match="asset 0 never change"):
        sample_covariance(X)
    X[7, 0] *= 1.01
    assert sample_covariance(X)[0, 0] > 0.0


def test_ledoit_and_wolf_leave_a_single_asset_as_it_is() -> None:
    returns = np.array([[0.01], [-0.02], [0.015], [0.0]])
    cov, shrinkage = ledoit_wolf(returns)
    assert cov.tolist() == [[pytest.approx(np.var(returns), rel=1e-15)]]
    assert shrinkage == 0.0
