"""Files say their format: an older one means what it meant, a newer one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from markets import QUICK

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.sweep import parse_dimension, sweep
from riskoverlay.studies.workbench import PARAMETERS, make_config, read_config
from riskoverlay.studies.workbench import summaries as module
from riskoverlay.studies.workbench.summaries import FORMAT, check_format, with_older_meanings


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", "SPY,TLT,GLD", end="2010-12-31")


def summary(folder: Path, **content: Any) -> Path:
    path = folder / "summary.json"
    path.write_text(json.dumps(content))
    return path


def test_a_summary_of_before_is_the_same_run(tmp_path: Path) -> None:
    config = make_config({"target_vol": 0.09})
    assert read_config(summary(tmp_path, config=config)) == config
    assert read_config(summary(tmp_path, format=FORMAT, config=config)) == config


@pytest.mark.parametrize("number", [FORMAT + 1, "1", -1, True, 1.5])
def test_a_format_that_is_not_known_is_refused(tmp_path: Path, number: Any) -> None:
    with pytest.raises(InputError, match=r"^config .*summary\.json has format ") as caught:
        read_config(summary(tmp_path, format=number, config=make_config()))
    assert ("newer riskoverlay" in caught.value.cure) == (number == FORMAT + 1)


def test_what_came_later_means_in_an_older_file_what_was_done_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if lev_band had come with format 2, and there had been no band before."""
    monkeypatch.setattr(module, "FORMAT", 2)
    monkeypatch.setattr(module, "OLDER_MEANINGS", {1: {"lev_band": 0.0}})
    older = {name: value for name, value in make_config().items() if name != "lev_band"}
    for number in (None, 0, 1):
        given = {} if number is None else {"format": number}
        assert read_config(summary(tmp_path, config=older, **given))["lev_band"] == 0.0
    assert read_config(summary(tmp_path, config=older, format=2))["lev_band"] == PARAMETERS["lev_band"].default
    assert read_config(summary(tmp_path, **older))["lev_band"] == PARAMETERS["lev_band"].default  # no summary
    assert with_older_meanings({"lev_band": 0.3}, 0) == {"lev_band": 0.3}  # it says what it means


def test_no_format_is_the_first() -> None:
    assert check_format(None, "study") == 0
    assert check_format(FORMAT, "study") == FORMAT


def test_a_study_says_its_format(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, values = make_config(QUICK), [parse_dimension("target_vol=0.1,0.2")]
    storage = f"sqlite:///{tmp_path}/s.db"
    sweep(panel, config, values, storage=storage)
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert study.user_attrs["format"] == FORMAT
    # A parameter that came later: its older meaning is that of the study, and another is a difference.
    stored = {name: value for name, value in study.user_attrs["sweep"].items() if name != "lev_band"}
    study.set_user_attr("sweep", stored)
    with pytest.raises(InputError, match=r"holds a sweep with lev_band=None, not 0\.1: give the flags"):
        sweep(panel, config, values, storage=storage)
    monkeypatch.setattr(module, "OLDER_MEANINGS", {FORMAT: {"lev_band": 0.1}})
    sweep(panel, config, values, storage=storage)
    with pytest.raises(InputError, match=r"with lev_band=0\.1, not 0\.2; lev_max=2\.0, not 1\.5: give"):
        sweep(panel, config | {"lev_max": 1.5, "lev_band": 0.2}, values, storage=storage)
    study.set_user_attr("format", FORMAT + 1)
    with pytest.raises(InputError, match=r"study='sweep' in .* has format .*: give it a newer riskoverlay"):
        sweep(panel, config, values, storage=storage)
