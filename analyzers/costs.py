"""What trading cost, and the account that proves it."""

from typing import Any

import backtrader as bt
import numpy as np

from riskoverlay.errors import InputError

from .accounting import turnover
from .ledger import Ledger, LedgerReader
from .statistics import PERIODS

__all__ = ["TradingCosts"]

_ENDS = {
    "filled": (bt.Order.Completed,),
    "rejected": (bt.Order.Margin, bt.Order.Rejected),
    "expired": (bt.Order.Expired,),
    "cancelled": (bt.Order.Canceled,),
}


class TradingCosts(LedgerReader):
    """Commission, slippage, interest, tax, turnover and orders, positive amounts are paid; and dividends received.

    Commission, slippage, dividends and the tax withheld from them, turnover, orders and gross profit are this
    strategy's own, from its own fills; equity, deposits and interest are the account's. With one strategy (or summed
    over all, interest once), whatever the broker did::

        start + deposits + gross_profit + dividends − commission − slippage − interest − tax = end

    `gross_profit` does not look at cash or equity: what was held × the change of the close, plus what was
    filled × (close − reference price). Reference price of a market order: the open of the bar that filled
    it; with cheat-on-close the close it was decided on, so such a fill, booked a bar later, earns the
    change of that bar. Slippage is size × (price − reference); that of limit, stop and close orders is 0,
    they name their price.

    Interest is what the broker keeps in `d_credit`. Set `broker.set_int2pnl(False)`: the stock default adds
    it to the commission of closing orders. It is taken out again here (asking the commission scheme for its
    fee), for all strategies that have an analyzer of this folder.

    Parameters
    ----------
    periods : float
        Sessions a year.

    Notes
    -----
    `get_analysis()`: money `start`, `end`, `deposits`, `gross_profit`, `commission`, `slippage`,
    `interest`, `tax`, `total` (the four costs), `dividends`, `traded` (value of all fills, both sides); `turnover` =
    traded / mean equity, `turnover_annual`; `orders`, every one to the last bar's: `sent` = `filled` + `rejected`
    (margin or refused) + `expired` + `cancelled` + `open` at the end, and `partial`, those of the last four
    that were filled in part, and `margin_calls`, those sent by the broker (`order.info.margin_call`); `by_year`:
    {"2012": {commission, slippage, interest, tax}}; `sessions`: lists `dates`, `gross_profit`, `commission`,
    `slippage`, `interest`, `tax`, `dividends`, `traded`.
    """

    params = (("periods", PERIODS),)

    def check(self) -> None:
        """Refuse a parameter that makes no sense: InputError, as `LedgerReader.check`."""
        if not self.p.periods > 0:
            raise InputError("is not positive", "give the sessions in a year, such as 252", "periods", self.p.periods)

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        kinds = {
            "commission": ledger.commission, "slippage": ledger.slippage, "interest": ledger.interest,
            "tax": ledger.tax,
        }  # fmt: skip
        costs = {kind: float(paid.sum()) for kind, paid in kinds.items()}
        traded = float(ledger.traded.sum())
        whole, annual = turnover(traded, ledger.value, self.p.periods)
        years = np.array([day.year for day in ledger.dates], dtype=int)
        return {
            "start": ledger.start_value,
            "end": float(ledger.value[-1]) if len(ledger) else ledger.start_value,
            "deposits": float(ledger.deposits.sum()),
            "gross_profit": float(ledger.gross_profit.sum()),
            "dividends": float(ledger.dividends.sum()),
            **costs,
            "total": sum(costs.values()),
            "traded": traded,
            "turnover": whole,
            "turnover_annual": annual,
            "orders": _count_orders(ledger),
            "by_year": {
                str(year): {kind: float(paid[years == year].sum()) for kind, paid in kinds.items()}
                for year in sorted(set(years.tolist()))
            },
            "sessions": {
                "dates": ledger.dates,
                "gross_profit": ledger.gross_profit.tolist(),
                "dividends": ledger.dividends.tolist(),
                **{kind: paid.tolist() for kind, paid in kinds.items()},
                "traded": ledger.traded.tolist(),
            },
        }


def _count_orders(ledger: Ledger) -> dict[str, int]:
    orders = ledger.sent.values()
    ends = {name: sum(status in those for status, _, _ in orders) for name, those in _ENDS.items()}
    partial = sum(some and status != bt.Order.Completed for status, some, _ in orders)
    sent = len(orders)
    calls = sum(called for _, _, called in orders)
    return {"sent": sent, **ends, "open": sent - sum(ends.values()), "partial": partial, "margin_calls": calls}
