"""Check that the lowest versions which pyproject.toml declares are enough: check_lowest.py FOLDER [pytest arguments].

Makes an environment in FOLDER that has exactly those of every extra that users install, and of the tests, and runs the
tests in it. Without pytest arguments: the main job, a sweep, a report, files of every format and a picture.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
USED = ("parquet", "plot", "report", "sweep", "postgres", "fast", "check")
"""Not the optimizers of others: they ask for newer numpy and pandas than this project does."""
TESTS = ["test_backtest", "test_feeds_files", "test_formats", "test_judgement", "test_observers", "test_report",
         "test_sweep", "test_twin", "test_walkforward", "test_yahoo"]  # fmt: skip


def lowest() -> list[str]:
    """A line of pip's constraints for each requirement: name==lowest version."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    every = [*project["dependencies"], *(line for name in USED for line in extras.get(name, ()))]
    found = [re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", line) for line in every]
    return [f"{match[1]}=={match[2]}" for match in found if match]


def main(folder: str, *arguments: str) -> int:
    """Make the environment and run the tests in it; pytest's exit code."""
    place = Path(folder)
    place.mkdir(parents=True)
    (place / "lowest.txt").write_text("\n".join(lowest()) + "\n", encoding="utf-8")
    venv.create(place / "venv", with_pip=True)
    python = str(place / "venv" / "bin" / "python")
    wanted = f"{ROOT}[{','.join(USED)}]"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wanted, "-c", place / "lowest.txt"], check=True)
    tests = arguments or [f"tests/{name}.py" for name in TESTS]
    return subprocess.run([python, "-m", "pytest", "-q", "-n", "2", *tests], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
