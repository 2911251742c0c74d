"""The house as its imports draw it: every module of the product under its one name, and what it imports."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("strategies", "analyzers", "feeds", "studies")


@cache
def modules() -> dict[str, Path]:
    """Name -> file of every module; packages are named for their folder."""
    found = {"run": ROOT / "run.py"}
    for room in ("riskoverlay", *ROOMS):
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            found[name if room == "riskoverlay" else f"riskoverlay.{name}"] = path
    return found


def tree(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(name: str) -> Iterator[str]:
    """Whatever a module imports, wherever in it, as whole names; of a package the module that has the name."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            base = ".".join(filter(None, (above, node.module or "")))
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in modules() else base


@cache
def arrows() -> dict[str, frozenset[str]]:
    """Module -> the modules of the house that it imports."""
    known = modules()
    return {name: frozenset(other for other in imports(name) if other in known and other != name) for name in known}


def room_of(name: str) -> str:
    """strategies, studies/sweep, ...: the folder that a module is in, as the README writes it."""
    path = modules()[name].relative_to(ROOT)
    if path.parts[0] == "studies" and len(path.parts) > 2:
        return f"studies/{path.parts[1]}"
    return path.as_posix() if len(path.parts) == 1 or path.parts[0] == "studies" else path.parts[0]


def code_lines(path: Path) -> set[int]:
    """Numbers of the lines that hold code: no docstrings, comments or blanks."""
    source = path.read_text(encoding="utf-8")
    words: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        for statement in getattr(node, "body", None) or [] if not isinstance(node, (ast.Lambda, ast.IfExp)) else []:
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                words |= set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    skipped = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
    }  # fmt: skip
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        line for token in tokens if token.type not in skipped for line in range(token.start[0], token.end[0] + 1)
    } - words
