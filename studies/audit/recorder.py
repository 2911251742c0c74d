"""How a run is put on tape."""

import logging
import math
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import numpy.typing as npt

from riskoverlay.feeds import Panel
from riskoverlay.notes import silenced
from riskoverlay.strategies import CorporateAction

from .tape import LINES, Event, Tape, Value

__all__ = ["Feeds", "Setup", "record"]

Setup = Callable[[bt.Cerebro], Any]
"""Puts account, strategies, sizers and analyzers into a Cerebro whose feeds are there."""
Feeds = Callable[[Panel], list[Any]]
"""The feeds made of a panel, each with a name."""


class _Stop(BaseException):
    """Ends a run from inside; no strategy catches it."""


class _Recorder(bt.Cerebro):
    """A Cerebro that writes a tape: its hooks are called whatever the strategies do."""

    def prepare(self, tape: Tape, until: float) -> None:
        """Record what happens in sessions before `until`."""
        self.tape, self.until, self.open_phase = tape, until, True
        self.now = 0.0  # number of the session, from its fills on
        self.numbers: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.weights: dict[int, Any] = {}
        broker = self.broker
        submit, cancel, notification = broker.submit, broker.cancel, broker.get_notification

        def on_submit(order: Any, *args: Any, **kwargs: Any) -> Any:
            self.on_order(order)
            return submit(order, *args, **kwargs)

        def on_cancel(order: Any, *args: Any, **kwargs: Any) -> Any:
            self.write("cancel", self.name_of(order.owner), order.data, ("cancel", self.number(order)))
            return cancel(order, *args, **kwargs)

        def on_notification() -> Any:
            order = notification()
            if order is not None:
                self.on_notice(order)
            return order

        broker.submit, broker.cancel, broker.get_notification = on_submit, on_cancel, on_notification

    # -- what is written ---------------------------------------------------------------------------------------------

    def day(self) -> float:
        return max((data.datetime[0] for data in self.datas if len(data)), default=0.0)

    def name_of(self, strategy: Any) -> str:
        name = self.names.get(id(strategy))
        if name is None:
            # By identity: strategies are lines, and lines compare what they hold.
            at = [other is strategy for other in (*self.runningstrats, strategy)].index(True)
            name = f"{type(strategy).__name__}{f'_{at}' if len(self.strats) > 1 else ''}"
            self.names[id(strategy)] = name
        return name

    def number(self, order: Any) -> int:
        return self.numbers.setdefault(order.ref, len(self.numbers) + 1)

    def write(self, kind: str, strategy: str, data: Any, values: tuple[Value, ...], same_bar: bool = False) -> None:
        feed = "" if data is None else str(data._name)
        when = "open" if self.open_phase else "close"
        day = self.day() if self.open_phase else self.now
        self.tape.events.append(Event(day, kind, strategy, feed, values, when, same_bar))

    def on_order(self, order: Any) -> None:
        params = getattr(self.broker, "p", None)
        at_close = getattr(params, "coc", False) and order.info.get("coc", True)
        at_open = getattr(params, "coo", False) and self.open_phase
        same_bar = order.exectype == bt.Order.Market and bool(at_open or at_close)
        values = (
            "buy" if order.isbuy() else "sell", float(abs(order.size)), order.getordername(),
            order.price, order.pricelimit, order.trailamount, order.trailpercent,
            None if order.valid is None else str(order.valid), self.number(order),
        )  # fmt: skip
        self.write("order", self.name_of(order.owner), order.data, values, same_bar)

    def on_notice(self, order: Any) -> None:
        if isinstance(order, CorporateAction):
            self.write("notice", "", order.data, ("dividend or split", order.dividend, order.split))
            return
        number, owner = self.number(order), self.name_of(order.owner)
        if order.status in (order.Margin, order.Rejected, order.Canceled, order.Expired):
            self.tape.refused.add(number)
        fills = []
        if order.status in (order.Partial, order.Completed):
            fills = [(bit.dt, float(bit.size), float(bit.price)) for bit in order.executed.iterpending()]
        for day, size, price in fills:
            if day < self.now:
                self.tape.late[number] = (day, owner, str(order.data._name), size, price)
        values: list[Value] = [order.getstatusname(), number]
        for _, size, price in fills:
            values += [size, price]
        self.write("notice", owner, order.data, tuple(values))

    # -- backtrader's hooks ------------------------------------------------------------------------------------------

    def _brokernotify(self) -> None:
        self.now = self.day()
        beyond = self.now >= self.until
        self.tape.started = True
        self.open_phase = False
        super()._brokernotify()
        if beyond:  # what was priced before `until` is booked now
            raise _Stop
        self.write("account", "", None, (float(self.broker.getvalue()), float(self.broker.getcash())))

    def _next_writers(self, runstrats: list[Any]) -> None:
        super()._next_writers(runstrats)
        self.open_phase = True
        for strategy in runstrats:
            weights = getattr(strategy, "base_weights", None)
            if weights is not None and weights is not self.weights.get(id(strategy)):
                self.weights[id(strategy)] = weights
                self.write("weights", self.name_of(strategy), None, tuple(float(weight) for weight in weights))

    def _runonce(self, runstrats: list[Any]) -> None:
        super()._runonce(runstrats)
        self._finish(runstrats)

    def _runnext(self, runstrats: list[Any]) -> None:
        super()._runnext(runstrats)
        self._finish(runstrats)

    def _finish(self, runstrats: list[Any]) -> None:
        for strategy in runstrats:
            for i, indicator in enumerate(strategy.getindicators_lines()):
                for line, alias in zip(indicator.lines, indicator.getlinealiases(), strict=False):
                    name = f"{self.name_of(strategy)} {type(indicator).__name__}[{i}].{alias}"
                    self.tape.indicators[name] = np.array(line.array)
        raise _Stop  # what analyzers make of a run in their `stop` decides nothing any more


def record(setup: Setup, panel: Panel, feeds: Feeds, until: float = math.inf, **mode: Any) -> Tape:
    """Run, and write down what happened in the sessions before `until`.

    Parameters
    ----------
    setup : Setup
    panel : Panel
    feeds : Feeds
    until : float
        backtrader's number of a day; the run ends there, with what it has priced before.
    **mode
        Parameters of Cerebro such as runonce and preload.

    Returns
    -------
    Tape
        An error ends it with a "crash", and is kept in it.
    """
    tape = Tape()
    cerebro = _Recorder(stdstats=False)
    # Notes and warnings of hundreds of runs on bars that never happened say nothing.
    with silenced(level=logging.CRITICAL, category=Warning), np.errstate(all="ignore"):
        try:
            for data in feeds(panel):
                cerebro.adddata(data)
            setup(cerebro)
            cerebro.prepare(tape, until)
            cerebro.run(**mode)
        except _Stop:
            pass
        except Exception as error:
            tape.error = error
            cerebro.open_phase = False
            day = cerebro.day() if tape.started else 0.0
            tape.events.append(Event(day, "crash", "", "", (type(error).__name__,), "close", False))
    if tape.started:
        tape.bars = {str(data._name): _bars(data) for data in cerebro.datas}
    return tape


def _bars(data: Any) -> npt.NDArray[np.float64]:
    n = len(data)
    lines = [getattr(data.lines, line, None) for line in LINES]
    columns = [np.zeros(n) if line is None else np.array(line.array[:n]) for line in lines]
    if any(len(column) != n for column in columns):  # a mode that keeps no history
        return np.empty((0, len(LINES)))
    return np.column_stack(columns)
