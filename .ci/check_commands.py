"""Every command, in a folder of its own, with every process spawned: check_commands.py PROGRAM [ARGUMENT ...]

PROGRAM is what a user types: `riskoverlay`, or `python /path/to/run.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SMALL = ["--symbols", "SPY,TLT,GLD", "--end", "2011-06-30", "--cov-lookback", "60", "--min-hist", "60",
         "--vol-lookback", "20"]  # fmt: skip
GRID = ["--grid", "target_vol=0.08,0.12", "--grid", "lev_max=1.5,2.0"]
TWO = ["--workers", "2"]

COMMANDS: dict[str, tuple[list[str], int, tuple[str, ...]]] = {
    "version": (["--version"], 0, ()),
    "the default run": (
        [], 0, ("level63_dd_leverage_series.csv", "level63_dd_leverage_summary.json"),
    ),
    "backtest": (
        ["backtest", *SMALL, "--csv", "", "--json", "b.json", "--html", "b.html", "--png", "b.png", "--confidence"],
        0, ("b.json", "b.html", "b.png"),
    ),
    "ladder": (
        ["ladder", *SMALL, *TWO, "--json", "l.json", "--png", "l.png", "--html", "l.html"],
        0, ("l.json", "l.png", "l.html"),
    ),
    "financing": (
        ["financing", *SMALL, "--financing", "ibkr_pro", "--json", "f.json", "--png", "f.png", "--html", "f.html"],
        0, ("f.json", "f.png", "f.html"),
    ),
    "today": (
        ["today", *SMALL, "--account", "t.json", "--paper", "--as-of", "2011-06-30", "--basket", "t.csv"], 10,
        ("t.json", "t.json.journal", "t.csv"),
    ),
    "today, later": (["today", "--account", "t.json", "--as-of", "2011-07-05", "--html", "t.html"], 0, ("t.html",)),
    "report": (["report", "--account", "t.json", "--html", "r.html"], 0, ("r.html",)),
    "sweep": (
        ["sweep", *SMALL, *GRID, *TWO, "--json", "s.json", "--html", "s.html"], 0, ("s.json", "s.html", "sweep.db"),
    ),
    "walkforward": (
        ["walkforward", *SMALL, *GRID, *TWO, "--train", "6", "--test", "3", "--json", "w.json", "--html", "w.html"],
        0, ("w.json", "w.html"),
    ),
    "audit": (["audit", *SMALL, *TWO, "--cuts", "2", "--json", "a.json"], 0, ("a.json",)),
    "check": (["check", "--json", "c.json"], 0, ("c.json",)),
    "fetch": (["fetch", "--offline", "--cache-dir", "cache"], 2, ()),
}  # fmt: skip

# A process with a thread is not forked, so every worker is spawned.
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"


def main(program: list[str], place: Path) -> None:
    """Run every command in `place`; AssertionError for one that does other than it should."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(THREAD)
        for old in place.glob("t.json*"):  # an account goes on where it stood, and these begin one
            old.unlink()
        environment = {**os.environ, "PYTHONPATH": folder}
        for name, (arguments, status, files) in COMMANDS.items():
            done = subprocess.run(
                [*program, *arguments], cwd=place, capture_output=True, text=True, env=environment, check=False
            )
            assert done.returncode == status, f"{name}: {done.returncode}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr, done.stderr
            assert all((place / file).stat().st_size for file in files), name
            print(f"{name}: as it should be")
    assert len(json.loads((place / "l.json").read_text())["rungs"]) == 14
    assert len(json.loads((place / "f.json").read_text())["routes"]) == 6
    assert len(json.loads((place / "s.json").read_text())["tries"]) == 4


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        main(sys.argv[1:], Path(empty))
