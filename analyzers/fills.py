"""The trades, one by one, and the dividends and splits between them."""

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
    broker sent it (`order.info.margin_call`)}; `actions`, what dividends and splits did to own shares, a list of
    {`date`, `symbol`, `shares` that a split added, money `cashed` for fractions of a share, `dividend` received
    (paid: negative), `tax` withheld from it}.
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
            ],
            "actions": [
                {
                    "date": ledger.dates[session],
                    "symbol": ledger.symbols[booked.feed],
                    "shares": booked.shares,
                    "cashed": booked.cashed,
                    "dividend": booked.dividend,
                    "tax": booked.tax,
                }
                for booked, session in zip(ledger.booked, ledger.booked_sessions, strict=True)
                if ledger.dates
            ],
        }
