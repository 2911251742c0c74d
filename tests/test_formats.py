"""Files say their format: an older one means what it meant, a newer one is refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markets import QUICK

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.sweep import parse_dimension, run_try, sweep
from riskoverlay.studies.sweep.rows import NAMES, checksum
from riskoverlay.studies.workbench import PARAMETERS, Config, make_config, read_config
from riskoverlay.studies.workbench import summaries as module
from riskoverlay.studies.workbench.summaries import FORMAT, check_format, with_older_meanings

pytest.importorskip("sqlalchemy", reason="the extra `sweep` is not installed")


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


def make_older(path: Path, number: int, unsaid: Iterable[str]) -> None:
    """Make a study one of a format that did not name some parameters, as a program of that time would have kept it."""
    with closing(sqlite3.connect(path)) as db, db:
        db.row_factory = sqlite3.Row
        for row in map(dict, db.execute("select * from sweep_tries").fetchall()):
            config = {name: value for name, value in json.loads(row["config"]).items() if name not in unsaid}
            older = row | {
                "config": json.dumps(config, sort_keys=True),
                "key": f"{row['key']} then" if unsaid else row["key"],
            }
            db.execute(
                "update sweep_tries set config = ?, key = ?, checksum = ? where key = ?",
                (older["config"], older["key"], checksum(older), row["key"]),
            )
        db.execute("update sweep_studies set format = ?", (number,))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_older_study_means_what_it_meant(panel: Panel, tmp_path: Path, ran: list[Config], number: int) -> None:
    path = tmp_path / "s.db"
    config = make_config({**QUICK, **RATES})
    unsaid = () if number == 2 else ("risk_free", "day_count")
    older = sweep(panel, config, [parse_dimension("target_vol=0.1,0.2")], storage=str(path))
    make_older(path, number, unsaid)
    ran.clear()
    result = sweep(panel, config, [parse_dimension("target_vol=0.1,0.2,0.25")], storage=str(path))
    assert [one.returns.tobytes() for one in result.tries][:2] == [one.returns.tobytes() for one in older.tries]
    assert [one["target_vol"] for one in ran] == [0.25]
    ran.clear()
    values = [parse_dimension("target_vol=0.1,0.25"), parse_dimension("risk_free=0,0.01")]
    sweep(panel, config, values, storage=str(path))  # a rate that format 1 did not know of: 0, and not another
    assert [(one["target_vol"], one["risk_free"]) for one in ran] == [(0.1, 0.01), (0.25, 0.01)]


def test_an_older_study_of_other_prices_is_refused(panel: Panel, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    config, values = make_config({**QUICK, **RATES}), [parse_dimension("target_vol=0.1")]
    sweep(panel, config, values, storage=str(path))
    make_older(path, 1, ("risk_free", "day_count"))
    other = replace(panel, frames={symbol: frame * 1.0001 for symbol, frame in panel.frames.items()})
    with pytest.raises(InputError, match="holds a sweep of other prices: give those it was begun with"):
        sweep(other, config, values, storage=str(path))


def test_a_study_says_its_format(
    panel: Panel, tmp_path: Path, ran: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, values = make_config(QUICK), [parse_dimension("target_vol=0.1,0.2")]
    path = tmp_path / "s.db"
    sweep(panel, config, values, storage=str(path))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("select study, format from sweep_studies").fetchall() == [("sweep", FORMAT)]
    # As if patience had come later: until its older meaning is known, nobody knows what the tries were run with.
    ran.clear()
    monkeypatch.setattr("riskoverlay.studies.sweep.rows.NAMES", (*NAMES, "patience"))
    sweep(panel, config, values, storage=str(path))
    assert len(ran) == 2
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update sweep_studies set format = ?", (FORMAT + 1,))
    with pytest.raises(InputError, match=r"study='sweep' in .* has format .*: give it a newer riskoverlay"):
        sweep(panel, config, values, storage=str(path))


def test_tables_of_a_newer_program_are_refused(panel: Panel, tmp_path: Path) -> None:
    config, values = make_config(QUICK), [parse_dimension("target_vol=0.1")]
    path = tmp_path / "s.db"
    sweep(panel, config, values, storage=str(path))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("insert into sweep_schema values (2)")
    with pytest.raises(InputError, match=r"s\.db' has tables of version 2, and this program knows 1: give it a newer"):
        sweep(panel, config, values, storage=str(path))


def test_a_storage_that_was_made_before_is_refused(panel: Panel, tmp_path: Path) -> None:
    """Its tables as Optuna 4 made them, those that tell it apart."""
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as db, db:
        for table in ("alembic_version", "studies", "study_user_attributes", "trials", "trial_params"):
            db.execute(f"create table {table} (x integer)")
    with pytest.raises(InputError, match=r"storage='.*s\.db' was made by .* with Optuna: give another --storage"):
        sweep(panel, make_config(QUICK), [parse_dimension("target_vol=0.1")], storage=str(path))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("select count(*) from sqlite_master where name like 'sweep%'").fetchone() == (0,)
