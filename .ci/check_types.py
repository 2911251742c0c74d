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

# What the stubs of pandas and numpy cannot know of a table made by hand, and backtrader's params as arguments.
TESTS = (
    "operator", "index", "union-attr", "call-overload", "arg-type", "attr-defined", "call-arg", "comparison-overlap",
    "type-var",
)  # fmt: skip


def make_tree(folder: Path) -> Path:
    """The package as it is installed, its files linked to the checkout's."""
    package = folder / "riskoverlay"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    sources = {path.name: path for path in (ROOT / "riskoverlay").iterdir() if path.is_file()}
    for name, source in {**sources, **{room: ROOT / room for room in ROOMS}}.items():
        try:
            (package / name).symlink_to(source, target_is_directory=source.is_dir())
        except OSError:  # no right to link
            (shutil.copytree if source.is_dir() else shutil.copy)(source, package / name)
    return package


def check(place: Path, files: list[Path], *flags: str) -> int:
    """Run mypy on some files; its exit status, 1 if it has not seen each of them."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--explicit-package-bases"]
    done = subprocess.run(
        [*command, *flags, *map(str, files)],
        check=False,
        cwd=place,
        capture_output=True,
        text=True,
        env={"MYPYPATH": os.pathsep.join([str(place), str(ROOT / "tests")]), "PATH": ""},
    )
    print(done.stdout, done.stderr, sep="", end="")
    seen = re.search(r"(?:no issues found in|checked) (\d+) source files", done.stdout)
    if seen is None or int(seen[1]) < len(files):
        print(f"mypy has seen {seen[1] if seen else 'no'} files of {len(files)}")
        return 1
    return done.returncode


def main(folder: str = "") -> int:
    """Check product, helpers of tests and examples, then the tests. 0: no error, and every file was seen."""
    place = Path(folder) if folder else ROOT / ".types"
    package = make_tree(place)
    inside = (Path(top) / name for top, _, names in os.walk(package, followlinks=True) for name in names)
    modules = sorted(path for path in inside if path.suffix == ".py")
    tests = sorted((ROOT / "tests").glob("test_*.py"))
    helpers = sorted(path for path in (ROOT / "tests").glob("*.py") if path not in tests)
    examples = sorted((ROOT / "examples").glob("*.py"))
    product = check(place, [*modules, ROOT / "run.py", *helpers, *examples])
    return (
        check(place, tests, *(f"--disable-error-code={code}" for code in TESTS), "--no-warn-unused-ignores") or product
    )


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
