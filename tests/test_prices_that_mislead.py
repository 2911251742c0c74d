"""Prices of which a number would mislead are refused by every command and by `load`, or said to be what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yahoo_server import bars, with_dividend

from riskoverlay.errors import InputError
from riskoverlay.feeds import align, load, read_csv_folder
from riskoverlay.feeds.calendars import exchange_sessions
from riskoverlay.feeds.spacing import FEWEST, LEAST, MOST, irregular
from riskoverlay.studies.cli import main
from riskoverlay.studies.commands.backtest import SUMMARY
from riskoverlay.studies.report import report_html
from riskoverlay.studies.workbench import backtest, make_config
from riskoverlay.studies.workbench.runs import load_panel
from riskoverlay.studies.workbench.summaries import read_config

QUICK = ["--cov-lookback", "20", "--min-hist", "20", "--vol-lookback", "10"]
UNSPLIT = "prices and dividends are taken as adjusted for splits: there is no column of splits"
AS_GIVEN = "taken as given: if they are not adjusted, this is price return only"


def table(seed: int = 1, adjusted: bool = True) -> pd.DataFrame:
    """The first half of 2024, 124 sessions of XNYS."""
    whole = with_dividend(bars(seed=seed), "2024-03-15", 1.2).drop(columns="split")
    return whole if adjusted else whole.drop(columns=["adj_close", "dividend"])


def write(folder: Path, **tables: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    for symbol, one in tables.items():
        one.to_csv(folder / f"{symbol}.csv", index_label="date")
    return folder


def weekly(one: pd.DataFrame) -> pd.DataFrame:
    """Bars of weeks, dated by their last session."""
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "adj_close": "last"}
    weeks = one.groupby(pd.PeriodIndex(one.index, freq="W-FRI"))
    return weeks.agg(how).set_axis(pd.DatetimeIndex(weeks.apply(lambda week: week.index[-1])))


# -- adjusted, or not --------------------------------------------------------------------------------------------------


def test_prices_that_nothing_says_are_adjusted_are_said_to_be_as_given(tmp_path: Path) -> None:
    folder = write(tmp_path / "bare", AAA=table(1, False), BBB=table(2, False))
    panel = load("csv", "AAA,BBB", data_dir=folder)
    assert panel.warnings == (f"prices are {AS_GIVEN} (--adjusted, or adjusted=True, says that they are)",)
    assert not panel.adjusted
    assert panel.adjustment == AS_GIVEN
    said = load("csv", "AAA,BBB", data_dir=folder, adjusted=True)
    assert said.warnings == ()
    assert said.adjusted
    assert said.adjustment == "adjusted for dividends and splits"
    assert said.sha256 == panel.sha256


def test_only_those_are_named_that_have_no_adjusted_close(tmp_path: Path) -> None:
    folder = write(tmp_path / "some", AAA=table(1, False), BBB=table(2), CCC=table(3, False))
    panel = load("csv", "AAA,BBB,CCC", data_dir=folder)
    assert [text.partition(" (")[0] for text in panel.warnings] == [
        "prices are adjusted, not as traded: AAA, CCC have no column of dividends",
        f"prices of AAA, CCC are {AS_GIVEN}",
    ]
    assert not panel.adjusted
    asked = load("csv", "AAA,BBB,CCC", data_dir=folder, prices="adjusted")
    assert asked.warnings == panel.warnings[1:]
    assert asked.sha256 == panel.sha256
    assert load("csv", "BBB", data_dir=folder, prices="adjusted").adjusted
    assert load("csv", "BBB", data_dir=folder, prices="adjusted").warnings == ()


def test_dividends_alone_are_run_by_unless_prices_are_said_to_be_adjusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "paid", AAA=table().drop(columns="adj_close"))
    for flags in ([], ["--adjusted"]):
        assert main(["check", "--source", "csv", "--data-dir", str(folder), "--symbols", "AAA", *flags]) == 0
        assert "0 errors, 0 warnings" in capsys.readouterr().out
    for prices, raw in (("auto", True), ("raw", True), ("adjusted", False)):
        panel = load("csv", "AAA", data_dir=folder, prices=prices)
        assert (panel.raw, panel.adjusted) == (raw, not raw)
        assert panel.warnings == (UNSPLIT,)
        want = table()["adj_close"].pct_change().iloc[1:]  # of six decimals
        np.testing.assert_allclose(panel.adjusted_prices().closes["AAA"].pct_change().iloc[1:], want, atol=5e-8)
    said = load("csv", "AAA", data_dir=folder, adjusted=True)
    assert (said.warnings, said.raw, said.adjusted) == ((), False, True)
    np.testing.assert_array_equal(said.closes["AAA"], table()["close"])


def test_frames_of_ones_own_are_as_given_unless_said(tmp_path: Path) -> None:
    assert not align({"AAA": table()}).adjusted
    assert align({"AAA": table()}, adjusted=True).adjusted
    assert load("sample", "SPY", end="2010-12-31").adjusted


@pytest.mark.parametrize("flags", [[], ["--adjusted"]])
def test_the_run_and_its_report_say_which(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "bare", AAA=table(1, False), BBB=table(2, False))
    given = ["--source", "csv", "--data-dir", "bare", "--symbols", "AAA,BBB", *QUICK, *flags]
    assert main([*given, "--html", "report.html"]) == 0
    assert (AS_GIVEN in capsys.readouterr().err) is not flags
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("adjusted for dividends and splits; the hash" in page) == bool(flags)
    assert (f"{AS_GIVEN}; the hash" in page) != bool(flags)
    stored = json.loads(Path(SUMMARY).read_text())
    assert stored["data"]["adjusted"] == stored["config"]["adjusted"] == bool(flags)
    assert main(["--config", SUMMARY, "--json", "again.json"]) == 0
    assert Path("again.json").read_bytes() == Path(SUMMARY).read_bytes()


def test_a_config_of_before_says_nothing_of_it(tmp_path: Path) -> None:
    config = {name: value for name, value in make_config().items() if name != "adjusted"}
    (tmp_path / "old.json").write_text(json.dumps({"format": 1, "config": config}))
    assert read_config(tmp_path / "old.json")["adjusted"] is False


def test_the_report_of_adjusted_prices_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "whole", AAA=table(1), BBB=table(2))
    config = make_config({"source": "csv", "data_dir": str(folder), "symbols": "AAA,BBB", "cov_lookback": 20,
                          "min_hist": 20, "vol_lookback": 10, "prices": "adjusted"})  # fmt: skip
    page = report_html(backtest(load_panel(config), config))
    assert "adjusted for dividends and splits; the hash" in page
    assert AS_GIVEN not in page


# -- a split that a vendor has not undone ------------------------------------------------------------------------------


def quoted(ratio: float) -> pd.DataFrame:
    """As Tiingo and Alpha Vantage have it: closes as they were quoted before a split, adj_close adjusted for it."""
    one = table().assign(split=1.0)
    before = one.index < "2024-05-01"
    one.loc[before, ["open", "high", "low", "close", "dividend"]] *= ratio
    one.loc["2024-05-01", "split"] = ratio
    return one


def test_a_split_explains_its_day_and_no_other(tmp_path: Path) -> None:
    folder = write(tmp_path / "split", AAA=quoted(4.0))
    panel = load("csv", "AAA", data_dir=folder, prices="adjusted")
    assert panel.warnings == ()
    whole = read_csv_folder(write(tmp_path / "whole", AAA=table()), ["AAA"])["AAA"]
    pd.testing.assert_frame_equal(panel.frames["AAA"], whole, rtol=1e-12)
    for changed in (quoted(4.0).drop(columns="split"), quoted(4.0).assign(split=quoted(4.0)["split"].shift(-1))):
        folder = write(tmp_path / "split", AAA=changed.fillna(1.0))
        (warning,) = load("csv", "AAA", data_dir=folder, prices="adjusted").warnings
        off = "adjusted return is +75.00 % off price and dividend on 2024-05-01"
        assert off in warning
        said = "".join(load("csv", "AAA", data_dir=folder).warnings)
        assert off in said
        assert "prices jump overnight as after a split of 4 for 1, which nothing announces, on 2024-05-01" in said


# -- bars that are not daily -------------------------------------------------------------------------------------------

SESSIONS = exchange_sessions(pd.Timestamp("2023-01-03"), pd.Timestamp("2024-12-31"))


def test_weekly_bars_are_refused_by_name_and_daily_ones_beside_them_are_not_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "weeks", AAA=weekly(table(1)), BBB=table(2))
    words = r"^AAA: bars are 7 days apart \(median\): give daily bars, rules and statistics count sessions$"
    for calendar in ("XNYS", None):
        for symbols in ("AAA", "AAA,BBB"):
            with pytest.raises(InputError, match=words):
                load("csv", symbols, data_dir=folder, calendar=calendar)
    assert len(read_csv_folder(folder, ["AAA"])["AAA"]) == 26  # feeds of one's own are free
    assert len(align(read_csv_folder(folder, ["AAA"])).sessions) == 26


COMMANDS = {
    "backtest": [],
    "ladder": ["--workers", "1"],
    "sweep": ["--grid", "target_vol=0.1,0.2", "--workers", "1"],
    "walkforward": ["--grid", "target_vol=0.1,0.2", "--workers", "1"],
    "audit": ["--cuts", "3", "--workers", "1"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_alike(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "weeks", AAA=weekly(table(1)))
    prices = ["--source", "csv", "--data-dir", "weeks", "--symbols", "AAA"]
    assert main([command, *prices, *COMMANDS[command]]) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        "error: AAA: bars are 7 days apart (median): give daily bars, rules and statistics count sessions\n"
    )
    assert captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["weeks"]


def test_check_finds_what_a_run_would_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "weeks", AAA=weekly(table(1)), BBB=table(2))
    assert main(["check", "--source", "csv", "--data-dir", str(folder), "--symbols", "AAA,BBB"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "AAA spacing error bars are 7 days apart (median)" in out
    assert "1 errors" in out


def test_monthly_bars_and_every_second_session_are_not_daily() -> None:
    months = pd.DatetimeIndex(pd.Series(SESSIONS, SESSIONS).groupby(SESSIONS.to_period("M")).last())
    for days, apart in ((months, "31"), (SESSIONS[::2], "2"), (SESSIONS[::3], "5")):
        for calendar in ("XNYS", None):
            found = irregular(days, calendar)
            assert found is not None
            assert found[0].startswith(f"bars are {apart}"), found
    assert irregular(SESSIONS, "XNYS") is irregular(SESSIONS, None) is None
    assert irregular(pd.date_range("2024-01-01", "2024-12-31"), "XNYS") is None  # a market that never closes


def test_few_sessions_are_not_judged() -> None:
    assert irregular(SESSIONS[::5][: FEWEST - 1], "XNYS") is None
    assert irregular(SESSIONS[::5][:FEWEST], "XNYS") is not None


# -- holes -------------------------------------------------------------------------------------------------------------


def spread(missing: int, sessions: pd.DatetimeIndex = SESSIONS) -> pd.DatetimeIndex:
    """Sessions without some, evenly spread."""
    return sessions.delete([round((at + 0.5) * len(sessions) / missing) for at in range(missing)])


def gap(length: int) -> pd.DatetimeIndex:
    return SESSIONS.delete(range(100, 100 + length))


@pytest.mark.parametrize(
    ("days", "most", "words"),
    [(spread, int(len(SESSIONS) * (1 - LEAST)),
      "bars on 451 of 502 sessions of XNYS (89.8 %), 2023-01-03 to 2024-12-31, at least 90 % are needed"),
     (lambda missing: spread(missing, SESSIONS[:200]), MOST,
      "bars on 169 of 200 sessions of XNYS (84.5 %), 2023-01-03 to 2023-10-18, at least 90 % are needed"),
     (gap, MOST, "no bar on 31 sessions of XNYS in a row, 2023-05-26 to 2023-07-12, at most 30 are allowed")],
    ids=["share", "share of a short panel", "gap"],
)  # fmt: skip
def test_as_many_sessions_may_be_missing_and_one_more_may_not(
    days: Callable[[int], pd.DatetimeIndex], most: int, words: str
) -> None:
    assert irregular(days(most), "XNYS") is None
    found = irregular(days(most + 1), "XNYS")
    assert found is not None
    assert found[0] == words
    assert irregular(days(most + 1), None) is None  # a market without a calendar
    assert irregular(days(most + 1), "24/7") is not None


def test_holes_are_looked_for_between_the_first_common_bar_and_the_last(tmp_path: Path) -> None:
    holed = table(1).drop(table(1).index[10:45])
    folder = write(tmp_path / "holes", AAA=holed, BBB=table(2), CCC=table(3).iloc[60:])
    with pytest.raises(InputError, match=r"^AAA: bars on 89 of 124 sessions of XNYS \(71.8 %\), 2024-01-02 to"):
        load("csv", "AAA,BBB", data_dir=folder)
    assert len(load("csv", "AAA,BBB,CCC", data_dir=folder, universe="common").sessions) == 64
    assert len(load("csv", "AAA,BBB", start="2024-03-07", data_dir=folder).sessions) == 79
    assert len(load("csv", "AAA,BBB", data_dir=folder, calendar=None).sessions) == 89


def test_symbols_that_share_too_few_sessions_are_refused_together(tmp_path: Path) -> None:
    whole = bars("2023-01-03").drop(columns="split")  # 374 sessions
    one, two = (whole.drop(whole.index[k * 6 : -1 : 12]) for k in (1, 2))
    folder = write(tmp_path / "apart", AAA=one, BBB=two)
    for symbol in ("AAA", "BBB"):
        load("csv", symbol, data_dir=folder)
    with pytest.raises(InputError, match=r"^the sessions common to AAA, BBB: bars on 312 of 374 sessions of XNYS"):
        load("csv", "AAA,BBB", data_dir=folder)


def test_the_calendar_is_that_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "prices", AAA=table(1), BBB=table(2))
    prices = ["--source", "csv", "--data-dir", str(folder), "--symbols", "AAA,BBB", "--csv", "", "--json", "", *QUICK]
    assert main(prices) == 0
    assert main([*prices, "--calendar", "none"]) == 0
    capsys.readouterr()
    assert main([*prices, "--calendar", "24/7"]) == 2
    assert "AAA, BBB: bars on 124 of 179 sessions of 24/7 (69.3 %)" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"calendar='NOWHERE' is unknown: give a name"):
        load("csv", "AAA", data_dir=folder, calendar="NOWHERE")


def test_real_prices_are_daily(market: Path) -> None:
    assert len(load("csv", data_dir=market).sessions) == 4024


# -- the window --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["01/02/2020", "1.2.2020", "2020", "2020-01", "today", "Jan 2, 2020", "2020/01/02", ""]
)
def test_a_date_in_a_flag_is_iso_or_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("start", "end"):
        assert main([f"--{flag}", text]) == 2
        assert capsys.readouterr().err == f"error: {flag}={text!r} is not a date: give YYYY-MM-DD\n"


@pytest.mark.parametrize("day", [2020, 20200102, 1.5, True, [2020, 1, 2]])
def test_a_number_is_no_date(day: object) -> None:
    with pytest.raises(InputError, match="is not a date: give YYYY-MM-DD"):
        load("sample", "SPY", start=day, end="2010-12-31")


def test_dates_of_python_and_of_iso_are_the_same_day() -> None:
    stamp = pd.Timestamp("2010-03-01")
    for day in (stamp, stamp.date(), stamp.to_pydatetime(), stamp.to_datetime64(), "2010-03-01", "20100301",
                "2010-03-01T00:00:00Z"):  # fmt: skip
        assert load("sample", "SPY", start=day, end="2010-12-31").sessions[0] == stamp


WINDOW = ["--symbols", "SPY,TLT,GLD", "--start", "2010-02-06", "--end", "2010-11-28"]


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_the_window_in_force_is_printed(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    more = [*COMMANDS[command], *(["--train", "3", "--test", "2"] if command == "walkforward" else [])]
    assert main([command, *WINDOW, *QUICK, *more]) == 0
    assert "Bars from 2010-02-08 to 2010-11-26, 204 sessions.\n" in capsys.readouterr().out
