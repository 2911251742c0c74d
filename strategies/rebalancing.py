"""A portfolio of weights, rebalanced on the last session of each period, whoever decides the weights."""

import datetime as dt
import math
from array import array
from typing import Any

import backtrader as bt
import numpy as np

from riskoverlay.errors import InputError, RiskOverlayError
from riskoverlay.notes import log, name_of
from riskoverlay.rules import check_names

from .clock import SessionClock, ended
from .histories import is_member
from .ledger import OwnPosition
from .overlay import VolTargetDrawdownSizer
from .restart import restore
from .rules import ScheduleRules, TradingRules
from .schedule import DatedSchedule, RebalanceSchedule
from .terms import point_value
from .weighting import about_weights

__all__ = ["Rebalancing"]

DUST = 1e-9
"""Differences of leverage below this are rounding, whatever the band."""

LAST_DIGITS = 1e-12
"""Part of a holding that is rounding: no order is sent for it, which an account at its limit would refuse."""


class Rebalancing(OwnPosition, bt.Strategy):
    """Holds weight × leverage of every feed: the weights from a rule, the leverage from its sizer.

    A subclass is the rule: `weigh`, and the `history` that it needs. On a rebalance session the rule is given the
    closes up to and including that session's, and the strategy trades to weight × leverage. On other sessions it lets
    the leverage act: when the sizer's leverage differs from the one held by more than `lev_band`, it scales its
    holdings in proportion. Orders are market orders without a size; sells go before buys; the sizer
    (`VolTargetDrawdownSizer` unless `cerebro.addsizer` gives another) sizes them. A session is a date, whatever the
    time stamps of its bars: `SessionClock` says when it is over. A feed with a parameter `members` (`PanelFeed`) is
    weighed on these dates only.

    It keeps its own ledger and trades only its own shares. An order that was refused, expired or could not be
    filled is logged, counted in `unfilled`, and tried again at the next session.

    Parameters
    ----------
    **params
        The fields of `ScheduleRules` and `TradingRules`, and five that are backtrader's only:
        `symbols`, names of the feeds to hold (default: all);
        `overlay`, parameters of the default sizer, a mapping or pairs (for `optstrategy` and `btrun`);
        `trade_from`, date (or "YYYY-MM-DD") of the first close that may send orders: weights are computed before it,
        so that the sizer knows the volatility of the portfolio when it begins;
        `memory`, sessions of closes kept, so that `reconfigure` can raise the look-backs to it;
        `resume`, where it stood (`state_of`): it looks at prices up to that session's close, and goes on from there.

    Attributes
    ----------
    base_weights : list of float or None
        Unlevered weights in force, aligned with `datas`; None before the first.
    rebalances : list of date
        Sessions on which weights were decided.
    unfilled : int
        Own orders that came to nothing.
    deciding : date
        The session whose close the rule was given last.
    window_days : list of date
        Of the closes that it was given with it; a session that some of the feeds have no bar on is left out.
    session_clock : SessionClock
        Says which session a bar belongs to; the sizer goes by it, too.

    Raises
    ------
    InputError
        A parameter out of its bounds, at start; a symbol without a feed.
    """

    rules: type[ScheduleRules] = ScheduleRules
    """Of the rule of weights: `params` and `reconfigure` have its fields."""

    params = (
        *ScheduleRules.params(),
        *TradingRules.params(),
        ("symbols", None),
        ("overlay", None),
        ("trade_from", None),
        ("memory", None),
        ("resume", None),
    )

    def __init__(self) -> None:
        super().__init__()
        self._weight_rules: Any = self.rules.of(self.p)  # a subclass knows which
        self._trading = TradingRules.of(self.p)
        self._schedule = self.make_schedule()
        self._universe = self._find_universe()
        self._numbers = {data: at for at, data in enumerate(self._universe)}
        self._lines = [data.close for data in self._universe]
        self.session_clock = SessionClock(self, self._universe, self._weight_rules.calendar)
        # The default; cerebro.addsizer, which comes later, replaces it. Backtrader attaches it after this method.
        self._sizer = VolTargetDrawdownSizer(**dict(self.p.overlay or {}))
        self._memory = max(*self.history(), self.p.memory or 0)
        self._keep = (self._memory + 1) * len(self._universe)
        self._closes = array("d")  # row after row, the last `_keep` numbers and up to as many before them
        self._days = array("q")  # ordinals of these rows
        self._growth = [1.0] * len(self._universe)  # total return of a feed's price beyond its own, so far
        self._grown = False
        self.window_days: list[dt.date] = []
        self.deciding = dt.date.min
        self._previous: dt.date | None = None
        self._waits_for = _date(self.p.trade_from)
        self._resume: Any = self.p.resume
        self._resumes_on = 0 if self._resume is None else dt.date.fromisoformat(self._resume["session"]).toordinal()
        self._target: dict[Any, float] = {}
        self._invested = 1.0  # sum of the target: what is below 1 is cash, at any leverage
        self._plan: dict[Any, float] = {}
        # Money a point, and close, of what is held; None: look again.
        self._holdings: list[tuple[float, Any]] | None = None
        self._alive: dict[int, Any] = {}
        self._withdrawn: set[int] = set()
        self._again = False
        self._sent_late = False  # after the session that decided: some orders may have to wait a session for a bar
        self._left_out: set[str] = set()
        self.unfilled = 0
        self.base_weights: list[float] | None = None
        self.rebalances: list[dt.date] = []

    # -- the rule ----------------------------------------------------------------------------------------------------

    def history(self) -> tuple[int, int]:
        """Sessions that the rule looks at.

        Returns
        -------
        lookback, least : int
            Returns of the window that `weigh` is given at most, and those a feed must have to be weighed at all.
        """
        raise NotImplementedError

    def weigh(self, closes: np.ndarray, feeds: list[Any]) -> np.ndarray:
        """The rule: unlevered weights from closes up to and including this session's.

        Parameters
        ----------
        closes : ndarray of shape (n, k)
            Of the sessions on which all of the feeds have a bar, at most the look-back's returns and one. Where the
        account has booked dividends and splits, closes before them are those of who holds today's shares and has
        put dividends back into them: total-return closes, as far as they are known today.
        feeds : list of feeds, k
            Those with enough history.

        Returns
        -------
        ndarray of shape (k,)
            Fractions >= 0; what they sum to below 1 is cash.
        """
        raise NotImplementedError

    def make_schedule(self) -> RebalanceSchedule | DatedSchedule:
        """On which sessions the rule is asked: made at start, and again when a parameter of it changes."""
        return RebalanceSchedule(self._weight_rules.rebalance_freq, self._weight_rules.calendar)

    # -- parameters --------------------------------------------------------------------------------------------------

    def reconfigure(self, **parameters: Any) -> None:
        """Change parameters from the next close on: weights follow at the next rebalance session.

        Parameters
        ----------
        **parameters
            Some fields of `rules` and of `TradingRules`.

        Raises
        ------
        InputError
            Another name, a value out of bounds, a look-back above `memory`.
        """
        check_names(parameters, (*self.rules.described(), *TradingRules.described()))
        values = {**vars(self._weight_rules), **vars(self._trading), **parameters}
        rules, trading, old = self.rules.of(values), TradingRules.of(values), self._weight_rules
        self._weight_rules = rules
        if max(self.history()) > self._memory:
            longest = max(self.history())
            self._weight_rules = old
            name = next((one for one, value in parameters.items() if value == longest), "")
            raise InputError(
                f"is more than the {self._memory} sessions that are kept",
                "give memory when the strategy is made", name or "history", longest,
            )  # fmt: skip
        self._trading = trading
        before = (old.rebalance_freq, old.calendar)
        if (rules.rebalance_freq, rules.calendar) != before:  # periods such as 2ME go on counting
            self._schedule = self.make_schedule()
            self.session_clock.follow(rules.calendar)

    def _find_universe(self) -> list[Any]:
        if self.p.symbols is None:
            return list(self.datas)
        names = [name_of(data) for data in self.datas]
        for symbol in self.p.symbols:
            if symbol not in names:
                raise InputError(f"symbols: {symbol!r} has no feed", f"add it to Cerebro, or give some of {names}")
        return [self.datas[names.index(symbol)] for symbol in self.p.symbols]

    def target_weight(self, data: Any) -> float:
        """Unlevered weight of a feed in the trade under way: what the sizer sizes.

        Parameters
        ----------
        data : feed

        Returns
        -------
        float
        """
        return self._plan.get(data, 0.0)

    # -- the session -------------------------------------------------------------------------------------------------

    def notify_action(self, action: Any) -> None:
        """Keep the ledger; from here on closes are total-return closes.

        Parameters
        ----------
        action : CorporateAction
        """
        super().notify_action(action)
        self._holdings = None
        if action.data in self._numbers:
            self._growth[self._numbers[action.data]] *= action.before / action.base
            self._grown = True

    def prenext(self) -> None:
        """Some feed has not begun: the others need not wait for it."""
        self._see([data.close[0] if len(data) else math.nan for data in self._universe])

    def next(self) -> None:
        """A bar of all feeds."""
        self._see([line[0] for line in self._lines])

    def _see(self, closes: list[float]) -> None:
        """Take a bar's closes, and act if a session is over: before they count, if it ended without a decision."""
        clock = self.session_clock
        clock.see()
        trades = self._resume is None and bool(clock.late) and self._close_session(clock.late)
        if self._grown:
            closes = [close * growth for close, growth in zip(closes, self._growth, strict=True)]
        if clock.begins:
            self._closes.extend(closes)
            self._days.append(clock.session)
            if len(self._closes) >= 2 * self._keep:
                del self._closes[: -self._keep], self._days[: -(self._memory + 1)]
        elif clock.session:  # another bar of the same session
            self._closes[-len(closes) :] = array("d", closes)
        if self._resume is not None:  # it looks at prices only, until it is where it stood
            if clock.over and clock.session >= self._resumes_on:
                restore(self, self._resume)
                self._resume = None
            return
        if clock.over:
            trades = self._close_session(clock.session) or trades
        if trades:
            self._trade(self._target)
        elif self._sent_late and self._alive and (clock.over or clock.late):
            self._sent_late = False
        elif (clock.over or clock.late) and self.base_weights is not None:
            self._between_rebalances()

    def _close_session(self, day: int) -> bool:
        """A session is over: decide weights if they are due. Whether to trade to them."""
        today = dt.date.fromordinal(day)
        due = self._schedule.due(today, self._previous)
        self._previous = today
        begins = self._waits_for is not None and today >= self._waits_for
        if begins:
            self._waits_for = None
        return (due and self._decide(today)) or (begins and bool(self._target))

    def _decide(self, today: dt.date) -> bool:
        """Have the rule weigh the feeds that have the history; False if none has."""
        lookback, least = self.history()
        closes = np.array(self._closes[-self._keep :]).reshape(-1, len(self._universe))
        eligible = self._eligible(closes[-(max(lookback, least) + 1) :], least, today)
        if not eligible and not self._target:
            return False  # nothing yet; of what was held, all goes
        window = closes[-(lookback + 1) :, eligible]
        whole = np.isfinite(window).all(axis=1)
        window = window[whole] / np.array(self._growth)[eligible]  # what they were for who holds today's shares
        days = self._days[-len(whole) :]
        self.deciding = today
        self.window_days = [dt.date.fromordinal(days[at]) for at in np.flatnonzero(whole)]
        feeds = [self._universe[i] for i in eligible]
        try:
            weights = self.weigh(window, feeds) if feeds else np.zeros(0)
        except RiskOverlayError as error:
            raise about_weights(error, today, [name_of(data) for data in feeds]) from error.__cause__
        self._set_target(dict(zip(feeds, weights.tolist(), strict=True)))
        self.rebalances.append(today)
        return True

    def _set_target(self, target: dict[Any, float] | None) -> None:
        """Put weights in force; None: there are none yet."""
        self._target = target or {}
        total = sum(self._target.values())
        self._invested = 1.0 if abs(total - 1.0) < DUST else total
        self.base_weights = None if target is None else [target.get(data, 0.0) for data in self.datas]

    def _eligible(self, recent: np.ndarray, least: int, today: dt.date) -> list[int]:
        """Positions in the universe of the feeds with more closes than `least` and a recent bar."""
        known = np.isfinite(recent).sum(axis=0) > least
        eligible = []
        for i, data in enumerate(self._universe):
            gone = len(data) and ended(data, today.toordinal())
            if known[i] and not gone and is_member(getattr(data.p, "members", None), today):
                eligible.append(i)
            elif gone and name_of(data) not in self._left_out:
                self._left_out.add(name_of(data))
                log.warning("%s: no bar of %s since %s: left out", today, name_of(data), data.datetime.date(0))
        return eligible

    def _between_rebalances(self) -> None:
        if self._again:
            self._trade(self._plan)
            return
        if self._trading.relever == "rebalance" and self._trading.drift == "hold":
            return
        sizer = self._sizer
        if not hasattr(sizer, "affordable") or not self._invested:
            return
        target, held = sizer.affordable(sizer.leverage), self._held_leverage()
        act = self._trading.relever == "daily" and abs(target - held) > max(self._trading.lev_band, DUST)
        if self._trading.drift == "daily":
            # Within the band the portfolio is re-weighted at the leverage it has.
            self._trade(self._target, 1.0 if act or target == 0.0 else sizer.affordable(held) / target)
        elif act:
            self._trade(self._proportions() or self._target)

    def _proportions(self) -> dict[Any, float]:
        """Holdings as parts of their value, times what is invested; empty if nothing is held (leverage has been 0)."""
        values = {
            data: self.held(data) * data.close[0] * self._point(data) for data in self._universe if self.held(data)
        }
        gross = sum(values.values())
        return {data: value / gross * self._invested for data, value in values.items()}

    def _held_leverage(self) -> float:
        """Value of own holdings over the equity that this strategy may use, per unit of what is invested."""
        if self._holdings is None:
            held, point = [(self.held(data), data) for data in self._universe if self.held(data)], self._sizer.point
            self._holdings = [(shares * point(data), data.close) for shares, data in held]
        capital = self._sizer.capital
        gross = sum([points * line[0] for points, line in self._holdings])
        return gross / capital / self._invested if capital > 0.0 else math.inf

    # -- orders ------------------------------------------------------------------------------------------------------

    def _trade(self, weights: dict[Any, float], scale: float = 1.0) -> None:
        """Send unsized orders, sells first, towards scale × weights; 0 for feeds of the universe without a weight."""
        if self._waits_for is not None:
            return
        for order in self._alive.values():
            self._withdrawn.add(order.ref)
            self.cancel(order)
        self._alive.clear()
        self._again = False
        self._sent_late = bool(self.session_clock.late)
        self._plan = {data: scale * weight for data, weight in weights.items()}
        missing = [(self._missing(data), data) for data in self._universe if len(data)]
        for shares, data in missing:
            if shares < 0.0:
                self._send(self.sell(data))
        for shares, data in missing:
            if shares > 0.0:
                self._send(self.buy(data))

    def _missing(self, data: Any) -> float:
        """Shares between what is held and the plan: which way to trade. How much is the sizer's to say."""
        weight = self._plan.get(data, 0.0)
        sizer = self._sizer
        if hasattr(sizer, "target_size"):
            wanted = sizer.target_size(data, weight)
        else:
            wanted = weight * self.broker.getvalue() / (data.close[0] * self._point(data))
        held = self.held(data)
        missing = wanted - held
        return 0.0 if abs(missing) <= LAST_DIGITS * max(abs(wanted), abs(held)) else missing

    def _point(self, data: Any) -> float:
        """Money that one point of a feed's price makes on one share or contract."""
        return point_value(data, self.broker.getcommissioninfo(data))

    def _send(self, order: Any) -> None:
        if order is not None:
            self._alive[order.ref] = order

    def clear(self) -> None:
        """Forget the session's notifications: backtrader would keep every one for ever, unread (17 % of a run)."""
        self._orderspending: list[Any] = []
        self._tradespending: list[Any] = []

    def notify_order(self, order: Any) -> None:
        """Keep the ledger; report an order that came to nothing and try again at the next session.

        Parameters
        ----------
        order : bt.Order
        """
        super().notify_order(order)
        self._holdings = None
        if order.alive():
            return
        self._alive.pop(order.ref, None)
        if order.ref in self._withdrawn:
            self._withdrawn.discard(order.ref)
        elif order.status != order.Completed:
            self.unfilled += 1
            self._again = True
            self.session_clock.see()
            log.warning(
                "%s: order %s of %s %+g came to %s: it is tried again at the next session",
                dt.date.fromordinal(self.session_clock.session),
                order.ref,
                name_of(order.data),
                order.created.size,
                order.getstatusname(),
            )


def _date(day: dt.date | str | None) -> dt.date | None:
    if isinstance(day, str):
        try:
            return dt.date.fromisoformat(day)
        except ValueError:
            raise InputError("is not a date", "give datetime.date, 'YYYY-MM-DD' or None", "trade_from", day) from None
    return day
