"""mypy strict over every module under its one name: check_types.py [FOLDER]

A checker of types does not follow `__path__`, so the rooms are linked (or copied, where links are not to be had) under
one folder, `.types` unless another is given; pyright finds the same folder as `extraPaths`. Fails when mypy has seen
fewer modules than there are files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("strategies", "analyzers", "feeds", "studies")


def make_tree(folder: Path) -> Path:
    """The package as it is installed, its files linked to the checkout's."""
    package = folder / "riskoverlay"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    sources = {path.name: path for path in (ROOT / "riskoverlay").iterdir() if path.suffix or path.is_file()}
    for name, source in {**sources, **{room: ROOT / room for room in ROOMS}}.items():
        try:
            (package / name).symlink_to(source, target_is_directory=source.is_dir())
        except OSError:  # no right to link
            (shutil.copytree if source.is_dir() else shutil.copy)(source, package / name)
    return package


def main(folder: str = "") -> int:
    """Exit status of mypy; 1 if it has not seen every file."""
    place = Path(folder) if folder else ROOT / ".types"
    package = make_tree(place)
    besides = [
        ROOT / "run.py",
        *sorted((ROOT / "tests").glob("*.py")),
        *sorted((ROOT / "examples").glob("*.py")),
    ]
    inside = (Path(top) / name for top, _, names in os.walk(package, followlinks=True) for name in names)
    files = [*sorted(path for path in inside if path.suffix == ".py"), *besides]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--explicit-package-bases",
    ]
    done = subprocess.run(
        [*command, *map(str, files)],
        check=False,
        cwd=place,
        capture_output=True,
        text=True,
        env={"MYPYPATH": f"{place}:{ROOT / 'tests'}", "PATH": ""},
    )
    print(done.stdout, done.stderr, sep="", end="")
    seen = re.search(r"(?:no issues found in|checked) (\d+) source files", done.stdout)
    if seen is None or int(seen[1]) < len(files):
        print(f"mypy has seen {seen[1] if seen else 'no'} files of {len(files)}")
        return 1
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
