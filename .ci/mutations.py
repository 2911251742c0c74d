"""Small changes of a source file that change what it does: the mutants of `mutate.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
CALLED = {"min": "max", "argmin": "argmax", "nanargmin": "nanargmax", "minimum": "maximum", "any": "all"}
CALLED |= {other: one for one, other in CALLED.items()} | {"sorted": "list"}
SAID = (
    "help",
    "unit",
    "cure",
    "strict",
)  # keywords whose values are words for a reader, or a guard of what is so anyway
LOGGED = ("debug", "info", "warning", "warn", "exception")


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes
    ----------
    file : str
        From the root of the checkout.
    first, last : int
        Lines of the statement (of its head, where it has a body): who runs one of them runs the mutant.
    around : tuple of int
        First and last line of the function that it is in, or of the file.
    start, end : int
        Where in the file's UTF-8 bytes.
    text : str
        What stands there instead.
    line : int
    """

    file: str
    first: int
    last: int
    around: tuple[int, int]
    start: int
    end: int
    text: str
    line: int

    def apply(self, source: bytes) -> bytes:
        """The file with the change in it."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def lines(self, source: bytes) -> tuple[str, str]:
        """The statement before and after, each on one line without what surrounds it."""
        before, after = source.decode().splitlines(), self.apply(source).decode().splitlines()
        while before and after and before[0] == after[0]:
            del before[0], after[0]
        while before and after and before[-1] == after[-1]:
            del before[-1], after[-1]
        return " ".join(line.strip() for line in before), " ".join(line.strip() for line in after)


def mutants(root: Path, file: str) -> list[Mutant]:
    """All mutants of a file that still are Python, in order."""
    source = (root / file).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    found = []

    def visit(node: ast.AST, statement: ast.stmt | None, around: tuple[int, int]) -> None:
        if isinstance(node, ast.stmt):
            statement = node
        if isinstance(node, ast.FunctionDef):
            around = (node.lineno, node.end_lineno or node.lineno)
        if statement is not None:
            body = getattr(statement, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) else statement.end_lineno or statement.lineno
            last = max(last, statement.lineno)
            for old, text in changes(node):
                start, end = (
                    starts[line - 1] + column
                    for line, column in ((old.lineno, old.col_offset), (old.end_lineno, old.end_col_offset))
                )
                found.append(Mutant(file, statement.lineno, last, around, start, end, text, old.lineno))
        for child in children(node):
            visit(child, statement, around)

    visit(tree, None, (1, len(starts)))
    return [one for one in dict.fromkeys(found) if _parses(one.apply(source)) and one.apply(source) != source]


def _parses(source: bytes) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that compute: no annotations, decorators, messages, words or lists of exports."""
    skipped = {"annotation", "returns", "decorator_list", "type_comment"}
    if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)) or _is_logging(node):
        return
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
        return
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return
    if isinstance(node, ast.keyword) and node.arg in SAID:
        return
    for name, value in ast.iter_fields(node):
        if name not in skipped:
            yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, ast.AST))


def _is_logging(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGGED


def changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """(what is replaced, what stands there instead) for every change of a node itself."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            for other in COMPARED[type(operator)]:
                ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
                yield node, _text(ast.Compare(node.left, ops, node.comparators))
    elif isinstance(node, ast.BoolOp):
        yield node, _text(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
    elif (
        isinstance(node, ast.BinOp) and type(node.op) in COMPUTED and not {_kind(node.left), _kind(node.right)} & {str}
    ):
        yield node, _text(ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right))
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield node, _text(node.operand)
    elif isinstance(node, ast.Constant):
        yield from ((node, text) for text in _constants(node.value))
    elif isinstance(node, ast.AugAssign):
        yield node, "pass"
        if type(node.op) in COMPUTED:
            yield node, ast.unparse(ast.AugAssign(node.target, COMPUTED[type(node.op)](), node.value))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not _is_logging(node.value):
        yield node, "pass"
    elif isinstance(node, ast.Return) and node.value is not None and _kind(node.value) is not type(None):
        yield node, "return None"
    elif isinstance(node, ast.Call):
        yield from ((node, text) for text in _calls(node))
    elif isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for part in parts:
            for end in ("lower", "upper", "step"):
                if isinstance(part, ast.Slice) and getattr(part, end) is not None:
                    kept = {e: getattr(part, e) for e in ("lower", "upper", "step") if e != end}
                    yield part, ast.unparse(ast.Slice(**kept))


def _text(node: ast.expr) -> str:
    """The expression in brackets: it may stand in a larger one."""
    return f"({ast.unparse(node)})" if isinstance(node, (ast.BinOp, ast.BoolOp, ast.Compare)) else ast.unparse(node)


def _kind(node: ast.expr) -> type:
    if isinstance(node, ast.JoinedStr):
        return str
    return type(node.value) if isinstance(node, ast.Constant) else object


def _constants(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield repr(not value)
    elif isinstance(value, (int, float)):
        yield from dict.fromkeys(repr(other) for other in (value + 1, value - 1, value * 2) if other != value)


def _calls(node: ast.Call) -> Iterator[str]:
    func = node.func
    name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
    if name in CALLED:
        keywords = [] if name == "sorted" else node.keywords
        other = CALLED[name]
        if isinstance(func, ast.Name):
            yield ast.unparse(ast.Call(ast.Name(other), node.args, keywords))
        elif isinstance(func, ast.Attribute) and name != "sorted":
            yield ast.unparse(ast.Call(ast.Attribute(func.value, other), node.args, keywords))
    for keyword in node.keywords:
        if keyword.arg is not None and keyword.arg not in SAID:
            yield ast.unparse(ast.Call(func, node.args, [one for one in node.keywords if one is not keyword]))
