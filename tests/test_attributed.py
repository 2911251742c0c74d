"""Dynamic's growth beyond base, taken apart: on the screen, in the summary, on the page."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markets import QUICK

from riskoverlay.analyzers import TERMS
from riskoverlay.feeds import Panel
from riskoverlay.studies.cli import main
from riskoverlay.studies.report import report_html
from riskoverlay.studies.workbench import backtest, make_config
from riskoverlay.studies.workbench.attributed import (
    ATTRIBUTED,
    Attributed,
    attributed,
    attributed_in_words,
    attributed_summary,
)
from riskoverlay.studies.workbench.portfolios import Backtest


@pytest.fixture(scope="module")
def result(sample: Panel) -> Backtest:
    panel = sample.between(None, "2012-06-29").select(["SPY", "TLT", "GLD"])
    return backtest(panel, make_config({**QUICK, "lev_min": 0.5, "cash_rate": 0.01}))


@pytest.fixture(scope="module")
def found(result: Backtest) -> Attributed:
    apart = attributed(result)
    assert apart is not None
    return apart


def test_the_terms_are_the_growth_that_counts(result: Backtest, found: Attributed) -> None:
    n = len(result.dynamic.returns)
    for name in ATTRIBUTED:
        growth = np.log1p(result.runs[name].returns).sum()
        assert found.terms[name].sum() * n / 252 == pytest.approx(growth, abs=1e-12)
        assert np.log1p(result.runs[name].statistics["growth"]) == pytest.approx(found.terms[name].sum(), rel=0.01)
    ahead = np.log1p(result.dynamic.returns).sum() - np.log1p(result.base.returns).sum()
    assert found.by_year.to_numpy().sum() == pytest.approx(ahead, abs=1e-12)
    years = np.log1p(result.dynamic.returns) - np.log1p(result.base.returns)
    by_year = years.groupby(pd.DatetimeIndex(years.index).year).sum()
    np.testing.assert_allclose(found.by_year.sum(axis=1), by_year, atol=1e-12)


def test_base_has_no_timing_and_money_is_what_was_paid(result: Backtest, found: Attributed) -> None:
    assert found.terms.loc["timing", "base"] == pytest.approx(0.0, abs=1e-12)
    assert found.terms.loc["loan_interest", "dynamic"] < found.terms.loc["loan_interest", "base"] <= 0.0
    assert "others" not in found.terms.index
    assert "tax" not in found.terms.index
    n = len(result.dynamic.returns)
    for kind in ("commission", "slippage"):
        run = result.dynamic
        paid = np.asarray(run.costs["sessions"][kind])[-n:]
        before = run.value.to_numpy()[-n - 1 : -1]
        r = run.returns.to_numpy()
        linked = -(paid / before * np.log1p(r) / np.where(r == 0.0, 1.0, r)).sum() * 252 / n
        assert found.terms.loc[kind, "dynamic"] == pytest.approx(linked, rel=1e-9)


def test_nothing_to_take_apart(result: Backtest) -> None:
    run = replace(result.base, attribution={"contributions": {name: [np.nan] * 10 for name in TERMS}})
    short = replace(run, sessions=run.sessions[-10:])
    assert attributed(replace(result, portfolios={**result.portfolios, "base": short})) is None
    assert attributed(replace(result, portfolios={"account": result.base})) is None


def made(**difference: float) -> Attributed:
    terms = pd.DataFrame({"base": 0.0, "constant": 0.0, "dynamic": pd.Series(difference)})
    return Attributed(terms, pd.DataFrame())


@pytest.mark.parametrize(("terms", "said"), [
    ({"mean_leverage": 0.0412, "loan_interest": -0.02, "timing": 0.001, "drift": 4e-5},
     "Dynamic − base in log growth a year, +2.22 %: the source at the mean leverage +4.12, interest on the loan −2.00, "
     "leverage above and below its mean +0.10. What decided: the source at the mean leverage."),
    ({"mean_leverage": 0.01, "loan_interest": -0.02, "timing": -0.001},
     "Dynamic − base in log growth a year, −1.10 %: interest on the loan −2.00, the source at the mean leverage +1.00, "
     "leverage above and below its mean −0.10. What decided: interest on the loan."),
])  # fmt: skip
def test_in_words(terms: dict[str, float], said: str) -> None:
    assert attributed_in_words(made(**terms)) == said


def test_written_and_on_the_page(result: Backtest, found: Attributed) -> None:
    summary = json.loads(json.dumps(attributed_summary(found)))
    assert summary["dynamic_minus_base"]["loan_interest"] == found.difference["loan_interest"]
    assert summary["decided"] == found.decided
    assert set(summary["by_year"]) == {"2010", "2011", "2012"}
    page = report_html(result)
    assert html.escape(attributed_in_words(found)) in page
    for one in ATTRIBUTED:
        for name in found.terms.index:
            value = float(found.terms.loc[name, one])
            assert f'<data value="{value!r}" data-key="attribution.{one}.{name}">' in page


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--end", "2011-06-30", "--symbols", "SPY,TLT", "--cov-lookback", "60", "--min-hist", "60",
             "--vol-lookback", "20", "--csv", "", "--json", "a.json"]  # fmt: skip
    assert main(flags) == 0
    out = " ".join(capsys.readouterr().out.split())
    content = json.loads(Path("a.json").read_text())["attribution"]
    ahead = sum(content["dynamic_minus_base"].values())
    assert f"Dynamic − base in log growth a year, {100 * ahead:+.2f} %".replace("-", "−") in out
    assert f"What decided: {TERMS[content['decided']]}." in out
