"""The overlay: a Sizer that levers any strategy by volatility target × drawdown brake on the broker's equity."""

from __future__ import annotations

import logging
import math
from typing import Any

import backtrader as bt

from .ledger import Ledger
from .leverage import PERIODS, RollingVolatility, check_leverage_params, drawdown_brake, volatility_target

__all__ = ["VolTargetDrawdownSizer"]

log = logging.getLogger("riskoverlay")


class _Watcher(bt.Analyzer):
    """Hands the account's value to the sizer before each `next`, whatever the strategy does."""

    params = (("sizer", None),)

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        self.p.sizer._observe(value, fundvalue)

    def notify_order(self, order: Any) -> None:
        self.p.sizer._record(order)


class VolTargetDrawdownSizer(bt.Sizer):
    """Sizes unsized `buy()` and `sell()` to weight × leverage × `allocation` × equity.

    Leverage of the coming session, decided at this close from what is known at it::

        L = clip(clip(target_vol / σ, lev_min, lev_max) · f(drawdown), lev_min, lev_max)

    σ is the annualised deviation (ddof=0) of the last `vol_lookback` unlevered returns of the strategy, Σ wᵢ·rᵢ with
    the weights that were in force; L = f until so many exist. f is the drawdown brake; the drawdown is that of the
    broker's fund value (equity without deposits and withdrawals), so that every cost counts.

    What a size means, by what the strategy itself holds of the feed:

    - A strategy with `target_weight(data)` (such as `RiskParityBlend`): the shares between what it holds and
      weight × leverage × allocation × equity / close, if the order goes that way, else 0.
    - Any other strategy gives directions only. A buy when flat or long brings the holding up to a long slot of
      leverage × allocation × equity × (1 / `slots`); a sell when flat or short, down to a short one. An order against
      a holding closes it, or with `reverse=True` closes it and opens the other side. Unlevered weights are ±1/slots
      while a feed is held, 0 otherwise. Orders with a size (`close()`, `buy(size=...)`) are never asked about.

    Params
    ------
    vol_lookback : sessions in σ (>= 2)
    target_vol : annual volatility aimed at, a fraction (0.12 = 12 %)
    lev_min, lev_max : bounds of leverage; both 1 for the unlevered portfolio, through the same code and broker
    dd_threshold1, dd_threshold2 : drawdowns (positive fractions) where the brake starts and where it is full
    dd_min_scale : factor of the full brake
    allocation : part of the account's equity that this strategy may use, in (0, 1]
    whole_shares : round holdings down to whole shares
    drawdown : "account" (fund value of the whole account) or "sleeve" (allocation × starting equity plus the
        strategy's own profit after its own commissions and slippage)
    slots : number of equal parts for strategies without weights; None: the number of their feeds
    reverse : see above
    periods : sessions a year (252 daily, 52 weekly)

    Targets beyond what the account may open (1/initial_margin of a `MarginAccount`, else the scheme's leverage) are
    trimmed in proportion; it is logged once, in numbers, and `trims` counts the sessions.

    "In force" and "held" mean at the close before the session that earns the return.

    Raises
    ------
    ValueError
        A parameter out of its bounds, when the sizer is attached to a strategy.
    """

    params = (
        ("vol_lookback", 60),
        ("target_vol", 0.12),
        ("lev_min", 0.30),
        ("lev_max", 2.0),
        ("dd_threshold1", 0.10),
        ("dd_threshold2", 0.25),
        ("dd_min_scale", 0.30),
        ("allocation", 1.0),
        ("whole_shares", True),
        ("drawdown", "account"),
        ("slots", None),
        ("reverse", False),
        ("periods", PERIODS),
    )

    leverage: float
    """Leverage decided at the last close."""
    volatility_part: float
    """clip(target_vol / σ, lev_min, lev_max); 1 until σ exists."""
    brake_part: float
    """Factor of the drawdown brake, dd_min_scale to 1."""

    def set(self, strategy: Any, broker: Any) -> None:
        """Attach to a strategy and watch the account from here on; backtrader calls it twice for some."""
        if self.strategy is strategy:
            return
        super().set(strategy, broker)
        p = self.p
        check_leverage_params(
            vol_lookback=p.vol_lookback,
            target_vol=p.target_vol,
            lev_min=p.lev_min,
            lev_max=p.lev_max,
            dd_threshold1=p.dd_threshold1,
            dd_threshold2=p.dd_threshold2,
            dd_min_scale=p.dd_min_scale,
        )
        if not 0.0 < p.allocation <= 1.0:
            raise ValueError(
                f"allocation={p.allocation!r} is not a part of the account: give 0 < allocation <= 1"
            )
        if p.drawdown not in ("account", "sleeve"):
            raise ValueError(f"drawdown={p.drawdown!r} is not known: give 'account' or 'sleeve'")
        if p.slots is not None and p.slots < 1:
            raise ValueError(
                f"slots={p.slots!r} is not a count: give a whole number >= 1, or None for one a feed"
            )
        if not p.periods > 0:
            raise ValueError(f"periods={p.periods!r} is not a number of sessions a year: give e.g. 252")

        self._feeds = list(strategy.datas)
        self._lines = [data.close for data in self._feeds]
        self._closes: list[float] | None = None
        self._begun = (
            False  # a feed that has not begun would show its last bar: backtrader's lines wrap around
        )
        self._granted: float | None = None
        self._directions: list[float] | None = None
        self._volatility = RollingVolatility(p.vol_lookback, p.periods)
        self._ledger = Ledger()
        self._cash_flow = 0.0
        self._start_value = broker.getvalue()
        self._planned = hasattr(strategy, "target_weight")
        self._slot = 1.0 / (p.slots or len(self._feeds))
        self.equity = self._peak = 0.0
        self.drawdown = 0.0
        self.leverage = min(max(1.0, p.lev_min), p.lev_max)
        self.volatility_part = self.brake_part = 1.0
        self.trims = self._trimmed_on = 0
        # A sizer that this one replaces must not go on watching.
        strategy._slave_analyzers[:] = [a for a in strategy._slave_analyzers if not isinstance(a, _Watcher)]
        strategy._addanalyzer_slave(_Watcher, sizer=self)

    # -- what is known at a close ----------------------------------------------------------------------------------

    def _record(self, order: Any) -> None:
        for fill in order.executed.iterpending():
            self._cash_flow -= fill.size * fill.price + fill.openedcomm + fill.closedcomm
        self._ledger.record(order)

    def _observe(self, value: float, fund_value: float) -> None:
        """A session has closed: take its base return and the account's value, decide the leverage from here."""
        if self._begun:
            closes = [line[0] for line in self._lines]
        else:
            closes = [data.close[0] if len(data) else math.nan for data in self._feeds]
            self._begun = not any(map(math.isnan, closes))
        weights = self.strategy.base_weights if self._planned else self._directions
        if weights is not None and self._closes is not None:
            self._volatility.push(_base_return(weights, self._closes, closes))
        self._closes = closes
        if not self._planned:
            self._directions = self._unlevered_directions()
        self.equity = value
        performance = fund_value if self.p.drawdown == "account" else self._sleeve_value()
        self._peak = max(self._peak, performance)
        self.drawdown = 1.0 - performance / self._peak if performance < self._peak else 0.0

        p = self.p
        self.volatility_part = volatility_target(self._volatility.value, p.target_vol, p.lev_min, p.lev_max)
        self.brake_part = drawdown_brake(self.drawdown, p.dd_threshold1, p.dd_threshold2, p.dd_min_scale)
        self.leverage = min(max(self.volatility_part * self.brake_part, p.lev_min), p.lev_max)
        self._granted = None

    def _unlevered_directions(self) -> list[float] | None:
        """±slot for each feed held, None before the first position: no exposure yet, no volatility."""
        held = [self._ledger.held(data) for data in self._feeds]
        if self._directions is None and not any(held):
            return None
        return [math.copysign(self._slot, size) if size else 0.0 for size in held]

    def _sleeve_value(self) -> float:
        """The strategy's share of starting equity plus its own profit after its own commissions and slippage."""
        held = sum(
            self._ledger.held(data) * close
            for data, close in zip(self._feeds, self._closes or (), strict=True)
        )
        return self.p.allocation * self._start_value + self._cash_flow + held

    # -- sizes -----------------------------------------------------------------------------------------------------

    @property
    def capital(self) -> float:
        """Equity that this strategy may use at leverage 1: allocation × the account's equity, money."""
        return self.p.allocation * self.equity

    def grant(self, leverage: float) -> float:
        """A leverage, trimmed to what the account may open beside other strategies' positions."""
        if self.equity <= 0.0:
            return 0.0
        limit = self._account_limit()
        others = self._others_gross() / self.equity
        room = max(0.0, limit - others) / self.p.allocation
        if leverage <= room * (1.0 + 1e-9):
            return leverage
        if not self.trims:
            log.warning(
                "%s: leverage %.4f wanted, %.4f opened: the account may hold %.2f x its equity of %.2f, "
                "others hold %.2f x",
                self.strategy.datetime.date(0), leverage, room, limit, self.equity, others,
            )  # fmt: skip
        if len(self.strategy) != self._trimmed_on:
            self._trimmed_on = len(self.strategy)
            self.trims += 1
        return room

    def _account_limit(self) -> float:
        scheme = self.broker.getcommissioninfo(self._feeds[0])
        return getattr(scheme, "max_leverage", scheme.get_leverage())

    def _others_gross(self) -> float:
        """Gross value of what other strategies hold in the account, money."""
        if len(self.strategy.cerebro.runningstrats) == 1:
            return 0.0
        return sum(
            abs(position.size - self._ledger.held(data)) * data.close[0]
            for data, position in self.broker.positions.items()
            if position.size or self._ledger.held(data)
        )

    def target_size(self, data: Any, weight: float) -> float:
        """Shares (signed) of an unlevered weight at this close: weight × leverage × allocation × equity / close."""
        if self._granted is None:
            self._granted = self.grant(self.leverage)
        shares = weight * self._granted * self.capital / data.close[0]
        return float(math.trunc(shares)) if self.p.whole_shares else shares

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        held = self._ledger.held(data)
        if self._planned:
            goal = self.target_size(data, self.strategy.target_weight(data))
        else:
            side = 1.0 if isbuy else -1.0
            against = held * side < 0.0
            goal = 0.0 if against and not self.p.reverse else self.target_size(data, side * self._slot)
        return max(goal - held, 0.0) if isbuy else max(held - goal, 0.0)


def _base_return(weights: list[float], before: list[float], now: list[float]) -> float:
    """Unlevered return of a session, Σ wᵢ·(simple return of i); a feed without a price yet earns nothing."""
    return sum([w * (b / a - 1.0) for w, a, b in zip(weights, before, now, strict=True) if w])
