"""The array form against the notebook's printed table, against loops written out by hand, and the future."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from markets import blended, leverage_at, paper

from riskoverlay.feeds import load
from riskoverlay.strategies import AllocationRules, as_rule
from riskoverlay.strategies.paper import PaperResult, paper_backtest

SYMBOLS = ["SPY", "QQQ", "IWM", "EFA", "EEM", "TLT", "LQD", "GLD"]
HONEST = {"risk_parity": "converged", "min_variance": "long_only", "portfolio_returns": "simple", "look_ahead": False}
FORMS = {
    "notebook": {},
    "look_ahead": {"risk_parity": "converged"},  # spares a thousand iterations a month
    "honest": HONEST,
}
SMALL = {"cov_lookback": 60, "min_hist": 50, "vol_lookback": 20, "dd_threshold1": 0.02, "dd_threshold2": 0.06}


@cache
def market(n_assets: int = 4, seed: int = 5, start: str = "2016-01-04", end: str = "2018-06-15") -> pd.DataFrame:
    """Closes with a common factor, fat tails, changing volatility, on exchange sessions."""
    sessions = exchange_calendars.get_calendar("XNYS", start="2016-01-04", end="2018-06-15").sessions
    rng = np.random.default_rng(seed)
    n = len(sessions)
    calm = 1.0 + 0.8 * np.sin(np.arange(n) / 40.0)[:, None]
    r = rng.standard_t(5, (n, n_assets)) + 0.3 * rng.standard_t(5, (n, 1))
    closes = 100 * np.exp(np.cumsum(0.004 * calm * r * np.linspace(0.5, 2.0, n_assets), axis=0))
    return pd.DataFrame(closes, index=sessions, columns=[f"A{i}" for i in range(n_assets)])


def statistics(r: np.ndarray) -> tuple[float, float, float, float]:
    ann_ret = (1 + r.mean()) ** 252 - 1
    ann_vol = r.std(ddof=0) * 252**0.5
    equity = np.cumprod(1 + r)
    return ann_ret, ann_vol, ann_ret / ann_vol, (equity / np.maximum.accumulate(equity) - 1).min()


def same(a: PaperResult, b: PaperResult, until: pd.Timestamp | None = None) -> bool:
    n = len(a.sessions) if until is None else int((a.sessions <= until).sum())
    pairs = [
        (a.weights.to_numpy()[:n], b.weights.to_numpy()[:n]),
        (a.base_returns[:n], b.base_returns[:n]),
        (a.leverage[:n], b.leverage[:n]),
        (a.dynamic_returns[:n], b.dynamic_returns[:n]),
    ]
    return all(x.shape == y.shape and np.array_equal(x, y) for x, y in pairs)


# The notebook's own numbers


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    folder = os.environ.get("RISKOVERLAY_MARKET")
    if not folder:
        pytest.skip("RISKOVERLAY_MARKET is not set")
    files = {s: pd.read_csv(Path(folder) / f"{s}.csv", index_col="date", parse_dates=True) for s in SYMBOLS}
    return pd.DataFrame({s: file["adj_close"] for s, file in files.items()})[:"2025-12-04"]


def printed(r: np.ndarray, digits: int) -> tuple[str, str, str, str]:
    ret, vol, sharpe, loss = statistics(r)
    return f"{ret:.2%}", f"{vol:.2%}", f"{sharpe:.{digits}f}", f"{loss:.2%}"


def test_the_notebook_to_every_printed_digit(real: pd.DataFrame) -> None:
    assert len(real) == 4006
    result = paper(real)
    assert result.first == pd.Timestamp("2011-01-31")
    assert printed(result.base_returns, 2) == ("7.41%", "11.21%", "0.66", "-30.35%")
    assert printed(result.dynamic_returns, 2) == ("9.49%", "11.21%", "0.85", "-23.07%")


def test_without_look_ahead_on_the_same_prices(real: pd.DataFrame) -> None:
    result = paper(real, **HONEST)
    assert result.first == pd.Timestamp("2011-02-01")
    assert printed(result.base_returns, 3) == ("7.64%", "8.40%", "0.909", "-24.93%")
    assert printed(result.dynamic_returns, 3) == ("10.01%", "10.95%", "0.914", "-23.68%")


# Both forms written out by hand


def by_hand_notebook(closes: pd.DataFrame, freq: str, risk_parity: str) -> tuple[Any, ...]:
    log = np.log(closes).diff().dropna()
    chosen = {}
    for label in closes.resample(freq).last().index:
        known = log.loc[:label]
        if len(known) >= 50:
            chosen[label] = blended(known.tail(60), risk_parity=risk_parity, min_variance="clipped")
    table = pd.DataFrame(chosen, index=closes.columns).T
    weights = table.reindex(log.index, method="ffill").dropna()
    base = (weights * log.loc[weights.index]).sum(axis=1)
    sigma = base.rolling(20).apply(lambda window: window.std(ddof=0) * 252**0.5, raw=True)
    leverage, dynamic, equity, peak = [], [], 1.0, 1.0
    for date, r in base.items():
        sigma_t = None if np.isnan(sigma[date]) else sigma[date]
        leverage.append(leverage_at(sigma_t, 1 - equity / peak, dd_threshold1=0.02, dd_threshold2=0.06))
        dynamic.append(leverage[-1] * r)
        equity *= 1 + dynamic[-1]
        peak = max(peak, equity)
    return weights, base, pd.Series(leverage, base.index), pd.Series(dynamic, base.index)


def by_hand_honest(closes: pd.DataFrame, rebalance: set[Any]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """One pass, day by day, with plain lists: decide at the close, earn the day after."""
    P = closes.to_numpy()
    w = None
    L = 1.0
    weights: list[Any] = []
    base: list[Any] = []
    leverage: list[Any] = []
    dynamic: list[Any] = []
    equity = peak = 1.0
    for t, date in enumerate(closes.index):
        if w is not None:
            r = float(sum(w[i] * (P[t, i] / P[t - 1, i] - 1) for i in range(P.shape[1])))
            weights.append(w)
            base.append(r)
            leverage.append(L)
            dynamic.append(L * r)
            equity *= 1 + L * r
            peak = max(peak, equity)
        if date in rebalance and t >= 50:
            past = P[max(0, t - 60) : t + 1]
            w = blended(np.log(past[1:] / past[:-1]))
        sigma = float(np.std(base[-20:])) * 252**0.5 if len(base) >= 20 else None
        L = leverage_at(sigma, 1 - equity / peak, dd_threshold1=0.02, dd_threshold2=0.06)
    return weights, base, leverage, dynamic


@pytest.mark.parametrize(("freq", "risk_parity"), [("ME", "notebook"), ("QE", "notebook"), ("W-FRI", "converged")])
def test_the_notebook_form_by_hand(freq: str, risk_parity: str) -> None:
    weights, base, leverage, dynamic = by_hand_notebook(market(), freq, risk_parity)
    result = paper(market(), rebalance_freq=freq, risk_parity=risk_parity, **SMALL)
    assert list(result.sessions) == list(weights.index)
    np.testing.assert_allclose(result.weights, weights, rtol=1e-8)
    np.testing.assert_allclose(result.base_returns, base, atol=1e-11)
    np.testing.assert_allclose(result.leverage, leverage, rtol=1e-7)
    np.testing.assert_allclose(result.dynamic_returns, dynamic, atol=1e-10)


@pytest.mark.parametrize("freq", ["ME", "QE", "W-FRI"])
@pytest.mark.parametrize("n_assets", [1, 2, 12])
def test_the_honest_form_by_hand(freq: str, n_assets: int) -> None:
    closes = market(n_assets)
    period = closes.index.to_period({"ME": "M", "QE": "Q", "W-FRI": "W-FRI"}[freq])
    ends = pd.Series(closes.index, closes.index).groupby(period).max()
    complete = set(ends[ends < closes.index[-1]]) | ({closes.index[-1]} if freq == "W-FRI" else set())
    weights, base, leverage, dynamic = by_hand_honest(closes, complete)
    result = paper(closes, rebalance_freq=freq, **SMALL, **HONEST)
    np.testing.assert_allclose(result.weights, weights, rtol=1e-10)
    np.testing.assert_allclose(result.base_returns, base, atol=1e-14)
    np.testing.assert_allclose(result.leverage, leverage, rtol=1e-10)
    np.testing.assert_allclose(result.dynamic_returns, dynamic, atol=1e-13)


# Time


@pytest.mark.parametrize("at", [60, 84, 85, 300, 500, 616])
def test_the_honest_form_does_not_know_the_future(at: int) -> None:
    closes = market()
    other = closes.copy()
    rng = np.random.default_rng(at)
    other.iloc[at + 1 :] *= np.exp(0.05 * rng.normal(size=other.iloc[at + 1 :].shape))
    whole, changed = (paper(x, **SMALL, **HONEST) for x in (closes, other))
    today = closes.index[at]
    assert same(whole, changed, until=today)
    tomorrow = whole.sessions.searchsorted(today, side="right")
    if tomorrow < len(whole.sessions):  # what earns tomorrow was decided today
        np.testing.assert_array_equal(whole.weights.iloc[tomorrow], changed.weights.iloc[tomorrow])
        assert whole.leverage[tomorrow] == changed.leverage[tomorrow]
        assert whole.base_returns[tomorrow] != changed.base_returns[tomorrow]
    assert not same(whole, changed)


def test_ending_the_data_earlier_changes_nothing_before() -> None:
    closes = market()
    whole = paper(closes, **SMALL, **HONEST)
    for n in (150, 151, 400):
        part = paper(closes.iloc[:n], **SMALL, **HONEST)
        assert same(part, whole, until=part.sessions[-1])


def test_the_notebook_form_looks_ahead() -> None:
    closes = market()
    honest = paper(closes, **SMALL, **(HONEST | {"look_ahead": False}))
    notebook = paper(closes, **SMALL)
    label = pd.Timestamp("2017-01-31")  # a session and a label
    for date, sees_weights in [(label, True), (pd.Timestamp("2017-02-15"), False)]:
        other = closes.copy()
        other.loc[date:, "A0"] *= 1.05
        changed = paper(other, **SMALL)
        t = notebook.sessions.get_loc(date)
        assert (not np.array_equal(changed.weights.loc[date], notebook.weights.loc[date])) is sees_weights
        assert changed.leverage[t] != notebook.leverage[t], "its leverage knows the return it multiplies"
        changed, t = paper(other, **SMALL, **HONEST), honest.sessions.get_loc(date)
        np.testing.assert_array_equal(changed.weights.loc[date], honest.weights.loc[date])
        assert changed.leverage[t] == honest.leverage[t]


def test_weights_earn_from_the_session_after_the_one_that_decided() -> None:
    result = paper(market(), **SMALL, **HONEST)
    moved = result.sessions[1:][np.abs(np.diff(result.weights, axis=0)).sum(axis=1) > 0]
    assert moved[0] == pd.Timestamp("2016-05-02")
    firsts = pd.Series(result.sessions, result.sessions).groupby(result.sessions.to_period("M")).min()
    assert set(moved) == set(firsts[1:])
    label = paper(market(), **SMALL)
    assert label.first == pd.Timestamp("2016-03-31")
    assert result.first == pd.Timestamp("2016-04-01")


def test_a_label_that_is_no_session_earns_from_the_next_session() -> None:
    closes = market()
    result = paper(closes, **SMALL)
    moved = result.sessions[1:][np.abs(np.diff(result.weights, axis=0)).sum(axis=1) > 0]
    assert pd.Timestamp("2017-05-01") in moved, "30 April 2017 is a Sunday"
    assert pd.Timestamp("2017-05-31") in moved


def test_a_rebalance_session_missing_from_the_data_is_served_by_the_next_bar() -> None:
    closes = market().drop(pd.Timestamp("2017-01-31"))
    result = paper(closes, **SMALL, **HONEST)
    assert result.weights.loc["2017-02-01"].equals(result.weights.loc["2017-01-30"])
    expected = blended(np.log(closes).diff().loc[:"2017-02-01"].tail(60))
    np.testing.assert_allclose(result.weights.loc["2017-02-02"], expected, rtol=1e-12)


def test_an_unfinished_period_at_the_end_decides_nothing() -> None:
    closes = market().loc[:"2018-05-30"]
    result = paper(closes, **SMALL, **HONEST)
    whole = paper(market(), **SMALL, **HONEST)
    assert same(result, whole, until=closes.index[-1])


def test_without_a_calendar_weights_come_one_session_late() -> None:
    result = paper(market(), calendar=None, **SMALL, **HONEST)
    expected = blended(np.log(market()).diff().loc[:"2017-02-01"].tail(60))
    np.testing.assert_allclose(result.weights.loc["2017-02-02"], expected, rtol=1e-12)
    assert result.first == pd.Timestamp("2016-04-04")


@pytest.mark.parametrize(("min_hist", "first"), [(60, "2016-04-01"), (61, "2016-05-02")])
def test_min_hist_returns_are_required_and_enough(min_hist: int, first: str) -> None:
    closes = market()
    assert closes.index.get_loc(pd.Timestamp("2016-03-31")) == 60  # 60 returns through it
    result = paper(closes, **(SMALL | {"min_hist": min_hist}), **HONEST)
    assert result.first == pd.Timestamp(first)


# Leverage


def test_leverage_is_one_until_the_volatility_is_known() -> None:
    plain = SMALL | {"dd_min_scale": 1.0, "target_vol": 0.25}
    notebook, honest = paper(market(), **plain), paper(market(), **plain, **HONEST)
    assert (notebook.leverage[:19] == 1.0).all()
    assert notebook.leverage[19] != 1.0, "the day's own return completes the window"
    assert (honest.leverage[:20] == 1.0).all()
    assert honest.leverage[20] != 1.0
    sigma = honest.base_returns[:20].std(ddof=0) * 252**0.5
    assert honest.leverage[20] == pytest.approx(np.clip(0.25 / sigma, 0.3, 2.0), rel=1e-12)


def test_a_history_too_short_for_a_volatility_keeps_leverage_one() -> None:
    result = paper(market(), **(SMALL | {"vol_lookback": 5000, "dd_min_scale": 1.0}), **HONEST)
    assert (result.leverage == 1.0).all()


@pytest.mark.parametrize("form", [{}, HONEST], ids=["notebook", "honest"])
def test_equal_bounds_give_the_base_portfolio(form: dict[str, Any]) -> None:
    result = paper(market(), lev_min=1.0, lev_max=1.0, **SMALL, **form)
    np.testing.assert_array_equal(result.dynamic_returns, result.base_returns)
    bounded = paper(market(), **SMALL, **form)
    assert bounded.leverage.min() >= 0.3
    assert bounded.leverage.max() <= 2.0
    assert np.ptp(bounded.leverage) > 0.5


def test_results_fit_together() -> None:
    result = paper(market(), **SMALL, **HONEST)
    np.testing.assert_allclose(result.weights.sum(axis=1), 1.0, rtol=1e-12)
    assert (result.weights.to_numpy() >= 0).all()
    assert list(result.weights.columns) == list(market().columns)
    np.testing.assert_array_equal(result.dynamic_returns, result.leverage * result.base_returns)
    assert result.equity_base[-1] == pytest.approx(np.prod(1 + result.base_returns))
    assert result.equity_dynamic[0] == 1 + result.dynamic_returns[0]
    np.testing.assert_allclose(result.drawdown_base.min(), statistics(result.base_returns)[3])
    np.testing.assert_allclose(result.drawdown_dynamic.min(), statistics(result.dynamic_returns)[3])


def test_the_drawdown_counts_from_the_start() -> None:
    """A loss on the very first sessions brakes: the peak is the start, not the first close."""
    closes = market().copy()
    first = paper(closes, **SMALL, **HONEST).first
    closes.loc[first:] *= 0.9
    result = paper(closes, **SMALL, **HONEST)
    assert result.leverage[0] == 1.0
    assert result.leverage[1] == pytest.approx(0.3)


# Switches and parameters


@cache
def usual_result(form: str) -> PaperResult:
    return paper(market(), **SMALL, **FORMS[form])


@pytest.mark.parametrize("switch", list(HONEST))
def test_every_switch_changes_the_result_from_either_end(switch: str) -> None:
    notebook, honest = usual_result("notebook"), usual_result("honest")
    on = paper(market(), **SMALL, **{switch: HONEST[switch]})
    off = paper(market(), **SMALL, **{k: v for k, v in HONEST.items() if k != switch})
    for a, b in ((notebook, on), (honest, off)):
        assert statistics(a.base_returns) != pytest.approx(statistics(b.base_returns), rel=1e-6)
        assert statistics(a.dynamic_returns) != pytest.approx(statistics(b.dynamic_returns), rel=1e-6)


@pytest.mark.parametrize("form", ["look_ahead", "honest"])
@pytest.mark.parametrize(
    "changed",
    [
        {"rebalance_freq": "QE"},
        {"cov_lookback": 40},
        {"min_hist": 100},
        {"shrinkage": "ledoit_wolf"},
        {"shrink_alpha": 0.8},
        {"alpha_minvar": 0.8},
        {"budgets": [1, 2, 3, 4]},
        {"vol_lookback": 30},
        {"target_vol": 0.09},
        {"lev_min": 0.9},
        {"lev_max": 1.1},
        {"dd_threshold1": 0.05},
        {"dd_threshold2": 0.20},
        {"dd_min_scale": 0.9},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_parameter_counts(changed: dict[str, Any], form: str) -> None:
    usual = usual_result(form)
    other = paper(market(), **(SMALL | changed), **FORMS[form])
    moves_base = next(iter(changed)) in {
        "rebalance_freq", "cov_lookback", "min_hist", "shrinkage", "shrink_alpha", "alpha_minvar", "budgets"
    }  # fmt: skip
    assert (statistics(usual.base_returns) != statistics(other.base_returns)) is moves_base
    assert statistics(usual.dynamic_returns) != statistics(other.dynamic_returns)


def test_the_calendar_counts_without_look_ahead_only() -> None:
    # 30 April 2018 is a session in New York and a bank holiday in Tokyo.
    assert not same(paper(market(), **SMALL, **HONEST), paper(market(), calendar="XTKS", **SMALL, **HONEST))
    assert same(paper(market(), **SMALL), paper(market(), calendar="XTKS", **SMALL))


def test_twice_in_a_row_is_the_same_and_the_input_is_untouched() -> None:
    closes = market().copy()
    first, second = (paper(closes, **SMALL, **HONEST) for _ in range(2))
    assert same(first, second)
    pd.testing.assert_frame_equal(closes, market())


# Bad input


def broken(kind: str) -> pd.DataFrame:
    closes = market().copy()
    if kind == "nan":
        closes.iloc[7, 1] = np.nan
    if kind == "zero":
        closes.iloc[7, 1] = 0.0
    if kind == "unsorted":
        closes = closes.iloc[::-1]
    if kind == "duplicate":
        closes = pd.concat([closes.iloc[:1], closes])
    if kind == "no dates":
        closes = closes.reset_index(drop=True)
    if kind == "short":
        closes = closes.iloc[:50]
    if kind == "no assets":
        closes = closes.iloc[:, :0]
    return closes


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", r"^close of A1 on 2016-01-13 is nan: give positive prices"),
        ("zero", r"^close of A1 on 2016-01-13 is 0\.0: give positive prices"),
        ("unsorted", r"^closes have unsorted or duplicate dates: sort them"),
        ("duplicate", r"^closes have unsorted or duplicate dates: sort them"),
        ("no dates", r"^closes have an index of int64: give a DatetimeIndex"),
        ("short", r"^closes have 50 sessions of 4 assets: give at least min_hist \+ 1 = 51"),
        ("no assets", r"^closes have 618 sessions of 0 assets"),
    ],
)
def test_bad_closes_are_refused_in_one_line(kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        paper(broken(kind), **SMALL, **HONEST)
    assert "\n" not in str(caught.value)


def test_enough_returns_but_no_rebalance_session_after_them() -> None:
    closes = market().iloc[:56]
    with pytest.raises(ValueError, match=r"^no rebalance session with min_hist=50 returns before"):
        paper(closes, **SMALL, **HONEST)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"portfolio_returns": "x"}, r"^portfolio_returns='x' is unknown: give one of log, simple"),
        ({"risk_parity": "x"}, r"^risk_parity='x' is unknown"),
        ({"min_variance": "x"}, r"^min_variance='x' is unknown"),
        ({"rebalance_freq": "x"}, r"^rebalance_freq='x' is no period"),
        ({"calendar": "x"}, r"^calendar='x' is unknown"),
        ({"lev_min": 3.0}, r"^lev_min=3\.0 is above lev_max=2\.0"),
        ({"shrink_alpha": 2.0}, r"^shrink_alpha=2\.0"),
        ({"budgets": [1.0]}, r"^budgets have shape \(1,\) for 4 assets"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paper(market(), **(SMALL | HONEST | bad))


def test_of_several_bad_closes_the_first_is_named() -> None:
    closes = broken("nan")
    closes.iloc[40, 0] = -1.0
    with pytest.raises(ValueError, match=r"^close of A1 on 2016-01-13 is nan"):
        paper(closes, **SMALL, **HONEST)


def test_a_label_without_a_session_of_its_own_takes_nothing_from_the_one_before() -> None:
    """Saturdays know what Fridays know: the weights of a Friday earn from that Friday on, whoever decides them."""
    closes = load("sample", "SPY,TLT", end="2010-06-30").closes
    mine: dict[str, Any] = {"rebalance_freq": "D", "min_hist": 20}
    solvers: dict[str, Any] = {"risk_parity": "converged", "min_variance": "long_only"}
    blend = paper(closes, **mine, **solvers, cov_lookback=20, look_ahead=True)
    rule = as_rule(lambda returns: [0.5 + 0.01 * (len(returns) % 7), 0.2])
    other = paper_backtest(closes, AllocationRules(**mine), rule=rule, look_ahead=True)
    for day in closes.index[40:]:
        t = closes.index.get_loc(day)
        window = np.diff(np.log(closes.to_numpy()[t - 20 : t + 1]), axis=0)
        assert np.allclose(blend.weights.loc[day], blended(window, **mine, cov_lookback=20, **solvers), atol=1e-12)
        assert other.weights.loc[day, "SPY"] == 0.5 + 0.01 * (t % 7)
