"""What the README prints is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    """The fenced block after a line <!-- mark -->."""
    found = re.search(rf"<!-- {mark} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no block marked {mark}"
    return found[1]


def test_the_printed_result_is_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run.main([]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == block("output").splitlines()


def test_the_script_runs(tmp_path: Path) -> None:
    source = block("script").replace("from riskoverlay.", "from ")
    done = subprocess.run(
        [sys.executable, "-c", source],
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


def test_every_file_and_flag_it_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    house = re.search(r"## The house\n\n```\n(.*?)```", README, re.DOTALL)
    assert house
    folder = ROOT
    for line in house[1].splitlines():
        names = re.match(r"( *)((?:[\w.]+/?,? ?)+?)(?:  |$)", line)
        assert names, line
        if not names[1]:
            folder = ROOT / names[2].split()[0] if names[2].strip().endswith("/") else ROOT
        for name in names[2].split():
            assert (ROOT / name).exists() or (folder / name).exists(), name
    texts = []
    for command in re.findall(r"\{([\w,]+)\}|$", _help([], capsys))[0].split(",") or ["backtest"]:
        texts.append(_help([command] if command else ["backtest"], capsys))
    flags = set(
        re.findall(r"(?<![\w-])--[a-z][\w-]+", "\n".join(re.findall(r"`[^`]*`|python run\.py.*", README)))
    )
    assert flags
    for flag in flags - {"--quiet"}:
        assert any(flag in text for text in texts), flag


def _help(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        run.main([*command, "--help"])
    return capsys.readouterr().out
