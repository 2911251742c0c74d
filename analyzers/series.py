"""Daily series of the account."""

from typing import Any

import numpy as np

from .ledger import Ledger, LedgerReader
from .sessions import first_index, parse_first
from .statistics import simple_returns

__all__ = ["DailySeries"]


class DailySeries(LedgerReader):
    """Date, equity, cash, loan, deposits and return of the account, session by session.

    Returns are those of the broker's fund value, in fund mode or not: fund value = equity / shares, and a
    deposit or a withdrawal (`broker.add_cash`) changes the shares, not the performance. When no money moves
    they are the equity's.

    Parameters
    ----------
    first : date or str, optional
        The first session listed (default: all).

    Notes
    -----
    `get_analysis()`, lists of one length (money, returns as fractions): `dates`; `value` equity; `cash`
    equity − positions (negative: a debit; backtrader's `getcash()` is free margin under a leverage); `loan`
    max(0, gross longs − equity); `fund` value of a fund share; `deposits` paid in since the session before;
    `returns`. Also `start`, `start_fund`: equity and fund value before the first session listed.
    """

    params = (("first", None),)

    def check(self) -> None:
        """Refuse a parameter that makes no sense: InputError, as `LedgerReader.check`."""
        parse_first(self.p.first)

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        i = first_index(ledger.dates, parse_first(self.p.first))
        bought = ledger.account_values * ledger.paid
        longs = np.maximum(bought, 0.0).sum(axis=1)
        returns = simple_returns(ledger.fund, ledger.start_fund)
        return {
            "dates": ledger.dates[i:],
            "value": ledger.value[i:].tolist(),
            "cash": (ledger.value - bought.sum(axis=1))[i:].tolist(),
            "loan": np.maximum(longs - ledger.value, 0.0)[i:].tolist(),
            "fund": ledger.fund[i:].tolist(),
            "deposits": ledger.deposits[i:].tolist(),
            "returns": returns[i:].tolist(),
            "start": float(ledger.value[i - 1]) if i else ledger.start_value,
            "start_fund": float(ledger.fund[i - 1]) if i else ledger.start_fund,
        }
