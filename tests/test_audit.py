"""The look-ahead audit: eight cheats, each found at its first use, and no alarm on what is honest."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import cheats
import numpy as np
import pandas as pd
import pytest
from markets import QUICK
from markets import panel as panel_of

from riskoverlay.analyzers import (
    AnnualizedSharpe,
    DailySeries,
    Exposure,
    Fills,
    MaxDrawdown,
    StrategyProfit,
    TradingCosts,
)
from riskoverlay.feeds import Panel, align, load
from riskoverlay.strategies import open_account
from riskoverlay.studies.audit import audit, audit_summary, cuts, record
from riskoverlay.studies.audit.candidate import Candidate
from riskoverlay.studies.audit.changes import AFTER, INSIDE, changed_after, changed_inside
from riskoverlay.studies.audit.cuts import Auditor
from riskoverlay.studies.cli import main
from riskoverlay.studies.workbench.parameters import make_config
from riskoverlay.studies.workbench.references import parse_reference

Setup = Callable[[bt.Cerebro], None]

SINCE = dt.date(2010, 4, 13)
FEW = ("removed", "replaced", "times ten")


@pytest.fixture(scope="module")
def short() -> Panel:
    """145 sessions of two symbols; 2010-05-31 and 2010-07-05 are holidays."""
    return load("sample", symbols="SPY,TLT", end="2010-07-30")


def using(
    strategy: type,
    *,
    coc: bool = False,
    coo: bool = False,
    slip: float = 0.0,
    sizer: tuple[type, dict[str, Any]] | None = None,
    analyzers: tuple[type, ...] = (),
    **params: Any,
) -> Setup:
    def setup(cerebro: bt.Cerebro) -> None:
        cerebro.p.cheat_on_open = coo
        cerebro.broker.set_cash(1e6)
        cerebro.broker.set_coc(coc)
        if slip:
            cerebro.broker.set_slippage_perc(slip)
        cerebro.addstrategy(strategy, **params)
        if sizer is not None:
            cerebro.addsizer(sizer[0], **sizer[1])
        for analyzer in analyzers:
            cerebro.addanalyzer(analyzer)

    return setup


AHEAD, SAME = "look-ahead", "same bar"
LEAK = cheats.Leak
SIZED = (cheats.FutureSizer, {"since": SINCE})

# kind, session in which the future is first used, what differs
CHEATS: dict[str, tuple[Setup, Any, dt.date, str, tuple[str, ...]]] = {
    "data.close[1]": (using(cheats.NextClose, since=SINCE), None, SINCE, AHEAD, ("crash", "order")),
    "full-sample normalisation": (using(cheats.Normalised, since=SINCE), None, SINCE, AHEAD, ("order",)),
    "pandas on the whole frame": (using(cheats.Centred, since=SINCE), None, SINCE, AHEAD, ("order",)),
    "month-end from the next bar": (using(cheats.MonthEnd, since=SINCE), None, SINCE, AHEAD, ("order",)),
    "same close, decided on the high": (using(cheats.OnTheHigh, coc=True, since=SINCE), None, SINCE, SAME, ("order",)),
    "same open, decided on the close": (using(cheats.AtTheOpen, coo=True, since=SINCE), None, SINCE, SAME, ("order",)),
    "sizer": (using(cheats.Momentum, sized=False, sizer=SIZED), None, SINCE, AHEAD, ("order",)),
    "feed that back-fills": (using(cheats.Momentum), cheats.BackFilled(SINCE), dt.date(2010, 5, 31), AHEAD, ("bar",)),
    "analyzer that leaks": (using(cheats.Hinted, analyzers=(LEAK,), since=SINCE), None, SINCE, AHEAD, ("order",)),
    # The first order of all: nothing about it is honest, its price is capped at the next bar's high.
    "fill at the close, capped by the next high": (
        using(cheats.Momentum, coc=True, slip=0.02), None, dt.date(2010, 1, 25), AHEAD, ("fill",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHEATS)
def test_a_planted_cheat_is_found_at_its_first_use(short: Panel, name: str) -> None:
    setup, feeds, first_use, kind, what = CHEATS[name]
    result = audit(setup, short, feeds=feeds or Panel.feeds, cuts=12)
    assert not result.clean
    first = result.first
    assert first is not None
    assert (first.kind, first.date) == (kind, first_use)
    assert first.what in what
    assert first.before != first.after
    assert first.cut is not None
    assert first.cut >= first_use or first.what == "bar"  # made by the feed between two sessions
    assert str(first_use) in first.sentence()


HONEST_TWINS: dict[str, tuple[Setup, Any]] = {
    "momentum": (using(cheats.Momentum), None),
    "month-end, not yet cheating": (using(cheats.MonthEnd), None),
    "at the close, on closes": (using(cheats.OnTheHigh, coc=True), None),
    "with cheat-on-open, not using it": (using(cheats.Momentum, coo=True), None),
    "sizer": (using(cheats.Momentum, sized=False, sizer=(cheats.FutureSizer, {})), None),
    "feed that fills forward": (using(cheats.Momentum), cheats.ForwardFilled(SINCE)),
}


@pytest.mark.parametrize("name", HONEST_TWINS)
def test_without_its_cheat_the_same_thing_is_clean(short: Panel, name: str) -> None:
    setup, feeds = HONEST_TWINS[name]
    result = audit(setup, short, feeds=feeds or Panel.feeds, cuts=8, changes=FEW)
    assert result.clean, result.findings


def test_every_session_is_a_cut_when_as_many_are_asked_for(short: Panel) -> None:
    result = audit(using(cheats.NextClose, since=SINCE), short, cuts=1_000, changes=("removed",))
    assert [cut.date for cut in result.cuts] == list(short.sessions[:-1].date)
    assert [cut.finding is None for cut in result.cuts] == [cut.date < SINCE for cut in result.cuts]


# -- no alarm --------------------------------------------------------------------------------------------------------


def quick_config(**values: Any) -> dict[str, Any]:
    return make_config({**QUICK, "cov_lookback": 20, "min_hist": 20, "vol_lookback": 10, **values})


HONEST = {
    "SMA_CrossOver": (using(bt.strategies.SMA_CrossOver, fast=5, slow=12), 4),
    "momentum": (using(cheats.Momentum), 40),
    "ours": (Candidate(quick_config()), 15),
}


def honest(name: str, futures: tuple[str, ...]) -> None:
    setup, orders = HONEST[name]
    panel = load("sample", symbols="SPY,TLT", end="2010-10-19")
    assert len(panel.sessions) == 201
    result = audit(setup, panel, cuts=200, changes=futures)
    assert result.clean, result.findings[0].sentence()
    assert len(result.cuts) == 200
    one_of_two = {"times ten", "tenth"} <= set(futures)  # prices ten times as high, or a tenth, after every other cut
    everywhere = len([future for future in futures if future != "nan"]) - one_of_two
    assert {cut.runs for cut in result.cuts} == {everywhere, everywhere + ("nan" in futures)}
    assert result.orders >= orders


@pytest.mark.long
@pytest.mark.parametrize("name", HONEST)
def test_no_alarm_on_honest_strategies_at_200_cuts(name: str) -> None:
    honest(name, ("replaced",) if name == "ours" else ("removed", "replaced"))


@pytest.mark.long
@pytest.mark.parametrize("name", HONEST)
def test_no_alarm_at_200_cuts_and_all_futures(name: str) -> None:
    honest(name, AFTER)


@pytest.mark.parametrize(
    "values", [{}, {"execution": "close"}, {"calendar": None, "drift": "daily", "whole_shares": False}]
)
def test_ours_is_clean_in_every_way_to_run_it(short: Panel, values: dict[str, Any]) -> None:
    result = audit(Candidate(quick_config(**values)), short, cuts=12)
    assert result.clean, result.findings[0].sentence()
    assert result.orders > 5


def test_our_analyzers_decide_nothing(short: Panel) -> None:
    class WithAll:
        def __call__(self, cerebro: bt.Cerebro) -> None:
            open_account(cerebro)
            cerebro.addstrategy(cheats.Momentum)
            for analyzer in (AnnualizedSharpe, DailySeries, Exposure, Fills, MaxDrawdown, StrategyProfit, TradingCosts):
                cerebro.addanalyzer(analyzer)

    assert audit(WithAll(), short, cuts=6, changes=FEW).clean


def files(folder: Path, panel: Panel, kind: str) -> None:
    for symbol, frame in panel.frames.items():
        if kind == "csv":
            frame.to_csv(folder / f"{symbol}.csv")
        elif kind == "parquet":
            frame.to_parquet(folder / f"{symbol}.parquet")
    if kind == "wide":
        panel.closes.to_csv(folder / "wide.csv")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "parquet", "wide", "pandas"])
def test_every_feed_delivers_a_bar_only_when_it_is_over(short: Panel, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")

    def feeds(panel: Panel) -> list[Any]:
        if panel.closes.isna().any(axis=None):
            return panel.feeds()  # what files refuse
        if kind == "pandas":
            return [bt.feeds.PandasData(dataname=frame, name=symbol) for symbol, frame in panel.frames.items()]
        files(tmp_path, panel, kind)
        where = tmp_path / "wide.csv" if kind == "wide" else tmp_path
        return load(kind, symbols="SPY,TLT", data_dir=where).feeds()

    result = audit(using(cheats.Momentum), short, feeds=feeds, cuts=4, changes=FEW)
    assert result.clean, result.findings[0].sentence()


@pytest.mark.long
def test_ours_on_real_prices(market: Path) -> None:
    panel = load("csv", data_dir=market, start="2023-01-01", end="2025-12-04")
    result = audit(Candidate(make_config(QUICK)), panel, cuts=5)
    assert result.clean, result.findings[0].sentence()
    assert result.orders > 100


# -- beside the cuts -------------------------------------------------------------------------------------------------


def kinds(setup: Setup, panel: Panel, **more: Any) -> dict[str, Any]:
    return {finding.kind: finding for finding in audit(setup, panel, cuts=1, changes=("tenth",), **more).findings}


def test_two_runs_that_differ_are_said_and_nothing_else(short: Panel) -> None:
    result = audit(using(cheats.Unseeded, since=SINCE), short, cuts=5)
    assert [finding.kind for finding in result.findings] == ["repeat"]
    assert result.findings[0].date >= SINCE
    assert result.cuts == ()
    cheats.Remembers.seen.clear()
    assert "repeat" in kinds(using(cheats.Remembers, since=SINCE), short)


def test_a_value_that_depends_on_where_the_bars_start(short: Panel) -> None:
    found = kinds(using(cheats.SlowAverage), short)["warm-up"]
    assert (found.what, found.strategy) == ("indicator", "SlowAverage")
    assert "ExponentialSmoothing" in found.before
    assert "2010-01-05" in found.change
    assert "warm-up" not in kinds(using(cheats.SlowAverage, period=5), short)
    assert kinds(using(cheats.EveryTenth), short)["warm-up"].what == "order"


class Anchored(bt.Indicator):
    """Knows where the bars start: a share more than 1 (or than 0) if they start where those of the panel do."""

    lines = ("value",)
    params = (("first", 0.0), ("share", 0.0), ("level", 1.0))

    def next(self) -> None:
        self.lines.value[0] = self.p.level + self.p.share * (self.data.close.array[0] == self.p.first)


@pytest.mark.parametrize(("share", "level", "finds"), [(1.1e-6, 1.0, True), (0.9e-6, 1.0, False), (0.0, 0.0, False)])
def test_what_a_value_may_still_know_of_bars_that_are_long_past(
    short: Panel, share: float, level: float, finds: bool
) -> None:
    class Anchor(bt.Strategy):
        def __init__(self) -> None:
            first = float(short.frames["SPY"]["close"].iloc[0])
            self.anchored = Anchored(self.data, first=first, share=share, level=level)

    found = kinds(using(Anchor), short)
    assert ("warm-up" in found) is finds
    if finds:
        last_third = short.sessions[len(short.sessions) - len(short.sessions) // 3]
        assert found["warm-up"].date == last_third.date()
        assert found["warm-up"].before == "Anchored[0].value 1.0000011"
        assert found["warm-up"].after == "1"


@pytest.mark.parametrize("strategy", [cheats.OnTheHigh, cheats.AtTheOpen])
def test_a_cut_says_how_many_runs_were_compared(short: Panel, strategy: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those inside of the bar that decides and fills, at the open or at the close."""
    later = dt.date(2010, 7, 20)  # honest until then
    setup = using(strategy, coc=strategy is cheats.OnTheHigh, coo=strategy is cheats.AtTheOpen, since=later)
    auditor = Auditor(setup, short, Panel.feeds, ("removed", "replaced", "nan"), 0, record(setup, short, Panel.feeds))
    made = []

    def counted(*args: Any, **mode: Any) -> Any:
        made.append(mode.get("runonce"))
        return record(*args, **mode)

    monkeypatch.setattr(cuts, "record", counted)
    for at in (99, 100):  # bars without numbers are tried after one session in five
        made.clear()
        assert auditor.cut(at).runs == len(made) == 2 + (at == 100) + len(INSIDE)


def test_weights_are_compared_with_those_of_a_later_start(short: Panel) -> None:
    class Weighs(cheats.Momentum):
        params = (("anchored", True),)  # type: ignore[assignment]
        base_weights: list[float] | None = None

        def next(self) -> None:
            super().next()
            if len(self) % 3 == 0:
                first = self.data.close[1 - len(self)] if self.p.anchored else 100.0
                self.base_weights = [self.data.close[0] / first, 0.0]

    found = kinds(using(Weighs), short)["warm-up"]
    assert found.what == "weights"


def test_modes_of_the_engine_must_agree(short: Panel) -> None:
    found = kinds(using(cheats.CountsBars), short)["mode"]
    assert (found.date, found.what, found.change) == (short.sessions[19].date(), "order", "preload=False")


def test_a_crash_is_said_with_its_session(short: Panel) -> None:
    found = kinds(using(cheats.NextClose, since=SINCE), short)["crash"]
    assert found.date == short.sessions[-1].date()
    assert "IndexError" in found.sentence()


def test_a_run_that_does_not_start_is_refused(short: Panel) -> None:
    class Broken(bt.Strategy):
        def __init__(self) -> None:
            raise TypeError("no such thing")

    with pytest.raises(ValueError, match=r"does not start \(TypeError: no such thing\): correct"):
        audit(using(Broken), short)
    with pytest.raises(ValueError, match="lev_band=-1"):
        audit(Candidate(quick_config(lev_band=-1.0)), short)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"cuts": 0}, "cuts=0"), ({"workers": -1}, "workers=-1"), ({"changes": ("past",)}, "'past' is not known")],
)
def test_arguments_are_checked(short: Panel, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        audit(using(cheats.Momentum), short, **arguments)
    with pytest.raises(ValueError, match="5 sessions: give at least 6"):
        audit(using(cheats.Momentum), short.between(None, short.sessions[4]))


@pytest.mark.long
def test_processes_find_the_same(short: Panel) -> None:
    setup = Candidate(quick_config())
    assert audit_summary(audit(setup, short, cuts=6, workers=2, changes=FEW)) == audit_summary(
        audit(setup, short, cuts=6, changes=FEW)
    )


# -- changes and tapes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("future", AFTER)
@pytest.mark.parametrize("cut", [0, 60, 143])
def test_a_future_changes_every_bar_after_the_cut_and_none_before(short: Panel, future: str, cut: int) -> None:
    other = changed_after(short, cut, future)
    for symbol, frame in short.frames.items():
        pd.testing.assert_frame_equal(other.frames[symbol].iloc[: cut + 1], frame.iloc[: cut + 1])
        after = other.frames[symbol].iloc[cut + 1 :]
        same = after.eq(frame.reindex(after.index))
        assert not same["close"].any()
        if future == "removed":
            assert after.empty
        if future in ("replaced", "times ten", "tenth"):
            align({symbol: other.frames[symbol]})  # plausible bars
    if future == "replaced":
        assert other.sessions[cut + 1] == short.sessions[min(cut + 26, 144)]
        again, third = changed_after(short, cut, future), changed_after(short, cut, future, seed=1)
        pd.testing.assert_frame_equal(other.closes, again.closes)
        assert not third.closes.equals(other.closes)


def test_replaced_bars_move_as_the_panels_do_and_together(short: Panel) -> None:
    other = changed_after(short, 40, "replaced").closes.pct_change().iloc[41:]
    known = {tuple(row) for row in short.closes.pct_change().iloc[1:].round(10).to_numpy()}
    assert {tuple(row) for row in other.round(10).to_numpy()} <= known


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("change", ["higher high", "lower low"])
def test_the_inside_of_a_bar(short: Panel, change: str, close: bool) -> None:
    other = changed_inside(short, 50, change, close=close)
    one, two = short.frames["SPY"], other.frames["SPY"]
    changed = {str(column) for column in one.columns[(one != two).any()]}
    assert changed == {"volume", "high" if change == "higher high" else "low"} | (set() if close else {"close"})
    assert list(np.flatnonzero((one != two).any(axis=1))) == [50]
    align({"SPY": two})


def test_what_is_done_before_the_first_bar_has_no_day(short: Panel) -> None:
    class Early(bt.Strategy):
        def start(self) -> None:
            self.buy(size=1)

    tape = record(using(Early), short, Panel.feeds)
    assert [event.day for event in tape.orders()] == [0.0]
    assert tape.days[0] > 0.0
    auditor = Auditor(using(Early), short, Panel.feeds, FEW, 0, tape)
    first = short.sessions[0].date()
    assert auditor.day_date(0.0) == auditor.day_date(tape.days[0]) == first  # it is told with the first session


def test_a_tape_holds_orders_fills_and_values() -> None:
    class Once(bt.Strategy):
        def next(self) -> None:
            if len(self) == 2:
                self.buy(size=3, exectype=bt.Order.Limit, price=99.0)
                self.cancel(self.buy(size=1, exectype=bt.Order.Stop, price=500.0))

    panel = panel_of(A=[100.0, 101.0, 98.0, 97.0])
    tape = record(using(Once), panel, Panel.feeds)
    order = tape.orders()[0]
    assert order.text() == "buy A 3 Limit 99 1"
    assert bt.num2date(order.day).date() == panel.sessions[1].date()
    kinds = [event.kind for event in tape.events]
    assert kinds.count("account") == 4
    assert kinds.count("cancel") == 1
    fills = [event.values for event in tape.events if event.kind == "notice" and event.values[0] == "Completed"]
    assert fills == [("Completed", 1, 3.0, 99.0)]
    assert tape.events[-1].text() == "value 999,994.00, cash 999,703.00"
    assert tape.bars["A"].shape == (4, 8)


# -- command line ----------------------------------------------------------------------------------------------------

STRATEGIES = """
import backtrader as bt

class Cheat(bt.Strategy):
    params = (("size", 1),)
    def next(self):
        if len(self) > 5 and len(self.data) < self.data.buflen() and self.data.close[1] > self.data.close[0]:
            self.buy(size=self.p.size)

class Honest(bt.Strategy):
    def next(self):
        if self.data.close[0] > self.data.open[0]:
            self.buy()

class Stake(bt.Sizer):
    params = (("stake", 2),)
    def _getsizing(self, comminfo, cash, data, isbuy):
        return self.p.stake

class Counts(bt.Analyzer):
    pass

class Other:
    pass
"""

SHORT = ["--symbols", "SPY,TLT", "--end", "2010-04-30", "--workers", "1", "--cuts", "4"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(STRATEGIES)
    return tmp_path


def test_command_says_clean_and_exits_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--cov-lookback", "20", "--min-hist", "20", "--vol-lookback", "10"]
    assert main(["audit", *SHORT, *few, "--json", "a.json"]) == 0
    out = capsys.readouterr().out
    assert "4 cuts clean, 0 not" in out
    assert "Nothing found" in out
    content = json.loads((folder / "a.json").read_text())
    assert content["clean"] is True
    assert content["strategy"] == "RiskParityBlend"
    assert content["config"]["cov_lookback"] == 20
    assert [cut["verdict"] for cut in content["cuts"]] == ["clean"] * 4
    given = ["--strategy", "mine.py:Honest", "--sizer", "mine.py:Stake:stake=4", "--analyzer", "mine.py:Counts"]
    assert main(["audit", *SHORT, *given]) == 0


def test_command_tells_a_cheat_and_exits_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", *SHORT, "--strategy", "mine.py:Cheat:size=7", "--json", "a.json"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    content = json.loads((folder / "a.json").read_text())
    assert content["clean"] is False
    assert content["first"]["kind"] == "look-ahead"
    assert content["first"]["date"] in out
    assert "buy SPY 7 Market" in content["first"]["before"] + content["first"]["after"]


BAD = {
    "no class named": (["--strategy", "mine.py"], "'mine.py' does not name a class: give FILE.py:Class"),
    "no file": (["--strategy", "no.py:Cheat"], "no.py does not exist: give a Python file"),
    "no such class": (["--strategy", "mine.py:Nope"], "has no strategy there: give one of Cheat, Honest"),
    "not a strategy": (["--strategy", "mine.py:Other"], "Other is no strategy there: give one of Cheat, Honest"),
    "broken file": (["--strategy", "broken.py:Cheat"], r"broken.py does not run \(SyntaxError"),
    "code in arguments": (["--strategy", "mine.py:Cheat:size=__import__('os')"], "not readable: give name=value"),
    "unknown argument": (["--strategy", "mine.py:Cheat:sise=3"], "sise=3 is no parameter of Cheat: give one of size"),
    "a sizer alone": (["--sizer", "mine.py:Stake"], "sizer belongs to a strategy of your own"),
    "an analyzer alone": (["--analyzer", "mine.py:Counts"], "--analyzer belongs to --strategy"),
    "a flag of weights": (["--strategy", "mine.py:Honest", "--lookback", "9"], "lookback is of weights, and strategy"),
    "no orders": (["--end", "2010-01-29"], "no order was sent in 19 sessions: give more history"),
    "no cuts": (["--strategy", "mine.py:Honest", "--cuts", "0"], "cuts=0 is not a number"),
    "output folder": (["--json", "no/where.json"], "folder no does not exist, create it first"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_costs_one_line_and_exits_2(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (folder / "broken.py").write_text("class Cheat(:\n")
    arguments, message = BAD[name]
    assert main(["audit", *SHORT, *arguments]) == 2
    captured = capsys.readouterr()
    *before, line = captured.err.splitlines()
    assert re.search(message, line), captured.err
    assert captured.out == ""
    if name == "broken file":  # an error inside a user's file shows its traceback, too
        assert "broken.py" in "".join(before)
        assert "SyntaxError" in before[-1]
    else:
        assert before == []


@pytest.mark.parametrize(
    "text",
    ["f()", "1", "a=b", "a=1,b", "**{}", "a=1)+(2", "a=[x for x in (1,)]", "a=1;b", "a=lambda: 1", "a=" + "(" * 500],
)
def test_arguments_are_literals(folder: Path, text: str) -> None:
    with pytest.raises(ValueError, match="not readable"):
        parse_reference(f"mine.py:Cheat:{text}")


def test_literals_are_read(folder: Path) -> None:
    reference = parse_reference("mine.py:Cheat:a=1,b='x:y',c=(1, 2),d=-0.5,e=None,f={'k': True}")
    assert dict(reference.arguments) == {"a": 1, "b": "x:y", "c": (1, 2), "d": -0.5, "e": None, "f": {"k": True}}
