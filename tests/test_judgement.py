"""Deflated Sharpe ratio, overfitting, intervals: against published digits, and against truths that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from riskoverlay.analyzers import summary
from riskoverlay.studies.judgement import (
    SCORES,
    bootstrap_intervals,
    confidence,
    cscv,
    deflated_sharpe,
    expected_maximum,
    growths,
    minimum_track_record,
    probabilistic_sharpe,
    session_sharpe,
)

SR = 2.5 / math.sqrt(250)
"""The example of Bailey and López de Prado (2014): per day."""


def noise(n: int, columns: int = 1, seed: int = 0) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_normal((n, columns))


# -- Sharpe ratios -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "expected"), [(1, 0.0), (10, 1.57460), (100, 2.53060)])
def test_expected_maximum_has_the_papers_digits(n: int, expected: float) -> None:
    assert expected_maximum(n) == pytest.approx(expected, abs=5e-6)


def test_expected_maximum_is_near_the_simulated_one() -> None:
    drawn = np.random.default_rng(1).standard_normal((20_000, 24)).max(axis=1).mean()
    assert expected_maximum(24) == pytest.approx(drawn, abs=0.05)
    with pytest.raises(ValueError, match=r"n=0 is not a number of trials: give"):
        expected_maximum(0)


@pytest.mark.parametrize(("trials", "luck", "probability"), [(100, 0.11317200, 0.90039683), (46, None, 0.95050170)])
def test_deflated_sharpe_has_the_papers_digits(trials: int, luck: float | None, probability: float) -> None:
    benchmark = math.sqrt(0.5 / 250) * expected_maximum(trials)
    if luck is not None:
        assert benchmark == pytest.approx(luck, abs=1e-8)
    assert probabilistic_sharpe(SR, benchmark, 1250, -3.0, 10.0) == pytest.approx(probability, abs=1e-8)


def test_deflated_sharpe_of_returns_is_its_parts() -> None:
    returns = noise(800, 12, seed=3)
    returns[:, 4] += 0.001
    tried = session_sharpe(returns)
    r = returns[:, 4]
    d = deflated_sharpe(r, tried)
    z = (r - r.mean()) / r.std()
    luck = np.std(tried, ddof=1) * expected_maximum(12)
    assert d.luck == pytest.approx(luck, rel=1e-12)
    own = r.mean() / r.std(ddof=1)
    spread = math.sqrt(1 - (z**3).mean() * own + ((z**4).mean() - 1) / 4 * own**2)
    assert d.probability == pytest.approx(norm.cdf((own - luck) * math.sqrt(799) / spread), rel=1e-9)
    assert d.zero == pytest.approx(norm.cdf(own * math.sqrt(799) / spread), rel=1e-9)
    assert d.probability < d.zero
    assert deflated_sharpe(r, tried[4:5]).luck == 0.0  # one try: nothing was chosen
    assert deflated_sharpe(r, [*tried, math.nan]).luck == d.luck


def test_minimum_track_record_is_where_the_probability_is_reached() -> None:
    n = minimum_track_record(SR, 0.05, -3.0, 10.0, level=0.9)
    assert probabilistic_sharpe(SR, 0.05, math.ceil(n), -3.0, 10.0) >= 0.9
    assert probabilistic_sharpe(SR, 0.05, math.ceil(n) - 1, -3.0, 10.0) < 0.9
    assert minimum_track_record(SR, SR) == math.inf
    assert math.isnan(minimum_track_record(math.nan))


def test_moments_matter_and_impossible_ones_are_nan() -> None:
    plain = probabilistic_sharpe(SR, 0.0, 60)
    assert probabilistic_sharpe(SR, 0.0, 60, -3.0, 10.0) < plain < probabilistic_sharpe(SR, 0.0, 60, 1.0, 3.0)
    assert math.isnan(probabilistic_sharpe(SR, 0.0, 1))
    assert math.isnan(probabilistic_sharpe(1.0, 0.0, 60, 5.0, 1.0))


@pytest.mark.parametrize(("sharpe", "benchmark", "n"), [(SR, 0.0, 60), (1.5, 0.5, 20)])
def test_without_moments_returns_are_normal(sharpe: float, benchmark: float, n: int) -> None:
    """Skewness 0, kurtosis 3: the variance of an estimate is 1 + SR²/2 over its sessions (Lo 2002)."""
    normal = norm.cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(1.0 + sharpe**2 / 2.0))
    assert probabilistic_sharpe(sharpe, benchmark, n) == pytest.approx(normal, rel=1e-12)
    needed = 1.0 + (1.0 + sharpe**2 / 2.0) * (norm.ppf(0.95) / (sharpe - benchmark)) ** 2
    assert minimum_track_record(sharpe, benchmark) == pytest.approx(needed, rel=1e-12)


def test_the_sharpe_ratio_is_that_of_the_tables() -> None:
    r, bill = noise(500)[:, 0] + 0.0004, np.linspace(0.0, 0.0002, 500)
    excess = summary(r, bill)["excess_sharpe"]
    assert math.sqrt(252) * float(session_sharpe(r - bill)[0]) == pytest.approx(excess, rel=1e-12)
    assert excess < summary(r)["excess_sharpe"]


def test_growth_is_that_of_the_tables() -> None:
    r = noise(500, 3) + 0.0004
    r[100, 2] = -1.5
    assert growths(r)[:2].tolist() == pytest.approx([summary(column)["growth"] for column in r.T[:2]], rel=1e-12)
    assert growths(r)[2] == summary(r[:, 2])["growth"] == -1.0


def test_by_growth_the_highest_end_value_wins() -> None:
    """200 sets of returns; what is chosen by the Sharpe ratio is what the judge would choose, in all of them."""
    rng = np.random.default_rng(0)
    differ = 0
    for _ in range(200):
        n, k = int(rng.integers(60, 400)), int(rng.integers(2, 12))
        r = rng.normal(0.0003, rng.uniform(0.002, 0.03, k), (n, k))
        bill = np.full(n, rng.uniform(0.0, 0.0002))
        by_growth = int(np.argmax(SCORES["growth"](r)))
        assert by_growth == int(np.argmax(np.prod(1.0 + r, axis=0)))
        scored = r - bill[:, None]
        by_sharpe = int(np.argmax(SCORES["sharpe"](scored)))
        assert by_sharpe == int(np.argmax([summary(column, bill)["excess_sharpe"] for column in r.T]))
        judged = deflated_sharpe(scored[:, by_sharpe], session_sharpe(scored))
        assert judged.sharpe == pytest.approx(np.max(session_sharpe(scored)), rel=1e-12)
        differ += by_growth != int(np.argmax(r.mean(axis=0)))
    assert differ > 10  # the mean, which was the criterion "return", chooses another


def test_return_is_refused_with_its_cure() -> None:
    with pytest.raises(ValueError, match=r"criterion='return' is the mean.*: give growth"):
        cscv(noise(600, 2), criterion="return")


def test_no_volatility_no_ratio() -> None:
    assert math.isnan(session_sharpe(np.full(10, 0.1))[0])
    assert math.isnan(deflated_sharpe(np.full(100, 0.1), [0.1, 0.2]).probability)
    with pytest.raises(ValueError, match=r"returns has shape \(0, 1\): give"):
        session_sharpe([])


# -- overfitting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "criterion"), [(20, "sharpe"), (20, "growth"), (3, "sharpe")])
def test_choosing_among_noise_is_blind(columns: int, criterion: str) -> None:
    found = [cscv(noise(600, columns, s), blocks=8, criterion=criterion).probability for s in range(200)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_one_dominant_strategy_is_no_overfitting() -> None:
    returns = noise(1000, 20)
    returns[:, 7] += 0.003
    found = cscv(returns)
    assert found.probability < 0.05
    assert set(found.chosen) == {7}
    assert len(found.in_sample) == math.comb(16, 8)


def test_what_was_good_only_once_is_overfitting() -> None:
    """Each column is good in one block and bad in the others: the best of a half is worst on the other."""
    returns = noise(800, 8)
    for block in range(8):
        returns[:, block] -= 0.002
        returns[100 * block : 100 * (block + 1), block] += 0.01
    assert cscv(returns, blocks=8).probability > 0.95


def test_cscv_against_the_plain_definition() -> None:
    from itertools import combinations

    returns = noise(103, 5, seed=9) + 0.0005
    found = cscv(returns, blocks=6)
    parts = returns[1:].reshape(6, 17, 5)
    below = []
    for k, chosen in enumerate(combinations(range(6), 3)):
        rest = [block for block in range(6) if block not in chosen]
        inside, outside = (np.concatenate(parts[list(blocks)]) for blocks in (chosen, rest))
        one, other = (part.mean(axis=0) / part.std(axis=0, ddof=1) for part in (inside, outside))
        best = int(one.argmax())
        rank = 1 + int((other < other[best]).sum())
        below.append(1.0 if rank < 3 else 0.5 if rank == 3 else 0.0)
        assert found.chosen[k] == best
        assert found.in_sample[k] == pytest.approx(one[best] * math.sqrt(252), rel=1e-9)
        assert found.out_of_sample[k] == pytest.approx(other[best] * math.sqrt(252), rel=1e-9)
    assert found.probability == pytest.approx(np.mean(below))


def test_cscv_by_growth_against_the_plain_definition() -> None:
    returns = noise(102, 4, seed=3) + 0.0005
    found = cscv(returns, blocks=2, criterion="growth")
    halves = [returns[:51], returns[51:]]
    for k, (inside, outside) in enumerate((halves, halves[::-1])):
        best = int(np.prod(1.0 + inside, axis=0).argmax())
        assert found.chosen[k] == best
        for part, mine in ((inside, found.in_sample[k]), (outside, found.out_of_sample[k])):
            assert mine == pytest.approx(float(np.prod(1.0 + part[:, best]) ** (252 / 51) - 1.0), rel=1e-9)


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (1, {}, r"returns has 1 trials: give at least 2"),
        (2, {"blocks": 5}, r"blocks=5 cannot be split in halves: give an even number"),
        (2, {"blocks": 80}, r"100 sessions are too few for blocks=80: give a smaller"),
        (2, {"criterion": "luck"}, r"criterion='luck' is unknown: give one of sharpe, growth"),
    ],
)
def test_cscv_says_what_is_wrong(columns: int, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cscv(noise(100, columns), **arguments)  # type: ignore[arg-type]


# -- bootstrap ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def arch() -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")


def autoregressive(n: int, rho: float, sharpe: float, generator: np.random.Generator) -> np.ndarray:
    """n returns with a true Sharpe ratio (per session) and correlation rho from one to the next."""
    x = np.empty(n)
    x[0] = generator.standard_normal()
    shocks = math.sqrt(1.0 - rho**2) * generator.standard_normal(n)
    for t in range(1, n):
        x[t] = rho * x[t - 1] + shocks[t]
    return 0.01 * (x + sharpe)


def coverage(n: int, series: int, draws: int) -> float:
    generator = np.random.default_rng(11)
    hits = 0
    for i in range(series):
        r = autoregressive(n, 0.2, 0.06, generator)
        (interval,) = bootstrap_intervals(r, session_sharpe, draws=draws, seed=i)
        hits += interval.low <= 0.06 <= interval.high
    return hits / series


@pytest.mark.long
def test_intervals_cover_a_known_sharpe_ratio(arch: None) -> None:
    assert coverage(n=800, series=250, draws=200) == pytest.approx(0.95, abs=0.03)


@pytest.mark.long
def test_intervals_cover_a_known_sharpe_ratio_at_length(arch: None) -> None:
    assert coverage(n=2000, series=1500, draws=500) == pytest.approx(0.95, abs=0.02)


def test_blocks_are_as_long_as_the_data_ask(arch: None) -> None:
    """Returns that hang together say less about their mean: the interval must be wider than for independent ones."""
    generator = np.random.default_rng(2)
    near, far = (autoregressive(3000, rho, 0.0, generator) for rho in (0.0, 0.5))
    widths = [(i.high - i.low) for r in (near, far) for i in bootstrap_intervals(r, session_sharpe, draws=300)]
    assert widths[1] / widths[0] == pytest.approx(math.sqrt(1.5 / 0.5), rel=0.25)


def test_confidence_is_paired_and_estimates_what_the_tables_show(arch: None) -> None:
    base = noise(1200)[:, 0] + 0.0003
    dynamic = 1.5 * base + noise(1200, seed=5)[:, 0] / 50
    found = confidence(dynamic, base, draws=200)
    for leg, r in (("base", base), ("dynamic", dynamic)):
        for name, interval in found[leg].items():
            assert interval.estimate == pytest.approx(summary(r)[name], rel=1e-9)
            assert interval.low < interval.estimate < interval.high
    gain, alone = found["difference"]["excess_sharpe"], found["base"]["excess_sharpe"]
    assert gain.estimate == pytest.approx(summary(dynamic)["excess_sharpe"] - summary(base)["excess_sharpe"], rel=1e-9)
    assert gain.high - gain.low < 0.2 * (alone.high - alone.low)


def test_level_seed_and_draws_are_used(arch: None) -> None:
    r = noise(400) + 0.0005
    wide, narrow = (bootstrap_intervals(r, session_sharpe, draws=200, level=level)[0] for level in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high
    draw = {(draws, seed): bootstrap_intervals(r, session_sharpe, draws=draws, seed=seed)[0]
            for draws, seed in ((200, 0), (200, 1), (300, 0))}  # fmt: skip
    assert draw[200, 0] == bootstrap_intervals(r, session_sharpe, draws=200, seed=0)[0]
    assert len(set(draw.values())) == 3
    for level in (0.0, 1.0, 95):  # 0 and 1 cover nothing, or everything
        with pytest.raises(ValueError, match=rf"level={level} is not a coverage: give a fraction"):
            bootstrap_intervals(r, session_sharpe, level=level)
    with pytest.raises(ValueError, match=r"30 sessions are too few"):
        bootstrap_intervals(r[:30], session_sharpe)


def test_flat_series_has_no_sharpe_interval_but_the_other_leg_has(arch: None) -> None:
    found = confidence(noise(200)[:, 0], np.zeros(200), draws=50)
    assert math.isnan(found["base"]["excess_sharpe"].low)
    assert found["base"]["max_drawdown"].low == 0.0
    assert math.isfinite(found["dynamic"]["excess_sharpe"].low)


def test_moments_that_leave_no_variance_have_no_probability() -> None:
    """1 − γ₃·SR + (γ₄ − 1)/4·SR² is 0 at SR = 1, skewness 1, kurtosis 1."""
    assert math.isnan(probabilistic_sharpe(1.0, 0.0, 10, skewness=1.0, kurtosis=1.0))
    assert 0.5 < probabilistic_sharpe(1.0, 0.0, 10, skewness=0.9, kurtosis=1.0) <= 1.0


def test_what_is_lost_on_one_session_stays_lost() -> None:
    """Two losses of 200 % multiply to 1: nothing is left all the same."""
    assert growths(np.array([[-2.0, 0.0], [-2.0, 0.0], [0.5, 0.0]])).tolist() == [-1.0, 0.0]


def test_columns_that_stand_still_have_no_sharpe_ratio_each_by_itself() -> None:
    """The mean of three times 0.1 is not 0.1: their deviation is not 0 by its bits."""
    assert np.isnan(session_sharpe(np.tile([0.1, 0.3, -0.7], (3, 1)))).all()
