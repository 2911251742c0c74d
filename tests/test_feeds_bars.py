"""PanelFeed against bt.feeds.PandasData, in every way Cerebro can run it."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from backtrader.linebuffer import LineBuffer

from riskoverlay.feeds import PanelFeed, sample_market
from riskoverlay.feeds.bars import day_numbers

LINES = ("datetime", "open", "high", "low", "close", "volume", "openinterest")
TICKS, BAR = ("open", "high", "low", "close", "last"), ("open", "high", "low", "close", "close")


@pytest.fixture(scope="module")
def frames() -> Any:
    return dict(sample_market(("SPY", "TLT", "GLD"), end="2010-09-30").frames)


class Tape(bt.Strategy):
    """Writes down everything it can see on each bar, and trades a little."""

    params = (("every", 7),)

    def __init__(self) -> None:
        self.tape: list[Any] = []
        self.average = bt.indicators.SMA(self.data.close, period=5)

    def see(self) -> None:
        for data in self.datas:
            if not len(data):
                continue
            # As the broker reads it: without a tick, the bar. Stock backtrader has no tick on the last bar.
            ticks = [getattr(data, f"tick_{name}", None) for name in TICKS]
            ticks = [getattr(data, BAR[k])[0] if tick is None else tick for k, tick in enumerate(ticks)]
            self.tape.append((len(self), len(data), *(getattr(data, name)[0] for name in LINES), *ticks))
        average = self.average[0] if len(self.average) else None
        self.tape.append((self.broker.getvalue(), self.broker.getcash(), average))

    def prenext(self) -> None:
        self.see()

    def next(self) -> None:
        self.see()
        if len(self) % self.p.every == 0:
            for data in self.datas:
                self.buy(data=data, size=3) if len(self) % 2 else self.sell(data=data, size=2)


def cerebro(feed: Any, frames: Any, *, feed_args: Any = None, prepare: Any = None, **settings: Any) -> Any:
    engine = bt.Cerebro(stdstats=False, **settings)
    for symbol, frame in frames.items():
        engine.adddata(feed(dataname=frame, name=symbol, **(feed_args or {})))
    if prepare:
        prepare(engine)
    engine.broker.setcommission(commission=0.001)
    engine.addstrategy(Tape)
    return engine


def tape(feed: Any, frames: Any, **how: Any) -> Any:
    return cerebro(feed, frames, **how).run()[0].tape


def assert_same(ours: Any, stock: Any) -> None:
    assert len(ours) == len(stock) > 0
    for a, b in zip(ours, stock, strict=True):
        assert repr(a) == repr(b)  # repr: NaN equals NaN, and every bit counts


MODES = [
    {"preload": preload, "runonce": runonce, "exactbars": exactbars}
    for preload, runonce, exactbars in itertools.product((True, False), (True, False), (False, 1, -1, -2))
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_same_as_pandas_data_in_every_mode(frames: Any, mode: Any) -> None:
    assert_same(tape(PanelFeed, frames, **mode), tape(bt.feeds.PandasData, frames, **mode))


@pytest.mark.parametrize("settings", [{"oldsync": True}, {"oldsync": True, "runonce": False}, {"lookahead": 3}])
def test_same_with_old_clock_and_lookahead(frames: Any, settings: Any) -> None:
    assert_same(tape(PanelFeed, frames, **settings), tape(bt.feeds.PandasData, frames, **settings))


def test_cheat_on_open_and_close_execute_alike(frames: Any) -> None:
    for prepare in (lambda c: c.broker.set_coc(True), lambda c: c.broker.set_slippage_perc(0.01)):
        assert_same(tape(PanelFeed, frames, prepare=prepare), tape(bt.feeds.PandasData, frames, prepare=prepare))


def weekly_resampled(engine: Any) -> None:
    engine.resampledata(engine.datas[0], timeframe=bt.TimeFrame.Weeks)


def weekly_replayed(engine: Any) -> None:
    engine.replaydata(engine.datas[0], timeframe=bt.TimeFrame.Weeks)


def cloned(engine: Any) -> None:
    engine.adddata(engine.datas[1].clone(), name="clone")


def no_mondays(engine: Any) -> None:
    engine.datas[0].addfilter_simple(lambda data: data.datetime.date(0).weekday() == 0)


@pytest.mark.parametrize("preload", [True, False])
@pytest.mark.parametrize("prepare", [weekly_resampled, weekly_replayed, cloned, no_mondays])
def test_same_with_filters_and_clones(frames: Any, prepare: Any, preload: Any) -> None:
    ours = tape(PanelFeed, frames, prepare=prepare, preload=preload)
    assert_same(ours, tape(bt.feeds.PandasData, frames, prepare=prepare, preload=preload))


@pytest.mark.parametrize("preload", [True, False])
def test_a_feed_that_is_itself_resampled_or_replayed(frames: Any, preload: Any) -> None:
    for add in ("resampledata", "replaydata"):
        tapes = []
        for feed in (PanelFeed, bt.feeds.PandasData):
            engine = bt.Cerebro(stdstats=False, preload=preload)
            getattr(engine, add)(feed(dataname=frames["SPY"]), timeframe=bt.TimeFrame.Weeks)
            engine.addstrategy(Tape)
            tapes.append(engine.run()[0].tape)
        assert_same(*tapes)


@pytest.mark.parametrize(
    "window",
    [
        {"fromdate": pd.Timestamp("2010-03-01").to_pydatetime()},
        {"todate": pd.Timestamp("2010-06-30").to_pydatetime()},
        {"fromdate": pd.Timestamp("2010-03-06").date(), "todate": pd.Timestamp("2010-06-30").date()},
    ],
    ids=str,
)
@pytest.mark.parametrize("settings", [{}, {"runonce": False}, {"preload": False}], ids=str)
def test_fromdate_and_todate(frames: Any, window: Any, settings: Any) -> None:
    ours = tape(PanelFeed, frames, feed_args=window, **settings)
    assert_same(ours, tape(bt.feeds.PandasData, frames, feed_args=window, **settings))
    everything = tape(PanelFeed, frames, **settings)
    assert len(ours) < len(everything)


def test_feeds_of_different_length(frames: Any) -> None:
    uneven = {"SPY": frames["SPY"], "TLT": frames["TLT"].iloc[20:-20], "GLD": frames["GLD"].iloc[::3]}
    for settings in ({}, {"runonce": False}, {"preload": False}):
        ours = tape(PanelFeed, uneven, **settings)
        assert_same(ours, tape(bt.feeds.PandasData, uneven, **settings))


@pytest.mark.parametrize("settings", [{}, {"runonce": False}, {"exactbars": 1}, {"preload": False}], ids=str)
def test_twice_in_a_row(frames: Any, settings: Any) -> None:
    engine = cerebro(PanelFeed, frames, **settings)
    first = engine.run()[0].tape
    engine.broker.setcash(10_000.0)
    assert_same(engine.run()[0].tape, first)


@pytest.mark.parametrize("maxcpus", [1, 2])
def test_optstrategy(frames: Any, maxcpus: Any) -> None:
    answers = []
    for feed in (PanelFeed, bt.feeds.PandasData):
        engine = bt.Cerebro(stdstats=False, maxcpus=maxcpus, optreturn=False)
        for symbol, frame in frames.items():
            engine.adddata(feed(dataname=frame, name=symbol))
        engine.optstrategy(Tape, every=(3, 5, 7))
        answers.append([runs[0].tape for runs in engine.run()])
    for ours, stock in zip(*answers, strict=True):
        assert_same(ours, stock)


def test_feed_pickles(frames: Any) -> None:
    feed = PanelFeed(dataname=frames["SPY"], name="SPY")
    assert pickle.loads(pickle.dumps(feed))._name == "SPY"


def test_lines_are_filled_without_reading_rows(frames: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise AssertionError("read a row")

    monkeypatch.setattr(bt.feeds.PandasData, "_load", refuse)
    engine = bt.Cerebro(stdstats=False)
    engine.adddata(PanelFeed(dataname=frames["SPY"]))
    engine.addstrategy(Tape)
    assert len(engine.run()[0].tape) == 2 * len(frames["SPY"])


@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize("slow", ["__len__", "advance_peek", "advance", "_tick_nullify", "_tick_fill"])
def test_a_filled_feed_needs_nothing_of_stock_backtrader_for_a_bar(
    frames: Any, monkeypatch: pytest.MonkeyPatch, slow: str, runonce: bool
) -> None:
    def refuse(self: Any, *arguments: Any, **options: Any) -> None:
        raise AssertionError(f"called stock backtrader's {slow}")

    expected = tape(PanelFeed, frames, runonce=runonce)
    monkeypatch.setattr(bt.feeds.PandasData, slow, refuse)
    assert_same(tape(PanelFeed, frames, runonce=runonce), expected)


def test_lines_and_ticks_are_found_at_the_first_look(frames: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first look-up fails, Python asks `__getattr__`."""

    def refuse(self: Any, name: str) -> Any:
        if name in LINES or name.startswith("tick_"):
            raise AssertionError(f"looked twice for {name}")
        return getattr(self.lines, name)

    expected = tape(PanelFeed, frames)
    monkeypatch.setattr(bt.feeds.PandasData, "__getattr__", refuse)
    assert_same(tape(PanelFeed, frames), expected)


def test_columns_found_as_pandas_data_finds_them(frames: Any) -> None:
    odd = frames["SPY"].rename(columns=str.upper).assign(Extra=1.0, VOLUME=7)[["Extra", "VOLUME", "CLOSE", "OPEN"]]
    for arguments in ({}, {"high": "CLOSE", "low": 2, "openinterest": 0}, {"open": None}):
        lines = []
        for feed in (PanelFeed, bt.feeds.PandasData):
            engine = bt.Cerebro(stdstats=False)
            engine.adddata(feed(dataname=odd, **arguments))
            engine.addstrategy(bt.Strategy)
            data = engine.run()[0].data
            lines.append([list(getattr(data, name).array) for name in LINES])
        assert repr(lines[0]) == repr(lines[1])


def test_dates_in_a_column_and_text_fall_back(frames: Any) -> None:
    column = frames["SPY"].reset_index().rename(columns={"date": "when"})
    assert_same(
        tape(PanelFeed, {"SPY": column}, feed_args={"datetime": "when"}),
        tape(bt.feeds.PandasData, {"SPY": column}, feed_args={"datetime": "when"}),
    )


def test_input_timezone_falls_back(frames: Any) -> None:
    arguments = {"tzinput": "US/Eastern", "tz": "US/Eastern"}
    assert_same(tape(PanelFeed, frames, feed_args=arguments), tape(bt.feeds.PandasData, frames, feed_args=arguments))


def test_timezone_aware_dates_stay_on_their_day(frames: Any) -> None:
    aware = frames["SPY"].tz_localize("Asia/Tokyo")
    assert_same(tape(PanelFeed, {"SPY": aware}), tape(PanelFeed, {"SPY": frames["SPY"]}))


@pytest.mark.parametrize("hours", [16, 23])
def test_a_time_of_day_without_a_timezone_stays(frames: Any, hours: int) -> None:
    """Only a timezone is taken away: a daily bar that is stamped with its close keeps its stamp."""
    bars = frames["SPY"]
    stamped = {"SPY": bars.set_axis(bars.index + pd.Timedelta(hours=hours, minutes=30))}
    assert_same(tape(PanelFeed, stamped), tape(bt.feeds.PandasData, stamped))


@pytest.mark.filterwarnings("error:no explicit representation of timezones")
@pytest.mark.parametrize("timeframe", [bt.TimeFrame.Minutes, bt.TimeFrame.Days])
def test_bars_within_a_day_with_a_timezone_are_those_of_pandas_data(frames: Any, timeframe: int) -> None:
    """In UTC as PandasData has them; of daily ones the local date counts."""
    bars = frames["SPY"].set_axis(frames["SPY"].index + pd.Timedelta(hours=9, minutes=30))
    aware = {"SPY": bars.tz_localize("Asia/Tokyo")}
    given = {"timeframe": timeframe}
    wanted = aware if timeframe == bt.TimeFrame.Minutes else {"SPY": frames["SPY"]}
    assert_same(tape(PanelFeed, aware, feed_args=given), tape(bt.feeds.PandasData, wanted, feed_args=given))


def test_day_numbers_are_date2num() -> None:
    days = pd.DatetimeIndex(["1900-02-28", "1969-12-31", "1970-01-01", "2000-02-29", "2025-12-31"])
    times = pd.DatetimeIndex(["2010-01-04 09:30", "2010-01-04 16:00:01.000123"])
    for index in (days, times, days.as_unit("s")):
        assert list(day_numbers(index)) == [bt.date2num(stamp.to_pydatetime()) for stamp in index]


def test_subclass_with_a_line_of_its_own(frames: Any) -> None:
    class Adjusted(PanelFeed):
        lines = ("factor",)
        params = (("factor", -1),)

    frame = frames["SPY"].assign(factor=np.arange(len(frames["SPY"])) + 0.5)
    engine = bt.Cerebro(stdstats=False)
    engine.adddata(Adjusted(dataname=frame))
    engine.addstrategy(bt.Strategy)
    data = engine.run()[0].data
    assert list(data.factor.array) == list(frame["factor"])
    assert math.isnan(data.openinterest[0])


@pytest.mark.parametrize("settings", [{}, {"runonce": False}, {"preload": False}, {"oldsync": True, "preload": False}])
@pytest.mark.parametrize("feed", [PanelFeed, bt.feeds.PandasData])
def test_a_strategy_may_read_the_tick_of_a_whole_bar(
    feed: Any, frames: dict[str, pd.DataFrame], settings: dict[str, bool]
) -> None:
    """`data.tick_close` and kin are the bar's, as stock backtrader keeps them (it has none on the last bar)."""
    read: list[list[bool]] = []

    class Reads(bt.Strategy):
        def next(self) -> None:
            ticks = [getattr(self.data, f"tick_{name}") for name in TICKS]
            bars = [getattr(self.data, name)[0] for name in BAR]
            read.append([tick == bar for tick, bar in zip(ticks, bars, strict=True)])

    cerebro = bt.Cerebro(stdstats=False, **settings)
    cerebro.adddata(feed(dataname=frames["SPY"]))
    cerebro.addstrategy(Reads)
    cerebro.run()
    assert len(read) == len(frames["SPY"])
    assert all(map(all, read[:-1]))


def test_a_line_that_others_follow_or_that_forgets_is_filled_one_by_one() -> None:
    def feed() -> PanelFeed:
        made = PanelFeed(dataname=sample_market(["SPY"], end="2010-03-31").frames["SPY"], name="A")  # type: ignore[call-arg]
        made._tzinput = None  # as Cerebro leaves it
        return made

    assert not feed()._one_by_one()
    followed, forgets = feed(), feed()
    followed.lines.lines[1].bindings.append(LineBuffer())
    forgets.lines.lines[1].qbuffer()
    assert followed._one_by_one() and forgets._one_by_one()
