"""Growth, volatility and Sharpe ratio."""

from math import isfinite
from typing import Any

from riskoverlay.errors import InputError

from .ledger import Ledger, LedgerReader
from .riskfree import check_risk_free, risk_free_returns
from .sessions import first_index, parse_first
from .statistics import (
    PERIODS,
    annualized_return,
    annualized_volatility,
    excess_sharpe,
    growth,
    sharpe_ratio,
    simple_returns,
)

__all__ = ["AnnualizedSharpe"]


class AnnualizedSharpe(LedgerReader):
    """Growth and Sharpe ratio of the fund value's returns (deposits are not performance), and the notebook's figures.

    Parameters
    ----------
    risk_free : float, or Series / mapping of date to float
        Annual fraction that a bill pays: that of the close before a session is taken from the session's return, by
        calendar days (`risk_free_returns`). A number is also taken from the annual return in the notebook's ratio.
    periods : float
        Sessions a year.
    first : date or str, optional
        The first session whose return counts (default: all).

    Notes
    -----
    `get_analysis()`: `growth` (CAGR) a fraction a year, `excess_sharpe` the Sharpe ratio of returns above the
    bill; by the notebook's definitions `ann_ret`, `ann_vol` fractions a year and `sharpe` their ratio; `sessions` the
    number of returns. Formulas and how they differ: `statistics.py`. nan where there is nothing to divide by.
    """

    params = (("risk_free", 0.0), ("periods", PERIODS), ("first", None))

    def check(self) -> None:
        """Refuse a parameter that makes no sense: InputError, as `LedgerReader.check`."""
        check_risk_free(self.p.risk_free)
        if not (isfinite(self.p.periods) and self.p.periods > 0):
            raise InputError("is not positive", "give the sessions in a year, such as 252", "periods", self.p.periods)
        parse_first(self.p.first)

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        begin = first_index(ledger.dates, parse_first(self.p.first))
        returns = simple_returns(ledger.fund, ledger.start_fund)[begin:]
        before = ledger.dates[begin - 1] if begin else None
        bill = risk_free_returns(self.p.risk_free, ledger.dates[begin:], before)
        yearly = self.p.risk_free if isinstance(self.p.risk_free, (int, float)) else 0.0
        return {
            "growth": growth(returns, self.p.periods),
            "excess_sharpe": excess_sharpe(returns, bill, self.p.periods),
            "ann_ret": annualized_return(returns, self.p.periods),
            "ann_vol": annualized_volatility(returns, self.p.periods),
            "sharpe": sharpe_ratio(returns, yearly, self.p.periods),
            "sessions": len(returns),
        }
