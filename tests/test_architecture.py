"""Who may import whom, how large anything may be, and that the README's map is the house."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ROOMS, ROOT, arrows, code_lines, imports, modules, room_of, tree

GROUND = ("conventions", "dates", "errors", "exchange", "files", "notes", "rates", "rules")
MATHS = (
    "riskoverlay.strategies.covariance",
    "riskoverlay.strategies.weights",
    "riskoverlay.strategies.leverage",
    "riskoverlay.strategies.financing",
    "riskoverlay.strategies.rules",
    "riskoverlay.strategies.schedule",
    "riskoverlay.strategies.paper",
    "riskoverlay.strategies.weighting",
    "riskoverlay.strategies.histories",
    "riskoverlay.strategies.actions",
    "riskoverlay.analyzers.statistics",
    "riskoverlay.analyzers.accounting",
    *(f"riskoverlay.{name}" for name in GROUND),
)
LONGEST_FUNCTION, LONGEST_MODULE = 60, 350
"""Lines of code, docstrings and comments not counted."""

NAMES = sorted(modules())


@pytest.mark.parametrize("room", ROOMS[:3])
def test_rooms_do_not_import_one_another_and_are_relative_inside(room: str) -> None:
    names = [name for name in NAMES if name.startswith(f"riskoverlay.{room}")]
    assert names
    for name in names:
        for node in ast.walk(tree(modules()[name])):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1, f"{name}: {node.module}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("riskoverlay"):
                assert (node.module or "").removeprefix("riskoverlay.") in GROUND, f"{name}: {node.module}"
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith("riskoverlay") for alias in node.names), name


def test_nothing_is_imported_by_a_bare_name() -> None:
    others = [*ROOT.glob("tests/*.py"), *ROOT.glob("examples/*.py"), *ROOT.glob("benchmarks/*.py")]
    for path in [*modules().values(), *others]:
        for node in ast.walk(tree(path)):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                found = [node.module or ""]
            assert not {name.split(".")[0] for name in found} & set(ROOMS), path


@pytest.mark.long
@pytest.mark.parametrize("room", ROOMS)
def test_the_bare_name_makes_no_second_copy(room: str) -> None:
    script = f"import riskoverlay.{room}\ntry:\n    import {room}\nexcept ImportError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{room} is riskoverlay.{room}: import it by that name\n"


@pytest.mark.parametrize("name", MATHS)
def test_maths_knows_no_backtrader(name: str) -> None:
    allowed = {"numpy", "scipy", "pandas", "exchange_calendars"} | sys.stdlib_module_names
    for module in imports(name):
        if module.startswith("riskoverlay"):
            assert module in MATHS, f"{name}: {module}"
        else:
            assert module.split(".")[0] in allowed, f"{name}: {module}"


def test_there_is_no_circle() -> None:
    left = {name: set(found) for name, found in arrows().items()}
    while left:
        free = [name for name, found in left.items() if not found & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


def rooms_of_the_readme() -> list[str]:
    """Rooms in the order of the README's map: each stands on those above it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    house = re.search(r"## The house\n.*?```\n(.*?)```", text, re.DOTALL)
    assert house
    found, top = [], ""
    for line in house[1].splitlines():
        word = line.split()[0].rstrip("/")
        if not line.startswith(" "):
            top = word
        found.append(f"{top}/{word}" if line.startswith(" ") else word)
    return found


def test_the_readmes_map_is_the_house_and_no_arrow_runs_upwards() -> None:
    rooms = rooms_of_the_readme()
    there = {room_of(name) for name in NAMES} - {"studies/__init__.py"}
    assert there <= set(rooms), there - set(rooms)
    assert all((ROOT / room).exists() for room in rooms)
    beside = set(ROOMS[:3])
    for name, found in arrows().items():
        if name in ("riskoverlay.__main__", "run"):  # the doors
            continue
        for other in found:
            below, above = room_of(other), room_of(name)
            if "studies/__init__.py" in (below, above):
                continue
            assert rooms.index(below) <= rooms.index(above), f"{name} imports {other}"
            assert below == above or not {below, above} <= beside, f"{name} imports {other}"


def bodies(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of code of every function's body."""
    lines = code_lines(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
            yield node.name, len(lines & set(body))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_too_long_to_be_read(name: str) -> None:
    path = modules()[name]
    assert len(code_lines(path)) <= LONGEST_MODULE
    for function, size in bodies(path):
        assert size <= LONGEST_FUNCTION, f"{name}.{function}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("run", "riskoverlay.__main__")])
def test_every_module_says_what_it_exports(name: str) -> None:
    """By `__all__`; a room hands on what its modules say."""
    body = tree(modules()[name]).body
    targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
    if "__all__" not in {target.id for target in targets if isinstance(target, ast.Name)}:
        assert modules()[name].name == "__init__.py"
        handed = [alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
        assert set(handed) <= {"*"}, name


def public(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Public classes, functions, methods and properties of a file."""

    def inside(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                yield prefix + node.name, node
                if isinstance(node, ast.ClassDef):
                    yield from inside(node.body, f"{prefix}{node.name}.")

    yield from inside(tree(path).body, "")


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented_in_one_style(name: str) -> None:
    path = modules()[name]
    assert ast.get_docstring(tree(path)), name
    for what, node in public(path):
        doc = ast.get_docstring(node)
        assert doc, f"{name}.{what} has no docstring"
        if isinstance(node, ast.ClassDef):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        asked = [one.arg for one in given if one.arg not in ("self", "cls")]
        if len(asked) > 1:  # one argument and one sentence may speak for themselves
            section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", doc, re.DOTALL | re.MULTILINE)
            assert section, f"{name}.{what} documents no parameters"
            for one in asked:
                assert re.search(rf"\b{one}\b", section[1]), f"{name}.{what} does not document {one}"


def test_the_wheel_holds_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {name for name, path in modules().items() if path.name == "__init__.py"}
    assert set(project["tool"]["setuptools"]["packages"]) == folders
