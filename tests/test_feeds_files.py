"""Readers of files, and `load`, the one call for every source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskoverlay.errors import InputError
from riskoverlay.feeds import (
    DEFAULT_SYMBOLS,
    check_symbols,
    load,
    read_csv_folder,
    read_parquet,
    read_wide_csv,
    sample_market,
    sheets,
)
from riskoverlay.feeds.validation import FIELDS
from riskoverlay.feeds.yahoo import bars_from_answer

HEAD = "date,open,high,low,close,volume"
ROWS = ("2020-01-06,10,11,9,10,100", "2020-01-07,10,12,10,11,200", "2020-01-08,11,12,10,12,300")


def write(folder: Any, name: Any = "AAA.csv", head: Any = HEAD, rows: Any = ROWS) -> Any:
    path = folder / name
    path.write_text("\n".join((head, *rows)) + "\n")
    return path


def test_csv_as_it_is(tmp_path: Path) -> None:
    write(tmp_path)
    frame = read_csv_folder(tmp_path, ["AAA"])["AAA"]
    assert [f"{day:%Y-%m-%d}" for day in frame.index] == ["2020-01-06", "2020-01-07", "2020-01-08"]
    assert frame.to_numpy().tolist()[1] == [10.0, 12.0, 10.0, 11.0, 200.0]
    assert frame.index.name == "date"


def test_more_rows_than_there_are_days_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_ROWS", len(ROWS) + 1)  # with the header
    path = write(tmp_path)
    assert len(read_csv_folder(tmp_path, ["AAA"])["AAA"]) == len(ROWS)
    write(tmp_path, rows=(*ROWS, "2020-01-09,10,11,9,10,100"))
    with pytest.raises(InputError, match=f"{path} has more than 4 rows: give daily bars: one row a session"):
        read_csv_folder(tmp_path, ["AAA"])


@pytest.mark.parametrize("head", ["Date,Open,High,Low,Close,Volume,Adj Close", f"{HEAD},adj_close"])
def test_csv_adjusts_by_the_adjusted_close(tmp_path: Path, head: Any) -> None:
    write(tmp_path, head=head, rows=("2020-01-06,10,11,9,10,100,5", "2020-01-07,10,12,10,11,200,11"))
    frame = read_csv_folder(tmp_path, ["AAA"])["AAA"]
    assert frame.iloc[0].tolist() == [5.0, 5.5, 4.5, 5.0, 100.0]
    assert frame.iloc[1].tolist() == [10.0, 12.0, 10.0, 11.0, 200.0]


def test_an_adjusted_close_is_anything_above_zero(tmp_path: Path) -> None:
    """A share whose dividends and splits have come to more than its price: far below one, and a price."""
    write(tmp_path, head=f"{HEAD},adj_close", rows=("2020-01-06,10,11,9,10,100,0.001", "2020-01-07,10,12,10,11,200,1"))
    assert read_csv_folder(tmp_path, ["AAA"])["AAA"]["close"].tolist() == [0.001, 1.0]


@pytest.mark.parametrize("bad", ["0", "-5"])
def test_the_first_bad_adjusted_close_is_the_one_that_is_named(tmp_path: Path, bad: str) -> None:
    rows = [f"2020-01-{day:02},10,11,9,10,100,{value}" for day, value in ((6, "9"), (7, "9"), (8, bad), (9, "-7"))]
    write(tmp_path, head=f"{HEAD},adj_close", rows=rows)
    with pytest.raises(ValueError, match=rf"adj_close is '?{bad}\b.* on 2020-01-08"):
        read_csv_folder(tmp_path, ["AAA"])


def test_csv_order_of_columns_blank_lines_bom_and_times(tmp_path: Path) -> None:
    head = "\ufeffclose,volume,dividend,low,high,open,Date"
    text = f"{head}\n\n12,300,0.5,10,13,11,2020-01-06 00:00:00-05:00\n\n\n"
    (tmp_path / "AAA.csv").write_text(text, encoding="utf-8")
    frame = read_csv_folder(tmp_path, ["AAA"])["AAA"]
    assert frame.iloc[0].tolist() == [11.0, 13.0, 10.0, 12.0, 300.0]
    assert frame.index[0] == pd.Timestamp("2020-01-06")


def test_csv_reads_what_was_written_to_the_bit(tmp_path: Path) -> None:
    panel = sample_market(("SPY",), end="2010-12-31")
    exact = panel.frames["SPY"] * (1 + 1e-13)
    exact.to_csv(tmp_path / "SPY.csv")
    assert (read_csv_folder(tmp_path)["SPY"].to_numpy() == exact.to_numpy()).all()


def test_csv_all_of_a_folder_or_those_named(tmp_path: Path) -> None:
    for name in ("B.csv", "A.csv", "C.csv"):
        write(tmp_path, name)
    (tmp_path / "notes.txt").write_text("x")
    assert list(read_csv_folder(tmp_path)) == ["A", "B", "C"]
    assert list(read_csv_folder(tmp_path, "C,A")) == ["C", "A"]


@pytest.mark.parametrize(
    ("head", "rows", "words"),
    [
        ("date,open,high,low,volume", ("2020-01-06,1,1,1,1",), ["column 'close'", "missing"]),
        (HEAD + ",Close", ("2020-01-06,1,1,1,1,1,1",), ["'close'", "more than once"]),
        (HEAD, (), ["no rows"]),
        (HEAD, (ROWS[0], "2020-01-07,10,abc,10,11,200"), ["line 3", "high", "'abc'"]),
        (HEAD, (ROWS[0], "", "2020-01-07,10,,10,11,200"), ["line 4", "high", "''"]),
        (HEAD, (ROWS[0], "2020-01-07,nan,12,10,11,200"), ["line 3", "open", "'nan'"]),
        (HEAD, (ROWS[0], "2020-01-07,10,12,10"), ["line 3", "4 columns", "6"]),
        (HEAD, (ROWS[0], "01/07/2020,10,12,10,11,200"), ["line 3", "'01/07/2020'", "YYYY-MM-DD"]),
        (HEAD, (ROWS[0], "2020-01-07,10,12,10,0,200"), ["close is 0", "2020-01-07"]),
        (HEAD, (ROWS[0], "2020-01-07,10,9,10,11,200"), ["high 9", "low 10", "2020-01-07"]),
        (HEAD, (ROWS[0], ROWS[0]), ["2020-01-06", "more than once"]),
        (HEAD, (ROWS[1], ROWS[0]), ["2020-01-06", "after 2020-01-07"]),
        (HEAD + ",adj_close", ("2020-01-06,10,11,9,10,100,-5",), ["adj_close", "-5", "2020-01-06"]),
    ],
)
def test_csv_errors_name_file_and_place(tmp_path: Path, head: Any, rows: Any, words: Any) -> None:
    path = write(tmp_path, head=head, rows=rows)
    with pytest.raises(ValueError) as error:
        read_csv_folder(tmp_path, ["AAA"])
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_csv_empty_binary_and_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_csv_folder(tmp_path / "no", ["AAA"])
    with pytest.raises(FileNotFoundError, match=r"has no \.csv"):
        read_csv_folder(tmp_path, ["AAA"])
    (tmp_path / "AAA.csv").write_bytes(b"")
    with pytest.raises(ValueError, match=r"AAA\.csv is empty"):
        read_csv_folder(tmp_path, ["AAA"])
    (tmp_path / "AAA.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=r"AAA\.csv is not a CSV"):
        read_csv_folder(tmp_path, ["AAA"])
    with pytest.raises(FileNotFoundError, match=r"BBB\.csv does not exist: the folder has AAA"):
        read_csv_folder(tmp_path, ["BBB"])
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        read_csv_folder(tmp_path / "AAA.csv", ["AAA"])


@pytest.mark.parametrize("symbol", ["../AAA", "..", "/etc/passwd", "A/B", "A\\B", "", "A B", "A" * 300, "A\0", "ä"])
def test_symbols_never_leave_the_folder(tmp_path: Path, symbol: Any) -> None:
    write(tmp_path)
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "BBB.csv")
    with pytest.raises(ValueError, match="is not a symbol"):
        read_csv_folder(tmp_path / "inner", [symbol])


def test_symbols_that_vendors_use() -> None:
    names = ("BRK-B", "^IRX", "EURUSD=X", "BF.B", "005930.KS", "ES=F")
    assert check_symbols(names) == names
    assert check_symbols("SPY, TLT") == ("SPY", "TLT")
    with pytest.raises(ValueError, match="twice"):
        check_symbols("SPY,SPY")


def test_wide_csv_of_closes(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("Date,SPY,TLT\n2020-01-06,10,20\n2020-01-07,,21\n2020-01-08,12,22\n")
    frames = read_wide_csv(path)
    assert list(frames) == ["SPY", "TLT"]
    assert len(frames["SPY"]) == 2 and len(frames["TLT"]) == 3
    assert frames["SPY"].iloc[-1].tolist() == [12.0, 12.0, 12.0, 12.0, 0.0]
    assert list(read_wide_csv(path, ["TLT"])) == ["TLT"]
    with pytest.raises(ValueError, match=r"wide\.csv: symbol 'GLD' is not there: it has SPY, TLT"):
        read_wide_csv(path, ["GLD"])


@pytest.mark.parametrize("symbol_first", [True, False])
def test_wide_csv_with_two_header_rows_as_pandas_writes_it(tmp_path: Path, symbol_first: Any) -> None:
    panel = sample_market(("SPY", "TLT"), end="2010-03-31")
    table = pd.concat(panel.frames, axis=1)
    if not symbol_first:
        table = table.swaplevel(axis=1).sort_index(axis=1)
    table.to_csv(tmp_path / "wide.csv")
    assert load("wide", ["SPY", "TLT"], data_dir=tmp_path / "wide.csv").sha256 == panel.sha256


def test_wide_csv_errors(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    for text, words in (
        ("", "is empty"),
        ("Date,SPY\n", "no rows"),
        ("Date,SPY,SPY\n2020-01-06,1,2\n", "'SPY' is there twice"),
        ("Date,SPY\n2020-01-06,x\n", r"line 2: SPY 'x' is not a number"),
        ("Date,SPY\n2020-01-06,1\n2020-01-07,1,2\n", "line 3: 3 columns"),
        ("Date,SPY\n2020-01-06,-1\n", "open is -1"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words) as error:
            read_wide_csv(path)
        assert str(path) in str(error.value)
    with pytest.raises(FileNotFoundError):
        read_wide_csv(tmp_path / "none.csv")


def test_parquet_folder_long_and_wide(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    panel = sample_market(("SPY", "TLT"), end="2010-03-31")
    for symbol, frame in panel.frames.items():
        frame.reset_index().to_parquet(tmp_path / f"{symbol}.parquet")
    assert load("parquet", "SPY,TLT", data_dir=tmp_path).sha256 == panel.sha256
    long = pd.concat([frame.assign(symbol=symbol) for symbol, frame in panel.frames.items()])
    wide = pd.concat(panel.frames, axis=1)
    for name, table in (("long", long), ("wide", wide), ("long2", long.reset_index())):
        table.to_parquet(tmp_path / f"{name}.pq")
        assert load("parquet", "SPY,TLT", data_dir=tmp_path / f"{name}.pq").sha256 == panel.sha256
    panel.closes.to_parquet(tmp_path / "closes.pq")
    assert (read_parquet(tmp_path / "closes.pq")["TLT"]["close"] == panel.closes["TLT"]).all()
    (tmp_path / "bad.pq").write_text("no")
    with pytest.raises(ValueError, match=r"bad\.pq is not a Parquet file"):
        read_parquet(tmp_path / "bad.pq")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pyarrow.*backtrader-riskoverlay\[parquet\]"):
        read_parquet(tmp_path)


@pytest.mark.parametrize("levels", [("Price", "Ticker"), ("Ticker", "Price")])
def test_yahoo_answer_with_two_levels(levels: Any) -> None:
    panel = sample_market(("SPY", "TLT"), end="2010-03-31")
    table = pd.concat({s: f.rename(columns=str.title) for s, f in panel.frames.items()}, axis=1)
    table.columns.names = ["Ticker", "Price"]
    table = table.reorder_levels(levels, axis=1)
    bars = bars_from_answer(table, ["TLT", "SPY"])
    for symbol in ("SPY", "TLT"):
        pd.testing.assert_frame_equal(bars[symbol][list(FIELDS)], panel.frames[symbol])
        assert (bars[symbol]["adj_close"] == panel.frames[symbol]["close"]).all()
        assert (bars[symbol][["dividend", "split"]] == 0).all(axis=None)


def test_yahoo_answer_with_one_level_and_with_a_symbol_missing() -> None:
    panel = sample_market(("SPY", "TLT"), end="2010-03-31")
    one = panel.frames["SPY"].rename(columns=str.title)
    pd.testing.assert_frame_equal(bars_from_answer(one, ["SPY"])["SPY"][list(FIELDS)], panel.frames["SPY"])
    both = pd.concat({"SPY": one, "NOPE": one * np.nan}, axis=1)
    assert list(bars_from_answer(both, ["SPY", "NOPE"])) == ["SPY"]
    for answer in (None, pd.DataFrame()):
        assert bars_from_answer(answer, ["SPY", "NOPE"]) == {}


def test_load_sample_is_one_market_seen_through_a_window() -> None:
    full = load(end="2012-12-31")
    assert full.symbols == DEFAULT_SYMBOLS and full.synthetic
    part = load("sample", "GLD,SPY", "2011-03-01", "2011-12-30")
    assert part.sha256 == full.select(["GLD", "SPY"]).between("2011-03-01", "2011-12-30").sha256
    assert load("sample", end="2012-12-31", seed=1).sha256 != full.sha256
    assert load("sample", "SPY", start="2009-06-01", end="2010-02-01").sessions[0] == pd.Timestamp("2009-06-01")


def test_load_csv_cuts_before_it_aligns(tmp_path: Path) -> None:
    write(tmp_path, "AAA.csv")
    write(tmp_path, "BBB.csv", rows=ROWS[1:])
    panel = load("csv", "AAA,BBB", data_dir=tmp_path, universe="common")
    assert (panel.source, panel.synthetic) == ("csv", False)
    assert panel.dropped == ("AAA: 1 of 3 sessions left out, 2020-01-06: not every symbol has them",)
    assert load("csv", "AAA,BBB", start="2020-01-07", data_dir=tmp_path, universe="common").dropped == ()
    assert load("csv", "AAA,BBB", data_dir=tmp_path).dropped == ()
    assert len(load("csv", "AAA", end="2020-01-07", data_dir=tmp_path).sessions) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": "bloomberg"}, "source='bloomberg' is unknown: give one of sample, csv"),
        ({"source": "csv"}, "source='csv' needs data_dir"),
        ({"source": "sample", "data_dir": "x"}, "data_dir='x' is not read by source='sample'"),
        ({"start": "2012-01-02", "end": "2012-01-01"}, "start=2012-01-02 is after end=2012-01-01"),
        ({"start": "yesterday-ish"}, "start='yesterday-ish' is not a date"),
        ({"symbols": ""}, "is not a symbol"),
        ({"symbols": "SPY,SPY"}, "twice"),
    ],
)
def test_load_bad_arguments(arguments: Any, words: Any) -> None:
    with pytest.raises(ValueError, match=words):
        load(**arguments)


def test_importing_feeds_does_not_import_yfinance() -> None:
    code = "import sys, riskoverlay.feeds; sys.exit('yfinance' in sys.modules)"
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.skipif("RISKOVERLAY_MARKET" not in os.environ, reason="RISKOVERLAY_MARKET is not set")
def test_real_prices_pass() -> None:
    panel = load("csv", data_dir=os.environ["RISKOVERLAY_MARKET"], end="2025-12-04", prices="adjusted")
    assert len(panel.sessions) == 4006 and panel.dropped == ()
    assert panel.closes["SPY"].iloc[0] == 84.796341
