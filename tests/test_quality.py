"""What the checks find, what they leave alone, and what a run makes of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from yahoo_server import bars, with_dividend

from riskoverlay.errors import InputError
from riskoverlay.feeds import SAMPLE_SYMBOLS, Panel, check_bars, load, load_raw, quality, sample_market
from riskoverlay.feeds.adjust import Raw
from riskoverlay.feeds.quality import CHECKS, errors, findings_table, sentences
from riskoverlay.studies.cli import main
from riskoverlay.studies.commands.backtest import SUMMARY


def clean() -> pd.DataFrame:
    """124 sessions with two dividends, as a file would give them."""
    table = with_dividend(with_dividend(bars(), "2024-03-15", 1.2), "2024-06-21", 1.3)
    return table.drop(columns="split")


def found(table: pd.DataFrame, **options: object) -> list[tuple[str, str, str]]:
    """(check, severity, text) of each finding."""
    return [(f.check, f.severity, f.text) for f in check_bars(table, "X", **options)]  # type: ignore[arg-type]


def day(table: pd.DataFrame, number: int) -> str:
    return f"{table.index[number]:%Y-%m-%d}"


def changed(number: int, **cells: float) -> pd.DataFrame:
    table = clean()
    for name, value in cells.items():
        table.loc[table.index[number], name] = value
    return table


def scaled(number: int, factor: float, count: int = 1) -> pd.DataFrame:
    """All prices of some sessions times a factor."""
    table = clean()
    rows = table.index[number : number + count]
    table.loc[rows, ["open", "high", "low", "close", "adj_close"]] *= factor
    return table


def test_clean_bars_have_no_finding() -> None:
    assert found(clean()) == []
    assert found(clean().drop(columns=["dividend", "adj_close"])) == []
    assert found(clean().assign(dividend=0.0).drop(columns="adj_close")) == []  # nothing was paid


@pytest.mark.parametrize("seed", [63, 1])
def test_the_sample_market_has_no_finding(seed: int) -> None:
    market = sample_market(SAMPLE_SYMBOLS[:12], seed=seed)
    assert quality({symbol: Raw(symbol, frame) for symbol, frame in market.frames.items()}) == []


ERRORS: dict[str, tuple[Callable[[], pd.DataFrame], str, str]] = {
    "column": (lambda: clean().drop(columns="volume"), "columns", r"no column volume"),
    "no rows": (lambda: clean().iloc[:0], "columns", r"no dated rows"),
    "duplicate": (
        lambda: clean().iloc[[*range(30), 29, *range(30, 124)]], "dates", r"2024-02-13 is there more than once"
    ),
    "unsorted": (lambda: clean().iloc[[*range(30), 31, 30, *range(32, 124)]], "dates", r"2024-02-14 comes after"),
    "nan": (lambda: changed(9, open=np.nan), "values", r"open on 2024-01-16 is not a number"),
    "infinite": (lambda: changed(9, volume=np.inf), "values", r"volume on 2024-01-16 is not a number"),
    "zero": (lambda: changed(9, low=0.0), "values", r"low on 2024-01-16 is not above zero"),
    "negative": (lambda: changed(9, volume=-1.0), "values", r"volume on 2024-01-16 is negative"),
    "negative dividend": (lambda: changed(9, dividend=-1.0), "values", r"dividend on 2024-01-16 is negative"),
    "high below low": (lambda: changed(9, high=50.0), "range", r"high is below low on 2024-01-16"),
    "close above high": (lambda: changed(9, close=999.0, adj_close=990.0), "range", r"close is outside low \.\. high"),
    "open below low": (lambda: changed(9, open=1.0), "range", r"open is outside low \.\. high on 2024-01-16"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    make, check, text = ERRORS[name]
    first = found(make())[0]
    assert first[:2] == (check, "error")
    assert re.search(text, first[2]), first[2]
    assert check in CHECKS


def test_errors_are_counted_with_the_first_date() -> None:
    table = clean()
    table.loc[table.index[[5, 9, 11]], "high"] = 1.0
    findings = check_bars(table, "X")
    assert findings[0].text == "high is below low on 3 dates, first 2024-01-09"
    assert findings[0].dates == ("2024-01-09", "2024-01-16", "2024-01-18")


@pytest.mark.parametrize(("by", "severity"), [(0.004, "warning"), (0.006, "error")])
def test_the_range_may_be_a_little_off_where_it_is_widened(by: float, severity: str) -> None:
    table = clean()
    table.loc[table.index[9], "open"] = table["high"].iloc[9] * (1 + by)
    assert found(table, widened=0.005)[0][:2] == ("range", severity)
    assert found(table)[0][:2] == ("range", "error")


def test_missing_and_foreign_dates() -> None:
    table = clean().drop(clean().index[[20, 50]])
    assert found(table) == [("missing", "warning", "2 sessions of XNYS are missing, first 2024-01-31")]
    assert found(table, calendar=None) == []
    weekend = clean().rename(index={clean().index[20]: clean().index[20] + pd.Timedelta(days=3)})  # a Saturday
    texts = [text for _, _, text in found(weekend.sort_index())]
    assert "2024-02-03 is no session of XNYS" in texts
    assert "session 2024-01-31 of XNYS is missing" in texts
    assert "3 sessions of XLON are missing" in " ".join(text for _, _, text in found(clean(), calendar="XLON"))
    with pytest.raises(ValueError, match=r"calendar='NOWHERE' is unknown: give"):
        found(clean(), calendar="NOWHERE")


@pytest.mark.parametrize(("length", "finds"), [(4, False), (5, True)])
def test_closes_that_stand_still(length: int, finds: bool) -> None:
    table = clean().drop(columns=["adj_close", "dividend"])
    rows = table.index[60 : 60 + length]
    table.loc[rows, "close"] = table["close"].iloc[60]
    table["high"] = table[["open", "high", "close"]].max(axis=1)
    table["low"] = table[["open", "low", "close"]].min(axis=1)
    expected = [("stale", "warning", f"close does not move for 5 sessions, from {day(table, 60)}")]
    assert found(table) == (expected if finds else [])


def test_a_bar_that_is_repeated() -> None:
    table = clean().drop(columns=["adj_close", "dividend"])
    table.iloc[41] = table.iloc[40]
    assert found(table) == [("stale", "warning", f"the whole bar before is repeated on {day(table, 41)}")]


@pytest.mark.parametrize(("factor", "finds"), [(1.25, True), (0.8, True), (100.0, True), (1.03, False)])
def test_spikes_that_revert(factor: float, finds: bool) -> None:
    texts = [text for check, _, text in found(scaled(60, factor)) if check == "spike"]
    assert bool(texts) is finds
    if finds:
        assert f"on {day(clean(), 60)} and is back a session later" in texts[0]


def even(usual: float, there: float = 0.0, back: float | None = None) -> pd.DataFrame:
    """Closes that move by log returns of ±`usual`, but for one move and the next: there, and back by as much."""
    moves = usual * np.resize([1.0, -1.0], 123)
    if there:
        moves[59:61] = [there, -there if back is None else -back]
    close = 100.0 * np.exp(np.r_[0.0, np.cumsum(moves)])
    prices = {"open": close, "high": 1.001 * close, "low": 0.999 * close, "close": close}
    return clean().drop(columns=["adj_close", "dividend"]).assign(**prices)


@pytest.mark.parametrize(
    ("usual", "there", "back", "finds"),
    [
        (0.010, 0.0999, None, False), (0.010, 0.1001, None, True),  # ten times the usual move
        (0.010, -0.0999, None, False), (0.010, -0.1001, None, True),
        (0.001, 0.0399, None, False), (0.001, 0.0401, None, True),  # 4 % at least
        (0.001, 0.0800, 0.0601, True), (0.001, 0.0800, 0.0599, False),  # a quarter may remain
        (0.001, 0.0800, 0.0999, True), (0.001, 0.0800, 0.1001, False),
        (0.007, 0.0710, 0.0690, False),  # both ways are ten times the usual move, or neither counts
    ],
)  # fmt: skip
def test_where_a_spike_begins(usual: float, there: float, back: float | None, finds: bool) -> None:
    findings = found(even(usual, there, back))
    assert [check for check, _, _ in findings] == ["spike"] * finds
    if finds:
        jump = f"close jumps by {100.0 * (np.exp(there) - 1.0):.1f} % on {day(clean(), 60)} and is back"
        assert findings[0][2].startswith(jump)


def test_a_move_that_stays_is_no_spike() -> None:
    assert [check for check, _, _ in found(scaled(60, 1.5, count=64)) if check == "spike"] == []
    assert [check for check, _, _ in found(scaled(60, 1.5, count=5)) if check == "spike"] == []


def test_a_wild_market_is_not_full_of_spikes() -> None:
    random = np.random.default_rng(0)
    table = clean().drop(columns=["adj_close", "dividend"])
    close = 100.0 * np.exp(np.cumsum(0.04 * random.standard_t(3, len(table))))
    table["open"] = table["close"] = close
    table["high"], table["low"] = 1.01 * close, 0.99 * close
    assert found(table) == []


@pytest.mark.parametrize(("volume", "text"), [
    (0.0, "no volume on 2024-03-28"),
    (1200.0, "volume is 1,200 on 2024-03-28, where "),
    (5e9, "volume is 5,000,000,000 on 2024-03-28, where "),
    (20_000.0, None),
    (1e9, None),
])  # fmt: skip
def test_volumes(volume: float, text: str | None) -> None:
    findings = found(changed(60, volume=volume))
    assert len(findings) == (text is not None)
    if text is not None:
        assert findings[0][:2] == ("volume", "warning")
        assert findings[0][2].startswith(text)


@pytest.mark.parametrize(("volume", "finds"), [(1001.0, False), (999.0, True), (0.999e9, False), (1.001e9, True)])
def test_a_thousandth_and_a_thousandfold_of_the_usual_volume(volume: float, finds: bool) -> None:
    table = clean().assign(volume=1e6)
    table.loc[table.index[60], "volume"] = volume
    said = f"volume is {volume:,.0f} on {day(table, 60)}, where 1,000,000 is usual"
    assert found(table) == ([("volume", "warning", said)] if finds else [])


def test_where_most_sessions_have_no_volume_one_that_has_is_not_absurd() -> None:
    table = clean().assign(volume=0.0)
    table.loc[table.index[60], "volume"] = 1e6
    assert found(table) == []


@pytest.mark.parametrize(
    ("high", "usual"),
    [
        ([*range(39, 60), 61], "5,000,000"), (range(38, 60), "1,000,000"),
        ([59, *range(61, 82)], "5,000,000"), (range(61, 83), "1,000,000"),
    ],
)  # fmt: skip
def test_usual_is_what_21_sessions_on_either_side_are(high: Any, usual: str) -> None:
    """Of the 43 volumes around number 60, 22 decide."""
    table = clean().assign(volume=1e6)
    table.iloc[list(high), table.columns.get_loc("volume")] = 5e6
    table.loc[table.index[60], "volume"] = 1.0
    assert f"where {usual} is usual" in found(table)[0][2]


def test_a_source_without_volumes_has_no_finding_about_them() -> None:
    assert found(clean().assign(volume=0.0)) == []


def test_adjusted_returns_against_dividends() -> None:
    lost = clean().assign(dividend=0.0)
    assert found(lost)[0][:2] == ("dividend", "warning")
    assert re.match(r"adjusted return is off price and dividend on 2 dates, first by \+1\.\d\d % on 2024-03-15",
                    found(lost)[0][2])  # fmt: skip
    unadjusted = clean()
    unadjusted["adj_close"] = unadjusted["close"]
    assert "first by -1." in found(unadjusted)[0][2]
    assert found(clean().drop(columns="adj_close")) == []  # run by the dividends themselves


def test_either_way_of_adjusting_is_right() -> None:
    table = clean().assign(dividend=0.0)
    table.loc["2024-03-15", "dividend"] = paid = 20.0  # so large that the two ways differ by percents
    at = int(table.index.get_loc(pd.Timestamp("2024-03-15")))
    close = table["close"].to_numpy()
    for factor in (1 - paid / close[at - 1], close[at] / (close[at] + paid)):
        adjusted = close.copy()
        adjusted[:at] *= factor
        assert found(table.assign(adj_close=adjusted)) == []
    assert found(table.assign(adj_close=close)) != []


@pytest.mark.parametrize(("error", "finds"), [(0.0004, False), (0.0007, True)])
def test_how_far_an_adjusted_return_may_be_off(error: float, finds: bool) -> None:
    table = clean()
    later: Any = table["adj_close"].iloc[60:]
    table.iloc[60:, table.columns.get_loc("adj_close")] = later * (1 + error)
    assert bool(found(table)) is finds


def split_at(number: int, ratio: float, *, prices: float, adjusted: float = 1.0) -> pd.DataFrame:
    """A split of `ratio` announced on a session; prices and adjusted closes before it are so many times as high."""
    table = clean().drop(columns="dividend").assign(split=0.0)
    table["adj_close"] = table["close"]
    before = table.index[:number]
    table.loc[before, ["open", "high", "low", "close"]] *= prices
    table.loc[before, "adj_close"] *= adjusted
    table.loc[table.index[number], "split"] = ratio
    return table


@pytest.mark.parametrize("ratio", [3.0, 2.0, 1.5, 0.1])
def test_an_announced_split_is_taken_out_once(ratio: float) -> None:
    shown = {3.0: "3 for 1", 2.0: "2 for 1", 1.5: "1.5 for 1", 0.1: "1 for 10"}[ratio]
    assert found(split_at(60, ratio, prices=1.0)) == []  # by the vendor
    assert found(split_at(60, ratio, prices=ratio)) == []  # by the adjusted close
    cure = "give an adj_close without it, or bars from after it"
    still = [("split", "error", f"the split of {shown} on 2024-03-28 is in the prices: {cure}")]
    assert found(split_at(60, ratio, prices=ratio, adjusted=ratio)) == still
    assert found(split_at(60, ratio, prices=ratio).drop(columns="adj_close")) == still
    twice = [("split", "error", f"the split of {shown} on 2024-03-28 was taken out of the prices twice: {cure}")]
    assert found(split_at(60, ratio, prices=1.0, adjusted=1.0 / ratio)) == twice


def test_several_splits_are_counted() -> None:
    table = split_at(60, 2.0, prices=2.0, adjusted=2.0)
    table.loc[table.index[:20], ["open", "high", "low", "close", "adj_close"]] *= 3.0
    table.loc[table.index[20], "split"] = 3.0
    ((check, severity, text),) = found(table)
    assert (check, severity) == ("split", "error")
    assert "the split of 3 for 1 on 2024-01-31 is in the prices, of 2 such" in text


@pytest.mark.parametrize(
    ("factor", "shown"), [(2.0, "2 for 1"), (0.1, "1 for 10"), (1.03 * 2.0, "2 for 1"), (1.1 * 2.0, None), (1.2, None)]
)
def test_a_split_that_nothing_announces(factor: float, shown: str | None) -> None:
    table = split_at(60, 0.0, prices=factor, adjusted=factor)
    expected = [("split", "warning", f"prices jump overnight as after a split of {shown}, which nothing announces, on "
                                     "2024-03-28")]  # fmt: skip
    assert found(table) == (expected if shown else [])
    assert found(table.drop(columns=["split", "adj_close"])) == (expected if shown else [])
    within = table.copy()  # the same fall within the session is a market's
    within.iloc[60, within.columns.get_loc("open")] = opened = within["open"].iloc[59]
    within["high"], within["low"] = within["high"].clip(lower=within["open"]), within["low"].clip(upper=within["open"])
    assert opened == within["open"].iloc[60]
    assert found(within.drop(columns=["split", "adj_close"])) == []


def test_a_run_stops_at_a_split_that_is_in_the_prices(tmp_path: Path) -> None:
    table = split_at(60, 3.0, prices=3.0).drop(columns="adj_close")
    table.to_csv(tmp_path / "X.csv", index_label="date")
    with pytest.raises(InputError, match=r"X: the split of 3 for 1 on 2024-03-28 is in the prices: give an adj_close"):
        load("csv", ["X"], data_dir=tmp_path)
    after = load("csv", ["X"], data_dir=tmp_path, start=table.index[60])
    assert after.sessions[0] == table.index[60]


def test_real_bars_with_splits_are_found(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = market.parent / "actions"
    if not folder.is_dir():
        pytest.skip("there are no raw bars beside the market")
    selection = ["check", "--source", "csv", "--data-dir", str(folder), "--symbols", "SPY,QQQ,IWM,EEM"]
    assert main(selection) == 0  # as traded, and said to be
    assert "0 errors, 1 warnings" in capsys.readouterr().out
    raw, _ = load_raw("csv", "SPY,QQQ,IWM,EEM", data_dir=folder)
    given = errors(quality(raw, own=()))
    assert [(one.symbol, one.check, len(one.dates)) for one in given] == [("IWM", "split", 1), ("EEM", "split", 2)]


def test_findings_of_several_symbols_with_one_text_are_one_sentence() -> None:
    gap = clean().drop(clean().index[20])
    raw = {symbol: Raw(symbol, gap) for symbol in ("AAA", "BBB")}
    findings = quality(raw)
    assert sentences(findings) == ["AAA, BBB: session 2024-01-31 of XNYS is missing"]
    assert errors(findings) == []
    assert json.loads(json.dumps(findings_table(findings)))[0] == {
        "symbol": "AAA", "check": "missing", "severity": "warning",
        "text": "session 2024-01-31 of XNYS is missing", "dates": ["2024-01-31"],
    }  # fmt: skip


def test_each_symbol_has_its_own_calendar() -> None:
    tables = {"XXX": Raw("", clean()), "XXX.L": Raw("", clean())}
    assert {finding.symbol for finding in quality(tables)} == {"XXX.L"}
    assert {finding.symbol for finding in quality(tables, calendar="XLON")} == {"XXX", "XXX.L"}


# -- what a run makes of it ------------------------------------------------------------------------------------------


def write(folder: Path, **tables: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    for symbol, table in tables.items():
        table.to_csv(folder / f"{symbol}.csv", index_label="date")
    return folder


def test_warnings_go_with_the_panel_and_look_at_its_window_only(tmp_path: Path) -> None:
    folder = write(tmp_path / "prices", AAA=changed(60, volume=1200.0))
    panel = load("csv", "AAA", "2024-01-01", data_dir=folder, prices="adjusted")
    assert len(panel.warnings) == 1
    assert panel.warnings[0].startswith("AAA: volume is 1,200 on 2024-03-28")
    assert panel.select(["AAA"]).between("2024-02-01").warnings == panel.warnings
    assert load("csv", "AAA", "2024-04-01", data_dir=folder, prices="adjusted").warnings == ()
    assert Panel(panel.frames).warnings == ()


def test_an_error_that_validation_cannot_see_stops_a_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "prices", AAA=changed(60, dividend=-3.0))
    with pytest.raises(ValueError, match=r"^AAA: dividend on 2024-03-28 is negative: correct or remove the rows"):
        load("csv", "AAA", "2024-01-01", data_dir=folder, prices="adjusted")
    with pytest.raises(ValueError, match=r"AAA.csv: dividend is -3.0 on 2024-03-28, below zero: give 0 or nothing"):
        load("csv", "AAA", "2024-01-01", data_dir=folder)


def test_a_blank_dividend_is_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "prices", AAA=clean().replace({"dividend": {0.0: np.nan}}))
    assert ",," in (folder / "AAA.csv").read_text() or ",\n" in (folder / "AAA.csv").read_text()
    assert load("csv", "AAA", "2024-01-01", data_dir=folder, prices="adjusted").warnings == ()
    paid = load("csv", "AAA", "2024-01-01", data_dir=folder, prices="raw").dividends["AAA"]
    assert paid[paid != 0.0].to_list() == [1.2, 1.3]


def test_warnings_are_printed_once_and_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "prices", AAA=changed(60, volume=1200.0), BBB=clean())
    flags = ["--source", "csv", "--data-dir", "prices", "--symbols", "AAA,BBB", "--cov-lookback", "20",
             "--min-hist", "20", "--vol-lookback", "10", "--prices", "adjusted"]  # fmt: skip
    assert main(flags) == 0
    captured = capsys.readouterr()
    assert captured.err.count("volume is 1,200") == 1
    assert captured.err.startswith("note: AAA: volume")
    stored = json.loads(Path(SUMMARY).read_text())["data"]["warnings"]
    assert [f"note: {text}" for text in stored] == captured.err.splitlines()


def check(*arguments: str) -> int:
    return main(["check", *arguments])


def test_check_on_the_sample_market(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--symbols", "SPY,TLT", "--end", "2012-12-31") == 0
    assert "2 symbols, 1,508 bars: 0 errors, 0 warnings." in capsys.readouterr().out


def test_check_finds_warnings_and_is_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "prices", AAA=changed(60, volume=1200.0), BBB=clean())
    report = tmp_path / "findings.json"
    assert check("--source", "csv", "--data-dir", str(folder), "--symbols", "AAA,BBB", "--json", str(report)) == 0
    out = capsys.readouterr().out
    assert re.search(r"AAA +volume +warning +1 +volume is 1,200 on 2024-03-28", out)
    assert "2 symbols, 248 bars: 0 errors, 1 warnings." in out
    content = json.loads(report.read_text())
    assert (content["errors"], content["warnings"], content["bars"]) == (0, 1, 248)
    assert content["findings"][0]["dates"] == ["2024-03-28"]


def test_check_finds_every_error_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = clean().iloc[[*range(30), 29, *range(30, 124)]]
    twice.iloc[50, twice.columns.get_loc("high")] = 1.0
    folder = write(tmp_path / "prices", AAA=twice, BBB=clean().drop(columns="close"), CCC=clean())
    assert check("--source", "csv", "--data-dir", str(folder), "--symbols", "AAA,BBB,CCC") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "AAA dates error 1 2024-02-13 is there more than once" in out
    assert "high is below low on" in out
    assert "BBB columns error" in out
    assert "'close' is missing" in out.replace("' close", "'close")
    assert "3 errors, 0 warnings" in out


@pytest.mark.parametrize(("arguments", "message"), [
    (["--source", "csv", "--data-dir", "nowhere"], r"nowhere does not exist: give"),
    (["--source", "csv"], r"source='csv' needs data_dir"),
    (["--calendar", "NOWHERE"], r"calendar='NOWHERE' is unknown: give"),
    (["--json", "no/where.json"], r"folder no does not exist"),
    (["--source", "yahoo", "--refresh", "--offline"], r"refresh=True with offline=True: give one"),
])  # fmt: skip
def test_bad_input_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert check(*arguments) == 2
    captured = capsys.readouterr()
    assert re.search(message, captured.err)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_check_gives_the_calendar_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "prices", AAA=clean())
    assert check("--source", "csv", "--data-dir", str(folder), "--symbols", "AAA", "--calendar", "XLON") == 0
    assert "sessions of XLON are missing" in " ".join(capsys.readouterr().out.split())


def test_real_prices_have_one_blemish(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--source", "csv", "--data-dir", str(market)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "IWM volume warning 1 volume is 1,200 on 2019-07-30" in out
    assert "32,192 bars: 0 errors, 1 warnings" in out
    assert os.environ["RISKOVERLAY_MARKET"] == str(market)


def test_load_raw_gives_what_the_file_says(tmp_path: Path) -> None:
    folder = write(tmp_path / "prices", AAA=clean())
    raw, notes = load_raw("csv", "AAA", data_dir=folder)
    assert notes == []
    np.testing.assert_array_equal(raw["AAA"].bars, clean()[list(raw["AAA"].bars.columns)])
    assert list(raw["AAA"].bars.index) == list(clean().index)
    assert raw["AAA"].name == str(folder / "AAA.csv")


def test_two_bars_are_looked_at_as_a_whole_is() -> None:
    two = bars().iloc[:2].copy()
    two.iloc[1, two.columns.get_loc("high")] = 1.0
    assert "range" in {finding.check for finding in check_bars(two, "A", calendar=None)}


def test_a_word_among_the_prices_is_found_and_not_raised() -> None:
    table = bars().astype(object)
    table.iloc[3, table.columns.get_loc("close")] = "n.a."
    assert any(finding.severity == "error" for finding in check_bars(table, "X"))
