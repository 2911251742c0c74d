"""Universes whose members come and go: in the rules, the account, the ladder, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markets import QUICK, SHORT, frame, paper, random_market

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, align, load
from riskoverlay.strategies.histories import Histories, is_member
from riskoverlay.studies.cli import main
from riskoverlay.studies.ladder import ladder
from riskoverlay.studies.report import report_html
from riskoverlay.studies.workbench import backtest, make_config, read_config, simulate
from riskoverlay.studies.workbench.beside import benchmark_panel, parse_benchmark
from riskoverlay.studies.workbench.captions import universe_in_words
from riskoverlay.studies.workbench.twins import Twins, check_twin

LATE = 150
"""Session of the first bar of what joins."""


def universe(n: int = 260, *, late: int | None = None, end: int | None = None) -> Panel:
    """S0 and S1 on all sessions, S2 from and to some."""
    frames = dict(random_market(np.random.default_rng(11), n, 3).frames)
    frames["S2"] = frames["S2"].iloc[late:end]
    return align(frames, universe="ragged")


CONFIG: dict[str, Any] = {**QUICK, "calendar": None, "cash": 1e6, "lev_max": 1.5, "target_vol": 0.3}


BARE = {name: value for name, value in CONFIG.items() if name not in ("cov_lookback", "min_hist")}
"""For rules that look back at nothing."""


def test_a_symbol_that_joins_leaves_every_earlier_decision_as_it_was() -> None:
    both, panel = universe().select(["S0", "S1"]), universe(late=LATE)
    for changes in ({}, {"weights": "risk_parity"}, {"weights": "hrp"}, {"weights": "equal"}):
        config = make_config({name: value for name, value in CONFIG.items() if changes == {} or name != "cov_lookback"}
                             | changes)  # fmt: skip
        without, joined = simulate(both, config), simulate(panel, config)
        held = joined.weights["S2"].fillna(0.0)
        first = int(np.argmax(held > 0.0))
        assert first == next(t for t, day in enumerate(panel.sessions) if day.date() in joined.decided
                             and t - LATE >= 60)  # fmt: skip
        assert joined.value.iloc[: first + 1].equals(without.value.iloc[: first + 1])
        kept = joined.weights[["S0", "S1"]].iloc[:first]
        pd.testing.assert_frame_equal(kept, without.weights.iloc[:first], check_exact=True)
        assert joined.fills[0] == without.fills[0]
        assert not joined.value.equals(without.value)
        check_twin(panel, config, joined)


def test_arrays_weigh_the_members_there_are() -> None:
    """The array form of a universe is the one of its parts, as long as it is one of them."""
    panel, both = universe(late=LATE), universe().select(["S0", "S1"])
    rules = {name: value for name, value in QUICK.items()}
    for look_ahead in (True, False):
        whole = paper(panel.closes, **rules, look_ahead=look_ahead)
        part = paper(both.closes, **rules, look_ahead=look_ahead)
        n = int(np.argmax(whole.weights["S2"].to_numpy() > 0.0))
        assert 0 < n < len(whole.weights)
        assert np.array_equal(whole.base_returns[:n], part.base_returns[:n])
        assert whole.weights.to_numpy().sum(axis=1) == pytest.approx(1.0)
        assert not np.array_equal(whole.base_returns[n:], part.base_returns[n:])


def test_one_that_ends_is_paid_out_at_its_last_close_ten_days_later() -> None:
    panel = universe(end=160)
    run = simulate(panel, make_config({**BARE, "weights": "S2:1", "rebalance_freq": "D", "lev_max": 1.0,
                                       "whole_shares": False, "slippage_bps": 0.0}))  # fmt: skip
    last = panel.leaves[0][1]
    out = run.fills[-1]
    assert out["symbol"] == "S2" and out["size"] < 0.0
    assert out["price"] == panel.closes["S2"].dropna().iloc[-1]
    assert (out["date"] - last).days > 10
    assert sum(fill["size"] for fill in run.fills) == pytest.approx(0.0, abs=1e-9)
    assert universe_in_words(panel) == [f"Leave: S2 after {last}"]


MEMBERS = "symbol,from,to\nS0,,\nS1,2020-06-01,2020-09-15\nS2,,2020-05-15\nS2,2020-10-01,\n"


def with_members(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of prices, and a file of who belonged when."""
    folder = tmp_path / "prices"
    folder.mkdir()
    for symbol, bars in universe().frames.items():
        bars.assign(dividend=0.0).to_csv(folder / f"{symbol}.csv", index_label="date")
    (tmp_path / "members.csv").write_text(MEMBERS)
    return folder, tmp_path / "members.csv"


def test_members_are_weighed_on_their_dates_only(tmp_path: Path) -> None:
    folder, members = with_members(tmp_path)
    panel = load("csv", data_dir=folder, members=members, start=None, calendar=None)
    assert panel.symbols == ("S0", "S1", "S2")
    config = make_config({**CONFIG, "weights": "equal", "min_hist": 20, "rebalance_freq": "W-FRI"} | {
        "cov_lookback": make_config()["cov_lookback"]})  # fmt: skip
    run = simulate(panel, config)
    there = {
        "S0": lambda day: True,
        "S1": lambda day: date(2020, 6, 1) <= day <= date(2020, 9, 15),
        "S2": lambda day: day <= date(2020, 5, 15) or day >= date(2020, 10, 1),
    }
    for day in run.decided:
        weights = run.weights.loc[pd.Timestamp(day)]
        assert {symbol for symbol in there if weights[symbol] > 0.0} == {s for s, is_in in there.items() if is_in(day)}
    check_twin(panel, config, run)
    other = simulate(replace(panel, members={}), config)
    assert not other.value.equals(run.value)


@pytest.mark.parametrize(("stretches", "inside"), [
    (None, (True, True, True)), ((), (False, False, False)),
    (((date(2020, 1, 2), None),), (False, True, True)), (((None, date(2020, 1, 2)),), (True, True, False)),
    (((date(2020, 1, 1), date(2020, 1, 1)), (date(2020, 1, 3), None)), (True, False, True)),
])  # fmt: skip
def test_both_ends_of_a_stretch_are_in_it(stretches: Any, inside: tuple[bool, ...]) -> None:
    assert tuple(is_member(stretches, date(2020, 1, day)) for day in (1, 2, 3)) == inside


def test_a_gap_between_two_closes_is_refused() -> None:
    closes = universe().closes.to_numpy().copy()
    closes[:5, 1] = closes[-3:, 2] = np.nan  # not begun, ended
    days = list(universe().sessions.date)
    found = Histories.of(days, closes, ["S0", "S1", "S2"])
    assert (found.first.tolist(), found.last.tolist()) == ([0, 5, 0], [259, 259, 256])
    closes[100, 1] = np.nan
    with pytest.raises(InputError, match=f"close of S1 on {days[100]} is nan"):
        Histories.of(days, closes, ["S0", "S1", "S2"])


# -- what is said ------------------------------------------------------------------------------------------------------


def test_the_command_line_says_who_joins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, members = with_members(tmp_path)
    late = pd.read_csv(folder / "S1.csv").iloc[100:]
    late.to_csv(folder / "S1.csv", index=False)
    out = tmp_path / "out.json"
    flags = ["--source", "csv", "--data-dir", str(folder), "--start", "none", "--calendar", "none", "--min-hist", "60",
             "--cov-lookback", "60", "--csv", "", "--json", str(out),
             "--html", str(tmp_path / "page.html")]  # fmt: skip
    assert main([*flags, "--symbols", "S0,S1,S2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    first = pd.Timestamp(late["date"].iloc[0])
    assert f"Join later: S1 from {first:%Y-%m-%d}. 100 of 260 sessions are before all have joined." in said
    data = json.loads(out.read_text())["data"]
    assert data["joins"] == [{"symbol": "S1", "date": f"{first:%Y-%m-%d}"}]
    assert data["complete_from"] == f"{first:%Y-%m-%d}"
    assert f"Join later: S1 from {first:%Y-%m-%d}" in (tmp_path / "page.html").read_text()
    assert main([*flags, "--symbols", "S0,S1,S2", "--universe", "common"]) == 0
    assert json.loads(out.read_text())["data"]["sessions"] == 160
    assert main([*flags, "--members", str(members)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Members: S0 always, S1 from 2020-06-01 to 2020-09-15, S2 to 2020-05-15 and from 2020-10-01." in said


def test_what_is_never_held_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = with_members(tmp_path)
    pd.read_csv(folder / "S1.csv").iloc[-30:].to_csv(folder / "S1.csv", index=False)
    flags = [
        "--source",
        "csv",
        "--data-dir",
        str(folder),
        "--start",
        "none",
        "--calendar",
        "none",
        "--symbols",
        "S0,S1",
    ]
    assert main([*flags, "--min-hist", "60", "--cov-lookback", "60", "--csv", "", "--json", ""]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "S1: 30 sessions, and min_hist=60 asks for 61: it is never held" in said


def test_members_are_of_weights(tmp_path: Path) -> None:
    import backtrader as bt

    panel = replace(universe(), members={"S0": ((None, None),)})
    with pytest.raises(InputError, match=r"members=.* are of weights"):
        backtest(panel, make_config({"strategy": bt.strategies.SMA_CrossOver, "members": "m.csv"}))


def test_a_ragged_ladder_ends_at_the_account() -> None:
    panel, config = universe(late=LATE), make_config({**CONFIG, "borrow_rate": 0.05})
    steps = ladder(panel, config, workers=1).steps
    result = backtest(panel, config)
    for leg, run in (("base", result.base), ("dynamic", result.dynamic)):
        assert np.array_equal(steps[-1].legs[leg].returns.to_numpy(), run.returns.to_numpy())
    assert "Join later" in report_html(result)


def test_older_summaries_mean_common_sessions_and_prices_as_they_were(tmp_path: Path) -> None:
    config = make_config({"target_vol": 0.09})
    older = {
        name: value for name, value in config.items() if name not in ("prices", "universe", "members", "withholding")
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"format": 4, "config": older}))
    again = read_config(path)
    assert (again["prices"], again["universe"], again["members"], again["withholding"]) == (
        "given",
        "common",
        None,
        0.0,
    )
    assert again["target_vol"] == 0.09


def test_a_symbol_without_a_bar_yet_is_nobody(tmp_path: Path) -> None:
    """As an audit cuts a panel: a feed that has not begun by its end."""
    panel = universe(late=LATE).between(None, universe().sessions[LATE - 10])
    config = make_config(CONFIG)
    run = simulate(panel, config)
    assert run.weights["S2"].fillna(0.0).eq(0.0).all()
    assert run.value.equals(simulate(panel.select(["S0", "S1"]), config).value)
    check_twin(panel, config, run)


def test_short_histories_are_one_frame_long() -> None:
    closes = [100.0 + at for at in range(40)]
    panel = align({"A": frame(closes), "B": frame(closes).iloc[-2:]}, universe="ragged")
    config = make_config({**SHORT, "weights": "A:0.5,B:0.5", "rebalance_freq": "D"} | {
        name: make_config()[name] for name in ("cov_lookback", "min_hist")})  # fmt: skip
    run = simulate(panel, config)
    assert run.weights["B"].tolist()[-2:] == [0.5, 0.5]
    assert run.weights["B"].iloc[-3] == 0.0
    Twins(panel).run(config)
    check_twin(panel, config, run)


def test_where_nobody_is_left_the_account_is_cash() -> None:
    panel = replace(universe().select(["S0"]), members={"S0": ((None, date(2020, 6, 10)), (date(2020, 10, 20), None))})
    config = make_config({**BARE, "weights": "S0:1", "rebalance_freq": "ME", "lev_max": 1.0})
    run = simulate(panel, config)
    held = run.exposure["leverage"]
    assert (held.loc["2020-07-02":"2020-10-29"] == 0.0).all()
    assert held.loc["2020-05-29"] > 0.0 < held.iloc[-1]
    check_twin(panel, config, run)
    whole = paper(panel.closes, **QUICK, members=panel.members, look_ahead=False, portfolio_returns="simple")
    assert (whole.weights["S0"].loc["2020-07-01":"2020-10-30"] == 0.0).all()
    assert whole.weights["S0"].iloc[-1] == 1.0


def test_a_benchmark_is_no_member(tmp_path: Path) -> None:
    folder, members = with_members(tmp_path)
    panel = load("csv", "S0,S1", data_dir=folder, members=members, start=None, calendar=None)
    config = make_config({"source": "csv", "data_dir": str(folder), "members": str(members), "start": None, **CONFIG})
    for text in ("S1", "S2"):
        benchmark = parse_benchmark(text)
        bars = benchmark_panel([benchmark], panel, config)
        assert bars is not None and not bars.members
        result = backtest(panel, config, benchmarks=[benchmark], bars=bars)
        assert result.benchmarks[text].exposure["leverage"].loc["2020-10-30":].min() > 0.9


def test_prices_as_given_are_what_older_runs_took_them_for(tmp_path: Path) -> None:
    folder, _ = with_members(tmp_path)
    bars = pd.read_csv(folder / "S0.csv", index_col="date")
    bars.loc[bars.index[100], "dividend"] = 2.0
    bars.to_csv(folder / "S0.csv")
    found = {
        prices: load("csv", "S0", data_dir=folder, start=None, calendar=None, prices=prices)
        for prices in ("auto", "adjusted", "given")
    }
    assert [panel.raw for panel in found.values()] == [True, False, False]
    assert np.array_equal(found["given"].closes["S0"].to_numpy(), bars["close"].to_numpy())
    assert found["adjusted"].closes["S0"].iloc[0] < bars["close"].iloc[0]
    assert "price return only" in found["given"].adjustment
