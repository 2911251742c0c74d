"""The cache: when it asks, what it asks for, what survives a kill, and where its files are."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from yahoo_server import Yahoo, bars, in_place_of_yahoo, with_dividend, with_split

from riskoverlay.feeds import Cache, cache, load
from riskoverlay.feeds.cache import Cached, file_name
from riskoverlay.studies.cli import main

DAYS = ("2024-06-26", "2024-06-27", "2024-06-28")  # Wednesday to Friday


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yahoo]:
    with in_place_of_yahoo(
        {"SPY": bars(seed=1), "TLT": bars(seed=2)}, monkeypatch, tmp_path_factory.mktemp("yfinance")
    ) as server:
        yield server


def at(folder: Path, when: str, **options: Any) -> Cache:
    """A cache that believes it is `when`, UTC."""
    return Cache(folder, now=lambda: pd.Timestamp(when, tz="UTC"), **options)


def upto(table: pd.DataFrame, day: str) -> pd.DataFrame:
    return table[table.index <= day]


def check_same(got: Cached, table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(got.bars, table[list(got.bars.columns)], check_freq=False, check_exact=True)


# -- when it asks, and for what --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "asks"),
    [
        ("2024-06-28 19:59", False),  # Friday's session is not over
        ("2024-06-28 20:00", True),
        ("2024-06-30 12:00", True),
    ],
)
def test_fresh_until_the_next_session_is_over(yahoo: Yahoo, tmp_path: Path, later: str, asks: bool) -> None:
    full = yahoo.tables["SPY"]
    yahoo.tables["SPY"] = upto(full, DAYS[1])
    first, notes = at(tmp_path, "2024-06-27 22:00").bars(["SPY"])
    check_same(first["SPY"], yahoo.tables["SPY"])
    yahoo.tables["SPY"] = full
    yahoo.charts.clear()
    got, notes = at(tmp_path, later).bars(["SPY"])
    assert bool(yahoo.charts) is asks
    check_same(got["SPY"], full if asks else upto(full, DAYS[1]))
    assert notes == []


def test_what_lies_beyond_the_end_asked_for_is_not_missed(yahoo: Yahoo, tmp_path: Path) -> None:
    yahoo.tables["SPY"] = upto(yahoo.tables["SPY"], DAYS[1])
    at(tmp_path, "2024-06-27 22:00").bars(["SPY"])
    yahoo.charts.clear()
    for end, asks in (("2024-06-27", False), ("2024-06-28", True)):
        at(tmp_path, "2025-03-01 12:00").bars(["SPY"], pd.Timestamp(end))
        assert bool(yahoo.charts) is asks, end


def test_a_symbol_that_trades_no_more_is_asked_for_once_an_hour(yahoo: Yahoo, tmp_path: Path) -> None:
    for when, requests in (("12:00", 1), ("12:59", 0), ("13:01", 1)):
        yahoo.charts.clear()
        at(tmp_path, f"2025-03-01 {when}").bars(["SPY"])
        assert len(yahoo.charts) == requests, when


def test_what_is_not_fresh_is_asked_for_once_and_whole(yahoo: Yahoo, tmp_path: Path) -> None:
    full = dict(yahoo.tables)
    yahoo.tables = {symbol: upto(table, DAYS[0]) for symbol, table in full.items()}
    at(tmp_path, "2024-06-26 22:00").bars(["SPY", "TLT"])
    yahoo.tables = full
    yahoo.charts.clear()
    got, _ = at(tmp_path, "2024-06-28 22:00").bars(["SPY", "TLT"])
    assert sorted(yahoo.asked()) == ["SPY", "TLT"]
    assert all("range" in asked or int(asked["period1"]) <= 0 for _, asked in yahoo.charts)
    for symbol, table in full.items():
        check_same(got[symbol], table)
        check_same(at(tmp_path, "2024-06-28 22:00", offline=True).bars([symbol])[0][symbol], table)


@pytest.mark.parametrize(
    "restate",
    [
        lambda table: with_dividend(table, DAYS[2], 1.25),
        lambda table: with_dividend(table, DAYS[0], 1.25),  # it became known late
        lambda table: with_split(table, DAYS[2], 4.0),
    ],
    ids=["dividend", "late dividend", "split"],
)
def test_history_that_was_restated_is_fetched_whole(yahoo: Yahoo, tmp_path: Path, restate: Any) -> None:
    full = yahoo.tables["SPY"]
    yahoo.tables["SPY"] = upto(full, DAYS[0])
    before, _ = at(tmp_path, "2024-06-26 22:00").bars(["SPY"])
    yahoo.tables["SPY"] = restated = restate(full)
    assert abs(restated["adj_close"].iloc[0] / before["SPY"].bars["adj_close"].iloc[0] - 1) > 0.005
    after, _ = at(tmp_path, "2024-06-28 22:00").bars(["SPY"])
    check_same(after["SPY"], restated)
    for prices, within in (("adjusted", {"rtol": 1e-9}), ("raw", {"atol": 5e-8})):  # adj_close has six decimals
        panel = load("yahoo", "SPY", "2024-01-01", cache=Cache(tmp_path, offline=True), prices=prices)
        returns = panel.adjusted_prices().closes["SPY"].pct_change().iloc[1:]
        np.testing.assert_allclose(returns, restated["adj_close"].pct_change().iloc[1:], **within)


def test_a_volume_that_was_revised_is_taken_over(yahoo: Yahoo, tmp_path: Path) -> None:
    full = yahoo.tables["SPY"]
    yahoo.tables["SPY"] = upto(full, DAYS[1])
    at(tmp_path, "2024-06-27 22:00").bars(["SPY"])
    full.loc[DAYS[1], "volume"] = float(full["volume"].loc[DAYS[1]]) + 1000.0
    yahoo.tables["SPY"] = full
    yahoo.charts.clear()
    check_same(at(tmp_path, "2024-06-28 22:00").bars(["SPY"])[0]["SPY"], full)
    assert len(yahoo.charts) == 1


def test_a_close_that_was_revised_is_seen_wherever_it_is(yahoo: Yahoo, tmp_path: Path) -> None:
    full = yahoo.tables["SPY"]
    yahoo.tables["SPY"] = upto(full, DAYS[1])
    at(tmp_path, "2024-06-27 22:00").bars(["SPY"])
    full.loc[full.index[5], ["close", "adj_close"]] *= 1.001  # long ago, and nothing else
    yahoo.tables["SPY"] = full
    check_same(at(tmp_path, "2024-06-28 22:00").bars(["SPY"])[0]["SPY"], full)


def test_refresh_asks_whatever_is_there(yahoo: Yahoo, tmp_path: Path) -> None:
    at(tmp_path, "2024-06-28 22:00").bars(["SPY"])
    yahoo.charts.clear()
    yahoo.tables["SPY"] = bars(seed=9)
    check_same(at(tmp_path, "2024-06-28 22:10", refresh=True).bars(["SPY"])[0]["SPY"], yahoo.tables["SPY"])
    with pytest.raises(ValueError, match=r"refresh=True with offline=True: give one"):
        Cache(tmp_path, refresh=True, offline=True)


def test_progress_tells_each_symbol_once(yahoo: Yahoo, tmp_path: Path) -> None:
    at(tmp_path, "2024-06-26 22:00").bars(["SPY"])
    for when in ("2024-06-26 22:30", "2024-06-28 22:00"):
        reported: list[str] = []
        at(tmp_path, when, progress=reported.append).bars(["SPY", "TLT"])
        assert sorted(reported) == ["SPY", "TLT"]


# -- without a network -----------------------------------------------------------------------------------------------


def test_offline_asks_nobody_and_says_of_when_the_prices_are(yahoo: Yahoo, tmp_path: Path) -> None:
    at(tmp_path, "2024-06-28 22:00").bars(["SPY", "TLT"])
    yahoo.charts.clear()
    yahoo.paths.clear()
    got, notes = at(tmp_path, "2026-01-01 00:00", offline=True).bars(["SPY", "TLT"])
    check_same(got["SPY"], yahoo.tables["SPY"])
    assert notes == ["offline: prices are from the cache: SPY, TLT up to 2024-06-28, fetched 2024-06-28 22:00 UTC"]
    assert not yahoo.paths
    with pytest.raises(ValueError, match=r"^GLD: not in the cache .*: fetch it first, without offline$"):
        at(tmp_path, "2026-01-01", offline=True).bars(["SPY", "GLD"])


@pytest.mark.parametrize("fault", ["no network", "429", "500", "404"])
def test_the_cache_serves_what_yahoo_does_not(
    yahoo: Yahoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    at(tmp_path, "2024-06-26 22:00").bars(["SPY"])
    if fault == "no network":
        monkeypatch.setenv("RISKOVERLAY_YAHOO_URL", "http://127.0.0.1:9")
    yahoo.always["SPY"] = fault
    got, notes = at(tmp_path, "2024-06-28 22:00").bars(["SPY"])
    check_same(got["SPY"], upto(yahoo.tables["SPY"], DAYS[0]))
    assert len(notes) == 1
    assert notes[0].startswith("Yahoo gives no bars of SPY (")
    assert notes[0].endswith("prices are from the cache: SPY up to 2024-06-26, fetched 2024-06-26 22:00 UTC")
    if fault == "no network":
        with pytest.raises(ValueError, match=r"no bars of TLT \(no connection.*check the network"):
            at(tmp_path, "2024-06-28 22:00").bars(["SPY", "TLT"])


# -- damaged files ---------------------------------------------------------------------------------------------------


def written(folder: Path, seed: int = 1) -> tuple[Cache, Cached, bytes]:
    cache = at(folder, "2024-06-28 22:00", offline=True)
    entry = Cached("SPY", bars(seed=seed), pd.Timestamp("2024-06-28 22:00", tz="UTC"))
    cache.write(entry)
    return cache, entry, cache.path("SPY").read_bytes()


def test_a_file_says_what_it_is_and_keeps_every_bit(tmp_path: Path) -> None:
    cache, entry, content = written(tmp_path)
    entry.bars.iloc[3, 3] = np.nextafter(100.0, 101.0)
    entry.bars.iloc[4, 3] = np.nan
    cache.write(entry)
    read = cache.read("SPY")
    assert read is not None
    check_same(read, entry.bars)
    assert read.fetched == entry.fetched
    lines = content.decode().splitlines()
    assert lines[0].startswith("# sha256 ")
    assert json.loads(lines[1][2:]) == {
        "format": 1,
        "symbol": "SPY",
        "fetched": "2024-06-28T22:00:00+00:00",
        "rows": 124,
    }
    assert lines[2] == "date,open,high,low,close,volume,adj_close,dividend,split"
    assert [path.name for path in tmp_path.iterdir()] == ["SPY.csv"]


def test_no_changed_byte_and_no_missing_end_is_accepted(tmp_path: Path) -> None:
    cache, _, content = written(tmp_path)
    places = [*range(0, 80), *random.Random(1).sample(range(len(content)), 80), len(content) - 1]
    for place in places:
        for damaged in (content[:place], content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]):
            cache.path("SPY").write_bytes(damaged)
            with pytest.raises(ValueError, match=r"cache file .*SPY\.csv is damaged"):
                cache.read("SPY")


def test_another_symbols_file_is_not_accepted(tmp_path: Path) -> None:
    cache, _, content = written(tmp_path)
    cache.path("TLT").write_bytes(content)
    with pytest.raises(ValueError, match=r"TLT\.csv is damaged \(it holds something else\)"):
        cache.read("TLT")


def with_format(content: bytes, number: int | None) -> bytes:
    """The same file as another program would have written it."""
    _, described, table = content.split(b"\n", 2)
    about = {name: value for name, value in json.loads(described[2:]).items() if name != "format"}
    about = about if number is None else {"format": number, **about}
    below = f"# {json.dumps(about)}\n".encode() + table
    return f"# sha256 {hashlib.sha256(below).hexdigest()}\n".encode() + below


def test_a_file_of_before_is_read_and_one_of_later_is_not(yahoo: Yahoo, tmp_path: Path) -> None:
    at(tmp_path, "2024-06-28 22:00").bars(["SPY"])
    path = Cache(tmp_path).path("SPY")
    content = path.read_bytes()
    assert with_format(content, 1) == content
    path.write_bytes(with_format(content, None))
    check_same(at(tmp_path, "2024-06-28 22:10", offline=True).bars(["SPY"])[0]["SPY"], yahoo.tables["SPY"])
    path.write_bytes(with_format(content, 2))
    said = rf"cache file {path} is of format 2, written by a newer riskoverlay"
    with pytest.raises(ValueError, match=rf"^{said}: fetch it again, without offline, or delete it$"):
        at(tmp_path, "2024-06-28 22:10", offline=True).bars(["SPY"])
    got, notes = at(tmp_path, "2024-06-28 22:10").bars(["SPY"])
    check_same(got["SPY"], yahoo.tables["SPY"])
    assert notes == [f"{said} and was fetched anew"]
    assert at(tmp_path, "2024-06-28 22:20").bars(["SPY"])[1] == []


def test_a_damaged_file_is_fetched_again_or_refused_offline(yahoo: Yahoo, tmp_path: Path) -> None:
    at(tmp_path, "2024-06-28 22:00").bars(["SPY", "TLT"])
    path = Cache(tmp_path).path("SPY")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=rf"^cache file {path} is damaged \(its checksum .*\): fetch it again"):
        at(tmp_path, "2024-06-28 22:10", offline=True).bars(["TLT", "SPY"])
    yahoo.always["SPY"] = "500"
    with pytest.raises(ValueError, match=rf"{path} is damaged .* and Yahoo gives no bars of SPY \(HTTP 500\)"):
        at(tmp_path, "2024-06-28 22:10").bars(["TLT", "SPY"])
    yahoo.always.clear()
    yahoo.charts.clear()
    got, notes = at(tmp_path, "2024-06-28 22:10").bars(["TLT", "SPY"])
    check_same(got["SPY"], yahoo.tables["SPY"])
    assert yahoo.asked() == ["SPY"]
    assert notes == [f"cache file {path} is damaged (its checksum does not match) and was fetched anew"]
    assert at(tmp_path, "2024-06-28 22:20").bars(["SPY"])[1] == []


def test_a_folder_that_cannot_be_written_costs_a_note(yahoo: Yahoo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    got, notes = at(tmp_path / "file" / "below", "2024-06-28 22:00").bars(["SPY"])
    check_same(got["SPY"], yahoo.tables["SPY"])
    assert "cannot be written" in notes[-1]
    with pytest.raises(ValueError, match=r"cache_dir='.*file' is not a folder"):
        Cache(tmp_path / "file")


def test_what_killed_writers_leave_is_swept_up(tmp_path: Path) -> None:
    old, new = tmp_path / ".writing-old", tmp_path / ".writing-new"
    for path in (old, new):
        path.write_text("part")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    written(tmp_path)
    assert not old.exists()
    assert new.exists()  # perhaps of a process that is writing it


# -- file names ------------------------------------------------------------------------------------------------------

HOSTILE = (
    "../../x", "..", ".", "/etc/passwd", "\\..\\x", "C:\\x", "a/b", "x\0y", "x\ny", "~", "%2e%2e", "é", "日本", "",
    "A" * 300, "../" * 100, "CON", "nul", "COM1", "BRK-B", "^IRX", "EURUSD=X", "BF.B", ".hidden", "-rf",
)  # fmt: skip


@pytest.mark.parametrize("symbol", HOSTILE)
def test_a_file_name_never_leaves_the_folder(tmp_path: Path, symbol: str) -> None:
    path = Cache(tmp_path).path(symbol)
    assert path.parent == tmp_path
    assert path.resolve().parent == tmp_path.resolve()
    assert len(path.name) <= 120
    assert path.name.isascii()
    assert not path.name.startswith(".csv") or symbol == ""
    assert path.stem.upper() not in ("CON", "NUL", "COM1")
    path.write_text("it can be made")


def test_file_names_differ_where_symbols_do() -> None:
    names = {file_name(symbol).upper() for symbol in (*HOSTILE, "A" * 301, "BRK_B", "BRK.B", "%5EIRX")}
    assert len(names) == len(HOSTILE) + 4
    assert file_name("spy") == file_name("SPY") == "SPY.csv"


@pytest.mark.parametrize("symbol", ["../../x", "A" * 300, "a/b", ""])
def test_such_symbols_are_refused_before_any_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], symbol: str
) -> None:
    cache = tmp_path / "deep" / "cache"
    with pytest.raises(ValueError, match=r"is not a symbol"):
        Cache(cache).bars([symbol])
    assert main(["fetch", "--symbols", f"SPY,{symbol}", "--cache-dir", str(cache)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("symbol", ["BRK-B", "^IRX", "EURUSD=X", "BF.B", "CON"])
def test_such_symbols_work(yahoo: Yahoo, tmp_path: Path, symbol: str) -> None:
    yahoo.tables[symbol] = bars(seed=4)
    cache = at(tmp_path, "2024-06-30 12:00")
    check_same(cache.bars([symbol])[0][symbol], yahoo.tables[symbol])
    check_same(at(tmp_path, "2024-06-30 12:00", offline=True).bars([symbol])[0][symbol], yahoo.tables[symbol])
    assert file_name(symbol) in {path.name for path in tmp_path.iterdir()}


# -- killed writers, and two at once ---------------------------------------------------------------------------------

# Forked where that is sound, so that fifty processes take seconds.
QUICKLY = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
ALONE = multiprocessing.get_context("spawn")

Versions = dict[pd.Timestamp, pd.DataFrame]


def versions(*seeds: int) -> Versions:
    """Tables of one symbol by the time at which they were fetched."""
    return {pd.Timestamp(f"2024-07-0{seed}", tz="UTC"): bars(seed=seed) for seed in seeds}


def write_for_ever(folder: str, ready: Any, tables: Versions) -> None:
    """Write one and the other version of a symbol's file, again and again."""
    cache = Cache(folder)
    ready.set()
    while True:
        for fetched, table in tables.items():
            cache.write(Cached("SPY", table, fetched))


@pytest.mark.long
def test_killed_at_random_moments_of_writing_fifty_times(tmp_path: Path) -> None:
    tables, moments, cache = versions(1, 2), random.Random(5), Cache(tmp_path)
    seen: set[pd.Timestamp] = set()
    for _ in range(50):
        ready = QUICKLY.Event()
        tables = dict(reversed(tables.items()))
        writer = QUICKLY.Process(target=write_for_ever, args=(str(tmp_path), ready, tables))
        writer.start()
        assert ready.wait(60)
        time.sleep(moments.uniform(0.0, 0.03))
        writer.kill()
        writer.join()
        found = cache.read("SPY")  # raises if it is damaged
        if found is not None:
            check_same(found, tables[found.fetched])
            seen.add(found.fetched)
    assert seen == set(tables)
    assert list(tmp_path.glob(".writing-*"))  # some were killed while they wrote


@pytest.mark.ci
def test_two_writers_and_a_reader(tmp_path: Path) -> None:
    tables, cache = versions(1, 2, 3, 4), Cache(tmp_path)
    writers = []
    for seeds in ((1, 2), (3, 4)):
        writers.append(QUICKLY.Process(target=write_for_ever, args=(str(tmp_path), QUICKLY.Event(), versions(*seeds))))
    for writer in writers:
        writer.start()
    seen: set[pd.Timestamp] = set()
    give_up = time.monotonic() + 60
    try:
        reads = 0
        while (reads < 200 or len(seen) < len(tables)) and time.monotonic() < give_up:
            found = cache.read("SPY")
            if found is not None:
                check_same(found, tables[found.fetched])
                seen.add(found.fetched)
                reads += 1
    finally:
        for writer in writers:
            writer.kill()
            writer.join()
    assert seen == set(tables)


def fetch_at_once(folder: str, url: str, rounds: int, barrier: Any, results: Any) -> None:
    """Fetch everything anew, at the same moment as another process, again and again."""
    os.environ |= {"RISKOVERLAY_YAHOO_URL": url, "NO_PROXY": "127.0.0.1"}
    for number in range(rounds):
        cache = at(Path(folder) / f"{number % 4}", "2024-06-28 22:00", refresh=True)
        barrier.wait(60)
        try:
            got, notes = cache.bars(["SPY"])
            results.put((float(got["SPY"].bars["close"].sum()), notes))
        except Exception as error:  # whatever it is, the parent says
            results.put((repr(error), []))
        barrier.wait(60)  # the parent has looked


@pytest.mark.long
def test_two_processes_at_once_twenty_times(yahoo: Yahoo, tmp_path: Path) -> None:
    rounds = 20
    expected = float(yahoo.tables["SPY"]["close"].sum())
    barrier, results = ALONE.Barrier(3), ALONE.Queue()
    pair = [
        ALONE.Process(target=fetch_at_once, args=(str(tmp_path), yahoo.url, rounds, barrier, results)) for _ in range(2)
    ]
    for process in pair:
        process.start()
    for number in range(rounds):
        folder = tmp_path / f"{number % 4}"  # a new folder first, then one that is there
        barrier.wait(60)
        for _ in pair:
            total, notes = results.get(timeout=60)
            assert (total, notes) == (pytest.approx(expected, rel=1e-12), [])
        found = Cache(folder).read("SPY")
        assert found is not None
        check_same(found, yahoo.tables["SPY"])
        assert not list(folder.glob(".writing-*"))
        barrier.wait(60)
    for process in pair:
        process.join(60)
    assert [process.exitcode for process in pair] == [0, 0]


def test_what_a_writer_begins_is_known_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the midst of it, it leaves a file that a later writer sweeps up."""
    begun: list[str] = []
    real = cache._text

    def text(cached: Any) -> bytes:
        begun.extend(path.name for path in tmp_path.rglob("*") if path.is_file())
        return real(cached)

    monkeypatch.setattr(cache, "_text", text)
    (fetched, table), *_ = versions(1).items()
    Cache(tmp_path).write(Cached("SPY", table, fetched))
    assert len(begun) == 1
    assert begun[0].startswith(cache._WRITING)
