"""What is ours becomes one line; a bug shows its traceback; a user's own error shows theirs."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from markets import QUICK

from riskoverlay import __version__
from riskoverlay.errors import ConvergenceError, InputError, MissingExtraError, MissingFileError, StrategyError, require
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.cli import main
from riskoverlay.studies.sweep import parse_dimension, sweep
from riskoverlay.studies.workbench import make_config

FLAGS = ["--end", "2010-12-31", "--cov-lookback", "60", "--min-hist", "60", "--vol-lookback", "20",
         "--symbols", "SPY,TLT,GLD"]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", "SPY,TLT,GLD", end="2010-12-31")


def shape_bug(*_: Any, **__: Any) -> Any:
    """What numpy says of two arrays that do not fit: a ValueError, as bad input once was."""
    raise ValueError("operands could not be broadcast together with shapes (3,) (4,)")


# -- the errors --------------------------------------------------------------------------------------------------------


def test_an_error_has_its_parts_and_travels() -> None:
    error = InputError("is not a cost", "give a number >= 0", "commission_bps", -1.0)
    assert str(error) == "commission_bps=-1.0 is not a cost: give a number >= 0"
    assert (error.argument, error.value, error.cure) == ("commission_bps", -1.0, "give a number >= 0")
    assert error.said == "commission_bps=-1.0 is not a cost"
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), str(other), other.value) == (InputError, str(error), -1.0)
    assert str(InputError("no rows", "give at least one session")) == "no rows: give at least one session"
    assert str(InputError("no rows")) == "no rows"


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(InputError, ValueError), (MissingFileError, FileNotFoundError), (MissingFileError, ValueError),
     (ConvergenceError, RuntimeError), (MissingExtraError, ImportError), (StrategyError, ValueError)],
)  # fmt: skip
def test_each_is_also_what_python_calls_it(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)


def test_an_extra_is_asked_for_by_name() -> None:
    require("numpy", "sweep", "arithmetic")
    with pytest.raises(MissingExtraError, match=r"^a moon needs cheese_of_it: .*'backtrader-riskoverlay\[moon\]'$"):
        require("cheese_of_it", "moon", "a moon")


# -- a bug -------------------------------------------------------------------------------------------------------------

BUGS = {
    "backtest": ("riskoverlay.studies.workbench.runs.summary", []),
    "ladder": ("riskoverlay.studies.ladder.run.summary", ["--workers", "1"]),
    "sweep": ("riskoverlay.studies.workbench.runs.summary", ["--grid", "target_vol=0.1,0.2", "--workers", "1"]),
    "walkforward": (
        "riskoverlay.studies.walkforward.account.assemble",
        ["--grid", "target_vol=0.1,0.2", "--workers", "1", "--train", "3", "--test", "2"],
    ),
    "audit": ("riskoverlay.strategies.weights.WeightMemory.__call__", ["--workers", "1"]),
    "check": ("riskoverlay.studies.commands.check.quality", []),
}  # fmt: skip


@pytest.mark.parametrize("command", BUGS)
def test_a_planted_bug_shows_its_traceback_and_exits_70(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    where, more = BUGS[command]
    monkeypatch.setattr(where, shape_bug)
    flags = FLAGS[-2:] if command == "check" else FLAGS
    assert main([command, *flags, *more]) == 70
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert "operands could not be broadcast" in said
    assert "shape_bug" in said
    assert "error: " not in said.replace("ValueError: ", "")
    assert f"a bug of riskoverlay {__version__}" in said.splitlines()[-1]
    assert {path.name for path in folder.iterdir()} <= {"sweep.db"}


def test_a_bug_stops_a_sweep_and_bad_parameters_do_not(
    panel: Panel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(QUICK)
    values = [parse_dimension("target_vol=0.1,-1,0.2")]
    result = sweep(panel, config, values)
    assert [one.reason is None for one in result.tries] == [True, False, True]
    monkeypatch.setattr("riskoverlay.studies.workbench.runs.summary", shape_bug)
    with pytest.raises(ValueError, match="broadcast") as caught:
        sweep(panel, config, values, storage="s.db")
    assert not isinstance(caught.value, InputError)


def test_weights_that_do_not_converge_are_a_failed_try(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(*_: Any, **__: Any) -> Any:
        raise ConvergenceError("risk parity has not converged after 100 steps")

    config, values = make_config(QUICK), [parse_dimension("risk_parity=converged,notebook")]
    monkeypatch.setattr("riskoverlay.strategies.weights.risk_parity", stuck)
    first, second = sweep(panel, config, values).tries
    assert "weights of 2010-03-31" in (first.reason or "")
    assert "has not converged after 100 steps" in (first.reason or "")
    assert second.reason is None


# -- a user's own file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        ("raise KeyError('mine')", 2, r"mine.py does not run \(KeyError: 'mine'\): correct it"),
        ("class Mine(bt.Strategy):\n    def __init__(self):\n        1 / 0", 2,
         "mine.py: the run does not start (ZeroDivisionError: division by zero): correct the strategy"),
        ("class Mine(bt.Strategy):\n    def next(self):\n        self.buy()\n        if len(self) == 9: 1 / 0", 1,
         "crash: 2010-01-14: crash: ZeroDivisionError: division by zero"),
    ],
    ids=["file", "start", "session"],
)  # fmt: skip
def test_an_error_inside_a_users_file_is_theirs(
    source: str, status: int, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.py").write_text(f"import backtrader as bt\n\n{source}\n")
    flags = ["--end", "2010-12-31", "--strategy", "mine.py:Mine", "--workers", "1", "--cuts", "1"]
    assert main(["audit", *flags]) == status
    out, err = capsys.readouterr()
    assert said.replace("\\", "") in " ".join((out + err).split())
    assert "bug" not in err
    assert "Traceback" in err
    assert 'mine.py", line' in err


# -- words -------------------------------------------------------------------------------------------------------------


def test_version_and_whole_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"riskoverlay {__version__}\n"
    assert main([*FLAGS, "--target", "0.1"]) == 2
    assert capsys.readouterr().err == "error: --target is not a flag: did you mean --target-vol?\n"
