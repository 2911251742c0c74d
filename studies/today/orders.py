"""What to send to the broker: orders as a table, and as a basket for Interactive Brokers' TWS.

The basket's columns are those that IBKR's guides give for a market order: "Manually Create a Basket File"
(www.interactivebrokers.com.hk/php/webhelp/Making_Trades/baskets/manualBasket.htm, and
www.ibkrguides.com/traderworkstation/manually-create-a-basket-file.htm) and "Basket Fields"
(www.ibkrguides.com/traderworkstation/basket-fields.htm), where opg is a time in force; OPG with MKT is market-on-open
by "Market-on-Open" (interactivebrokers.ca/en/trading/orders/moo.php).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from riskoverlay.errors import InputError

from ..workbench.outputs import write_file

__all__ = ["OrderLine", "write_basket", "write_orders"]

_ORDERS = ("symbol", "side", "shares", "last_close", "estimated_cost", "money")
_BASKET = ("Action", "Quantity", "Symbol", "SecType", "Exchange", "Currency", "TimeInForce", "OrderType")

# BRK-B, BRK.B; not VOD.L, SAP.DE or 7203.T, which are of other exchanges and currencies.
_AMERICAN = re.compile(r"[A-Z]{1,6}(-[A-Z]|\.[AB])?")


@dataclass(frozen=True)
class OrderLine:
    """One order.

    Attributes
    ----------
    symbol : str
    side : str
        BUY or SELL.
    shares : float
        Above zero.
    close : float
        The last one.
    cost : float
        Commission and slippage as estimated, money.
    """

    symbol: str
    side: str
    shares: float
    close: float
    cost: float

    @property
    def money(self) -> float:
        """Its value at the last close: above zero what is bought, below zero what is sold."""
        return self.shares * self.close * (1.0 if self.side == "BUY" else -1.0)


def write_orders(path: str | Path, lines: Iterable[OrderLine]) -> None:
    """Write a CSV file with columns symbol, side, shares, last_close, estimated_cost, money; the last two in cents.

    Parameters
    ----------
    path : str or Path
    lines : iterable of OrderLine
        None makes a header alone.

    Raises
    ------
    InputError
        As `write_file`.
    """
    rows = [(one.symbol, one.side, one.shares, one.close, round(one.cost, 2), round(one.money, 2)) for one in lines]
    write_file(path, lambda file: pd.DataFrame(rows, columns=_ORDERS).to_csv(file, index=False, float_format="%.15g"))


def write_basket(path: str | Path, lines: Iterable[OrderLine]) -> None:
    """Write what TWS's BasketTrader imports: market orders at the open, in US dollars, through SMART.

    Nothing is sent: TWS shows the orders, and a person transmits them.

    Parameters
    ----------
    path : str or Path
    lines : iterable of OrderLine
        Whole shares of companies and funds that are listed in the United States.

    Raises
    ------
    InputError
        A fraction of a share, which no auction takes; a symbol of elsewhere, or of no share. As `write_file`.
    """
    rows = []
    for one in lines:
        if not float(one.shares).is_integer() or not _AMERICAN.fullmatch(one.symbol):
            problem = f"{one.side} {one.shares:g} {one.symbol} is no order of whole shares listed in the United States"
            raise InputError(problem, "leave --no-whole-shares away, or send that order by hand")
        rows.append((one.side, int(one.shares), re.sub("[-.]", " ", one.symbol), "STK", "SMART", "USD", "OPG", "MKT"))
    write_file(path, lambda file: pd.DataFrame(rows, columns=_BASKET).to_csv(file, index=False))
