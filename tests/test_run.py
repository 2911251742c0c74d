"""The command line: what it prints and writes, and what bad input costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from riskoverlay.studies.cli import main
from riskoverlay.studies.commands.backtest import SERIES, SUMMARY
from riskoverlay.studies.workbench.parameters import PARAMETERS

ROOT = Path(__file__).parents[1]
QUICK = ["--end", "2011-06-30", "--cov-lookback", "60", "--min-hist", "60", "--vol-lookback", "20"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_bars(folder: Path, symbol: str, text: str | None = None, **changes: Any) -> None:
    """SYMBOL.csv of 90 rising sessions, one cell changed: row_column=value."""
    folder.mkdir(exist_ok=True)
    if text is None:
        days = pd.bdate_range("2020-01-02", periods=90)
        rows = {
            "date": [f"{day:%Y-%m-%d}" for day in days],
            **{
                c: [f"{100 + i % 7 + d}" for i in range(90)]
                for c, d in zip(("open", "high", "low", "close"), (0, 1, -1, 0), strict=True)
            },
            "volume": ["1000"] * 90,
        }
        for cell, value in changes.items():
            column, row = cell.split("_")
            rows[column][int(row)] = value
        text = pd.DataFrame(rows).to_csv(index=False)
    (folder / f"{symbol}.csv").write_text(text)


def test_the_default_command_writes_the_notebooks_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(QUICK) == 0
    out = capsys.readouterr().out
    assert "Synthetic market" in out
    assert re.search(r"Sharpe ratio +-?\d+\.\d{3} +-?\d+\.\d{3}", out)
    assert {p.name for p in folder.iterdir()} == {SERIES, SUMMARY}
    content = json.loads((folder / SUMMARY).read_text())
    table = pd.read_csv(folder / SERIES, index_col="date")
    assert content["config"]["vol_lookback"] == 20
    assert f"{content['dynamic']['excess_sharpe']:.3f}" in out
    assert f"{100 * content['dynamic']['growth']:.2f} %" in out
    assert "Dynamic: decided on 2011-06-30, to be filled at the next open: " in " ".join(out.split())
    assert len(table) == int(re.search(r"\((\d+) sessions;", out)[1]) + 1  # type: ignore[index]


def test_no_files_when_none_are_wanted(folder: Path) -> None:
    assert main(["backtest", *QUICK, "--csv", "", "--json", ""]) == 0
    assert not list(folder.iterdir())


def test_config_runs_again_and_flags_override_it(folder: Path) -> None:
    assert main([*QUICK, "--csv", "", "--json", "a.json", "--target-vol", "0.2", "--no-whole-shares"]) == 0
    assert main(["--config", "a.json", "--csv", "", "--json", "b.json"]) == 0
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    assert main(["--config", "a.json", "--csv", "", "--json", "c.json", "--target-vol", "0.1", "--whole-shares"]) == 0
    changed = json.loads(Path("c.json").read_text())["config"]
    assert (changed["target_vol"], changed["whole_shares"], changed["vol_lookback"]) == (0.1, True, 20)


def test_csv_source_and_symbols(folder: Path) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        write_bars(folder / "prices", symbol)
    arguments = ["--source", "csv", "--data-dir", "prices", "--symbols", "AAA,CCC", "--start", "2020-01-01",
                 "--cov-lookback", "20", "--min-hist", "20"]  # fmt: skip
    assert main(arguments) == 0
    assert json.loads(Path(SUMMARY).read_text())["data"]["symbols"] == ["AAA", "CCC"]


def test_seed_draws_another_market(folder: Path) -> None:
    for seed in ("63", "64"):
        assert main([*QUICK, "--seed", seed, "--csv", "", "--json", f"{seed}.json"]) == 0
    one, two = (json.loads(Path(f"{seed}.json").read_text()) for seed in ("63", "64"))
    assert one["data"]["sha256"] != two["data"]["sha256"]
    assert one["base"]["growth"] != two["base"]["growth"]


def test_every_parameter_has_a_flag_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["backtest", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for parameter in PARAMETERS.values():
        assert parameter.flag in text
        assert len(parameter.help) > 10
    for flag in ("--csv", "--json", "--config", "--no-whole-shares"):
        assert flag in text


PRICES = ("--source", "csv", "--data-dir", "prices")

BAD = {
    "missing folder": (["--source", "csv", "--data-dir", "nowhere"], r"nowhere does not exist: give a folder"),
    "no folder given": (["--source", "csv"], r"source='csv' needs data_dir"),
    "missing symbol": ([*PRICES, "--symbols", "AAA,ZZZ"], r"ZZZ.csv does not exist: the folder has"),
    "symbol out of the folder": ([*PRICES, "--symbols", "../AAA"], r"'../AAA' is not a symbol"),
    "unknown frequency": (["--rebalance-freq", "X"], r"rebalance_freq='X' is .*: give"),
    "unknown calendar": (["--calendar", "NOWHERE"], r"calendar='NOWHERE' is unknown: give"),
    "reversed bounds": (["--lev-min", "2", "--lev-max", "1"], r"lev_min=2.0 is above lev_max=1.0: give"),
    "reversed thresholds": (["--dd-threshold1", "0.5"], r"dd_threshold1=0.5 is above dd_threshold2=0.25: give"),
    "reversed dates": (["--start", "2012-01-01", "--end", "2011-01-01"], r"start=2012-01-01 is after end=2011-01-01"),
    "unreadable date": (["--start", "soon"], r"start='soon' is not a date: give YYYY-MM-DD"),
    "unreadable number": (["--target-vol", "high"], r"target_vol='high' is unreadable: give a number"),
    "unreadable whole number": (["--cov-lookback", "2.5"], r"cov_lookback='2.5' is unreadable: give a whole number"),
    "not a number": (["--target-vol", "nan"], r"target_vol=nan is not positive"),
    "zero cash": (["--cash", "0"], r"cash=0.0 is not an opening balance"),
    "too small": (
        ["--cash", "100", *QUICK], r"cash=100.0 does not buy one share of anything at .* 2010-03-31: give at least \d+"
    ),
    "per cent": (["--target-vol", "12", *QUICK], r"target_vol=12.0 is above 1: per cent\? give 0.12$"),
    "a loan in per cent": (["--borrow-rate", "5", *QUICK], r"borrow_rate=5.0 is not a rate: per cent\? give 0.05$"),
    "cash in per cent": (["--cash-rate", "3.5", *QUICK], r"cash_rate=3.5 is not a rate: per cent\? give 0.035$"),
    "bills in per cent": (["--risk-free", "2", *QUICK], r"risk_free=2.0 is above 1: per cent\? give 0.02$"),
    "a spread in per cent": (["--cash-rate", "irx+1.5"], r"'irx\+1.5' is more than 0.25 .*: per cent\? give irx\+0.01"),
    "less in per cent": (["--cash-rate", "irx-0.5"], r"'irx-0.5' is more than 0.25 .*: per cent\? give irx-0.005$"),
    "too short": (["--end", "2010-06-30"], r"min_hist=252 needs 253"),
    "unknown execution": (["--execution", "vwap"], r"execution='vwap' is not known: give"),
    "unknown source": (["--source", "reuters"], r"source='reuters' is unknown: give"),
    "missing config": (["--config", "nowhere.json"], r"config nowhere.json does not exist"),
    "output folder": (["--json", "no/where.json"], r"folder no does not exist, create it first"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_costs_one_line_and_no_file(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    arguments, message = BAD[name]
    write_bars(folder / "prices", "AAA")
    Path(SUMMARY).write_text("old")
    Path(SERIES).write_text("old")
    assert main(["backtest", *arguments]) == 2
    captured = capsys.readouterr()
    assert re.search(message, captured.err), captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert Path(SUMMARY).read_text() == "old" == Path(SERIES).read_text()


BAD_FILES = {
    "empty": ({"text": ""}, r"AAA.csv is empty: give"),
    "header only": ({"text": "date,open,high,low,close,volume\n"}, r"AAA.csv.*no rows"),
    "no column": ({"text": "date,open,high,low,volume\n2020-01-02,1,1,1,1\n"}, r"AAA.csv.*'close' is missing: give"),
    "word": ({"close_3": "abc"}, r"AAA.csv, line 5: close 'abc' is not a number: correct"),
    "nan": ({"close_3": ""}, r"AAA.csv, line 5: close '' is not a number"),
    "zero": ({"low_3": "0"}, r"AAA.csv.*low is 0 on 2020-01-07: prices must be above zero"),
    "negative": ({"open_3": "-1"}, r"AAA.csv.*open is -1 on 2020-01-07"),
    "high below low": ({"high_3": "1"}, r"AAA.csv.*high 1 is below low .* on 2020-01-07: correct"),
    "duplicate": ({"date_3": "2020-01-06"}, r"AAA.csv.*2020-01-06 is there more than once"),
    "unsorted": ({"date_3": "2019-01-01"}, r"AAA.csv.*2019-01-01 comes after 2020-01-06: sort"),
    "other years": ({"text": "date,open,high,low,close,volume\n1999-01-04,1,1,1,1,1\n"}, r"no session"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_with_place_and_cure(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    changes, message = BAD_FILES[name]
    write_bars(folder / "prices", "BBB")
    write_bars(folder / "prices", "AAA", **changes)
    assert main([*PRICES, "--symbols", "BBB,AAA", "--min-hist", "20", "--cov-lookback", "20"]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert error.count("\n") == 1
    assert not Path(SUMMARY).exists()


@pytest.mark.long
def test_as_a_program_in_a_pipe(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *QUICK], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    bad = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "--calendar", "X"], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1
    assert "Traceback" not in bad.stderr


GRID = ("--grid", "target_vol=0.1,0.12")


@pytest.mark.parametrize("command", [["backtest"], ["ladder"], ["sweep", *GRID], ["walkforward", *GRID]])
def test_contracts_are_refused_by_name(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """They would be bought as shares: nobody has said what a point makes."""
    assert main([*command, "--source", "yahoo", "--symbols", "SPY,es=F"]) == 2
    assert re.search(r"symbol es=F is a futures contract, .* in Python: setcommission", capsys.readouterr().err)
