"""Rules as values: they check themselves, and a parameter that is added in one line is found everywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from riskoverlay.errors import InputError
from riskoverlay.rules import Parameter, Rules, parameter
from riskoverlay.strategies import (
    NOTEBOOK,
    AccountTerms,
    ExecutionTerms,
    LeverageRules,
    MarginAccount,
    RiskParityBlend,
    SizingRules,
    TradingRules,
    VolTargetDrawdownSizer,
    WeightRules,
)
from riskoverlay.studies.workbench import GROUPS, PARAMETERS, make_config, values_of

ROOT = Path(__file__).parents[1]
ALL = [rules for group in GROUPS.values() for rules in group]


def test_every_parameter_says_what_it_is() -> None:
    for rules in ALL:
        for name, about in rules.described().items():
            assert about.name == name
            assert about.flag == "--" + name.replace("_", "-")
            assert len(about.help) > 10, name
            numeric = isinstance(about.default, (int, float)) and not isinstance(about.default, bool)
            assert about.unit or not numeric or name == "seed", f"{name} has no unit"
    declared: dict[str, Any] = {}
    for rules in ALL:  # a name that two rules have is one parameter
        for name, about in rules.described().items():
            assert declared.setdefault(name, about) == about, name


def test_rules_are_values() -> None:
    assert WeightRules() == WeightRules()
    assert hash(LeverageRules(target_vol=0.1)) == hash(replace(LeverageRules(), target_vol=0.1))
    with pytest.raises(FrozenInstanceError):
        LeverageRules().target_vol = 0.2  # type: ignore[misc]
    assert (NOTEBOOK.risk_parity, NOTEBOOK.min_variance) == ("notebook", "clipped")


BEYOND: list[tuple[type[Rules], str, Any, str]] = [
    (WeightRules, "cov_lookback", 1, "cov_lookback=1 is not a whole number of at least 2: give a number of sessions"),
    (WeightRules, "shrink_alpha", -0.1, r"shrink_alpha=-0.1 is outside \[0, 1\]: give a fraction such as 0.30"),
    (WeightRules, "shrinkage", "x", "shrinkage='x' is unknown: give one of diagonal, ledoit_wolf"),
    (WeightRules, "rebalance_freq", "X", "rebalance_freq='X' is no period of days: give an alias"),
    (WeightRules, "calendar", "NOWHERE", "calendar='NOWHERE' is unknown: give a name"),
    (TradingRules, "drift", "never", "drift='never' is not known: give 'hold' or 'daily'"),
    (TradingRules, "lev_band", -0.1, "lev_band=-0.1 is not a distance: give a leverage >= 0"),
    (LeverageRules, "target_vol", 0.0, "target_vol=0.0 is not positive"),
    (LeverageRules, "lev_max", 0.1, "lev_min=0.3 is above lev_max=0.1: give lev_min <= lev_max"),
    (SizingRules, "allocation", 1.1, "allocation=1.1 is not a part of the account"),
    (SizingRules, "slots", 0, "slots=0 is not a count: give a whole number >= 1"),
    (SizingRules, "whole_shares", "yes", "whole_shares='yes' is neither: give True or False"),
    (ExecutionTerms, "cash", 0.0, "cash=0.0 is not an opening balance: give money > 0"),
    (ExecutionTerms, "slippage_bps", 1e4, "slippage_bps=10000.0 is not a cost"),
    (AccountTerms, "commission_min", -1.0, "commission_min=-1.0 is not a cost: give a number >= 0"),
    (AccountTerms, "maintenance_margin", 0.6, "maintenance_margin=0.6: give 0 < maintenance_margin <= initial"),
]  # fmt: skip


PER_CENT: list[tuple[type[Rules], str, float, float]] = [
    (WeightRules, "shrink_alpha", 1.0, 30.0),
    (WeightRules, "alpha_minvar", 1.0, 30.0),
    (TradingRules, "lev_band", 2.0, 10.0),
    (LeverageRules, "target_vol", 1.0, 12.0),
    (LeverageRules, "lev_min", 20.0, 30.0),
    (LeverageRules, "lev_max", 20.0, 200.0),
    (LeverageRules, "dd_threshold1", 1.0, 10.0),
    (LeverageRules, "dd_threshold2", 1.0, 25.0),
    (LeverageRules, "dd_min_scale", 1.0, 30.0),
    (AccountTerms, "initial_margin", 1.0, 50.0),
    (AccountTerms, "maintenance_margin", 1.0, 25.0),
]


@pytest.mark.parametrize(("rules", "name", "most", "value"), PER_CENT, ids=[name for _, name, _, _ in PER_CENT])
def test_per_cent_is_asked_about_where_a_fraction_is_meant(
    rules: type[Rules], name: str, most: float, value: float
) -> None:
    others = {"lev_max": 20.0, "dd_threshold2": 1.0, "initial_margin": 1.0}  # what the bound itself must not exceed
    at_most = {other: bound for other, bound in others.items() if other in rules.described()} | {name: most}
    assert getattr(rules(**at_most), name) == most
    with pytest.raises(InputError) as caught:
        rules(**{name: value})
    assert str(caught.value) == f"{name}={value} is above {most:g}: per cent? give {value / 100:g}"
    with pytest.raises(InputError, match=rf"{name}={most * 101} is above {most:g}: give ") as caught:
        rules(**{name: most * 101})
    assert "per cent" not in str(caught.value)


@pytest.mark.parametrize(("rules", "name", "value", "message"), BEYOND, ids=lambda x: str(x)[:20])
def test_a_value_out_of_bounds_is_named_with_its_cure(rules: type[Rules], name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rules(**{name: value})
    assert caught.value.cure
    assert "\n" not in str(caught.value)


def test_bounds_are_said_in_words() -> None:
    assert Parameter("x", at_least=0.0, below=1e4).bounds == ">= 0 and < 10000"
    assert Parameter("x", above=0.0, at_most=1.0).bounds == "> 0 and <= 1"
    assert Parameter("x", choices=("a", "b")).bounds == "a, b"
    assert Parameter("x").bounds == ""
    assert not Parameter("x", above=0.0).holds("1")
    assert not Parameter("x").holds(float("nan"))


def test_backtraders_params_are_the_fields() -> None:
    for cls, rules in (
        (RiskParityBlend, (WeightRules, TradingRules)),
        (VolTargetDrawdownSizer, (LeverageRules, SizingRules)),
        (MarginAccount, (AccountTerms,)),
    ):
        defaults = dict(cls.params._getpairs())
        for one in rules:
            assert dict(one.params()).items() <= defaults.items()
    config = make_config({"target_vol": 0.07})
    assert values_of(config, LeverageRules)["target_vol"] == 0.07
    assert "allocation" not in PARAMETERS  # backtrader's only


SCRIPT = """
import json
import sys
from riskoverlay.strategies import RiskParityBlend, TradingRules
from riskoverlay.studies.cli import main, make_parser
from riskoverlay.studies.report.tables import configuration
from riskoverlay.studies.sweep import parse_dimension
from riskoverlay.studies.workbench import PARAMETERS, make_config

flags = make_parser(["backtest"])._subparsers._group_actions[0].choices["backtest"].format_help()
small = ["--end", "2010-12-31", "--cov-lookback", "60", "--min-hist", "60", "--csv", "", "--quiet"]
assert main([*small, "--patience", "5", "--json", "a.json"]) == 0
assert main(["--config", "a.json", "--csv", "", "--quiet", "--json", "b.json"]) == 0
print(json.dumps({
    "params": RiskParityBlend.params.patience,
    "rules": TradingRules().patience,
    "help": "--patience SESSIONS" in flags and "sessions to wait for what is late" in flags,
    "default": make_config()["patience"],
    "stored": [json.load(open(name))["config"]["patience"] for name in ("a.json", "b.json")],
    "sweep": list(parse_dimension("patience=1:3").values),
    "report": "patience" in configuration(make_config()),
    "status": main(["--patience", "-1", "--csv", "", "--json", ""]),
    "place": PARAMETERS["patience"].unit,
}))
"""


def copy_of_the_checkout(folder: Path) -> Path:
    """The product, without what surrounds it."""
    for room in ("riskoverlay", "strategies", "analyzers", "feeds", "studies"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run.py", folder)
    return folder


@pytest.mark.long
def test_a_parameter_is_added_in_one_line_of_one_file(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    rules = checkout / "strategies" / "rules.py"
    line = '    patience: int = parameter(3, "sessions to wait for what is late", "sessions", at_least=0)\n'
    before = rules.read_text(encoding="utf-8")
    mark = '    """When holdings follow weights and leverage."""\n\n'
    assert before.count(mark) == 1
    rules.write_text(before.replace(mark, mark + line), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(checkout), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "params": 3, "rules": 3, "help": True, "default": 3, "stored": [5, 5], "sweep": [1, 2, 3], "report": True,
        "status": 2, "place": "sessions",
    }  # fmt: skip
    assert "error: patience=-1 is not >= 0: give a whole number >= 0" in done.stderr


@pytest.mark.long
def test_what_docstrings_look_like_changes_nothing(tmp_path: Path) -> None:
    """Without any docstring (-OO) the flags and their help are the same."""
    shown = [
        subprocess.run(
            [sys.executable, *flags, str(ROOT / "run.py"), "backtest", "--help"],
            cwd=tmp_path, capture_output=True, text=True, check=True, env={"PATH": "", "COLUMNS": "100"},
        ).stdout
        for flags in ([], ["-OO"])
    ]  # fmt: skip
    assert shown[0] == shown[1]
    assert "--target-vol" in shown[0]


def test_a_parameter_needs_a_default() -> None:
    from dataclasses import dataclass, field

    from riskoverlay.rules import META

    @dataclass(frozen=True)
    class Open(Rules):
        x: int = field(metadata={META: Parameter("a number without a default")})

    with pytest.raises(TypeError, match="x has no default"):
        Open.params()

    @dataclass(frozen=True)
    class Two(Rules):
        x: int = parameter(3, "a whole number", at_least=2)
        y: float | None = parameter(None, "a number, or nothing", optional=True, at_least=0)

    assert Two.of({"x": 4, "y": None, "z": 5}) == Two(4) == Two.of(type("P", (), {"x": 4, "y": None}))
    with pytest.raises(InputError, match="x=1 is not >= 2: give a whole number >= 2"):
        Two(1)


def test_a_band_of_leverage_is_two_at_most() -> None:
    assert TradingRules(lev_band=2.0).lev_band == 2.0
    with pytest.raises(ValueError, match=r"^lev_band=2\.01"):
        TradingRules(lev_band=2.01)


def test_a_cost_below_nothing_is_said_to_be_none() -> None:
    for name in ("commission_bps", "commission_per_share", "commission_min"):
        with pytest.raises(InputError, match=f"^{name}=-1.0 is not a cost"):
            AccountTerms(**{name: -1.0})
    assert AccountTerms().commission_bps == 1.0
