"""The twin of the account against Cerebro: random markets and parameters, planted bugs, and what it refuses."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import subprocess
import sys
import types
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import SHORT, come_and_gone, parameters, random_market

from riskoverlay.errors import InputError, RiskOverlayError, TwinError
from riskoverlay.feeds import Panel, align, load
from riskoverlay.strategies import SHORTHAND, Charges, Financing, WeightRules, compiled, flat, weights
from riskoverlay.strategies.decisions import nightly
from riskoverlay.strategies.weights import WeightMemory, blended_weights
from riskoverlay.studies.cli import main
from riskoverlay.studies.financing import breakeven
from riskoverlay.studies.sweep import parse_dimension, sweep
from riskoverlay.studies.workbench import make_config, simulate, twins
from riskoverlay.studies.workbench.rates import resolved_rates
from riskoverlay.studies.workbench.runs import UNLEVERED
from riskoverlay.studies.workbench.twins import ENGINES, Twins, check_twin

ROOT = Path(__file__).parents[1]


def compare(seed: int, n: int = 110) -> set[str]:
    """What twin and Cerebro both did, in words; an error names the seed."""
    rng = np.random.default_rng(seed)
    panel, config = random_market(rng, n, int(rng.integers(1, 5))), make_config(parameters(rng))
    try:
        run = simulate(panel, config)
    except RiskOverlayError as error:
        with pytest.raises(type(error)) as other:
            Twins(panel).run(config)
        assert str(other.value) == str(error), seed
        return {"refused"}
    try:
        check_twin(panel, config, run)
    except TwinError as error:
        raise AssertionError(f"market {seed}: {error}") from None
    orders = run.costs["orders"]
    done = {"called": orders["margin_calls"], "rejected": orders["rejected"], "trimmed": run.trims}
    return {"ran", *(name for name, count in done.items() if count)}


def compare_many(seeds: range) -> None:
    said = [compare(seed) for seed in seeds]
    for kind, least in (("ran", 50), ("called", 1), ("rejected", 1), ("trimmed", 10)):
        assert sum(kind in one for one in said) >= least * len(said) / 100, kind


@pytest.mark.parametrize("chunk", range(2))
def test_random_markets(chunk: int) -> None:
    compare_many(range(50 * chunk, 50 * (chunk + 1)))


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(20))
def test_two_thousand_random_markets(chunk: int) -> None:
    compare_many(range(1_000 + 100 * chunk, 1_000 + 100 * (chunk + 1)))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(22, 90))
def test_any_market(seed: int, n: int) -> None:
    compare(seed, n)


# -- planted bugs ------------------------------------------------------------------------------------------------------

BUGS = {
    "slippage helps": ("1.0 + terms.slip if size > 0.0", "1.0 + terms.slip if size < 0.0"),
    "day count forgotten": (" * terms.day_factor", ""),
    "a night too many": ("nights[t], bounds", "nights[t - 1], bounds"),
    "debit earns, cash pays": ("_marginal_interest(debit, bounds, night) *", "debit * night[len(bounds)] *"),
    "cash earns as the loan costs": ("* night[len(bounds)] * terms", "* night[0] * terms"),
    "cash that is free earns": ("(debit + terms.cash_free) * night", "debit * night"),
    "purchases before sales": ("for selling in (True, False)", "for selling in (False, True)"),
    "band reached is band left": ("abs(wanted - held) > terms.band", "abs(wanted - held) >= terms.band"),
    "a cent of commission": ("account[MONEY] -= fee", "account[MONEY] -= fee + 0.01"),
    "a cut rounded down": ("math.ceil(cut)", "math.floor(cut)"),
    "opened by maintenance": ("(price * terms.initial_margin)", "(price * terms.maintenance_margin)"),
    "called too late": (", longs * terms.maintenance_margin", ", 0.8 * longs * terms.maintenance_margin"),
    "filled at its own close": ("closes[t - 1][i] if terms.at_close", "closes[t][i] if terms.at_close"),
    "filled at the close": ("else opens[t][i]", "else closes[t][i]"),
    "no peak": ("peak = max(peak, share)", "peak = share"),
    "shares rounded": ("math.trunc(units) * 1.0", "math.floor(units + 0.5)"),
    "refused and forgotten": ("again = again or refused > 0", "again = again"),
    "no margin call": ("if called:", "if False:"),
    "a dividend of old shares": ("paid, tax = after * dividend", "paid, tax = held * dividend"),
    "tax forgotten": ("+ paid - tax", "+ paid"),
    "a fraction lost": ("(held * split - after) * (before[i] / split)", "0.0"),
    "an order in old shares": ("_shares_after(sent[j][1], split)", "_shares_after(sent[j][1], min(split, 1.0))"),
    "a mark of before": ("feed[MARK] = before[i] / split - dividend", "pass"),
    "a price return": ("base_return(weights, bases[t], rows[t])", "base_return(weights, rows[t - 1], rows[t])"),
    "paid out at once": ("t < gone[i] and not terms.at_close", "t < last[i] and not terms.at_close"),
    "weights a session early": ("for t in range(first + 1, last + 1)", "for t in range(first, last)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def known() -> list[tuple[Panel, Any, Any]]:
    """Runs through Cerebro in which every bug shows; what shows the rarer ones comes first."""
    found = [on_the_band()]
    rare: list[tuple[Any, Any, dict[str, Any]]] = [
        (random_market, [0, seed], {"financing": TIERS, **LOAN}) for seed in range(3)
    ]
    rare += [(come_and_gone, [7, seed], {"withholding": 0.15}) for seed in (83, 98, *range(8))]
    for market, seed, changes in [*rare, *((random_market, seed, {}) for seed in range(24))]:
        rng = np.random.default_rng(seed)
        panel = market(rng) if market is come_and_gone else market(rng, 110, int(rng.integers(1, 5)))
        config = make_config({**parameters(rng), **changes})
        with suppress(InputError):  # nothing to hold
            found.append((panel, config, simulate(panel, config)))
    return found


LOAN = {name: make_config()[name] for name in SHORTHAND}
TIERS = Financing(0.05, ((3_000.0, 0.01), (math.inf, 0.2)), cash_spread=-0.01, cash_free=2_000.0, day_count=360)


def on_the_band() -> tuple[Panel, Any, Any]:
    """A price that stands still at 64 once it is held at leverage 1, and a target half above it: exactly the band."""
    wanders = 64.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.01, 23)))
    close = np.r_[wanders, np.full(17, 64.0)]
    frame = pd.DataFrame(
        dict.fromkeys(("open", "high", "low", "close"), close), pd.bdate_range("2020-01-01", periods=40)
    )
    free = {"slippage_bps": 0.0, "commission_bps": 0.0, "borrow_rate": 0.0}
    leverage = {"lev_max": 1.5, "lev_min": 0.5, "lev_band": 0.5, "vol_lookback": 5}
    config = make_config({**SHORT, **free, **leverage, "cash": 64_000.0})
    panel = align({"A": frame.assign(volume=1e6)})
    run = simulate(panel, config)
    assert run.exposure["leverage"].iloc[-1] == 1.0
    assert run.exposure["target_leverage"].iloc[-1] == 1.5
    return panel, config, run


def changed(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the twin's modules export, with a line of one changed and nothing compiled."""
    found: dict[str, Any] = {}
    done = 0
    names = ("decisions", "twin_orders", "twin_sessions", "twin")
    # All of them first: a run imports them late, and must not find one that is changed.
    originals = {name: importlib.import_module(f"riskoverlay.strategies.{name}") for name in names}
    for name, original in originals.items():
        source = Path(str(original.__file__)).read_text(encoding="utf-8")
        done += source.count(old)
        made = types.ModuleType(original.__name__)
        made.__package__ = "riskoverlay.strategies"
        monkeypatch.setitem(sys.modules, made.__name__, made)
        exec(compile(source.replace(old, new), f"{name}.py", "exec"), made.__dict__)
        found |= {exported: getattr(made, exported) for exported in made.__all__}
    assert done
    return found


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "COMPILED", False)


def first_difference(
    known: list[tuple[Panel, Any, Any]], made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> str | None:
    for name, value in made.items():
        monkeypatch.setattr(twins, name, value, raising=False)
    for panel, config, run in known:
        try:
            check_twin(panel, config, run)
        except TwinError as error:
            return str(error)
    return None


@pytest.mark.ci
@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.usefixtures("plain")
def test_planted_bugs_are_found(bug: str, known: list[tuple[Panel, Any, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    said = first_difference(known, changed(*BUGS[bug], monkeypatch), monkeypatch)
    assert said is not None
    assert "2020-" in said and "through Cerebro" in said and "--engine cerebro" in said


@pytest.mark.ci
@pytest.mark.usefixtures("plain")
def test_as_written_it_is_the_same(known: list[tuple[Panel, Any, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_difference(known[:20], changed("ROUNDING", "ROUNDING", monkeypatch), monkeypatch) is None


# -- what it refuses, and what it knows --------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "said"), [
    ({"min_hist": 500}, "decide no weights"),
    ({"min_hist": 109, "rebalance_freq": "D"}, "nothing can be earned"),
    ({"cash": 20.0}, "does not buy one share"),
    ({"borrow_rate": {"2020-04-01": 0.05}}, "borrow_rate starts on 2020-04-01"),
    ({"cash_rate": {"2020-04-01": 0.05}}, "cash_rate starts on 2020-04-01"),
])  # fmt: skip
def test_what_cerebro_refuses_is_refused_alike(changes: dict[str, Any], said: str) -> None:
    panel = random_market(np.random.default_rng(5), 110, 3)
    config = make_config({**SHORT, "lev_max": 2.0, "target_vol": 1.0, **changes})
    with pytest.raises(InputError, match=said) as through:
        simulate(panel, config)
    with pytest.raises(InputError) as by_twin:
        Twins(panel).run(config)
    assert str(by_twin.value) == str(through.value)


def test_a_rate_that_is_not_needed_yet_is_not_missed() -> None:
    """Nothing is lent before it begins."""
    panel = random_market(np.random.default_rng(5), 110, 3)
    config = make_config({**SHORT, "lev_max": 0.8, "borrow_rate": {"2020-04-01": 0.05}})
    check_twin(panel, config, simulate(panel, config))


def test_a_bar_that_is_missing_is_refused_by_name() -> None:
    panel = random_market(np.random.default_rng(5), 60, 2)
    panel.frames["S1"].loc[panel.sessions[7], "close"] = np.nan
    with pytest.raises(
        InputError, match=f"close of S1 on {panel.sessions[7].date()} is nan: give positive prices of every session"
    ):
        Twins(panel)


def test_the_future_changes_nothing_before_it() -> None:
    panel = random_market(np.random.default_rng(3), 110, 3)
    config = make_config({**SHORT, "lev_max": 3.0, "target_vol": 0.5, "initial_margin": 0.3})
    whole = Twins(panel).run(config).account
    for cut in (30, 55, 80):
        frames = {name: frame.copy() for name, frame in panel.frames.items()}
        for frame in frames.values():
            frame.iloc[cut:, :4] *= 1.7
        other = Twins(align(frames)).run(config).account
        for name, column in whole.daily.items():
            assert np.array_equal(column[:cut], other.daily[name][:cut], equal_nan=True), name
        assert not np.array_equal(whole.daily["value"][cut:], other.daily["value"][cut:])


def test_sample_market_as_a_whole() -> None:
    panel = load("sample", end="2013-12-31")
    for changes in ({}, {**UNLEVERED}, {"execution": "close", "drift": "daily", "whole_shares": False}):
        config = resolved_rates(make_config(changes), panel.rates)
        found = check_twin(panel, config, simulate(panel, config))
        assert found["value"] <= 1e-13
        assert set(found) >= {"value", "leverage", "commission", "slippage", "interest", "traded", "fills"}


@pytest.mark.long
@pytest.mark.parametrize(
    "changes", [{}, {"execution": "close"}, {"drift": "daily"}, {"initial_margin": 0.3, "lev_max": 3}]
)
def test_real_prices(market: Path, changes: dict[str, Any]) -> None:
    panel = load("csv", data_dir=market, start="2015-01-01", end="2018-12-31")
    config = make_config({"borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0, **changes})
    check_twin(panel, config, simulate(panel, config))


def test_statistics_and_mean_leverage_are_those_of_the_run() -> None:
    panel = load("sample", end="2012-12-31")
    config = resolved_rates(make_config({}), panel.rates)
    run, other = simulate(panel, config), Twins(panel).run(config)
    assert other.statistics == pytest.approx(run.statistics, rel=1e-12)
    assert other.mean_leverage == pytest.approx(run.mean_leverage, rel=1e-12)
    assert other.decided == run.decided
    assert np.array_equal(other.risk_free, run.risk_free)
    assert np.allclose(other.returns, run.returns.to_numpy(), rtol=0, atol=1e-15)


# -- weights once ------------------------------------------------------------------------------------------------------


def test_weights_are_computed_once_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return blended_weights(*arguments)

    monkeypatch.setattr(weights, "blended_weights", counted)
    panel, twins_of = random_market(np.random.default_rng(2), 110, 2), []
    config = make_config(SHORT)
    twins_of.append(Twins(panel))
    for target_vol in (0.05, 0.1, 0.2):
        twins_of[0].run({**config, "target_vol": target_vol})
    once = count
    assert once == len(twins_of[0].run(config).decided)
    simulate(panel, config, remember=twins_of[0].remember)
    assert count == once
    twins_of[0].run({**config, "cov_lookback": 30})
    assert count == 2 * once


def test_what_is_remembered_is_what_is_computed() -> None:
    returns = np.random.default_rng(0).normal(0.0, 0.01, (60, 3))
    remember = WeightMemory(most=2)
    for alpha in (0.0, 0.3, 0.6, 0.3, 0.0):
        rules = WeightRules(alpha_minvar=alpha)
        found = remember(returns, rules)
        assert np.array_equal(found, blended_weights(returns, rules))
        found[:] = 9.0  # a user's own copy
    assert len(remember._answers) == 2
    assert not np.array_equal(remember(returns[:-1], rules), remember(returns[1:], rules))


def test_nights_of_a_dated_rate() -> None:
    days = [date(2020, 1, 3), date(2020, 1, 6), date(2020, 1, 7)]
    loan, idle = nightly(Charges(flat(0.0365, {"2020-01-05": 0.365})), days).T
    assert loan[1:] == pytest.approx([3e-4, 1e-4])
    assert np.isnan(idle[:2]).all()
    assert idle[2] == pytest.approx(1e-3)


# -- compiled ----------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from riskoverlay.feeds import load
from riskoverlay.strategies import compiled
from riskoverlay.studies.workbench import make_config
from riskoverlay.studies.workbench.rates import resolved_rates
from riskoverlay.studies.workbench.twins import Twins
panel = load("sample", end="2011-12-30")
run = Twins(panel).run(resolved_rates(make_config({}), panel.rates))
print(compiled.COMPILED, run.account.daily["value"].tobytes().hex())
"""


def say(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                            env={**os.environ, **environment})  # fmt: skip


@pytest.mark.long
def test_compiled_or_not_cached_or_not_it_is_the_same(tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    (tmp_path / "file").touch()
    plain = say(RISKOVERLAY_COMPILED="0").communicate()[0].split()
    assert plain[0] == "False"
    at_once = [say(XDG_CACHE_HOME=str(tmp_path)) for _ in range(2)]
    again = [one.communicate()[0].split() for one in at_once]
    cached = list(tmp_path.rglob("*.nbc"))
    assert cached
    again.append(say(XDG_CACHE_HOME=str(tmp_path)).communicate()[0].split())
    assert list(tmp_path.rglob("*.nbc")) == cached
    again.append(say(XDG_CACHE_HOME=str(tmp_path / "file")).communicate()[0].split())  # nothing can be written there
    assert again == [["True", plain[1]]] * 4


# -- what uses it ------------------------------------------------------------------------------------------------------

QUICK = {**SHORT, "risk_free": 0.01}
GRID = [parse_dimension("target_vol=0.05,0.10,0.20"), parse_dimension("lev_max=1.5,3.0")]


@pytest.fixture(scope="module")
def sample_panel() -> Panel:
    return load("sample", symbols=["SPY", "TLT", "GLD"], end="2011-03-31")


def test_a_sweep_by_the_twin_is_that_through_cerebro(sample_panel: Panel) -> None:
    by_twin, through = (sweep(sample_panel, make_config(QUICK), GRID, engine=engine) for engine in ENGINES)
    assert (by_twin.engine, through.engine) == ENGINES
    assert np.allclose(by_twin.returns, through.returns, rtol=0, atol=1e-12)
    assert by_twin.worth == pytest.approx(through.worth, rel=1e-9)
    assert len(by_twin.checked) == 2 and through.checked == {}
    assert by_twin.good[int(np.argmax(by_twin.worth))].number in by_twin.checked
    assert max(by_twin.checked.values()) < 1e-12
    assert len(sweep(sample_panel, make_config(QUICK), [parse_dimension("lev_max=1.5")]).checked) == 1


def test_of_a_hundred_tries_six_are_checked(sample_panel: Panel) -> None:
    found = sweep(sample_panel, make_config(QUICK), [parse_dimension("target_vol=0.01:0.50:0.005")])
    assert len(found.tries) == 99 and len(found.checked) == 2
    found = sweep(sample_panel, make_config(QUICK), [parse_dimension("target_vol=0.01:0.505:0.005")])
    assert len(found.tries) == 100 and len(found.checked) == 6
    ranked = np.argsort(-np.asarray(found.worth), kind="stable")[:3]
    assert {found.good[place].number for place in ranked} <= set(found.checked)


def test_a_twin_that_differs_ends_the_sweep_and_names_the_day(
    sample_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Twins.run

    def wrong(self: Twins, config: Any, **more: Any) -> Any:
        run = real(self, config, **more)
        run.account.daily["value"][200] += 0.01  # a cent
        return run

    monkeypatch.setattr(Twins, "run", wrong)
    day = sample_panel.sessions[200].date()
    with pytest.raises(TwinError, match=rf"{day}: value is .* through Cerebro .* --engine cerebro"):
        sweep(sample_panel, make_config(QUICK), GRID)
    sweep(sample_panel, make_config(QUICK), GRID, engine="cerebro")
    with pytest.raises(TwinError, match=str(day)):
        breakeven(sample_panel, make_config(QUICK))


def test_a_refusal_of_the_twin_alone_is_found(sample_panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Twins.run

    def picky(self: Twins, config: Any, **more: Any) -> Any:
        if config["lev_max"] == 3.0:
            raise InputError("not today", "come again")
        return real(self, config, **more)

    monkeypatch.setattr(Twins, "run", picky)
    with pytest.raises(RiskOverlayError, match="not today"):
        sweep(sample_panel, make_config(QUICK), [parse_dimension("lev_max=1.5,3.0")])


def test_a_study_belongs_to_one_engine(sample_panel: Panel, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra `sweep` is not installed")
    storage = str(tmp_path / "s.db")
    sweep(sample_panel, make_config(QUICK), GRID, storage=storage)
    with pytest.raises(InputError, match=r"holds a sweep by the engine twin.*: give --engine twin"):
        sweep(sample_panel, make_config(QUICK), GRID, storage=storage, engine="cerebro")
    sweep(sample_panel, make_config(QUICK), GRID, storage=storage, engine="cerebro", study="other")
    with pytest.raises(InputError, match="engine='warp' is unknown: give one of twin, cerebro"):
        sweep(sample_panel, make_config(QUICK), GRID, engine="warp")


def test_what_was_checked_is_not_checked_again(
    sample_panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra `sweep` is not installed")
    storage = str(tmp_path / "s.db")
    first = sweep(sample_panel, make_config(QUICK), GRID, storage=storage)
    monkeypatch.setattr("riskoverlay.studies.sweep.run.simulate", None)
    assert sweep(sample_panel, make_config(QUICK), GRID, storage=storage).checked == first.checked


def test_what_was_checked_is_known_in_a_grid_that_numbers_it_otherwise(sample_panel: Panel, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra `sweep` is not installed")
    storage, config = str(tmp_path / "s.db"), make_config(QUICK)
    few = sweep(sample_panel, config, [parse_dimension("target_vol=0.05,0.20")], storage=storage)
    # With another one in front of them, the two have other numbers.
    found = [
        sweep(sample_panel, config, [parse_dimension(f"target_vol={values}")], storage=storage)
        for values in ("0.05,0.20", "0.10,0.05,0.20", "0.15,0.05,0.20")
    ]
    assert found[0].checked == few.checked
    assert all(len(one.checked) == 2 and max(one.checked.values()) < 1e-12 for one in found)


@pytest.mark.long
def test_processes_and_blocks_do_not_matter(sample_panel: Panel) -> None:
    grid = [parse_dimension("target_vol=0.01:0.30:0.001")]
    one, two = (sweep(sample_panel, make_config(QUICK), grid, workers=workers) for workers in (1, 2))
    assert np.array_equal(one.returns, two.returns)
    assert one.checked == two.checked


def test_breakeven_by_either_engine(sample_panel: Panel) -> None:
    config = make_config({**QUICK, "lev_min": 1.2, "target_vol": 0.3})
    by_twin, through = (breakeven(sample_panel, config, engine=engine) for engine in ENGINES)
    assert by_twin.spreads == through.spreads
    assert by_twin.tried.keys() == through.tried.keys()


def test_check_twin_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["backtest", "--end", "2011-12-30", "--csv", "", "--json", "s.json"]
    assert main(given) == 0
    assert "twin" not in json.loads(Path("s.json").read_text()) and "twin" not in capsys.readouterr().out
    assert main([*given, "--check-twin"]) == 0
    found = json.loads(Path("s.json").read_text())["twin"]
    assert found["dynamic"]["value"] < 1e-12 and found["base"].keys() == found["dynamic"].keys() >= {"value", "fills"}
    assert re.search(r"twin − Cerebro at most +base +dynamic\n.*value +\d\.\de[+-]\d\d +\d", capsys.readouterr().out)


def test_a_twin_that_differs_is_a_bug_and_not_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(*_: Any) -> Any:
        raise TwinError(date(2011, 1, 3), "value", 1.0, 2.0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("riskoverlay.studies.commands.backtest.check_twin", wrong)
    assert main(["backtest", "--end", "2011-12-30", "--check-twin"]) == 70
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
