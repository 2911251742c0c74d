"""Who may import whom."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("strategies", "analyzers", "feeds")
MATHS = (
    "strategies/covariance.py",
    "strategies/weights.py",
    "strategies/leverage.py",
    "strategies/schedule.py",
    "strategies/paper.py",
    "analyzers/statistics.py",
    "analyzers/accounting.py",
)


def imports(path: Path) -> list[tuple[str, int]]:
    """(module, level) of every import in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", node.level))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_do_not_import_one_another_and_are_relative_inside(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for module, level in imports(path):
            assert level <= 1, f"{path}: {module}"
            if level == 0:
                assert module.split(".")[0] not in (*ROOMS, "studies", "run", "riskoverlay"), (
                    f"{path}: {module}"
                )


@pytest.mark.parametrize("name", MATHS)
def test_maths_knows_no_backtrader(name: str) -> None:
    path = ROOT / name
    allowed = {"numpy", "scipy", "pandas", "exchange_calendars"}
    for module, level in imports(path):
        if level == 0:
            assert module.split(".")[0] in allowed | sys.stdlib_module_names, f"{name}: {module}"
        else:
            assert f"{path.parent.name}/{module}.py" in MATHS, f"{name}: .{module}"


def test_studies_import_rooms_not_the_command_line() -> None:
    for path in (ROOT / "studies").rglob("*.py"):
        assert all(module.split(".")[0] != "run" for module, _ in imports(path)), path


def test_every_module_says_what_it_exports() -> None:
    for room in (*ROOMS, "studies"):
        for path in (ROOT / room).rglob("*.py"):
            if path.parent.name == "studies" and path.name == "__init__.py":
                continue
            names = {t.id for n in ast.parse(path.read_text()).body if isinstance(n, ast.Assign) for t in n.targets
                     if isinstance(t, ast.Name)}  # fmt: skip
            assert "__all__" in names, path
