"""Anybody's strategy through the account and up the ladder: unsized ones with the overlay, others as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from riskoverlay.errors import InputError, StrategyError
from riskoverlay.feeds import Panel, load
from riskoverlay.strategies import VolTargetDrawdownSizer, open_account
from riskoverlay.studies.cli import main
from riskoverlay.studies.ladder import STRATEGY_RUNGS, Ladder, conclusion, ladder
from riskoverlay.studies.workbench import backtest, make_config, simulate

RATES = {"borrow_rate": 0.05, "cash_rate": 0.01, "risk_free": 0.0}
UNSIZED = bt.strategies.SMA_CrossOver
CROSS = {"strategy": (UNSIZED, {"fast": 10, "slow": 40})}

MINE = """
import backtrader as bt
class Holds(bt.Strategy):
    params = dict(part=0.6, day=30, bad=0)
    def next(self):
        if len(self) == self.p.bad:
            raise KeyError('bad day')
        if len(self) % self.p.day == 1:
            for data in self.datas:
                self.order_target_percent(data, self.p.part / len(self.datas))
class Tens(bt.Sizer):
    def _getsizing(self, comminfo, cash, data, isbuy):
        return 10
class Crosses(bt.strategies.SMA_CrossOver):
    pass
class Nothing(bt.Strategy):
    pass
"""


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", symbols=["SPY"], end="2012-06-29")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def by_hand(panel: Panel, sizing: dict[str, Any] | None, **account: Any) -> list[float]:
    """Equity at each close, through a Cerebro put together here."""
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    open_account(cerebro, **{"borrow_rate": 0.05, "cash_rate": 0.01, **account})
    cerebro.addstrategy(UNSIZED, fast=10, slow=40)
    if sizing is not None:
        cerebro.addsizer(VolTargetDrawdownSizer, **sizing)
    values: list[float] = []

    class Values(bt.Analyzer):
        def notify_fund(self, cash: float, value: float, *_: Any) -> None:
            values.append(value)

    cerebro.addanalyzer(Values)
    cerebro.run()
    return values


def test_unsized_orders_are_levered(panel: Panel) -> None:
    runs = backtest(panel, make_config({**RATES, **CROSS, "target_vol": 0.2})).runs
    assert list(runs) == ["base", "constant", "dynamic"]
    assert runs["base"].value.tolist() == by_hand(panel, {"lev_min": 1.0, "lev_max": 1.0})
    assert runs["dynamic"].value.tolist() == by_hand(panel, {"target_vol": 0.2})
    for run in runs.values():
        first = pd.Timestamp(run.fills[0]["date"])
        assert run.returns.index[0] == first
        np.testing.assert_allclose(run.returns, run.value.pct_change().loc[first:], rtol=0, atol=1e-12)
        assert len(run.risk_free) == len(run.returns)


def test_a_strategy_that_sizes_itself_is_one_account(mine: Path, panel: Panel) -> None:
    assert main(["backtest", "--symbols", "SPY", "--end", "2012-06-29", "--strategy", "mine.py:Holds", "--csv", "a.csv",
                 "--json", "a.json", "--quiet"]) == 0  # fmt: skip
    content, frame = json.loads(Path("a.json").read_text()), pd.read_csv("a.csv", index_col="date")
    assert "dynamic" not in content
    assert 0.5 < content["account"]["mean_leverage"] < 0.7
    assert content["account"]["costs"]["end"] == pytest.approx(frame["value_acc"].iloc[-1])
    assert list(content["files"]) == ["mine.py"]
    assert list(frame) == ["SPY", "ret_SPY", "ret_port_acc", "equity_acc", "dd_acc", "value_acc"]


def test_a_sizer_of_its_own_is_used(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--symbols", "SPY", "--end", "2012-06-29", "--csv", "", "--json", "a.json"]
    assert main(["backtest", *flags, "--strategy", "mine.py:Crosses:fast=10,slow=40", "--sizer", "mine.py:Tens"]) == 0
    account = json.loads(Path("a.json").read_text())["account"]
    assert account["costs"]["orders"]["filled"] > 10
    assert 0.0 < account["mean_leverage"] < 0.05
    out = capsys.readouterr().out
    assert "Crosses on SPY, sample" in out
    assert all(len(line) <= 80 for line in out.splitlines())


# -- the ladder --------------------------------------------------------------------------------------------------------


def test_the_ladder_ends_in_the_backtest_and_begins_on_backtraders_broker(panel: Panel) -> None:
    config = make_config({**RATES, **CROSS, "commission_per_share": 0.01, "slippage_bps": 5.0})
    result = ladder(panel, config, workers=1)
    assert [step.rung for step in result.steps] == list(STRATEGY_RUNGS)
    last = backtest(panel, config)
    assert result.legs == ("base", "dynamic")
    for leg in result.legs:
        assert result.steps[-1].legs[leg].returns.equals(last.runs[leg].returns)
        assert result.steps[-1].legs[leg].statistics == last.runs[leg].statistics
    assert result.constant is not None
    assert result.constant.statistics == last.constant.statistics
    # The top: a Cerebro of backtrader alone, with cheat-on-close, whose orders are a number of shares.
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    cerebro.broker.set_cash(100_000.0)
    cerebro.broker.set_coc(True)
    cerebro.addstrategy(UNSIZED, fast=10, slow=40)
    cerebro.addsizer(VolTargetDrawdownSizer, lev_min=1.0, lev_max=1.0, whole_shares=False)
    cerebro.run()
    grown = 100_000.0 * float((1.0 + result.steps[0].legs["base"].returns).prod())
    assert grown == pytest.approx(cerebro.broker.getvalue(), rel=1e-12)


@pytest.fixture(scope="module")
def with_it(panel: Panel) -> Ladder:
    """A ladder of which every rung changes something."""
    return ladder(panel, make_config({**RATES, **CROSS, "target_vol": 0.3}), workers=1)


@pytest.mark.parametrize(
    ("rung", "flag", "value"),
    [
        ("next_open_fills", "execution", "close"),
        ("whole_shares", "whole_shares", False),
        ("commission", "commission_bps", 0.0),
        ("slippage", "slippage_bps", 0.0),
        ("loan_interest", "borrow_rate", 0.0),
    ],
)
def test_a_rung_that_changes_nothing_says_so(panel: Panel, with_it: Ladder, rung: str, flag: str, value: Any) -> None:
    more = {"cash_rate": 0.0} if rung == "loan_interest" else {}
    without = ladder(panel, make_config({**RATES, **CROSS, **more, "target_vol": 0.3, flag: value}), workers=1)
    (one,), (two,) = ([step for step in result.steps if step.rung.id == rung] for result in (with_it, without))
    assert one.changes
    assert one.what == one.rung.what
    assert not two.changes
    assert two.what == "no change with these flags"
    (said,) = re.findall(r"Nothing changed at ([a-z_, ]+)", conclusion(without))
    assert rung in said.split(", ")


def test_the_command_climbs(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--symbols", "SPY,TLT", "--end", "2010-12-31", "--strategy", "mine.py:Holds:part=1.4"]
    assert main(["ladder", *flags, "--json", "l.json", "--csv", "l.csv"]) == 0
    out = capsys.readouterr().out
    content, frame = json.loads(Path("l.json").read_text()), pd.read_csv("l.csv", index_col="rung")
    assert list(frame.index) == [rung.id for rung in STRATEGY_RUNGS] == [rung["id"] for rung in content["rungs"]]
    assert frame["account_growth"].iloc[-1] == content["rungs"][-1]["account"]["growth"]
    assert " ".join(content["conclusion"].split()) in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())
    # 1.4 times the money: backtrader's own broker refuses what a margin account lends.
    assert content["rungs"][2]["mean_leverage"]["account"] < 1.01 < content["rungs"][3]["mean_leverage"]["account"]
    assert main(["backtest", *flags, "--json", "b.json", "--csv", "", "--quiet"]) == 0
    last = json.loads(Path("b.json").read_text())["account"]
    assert {name: last[name] for name in ("growth", "excess_sharpe", "max_drawdown")} == {
        name: content["rungs"][-1]["account"][name] for name in ("growth", "excess_sharpe", "max_drawdown")
    }


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--sizer", "mine.py:Tens"], "sizer belongs to a strategy of your own: give one, too, or no sizer"),
        (["--strategy", "mine.py:Tens"], "mine.py: Tens is no strategy there: give one of Holds, Crosses, Nothing"),
        (["--strategy", "mine.py:Holds:x=1"], "x=1 is no parameter of Holds"),
        (["--strategy", "mine.py:Holds", "--cov-lookback", "60"], "cov_lookback is of weights, and strategy=..."),
        (["--strategy", "mine.py:Holds", "--weights", "equal"], "weights is of weights, and strategy=..."),
        (["--strategy", "mine.py:Nothing"], "no order of Nothing was filled in"),
        (["--strategy", "mine.py:Holds:bad=40"], "Holds raises KeyError: 'bad day': correct the strategy"),
        (["--strategy", "other.py:Holds"], "other.py does not exist"),
    ],
)
@pytest.mark.parametrize("command", ["backtest", "ladder"])
def test_what_cannot_be_run_is_refused(
    command: str, flags: list[str], said: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.json").write_text("old")
    assert main([command, "--symbols", "SPY", "--end", "2010-12-31", "--json", "a.json", *flags]) == 2
    assert said in capsys.readouterr().err
    assert Path("a.json").read_text() == "old"


def test_an_error_elsewhere_is_no_users(panel: Panel, mine: Path) -> None:
    class Fails(bt.Strategy):
        def next(self) -> None:
            raise KeyError("mine")

    with pytest.raises(KeyError):  # in no file that was given
        simulate(panel, make_config({**RATES, "strategy": Fails}))
    with pytest.raises(StrategyError, match="Holds raises KeyError"):
        simulate(panel, make_config({**RATES, "strategy": "mine.py:Holds:bad=40"}))
    with pytest.raises(InputError, match="no order of Nothing was filled"):
        simulate(panel, make_config({**RATES, "strategy": type("Nothing", (bt.Strategy,), {})}))
    with pytest.raises(InputError, match=r"strategy=<class 'int'> is none: give a class of bt.Strategy"):
        simulate(panel, make_config({**RATES, "strategy": int}))
