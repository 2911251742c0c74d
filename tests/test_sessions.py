"""A session is a date: feeds of different time stamps, exchanges of other hours, bars within a day."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from dateutil import tz
from markets import blended, frame

from riskoverlay.analyzers import (
    AnnualizedSharpe,
    DailySeries,
    DrawdownBrake,
    Exposure,
    Fills,
    MaxDrawdown,
    PortfolioReturns,
    StrategyProfit,
    TradingCosts,
)
from riskoverlay.analyzers.ledger import Ledger
from riskoverlay.dates import day_of, ordinals
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.strategies import OwnPosition, RiskParityBlend, VolTargetDrawdownSizer, open_account
from riskoverlay.strategies.clock import SessionClock, ended
from riskoverlay.strategies.schedule import session_closes

ANALYZERS = (
    DailySeries, Exposure, TradingCosts, Fills, MaxDrawdown, AnnualizedSharpe, StrategyProfit, PortfolioReturns,
)  # fmt: skip
SHORT = {"cov_lookback": 20, "min_hist": 20}
OVERLAY = {"vol_lookback": 10, "dd_threshold1": 0.01, "dd_threshold2": 0.05}
NIGHT = pd.Timedelta("23:59:59.999989")
"""When backtrader's CSV feeds stamp a day."""
NEW_YORK = "America/New_York"


class Decided(NamedTuple):
    """What a call of the strategy decided."""

    at: pd.Timestamp
    session: dt.date
    weights: tuple[float, ...]


class Watched(RiskParityBlend):
    """Notes when weights are decided, and what the sizer says whenever it has decided."""

    def __init__(self) -> None:
        super().__init__()
        self.decided: list[Decided] = []
        self.levers: dict[pd.Timestamp, tuple[float, float, float]] = {}

    def _see(self, closes: list[float]) -> None:
        super()._see(closes)
        now = pd.Timestamp(bt.num2date(self.datetime[0])).round("ms")
        for session in self.rebalances[len(self.decided) :]:
            self.decided.append(Decided(now, session, tuple(self.base_weights or ())))
        sizer = self.getsizer()
        if self.session_clock.over or self.session_clock.late:
            self.levers[now] = (sizer.leverage, sizer.volatility_part, sizer.drawdown)


def cerebro_of(*feeds: Any, strategy: type = Watched, cash: float = 1e6, **params: Any) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in feeds:
        cerebro.adddata(feed)
    open_account(cerebro, cash=cash)
    if issubclass(strategy, RiskParityBlend):
        params = {**SHORT, "overlay": OVERLAY, **params}
    cerebro.addstrategy(strategy, **params)
    for analyzer in ANALYZERS:
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    return cerebro


def run(*feeds: Any, **more: Any) -> Any:
    strategy = cerebro_of(*feeds, **more).run()[0]
    check_money(strategy)
    return strategy


def analysis(strategy: Any, analyzer: type) -> dict[str, Any]:
    return getattr(strategy.analyzers, analyzer.__name__).get_analysis()


def feed_of(bars: pd.DataFrame, name: str, shift: Any = None, **params: Any) -> Any:
    """A feed of backtrader's own, its stamps moved."""
    bars = bars if shift is None else bars.set_axis(bars.index + pd.Timedelta(shift))
    return bt.feeds.PandasData(dataname=bars, name=name, **params)


def csv_feed(bars: pd.DataFrame, name: str, folder: Path) -> Any:
    """The same from a file: backtrader stamps its days 23:59:59.999989."""
    path = folder / f"{name}.csv"
    bars.to_csv(path, header=False)
    columns = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "openinterest": -1}
    return bt.feeds.GenericCSVData(dataname=str(path), name=name, dtformat="%Y-%m-%d", headers=False, **columns)


def walk(seed: int, days: int = 120, start: str = "2019-10-01") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return frame(100 * np.exp(np.cumsum(rng.normal(0.0, 0.01, days))), start=start)


def check_money(strategy: Any) -> None:
    """Each session's books, and that every analyzer has the same sessions."""
    costs, series = analysis(strategy, TradingCosts), analysis(strategy, DailySeries)
    paid_in = costs["start"] + costs["deposits"]
    assert costs["end"] == pytest.approx(paid_in + costs["gross_profit"] - costs["total"], rel=1e-9)
    dates = series["dates"]
    assert dates == sorted(set(dates))
    by_session = costs["sessions"]
    change = np.diff([costs["start"], *series["value"]]) - series["deposits"]
    spent = sum(np.array(by_session[kind]) for kind in ("commission", "slippage", "interest"))
    np.testing.assert_allclose(change, by_session["gross_profit"] - spent, atol=1e-9 * costs["start"])
    exposure, profit, pf = (analysis(strategy, one) for one in (Exposure, StrategyProfit, PortfolioReturns))
    assert dates == by_session["dates"] == exposure["dates"] == profit["sessions"]["dates"] == pf["dates"]
    assert {len(exposure[name]) for name in ("leverage", "target_leverage", "brake_part")} == {len(dates)}
    assert profit["profit"] == pytest.approx(costs["end"] - paid_in, rel=1e-9)
    assert analysis(strategy, AnnualizedSharpe)["sessions"] == len(dates)
    assert {fill["date"] for fill in analysis(strategy, Fills)["fills"]} <= set(dates)


def check_same(one: Any, other: Any, *, money: bool = True) -> None:
    """Weights, leverage, volatility, drawdown and equity of two runs, session by session, to 1e-12."""
    assert one.rebalances == other.rebalances
    assert len(one.rebalances) > 1
    for a, b in zip(one.decided, other.decided, strict=True):
        np.testing.assert_allclose(a.weights, b.weights, rtol=1e-12)
    exposures = analysis(one, Exposure), analysis(other, Exposure)
    assert exposures[0]["dates"] == exposures[1]["dates"]
    for name in ("volatility_part", *(("target_leverage", "leverage", "brake_part") if money else ())):
        np.testing.assert_allclose(exposures[0][name], exposures[1][name], rtol=1e-12, err_msg=name)
    if money:
        for symbol, weights in exposures[0]["target_weights"].items():
            np.testing.assert_allclose(weights, exposures[1]["target_weights"][symbol], rtol=1e-12)
        values = [analysis(strategy, DailySeries)["value"] for strategy in (one, other)]
        np.testing.assert_allclose(*values, rtol=1e-12)


# -- the date of a bar -------------------------------------------------------------------------------------------------


def test_a_date_is_the_exchanges() -> None:
    tokyo, york = tz.gettz("Asia/Tokyo"), tz.gettz(NEW_YORK)
    day = dt.date(2020, 3, 2).toordinal()
    assert day_of(day + 0.99) == day_of(day) == day
    assert day_of(day + 0.7, tokyo) == day + 1
    assert day_of(day + 0.2, york) == day - 1
    # 00:00 of a daily bar is a date; of a bar within a day, a moment.
    assert day_of(day, york, daily=True) == day
    assert day_of(day, york) == day - 1


@pytest.mark.parametrize("name", [NEW_YORK, "Asia/Tokyo", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"])
def test_first_and_last_moment_of_a_date_stay_on_it_in_every_zone(name: str) -> None:
    zone = tz.gettz(name)
    for date in pd.date_range("2019-01-01", "2020-12-31").date:
        for moment in (dt.time(0), dt.time(23, 59, 59, 999989)):
            number = bt.date2num(dt.datetime.combine(date, moment).replace(tzinfo=zone))
            assert day_of(number, zone) == date.toordinal()


def test_closes_of_an_exchange_early_ones_too() -> None:
    closes = session_closes("XNYS", 2019)
    half, usual = dt.datetime(2019, 11, 29), dt.datetime(2019, 12, 2)

    def number(day: dt.datetime, hour: float) -> float:
        return bt.date2num(day + dt.timedelta(hours=hour))

    for utc, early, late in ((False, 13.0, 16.0), (True, 18.0, 21.0)):
        assert closes.session(number(half, early), utc=utc) == half.toordinal()
        assert closes.session(number(half, early + 0.001), utc=utc) == usual.toordinal()
        assert closes.session(number(usual, late), utc=utc) == usual.toordinal()
        assert closes.is_closed(half.toordinal(), number(half, early), utc=utc)
        assert not closes.is_closed(half.toordinal(), number(half, early - 0.001), utc=utc)
        assert not closes.is_closed(usual.toordinal(), number(usual, early), utc=utc)
    assert not closes.is_closed(dt.date(2019, 12, 1).toordinal(), number(usual, 23), utc=True)  # a Sunday
    assert closes.session(closes.days[0] - 1.0, utc=True) is None
    assert closes.session(closes.utc[-1] + 1.0, utc=True) is None
    with pytest.raises(InputError, match="date 1700-01-01 is outside calendar XNYS, 1800-01-01 to 2200-12-31"):
        session_closes("XNYS", 1700)


@pytest.mark.parametrize(
    ("timeframe", "compression", "days"),
    [
        (bt.TimeFrame.Days, 1, 10), (bt.TimeFrame.Weeks, 1, 17), (bt.TimeFrame.Weeks, 2, 24),
        (bt.TimeFrame.Months, 1, 41), (bt.TimeFrame.Years, 1, 376), (bt.TimeFrame.Minutes, 60, 10),
    ],
)  # fmt: skip
def test_a_feed_has_ended_ten_days_beyond_its_bars(timeframe: int, compression: int, days: int) -> None:
    class Data:
        _timeframe, _compression = timeframe, compression
        datetime = (737000.75,)

    assert not ended(Data, 737000 + days + 0.5)
    assert ended(Data, 737001 + days)


# -- what the clock says of each bar -----------------------------------------------------------------------------------


def told(*feeds: Any, calendar: str | None = "XNYS", modes: Any = None, add: Any = None) -> list[tuple[str, ...]]:
    """Of each bar: moment, session, and what is begun, over (both by a letter) or late (with its date)."""

    class Recorder(bt.Strategy):
        def __init__(self) -> None:
            self.told: list[tuple[str, ...]] = []
            self.clock = SessionClock(self, self.datas, calendar)

        def prenext(self) -> None:
            self.next()

        def next(self) -> None:
            for _ in range(2):  # asking again changes nothing
                self.clock.see()
            clock = self.clock
            late = f"{dt.date.fromordinal(clock.late):%d}" if clock.late else ""
            state = ("b" if clock.begins else "") + ("o" if clock.over else "") + late
            now = pd.Timestamp(bt.num2date(self.datetime[0])).round("s")
            self.told.append((f"{now:%d %H}", f"{dt.date.fromordinal(clock.session):%d}", state))

    cerebro = bt.Cerebro(stdstats=False, **(modes or {}))
    for feed in feeds:
        (add or cerebro.adddata)(feed) if add is None else add(cerebro, feed)
    cerebro.addstrategy(Recorder)
    return cerebro.run()[0].told


def days_of(*dates: int, hour: float = 0.0) -> pd.DataFrame:
    """Bars on some days of January 2020."""
    index = pd.DatetimeIndex([pd.Timestamp(2020, 1, day) for day in dates]) + pd.Timedelta(hours=hour)
    return frame(np.linspace(100.0, 110.0, len(index))).set_axis(index)


def test_dates_alone_are_sessions_holes_or_not() -> None:
    one, other = days_of(6, 7, 8, 10), days_of(7, 9, 10)
    got = told(feed_of(one, "A"), feed_of(other, "B"))
    assert got == [(f"{day:02} 00", f"{day:02}", "bo") for day in (6, 7, 8, 9, 10)]


def test_the_last_of_the_stamps_of_a_date_decides() -> None:
    got = told(feed_of(days_of(6, 7, 8), "A"), feed_of(days_of(6, 7, 8), "B", NIGHT))
    # On the very first date nobody knows yet that B comes later; nothing can be decided from one close.
    assert got == [
        ("06 00", "06", "bo"), ("07 00", "06", ""),
        ("07 00", "07", "b"), ("08 00", "07", "o"),
        ("08 00", "08", "b"), ("09 00", "08", "o"),
    ]  # fmt: skip


def test_a_bar_that_does_not_come_is_waited_for_until_the_next_date() -> None:
    got = told(feed_of(days_of(6, 7, 8, 9), "A", "6h"), feed_of(days_of(6, 7, 9), "B", "21h"))
    assert got == [
        ("06 06", "06", "bo"), ("06 21", "06", ""), ("07 06", "07", "b"), ("07 21", "07", "o"),
        ("08 06", "08", "b"), ("09 06", "09", "b08"), ("09 21", "09", "o"),
    ]  # fmt: skip


def test_a_bar_that_would_have_come_already_is_not_waited_for() -> None:
    got = told(feed_of(days_of(6, 7, 9), "A", "6h"), feed_of(days_of(6, 7, 8, 9), "B", "21h"))
    assert got[-3:] == [("08 21", "08", "bo"), ("09 06", "09", "b"), ("09 21", "09", "o")]


def test_a_feed_that_has_ended_is_not_waited_for() -> None:
    got = told(feed_of(days_of(*range(2, 20)), "A"), feed_of(days_of(2, 3), "B", NIGHT))
    late = [(f"{day:02} 00", f"{day:02}", f"b{day - 1:02}") for day in range(5, 14)]
    on_time = [(f"{day:02} 00", f"{day:02}", "bo") for day in range(15, 20)]
    assert got[4:] == [("04 00", "04", "b"), *late, ("14 00", "14", "bo13"), *on_time]
    # Nor is one that always came with the others, when they miss it.
    with_hole = feed_of(days_of(*range(2, 18), 19), "C")
    got = told(feed_of(days_of(*range(2, 20)), "A"), feed_of(days_of(4), "B", NIGHT), with_hole)
    assert got[-4:] == [(f"{day:02} 00", f"{day:02}", "bo") for day in range(16, 20)]


def test_longer_bars_are_not_waited_for_beside_shorter_ones() -> None:
    monthly = feed_of(days_of(6, 8), "M", NIGHT, timeframe=bt.TimeFrame.Months)
    got = told(feed_of(days_of(6, 7, 8, 9), "A"), monthly)
    assert [(day, state) for _, day, state in got] == [
        ("06", "bo"), ("06", ""), ("07", "bo"), ("08", "bo"), ("08", ""), ("09", "bo"),
    ]  # fmt: skip
    two = [
        feed_of(days_of(6, 8), name, shift, timeframe=bt.TimeFrame.Weeks) for name, shift in (("A", 0), ("B", NIGHT))
    ]
    assert [(day, state) for _, day, state in told(*two)] == [("06", "bo"), ("06", ""), ("08", "b"), ("08", "o")]


def test_a_date_before_the_one_under_way_counts_for_that() -> None:
    york = tz.gettz(NEW_YORK)
    late = days_of(6, 7, 8)
    late = late.set_axis((late.index + NIGHT).tz_localize(york))  # 05:00 UTC of the day after
    got = told(feed_of(days_of(6, 7, 8), "A"), feed_of(late, "B", tz=york))
    assert [(day, state) for _, day, state in got] == [
        ("06", "bo"), ("07", "bo"), ("07", ""), ("08", "b"), ("08", "o"), ("08", ""),
    ]  # fmt: skip


def test_time_zones_of_feeds_and_of_cerebro() -> None:
    tokyo, york = tz.gettz("Asia/Tokyo"), tz.gettz(NEW_YORK)
    bars = days_of(6, 7, 8)
    midnight = bars.set_axis(bars.index.tz_localize(tokyo))  # 15:00 UTC of the day before
    night = bars.set_axis((bars.index + NIGHT).tz_localize(york))  # 05:00 UTC of the day after
    assert [day for _, day, _ in told(feed_of(midnight, "A", tz=tokyo))] == ["06", "07", "08"]
    assert [day for _, day, _ in told(feed_of(night, "A", tz=york))] == ["06", "07", "08"]
    berlin = tz.gettz("Europe/Berlin")
    noon = bars.set_axis((bars.index + pd.Timedelta("12h")).tz_localize(berlin))
    both = told(feed_of(noon, "A", tz=berlin), feed_of(night, "B", tz=york))
    assert [day for _, day, _ in both] == ["06", "06", "07", "07", "08", "08"]
    assert [state for _, _, state in both] == ["bo", "", "b", "o", "b", "o"]
    # Without a zone of its own a feed has Cerebro's; a daily stamp at 00:00 is a date in any.
    assert [day for _, day, _ in told(feed_of(midnight, "A"), modes={"tz": tokyo})] == ["06", "07", "08"]
    assert [day for _, day, _ in told(feed_of(bars, "A"), modes={"tz": york})] == ["06", "07", "08"]
    assert [day for _, day, _ in told(feed_of(bars, "A", tz=york))] == ["06", "07", "08"]


def test_a_universe_beside_other_feeds_has_the_sessions_of_its_own() -> None:
    beside = feed_of(days_of(6, 7, 8, 9), "B", "6h")
    strategy = run(feed_of(days_of(6, 8), "A"), beside, symbols=("A",))
    assert sorted({f"{at:%d %H}" for at in strategy.levers}) == ["06 00", "08 00"]
    assert strategy._closes.tolist() == [100.0, 110.0]
    beside = feed_of(days_of(6, 7, 8, 9), "B")
    strategy = run(feed_of(days_of(6, 8), "A"), beside, symbols=("A",))
    assert sorted({f"{at:%d %H}" for at in strategy.levers}) == ["06 00", "08 00"]


def hours_of(
    days: Any, hours: Any = (11.0, 13.0, 15.0, 16.0), after: Any = (), early: float = 13.0
) -> pd.DatetimeIndex:
    """Stamps in New York; on days of early closes what comes after `early` is left out."""
    halves = {dt.date(2019, 7, 3), dt.date(2019, 11, 29), dt.date(2019, 12, 24)}
    stamps = [
        day + pd.Timedelta(hours=hour)
        for day in days
        for hour in [*[h for h in hours if day.date() not in halves or h <= early], *after]
    ]
    return pd.DatetimeIndex(stamps)


def hourly(seed: int, index: pd.DatetimeIndex) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return frame(100 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(index))))).set_axis(index)


INTRADAY = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}


def test_bars_within_a_day_by_the_calendar() -> None:
    days = pd.DatetimeIndex(["2019-11-27", "2019-11-29", "2019-12-02"])
    bars = hourly(0, hours_of(days, (11.0, 13.0, 16.0), after=(18.0,)))
    got = told(feed_of(bars, "A", **INTRADAY))
    assert got == [
        ("27 11", "27", "b"), ("27 13", "27", ""), ("27 16", "27", "o"), ("27 18", "29", "b"),
        ("29 11", "29", ""), ("29 13", "29", "o"), ("29 18", "02", "b"),
        ("02 11", "02", ""), ("02 13", "02", ""), ("02 16", "02", "o"), ("02 18", "03", "b"),
    ]  # fmt: skip
    unstamped = bars[~bars.index.hour.isin([16]) & ~((bars.index.day == 29) & (bars.index.hour == 13))]
    assert told(feed_of(unstamped, "A", **INTRADAY)) == [
        ("27 11", "27", "b"), ("27 13", "27", ""), ("27 18", "29", "b27"), ("29 11", "29", ""), ("29 18", "02", "b29"),
        ("02 11", "02", ""), ("02 13", "02", ""), ("02 18", "03", "b02"),
    ]  # fmt: skip


def test_bars_within_a_day_without_a_calendar() -> None:
    bars = hourly(0, hours_of(pd.DatetimeIndex(["2019-11-27", "2019-11-29"]), (11.0, 16.0)))
    got = told(feed_of(bars, "A", **INTRADAY), calendar=None)
    assert got == [("27 11", "27", "b"), ("27 16", "27", ""), ("29 11", "29", "b27")]


def test_daily_bars_beside_bars_within_a_day() -> None:
    days = pd.DatetimeIndex(["2019-12-02", "2019-12-03"])
    bars = hourly(0, hours_of(days, (11.0, 16.0)))
    daily = frame([100.0, 101.0]).set_axis(days)
    got = told(feed_of(bars, "A", **INTRADAY), feed_of(daily, "B"))
    assert got == [
        ("02 00", "02", "b"), ("02 11", "02", ""), ("02 16", "02", "o"),
        ("03 00", "03", "b"), ("03 11", "03", ""), ("03 16", "03", "o"),
    ]  # fmt: skip
    got = told(feed_of(bars, "A", **INTRADAY), feed_of(daily, "B", NIGHT))
    assert got == [
        ("02 11", "02", "b"), ("02 16", "02", "o"), ("03 00", "02", ""),
        ("03 11", "03", "b"), ("03 16", "03", ""), ("04 00", "03", "o"),
    ]  # fmt: skip


def test_a_bar_that_is_replayed_is_over_at_the_close() -> None:
    bars = hourly(0, hours_of(pd.DatetimeIndex(["2019-12-02", "2019-12-03"]), (11.0, 16.0)))

    def replay(cerebro: bt.Cerebro, feed: Any) -> None:
        cerebro.replaydata(feed, timeframe=bt.TimeFrame.Days)

    got = told(feed_of(bars, "A", **INTRADAY), add=replay)
    assert [(moment, state) for moment, _, state in got] == [
        ("02 11", "b"), ("02 16", "o"), ("03 11", "b"), ("03 16", "o"),
    ]  # fmt: skip


def test_another_calendar_in_the_middle_and_dates_beyond_it() -> None:
    strategy = run(feed_of(days_of(6, 7), "A"))
    strategy.reconfigure(calendar="XTKS")
    assert strategy.session_clock.calendar == "XTKS"
    with pytest.raises(InputError, match="calendar='NOWHERE' is unknown"):
        strategy.session_clock.follow("NOWHERE")
    far = hourly(0, pd.DatetimeIndex(["1990-01-05 11:00", "1990-01-05 16:00", "2015-07-06 16:00"]))
    assert [state for _, _, state in told(feed_of(far, "A", **INTRADAY))] == ["b", "o", "bo"]
    ancient = hourly(0, pd.DatetimeIndex(["1699-12-01 11:00"]))
    with pytest.raises(InputError, match="is outside calendar XNYS"):
        told(feed_of(ancient, "A", **INTRADAY))


# -- mixed time stamps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [{}, {"runonce": False}, {"preload": False}], ids=str)
def test_stamps_do_not_matter(sample: Panel, tmp_path: Path, mode: dict[str, bool]) -> None:
    panel = sample.between(None, "2011-06-30")
    midnight = run(*[feed_of(bars, name) for name, bars in panel.frames.items()])
    feeds = []
    for i, (name, bars) in enumerate(panel.frames.items()):
        way = i % 3
        feeds.append(feed_of(bars, name) if way == 0 else feed_of(bars, name, NIGHT) if way == 1 else
                     csv_feed(bars, name, tmp_path))  # fmt: skip
    cerebro = cerebro_of(*feeds)
    mixed = cerebro.run(**mode)[0]
    assert len(mixed) == 2 * len(panel.sessions)
    assert analysis(mixed, DailySeries)["dates"] == list(panel.sessions.date)
    check_same(midnight, mixed)
    assert mixed.unfilled == midnight.unfilled == 0
    assert np.ptp(analysis(mixed, Exposure)["brake_part"]) > 0.1
    for analyzer, figure in ((AnnualizedSharpe, "sharpe"), (MaxDrawdown, "depth")):
        one, other = analysis(midnight, analyzer), analysis(mixed, analyzer)
        assert one[figure] == pytest.approx(other[figure], rel=1e-9)
    keys = ("date", "executed", "symbol", "kind")
    fills = [[tuple(f[k] for k in keys) for f in analysis(s, Fills)["fills"]] for s in (midnight, mixed)]
    assert sorted(fills[0]) == sorted(fills[1])


def test_csv_feeds_alone(sample: Panel, tmp_path: Path) -> None:
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT", "GLD"])
    midnight = run(*[feed_of(bars, name) for name, bars in panel.frames.items()])
    night = run(*[csv_feed(bars, name, tmp_path) for name, bars in panel.frames.items()])
    assert len(night) == len(panel.sessions)
    check_same(midnight, night)


def test_twins_of_other_stamps_get_equal_weights(sample: Panel, tmp_path: Path) -> None:
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT"])
    twins = [csv_feed(bars, f"{name}2", tmp_path) for name, bars in panel.frames.items()]
    strategy = run(*[feed_of(bars, name) for name, bars in panel.frames.items()], *twins)
    assert len(strategy.decided) > 5
    for row in strategy.decided:
        np.testing.assert_allclose(row.weights[:2], row.weights[2:], rtol=1e-12)
        assert sum(row.weights) == pytest.approx(1.0)


def test_a_feed_of_another_stamp_that_starts_years_later(sample: Panel) -> None:
    panel = sample.between(None, "2011-12-30").select(["SPY", "TLT", "GLD"])
    frames = {name: bars if name != "GLD" else bars["2011-02-01":] for name, bars in panel.frames.items()}
    midnight = run(*[feed_of(bars, name) for name, bars in frames.items()])
    mixed = run(*[feed_of(bars, name, NIGHT if name == "GLD" else None) for name, bars in frames.items()])
    check_same(midnight, mixed)
    assert midnight.decided[-1].weights[2] > 0.0


def test_holes_are_decided_late_and_never_from_the_next_bar(sample: Panel) -> None:
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT", "GLD"])
    holes = pd.DatetimeIndex(["2010-04-30", "2010-07-30"])  # rebalance sessions

    def mixed(factor: float) -> Any:
        """GLD has no bar on two rebalance sessions; what comes after the second is another future."""
        feeds = []
        for name, bars in panel.frames.items():
            bars = bars.copy()
            bars.loc[bars.index > holes[1], ["open", "high", "low", "close"]] *= factor
            bars = bars.drop(holes) if name == "GLD" else bars
            feeds.append(feed_of(bars, name, NIGHT if name == "GLD" else None))
        return run(*feeds)

    one, other = mixed(1.0), mixed(1.3)
    late = [row for row in one.decided if row.session in set(holes.date)]
    assert [f"{row.at}" for row in late] == ["2010-05-03 00:00:00", "2010-08-02 00:00:00"]
    through = [row for row in one.decided if row.session <= holes[1].date()]
    assert through == [row for row in other.decided if row.session <= holes[1].date()]
    assert one.decided[len(through)].weights != other.decided[len(through)].weights
    # The closes up to the hole: GLD's last one stands there.
    closes = panel.closes[:"2010-07-30"].copy()
    closes.loc[holes, "GLD"] = np.nan
    expected = blended(np.diff(np.log(closes.ffill().to_numpy()[-21:]), axis=0))
    np.testing.assert_allclose(late[1].weights, expected, rtol=1e-12)


HOURS = {"TYO": 6.0, "HKG": 8.0, "BER": 16.5, "NYC": 21.0}


def exchanges(holidays: dict[str, list[str]] | None = None, hours: Any = None) -> list[Any]:
    feeds = []
    for seed, name in enumerate(HOURS):
        bars = walk(seed)
        bars = bars.drop(pd.DatetimeIndex((holidays or {}).get(name, [])))
        feeds.append(feed_of(bars, name, pd.Timedelta(hours=(hours or HOURS)[name])))
    return feeds


def test_exchanges_that_close_at_other_hours() -> None:
    midnight, utc = run(*exchanges(hours=dict.fromkeys(HOURS, 0.0))), run(*exchanges())
    assert len(utc) == 4 * len(midnight)
    assert analysis(utc, DailySeries)["dates"] == list(walk(0).index.date)
    check_same(midnight, utc)
    assert {row.at.hour for row in utc.decided} == {21}


@pytest.mark.parametrize(
    ("closed", "at"), [("TYO", "2019-12-31 21:00"), ("BER", "2019-12-31 21:00"), ("NYC", "2020-01-01 06:00")]
)
def test_a_holiday_in_one_of_them(closed: str, at: str) -> None:
    holidays = {closed: ["2019-11-28", "2019-12-31"]}
    strategy = run(*exchanges(holidays))
    dates = list(walk(0).index.date)
    assert analysis(strategy, DailySeries)["dates"] == dates
    row = next(row for row in strategy.decided if row.session == dt.date(2019, 12, 31))
    assert row.at == pd.Timestamp(at)
    closes = pd.DataFrame({name: walk(seed)["close"] for seed, name in enumerate(HOURS)})
    closes.loc[pd.DatetimeIndex(holidays[closed]), closed] = np.nan
    window = closes.ffill()[:"2019-12-31"].to_numpy()[-21:]
    np.testing.assert_allclose(row.weights, blended(np.diff(np.log(window), axis=0)), rtol=1e-12)


def test_feeds_that_know_their_time_zones() -> None:
    zones = {"TYO": ("Asia/Tokyo", 15.0), "BER": ("Europe/Berlin", 17.5), "NYC": (NEW_YORK, 16.0)}
    feeds = []
    for seed, (name, (zone, hour)) in enumerate(zones.items()):
        bars, where = walk(seed), tz.gettz(zone)
        bars = bars.set_axis((bars.index + pd.Timedelta(hours=hour)).tz_localize(where))
        feeds.append(feed_of(bars, name, tz=where))
    zoned = run(*feeds)
    plain = run(*[feed_of(walk(seed), name) for seed, name in enumerate(zones)])
    check_same(plain, zoned)
    assert analysis(zoned, DailySeries)["dates"] == list(walk(0).index.date)
    executed = {fill["executed"] for fill in analysis(zoned, Fills)["fills"]}
    assert executed == {fill["executed"] for fill in analysis(plain, Fills)["fills"]}


def test_the_end_of_a_day_in_new_york_is_the_next_in_utc() -> None:
    york = tz.gettz(NEW_YORK)
    feeds, dates = [], walk(0).index
    for seed, name in enumerate("AB"):
        bars = walk(seed)
        bars = bars.set_axis((bars.index + pd.Timedelta(NIGHT if seed else "16h")).tz_localize(york))
        feeds.append(feed_of(bars, name, tz=york))
    zoned, plain = run(*feeds), run(*[feed_of(walk(seed), name) for seed, name in enumerate("AB")])
    # The broker charges nights by UTC, so the money differs by some interest.
    check_same(plain, zoned, money=False)
    assert analysis(zoned, DailySeries)["dates"] == list(dates.date)


def test_a_monthly_feed_beside_daily_ones(caplog: pytest.LogCaptureFixture) -> None:
    daily = {name: walk(seed, 200) for seed, name in enumerate("AB")}
    days = walk(7, 200)
    monthly = days.groupby(days.index.to_period("M")).tail(1)[:-1]
    with caplog.at_level(logging.WARNING):
        strategy = run(
            *[feed_of(bars, name) for name, bars in daily.items()],
            feed_of(monthly, "M", NIGHT, timeframe=bt.TimeFrame.Months),
            cov_lookback=60, min_hist=60, rebalance_freq="W-FRI",
        )  # fmt: skip
    assert "left out" not in caplog.text
    known = [row for row in strategy.decided if row.session > dt.date(2020, 2, 28)]
    assert len(known) > 10
    assert all(row.weights[2] > 0.0 for row in known)
    assert {row.at.time() for row in strategy.decided} == {dt.time(0)}  # the daily ones do not wait for it


# -- bars within a day -------------------------------------------------------------------------------------------------

XNYS = pd.DatetimeIndex(
    [
        day
        for day in pd.bdate_range("2019-10-01", "2020-01-31")
        if f"{day:%m-%d}" not in {"11-28", "12-25", "01-01", "01-20"}
    ]
)


def by_session(bars: pd.DataFrame, days: pd.DatetimeIndex = XNYS) -> pd.DataFrame:
    """The last bar at or before each close, as a daily bar."""
    closes = hours_of(days, (16.0,)).union(hours_of(pd.DatetimeIndex(["2019-11-29", "2019-12-24"]), (13.0,)))
    at = closes.searchsorted(bars.index)
    bars, at = bars[at < len(days)], at[at < len(days)]
    grouped = bars.groupby(days[at])
    daily = grouped.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    return daily


def intraday(index: pd.DatetimeIndex, zone: str = "", changed: str = "", **params: Any) -> Any:
    """Three feeds on stamps of New York; bars after `changed` are another future's."""
    feeds = []
    for seed, name in enumerate("ABC"):
        bars = hourly(seed, index)
        if changed:
            bars.loc[bars.index > pd.Timestamp(changed), ["open", "high", "low", "close"]] *= 1.0 + 0.2 * seed
        if zone:
            bars = bars.set_axis(bars.index.tz_localize(tz.gettz(zone)))
        feeds.append(feed_of(bars, name, **INTRADAY, **({"tz": tz.gettz(zone)} if zone else {})))
    return run(*feeds, **{"rebalance_freq": "W-FRI", **params})


def daily_twin(index: pd.DatetimeIndex) -> Any:
    feeds = [feed_of(by_session(hourly(seed, index)), name) for seed, name in enumerate("ABC")]
    return run(*feeds, rebalance_freq="W-FRI")


STAMPS = {
    "a bar at the close": hours_of(XNYS),
    "none at the close": hours_of(XNYS, (11.0, 12.0, 15.5), early=12.0),
    "bars after the close": hours_of(XNYS, after=(17.0, 19.0)),
    "none at the close, some after": hours_of(XNYS, (11.0, 12.0, 15.5), after=(17.0,), early=12.0),
}


@pytest.mark.parametrize("stamps", STAMPS)
@pytest.mark.parametrize("zone", ["", NEW_YORK])
def test_weights_and_volatility_from_the_last_bar_of_each_session(stamps: str, zone: str) -> None:
    index = STAMPS[stamps]
    strategy, daily = intraday(index, zone), daily_twin(index)
    # What has no bar at its close waits for a later one: the last session of all in vain.
    waits = stamps == "none at the close"
    assert strategy.rebalances == daily.rebalances[: -1 if waits else None]
    assert {dt.date(2019, 11, 29), dt.date(2019, 12, 27)} <= set(strategy.rebalances)
    for a, b in zip(strategy.decided, daily.decided, strict=not waits):
        np.testing.assert_allclose(a.weights, b.weights, rtol=1e-12)
    # Volatility session by session; drawdown differs with the fills.
    sigmas = [[row[1] for row in one.levers.values()] for one in (strategy, daily)]
    np.testing.assert_allclose(sigmas[0], sigmas[1][: -1 if waits else None], rtol=1e-12)
    assert len(set(sigmas[0])) > 30
    assert analysis(strategy, DailySeries)["dates"] == list(XNYS.date)


@pytest.mark.parametrize(
    ("stamps", "session", "at"),
    [
        ("a bar at the close", "2019-11-29", "2019-11-29 13:00"),
        ("a bar at the close", "2019-12-27", "2019-12-27 16:00"),
        ("none at the close", "2019-11-29", "2019-12-02 11:00"),
        ("bars after the close", "2019-11-29", "2019-11-29 13:00"),
        ("none at the close, some after", "2019-11-29", "2019-11-29 17:00"),
    ],
)
def test_a_session_is_decided_at_its_close_and_not_from_what_comes_after(stamps: str, session: str, at: str) -> None:
    index = STAMPS[stamps]
    close = hours_of(pd.DatetimeIndex([session]), (13.0 if session.endswith("11-29") else 16.0,))[0]
    one, other = intraday(index), intraday(index, changed=str(close))

    def until(strategy: Any) -> list[Decided]:
        return [row for row in strategy.decided if str(row.session) <= session]

    assert until(one)[-1][:2] == (pd.Timestamp(at), dt.date.fromisoformat(session))
    assert until(one) == until(other)
    assert one.decided[-1].weights != other.decided[-1].weights
    sigmas = [[lever[1] for when, lever in run.levers.items() if when <= pd.Timestamp(at)] for run in (one, other)]
    assert sigmas[0] == sigmas[1]


def test_an_early_close_decides_at_its_hour() -> None:
    strategy = intraday(hours_of(XNYS), rebalance_freq="D")
    at = {row.session: row.at for row in strategy.decided}
    assert at[dt.date(2019, 12, 24)] == pd.Timestamp("2019-12-24 13:00")
    assert at[dt.date(2019, 12, 26)] == pd.Timestamp("2019-12-26 16:00")


def test_without_a_calendar_the_first_bar_of_the_next_date_decides() -> None:
    strategy = intraday(hours_of(XNYS), calendar=None)
    feeds = [feed_of(by_session(hourly(seed, hours_of(XNYS))), name) for seed, name in enumerate("ABC")]
    daily = run(*feeds, rebalance_freq="W-FRI", calendar=None)
    assert strategy.rebalances == daily.rebalances
    assert {row.at.hour for row in strategy.decided} == {11}
    for a, b in zip(strategy.decided, daily.decided, strict=True):
        assert a.at.date() > a.session
        np.testing.assert_allclose(a.weights, b.weights, rtol=1e-12)


def test_leverage_acts_once_a_session() -> None:
    strategy = intraday(hours_of(XNYS), lev_band=0.0)
    executed = pd.Series([pd.Timestamp(f["executed"]) for f in analysis(strategy, Fills)["fills"]])
    orders = analysis(strategy, TradingCosts)["orders"]["sent"]
    assert orders <= 3 * len(XNYS)
    assert executed.nunique() > 30
    assert analysis(strategy, Exposure)["dates"] == list(XNYS.date)


class Turns(OwnPosition, bt.Strategy):
    """Buys on the second bar, deposits in the middle of a session, sells near the end."""

    params = (("bars", ()),)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        if len(self) == 2:
            for data in self.datas:
                self.buy(data)
        if len(self) in (31, 62):
            self.broker.add_cash(1e5 if len(self) == 31 else -4e4)
        if len(self) in (90, 93):
            self.close(self.datas[len(self) % 2])


@pytest.mark.parametrize("broker", ["margin", "stock"])
@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_money_of_any_strategy_on_mixed_stamps(broker: str, execution: str) -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed_of(walk(1), "A"))
    cerebro.adddata(feed_of(walk(2), "B", NIGHT))
    open_account(cerebro, cash=1e6, broker=broker, execution=execution, borrow_rate=0.3)
    cerebro.broker.set_fundmode(True)
    cerebro.addstrategy(Turns)
    cerebro.addsizer(VolTargetDrawdownSizer, lev_min=1.5, lev_max=1.5)
    for analyzer in ANALYZERS:
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    cerebro.addobserver(DrawdownBrake)
    strategy = cerebro.run()[0]
    check_money(strategy)
    series = analysis(strategy, DailySeries)
    assert series["dates"] == list(walk(1).index.date)
    assert [round(paid) for paid in series["deposits"] if abs(paid) > 1e-6] == [100_000, -40_000]
    assert analysis(strategy, TradingCosts)["interest"] > 0.0
    # The observer draws every bar; on the last of each session it says what the series say.
    drawn = np.array(strategy.observers[0].lines.drawdown.get(size=len(strategy)))[1::2]
    fund = np.array(series["fund"])
    peak = np.maximum.accumulate(np.r_[series["start_fund"], fund])[1:]
    np.testing.assert_allclose(drawn, fund / peak - 1.0, atol=1e-12)
    assert drawn.min() < -0.02


def test_any_strategy_is_levered_by_sessions() -> None:
    """The sizer of a strategy without a clock makes its own: as on the daily twin, sessions trimmed counted once."""

    class Buys(OwnPosition, bt.Strategy):
        def next(self) -> None:
            self.buy()  # on every bar

    def sizer(feed: Any, **params: Any) -> Any:
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(feed)
        open_account(cerebro, cash=1e6, initial_margin=0.9)
        cerebro.addstrategy(Buys)
        cerebro.addsizer(
            VolTargetDrawdownSizer, vol_lookback=60, target_vol=0.9, dd_threshold1=0.9, dd_threshold2=0.95, **params
        )
        return cerebro.run()[0].getsizer()

    bars = hourly(3, hours_of(XNYS))
    within, daily = sizer(feed_of(bars, "A", **INTRADAY)), sizer(feed_of(by_session(bars), "A"))
    assert within._volatility.value == pytest.approx(daily._volatility.value, rel=1e-12)
    assert 0 < within.trims <= len(XNYS)
    # Another exchange, other sessions: Toronto is closed on 2019-12-26.
    assert sizer(feed_of(bars, "A", **INTRADAY), calendar="XTSE")._volatility.value != pytest.approx(
        daily._volatility.value, rel=1e-12
    )
    with pytest.raises(InputError, match="calendar='NOWHERE' is unknown"):
        sizer(feed_of(bars, "A", **INTRADAY), calendar="NOWHERE")


def test_what_is_held_counts_from_the_close_of_its_session() -> None:
    """Bought on the day of a hole, filled before that session is decided: not held at its close."""

    class Buys(OwnPosition, bt.Strategy):
        def next(self) -> None:
            if bt.num2date(self.datetime[0]) == dt.datetime(2020, 1, 8):
                self.buy(self.data0)

    cerebro = bt.Cerebro(stdstats=False)
    one = days_of(*range(6, 11))
    cerebro.adddata(feed_of(one, "A"))
    cerebro.adddata(feed_of(days_of(6, 7, 9, 10), "B", NIGHT))
    cerebro.addstrategy(Buys)
    cerebro.addsizer(VolTargetDrawdownSizer)
    volatility = cerebro.run()[0].getsizer()._volatility
    assert volatility._count == 1  # in force from the close of the 9th: the 10th earns
    close = one["close"].to_numpy()
    assert volatility._returns[0] == pytest.approx(0.5 * (close[4] / close[3] - 1.0), rel=1e-12)


def test_a_fill_at_the_close_is_carried_only_into_a_later_session() -> None:
    class Buys(OwnPosition, bt.Strategy):
        def next(self) -> None:
            if len(self) in (3, 6):  # in the middle of the second session, at the end of the third
                self.buy(self.data0, size=len(self))

    cerebro = bt.Cerebro(stdstats=False)
    bars = days_of(6, 7, 8, 9)
    cerebro.adddata(feed_of(bars, "A"))
    cerebro.adddata(feed_of(days_of(6, 7, 8, 9), "B", NIGHT))
    cerebro.broker.set_coc(True)
    cerebro.addstrategy(Buys)
    cerebro.addanalyzer(StrategyProfit)
    strategy = cerebro.run()[0]
    ledger = next(one for one in strategy._slave_analyzers if isinstance(one, Ledger))
    close = bars["close"].to_numpy()
    assert ledger.own_sizes[:, 0].tolist() == [0.0, 3.0, 3.0, 9.0]
    np.testing.assert_allclose(ledger.carried_values[:, 0], [0.0, 0.0, 3.0 * close[1], 9.0 * close[2]])
    assert [f"{day:%d}" for day in ledger.fill_dates] == ["07", "08"]


def test_a_size_in_the_middle_of_a_session_knows_what_others_hold() -> None:
    class Holder(OwnPosition, bt.Strategy):
        def next(self) -> None:
            if len(self) == 41:  # the first bar of a session
                self.buy(size=5_000)

    class Asks(OwnPosition, bt.Strategy):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[float] = []

        def next(self) -> None:
            self.sizes.append(self.getsizer().target_size(self.data, 1.0) * self.data.close[0] / 1e6)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed_of(hourly(3, hours_of(XNYS)), "A", **INTRADAY))
    open_account(cerebro, cash=1e6, initial_margin=1.0)
    cerebro.addstrategy(Holder)
    cerebro.addstrategy(Asks)
    cerebro.addsizer_byidx(1, VolTargetDrawdownSizer, lev_min=1.0, lev_max=1.0)
    sizes = cerebro.run()[1].sizes
    assert sizes[40] == pytest.approx(1.0, abs=1e-3)
    assert sizes[41] == pytest.approx(0.5, abs=0.1)


def test_trade_from_is_a_session(sample: Panel) -> None:
    panel = sample.between(None, "2010-06-30").select(["SPY", "TLT"])
    frames = {
        name: bars.drop(pd.Timestamp("2010-03-15")) if name == "TLT" else bars for name, bars in panel.frames.items()
    }
    feeds = [feed_of(bars, name, NIGHT if name == "TLT" else None) for name, bars in frames.items()]
    fills = analysis(run(*feeds, trade_from="2010-03-15"), Fills)["fills"]
    # TLT has a hole on that day: its session is decided on the 16th at 00:00, from where the orders go.
    assert min(fill["date"] for fill in fills if fill["symbol"] == "TLT") == dt.date(2010, 3, 16)
    assert min(fill["date"] for fill in fills if fill["symbol"] == "SPY") == dt.date(2010, 3, 17)


@pytest.mark.long
def test_real_prices_two_and_two(market: Path, tmp_path: Path) -> None:
    panel = load("csv", data_dir=market, prices="adjusted", symbols="SPY,TLT,GLD,EEM", end="2017-12-29")
    midnight = run(*panel.feeds())
    stamped = panel.feeds()[:2], [csv_feed(panel.frames[name], name, tmp_path) for name in panel.symbols[2:]]
    mixed = run(*stamped[0], *stamped[1])
    assert len(mixed) == 2 * len(midnight) == 2 * len(panel.sessions)
    assert analysis(mixed, AnnualizedSharpe)["sessions"] == len(panel.sessions)
    check_same(midnight, mixed)


@pytest.mark.parametrize(
    "days",
    [
        pd.DatetimeIndex(["1899-12-31", "1970-01-01", "2024-02-29 23:59:59.999999", "2200-12-31"]),
        pd.DatetimeIndex(["2024-03-09 20:00", "2024-03-10 23:30"], tz="America/New_York"),  # UTC has the next day
        pd.DatetimeIndex(["2024-03-10 00:30"], tz="Asia/Tokyo"),  # and the day before
        pd.Index(["2024-01-02", dt.date(2024, 1, 3), dt.datetime(2024, 1, 4, 23, 59)], dtype=object),
        pd.DatetimeIndex([]),
    ],
)
def test_ordinals_are_those_of_each_date(days: pd.Index) -> None:
    assert ordinals(days) == [pd.Timestamp(day).toordinal() for day in days]
    assert all(type(number) is int for number in ordinals(days))
