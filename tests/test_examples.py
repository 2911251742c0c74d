"""The examples run, and show what they say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # backtrader looks classes up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.ci
def test_combine_profits_add_up_to_the_account() -> None:
    profits = example("combine").main()
    assert set(profits) == {"RiskParityBlend", "CrossOver", "account"}
    assert profits["RiskParityBlend"] + profits["CrossOver"] == pytest.approx(profits["account"], rel=1e-9)
    assert profits["CrossOver"] != 0.0


@pytest.mark.ci
def test_overlay_levers_somebody_elses_strategy() -> None:
    results = example("overlay_any_strategy").main()
    assert results["unlevered"]["max_leverage"] < 1.1 < results["overlay"]["max_leverage"] < 2.2


@pytest.mark.ci
def test_the_ladder_of_somebody_elses_strategy() -> None:
    result = example("ladder_of_your_strategy").main()
    assert result.legs == ("base", "dynamic")
    assert result.steps[-1].legs["dynamic"].mean_leverage > result.steps[-1].legs["base"].mean_leverage


@pytest.mark.long
def test_optimizers_through_the_broker() -> None:
    pytest.importorskip("skfolio", reason="the extra `optimizers` is not installed")
    results = example("skfolio_through_the_broker").main(end="2012-06-29")
    assert len({result["sharpe"] for result in results.values()}) == 3
    assert all(result["costs"] > 0.0 for result in results.values())


@pytest.mark.long
def test_optimise_as_a_program() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "optimise.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.splitlines())) == 6


@pytest.mark.ci
def test_futures_borrow_less_and_lever_as_much() -> None:
    results = example("futures").main()
    shares, contracts = results["shares"], results["contracts"]
    assert contracts["interest"] < 0.5 * shares["interest"]
    assert contracts["largest loan"] < 0.6 * shares["largest loan"]
    assert contracts["highest leverage"] == pytest.approx(shares["highest leverage"], abs=0.1)
