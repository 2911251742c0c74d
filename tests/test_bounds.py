"""Numbers that nobody means: each is refused in one line that names it, or the run ends with numbers."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from riskoverlay.errors import InputError
from riskoverlay.feeds import load
from riskoverlay.rules import Parameter
from riskoverlay.strategies import AccountTerms, ExecutionTerms, LeverageRules, SizingRules, WeightRules
from riskoverlay.strategies.rules import MOST_MONEY, MOST_SESSIONS
from riskoverlay.studies.cli import main
from riskoverlay.studies.sweep import space
from riskoverlay.studies.walkforward.choosing import MOST_MONTHS
from riskoverlay.studies.workbench import PARAMETERS, read_config
from riskoverlay.studies.workbench.workers import MOST_WORKERS, check_workers

SHORT = ["--end", "2010-05-14", "--cov-lookback", "10", "--min-hist", "10", "--vol-lookback", "5",
         "--symbols", "SPY,TLT", "--rebalance-freq", "W-FRI"]  # fmt: skip
ABSURD = ("1e308", "-1e308", "1e-308", str(10**18), "0")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numeric(about: Parameter) -> bool:
    return about.dated or (isinstance(about.default, (int, float)) and not isinstance(about.default, bool))


NUMERIC = [name for name, about in PARAMETERS.items() if numeric(about)]


def numbers(value: Any) -> list[float]:
    """Every number of what JSON holds."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that is refused."""
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert out == ""
    return error.removeprefix("error: ").rstrip()


def test_every_number_is_looked_at() -> None:
    assert {"cash", "lev_max", "cov_lookback", "commission_bps", "borrow_rate", "risk_free", "seed"} <= set(NUMERIC)


@pytest.mark.ci
@pytest.mark.parametrize("name", NUMERIC)
def test_an_absurd_number_is_refused_by_name_or_ends_in_numbers(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in ABSURD:
        status = main([*SHORT, f"{PARAMETERS[name].flag}={value}", "--json", "o.json", "--csv", "o.csv"])
        out, error = capsys.readouterr()
        if status == 2:
            assert re.match(rf"error: .*\b{name}='?-?[\d.]+(e[+-]?\d+)?'? .*: \S|error: .*{name}", error), error
            assert error.count("\n") == 1, error
            assert ": " in error.removeprefix("error: ")
            continue
        assert (value, status, error) == (value, 0, "")
        for text in (out, Path("o.csv").read_text()):
            assert not re.search(r"\b(nan|inf|infinity)\b", text, re.IGNORECASE), (value, text)
        assert all(map(math.isfinite, numbers(json.loads(Path("o.json").read_text()))))


# -- both sides of each bound ------------------------------------------------------------------------------------------

MOST: list[tuple[type, str, Any, Any, str]] = [
    (
        WeightRules,
        "cov_lookback",
        MOST_SESSIONS,
        MOST_SESSIONS + 1,
        "give a number of sessions, no more than a hundred",
    ),
    (WeightRules, "min_hist", MOST_SESSIONS, MOST_SESSIONS + 1, "give a number of sessions, no more than a hundred"),
    (LeverageRules, "vol_lookback", MOST_SESSIONS, 10**18, "give a number of sessions, no more than a hundred"),
    (ExecutionTerms, "cash", MOST_MONEY, MOST_MONEY * 1.01, "give money in a larger unit"),
    (AccountTerms, "commission_min", MOST_MONEY, MOST_MONEY * 1.01, "give money in a larger unit"),
    (AccountTerms, "commission_per_share", MOST_MONEY, 1e308, "give money in a larger unit"),
]


@pytest.mark.parametrize(("rules", "name", "most", "beyond", "cure"), MOST, ids=[name for _, name, *_ in MOST])
def test_the_largest_is_taken_and_what_is_above_it_is_not(
    rules: Any, name: str, most: Any, beyond: Any, cure: str
) -> None:
    assert getattr(rules(**{name: most}), name) == most
    with pytest.raises(InputError) as caught:
        rules(**{name: beyond})
    assert str(caught.value).startswith(f"{name}={beyond!r} is above {most:.15g}: {cure}")


def test_the_least_cash_is_a_cent() -> None:
    assert ExecutionTerms(cash=0.01).cash == 0.01
    with pytest.raises(InputError, match=r"cash=0.0099 is not an opening balance: give money > 0, a cent at least"):
        ExecutionTerms(cash=0.0099)


@pytest.mark.parametrize(("name", "most"), [("periods", 366), ("slots", 1_000_000)])
def test_backtraders_own_parameters_are_bounded_too(name: str, most: Any) -> None:
    assert getattr(SizingRules(**{name: most}), name) == most
    with pytest.raises(InputError, match=f"{name}=.* is not a"):
        SizingRules(**{name: most + 1})


@pytest.mark.parametrize(
    ("name", "more"),
    [("commission_min", []), ("commission_per_share", []), ("commission_per_share", ["--no-whole-shares"])],
)
def test_a_commission_that_takes_all_is_refused(name: str, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    flag = PARAMETERS[name].flag
    said = refusal([*SHORT, flag, "500000", *more], capsys)
    assert re.fullmatch(
        rf"{name}=500000\.0 is no less than what is bought at the first rebalance, 2010-01-\d\d: "
        "give less, or more cash",
        said,
    )
    assert main([*SHORT, flag, "50", "--csv", "", "--json", "", "--quiet", *more]) == 0


def test_a_ratio_that_is_none_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    """With constant leverage of 1, dynamic is base: there is nothing to be had of it."""
    assert main([*SHORT, "--lev-min", "1", "--lev-max", "1", "--csv", "", "--json", ""]) == 0
    out = capsys.readouterr().out
    assert re.search(r"information ratio +– ", out), out
    assert not re.search(r"\bnan\b", out)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["ladder", "--workers", str(10**18)], f"workers={10**18} is above 1024: give as many as there are processors"),
        (["walkforward", "--grid", "lev_max=1,2", "--workers", "1", "--train", "1", "--test", str(10**18)],
         f"test={10**18} is above 1200: give no more than a hundred years of months"),
        (["walkforward", "--grid", "lev_max=1,2", "--workers", "1", "--train", str(10**18)],
         f"train={10**18} is above 1200: give no more than a hundred years of months"),
        (["sweep", "--grid", "lev_max=1.0:2.0", "--trials", str(10**18)],
         f"trials={10**18} is more than 100000: give fewer"),
        (["sweep", "--grid", "target_vol=0:1:1e-308"],
         "grid='target_vol=0:1:1e-308' has more than 100000 values: give a larger step"),
        (["backtest", "--start", "0001-01-01"],
         "start='0001-01-01' is outside of the sample market's years, 1970 to 2100: give a date within"),
        (["check", "--end", "9999-12-31"],
         "end='9999-12-31' is outside of the sample market's years, 1970 to 2100: give a date within"),
    ],
)  # fmt: skip
def test_what_is_no_parameter_is_bounded_too(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *more = arguments
    dates = [flag for flag in ("--start", "--end") if flag in arguments]
    assert refusal([command, *(SHORT if not dates else ["--symbols", "SPY"]), *more], capsys) == line


def test_the_bounds_of_counts_have_two_sides() -> None:
    assert check_workers(MOST_WORKERS) == MOST_WORKERS
    with pytest.raises(InputError, match="workers=1025 is above 1024"):
        check_workers(MOST_WORKERS + 1)
    assert (MOST_MONTHS, space.MOST) == (1200, 100_000)
    assert len(load("sample", "SPY", start="1970-01-02", end="1970-06-30").sessions) > 100
    with pytest.raises(InputError, match="start='1969-12-31' is outside"):
        load("sample", "SPY", start="1969-12-31", end="1970-06-30")


# -- a name that is there twice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"target_vol": 0.1, "cash": 5000, "target_vol": 0.2}',
        '{"config": {"target_vol": 0.1, "target_vol": 0.1}}',
        '{"format": 2, "config": {"cash": 1000}, "base": {"costs": [{"target_vol": 1, "target_vol": 2}]}}',
    ],
)
def test_a_name_that_is_there_twice_is_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.json").write_text(text)
    assert refusal(["--config", "c.json", "--csv", "", "--json", ""], capsys) == (
        "config c.json names 'target_vol' more than once: give one value for it"
    )


def test_a_config_that_is_there_twice_is_none(folder: Path) -> None:
    path = folder / "c.json"
    path.write_text('{"config": {"cash": 5000}, "config": {"cash": 6000}}')
    with pytest.raises(InputError, match="names 'config' more than once"):
        read_config(path)
    path.write_text("{" + ",".join(f'"{"x" * 500}{k // 2}": 1' for k in range(40_000)) + "}")  # at once, and in short
    with pytest.raises(InputError, match="more than once") as caught:
        read_config(path)
    assert len(str(caught.value)) < 200 + len(str(path))
    path.write_text('{"config": {"cash": 5000}}')
    assert read_config(path)["cash"] == 5000.0
