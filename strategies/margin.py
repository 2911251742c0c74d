"""What the account charges: commission, margin requirement, and interest on the money actually borrowed."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.conventions import DAYS_PER_YEAR
from riskoverlay.dates import ordinals
from riskoverlay.errors import InputError
from riskoverlay.rules import per_cent

from .rules import HIGHEST_RATE, AccountTerms

__all__ = ["DatedRate", "MarginAccount", "commission", "debit_balance"]


class DatedRate:
    """An annual interest rate that is known day by day.

    Parameters
    ----------
    rate : float, or pandas Series / mapping of date to float
        Annual rate as a fraction (0.05 = 5 %). A dated rate holds from its date until the next one; days before
        the first date have no rate and are refused.
    name : str
        The argument's name, for error messages.

    Raises
    ------
    InputError
        Empty, unordered, or not finite.
    """

    def __init__(self, rate: float | pd.Series | Mapping[Any, float], name: str = "borrow_rate") -> None:
        self.name = name
        if isinstance(rate, (int, float)):
            if not 0.0 <= rate <= HIGHEST_RATE:
                cure = f"give an annual fraction >= 0, e.g. 0.05 (at most {HIGHEST_RATE:g})"
                if rate > HIGHEST_RATE:
                    cure = per_cent(rate, HIGHEST_RATE) or cure
                raise InputError("is not a rate", cure, name, rate)
            self.constant: float | None = float(rate)
            return
        self.constant = None
        series = rate if isinstance(rate, pd.Series) else pd.Series(dict(rate), dtype=float)
        days = ordinals(series.index)
        values = [float(value) for value in series]
        if not days:
            raise InputError(f"{name} is an empty series", "give at least one dated annual rate")
        if any(b <= a for a, b in pairwise(days)):
            raise InputError(f"{name} has duplicate or unsorted dates", "sort it and keep one rate a day")
        if not all(abs(value) <= HIGHEST_RATE for value in values):
            raise InputError(
                f"{name} holds a rate that is not finite, or above {HIGHEST_RATE:g}",
                "fill or drop it; if they are per cent, divide by 100",
            )
        self._days = days
        self._rates = values
        # Sum of the daily rates from the first date up to each dated change, so that any span is two look-ups.
        spans = [0.0] + [(b - a) * r for (a, b), r in zip(pairwise(days), values, strict=False)]
        self._cumulative = list(accumulate(spans))

    def _integral(self, ordinal: int) -> float:
        i = bisect_right(self._days, ordinal) - 1
        if i < 0:
            first = dt.date.fromordinal(self._days[0])
            raise InputError(
                f"{self.name} starts on {first}, interest is due from {dt.date.fromordinal(ordinal)}",
                "give a series that starts earlier",
            )
        return self._cumulative[i] + (ordinal - self._days[i]) * self._rates[i]

    def between(self, start: int, end: int) -> float:
        """Interest on 1 unit of money: every night costs rate/365 at the rate of the day on which it begins.

        Parameters
        ----------
        start, end : int
            Days, as proleptic ordinals.

        Returns
        -------
        float
            A fraction.

        Raises
        ------
        InputError
            A dated rate that begins after `start`.
        """
        if self.constant is not None:
            return self.constant * (end - start) / DAYS_PER_YEAR
        return (self._integral(end) - self._integral(start)) / DAYS_PER_YEAR


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
