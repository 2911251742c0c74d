"""The sessions of the twin of the account: event by event what broker, sizer and strategy do, on plain numbers.

Every function here is compiled where numba is installed, so it takes arrays (lists, where it is not) and numbers only.
"""

import math
from typing import Any

from .compiled import compiled
from .leverage import drawdown_brake, volatility_target
from .rebalancing import LAST_DIGITS
from .twin_orders import (
    BOOKED,
    BRAKE,
    CASH,
    EQUITY,
    HELD,
    LEVERAGE,
    LISTED,
    MARK,
    MONEY,
    ROUNDING,
    TARGET,
    TO_KEEP,
    TO_OPEN,
    TRIMS,
    UNFILLED,
    VALUE,
    VOLATILITY,
    _accept,
    _act,
    _charge,
    _cut,
    _fill_sent,
)

__all__ = ["run_sessions"]

_volatility_target = compiled(volatility_target)
_drawdown_brake = compiled(drawdown_brake)


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
            if abs(size) <= LAST_DIGITS * max(abs(units), abs(feeds[i][HELD])):
                continue
            if (size < 0.0) if selling else (size > 0.0):
                sent[count][0], sent[count][1] = i * 1.0, size
                count += 1
    return count


@compiled
def _before_close(
    terms: Any, account: Any, feeds: Any, order: Any, sent: Any, count: int, fresh: bool, out: Any, fills: Any, t: int,
    opens: Any, closes: Any, nights: Any, bounds: Any, last: Any, gone: Any, actions: Any, ahead: int, called: bool,
    prices: Any,
) -> tuple[bool, int, int, int]:  # fmt: skip
    """What the broker does with a session, as `MarginBroker.next`.

    Whether the rates of its night are known; orders refused, and waiting; the action that comes next.
    """
    refused = _accept(terms, account, feeds, order, sent, count, closes[t - 1]) if fresh else 0
    acting = ahead < len(actions) and actions[ahead][0] == t
    due = t > 0  # a night to be charged
    if acting and terms.at_close:
        more, count = _fill_sent(terms, account, feeds, order, sent, count, out, fills, t, opens, closes, last, gone)
        refused += more
        if called:
            _cut(terms, account, feeds, order, out, fills, t, opens[t], prices)
            called = False
    if due and (acting or not terms.at_close):
        due = False
        if not _charge(terms, account, out, t, nights[t], bounds):
            return False, refused, count, ahead
    while ahead < len(actions) and actions[ahead][0] == t:
        refused += _act(terms, account, feeds, sent, count, out, t, actions[ahead], closes[t - 1])
        ahead += 1
    if count:
        more, count = _fill_sent(terms, account, feeds, order, sent, count, out, fills, t, opens, closes, last, gone)
        refused += more
    if called:
        _cut(terms, account, feeds, order, out, fills, t, opens[t], prices)
    return not due or _charge(terms, account, out, t, nights[t], bounds), refused, count, ahead


@compiled
def run_sessions(
    terms: Any, opens: Any, closes: Any, nights: Any, bounds: Any, sigma: Any, decided: Any, targets: Any,
    invested: Any, last: Any, gone: Any, actions: Any, out: Any, fund: Any, fills: Any, feeds: Any, account: Any,
    sent: Any, order: Any, plan: Any, prices: Any,
) -> None:  # fmt: skip
    """The loop: each session as broker, sizer and strategy see it, in that order.

    Parameters
    ----------
    terms : Terms
    opens, closes : array of shape (n, k)
    nights : array of shape (n, tiers + 1)
        Interest on 1 unit of money since the session before, in each tier of the debit, and of idle cash.
    bounds : array of shape (tiers,)
        Upper ends of the tiers.
    sigma : array of shape (n,)
        Annual volatility of the unlevered portfolio, nan where it is not known.
    decided : array of shape (d,)
        Sessions that decide weights.
    targets : array of shape (d, k)
        What they decide.
    invested : array of shape (d,)
        What each of them sums to.
    last, gone : array of shape (k,)
        Sessions of the last bar of each feed, and from which it has ended.
    actions : array of shape (a, 4)
        Session, feed, dividend and split, in the order of sessions and feeds.
    out : array of shape (13, n)
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
    called = again = fresh = False
    ahead = 0  # the action that comes next
    values, money, held, wanted = out[VALUE], out[CASH], out[LEVERAGE], out[TARGET]
    lifts, brakes = out[VOLATILITY], out[BRAKE]
    for t in range(len(closes)):
        close = closes[t]
        refused = 0
        if not (count or called or (ahead < len(actions) and actions[ahead][0] == t)):  # most are: twice as fast
            known = t == 0 or _charge(terms, account, out, t, nights[t], bounds)
        else:
            known, refused, count, ahead = _before_close(
            terms, account, feeds, order, sent, count, fresh, out, fills, t, opens, closes, nights, bounds, last, gone,
            actions, ahead, called, prices,
        )  # fmt: skip
        if not known:
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
        fresh = False
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
            count = _send(terms, account, feeds, close, plan, opened, sent)  # what waited is withdrawn
            again, fresh = False, True
        account[TRIMS] += 1.0 if trimmed else 0.0
