"""PanelFeed: daily bars held in memory, handed to Cerebro in one go; RawPanelFeed: with dividends and splits."""

from array import array
from typing import Any

import backtrader as bt
import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.errors import InputError

__all__ = ["PanelFeed", "RawPanelFeed", "day_numbers"]

_EPOCH = 719163  # proleptic ordinal of 1970-01-01, the day number backtrader gives it


def day_numbers(index: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    """backtrader's number of each date: `bt.date2num`, bit for bit; midnights, as daily bars have them, at once.

    Parameters
    ----------
    index : DatetimeIndex
        tz-naive, without missing dates.

    Returns
    -------
    ndarray of shape (len(index),)
    """
    days = index.to_numpy().astype("datetime64[D]")
    if (days == index.to_numpy()).all():
        return (days.astype(np.int64) + _EPOCH).astype(np.float64)
    return np.array([bt.date2num(stamp) for stamp in index.to_pydatetime()], dtype=np.float64)


class _Tick:
    """A `tick_*` attribute read off the current bar: on a whole bar, the bar is the tick.

    Strategies may read it, and the stock broker reads four for each pending order on each bar. It has no `__set__`, so
    that what stock backtrader stores while replaying takes precedence.
    """

    def __init__(self, line: str) -> None:
        self.line = line

    def __get__(self, feed: Any, owner: type) -> float | None:
        if feed is None or not len(feed):
            return None
        value: float = getattr(feed.lines, self.line)[0]
        return value


class PanelFeed(bt.feeds.PandasData):
    """`bt.feeds.PandasData`, same parameters and same values, several times as fast.

    Every line's array is filled at once when Cerebro preloads, and a bar that is complete gets no tick
    bookkeeping. With filters (resampling and replaying are filters), an input timezone, or columns that are
    not plain numbers, bars go through stock backtrader one by one. A tz-aware index of daily or longer bars
    becomes its local date; PandasData would store UTC and shift the date.

    Parameters
    ----------
    dataname : DataFrame
        Daily bars, dates in the index.
    **params
        Those of `PandasData`, and `members`, stretches (from, to) of dates on which a strategy of weights may hold the
        symbol, both included, None is open (default: always).
    """

    params: Any = (("members", None),)

    # The number in a comment says how many times as long an empty run takes without what stands below it: 8 feeds of
    # 4006 sessions, medians of 9 to 15 alternating runs. PandasData takes 22 times as long.

    # Found at once. Stored anew for each bar, as stock backtrader does: 4.4. Left out, so that the broker's `getattr`
    # fails each time: 1.3 for a run with an order pending in each feed.
    tick_open, tick_high, tick_low, tick_close = _Tick("open"), _Tick("high"), _Tick("low"), _Tick("close")
    tick_volume, tick_openinterest, tick_last = _Tick("volume"), _Tick("openinterest"), _Tick("close")

    _filled = False  # every bar is in the lines' arrays, so moving on is only counting

    def __init__(self) -> None:
        super().__init__()
        self._dates = self.lines.datetime
        # `data.close` is found at once, stock backtrader's after two failed look-ups: 1.25 for a run that reads every
        # close once, 1 for an empty one.
        self.__dict__.update(zip(self.getlinealiases(), self.lines.lines, strict=True))
        frame = self.p.dataname
        # `self._timeframe` is the default until after this.
        if self.p.datetime is None and self.p.timeframe >= bt.TimeFrame.Days and frame.index.tz is not None:
            self.p.dataname = frame.set_axis(frame.index.tz_localize(None).normalize())

    def start(self) -> None:
        """Begin a run."""
        super().start()
        self._filled = False

    def preload(self) -> None:
        """Fill every line at once, where nothing may change a bar on its way in."""
        # All rows at once: 17.
        columns = None if self._one_by_one() else self._columns()
        if columns is None:
            super().preload()
            return
        for line, values in zip(self.lines.lines, columns, strict=True):
            filled = array("d")
            filled.frombytes(values.tobytes())
            line.array = filled + line.array  # what is there already is Cerebro's lookahead room
        self.home()
        self._idx = len(self.p.dataname)  # no row is left for `_load`
        self._filled = True

    def _one_by_one(self) -> bool:
        """Whether a bar may be changed on its way in, or must not be kept."""
        return bool(
            self._filters
            or self._tzinput
            or any(line.bindings or line.mode == line.QBuffer for line in self.lines.lines)
        )

    def _columns(self) -> list[npt.NDArray[np.float64]] | None:
        """The values of each line between `fromdate` and `todate`, or None if they are not plain numbers."""
        frame = self.p.dataname
        index = frame.index
        if self._colmapping["datetime"] is not None or not isinstance(index, pd.DatetimeIndex):
            return None
        if index.tz is not None or index.hasnans:
            return None
        numbers = day_numbers(index)
        beyond = np.flatnonzero(numbers > self.todate)
        numbers = numbers[: beyond[0]] if len(beyond) else numbers
        kept = np.flatnonzero(numbers >= self.fromdate)
        columns = []
        for name in self.getlinealiases():
            at = self._colmapping[name]
            if name == "datetime":
                columns.append(numbers[kept])
            elif at is None:
                columns.append(np.full(len(kept), np.nan))
            else:
                column = frame.iloc[:, at]
                if not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "fiu":
                    return None
                columns.append(column.to_numpy(np.float64)[kept])
        return columns

    # Cerebro calls the following for each bar of each feed; stock backtrader's are most of an empty run, and cost a
    # quarter of a default one (medians of eleven alternating pairs).

    # No calls down to a line: 1.07.
    def __len__(self) -> int:
        length: int = self._dates.lencount
        return length

    # No calls down to the line of dates: 1.5.
    def advance_peek(self) -> float:
        """The date number of the next bar.

        Returns
        -------
        float
            inf after the last.
        """
        if not self._filled:
            peeked: float = super().advance_peek()
            return peeked
        dates = self._dates
        if dates.lencount < len(dates.array) - dates.extension:
            following: float = dates.array[dates._idx + 1]
            return following
        return float("inf")

    # No calls down to each line: 2.2; with the ticks that stock backtrader stores on the way: 5.
    def advance(self, size: int = 1, datamaster: Any = None, ticks: bool = True) -> None:
        """Move on; on a filled feed that is only counting.

        Parameters
        ----------
        size : int
            Bars.
        datamaster : feed, optional
            That it follows.
        ticks : bool
            Whether stock backtrader keeps ticks.
        """
        if not self._filled or datamaster is not None:
            super().advance(size, datamaster, ticks)
            return
        for line in self.lines.lines:
            line._idx += size
            line.lencount += size

    # A tick that is stored would outlive its bar here, since moving on does not clear it.

    def _tick_nullify(self) -> None:
        if self._filters:
            super()._tick_nullify()

    def _tick_fill(self, force: bool = False) -> None:
        if self._filters:
            super()._tick_fill(force)


class RawPanelFeed(PanelFeed):
    """`PanelFeed` of prices as traded, with lines for what `MarginBroker` pays: dividends and splits.

    Parameters
    ----------
    dataname : DataFrame
        Daily bars, dates in the index; dividend: cash a share on its ex-date, 0 where none; split: new shares for one,
        1 where none.
    **params
        Those of `PandasData`.
    """

    lines = ("dividend", "split")
    params = (("dividend", -1), ("split", -1))  # by name, as PandasData finds the others

    def start(self) -> None:
        """Begin a run.

        Raises
        ------
        InputError
            There are dividends or splits, and a broker that does not pay them, or a filter, which would lose them.
        """
        super().start()
        frame = self.p.dataname
        if not ((frame["dividend"] != 0.0) | (frame["split"] != 1.0)).any():
            return
        if self._filters:
            raise InputError(
                f"{self._name}: raw prices with dividends or splits cannot be resampled, replayed or filtered",
                "give prices=adjusted",
            )
        if not getattr(self._env.broker, "pays_actions", False):
            raise InputError(
                f"{self._name}: raw prices with dividends or splits need the MarginBroker",
                "give prices=adjusted, or open_account",
            )
