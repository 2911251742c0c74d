"""Where a strategy stands at a close: everything that a run which begins there needs, as plain values."""

import datetime as dt
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import backtrader as bt

from riskoverlay.errors import InputError
from riskoverlay.notes import name_of

__all__ = ["Correction", "restore", "state_of"]


_KEPT = {
    "cash": "broker.cash", "fund_shares": "broker._fundshares", "peak": "_sizer._peak", "leverage": "_sizer.leverage",
    "performance": "_sizer._performance", "drawdown": "_sizer.drawdown", "volatility_part": "_sizer.volatility_part",
    "brake_part": "_sizer.brake_part", "start_value": "_sizer._start_value", "cash_flow": "_sizer._cash_flow",
    "trims": "_sizer.trims", "again": "_again", "sent_late": "_sent_late", "unfilled": "unfilled",
}  # fmt: skip
"""Name in the state -> where a strategy has it: numbers that are kept, and put back, as they are."""


def state_of(strategy: Any) -> dict[str, Any]:
    """Where a strategy, alone in its account, stands after its last session.

    Parameters
    ----------
    strategy : Rebalancing
        After a run, with `VolTargetDrawdownSizer`, in a `MarginBroker`.

    Returns
    -------
    dict
        Of JSON's types. `session`: its date; of the account `value`, `cash`, `fund_shares`, `positions` (shares and
        average price), `owned` and `orders` under way; of the sizer `peak`, `base_returns` of the volatility window,
        `leverage` and its parts; of the strategy `weights` in force and when they were `decided`, the `plan` that was
        traded to, and whether it is to be tried `again`.
    """
    broker, sizer = strategy.broker, strategy.getsizer()
    waiting = [(order, True) for order in broker.pending] + [(order, False) for order in broker.submitted]
    return {
        "session": str(strategy._previous),
        "value": broker._get_value(),
        **{name: attrgetter(path)(strategy) for name, path in _KEPT.items()},
        "positions": {name_of(data): [held.size, held.price] for data, held in broker.positions.items()},
        "owned": {name_of(data): size for (_, data), size in broker._owned.items()},
        "orders": [
            {"symbol": name_of(order.data), "size": order.executed.remsize, "waits": waits,
             "price": order.created.price, "close": order.created.pclose}
            for order, waits in waiting
        ],
        "base_returns": sizer._volatility.known,
        "weights": {name_of(data): weight for data, weight in strategy._target.items()},
        "plan": {name_of(data): weight for data, weight in strategy._plan.items()},
        "decided": str(strategy.rebalances[-1]) if strategy.rebalances else None,
        "left_out": sorted(strategy._left_out),
        "schedule_from": getattr(strategy._schedule, "_first", None),
    }  # fmt: skip


def restore(strategy: Any, state: Mapping[str, Any]) -> None:
    """Put account, sizer and strategy where they stood, and send again what was under way.

    Parameters
    ----------
    strategy : Rebalancing
        At the close of the session, in `next`.
    state : mapping
        As `state_of`.

    Raises
    ------
    InputError
        The bars have no such session; a symbol without a feed.
    """
    session, feeds = dt.date.fromordinal(strategy.session_clock.session), {name_of(d): d for d in strategy.datas}
    if str(session) != state["session"]:
        problem = f"have no bar of that session, the last one done, but of {session}"
        raise InputError(problem, "give the prices that were there", "prices", state["session"])
    if missing := {*state["positions"], *state["weights"]} - feeds.keys():
        raise InputError(f"there is no feed of {', '.join(sorted(missing))}", "add it to Cerebro")
    broker, sizer, decided = strategy.broker, strategy.getsizer(), state["decided"]
    for name, path in _KEPT.items():
        *owner, attribute = path.split(".")
        setattr(getattr(strategy, owner[0]) if owner else strategy, attribute, state[name])
    strategy._set_target({feeds[name]: weight for name, weight in state["weights"].items()} if decided else None)
    strategy._plan = {feeds[name]: weight for name, weight in state["plan"].items()}
    strategy.rebalances[:] = [dt.date.fromisoformat(decided)] if decided else []
    strategy._left_out, strategy._previous, strategy._waits_for = set(state["left_out"]), session, None
    if state["schedule_from"] is not None:
        strategy._schedule._first, strategy._schedule._known = state["schedule_from"], 0  # read anew from there
    broker._owned.update({(strategy, feeds[name]): size for name, size in state["owned"].items()})
    for name, (size, price) in state["positions"].items():
        broker.positions[feeds[name]] = bt.Position(size, price)
        _take_over(strategy, feeds[name], state["owned"].get(name, 0.0), price)
    sizer.equity, sizer._opened = broker._get_value(), None
    sizer._volatility.restart(state["base_returns"])
    broker._called_on = broker._session if broker._to_keep > max(broker._value * (1 + 1e-9), 0.0) else None
    for order in state["orders"]:
        send = strategy.buy if order["size"] > 0 else strategy.sell
        sent = send(feeds[order["symbol"]], size=abs(order["size"]))
        sent.created.price, sent.created.pclose = order["price"], order["close"]
        strategy._alive[sent.ref] = sent
        if order["waits"]:  # accepted before: not once more
            broker.submitted.remove(sent)
            broker.submit_accept(sent)


def _take_over(strategy: Any, data: Any, size: float, price: float) -> None:
    """What a strategy and its sizer know of their own position."""
    strategy._holdings = None
    for ledger in (strategy._ledger, strategy.getsizer()._ledger):
        position = ledger.position(data)
        position.size, position.price = size, price


class Correction:
    """What a broker says at the close of a session: the account holds that from there on, whatever was expected.

    `broker.statement = Correction(...)` before the run. It is taken after the session's fills and interest, before the
    strategy decides: what it sends comes of what is really held. What it had ordered and is not there is tried again.

    Parameters
    ----------
    day : int
        Ordinal of the session.
    positions : mapping, optional
        Symbol -> shares, of every feed (default: as expected).
    cash : float, optional
        Money; negative: the loan (default: as expected, and the deposit).
    deposit : float
        Paid in since the session before, money; negative: paid out. It is no performance.
    opens : bool
        Whether the account begins with it: nothing of it is performance.

    Attributes
    ----------
    expected, expected_cash : dict, float
        What the account would have held otherwise, the deposit in its cash.
    differs : bool
        Whether other shares are held than were expected.
    """

    def __init__(
        self, day: int, positions: Mapping[str, float] | None = None, cash: float | None = None,
        deposit: float = 0.0, *, opens: bool = False,
    ) -> None:  # fmt: skip
        self.day, self.positions, self.cash, self.deposit, self._opens = day, positions, cash, deposit, opens
        self.expected: dict[str, float] = {}
        self.expected_cash, self.differs = 0.0, False
        self.owner = self  # to whom it is given out of the broker's queue: it tells the others
        self._strategy: Any = None

    def take(self, broker: Any) -> None:
        """Put it into a broker, if its session is under way.

        Parameters
        ----------
        broker : MarginBroker
        """
        if int(broker._session) != self.day:
            return
        before = broker._get_value()
        broker.cash += self.deposit
        self.expected = {name_of(data): held.size for data, held in broker.positions.items()}
        self.expected_cash = broker.cash
        broker.cash = broker.cash if self.cash is None else self.cash
        if self.positions is not None:
            (self._strategy,) = broker.cerebro.runningstrats
            broker.notifs.append(self)  # after the fills, so that every book hears of it in the order of events
            for data in self._strategy.datas:
                size = self.positions.get(name_of(data), 0.0)
                self.differs |= size != self.expected.get(name_of(data), 0.0)
                if size or data in broker.positions:
                    held = broker.positions[data]
                    held.price = held.price if held.size and size else data.close[0] if size else 0.0
                    held.size = size
                    broker._owned[(self._strategy, data)] = size
        value = broker._get_value()
        flow = value - before if self._opens else self.deposit
        if flow:  # at the value of a fund share without it: it had no part in the session
            broker._fundshares *= value / (value - flow)

    def _addnotification(self, statement: Any, quicknotify: bool = False) -> None:
        for data, held in self._strategy.broker.positions.items():
            _take_over(self._strategy, data, held.size, held.price)
        if self.differs:
            self._strategy._again = self._strategy.base_weights is not None
