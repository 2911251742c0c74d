"""What the pages say is so: commands are parsed by the real parser and run, scripts run, links lead somewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from riskoverlay.feeds import Panel
from riskoverlay.strategies import RiskParityBlend, VolTargetDrawdownSizer
from riskoverlay.studies.cli import main, make_parser
from riskoverlay.studies.commands import COMMANDS
from riskoverlay.studies.workbench import GROUPS, PARAMETERS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]

WINDOW = ["--end", "2011-06-30", "--symbols", "SPY,TLT,GLD"]
RULES = ["--cov-lookback", "60", "--min-hist", "60", "--vol-lookback", "20"]
ONE = ["--workers", "1"]
SMALLER = {
    "backtest": [*WINDOW, *RULES],
    "ladder": [*WINDOW, *RULES, *ONE],
    "financing": [*WINDOW, *RULES, *ONE],
    "sweep": [*WINDOW, *RULES, *ONE],
    "walkforward": [*WINDOW, *RULES, *ONE, "--train", "6", "--test", "3"],
    "audit": [*WINDOW, *RULES, *ONE, "--cuts", "1", "--end", "2010-12-31"],
    "check": WINDOW,
    "today": ["--symbols", "SPY,TLT,GLD", *RULES],
    "report": [],
}
"""Flags appended to a page's command: the same command on a few hundred sessions."""


def smaller(arguments: list[str]) -> list[str]:
    """These flags, for whoever decides the weights."""
    flags = SMALLER[arguments[0]]
    if "--strategy" in arguments:  # it decides itself: flags of weights are refused
        at = flags.index(RULES[0])
        return [*flags[:at], *flags[at + 4 :]]
    return ["--lookback" if one == "--cov-lookback" and "--weights" in arguments else one for one in flags]


def fences(text: str) -> Iterator[tuple[str, str, str]]:
    """Mark (or ""), language and content of every fenced block."""
    for found in re.finditer(r"(?:<!-- ([^>]+) -->\n)?^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield found[1] or "", found[2], found[3]


def commands(block: str) -> Iterator[list[str]]:
    """The arguments of every `riskoverlay` in a block."""
    for line in block.replace("\\\n", " ").splitlines():
        for part in line.split("&&"):
            if re.match(r"\s*(?:\$ )?(?:\S+/)?riskoverlay(?:\s|$)", part):
                yield shlex.split(part.removeprefix("$ "), comments=True)[1:]


def whole(arguments: list[str]) -> list[str]:
    """With the command that is meant when none is given."""
    return arguments if arguments and arguments[0] in COMMANDS else ["backtest", *arguments]


def marked(mark: str) -> list[tuple[str, str]]:
    """Page and content of every block with a mark."""
    return [
        (path.relative_to(ROOT).as_posix(), content)
        for path in PAGES
        for found, _, content in fences(path.read_text(encoding="utf-8"))
        if found == mark
    ]


def hooks() -> ModuleType:
    """docs/hooks.py."""
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(sample: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages speak of: prices, and mine.py."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices").mkdir()
    short = sample.between(None, WINDOW[1])
    for symbol in ("SPY", "TLT", "GLD"):
        short.frames[symbol].to_csv(tmp_path / "prices" / f"{symbol}.csv")
    rate = short.frames["SPY"].assign(open=1.0, high=1.0, low=1.0, close=1.0)
    rate.to_csv(tmp_path / "prices" / "^IRX.csv")
    ((_, mine),) = marked("mine.py")
    (tmp_path / "mine.py").write_text(mine)
    return tmp_path


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_that_the_parser_takes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    given = [arguments for _, _, content in fences(text) for arguments in commands(content)]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`(riskoverlay(?:\s[^`]*)?)`", prose)]
    named = [shlex.split(span)[1:] for span in spans]
    for arguments in given:
        if arguments != ["--version"]:
            make_parser().parse_args(whole(arguments))
    for arguments in named:
        known = flags()[whole(arguments)[0]]
        assert {word for word in arguments if word.startswith("--")} <= known, arguments
        if arguments and re.fullmatch(r"[a-z]+", arguments[0]):
            assert arguments[0] in COMMANDS


def flags() -> dict[str, set[str]]:
    """Every flag of each command."""
    parser = make_parser()
    (choices,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    return {name: {"--version", *command._option_string_actions} for name, command in choices.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_is_one_of_a_command(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found = {flag for span in re.findall(r"`(--[a-z][^`]*)`", prose) for flag in re.findall(r"--[a-z][a-z-]+", span)}
    assert found <= set().union(*flags().values())


@pytest.mark.ci
@pytest.mark.parametrize(("page", "block"), marked("tested"), ids=[page for page, _ in marked("tested")])
def test_commands_that_are_marked_run(page: str, block: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = list(commands(block))
    assert given
    for arguments in given:
        if arguments == ["--version"]:
            with pytest.raises(SystemExit, match="0"):
                main(arguments)
            continue
        arguments = whole(arguments)
        small = [*arguments, *smaller(arguments)]
        status = main(small)
        assert status == 0 or (arguments[0] == "today" and status == 10), (page, arguments, capsys.readouterr().err)
        options = vars(make_parser().parse_args(arguments))
        for kind in ("json", "csv", "html", "png"):
            assert not options.get(kind) or (folder / options[kind]).stat().st_size, (page, kind)


@pytest.mark.ci
def test_a_summary_runs_again_to_the_byte(folder: Path) -> None:
    (block,) = [content for page, content in marked("tested") if page == "docs/files.md"]
    for arguments in commands(block):
        assert main([*whole(arguments), *SMALLER["backtest"]]) == 0
    assert (folder / "first.json").read_bytes() == (folder / "second.json").read_bytes()
    assert (folder / "first.csv").read_bytes() == (folder / "second.csv").read_bytes()


def test_every_study_is_run_by_some_page() -> None:
    ran = {whole(arguments)[0] for _, block in marked("tested") for arguments in commands(block)}
    assert ran == set(COMMANDS) - {"fetch"}  # needs a network


# -- scripts -----------------------------------------------------------------------------------------------------------

SCRIPTS: dict[str, list[str]] = {}
for _page, _source in marked("script"):
    if _page != "README.md":
        SCRIPTS.setdefault(_page, []).append(_source)

EACH = """
import json, os, sys
for number, source in enumerate(json.loads(sys.argv[1])):
    os.mkdir(str(number))
    os.chdir(str(number))
    print("script", number, flush=True)
    exec(compile(source, f"script {number}", "exec"), {"__name__": "__main__"})
    os.chdir("..")
"""
"""Scripts one after the other: a process that has to import everything for each takes twice as long."""


@pytest.mark.ci
@pytest.mark.parametrize("page", SCRIPTS)
def test_scripts_run(page: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(SCRIPTS[page])],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    said = re.split(r"^script \d+\n", done.stdout, flags=re.MULTILINE)[1:]
    for number, out in enumerate(said):
        assert out or (tmp_path / str(number) / "run.png").stat().st_size
    assert len(said) == len(SCRIPTS[page])


def test_python_that_is_not_run_can_be_read() -> None:
    for path in PAGES:
        for _, language, content in fences(path.read_text(encoding="utf-8")):
            if language == "python":
                compile(content, path.name, "exec")


def test_btrun_is_the_same_on_both_pages() -> None:
    assert len({content for _, content in marked("btrun")}) == 1


# -- the site ----------------------------------------------------------------------------------------------------------


def test_the_page_of_parameters_has_every_one() -> None:
    page = hooks().with_tables((DOCS / "parameters.md").read_text(encoding="utf-8"))
    assert "<!--" not in page
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", page, re.MULTILINE))
    described = {name: about for rules in GROUPS.values() for one in rules for name, about in one.described().items()}
    described |= PARAMETERS  # as the application has them: a rate by date is "auto" there
    assert set(rows) - {"RiskParityBlend", "VolTargetDrawdownSizer"} == set(described)
    for name, about in described.items():
        assert rows[name].startswith(f"`{about.default}` | {about.unit} |"), name
        assert about.help.replace("|", "\\|") in rows[name], name
        assert about.bounds in rows[name], name


@pytest.mark.parametrize("kind", [RiskParityBlend, VolTargetDrawdownSizer])
def test_the_page_of_parameters_has_those_of_the_classes(kind: type) -> None:
    page = hooks().with_tables((DOCS / "parameters.md").read_text(encoding="utf-8"))
    for name in kind.params._getkeys():  # type: ignore[attr-defined]  # backtrader makes it
        assert f"| `{name}` |" in page, name


def test_every_page_is_in_the_navigation() -> None:
    nav = re.search(r"^nav:\n(.*?)^\S", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert nav
    listed = re.findall(r"([\w/]+\.md)$", nav[1], re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_the_readme_links_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in DOCS.glob("*.md"):
        assert f"](docs/{path.name})" in text, path.name


@pytest.mark.parametrize("name", NAMES)
def test_links_and_pictures_lead_somewhere(name: str) -> None:
    page = ROOT / name
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.is_file(), target
        if page.is_relative_to(DOCS):
            assert there.is_relative_to(DOCS), f"{target} is not on the site"
        if heading:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}
            assert heading in slugs, target


def test_files_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:\.ci|riskoverlay|strategies|analyzers|feeds|studies|docs|tests)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), path
