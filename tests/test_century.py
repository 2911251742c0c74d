"""examples/century.py: the paper's recipe on French's factors, and an account that plain numpy gives again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_examples import example


@pytest.fixture(scope="module")
def century() -> Any:
    return example("century")


@pytest.fixture(scope="module")
def factors_file(market: Path) -> Path:
    path = market.parent / "century" / "french_factors_daily.csv"
    if not path.is_file():
        pytest.skip("there are no factors beside the market")
    return path


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six years of the columns of French's file: calm and wild months in turn, a bill that changes by the month."""
    days = pd.bdate_range("1990-01-01", "1995-12-29", name="date")
    days = days[np.random.default_rng(1).random(len(days)) > 0.03]  # holidays
    rng, month = np.random.default_rng(7), days.month.to_numpy()
    calm = np.where(month % 4 < 2, 0.5, 1.6)
    columns = {"mkt_rf": calm * rng.standard_normal(len(days)) + 0.06, "smb": 0.0, "hml": 0.0, "rf": 0.002 * month}
    path = tmp_path_factory.mktemp("century") / "factors.csv"
    pd.DataFrame(columns, index=days).round(3).to_csv(path)
    return path


def read(path: Path, end: str | None = None) -> pd.DataFrame:
    return pd.read_csv(path, index_col="date", parse_dates=True)[:end] / 100.0


def by_month(returns: pd.Series) -> pd.Series:
    return np.expm1(np.log1p(returns).groupby([returns.index.year, returns.index.month]).sum())


def account(factors: pd.DataFrame, target_vol: float, most: float) -> pd.Series:
    """Growth of one from the first decision on: filled at the close that decides, at bills, free."""
    total, bill = (factors["mkt_rf"] + factors["rf"]).to_numpy(), factors["rf"].clip(lower=0.0).to_numpy()
    months = factors.index.to_period("M")
    first = next(t for t in range(22, len(total)) if months[t] != months[t - 1])
    grown, held = [1.0], 1.0
    for t in range(first + 1, len(total)):
        step = 1.0 + held * total[t] + (1.0 - held) * bill[t]
        grown.append(grown[-1] * step)
        held *= (1.0 + total[t]) / step
        known = total[max(first + 1, t - 21) : t + 1]
        target = min(target_vol / (np.std(known) * np.sqrt(252)), most) if len(known) == 22 else 1.0
        if months[t] != months[t - 1] or abs(held - target) > 0.10:
            held = target
    return pd.Series(grown, factors.index[first:])


def check_row(row: dict[str, float], factors: pd.DataFrame, value: pd.Series) -> None:
    """A row of the table is that of these values, from the first end of a month on."""
    month = value.index.to_period("M")
    value = value[value.groupby(month).tail(1).index[0] :]
    bills = by_month(factors["rf"])
    market = by_month(factors["mkt_rf"] + factors["rf"]) - bills
    excess = (by_month(value.pct_change().iloc[1:]) - bills).dropna()
    beta, alpha = np.polyfit(market[excess.index], excess, 1)
    assert row["months"] == len(excess)
    assert row["growth"] == pytest.approx(
        100 * (np.exp(np.log(value.iloc[-1] / value.iloc[0]) * 365.25 / (value.index[-1] - value.index[0]).days) - 1)
    )
    assert row["drawdown"] == pytest.approx(100 * (value / np.maximum.accumulate(value) - 1).min())
    assert row["sharpe"] == pytest.approx(np.sqrt(12) * excess.mean() / np.std(excess, ddof=1))
    assert (row["alpha"], row["beta"]) == pytest.approx((1200 * alpha, beta), abs=1e-9)


def test_the_table_is_what_plain_numpy_gives(century: Any, made_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, factors = century.main(str(made_up)), read(made_up)
    target = float(factors["mkt_rf"].std() * np.sqrt(252))
    base = account(factors, 0.0, 1.0).index
    unlevered = (1.0 + factors["mkt_rf"] + factors["rf"])[base].cumprod()
    check_row(rows["base"], factors, unlevered)
    check_row(rows["dynamic"], factors, account(factors, target, 6.0))
    check_row(rows["  lev_max 2"], factors, account(factors, target, 2.0))
    assert rows["base"]["alpha"] == pytest.approx(0.0, abs=1e-9)
    assert rows["constant"]["leverage"] == pytest.approx(rows["dynamic"]["leverage"], abs=0.01)
    assert rows["  and loan, costs"]["alpha"] < rows["  lev_max 2"]["alpha"]
    out = capsys.readouterr().out
    for name, one in rows.items():
        assert f"{one['alpha']:z.2f} %" in next(text for text in out.splitlines() if text.startswith(f"{name:20}"))
    assert f"Of {rows['dynamic']['alpha']:.2f} % of alpha at bills, {rows['  lev_max 2']['alpha']:.2f} % is left" in out


def test_a_night_costs_what_the_session_pays(century: Any, made_up: Path) -> None:
    factors = read(made_up)
    panel = century.panel_of(factors)
    nights = np.diff(factors.index.to_numpy()) / np.timedelta64(1, "D")
    assert nights.max() >= 3
    np.testing.assert_allclose(panel.rates["irx"] * nights / 365, factors["rf"].iloc[1:], rtol=1e-12)
    frame = panel.frames["MARKET"]
    np.testing.assert_array_equal(frame["open"].iloc[1:], frame["close"].iloc[:-1])
    np.testing.assert_allclose(frame["close"].pct_change()[1:], (factors["mkt_rf"] + factors["rf"])[1:], atol=1e-14)


def test_the_recipe_is_the_papers(century: Any, factors_file: Path) -> None:
    """Moreira & Muir (2017), table I: 4.86 (1.56), beta 0.61, R² 0.37, on French's data of then."""
    found = century.recipe(read(factors_file, "2015-12-31"))
    assert found["months"] == 1073
    assert (found["alpha"], found["error"]) == pytest.approx((4.90, 1.56), abs=0.01)
    assert (found["beta"], found["r2"]) == pytest.approx((0.60, 0.36), abs=0.005)
    assert century.PAPER == {"alpha": 4.86, "error": 1.56, "beta": 0.61}


@pytest.mark.long
def test_the_century(century: Any, factors_file: Path) -> None:
    rows, factors = century.main(str(factors_file)), read(factors_file, "2015-12-31")
    check_row(rows["dynamic"], factors, account(factors, float(factors["mkt_rf"].std() * np.sqrt(252)), 6.0))
    free, bounded, charged, braked = (rows[name] for name in ("dynamic", *century.STEPS))
    assert free["alpha"] > bounded["alpha"] > charged["alpha"] > 1.5
    assert braked["drawdown"] > charged["drawdown"] + 20.0
    assert braked["beta"] < 0.8 < charged["beta"]
    assert rows["base"]["alpha"] == pytest.approx(0.0, abs=1e-6)
