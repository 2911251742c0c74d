"""Somebody's strategy through the sweep, the walk-forward, the page, and from a Cerebro of his own."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account
from riskoverlay.studies.cli import main
from riskoverlay.studies.financing import breakeven
from riskoverlay.studies.ladder import STRATEGY_RUNGS, ladder, step_intervals
from riskoverlay.studies.report import report, report_html
from riskoverlay.studies.sweep import judge, parse_dimension, sweep, sweep_summary
from riskoverlay.studies.sweep.rows import key_of
from riskoverlay.studies.walkforward import check_plannable, trade_plan, walk_summary, walkforward
from riskoverlay.studies.workbench import UNLEVERED, Config, add_analyzers, backtest, make_config, simulate
from riskoverlay.studies.workbench.allocations import files_of, full_name, with_params
from riskoverlay.studies.workbench.beside import constant_leverage

RATES = {"borrow_rate": 0.05, "cash_rate": 0.01, "risk_free": 0.0}


class Crosses(bt.Strategy):
    """Long above its slow mean; it asks its sizer, and can be changed in the middle of a run."""

    params = (("fast", 5), ("slow", 20))

    def reconfigure(self, **params: int) -> None:
        """Change parameters."""
        for name, value in params.items():
            setattr(self.p, name, value)

    def above(self) -> bool | None:
        """Whether the fast mean is above the slow one."""
        closes = self.data.close.get(size=self.p.slow)
        if len(closes) < self.p.slow:
            return None
        return float(np.mean(closes[-self.p.fast :])) > float(np.mean(closes))

    def next(self) -> None:
        """Enter and leave."""
        above = self.above()
        if above and not self.position:
            self.buy()
        elif above is False and self.position:
            self.close()


class Holds(Crosses):
    """The same, sizing itself."""

    params = (("part", 0.9),)  # type: ignore[assignment]  # backtrader adds them to the parent's

    def next(self) -> None:
        """Enter and leave."""
        above = self.above()
        if above is not None:
            self.order_target_percent(target=self.p.part if above else 0.0)


class Stake(bt.Sizer):
    """So many shares."""

    params = (("stake", 10), ("slow", 1))

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        return float(self.p.stake)


def config_of(strategy: Any, **more: Any) -> Config:
    return make_config({**RATES, "strategy": strategy, **more})


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", symbols=["SPY"], end="2012-03-30")


# -- names of arguments ------------------------------------------------------------------------------------------------


def test_an_argument_has_its_owner_before_its_name() -> None:
    config = config_of(Crosses, sizer=Stake)
    assert full_name(config, "fast") == "strategy.fast"
    assert full_name(config, "stake") == "sizer.stake"
    assert full_name(config, "sizer.slow") == "sizer.slow"
    with pytest.raises(InputError, match=r"slow may be strategy\.slow and sizer\.slow: give one of these names"):
        full_name(config, "slow")
    with pytest.raises(InputError, match=r"quick is no parameter, and no argument of Crosses: give one of fast, slow"):
        parse_dimension("quick=1,2", config)
    assert parse_dimension("target_vol=0.1,0.2", config).name == "target_vol"
    assert parse_dimension("fast=5:9:2", config).values == (5, 7, 9)
    assert full_name(make_config({"weights": "min_variance"}), "shrink_alpha") == "rule.shrink_alpha"
    assert full_name(make_config({"weights": "SPY:1"}), "shrink_alpha") == "shrink_alpha"
    rule = make_config({"weights": "min_variance"})
    assert parse_dimension("shrink_alpha=0.1,0.2", rule).name == "rule.shrink_alpha"
    assert parse_dimension("shrink_alpha=0.1,0.2", make_config()).name == "shrink_alpha"
    assert parse_dimension("lookback=40,60", rule).name == "lookback"


def test_arguments_are_changed_in_the_form_in_which_they_were_given(tmp_path: Path) -> None:
    config = config_of((Crosses, {"fast": 4}), sizer=Stake)
    changed = with_params(config, {"strategy.slow": 30, "sizer.stake": 3, "target_vol": 0.2})
    assert changed["strategy"] == (Crosses, {"fast": 4, "slow": 30})
    assert changed["sizer"] == (Stake, {"stake": 3})
    assert changed["target_vol"] == 0.2
    (tmp_path / "mine.py").write_text(
        "import backtrader as bt\nclass Mine(bt.Strategy):\n    params = dict(a=1, b=2)\n"
    )
    text = f"{tmp_path / 'mine.py'}:Mine:a=3"
    assert with_params(config_of(text), {"strategy.b": "x"})["strategy"] == f"{text},b='x'"
    with pytest.raises(InputError, match=r"strategy\.b is an argument of no strategy: give a strategy, too"):
        with_params(make_config(), {"strategy.b": 1})


# -- sweep -------------------------------------------------------------------------------------------------------------


def test_tries_are_runs_of_the_strategy(panel: Panel) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    config = config_of(Crosses)
    result = sweep(panel, config, [parse_dimension(one, config) for one in ("fast=3,5", "target_vol=0.1,0.3")])
    assert result.engine == "cerebro"
    for one in result.tries:
        own = {**config, "strategy": (Crosses, {"fast": one.params["strategy.fast"]}),
               "target_vol": one.params["target_vol"]}  # fmt: skip
        np.testing.assert_array_equal(one.returns, simulate(panel, own).returns)
    judged = judge(result, draws=50)
    best = result.config_of(judged.winner)
    m = len(result.sessions)
    assert list(judged.others) == ["base", "constant"]
    base = simulate(panel, {**best, **UNLEVERED}).value.pct_change().to_numpy()[-m:]
    np.testing.assert_array_equal(judged.others["base"], base)
    steady = constant_leverage(panel, best, simulate(panel, best).mean_leverage)
    np.testing.assert_array_equal(judged.others["constant"], steady.value.pct_change().to_numpy()[-m:])


def test_what_sizes_itself_is_held_against_the_strategy_as_given(panel: Panel) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    config = config_of((Holds, {"part": 0.5, "slow": 40}))
    judged = judge(sweep(panel, config, [parse_dimension("slow=10,20", config)]), draws=50)
    assert list(judged.others) == ["as_given"]
    given = simulate(panel, config).value.pct_change().to_numpy()[-len(judged.sweep.sessions) :]
    np.testing.assert_array_equal(judged.others["as_given"], given)
    content = sweep_summary(judged)
    said = " ".join(content["judgement"]["in_words"])
    assert "Against the strategy as given its Sharpe ratio differs by" in said
    assert "With the parameters as given the account" in said
    assert "base" not in content
    assert content["as_given"]["growth"] == pytest.approx(np.prod(1.0 + given) ** (252 / len(given)) - 1.0)


def test_the_twin_is_refused_by_name(panel: Panel) -> None:
    config = config_of(Crosses)
    fast = [parse_dimension("fast=3,5", config)]
    for run in (lambda: sweep(panel, config, fast, engine="twin"), lambda: ladder(panel, config, engine="twin")):
        with pytest.raises(InputError, match="engine='twin' runs strategies of weights alone: leave it out"):
            run()


def test_a_changed_file_is_another_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(name: str, power: int, day: int) -> str:
        """As a process sees it that begins in a folder of this name."""
        folder = tmp_path / name
        folder.mkdir()
        (folder / "helper_of_it.py").write_text(f"POWER = {power}\n")
        lines = [
            "import backtrader as bt",
            "from helper_of_it import POWER",
            "class Mine(bt.Strategy):",
            f"    day = {day}",
        ]
        (folder / "mine.py").write_text("\n".join(lines))
        monkeypatch.chdir(folder)
        sys.modules.pop("helper_of_it", None)
        config = config_of("mine.py:Mine")
        assert set(files_of(config)) == {"mine.py", "helper_of_it.py"}
        return key_of(config)

    keys = [key("one", 1, 1), key("again", 1, 1), key("helper", 2, 1), key("file", 2, 5)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_what_is_in_no_file_is_kept_nowhere(panel: Panel, tmp_path: Path) -> None:
    made: dict[str, Any] = {"__name__": "nowhere"}
    exec("import backtrader as bt\nclass Typed(bt.Strategy):\n    params = dict(a=1)", made)
    config = config_of(made["Typed"])
    with pytest.raises(InputError, match="Typed is in no file: a changed one could not be told from it"):
        sweep(panel, config, [parse_dimension("a=1,2", config)], storage=str(tmp_path / "s.db"))
    with pytest.raises(InputError, match=r"which a cluster does not have"):
        here = config_of(Crosses)
        sweep(panel, here, [parse_dimension("fast=3,5", here)], dask="tcp://x:1")


# -- walk-forward ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [Crosses, Holds])
def test_a_plan_of_one_entry_is_the_strategy(panel: Panel, strategy: type) -> None:
    config = config_of(strategy, target_vol=0.2)
    account = trade_plan(panel, config, [(panel.sessions[0], {})])
    run = simulate(panel, config)
    np.testing.assert_allclose(account.returns, run.value.pct_change().to_numpy()[1:], rtol=0, atol=1e-15)
    assert account.costs["end"] == run.costs["end"]
    assert account.overlaid == (strategy is Crosses)


def test_a_plan_changes_strategy_and_overlay_on_its_day(panel: Panel) -> None:
    config, day = config_of(Crosses), panel.sessions[300]
    plain = trade_plan(panel, config, [(panel.sessions[0], {})]).returns
    for change in ({"strategy.fast": 2}, {"target_vol": 0.02}):
        changed = trade_plan(panel, config, [(panel.sessions[0], {}), (day, change)]).returns
        assert (changed[:day] == plain[:day]).all(), change
        assert not (changed[day:] == plain[day:]).all(), change


def test_nothing_is_sent_before_the_plan_begins(panel: Panel) -> None:
    day = panel.sessions[200]
    account = trade_plan(panel, config_of(Holds), [(day, {})])
    assert account.returns.index[0] == panel.sessions[201]
    later = simulate(panel, config_of(Holds)).value.pct_change()[account.returns.index]
    assert not np.allclose(account.returns, 0.0)
    np.testing.assert_allclose(account.returns[5:], later[5:], atol=2e-3)  # the same fractions of another equity


def test_a_walk_knows_nothing_of_what_comes_later(panel: Panel) -> None:
    config = config_of(Crosses)
    fast = [parse_dimension("fast=2,5,9", config)]
    whole = walkforward(panel, config, fast, train=9, test=3)
    early = walkforward(panel.between(None, "2011-12-30"), config, fast, train=9, test=3)
    shared = early.account.returns.index
    np.testing.assert_array_equal(whole.account.returns[shared], early.account.returns)
    assert whole.choices[: len(early.choices)] == early.choices
    assert whole.constant is not None
    assert "constant" in walk_summary(whole)


def test_what_cannot_be_changed_is_refused(panel: Panel) -> None:
    cross = config_of(bt.strategies.SMA_CrossOver)
    with pytest.raises(InputError, match=r"SMA_CrossOver cannot be changed in the middle of a run: give it a method"):
        walkforward(panel, cross, [parse_dimension("fast=2,5", cross)])
    sized = config_of(Crosses, sizer=Stake)
    check_plannable(sized, ["strategy.fast"])
    with pytest.raises(InputError, match="Stake cannot be changed in the middle of a run"):
        check_plannable(sized, ["sizer.stake"])


def test_a_walk_of_one_account_has_no_constant(panel: Panel) -> None:
    config = config_of(Holds)
    walk = walkforward(panel, config, [parse_dimension("fast=2,5", config)], train=9, test=6)
    assert walk.constant is None
    assert "constant" not in walk_summary(walk)
    given = simulate(panel, config).value.pct_change()[walk.account.returns.index]
    assert walk.legs["unchosen"]["growth"] == pytest.approx(np.prod(1.0 + given) ** (252 / len(given)) - 1.0)


# -- pages, ladder, breakeven ------------------------------------------------------------------------------------------


def words_of(page: str) -> str:
    return re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)


@pytest.mark.parametrize("strategy", [Crosses, Holds])
def test_the_page_of_a_strategy(panel: Panel, strategy: type) -> None:
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    config = config_of(strategy)
    climbed = ladder(panel, config, workers=1)
    result = backtest(panel, config)
    assert ("no overlay" in words_of(report_html(result))) == (strategy is Holds)
    words = words_of(report_html(result, ladder=climbed))
    assert f"{strategy.__name__}: from a free broker to account" in words
    assert not re.search(r"\bnan\b(?! \()", words, re.IGNORECASE)
    assert "notebook ratio" not in words
    assert "leverage held" in words
    assert ("Dynamic" in words) == (strategy is Crosses)
    assert "Risk contributions" not in words


@pytest.mark.ci
def test_commands_write_page_picture_and_summary_of_a_strategy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("import backtrader as bt\nclass Mine(bt.strategies.SMA_CrossOver):\n    pass\n")
    flags = ["--symbols", "SPY", "--end", "2010-09-30", "--strategy", "mine.py:Mine:fast=5,slow=20"]
    files = ["--html", "a.html", "--png", "a.png", "--json", "a.json", "--csv", "a.csv"]
    assert main(["backtest", *flags, *files, "--benchmark", "SPY", "--confidence"]) == 0
    assert "Mine on SPY, sample" in capsys.readouterr().out
    content = json.loads(Path("a.json").read_text())
    assert content["config"]["strategy"] == "mine.py:Mine:fast=5,slow=20"
    assert list(content["files"]) == ["mine.py"]
    assert set(content["confidence"]) == {"base", "dynamic", "difference"}
    again = ["--json", "b.json", "--csv", "b.csv", "--benchmark", "SPY", "--confidence"]
    assert main(["backtest", "--config", "a.json", *again, "--quiet"]) == 0
    assert Path("b.json").read_bytes() == Path("a.json").read_bytes()
    assert Path("b.csv").read_bytes() == Path("a.csv").read_bytes()
    assert main(["ladder", *flags, *files, "--quiet", "--workers", "1"]) == 0
    assert all(Path(name).stat().st_size > 1000 for name in ("a.html", "a.png", "a.json", "a.csv"))
    for name in ("--weights-csv=w.csv", "--check-twin"):
        assert main(["backtest", *flags, "--json", "", "--csv", "", name]) == 2
        assert "is of weights, and a strategy decides itself" in capsys.readouterr().err


def test_a_step_of_a_strategys_ladder_has_an_interval(panel: Panel) -> None:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    result = ladder(panel, config_of(Holds, commission_bps=20.0), workers=1)
    sure = step_intervals(result, draws=100)
    assert list(sure) == ["account"]
    changing = [step.rung.id for step in result.steps[1:] if step.changes]
    assert list(sure["account"]) == changing
    assert sure["account"]["commission"].told_apart
    at = [rung.id for rung in STRATEGY_RUNGS].index("commission")
    assert sure["account"]["commission"].excess_sharpe.estimate == pytest.approx(
        result.changes("account")[at], abs=1e-9
    )


def test_a_breakeven_needs_an_overlay(panel: Panel) -> None:
    with pytest.raises(
        InputError, match="a strategy that sizes itself has no dynamic and no base: ask for no breakeven"
    ):
        breakeven(panel, config_of(Holds))


# -- a Cerebro of one's own --------------------------------------------------------------------------------------------


def own(panel: Panel, strategy: type, *, analyzers: bool = True, stock: bool = False, **params: Any) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    if stock:
        cerebro.broker.setcommission(commission=0.002)
    else:
        open_account(cerebro, 50_000.0, commission_bps=3.0, slippage_bps=4.0, borrow_rate=0.05, cash_rate=0.01)
    cerebro.addstrategy(strategy, **params)
    if strategy is not Holds:
        cerebro.addsizer(VolTargetDrawdownSizer, target_vol=0.2)
    if analyzers:
        add_analyzers(cerebro)
    return cerebro.run()


def test_a_run_of_ones_own_gives_the_page_of_the_command(panel: Panel, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    page = report(tmp_path / "a.html", own(panel, Holds, slow=30), panel, risk_free=0.0)
    terms = {"cash": 50_000.0, "commission_bps": 3.0, "slippage_bps": 4.0}
    same = backtest(panel, config_of((Holds, {"slow": 30}), **terms))
    assert page.config == same.config
    assert page.runs["account"].value.equals(same.runs["account"].value)
    assert page.runs["account"].statistics == same.runs["account"].statistics
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == report_html(same)


def test_several_runs_stand_beside_each_other(panel: Panel, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    three = load("sample", symbols=["SPY", "TLT", "GLD"], end="2012-03-30")
    runs = {"cross": own(three, Crosses)[0], "blend": own(three, RiskParityBlend, min_hist=90)[0]}
    page = report(tmp_path / "a.html", runs, three)
    assert page.lead == "blend"
    assert page.config["min_hist"] == 90
    assert page.config["target_vol"] == 0.2
    words = words_of((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert "beyond cross" in words
    assert "commission 3 bps, slippage 4 bps" in words


def test_backtraders_own_broker_is_told_as_it_is(panel: Panel, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    page = report(tmp_path / "a.html", own(panel, Holds, stock=True), panel)
    assert page.config["commission_bps"] == pytest.approx(20.0)
    assert page.config["borrow_rate"] == page.config["slippage_bps"] == 0.0
    fill = page.leading.fills[0]
    assert fill["commission"] == pytest.approx(0.002 * abs(fill["size"]) * fill["price"])


def test_what_is_no_run_to_show_is_refused(panel: Panel, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("old")
    ran = own(panel, Holds)

    class Scheme(bt.CommInfoBase):  # type: ignore[misc]
        pass

    for strategies, bars, said in (
        ([], panel, "there is no strategy: give what"),
        ([ran[0], ran[0]], panel, "2 strategies share one account: give a mapping"),
        (own(panel, Holds, analyzers=False), panel, "account has no DailySeries: call add_analyzers"),
        (ran, panel.between(None, "2011-12-30"), "account ran on 566 sessions, and the panel has 504, or others"),
    ):
        with pytest.raises(InputError, match=said):
            report(path, strategies, bars)
    ran[0].broker.account = Scheme()
    with pytest.raises(InputError, match="the page cannot say what Scheme charges: open the account with open_account"):
        report(path, ran, panel)
    assert path.read_text() == "old"


class Stops(Crosses):
    """Leaves a stop behind on the last bar, and an order."""

    def next(self) -> None:
        """Buy, and protect."""
        if not self.position and len(self) == 30:
            self.buy()
        if len(self) == self.data.buflen():
            self.sell(exectype=bt.Order.Stop, price=1.0)
            self.close()


def test_what_waits_for_a_price_is_not_said_to_be_filled_next(panel: Panel) -> None:
    run = simulate(panel, config_of(Stops))
    held = sum(fill["size"] for fill in run.fills)
    assert [order["size"] for order in run.pending] == [-held]


class Greedy(Crosses):
    """Wants more than there is."""

    def next(self) -> None:
        """Ask."""
        if len(self) == 30:
            self.buy(size=1_000_000)


def test_what_was_never_filled_says_what_became_of_it(panel: Panel) -> None:
    said = r"no order of Greedy was filled in 566 sessions: 1 sent, 1 rejected: give more cash, or send smaller orders"
    with pytest.raises(InputError, match=said):
        simulate(panel, config_of(Greedy))


def test_files_hold_a_class_as_text(panel: Panel, tmp_path: Path) -> None:
    from riskoverlay.studies.workbench.summaries import backtest_summary

    content = backtest_summary(backtest(panel, config_of((Holds, {"slow": 30}))))
    assert content["config"]["strategy"] == f"{__name__}:Holds:slow=30"
    assert content["config"]["sizer"] is None
    assert pd.Timestamp(content["data"]["statistics_from"]) > panel.sessions[0]
