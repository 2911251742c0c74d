"""The trades, one by one."""

from typing import Any

from .ledger import Ledger, LedgerReader

__all__ = ["Fills"]


class Fills(LedgerReader):
    """Every execution of this strategy's own orders, in order.

    Notes
    -----
    `get_analysis()`: `fills`, a list of {`date` the session the account shows it, `executed` the date of
    its price (the session before with cheat-on-close), `symbol`, `size` signed, `price`, `reference` price
    (see TradingCosts), `commission` money, `kind` order type such as "Market", `margin_call` whether the
    broker sent it (`order.info.margin_call`)}.
    """

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        return {
            "fills": [
                {
                    "date": ledger.dates[session] if ledger.dates else day,
                    "executed": day,
                    "symbol": ledger.symbols[fill.feed],
                    "size": fill.size,
                    "price": fill.price,
                    "reference": fill.reference,
                    "commission": fill.commission,
                    "kind": fill.kind,
                    "margin_call": fill.margin_call,
                }
                for fill, session, day in zip(ledger.fills, ledger.fill_sessions, ledger.fill_dates, strict=True)
            ]
        }
