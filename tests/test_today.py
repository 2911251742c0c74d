"""`riskoverlay today` and `report --account`: day by day, by a person who makes mistakes, and killed at any moment."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markets import as_traded

import riskoverlay.studies.today.run as today_run
from riskoverlay.feeds import load
from riskoverlay.studies.cli import main
from riskoverlay.studies.today import account_file, backtest_since, load_window, other_fills, tracked
from riskoverlay.studies.workbench import load_panel

ROOT = Path(__file__).parents[1]
SYMBOLS = ("SPY", "TLT", "GLD")

PRICES = (
    *("--source", "csv", "--data-dir", "prices", "--symbols", ",".join(SYMBOLS), "--prices", "raw"),
    *("--borrow-rate", "0.04", "--cash-rate", "0", "--risk-free", "0.01"),
)
FLAGS = (*PRICES, "--cov-lookback", "20", "--min-hist", "20", "--vol-lookback", "10")
"""Of an account of prices in a folder that a hundred sessions go through."""

PAPER = (*FLAGS, "--paper")
OPENED = 102
"""Session on which accounts are opened here."""


@cache
def frames() -> dict[str, pd.DataFrame]:
    """Sessions of the sample market as traded; after the account is opened SPY pays and is split, once each."""
    made = load("sample", SYMBOLS, end="2010-09-30").frames
    found = as_traded({name: bars[["open", "high", "low", "close", "volume"]] for name, bars in made.items()},
                      np.random.default_rng(2), yields=0.0, splits=False)  # fmt: skip
    spy = found["SPY"]
    spy.iloc[OPENED + 3, spy.columns.get_loc("dividend")] = 0.75
    spy.iloc[OPENED + 4, spy.columns.get_loc("split")] = 2.0
    spy.iloc[OPENED + 4 :, :4] /= 2.0
    return found


@cache
def sessions() -> list[str]:
    return [str(day.date()) for day in frames()["SPY"].index]


def day(t: int) -> str:
    """Sessions after the opening."""
    return sessions()[OPENED + t]


def write_prices(folder: Path, tables: Mapping[str, pd.DataFrame] | None = None, until: str | None = None) -> None:
    folder.mkdir(exist_ok=True)
    for name, table in (tables or frames()).items():
        table.loc[:until].to_csv(folder / f"{name}.csv", index_label="date")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_prices(folder)
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(written, tmp_path / "prices")
    return tmp_path


def ask(*flags: str, at: int | None = None, account: str = "a.json") -> int:
    """The command in this process: at a session after the opening."""
    return main(["today", "--account", account, *([] if at is None else ["--as-of", day(at)]), *flags])


def saved(account: str = "a.json") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The account, and its journal."""
    with account_file(account, must_exist=True) as file:
        return dict(file.state or {}), file.entries


def answer(account: str = "a.json") -> Any:
    return saved(account)[0]["answer"]


def files_in(folder: Path) -> dict[Path, bytes]:
    """Every file but locks, which are empty, and what Python compiles of a user's."""
    return {path: path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.suffix not in (".pyc", ".lock")}  # fmt: skip


def bytes_of(account: str = "a.json") -> tuple[bytes, ...]:
    return tuple(Path(account + end).read_bytes() for end in ("", ".journal"))


def state_holdings(path: str, held: Mapping[str, float]) -> str:
    """A broker's statement."""
    Path(path).write_text("symbol,shares\n" + "".join(f"{name},{shares!r}\n" for name, shares in held.items()))
    return path


def signed(orders: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {one["symbol"]: one["shares"] * (1 if one["side"] == "BUY" else -1) for one in orders}


def same(one: Any, other: Any) -> bool:
    """To the last digit but a few, where money is what is left of a sum."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return bool(np.isclose(one, other, rtol=1e-12, atol=1e-12))
    return bool(one == other)


# -- a paper account ---------------------------------------------------------------------------------------------------


def test_the_first_day_makes_the_account_and_a_quiet_day_has_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(*PAPER, at=0) == 10
    first = capsys.readouterr().out
    assert "The account begins: to the weights of" in first and "3 market orders" in first
    state, entries = saved()
    assert (state["opened"], state["paper"], len(entries)) == (day(0), True, 1)
    assert state["config"]["vol_lookback"] == 10
    said: dict[int, str] = {}
    for at in range(1, 6):
        status = ask(at=at)
        said[status] = capsys.readouterr().out
        orders = saved()[0]["strategy"]["orders"]
        assert status == (10 if orders else 0)
        assert signed(answer()["orders"]) == {one["symbol"]: one["size"] for one in orders}
    assert set(said) == {0, 10}
    assert "Nothing to do." in said[0] and "within the band of 0.1" in said[0] and "To be sent" in said[10]
    assert [entry["session"] for entry in saved()[1]] == [day(at) for at in range(6)]


def test_a_paper_account_begins_with_its_cash() -> None:
    ask(*PAPER, "--cash", "50000", "--cash-rate", "0.05", at=0)
    assert answer()["value"] == answer()["cash"] == 50_000.0
    for at in range(1, 4):
        ask(at=at)
    check_against_the_backtest()
    check_no_difference()


def test_a_first_day_reaches_back_to_a_rebalance_session_from_which_the_volatility_is_known() -> None:
    ask(*PAPER, "--rebalance-freq", "QE", at=19)
    assert day(19) == "2010-06-28" and answer()["decided"] == "2010-03-31"  # of the quarter before
    assert len(saved()[0]["strategy"]["base_returns"]) == 10 and answer()["leverage"]["volatility"] > 0.0
    assert answer()["next_rebalance"] == "2010-06-30"


def test_a_config_file_and_what_auto_came_to_are_those_of_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    opens = [*FLAGS, "--paper", "--borrow-rate", "auto", "--json", "first.json"]
    flags = ["--source", "csv", "--data-dir", "prices", "--borrow-rate", "auto"]
    ask(*opens, at=0)
    assert ask(*flags, at=1) in (0, 10)
    config = {name: value for name, value in saved()[0]["config"].items() if name != "end"}
    Path("same.json").write_text(json.dumps(config))
    Path("other.json").write_text(json.dumps({**config, "target_vol": 0.2}))
    assert ask("--config", "same.json", at=2) in (0, 10)
    capsys.readouterr()
    assert ask("--config", "other.json", at=3) == 2
    assert "target_vol=0.2 is 0.12 in this account: leave it out, or open another" in capsys.readouterr().err
    assert saved()[0]["strategy"]["session"] == day(2)


def test_sessions_that_were_not_asked_for_are_done_together() -> None:
    ask(*PAPER, at=0)
    shutil.copytree(".", "../at once", ignore=shutil.ignore_patterns("prices"))
    for at in range(1, 9):
        ask(at=at)
    ask(at=8, account="../at once/a.json")
    (one, entries), (other, at_once) = saved(), saved("../at once/a.json")
    assert same(entries, at_once)
    # What has moved since is told of all the sessions at once.
    assert len(other["answer"].pop("notes")) == 2 and not one["answer"].pop("notes")
    assert same(one, other)


def test_asked_twice_it_says_and_writes_the_same_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = ("--orders", "o.csv", "--basket", "b.csv", "--json", "j.json")
    for at, flags in ((0, PAPER), (1, ()), (2, ())):
        ask(*flags, *outputs, at=at)
        said, written = capsys.readouterr().out, [Path(name).read_bytes() for name in outputs[1::2]]
        before = bytes_of()
        for again in ((), flags):
            status = ask(*again, *outputs, at=at)
            assert status == (10 if answer()["orders"] else 0)
            out = capsys.readouterr().out
            assert out.replace("This session is done: as it was said before.\n", "") == said != out
            assert [Path(name).read_bytes() for name in outputs[1::2]] == written
            assert bytes_of() == before


def test_files_have_the_orders(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(*PAPER, "--orders", "o.csv", "--basket", "b.csv", "--json", "j.json", at=0) == 10
    orders = saved()[0]["strategy"]["orders"]
    with Path("o.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    with Path("b.csv").open() as stream:
        basket = list(csv.DictReader(stream))
    closes = {name: frame.loc[day(0), "close"] for name, frame in frames().items()}
    assert [(row["symbol"], float(row["shares"]), row["side"]) for row in rows] == [
        (one["symbol"], one["size"], "BUY") for one in orders
    ]
    for row in rows:
        assert float(row["last_close"]) == pytest.approx(closes[row["symbol"]], rel=1e-12)
        money = float(row["shares"]) * float(row["last_close"])
        assert float(row["money"]) == pytest.approx(money, abs=0.006)
        assert float(row["estimated_cost"]) == pytest.approx(3e-4 * money, abs=0.006)  # 1 bp and 2
    assert [(row["Symbol"], float(row["Quantity"]), row["Action"]) for row in basket] == [
        (one["symbol"], one["size"], "BUY") for one in orders
    ]
    assert {(row["OrderType"], row["TimeInForce"], row["SecType"]) for row in basket} == {("MKT", "OPG", "STK")}
    told, out = json.loads(Path("j.json").read_text()), capsys.readouterr().out
    assert told == answer()
    for one in told["orders"]:
        assert f"{one['shares']:,g}" in out and f"{one['last_close']:,.2f}" in out
    for value in (
        f"{told['value']:,.2f}",
        told["decided"],
        told["next_rebalance"],
        f"{told['leverage']['target']:.2f}",
    ):
        assert value in out


def test_weights_leverage_and_what_comes_of_the_orders_by_hand() -> None:
    ask(*PAPER, at=0)
    ask(at=1)
    ask(at=2)
    state, told = saved()[0]["strategy"], answer()
    closes = np.array([frames()[name].loc[day(2), "close"] for name in SYMBOLS])
    held = np.array([told["holdings"][name] for name in SYMBOLS])
    ordered = np.array([signed(told["orders"]).get(name, 0.0) for name in SYMBOLS])
    assert told["value"] == pytest.approx(told["cash"] + held @ closes, rel=1e-12)
    assert told["leverage"]["held"] == pytest.approx(held @ closes / told["value"], rel=1e-12)
    assert told["leverage"]["volatility"] == pytest.approx(np.std(state["base_returns"]) * np.sqrt(252.0), rel=1e-9)
    after = told["afterwards"]
    gross = (held + ordered) @ closes
    assert after["leverage"] == pytest.approx(gross / told["value"], rel=1e-12)
    assert after["loan"] == pytest.approx(gross - told["value"], rel=1e-9)
    assert after["margin_used"] == pytest.approx(0.25 * gross / told["value"], rel=1e-12)
    # After a fall by x equity is V − x·G, of which the margin is 25 % of (1 − x)·G.
    x = after["to_call"]
    assert told["value"] - x * gross == pytest.approx(0.25 * (1.0 - x) * gross, rel=1e-9)


def test_the_page_of_a_day_has_the_orders() -> None:
    pytest.importorskip("plotly")
    ask(*PAPER, "--html", "day.html", at=0)
    page = Path("day.html").read_text(encoding="utf-8")
    assert "3 orders" in page and day(0) in page
    for one in answer()["orders"]:
        assert one["symbol"] in page and f"{one['shares']:,.0f}" in page


def test_the_screen_has_what_is_held_and_what_will_be(capsys: pytest.CaptureFixture[str]) -> None:
    ask(*PAPER, at=0)
    ask(at=1)
    out = [line.split() for line in capsys.readouterr().out.splitlines()]
    ordered, told = signed(answer()["orders"]), answer()
    for name in SYMBOLS:
        held = told["holdings"][name]
        row = [name, f"{held:,.0f}", f"{told['closes'][name]:,.2f}", f"{100 * told['weights'][name]:.1f}", "%"]
        assert [*row, f"{held + ordered.get(name, 0.0):,.0f}"] in out
    assert f"volatility of {100 * told['leverage']['volatility']:.2f} %" in " ".join(
        word for line in out for word in line
    )


def test_before_there_are_returns_enough_no_volatility_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(*PRICES, "--cov-lookback", "20", "--min-hist", "20", "--vol-lookback", "60", "--paper", at=-60) == 10
    assert answer()["leverage"]["volatility"] is None
    assert "by a volatility of not known yet" in " ".join(capsys.readouterr().out.split())


def test_parts_of_a_share_are_bought_and_costs_are_in_cents() -> None:
    assert (
        ask(*PAPER, "--cash", "150", "--no-whole-shares", "--orders", "o.csv", "--commission-min", "0.0123", at=0) == 10
    )
    orders = answer()["orders"]
    assert {one["side"] for one in orders} == {"BUY"} and min(one["shares"] for one in orders) < 1.0
    with Path("o.csv").open() as stream:
        for row, one in zip(csv.DictReader(stream), orders, strict=True):
            assert float(row["estimated_cost"]) == round(one["estimated_cost"], 2) != one["estimated_cost"]


def test_a_million_shares_are_told_to_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    ask(*PAPER, "--cash", "1e9", at=0)
    out = capsys.readouterr().out
    for one in answer()["orders"]:
        assert one["shares"] > 1e6 and f"{one['shares']:,.0f}" in out


def reported(account: str = "a.json") -> Any:
    assert main(["report", "--account", account, "--html", "", "--json", "r.json"]) == 0
    return json.loads(Path("r.json").read_text())


def check_no_difference(account: str = "a.json") -> None:
    found = reported(account)
    assert found == {"tracking": pytest.approx(0.0, abs=1e-12), "fills": []}


def check_against_the_backtest(account: str = "a.json") -> None:
    """Journal and orders of an account of today are those of one run that was never stopped."""
    state, entries = saved(account)
    config = state["config"]
    panel = load_panel({**config, "end": entries[-1]["session"]})
    run = backtest_since(panel, config, dt.date.fromisoformat(state["opened"]))
    days = [entry["session"] for entry in entries]
    value = run.value[pd.DatetimeIndex(days)]
    np.testing.assert_allclose([entry["value"] for entry in entries], value, rtol=1e-9)
    mine = [fill for entry in entries for fill in entry["fills"]]
    assert len(mine) == len(run.fills)
    for one, other in zip(mine, run.fills, strict=True):
        assert (one["date"], one["symbol"]) == (str(other["date"]), other["symbol"])
        assert [one[k] for k in ("size", "price", "commission")] == pytest.approx(
            [other[k] for k in ("size", "price", "commission")], rel=1e-9
        )


def test_a_paper_account_is_the_backtest(capsys: pytest.CaptureFixture[str]) -> None:
    statuses = [ask(*PAPER, at=0), *(ask(at=at) for at in range(1, 25))]
    assert set(statuses) == {0, 10}
    check_against_the_backtest()
    capsys.readouterr()
    check_no_difference()
    out = capsys.readouterr().out
    assert "24 sessions" in out and "Tracking difference: +0.0000 % of growth a year; 0 fills differ." in out


def test_a_rule_without_a_lookback_is_given_all_there_is() -> None:
    lines = ["import numpy as np", "def counts(returns):", "    n = len(returns) % 7"]
    Path("mine.py").write_text("\n".join([*lines, "    return np.array([n + 1, 3, 2]) / (n + 6)", ""]))
    ask(*PRICES, "--vol-lookback", "10", "--min-hist", "20", "--weights", "mine.py:counts", "--paper", at=0)
    for at in range(1, 25):
        ask(at=at)
    assert len({entry["weights"]["SPY"] for entry in saved()[1]}) == 2
    check_against_the_backtest()


def test_a_deposit_is_no_performance(capsys: pytest.CaptureFixture[str]) -> None:
    ask(*PAPER, "--no-whole-shares", "--lev-band", "0", at=0)
    for at in range(1, 25):
        ask(*(["--deposit", "50000"] if at == 11 else ["--deposit=-20000"] if at == 17 else []), at=at)
    _, entries = saved()
    assert {at: entry["deposit"] for at, entry in enumerate(entries) if entry["deposit"]} == {11: 5e4, 17: -2e4}
    value = [entry["value"] for entry in entries]
    assert value[11] - value[10] > 45_000.0 and value[17] - value[16] < -15_000.0
    fund = np.array([entry["fund"] for entry in entries])
    assert np.abs(np.diff(fund) / fund[:-1]).max() < 0.03
    # Apart by what it costs to invest and the interest of the day that it lies idle.
    found = reported()
    assert abs(found["tracking"]) < 0.01 and len(found["fills"]) > 20
    assert f"{len(found['fills'])} fills differ." in capsys.readouterr().out


def test_the_report_is_of_the_journal_and_of_the_statements(capsys: pytest.CaptureFixture[str]) -> None:
    """Of an account that is not its backtest nothing is taken from that."""
    pytest.importorskip("plotly")
    ask(*FLAGS, "--balance", "100000", at=0)
    for at in range(1, 25):
        ordered = answer()["orders"]
        told = answer()
        held, cash = dict(told["holdings"]), told["cash"]
        for one in ordered if at != 1 else ():  # nothing of the first day is filled, and later at half a per cent more
            size = signed([one])[one["symbol"]]
            held[one["symbol"]] = held.get(one["symbol"], 0.0) + size
            cash -= size * float(frames()[one["symbol"]].loc[day(at), "open"]) * 1.005
        if at == 4:  # the split
            held["SPY"] *= 2.0
        ask("--positions", state_holdings("held.csv", held), "--balance", repr(cash), at=at)
    account, entries = saved()
    run = tracked(load_window({**account["config"], "end": day(24)}, None, begins=day(0)), account, entries)
    mine, beside = run.leading, run.benchmarks["backtest"]
    days = pd.DatetimeIndex([day(at) for at in range(25)])
    np.testing.assert_array_equal(mine.value[days], [entry["value"] for entry in entries])
    assert abs(mine.value.iloc[-1] / beside.value.iloc[-1] - 1.0) > 1e-3
    fund = np.array([entry["fund"] for entry in entries])
    assert mine.drawdown["depth"] == pytest.approx((fund / np.maximum.accumulate(fund) - 1.0).min())
    assert mine.drawdown["depth"] != beside.drawdown["depth"] and mine.drawdown["worst"][0]["depth"] < 0.0
    assert mine.costs["orders"]["filled"] == len(mine.fills) == sum(len(entry["fills"]) for entry in entries)
    assert np.isnan(mine.costs["orders"]["rejected"]) and mine.costs["end"] == entries[-1]["value"]
    assert mine.weights.iloc[-1].to_dict() == entries[-1]["weights"]
    returns = fund[1:] / fund[:-1] - 1.0
    assert mine.statistics["ann_vol"] == pytest.approx(returns.std(ddof=0) * np.sqrt(252.0), rel=1e-9)
    assert mine.attribution == {"contributions": {}} and mine.actions == []
    assert mine.exposure["leverage"].iloc[-1] == entries[-1]["leverage"]
    capsys.readouterr()
    assert main(["report", "--account", "a.json", "--html", "p.html", "--json", "r.json"]) == 0
    found, out = json.loads(Path("r.json").read_text()), " ".join(capsys.readouterr().out.split())
    years = len(fund[1:]) / 252.0
    ends = (fund[-1] / fund[0], np.prod(1.0 + beside.returns.to_numpy()))
    growth = [end ** (1.0 / years) - 1.0 for end in ends]
    assert found["tracking"] == pytest.approx(growth[0] - growth[1], rel=1e-9)
    said = f"Tracking difference: {100 * found['tracking']:+.4f}".replace("-", "−")
    page = Path("p.html").read_text(encoding="utf-8")
    assert said in out and said in page and "Beside the backtest" in page
    assert f"{len(found['fills'])} expected fills differ." in out and len(found["fills"]) > 5
    causes = {one["symbol"]: one["cause"] for one in entries[1]["differences"]}
    assert causes == {**dict.fromkeys(SYMBOLS, "missed order"), "cash": "other shares"}
    assert "SPY" not in [one["symbol"] for one in entries[4]["differences"]]  # it was split, there as here
    for one in found["fills"]:
        assert f"<td>{one['symbol']}</td>" in page and (one["size"] is None or f"<td>{one['size']:,.10g}</td>" in page)


def test_what_the_journal_says_is_what_is_reported() -> None:
    """Numbers that no account had: each is found again, and none of the backtest's."""
    ask(*PAPER, at=0)
    ask(at=5)
    account, entries = saved()
    panel = load_window({**account["config"], "end": day(5)}, None, begins=day(0))
    for entry, leverage in zip(entries, (1.0, 4.0, 4.01, 9.0, 0.5, 1.0), strict=True):
        entry["leverage"], entry["weights"] = leverage, {"SPY": leverage, "TLT": 0.0, "GLD": -1.0}
    account["strategy"]["orders"] = [{"symbol": "TLT", "size": -3.0}]
    mine = tracked(panel, account, entries).leading
    assert mine.below_maintenance == 2  # of a quarter: at 4.0 equity is what is asked for
    assert mine.pending == [{"symbol": "TLT", "size": -3.0, "decided": dt.date.fromisoformat(day(5))}]
    assert mine.weights["SPY"].iloc[-6:].tolist() == [1.0, 4.0, 4.01, 9.0, 0.5, 1.0]
    assert mine.exposure["leverage"].iloc[-6:].tolist() == [1.0, 4.0, 4.01, 9.0, 0.5, 1.0]


def test_a_report_needs_three_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    ask(*PAPER, at=0)
    ask(at=1)
    capsys.readouterr()
    assert main(["report", "--account", "a.json", "--html", "", "--json", "r.json"]) == 2
    assert "has too few sessions to be shown: ask again after some more" in capsys.readouterr().err
    ask(at=2)
    check_no_difference()
    shutil.copyfile("a.json", "kept.json")
    write_prices(Path("prices"), {name: table.drop(day(1)) for name, table in frames().items()})
    assert main(["report", "--account", "a.json", "--html", "", "--json", "r.json"]) == 2
    assert "the journal has other sessions than the prices: give the prices" in capsys.readouterr().err


def test_the_report_of_an_account_that_never_fell() -> None:
    ask(*PAPER, at=0)
    ask(at=9)
    account, entries = saved()
    panel = load_window({**account["config"], "end": day(9)}, None, begins=day(0))
    rising = [{**entry, "fund": 100.0 + t} for t, entry in enumerate(entries)]
    drawdown = tracked(panel, account, rising).leading.drawdown
    assert drawdown["depth"] == 0.0 and drawdown["worst"] == []


def test_fills_that_differ_are_told_one_by_one() -> None:
    """Two of a symbol on one day are two; a number that is missing, or is another, is told."""
    day_1, day_2 = dt.date(2024, 1, 2), dt.date(2024, 1, 3)

    def run_of(*fills: tuple[Any, str, float, float]) -> Any:
        return SimpleNamespace(
            fills=[dict(zip(("date", "symbol", "size", "price"), one, strict=True)) for one in fills]
        )

    mine = run_of(("2024-01-02", "A", 5.0, 10.0), ("2024-01-02", "A", -2.0, 10.0), ("2024-01-02", "B", 1.0, 7.0),
                  ("2024-01-03", "B", 1.0, 7.0))  # fmt: skip
    theirs = run_of(
        (day_1, "A", 5.0, 10.0 + 1e-12), (day_1, "B", 1.0, 7.1), (day_2, "B", 2.0, 7.0), (day_2, "C", 1.0, 1.0)
    )
    beside = {"backtest": theirs}
    found = other_fills(SimpleNamespace(leading=mine, benchmarks=beside))  # type: ignore[arg-type]
    assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == [
        ["2024-01-02", "A", -2.0, 10.0, None, None],
        ["2024-01-02", "B", 1.0, 7.0, 1.0, 7.1],
        ["2024-01-03", "B", 1.0, 7.0, 2.0, 7.0],
        ["2024-01-03", "C", None, None, 1.0, 1.0],
    ]


# -- bad input ---------------------------------------------------------------------------------------------------------

ACCOUNTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "paper": lambda: ask(*PAPER, at=0),
    "broker": lambda: ask(*FLAGS, "--balance", "100000", at=0),
}

OPENED_ONCE: dict[str, dict[str, bytes]] = {}

AT_0, AT_1 = ("--as-of", "DAY0"), ("--as-of", "DAY1")
HELD = ("--positions", "held.csv", "--balance", "1")

BAD: dict[str, tuple[str, Sequence[str], str]] = {
    "neither balance nor paper": ("none", [*FLAGS, *AT_0], "give --positions and --balance, or --paper"),
    "no positions on the second day": ("broker", [*AT_1, "--balance", "1"], "needs what the broker says is held"),
    "positions that are not there": ("broker", [*AT_1, "--positions", "no.csv", "--balance", "1"], "no.csv "),
    "another flag": ("paper", [*AT_1, "--target-vol", "0.2"], "target_vol=0.2 is 0.12 in this account: leave it out"),
    "another flag, a switch": ("paper", [*AT_1, "--no-whole-shares"], "whole_shares=False is True in this account"),
    "other prices": ("paper", [*AT_1, "--source", "sample"], "source='sample' is 'csv' in this account"),
    "a strategy": ("none", [*PRICES, "--paper", *AT_0, "--strategy", "theirs.py:Theirs"], "keeps a state that nobody"),
    "a deposit on the first day": ("none", [*PAPER, *AT_0, "--deposit", "5"], "deposit=5.0 is of an account that is"),
    "a deposit too late": ("paper", [*AT_0, "--deposit", "5"], "deposit=5.0 comes too late: DAY0 is done"),
    "a day that is no session": ("paper", ["--as-of", "2010-07-04"], "up to 2010-07-04 is 2010-07-02: "),
    "a day after the prices": ("paper", ["--as-of", "2012-01-03"], "2012-01-03 is 2010-09-30: fetch newer ones, or"),
    "no date": ("paper", ["--as-of", "soon"], "end='soon' "),
    "a session before": ("paper", ["--as-of", "DAY-1"], "the prices end on DAY-1, and DAY0 is done"),
    "stale prices": ("paper", [], "up to 2010-10-04 is 2010-09-30: fetch newer ones, or give --as-of 2010-09-30"),
    "paper, with a broker": ("broker", [*AT_1, "--paper"], "has a broker: give --positions and --balance"),
    "positions of a paper account": ("paper", [*AT_1, *HELD], "is a paper account: it fills its own orders"),
    "a balance of a new paper account": ("none", [*PAPER, *AT_0, "--balance", "1"], "is a paper account: it fills its"),
    "a balance of a paper account": ("paper", [*AT_1, "--balance", "1"], "is a paper account: it fills its own orders"),
    "a balance that is no number": ("broker", [*AT_1, "--positions", "held.csv", "--balance", "nan"], "balance=nan"),
    "a deposit that is no number": ("paper", [*AT_1, "--deposit", "inf"], "deposit=inf is no money: give a number"),
    "more is paid out than there is": ("paper", [*AT_1, "--deposit=-200000"], "nothing is left on DAY1: equity is -1"),
    "a loan beyond all": ("broker", [*AT_1, "--positions", "held.csv", "--balance=-2e5"], "nothing is left on DAY1"),
    "a close with a broker": ("none", [*FLAGS, *AT_0, "--balance", "1e5", "--execution", "close"],
                              "execution='close' cannot be sent after that close"),
    "no history": ("none", [*PAPER, "--as-of", "2010-01-15"], ""),
    "an account that is a folder": ("none", [*PAPER, *AT_0, "--account", "prices"], "prices"),
    "an order file in no folder": ("paper", [*AT_1, "--orders", "nowhere/o.csv"], "nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_costs_one_line_and_changes_nothing(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account, flags, said = BAD[case]
    state_holdings("held.csv", {"SPY": 1.0})
    Path("theirs.py").write_text("import backtrader as bt\n\n\nclass Theirs(bt.Strategy):\n    pass\n")
    if account not in OPENED_ONCE:
        ACCOUNTS[account]()
        OPENED_ONCE[account] = {
            name: Path(name).read_bytes() for name in ("a.json", "a.json.journal") if account != "none"
        }
    for name, content in OPENED_ONCE[account].items():
        Path(name).write_bytes(content)
    before = files_in(folder)
    capsys.readouterr()
    monkeypatch.setattr(today_run, "now", lambda: dt.datetime(2010, 10, 4, 22, tzinfo=dt.UTC))

    def named(text: str) -> str:
        for at in (-1, 0, 1):
            text = text.replace(f"DAY{at}", day(at))
        return text

    assert ask(*map(named, flags)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and named(said) in error, error
    assert files_in(folder) == before


def test_without_a_day_it_is_the_last_session_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in ("2010-09-30T20:05", "2010-10-01T12:00", "2010-10-01T19:55"):  # New York closes at 20:00
        monkeypatch.setattr(today_run, "now", lambda at=moment: dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC))
        assert ask(*PAPER, account=f"{moment[:13]}.json") in (0, 10)
        assert answer(f"{moment[:13]}.json")["session"] == "2010-09-30"
    monkeypatch.setattr(today_run, "now", lambda: dt.datetime(2010, 10, 1, 20, 5, tzinfo=dt.UTC))
    assert ask(*PAPER) == 2


def test_a_bar_of_a_session_under_way_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last day of the files is 2010-09-30: before its close, only what was over the day before is known."""
    monkeypatch.setattr(today_run, "now", lambda: dt.datetime(2010, 9, 30, 19, 55, tzinfo=dt.UTC))
    assert ask(*PAPER) in (0, 10)
    assert answer()["session"] == "2010-09-29"
    ask(*PAPER, "--calendar", "none", account="always.json")  # of a market whose hours nobody knows
    assert answer("always.json")["session"] == "2010-09-30"


def test_as_of_is_the_end_of_the_prices() -> None:
    ask(*PAPER, at=0)
    assert main(["today", "--account", "b.json", "--end", day(0), *PAPER]) == 10
    assert saved() == saved("b.json") and saved()[0]["config"]["end"] is None


# -- prices that are not as they were ----------------------------------------------------------------------------------


def test_a_close_that_was_revised_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    ask(*PAPER, at=0)
    tables = {name: frame.copy() for name, frame in frames().items()}
    was = float(tables["TLT"].loc[day(0), "close"])
    tables["TLT"].loc[day(0), ["open", "high", "low", "close"]] *= 1.01
    write_prices(Path("prices"), tables)
    ask(at=1)
    (note,) = answer()["notes"]
    assert note.startswith(f"the close of TLT on {day(0)} was {was:.6g} and is {1.01 * was:.6g} now: a revision")
    assert note in " ".join(capsys.readouterr().out.split())
    ask(at=2)
    assert not answer()["notes"]


def test_the_last_digit_of_a_price_is_no_revision() -> None:
    ask(*PAPER, at=0)
    write_prices(
        Path("prices"), {name: frame.assign(close=frame["close"] * (1 + 1e-7)) for name, frame in frames().items()}
    )
    ask(at=1)
    assert not answer()["notes"]


def test_a_revision_that_changes_the_weights_in_force_is_named() -> None:
    ask(*PAPER, at=0)
    decided = answer()["decided"]
    tables = {name: frame.copy() for name, frame in frames().items()}
    before = tables["GLD"].loc[:decided].index[-6]
    tables["GLD"].loc[before, ["open", "high", "low", "close"]] *= 1.05
    write_prices(Path("prices"), tables)
    weights = answer()["weights"]
    ask(at=1)
    (note,) = answer()["notes"]
    assert f"would have decided other weights on {decided}, GLD -0." in note
    assert "those in force stay until the next rebalance session" in note
    assert answer()["weights"] == weights


def test_a_symbol_that_has_ended_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Until ten days after its last bar it may only be late: a session without it is not done."""
    ask(*PAPER, at=0)
    write_prices(Path("prices"), {**frames(), "GLD": frames()["GLD"].loc[: day(0)]}, until=day(5))
    before = bytes_of()
    assert ask(at=1) == 2 and bytes_of() == before
    write_prices(Path("prices"), {**frames(), "GLD": frames()["GLD"].loc[: day(0)]})
    assert ask(at=9) in (0, 10)
    assert f"GLD has no bar on {day(9)}: an order for it waits" in answer()["notes"]
    assert [entry["session"] for entry in saved()[1]] == [day(at) for at in range(10)]


def test_dividends_and_splits_since_are_named_and_booked() -> None:
    ask(*PAPER, at=0)
    for at in range(1, 5):
        shares = answer()["holdings"].get("SPY", 0.0) + signed(answer()["orders"]).get("SPY", 0.0)
        ask(at=at)
        expected = {3: [f"SPY pays 0.75 a share on {day(3)}"], 4: [f"SPY is split 2 for 1 on {day(4)}"]}
        assert answer()["notes"] == expected.get(at, [])
        if at == 4:
            assert answer()["holdings"]["SPY"] == pytest.approx(2 * shares, abs=1)
    entries = saved()[1]
    assert [entry["dividends"] > 0.0 for entry in entries] == [False, False, False, True, False]
    assert abs(entries[4]["value"] / entries[3]["value"] - 1.0) < 0.05


# -- a broker's statement ----------------------------------------------------------------------------------------------


def beside_paper(at: int) -> tuple[dict[str, float], float]:
    """What a paper account of the same flags holds at a session, asked day by day."""
    for t in range(len(saved("paper.json")[1]) if Path("paper.json").exists() else 0, at + 1):
        ask(*(PAPER if t == 0 else ()), at=t, account="paper.json")
    found = answer("paper.json")
    return dict(found["holdings"]), found["cash"]


def test_a_statement_as_expected_is_the_paper_account(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(*FLAGS, "--balance", "100000", at=0) == 10
    for at in range(1, 6):
        held, cash = beside_paper(at)
        ask("--positions", state_holdings("held.csv", held), "--balance", repr(cash), at=at)
        assert not answer()["differences"]
    mine, paper = saved(), saved("paper.json")
    assert mine[1] == paper[1]
    assert mine[0]["strategy"] == paper[0]["strategy"]
    assert mine[0]["config"]["cash"] == 100_000.0  # what it began with, and the backtest beside it
    assert "expected" not in capsys.readouterr().out


def test_what_an_account_begins_with_is_no_performance() -> None:
    """Half of the cash that the warm-up was run with: no fall, and nothing that brakes."""
    for account, balance in (("a.json", "50000"), ("b.json", "400000")):
        ask(*FLAGS, "--balance", balance, at=0, account=account)
        lever, entry = answer(account)["leverage"], saved(account)[1][0]
        assert (lever["drawdown"], lever["brake_part"], lever["peak_on"]) == (0.0, 1.0, day(0))
        assert entry["value"] == float(balance) and entry["fund"] == entry["peak"] == 100.0


def test_below_the_margin_it_is_said_and_without_a_loan_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    ask(*FLAGS, "--balance", "100000", "--lev-min", "0", "--lev-max", "0.5", at=0)
    after = answer()["afterwards"]
    assert after["loan"] == 0.0 and after["leverage"] < 0.5 and after["to_call"] == 1.0 and not answer()["called"]
    assert "Below the maintenance margin" not in capsys.readouterr().out
    close = float(frames()["SPY"].loc[day(1), "close"])
    state_holdings("held.csv", {"SPY": 1000.0})
    ask("--positions", "held.csv", "--balance", repr(-0.8 * 1000.0 * close), at=1)  # a leverage of 5
    assert answer()["called"] and answer()["leverage"]["held"] == pytest.approx(5.0)
    assert "Below the maintenance margin: the broker will cut the holdings" in " ".join(capsys.readouterr().out.split())


def test_cash_is_that_of_the_activity_statement_unless_it_is_given() -> None:
    Path("held.csv").write_text(
        "Cash Report,Header,Currency Summary,Currency,Total\nCash Report,Data,Ending Cash,Base Currency Summary,90000\n"
        "Open Positions,Header,Asset Category,Symbol,Quantity\nOpen Positions,Data,Stocks,SPY,50\n"
    )
    for balance, cash in (((), 90_000.0), (("--balance", "80000"), 80_000.0)):
        account = f"{cash:.0f}.json"
        assert ask(*FLAGS, "--positions", "held.csv", *balance, at=0, account=account) == 10
        worth = cash + 50.0 * float(frames()["SPY"].loc[day(0), "close"])
        assert answer(account)["cash"] == cash and answer(account)["value"] == pytest.approx(worth, rel=1e-12)
        assert saved(account)[0]["strategy"]["positions"]["SPY"] == [50.0, float(frames()["SPY"].loc[day(0), "close"])]
        assert saved(account)[0]["config"]["cash"] == answer(account)["value"]
        ask("--positions", "held.csv", *balance, at=1, account=account)
        assert answer(account)["cash"] == cash and answer(account)["holdings"] == {"SPY": 50.0}


def test_what_differs_is_named_by_symbol_and_cause(capsys: pytest.CaptureFixture[str]) -> None:
    ask(*FLAGS, "--balance", "100000", at=0)
    bought = signed(answer()["orders"])
    held, cash = beside_paper(1)
    half = held["TLT"] // 2
    opens = {name: float(frames()[name].loc[day(1), "open"]) for name in SYMBOLS}
    kept = held["SPY"] * opens["SPY"] + (held["TLT"] - half) * opens["TLT"] - 7.0 * opens["GLD"]
    path = state_holdings("held.csv", {"TLT": half, "GLD": held["GLD"] + 7.0, "XYZ": 5.0, "ABC": -2.0})
    capsys.readouterr()
    assert ask("--positions", path, "--balance", repr(cash + kept), at=1) == 10
    assert answer()["differences"] == [
        {"symbol": "SPY", "expected": held["SPY"], "held": 0.0, "cause": "missed order"},
        {"symbol": "TLT", "expected": held["TLT"], "held": half, "cause": "partial fill"},
        {"symbol": "GLD", "expected": held["GLD"], "held": held["GLD"] + 7.0, "cause": "unknown"},
        {"symbol": "cash", "expected": pytest.approx(cash), "held": cash + kept, "cause": "other shares"},
    ]
    assert answer()["others"] == {"XYZ": 5.0, "ABC": -2.0}
    out = " ".join(capsys.readouterr().out.split())
    assert f"SPY: 0 held, {held['SPY']:,g} expected: missed order." in out
    assert "Not this account's, left alone: XYZ 5, ABC -2." in out
    assert "what was ordered and is not there is tried again" in out.lower()
    # The next orders are those of who holds this.
    told = answer()
    assert saved()[0]["strategy"]["positions"]["SPY"] == [0.0, 0.0]
    assert told["holdings"] == {"TLT": half, "GLD": held["GLD"] + 7.0}
    for name, size in signed(told["orders"]).items():
        close = frames()[name].loc[day(1), "close"]
        wanted = told["weights"][name] * told["leverage"]["target"] * told["value"] / close
        assert told["holdings"].get(name, 0.0) + size == np.trunc(wanted)
    assert signed(told["orders"])["SPY"] > 0.9 * bought["SPY"]


def test_orders_of_what_is_held_are_missed_or_filled_in_part_too() -> None:
    ask(*FLAGS, "--balance", "100000", at=0)
    at = 1
    while True:  # until something that is held is to be traded
        told, (held, cash) = answer(), beside_paper(at)
        if at > 1 and told["orders"]:
            break
        ask("--positions", state_holdings("held.csv", held), "--balance", repr(cash), at=at)
        at += 1
    before, ordered = told["holdings"], signed(told["orders"])
    first, second = [name for name in ordered if abs(ordered[name]) > 1.0 and before.get(name)][:2]
    real = {**held, first: before[first], second: before[second] + float(np.sign(ordered[second]))}
    assert at != 4  # the split
    ask("--positions", state_holdings("held.csv", real), "--balance", repr(cash), at=at)
    causes = {one["symbol"]: one["cause"] for one in answer()["differences"]}
    assert causes[first] == "missed order" and causes[second] == "partial fill"
    kept = saved()[0]["strategy"]["positions"]
    assert (
        kept[second][0] == real[second]
        and kept[second][1] == saved("paper.json")[0]["strategy"]["positions"][second][1]
    )


def test_a_statement_after_sessions_that_were_not_asked_for_is_of_the_last() -> None:
    ask(*FLAGS, "--balance", "100000", at=0)
    held, cash = beside_paper(4)
    ask("--positions", state_holdings("held.csv", {**held, "GLD": held["GLD"] + 3.0}), "--balance", repr(cash), at=4)
    entries = saved()[1]
    assert [len(entry["differences"]) for entry in entries] == [0, 0, 0, 0, 1]
    assert entries[4]["differences"] == answer()["differences"]
    assert answer()["holdings"]["GLD"] == held["GLD"] + 3.0
    assert [entry["deposit"] for entry in entries] == [0.0] * 5
    ask("--positions", "held.csv", "--balance", repr(cash), "--deposit", "700", at=6)
    assert [entry["deposit"] for entry in saved()[1]] == [0.0] * 6 + [700.0]


@pytest.mark.parametrize(
    ("less", "cause"), [(123.45, "worse price, or fees"), (-60.0, "better price"), (0.006, "worse price, or fees")]
)
def test_other_money_is_named(less: float, cause: str) -> None:
    ask(*FLAGS, "--balance", "100000", at=0)
    held, cash = beside_paper(1)
    ask("--positions", state_holdings("held.csv", held), "--balance", repr(cash - less), at=1)
    (one,) = answer()["differences"]
    assert (one["symbol"], one["cause"]) == ("cash", cause)
    assert one["expected"] - one["held"] == pytest.approx(less)
    assert answer()["value"] == pytest.approx(answer("paper.json")["value"] - less, rel=1e-12)


def test_a_deposit_at_the_broker_is_expected_and_no_performance() -> None:
    ask(*FLAGS, "--balance", "100000", at=0)
    held, cash = beside_paper(1)
    ask("--positions", state_holdings("held.csv", held), "--balance", repr(cash + 9e3), "--deposit", "9000", at=1)
    assert not answer()["differences"]
    mine, paper = saved()[1][-1], saved("paper.json")[1][-1]
    assert mine["value"] == pytest.approx(paper["value"] + 9000.0, rel=1e-12)
    assert mine["deposit"] == pytest.approx(9000.0, rel=1e-9)
    assert mine["fund"] == pytest.approx(paper["fund"], rel=1e-12)


# -- processes ---------------------------------------------------------------------------------------------------------


def command(*flags: str, at: int, account: str = "a.json") -> list[str]:
    return [sys.executable, str(ROOT / "run.py"), "today", "--account", account, "--as-of", day(at), *flags]


def process(folder: Path, *flags: str, at: int, account: str = "a.json") -> subprocess.CompletedProcess[str]:
    """The command as it is given in a shell."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = command(*flags, at=at, account=account)
    return subprocess.run(asked, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.ci
def test_in_a_process_of_its_own(folder: Path) -> None:
    first = process(folder, *PAPER, at=0)
    assert (first.returncode, first.stderr) == (10, "")
    ask(*PAPER, at=0, account="b.json")
    assert saved() == saved("b.json")
    bad = process(folder, "--deposit", "5", at=0)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and not bad.stdout


def start(folder: Path, *flags: str, at: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command(*flags, at=at), cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.ci
def test_two_at_once_do_it_once(folder: Path) -> None:
    ask(*PAPER, at=0)
    ask(*PAPER, at=0, account="b.json")
    ask(at=1, account="b.json")
    ended = [(one.communicate(), one.returncode) for one in [start(folder, at=1), start(folder, at=1)]]
    status = 10 if answer("b.json")["orders"] else 0
    assert status in [code for _, code in ended]
    for (_, error), code in ended:
        assert code == status or (code == 2 and "another run is using it" in error and error.count("\n") == 1)
    assert saved() == saved("b.json")


LEG = 10
"""Sessions of a part of a loop of sixty: `.ci/run` runs the first."""


def brought(*accounts: str, first: int) -> None:
    """Accounts asked day by day up to the session before."""
    for account in accounts:
        for at in range(first):
            ask(*(() if at else PAPER), at=at, account=account)


@pytest.mark.long
@pytest.mark.parametrize("leg", range(6))
def test_a_process_a_session_is_the_backtest(leg: int, folder: Path) -> None:
    brought("a.json", first=leg * LEG)
    for at in range(leg * LEG, (leg + 1) * LEG):
        done = process(folder, *(() if at else PAPER), at=at)
        assert done.returncode == (10 if answer()["orders"] else 0), done.stderr
    check_against_the_backtest()
    check_no_difference()


def killed(folder: Path, rng: random.Random, *flags: str, at: int) -> bool:
    """Ask, and kill -9: at any moment, or soon after the first file was written. Whether it had not ended before."""
    files = [folder / f"a.json{end}" for end in ("", ".journal")]

    def written() -> list[int]:
        return [path.stat().st_mtime_ns if path.exists() else 0 for path in files]

    before, one = written(), start(folder, *flags, at=at)
    wait = time.monotonic() + (rng.uniform(0.0, 2.0) if at % 3 == 0 else 60.0)
    while time.monotonic() < wait and one.poll() is None and (at % 3 == 0 or written() == before):
        time.sleep(0.0002)
    if at % 3:
        time.sleep(rng.uniform(0.0, 0.01))
    one.send_signal(signal.SIGKILL)
    one.communicate()
    return one.returncode == -signal.SIGKILL


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="kill -9")
@pytest.mark.parametrize("leg", range(6))
def test_killed_at_any_moment_nothing_is_lost_or_done_twice(leg: int, folder: Path) -> None:
    rng, kills = random.Random(leg), 0
    brought("a.json", "b.json", first=leg * LEG)
    for at in range(leg * LEG, (leg + 1) * LEG):
        flags = () if at else PAPER
        ask(*flags, at=at, account="b.json")
        kills += killed(folder, rng, *flags, at=at)
        again = process(folder, *flags, at=at)
        assert again.returncode == (10 if answer("b.json")["orders"] else 0), again.stderr
        assert saved() == saved("b.json")
    assert bytes_of() == bytes_of("b.json")
    assert kills >= 5, kills
    check_against_the_backtest()


@pytest.mark.long
def test_real_prices(folder: Path, market: Path) -> None:
    prices = ("--source", "csv", "--data-dir", str(market), "--prices", "raw", "--start", "2015-01-02")
    flags = (*prices, "--cash-rate", "0", "--paper")
    bars = load("csv", "SPY", start="2020-02-20", end="2020-04-10", data_dir=market)
    for at, last in enumerate(bars.sessions):
        asked = ["today", "--account", "a.json", "--as-of", str(last.date()), *(() if at else flags)]
        assert main(asked) in (0, 10)
    assert any("pays" in note for note in answer()["notes"]) or sum(entry["dividends"] for entry in saved()[1]) > 0.0
    check_against_the_backtest()
    check_no_difference()
