"""The overlay: a Sizer that levers any strategy by volatility target × drawdown brake on the broker's equity."""

import datetime as dt
import math
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

import backtrader as bt

from riskoverlay.errors import InputError
from riskoverlay.notes import log, name_of
from riskoverlay.rules import check_names

from .actions import ex
from .clock import SessionClock
from .ledger import PositionLedger, held_in
from .leverage import RollingVolatility, base_return, drawdown_brake, volatility_target
from .rules import LeverageRules, SizingRules
from .terms import margin_rate, point_value

__all__ = ["VolTargetDrawdownSizer"]


class _Watcher(bt.Analyzer):
    """Hands the account's value to the sizer before each `next`, whatever the strategy does."""

    params = (("sizer", None),)

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        self.p.sizer._observe(value, fundvalue)

    def notify_action(self, action: Any) -> None:
        self.p.sizer._act(action)


class VolTargetDrawdownSizer(bt.Sizer):
    """Sizes unsized `buy()` and `sell()` to weight × leverage × `allocation` × equity.

    Leverage of the coming session, decided at this session's close from what is known at it::

        L = clip(clip(target_vol / σ, lev_min, lev_max) · f(drawdown), lev_min, lev_max)

    σ is the annualised deviation (ddof=0) of the last `vol_lookback` unlevered returns of the strategy, Σ wᵢ·rᵢ with
    the weights that were in force; L = f until so many exist. f is the drawdown brake; the drawdown is that of the
    broker's fund value (equity without deposits and withdrawals), so that every cost counts.

    What a size means, by what the strategy itself holds of the feed, its orders under way counted as backtrader will
    fill them (`close()` and an entry on one bar, two entries on one bar, a limit entry sent again):

    - A strategy with `target_weight(data)` (such as `RiskParityBlend`): the shares between what it holds and
      weight × leverage × allocation × equity / (close × point), if the order goes that way, else 0.
    - Any other strategy gives directions only. A buy when flat or long brings the holding up to a long slot of
      leverage × allocation × equity × (1 / `slots`); a sell when flat or short, down to a short one. An order against
      a holding closes it, or with `reverse=True` closes it and opens the other side. Unlevered weights are ±1/slots
      while a feed is held, 0 otherwise. Orders with a size (`close()`, `buy(size=...)`) are never asked about.

    The point is what one point of price makes: 1 for shares, the multiplier of a contract. Sizes are whole numbers
    unless `whole_shares=False`; an account that is too small for one contract is told so, once.

    Targets beyond what the account may open (`initial_margin` of a `MarginAccount`, the margin of a contract, else the
    scheme's leverage) are trimmed in proportion; it is logged once, in numbers, and `trims` counts the sessions.

    "In force" and "held" mean at the close before the session that earns the return. A session is a date, whatever the
    time stamps: `SessionClock` says when it is over. The strategy's own, `session_clock`, serves where it has one.

    Parameters
    ----------
    **params
        The fields of `LeverageRules` and `SizingRules`, and two that are backtrader's only:
        `memory`, returns kept, so that `reconfigure` can raise `vol_lookback` to it (default: `vol_lookback`);
        `calendar`, the exchange calendar that ends the sessions of feeds with bars within a day, or None: the first
        bar of the next date ends them. A strategy with a `session_clock` does not need it.

    Attributes
    ----------
    leverage : float
        Decided at the last session's close.
    volatility_part : float
        clip(target_vol / σ, lev_min, lev_max); 1 until σ exists.
    brake_part : float
        Factor of the drawdown brake, dd_min_scale to 1.
    drawdown : float
        Positive fraction that the account (or sleeve) has lost since its peak.
    equity : float
        The account's at the last bar, money.
    trims : int
        Sessions on which the account could not open the leverage wanted.
    sessions : array of int
        Ordinals of the sessions that are over, also of those that ended late; the next two are of the same length.
    base_returns : array of float
        Unlevered return Σ wᵢ·rᵢ of each, a fraction; nan while no weights were in force.
    leverages : array of float
        Decided at the close of each, for the session after it.

    Raises
    ------
    InputError
        A parameter out of its bounds, when the sizer is attached to a strategy.
    """

    params = (*LeverageRules.params(), *SizingRules.params(), ("memory", None), ("calendar", "XNYS"))

    leverage: float
    volatility_part: float
    brake_part: float

    def set(self, strategy: Any, broker: Any) -> None:
        """Attach to a strategy and watch the account from here on; backtrader calls it twice for some.

        Parameters
        ----------
        strategy : bt.Strategy
        broker : broker
        """
        if self.strategy is strategy:
            return
        super().set(strategy, broker)
        self._rules, self._sizing = LeverageRules.of(self.p), SizingRules.of(self.p)
        self._feeds = list(strategy.datas)
        clock = getattr(strategy, "session_clock", None)
        self._clock = clock if clock is not None else SessionClock(strategy, self._feeds, self.p.calendar)
        self._lines = [data.close for data in self._feeds]
        self._numbers = {data: at for at, data in enumerate(self._feeds)}
        self._closes: list[float] | None = None  # of the session under way
        self._closes_before: list[float] | None = None  # of the session before it
        self._begun = False  # a feed that has not begun would show its last bar: backtrader's lines wrap around
        self._opened: float | None = None
        self._directions: list[float] | None = None  # at the last session's close
        self._directions_now: list[float] | None = None
        self._volatility = RollingVolatility(self._rules.vol_lookback, self._sizing.periods, self.p.memory)
        self._ledger = PositionLedger()
        self.sessions, self.base_returns, self.leverages = array("q"), array("d"), array("d")
        self._cash_flow = 0.0
        self._actions: list[Any] = []  # of the bar under way
        self._start_value = broker.getvalue()
        self._planned = hasattr(strategy, "target_weight")
        self._slot = 1.0 / (self._sizing.slots or len(self._feeds))
        self._queues = [getattr(broker, name) for name in ("pending", "submitted") if hasattr(broker, name)]
        self._points: dict[Any, float] = {}
        self._schemes: tuple[Any, ...] = ()
        self._constant_rate: float | None = None  # where all are shares; the rate of a contract moves with its price
        self._told_too_small = False
        self.equity = self._peak = self._performance = 0.0
        self.drawdown = 0.0
        self.leverage = min(max(1.0, self._rules.lev_min), self._rules.lev_max)
        self.volatility_part = self.brake_part = 1.0
        self.trims = self._trimmed_on = 0
        # A sizer that this one replaces must not go on watching.
        strategy._slave_analyzers[:] = [a for a in strategy._slave_analyzers if not isinstance(a, _Watcher)]
        strategy._addanalyzer_slave(_Watcher, sizer=self)
        strategy._addnotification = partial(self._hear, type(strategy)._addnotification.__get__(strategy))

    # -- what is known at a close ----------------------------------------------------------------------------------

    def _hear(self, deliver: Callable[..., None], order: Any, quicknotify: bool = False) -> None:
        """Of an order before the strategy does: what it sends in answer (a stop for what was bought) is sized by what
        it holds then."""
        if not order.p.simulated:
            self._record(order)
        deliver(order, quicknotify=quicknotify)

    def _record(self, order: Any) -> None:
        for fill in order.executed.iterpending():
            value = fill.size * fill.price * self.point(held_in(order))
            self._cash_flow -= value + fill.openedcomm + fill.closedcomm
        self._ledger.record(order)

    def _act(self, action: Any) -> None:
        """A dividend or split before this session's open."""
        self._ledger.act(action, self.strategy)
        holding = action.holders.get(self.strategy)
        if holding is not None:
            self._cash_flow += holding.cash
        self._actions.append(action)

    def _take_actions(self) -> None:
        """Hold this session's closes against those before it ex dividend and split: returns are total returns."""
        for action in self._actions:
            at = self._numbers.get(action.data)
            if self._closes_before is not None and at is not None:
                self._closes_before[at] = ex(self._closes_before[at], action.split, action.dividend)
        self._actions.clear()

    def _observe(self, value: float, fund_value: float) -> None:
        """A bar has closed: take its closes and the account's value, and decide if a session is over."""
        clock = self._clock
        clock.see()
        if clock.late:
            self._close_session(clock.late)
        if self._begun:
            closes = [line[0] for line in self._lines]
        else:
            closes = [data.close[0] if len(data) else math.nan for data in self._feeds]
            self._begun = not any(map(math.isnan, closes))
        if clock.begins:
            self._closes_before = self._closes
        self._closes = closes
        if self._actions:
            self._take_actions()
        if not self._planned:
            self._directions_now = self._unlevered_directions()
        self.equity = value
        self._performance = fund_value if self._sizing.drawdown == "account" else self._sleeve_value()
        self._opened = None
        if clock.over:
            self._close_session(clock.session)

    def _close_session(self, session: int) -> None:
        """A session is over: take its base return and where the account stood, decide the leverage from here."""
        weights = self.strategy.base_weights if self._planned else self._directions
        earned = math.nan
        if weights is not None and self._closes_before is not None and self._closes is not None:
            earned = base_return(weights, self._closes_before, self._closes)
            self._volatility.push(earned)
        self._directions = self._directions_now
        performance = self._performance
        self._peak = max(self._peak, performance)
        self.drawdown = 1.0 - performance / self._peak if performance < self._peak else 0.0
        self._decide()
        self.sessions.append(session)
        self.base_returns.append(earned)
        self.leverages.append(self.leverage)

    def _decide(self) -> None:
        """The leverage from here on."""
        rules = self._rules
        self.volatility_part = volatility_target(self._volatility.value, rules.target_vol, rules.lev_min, rules.lev_max)
        self.brake_part = drawdown_brake(self.drawdown, rules.dd_threshold1, rules.dd_threshold2, rules.dd_min_scale)
        self.leverage = min(max(self.volatility_part * self.brake_part, rules.lev_min), rules.lev_max)
        self._opened = None

    def reconfigure(self, **parameters: Any) -> None:
        """Change parameters from the last close on; what is known of returns and drawdown stays.

        Parameters
        ----------
        **parameters
            Some fields of `LeverageRules`, or `whole_shares`.

        Raises
        ------
        InputError
            Another name, a value out of bounds, a `vol_lookback` above `memory`.
        """
        check_names(parameters, (*LeverageRules.described(), "whole_shares"))
        values = {**vars(self._rules), **vars(self._sizing), **parameters}
        rules, sizing = LeverageRules.of(values), SizingRules.of(values)
        if rules.vol_lookback > self._volatility.memory:
            raise InputError(
                f"is more than the {self._volatility.memory} returns that are kept",
                "give memory when the sizer is made", "vol_lookback", rules.vol_lookback,
            )  # fmt: skip
        self._rules, self._sizing = rules, sizing
        self._volatility.vol_lookback = rules.vol_lookback
        self._decide()
        if self.leverages:
            self.leverages[-1] = self.leverage

    def _unlevered_directions(self) -> list[float] | None:
        """±slot for each feed held, None before the first position: no exposure yet, no volatility."""
        held = [self._ledger.held(data) for data in self._feeds]
        if self._directions is None and not any(held):
            return None
        return [math.copysign(self._slot, size) if size else 0.0 for size in held]

    def _sleeve_value(self) -> float:
        """The strategy's share of starting equity plus its own profit after its own commissions and slippage."""
        closes = zip(self._feeds, self._closes or (), strict=True)
        held = sum(self._ledger.held(data) * close * self.point(data) for data, close in closes)
        return self._sizing.allocation * self._start_value + self._cash_flow + held

    # -- sizes -----------------------------------------------------------------------------------------------------

    @property
    def capital(self) -> float:
        """Equity that this strategy may use at leverage 1: allocation × the account's equity, money."""
        return self._sizing.allocation * self.equity

    def affordable(self, leverage: float) -> float:
        """A leverage, trimmed to what the account may open beside other strategies' positions.

        Parameters
        ----------
        leverage : float
            Wanted.

        Returns
        -------
        float
        """
        if self.equity <= 0.0:
            return 0.0
        rate = self._mean_margin_rate()
        limit = 1.0 / rate
        others = self._others_gross(rate) / self.equity
        room = max(0.0, limit - others) / self._sizing.allocation
        if leverage <= room * (1.0 + 1e-9):
            return leverage
        if not self.trims:
            log.warning(
                "%s: leverage %.4f wanted, %.4f opened: the account may hold %.2f x its equity of %.2f, "
                "others hold %.2f x",
                dt.date.fromordinal(self._clock.session), leverage, room, limit, self.equity, others,
            )  # fmt: skip
        if self._clock.session != self._trimmed_on:
            self._trimmed_on = self._clock.session
            self.trims += 1
        return room

    def point(self, data: Any) -> float:
        """Money that one point of a feed's price makes on one unit.

        Parameters
        ----------
        data : feed

        Returns
        -------
        float
            1 for shares, the multiplier for a contract.

        Raises
        ------
        InputError
            A multiplier that is not positive.
        """
        point = self._points.get(data)
        if point is None:
            point = self._points[data] = point_value(data, self.broker.getcommissioninfo(data))
        return point

    def _mean_margin_rate(self) -> float:
        """Equity that opening the target takes, per unit of its gross value: the feeds' rates, by their weights."""
        schemes = tuple(getattr(self.broker, "comminfo", {}).items())
        if schemes != self._schemes:
            self._schemes = schemes
            stocks = all(self.broker.getcommissioninfo(data).stocklike for data in self._feeds)
            self._constant_rate = self._weighted_margin_rate() if stocks else None
        return self._weighted_margin_rate() if self._constant_rate is None else self._constant_rate

    def _weighted_margin_rate(self) -> float:
        rates = [self._margin_rate(data) if len(data) else math.nan for data in self._feeds]
        known = [rate for rate in rates if not math.isnan(rate)]
        if min(known) == max(known):
            return known[0]
        weights = (self.strategy.base_weights if self._planned else None) or [1.0] * len(rates)
        pairs = [(abs(w), rate) for w, rate in zip(weights, rates, strict=True) if w and not math.isnan(rate)]
        gross = sum([w for w, _ in pairs])
        return sum([w * rate for w, rate in pairs]) / gross if gross else max(known)

    def _margin_rate(self, data: Any) -> float:
        """Equity per unit of value that opening a position takes."""
        ask = getattr(self.broker, "margin_rate", None)
        if ask is not None:
            return float(ask(data, data.close[0]))
        return margin_rate(data, self.broker.getcommissioninfo(data), data.close[0])

    def _others_gross(self, rate: float) -> float:
        """Gross value of what other strategies hold in the account, money: by its margin rate against the target's."""
        if len(self.strategy.cerebro.runningstrats) == 1:
            return 0.0
        return sum(
            abs(position.size - self._ledger.held(data)) * data.close[0] * self.point(data)
            * (self._margin_rate(data) / rate)
            for data, position in self.broker.positions.items()
            if position.size or self._ledger.held(data)
        )  # fmt: skip

    def target_size(self, data: Any, weight: float) -> float:
        """Shares or contracts of an unlevered weight at this close.

        weight × leverage × allocation × equity / (close × point).

        Parameters
        ----------
        data : feed
        weight : float
            Unlevered, signed.

        Returns
        -------
        float
            Signed; an int, if the rules say whole.
        """
        if self._opened is None:
            self._opened = self.affordable(self.leverage)
        point = self.point(data)
        units = weight * self._opened * self.capital / (data.close[0] * point)
        if not self._sizing.whole_shares:
            return units
        if 0.0 < abs(units) < 1.0 and not self._told_too_small:
            self._tell_too_small(data, units, data.close[0] * point)
        return math.trunc(units)

    def _tell_too_small(self, data: Any, units: float, worth: float) -> None:
        """Say once that the account is too small for a contract."""
        if not self.broker.getcommissioninfo(data).stocklike:
            self._told_too_small = True
            log.warning(
                "%s: %.2f contracts of %s wanted, none can be held: one is worth %.2f, the account %.2f",
                dt.date.fromordinal(self._clock.session), abs(units), name_of(data), worth, self.equity,
            )  # fmt: skip

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        side = 1 if isbuy else -1
        held = self._held_when_filled(data, side)
        if self._planned:
            goal = self.target_size(data, self.strategy.target_weight(data))
        else:
            against = held * side < 0.0
            goal = 0 if against and not self._sizing.reverse else self.target_size(data, side * self._slot)
        size = max((goal - held) * side, 0)
        return int(size) if self._sizing.whole_shares and size == int(size) else size

    def _held_when_filled(self, data: Any, side: int) -> float:
        """Own shares of a feed once the orders under way are filled that an order of this side comes on top of.

        Orders that are filled at the next price in any case count, and of those that wait for a price the entries on
        the same side. What waits to reduce a holding (a stop, a target, the exits of a bracket) may never be filled.
        """
        held = self._ledger.held(data)
        waiting = []
        for queue in self._queues:
            for order in queue:
                if order.data is data and order.owner is self.strategy and order.parent is None and order.alive():
                    size = order.executed.remsize
                    if order.exectype in (order.Market, order.Close):
                        held += size
                    elif size * side > 0:
                        waiting.append(size)
        for size in waiting:
            if abs(held + size) > abs(held):
                held += size
        return held
