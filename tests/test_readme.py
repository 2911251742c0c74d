"""What the README prints is what happens."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from riskoverlay.studies.cli import main, make_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    """The fenced block after a line <!-- mark -->."""
    found = re.search(rf"<!-- {mark} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no block marked {mark}"
    return found[1]


@pytest.mark.ci
def test_the_printed_result_is_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == block("output").splitlines()


@pytest.mark.ci
def test_the_script_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("script")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "'sharpe': " in done.stdout
    assert "'depth': -" in done.stdout
    assert "'commission': " in done.stdout
    assert len(block("script").strip().splitlines()) <= 16


def test_every_file_of_the_house_exists() -> None:
    house = re.search(r"## The house\n\n```\n(.*?)```", README, re.DOTALL)
    assert house
    folder = ROOT
    for line in house[1].splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if not line.startswith(" "):
            folder = ROOT / names[0]
        for name in names:
            assert (ROOT / name).exists() or (folder / name).exists(), name


def test_every_flag_it_names_is_one_of_ours() -> None:
    commands = next(a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    known = {flag for command in commands.values() for flag in command._option_string_actions}
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    ours = re.findall(r"`(riskoverlay [^`]*)`", prose)
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", "\n".join(ours)))
    assert named
    assert named <= known
    for command in re.findall(r"^riskoverlay ([a-z]\w*)", "\n".join(ours), re.MULTILINE):
        assert command in commands
    assert len(ours) > 5
