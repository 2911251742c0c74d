"""The deepest falls of the account."""

from datetime import date
from typing import Any

import numpy as np

from riskoverlay.errors import InputError

from .ledger import Ledger, LedgerReader
from .sessions import first_index, parse_first
from .statistics import drawdown_summary

__all__ = ["MaxDrawdown"]


class MaxDrawdown(LedgerReader):
    """Depth, dates and length of the worst drawdown of the fund value (deposits are not performance).

    Parameters
    ----------
    first : date or str, optional
        The first session whose return counts (default: all; the value before it is the first peak).
    worst : int
        How many drawdowns to list.

    Notes
    -----
    `get_analysis()`: `depth` a negative fraction of the peak (backtrader's DrawDown gives positive per
    cent), `peak`, `trough`, `recovery` dates (None if not recovered), `length` sessions from peak to
    recovery or end; `worst`, a list of the deepest, each with these keys.
    """

    params = (("first", None), ("worst", 5))

    def check(self) -> None:
        """Refuse a parameter that makes no sense: InputError, as `LedgerReader.check`."""
        if not (isinstance(self.p.worst, int) and self.p.worst >= 1):
            raise InputError("is not a positive whole number", "give how many drawdowns to list", "worst", self.p.worst)
        parse_first(self.p.first)

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        i = first_index(ledger.dates, parse_first(self.p.first))
        before = ledger.fund[i - 1] if i else ledger.start_fund
        # The value before the first session stands at the date of the session before, if there is one.
        dates = [ledger.dates[max(i - 1, 0)], *ledger.dates[i:]] if ledger.dates else [date.min]
        values = np.concatenate(([before], ledger.fund[i:]))
        return drawdown_summary(values, dates, self.p.worst)
