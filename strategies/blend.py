"""The strategy: risk parity blended with minimum variance, rebalanced on the last session of each period."""

from __future__ import annotations

import datetime as dt
import logging
import math
from array import array
from typing import Any

import backtrader as bt
import numpy as np

from .ledger import OwnPosition
from .overlay import VolTargetDrawdownSizer
from .schedule import STALE_DAYS, RebalanceSchedule
from .weights import blended_weights, check_weight_params

__all__ = ["RiskParityBlend"]

log = logging.getLogger("riskoverlay")

DUST = 1e-9
"""Differences of leverage below this are rounding, whatever the band."""


class RiskParityBlend(OwnPosition, bt.Strategy):
    """Holds weight × leverage of every feed, the weights from the notebook's rules, the leverage from its sizer.

    On a rebalance session it computes the weights from closes up to and including that session's and trades to
    weight × leverage. On other sessions it lets the leverage act: when the sizer's leverage differs from the one
    held by more than `lev_band`, it scales its holdings in proportion. Orders are market orders without a size;
    sells go before buys; the sizer (`VolTargetDrawdownSizer` unless `cerebro.addsizer` gives another) sizes them.

    It keeps its own ledger and trades only its own shares. An order that was refused, expired or could not be
    filled is logged, counted in `unfilled`, and tried again at the next session.

    Params
    ------
    rebalance_freq : pandas offset alias: ME, QE, YE, W-FRI, ... (M is read as ME)
    cov_lookback : sessions of log returns in the covariance
    min_hist : returns required before the first weights
    shrink_alpha : shrinkage towards the diagonal, in [0, 1]; not used by shrinkage="ledoit_wolf"
    alpha_minvar : part of minimum variance in the blend, in [0, 1]
    risk_parity : "converged", or "notebook": its iteration, which does not converge
    min_variance : "long_only", or "clipped": the notebook's clipped inverse
    shrinkage : "diagonal" or "ledoit_wolf"
    calendar : exchange calendar that knows the rebalance sessions, or None: the first session of the next period
    relever : "daily", or "rebalance": leverage acts on rebalance sessions only
    drift : "hold": holdings drift between rebalances; "daily": every session re-weights to the blend
    lev_band : how far held leverage may be from the target before it is acted on (0.10 = a tenth of equity)
    symbols : names of the feeds to hold; None: all
    overlay : parameters of the default sizer, a mapping or pairs (for `optstrategy` and `btrun`)

    Attributes
    ----------
    base_weights : list of float, aligned with `datas`, or None before the first: unlevered weights in force
    rebalances : list of dates on which weights were decided

    Raises
    ------
    ValueError
        A parameter out of its bounds, at start; a symbol without a feed.
    """

    params = (
        ("rebalance_freq", "ME"),
        ("cov_lookback", 252),
        ("min_hist", 252),
        ("shrink_alpha", 0.30),
        ("alpha_minvar", 0.30),
        ("risk_parity", "converged"),
        ("min_variance", "long_only"),
        ("shrinkage", "diagonal"),
        ("calendar", "XNYS"),
        ("relever", "daily"),
        ("drift", "hold"),
        ("lev_band", 0.10),
        ("symbols", None),
        ("overlay", None),
    )

    def __init__(self) -> None:
        super().__init__()
        p = self.p
        check_weight_params(
            cov_lookback=p.cov_lookback,
            min_hist=p.min_hist,
            shrink_alpha=p.shrink_alpha,
            alpha_minvar=p.alpha_minvar,
            risk_parity=p.risk_parity,
            min_variance=p.min_variance,
            shrinkage=p.shrinkage,
        )
        for name, known in (("relever", ("daily", "rebalance")), ("drift", ("hold", "daily"))):
            if getattr(p, name) not in known:
                raise ValueError(
                    f"{name}={getattr(p, name)!r} is not known: give {known[0]!r} or {known[1]!r}"
                )
        if not (math.isfinite(p.lev_band) and p.lev_band >= 0.0):
            raise ValueError(f"lev_band={p.lev_band!r} is not a distance: give a leverage >= 0, e.g. 0.10")
        self._schedule = RebalanceSchedule(p.rebalance_freq, p.calendar)
        self._universe = self._find_universe()
        self._lines = [data.close for data in self._universe]
        # The default; cerebro.addsizer, which comes later, replaces it. Backtrader attaches it after this method.
        self._sizer = VolTargetDrawdownSizer(**dict(p.overlay or {}))
        self._keep = (max(p.cov_lookback, p.min_hist) + 1) * len(self._universe)
        self._closes = array("d")  # row after row, the last `_keep` numbers and up to as many before them
        self._previous: dt.date | None = None
        self._blend: dict[Any, float] = {}
        self._plan: dict[Any, float] = {}
        self._holdings: list[tuple[float, Any]] | None = (
            None  # size and close of what is held; None: look again
        )
        self._alive: dict[int, Any] = {}
        self._withdrawn: set[int] = set()
        self._again = False
        self._left_out: set[str] = set()
        self.unfilled = 0
        self.base_weights: list[float] | None = None
        self.rebalances: list[dt.date] = []

    def _find_universe(self) -> list[Any]:
        if self.p.symbols is None:
            return list(self.datas)
        names = [data._name for data in self.datas]
        for symbol in self.p.symbols:
            if symbol not in names:
                raise ValueError(
                    f"symbols: {symbol!r} has no feed: add it to Cerebro, or give some of {names}"
                )
        return [self.datas[names.index(symbol)] for symbol in self.p.symbols]

    def target_weight(self, data: Any) -> float:
        """Unlevered weight of a feed in the trade under way: what the sizer sizes."""
        return self._plan.get(data, 0.0)

    # -- the session -------------------------------------------------------------------------------------------------

    def prenext(self) -> None:
        """Some feed has not begun: the others need not wait for it."""
        self._session([data.close[0] if len(data) else math.nan for data in self._universe])

    def next(self) -> None:
        self._session([line[0] for line in self._lines])

    def _session(self, closes: list[float]) -> None:
        today = dt.date.fromordinal(int(self.datetime[0]))
        self._closes.extend(closes)
        if len(self._closes) >= 2 * self._keep:
            del self._closes[: -self._keep]
        due = self._schedule.due(today, self._previous)
        self._previous = today
        if due and self._decide(today):
            self._trade(self._blend)
        elif self.base_weights is not None:
            self._between_rebalances()

    def _decide(self, today: dt.date) -> bool:
        """Compute the blend of the feeds that have the history; False if none has."""
        p = self.p
        closes = np.array(self._closes[-self._keep :]).reshape(-1, len(self._universe))
        keep = self._eligible(closes, today)
        if not keep:
            return False
        window = closes[-(p.cov_lookback + 1) :, keep]
        window = window[np.isfinite(window).all(axis=1)]
        try:
            weights = blended_weights(
                np.diff(np.log(window), axis=0),
                shrinkage=p.shrinkage,
                shrink_alpha=p.shrink_alpha,
                alpha_minvar=p.alpha_minvar,
                risk_parity=p.risk_parity,
                min_variance=p.min_variance,
            )
        except (ValueError, RuntimeError) as error:
            names = ", ".join(self._universe[i]._name for i in keep)
            raise type(error)(
                f"weights of {today} of assets 0 to {len(keep) - 1}, {names}: {error}"
            ) from None
        self._blend = {self._universe[i]: w for i, w in zip(keep, weights.tolist(), strict=True)}
        self.base_weights = [self._blend.get(data, 0.0) for data in self.datas]
        self.rebalances.append(today)
        return True

    def _eligible(self, closes: np.ndarray, today: dt.date) -> list[int]:
        """Positions in the universe of the feeds with `min_hist` returns and a recent bar."""
        known = np.isfinite(closes).sum(axis=0) > self.p.min_hist
        keep = []
        for i, data in enumerate(self._universe):
            ended = len(data) and today.toordinal() - int(data.datetime[0]) > STALE_DAYS
            if known[i] and not ended:
                keep.append(i)
            elif ended and data._name not in self._left_out:
                self._left_out.add(data._name)
                log.warning("%s: no bar of %s since %s: left out", today, data._name, data.datetime.date(0))
        return keep

    def _between_rebalances(self) -> None:
        if self._again:
            self._trade(self._plan)
            return
        if self.p.relever == "rebalance" and self.p.drift == "hold":
            return
        sizer = self._sizer
        if not hasattr(sizer, "grant"):
            return
        target, held = sizer.grant(sizer.leverage), self._held_leverage()
        act = self.p.relever == "daily" and abs(target - held) > max(self.p.lev_band, DUST)
        if self.p.drift == "daily":
            # Within the band the portfolio is re-weighted at the leverage it has.
            self._trade(self._blend, 1.0 if act or target == 0.0 else sizer.grant(held) / target)
        elif act:
            self._trade(self._proportions() or self._blend)

    def _proportions(self) -> dict[Any, float]:
        """Holdings as parts of their value, sum 1; empty if nothing is held (leverage has been 0)."""
        values = {data: self.held(data) * data.close[0] for data in self._universe if self.held(data)}
        gross = sum(values.values())
        return {data: value / gross for data, value in values.items()}

    def _held_leverage(self) -> float:
        """Value of own holdings over the equity that this strategy may use."""
        if self._holdings is None:
            self._holdings = [(self.held(data), data.close) for data in self._universe if self.held(data)]
        capital = self._sizer.capital
        gross = sum([size * line[0] for size, line in self._holdings])
        return gross / capital if capital > 0.0 else math.inf

    # -- orders ------------------------------------------------------------------------------------------------------

    def _trade(self, weights: dict[Any, float], scale: float = 1.0) -> None:
        """Send unsized orders, sells first, towards scale × weights; 0 for feeds of the universe without a weight."""
        for order in self._alive.values():
            self._withdrawn.add(order.ref)
            self.cancel(order)
        self._alive.clear()
        self._again = False
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
            wanted = weight * self.broker.getvalue() / data.close[0]
        return wanted - self.held(data)

    def _send(self, order: Any) -> None:
        if order is not None:
            self._alive[order.ref] = order

    def clear(self) -> None:
        """Forget the session's notifications: backtrader would keep every one for ever, and nothing reads them."""
        self._orderspending: list[Any] = []
        self._tradespending: list[Any] = []

    def notify_order(self, order: Any) -> None:
        """Keep the ledger; report an order that came to nothing and try again at the next session."""
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
            log.warning(
                "%s: order %s of %s %+g came to %s: it is tried again at the next session",
                dt.date.fromordinal(int(self.datetime[0])),
                order.ref,
                order.data._name,
                order.created.size,
                order.getstatusname(),
            )
