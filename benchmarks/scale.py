"""Sizes beyond the usual, each by the command line in a process of its own: time, memory, and what was said.

    scale.py [CASE ...]

    rows       one file of 1,000,000 rows of minutes, and one of 1,000,000 days
    symbols    500 symbols of 25 years
    days       3 symbols of 100,000 daily bars
    repeated   200 backtests in one process: its memory after 20 and after 200
    together   two runs at once that write the same files in one folder

Each has to end within 5 minutes and 4 GB, or be refused in one line. Exit code 1 if one does not.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
MOST_SECONDS, MOST_MB = 300.0, 4096.0

REPEATED = """
import gc, resource, sys
from riskoverlay.feeds import load
from riskoverlay.studies.workbench import backtest, make_config
panel, config = load("sample", end="2011-12-30"), make_config({})
for number in range(1, 201):
    backtest(panel, config)
    if number in (100, 200):
        gc.collect()
        with open("/proc/self/statm") as file:
            print(number, "backtests:", int(file.read().split()[1]) * resource.getpagesize() // 2**20, "MB")
"""


class Seen(NamedTuple):
    """What became of a command: exit code, seconds, most memory in MB, last line that it said."""

    code: int
    seconds: float
    memory: float
    line: str

    def good(self) -> bool:
        """Ended well within the limits, or refused in one line."""
        return self.code in (0, 2) and self.seconds <= MOST_SECONDS and self.memory <= MOST_MB


def seen(command: list[str], folder: Path) -> Seen:
    """Run a command in a folder."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "out.txt").open("w+") as out, (folder / "err.txt").open("w+") as err:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        out.seek(0), err.seek(0)
        failed = process.returncode not in (0, 2)
        said = [line for line in (err if process.returncode else out).read().splitlines() if line.strip()]
    if process.returncode == 2 and len(said) != 1:
        failed = True
    line = " | ".join(said[-3:]) if said else ""
    return Seen(1 if failed else process.returncode, seconds, usage.ru_maxrss / 1024.0, line)


def backtest(*arguments: str) -> list[str]:
    """The command of a backtest."""
    return [sys.executable, str(ROOT / "run.py"), "backtest", "--quiet", *arguments]


def write(folder: Path, names: Sequence[str], stamps: Callable[[], pd.Index]) -> None:
    """A file of bars for each name, by another process: a child's memory counts from what its parent ever had."""
    folder.mkdir()
    writer = multiprocessing.Process(target=write_files, args=(folder, names, stamps))
    writer.start()
    writer.join()


def write_files(folder: Path, names: Sequence[str], stamps: Callable[[], pd.Index]) -> None:
    """All of them."""
    for number, name in enumerate(names):
        write_bars(folder / f"{name}.csv", stamps(), number)


def write_bars(path: Path, stamps: pd.Index, seed: int) -> None:
    """A file of bars whose price wanders."""
    rng = np.random.default_rng(seed)
    n = len(stamps)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.5 / np.sqrt(n), n)))
    opens = np.concatenate([[100.0], close[:-1]])
    columns = {"Date": stamps, "Open": opens, "High": np.maximum(opens, close), "Low": np.minimum(opens, close),
               "Close": close, "Volume": 1_000}  # fmt: skip
    pd.DataFrame(columns).round(4).to_csv(path, index=False)


def days_of(n: int, first: str) -> pd.Index:
    """Weekdays, as text: they may lie beyond what pandas can hold."""
    start = np.busday_offset(np.datetime64(first), 0, roll="forward")
    return pd.Index(np.busday_offset(start, np.arange(n)).astype(str))


def minutes_of(n: int) -> pd.Index:
    """Minutes, as text."""
    return pd.date_range("2010-01-04 09:30", periods=n, freq="min").strftime("%Y-%m-%d %H:%M:%S")


def rows(folder: Path) -> Iterator[Seen]:
    """Files of a million rows."""
    for name, stamps in (("minutes", minutes_of), ("days", partial(days_of, first="1000-01-01"))):
        write(folder / name, ["A"], partial(stamps, 1_000_000))
        yield seen(backtest("--source", "csv", "--data-dir", name, "--symbols", "A"), folder)


def symbols(folder: Path) -> Iterator[Seen]:
    """500 symbols of 25 years."""
    names = [f"S{number:03d}" for number in range(500)]
    write(folder / "prices", names, partial(days_of, 6_300, "2000-01-03"))
    yield seen(
        backtest("--source", "csv", "--data-dir", "prices", "--symbols", ",".join(names), "--calendar", "none"), folder
    )


def days(folder: Path) -> Iterator[Seen]:
    """100,000 daily bars."""
    write(folder / "prices", "ABC", partial(days_of, 100_000, "1700-01-04"))
    yield seen(backtest("--source", "csv", "--data-dir", "prices", "--symbols", "A,B,C", "--calendar", "none"), folder)


def repeated(folder: Path) -> Iterator[Seen]:
    """200 backtests in one process: the second hundred takes no more memory than the first has (seen: nor do 400)."""
    found = seen([sys.executable, "-c", REPEATED], folder)
    before, after = (int(part.split(":")[1].split()[0]) for part in found.line.split(" | "))
    yield found if after <= before + 5 else found._replace(code=1)


def together(folder: Path) -> Iterator[Seen]:
    """Two runs at once in one folder, on different prices: each file belongs to one of them as a whole."""
    ends = ("2011-12-30", "2012-12-31")
    command = backtest("--source", "sample")
    first = subprocess.Popen([*command, "--end", ends[0]], cwd=folder, stderr=subprocess.DEVNULL)
    found = seen([*command, "--end", ends[1]], folder)
    code = first.wait()
    series = (folder / "level63_dd_leverage_series.csv").read_text(encoding="utf-8").splitlines()
    whole = series[-1].split(",")[0] in ends and len(set(map(len, (line.split(",") for line in series)))) == 1
    left = sorted(path.name for path in folder.iterdir())
    yield found._replace(code=max(code, found.code, not whole), line=" ".join(left))


CASES: dict[str, Callable[[Path], Iterator[Seen]]] = {
    case.__name__: case for case in (rows, symbols, days, repeated, together)
}


def main(names: list[str]) -> int:
    """Run the cases of these names, or all."""
    good = True
    for name in names or list(CASES):
        with tempfile.TemporaryDirectory() as folder:
            for found in CASES[name](Path(folder)):
                good = good and found.good()
                said = "ok" if found.good() else "TOO MUCH"
                print(
                    f"{name:9} {said:8} exit {found.code} {found.seconds:6.1f} s {found.memory:6.0f} MB  {found.line}"
                )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
