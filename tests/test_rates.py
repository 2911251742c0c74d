"""`--borrow-rate irx+0.015`: read, stored, run again, and charged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yahoo_server import Yahoo, bars, in_place_of_yahoo

from riskoverlay.feeds import Cache, sample_rate
from riskoverlay.feeds.sample_rate import RATE_PATH
from riskoverlay.studies.cli import main
from riskoverlay.studies.workbench.parameters import make_config, parse_value
from riskoverlay.studies.workbench.portfolios import backtest
from riskoverlay.studies.workbench.rates import (
    bond_equivalent,
    parse_rate,
    rate_in_words,
    resolved_rates,
    spread,
    with_dated_rates,
)
from riskoverlay.studies.workbench.runs import load_panel, simulate

QUICK = {"cov_lookback": 20, "min_hist": 20, "vol_lookback": 10, "start": "2024-01-10", "symbols": "SPY,TLT",
         "lev_min": 1.8, "dd_min_scale": 1.0}  # fmt: skip
"""Levered all the time, so that interest is due."""


def bill(rate: float = 5.0) -> pd.DataFrame:
    """^IRX in per cent: falls through zero, which no price may."""
    table = bars(seed=8)
    for name in ("open", "high", "low", "close", "adj_close"):
        table[name] = np.linspace(rate, -0.2, len(table)).round(6)
    return table.assign(volume=0.0)


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yahoo]:
    served = {"SPY": bars(seed=1), "TLT": bars(seed=2), "^IRX": bill()}
    with in_place_of_yahoo(served, monkeypatch, tmp_path_factory.mktemp("yfinance")) as server:
        yield server


@pytest.mark.parametrize(("text", "added"), [
    ("irx", 0.0), ("irx+0.015", 0.015), ("IRX + 0.015", 0.015), ("^irx-.0025", -0.0025), ("irx+1", 1.0),
    ("0.05", None), ("irx*2", None), ("irx+", None), ("libor+0.01", None), ("irx+0.015+1", None), ("", None),
])  # fmt: skip
def test_expressions(text: str, added: float | None) -> None:
    assert spread(text) == added


def test_values_of_the_flag() -> None:
    assert parse_value("borrow_rate", "0.07") == 0.07
    assert parse_value("borrow_rate", " ^IRX + 0.015") == "irx+0.015"
    assert parse_value("cash_rate", "irx-0.005") == "irx-0.005"
    with pytest.raises(
        ValueError, match=r"borrow_rate='high' is unreadable: give a number as 0.05, irx\+0.015, or auto"
    ):
        parse_rate("borrow_rate", "high")
    assert make_config({"borrow_rate": "irx+0.015"})["borrow_rate"] == "irx+0.015"
    with pytest.raises(ValueError, match=r"borrow_rate='high' is of the wrong type"):
        make_config({"borrow_rate": "high"})


def test_a_rate_is_never_below_zero_and_needs_its_series() -> None:
    irx = pd.Series([0.05, -0.02], pd.DatetimeIndex(["2024-01-02", "2024-01-03"]))
    out = with_dated_rates({"borrow_rate": "irx+0.015", "cash_rate": 0.01}, {"irx": irx})
    assert out["borrow_rate"].tolist() == pytest.approx([0.065, 0.0])
    assert out["cash_rate"] == 0.01
    with pytest.raises(ValueError, match=r"borrow_rate='irx' needs dated rates"):
        with_dated_rates({"borrow_rate": "irx"}, {})


def test_the_panel_brings_the_rates_and_the_account_charges_them(yahoo: Yahoo, tmp_path: Path) -> None:
    config = make_config(QUICK | {"source": "yahoo", "borrow_rate": "irx+0.015"})
    panel = load_panel(config, Cache(tmp_path))
    discount = yahoo.tables["^IRX"]["close"] / 100.0
    served = 365.0 * discount / (360.0 - 91.0 * discount)  # the Treasury's coupon equivalent of a bank discount
    pd.testing.assert_series_equal(panel.rates["irx"], served, check_names=False, check_freq=False)
    charged = simulate(panel, config).costs["interest"]
    by_hand = simulate(panel, config | {"borrow_rate": (served + 0.015).clip(lower=0.0)}).costs["interest"]
    assert charged == by_hand > 0
    assert charged != simulate(panel, config | {"borrow_rate": "irx+0.02"}).costs["interest"]
    assert charged != simulate(panel, config | {"borrow_rate": 0.05}).costs["interest"]
    # No rate of a later day is looked at.
    later = panel.sessions[80]
    poisoned = panel.rates["irx"].where(panel.rates["irx"].index <= later, 0.9)
    ours, theirs = (simulate(p, config).value for p in (panel, replace(panel, rates={"irx": poisoned})))
    assert (ours[:later] == theirs[:later]).all()
    assert ours.iloc[-1] != theirs.iloc[-1]


def test_stored_as_it_was_written_and_run_again(yahoo: Yahoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    flags += ["--source", "yahoo", "--borrow-rate", "irx+0.015"]
    rest = ["--cache-dir", "cache", "--csv", ""]
    assert main([*flags, *rest, "--json", "a.json"]) == 0
    assert json.loads(Path("a.json").read_text())["config"]["borrow_rate"] == "irx+0.015"
    assert main(["--config", "a.json", *rest, "--json", "b.json"]) == 0
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()


def test_a_file_beside_the_prices_comes_before_yahoo(yahoo: Yahoo, tmp_path: Path) -> None:
    for symbol in ("SPY", "TLT"):
        yahoo.tables[symbol].drop(columns="split").to_csv(tmp_path / f"{symbol}.csv", index_label="date")
    config = make_config(QUICK | {"source": "csv", "data_dir": str(tmp_path), "borrow_rate": "irx"})
    assert load_panel(config, Cache(tmp_path / "cache")).rates["irx"].iloc[0] == pytest.approx(
        0.05 * 365 / (360 - 91 * 0.05), rel=1e-12
    )
    assert yahoo.asked() == ["^IRX"]
    bill(rate=3.0).to_csv(tmp_path / "^IRX.csv", index_label="date")
    assert load_panel(config, Cache(tmp_path / "cache")).rates["irx"].iloc[0] == pytest.approx(
        0.03 * 365 / (360 - 91 * 0.03), rel=1e-12
    )
    assert yahoo.asked() == ["^IRX"]


def test_rates_that_do_not_reach_are_refused_or_said(yahoo: Yahoo, tmp_path: Path) -> None:
    config = make_config(QUICK | {"source": "yahoo", "borrow_rate": "irx+0.015"})
    yahoo.tables["^IRX"] = bill().iloc[20:]
    with pytest.raises(ValueError, match=r"='irx\+0.015': \^IRX begins on 2024-01-31, the prices on 2024-01-10"):
        load_panel(config, Cache(tmp_path / "a"))
    yahoo.tables["^IRX"] = bill().iloc[:80]
    panel = load_panel(config, Cache(tmp_path / "b"))
    assert panel.warnings == ("^IRX is known up to 2024-04-25; later days bear its last rate",)


NUMBERS = {"borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0}


def test_numbers_ask_nobody(yahoo: Yahoo, tmp_path: Path) -> None:
    for source in ({"end": "2012-12-31"}, QUICK | {"source": "yahoo"}):
        panel = load_panel(make_config({**source, **NUMBERS}), Cache(tmp_path))
        assert panel.rates == {}
    assert not [path for path in yahoo.paths if "IRX" in path]


# -- auto --------------------------------------------------------------------------------------------------------------


def test_auto_is_the_bill_where_the_source_has_it(yahoo: Yahoo, tmp_path: Path) -> None:
    config = make_config(QUICK | {"source": "yahoo"})
    assert {config[name] for name in NUMBERS} == {"auto"}
    panel = load_panel(config, Cache(tmp_path))
    known = resolved_rates(config, panel.rates)
    assert {name: known[name] for name in NUMBERS} == {
        "borrow_rate": "irx+0.015", "cash_rate": "irx-0.005", "risk_free": "irx",
    }  # fmt: skip
    result = backtest(panel, config)
    assert result.config == {**known, "prices": "raw"}
    assert result.dynamic.costs["interest"] == simulate(panel, known).costs["interest"] > 0.0
    # Independent: what the bill of the close before pays over the days since.
    irx, counts = panel.rates["irx"], result.dynamic.returns.index
    before = panel.sessions[panel.sessions.get_indexer(counts) - 1]
    paid = irx.asof(before).to_numpy() * np.array((counts - before).days) / 365.0
    np.testing.assert_allclose(result.dynamic.risk_free, paid, rtol=1e-12)
    excess = np.asarray(result.dynamic.returns) - paid
    sharpe = excess.mean() / excess.std(ddof=1) * np.sqrt(252)
    assert result.dynamic.statistics["excess_sharpe"] == pytest.approx(sharpe, rel=1e-12)


def test_auto_never_asks_the_network_for_files(yahoo: Yahoo, tmp_path: Path) -> None:
    for symbol in ("SPY", "TLT"):
        yahoo.tables[symbol].drop(columns="split").to_csv(tmp_path / f"{symbol}.csv", index_label="date")
    config = make_config(QUICK | {"source": "csv", "data_dir": str(tmp_path)})
    panel = load_panel(config, Cache(tmp_path / "cache"))
    assert panel.rates == {}
    assert not yahoo.paths
    assert {name: resolved_rates(config, panel.rates)[name] for name in NUMBERS} == NUMBERS
    bill(rate=3.0).to_csv(tmp_path / "^IRX.csv", index_label="date")
    assert resolved_rates(config, load_panel(config).rates)["borrow_rate"] == "irx+0.015"
    # A bill that does not cover the run is not used, and that is said.
    bill(rate=3.0).iloc[60:].to_csv(tmp_path / "^IRX.csv", index_label="date")
    short = load_panel(config)
    assert short.rates == {}
    assert any("the bill's rate is not used: ^IRX begins on" in note for note in short.warnings)
    assert not yahoo.paths


def test_auto_on_the_sample_market_is_its_own_rate() -> None:
    panel = load_panel(make_config({"end": "2012-12-31"}))
    pd.testing.assert_series_equal(panel.rates["irx"], sample_rate(panel.sessions), check_names=False)
    other = load_panel(make_config({"end": "2012-12-31", "seed": 64})).rates["irx"]
    assert not other.equals(panel.rates["irx"])


def test_the_samples_rate_keeps_to_its_path_whatever_the_other_days() -> None:
    days = pd.bdate_range("2009-06-01", "2030-12-31")
    rate = sample_rate(days)
    knots = pd.Series(dict(RATE_PATH)).set_axis(pd.DatetimeIndex([day for day, _ in RATE_PATH]))
    daily = knots.reindex(pd.date_range("2000-01-01", "2035-01-01")).interpolate().bfill()[days]
    assert (rate - daily).abs().max() <= 0.00051
    assert (rate - daily).std() > 0.0002
    assert rate.min() >= 0.0
    assert sample_rate(days[2_000:2_010]).equals(rate[2_000:2_010])


def test_a_bank_discount_is_turned_into_a_rate() -> None:
    # US Treasury: a 91-day bill at a discount of 5.25 % costs 98.6729 of 100, and yields 5.395 % on that.
    price = 1.0 - 0.0525 * 91 / 360
    assert float(bond_equivalent(0.0525)) == pytest.approx((1.0 / price - 1.0) * 365 / 91, rel=1e-12)
    assert float(bond_equivalent(0.0)) == 0.0


@pytest.mark.parametrize(("rate", "said"), [
    ("irx+0.015", "T-bill + 1.5 %"), ("irx-0.005", "T-bill − 0.5 %"), ("irx", "T-bill"), (0.05, "5 %"),
])  # fmt: skip
def test_rates_in_words(rate: object, said: str) -> None:
    assert rate_in_words(rate) == said
