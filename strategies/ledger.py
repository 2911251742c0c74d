"""What a strategy holds of its own, from its own fills, when several share one broker."""

from typing import Any

import backtrader as bt

__all__ = ["OwnPosition", "PositionLedger", "held_in"]


def held_in(order: Any) -> Any:
    """The feed whose position an order changes: its own, or the one that the feed's `compensate` has named.

    Parameters
    ----------
    order : bt.Order

    Returns
    -------
    feed
    """
    other = order.data._compensate
    return order.data if other is None else other


class PositionLedger:
    """Shares bought and sold by one strategy. Feed it every order notification of that strategy."""

    def __init__(self) -> None:
        self._positions: dict[Any, bt.Position] = {}

    def record(self, order: Any) -> None:
        """Take the fills that are new in this notification (backtrader hands out clones with the new ones marked).

        Parameters
        ----------
        order : bt.Order
            As `notify_order` gives it.
        """
        for fill in order.executed.iterpending():
            self.position(held_in(order)).update(fill.size, fill.price)

    def act(self, action: Any, strategy: Any) -> None:
        """Take a dividend or split of a feed: `CorporateAction`, as the account has booked it for a strategy.

        Parameters
        ----------
        action : CorporateAction
        strategy : bt.Strategy
        """
        holding = action.holders.get(strategy)
        if holding is not None and action.split != 1.0:
            position = self.position(action.data)
            position.size = holding.after
            position.price = position.price / action.split if holding.after else 0.0

    def position(self, data: Any) -> bt.Position:
        """Position of this strategy in a feed.

        Parameters
        ----------
        data : feed

        Returns
        -------
        bt.Position
            Size in shares, average price.
        """
        position = self._positions.get(data)
        if position is None:
            position = self._positions[data] = bt.Position()
        return position

    def held(self, data: Any) -> float:
        """Shares held.

        Parameters
        ----------
        data : feed

        Returns
        -------
        float
            Negative when short.
        """
        position = self._positions.get(data)
        return position.size if position is not None else 0


class OwnPosition:
    """Mixin: a strategy that sees only its own position, so that it can share feeds and cash with others.

    Backtrader's `position`, `getposition` and `close` speak of the whole account: a second strategy on the same feed
    believes that it is invested, and closes what is not its own. With this mixin in front they speak of its own fills::

        class Momentum(OwnPosition, bt.strategies.SMA_CrossOver):
            pass
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ledger = PositionLedger()
        super().__init__(*args, **kwargs)

    def _addnotification(self, order: Any, quicknotify: bool = False) -> None:
        """Keep the books in the order of events, as the broker does, before the strategy is told of any of them."""
        if not order.p.simulated:
            self._ledger.record(order)
        super()._addnotification(order, quicknotify=quicknotify)  # type: ignore[misc]

    def notify_action(self, action: Any) -> None:
        """Keep the books.

        Parameters
        ----------
        action : CorporateAction
        """
        self._ledger.act(action, self)

    def held(self, data: Any) -> float:
        """Shares of a feed that this strategy itself holds.

        Parameters
        ----------
        data : feed

        Returns
        -------
        float
            Negative when short.
        """
        return self._ledger.held(data)

    def getposition(self, data: Any = None, broker: Any = None) -> bt.Position:
        """Own position in a feed.

        Parameters
        ----------
        data : feed, optional
            Default: the first.
        broker : object, optional
            Not looked at.

        Returns
        -------
        bt.Position
        """
        return self._ledger.position(self.datas[0] if data is None else data)  # type: ignore[attr-defined]

    position = property(getposition)
