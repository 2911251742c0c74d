"""Each strategy's own profit, so that the parts add up to the account."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .accounting import share_interest
from .ledger import Ledger, LedgerReader

__all__ = ["StrategyProfit"]

Floats = npt.NDArray[np.float64]


class StrategyProfit(LedgerReader):
    """Profit of one strategy among several.

    From its own fills, marked to the close, and its own dividends, after its own commission, slippage and tax.

    The account's interest is shared out session by session, by what each strategy carried into the session:
    on a loan in proportion to own gross longs; without one (a fee on shorts) to own gross shorts; interest
    received in equal parts (`accounting.share_interest`). `cerebro.addanalyzer` gives one to every
    strategy, and then, to rounding::

        end − start − deposits = Σ profit over the strategies

    What strategies without an analyzer of this folder hold together takes its share like one more strategy.

    Notes
    -----
    `get_analysis()`: `strategy` (class name), money `gross_profit`, `commission`, `slippage`, `interest`,
    `dividends`, `tax`, and `profit` = gross profit and dividends less the other four; `sessions`: lists `dates`,
    `profit` per session, and own `long`, `short` value at the close.
    """

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        interest = _own_interest(ledger)
        income = ledger.gross_profit + ledger.dividends
        profit = income - ledger.commission - ledger.slippage - interest - ledger.tax
        long, short = _longs_and_shorts(ledger.own_values)
        return {
            "strategy": type(self.strategy).__name__,
            "gross_profit": float(ledger.gross_profit.sum()),
            "commission": float(ledger.commission.sum()),
            "slippage": float(ledger.slippage.sum()),
            "interest": float(interest.sum()),
            "dividends": float(ledger.dividends.sum()),
            "tax": float(ledger.tax.sum()),
            "profit": float(profit.sum()),
            "sessions": {
                "dates": ledger.dates,
                "profit": profit.tolist(),
                "long": long.tolist(),
                "short": short.tolist(),
            },
        }


def _own_interest(ledger: Ledger) -> Floats:
    n, ledgers = len(ledger), ledger.all()
    values = [_cut_or_continued(one.carried_values, n) for one in ledgers]
    if len(ledgers) < len(ledger.strategy.cerebro.runningstrats):
        values.append(ledger.carried_account_values - np.sum(values, axis=0))
    sides = [_longs_and_shorts(v) for v in values]
    longs, shorts = np.array([s[0] for s in sides]), np.array([s[1] for s in sides])
    equity = np.concatenate(([ledger.start_value], ledger.value))[:-1]
    shared: Floats = share_interest(ledger.interest, equity, longs, shorts)[ledgers.index(ledger)]
    return shared


def _longs_and_shorts(values: Floats) -> tuple[Floats, Floats]:
    return np.maximum(values, 0.0).sum(axis=1), np.maximum(-values, 0.0).sum(axis=1)


def _cut_or_continued(rows: Floats, n: int) -> Floats:
    """A run stopped in mid-session leaves later strategies a session short: they hold what they held."""
    return rows[:n] if len(rows) >= n else np.vstack([rows, np.repeat(rows[-1:], n - len(rows), axis=0)])
