"""What SECURITY.md promises."""

from __future__ import annotations

import ast
import html
from pathlib import Path

import pytest
from markets import QUICK, frame

from riskoverlay.feeds import Cache, align, check_symbols, read_csv_folder
from riskoverlay.studies.cli import main
from riskoverlay.studies.workbench import read_config
from riskoverlay.studies.workbench.parameters import make_config
from riskoverlay.studies.workbench.portfolios import backtest

ROOT = Path(__file__).parents[1]
PRODUCT = [
    ROOT / "run.py",
    *(
        path
        for room in ("riskoverlay", "strategies", "analyzers", "feeds", "studies")
        for path in (ROOT / room).rglob("*.py")
    ),
]

CODE = {"eval", "exec", "compile", "__import__", "execfile"}
LOADERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "ruamel", "jsonpickle"}
SHELLS = {"subprocess", "pty", "commands"}
METHODS = {
    "read_pickle",
    "to_pickle",
    "unsafe_load",
    "system",
    "popen",
    "exec_module",
    "load_module",
    "run_path",
    "run_module",
}

ALLOWED = {
    # A file with a strategy or a rule of weights is code, and is said to be.
    ("studies/workbench/references.py", "exec_module"),
}  # fmt: skip


def dangerous(path: Path) -> set[tuple[str, str]]:
    """(file, what) of everything in a file that could run or load what it reads."""
    name = path.relative_to(ROOT).as_posix()
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(name, alias.name.split(".")[0]) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((name, (node.module or "").split(".")[0]))
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in CODE:
                found.add((name, node.func.id))
            if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                found.add((name, node.func.attr))
            if any(word.arg in ("allow_pickle", "shell") for word in node.keywords):
                found.add((name, "allow_pickle or shell"))
    return {
        (file, what) for file, what in found if what in CODE | LOADERS | SHELLS | METHODS | {"allow_pickle or shell"}
    }


def test_nothing_that_is_read_is_run_or_unpickled() -> None:
    assert len(PRODUCT) > 30
    found = {each for path in PRODUCT for each in dangerous(path)}
    assert found <= ALLOWED, found - ALLOWED


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("eval('1')", "eval"), ("import pickle", "pickle"), ("from yaml import load", "yaml"),
        ("np.load(f, allow_pickle=True)", "allow_pickle or shell"), ("pd.read_pickle(f)", "read_pickle"),
        ("os.system(x)", "system"),
    ],
)  # fmt: skip
def test_the_scan_sees_what_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, what: str) -> None:
    monkeypatch.setattr("test_security.ROOT", tmp_path)
    (tmp_path / "x.py").write_text(code)
    assert dangerous(tmp_path / "x.py") == {("x.py", what)}


ESCAPES = [
    "../SPY", "..", ".", "/etc/passwd", "a/b", "a\\b", "..\\SPY", ".hidden", "SPY\x00", "SPY\n", "C:SPY", "~root",
    "$HOME", "%2e%2e%2fSPY", "SPY;rm", "-rf", "<b>", "S" * 33, "",
]  # fmt: skip


@pytest.mark.parametrize("symbol", ESCAPES)
def test_no_symbol_leads_out_of_a_folder(tmp_path: Path, symbol: str) -> None:
    inside = tmp_path / "prices"
    inside.mkdir()
    frame([1.0, 2.0, 3.0]).to_csv(tmp_path / "SPY.csv")
    if symbol.strip() == "SPY":  # blanks around a symbol are not part of it
        assert check_symbols([symbol]) == ("SPY",)
        return
    with pytest.raises(ValueError, match="is not a symbol"):
        check_symbols([symbol])
    with pytest.raises((ValueError, FileNotFoundError)):
        read_csv_folder(inside, [symbol])
    with pytest.raises(ValueError, match="is not a symbol"):
        Cache(folder=inside, offline=True).bars([symbol])


@pytest.mark.parametrize("symbol", [*ESCAPES, "CON", "NUL", "com1", "x" * 500, "a.csv", "SPY."])
def test_a_cache_file_is_directly_in_the_cache(tmp_path: Path, symbol: str) -> None:
    path = Cache(folder=tmp_path).path(symbol)
    assert path.resolve().parent == tmp_path.resolve()
    assert path.name.endswith(".csv")
    assert len(path.name) <= 120


def test_code_in_a_config_is_text(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    for name in ("rebalance_freq", "calendar", "target_vol", "symbols", "borrow_rate"):
        path = tmp_path / "c.json"
        path.write_text(f'{{"config": {{"{name}": {_quoted(code)}}}}}')
        assert main(["backtest", "--config", str(path), "--csv", "", "--json", ""]) == 2
    assert not marker.exists()
    path.write_text('{"config": {"__class__": 1}}')
    with pytest.raises(ValueError, match="__class__=1 is not a parameter"):
        read_config(path)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_what_a_report_is_given_stays_text(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    from riskoverlay.studies.report import report_html

    evil = "</script><script>alert(1)</script>"
    image = "<img src=x onerror=alert(2)>"
    closes = [100.0 + (i * 7919 % 13) / 10 for i in range(160)]
    panel = align({evil: frame(closes), image: frame(closes[::-1])}, source='"><svg onload=alert(3)>')
    config = make_config({**QUICK, "cov_lookback": 20, "min_hist": 20})
    page = report_html(backtest(panel, config))
    for text in (evil, image, panel.source, "<img src=x", "<svg onload"):
        assert text not in page
    assert html.escape(image) in page


def test_no_half_of_a_file_is_ever_at_the_end_of_a_link(tmp_path: Path) -> None:
    """What a link leads to is replaced whole, or is as it was; the link stays."""
    theirs, mine = tmp_path / "theirs.json", tmp_path / "mine.json"
    theirs.write_text("theirs")
    mine.symlink_to(theirs)
    from riskoverlay.studies.workbench.outputs import write_file, write_json

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="No space left on device"):
        write_file(mine, fail)
    assert theirs.read_text() == "theirs"
    write_json(mine, {})
    assert theirs.read_text() == "{}\n"
    assert mine.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"theirs.json", "mine.json"}
