"""A price server that answers something else than what was asked, or far too much of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from yahoo_server import Yahoo, bars, in_place_of_yahoo, serve

from riskoverlay.feeds import Cache, load, read_yahoo, yahoo_http
from riskoverlay.feeds.currencies import Identity
from riskoverlay.studies.cli import main

ROOT = Path(__file__).parents[1]
NAMES = "SPY,TLT,GLD"
QUICK = ["--start", "2024-01-02", "--cov-lookback", "20", "--min-hist", "20", "--vol-lookback", "10",
         "--source", "yahoo", "--borrow-rate", "0.05", "--cash-rate", "0", "--risk-free", "0",
         "--csv", "", "--json", "", "--quiet"]  # fmt: skip
ALL = {"period1": "0", "period2": "99999999999"}
ELSEWHERE = "ask another server, or use offline with a filled cache"


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yahoo]:
    tables = {symbol: bars(seed=k) for k, symbol in enumerate(NAMES.split(","))}
    with in_place_of_yahoo(tables, monkeypatch, tmp_path_factory.mktemp("yfinance")) as server:
        yield server


def line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that is refused."""
    assert main(arguments) == 2
    *notes, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert all(note.startswith("note: ") for note in notes)
    return error.removeprefix("error: ")


# -- which instrument --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meta", "said"),
    [({"symbol": "TLT"}, "the bars of 'TLT'"), ({"symbol": None}, "bars that do not say of what"),
     ({"symbol": "SPY.MX"}, "the bars of 'SPY.MX'"), ({"symbol": ["SPY"]}, "bars that do not say of what"),
     ({"symbol": "X" * 1000 + "\n"}, f"the bars of '{'X' * 40}'")],
)  # fmt: skip
def test_bars_of_something_else_are_none(
    meta: dict[str, Any], said: str, yahoo: Yahoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yahoo.metas["SPY"] = meta
    fetch = ["fetch", "--symbols", NAMES, "--cache-dir", str(tmp_path)]
    assert line(fetch, capsys) == f"Yahoo gives no bars of SPY ({said}): {ELSEWHERE}"
    assert {path.name for path in tmp_path.glob("*.csv")} == {"TLT.csv", "GLD.csv"}  # the others are kept
    assert yahoo.asked().count("SPY") <= 1  # it would say the same again
    with pytest.raises(ValueError, match="no bars of SPY"):
        read_yahoo(NAMES)


@pytest.mark.parametrize("written", ["spy", "Spy", "SPY"])
def test_case_is_no_difference(written: str, yahoo: Yahoo) -> None:
    yahoo.metas["SPY"] = {"symbol": "spy"}
    assert list(read_yahoo(written)) == [written]


def test_what_was_cached_serves_when_the_answer_is_of_something_else(yahoo: Yahoo, tmp_path: Path) -> None:
    before = load("yahoo", NAMES, "2024-01-01", cache=Cache(tmp_path))
    yahoo.metas["SPY"] = {"symbol": "TLT"}
    after = load("yahoo", NAMES, "2024-01-01", cache=Cache(tmp_path, refresh=True))
    assert after.sha256 == before.sha256
    assert "no bars of SPY (the bars of 'TLT'): prices are from the cache: SPY up to 2024-06-28" in after.warnings[0]


def test_a_symbol_that_has_become_another_instrument_is_noted(yahoo: Yahoo, tmp_path: Path) -> None:
    load("yahoo", NAMES, "2024-01-01", cache=Cache(tmp_path))
    for refresh in (False, True):
        assert not load("yahoo", NAMES, "2024-01-01", cache=Cache(tmp_path, refresh=refresh)).warnings
    yahoo.metas["SPY"] = {"exchangeName": "NYQ", "instrumentType": "ETF"}
    panel = load("yahoo", NAMES, "2024-01-01", cache=Cache(tmp_path, refresh=True))
    assert panel.warnings == (
        "SPY: Yahoo says that it is another one now (exchange NYQ, PCX before; kind ETF, EQUITY before)",
    )


# -- currencies --------------------------------------------------------------------------------------------------------

MIXED = "SPY, GLD are in USD, TLT is in EUR: give symbols of one currency; none is converted"


def test_currencies_are_not_mixed_offline_either(
    yahoo: Yahoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yahoo.metas["TLT"] = {"currency": "EUR"}
    run = [*QUICK, "--symbols", NAMES, "--cache-dir", str(tmp_path)]
    assert line(run, capsys) == MIXED
    with pytest.raises(ValueError, match=MIXED):
        read_yahoo(NAMES)
    yahoo.charts.clear()
    assert line([*run, "--offline"], capsys) == MIXED
    assert yahoo.charts == []
    assert main([*run, "--offline", "--symbols", "SPY,GLD"]) == 0
    assert main([*run, "--offline", "--symbols", "TLT"]) == 0
    assert line([*run, "--offline", "--symbols", "SPY,GLD", "--benchmark", "TLT"], capsys) == (
        "SPY, GLD is in USD, benchmark TLT is in EUR: give symbols of one currency; none is converted"
    )
    described = json.loads((tmp_path / "TLT.csv").read_text().splitlines()[1][2:])
    assert {name: described[name] for name in ("currency", "exchangeName", "instrumentType")} == {
        "currency": "EUR", "exchangeName": "PCX", "instrumentType": "EQUITY",
    }  # fmt: skip


def test_pence_are_no_pounds_and_what_is_not_known_is_no_currency(yahoo: Yahoo, tmp_path: Path) -> None:
    yahoo.metas |= {"SPY": {"currency": "GBP"}, "TLT": {"currency": "GBp"}, "GLD": {"currency": None}}
    with pytest.raises(ValueError, match="SPY is in GBP, TLT is in GBp: "):
        load("yahoo", NAMES, "2024-01-01", cache=Cache(tmp_path))
    panel = load("yahoo", "SPY,GLD", "2024-01-01", cache=Cache(tmp_path))
    assert (panel.currency, panel.select(["GLD"]).currency) == ("GBP", "GBP")
    assert Cache(tmp_path, offline=True).bars("GLD")[0]["GLD"].identity == Identity(None, "PCX", "EQUITY")


def test_check_finds_currencies_that_are_mixed(
    yahoo: Yahoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yahoo.metas["TLT"] = {"currency": "EUR"}
    cache = ["--cache-dir", str(tmp_path), "--json", str(tmp_path / "found.json")]
    assert main(["check", "--source", "yahoo", "--symbols", NAMES, "--start", "2024-01-01", *cache]) == 1
    findings = json.loads((tmp_path / "found.json").read_text())["findings"]
    assert [one["text"] for one in findings if one["check"] == "currency"] == ["SPY, GLD are in USD, TLT is in EUR"]


def test_an_older_cache_file_says_nothing_of_it(tmp_path: Path) -> None:
    from riskoverlay.feeds.cache import Cached

    cache = Cache(tmp_path, offline=True)
    cache.write(Cached("SPY", bars(), pd.Timestamp("2024-06-28 22:00", tz="UTC")))
    assert "currency" not in cache.path("SPY").read_text()
    assert cache.bars("SPY")[0]["SPY"].identity == Identity()


# -- how much ----------------------------------------------------------------------------------------------------------

MEASURED = """
import resource, sys
from riskoverlay.studies.cli import main
main(["fetch", "--symbols", "GLD", "--cache-dir", sys.argv[1] + "/before", "--quiet"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = main(["fetch", "--symbols", "SPY", "--cache-dir", sys.argv[1] + "/after"])
print(status, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def bomb(megabytes: int) -> Iterator[bytes]:
    """A gzip file of so many megabytes of blanks after a bracket, a thousandth as large, in pieces."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield packer.compress(b"[") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)  # after which nothing before is needed
    for _ in range(megabytes):
        yield piece


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units")
def test_an_answer_that_unfolds_is_given_up(yahoo: Yahoo, tmp_path: Path) -> None:
    """4 GB in 4 MB: no more of it is unfolded than an answer may have."""
    pieces = list(bomb(4000))
    yahoo.bodies["SPY"] = pieces
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stderr == f"error: Yahoo gives no bars of SPY (an answer of more than 16 MB): {ELSEWHERE}\n"
    status, grown = done.stdout.split()[-2:]
    assert status == "2"
    assert float(grown) < 100, "megabytes"
    assert sum(map(len, pieces)) < 5 * 2**20


def test_the_bound_is_on_what_is_unfolded(yahoo: Yahoo, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(json.dumps(yahoo.chart("SPY", ALL)))
    monkeypatch.setattr(yahoo_http, "MOST_BYTES", size + 100)
    assert len(read_yahoo("SPY")["SPY"]) == len(yahoo.tables["SPY"])
    monkeypatch.setattr(yahoo_http, "MOST_BYTES", size - 100)
    with pytest.raises(ValueError, match=r"no bars of SPY \(an answer of more than 0 MB\)"):
        read_yahoo("SPY")


def damaged(yahoo: Yahoo, **changes: Any) -> bytes:
    """The answer about SPY with some values of its result changed."""
    chart = yahoo.chart("SPY", ALL)
    result = chart["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    for name, value in changes.items():
        if name == "adjclose":
            result["indicators"]["adjclose"][0][name] = value
        elif name in quote:
            quote[name] = value
        else:
            result[name] = value
    return json.dumps(chart).encode()


def _huge() -> dict[str, list[float]]:
    return {name: [1e300, 1e-300] * 62 for name in ("open", "high", "low", "close", "adjclose")}


HOSTILE = {
    "deep": (lambda yahoo: b"[" * 50_000, "an answer that is nested too deeply"),
    "deep within": (
        lambda yahoo: damaged(yahoo, events="here").replace(b'"here"', b"[" * 40_000 + b"]" * 40_000),
        "an answer that is nested too deeply",
    ),
    "parts": (lambda yahoo: b"[" + b"[]," * 200_000 + b"[]]", "an answer of more than 100,000 parts"),
    "nan": (lambda yahoo: damaged(yahoo, close=[float("nan")] * 124), "an answer with NaN in it"),
    "inf": (lambda yahoo: damaged(yahoo, open=[float("inf")] * 124), "an answer with Infinity in it"),
    "1e999": (lambda yahoo: damaged(yahoo, open=[1] * 124).replace(b"[1, 1,", b"[1e999, 1,"), "open on 2024-01-02"),
    "1e300": (lambda yahoo: damaged(yahoo, volume=[1] * 124, **_huge()), "SPY: open is 1e+300 on 2024-01-02: prices"),
    "digits": (lambda yahoo: damaged(yahoo, close=[1] * 124).replace(b"[1, 1,", b"[" + b"9" * 5000), "unreadable"),
    "long number": (lambda yahoo: damaged(yahoo, close=[10**400] * 124), "SPY (unreadable answer)"),
    "text": (lambda yahoo: damaged(yahoo, close=["x"] * 124), "SPY (unreadable answer)"),
    "timestamps": (lambda yahoo: damaged(yahoo, timestamp=[10**18] * 124), "SPY (unreadable answer)"),
    "negative timestamps": (lambda yahoo: damaged(yahoo, timestamp=[-(10**15)] * 124), "SPY (unreadable answer)"),
    "no timestamps": (lambda yahoo: damaged(yahoo, timestamp=None), "SPY (unreadable answer)"),
    "fewer": (lambda yahoo: damaged(yahoo, close=[1.0]), "SPY (unreadable answer)"),
    "more": (lambda yahoo: damaged(yahoo, close=[1.0] * 100_000), "SPY (unreadable answer)"),
    "same days": (lambda yahoo: damaged(yahoo, timestamp=[1704205800] * 124), "SPY has 1 session"),
    "dividend": (lambda yahoo: damaged(yahoo, events={"dividends": {"x": {"amount": "x"}}}), "SPY (unreadable answer)"),
    "no object": (lambda yahoo: b'{"chart": {"result": [7]}}', "SPY (an empty answer)"),
    "number": (lambda yahoo: b"7", "SPY (unreadable answer)"),
    "no UTF-8": (lambda yahoo: b"\xff\xfe\x00", "unreadable answer"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_an_answer_that_is_none_costs_one_line(
    what: str, yahoo: Yahoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, said = HOSTILE[what]
    yahoo.bodies["SPY"] = make(yahoo)
    found = line([*QUICK, "--symbols", NAMES, "--cache-dir", str(tmp_path)], capsys)
    assert said in found
    assert len(found) < 400


# -- another server ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True])
def test_prices_come_from_the_server_that_was_asked(
    kept: bool, yahoo: Yahoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another port is another server, too; a cookie of one host goes to all of its ports."""
    with serve(yahoo.tables) as other:
        place = yahoo.url if kept else other.url
        yahoo.led["SPY"] = f"{place}/v8/finance/chart/SPY?{{query}}&led=1"
        fetch = ["fetch", "--symbols", "SPY", "--cache-dir", str(tmp_path), "--quiet"]
        if kept:
            assert main(fetch) == 0
            assert set(yahoo.asked()) == {"SPY"}
        else:
            assert line(fetch, capsys) == (
                f"Yahoo gives no bars of SPY (led on to another server, {other.url}): {ELSEWHERE}"
            )
        assert other.charts == []
        assert not other.paths


@pytest.mark.parametrize("where", ["https://127.0.0.1:1/", "//example.org/x", "file:///etc/passwd", "ftp://x/"])
def test_no_other_scheme_is_followed(where: str, yahoo: Yahoo) -> None:
    yahoo.led["SPY"] = where
    with pytest.raises(
        ValueError, match=r"no bars of SPY \(led on to another server, \w+://.*\): ask another"
    ) as caught:
        read_yahoo("SPY")
    assert "\n" not in str(caught.value)


def test_a_circle_ends(yahoo: Yahoo) -> None:
    yahoo.led["SPY"] = "/v8/finance/chart/SPY?x=1"
    with pytest.raises(ValueError, match=r"no bars of SPY \(led on more than 5 times\)"):
        read_yahoo("SPY")
    assert yahoo.paths["/v8/finance/chart/SPY"] <= 2 * 6
