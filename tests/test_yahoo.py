"""yfinance itself, talking to a server on the loopback interface that answers, and fails, as Yahoo does."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yahoo_server import CRUMB, Yahoo, bars, in_place_of_yahoo, with_dividend, with_split

import riskoverlay.studies.today.run as today_run
from riskoverlay.feeds import DEFAULT_SYMBOLS, Cache, load, read_yahoo
from riskoverlay.feeds import yahoo as reader
from riskoverlay.feeds.yahoo import fetch_yahoo, refusal
from riskoverlay.studies.cli import main
from riskoverlay.studies.today import account_file

ROOT = Path(__file__).parents[1]
AFTER = pd.Timestamp("2024-12-31 12:00", tz="UTC")


def tables() -> dict[str, pd.DataFrame]:
    return {
        "SPY": with_dividend(with_dividend(bars(seed=1), "2024-03-15", 1.5), "2024-06-21", 1.7),
        "TLT": with_split(with_dividend(bars(seed=2, price=90.0), "2024-02-01", 0.3), "2024-05-15", 2.0),
        "GLD": bars(seed=3, price=180.0),
    }


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yahoo]:
    with in_place_of_yahoo(tables(), monkeypatch, tmp_path_factory.mktemp("yfinance")) as server:
        yield server


def by_hand(table: pd.DataFrame) -> pd.DataFrame:
    """Adjusted open, high, low, close and volume."""
    ratio = table["adj_close"] / table["close"]
    out = table[["open", "high", "low"]].mul(ratio, axis=0)
    return out.assign(close=table["adj_close"], volume=table["volume"])


# -- good answers ----------------------------------------------------------------------------------------------------


def test_values_are_the_served_ones_adjusted(yahoo: Yahoo) -> None:
    frames = read_yahoo("SPY,TLT,GLD")
    assert list(frames) == ["SPY", "TLT", "GLD"]
    for symbol, frame in frames.items():
        pd.testing.assert_frame_equal(frame, by_hand(yahoo.tables[symbol]), check_exact=True, check_freq=False)
    ratio = frames["SPY"]["close"] / yahoo.tables["SPY"]["close"]
    assert ratio.iloc[-1] == 1.0
    assert ratio.iloc[0] < 0.97
    assert sorted(yahoo.asked()) == ["GLD", "SPY", "TLT"]  # one request each


def test_what_is_fetched_is_as_served(yahoo: Yahoo) -> None:
    fetched, faults = fetch_yahoo(["SPY", "TLT", "GLD"], now=AFTER)
    assert faults == {}
    for symbol, got in fetched.items():
        pd.testing.assert_frame_equal(got, yahoo.tables[symbol][list(got.columns)], check_freq=False)
    assert fetched["TLT"].loc["2024-05-15", "split"] == 2.0


def test_window_has_both_ends(yahoo: Yahoo) -> None:
    frame = read_yahoo("GLD", "2024-02-01", "2024-02-29")["GLD"]
    assert (f"{frame.index[0]:%Y-%m-%d}", f"{frame.index[-1]:%Y-%m-%d}") == ("2024-02-01", "2024-02-29")
    with pytest.raises(ValueError, match=r"Yahoo: GLD: no session from 2024-02-01 to 2024-02-0|no session"):
        read_yahoo("GLD", "2024-02-03", "2024-02-04")


@pytest.mark.parametrize("symbol", ["spy", "^IRX", "BRK-B", "EURUSD=X", "BF.B"])
def test_symbols_as_people_write_them(yahoo: Yahoo, symbol: str) -> None:
    yahoo.tables[symbol.upper()] = bars(seed=5)
    frame = read_yahoo([symbol])[symbol]
    np.testing.assert_array_equal(frame["close"], yahoo.tables[symbol.upper()]["close"])


def test_two_spellings_of_one_symbol_are_asked_for_once(yahoo: Yahoo) -> None:
    frames = read_yahoo("spy,SPY")
    pd.testing.assert_frame_equal(frames["spy"], frames["SPY"])
    assert yahoo.asked() == ["SPY"]


def test_the_waits_of_a_user_grow_and_end() -> None:
    assert list(reader.WAITS) == sorted(set(reader.WAITS))
    assert 10 <= sum(reader.WAITS) <= 60


def test_progress_tells_each_symbol(yahoo: Yahoo) -> None:
    told: list[str] = []
    yahoo.faults["SPY"] = deque(["500", "500", "truncated"])
    fetch_yahoo(["SPY", "gld"], answered=told.append, now=AFTER)
    assert sorted(set(told)) == ["SPY", "gld"]


def test_nothing_is_printed(yahoo: Yahoo, capfd: pytest.CaptureFixture[str]) -> None:
    yahoo.faults["SPY"] = deque(["500", "429"])
    fetch_yahoo(["SPY", "NOPE"], now=AFTER)
    assert capfd.readouterr() == ("", "")


# -- a session that is not over --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "zone", "last", "close"),
    [
        ("SPY", "America/New_York", "2024-06-28", "2024-06-28 20:00"),
        ("SPY", "America/New_York", "2024-07-03", "2024-07-03 17:00"),  # closes early, the day before a holiday
        ("7203.T", "Asia/Tokyo", "2024-06-28", "2024-06-28 06:00"),
        ("EURUSD=X", "Europe/London", "2024-06-28", "2024-06-29 00:00"),
    ],
)
def test_a_bar_counts_once_its_session_is_over(yahoo: Yahoo, symbol: str, zone: str, last: str, close: str) -> None:
    yahoo.tables[symbol] = bars(last=last)
    yahoo.timezones[symbol] = zone
    over = pd.Timestamp(close, tz="UTC")
    during, _ = fetch_yahoo([symbol], now=over - pd.Timedelta(seconds=1))
    after, _ = fetch_yahoo([symbol], now=over)
    assert after[symbol].index[-1] == pd.Timestamp(last)
    assert during[symbol].index[-1] == yahoo.tables[symbol].index[-2]


def test_a_first_day_that_is_not_over_is_no_history(yahoo: Yahoo) -> None:
    yahoo.tables["NEW"] = bars("2024-06-28", "2024-06-28")
    got, faults = fetch_yahoo(["NEW"], now=pd.Timestamp("2024-06-28 15:00", tz="UTC"))
    assert not got
    assert "no session is over" in faults["NEW"].reason


# -- faults ----------------------------------------------------------------------------------------------------------

PASSING = {
    "429": "HTTP 429, too many requests",
    "500": "HTTP 500",
    "502html": "HTTP 502",
    "truncated": "unreadable answer",
    "cut": "no connection",
    "stall": "no answer in 0.3 seconds",
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_is_waited_out(yahoo: Yahoo, fault: str) -> None:
    yahoo.faults["SPY"] = deque([fault] * 2)
    waits: list[float] = []
    fetched, faults = fetch_yahoo(
        ["SPY", "TLT", "GLD"], timeout=0.3, waits=(1.0, 3.0, 9.0), sleep=waits.append, now=AFTER
    )
    assert faults == {}
    for symbol, got in fetched.items():
        np.testing.assert_array_equal(got["adj_close"], yahoo.tables[symbol]["adj_close"])
    assert waits in ([1.0], [1.0, 3.0])  # yfinance itself repeats what a status refuses
    assert yahoo.asked().count("GLD") == 1 or fault == "429"  # only what failed is asked for again


@pytest.mark.parametrize("fault", [fault for fault in PASSING if fault != "429"])  # that is everybody's: see below
def test_attempts_are_bounded_and_the_symbol_is_named(yahoo: Yahoo, fault: str) -> None:
    yahoo.always["SPY"] = fault
    waits: list[float] = []
    fetched, faults = fetch_yahoo(["GLD", "SPY"], timeout=0.3, waits=(1.0, 3.0, 9.0), sleep=waits.append, now=AFTER)
    assert list(fetched) == ["GLD"]
    assert waits == [1.0, 3.0, 9.0]
    assert re.search(rf"no bars of SPY \({PASSING[fault]}.*\): .*(try again|check the network)", str(refusal(faults)))


def test_where_everything_stalls_the_wait_is_short(yahoo: Yahoo) -> None:
    yahoo.always = dict.fromkeys(yahoo.tables, "stall")
    waits: list[float] = []
    _, faults = fetch_yahoo(["SPY", "TLT", "GLD"], timeout=0.2, waits=(1.0, 3.0), sleep=waits.append, now=AFTER)
    assert waits == [1.0]
    assert len(yahoo.charts) <= 4  # two symbols an attempt, not each for its own timeout
    assert "SPY, TLT, GLD (no answer in 0.2 seconds): check the network" in str(refusal(faults))


def test_too_many_requests_for_one_spares_the_others(yahoo: Yahoo) -> None:
    read_yahoo("SPY,TLT,GLD")  # or, first in its process, yfinance asks for time zones, and for no bars
    yahoo.charts.clear()
    yahoo.always = dict.fromkeys(yahoo.tables, "429")
    with pytest.raises(ValueError, match=r"SPY, TLT, GLD \(HTTP 429, too many requests\): try again later") as caught:
        read_yahoo("SPY,TLT,GLD")
    assert str(caught.value).count("\n") == 0
    assert len(yahoo.charts) == 4 * 2  # the first symbol, twice an attempt


def test_no_network(yahoo: Yahoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKOVERLAY_YAHOO_URL", "http://127.0.0.1:9")
    waits: list[float] = []
    _, faults = fetch_yahoo(["SPY", "TLT"], sleep=waits.append)
    assert len(waits) == 1
    assert re.search(r"SPY, TLT \(no connection: .*\): check the network, or use offline", str(refusal(faults)))


def test_one_bad_symbol_among_eight_is_named(yahoo: Yahoo) -> None:
    names = [*DEFAULT_SYMBOLS[:7], "ZZZZ"]
    yahoo.tables |= {name: bars(seed=7) for name in names[:7]}
    with pytest.raises(ValueError, match=r"^Yahoo gives no bars of ZZZZ \(No data found, .*\): check"):
        read_yahoo(names)
    fetched, faults = fetch_yahoo(names, now=AFTER)
    assert list(fetched) == names[:7]
    assert list(faults) == ["ZZZZ"]


@pytest.mark.parametrize("fault", ["empty", "nothing"])
def test_an_empty_result_is_named_and_not_repeated(yahoo: Yahoo, fault: str) -> None:
    yahoo.always["TLT"] = fault
    with pytest.raises(ValueError, match=r"no bars of TLT \(an empty answer\): check the spelling"):
        read_yahoo("SPY,TLT")
    assert yahoo.asked().count("TLT") <= 1


def test_the_sentence_puts_what_cannot_pass_first(yahoo: Yahoo) -> None:
    yahoo.always["SPY"] = "500"
    _, faults = fetch_yahoo(["SPY", "NOPE", "NADA"], now=AFTER)
    assert str(refusal(faults)) == (
        "Yahoo gives no bars of NOPE, NADA (No data found, symbol may be delisted), SPY (HTTP 500): "
        "check the spelling and the window, or leave it out"
    )


def test_rows_without_a_close_are_no_bars_and_other_holes_are_refused(yahoo: Yahoo) -> None:
    prices = ["open", "high", "low", "close", "adj_close", "volume"]
    yahoo.tables["SPY"].loc[yahoo.tables["SPY"].index[3], prices] = np.nan
    frame = read_yahoo("SPY")["SPY"]
    assert len(frame) == len(yahoo.tables["SPY"]) - 1
    yahoo.tables["SPY"].iloc[5, 0] = np.nan
    with pytest.raises(ValueError, match=r"Yahoo: SPY: open on 2024-01-09 is nan"):
        read_yahoo("SPY")


@pytest.mark.parametrize(("field", "side"), [("open", "high"), ("close", "low")])
def test_the_range_is_widened_a_little_or_refused(yahoo: Yahoo, tmp_path: Path, field: str, side: str) -> None:
    table = yahoo.tables["GLD"]
    day = table.index[40]
    sign = 1.0 if side == "high" else -1.0
    table.loc[day, field] = price = table.loc[day, side] * (1 + sign * 0.9 * reader.WIDENED)
    table["adj_close"] = table["close"]
    panel = load("yahoo", "GLD", "2024-01-01", cache=Cache(tmp_path))
    assert panel.frames["GLD"].loc[day, side] == price
    assert panel.warnings == (
        f"GLD: {field} was slightly outside low .. high on {day:%Y-%m-%d}, which were widened to hold it",
    )
    other = "low" if side == "high" else "high"
    assert panel.frames["GLD"].loc[day, other] == table.loc[day, other]
    table.loc[day, field] = table.loc[day, side] * (1 + sign * 1.1 * reader.WIDENED)
    table["adj_close"] = table["close"]
    with pytest.raises(ValueError, match=rf"Yahoo: GLD: {field} .* is outside low .* on {day:%Y-%m-%d}"):
        load("yahoo", "GLD", "2024-01-01", cache=Cache(tmp_path, refresh=True))


# -- the command line ------------------------------------------------------------------------------------------------

QUICK = ["--start", "2024-01-02", "--cov-lookback", "20", "--min-hist", "20", "--vol-lookback", "10"]


def write_csv(folder: Path, served: dict[str, pd.DataFrame]) -> Path:
    folder.mkdir()
    for symbol, table in served.items():
        table.to_csv(folder / f"{symbol}.csv", index_label="date")
    return folder


def test_backtest_on_yahoo_is_the_backtest_on_the_same_prices_as_csv(
    yahoo: Yahoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_csv(tmp_path / "prices", yahoo.tables)
    flags = ["--symbols", "SPY,TLT,GLD", *QUICK]
    real = ["--source", "yahoo", "--cache-dir", "cache", *flags]
    assert main([*real, "--csv", "y.csv", "--json", "y.json"]) == 0
    assert main(["--source", "csv", "--data-dir", str(folder), *flags, "--csv", "c.csv", "--json", "c.json"]) == 0
    yahoos, files = (json.loads(Path(name).read_text()) for name in ("y.json", "c.json"))
    assert yahoos["data"]["sha256"] == files["data"]["sha256"]
    assert yahoos["base"] == files["base"]
    assert yahoos["dynamic"] == files["dynamic"]
    assert Path("y.csv").read_bytes() == Path("c.csv").read_bytes()
    assert yahoos["data"]["source"] == "yahoo"
    assert not {"cache_dir", "refresh", "offline"} & set(yahoos["config"])
    yahoo.charts.clear()
    assert main([*real, "--offline", "--csv", "", "--json", "o.json"]) == 0
    assert yahoo.charts == []
    again = json.loads(Path("o.json").read_text())
    assert again["data"]["warnings"][0].startswith("offline: prices are from the cache: SPY, TLT, GLD up to 2024-06-28")
    assert again["base"] == yahoos["base"]


def test_an_account_of_today_day_by_day(
    yahoo: Yahoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each evening what Yahoo has by then, the bar of a session under way among it; a dividend and a rebalance."""
    monkeypatch.chdir(tmp_path)
    whole = dict(yahoo.tables)
    evenings = [day for day in whole["SPY"].index if pd.Timestamp("2024-06-17") <= day <= pd.Timestamp("2024-06-28")]
    rates = ["--borrow-rate", "0.04", "--cash-rate", "0.01", "--risk-free", "0"]
    opens = ["--source", "yahoo", "--prices", "raw", "--symbols", "SPY,TLT,GLD", "--paper", *QUICK, *rates]
    for number, day in enumerate(evenings):
        yahoo.tables.update({name: table[: day + pd.Timedelta(days=1)] for name, table in whole.items()})
        monkeypatch.setattr(today_run, "now", lambda day=day: day.to_pydatetime().replace(hour=21, tzinfo=dt.UTC))
        flags = ["today", "--account", "y.json", "--cache-dir", "cache", "--refresh", *(opens if number == 0 else ())]
        assert main(flags) in (0, 10), capsys.readouterr().err
        with account_file("y.json") as file:
            account = file.state or {}
        assert account["strategy"]["session"] == str(day.date())
        paid = [note for note in account["answer"]["notes"] if "SPY pays 1.7 a share" in note]
        assert len(paid) == (str(day.date()) == "2024-06-21")
    assert (
        len(evenings) == 9 and account["strategy"]["decided"] == "2024-06-28" and account["config"]["source"] == "yahoo"
    )
    assert main(["report", "--account", "y.json", "--html", "", "--json", "r.json", "--cache-dir", "cache"]) == 0
    assert json.loads(Path("r.json").read_text()) == {"tracking": pytest.approx(0.0, abs=1e-12), "fills": []}


@pytest.mark.ci
def test_as_a_program_with_cookie_and_crumb(yahoo: Yahoo, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "fetch", "--symbols", "SPY,GLD", "--cache-dir", "cache"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"SPY +2024-01-02 +2024-06-28 +124 +0 +20\d\d-\d\d-\d\d \d\d:\d\d +0 h", done.stdout), done.stdout
    assert yahoo.paths["/v1/test/getcrumb"] >= 1
    assert set(yahoo.crumbs) == {CRUMB}
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


def test_an_unknown_symbol_costs_one_line_and_the_others_are_kept(
    yahoo: Yahoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--symbols", "SPY,NOPE,GLD", "--cache-dir", str(tmp_path)]
    assert main(["fetch", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: Yahoo gives no bars of NOPE (No data found")
    assert captured.err.count("\n") == 1
    assert main(["fetch", "--symbols", "SPY,GLD", "--cache-dir", str(tmp_path), "--offline"]) == 0
