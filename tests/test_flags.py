"""Flags that every command has, what is said of a mistyped one, and what moves while something takes long."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from riskoverlay import __version__
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.cli import main, make_parser
from riskoverlay.studies.commands import COMMANDS, moving
from riskoverlay.studies.commands.moving import BAR, Moving
from riskoverlay.studies.commands.screen import Screen

ROOT = Path(__file__).parents[1]
SMALL = ["--end", "2010-12-31", "--symbols", "SPY,TLT,GLD", "--cov-lookback", "60", "--min-hist", "60",
         "--vol-lookback", "20"]  # fmt: skip
ONE = ["--workers", "1"]
GRID = ["--grid", "target_vol=0.1,0.12"]
RUNS = {
    "backtest": [*SMALL, "--csv", "", "--json", "b.json"],
    "ladder": [*SMALL, *ONE],
    "audit": [*SMALL, *ONE, "--cuts", "1"],
    "sweep": [*SMALL, *ONE, *GRID],
    "walkforward": [*SMALL, *ONE, *GRID, "--train", "3", "--test", "2"],
    "check": SMALL[:4],
}
"""A run of every command that needs no network."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


# -- flags of every command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_version(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--version"])
    assert capsys.readouterr().out == f"riskoverlay {__version__}\n"


@pytest.mark.long
@pytest.mark.parametrize("command", RUNS)
def test_quiet_prints_nothing(command: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main([command, *RUNS[command], "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    if command == "backtest":
        assert (folder / "b.json").stat().st_size


def test_fetch_has_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--quiet", "--no-color", "--offline", "--cache-dir", "nowhere"]) == 2  # nothing is there
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_two_examples_that_parse(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    examples = capsys.readouterr().out.partition("\nexamples:\n")[2].splitlines()
    assert len(examples) == 2
    for example in examples:
        name, *arguments = shlex.split(example)
        assert (name, arguments[0]) == ("riskoverlay", command)
        assert make_parser([command]).parse_args(arguments).run


def actions(command: str) -> list[Any]:
    (choices,) = (action.choices for action in make_parser()._actions if isinstance(action.choices, dict))
    return choices[command]._actions


@pytest.mark.parametrize("command", COMMANDS)
def test_no_two_flags_have_the_same_help(command: str) -> None:
    helps = [action.help for action in actions(command)]
    assert all(helps)
    assert len(set(helps)) == len(helps)
    metavars = {action.option_strings[0]: action.metavar for action in actions(command)}
    assert not {"INT", "FLOAT", "STR"} & set(metavars.values())
    if command == "backtest":
        said = {name: metavars[f"--{name}"] for name in ("target-vol", "lev-max", "min-hist", "drift", "risk-free")}
        assert list(said.values()) == ["FRACTION", "LEVERAGE", "SESSIONS", "hold|daily", "RATE"]


# -- mistyped ----------------------------------------------------------------------------------------------------------

MISTYPED = {
    "a flag": (["--target-vl", "0.1"], "--target-vl is not a flag: did you mean --target-vol?"),
    "with its value": (["ladder", "--target_vol=0.1"], "--target_vol is not a flag: did you mean --target-vol?"),
    "one dash": (["-target-vol", "0.1"], "-target-vol is not a flag: did you mean --target-vol?"),
    "a part of it": (["audit", "--cut", "3"], "--cut is not a flag: did you mean --cuts?"),
    "one that is needed": (["sweep", "--gird", "x=1"], "--gird is not a flag: did you mean --grid?"),
    "of another command": (["backtest", "--cuts", "3"], "--cuts is not a flag: see riskoverlay backtest --help"),
    "nothing near": (["check", "--zzz"], "--zzz is not a flag: see riskoverlay check --help"),
    "a command": (["swep", *GRID], "swep is not a command: did you mean sweep?"),
    "no command": (["zzz"], "zzz is not a command: give one of backtest, ladder, financing, today, report, audit, swe"),
    "a word": (["backtest", "SPY"], "unrecognized arguments: SPY: see riskoverlay --help"),
    "no value": (["backtest", "--target-vol"], "--target-vol: expected one argument: see riskoverlay backtest --help"),
    "a flag is missing": (["sweep"], "the following arguments are required: --grid: see riskoverlay sweep --help"),
    "a number": (["ladder", "--workers", "x"], "--workers: invalid int value: 'x': see riskoverlay ladder --help"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTYPED)
def test_what_is_mistyped_costs_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, message = MISTYPED[name]
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


@pytest.mark.parametrize("value", ["-1", "-.5", "-1e-9"])
def test_a_negative_number_is_no_flag(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cash", value]) == 2
    assert "is not a flag" not in capsys.readouterr().err


# -- colours -----------------------------------------------------------------------------------------------------------


def on_a_terminal(arguments: list[str], **environment: str) -> str:
    """What a command prints on a terminal."""
    pty = pytest.importorskip("pty", reason="no terminals on this system")
    ours, theirs = pty.openpty()
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        stdout=theirs, stderr=subprocess.PIPE, env={**known, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so of a terminal that nobody writes to any more
            break
        if not part:
            break
        said += part
    os.close(ours)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return said.decode()


@pytest.mark.long
def test_no_color_means_no_escape_at_all() -> None:
    shown = {
        name: on_a_terminal(["backtest", *RUNS["backtest"], *flags], **environment)
        for name, flags, environment in (
            ("colours", [], {}),
            ("empty", [], {"NO_COLOR": ""}),
            ("flag", ["--no-color"], {}),
            ("environment", [], {"NO_COLOR": "1"}),
        )
    }
    for name in ("colours", "empty"):
        assert "\x1b[1m" in shown[name], name  # bold
    for name in ("flag", "environment"):
        assert "\x1b" not in shown[name], name
        assert re.search(r"\rbacktest \[#{4,}\.*\] ", shown[name]), name
        assert "growth a year" in shown[name]
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown["colours"])
    lines = [
        [line for line in text.splitlines() if "\r" not in line and "[" not in line] for text in (plain, shown["flag"])
    ]
    assert lines[0][-8:] == lines[1][-8:]


# -- what moves --------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """What stood on its last line, one after another."""
        return [text.rstrip() for text in self.getvalue().split("\r") if text.strip()]


def test_time_moves_where_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "EVERY", 0.01)
    seconds = iter(range(0, 10_000, 7))
    terminal = Terminal()
    with Moving(terminal, "judging", clock=lambda: float(next(seconds))):
        deadline = time.monotonic() + 10.0
        while len(terminal.lines) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert terminal.lines[:4] == ["judging 0:07", "judging 0:14", "judging 0:21", "judging 0:28"]
    assert terminal.getvalue().endswith(f"\r{' ' * len(terminal.lines[-1])}\r")  # nothing is left


def test_the_time_between_two_looks_is_well_below_five_seconds() -> None:
    assert moving.EVERY <= 1.0


def test_a_bar_says_how_far_it_is() -> None:
    terminal = Terminal()
    with Moving(terminal, "prices", 3, clock=lambda: 0.0) as line:
        line.arrive("SPY")
        line.advance(1)
        half = line.text
        line.arrive("TLT")
        line.arrive("^IRX")  # one more than was asked for
        assert line.text == f"prices [{'#' * BAR}] 4/4 ^IRX 0:00"
    assert half == f"prices [{'#' * 16}{'.' * 8}] 2/3 SPY 0:00"
    with Moving(terminal, "sweep", 1000, width=20, clock=lambda: 0.0) as line:
        assert len(line.text) == 19


LABELS = {
    "backtest": ["prices [", "backtest [", "writing ["],
    "ladder": ["prices [", "ladder ["],
    "audit": ["prices [", "audit ["],
    "sweep": ["prices [", "sweep [", "judging"],
    "walkforward": ["prices [", "walkforward ["],
    "check": ["prices [", "checks"],
}


@pytest.mark.long
@pytest.mark.parametrize("command", RUNS)
def test_every_long_step_has_a_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if command == "sweep":
        pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    assert main([command, *RUNS[command]]) == 0
    for label in LABELS[command]:
        assert any(line.startswith(label) for line in terminal.lines), label


def test_prices_have_a_line_before_the_first_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    seen: list[str] = []

    def loading(*_: Any) -> Panel:
        seen.extend(terminal.lines)
        return load("sample", symbols=["SPY", "TLT", "GLD"], end="2010-12-31")

    monkeypatch.setattr("riskoverlay.studies.commands.flags.load_panel", loading)
    assert main(["backtest", *RUNS["backtest"], "--quiet"]) == 0
    assert seen == []
    assert main(["backtest", *RUNS["backtest"]]) == 0
    assert seen[0] == f"prices [{'.' * BAR}] 0/3 0:00"


def test_a_pipe_gets_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    with screen.progress("sweep", 3) as advance, screen.step("judging"), screen.prices(3) as arrive:
        assert (advance, arrive) == (None, None)
    assert main(["backtest", *RUNS["backtest"]]) == 0
    out, error = capsys.readouterr()
    assert "\r" not in out + error
    assert "\x1b" not in out + error
