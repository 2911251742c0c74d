"""What the account charges: commission, margin requirement, and interest on the money actually borrowed."""

import datetime as dt
from typing import Any

import backtrader as bt

from riskoverlay.conventions import DAYS_PER_YEAR
from riskoverlay.errors import InputError
from riskoverlay.rates import DatedRate

from .rules import AccountTerms

__all__ = ["DatedRate", "MarginAccount", "commission", "debit_balance"]


def commission(size: float, price: float, bps: float, per_share: float, minimum: float) -> float:
    """What an order costs: basis points of its value and money a share, but no less than the minimum.

    Parameters
    ----------
    size : float
        Shares, either sign.
    price : float
    bps : float
        Basis points of the value.
    per_share, minimum : float
        Money; the minimum only where something is charged.

    Returns
    -------
    float
        Money.
    """
    fee = abs(size) * (price * bps / 1e4 + per_share)
    return max(fee, minimum) if fee else 0.0


def debit_balance(broker: Any) -> float:
    """Money borrowed from a broker of any cash rule: gross long value − equity.

    Short proceeds do not reduce the debit: they are collateral for the shares owed. Contracts are not paid for, so
    nothing is borrowed for them.

    Parameters
    ----------
    broker : broker

    Returns
    -------
    float
        Money; negative: idle cash.
    """
    longs = [
        pos.size * data.close[0]
        for data, pos in broker.positions.items()
        if pos.size > 0 and broker.getcommissioninfo(data).stocklike
    ]
    return float(sum(longs) - broker.getvalue())


class MarginAccount(bt.CommInfoBase):
    """Commission scheme of a stock account on margin.

    Under backtrader's own broker it charges the loan through `get_credit_interest`; under `MarginBroker` the broker
    asks it once a session. Call `broker.set_int2pnl(False)` with the stock broker, or backtrader mixes interest into
    commissions; `open_account` does it.

    The stock broker knows one ratio only, used both to accept and to fill an order: it gets 1/maintenance_margin,
    so that an overnight gap between decision and fill rejects nothing; the sizer keeps targets within
    1/initial_margin.

    Parameters
    ----------
    **params
        The fields of `AccountTerms`.

    Raises
    ------
    InputError
        A parameter out of its bounds.
    """

    params = (*AccountTerms.params(), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))

    def __init__(self) -> None:
        super().__init__()
        self.terms = AccountTerms.of(self.p)
        for name, cure in (("commission", "commission_bps"), ("interest", "borrow_rate")):
            if getattr(self.p, name):
                raise InputError("is not used here", f"give {cure} instead", name, getattr(self.p, name))
        self.p.leverage = 1.0 / self.terms.maintenance_margin
        self._borrow = DatedRate(self.terms.borrow_rate, "borrow_rate")
        self._idle = DatedRate(self.terms.cash_rate, "cash_rate")
        self._days = DAYS_PER_YEAR / self.terms.day_count  # `DatedRate` counts by 365
        self._charge: tuple[Any, float] = (None, 0.0)

    @property
    def max_leverage(self) -> float:
        """Largest gross value of positions, per unit of equity, that may be opened: 1/initial_margin."""
        return 1.0 / self.terms.initial_margin

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        terms = self.terms
        return commission(size, price, terms.commission_bps, terms.commission_per_share, terms.commission_min)

    def interest(self, balance: float, start: int, end: int) -> float:
        """Interest on a debit balance.

        Parameters
        ----------
        balance : float
            Money; negative: idle cash, which earns.
        start, end : int
            Days, as proleptic ordinals.

        Returns
        -------
        float
            Money; negative: received.
        """
        rate = self._borrow if balance > 0.0 else self._idle
        return balance * rate.between(start, end) * self._days

    def getsize(self, price: float, cash: float) -> int:
        """Shares that some money buys: backtrader's, which `order_target_value` asks for, multiplies by the leverage.

        Parameters
        ----------
        price, cash : float

        Returns
        -------
        int
        """
        return int(cash // price)

    def get_credit_interest(self, data: Any, pos: Any, dt: dt.datetime) -> float:
        """Backtrader's hook, called for every open position before the session's fills: its part of the interest.

        The debit is that of the whole account; each long position bears its share by cost, so that the parts add up
        to the interest of the account. `pos.datetime` is the day of the last charge.

        Parameters
        ----------
        data : feed
        pos : bt.Position
        dt : datetime

        Returns
        -------
        float
            Money.
        """
        end, start = dt.toordinal(), pos.datetime.toordinal()
        if end <= start or pos.size <= 0:
            return 0.0
        # One look at the account a session: the broker takes the money only after it has asked for every position.
        broker = data._env.broker
        key = (broker, dt, broker.getcash(), len(broker.positions))
        if self._charge[0] != key:
            cost = 0.0
            debit = -broker.getcash()
            for feed, held in broker.positions.items():
                scheme = broker.getcommissioninfo(feed)
                if not scheme.stocklike:
                    debit -= scheme.getvaluesize(held.size, held.price)  # the margin set aside is cash
                elif held.size > 0:
                    # In backtrader's levered cash, true cash = cash − Σ cost·(1 − 1/leverage): exact at any price.
                    cost += held.size * held.price
                    debit += held.size * held.price * (1.0 - 1.0 / scheme.get_leverage())
                elif held.size < 0:
                    debit -= held.size * feed.close[0]
            self._charge = (key, debit / cost)
        return pos.size * pos.price * self.interest(self._charge[1], start, end)
