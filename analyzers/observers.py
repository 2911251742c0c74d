"""Leverage and drawdown for those who plot through Cerebro, and a plot that needs no screen."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import backtrader as bt

from riskoverlay.errors import InputError, require
from riskoverlay.files import replace_file

from .sessions import DateClock

__all__ = ["DrawdownBrake", "Leverage", "plot"]


class Leverage(bt.Observer):
    """Gross leverage of the account at each bar's close, and the leverage that the sizer wants.

    Attributes
    ----------
    held : line
        Value of all positions, shorts counted like longs, over equity.
    target : line
        `getsizer().leverage`; nan where the sizer has none.
    """

    lines: Any = ("held", "target")
    plotinfo = {"plot": True, "subplot": True, "plotname": "Leverage"}
    plotlines = {"held": {"color": "#0b5f9e"}, "target": {"color": "#1d2126", "ls": "--", "linewidth": 0.8}}

    def next(self) -> None:
        """Draw a bar."""
        strategy = self._owner
        broker = strategy.broker
        equity = broker.getvalue()
        gross = sum(_value(broker, data) for data in strategy.datas if len(data))
        self.lines.held[0] = gross / equity if equity > 0.0 else float("nan")
        self.lines.target[0] = getattr(strategy.getsizer(), "leverage", float("nan"))


class DrawdownBrake(bt.Observer):
    """Drawdown of the fund value (deposits are not performance), and what the sizer's brake makes of it.

    Attributes
    ----------
    drawdown : line
        0 or a negative fraction of the highest value at the close of a session before, or of this bar's.
    brake : line
        `getsizer().brake_part` in [0, 1], 1 is off; nan where the sizer has none.
    """

    lines: Any = ("drawdown", "brake")
    plotinfo = {"plot": True, "subplot": True, "plotname": "Drawdown and brake"}
    plotlines = {"drawdown": {"color": "#0b5f9e"}, "brake": {"color": "#b8442c", "linewidth": 0.8}}

    def start(self) -> None:
        """Begin at the first value."""
        self._peak = self._last = float(self._owner.broker.fundvalue)
        self._calendar, self._day = DateClock(self._owner), 0

    def next(self) -> None:
        """Draw a bar."""
        value = self._owner.broker.fundvalue
        day = self._calendar.day()
        if day > self._day:  # what a value in the middle of a session reaches is no peak
            self._day, self._peak = day, max(self._peak, self._last)
        self._last = value
        self.lines.drawdown[0] = value / max(self._peak, value) - 1.0
        self.lines.brake[0] = getattr(self._owner.getsizer(), "brake_part", float("nan"))


def _value(broker: Any, data: Any) -> float:
    size = broker.getposition(data).size
    info = broker.getcommissioninfo(data)
    return float(abs(size) * data.close[0] * (1.0 if info.stocklike else info.p.mult)) if size else 0.0


def plot(
    cerebro: bt.Cerebro, path: str | Path, *, size: Sequence[float] = (16.0, 9.0), dpi: int = 100, **options: Any
) -> list[Path]:
    """What `cerebro.plot(**options)` shows, as files, on a machine with or without a screen.

    Parameters
    ----------
    cerebro : bt.Cerebro
        That has run.
    path : str or Path
        The kind of file is that of the ending. More than one figure (several strategies, or `numfigs`) are numbered:
        plot.png becomes plot_1.png, plot_2.png.
    size : tuple of float
        Inches.
    dpi : int
        Dots an inch.
    **options
        Of `cerebro.plot`.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    InputError
        cerebro has not run, or kept nothing to draw.
    """
    require("matplotlib", "plot", "plot")
    import matplotlib
    from matplotlib import pyplot

    if not getattr(cerebro, "runstrats", None):
        raise InputError("cerebro has not run", "call cerebro.run() before plot")
    before = matplotlib.get_backend()
    from backtrader import plot as drawing  # it asks for Tk when it is first imported

    class Silent(drawing.Plot):
        """backtrader's plotter, without a window."""

        def show(self) -> None:
            """Open none."""

    pyplot.switch_backend("Agg")
    try:
        drawn = cerebro.plot(plotter=Silent(**options), numfigs=options.get("numfigs", 1), iplot=False)
        if drawn is None:
            raise InputError("cerebro kept no bars to draw", "run it with exactbars=False or a negative number")
        figures = [figure for one in drawn for figure in one]
        paths = _numbered(Path(path), len(figures))
        for figure, name in zip(figures, paths, strict=True):
            figure.set_size_inches(*size)
            replace_file(name, partial(figure.savefig, dpi=dpi))
            pyplot.close(figure)
    finally:
        pyplot.switch_backend(before)
    return paths


def _numbered(path: Path, count: int) -> list[Path]:
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}_{i}{path.suffix}") for i in range(1, count + 1)]
