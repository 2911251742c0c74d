"""Dividends and splits: what they do to shares, cash, open orders and trades, and to returns."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ActionFeed", "CorporateAction", "Holding", "holdings", "restate_order", "shares_after"]

Floats = npt.NDArray[np.float64]

NEAR = 2e-6
"""Relative: vendors print 1/3 of a share as 0.333333, and 300 shares are 100 then."""


def shares_after(held: float, split: float) -> float:
    """Shares after a split; of whole shares the whole part: fractions are cashed.

    Parameters
    ----------
    held : float
        Signed.
    split : float
        New shares for one.

    Returns
    -------
    float
    """
    exact = held * split
    if held != math.floor(held):
        return exact
    nearest = math.floor(abs(exact) + 0.5) * 1.0
    whole = nearest if abs(abs(exact) - nearest) <= NEAR * nearest else math.floor(abs(exact)) * 1.0
    return whole if exact >= 0.0 else -whole


def ex(close: Any, split: Any, dividend: Any) -> Any:
    """The last close ex split and dividend: C(t)/ex − 1 is the total return of session t.

    Parameters
    ----------
    close : float or ndarray
        The session's before, a share then, > 0.
    split : float or ndarray
        New shares for one.
    dividend : float or ndarray
        Money a new share, less than the close.

    Returns
    -------
    float or ndarray
    """
    return close / split - dividend


class Holding(NamedTuple):
    """What an action does to the shares that one strategy holds.

    Attributes
    ----------
    before, after : float
        Shares, signed.
    cashed : float
        Money for fractions of a share, at the last close.
    dividend : float
        Money; what a short position pays is negative.
    tax : float
        Money withheld from it.
    """

    before: float
    after: float
    cashed: float
    dividend: float
    tax: float

    @property
    def cash(self) -> float:
        """Money that the account receives."""
        return self.cashed + self.dividend - self.tax


def holdings(
    held: Mapping[Any, float], split: float, dividend: float, close: float, withholding: float
) -> dict[Any, Holding]:
    """What an action does to each holder of a feed in one account.

    Tax is withheld from what the account as a whole is long; those who are long bear it by their shares.

    Parameters
    ----------
    held : mapping
        Holder -> shares, signed, not 0.
    split : float
        New shares for one.
    dividend : float
        Money a new share.
    close : float
        The last close, a new share.
    withholding : float
        Fraction of the dividend.

    Returns
    -------
    dict
        Holder -> Holding.
    """
    after = {holder: shares_after(shares, split) for holder, shares in held.items()}
    longs = sum(shares for shares in after.values() if shares > 0.0)
    taxed = max(sum(after.values()), 0.0)
    rate = withholding * dividend * (taxed / longs) if taxed else 0.0
    return {
        holder: Holding(
            before=shares,
            after=after[holder],
            cashed=(shares * split - after[holder]) * close,
            dividend=after[holder] * dividend,
            tax=max(after[holder], 0.0) * rate,
        )
        for holder, shares in held.items()
    }


class ActionFeed:
    """A feed with lines `dividend` (money a share on its ex-date) and `split` (new shares for one; 0, 1, nan: none).

    Parameters
    ----------
    data : feed
        That has begun.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self._dividend, self._split, self._clock = data.lines.dividend, data.lines.split, data.lines.datetime
        self._seen = 0.0
        self._dates: list[float] | None = None  # of what is to come, where the feed has all of its bars: to look then
        if getattr(data, "_filled", False):
            paid, ratio = (np.array(line.array) for line in (self._dividend, self._split))
            n = len(self._clock.array) - self._clock.extension
            acts = (paid[:n] != 0.0) | (ratio[:n] != 1.0)
            self._dates = np.array(self._clock.array)[:n][acts][::-1].tolist()

    @classmethod
    def knows(cls, data: Any) -> bool:
        """Whether a feed has these lines."""
        return hasattr(data.lines, "dividend") and hasattr(data.lines, "split")

    def sleeps_until(self, number: float) -> float:
        """The date number before which nothing is due; 0 where that is not known.

        Parameters
        ----------
        number : float
            Of now.

        Returns
        -------
        float
        """
        if self._dates is None:
            return 0.0
        while self._dates and self._dates[-1] <= number:
            self._dates.pop()
        return self._dates[-1] if self._dates else math.inf

    def due(self) -> tuple[float, float] | None:
        """Dividend and split of the bar under way, once; None: there are none."""
        dividend, split = self._dividend[0], self._split[0]
        if dividend == 0.0 and split == 1.0:
            return None
        stamp = self._clock[0]
        if stamp == self._seen:
            return None
        self._seen = stamp
        dividend = dividend if dividend > 0.0 else 0.0
        split = split if split > 0.0 else 1.0
        return None if dividend == 0.0 and split == 1.0 else (dividend, split)


@dataclass(frozen=True, eq=False)
class CorporateAction:
    """A dividend or a split that the account has just booked, before the session's open.

    Strategies and analyzers that have a method `notify_action` are given it, after the fills at the close before.

    Attributes
    ----------
    data : feed
    split : float
        New shares for one; 1: none.
    dividend : float
        Money a new share; 0: none.
    before : float
        The last close, an old share, the dividend in it.
    holders : mapping
        Strategy -> Holding.
    cerebro : bt.Cerebro
        Whose strategies hear of it.
    """

    data: Any
    split: float
    dividend: float
    before: float
    holders: Mapping[Any, Holding]
    cerebro: Any

    @property
    def base(self) -> float:
        """What the session's close is held against for its total return: the last close, ex split and dividend."""
        return ex(self.before, self.split, self.dividend)

    @property
    def owner(self) -> Any:
        """Who is given it out of the broker's queue, in the order of events: itself, it tells the others."""
        return self

    def _addnotification(self, action: Any, quicknotify: bool = False) -> None:
        for strategy in self.cerebro.runningstrats:
            if strategy in self.holders:
                self._restate_trades(strategy, self.holders[strategy], quicknotify)
            for listener in (*strategy.analyzers, *strategy._slave_analyzers, strategy):
                if hasattr(listener, "notify_action"):
                    listener.notify_action(self)

    def _restate_trades(self, strategy: Any, holding: Holding, quicknotify: bool) -> None:
        """Open trades in new shares, the dividend in their profit; what a split leaves no share of is closed."""
        listed = (trades[-1] for trades in strategy._trades.get(self.data, {}).values() if trades)
        for trade in [trade for trade in listed if trade.isopen]:
            part = trade.size / holding.before
            fraction = trade.size * self.split - holding.after * part
            trade.size, trade.price = holding.after * part, trade.price / self.split
            trade.pnl += part * holding.cash - fraction * trade.price
            trade.pnlcomm = trade.pnl - trade.commission
            trade.value = abs(trade.size) * trade.price
            if trade.size:
                continue
            trade.isopen, trade.isclosed, trade.status = False, True, trade.Closed
            trade.barclose, trade.dtclose = len(self.data), self.data.datetime[0]
            closed = copy.copy(trade)
            strategy._tradespending.append(closed)
            if quicknotify:
                strategy.notify_trade(closed)
                for analyzer in (*strategy.analyzers, *strategy._slave_analyzers):
                    analyzer._notify_trade(closed)


def restate_order(order: Any, split: float) -> None:
    """An open order in new shares: its size times the split, its prices over it.

    Parameters
    ----------
    order : bt.Order
        Of whole shares a fraction is left away; with nothing left, `order.executed.remsize` is 0.
    split : float
        New shares for one.
    """
    order.executed.remsize = shares_after(order.executed.remsize, split)
    order.size = order.created.size = shares_after(order.created.size, split)
    order.created.pclose /= split
    order._limitoffset /= split
    for terms in (order, order.created):  # backtrader looks at either
        for name in ("price", "pricelimit", "plimit", "trailamount"):
            value = getattr(terms, name)
            if value:
                setattr(terms, name, value / split)
