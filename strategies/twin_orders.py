"""The broker in the twin of the account: what `MarginBroker` does with orders, dividends, a loan and a margin call.

Every function here is compiled where numba is installed, so it takes arrays (lists, where it is not) and numbers only.
"""

import math
from typing import Any, NamedTuple

from .actions import shares_after
from .compiled import compiled
from .financing import marginal_interest
from .margin import commission

__all__ = ["COLUMNS", "FILL", "Terms"]

COLUMNS = (
    "value", "cash", "leverage", "target_leverage", "volatility_part", "brake_part",
    "commission", "slippage", "interest", "traded", "margin_calls", "dividends", "tax",
)  # fmt: skip
FILL = ("session", "feed", "size", "price", "reference", "commission", "margin_call")

(VALUE, CASH, LEVERAGE, TARGET, VOLATILITY, BRAKE, COMMISSION, SLIPPAGE, INTEREST, TRADED, CALLS) = range(11)
(DIVIDENDS, TAX) = range(11, 13)
# What the account knows beside its positions.
(MONEY, EQUITY, TO_OPEN, TO_KEEP, BOOKED, BOOK_EQUITY, BOOK_NEEDED, FILLED, UNFILLED, TRIMS, LISTED) = range(11)
ACCOUNT = LISTED + 2  # two lists of feeds, see `_enter`
# What it knows of each feed: held, average cost, mark; whether it is among the positions, and what is owned.
(HELD, COST, MARK, POSITION, OWNED) = range(5)

ROUNDING = 1.0 + 1e-9

_commission = compiled(commission)
_marginal_interest = compiled(marginal_interest)
_shares_after = compiled(shares_after)


class Terms(NamedTuple):
    """Every number that the loop needs beside the prices."""

    at_close: bool
    whole: bool
    daily_leverage: bool
    daily_weights: bool
    slip: float
    day_factor: float
    cash_free: float
    band: float
    cash: float
    commission_bps: float
    commission_per_share: float
    commission_min: float
    initial_margin: float
    maintenance_margin: float
    withholding: float
    target_vol: float
    lev_min: float
    lev_max: float
    dd_threshold1: float
    dd_threshold2: float
    dd_min_scale: float


@compiled
def _enter(account: Any, feeds: Any, order: Any, kind: int, i: int) -> None:
    """Feed i is the next among the positions, or of what is owned: sums of floats depend on their order."""
    if feeds[i][kind] == 0.0:
        feeds[i][kind] = 1.0
        which = kind - POSITION
        order[which][int(account[LISTED + which])] = i
        account[LISTED + which] += 1.0


@compiled
def _mark(feed: Any) -> float:
    """The last close of a feed that was held at it, else what the position cost."""
    return feed[COST] if math.isnan(feed[MARK]) else feed[MARK]


@compiled
def _can_hold(account: Any, feeds: Any, order: Any, i: int, size: float, price: float, fee: float, keep: float) -> bool:
    """Whether a purchase leaves the account at maintenance margin: `MarginBroker._can_hold`."""
    if account[BOOKED] == 0.0:
        worth = needed = 0.0
        for j in range(int(account[LISTED])):
            other = feeds[order[0][j]]
            if other[HELD] != 0.0:
                worth += other[HELD] * _mark(other)
                needed += abs(other[HELD]) * (_mark(other) * keep)
        account[BOOKED], account[BOOK_EQUITY], account[BOOK_NEEDED] = 1.0, account[MONEY] + worth, needed
    held, mark = feeds[i][HELD], _mark(feeds[i])
    equity = account[BOOK_EQUITY] + (held * (price - mark) - fee)
    needed = account[BOOK_NEEDED] + (abs(held + size) * (price * keep) - abs(held) * (mark * keep))
    return bool(needed <= equity * ROUNDING)


@compiled
def _fill(
    terms: Any, account: Any, feeds: Any, order: Any, out: Any, fills: Any, t: int, i: int, size: float,
    reference: float, call: bool,
) -> bool:  # fmt: skip
    """Execute an order after slippage, as `MarginBroker._execute`; False if the account cannot hold it."""
    price = reference * (1.0 + terms.slip if size > 0.0 else 1.0 - terms.slip) if terms.slip > 0.0 else reference
    feed = feeds[i]
    held = feed[HELD]
    fee = _commission(size, price, terms.commission_bps, terms.commission_per_share, terms.commission_min)
    keep = terms.maintenance_margin
    if abs(held + size) > abs(held) and not _can_hold(account, feeds, order, i, size, price, fee, keep):
        return False
    if account[BOOKED] != 0.0:
        if math.isnan(feed[MARK]):
            feed[MARK] = price
        mark = feed[MARK]
        account[BOOK_EQUITY] = account[BOOK_EQUITY] + size * (mark - price) - fee
        account[BOOK_NEEDED] += abs(held + size) * (mark * keep) - abs(held) * (mark * keep)
    if size < 0.0:  # what is held is never short: all of a sale closes
        account[MONEY] += -size * feed[COST] + -size * (price - feed[COST])
        feed[HELD] = held + size
        if feed[HELD] == 0.0:
            feed[COST] = 0.0
    else:
        account[MONEY] -= size * price
        feed[HELD] = held + size
        feed[COST] = price if held == 0.0 else (feed[COST] * held + size * price) / feed[HELD]
    account[MONEY] -= fee
    _enter(account, feeds, order, OWNED, i)
    out[COMMISSION][t] += fee
    out[SLIPPAGE][t] += size * (price - reference)
    out[TRADED][t] += abs(size) * price
    out[CALLS][t] += 1.0 if call else 0.0
    at = int(account[FILLED])
    if at < len(fills):
        fill = fills[at]
        fill[0], fill[1], fill[2], fill[3], fill[4], fill[5] = t, i, size, price, reference, fee
        fill[6] = 1.0 if call else 0.0
    account[FILLED] += 1.0
    return True


@compiled
def _accept(terms: Any, account: Any, feeds: Any, order: Any, sent: Any, count: int, decided: Any) -> int:
    """Take orders at the closes that decided them, as `MarginBroker.check_submitted`; how many are refused."""
    needed, refused = account[TO_OPEN], 0
    for j in range(count):
        i, size = int(sent[j][0]), sent[j][1]
        _enter(account, feeds, order, POSITION, i)
        held, price = feeds[i][HELD], decided[i]
        after = needed + abs(held + size) * (price * terms.initial_margin) - abs(held) * (price * terms.initial_margin)
        if after > needed and after > account[EQUITY] * ROUNDING:
            sent[j][1] = 0.0
            refused += 1
        else:
            needed = after
    return refused


@compiled
def _act(
    terms: Any, account: Any, feeds: Any, sent: Any, count: int, out: Any, t: int, action: Any, before: Any
) -> int:  # fmt: skip
    """Book a dividend and a split, as `MarginBroker._book_action`; how many orders are left with nothing."""
    i, dividend, split = int(action[1]), action[2], action[3]
    feed, nothing = feeds[i], 0
    held = feed[HELD]
    if held != 0.0:
        after = _shares_after(held, split)
        paid, tax = after * dividend, after * (terms.withholding * dividend)
        account[MONEY] += (held * split - after) * (before[i] / split) + paid - tax
        out[DIVIDENDS][t] += paid
        out[TAX][t] += tax
        feed[HELD] = after
        if split != 1.0:
            feed[COST] = feed[COST] / split if after != 0.0 else 0.0
    if not math.isnan(feed[MARK]):
        feed[MARK] = before[i] / split - dividend
    account[BOOKED] = 0.0
    if split != 1.0:
        for j in range(count):
            if int(sent[j][0]) == i and sent[j][1] != 0.0:
                sent[j][1] = _shares_after(sent[j][1], split)
                nothing += 1 if sent[j][1] == 0.0 else 0
    return nothing


@compiled
def _fill_sent(
    terms: Any, account: Any, feeds: Any, order: Any, sent: Any, count: int, out: Any, fills: Any, t: int, opens: Any,
    closes: Any, last: Any, gone: Any,
) -> tuple[int, int]:  # fmt: skip
    """Fill what was sent: how many orders are refused, and how many wait on, for a feed that has no bar."""
    refused = waiting = 0
    for j in range(count):
        i, size = int(sent[j][0]), sent[j][1]
        if size == 0.0:
            continue
        if t > last[i] and t < gone[i] and not terms.at_close:
            sent[waiting][0], sent[waiting][1] = sent[j][0], size
            waiting += 1
            continue
        reference = closes[t - 1][i] if terms.at_close else opens[t][i]
        if not _fill(terms, account, feeds, order, out, fills, t, i, size, reference, False):
            refused += 1
    return refused, waiting


@compiled
def _charge(terms: Any, account: Any, out: Any, t: int, night: Any, bounds: Any) -> bool:
    """Interest of the nights since the last session, on the debit or on idle cash; whether its rate is known."""
    debit = -account[MONEY]
    if debit > 0.0 or debit + terms.cash_free < 0.0:
        if debit > 0.0:
            interest = _marginal_interest(debit, bounds, night) * terms.day_factor
        else:
            interest = (debit + terms.cash_free) * night[len(bounds)] * terms.day_factor
        account[MONEY] -= interest
        out[INTEREST][t], out[CASH][t] = interest, account[MONEY]
    return not math.isnan(account[MONEY])


@compiled
def _cut(
    terms: Any, account: Any, feeds: Any, order: Any, out: Any, fills: Any, t: int, opens: Any, prices: Any
) -> None:
    """Meet a margin call pro rata, as `MarginBroker._cut_to_maintenance`."""
    needed = excess = 0.0
    equity = account[MONEY]
    for j in range(int(account[LISTED])):
        i = order[0][j]
        held = feeds[i][HELD]
        prices[i] = _mark(feeds[i]) if terms.at_close else opens[i]
        if held != 0.0:
            value = abs(held) * prices[i]
            fee = _commission(held, prices[i], terms.commission_bps, terms.commission_per_share, terms.commission_min)
            required = abs(held) * (prices[i] * terms.maintenance_margin)
            equity += held * prices[i]
            needed += required
            excess += required - value * terms.slip - fee
    if needed <= equity * ROUNDING:
        return
    part = 1.0 if excess <= 0.0 else min(1.0, (needed - equity) / excess)
    for j in range(int(account[LISTED + 1])):
        i = order[1][j]
        held = feeds[i][HELD]
        if held != 0.0:
            cut = abs(held) * part
            if held == math.floor(held):
                cut = min(abs(held), math.ceil(cut) * 1.0)
            _fill(terms, account, feeds, order, out, fills, t, i, -min(abs(held), cut), prices[i], True)
