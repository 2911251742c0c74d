"""What the account charges: commission, margin requirement, and interest on the money actually borrowed."""

import datetime as dt
from typing import Any

import backtrader as bt

from riskoverlay.errors import InputError
from riskoverlay.rates import DatedRate

from .financing import Financing
from .rules import AccountTerms

__all__ = ["DatedRate", "MarginAccount", "check_stock_broker", "commission", "debit_balance"]


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


def check_stock_broker(financing: Financing | None) -> None:
    """Refuse what backtrader's own broker cannot charge: it asks for open positions only, and for no short one.

    Parameters
    ----------
    financing : Financing or None

    Raises
    ------
    InputError
        Interest on cash, a fee or a rebate for borrowed shares.
    """
    if financing is None:
        return
    for name in ("cash_spread", "short_fee", "short_rebate"):
        value = getattr(financing, name)
        if value is not None and (value or name != "short_fee"):
            raise InputError(
                "cannot be charged by backtrader's own broker, which asks for positions that were bought only",
                "open the account with broker='margin', or dataclasses.replace(financing, cash_spread=None, "
                "short_fee=0.0, short_rebate=None)", f"financing.{name}", value,
            )  # fmt: skip


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
        self._charges = self.terms.charges
        self._charge: tuple[Any, float, float] = (None, 0.0, 0.0)
        self._told_stock = False

    @property
    def max_leverage(self) -> float:
        """Largest gross value of positions, per unit of equity, that may be opened: 1/initial_margin."""
        return 1.0 / self.terms.initial_margin

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        terms = self.terms
        return commission(size, price, terms.commission_bps, terms.commission_per_share, terms.commission_min)

    def interest(self, balance: float, start: int, end: int, shorts: float = 0.0) -> float:
        """Interest on a debit balance, and for borrowed shares: `Charges.interest`.

        Parameters
        ----------
        balance : float
            Money; negative: idle cash, which earns.
        start, end : int
            Days, as proleptic ordinals.
        shorts : float
            Value of short positions, money, >= 0.

        Returns
        -------
        float
            Money; negative: received.
        """
        return self._charges.interest(balance, start, end, shorts)

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
        if not self._told_stock:
            check_stock_broker(self.terms.financing)
            self._told_stock = True
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
            self._charge = (key, debit, cost)
        _, debit, cost = self._charge
        return pos.size * pos.price / cost * self.interest(debit, start, end)
