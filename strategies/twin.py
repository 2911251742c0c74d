"""The account of a rebalancing strategy as one plain loop over sessions: what Cerebro gives, a thousand times as fast.

Cerebro is the truth; this is its twin, event by event and bit by bit, for what `backtest` does: one strategy that
rebalances, alone in a margin account. The rules that are scalar (leverage,
brake, commission) are the same functions; with numba they and the loop are compiled, without it the same code runs as
it stands.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from .compiled import COMPILED
from .decisions import Decisions, nightly
from .financing import Charges
from .histories import Histories
from .rebalancing import DUST
from .rules import AccountTerms, ExecutionTerms, LeverageRules, TradingRules
from .twin_orders import ACCOUNT, CASH, COLUMNS, EQUITY, FILL, FILLED, MARK, MONEY, TRIMS, UNFILLED, Terms
from .twin_sessions import run_sessions

__all__ = ["TwinResult", "as_read", "twin"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwinResult:
    """What the account did.

    Attributes
    ----------
    daily : dict of ndarray of shape (n,)
        By `COLUMNS`, at each close: money `value`, `cash` and, of the session, `commission`, `slippage`, `interest`,
        `traded`, `dividends` and the `tax` on them; `leverage` held and `target_leverage` with its parts;
        `margin_calls`, orders that met one.
    fund : ndarray of shape (n,)
        Value of a fund share; the drawdown brake looks at it.
    fills : ndarray of shape (m, 7)
        By `FILL`, in the order of execution; (0, 7) if they were not asked for.
    unfilled : int
        Own orders that came to nothing.
    trims : int
        Sessions on which the account could not open the leverage wanted.
    """

    daily: dict[str, Floats]
    fund: Floats
    fills: Floats
    unfilled: int
    trims: int


def twin(
    days: Sequence[date],
    opens: Any,
    closes: Any,
    decisions: Decisions,
    sigma: Floats,
    *,
    histories: Histories | None = None,
    trading: TradingRules | None = None,
    leverage: LeverageRules | None = None,
    whole_shares: bool = True,
    execution: ExecutionTerms | None = None,
    account: AccountTerms | None = None,
    charges: Charges | None = None,
    nights: Floats | None = None,
    record: bool = False,
) -> TwinResult:
    """Run the account.

    Parameters
    ----------
    days : sequence of date, n
        Sessions.
    opens, closes : ndarray of shape (n, k)
        Finite and positive, without gaps as `Histories.closes`: where there is no bar, opens are the last close. Or
        `as_read` of it, which many runs may share.
    decisions : Decisions
        As `decide` gives them.
    sigma : ndarray of shape (n,)
        As `volatilities` gives it.
    histories : Histories, optional
        Says how long each feed lives, and what it pays (default: all have a bar on every session, prices are adjusted).
    trading, leverage, execution, account
        Default: their defaults. Rates may be dated.
    whole_shares : bool
        See `SizingRules`.
    charges : Charges, optional
        The account's, where they are known already.
    nights : ndarray of shape (n, tiers + 1), optional
        `nightly` of them, likewise.
    record : bool
        Whether to list the fills.

    Returns
    -------
    TwinResult

    Raises
    ------
    InputError
        A dated rate that begins after money was lent.
    """
    trading, leverage = trading or TradingRules(), leverage or LeverageRules()
    execution, account = execution or ExecutionTerms(), account or AccountTerms()
    charges = charges or account.charges
    terms = _terms(trading, leverage, whole_shares, execution, account, charges)
    if nights is None:
        nights = nightly(charges, days)
    n, k = len(closes), decisions.weights.shape[1]
    last, gone = (np.full(k, n - 1), np.full(k, n)) if histories is None else (histories.last, histories.gone)
    actions = np.zeros((0, 4)) if histories is None else histories.actions
    prices = [
        opens,
        closes,
        nights,
        np.array(charges.bounds),
        sigma,
        decisions.sessions,
        decisions.weights,
        decisions.invested,
    ]
    prices += [last, gone, actions]
    found = _run(terms, prices, 0)
    if record:
        found = _run(terms, prices, int(found[1][FILLED]))
    daily, state, fund, fills = found
    if np.isnan(daily[CASH]).any():
        _refuse_rates(daily, charges, days)
    return TwinResult(
        daily=dict(zip(COLUMNS, daily, strict=True)),
        fund=fund,
        fills=fills,
        unfilled=int(state[UNFILLED]),
        trims=int(state[TRIMS]),
    )


def as_read(values: Any) -> Any:
    """Numbers as the loop reads them best: an array where it is compiled, else a list.

    Parameters
    ----------
    values : ndarray, or what this has given

    Returns
    -------
    ndarray or list
    """
    return values if COMPILED or isinstance(values, list) else values.tolist()


def _run(terms: Terms, prices: Sequence[Any], most: int) -> tuple[Floats, Floats, Floats, Floats]:
    """One run that lists at most so many fills: daily columns, state of the account, fund values, fills."""
    n, k = len(prices[1]), prices[6].shape[1]
    state = np.zeros(ACCOUNT)
    state[MONEY] = state[EQUITY] = terms.cash
    feeds = np.zeros((k, 5))
    feeds[:, MARK] = np.nan
    made = [np.zeros((len(COLUMNS), n)), np.zeros(n), np.zeros((most, len(FILL))), feeds, state]
    room = [np.zeros((2 * k, 2)), np.zeros((2, k), dtype=np.int64), np.zeros(k), np.zeros(k)]
    if COMPILED:
        run_sessions(terms, *prices, *made, *room)
    else:  # lists are read several times as fast, one by one
        daily = [array("d", column.tobytes()) for column in made[0]]  # written only: arrays of Python's come back whole
        lists = [daily, array("d", made[1].tobytes()), *map(as_read, made[2:])]
        run_sessions(terms, *map(as_read, prices), *lists, *map(as_read, room))
        made = [np.array(values).reshape(one.shape) for values, one in zip(lists, made, strict=True)]
    return made[0], made[4], made[1], made[2]


def _terms(
    trading: TradingRules, leverage: LeverageRules, whole: bool, execution: ExecutionTerms, account: AccountTerms,
    charges: Charges,
) -> Terms:  # fmt: skip
    rules = (leverage, execution, account)
    named = {name: value for one in rules for name, value in vars(one).items() if name in Terms._fields}
    return Terms(
        at_close=execution.execution == "close",
        whole=whole,
        daily_leverage=trading.relever == "daily",
        daily_weights=trading.drift == "daily",
        slip=execution.slippage_bps / 1e4,
        day_factor=charges.day_factor,
        cash_free=charges.financing.cash_free,
        band=max(trading.lev_band, DUST),
        **{name: float(value) for name, value in named.items()},
    )


def _refuse_rates(daily: Floats, charges: Charges, days: Sequence[date]) -> None:
    """InputError of the dated rate that was not known when money was lent, or left idle."""
    t = int(np.flatnonzero(np.isnan(daily[CASH]))[0])
    for rate in (*charges.loans, charges.idle):
        rate.between(days[t - 1].toordinal(), days[t].toordinal())
