"""One call that gives a Cerebro its account: broker, charges, execution."""

from typing import Any

import backtrader as bt

from riskoverlay.errors import InputError
from riskoverlay.rules import check_names

from .broker import MarginBroker
from .margin import MarginAccount, check_stock_broker
from .rules import ExecutionTerms

__all__ = ["open_account"]


def open_account(
    cerebro: bt.Cerebro,
    cash: float = ExecutionTerms.cash,
    *,
    execution: str = ExecutionTerms.execution,
    slippage_bps: float = ExecutionTerms.slippage_bps,
    broker: str = "margin",
    acknowledge: bool = True,
    **account: Any,
) -> Any:
    """Give a Cerebro a margin account.

    Parameters
    ----------
    cerebro : bt.Cerebro
    cash, execution, slippage_bps
        See `ExecutionTerms`.
    broker : {"margin", "stock"}
        `MarginBroker`, or backtrader's own BackBroker.
    acknowledge : bool
        See `MarginBroker`.
    **account
        Fields of `AccountTerms`: commission_bps, initial_margin, borrow_rate, ...

    Returns
    -------
    broker
        Cerebro's from now on.

    Raises
    ------
    InputError
        An argument out of its bounds or unknown; a financing that backtrader's own broker cannot charge.
    """
    terms = ExecutionTerms(cash, execution, slippage_bps)
    check_names(account, MarginAccount.params._getkeys())  # type: ignore[attr-defined]
    scheme = MarginAccount(**account)
    if broker == "margin":
        cerebro.broker = MarginBroker(account=scheme, acknowledge=acknowledge)  # type: ignore[call-arg]
    elif broker == "stock":
        check_stock_broker(scheme.terms.financing)
        cerebro.broker = bt.brokers.BackBroker()
        cerebro.broker.addcommissioninfo(scheme)
    else:
        raise InputError("is not known", "give 'margin' or 'stock'", "broker", broker)
    cerebro.broker.set_cash(terms.cash)
    cerebro.broker.set_int2pnl(False)
    cerebro.broker.set_coc(terms.execution == "close")
    # slip_out: a fill may leave the bar's range. Capped at it, a fill at the close would know the next bar's high.
    cerebro.broker.set_slippage_perc(terms.slippage_bps / 1e4, slip_out=True)
    return cerebro.broker
