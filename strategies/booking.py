"""How a margin account books dividends and splits, between the fills at one close and those at the next open."""

from collections.abc import Iterable
from typing import Any

from riskoverlay.errors import InputError
from riskoverlay.notes import name_of

from .actions import ActionFeed, CorporateAction, holdings, restate_order
from .ledger import held_in

__all__ = ["ActionDesk"]


class ActionDesk:
    """Part of a `MarginBroker`, on whose cash, positions and queues it works.

    Parameters
    ----------
    broker : MarginBroker
    """

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.feeds: list[ActionFeed] = []
        self._sleeps_until = 0.0

    def watch(self, begun: Iterable[Any]) -> None:
        """Look at feeds from their first bar on, those that know dividends and splits.

        Parameters
        ----------
        begun : iterable of feeds
        """
        self.feeds += [ActionFeed(data) for data in begun if ActionFeed.knows(data)]
        self._sleeps_until = 0.0

    def book(self) -> None:
        """Dividends and splits of this session, after the fills at the close before.

        Raises
        ------
        InputError
            Of a contract; a dividend that is no less than the price before it.
        """
        broker = self._broker
        if broker._session < self._sleeps_until:
            return
        due = [(feed.data, *action) for feed in self.feeds if (action := feed.due()) is not None]
        if due and broker.p.coc:  # the evening before, and its night, before the morning pays
            broker._fill_pending(at_close=True)
            broker._meet_call()
            broker._charge_interest()
        for data, dividend, split in due:
            if len(data) > 1:
                self._book(data, dividend, split)
        self._sleeps_until = min(feed.sleeps_until(broker._session) for feed in self.feeds)

    def _book(self, data: Any, dividend: float, split: float) -> None:
        broker = self._broker
        if broker._terms_of(data).contract:
            raise InputError(f"feed {name_of(data)} is a contract, and has dividends or splits", "give it without them")
        before = data.close[-1]
        if not dividend < before / split:
            raise InputError(
                f"feed {name_of(data)} pays {dividend:g} a share on {data.datetime.date(0)}, which closed at "
                f"{before / split:g} before",
                "correct the dividend, or its split",
            )
        held = {owner: size for (owner, feed), size in broker._owned.items() if feed is data and size}
        holders = holdings(held, split, dividend, before / split, broker.account.terms.withholding)
        broker.cash += sum([holding.cash for holding in holders.values()])
        if split != 1.0:
            broker._owned.update({(owner, data): holding.after for owner, holding in holders.items()})
            position = broker.positions[data]
            position.size = sum([holding.after for holding in holders.values()])
            position.price = position.price / split if position.size else 0.0
            for order in [order for order in broker.pending if held_in(order) is data]:
                if order in broker.pending:  # not cancelled with another
                    self._restate(order, split)
        action = CorporateAction(data, split, dividend, before, holders, broker.cerebro)
        if data in broker._marks:
            broker._marks[data] = action.base
        broker._books = None
        broker.notifs.append(action)

    def _restate(self, order: Any, split: float) -> None:
        broker = self._broker
        restate_order(order, split)
        if not order.executed.remsize:
            broker.pending.remove(order)
            order.cancel()
            broker.notify(order)
            broker._ococheck(order)
            broker._bracketize(order, cancel=True)
