"""The application's backtest: identities, the published figures, and what is written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from identities import check_books
from markets import FREE, QUICK, paper

from riskoverlay.errors import InputError, StrategyError
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.audit.candidate import Candidate
from riskoverlay.studies.audit.recorder import record
from riskoverlay.studies.workbench import (
    backtest_summary,
    pending_in_words,
    read_config,
    run_summary,
    series_frame,
    write_file,
    write_json,
)
from riskoverlay.studies.workbench.parameters import GROUPS, PARAMETERS, Config, make_config, shown_parameters
from riskoverlay.studies.workbench.portfolios import backtest
from riskoverlay.studies.workbench.runs import UNLEVERED, Run, simulate

ARRAYS = {**FREE, "drift": "daily", "lev_band": 0.0}
"""The account that array backtests assume."""


def check_identities(panel: Panel, run: Run) -> None:
    """The books agree, and every order was filled, but for those that no bar can fill any more."""
    books = check_books(panel, run)
    assert run.costs["orders"]["rejected"] == 0 == run.unfilled
    assert run.costs["orders"]["filled"] == books.fills
    assert run.costs["orders"]["sent"] == books.fills + len(run.pending)
    assert run.costs["orders"]["open"] == len(run.pending)


def test_accounting_identities_with_the_defaults(sample: Panel) -> None:
    result = backtest(sample, make_config(QUICK))
    for run in (result.base, result.dynamic):
        check_identities(sample, run)
        assert run.costs["commission"] > 0 < run.costs["slippage"]
    assert result.dynamic.costs["interest"] > 10 * result.base.costs["interest"]
    fills = pd.DataFrame(result.dynamic.fills)
    assert (fills["size"] % 1 == 0).all()
    assert fills["commission"].to_numpy() == pytest.approx((fills["size"].abs() * fills["price"]).to_numpy() * 1e-4)


@pytest.mark.long
def test_identities_on_real_prices(market: Path) -> None:
    config = make_config({"source": "csv", "data_dir": str(market), "end": "2025-12-04", "prices": "adjusted"})
    panel = load("csv", data_dir=market, prices="adjusted", end="2025-12-04")
    for run in (simulate(panel, config), simulate(panel, {**config, **UNLEVERED})):
        check_identities(panel, run)


def percent(run: Run) -> tuple[str, ...]:
    s = run.statistics
    return (
        *(f"{100 * s[k]:.2f}" for k in ("ann_ret", "ann_vol")),
        f"{s['sharpe']:.3f}",
        f"{100 * s['max_drawdown']:.2f}",
    )


@pytest.mark.long
def test_published_figures_reached_through_the_broker(market: Path) -> None:
    panel = load("csv", data_dir=market, prices="adjusted", end="2025-12-04")
    result = backtest(panel, make_config(ARRAYS))
    assert result.base.first == pd.Timestamp("2011-02-01")
    assert percent(result.base) == ("7.64", "8.40", "0.909", "-24.93")
    assert percent(result.dynamic) == ("10.01", "10.95", "0.914", "-23.68")


def test_array_account_equals_arrays(sample: Panel) -> None:
    result = backtest(sample, make_config({**QUICK, **ARRAYS}))
    arrays = paper(
        sample.closes, **QUICK, risk_parity="converged", min_variance="long_only", portfolio_returns="simple",
        look_ahead=False,
    )  # fmt: skip
    assert result.base.first == arrays.first
    np.testing.assert_allclose(result.base.returns, arrays.base_returns, atol=1e-9)
    np.testing.assert_allclose(result.dynamic.returns, arrays.dynamic_returns, atol=1e-9)
    np.testing.assert_allclose(
        result.dynamic.exposure["target_leverage"].shift(1).loc[arrays.first :], arrays.leverage, atol=1e-9
    )


def test_series_has_the_notebooks_columns_and_agrees_with_the_runs(sample: Panel) -> None:
    result = backtest(sample, make_config({**QUICK, **ARRAYS}))
    frame = series_frame(result)
    symbols = list(sample.symbols)
    assert list(frame) == [
        *symbols, *(f"ret_{s}" for s in symbols), *(f"w_{s}" for s in symbols), "ret_port_base", "equity_base",
        "dd_base", "leverage", "ret_port_dyn", "equity_dyn", "dd_dyn",
        *(f"next_w_{s}" for s in symbols), "next_leverage", *(f"order_{s}" for s in symbols),  # the year's last session
    ]  # fmt: skip
    assert frame.index[0].date() == result.base.decided[0]
    assert frame.iloc[0][["equity_base", "equity_dyn"]].tolist() == [1.0, 1.0]
    earned = frame.iloc[1:]
    base = sum(earned[f"w_{s}"] * earned[f"ret_{s}"] for s in symbols)
    np.testing.assert_allclose(earned["ret_port_base"], base, atol=1e-12)
    np.testing.assert_allclose(earned["ret_port_dyn"], earned["leverage"] * base, atol=1e-12)
    np.testing.assert_allclose(frame["equity_dyn"], (1 + frame["ret_port_dyn"].fillna(0)).cumprod())
    np.testing.assert_allclose(frame["dd_dyn"], frame["equity_dyn"] / frame["equity_dyn"].cummax() - 1)


# -- an account that is too small --------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [UNLEVERED, {}, {"lev_min": 3.0, "lev_max": 3.0}], ids=["base", "dynamic", "trimmed"])
def test_an_account_too_small_for_a_share_is_refused_with_what_it_takes(sample: Panel, more: dict[str, float]) -> None:
    panel = sample.between(None, BETWEEN)
    config = {**make_config(QUICK), **more}
    with pytest.raises(InputError, match=r"^cash=50\.0 does not buy one share of anything at the first reb") as caught:
        simulate(panel, {**config, "cash": 50.0})
    enough = re.search(r"give at least ([\d,]+), or --no-whole-shares$", caught.value.cure)
    assert enough
    needed = int(enough[1].replace(",", ""))
    first = simulate(panel, {**config, "cash": float(needed)})  # one share of one symbol, at once
    day = panel.sessions[panel.sessions.get_loc(pd.Timestamp(first.decided[0])) + 1].date()
    assert [fill["size"] for fill in first.fills if fill["date"] == day] == [1]
    with pytest.raises(InputError, match="does not buy one share"):
        simulate(panel, {**config, "cash": needed - 1.0})
    assert simulate(panel, {**config, "cash": 50.0, "whole_shares": False}).fills


def test_nothing_is_held_where_no_leverage_is_wanted(sample: Panel) -> None:
    """That is no matter of the account's size."""
    config = {**make_config(QUICK), "lev_min": 0.0, "lev_max": 0.0, "cash": 50.0}
    assert simulate(sample.between(None, BETWEEN), config).fills == []


# -- what no bar fills any more ----------------------------------------------------------------------------------------

LAST, NEXT, BETWEEN = "2011-06-30", "2011-07-01", "2011-06-22"
"""A month's last session, the session after it, and one that sends no order."""


@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_the_last_decision_is_kept(sample: Panel, execution: str) -> None:
    """It is what a run with one session more fills."""
    config = make_config({**QUICK, "execution": execution})
    ends, goes_on = (backtest(sample.between(None, day), config) for day in (LAST, NEXT))
    for leg in ("base", "dynamic"):
        one, other = getattr(ends, leg), getattr(goes_on, leg)
        day = pd.Timestamp(NEXT).date()
        filled = [(fill["symbol"], fill["size"]) for fill in other.fills if fill["date"] == day]
        assert [(order["symbol"], order["size"]) for order in one.pending] == filled
        assert len(filled) > 4
        assert {order["decided"] for order in one.pending} == {pd.Timestamp(LAST).date()}
        orders = [run.costs["orders"] for run in (one, other)]
        assert orders[0]["sent"] == orders[1]["sent"] - len(other.pending)
        assert orders[0]["open"] == len(filled)
        written = run_summary(one)["next_session"]
        row = series_frame(goes_on).loc[NEXT]  # what was in force for the next session
        if leg == "dynamic":
            assert list(written["weights"].values()) == row[[f"w_{s}" for s in sample.symbols]].tolist()
            assert written["leverage"] == row["leverage"]
        assert written["orders"] == one.pending


def test_the_series_end_with_what_is_to_be_done(sample: Panel) -> None:
    result = backtest(sample.between(None, LAST), make_config(QUICK))
    frame = series_frame(result)
    new = [column for column in frame if column.startswith(("next_", "order_"))]
    assert len(new) == 2 * len(sample.symbols) + 1
    assert frame[new].iloc[:-1].isna().all(axis=None)
    last = frame.iloc[-1]
    assert {s: last[f"order_{s}"] for s in sample.symbols if last[f"order_{s}"]} == {
        order["symbol"]: order["size"] for order in result.dynamic.pending
    }
    weights, leverage = result.dynamic.next_decision
    assert [last[f"next_w_{s}"] for s in sample.symbols] == list(weights.values())
    assert last["next_leverage"] == leverage


def test_a_last_session_that_decides_nothing_leaves_nothing(sample: Panel) -> None:
    result = backtest(sample.between(None, BETWEEN), make_config(QUICK))
    assert result.dynamic.pending == [] == run_summary(result.dynamic)["next_session"]["orders"]
    assert pending_in_words(result.dynamic, result.config) == []
    assert not [column for column in series_frame(result) if column.startswith(("next_", "order_"))]


def test_the_last_decision_in_words(sample: Panel) -> None:
    run = simulate(sample.between(None, LAST), make_config(QUICK))
    (line,) = pending_in_words(run, make_config())
    words = [f"{o['symbol']} {o['size']:+,}".replace("-", "−") for o in run.pending]
    assert line == (
        f"Decided on {LAST}, to be filled at the next open: {', '.join(words)}; leverage {run.next_decision[1]:.2f}."
    )
    assert "−" in line
    assert "+" in line
    (line,) = pending_in_words(run, make_config({"execution": "close"}))
    assert f"{LAST}, to be filled at that close, which the next session books: " in line
    day = run.pending[0]["decided"]
    many = [{"symbol": f"S{k}", "size": 0.5 + k, "decided": day} for k in range(14)]
    (line,) = pending_in_words(replace(run, pending=many), make_config())
    assert "S0 +0.500, S1 +1.500," in line
    assert "S11 +11.500, ... (14 orders); leverage" in line


@pytest.mark.parametrize("end", [LAST, BETWEEN])
def test_audit_and_backtest_count_the_same_orders(sample: Panel, end: str) -> None:
    config, panel = make_config(QUICK), sample.between(None, end)
    sent = simulate(panel, config).costs["orders"]["sent"]
    assert sent == len(record(Candidate(config), panel, Panel.feeds).orders()) > 100
    assert sent == simulate(panel, config, acknowledge=True).costs["orders"]["sent"]
    assert sent == simulate(panel, config, broker="stock").costs["orders"]["sent"]


def test_summary_runs_again_to_the_same_result(sample: Panel, tmp_path: Path) -> None:
    config = make_config({**QUICK, "end": "2012-12-31", "target_vol": 0.09})
    first = backtest_summary(backtest(sample, config))
    write_json(tmp_path / "a.json", first)
    again = read_config(tmp_path / "a.json")
    numbers = {"borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0, "prices": "adjusted"}
    assert {name: config[name] for name in numbers} == dict.fromkeys(numbers, "auto")
    assert again == {**config, **numbers}  # what was resolved is kept: no bill is known here
    write_json(tmp_path / "b.json", backtest_summary(backtest(sample, again)))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    content = json.loads((tmp_path / "a.json").read_text())
    assert set(content) == {
        "format", "config", "base", "constant", "dynamic", "benchmarks", "dynamic_beyond", "attribution", "data",
        "versions",
    }  # fmt: skip
    for name in ("base", "dynamic"):
        assert {"growth", "excess_sharpe", "ann_ret", "ann_vol", "sharpe", "max_drawdown", "costs"} <= set(
            content[name]
        )
    assert content["data"]["synthetic"] is True
    assert content["data"]["sha256"] == sample.sha256


KNOWN: dict[str, Run] = {}


def once(panel: Panel, config: Config) -> Run:
    """A run that many tests stand beside."""
    key = f"{panel.sha256} {config}"
    if key not in KNOWN:
        KNOWN[key] = simulate(panel, config)
    return KNOWN[key]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rebalance_freq", "W-FRI"), ("cov_lookback", 40), ("min_hist", 90), ("shrink_alpha", 0.8),
        ("alpha_minvar", 0.9), ("risk_parity", "notebook"), ("min_variance", "clipped"),
        ("shrinkage", "ledoit_wolf"), ("calendar", None), ("relever", "rebalance"), ("drift", "daily"),
        ("lev_band", 0.4), ("vol_lookback", 40), ("target_vol", 0.06), ("lev_min", 1.2), ("lev_max", 1.1),
        ("dd_threshold1", 0.01), ("dd_threshold2", 0.04), ("dd_min_scale", 0.9), ("whole_shares", False),
        ("cash", 5_000.0), ("execution", "close"), ("slippage_bps", 20.0), ("commission_bps", 20.0),
        ("commission_per_share", 0.01), ("commission_min", 5.0), ("initial_margin", 1.0),
        ("maintenance_margin", 0.5), ("borrow_rate", 0.2), ("cash_rate", 0.05), ("day_count", 360),
        ("financing", "retail:benchmark=0.02"), ("risk_free", 0.03), ("weights", "equal"), ("lookback", 40),
        ("on_error", "hold"), ("withholding", 0.3), ("strategy", bt.strategies.SMA_CrossOver),
        ("sizer", (bt.sizers.FixedSize, {"stake": 7})),
    ],
)  # fmt: skip
def test_every_parameter_changes_the_result(sample: Panel, name: str, value: Any, tmp_path: Path) -> None:
    # Thresholds low enough for the brake to be in use; maintenance matters at a call, so a market that falls.
    config = make_config({**QUICK, "dd_threshold1": 0.02, "dd_threshold2": 0.10})
    panel = sample.between(None, "2011-12-30")
    if name == "maintenance_margin":
        config |= {"lev_min": 2.0, "lev_max": 2.0}
    if name == "min_variance":
        config |= {"shrink_alpha": 0.0, "alpha_minvar": 0.9}
    if name == "lookback":
        config |= {"weights": "inverse_volatility"}
    if name == "sizer":
        config |= {"strategy": bt.strategies.SMA_CrossOver}
    if name == "withholding":
        panel = load("sample", prices="raw", end="2011-12-30")
    if name == "on_error":
        lines = ["def fails(returns, date):", "    return 1 / 0 if date.month == 6 else 0.1 + 0 * returns.mean()", ""]
        (tmp_path / "mine.py").write_text("\n".join(lines))
        config |= {"weights": f"{tmp_path / 'mine.py'}:fails"}
        with pytest.raises(StrategyError, match=r"weights of 2010-06-30 of .*: fails raises ZeroDivisionError"):
            simulate(panel, config)
        assert 6 not in {day.month for day in simulate(panel, {**config, name: value}).decided}
        return
    one, two = once(panel, config), simulate(panel, {**config, name: value})
    if name == "risk_free":  # changes what the account is held against, not the account
        assert one.value.equals(two.value)
        assert one.statistics["excess_sharpe"] > two.statistics["excess_sharpe"]
        return
    assert not one.value.equals(two.value)


def test_the_list_of_parameters_is_covered() -> None:
    marks = test_every_parameter_changes_the_result.pytestmark[0].args[1]  # type: ignore[attr-defined]
    covered = {name for name, _ in marks}
    assert covered == PARAMETERS.keys() - shown_parameters(*GROUPS["prices"])


def test_too_little_history_is_said(sample: Panel) -> None:
    with pytest.raises(ValueError, match=r"40 sessions decide no weights: min_hist=60 needs 61"):
        simulate(sample.between(None, sample.sessions[39]), make_config(QUICK))
    panel = sample.between(None, "2010-04-30")
    with pytest.raises(ValueError, match="first weights are decided on the last session, 2010-04-30"):
        simulate(panel, make_config({**QUICK, "min_hist": len(panel.sessions) - 1}))


def test_stock_broker_gives_the_same_within_its_rules(sample: Panel) -> None:
    config = make_config({**QUICK, "lev_max": 1.5})
    ours, stock = simulate(sample, config), simulate(sample, config, broker="stock")
    np.testing.assert_allclose(ours.value, stock.value, rtol=1e-9)


def test_progress_hears_of_every_session(sample: Panel) -> None:
    said: list[int] = []
    backtest(sample, make_config(QUICK), advance=said.append)
    assert sum(said) == 3 * len(sample.sessions)
    assert len(said) > 10


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_file(path, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["series.csv"]
    assert path.read_text() == "old"
    with pytest.raises(ValueError, match="cannot be written"):
        write_json(tmp_path / "no" / "x.json", {})
    with pytest.raises(ValueError, match="is a folder"):
        write_json(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[1]", "holds no parameters"),
        ('{"config": {"target_volt": 0.1}}', "target_volt=0.1 is not a parameter: did you mean target_vol"),
        ('{"target_vol": "high"}', "target_vol='high' is of the wrong type"),
        ('{"whole_shares": 1}', "whole_shares=1 is of the wrong type"),
        ('{"cov_lookback": 2.5}', "cov_lookback=2.5 is of the wrong type"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_config_file_that_is_none_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_config(path)


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_config(tmp_path / "c.json")
