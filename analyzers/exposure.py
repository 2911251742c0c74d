"""What was held, and what was meant to be held."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from riskoverlay.errors import InputError

from .ledger import Ledger, LedgerReader

__all__ = ["Exposure"]

_AIMS = ("leverage", "volatility_part", "brake_part")


class Exposure(LedgerReader):
    """Leverage and weights held and aimed at, per session.

    Held: value of positions at the close over equity, of the account, and of this strategy's own fills (the
    two are the same where it is alone). Aimed at, where the strategy and its sizer say so, else nan:
    `getsizer().leverage`, `.volatility_part`, `.brake_part` as decided at that close,
    `strategy.base_weights` (unlevered) then in force. Gross: a short counts like a long (backtrader's
    GrossLeverage is net of shorts).

    Notes
    -----
    `get_analysis()`, lists of one length: `dates`; `leverage` gross, of the account; `own_leverage`;
    `target_leverage`, `volatility_part`, `brake_part`; and by symbol `weights` (signed, of the account),
    `own_weights`, `target_weights`. Also `symbols`. Weights and leverage are fractions of the account's
    equity.
    """

    def __init__(self) -> None:
        super().__init__()
        self._aims: list[tuple[Any, ...]] = []
        self._weights: list[tuple[Any, ...]] = []
        self._last: tuple[Any, ...] = ()

    def next(self) -> None:
        """Note what is aimed at on this bar; the last of a session is the session's."""
        sizer = self.strategy.getsizer()
        self._aims.append(tuple([getattr(sizer, name, None) for name in _AIMS]))
        weights = getattr(self.strategy, "base_weights", None)
        copy = () if weights is None else tuple(weights)  # the strategy may change its own in place
        if copy != self._last:
            self._last = copy
        self._weights.append(self._last)  # one object for all bars that have the same

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        symbols = ledger.symbols
        equity = np.where(ledger.value > 0.0, ledger.value, np.nan)[:, None]
        account, own = ledger.account_values / equity, ledger.own_values / equity
        aims = _table(self._aims, ledger.bars, len(_AIMS), "leverage and its parts")[ledger.ends]
        weights = _table(self._weights, ledger.bars, len(symbols), "base_weights")[ledger.ends]
        self._aims, self._weights, self._last = [], [], ()
        return {
            "symbols": symbols,
            "dates": ledger.dates,
            "leverage": np.abs(account).sum(axis=1).tolist(),
            "own_leverage": np.abs(own).sum(axis=1).tolist(),
            "target_leverage": aims[:, 0].tolist(),
            "volatility_part": aims[:, 1].tolist(),
            "brake_part": aims[:, 2].tolist(),
            "weights": dict(zip(symbols, account.T.tolist(), strict=True)),
            "own_weights": dict(zip(symbols, own.T.tolist(), strict=True)),
            "target_weights": dict(zip(symbols, weights.T.tolist(), strict=True)),
        }


def _table(rows: Sequence[Sequence[Any]], n: int, width: int, name: str) -> npt.NDArray[np.float64]:
    """Array (n, width) of the rows, None as nan; nan too for no row: a slave has no `next`."""
    table = np.full((n, width), np.nan)
    for i, row in enumerate(rows[:n]):
        if row and len(row) != width:
            raise InputError(
                f"{name} has {len(row)} values for {width} feeds", "give one for each feed of the strategy"
            )
        if row:
            table[i] = row
    return table
