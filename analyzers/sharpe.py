"""Annualised return, volatility and Sharpe ratio."""

from math import isfinite
from typing import Any

from riskoverlay.errors import InputError

from .ledger import Ledger, LedgerReader
from .sessions import first_index, parse_first
from .statistics import PERIODS, annualized_return, annualized_volatility, sharpe_ratio, simple_returns

__all__ = ["AnnualizedSharpe"]


class AnnualizedSharpe(LedgerReader):
    """The notebook's three figures, of the returns of the fund value (deposits are not performance).

    Parameters
    ----------
    risk_free : float
        Annual fraction taken from the annual return.
    periods : float
        Sessions a year.
    first : date or str, optional
        The first session whose return counts (default: all).

    Notes
    -----
    `get_analysis()`: `ann_ret`, `ann_vol` fractions a year, `sharpe` their ratio, `sessions` the number of
    returns. Formulas and how they differ from the usual ones: `statistics.py`. nan where there is nothing
    to divide by.
    """

    params = (("risk_free", 0.0), ("periods", PERIODS), ("first", None))

    def check(self) -> None:
        """Refuse a parameter that makes no sense: InputError, as `LedgerReader.check`."""
        if not isfinite(self.p.risk_free):
            raise InputError("is not a number", "give an annual fraction such as 0.02", "risk_free", self.p.risk_free)
        if not (isfinite(self.p.periods) and self.p.periods > 0):
            raise InputError("is not positive", "give the sessions in a year, such as 252", "periods", self.p.periods)
        parse_first(self.p.first)

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        begin = first_index(ledger.dates, parse_first(self.p.first))
        returns = simple_returns(ledger.fund, ledger.start_fund)[begin:]
        return {
            "ann_ret": annualized_return(returns, self.p.periods),
            "ann_vol": annualized_volatility(returns, self.p.periods),
            "sharpe": sharpe_ratio(returns, self.p.risk_free, self.p.periods),
            "sessions": len(returns),
        }
