"""Whatever comes in: a refusal in one line, or a run whose books balance. 2,000 markets, 20,000 damaged files.

A few of each in the default run; all of them with `pytest -m long tests/test_fuzz.py`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from identities import check_books

from riskoverlay.analyzers.statistics import annualized_return
from riskoverlay.errors import RiskOverlayError
from riskoverlay.feeds import Cache, align, read_csv_folder, read_wide_csv
from riskoverlay.feeds.cache import Cached
from riskoverlay.studies.cli import main
from riskoverlay.studies.workbench import read_config
from riskoverlay.studies.workbench.parameters import PARAMETERS, make_config
from riskoverlay.studies.workbench.runs import simulate

HANG = 60
"""Seconds that one input may take."""


@contextmanager
def no_hang(what: str) -> Iterator[None]:
    """Fail what takes longer than `HANG`. Only where there are alarms, and only in the main thread."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_long(*_: Any) -> None:
        faulthandler.dump_traceback()
        raise TimeoutError(f"{what} takes longer than {HANG} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_refusal(error: Exception) -> bool:
    """One line that says what and, after a colon, the cure."""
    text = str(error)
    return "\n" not in text and ": " in text and 20 < len(text) < 1_000


# -- markets ---------------------------------------------------------------------------------------------------------


def random_market(rng: np.random.Generator, min_hist: int) -> dict[str, pd.DataFrame]:
    """Bars of 2 to 40 assets with what goes wrong in markets and in files of them."""
    assets = int(rng.choice([2, 3, 5, 8, 20, 40], p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]))
    sessions = min_hist + int(rng.choice([2, 3, 25, 60, 150], p=[0.05, 0.05, 0.2, 0.5, 0.2]))
    common = rng.normal(0.0, 0.01, sessions)
    index = pd.bdate_range(f"20{rng.integers(10, 24)}-0{rng.integers(1, 10)}-01", periods=sessions)
    closes: list[np.ndarray] = []
    frames = {}
    for i in range(assets):
        sigma = 10.0 ** rng.uniform(-4, -1)
        close = 10.0 ** rng.uniform(-1, 4) * np.exp(
            np.cumsum(rng.uniform(0, 1) * common + rng.normal(0, sigma, sessions))
        )
        shape = rng.choice(
            ["plain", "copy", "mirror", "constant", "almost constant", "gaps", "cent", "split", "stale"],
            p=[0.52, 0.1, 0.05, 0.005, 0.005, 0.12, 0.08, 0.11, 0.01],
        )
        at = int(rng.integers(1, sessions))
        if shape == "copy" and closes:
            close = closes[int(rng.integers(len(closes)))] * 10.0 ** rng.uniform(-2, 2)
        elif shape == "mirror" and closes:
            close = 100.0 / closes[int(rng.integers(len(closes)))]
        elif shape == "constant":
            close = np.full(sessions, 50.0)
        elif shape == "almost constant":
            close = 50.0 + 1e-9 * np.arange(sessions)
        elif shape == "gaps":
            close = close * np.exp(np.cumsum(np.where(rng.random(sessions) < 0.05, rng.normal(0, 0.6, sessions), 0)))
        elif shape == "cent":
            close = close.copy()
            close[at:] = 0.01 * rng.integers(1, 3, sessions - at)  # a cent or two
        elif shape == "split":
            close = close.copy()
            close[at:] *= float(rng.choice([0.5, 0.1, 0.01, 3.0, 20.0]))
        elif shape == "stale":
            close = close.copy()
            close[at : at + 40] = close[at]
        closes.append(close)
        opens = np.r_[close[0], close[:-1]] if rng.random() < 0.5 else close * np.exp(rng.normal(0, 0.02, sessions))
        wide = np.exp(np.abs(rng.normal(0, 0.01, sessions)))
        frames[f"A{i}"] = pd.DataFrame(
            {
                "open": opens,
                "high": np.maximum(opens, close) * wide,
                "low": np.minimum(opens, close) / wide,
                "close": close,
                "volume": 10.0 ** rng.choice([0.0, 6.0, 15.0], sessions) * rng.integers(0, 3, sessions),
            },
            index=index,
        )
        if rng.random() < 0.1:
            frames[f"A{i}"] = frames[f"A{i}"].drop(index=index[rng.random(sessions) < 0.03])
    return frames


def random_parameters(rng: np.random.Generator) -> dict[str, Any]:
    """Parameters that are mostly right; one in ten draws of a market has one that is not."""
    min_hist = int(rng.choice([2, 5, 20, 60]))
    low, high = np.sort(rng.uniform(0.0, 3.0, 2))
    first, second = np.sort(rng.uniform(0.0, 0.6, 2))
    values = {
        "min_hist": min_hist,
        "cov_lookback": int(rng.choice([2, 5, 20, 60, 252])),
        "vol_lookback": int(rng.choice([2, 10, 60])),
        "rebalance_freq": str(
            rng.choice(["ME", "W-FRI", "W-MON", "QE", "SME", "BME", "D"], p=[0.3, 0.25, 0.1, 0.05, 0.1, 0.1, 0.1])
        ),
        "calendar": "XNYS" if rng.random() < 0.7 else None,
        "shrink_alpha": float(rng.choice([0.0, 0.3, 1.0])),
        "alpha_minvar": float(rng.choice([0.0, 0.3, 1.0])),
        "risk_parity": str(rng.choice(["converged", "notebook"], p=[0.9, 0.1])),
        "min_variance": str(rng.choice(["long_only", "clipped"], p=[0.9, 0.1])),
        "shrinkage": str(rng.choice(["diagonal", "ledoit_wolf"])),
        "relever": str(rng.choice(["daily", "rebalance"])),
        "drift": str(rng.choice(["hold", "daily"], p=[0.8, 0.2])),
        "lev_band": float(rng.choice([0.0, 0.1, 0.5])),
        "target_vol": float(10.0 ** rng.uniform(-3, 0)),
        "lev_min": float(low),
        "lev_max": float(high),
        "dd_threshold1": float(first),
        "dd_threshold2": float(second),
        "dd_min_scale": float(rng.uniform(0, 1)),
        "whole_shares": bool(rng.random() < 0.7),
        "cash": float(10.0 ** rng.uniform(1, 9)),
        "execution": str(rng.choice(["next_open", "close"])),
        "slippage_bps": float(rng.choice([0.0, 2.0, 200.0])),
        "commission_bps": float(rng.choice([0.0, 1.0, 100.0])),
        "commission_min": float(rng.choice([0.0, 5.0])),
        "initial_margin": float(rng.choice([0.3, 0.5, 1.0])),
        "maintenance_margin": float(rng.choice([0.1, 0.25])),
        "borrow_rate": float(rng.choice([0.0, 0.05, 1.0])),
        "cash_rate": float(rng.choice([0.0, 0.03])),
    }
    if rng.random() < 0.1:
        name = str(rng.choice([name for name, value in values.items() if isinstance(value, float)]))
        values[name] = float(rng.choice([-1.0, np.nan, np.inf, 1e300]))
    return values


def try_market(seed: int) -> str:
    """ "refused" or "ran"; anything else is a failure that names the seed."""
    rng = np.random.default_rng(seed)
    values = random_parameters(rng)
    frames = random_market(rng, values["min_hist"])
    try:
        with no_hang(f"market {seed}"):
            config = make_config(values)
            panel = align(frames)
            result = simulate(panel, config)
    except RiskOverlayError as error:
        assert is_refusal(error), f"market {seed}: {error!r}"
        return "refused"
    except Exception as error:
        raise AssertionError(f"market {seed}: {error!r}") from error
    try:
        books = check_books(panel, result, rounding=1e-9)
        assert min(books.held.values()) >= -1e-6 * max(1.0, *map(abs, books.held.values()))  # long only
        assert result.costs["orders"]["sent"] >= books.fills
    except AssertionError as error:
        raise AssertionError(f"market {seed}: {error}") from error
    return "ran"


def try_markets(seeds: range) -> None:
    said = [try_market(seed) for seed in seeds]
    assert said.count("ran") > len(said) / 2
    assert "refused" in said or len(said) < 50


def test_a_few_random_markets() -> None:
    try_markets(range(12))


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(20))
def test_two_thousand_random_markets(chunk: int) -> None:
    try_markets(range(100 * chunk, 100 * (chunk + 1)))  # of 50, chance may refuse half


# -- files -----------------------------------------------------------------------------------------------------------

NASTY = [
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n\n", b'"', b'""""', b",", b",,,,,,,,", b";", b"\t",
    b"nan", b"inf", b"-inf", b"1e308", b"1e-320", b"-1", b"0", b"1_000", b"0x10", b"9" * 400, b"1,5",
    b"2020-02-30", b"0001-01-01", b"9999-12-31", b"2020-01-02T10:00:00+05:00", b"NaT", "٣".encode(),
    "é".encode(), "\u2028".encode(), b"{", b"[", b"]" * 9, b"}", b":", b"null", b"true", b"NaN", b"Infinity",
    b'{"config": {}}', b"=cmd()", b"<script>", b"../../x", b"__proto__", b"[" * 3_000, b'{"a":' * 3_000,
    b"1" * 5_000, b'"' + b"x" * 200_000 + b'"',
]  # fmt: skip


def damaged(original: bytes, rng: random.Random) -> bytes:
    """The file after one to four accidents."""
    content = original
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(content) + 1), rng.choice([1, 2, 8, 60])
        kind = rng.randrange(9)
        lines = content.split(b"\n")
        if kind == 0:
            content = content[:at]
        elif kind == 1:
            content = content[:at] + content[at + length :]
        elif kind == 2:
            content = content[:at] + bytes(rng.randrange(256) for _ in range(length)) + content[at + length :]
        elif kind == 3:
            content = content[:at] + rng.choice(NASTY) + content[at:]
        elif kind == 4:
            content = content[:at] + content[at : at + 200] + content[at:]
        elif kind == 5:
            rng.shuffle(lines)
            content = b"\n".join(lines)
        elif kind == 6:  # one cell
            row = rng.randrange(len(lines))
            cells = lines[row].split(b",")
            cells[rng.randrange(len(cells))] = rng.choice(NASTY)
            lines[row] = b",".join(cells)
            content = b"\n".join(lines)
        elif kind == 7:
            content = content.replace(b",", rng.choice([b";", b"\t", b", ", b",,"]))
        else:
            content = content.decode("utf-8", "replace").encode(
                rng.choice(["utf-16", "utf-8-sig", "latin-1", "cp500"]), "replace"
            )
    return content


def bars(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 30)))
    columns = {
        "open": close,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": 1e6,
        "adj_close": close * 0.9,
    }
    return pd.DataFrame(columns, pd.bdate_range("2020-01-02", periods=30, name="date"))


def csv_folder(folder: Path) -> tuple[Path, Callable[[], Any]]:
    bars().to_csv(folder / "AAA.csv")
    return folder / "AAA.csv", lambda: align(read_csv_folder(folder, ["AAA"]))


def wide_csv(folder: Path) -> tuple[Path, Callable[[], Any]]:
    pd.DataFrame({s: bars(i)["close"] for i, s in enumerate(("AAA", "BBB"))}).to_csv(folder / "wide.csv")
    return folder / "wide.csv", lambda: align(read_wide_csv(folder / "wide.csv"))


def two_headers(folder: Path) -> tuple[Path, Callable[[], Any]]:
    pd.concat({"AAA": bars(0), "BBB": bars(1)}, axis=1).to_csv(folder / "two.csv")
    return folder / "two.csv", lambda: align(read_wide_csv(folder / "two.csv"))


def summary_json(folder: Path) -> tuple[Path, Callable[[], Any]]:
    (folder / "config.json").write_text(json.dumps({"config": make_config(), "base": {"sharpe": 1.0}}, indent=1))

    def read() -> None:
        config = read_config(folder / "config.json")
        assert set(config) == set(PARAMETERS)

    return folder / "config.json", read


def cache_file(folder: Path) -> tuple[Path, Callable[[], Any]]:
    cache = Cache(folder=folder / "cache", offline=True)
    table = bars().assign(dividend=0.0, split=0.0)
    cache.write(Cached("AAA", table, pd.Timestamp("2024-01-02 10:00", tz="UTC")))

    def read() -> None:
        cached = cache.read("AAA")
        # Nothing but the very file passes its checksum.
        assert cached is None or np.array_equal(cached.bars["close"], table["close"])

    return cache.path("AAA"), read


KINDS = (csv_folder, wide_csv, two_headers, summary_json, cache_file)


def try_files(folder: Path, kind: Callable[[Path], tuple[Path, Callable[[], Any]]], seeds: range) -> None:
    path, read = kind(folder)
    read()  # whole, it is read
    original = path.read_bytes()
    refused = 0
    for seed in seeds:
        content = damaged(original, random.Random(f"{kind.__name__} {seed}"))
        path.write_bytes(content)
        try:
            with no_hang(f"{kind.__name__} {seed}"):
                read()
        except (ValueError, FileNotFoundError) as error:
            refused += 1
            named = path.stem in str(error) or isinstance(error, FileNotFoundError)
            assert is_refusal(error) and named, f"{kind.__name__} {seed}: {error!r}"
        except Exception as error:
            raise AssertionError(f"{kind.__name__} {seed}: {error!r}") from error
    assert refused > len(seeds) / 4
    assert [name for name in os.listdir(folder) if "writing" in name] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_damaged_files(tmp_path: Path, kind: Any) -> None:
    try_files(tmp_path, kind, range(300))


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(8))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_twenty_thousand_damaged_files(tmp_path: Path, kind: Any, chunk: int) -> None:
    try_files(tmp_path, kind, range(500 * chunk, 500 * (chunk + 1)))


# -- command line ----------------------------------------------------------------------------------------------------


def try_commands(folder: Path, seeds: range, capsys: pytest.CaptureFixture[str]) -> None:
    """A run on damaged prices, or a damaged config, ends well or leaves the files of before as they were."""
    prices, _ = csv_folder(folder)
    config, _ = summary_json(folder)
    whole = {path: path.read_bytes() for path in (prices, config)}
    outputs = [folder / "series.csv", folder / "summary.json"]
    few = [
        "--min-hist",
        "5",
        "--cov-lookback",
        "5",
        "--vol-lookback",
        "3",
        "--start",
        "2020-01-01",
        "--rebalance-freq",
        "W-FRI",
    ]
    where = [
        "--source",
        "csv",
        "--data-dir",
        str(folder),
        "--symbols",
        "AAA",
        "--end",
        "2020-12-31",
        "--calendar",
        "XNYS",
    ]
    account = ["--cash", "100000", "--execution", "next_open"]
    arguments = [*where, *few, *account, "--csv", str(outputs[0]), "--json", str(outputs[1]), "--config", str(config)]
    for seed in seeds:
        rng = random.Random(f"command {seed}")
        for path, content in whole.items():
            path.write_bytes(content)
        hurt = rng.choice([prices, config])
        hurt.write_bytes(damaged(whole[hurt], rng))
        for path in outputs:
            path.write_text("before")
        with no_hang(f"command {seed}"):
            try:
                status = main(arguments)
            except Exception as error:
                raise AssertionError(f"command {seed}: {error!r}") from error
        said = capsys.readouterr().err
        assert "Traceback" not in said, f"command {seed}: {said}"
        assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in (*whole, *outputs)), (
            f"command {seed}"
        )
        texts = [path.read_text() for path in outputs]
        if status == 0:
            table, content = pd.read_csv(outputs[0], index_col="date"), json.loads(texts[1])
            assert len(table) > 1 < content["data"]["sessions"]
        else:
            assert status == 2
            assert texts == ["before", "before"], f"command {seed}"
            errors = [line for line in said.splitlines() if line.startswith("error: ")]
            assert len(errors) == 1, f"command {seed}: {said}"


def test_commands_on_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try_commands(tmp_path, range(30), capsys)


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(4))
def test_many_commands_on_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], chunk: int) -> None:
    try_commands(tmp_path, range(200 * chunk, 200 * (chunk + 1)), capsys)


# -- what was found, and stays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value", "message"),
    [
        ("close", "[" * 3_000, r"AAA.csv, line 5: close '\[+\.\.\.\[+' is not a number"),
        ("date", "x" * 3_000, r"AAA.csv, line 5: date 'x+\.\.\.x+' is unreadable"),
        ("date", "9999-12-31", r"AAA.csv: date 9999-12-31 is outside 1678 to 2261: correct"),
        ("date", "1111-11-11", r"AAA.csv: date 1111-11-11 is outside 1678 to 2261: correct"),
    ],
)
def test_cells_that_once_were_echoed_or_overflowed(tmp_path: Path, cell: str, value: str, message: str) -> None:
    path, read = csv_folder(tmp_path)
    table = pd.read_csv(path, dtype=str)
    table.loc[3, cell] = value
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=message) as refusal:
        read()
    assert len(str(refusal.value)) < 300 + len(str(path))


def test_a_bad_symbol_in_a_wide_file_names_the_file(tmp_path: Path) -> None:
    path, read = wide_csv(tmp_path)
    path.write_text(path.read_text().replace("AAA", "<script>"))
    with pytest.raises(ValueError, match=r"wide.csv: symbols: '<script>' is not a symbol"):
        read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"cash": ' + "1" * 5_000 + "}", "config.json is not JSON"),
        ('{"x' + "y" * 5_000 + '": 1}', "config.json: xyyy.*is not a parameter"),
        ('{"target_vol": "' + "y" * 200_000 + '"}', r"target_vol='y+\.\.\.y+' is of the wrong type"),
    ],
)
def test_configs_that_once_were_echoed_or_overflowed(tmp_path: Path, text: str, message: str) -> None:
    path, read = summary_json(tmp_path)
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refusal:
        read()
    assert len(str(refusal.value)) < 1_000 + len(str(path))


def test_a_rate_that_no_float_survives_is_refused() -> None:
    panel = align({s: bars(i).drop(columns="adj_close") for i, s in enumerate("AB")})
    few = {"min_hist": 5, "cov_lookback": 5, "vol_lookback": 2, "rebalance_freq": "W-FRI"}
    for name in ("cash_rate", "borrow_rate"):
        with pytest.raises(ValueError, match=rf"{name}=1e\+300 is not a rate"):
            simulate(panel, make_config({**few, name: 1e300}))
        simulate(panel, make_config({**few, name: 1.0}))


def test_a_mean_return_that_no_float_survives_a_year_is_inf() -> None:
    # An unadjusted reverse split in a levered account: 50-fold on the mean session.
    assert annualized_return([50.0, 50.0]) == np.inf
    assert annualized_return([1e-3, 1e-3]) == pytest.approx(1.001**252 - 1)
