"""The ladder: its top is the notebook, its bottom the backtest, its arrays and its broker agree, every switch acts."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskoverlay.errors import TwinError
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.cli import main
from riskoverlay.studies.ladder import (
    IDEAL,
    LEGS,
    NOT_TOLD,
    REAL,
    RUNGS,
    Ladder,
    Leg,
    changes_something,
    conclusion,
    engine_in_words,
    ladder,
    ladder_frame,
    ladder_summary,
    run,
    run_rung,
    rung_settings,
    signed,
    step_intervals,
    surety_rows,
    surety_summary,
)
from riskoverlay.studies.pictures.waterfall import draw_waterfall
from riskoverlay.studies.workbench import costs_in_words, read_config, risk_free_in_words
from riskoverlay.studies.workbench.parameters import Config, make_config
from riskoverlay.studies.workbench.portfolios import backtest
from riskoverlay.studies.workbench.twins import TwinRun, Twins

SMALL: dict[str, Any] = {
    "cov_lookback": 60,
    "min_hist": 60,
    "vol_lookback": 20,
    "dd_threshold1": 0.02,
    "dd_threshold2": 0.06,
}
FLAGS = ["--symbols", "SPY,TLT,GLD", "--end", "2010-12-31", "--cov-lookback", "60", "--min-hist", "60"]
BY_ID = {rung.id: rung for rung in RUNGS}


@cache
def sample_market(n_assets: int = 4, seed: int = 63, end: str = "2011-03-31") -> Panel:
    symbols = ["SPY", "QQQ", "IWM", "EFA", "EEM", "TLT", "LQD", "GLD", *(f"SYN{i:02}" for i in range(9, 13))]
    return load(
        "sample", symbols=symbols[-n_assets:] if n_assets < 8 else symbols[:n_assets], end=end, seed=seed, prices="raw"
    )


def config(**changes: Any) -> Config:
    """Every cost and every rule of the account at work."""
    costs = {"commission_per_share": 0.01, "commission_min": 1.0, "cash_rate": 0.01, "withholding": 0.15}
    costs |= {"lev_max": 3.0, "target_vol": 0.5}
    return make_config(SMALL | costs | changes)


@pytest.fixture(scope="module")
def climbed() -> Ladder:
    return ladder(sample_market(), config(), workers=1)


def legs(panel: Panel, settings: dict[str, Any], through: str) -> tuple[Leg, Leg]:
    base, dynamic = run_rung(panel, settings, through=through)
    return base, dynamic


# The top


@pytest.mark.long
def test_the_notebook_on_real_prices(market: Path) -> None:
    panel = load("csv", data_dir=market, prices="adjusted", end="2025-12-04")
    rung = RUNGS[0]
    for leg, printed in zip(
        run_rung(panel, rung_settings(make_config(), rung), through=rung.through),
        (("7.41", "11.21", "0.66", "-30.35"), ("9.49", "11.21", "0.85", "-23.07")),
        strict=True,
    ):
        s = leg.statistics
        shown = [f"{100 * s[name]:.2f}" for name in ("ann_ret", "ann_vol", "max_drawdown")]
        assert (*shown[:2], f"{s['sharpe']:.2f}", shown[2]) == printed


def test_the_rungs_are_the_published_ones() -> None:
    assert [rung.id for rung in RUNGS] == [
        "notebook", "converged_risk_parity", "long_only_min_variance", "simple_returns", "no_look_ahead",
        "event_driven", "hold_between_rebalances", "leverage_band", "next_open_fills", "whole_shares",
        "commission", "slippage", "raw_prices", "loan_interest",
    ]  # fmt: skip
    switches = [name for rung in RUNGS for name in rung.switches]
    assert sorted(switches) == sorted(IDEAL)


# Arrays and broker


@pytest.mark.parametrize(
    ("n_assets", "seed", "changes"),
    [
        (2, 1, {}),
        (12, 2, {"rebalance_freq": "W-FRI"}),
        (5, 3, {"rebalance_freq": "QE"}),
        (3, 4, {"calendar": None}),
        (3, 5, {"rebalance_freq": "W-FRI", "calendar": None, "lev_max": 3.0, "target_vol": 0.4}),
        (6, 6, {"lev_max": 3.0, "target_vol": 0.5}),
        (4, 7, {"cov_lookback": 40}),
        (4, 8, {"cov_lookback": 90, "min_hist": 30, "vol_lookback": 2, "alpha_minvar": 0.8}),
        (7, 9, {"shrinkage": "ledoit_wolf"}),
        (3, 10, {"min_variance": "clipped", "shrink_alpha": 0.0}),
        (3, 11, {"lev_min": 0.0, "dd_min_scale": 0.0, "dd_threshold1": 0.01, "dd_threshold2": 0.03}),
        (8, 12, {"lev_min": 1.5, "lev_max": 2.5}),
    ],
)
def test_the_broker_without_costs_is_the_arrays_day_by_day(n_assets: int, seed: int, changes: dict[str, Any]) -> None:
    """Two implementations that share no loop: an off-by-one or a cost in either shows."""
    panel, user = sample_market(n_assets, seed), config(**changes)
    arrays = legs(panel, rung_settings(user, BY_ID["no_look_ahead"]), through="arrays")
    broker = legs(panel, rung_settings(user, BY_ID["event_driven"]), through="margin")
    for a, b in zip(arrays, broker, strict=True):
        assert list(a.returns.index) == list(b.returns.index)
        np.testing.assert_allclose(a.returns, b.returns, rtol=0, atol=1e-9)
    assert np.abs(arrays[1].returns - arrays[0].returns).max() > 1e-4  # the overlay did something


# The bottom


def test_the_last_rung_is_the_backtest(climbed: Ladder) -> None:
    result = backtest(sample_market(), config())
    for leg, of in ((climbed.steps[-1].legs["base"], result.base), (climbed.steps[-1].legs["dynamic"], result.dynamic)):
        pd.testing.assert_series_equal(leg.returns, of.returns, check_exact=True)
        assert leg.statistics == of.statistics


def test_each_rung_keeps_what_the_rungs_above_changed() -> None:
    user = config()
    above = rung_settings(user, RUNGS[0])
    for rung in RUNGS[1:]:
        settings = rung_settings(user, rung)
        assert {name for name in settings if settings[name] != above[name]} <= set(rung.switches)
        above = settings
    assert above == user | REAL


@pytest.mark.parametrize("rung", [r for r in RUNGS if r.switches], ids=lambda rung: rung.id)
def test_every_switch_acts(rung: Any, climbed: Ladder) -> None:
    """Alone off again from the bottom (arrays: from the lowest array rung) each switch changes the result."""
    through = "arrays" if set(rung.switches) <= set(REAL) else "margin"
    bottom = BY_ID["no_look_ahead"] if through == "arrays" else RUNGS[-1]
    step = climbed.steps[RUNGS.index(bottom)]
    settings = rung_settings(climbed.config, bottom)
    for name in rung.switches:
        if name == "relever":
            continue  # the user's is the ideal one here: see the next test
        one = settings | {name: IDEAL[name]}
        if name == "initial_margin":
            one["maintenance_margin"] = IDEAL["maintenance_margin"]
        if name == "financing":
            continue  # the user's loan is said by rates here; test_financing.py has one said by terms
        if name == "maintenance_margin":
            continue  # acts on a margin call only; with initial_margin above
        dynamic = legs(sample_market(), one, through)[1]
        assert np.abs(dynamic.returns - step.legs["dynamic"].returns).max() > 1e-7, name


def test_relever_comes_in_with_the_band() -> None:
    user = config(relever="rebalance")
    assert rung_settings(user, BY_ID["hold_between_rebalances"])["relever"] == "daily"
    settings = rung_settings(user, BY_ID["leverage_band"])
    other = legs(sample_market(), settings | {"relever": "daily"}, through="margin")[1]
    assert np.abs(legs(sample_market(), settings, through="margin")[1].returns - other.returns).max() > 1e-7


def test_the_broker_itself_is_no_label(climbed: Ladder) -> None:
    """The array form has no account: at the bottom it is another result."""
    paper = climbed.steps[RUNGS.index(BY_ID["no_look_ahead"])]
    assert (
        abs(paper.legs["dynamic"].statistics["sharpe"] - climbed.steps[-1].legs["dynamic"].statistics["sharpe"]) > 1e-3
    )


def test_what_the_flags_leave_unchanged_is_listed_and_said() -> None:
    user = config(commission_bps=0.0, commission_per_share=0.0, commission_min=0.0, drift="daily", execution="close")
    result = ladder(sample_market(), user, workers=1)
    said = {step.rung.id for step in result.steps if step.what == "no change with these flags"}
    assert said == {"hold_between_rebalances", "next_open_fills", "commission"}
    assert len(result.steps) == len(RUNGS)
    above = result.steps[RUNGS.index(BY_ID["commission"]) - 1]
    assert result.steps[RUNGS.index(BY_ID["commission"])].legs["dynamic"] is above.legs["dynamic"]


def test_a_dated_rate_is_a_change() -> None:
    user = config() | {"borrow_rate": pd.Series({"2009-01-01": 0.0}), "cash_rate": 0.0}
    user |= {name: IDEAL[name] for name in ("initial_margin", "maintenance_margin")}
    assert changes_something(user | REAL, BY_ID["loan_interest"])


# Processes


def test_workers_do_not_change_results(climbed: Ladder) -> None:
    done: list[int] = []
    other = ladder(sample_market(), config(), workers=2, advance=done.append)
    assert sum(done) == len(RUNGS)
    for one, two in zip(climbed.steps, other.steps, strict=True):
        for leg in LEGS:
            pd.testing.assert_series_equal(
                one.legs[leg].returns, two.legs[leg].returns, check_exact=True, check_freq=False
            )
            assert one.legs[leg].statistics == two.legs[leg].statistics


def test_an_error_in_a_process_is_the_users() -> None:
    with pytest.raises(ValueError, match=r"lev_band=-1\.0 is not a distance"):
        ladder(sample_market(), config(lev_band=-1.0), workers=2)
    with pytest.raises(ValueError, match="workers=0 is not a number of processes"):
        ladder(sample_market(), config(), workers=0)


# Engines


def same_bits(one: Ladder, two: Ladder) -> None:
    for a, b in zip(one.steps, two.steps, strict=True):
        for leg in LEGS:
            first, second = a.legs[leg], b.legs[leg]
            pd.testing.assert_series_equal(first.returns, second.returns, check_exact=True, check_freq=False)
            assert first.statistics == second.statistics
            assert first.mean_leverage == pytest.approx(second.mean_leverage, rel=1e-14, nan_ok=True)
    pd.testing.assert_series_equal(one.constant.returns, two.constant.returns, check_exact=True, check_freq=False)


def test_engines_give_the_same_bits(climbed: Ladder, monkeypatch: pytest.MonkeyPatch) -> None:
    through: list[Config] = []
    real = run.simulate

    def counted(panel: Panel, config: Config, **more: Any) -> Any:
        through.append(config)
        return real(panel, config, **more)

    monkeypatch.setattr(run, "simulate", counted)
    same_bits(climbed, ladder(sample_market(), config(), workers=1))
    assert len(through) == 5  # first and last rung of the account, twice, and the constant one
    monkeypatch.setattr(run, "Twins", NoTwin)
    other = ladder(sample_market(), config(), workers=1, engine="cerebro")
    same_bits(climbed, other)
    assert len(through) == 5 + 2 * len([rung for rung in RUNGS if rung.broker])
    assert (climbed.engine, other.engine) == ("twin", "cerebro")
    assert engine_in_words(other) is None
    assert (engine_in_words(climbed) or "").startswith("hold_between_rebalances to raw_prices: by the twin")


class NoTwin(Twins):
    """Shares weights, and runs nothing."""

    run = None  # type: ignore[assignment]


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("id_", ["event_driven", "loan_interest"])
def test_a_twin_that_differs_ends_a_ladder(
    id_: str, leg: str, climbed: Ladder, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {"event_driven": ("drift", "daily"), "loan_interest": ("initial_margin", 0.5)}
    name, value = alone[id_]

    class Off(Twins):
        def run(self, config: Config, *, record: bool = False) -> TwinRun:
            found = super().run(config, record=record)
            if config[name] == value and (config["lev_max"] == 1.0) == (leg == "base"):
                found.returns[20] += 1e-8
            return found

    monkeypatch.setattr(run, "Twins", Off)
    day = climbed.steps[-1].legs["dynamic"].returns.index[20].date()
    with pytest.raises(TwinError, match=f"{day}: {id_}, {leg}: return of the session is .* through Cerebro"):
        ladder(sample_market(), config(), workers=1)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="engine='quick' is unknown: give one of twin, cerebro"):
        ladder(sample_market(), config(), engine="quick")


# What is told


def test_summary_and_frame(climbed: Ladder) -> None:
    content, frame = ladder_summary(climbed), ladder_frame(climbed)
    assert [rung["id"] for rung in content["rungs"]] == list(frame.index) == [rung.id for rung in RUNGS]
    assert set(content) == {"format", "rungs", "constant", "conclusion", "config", "data", "engine", "versions"}
    assert content["data"]["synthetic"] is True
    assert content["data"]["statistics_from"] == climbed.steps[-1].legs["base"].returns.index[0]
    assert content["data"]["first_weights"].date() == backtest(sample_market(), config()).base.decided[0]
    for rung, (_, row) in zip(content["rungs"], frame.iterrows(), strict=True):
        for leg in LEGS:
            assert {f"{leg}_{name}": value for name, value in rung[leg].items()}.items() <= dict(row).items()
    np.testing.assert_allclose(frame["base_excess_sharpe"].diff()[1:], frame["base_sharpe_change"][1:])
    assert np.isnan(frame["dynamic_sharpe_change"].iloc[0])


def test_conclusion_in_numbers(climbed: Ladder) -> None:
    text, frame = conclusion(climbed), ladder_frame(climbed)
    for leg in LEGS:
        sharpe, change = frame[f"{leg}_excess_sharpe"], frame[f"{leg}_sharpe_change"]
        assert f"Sharpe {sharpe.iloc[0]:.2f} on paper, {sharpe.iloc[-1]:.2f} through the broker" in text
        assert f"largest single loss {-change.min():.2f} ({change.idxmin()})" in text
    assert (
        f"{frame['dynamic_excess_sharpe'].iloc[-1] - frame['base_excess_sharpe'].iloc[-1]:+.2f} in the account" in text
    )
    assert "synthetic" in text


def test_the_constant_leverage_of_the_last_rung(climbed: Ladder) -> None:
    """That of `backtest`: what dynamic holds on average, held throughout."""
    ran = backtest(climbed.panel, climbed.config)
    last = climbed.steps[-1].legs["dynamic"]
    assert climbed.constant.statistics == ran.constant.statistics
    assert abs(climbed.constant.mean_leverage - last.mean_leverage) <= 0.01
    timing = 100 * (last.statistics["growth"] - climbed.constant.statistics["growth"])
    said = f"timing it {'added' if timing >= 0 else 'took'} {abs(timing):.2f} % a year"
    assert said in conclusion(climbed)
    assert ladder_summary(climbed)["constant"]["growth"] == ran.constant.statistics["growth"]


def test_costs_in_words() -> None:
    numbers = make_config({"borrow_rate": 0.05, "cash_rate": 0.0})
    said = "Loans at 5 % a year, idle cash at 0 %, commission 1 bps, slippage 2 bps"
    assert costs_in_words(numbers) == said
    assert "1 bps + 0.01 a share (at least 1), slippage" in costs_in_words(config())
    dated = costs_in_words(config(borrow_rate="irx+0.015", cash_rate="irx-0.005"))
    assert dated.startswith("Loans at T-bill + 1.5 % a year, idle cash at T-bill − 0.5 %")
    assert "Loans at a dated rate a year" in costs_in_words(config() | {"borrow_rate": pd.Series({"2009-01-01": 0.0})})


@pytest.mark.parametrize(("rate", "said"), [
    ("irx", "over T-bills"), (0.0, "over 0"), (0.02, "over 2 % a year"), ("irx+0.01", "over T-bill + 1 %"),
])  # fmt: skip
def test_risk_free_in_words(rate: Any, said: str) -> None:
    assert risk_free_in_words(config(risk_free=rate)) == f"Sharpe ratio {said}"


def test_signed() -> None:
    assert [signed(x) for x in (0.004, -0.004, 0.006, -0.306, float("nan"))] == ["0.00", "0.00", "+0.01", "-0.31", ""]


def test_nothing_held_has_no_sharpe_but_a_ladder(tmp_path: Path) -> None:
    result = ladder(sample_market(2, end="2010-09-30"), config(lev_min=0.0, lev_max=0.0, cash_rate=0.0), workers=1)
    assert all(np.isnan(sharpe) for sharpe in result.sharpes("dynamic"))
    assert "nan" in conclusion(result) and "overlay" not in conclusion(result)
    draw_waterfall(result, tmp_path / "a.png")


# The command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_what_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("plotly")
    files = ["--json", "a.json", "--csv", "a.csv", "--png", "a.png", "--html", "a.html"]
    assert main(["ladder", *FLAGS, "--workers", "1", "--commission-bps", "0", *files]) == 0
    out = capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"a.json", "a.csv", "a.png", "a.html"}
    content = json.loads(Path("a.json").read_text())
    table = pd.read_csv("a.csv", index_col="rung")
    assert list(table.index) == [rung["id"] for rung in content["rungs"]] == list(BY_ID)
    assert table.loc["slippage", "dynamic_sharpe"] == content["rungs"][-2]["dynamic"]["sharpe"]
    assert read_config("a.json")["commission_bps"] == 0.0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    page = Path("a.html").read_text()
    assert page.index("<h1>From paper to account</h1>") < page.index('<section id="ladder">')
    assert page.index('<section id="ladder">') < page.index('<section id="figures">')
    assert "holdings drift between rebalances" in page
    assert all(name in out for name in BY_ID)
    assert "no change with these flags" in out and "Synthetic market" in out
    assert content["conclusion"] in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())
    assert f"{content['rungs'][0]['base']['sharpe']:.2f}" in out


def test_the_command_writes_nothing_unasked(folder: Path) -> None:
    assert main(["ladder", *FLAGS, "--workers", "1"]) == 0
    assert not list(folder.iterdir())


def test_the_command_says_how_sure_its_steps_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    assert main(["ladder", *FLAGS, "--workers", "1", "--confidence", "--json", "a.json", "--html", "a.html"]) == 0
    out, content = capsys.readouterr().out, json.loads(Path("a.json").read_text())
    assert f"{NOT_TOLD}: history does not tell the step from no change." in out
    assert all(len(line) <= 80 for line in out.splitlines())
    one = content["confidence"]["dynamic"]["loan_interest"]["growth"]
    assert f"{100 * one['estimate']:+.2f} [{100 * one['low']:+.2f} {100 * one['high']:+.2f}]" in out
    page = Path("a.html").read_text()
    assert (
        'data-key="confidence.dynamic.loan_interest.growth.low"' in page or "confidence.dynamic.loan_interest" in page
    )
    assert "not told from 0" in page


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--target-vol", "high"], "target_vol='high'"),
        (["--lev-band", "-1", "--workers", "1"], "lev_band=-1.0"),
        (["--commission-bps", "-1", "--workers", "1"], "commission_bps=-1.0"),
        (["--workers", "0"], "workers=0"),
        (["--min-hist", "9999", "--workers", "1"], "min_hist=9999"),
        (["--csv", "nowhere/a.csv"], "nowhere"),
        (["--png", "nowhere/a.png"], "nowhere"),
    ],
)
def test_bad_input_touches_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    (folder / "a.json").write_text("old")
    assert main(["ladder", *FLAGS, "--json", "a.json", *flags]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert (folder / "a.json").read_text() == "old" and len(list(folder.iterdir())) == 1


def test_a_picture_without_matplotlib_is_one_line_before_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    assert main(["ladder", *FLAGS, "--png", "a.png"]) == 2
    assert "needs matplotlib: install it" in capsys.readouterr().err
    assert not list(folder.iterdir())


# How sure a step is


def test_intervals_of_steps_are_about_what_the_steps_change(climbed: Ladder) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    sure = step_intervals(climbed, draws=200)
    ids = [step.rung.id for step in climbed.steps[1:] if step.changes]
    first = max(step.legs[leg].returns.index[0] for step in climbed.steps for leg in LEGS)
    for leg in LEGS:
        assert list(sure[leg]) == ids
        before = climbed.steps[0].legs[leg].returns.loc[first:]
        for step in climbed.steps[1:]:
            now = step.legs[leg].returns.loc[first:]
            if not step.changes:
                continue
            found = sure[leg][step.rung.id]
            growth = [(1.0 + one).prod() ** (252 / len(one)) for one in (before, now)]
            assert found.growth.estimate == pytest.approx(growth[1] - growth[0], abs=1e-12)
            assert found.growth.low <= found.growth.high
            assert found.excess_sharpe.level == 0.95
            before = now


@pytest.mark.parametrize(("paid", "told"), [(0.0, False), (1e-15, False), (2e-4, True), (-2e-4, True)])
def test_a_step_is_told_from_none_if_it_costs_every_session(climbed: Ladder, paid: float, told: bool) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    *most, above, last = climbed.steps
    held = above.legs["dynamic"]
    dearer = replace(last, legs={**above.legs, "dynamic": replace(held, returns=held.returns - paid)})
    found = step_intervals(replace(climbed, steps=(*most, above, dearer)), draws=100)["dynamic"][last.rung.id]
    assert found.told_apart is told
    if told:
        assert np.sign([found.growth.low, found.growth.high]).tolist() == [-np.sign(paid)] * 2
        assert np.sign(found.excess_sharpe.estimate) == -np.sign(paid)


def test_sharpe_ratios_of_steps_are_those_over_bills(climbed: Ladder) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    sure = step_intervals(climbed, draws=20)
    # The account's rungs share their sessions with the last one, whose statistics are there.
    last, above = climbed.steps[-1], climbed.steps[-2]
    assert last.legs["dynamic"].returns.index[0] == max(step.legs["dynamic"].returns.index[0] for step in climbed.steps)
    for leg in LEGS:
        one, two = (step.legs[leg].statistics["excess_sharpe"] for step in (above, last))
        assert sure[leg][last.rung.id].excess_sharpe.estimate == pytest.approx(two - one, abs=1e-12)


def test_parameters_of_step_intervals_count(climbed: Ladder) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    known = step_intervals(climbed, draws=40)
    assert step_intervals(climbed, draws=40) == known
    for other in ({"draws": 41}, {"draws": 40, "level": 0.5}, {"draws": 40, "seed": 1}):
        assert step_intervals(climbed, **other) != known
    titles, rows = surety_rows(known)
    assert titles[0] == "95 % intervals"
    assert len(rows) == 2 * len(known["base"])
    assert [row[-1] for row in rows].count(NOT_TOLD) == sum(
        not one.told_apart for found in known.values() for one in found.values()
    )
    assert json.loads(json.dumps(surety_summary(known)))["base"].keys() == known["base"].keys()
