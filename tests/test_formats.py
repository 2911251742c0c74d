"""Files say their format: an older one means what it meant, a newer one is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from markets import QUICK

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.sweep import parse_dimension, run_try, sweep
from riskoverlay.studies.sweep.storage import NAMES, pack
from riskoverlay.studies.sweep.storage import _prices_hash as prices_hash
from riskoverlay.studies.workbench import PARAMETERS, Config, make_config, read_config
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


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configuration of every try that is run, as it is run."""
    configs: list[Config] = []

    def counted(panel: Panel, config: Config) -> Any:
        configs.append(config)
        return run_try(panel, config)

    monkeypatch.setattr("riskoverlay.studies.sweep.run.run_try", counted)
    return configs


RATES = {"borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0}


def older_study(storage: str, panel: Panel, config: Config, number: int | None, unsaid: Iterable[str]) -> list[bytes]:
    """A study as it was kept when all of its tries had to be of one grid; the returns in it."""
    study = optuna.create_study(storage=storage, study_name="sweep", direction="maximize")
    fixed = {name: value for name, value in config.items() if name in NAMES and name not in ("target_vol", *unsaid)}
    once = {"prices": prices_hash(panel), "search": "grid", "criterion": "return", "grid": ["target_vol=0.1,0.2"]}
    study.set_user_attr("sweep", once | fixed)
    if number is not None:
        study.set_user_attr("format", number)
    found = []
    for k, value in enumerate((0.1, 0.2)):
        returns = run_try(panel, {**config, "target_vol": value}).returns
        trial = optuna.trial.create_trial(
            value=1.0, params={"target_vol": value},
            distributions={"target_vol": optuna.distributions.FloatDistribution(0.1, 0.2)},
            user_attrs={"try": k, "returns": pack(returns)},
        )  # fmt: skip
        study.add_trial(trial)
        found.append(returns.tobytes())
    return found


@pytest.mark.parametrize("number", [None, 1, 2])
def test_an_older_study_means_what_it_meant(
    panel: Panel, tmp_path: Path, ran: list[Config], number: int | None
) -> None:
    storage = f"sqlite:///{tmp_path}/s.db"
    config = make_config({**QUICK, **RATES})
    unsaid = () if number == 2 else ("risk_free", "day_count")
    returns = older_study(storage, panel, config, number, unsaid)
    result = sweep(panel, config, [parse_dimension("target_vol=0.1,0.2,0.25")], storage=storage)
    assert [one.returns.tobytes() for one in result.tries][:2] == returns
    assert [one["target_vol"] for one in ran] == [0.25]
    ran.clear()
    values = [parse_dimension("target_vol=0.1,0.25"), parse_dimension("risk_free=0,0.01")]
    sweep(panel, config, values, storage=storage)  # a rate that format 1 did not know of: 0, and not another
    assert [(one["target_vol"], one["risk_free"]) for one in ran] == [(0.1, 0.01), (0.25, 0.01)]


def test_an_older_study_of_other_prices_is_refused(panel: Panel, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/s.db"
    config = make_config({**QUICK, **RATES})
    older_study(storage, panel, config, 2, ())
    other = replace(panel, frames={symbol: frame * 1.0001 for symbol, frame in panel.frames.items()})
    with pytest.raises(InputError, match="holds a sweep of other prices: give those it was begun with"):
        sweep(other, config, [parse_dimension("target_vol=0.1")], storage=storage)


def test_a_study_says_its_format(
    panel: Panel, tmp_path: Path, ran: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, values = make_config(QUICK), [parse_dimension("target_vol=0.1,0.2")]
    storage = f"sqlite:///{tmp_path}/s.db"
    sweep(panel, config, values, storage=storage)
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert study.user_attrs["format"] == FORMAT
    # As if lev_band had come later: until its older meaning is known, nobody knows what the tries were run with.
    ran.clear()
    monkeypatch.setattr("riskoverlay.studies.sweep.storage.NAMES", (*NAMES, "patience"))
    sweep(panel, config, values, storage=storage)
    assert len(ran) == 2
    monkeypatch.undo()
    study.set_user_attr("format", FORMAT + 1)
    with pytest.raises(InputError, match=r"study='sweep' in .* has format .*: give it a newer riskoverlay"):
        sweep(panel, config, values, storage=storage)


def test_a_study_that_no_sweep_has_made_is_refused(panel: Panel, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/s.db"
    study = optuna.create_study(storage=storage, study_name="sweep")
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=1)
    with pytest.raises(InputError, match=r"study='sweep' in .*s\.db was not made by a sweep: give another --study"):
        sweep(panel, make_config(QUICK), [parse_dimension("target_vol=0.1")], storage=storage)
