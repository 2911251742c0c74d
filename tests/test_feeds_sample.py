"""The sample market: pinned, calibrated, and unmoved by what is asked of it besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from riskoverlay.feeds import SAMPLE_SYMBOLS, sample_market, sample_states
from riskoverlay.feeds.sample import _calibration, _cholesky, _exp, _freedom, _Market

EIGHT = SAMPLE_SYMBOLS[:8]
SEEDS = range(100, 108)


@pytest.fixture(scope="module")
def figures() -> Any:
    return _calibration()


@pytest.fixture(scope="module")
def many() -> Any:
    """Bars and states of eight markets of 16 years each."""
    markets = [_Market(4024, seed) for seed in SEEDS]
    return {symbol: [market.bars(symbol) for market in markets] for symbol in EIGHT}, [m.states for m in markets]


def test_pinned() -> None:
    panel = sample_market(end="2012-12-31")
    assert panel.sha256 == "20338b34b151dcde8f7f2c86a56d89394921dbe9704651f5dc199654d47881e2"
    assert panel.synthetic and panel.source == "sample"


def test_sessions_are_the_exchange_s_and_go_as_far_as_asked() -> None:
    panel = sample_market(("SPY",), start="2024-12-20", end="2035-01-02")
    calendar = exchange_calendars.get_calendar("XNYS", start="2024-01-01", end="2036-01-01")
    assert list(panel.sessions) == list(calendar.sessions_in_range("2024-12-20", "2035-01-02"))
    assert pd.Timestamp("2024-12-25") not in panel.sessions
    assert len(sample_market().sessions) == 4024


def test_bars_are_bars() -> None:
    for frame in sample_market((*EIGHT, "SYN09", "SYN64"), end="2011-12-31").frames.values():
        assert (frame["low"] > 0).all() and (frame["volume"] > 0).all()
        assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
        assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
        assert (frame["high"] > frame["low"]).all()
        assert (np.rint(frame * 1e6) / 1e6 == frame).all(axis=None)


def test_first_close_is_the_start_price(figures: Any) -> None:
    first = sample_market(end="2010-02-01").closes.iloc[0]
    assert first.to_dict() == figures["start_price"]


def test_a_later_end_changes_no_earlier_bar() -> None:
    short, long = sample_market(end="2011-06-30"), sample_market(end="2014-12-31")
    assert long.between(end="2011-06-30").sha256 == short.sha256


def test_other_symbols_change_no_bar() -> None:
    full = sample_market(end="2010-12-31")
    part = sample_market(("GLD", "SYN12", "SPY"), end="2010-12-31")
    for symbol in ("GLD", "SPY"):
        pd.testing.assert_frame_equal(part.frames[symbol], full.frames[symbol])


def test_seed_and_opening_day_make_another_market() -> None:
    hashes = {
        sample_market(end="2010-06-30").sha256,
        sample_market(end="2010-06-30", seed=64).sha256,
        sample_market(start="2010-01-05", end="2010-06-30").sha256,
    }
    assert len(hashes) == 3


def test_moments_in_each_state(many: Any, figures: Any) -> None:
    frames, states = many
    state_of = np.concatenate([path[1:] for path in states])
    returns = np.column_stack(
        [np.concatenate([np.diff(np.log(bars["close"])) for bars in frames[symbol]]) for symbol in EIGHT]
    )
    for number, (name, wanted) in enumerate(figures["states"].items()):
        r = returns[state_of == number]
        error = np.array(wanted["annual_volatility"]) / np.sqrt(252) / np.sqrt(len(r))
        volatility = r.std(axis=0) * np.sqrt(252)
        tolerance = 0.12 if name == "crisis" else 0.04
        assert volatility == pytest.approx(wanted["annual_volatility"], rel=tolerance), name
        assert (abs(r.mean(axis=0) - np.array(wanted["mean_annual_log_return"]) / 252) < 4 * error).all(), name
        assert abs(np.corrcoef(r.T) - wanted["correlation"]).max() < (0.12 if name == "crisis" else 0.06), name
    # With few degrees of freedom no sample settles the kurtosis: compare the calm only, and loosely.
    calm = pd.DataFrame(returns[state_of == 0]).kurt()
    assert (abs(calm - figures["states"]["calm"]["kurtosis_excess"]) < [0.6] * 7 + [2.0]).all()


def test_states_follow_the_chain(figures: Any) -> None:
    states = np.concatenate([sample_states(4024, seed) for seed in range(200, 240)])
    share = np.bincount(states, minlength=4) / len(states)
    assert share == pytest.approx([s["share_of_days"] for s in figures["states"].values()], abs=0.035)
    path = sample_states(40_000, 5)
    for state in range(4):
        following = np.bincount(path[1:][path[:-1] == state], minlength=4)
        wanted = np.array(figures["daily_transition"][state])
        assert following / following.sum() == pytest.approx(wanted, abs=0.02)
        assert (following[wanted == 0] == 0).all()


def test_overnight_share_range_and_volume(many: Any, figures: Any) -> None:
    frames, _ = many
    for symbol in EIGHT:
        shares, ranges, volumes = [], [], []
        for bars in frames[symbol]:
            c, o = np.log(bars["close"].to_numpy()), np.log(bars["open"].to_numpy())
            gap, inside = o[1:] - c[:-1], c[1:] - o[1:]
            shares.append(gap.var() / (gap.var() + inside.var()))
            ranges.append(np.median(np.log(bars["high"] / bars["low"])) / np.diff(c).std())
            volumes.append(bars["volume"].median())
            assert abs(np.corrcoef(gap, inside)[0, 1]) < 0.2
        assert np.mean(shares) == pytest.approx(figures["overnight_share_of_variance"][symbol], abs=0.03)
        assert np.mean(ranges) == pytest.approx(figures["median_range_over_close_vol"][symbol], rel=0.05)
        assert np.mean(volumes) == pytest.approx(figures["median_daily_volume_shares"][symbol], rel=0.05)


def test_twins_beyond_the_eight() -> None:
    panel = sample_market(("SPY", "SYN09", "SYN57", "TLT", "SYN14"), end="2025-12-31")
    r = np.log(panel.closes).diff().dropna()
    assert r["SYN09"].std() / r["SPY"].std() == pytest.approx(0.85, rel=0.05)
    assert r["SYN57"].std() / r["SPY"].std() == pytest.approx(1.15, rel=0.05)
    assert r["SPY"].corr(r["SYN09"]) == pytest.approx(0.9, abs=0.03)
    assert r["SPY"].corr(r["SYN57"]) == pytest.approx(0.6, abs=0.06)
    assert r["TLT"].corr(r["SYN14"]) == pytest.approx(0.9, abs=0.03)
    assert len(sample_market(SAMPLE_SYMBOLS, end="2010-01-08").symbols) == 64


def test_arithmetic_of_its_own() -> None:
    x = np.linspace(-3, 3, 601)
    assert _exp(x) == pytest.approx(np.exp(x), rel=1e-11)
    C = np.array(_calibration()["states"]["crisis"]["correlation"])
    assert np.array(_cholesky(C.tolist())) == pytest.approx(np.linalg.cholesky(C), abs=1e-12)
    assert [_freedom(k) for k in (-0.05, 0.1, 1.0, 6.0)] == [40, 40, 10, 5]


def test_figures_are_in_the_package() -> None:
    held = Path(__file__).parents[1] / "feeds" / "calibration.json"
    assert json.loads(held.read_text()) == _calibration()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"symbols": ("SPY", "AAPL")}, "'AAPL' is not in the sample market"),
        ({"symbols": ("SYN65",)}, "'SYN65' is not"),
        ({"symbols": ()}, "symbols is empty"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1.5}, r"seed=1\.5"),
        ({"start": "2012-01-01", "end": "2011-01-01"}, "start=2012-01-01 is after end=2011-01-01"),
        ({"start": "2010-01-01", "end": "2010-01-03"}, "no XNYS session from 2010-01-01 to 2010-01-03"),
        ({"end": None}, "needs both"),
        ({"end": "never"}, "end='never' is not a date"),
    ],
)
def test_bad_arguments(arguments: Any, words: Any) -> None:
    with pytest.raises(ValueError, match=words):
        sample_market(**arguments)
