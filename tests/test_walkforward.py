"""Walk-forward: windows, choices that no later price can change, and one account whose parameters change."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskoverlay.analyzers import summary
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.cli import main, make_parser
from riskoverlay.studies.sweep.space import draw, parse_dimension
from riskoverlay.studies.walkforward import (
    Walk,
    choose,
    trade_plan,
    walk_frame,
    walk_in_words,
    walk_summary,
    walkforward,
    windows,
)
from riskoverlay.studies.workbench.parameters import Config, make_config
from riskoverlay.studies.workbench.runs import simulate

QUICK = {"cov_lookback": 40, "min_hist": 40, "vol_lookback": 10}
SYMBOLS = ["SPY", "TLT", "GLD"]
END = "2012-03-31"
GRID = ("target_vol=0.05,0.20", "cov_lookback=20,40")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", symbols=SYMBOLS, end=END)


@pytest.fixture(scope="module")
def config() -> Config:
    return make_config(QUICK)


# -- windows and choices -----------------------------------------------------------------------------------------------


def spans(**flags: Any) -> list[tuple[str, str, str]]:
    sessions = pd.bdate_range("2020-01-15", "2021-03-10")
    found = windows(sessions, **flags)
    return [tuple(f"{sessions[i]:%m-%d}" for i in (w.train, w.begin, w.end - 1)) for w in found]  # type: ignore[misc]


def test_windows_follow_one_another_and_the_last_may_be_short() -> None:
    assert spans(train=6, test=4) == [
        ("01-15", "07-01", "10-30"),
        ("05-01", "11-02", "02-26"),
        ("09-01", "03-01", "03-10"),
    ]
    assert [start for start, _, _ in spans(train=6, test=4, expanding=True)] == ["01-15"] * 3
    assert spans(train=14, test=1) == [("01-15", "03-01", "03-10")]


def test_windows_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"train=15 months leave nothing to trade from 2020-01-15 .*: give fewer"):
        spans(train=15, test=1)
    with pytest.raises(ValueError, match=r"test=0 is not a number of months: give"):
        spans(train=3, test=0)
    with pytest.raises(ValueError, match=r"train=0 is not a number of months: give"):
        spans(train=0, test=1)


def test_a_choice_looks_at_its_window_only_and_at_its_criterion() -> None:
    sessions = pd.bdate_range("2020-01-01", periods=200)
    window = windows(sessions, train=2, test=1)[1]
    returns = 0.01 * np.random.default_rng(0).standard_normal((200, 3))
    inside = slice(window.train, window.begin)
    returns[inside, 1] = 0.002 + 0.001 * np.resize([1, -1], window.begin - window.train)  # calm
    returns[inside, 2] = 0.004 + 0.03 * np.resize([1, -1], window.begin - window.train)  # earns more
    assert choose(returns, window) == 1
    assert choose(returns, window, "growth") == 2
    changed = returns.copy()
    changed[window.begin :] = [9.0, -0.5, -0.5]
    changed[: window.train] = [9.0, -0.5, -0.5]
    assert choose(changed, window) == 1
    changed[window.begin - 1] = [0.5, -0.5, -0.5]  # the last session that may be looked at
    assert choose(changed, window) == 0


# -- one account -------------------------------------------------------------------------------------------------------


def test_a_plan_of_one_is_the_backtest(panel: Panel, config: Config) -> None:
    """The oracle: the account of a walk-forward is the one of `simulate`, to the last bit."""
    plain = simulate(panel, config)
    account = trade_plan(panel, config, [(panel.sessions[0], {})])
    assert np.array_equal(account.returns[-len(plain.returns) :], plain.returns)
    assert account.costs["commission"] == plain.costs["commission"]
    given = trade_plan(panel, make_config(), [(panel.sessions[0], QUICK)])
    assert np.array_equal(given.returns, account.returns)


def test_a_change_to_the_same_changes_nothing(panel: Panel, config: Config) -> None:
    config = {**config, "rebalance_freq": "2ME"}  # periods go on counting
    plain = trade_plan(panel, config, [(panel.sessions[0], {})])
    again = trade_plan(panel, config, [(panel.sessions[0], {}), (panel.sessions[150], {}), (panel.sessions[201], {})])
    assert np.array_equal(again.returns, plain.returns)


@pytest.mark.parametrize(
    "change",
    [
        {"target_vol": 0.3}, {"vol_lookback": 5}, {"cov_lookback": 20}, {"cov_lookback": 120},
        {"rebalance_freq": "W-FRI"}, {"alpha_minvar": 1.0}, {"lev_max": 0.5}, {"shrinkage": "ledoit_wolf"},
    ],
)  # fmt: skip
def test_a_change_acts_from_its_close_on_and_not_before(panel: Panel, config: Config, change: dict[str, Any]) -> None:
    day = panel.sessions[271]  # 2011-01-31: a rebalance session
    plain = trade_plan(panel, config, [(panel.sessions[0], {})]).returns
    changed = trade_plan(panel, config, [(panel.sessions[0], {}), (day, change)]).returns
    assert np.array_equal(changed[:day], plain[:day])
    assert not np.array_equal(changed[day:], plain[day:])


def test_after_the_change_weights_and_volatility_are_those_of_the_new_parameters(panel: Panel, config: Config) -> None:
    """Where drift, band and rounding are taken away, an account forgets which parameters it had before."""
    free = {**config, "drift": "daily", "lev_band": 0.0, "whole_shares": False, "execution": "close",
            "commission_bps": 0.0, "slippage_bps": 0.0, "borrow_rate": 0.0, "dd_min_scale": 1.0}  # fmt: skip
    new = {"target_vol": 0.07, "vol_lookback": 15, "cov_lookback": 60, "min_hist": 60}
    changed = trade_plan(panel, free, [(panel.sessions[0], {}), (panel.sessions[271], new)]).returns
    new_all_along = simulate(panel, {**free, **new}).returns
    after = panel.sessions[271 + 15 + 2]  # until then the volatility remembers returns of the old weights
    np.testing.assert_allclose(changed[after:], new_all_along[after:], rtol=0, atol=1e-12)


def test_the_account_begins_at_its_first_window_knowing_its_volatility(panel: Panel, config: Config) -> None:
    for position in (271, 280):  # on a rebalance session, and between two
        day = panel.sessions[position]
        returns = trade_plan(panel, config, [(day, {"target_vol": 0.04})]).returns
        assert returns.index[0] == panel.sessions[position + 1]
        assert returns.iloc[1] != 0.0
        year = returns.iloc[:60].std(ddof=0) * np.sqrt(252)
        assert year < 0.07  # not the leverage of 1 of a portfolio whose volatility is unknown


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def walk(panel: Panel, config: Config) -> Walk:
    return walkforward(panel, config, [parse_dimension(text) for text in GRID], train=9, test=4)


def test_pieces_are_joined_through_one_account(panel: Panel, config: Config, walk: Walk) -> None:
    sessions = walk.sweep.sessions
    plan = [(sessions[w.begin - 1], walk.sweep.good[c].params) for w, c in zip(walk.windows, walk.choices, strict=True)]
    account = trade_plan(panel, config, plan)
    assert np.array_equal(walk.account.returns, account.returns)
    assert walk.account.returns.index.equals(sessions[walk.windows[0].begin :])
    assert walk.account.costs["commission"] > 0.0
    assert walk.choices == tuple(choose(walk.sweep.scored, window) for window in walk.windows)
    assert len(set(walk.choices)) > 1


def test_legs_are_on_the_same_sessions(panel: Panel, config: Config, walk: Walk) -> None:
    m = len(walk.account.returns)
    winner = simulate(panel, walk.sweep.config_of(walk.sweep.good[walk.winner])).returns
    legs = walk.legs
    assert legs["in_sample_winner"] == summary(winner[-m:])
    assert legs["in_sample_winner"]["excess_sharpe"] == max(
        summary(r[-m:])["excess_sharpe"] for r in walk.sweep.returns.T
    )
    assert abs(walk.constant.mean_leverage - walk.account.mean_leverage) <= 0.01
    assert walk.constant.returns.index.equals(walk.account.returns.index)
    assert legs["constant"] == summary(walk.constant.returns)
    assert legs["unchosen"] == summary(simulate(panel, config).returns[-m:])


def test_later_prices_cannot_change_earlier_choices_or_returns(panel: Panel, config: Config, walk: Walk) -> None:
    begin = walk.windows[1].begin
    day = walk.sweep.sessions[begin]  # everything from the first session of the second window on
    draw = np.random.default_rng(1)
    frames = {}
    for symbol, bars in panel.frames.items():
        later = bars.index >= day
        factor = np.where(later, np.exp(np.cumsum(0.02 * later * draw.standard_normal(len(bars)))), 1.0)
        frames[symbol] = bars.assign(**{name: bars[name] * factor for name in ("open", "high", "low", "close")})
    other = walkforward(replace(panel, frames=frames), config, walk.sweep.dimensions, train=9, test=4)
    assert other.choices[:2] == walk.choices[:2]
    before = begin - walk.windows[0].begin
    assert np.array_equal(other.account.returns[:before], walk.account.returns[:before])
    assert not np.array_equal(other.account.returns[before:], walk.account.returns[before:])


def test_only_decisions_can_be_chosen(panel: Panel, config: Config) -> None:
    with pytest.raises(ValueError, match=r"grid='borrow_rate=0.01,0.02': borrow_rate is no decision .*: give"):
        walkforward(panel, config, [parse_dimension("borrow_rate=0.01,0.02")])


def test_it_shares_the_tries_of_a_sweep(panel: Panel, config: Config, walk: Walk, tmp_path: Path) -> None:
    from riskoverlay.studies.sweep import sweep

    storage = f"{tmp_path}/s.db"
    sweep(panel, config, walk.sweep.dimensions, storage=storage)
    told: list[int] = []
    again = walkforward(panel, config, walk.sweep.dimensions, train=9, test=4, storage=storage, advance=told.append)
    assert told == [4]
    assert np.array_equal(again.account.returns, walk.account.returns)


def test_it_chooses_from_points_that_are_drawn(panel: Panel, config: Config) -> None:
    values = [parse_dimension("target_vol=0.05:0.20"), parse_dimension("lev_max=1:2:0.5")]
    drawn = walkforward(panel, config, values, train=9, test=4, trials=3, seed=2)
    assert [one.params for one in drawn.sweep.tries] == draw(values, 3, 2)
    assert drawn.sweep.seed == 2


def test_words_and_tables(walk: Walk) -> None:
    words = "\n".join(walk_in_words(walk))
    assert f"Choosing {len(walk.windows)} times from 4 tries" in words
    assert f"gave a Sharpe ratio of {walk.legs['walk_forward']['excess_sharpe']:.2f}" in words
    assert "synthetic" in words
    table = walk_frame(walk)
    assert list(table["target_vol"]) == [walk.sweep.good[c].params["target_vol"] for c in walk.choices]
    assert (table["train_to"] < table["trade_from"]).all()
    assert walk_summary(walk)["walk_forward"] == walk.legs["walk_forward"]


def test_the_account_is_told_by_its_own_sessions_of_each_window(walk: Walk) -> None:
    table = walk_frame(walk)
    assert len(table) > 2
    bill = pd.Series(walk.risk_free, walk.account.returns.index)
    for row in table.to_dict("records"):
        window = slice(row["trade_from"], row["trade_to"])
        of_window = summary(np.asarray(walk.account.returns[window]), np.asarray(bill[window]))
        assert row["account"] == pytest.approx(of_window["excess_sharpe"], rel=1e-9)


def test_the_command_shows_writes_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    flags = ["--symbols", ",".join(SYMBOLS), "--end", "2011-06-30", "--grid", "target_vol=0.05,0.20",
             "--train", "6", "--test", "3", "--workers", "1", "--expanding",
             *(x for name, value in QUICK.items() for x in ("--" + name.replace("_", "-"), str(value)))]  # fmt: skip
    pytest.importorskip("plotly")
    files = ["--json", "w.json", "--csv", "w.csv", "--png", "w.png", "--html", "w.html"]
    assert main(["walkforward", *flags, *files]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "walk forward" in out
    assert "Wrote w.json, w.csv, w.png and w.html." in out
    written = json.loads(Path("w.json").read_text())
    assert written["expanding"] is True
    assert len(written["windows"]) == len(pd.read_csv("w.csv"))
    assert Path("w.png").read_bytes()[:4] == b"\x89PNG"
    page = Path("w.html").read_text()
    assert page.index("<h1>Walk-forward") < page.index('<section id="verdict">') < page.index('<section id="windows">')
    assert f'data-key="walk_forward.growth">{100 * written["walk_forward"]["growth"]:.2f}' in page.replace("−", "-")
    assert main(["walkforward", *flags, "--train", "600"]) == 2
    assert capsys.readouterr().err.startswith("error: train=600 months leave nothing to trade")


def test_windows_are_three_years_and_one_unless_given() -> None:
    """In Python as on the command line."""
    options = make_parser().parse_args(["walkforward", "--grid", "lev_max=1,2"])
    defaults = {name: one.default for name, one in inspect.signature(walkforward).parameters.items()}
    assert (options.train, options.test) == (defaults["train"], defaults["test"]) == (36, 12)
