"""Strategies, a sizer, an analyzer and a feed that read the future, from the day `since` on; and honest ones."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from riskoverlay.feeds import Panel, PanelFeed


class Momentum(bt.Strategy):
    """Honest: in a feed while it is above its close ten sessions ago. What inherits cheats from `since` on."""

    params = (("since", None), ("sized", True))

    def next(self) -> None:
        if len(self) <= 10:
            return
        today = self.data.datetime.date(0)
        for data in self.datas:
            cheating = self.p.since is not None and today >= self.p.since
            wanted = self.cheat(data) if cheating else data.close[0] > data.close[-10]
            held = self.getposition(data).size
            size = 10 if self.p.sized else None
            if wanted and held <= 0:
                self.buy(data, size=size)
            elif not wanted and held > 0:
                self.sell(data, size=size)

    def cheat(self, data: Any) -> bool:
        return data.close[0] > data.close[-10]


class NextClose(Momentum):
    """Reads the next close, and crashes on the last bar, as they do."""

    def cheat(self, data: Any) -> bool:
        return data.close[1] > data.close[0]


class Normalised(Momentum):
    """Compares with the mean of the whole sample, taken from the preloaded lines in `__init__`."""

    def __init__(self) -> None:
        self.means = {data: float(np.mean(data.close.array)) for data in self.datas}

    def cheat(self, data: Any) -> bool:
        return data.close[0] > self.means[data]


class Centred(Momentum):
    """An indicator computed with pandas on the feed's frame: its window is centred."""

    def __init__(self) -> None:
        self.means = {
            data: data.p.dataname["close"].rolling(5, center=True, min_periods=1).mean() for data in self.datas
        }

    def cheat(self, data: Any) -> bool:
        return data.close[0] > self.means[data][pd.Timestamp(data.datetime.date(0))]


class MonthEnd(bt.Strategy):
    """Buys a share on the last session of a month, which it sees from the next bar; it minds the last bar."""

    params = (("since", None),)

    def next(self) -> None:
        today = self.data.datetime.date(0)
        if self.p.since is None or today < self.p.since:
            return
        try:
            last = self.data.datetime.date(1).month != today.month
        except IndexError:
            last = False
        if last:
            self.buy(size=1)


class OnTheHigh(Momentum):
    """Decides on where the close is between high and low, and is filled at that close (with `set_coc`)."""

    def cheat(self, data: Any) -> bool:
        return data.close[0] > 0.5 * (data.high[0] + data.low[0])


class AtTheOpen(bt.Strategy):
    """Decides on the close of a bar and is filled at its open (with `cheat_on_open`)."""

    params = (("since", None),)

    def next_open(self) -> None:
        if self.p.since is None or self.data.datetime.date(0) < self.p.since:
            return
        if self.data.close[0] > self.data.open[0] and not self.position:
            self.buy(size=10)
        elif self.data.close[0] <= self.data.open[0] and self.position:
            self.close()


class FutureSizer(bt.Sizer):
    """Sizes by the volatility of the ten sessions that come."""

    params = (("since", None),)

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        held = self.broker.getposition(data).size
        if not isbuy:
            return held
        if self.p.since is None or self.strategy.data.datetime.date(0) < self.p.since:
            return 10
        coming = np.array(data.close.array[len(data) : len(data) + 10])
        return 10 if len(coming) < 3 else max(1, int(0.2 / np.std(np.diff(np.log(coming)))))


class BackFilled:
    """Makes feeds on every business day from `since` on; a day without a bar shows the bar of the next."""

    def __init__(self, since: dt.date | None) -> None:
        self.since = since

    def __call__(self, panel: Panel) -> list[Any]:
        made: list[Any] = []
        for symbol, frame in panel.frames.items():
            days: pd.Index[Any] = pd.bdate_range(frame.index[0], frame.index[-1])
            if self.since is not None:
                days = frame.index.union(days[days >= pd.Timestamp(self.since)])
                frame = frame.reindex(days).bfill()
            made.append(PanelFeed(dataname=frame, name=symbol))  # type: ignore[call-arg]  # backtrader `params`
        return made


class ForwardFilled(BackFilled):
    """Honest: a day without a bar shows the bar of the day before."""

    def __call__(self, panel: Panel) -> list[Any]:
        made: list[Any] = []
        for symbol, frame in panel.frames.items():
            days = frame.index.union(pd.bdate_range(frame.index[0], frame.index[-1]))
            made.append(PanelFeed(dataname=frame.reindex(days).ffill(), name=symbol))  # type: ignore[call-arg]
        return made


class Leak(bt.Analyzer):
    """Hands its strategy a list of the days before a rise."""

    def start(self) -> None:
        data = self.strategy.data
        closes, days = np.array(data.close.array), np.array(data.datetime.array)
        self.strategy.hints = set(days[:-1][closes[1:] > closes[:-1]])


class Hinted(Momentum):
    """Believes its analyzer."""

    hints: set[float] = set()

    def cheat(self, data: Any) -> bool:
        return self.data.datetime[0] in self.hints


class Unseeded(Momentum):
    """Draws lots that nobody can draw again."""

    def cheat(self, data: Any) -> bool:
        return bool(np.random.default_rng().random() < 0.5)


class Remembers(Momentum):
    """Keeps what it has seen for the next run in the same process."""

    seen: dict[float, float] = {}

    def cheat(self, data: Any) -> bool:
        ahead = self.seen.get(self.data.datetime[0] + 1.0, math.nan)
        self.seen[self.data.datetime[0]] = self.data.close[0]
        return ahead > self.data.close[0]


class SlowAverage(bt.Strategy):
    """Trades on an exponential average that never forgets: what it is depends on where the bars start."""

    params = (("period", 500),)

    def __init__(self) -> None:
        self.average = bt.ind.EMA(period=5)
        alpha = 2.0 / (1.0 + self.p.period)
        self.slow = bt.ind.ExponentialSmoothing(self.data, period=5, alpha=alpha)

    def next(self) -> None:
        if self.average[0] > self.slow[0] and not self.position:
            self.buy()
        elif self.average[0] < self.slow[0] and self.position:
            self.close()


class EveryTenth(bt.Strategy):
    """Without indicators, and counts from its first bar."""

    def next(self) -> None:
        if len(self) % 10 == 0:
            self.buy(size=1)


class CountsBars(bt.Strategy):
    """Sees all bars at once when they are preloaded, none when they are not."""

    def next(self) -> None:
        if len(self) == 20 and self.data.buflen() > 20:
            self.buy(size=1)
