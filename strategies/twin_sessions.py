"""The sessions of the twin of the account: event by event what broker, sizer and strategy do, on plain numbers.

Every function here is compiled where numba is installed, so it takes arrays (lists, where it is not) and numbers only.
"""

import math
from typing import Any, NamedTuple

from .compiled import compiled
from .leverage import drawdown_brake, volatility_target
from .margin import commission

__all__ = ["COLUMNS", "FILL", "Terms", "run_sessions"]

COLUMNS = (
    "value", "cash", "leverage", "target_leverage", "volatility_part", "brake_part",
    "commission", "slippage", "interest", "traded", "margin_calls",
)  # fmt: skip
FILL = ("session", "feed", "size", "price", "reference", "commission", "margin_call")

(VALUE, CASH, LEVERAGE, TARGET, VOLATILITY, BRAKE, COMMISSION, SLIPPAGE, INTEREST, TRADED, CALLS) = range(11)
# What the account knows beside its positions.
(MONEY, EQUITY, TO_OPEN, TO_KEEP, BOOKED, BOOK_EQUITY, BOOK_NEEDED, FILLED, UNFILLED, TRIMS, LISTED) = range(11)
ACCOUNT = LISTED + 2  # two lists of feeds, see `_enter`
# What it knows of each feed: held, average cost, mark; whether it is among the positions, and what is owned.
(HELD, COST, MARK, POSITION, OWNED) = range(5)

ROUNDING = 1.0 + 1e-9

_commission = compiled(commission)
_volatility_target = compiled(volatility_target)
_drawdown_brake = compiled(drawdown_brake)


class Terms(NamedTuple):
    """Every number that the loop needs beside the prices."""

    at_close: bool
    whole: bool
    daily_leverage: bool
    daily_weights: bool
    slip: float
    day_factor: float
    band: float
    cash: float
    commission_bps: float
    commission_per_share: float
    commission_min: float
    initial_margin: float
    maintenance_margin: float
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
def _charge(terms: Any, account: Any, out: Any, t: int, borrow: float, idle: float) -> bool:
    """Interest of the nights since the last session, on the debit or on idle cash; whether its rate is known."""
    debit = -account[MONEY]
    if debit != 0.0:
        interest = debit * (borrow if debit > 0.0 else idle) * terms.day_factor
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


@compiled
def _revalue(terms: Any, account: Any, feeds: Any, order: Any, closes: Any) -> float:
    """Equity at the close, and what the margins ask; the value of what is held."""
    longs = 0.0
    account[BOOKED] = 0.0
    listed = order[0]
    for j in range(int(account[LISTED])):
        i = listed[j]
        feed, price = feeds[i], closes[i]
        held = feed[HELD]
        if held != 0.0:
            feed[MARK] = price
            longs += held * price
        else:
            feed[MARK] = math.nan
    account[TO_OPEN], account[TO_KEEP] = longs * terms.initial_margin, longs * terms.maintenance_margin
    account[EQUITY] = account[MONEY] + longs
    return longs


@compiled
def _affordable(terms: Any, account: Any, leverage: float) -> float:
    """A leverage trimmed to what the account may open: `VolTargetDrawdownSizer.affordable`."""
    if account[EQUITY] <= 0.0:
        return 0.0
    room = 1.0 / terms.initial_margin
    return leverage if leverage <= room * ROUNDING else room


@compiled
def _held_leverage(account: Any, feeds: Any, closes: Any, invested: float) -> float:
    """Value held over equity, per unit of what is invested."""
    gross = 0.0
    for i in range(len(feeds)):
        gross += feeds[i][HELD] * closes[i]
    return gross / account[EQUITY] / invested if account[EQUITY] > 0.0 else math.inf


@compiled
def _hold_proportions(feeds: Any, closes: Any, plan: Any, target: Any, invested: float) -> None:
    """Into the plan: holdings as parts of their value; the target, if nothing is held."""
    gross = 0.0
    for i in range(len(feeds)):
        gross += feeds[i][HELD] * closes[i]
    for i in range(len(feeds)):
        plan[i] = feeds[i][HELD] * closes[i] / gross * invested if gross else target[i]


@compiled
def _between(
    terms: Any, account: Any, feeds: Any, closes: Any, plan: Any, target: Any, invested: float, leverage: float,
    again: bool,
) -> tuple[bool, bool]:  # fmt: skip
    """On a session that decides no weights: whether to trade (the plan says to what), and whether leverage is trimmed.

    `Rebalancing._between_rebalances`.
    """
    if again or (not terms.daily_leverage and not terms.daily_weights) or not invested:
        return again, False
    wanted, held = _affordable(terms, account, leverage), _held_leverage(account, feeds, closes, invested)
    trimmed = wanted != leverage and account[EQUITY] > 0.0
    act = terms.daily_leverage and abs(wanted - held) > terms.band
    if terms.daily_weights:
        scale = 1.0
        if not act and wanted != 0.0:
            possible = _affordable(terms, account, held)
            trimmed = trimmed or possible != held
            scale = possible / wanted
        for i in range(len(plan)):
            plan[i] = scale * target[i]
        return True, trimmed
    if act:
        _hold_proportions(feeds, closes, plan, target, invested)
    return act, trimmed


@compiled
def _send(terms: Any, account: Any, feeds: Any, closes: Any, plan: Any, opened: float, sent: Any) -> int:
    """Orders towards the plan, sales first: `Rebalancing._trade` and `VolTargetDrawdownSizer.target_size`."""
    count = 0
    for selling in (True, False):
        for i in range(len(feeds)):
            units = plan[i] * opened * account[EQUITY] / closes[i]
            if terms.whole:
                units = math.trunc(units) * 1.0
            size = units - feeds[i][HELD]
            if (size < 0.0) if selling else (size > 0.0):
                sent[count][0], sent[count][1] = i * 1.0, size
                count += 1
    return count


@compiled
def run_sessions(
    terms: Any, opens: Any, closes: Any, borrow: Any, idle: Any, sigma: Any, decided: Any, targets: Any, invested: Any,
    out: Any, fund: Any, fills: Any, feeds: Any, account: Any, sent: Any, order: Any, plan: Any, prices: Any,
) -> None:  # fmt: skip
    """The loop: each session as broker, sizer and strategy see it, in that order.

    Parameters
    ----------
    terms : Terms
    opens, closes : array of shape (n, k)
    borrow, idle : array of shape (n,)
        Interest on 1 unit of money since the session before.
    sigma : array of shape (n,)
        Annual volatility of the unlevered portfolio, nan where it is not known.
    decided : array of shape (d,)
        Sessions that decide weights.
    targets : array of shape (d, k)
        What they decide.
    invested : array of shape (d,)
        What each of them sums to.
    out : array of shape (11, n)
        Filled by `COLUMNS`.
    fund : array of shape (n,)
        Filled with values of a fund share.
    fills : array of shape (m, 7)
        Filled by `FILL` as far as there is room.
    feeds, account : array of shape (k, 5), (12,)
        State at the start, and then at the end.
    sent, order, plan, prices : array of shape (2k, 2), (2, k), (k,), (k,)
        Room to work in.
    """
    shares, peak, count, row_of = terms.cash / 100.0, 0.0, 0, -1
    called = again = False
    values, money, held, wanted = out[VALUE], out[CASH], out[LEVERAGE], out[TARGET]
    lifts, brakes = out[VOLATILITY], out[BRAKE]
    for t in range(len(closes)):
        close = closes[t]
        refused = _accept(terms, account, feeds, order, sent, count, closes[t - 1]) if count else 0
        if t and not terms.at_close and not _charge(terms, account, out, t, borrow[t], idle[t]):
            return
        for j in range(count):
            i, size = int(sent[j][0]), sent[j][1]
            if size != 0.0:
                reference = closes[t - 1][i] if terms.at_close else opens[t][i]
                if not _fill(terms, account, feeds, order, out, fills, t, i, size, reference, False):
                    refused += 1
        if called:
            _cut(terms, account, feeds, order, out, fills, t, opens[t], prices)
        if t and terms.at_close and not _charge(terms, account, out, t, borrow[t], idle[t]):
            return
        longs = _revalue(terms, account, feeds, order, close)
        equity = account[EQUITY]
        called = 0.0 < account[TO_KEEP] > equity * ROUNDING
        account[UNFILLED] += refused
        again = again or refused > 0
        # The sizer, before the strategy.
        share, risk = equity / shares, sigma[t]
        fund[t] = share
        peak = max(peak, share)
        loss = 1.0 - share / peak if share < peak else 0.0
        lift = 1.0
        if not math.isnan(risk):
            lift = _volatility_target(risk, terms.target_vol, terms.lev_min, terms.lev_max)
        brake = _drawdown_brake(loss, terms.dd_threshold1, terms.dd_threshold2, terms.dd_min_scale)
        leverage = min(max(lift * brake, terms.lev_min), terms.lev_max)
        values[t], money[t], held[t] = equity, account[MONEY], longs / equity if equity > 0.0 else math.nan
        wanted[t], lifts[t], brakes[t] = leverage, lift, brake
        # The strategy.
        count = 0
        trades = trimmed = False
        if row_of + 1 < len(decided) and decided[row_of + 1] == t:
            row_of += 1
            trades = True
            for i in range(len(plan)):
                plan[i] = targets[row_of][i]
        elif row_of >= 0:
            trades, trimmed = _between(
                terms, account, feeds, close, plan, targets[row_of], invested[row_of], leverage, again
            )
        if trades:
            opened = _affordable(terms, account, leverage)
            trimmed = trimmed or (opened != leverage and equity > 0.0)
            count = _send(terms, account, feeds, close, plan, opened, sent)
            again = False
        account[TRIMS] += 1.0 if trimmed else 0.0
