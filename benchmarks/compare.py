"""Ours against every peer on the same jobs, alternating, in one process tree: python benchmarks/compare.py

Needs the extra `bench` (bt, vectorbt). backtrader-next cannot live beside backtrader's pandas in every version, so it
gets an environment of its own, made once in a temporary folder, or given with --next-python.

Jobs, on the sample market (8 assets × 4006 sessions unless said): a monthly base, b default dynamic, c daily
re-weighting, d 64 assets, e 32,949 sessions, s a sweep of 1,000 tries in one process. `twin` is a try of a sweep: its
weights are known. Contenders start, read their prices and run once unmeasured; then they run
in turns, so that the machine's moods fall on all alike. Before anything is timed, results that should agree are
compared. --write puts the table into benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.worker import FIELDS
from riskoverlay import feeds
from riskoverlay.studies.workbench.parameters import make_config
from riskoverlay.studies.workbench.runs import simulate

TWINS = ("twin", "twin without numba")
CONTENDERS = {
    "a": ("ours", *TWINS, "stock feed", "bt", "backtrader-next", "vectorbt"),
    "b": ("ours", *TWINS, "stock feed", "paper", "backtrader-next", "vectorbt"),
    "c": ("ours", *TWINS, "stock feed", "backtrader-next", "vectorbt"),
    "d": ("ours", *TWINS, "stock feed"),
    "e": ("ours", *TWINS),
    "s": ("ours",),
}
LAST = "2025-12-04"  # 4006 sessions from 2010-01-04
LONGEST = {"start": "1970-01-01", "end": "2100-12-31"}  # 32,949, all that the sample market has
CONFIGS: dict[str, dict[str, Any]] = {
    "a": {"lev_min": 1.0, "lev_max": 1.0},
    "b": {},
    "c": {"drift": "daily", "lev_band": 0.0},
    "d": {},
    "e": {},
    "s": {},
}


def write_prices(job: str, folder: Path) -> tuple[Path, feeds.Panel]:
    """The job's panel as a file for the workers, with the trades that ours makes on it."""
    symbols = feeds.SAMPLE_SYMBOLS if job == "d" else None
    window = LONGEST if job == "e" else {"end": LAST}
    panel = feeds.load("sample", symbols=symbols, **window)
    content: dict[str, Any] = {
        "symbols": np.array(panel.symbols),
        "sessions": panel.sessions.to_numpy().astype("datetime64[D]"),
        **{symbol: frame[list(FIELDS)].to_numpy().T for symbol, frame in panel.frames.items()},
    }
    if "vectorbt" in CONTENDERS[job]:
        run = simulate(panel, make_config(CONFIGS[job]))
        bar = {day.date(): i for i, day in enumerate(panel.sessions)}  # filled on bar i + 1, decided on bar i
        content |= {
            "trade_bar": np.array([bar[fill["date"]] for fill in run.fills]),
            "trade_feed": np.array([panel.symbols.index(fill["symbol"]) for fill in run.fills]),
            "trade_size": np.array([fill["size"] for fill in run.fills]),
        }
    path = folder / f"{job}.npz"
    np.savez(path, **content)
    return path, panel


class Worker:
    """A contender's process."""

    def __init__(self, python: str, contender: str, job: str, path: Path) -> None:
        one = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        self.contender = contender
        self.runs: list[dict[str, float]] = []
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), contender, job, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **one, "RISKOVERLAY_COMPILED": "0" if contender.endswith("without numba") else "1"},
        )
        self.value = self._answer()["value"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.contender} stopped with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        self.runs.append(self._answer())

    def close(self) -> None:
        self.process.communicate()

    def spread(self, figure: str) -> tuple[float, float, float]:
        values = [run[figure] for run in self.runs]
        return statistics.median(values), min(values), max(values)


def agree(job: str, workers: list[Worker]) -> None:
    """Results that should be the same are; those of other rules (bt's weights, the notebook's) only stand beside."""
    values = {worker.contender: worker.value for worker in workers}
    for name in ("stock feed", *TWINS):
        if values.get(name, values["ours"]) != values["ours"]:
            raise RuntimeError(f"job {job}: ours {values['ours']} is not bit-identical to {name}: {values}")
    if job == "a":  # without a loan the same trades give the same money
        for name in ("backtrader-next", "vectorbt"):
            if name in values and abs(values[name] / values["ours"] - 1) > 1e-3:
                raise RuntimeError(f"job {job}: {name} gives {values[name]}, ours {values['ours']}: {values}")


def next_python(given: str | None, folder: Path) -> str:
    """The interpreter that has backtrader-next."""
    if given:
        return given
    home = folder / "backtrader-next"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "backtrader-next", "pandas"], check=True)
    return python


def compare(job: str, path: Path, cells: int, runs: int, python_next: str, skip: set[str]) -> list[str]:
    """Rows of the table of one job."""
    names = [name for name in CONTENDERS[job] if name not in skip]
    workers = [Worker(python_next if name == "backtrader-next" else sys.executable, name, job, path) for name in names]
    try:
        agree(job, workers)
        for _ in range(runs):
            for worker in workers:
                worker.run()
    finally:
        for worker in workers:
            worker.close()
    ours = workers[0].spread("wall")[0]
    rows = []
    for worker in workers:
        wall, least, most = worker.spread("wall")
        ratios = [run["wall"] / base["wall"] for run, base in zip(worker.runs, workers[0].runs, strict=True)]
        rows.append(
            f"| {job} | {worker.contender} | {wall:.4f} ({least:.4f} to {most:.4f}) | "
            f"{statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f}) | {cells / wall:,.0f} | "
            f"{worker.spread('memory')[2]:.0f} | {worker.value:,.2f} |"
        )
    assert ours > 0
    return rows


def versions(python_next: str) -> str:
    """Versions of everything that ran."""
    found = []
    for name in ("backtrader", "bt", "vectorbt", "numpy", "pandas", "scipy", "numba"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    code = "from importlib.metadata import version; print(version('backtrader-next'))"
    done = subprocess.run([python_next, "-c", code], capture_output=True, text=True, check=False)
    found.append(f"backtrader-next {done.stdout.strip() or 'not installed'}")
    return f"Python {platform.python_version()}, " + ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", default="a,b,c,d,e,s", help="which jobs (default a,b,c,d,e,s)")
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each contender (default 5)")
    parser.add_argument("--skip", default="", help="contenders to leave out, separated by commas")
    parser.add_argument("--next-python", help="interpreter that has backtrader-next (default: make one)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    options = parser.parse_args()
    skip = {name for name in options.skip.split(",") if name}
    with tempfile.TemporaryDirectory() as folder:
        python_next = sys.executable if "backtrader-next" in skip else next_python(options.next_python, Path(folder))
        lines = [
            "| job | contender | seconds, median (spread) | × ours, median of pairs (spread) | asset-bars a second "
            "| peak MB | end value |",
            "|---|---|---|---|---|---|---|",
        ]
        print("\n".join(lines))
        for job in options.jobs.split(","):
            path, panel = write_prices(job, Path(folder))
            cells = len(panel.symbols) * len(panel.sessions)
            rows = compare(job, path, cells, options.runs, python_next, skip)
            print("\n".join(rows), flush=True)
            lines += rows
        about = f"{versions(python_next)}; {os.cpu_count()} cores, {options.runs} runs each, in turns."
    print(about)
    if options.write:
        text = (__doc__ or "").split("\n\n")[2].replace("\n", " ")
        title = "# Benchmark results\n\n`python benchmarks/compare.py --write`\n\n"
        (HERE / "RESULTS.md").write_text(f"{title}{text}\n\n{about}\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
