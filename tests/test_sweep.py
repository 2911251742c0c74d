"""Sweeps: what is tried, that nothing is lost or done twice, and that it does not matter where it is run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.cli import main
from riskoverlay.studies.judgement import cscv, deflated_sharpe, session_sharpe
from riskoverlay.studies.sweep import (
    Judged,
    Sweep,
    in_words,
    judge,
    number_of_tries,
    run_try,
    sweep,
    sweep_frame,
    sweep_summary,
)
from riskoverlay.studies.sweep.rows import key_of
from riskoverlay.studies.sweep.space import Dimension, draw, grid, parse_dimension
from riskoverlay.studies.workbench import dask_workers
from riskoverlay.studies.workbench.beside import constant_leverage
from riskoverlay.studies.workbench.parameters import GROUPS, Config, make_config, shown_parameters
from riskoverlay.studies.workbench.runs import UNLEVERED, load_panel, simulate

pytest.importorskip("sqlalchemy", reason="the extra `sweep` is not installed")

ROOT = Path(__file__).parents[1]
END = "2011-01-31"
QUICK = {"cov_lookback": 40, "min_hist": 40, "vol_lookback": 10}
GRID = ("target_vol=0.08,0.10,0.14", "dd_threshold1=0.01:0.05:0.04")
SYMBOLS = ["SPY", "TLT", "GLD"]
FLAGS = ["--end", END, "--symbols", ",".join(SYMBOLS),
         *(x for name, value in QUICK.items() for x in ("--" + name.replace("_", "-"), str(value))),
         *(x for text in GRID for x in ("--grid", text))]  # fmt: skip


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", symbols=SYMBOLS, end=END)


@pytest.fixture
def config() -> Config:
    return make_config(QUICK)


@pytest.fixture
def dimensions() -> list[Dimension]:
    return [parse_dimension(text) for text in GRID]


def content(result: Sweep) -> list[tuple[int, str, bytes, str | None]]:
    return [(one.number, repr(one.params), one.returns.tobytes(), one.reason) for one in result.tries]


def stored(path: Path) -> list[tuple[int, str]]:
    """(place in GRID, -1 for another point; "kept" or "failed") of every try in a file, by place."""
    points = grid([parse_dimension(text) for text in GRID])
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = [
            (json.loads(config), reason) for config, reason in db.execute("select config, reason from sweep_tries")
        ]
    tried = [({name: config[name] for name in points[0]}, reason) for config, reason in found]
    return sorted(
        (points.index(point) if point in points else -1, "kept" if reason is None else "failed")
        for point, reason in tried
    )


# -- what is tried -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("target_vol=0.08,0.10", (0.08, 0.10)),
        ("dd_threshold1=0.05:0.20:0.05", (0.05, 0.10, 0.15, 0.20)),
        ("target_vol=0.1:0.3:0.1", (0.1, 0.2, 0.3)),  # 0.1 + 2·0.1 is not 0.3 in binary
        ("target_vol=0.1:0.29:0.1", (0.1, 0.2)),
        ("cov-lookback=60:180:60", (60, 120, 180)),
        ("vol_lookback=5:8", (5, 6, 7, 8)),
        ("rebalance_freq=ME,QE", ("ME", "QE")),
        ("whole_shares=true,false", (True, False)),
        ("calendar=XNYS,none", ("XNYS", None)),
        ("target_vol=0.1:0.1:1", (0.1,)),
    ],
)
def test_values_are_exact_and_of_the_parameters_type(text: str, values: tuple[Any, ...]) -> None:
    found = parse_dimension(text).values
    assert found == values
    assert list(map(type, found or ())) == list(map(type, values))


def test_grid_has_every_point_once_in_order(dimensions: list[Dimension]) -> None:
    points = [tuple(point.values()) for point in grid(dimensions)]
    assert points == [(v, d) for v in (0.08, 0.10, 0.14) for d in (0.01, 0.05)]


BAD = {
    "no values": (["--grid", "target_vol"], r"grid='target_vol' has no values: give name=a,b,c"),
    "no parameter": (["--grid", "target_vl=1,2"], r"target_vl='1,2' is not a parameter: did you mean target_vol"),
    "prices": (["--grid", "seed=1,2"], r"seed chooses the prices.*: give --seed once, and another --storage"),
    "word": (["--grid", "target_vol=high"], r"target_vol='high' is unreadable: give a number"),
    "twice": (["--grid", "target_vol=0.1,0.10"], r"has a value twice: give each once"),
    "name twice": (["--grid", "target_vol=1", "--grid", "target_vol=2"], r"target_vol is given twice: give all"),
    "no range": (["--grid", "target_vol=1:x:2"], r"is no range: give target_vol=low:high:step"),
    "infinite": (["--grid", "target_vol=1:inf:2"], r"is no range: give target_vol=low:high:step"),
    "reversed": (["--grid", "target_vol=2:1:1"], r"2 is above 1: give low:high:step"),
    "no step": (["--grid", "target_vol=1:2:0"], r"step 0 is not above zero"),
    "tiny step": (["--grid", "target_vol=0:1:0.0000001"], r"has more than 100000 values: give a larger step"),
    "half a session": (["--grid", "cov_lookback=60:61:0.5"], r"cov_lookback='0.5' is unreadable: give a whole"),
    "bounds on a grid": (["--grid", "target_vol=0.1:0.2"], r"has no step: give target_vol=low:high:step, or --trials"),
    "too many": (["--grid", "target_vol=1:900:1", "--grid", "lev_max=1:900:1"], r"grid has 810000 points: give fewer"),
    "no trials": (["--trials", "0"], r"trials=0 is not a number of tries: give a whole number >= 1"),
    "more than there are": (["--trials", "7"], r"trials=7 is more than the 6 points: give fewer, or no --trials"),
    "too many trials": (["--grid", "lev_max=1:2", "--trials", "100001"], r"trials=100001 is more than 100000: give f"),
    "seed": (["--trials", "2", "--sweep-seed", "-1"], r"sweep_seed=-1 is too small: give .* >= 0"),
    "a search": (["--search", "tpe"], r"--search is not a flag: every point is tried; or give --trials N"),
    "a search's batch": (["--batch", "4"], r"--batch is not a flag: .* give --trials N"),
    "workers": (["--workers", "0"], r"workers=0 is not a number of processes: give"),
    "folder": (["--storage", "no/where.db"], r"storage='no/where.db' cannot be opened .*: give a path"),
    "driver": (["--storage", "nodb://me:secret@host/x"], r"storage='nodb://me:\*\*\*@host/x' cannot be opened"),
    "memory": (["--storage", ":memory:"], r"storage=':memory:' keeps nothing: give the path of a file"),
    "no URL": (["--storage", "postgresql://me:secret@host:x/y"], r"the URL .* postgresql://\.\.\., cannot be read"),
    "@ in a password": (["--storage", "postgresql://me:a@b@host/y"], r"cannot be read: give .* a @ of the password as"),
    "picture folder": (["--png", "no/where.png"], r"folder no does not exist"),
    "all bad": (["--lev-min", "9"], r"all 6 tries failed, the first with: lev_min=9.0 is above lev_max=2.0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_costs_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prices = load("sample", symbols=SYMBOLS, end=END)
    monkeypatch.setattr("riskoverlay.studies.commands.flags.load_panel", lambda *_: prices)
    arguments, message = BAD[name]
    alone = name in ("bounds on a grid", "too many", "name twice")
    flags = ["--end", END, "--workers", "1"] if alone else [*FLAGS, "--workers", "1"]
    assert main(["sweep", *flags, *arguments]) == 2
    error = capsys.readouterr().err
    assert pd.Series([error]).str.contains(message).all(), error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


# -- where it is run, and how often it is stopped ----------------------------------------------------------------------


def test_a_try_is_the_run_with_its_parameters(panel: Panel, config: Config, dimensions: list[Dimension]) -> None:
    result = sweep(panel, config, dimensions)
    assert [one.params for one in result.tries] == grid(dimensions)
    one = result.tries[4]
    assert np.array_equal(one.returns, simulate(panel, {**config, **one.params}).returns)
    assert len({one.returns.tobytes() for one in result.tries}) == 6


@pytest.mark.long
def test_one_process_two_and_a_cluster_agree(panel: Panel, config: Config, dimensions: list[Dimension]) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra `sweep` is not installed")
    one = content(sweep(panel, config, dimensions))
    assert content(sweep(panel, config, dimensions, workers=2)) == one
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
    )
    with cluster:
        assert content(sweep(panel, config, dimensions, dask=cluster.scheduler_address)) == one


def test_a_cluster_that_is_not_there_costs_one_line(
    panel: Panel, config: Config, dimensions: list[Dimension], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra `sweep` is not installed")

    monkeypatch.setattr(dask_workers, "CONNECT_SECONDS", 0.3)
    with pytest.raises(ValueError, match=r"dask='tcp://127.0.0.1:9' does not answer .*: start `dask scheduler`"):
        sweep(panel, config, dimensions, dask="tcp://127.0.0.1:9")


def test_a_worker_with_other_sources_is_refused(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra `sweep` is not installed")

    class Worker:
        address = "tcp://elsewhere"

    monkeypatch.setattr(dask_workers.distributed, "get_worker", Worker)

    def symbols(shared: Panel, job: int) -> tuple[tuple[str, ...], int]:
        return shared.symbols, job

    job = (symbols, dask_workers.source_hash(), panel, 3)
    assert dask_workers._perform_there(*job) == (panel.symbols, 3)
    with pytest.raises(InputError, match="dask worker tcp://elsewhere has another version"):
        dask_workers._perform_there(symbols, "0" * 64, panel, 3)


def test_stopped_and_called_again_it_goes_on(
    panel: Panel, config: Config, dimensions: list[Dimension], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = tmp_path / "sweep.db"
    whole = content(sweep(panel, config, dimensions))
    real = run_try
    runs: list[Any] = []

    def interrupted(*arguments: Any) -> Any:
        if len(runs) == 4:
            raise KeyboardInterrupt
        runs.append(arguments)
        return real(*arguments)

    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"interrupted after 4 of 6 tries: they are kept in .*sweep\.db"):
        sweep(panel, config, dimensions, storage=str(storage))
    assert stored(storage) == [(k, "kept") for k in range(4)]

    again: list[Any] = []
    told: list[int] = []

    def counted(*arguments: Any) -> Any:
        again.append(arguments)
        return real(*arguments)

    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", counted)
    assert content(sweep(panel, config, dimensions, storage=str(storage), advance=told.append)) == whole
    assert len(again) == 2
    assert told == [4, 1, 1]
    assert stored(storage) == [(k, "kept") for k in range(6)]
    assert content(sweep(panel, config, dimensions, storage=str(storage))) == whole  # from the file alone
    assert len(again) == 2


def test_a_study_is_bound_to_its_prices(panel: Panel, config: Config, tmp_path: Path) -> None:
    storage = str(tmp_path / "sweep.db")
    values = [parse_dimension("target_vol=0.1,0.2")]
    sweep(panel, config, values, storage=storage)
    for other in (
        replace(panel, frames={s: f * 1.0001 for s, f in panel.frames.items()}),
        replace(panel, rates={"irx": pd.Series([0.01], panel.sessions[:1])}),
    ):
        with pytest.raises(InputError, match=r"sweep\.db holds a sweep of other prices: give those it was begun with"):
            sweep(other, config, values, storage=storage)
        sweep(other, config, values[:1], storage=storage, study=f"other {id(other)}")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configuration of every try that is run, as it is run."""
    real, configs = run_try, []

    def counted(panel: Panel, config: Config) -> Any:
        configs.append(config)
        return real(panel, config)

    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", counted)
    return configs


GROWN: dict[str, tuple[dict[str, Any], list[str], dict[str, Any], int]] = {
    "the same": ({}, ["target_vol=0.1,0.2"], {}, 0),
    "its flag is another, but it is tried": ({"target_vol": 0.5}, ["target_vol=0.2,0.1"], {}, 0),
    "by values": ({}, ["target_vol=0.05,0.1,0.2,0.3"], {}, 2),
    "by a dimension that was fixed": ({}, ["target_vol=0.1,0.2", "lev_max=1.5,2.0"], {}, 2),
    "by a dimension of words": ({}, ["rebalance_freq=QE,ME,W-FRI", "target_vol=0.1,0.2"], {}, 4),
    "less, and fixed": ({"target_vol": 0.2}, ["lev_max=2.0"], {}, 0),
    "another criterion": ({}, ["target_vol=0.1,0.2"], {"criterion": "growth"}, 0),
    "a draw of the same points": ({}, ["target_vol=0.1,0.2"], {"trials": 2, "seed": 3}, 0),
    "another flag": ({"lev_band": 0.2}, ["target_vol=0.1,0.2"], {}, 2),
    "another account": ({"cash": 5e4}, ["target_vol=0.1,0.2"], {}, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", GROWN)
def test_what_was_tried_is_found_whatever_asks_for_it(
    name: str, panel: Panel, config: Config, tmp_path: Path, ran: list[Config]
) -> None:
    flags, texts, more, new = GROWN[name]
    storage = str(tmp_path / "sweep.db")
    sweep(panel, config, [parse_dimension("target_vol=0.1,0.2")], storage=storage)
    ran.clear()
    values = [parse_dimension(text) for text in texts]
    result = sweep(panel, {**config, **flags}, values, storage=storage, **more)
    assert len(ran) == new
    assert content(result) == content(sweep(panel, {**config, **flags}, values, **more))  # as if nothing were kept


def test_words_that_come_later_are_kept_too(panel: Panel, config: Config, tmp_path: Path, ran: list[Config]) -> None:
    storage = str(tmp_path / "sweep.db")
    for text, new in (("calendar=XNYS", 1), ("calendar=XNYS,none", 1), ("calendar=XLON,none,XNYS", 1)):
        ran.clear()
        sweep(panel, config, [parse_dimension(text)], storage=storage)
        assert len(ran) == new
    assert len(stored(tmp_path / "sweep.db")) == 3


def test_a_try_is_found_by_every_parameter_but_the_prices(config: Config) -> None:
    known = key_of(config)
    cross = bt.strategies.SMA_CrossOver
    theirs = {**config, "strategy": cross, "sizer": bt.sizers.FixedSize}
    others = [
        theirs,
        {**theirs, "strategy": (cross, {"fast": 9})},
        {**theirs, "sizer": (bt.sizers.FixedSize, {"stake": 9})},
    ]
    assert len({known, *map(key_of, others)}) == 4
    assert key_of(theirs) == key_of({**theirs, "strategy": (cross, {})})
    for name, value in config.items():
        if name in ("strategy", "sizer"):
            continue
        other = {
            "auto": 0.01 if name != "prices" else "raw",
            "XNYS": "XLON",
            None: "x",
            "2010-01-01": "2011-01-01",
            "blend": "equal",
            "ragged": "common",
        }.get(value, value)
        if name == "financing":
            other = "retail"
        if other == value:
            other = not value if isinstance(value, bool) else value + 1 if not isinstance(value, str) else value + "x"
        same = name in shown_parameters(*GROUPS["prices"])
        assert (key_of({**config, name: other}) == known) == same, name
    rate = pd.Series([0.01, 0.02], pd.DatetimeIndex(["2010-01-01", "2010-06-01"]))
    dated = [{**config, "borrow_rate": rate * k} for k in (1.0, 1.0, 1.0 + 1e-12)]
    assert key_of(dated[0]) == key_of(dated[1]) != key_of(dated[2])
    assert key_of({**config, "lev_max": 2}) == key_of({**config, "lev_max": 2.0})


def test_a_sweep_that_is_finished_is_not_judged_anew(
    panel: Panel, config: Config, dimensions: list[Dimension], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    storage = str(tmp_path / "sweep.db")
    first = judge(sweep(panel, config, dimensions, storage=storage), draws=50)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("riskoverlay.studies.sweep.judged.simulate", never)
    monkeypatch.setattr("riskoverlay.studies.sweep.judged.confidence", never)
    again = judge(sweep(panel, config, dimensions, storage=storage), draws=50)
    assert again.intervals == first.intervals
    assert all(np.array_equal(again.others[name], first.others[name]) for name in ("base", "constant"))
    for asked in ({"draws": 60}, {"draws": 50, "level": 0.9}):
        with pytest.raises(AssertionError):
            judge(sweep(panel, config, dimensions, storage=storage), **asked)
    with pytest.raises(AssertionError):  # of other sessions
        judge(sweep(panel, config, [*dimensions, parse_dimension("min_hist=40,90")], storage=storage), draws=50)


def test_a_try_that_fails_is_kept_with_its_reason(panel: Panel, config: Config, tmp_path: Path) -> None:
    storage = tmp_path / "sweep.db"
    values = [parse_dimension("dd_threshold1=0.1,0.5,0.2")]
    for _ in range(2):
        result = sweep(panel, config, values, storage=str(storage))
        assert [one.reason is None for one in result.tries] == [True, False, True]
        assert "dd_threshold1=0.5 is above dd_threshold2=0.25" in (result.tries[1].reason or "")
    assert [state for _, state in stored(storage)] == ["failed", "kept", "kept"]
    assert sweep_frame(result).loc[1, "reason"].startswith("dd_threshold1=0.5")


def test_what_is_no_fault_of_the_parameters_is_not_kept(
    panel: Panel, config: Config, dimensions: list[Dimension], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("riskoverlay.studies.sweep.tries.Twins.run", broken)
    with pytest.raises(MemoryError):
        sweep(panel, config, dimensions, storage=str(tmp_path / "sweep.db"))
    assert stored(tmp_path / "sweep.db") == []


# -- some of the points ------------------------------------------------------------------------------------------------

SPACES = {
    "bounds": (("target_vol=0.05:0.30", "lev_max=1:2"), 50),
    "values": (("target_vol=0.05:0.30:0.01", "cov_lookback=60:90"), 50),
    "words": (("rebalance_freq=ME,QE,W-FRI", "target_vol=0.1,0.2", "whole_shares=true,false"), 12),
    "bounds and words": (("rebalance_freq=ME,QE", "target_vol=0.05:0.30"), 33),
}


@pytest.mark.parametrize("name", SPACES)
def test_a_draw_is_distinct_points_of_the_grid_and_depends_on_its_seed_alone(name: str) -> None:
    texts, trials = SPACES[name]
    values = [parse_dimension(text) for text in texts]
    points = draw(values, trials, 1)
    assert points == draw(values, trials, 1)
    assert points != draw(values, trials, 2)
    assert len(set(map(repr, points))) == len(points) == trials
    for point in points:
        assert list(point) == [d.name for d in values]
        for d in values:
            assert point[d.name] in d.values if d.values is not None else d.low <= point[d.name] < d.high
    assert draw(values, trials // 2, 1) == points[: trials // 2]  # more of the same seed goes on


def test_a_draw_of_every_point_is_the_grid() -> None:
    values = [parse_dimension(text) for text in SPACES["words"][0]]
    assert sorted(map(repr, draw(values, 12, 5))) == sorted(map(repr, grid(values)))


def test_a_draw_is_spread_evenly() -> None:
    """Of 2^k points of a Sobol sequence each of 2^k equal intervals of a dimension has one; of chance, two thirds."""
    points = draw([parse_dimension("target_vol=0.1:0.2"), parse_dimension("lev_max=1:2")], 64, 9)
    for name, low, width in (("target_vol", 0.1, 0.1), ("lev_max", 1.0, 1.0)):
        assert {int((point[name] - low) / width * 64) for point in points} == set(range(64))
    counts = np.histogram2d(*zip(*(point.values() for point in points), strict=True), bins=8)[0]
    assert counts.max() <= 4


def test_bounds_that_are_one_number_are_a_value_and_bounds_without_numbers_between_are_refused() -> None:
    assert parse_dimension("target_vol=0.1:0.1").values == (0.1,)
    close = Dimension("target_vol", None, 0.1, float(np.nextafter(0.1, 1)))
    with pytest.raises(InputError, match=r"trials=3 is more than the [12] points found: give fewer"):
        draw([close], 3)


def test_a_draw_does_not_depend_on_where_it_was_stopped(
    panel: Panel, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [parse_dimension("target_vol=0.05:0.30"), parse_dimension("lev_max=1:2:0.25")]
    flags: dict[str, Any] = {"trials": 5, "seed": 5}
    whole = content(sweep(panel, config, values, **flags))
    assert len(whole) == 5
    real, left = run_try, [3]

    def interrupted(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", interrupted)
    with pytest.raises(KeyboardInterrupt, match="interrupted after 3 of 5 tries"):
        sweep(panel, config, values, storage=f"sqlite:///{tmp_path}/s.db", **flags)
    left[0] = 100
    result = sweep(panel, config, values, storage=f"sqlite:///{tmp_path}/s.db", **flags)
    assert content(result) == whole
    assert left[0] == 98
    assert result.seed == 5
    more = sweep(panel, config, values, storage=f"sqlite:///{tmp_path}/s.db", trials=7, seed=5)
    assert left[0] == 96
    assert content(more)[:5] == whole


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed() -> list[Any]:
    return content(
        sweep(panel_of_flags(), make_config(QUICK), [parse_dimension(text) for text in GRID], engine="cerebro")
    )


def panel_of_flags() -> Panel:
    """What the command with FLAGS runs on: bars, and the bill's rate."""
    return load_panel(make_config({**QUICK, "symbols": ",".join(SYMBOLS), "end": END}))


def begin(folder: Path, workers: int, *more: str) -> subprocess.Popen[bytes]:
    slow = ["--engine", "cerebro", "--workers", str(workers)]  # tries that take a while, in processes
    command = [sys.executable, str(ROOT / "run.py"), "sweep", *FLAGS, *slow, *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished(path: Path) -> int:
    try:
        return len(stored(path))
    except sqlite3.OperationalError:  # not made yet
        return 0


def wait_for(count: int, folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Until so many tries are stored; for 0, until the storage is being made."""
    path = folder / "sweep.db"
    while not (path.exists() and finished(path) >= count) and process.poll() is None:
        time.sleep(0.01)


def workers_of(process: subprocess.Popen[bytes]) -> list[Any]:
    psutil = pytest.importorskip("psutil", reason="the extra `sweep` is not installed")
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends while we look
                if any("spawn_main" in word for word in child.cmdline()):
                    found.append(child)
    return found


def check_whole(folder: Path, undisturbed: list[Any]) -> None:
    """Gone on with: each try once, none lost, results as if nothing had happened."""
    values = [parse_dimension(text) for text in GRID]
    kept = sweep(panel_of_flags(), make_config(QUICK), values, storage=str(folder / "sweep.db"), engine="cerebro")
    assert content(kept) == undisturbed
    assert stored(folder / "sweep.db") == [(k, "kept") for k in range(6)]


def kill_sweep(folder: Path, moments: Iterator[float], undisturbed: list[Any]) -> None:
    """Kill the whole sweep after a number of tries, and a random moment more; then let it finish."""
    for moment in moments:
        process = begin(folder, 2)
        wait_for(int(moment), folder, process)
        time.sleep(moment % 1 / 3)
        workers = workers_of(process)
        process.kill()
        process.communicate()
        for worker in workers:
            worker.wait(timeout=20)  # none is left behind
    process = begin(folder, 1)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert b"the 6 tries" in out
    assert finished(folder / "sweep.db") == 6
    check_whole(folder, undisturbed)


def kill_workers(folder: Path, moments: Iterator[float]) -> subprocess.Popen[bytes]:
    """Kill one worker now and then: the sweep goes on by itself."""
    process = begin(folder, 2)
    for moment in moments:
        wait_for(int(moment), folder, process)
        time.sleep(moment % 1 / 3)
        for worker in workers_of(process)[:1]:
            worker.kill()
    return process


posix = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")


@posix
@pytest.mark.long
def test_killed_worker_and_killed_whole_nothing_is_lost_or_done_twice(tmp_path: Path, undisturbed: list[Any]) -> None:
    process = kill_workers(tmp_path, iter([1.1]))
    wait_for(3, tmp_path, process)  # it went on without the worker
    assert finished(tmp_path / "sweep.db") >= 3
    process.kill()
    process.communicate()
    before = finished(tmp_path / "sweep.db")
    check_whole(tmp_path, undisturbed)
    assert 3 <= before <= 6


@posix
@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_killed_whole_at_random_moments(tmp_path: Path, undisturbed: list[Any], seed: int) -> None:
    draw = random.Random(seed)
    kill_sweep(tmp_path, iter(sorted(draw.uniform(0, 6) for _ in range(2))), undisturbed)


@posix
@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_killed_workers_at_random_moments(tmp_path: Path, undisturbed: list[Any], seed: int) -> None:
    draw = random.Random(100 + seed)
    process = kill_workers(tmp_path, iter(sorted(draw.uniform(0, 6) for _ in range(2))))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    check_whole(tmp_path, undisturbed)


@posix
@pytest.mark.long
def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    process = begin(tmp_path, 2, "--grid", "vol_lookback=10:109")  # enough not to be over before it is interrupted
    wait_for(1, tmp_path, process)
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"of 600 tries: they are kept in sweep.db, the same command goes on from there" in error
    assert b"Traceback" not in error
    assert all(state == "kept" for _, state in stored(tmp_path / "sweep.db"))


# -- judgement ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swept(panel: Panel) -> Sweep:
    values = [parse_dimension(text) for text in (GRID[0], "min_hist=40,90", "lev_min=0.3,5")]
    return sweep(panel, make_config(QUICK), values)


def test_the_best_is_judged_among_all_tries_on_shared_sessions(swept: Sweep) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    judged = judge(swept, draws=100)
    assert (len(swept.tries), len(swept.good)) == (12, 6)
    sizes = {one.returns.size for one in swept.good}
    assert len(sizes) == 2  # min_hist=90 starts later
    assert swept.returns.shape == (min(sizes), 6)
    sharpes = [s["excess_sharpe"] for s in swept.statistics]
    assert judged.best == int(np.argmax(sharpes)) == judged.ranking[0]
    base = simulate(swept.panel, {**swept.config_of(judged.winner), **UNLEVERED}).returns
    assert np.array_equal(judged.others["base"], base[-min(sizes) :])
    best = swept.config_of(judged.winner)
    steady = constant_leverage(swept.panel, best, simulate(swept.panel, best).mean_leverage)
    assert np.array_equal(judged.others["constant"], steady.returns[-min(sizes) :])
    assert not np.array_equal(judged.others["constant"], judged.others["base"])
    assert judged.deflated == deflated_sharpe(swept.returns[:, judged.best], session_sharpe(swept.returns))
    assert judged.overfitting is not None
    assert judged.overfitting.probability == cscv(swept.returns, blocks=8).probability
    assert judged.intervals["dynamic"]["excess_sharpe"].estimate == pytest.approx(max(sharpes))

    words = "\n".join(in_words(judged))
    assert f"If the 6 tries were independent, luck alone would give a Sharpe of {judged.luck:.2f}; yours is" in words
    assert f"yours is {max(sharpes):.2f}." in words
    assert "6 of 12 tries failed" in words
    assert "lev_min=5.0 is above lev_max=2.0" in words
    assert "synthetic" in words
    summary = json.loads(json.dumps(sweep_summary(judged), default=str))
    assert summary["judgement"]["deflated_sharpe_ratio"] == judged.deflated.probability
    assert len(summary["tries"]) == 12


def test_what_follows_from_the_tries_is_computed_once(swept: Sweep) -> None:
    names = ("good", "sessions", "returns", "risk_free", "excess", "scored", "statistics", "worth")
    first = {name: getattr(swept, name) for name in names}
    assert all(getattr(swept, name) is first[name] for name in names)
    fewer = replace(swept, tries=swept.tries[:2])
    assert len(fewer.statistics) == len(fewer.worth) == len(fewer.good) < len(swept.good)


def test_criterion_says_what_is_best(panel: Panel, config: Config) -> None:
    values = [parse_dimension("target_vol=0.02,0.30"), parse_dimension("lev_min=0.1")]
    by_sharpe, by_growth = (sweep(panel, config, values, criterion=c) for c in ("sharpe", "growth"))
    assert content(by_sharpe) == content(by_growth)
    places = [
        Judged(s, 0, {}, None, 0.0, None, {}).ranking  # type: ignore[arg-type]
        for s in (by_sharpe, by_growth)
    ]
    for s, ranking, name in zip((by_sharpe, by_growth), places, ("excess_sharpe", "growth"), strict=True):
        assert s.statistics[ranking[0]][name] == max(x[name] for x in s.statistics)
    assert number_of_tries(values) == 2


def test_the_command_shows_writes_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("plotly")
    files = ["--json", "s.json", "--csv", "s.csv", "--png", "s.png", "--html", "s.html"]
    assert main(["sweep", *FLAGS, "--workers", "1", *files]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "If the 6 tries were independent, luck alone would give a Sharpe of" in out
    assert "Wrote s.json, s.csv, s.png and s.html." in out
    written = json.loads(Path("s.json").read_text())
    assert written["config"]["target_vol"] == written["best"]["params"]["target_vol"]
    assert len(pd.read_csv("s.csv")) == 6
    assert Path("s.png").read_bytes()[:4] == b"\x89PNG"
    page = Path("s.html").read_text()
    assert page.index("<h1>The best of 6 tries</h1>") < page.index('<section id="verdict">')
    assert page.index('<section id="verdict">') < page.index('<section id="figures">')
    assert "luck alone would give a Sharpe of" in page
    assert main(["backtest", "--config", "s.json", "--csv", "", "--json", "b.json", "--confidence"]) == 0
    assert "95 % intervals" in capsys.readouterr().out
    again = json.loads(Path("b.json").read_text())
    assert again["dynamic"]["excess_sharpe"] == pytest.approx(
        written["judgement"]["intervals"]["dynamic"]["excess_sharpe"]["estimate"]
    )
    assert again["confidence"]["difference"]["excess_sharpe"]["level"] == 0.95
