"""What a result stands beside: constant leverage, benchmarks, breakeven; and what it did beyond them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from markets import FREE, QUICK, frame

from riskoverlay.analyzers import active_statistics, excess_sharpe, growth, risk_free_returns
from riskoverlay.feeds import Panel, PanelFeed, align, load
from riskoverlay.strategies import FixedWeights, VolTargetDrawdownSizer, check_weights, open_account
from riskoverlay.studies.cli import main
from riskoverlay.studies.financing import breakeven, breakeven_in_words, breakeven_summary
from riskoverlay.studies.financing.spreads import AHEAD, BEHIND, Breakeven
from riskoverlay.studies.workbench import Benchmark, active, backtest, load_panel, make_config, parse_benchmark
from riskoverlay.studies.workbench.beside import benchmark_run, constant_leverage
from riskoverlay.studies.workbench.portfolios import Backtest
from riskoverlay.studies.workbench.runs import UNLEVERED, simulate

SHORT = QUICK | {"end": "2011-12-30", "symbols": "SPY,TLT,GLD"}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel(make_config(SHORT))


@pytest.fixture(scope="module")
def result(panel: Panel) -> Backtest:
    benchmarks = [parse_benchmark("SPY"), parse_benchmark("60/40=SPY:0.6,TLT:0.4")]
    return backtest(panel, make_config(SHORT), benchmarks=benchmarks, bars=panel)


# -- fixed weights -----------------------------------------------------------------------------------------------------


def test_fixed_weights_are_held() -> None:
    """Half and a quarter, rebalanced at month ends; the rest is cash."""
    rng = np.random.default_rng(2)
    cerebro = bt.Cerebro(stdstats=False)
    for name in ("A", "B"):
        bars = frame(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 200))))
        cerebro.adddata(PanelFeed(dataname=bars), name=name)  # type: ignore[call-arg]
    open_account(cerebro, **{name: value for name, value in FREE.items() if name != "whole_shares"})
    cerebro.addstrategy(FixedWeights, weights={"A": 0.5, "B": 0.25})
    cerebro.addsizer(VolTargetDrawdownSizer, lev_min=1.0, lev_max=1.0, whole_shares=False)
    (strategy,) = cerebro.run()
    # Independent: month ends by pandas; shares are set at their closes.
    closes = pd.DataFrame({data._name: data.p.dataname["close"] for data in strategy.datas})
    ends = [day for day in closes.index if (day + pd.offsets.BDay()).month != day.month]
    assert [pd.Timestamp(day) for day in strategy.rebalances] == ends
    value, cash, shares = 100_000.0, 100_000.0, pd.Series({"A": 0.0, "B": 0.0})
    for day in closes.index:
        value = cash + float((shares * closes.loc[day]).sum())
        if day in ends:
            shares = pd.Series({"A": 0.5, "B": 0.25}) * value / closes.loc[day]
            cash = value - float((shares * closes.loc[day]).sum())
    assert strategy.broker.getvalue() == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(("weights", "message"), [
    ({}, "weights are empty"), ({"A": -0.1}, "weight of A: -0.1 is not a fraction >= 0"),
    ({"A": math.nan}, "weight of A: nan is not"), ({"A": 0.6, "B": 0.5}, r"weights sum to 1.1: give at most 1"),
])  # fmt: skip
def test_weights_that_are_none(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_weights(weights)


def test_a_weight_without_a_feed() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 5)), name="A")  # type: ignore[call-arg]
    cerebro.addstrategy(FixedWeights, weights={"A": 0.5, "C": 0.5})
    with pytest.raises(ValueError, match="weights: 'C' has no feed: give some of A"):
        cerebro.run()


# -- benchmarks --------------------------------------------------------------------------------------------------------


def test_a_benchmark_in_text() -> None:
    assert parse_benchmark(" SPY ") == Benchmark("SPY", {"SPY": 1.0})
    assert parse_benchmark("60/40=SPY:0.6, TLT:0.4") == Benchmark("60/40", {"SPY": 0.6, "TLT": 0.4})
    for text in ("", "=SPY:1", "a=", "a=SPY", "a=SPY:x", "a=:0.5"):
        with pytest.raises(ValueError, match=r"is unreadable: give SYMBOL or NAME=SYMBOL:WEIGHT"):
            parse_benchmark(text)
    with pytest.raises(ValueError, match=r"weights sum to 1.2"):
        parse_benchmark("a=SPY:0.6,TLT:0.6")


def test_one_symbol_is_bought_and_held(panel: Panel, result: Backtest) -> None:
    """SPY by hand: bought at the open after the first weights, with slippage and commission, rebalanced by nothing."""
    run, base = result.benchmarks["SPY"], result.base
    assert run.returns.index.equals(base.returns.index)
    bars = panel.frames["SPY"]
    first = base.returns.index[0]
    price = float(bars.loc[first, "open"]) * 1.0002
    fill = run.fills[0]
    assert (fill["date"], fill["price"]) == (first.date(), pytest.approx(price, rel=1e-12))
    last = float(bars["close"].iloc[-1])
    held = sum(one["size"] for one in run.fills)
    assert 0.98 < held * last / run.costs["end"] < 1.02
    assert run.statistics["growth"] == pytest.approx(
        (run.costs["end"] / float(run.value.asof(pd.Timestamp(base.decided[0])))) ** (252 / len(run.returns)) - 1.0,
        rel=1e-12,
    )


def test_a_benchmark_pays_as_the_account_does(result: Backtest) -> None:
    costs = result.benchmarks["60/40"].costs
    assert costs["slippage"] > costs["commission"] > 0.0
    assert len({fill["date"] for fill in result.benchmarks["60/40"].fills}) > 10  # rebalanced


def test_a_symbol_of_a_benchmark_never_narrows_the_panel(panel: Panel) -> None:
    """Its bars may be others': the universe keeps its sessions, and a bar that is missing is no return."""
    other = load("sample", symbols="QQQ", end="2011-12-30")
    holed = align({"QQQ": other.frames["QQQ"].drop(panel.sessions[200])})
    config = make_config(SHORT)
    alone = backtest(panel, config)
    beside = backtest(panel, config, benchmarks=[parse_benchmark("QQQ")], bars=holed)
    assert beside.dynamic.value.equals(alone.dynamic.value)
    assert beside.panel.symbols == panel.symbols
    found = beside.active["QQQ"]
    value = beside.benchmarks["QQQ"].value.reindex(panel.sessions).ffill()
    returns = value.pct_change()[beside.dynamic.returns.index]
    assert found["active_return"] == pytest.approx(
        beside.dynamic.statistics["growth"] - growth(returns.to_numpy()), rel=1e-9
    )


def test_a_benchmark_that_does_not_cover_is_refused(panel: Panel) -> None:
    config = make_config(SHORT)
    late = panel.between("2011-03-01").select(["SPY"])
    with pytest.raises(ValueError, match=r"benchmark SPY has bars from 2011-03-01 .*: give another benchmark"):
        backtest(panel, config, benchmarks=[parse_benchmark("SPY")], bars=late)
    with pytest.raises(ValueError, match="benchmark base is there twice"):
        backtest(panel, config, benchmarks=[parse_benchmark("base=SPY:1")])


def test_later_prices_change_nothing_of_a_benchmark_before(panel: Panel, result: Backtest) -> None:
    day = panel.sessions[300]
    factor = np.where(panel.sessions <= day, 1.0, 1.5)
    frames = {s: bars.mul(factor, axis=0) for s, bars in panel.frames.items()}
    config = make_config(SHORT)
    changed = benchmark_run(parse_benchmark("60/40=SPY:0.6,TLT:0.4"), align(frames), result.base, config, panel.rates)
    before = result.benchmarks["60/40"].value[:day]
    assert changed.value[:day].equals(before)
    assert changed.value.iloc[-1] != result.benchmarks["60/40"].value.iloc[-1]


# -- constant leverage -------------------------------------------------------------------------------------------------


def test_constant_holds_what_dynamic_holds_on_average(panel: Panel, result: Backtest) -> None:
    assert abs(result.constant.mean_leverage - result.dynamic.mean_leverage) <= 0.01
    assert abs(result.base.mean_leverage - result.dynamic.mean_leverage) > 0.05
    aims = result.constant.exposure["target_leverage"].loc[result.constant.first :]
    assert aims.max() - aims.min() < 1e-12
    assert list(result.runs) == ["base", "constant", "dynamic", "SPY", "60/40"]
    assert result.constant.decided == result.base.decided
    assert result.constant.weights.equals(result.base.weights)


def test_what_the_account_cannot_hold_is_said(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    run = constant_leverage(panel, make_config(SHORT | {"initial_margin": 1.0}), 1.5)
    assert run.mean_leverage < 1.1
    assert "constant leverage: " in caplog.text and "1.500 was wanted" in caplog.text


# -- what was done beyond ----------------------------------------------------------------------------------------------


def series(seed: int, n: int = 700) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DatetimeIndex]:
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0004, 0.01, n)
    days = pd.bdate_range("2020-01-01", periods=n)
    bill = risk_free_returns(pd.Series([0.01, 0.04], pd.DatetimeIndex(["2019-01-01", "2021-01-01"])), list(days))
    return 0.7 * market + rng.normal(0.0, 0.004, n), market, bill, days


def test_active_statistics_by_pandas() -> None:
    r, b, bill, days = series(1)
    found = active_statistics(r, b, bill, [day.date() for day in days])
    off = pd.Series(r - b)
    assert found["tracking_error"] == pytest.approx(off.std() * 252**0.5, rel=1e-12)
    assert found["information_ratio"] == pytest.approx(off.mean() / off.std() * 252**0.5, rel=1e-12)
    assert found["active_return"] == pytest.approx(growth(r) - growth(b), rel=1e-12)
    excess, other = pd.Series(r - bill), pd.Series(b - bill)
    assert found["beta"] == pytest.approx(excess.cov(other) / other.var(), rel=1e-12)
    months = (1 + pd.DataFrame({"r": r, "b": b}, days)).resample("ME").prod()
    for name, chosen in (("up_capture", months[months.b > 1]), ("down_capture", months[months.b < 1])):
        grown = chosen.prod() ** (12 / len(chosen)) - 1
        assert found[name] == pytest.approx(grown.r / grown.b, rel=1e-9)


def test_the_benchmark_against_itself() -> None:
    r, _, bill, days = series(2)
    found = active_statistics(r, r, bill, [day.date() for day in days])
    assert (found["active_return"], found["tracking_error"]) == (0.0, 0.0)
    assert math.isnan(found["information_ratio"])
    assert [found[name] for name in ("beta", "up_capture", "down_capture")] == pytest.approx([1.0, 1.0, 1.0])
    assert math.isnan(active_statistics(r, r)["up_capture"])  # without dates there are no months


def test_growth_and_sharpe_are_empyricals_and_quantstats() -> None:
    """The same excess series, the same numbers."""
    empyrical = pytest.importorskip("empyrical")
    quantstats = pytest.importorskip("quantstats")
    for seed in range(20):
        r, _, bill, days = series(seed)
        excess = pd.Series(r - bill, days)
        ours = excess_sharpe(r, bill)
        assert empyrical.sharpe_ratio(excess) == pytest.approx(ours, rel=1e-12)
        assert quantstats.stats.sharpe(excess) == pytest.approx(ours, rel=1e-12)
        assert empyrical.cagr(pd.Series(r, days)) == pytest.approx(growth(r), rel=1e-12)
        years = len(r) / 252  # QuantStats counts calendar days; by sessions it is the same formula
        assert (1 + quantstats.stats.comp(pd.Series(r, days))) ** (1 / years) - 1 == pytest.approx(growth(r), rel=1e-12)


def test_the_bill_of_the_close_before_by_calendar_days() -> None:
    rates = pd.Series([0.02, 0.05], pd.DatetimeIndex(["2024-01-01", "2024-01-08"]))
    days = [pd.Timestamp(day).date() for day in ("2024-01-05", "2024-01-08", "2024-01-09")]
    paid = risk_free_returns(rates, days, pd.Timestamp("2024-01-04").date())
    # Friday: one day; Monday: three days at Friday's rate, whatever Monday's says; Tuesday: Monday's rate.
    assert paid.tolist() == pytest.approx([0.02 / 365, 3 * 0.02 / 365, 0.05 / 365], rel=1e-12)
    assert risk_free_returns(0.0365, days, None).tolist() == pytest.approx([1e-4, 3e-4, 1e-4], rel=1e-12)
    with pytest.raises(ValueError, match="risk_free begins on 2024-01-01, a rate is needed from 2023-12-29"):
        risk_free_returns(rates, days, pd.Timestamp("2023-12-29").date())


# -- breakeven ---------------------------------------------------------------------------------------------------------


def test_breakeven_by_two_runs_one_basis_point_apart(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskoverlay.studies.financing.spreads.STEP", 425)  # in four steps, to be short
    panel = panel.between(None, "2010-12-31").select(["SPY", "TLT"])
    config = make_config(SHORT | {"lev_min": 1.2})
    told: list[int] = []
    found = breakeven(panel, config, advance=told.append)
    assert sum(told) == len(found.tried)
    sides = 0
    for name, spread in found.spreads.items():
        if not isinstance(spread, int):
            continue
        sides += 1
        leads = []
        for one in (spread, spread + 1):
            charged = config | {"borrow_rate": f"irx{one / 1e4:+.4f}"}
            base, dynamic = (simulate(panel, c).statistics[name] for c in (charged | UNLEVERED, charged))
            leads.append(dynamic - base)
        assert (leads[0] > 0.0) != (leads[1] > 0.0)
        # The first change of sign: on every coarser spread below, the sign is that of the lowest.
        below = [lead[name] > 0.0 for at, lead in found.tried.items() if at <= spread]
        assert len(set(below)) == 1
    assert sides
    summary = json.loads(json.dumps(breakeven_summary(found)))
    assert summary["over_bill"] is True
    assert breakeven(panel, config, workers=2) == found


@pytest.mark.parametrize(("drift", "answer"), [(0.002, AHEAD), (-0.001, BEHIND)])
def test_ahead_or_behind_at_every_spread(drift: float, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskoverlay.studies.financing.spreads.STEP", 500)
    rng = np.random.default_rng(0)
    closes = 100 * np.exp(np.cumsum(rng.normal(drift, 0.004, (220, 2)), axis=0))
    market = align({name: frame(closes[:, i]) for i, name in enumerate("AB")})
    found = breakeven(market, make_config(QUICK | {"lev_min": 1.5, "dd_min_scale": 1.0}))
    assert found.spreads["growth"] == answer
    assert found.over_bill is False and min(found.tried) == 0
    assert f"over 0 at which dynamic is worth no more than base, by growth: {answer}" in breakeven_in_words(found)


def test_breakeven_in_words() -> None:
    found = Breakeven(True, {"growth": 236, "excess_sharpe": BEHIND}, {})
    assert breakeven_in_words(found) == (
        "Spread of the loan over the bill at which dynamic is worth no more than base, by growth: 2.36 %; "
        "by Sharpe ratio: behind at every spread."
    )
    assert breakeven_summary(found)["growth"] == 0.0236


# -- on the command line -----------------------------------------------------------------------------------------------


def test_printed_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [text for name, value in SHORT.items() for text in ("--" + name.replace("_", "-"), str(value))]
    more = ["--benchmark", "QQQ", "--benchmark", "60/40=SPY:0.6,TLT:0.4"]
    assert main([*flags, *more, "--csv", "", "--json", "a.json"]) == 0
    out = capsys.readouterr().out
    content = json.loads(Path("a.json").read_text())
    assert list(content["benchmarks"]) == ["QQQ", "60/40"]
    assert list(content["dynamic_beyond"]) == ["base", "constant", "QQQ", "60/40"]
    shown = next(line.split() for line in out.splitlines() if line.startswith("growth a year"))
    assert shown[3::2] == [
        f"{100 * content[name]['growth']:.2f}"
        if name in content
        else f"{100 * content['benchmarks'][name]['growth']:.2f}"
        for name in ("base", "constant", "dynamic", "QQQ", "60/40")
    ]
    timing = content["dynamic"]["growth"] - content["constant"]["growth"]
    assert content["dynamic_beyond"]["constant"]["active_return"] == pytest.approx(timing, abs=1e-12)
    assert f"Timing the leverage {'added' if timing >= 0 else 'took'} {100 * abs(timing):.2f} %" in " ".join(
        out.split()
    )
    assert main([*flags, "--benchmark", "SPY:1", "--csv", "", "--json", ""]) == 2


def test_active_on_a_run_of_its_own(result: Backtest) -> None:
    found = active(result.dynamic, result.base)
    excess = np.asarray(result.dynamic.returns) - np.asarray(result.base.returns)
    assert found["tracking_error"] == pytest.approx(excess.std(ddof=1) * math.sqrt(252), rel=1e-12)
