"""Returns, positions and transactions in the shapes that pyfolio and QuantStats take."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

from .ledger import Ledger, LedgerReader
from .statistics import simple_returns

__all__ = ["PortfolioReturns"]

_COLUMNS = ["amount", "price", "symbol", "sid", "txn_dollars"]


class PortfolioReturns(LedgerReader):
    """The account for pyfolio: every asset, where backtrader's own PyFolio keeps the last one and cash.

    Parameters
    ----------
    tz : str or None
        Time zone of the dates given by `get_pf_items`, "UTC" as backtrader's; None for naive dates (QuantStats).

    Notes
    -----
    `get_analysis()`: `dates`, `returns` (of the fund value: deposits are not performance), `gross_lev` and
    `cash` lists; `positions` {symbol: list of money, shorts negative}; `transactions`, list of {date,
    amount, price, symbol, sid, txn_dollars} of all strategies that have an analyzer of this folder.
    positions + cash = equity.
    """

    params = (("tz", "UTC"),)

    def check(self) -> None:
        """Refuse a parameter that makes no sense: InputError, as `LedgerReader.check`."""
        try:
            pd.DatetimeIndex([]).tz_localize(self.p.tz)
        except Exception as error:  # the kind depends on the time zone library behind pandas
            raise InputError("is not a time zone", "give one such as 'UTC', or None", "tz", self.p.tz) from error

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        values = ledger.account_values
        equity = np.where(ledger.value > 0.0, ledger.value, np.nan)
        return {
            "dates": ledger.dates,
            "returns": simple_returns(ledger.fund, ledger.start_fund).tolist(),
            "positions": dict(zip(ledger.symbols, values.T.tolist(), strict=True)),
            "cash": (ledger.value - values.sum(axis=1)).tolist(),
            "gross_lev": (np.abs(values).sum(axis=1) / equity).tolist(),
            "transactions": [deal for one in ledger.all() for deal in _transactions(one)],
        }

    def get_pf_items(self) -> tuple[pd.Series, pd.DataFrame, pd.DataFrame, pd.Series]:
        """What pyfolio's and QuantStats' functions take, dates in `tz`.

        Returns
        -------
        returns : Series
            Fractions per session.
        positions : DataFrame
            Money, a column for each asset, and cash.
        transactions : DataFrame
            By date; amount, price, symbol, sid, txn_dollars.
        gross_lev : Series
            Fraction of equity.
        """
        got = self.rets
        days = self._index(got["dates"])
        positions = pd.DataFrame({**got["positions"], "cash": got["cash"]}, index=days)
        deals = sorted(got["transactions"], key=lambda deal: deal["date"])
        transactions = pd.DataFrame(deals, columns=["date", *_COLUMNS])[_COLUMNS]
        transactions.index = self._index([deal["date"] for deal in deals])
        return (
            pd.Series(got["returns"], index=days, name="return", dtype=float),
            positions,
            transactions,
            pd.Series(got["gross_lev"], index=days, name="gross_lev", dtype=float),
        )

    def _index(self, dates: Sequence[date]) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(pd.to_datetime(list(dates)), name="date").tz_localize(self.p.tz)


def _transactions(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "date": ledger.dates[session],
            "amount": fill.size,
            "price": fill.price,
            "symbol": ledger.symbols[fill.feed],
            "sid": fill.feed,
            "txn_dollars": float(-fill.size * fill.price * ledger.units[fill.feed]),
        }
        for fill, session in zip(ledger.fills, ledger.fill_sessions, strict=True)
    ]
