"""Weights of anybody's: what a rule may be, knows and may give; in the account, its twin, the ladder and the audit."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from riskoverlay.errors import InputError, MissingFileError, StrategyError
from riskoverlay.feeds import Panel, load
from riskoverlay.strategies import Allocation, AllocationRules, LeverageRules, as_rule, open_account
from riskoverlay.strategies.optimizers import NAMED_RULES
from riskoverlay.strategies.paper import paper_backtest
from riskoverlay.strategies.weighting import Known, RememberedRule, checked_weights, decisions_of
from riskoverlay.studies.audit import Candidate, audit
from riskoverlay.studies.cli import main
from riskoverlay.studies.ladder import ladder, rungs_of
from riskoverlay.studies.report import report_html
from riskoverlay.studies.sweep import parse_dimension, sweep
from riskoverlay.studies.sweep.rows import key_of
from riskoverlay.studies.walkforward import trade_plan, walkforward
from riskoverlay.studies.workbench import backtest, make_config, simulate
from riskoverlay.studies.workbench.allocations import _rule, files_of_weights, read_weights, rule_of
from riskoverlay.studies.workbench.twins import Twins, check_twin

SHORT = {"min_hist": 60, "vol_lookback": 20, "borrow_rate": 0.05, "cash_rate": 0.01, "risk_free": 0.0}
NAMES = ("SPY", "TLT", "GLD", "EEM")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", symbols=list(NAMES), end="2011-12-30")


def config_of(weights: str, **more: Any) -> dict[str, Any]:
    return make_config({**SHORT, "weights": weights, "lookback": 60, **more})


def run(panel: Panel, rule: Any, **params: Any) -> Allocation:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    open_account(cerebro)
    cerebro.addstrategy(Allocation, **{"rule": rule, "lookback": 60, "min_hist": 60, **params})
    (strategy,) = cerebro.run()
    return strategy


def first(returns: pd.DataFrame) -> list[float]:
    return [1.0, *[0.0] * (returns.shape[1] - 1)]


# -- what a rule is given ----------------------------------------------------------------------------------------------


def test_a_function_is_given_what_it_asks_for_and_nothing_later(panel: Panel) -> None:
    seen: list[tuple[pd.DataFrame, pd.DataFrame, dt.date, pd.Series]] = []

    def asks(r: pd.DataFrame, prices: pd.DataFrame, date: dt.date, held: pd.Series, part: float = 0.5) -> pd.Series:
        seen.append((r, prices, date, held))
        return pd.Series(part / len(r.columns), r.columns)[::-1]  # by name: the order is nobody's matter

    strategy = run(panel, as_rule(asks, part=0.8))
    assert [date for *_, date, _ in seen] == strategy.rebalances
    closes = panel.closes
    for returns, prices, date, held in seen:
        at = int(closes.index.searchsorted(pd.Timestamp(date)))
        expected = closes.iloc[at - 60 : at + 1]
        assert list(returns.columns) == list(prices.columns) == list(held.index) == list(NAMES)
        assert prices.index[-1] == returns.index[-1] == pd.Timestamp(date)
        np.testing.assert_array_equal(prices, expected)
        np.testing.assert_allclose(returns, expected.pct_change().iloc[1:], rtol=1e-12)
    assert seen[0][3].tolist() == [0.0] * 4
    assert seen[1][3].sum() == pytest.approx(0.8)
    assert np.ptp(seen[1][3]) > 0.0  # it has drifted
    assert strategy.base_weights == [0.2] * 4


@pytest.mark.parametrize("lookback", [40, 100, None])
def test_lookback_is_what_it_says(panel: Panel, lookback: int | None) -> None:
    lengths: list[int] = []

    def counts(returns: pd.DataFrame) -> np.ndarray:
        lengths.append(len(returns))
        return np.full(4, 0.25)

    strategy = run(panel, counts, lookback=lookback)
    known = [int(panel.sessions.searchsorted(pd.Timestamp(day))) for day in strategy.rebalances]
    assert lengths == [min(lookback or 10**6, count) for count in known]


def test_a_feed_that_begins_late_is_weighed_when_it_has_the_history(panel: Panel) -> None:
    late = {**panel.frames, "GLD": panel.frames["GLD"].iloc[200:]}
    cerebro = bt.Cerebro(stdstats=False)
    for feed in Panel(frames=late, source="sample").feeds():
        cerebro.adddata(feed)
    open_account(cerebro)
    names: list[list[str]] = []

    def equal(returns: pd.DataFrame) -> list[float]:
        names.append(list(returns.columns))
        return [1.0 / returns.shape[1]] * returns.shape[1]

    cerebro.addstrategy(Allocation, rule=equal, lookback=60, min_hist=60)
    (strategy,) = cerebro.run()
    begins = panel.sessions[200 + 60].date()
    for day, seen in zip(strategy.rebalances, names, strict=True):
        assert ("GLD" in seen) == (day >= begins)


def test_the_date_is_that_of_the_session_that_decides(panel: Panel) -> None:
    gap = {**panel.frames, "GLD": panel.frames["GLD"].drop(pd.Timestamp("2010-06-30"))}
    cerebro = bt.Cerebro(stdstats=False)
    for feed in Panel(frames=gap, source="sample").feeds():
        cerebro.adddata(feed)
    open_account(cerebro)
    seen: list[tuple[dt.date, pd.Timestamp]] = []

    def equal(returns: pd.DataFrame, date: dt.date) -> list[float]:
        seen.append((date, returns.index[-1]))
        return [1.0 / returns.shape[1]] * returns.shape[1]

    cerebro.addstrategy(Allocation, rule=equal, lookback=60, min_hist=60)
    (strategy,) = cerebro.run()
    assert [date for date, _ in seen] == strategy.rebalances
    assert dt.date(2010, 6, 30) in dict(seen)  # GLD has no bar of that day, and its close of the day before


# -- what it may give --------------------------------------------------------------------------------------------------

BAD: list[tuple[Any, str]] = [
    ([0.5, 0.5], r"weights have shape \(2,\): give 4 numbers, one for each column"),
    ([0.5, 0.5, float("nan"), 0.0], "weight of GLD is nan: give a number; where none is known, 0 is cash"),
    ([0.75] * 4, "weights sum to 3: give at most 1: leverage is the sizer's"),
    ([0.5, -0.1, 0.5, 0.0], "weight of TLT is -0.1: give 0 or more: nothing is sold short"),
    ({"SPY": 1.0, "XXX": 0.0}, "has XXX, which it was not given, for SPY, TLT, GLD, EEM: give a weight for each"),
    ({"SPY": 1.0}, "1 weights, for SPY, TLT, GLD, EEM: give a weight for each column"),
    ("all", "weights are str: give numbers, one for each column"),
]


@pytest.mark.parametrize(("weights", "said"), BAD)
def test_bad_weights_are_refused_with_date_and_cure(panel: Panel, weights: Any, said: str) -> None:
    with pytest.raises(InputError, match=rf"weights of 2010-03-31 of assets 0 to 3, SPY, TLT, GLD, EEM: {said}"):
        run(panel, lambda returns: weights)
    with pytest.raises(InputError, match=said):
        decisions_of(Twins(panel).histories, AllocationRules(min_hist=60), as_rule(lambda returns: weights))


def test_rounding_is_no_leverage() -> None:
    assert checked_weights([0.5, 0.5 + 1e-10], ["A", "B"]).sum() > 1.0
    with pytest.raises(InputError, match="weights sum to 1"):
        checked_weights([0.5, 0.5 + 1e-8], ["A", "B"])


def fails_in_june(returns: pd.DataFrame, date: dt.date) -> list[float]:
    if date.month == 6:
        raise KeyError("June")
    return [0.25 + 0.01 * date.month / 12, 0.25, 0.25, 0.2]


def test_a_rule_that_raises_stops_the_run_or_is_counted(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    said = r"weights of 2010-06-30 of .*: fails_in_june raises KeyError: 'June': correct it, or give on_error=hold"
    with pytest.raises(StrategyError, match=said) as caught:
        run(panel, fails_in_june)
    assert isinstance(caught.value.__cause__, KeyError)
    strategy = run(panel, fails_in_june, on_error="hold")
    assert strategy.failed == [dt.date(2010, 6, 30), dt.date(2011, 6, 30)]
    assert not {day.month for day in strategy.rebalances} & {6}
    assert "2010-06-30" in caplog.text
    assert "the last weights are kept" in caplog.text
    rules = AllocationRules(min_hist=60, on_error="hold")
    sessions, _ = decisions_of(Twins(panel).histories, rules, as_rule(fails_in_june))
    assert [panel.sessions[t].date() for t in sessions] == strategy.rebalances


@pytest.mark.parametrize(
    ("rule", "arguments", "said"),
    [
        (None, {}, "rule=None is no rule of weights"),
        (int, {}, "is no rule of weights"),
        (first, {"n": 1}, "n=1 is no argument of first: it has none"),
        (lambda returns, n, k=1: None, {}, "needs n: give it a value, or ask for returns, prices, date, held"),
        (lambda returns, n, k=1: None, {"m": 2}, "m=2 is no argument of .*: give some of n, k"),
        ({"SPY": 0.8, "TLT": 0.4}, {}, "weights sum to 1.2"),
        ({}, {}, "weights are empty"),
        (pd.DataFrame({"SPY": [0.5]}, ["x"]), {}, "an index that is no dates"),
        (pd.DataFrame({"SPY": [0.5, 0.5]}, pd.DatetimeIndex(["2011-01-03", "2010-01-04"])), {}, "unsorted"),
        (pd.DataFrame({"SPY": [1.5]}, pd.DatetimeIndex(["2011-01-03"])), {}, "weights of 2011-01-03: .*sum to 1.5"),
    ],
)
def test_what_is_no_rule_is_refused(rule: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_rule(rule, **arguments)


def test_a_symbol_without_a_feed_is_refused(panel: Panel) -> None:
    with pytest.raises(InputError, match="weights: 'QQQ' has no feed: give some of SPY, TLT, GLD, EEM"):
        run(panel, {"QQQ": 1.0})
    with pytest.raises(InputError, match="weights: 'QQQ' has no feed"):
        Twins(panel).run(config_of("QQQ:1"))
    with pytest.raises(InputError, match="rule is missing"):
        run(panel, None)


# -- fixed and dated ---------------------------------------------------------------------------------------------------


def test_fixed_weights_need_a_price_only_and_the_rest_is_cash(panel: Panel) -> None:
    strategy = run(panel, {"SPY": 0.5, "GLD": 0.2})
    assert strategy.rebalances[0] == dt.date(2010, 1, 29)
    assert strategy.base_weights == [0.5, 0.0, 0.2, 0.0]


def test_dated_weights_replace_the_schedule(panel: Panel) -> None:
    days = pd.DatetimeIndex(["2009-11-30", "2009-12-31", "2010-07-03", "2010-07-07", "2011-03-31"])
    table = pd.DataFrame({"SPY": [0.1, 0.2, 0.3, 0.4, 0.5], "TLT": [0.5] * 5}, days)
    strategy = run(panel, table)
    # What is in force before the first bar, a Saturday at the next session's close, and two at their own.
    assert [str(day) for day in strategy.rebalances] == ["2010-01-04", "2010-07-06", "2010-07-07", "2011-03-31"]
    twin = decisions_of(Twins(panel).histories, AllocationRules(), as_rule(table))
    assert [panel.sessions[t].date() for t in twin[0]] == strategy.rebalances
    assert twin[1][:, 0].tolist() == [0.2, 0.3, 0.4, 0.5]


def test_a_runs_own_weights_give_the_run_again(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--symbols", ",".join(NAMES), "--end", "2011-12-30", "--min-hist", "60", "--csv", "", "--quiet"]
    assert main(["backtest", *flags, "--cov-lookback", "60", "--weights-csv", "w.csv", "--json", "a.json"]) == 0
    assert main(["backtest", *flags, "--weights", "w.csv", "--json", "b.json"]) == 0
    one, two = (json.loads(Path(name).read_text()) for name in ("a.json", "b.json"))
    for portfolio in ("base", "constant", "dynamic"):
        assert one[portfolio] == two[portfolio]
    assert list(two["files"]) == ["w.csv"]
    assert "files" not in one
    config = make_config({"min_hist": 60, "cov_lookback": 60, "borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0})
    again = {**config, "weights": "w.csv"}
    assert simulate(panel, config).fills == simulate(panel, again).fills
    assert len(read_weights("w.csv")) == 22


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("date,SPY\n2010-01-04,half\n", "bad.csv is no table of weights"),
        ("date,SPY\n4 January,1\n", "bad.csv is no table of weights"),
        ("date,SPY\n2010-01-04,\n", "weights of 2010-01-04: weight of SPY: nan is not a fraction"),
        ("", "bad.csv is no table of weights"),
        ("date,SPY\n2010-01-04,2\n", "weights sum to 2"),
    ],
)
def test_a_bad_table_is_refused(content: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text(content)
    with pytest.raises(InputError, match=said):
        rule_of("bad.csv")
    with pytest.raises(MissingFileError, match=r"none.csv does not exist"):
        rule_of("none.csv")


# -- by name -----------------------------------------------------------------------------------------------------------


def known_of(panel: Panel) -> Known:
    return Known(panel.sessions[-1].date(), panel.closes.to_numpy()[-253:], panel.sessions[-253:].date, NAMES)


def test_named_rules_are_what_they_say(panel: Panel) -> None:
    known = known_of(panel)
    returns = known.returns
    sigma, cov = returns.std(ddof=1), returns.cov().to_numpy()
    found = {name: np.asarray(as_rule(NAMED_RULES[name])(known)) for name in list(NAMED_RULES)[:5]}
    for weights in found.values():
        assert weights.sum() == pytest.approx(1.0)
    assert found["equal"].tolist() == [0.25] * 4
    np.testing.assert_allclose(found["inverse_volatility"], (1 / sigma) / (1 / sigma).sum(), rtol=1e-12)
    shares = found["risk_parity"] * (cov @ found["risk_parity"])
    np.testing.assert_allclose(shares / shares.sum(), 0.25, rtol=1e-9)
    # At least variance every asset held has the same marginal variance, and no other has less (Kuhn-Tucker).
    slope = cov @ found["min_variance"]
    held = found["min_variance"] > 0
    np.testing.assert_allclose(slope[held], slope[held].mean(), rtol=1e-9)
    assert (slope[~held] >= slope[held].mean() * (1 - 1e-9)).all()
    # Of most diversification, the same correlation with the portfolio (Choueifaty, Coignard 2008, the core property).
    w = found["max_diversification"]
    with_it = (cov @ w) / np.sqrt(w @ cov @ w) / sigma.to_numpy()
    np.testing.assert_allclose(with_it[w > 0], with_it[w > 0].mean(), rtol=1e-9)
    assert (with_it[w == 0] >= with_it[w > 0].mean() * (1 - 1e-9)).all()


def test_arguments_of_named_rules_count(panel: Panel) -> None:
    known = known_of(panel)
    budgets = {"SPY": 1.0, "TLT": 2.0, "GLD": 3.0, "EEM": 4.0}
    w = np.asarray(as_rule(NAMED_RULES["risk_parity"], budgets=budgets)(known))
    shares = w * (known.returns.cov().to_numpy() @ w)
    np.testing.assert_allclose(shares / shares.sum(), [0.1, 0.2, 0.3, 0.4], rtol=1e-9)
    with pytest.raises(InputError, match="budgets have none for TLT, GLD, EEM"):
        as_rule(NAMED_RULES["risk_parity"], budgets={"SPY": 1.0})(known)
    for name in ("risk_parity", "min_variance", "max_diversification"):
        plain, shrunk = (rule_of(f"{name}:shrink_alpha={alpha}")(known) for alpha in (0.0, 1.0))
        assert not np.allclose(plain, shrunk)
    inverse = 1.0 / known.returns.var(ddof=1).to_numpy()
    np.testing.assert_allclose(rule_of("min_variance:shrink_alpha=1.0")(known), inverse / inverse.sum(), rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "weights='nothing' is no rule of weights: give a name such as risk_parity"),
        ("SPY:x", "is no rule of weights"),
        ("SPY:0.5,SPY:0.5", "weights have SPY twice"),
        ("equal:n=1", "n=1 is no argument of equal: it has none"),
        ("risk_parity:budgets=", "arguments 'budgets=' are not readable"),
    ],
)
def test_text_that_is_no_rule_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rule_of(text)


# -- optimizers of others ----------------------------------------------------------------------------------------------

OTHERS = (
    "skfolio:model='MeanRisk'",
    "hrp",
    "skfolio:model='RiskBudgeting'",
    "skfolio:model='MaximumDiversification'",
    "skfolio:model='NestedClustersOptimization'",
    "skfolio:model='InverseVolatility'",
    "skfolio:model='EqualWeighted'",
    "pyportfolioopt",
    "pyportfolioopt:model='HRPOpt'",
    "riskfolio",
)


@pytest.mark.long
def test_optimizers_of_others_agree_with_ours(panel: Panel) -> None:
    pytest.importorskip("skfolio", reason="the extra `optimizers` is not installed")
    known = known_of(panel)
    for theirs, ours, apart in (
        ("skfolio:model='MeanRisk'", "min_variance", 2e-3),
        ("pyportfolioopt", "min_variance", 2e-3),
        ("skfolio:model='RiskBudgeting'", "risk_parity", 2e-3),
        ("riskfolio", "risk_parity", 2e-3),
        ("skfolio:model='MaximumDiversification'", "max_diversification", 2e-3),
        ("skfolio:model='InverseVolatility'", "inverse_volatility", 1e-9),
        ("skfolio:model='EqualWeighted'", "equal", 1e-12),
    ):
        np.testing.assert_allclose(rule_of(theirs)(known), rule_of(ours)(known), atol=apart, err_msg=theirs)
    assert rule_of("hrp")(known).sum() == pytest.approx(1.0)
    with pytest.raises(InputError, match="model='Nothing' is not in skfolio: give a name that is"):
        rule_of("skfolio:model='Nothing'")(known)


def test_an_estimator_is_copied_and_fitted(panel: Panel) -> None:
    class Fits:
        fitted = 0

        def fit(self, X: pd.DataFrame) -> Fits:
            self.fitted += 1
            self.weights_ = np.array([0.5, 0.5 + 1e-8, -1e-9, 0.0]) if self.fitted == 1 else np.full(4, np.nan)
            return self

    estimator = Fits()
    strategy = run(panel, estimator)
    assert estimator.fitted == 0
    assert strategy.base_weights is not None
    assert sum(strategy.base_weights) == pytest.approx(1.0, abs=1e-15)
    assert min(strategy.base_weights) == 0.0


def array_is_cerebro(panel: Panel, weights: str, **more: Any) -> None:
    """Arrays without costs, and an account without costs that is re-weighted every session, on each day."""
    free = {
        "borrow_rate": 0.0, "cash_rate": 0.0, "commission_bps": 0.0, "slippage_bps": 0.0, "whole_shares": False,
        "execution": "close", "drift": "daily", "lev_band": 0.0, "initial_margin": 1e-6, "maintenance_margin": 1e-6,
    }  # fmt: skip
    config = make_config({**SHORT, **free, "weights": weights, **more})
    paper = paper_backtest(
        panel.closes,
        AllocationRules.of(config),
        LeverageRules.of(config),
        rule=rule_of(weights),
        portfolio_returns="simple",
        look_ahead=False,
    )
    run = simulate(panel, config)
    np.testing.assert_allclose(run.returns.to_numpy()[-len(paper.dynamic_returns) :], paper.dynamic_returns, atol=1e-9)
    assert len(run.returns) == len(paper.dynamic_returns) > 100
    check_twin(panel, config, run)


@pytest.mark.parametrize("weights", ["equal", "min_variance", "SPY:0.6,TLT:0.3"])
def test_array_form_is_cerebro_without_costs(panel: Panel, weights: str) -> None:
    array_is_cerebro(panel, weights)


@pytest.mark.long
@pytest.mark.parametrize("weights", [*OTHERS, "risk_parity", "max_diversification", "inverse_volatility"])
@pytest.mark.parametrize("source", ["sample", "real"])
def test_array_form_is_cerebro_without_costs_for_every_optimizer(
    source: str, weights: str, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("skfolio", reason="the extra `optimizers` is not installed")
    where = {"data_dir": request.getfixturevalue("market"), "prices": "adjusted"} if source == "real" else {}
    whole = load("csv" if where else "sample", end="2025-12-04", **where)
    array_is_cerebro(whole, weights, min_hist=252)


# -- the account's twin, sweep, walk-forward, ladder, page, audit ------------------------------------------------------


@pytest.mark.parametrize("weights", ["risk_parity", "SPY:0.5,GLD:0.2"])
def test_the_twin_runs_any_rule(panel: Panel, weights: str) -> None:
    config = config_of(weights, drift="daily")
    found = check_twin(panel, config, simulate(panel, config))
    assert found["value"] == found["fills"] == 0.0
    assert max(found.values()) < 1e-14


def test_what_only_an_account_knows_the_twin_refuses(panel: Panel, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def keeps(returns, held):\n    return held if held.sum() else 0.25 + 0 * held\n")
    config = config_of(f"{mine}:keeps")
    assert len(simulate(panel, config).decided) == 22
    with pytest.raises(InputError, match=r"asks for `held` needs the account.*: give --engine cerebro"):
        Twins(panel).run(config)


def test_a_sweep_and_a_walk_forward_of_another_rule(panel: Panel) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    config = config_of("inverse_volatility")
    dimensions = [parse_dimension("lookback=40,60"), parse_dimension("target_vol=0.1,0.2")]
    result = sweep(panel, config, dimensions)
    assert len(result.good) == 4
    assert len({one.returns.tobytes() for one in result.good}) == 4
    assert set(result.checked.values()) == {0.0}
    by_rule = sweep(panel, config, [parse_dimension("weights=equal,min_variance,blend")])
    assert len({one.returns.tobytes() for one in by_rule.good}) == 3
    walk = walkforward(panel, config, dimensions, train=6, test=3)
    assert len(walk.account.returns) > 100


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"weights": "equal", "cov_lookback": 60}, "cov_lookback is for the blend, and weights=equal: leave it out"),
        ({"lookback": 60}, "lookback is for rules of weights other than the blend, and weights=blend: leave it out"),
        ({"on_error": "hold"}, "on_error is for rules of weights other than the blend"),
    ],
)
def test_parameters_of_another_rule_are_refused(
    values: dict[str, Any], said: str, panel: Panel, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=said):
        make_config(values)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    assert main(["backtest", *flags, "--csv", "", "--json", ""]) == 2
    assert said in capsys.readouterr().err
    grids = [parse_dimension(f"{name}={value}") for name, value in values.items() if name != "weights"]
    with pytest.raises(InputError, match=said):
        sweep(panel, make_config({"weights": values.get("weights", "blend")}), grids)


def test_the_ladder_of_another_rule(panel: Panel) -> None:
    config = config_of("min_variance")
    climbed = ladder(panel, config, workers=1)
    ids = [step.rung.id for step in climbed.steps]
    assert ids == [rung.id for rung in rungs_of(config)]
    assert ids[:4] == ["paper", "simple_returns", "no_look_ahead", "event_driven"]
    last = climbed.steps[-1]
    result = backtest(panel, config)
    assert last.legs["dynamic"].statistics == result.dynamic.statistics
    assert last.legs["base"].statistics == result.base.statistics
    here, before = climbed.steps[3].legs["dynamic"], climbed.steps[2].legs["dynamic"]
    np.testing.assert_allclose(here.returns, before.returns, atol=1e-12)
    ahead = climbed.steps[1].legs["dynamic"].statistics["excess_sharpe"]
    assert ahead != before.statistics["excess_sharpe"]


@pytest.mark.parametrize("weights", ["SPY:0.6,TLT:0.4", "inverse_volatility"])
def test_the_page_of_another_rule(panel: Panel, weights: str) -> None:
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    page = report_html(backtest(panel, config_of(weights)))
    assert weights in page
    assert not re.search(r"\bnan\b(?! \()", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), re.IGNORECASE)


def test_the_audit_clears_a_rule_that_looks_at_the_last_return_only(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def last(returns, prices):\n"
        "    return np.eye(returns.shape[1])[int(np.argmax(returns.to_numpy()[-1]))]\n"
    )
    clean = audit(Candidate(config_of(f"{tmp_path / 'mine.py'}:last")), panel, cuts=8)
    assert clean.clean
    assert clean.orders > 50


def test_the_audit_finds_a_rule_that_has_the_future(panel: Panel) -> None:
    class Peeks:
        """A setup whose rule has the closes of the panel it was made with."""

        files = ()

        def __call__(self, cerebro: bt.Cerebro) -> None:
            closes = pd.DataFrame({data._name: data.p.dataname["close"] for data in cerebro.datas})
            ahead = closes.pct_change(fill_method=None).shift(-1)

            def rule(returns: pd.DataFrame) -> np.ndarray:
                row = ahead.reindex(returns.index[-1:]).fillna(0.0).to_numpy()[0]
                return np.eye(returns.shape[1])[int(np.argmax(row))]

            open_account(cerebro)
            cerebro.addstrategy(Allocation, rule=rule, lookback=20, min_hist=20, rebalance_freq="QE")

    result = audit(Peeks(), panel.between("2010-04-15", "2010-07-30"), feeds=raw_feeds, cuts=2)
    assert not result.clean
    assert result.findings[0].kind == "look-ahead"


@pytest.mark.long
@pytest.mark.parametrize("weights", OTHERS)
def test_the_audit_clears_optimizers(weights: str) -> None:
    pytest.importorskip("skfolio", reason="the extra `optimizers` is not installed")
    cuts = 50 if weights in ("hrp", "pyportfolioopt", "skfolio:model='MaximumDiversification'") else 6
    whole = load("sample", end="2012-12-31")
    result = audit(Candidate(make_config({**SHORT, "min_hist": 252, "weights": weights})), whole, cuts=cuts, workers=2)
    assert result.clean, result.findings[:1]
    assert len(result.cuts) == cuts
    assert result.orders > 100


def raw_feeds(panel: Panel) -> list[Any]:
    return [bt.feeds.PandasData(dataname=frame, name=name) for name, frame in panel.frames.items()]


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_another_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(name: str, power: int, weight: float) -> str:
        """As a process sees it that begins in a folder of this name."""
        folder = tmp_path / name
        folder.mkdir()
        (folder / "helper_of_mine.py").write_text(f"POWER = {power}\n")
        (folder / "mine.py").write_text(f"from helper_of_mine import POWER\ndef rule(returns):\n    return {weight}\n")
        monkeypatch.chdir(folder)
        sys.modules.pop("helper_of_mine", None)
        _rule.cache_clear()
        config = make_config({"weights": "mine.py:rule", "borrow_rate": 0.0, "cash_rate": 0.0, "risk_free": 0.0})
        assert set(files_of_weights("mine.py:rule")) == {"mine.py", "helper_of_mine.py"}
        return key_of(config)

    keys = [key("one", 1, 1.0), key("again", 1, 1.0), key("helper", 2, 1.0), key("file", 2, 0.5)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    table = tmp_path / "w.csv"
    table.write_text("date,SPY\n2010-01-04,1.0\n")
    one = key_of(make_config({"weights": str(table)}))
    table.write_text("date,SPY\n2010-01-04,0.9\n")
    assert key_of(make_config({"weights": str(table)})) != one


def test_a_cluster_has_no_file_of_mine(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def rule(returns):\n    return 0.25 + 0 * returns.mean()\n")
    with pytest.raises(InputError, match=r"needs mine.py, which a cluster does not have: run it without --dask"):
        sweep(panel, config_of(f"{tmp_path / 'mine.py'}:rule"), [parse_dimension("lookback=40,60")], dask="tcp://x:1")


@pytest.mark.parametrize(
    ("body", "name", "said"),
    [
        ("def f(returns):\n    return [1]\n", "g", "mine.py: there is no g: give one of f"),
        ("raise ValueError('no')\n", "g", r"mine.py does not run \(ValueError: no\): correct it"),
        ("g = 7\n", "g", "rule=7 is no rule of weights"),
    ],
)
def test_a_bad_file_is_refused(body: str, name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(body)
    with pytest.raises(InputError, match=said):
        rule_of(f"{tmp_path / 'mine.py'}:{name}")


def test_a_class_of_a_file_is_made_with_its_arguments(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nclass Half:\n    def __init__(self, part=1.0):\n        self.part = part\n"
        "    def fit(self, X):\n        self.weights_ = np.full(X.shape[1], self.part / X.shape[1])\n"
        "        return self\n"
    )
    run = simulate(panel, config_of(f"{tmp_path / 'mine.py'}:Half:part=0.4"))
    assert run.weights.iloc[-1].tolist() == pytest.approx([0.1] * 4)


# -- arguments of a rule as dimensions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("rule.shrink_alpha=0.0,0.5", (0.0, 0.5)),
        ("rule.n=1:3", (1, 2, 3)),
        ("rule.n=1:2:0.5", (1.0, 1.5, 2.0)),
        ("rule.kind='a',b,None", ("a", "b", None)),
    ],
)
def test_dimensions_of_a_rule(text: str, values: tuple[Any, ...]) -> None:
    dimension = parse_dimension(text)
    assert dimension.values == values
    assert [type(one) for one in dimension.values] == [type(one) for one in values]
    assert dimension.numeric == all(isinstance(one, (int, float)) for one in values)


def test_a_range_of_a_rule_can_be_drawn_from(panel: Panel) -> None:
    dimension = parse_dimension("rule.shrink_alpha=0.0:1.0")
    assert (dimension.values, dimension.low, dimension.high) == (None, 0.0, 1.0)
    result = sweep(panel, config_of("min_variance"), [dimension], trials=4)
    assert len({one.params["rule.shrink_alpha"] for one in result.good}) == 4
    assert len({one.returns.tobytes() for one in result.good}) == 4


def test_arguments_of_a_rule_are_tried_and_kept(panel: Panel, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra `sweep` is not installed")
    config = config_of("min_variance:shrink_alpha=0.9")
    dimensions = [parse_dimension("rule.shrink_alpha=0.0,0.5"), parse_dimension("target_vol=0.1,0.2")]
    storage = str(tmp_path / "sweep.db")
    first = sweep(panel, config, dimensions, storage=storage)
    assert {first.config_of(one)["weights"] for one in first.good} == {
        "min_variance:shrink_alpha=0.0", "min_variance:shrink_alpha=0.5"
    }  # fmt: skip
    one = simulate(panel, config_of("min_variance:shrink_alpha=0.5", target_vol=0.2))
    np.testing.assert_array_equal(first.tries[3].returns, one.returns)
    again = sweep(panel, config, dimensions, storage=storage)
    assert [two.returns.tobytes() for two in again.tries] == [two.returns.tobytes() for two in first.tries]
    with pytest.raises(InputError, match=r"rule.n: weights=SPY:1 take no arguments"):
        sweep(panel, config_of("SPY:1"), [parse_dimension("rule.n=1,2")])
    bad = sweep(panel, config, [parse_dimension("rule.shrink_alpha=0.5,2.0")])
    assert "shrink_alpha=2.0 is outside" in bad.tries[1].reason


def test_a_walk_forward_changes_the_rule_of_its_account(panel: Panel) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    with pytest.raises(InputError, match="the blend is another strategy than the rest"):
        walkforward(panel, config_of("equal"), [parse_dimension("weights=equal,blend")], train=6, test=3)
    begin = panel.sessions[200]
    first, second = {"weights": "equal"}, {"weights": "min_variance"}
    config = config_of("equal")
    whole = trade_plan(panel, config, [(begin, first), (panel.sessions[320], second)]).returns
    only = trade_plan(panel, config, [(begin, first)]).returns
    change = panel.sessions[321:].intersection(whole.index)
    rebalanced = next(day for day in simulate(panel, config).decided if day >= panel.sessions[320].date())
    until = whole.index <= pd.Timestamp(rebalanced)
    np.testing.assert_array_equal(whole[until], only[until])
    assert not np.array_equal(whole[change], only[change])


def test_a_rule_that_is_refused_changes_nothing(panel: Panel) -> None:
    strategy = run(panel, {"SPY": 1.0})
    kept = strategy.rule
    with pytest.raises(InputError, match="'QQQ' has no feed"):
        strategy.reconfigure(rule={"QQQ": 1.0})
    with pytest.raises(InputError, match="lookback"):
        strategy.reconfigure(rule={"TLT": 1.0}, lookback=1)
    assert strategy.rule is kept
    strategy.reconfigure(rule={"TLT": 1.0})
    assert strategy.rule.symbols == ("TLT",)


# -- asked once --------------------------------------------------------------------------------------------------------

COUNTS = """
import numpy as np
asked = []
def rule(returns, date):
    asked.append(date)
    return np.full(returns.shape[1], 0.2)
def moody(returns):
    asked.append(None)
    return np.full(returns.shape[1], 0.2 - 1e-3 * (len(asked) % 7))
"""


def test_a_rule_is_asked_once_for_the_same_closes(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "counts.py").write_text(COUNTS)
    config = config_of(f"{tmp_path / 'counts.py'}:rule")
    asked = rule_of(config["weights"]).rule.function.__globals__["asked"]  # type: ignore[attr-defined]
    result = backtest(panel, config)
    assert asked == result.base.decided == result.dynamic.decided
    Twins(panel).run(config)
    ladder(panel, config, workers=1)
    labels = {*panel.closes.resample("ME").last().index.date}  # the look-ahead form asks on others
    assert len(asked) <= len(result.base.decided) + len(labels)
    before = len(asked)
    simulate(panel, {**config, "lookback": 50})
    assert len(asked) == before + len(result.base.decided)


def test_the_audit_asks_again(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "moody.py").write_text(COUNTS)
    found = audit(Candidate(config_of(f"{tmp_path / 'moody.py'}:moody")), panel, cuts=2)
    assert [finding.kind for finding in found.findings] == ["repeat"]


def test_what_is_remembered_is_what_was_known(panel: Panel) -> None:
    known = known_of(panel)
    calls: list[tuple[str, ...]] = []

    def first_of(returns: pd.DataFrame) -> np.ndarray:
        calls.append(tuple(returns.columns))
        return np.eye(returns.shape[1])[0]

    remembered = RememberedRule(as_rule(first_of), most=2)
    once = remembered(known)
    once[0] = 7.0
    assert remembered(known)[0] == 1.0
    others = [
        replace(known, names=NAMES[::-1]),
        replace(known, closes=known.closes * (1.0 + 1e-15)),
        replace(known, days=panel.sessions[-254:-1].date),
    ]
    for other in others:
        remembered(other)
    assert len(calls) == 4
    remembered(known)  # the oldest went first
    assert len(calls) == 5

    def by_account(returns: pd.DataFrame, held: pd.Series) -> pd.Series:
        calls.append(())
        return held

    asks = RememberedRule(as_rule(by_account))
    held = replace(known, holds=lambda: np.full(4, 0.25))
    assert asks(held).tolist() == asks(held).tolist() == [0.25] * 4
    assert len(calls) == 7

    def fails(returns: pd.DataFrame) -> None:
        calls.append(())
        raise ZeroDivisionError

    failing = RememberedRule(as_rule(fails))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failing(known)
    assert len(calls) == 9
