"""Walk-forward: choose on the past, trade the next months, move on; one account from the first window to the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from analyzers import DailySeries, TradingCosts
from analyzers import summary as statistics
from feeds import Panel
from strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account
from strategies.leverage import RollingVolatility
from strategies.schedule import RebalanceSchedule

from .backtest import simulate
from .outputs import data_summary, versions
from .parameters import PARAMETERS, Config, part
from .rates import dated
from .space import Dimension, Params
from .sweep import CRITERIA, Sweep, params_in_words, sweep, value_in_words

__all__ = [
    "Account",
    "Walk",
    "Window",
    "choice_rows",
    "choose",
    "trade_plan",
    "walk_frame",
    "walk_in_words",
    "walk_rows",
    "walk_summary",
    "walkforward",
    "windows",
]

Plan = Sequence[tuple[pd.Timestamp, Params]]
"""(session, parameters): in force from that session's close on. The first begins the account."""


@dataclass(frozen=True)
class Window:
    """Sessions by position: chosen on `train` .. `begin` − 1, traded on `begin` .. `end` − 1."""

    train: int
    begin: int
    end: int


@dataclass(frozen=True)
class Account:
    """One run of an account whose parameters change. Fractions, money where said."""

    returns: pd.Series
    """Of the sessions after the first of the plan, shape (m,)."""
    costs: dict[str, Any]
    """Analysis of `TradingCosts`."""

    @property
    def statistics(self) -> dict[str, float]:
        """ann_ret, ann_vol, sharpe, max_drawdown."""
        return statistics(np.asarray(self.returns))


@dataclass(frozen=True)
class Walk:
    """A walk-forward and what it is to be held against, all on the sessions that were traded, `account.returns`'."""

    sweep: Sweep
    expanding: bool
    windows: tuple[Window, ...]
    """Positions among `sweep.sessions`."""
    choices: tuple[int, ...]
    """Place among `sweep.good` of what was chosen for each window."""
    account: Account
    winner: int
    """Place of the try that was best on the very sessions: what only hindsight finds."""
    default: pd.Series
    """Returns of the configuration as given, nothing chosen."""

    @property
    def legs(self) -> dict[str, dict[str, float]]:
        """Statistics of `walk_forward`, `in_sample_winner` and `unchosen`."""
        m = len(self.account.returns)
        return {
            "walk_forward": self.account.statistics,
            "in_sample_winner": statistics(self.sweep.returns[-m:, self.winner]),
            "unchosen": statistics(np.asarray(self.default)[-m:]),
        }


# -- windows and choices -----------------------------------------------------------------------------------------------


def windows(sessions: pd.DatetimeIndex, *, train: int, test: int, expanding: bool = False) -> list[Window]:
    """Windows that begin with calendar months; the last may be shorter.

    sessions : sorted; the month under way at the first counts as the first month of training
    train, test : months to choose on (with `expanding` the first time, all of the past later) and to trade

    Raises ValueError for fewer than 1 month, or too few sessions for one window.
    """
    for name, months in (("train", train), ("test", test)):
        if months < 1:
            raise ValueError(f"{name}={months} is not a number of months: give a whole number >= 1")
    first = sessions[0].to_period("M")
    last = sessions[-1].to_period("M")
    found = []
    month = first + train
    while month <= last:
        begin, end = (int(sessions.searchsorted((month + k).to_timestamp())) for k in (0, test))
        start = 0 if expanding else int(sessions.searchsorted((month - train).to_timestamp()))
        if start < begin < end:
            found.append(Window(start, begin, end))
        month += test
    if not found:
        raise ValueError(
            f"train={train} months leave nothing to trade from {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}: "
            "give fewer, or more history"
        )
    return found


def choose(returns: np.ndarray, window: Window, criterion: str = "sharpe") -> int:
    """The column that was best on the training sessions of a window; of equal ones the first.

    returns : (n_sessions, n_tries). Nothing from `window.begin` on is looked at.
    """
    worth = [statistics(column)[CRITERIA[criterion]] for column in returns[window.train : window.begin].T]
    return int(np.nanargmax(worth)) if np.isfinite(worth).any() else 0


def walkforward(
    panel: Panel,
    config: Config,
    dimensions: Sequence[Dimension],
    *,
    train: int = 36,
    test: int = 12,
    expanding: bool = False,
    criterion: str = "sharpe",
    **more: Any,
) -> Walk:
    """Choose from a grid on each training window, trade the next, in one account.

    Every point is run once over all sessions; a run knows nothing of what comes after, so its returns up to a session
    are what a trader could have had on that day, and a choice looks at no others. The chosen parameters are in force
    from the close before the window's first session. The account begins there, with cash, and keeps its positions,
    its peak and its loan when the parameters change: the change is paid for. Leverage follows the new parameters at
    once, weights at the next rebalance session.

    Parameters
    ----------
    panel, config, dimensions, criterion : as of `sweep`; only parameters of weights and leverage can be chosen
    train, test, expanding : as of `windows`
    **more : storage, study, workers, dask, advance of `sweep`, which shares its tries with a sweep of the same flags

    Raises ValueError as `sweep` and `windows`, and for a parameter that is no decision.
    """
    for dimension in dimensions:
        if PARAMETERS[dimension.name].owner not in ("strategy", "sizer"):
            raise ValueError(
                f"grid={str(dimension)!r}: {dimension.name} is no decision of the trader's: "
                "give parameters of weights and leverage"
            )
    if train < 1 or test < 1 or len(panel.sessions) < 2:
        windows(panel.sessions, train=train, test=test)  # before the long part
    tries = sweep(panel, config, dimensions, criterion=criterion, **more)
    returns, sessions = tries.returns, tries.sessions
    found = windows(sessions, train=train, test=test, expanding=expanding)
    choices = [choose(returns, window, criterion) for window in found]
    plan = [
        (sessions[window.begin - 1], tries.good[chosen].params)
        for window, chosen in zip(found, choices, strict=True)
    ]
    traded = returns[found[0].begin :]
    worth = [statistics(column)[CRITERIA[criterion]] for column in traded.T]
    return Walk(
        sweep=tries,
        expanding=expanding,
        windows=tuple(found),
        choices=tuple(choices),
        account=trade_plan(panel, config, plan),
        winner=int(np.nanargmax(worth)),
        default=simulate(panel, config).returns,
    )


# -- one account -------------------------------------------------------------------------------------------------------


def trade_plan(panel: Panel, config: Config, plan: Plan) -> Account:
    """One run through Cerebro whose parameters change at closes.

    From the start the strategy computes weights, so that it knows the volatility of its portfolio when it begins;
    it sends no order before the first session of the plan. A plan of one entry on the first session is `simulate`.

    plan : (session, parameters of strategy and sizer that differ from `config`), sessions rising
    Raises ValueError as `simulate`.
    """
    settings = [(day.date().toordinal(), {**config, **params}) for day, params in plan]
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    open_account(cerebro, **part(config, "run"), **dated(part(config, "account"), panel.rates))
    first = settings[0][1]
    cerebro.addstrategy(
        _PlannedBlend,
        begin=settings[0][0],
        plan=tuple((day, part(values, "strategy")) for day, values in settings[1:]),
        **part(first, "strategy"),
    )
    cerebro.addsizer(
        _PlannedSizer,
        plan=tuple((day, part(values, "sizer")) for day, values in settings[1:]),
        **part(first, "sizer"),
    )
    for analyzer in (DailySeries, TradingCosts):
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    (strategy,) = cerebro.run()
    daily = strategy.analyzers.DailySeries.get_analysis()
    series = pd.Series(daily["returns"], pd.DatetimeIndex(daily["dates"], name="date"))
    return Account(
        returns=series[series.index > plan[0][0]],
        costs=strategy.analyzers.TradingCosts.get_analysis(),
    )


class _Remembered(RollingVolatility):
    """A rolling volatility that can be given another length."""

    def __init__(self, vol_lookback: int, periods: int, returns: Sequence[float] = ()) -> None:
        super().__init__(vol_lookback, periods)
        self.returns: list[float] = []
        for r in returns:
            self.push(r)

    def push(self, r: float) -> None:
        self.returns.append(r)
        super().push(r)


class _PlannedSizer(VolTargetDrawdownSizer):
    """The sizer, its parameters changing by a plan; it sees a close before the strategy does."""

    params = (("plan", ()),)  # type: ignore[assignment]  # backtrader adds them to those of the parent

    def set(self, strategy: Any, broker: Any) -> None:
        if self.strategy is strategy:
            return
        super().set(strategy, broker)
        self._volatility: _Remembered = _Remembered(self.p.vol_lookback, self.p.periods)
        self._coming = list(self.p.plan)

    def _observe(self, value: float, fund_value: float) -> None:
        today = int(self.strategy.datetime[0])
        while self._coming and self._coming[0][0] <= today:
            for name, setting in self._coming.pop(0)[1].items():
                setattr(self.p, name, setting)
            self._volatility = _Remembered(self.p.vol_lookback, self.p.periods, self._volatility.returns)
        super()._observe(value, fund_value)


class _PlannedBlend(RiskParityBlend):
    """The strategy, its parameters changing by a plan, its first order not before `begin` (ordinals)."""

    params = (("plan", ()), ("begin", 0))  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        lengths = [max(s["cov_lookback"], s["min_hist"]) for _, s in self.p.plan]
        self._keep = (max([self.p.cov_lookback, self.p.min_hist, *lengths]) + 1) * len(self._universe)
        self._coming = list(self.p.plan)
        self._waiting = True

    def _session(self, closes: list[float]) -> None:
        today = int(self.datetime[0])
        while self._coming and self._coming[0][0] <= today:
            before = (self.p.rebalance_freq, self.p.calendar)
            for name, setting in self._coming.pop(0)[1].items():
                setattr(self.p, name, setting)
            if (self.p.rebalance_freq, self.p.calendar) != before:  # periods such as 2ME go on counting
                self._schedule = RebalanceSchedule(self.p.rebalance_freq, self.p.calendar)
        begins = self._waiting and today >= self.p.begin
        if begins:
            self._waiting = False
        decided = len(self.rebalances)
        super()._session(closes)
        if begins and self._blend and len(self.rebalances) == decided:
            self._trade(self._blend)

    def _trade(self, weights: dict[Any, float], scale: float = 1.0) -> None:
        if not self._waiting:
            super()._trade(weights, scale)


# -- what is told ------------------------------------------------------------------------------------------------------


def walk_in_words(walk: Walk) -> list[str]:
    """What the choosing was worth, in a few sentences."""
    legs = walk.legs
    own, winner, unchosen = (
        legs[name]["sharpe"] for name in ("walk_forward", "in_sample_winner", "unchosen")
    )
    distinct = len(set(walk.choices))
    lines = [
        f"Choosing {len(walk.windows)} times from {len(walk.sweep.good)} tries ({distinct} of them were ever chosen) "
        f"and trading what was chosen gave a Sharpe ratio of {own:.2f}. "
        f"The best try in hindsight, {params_in_words(walk.sweep.good[walk.winner].params)}, shows {winner:.2f}; "
        f"the difference, {winner - own:+.2f}, is what hindsight adds.",
        f"The parameters as given, nothing chosen, made {unchosen:.2f}: "
        f"choosing was worth {own - unchosen:+.2f}.",
    ]
    if walk.sweep.panel.synthetic:
        lines.append("The market is synthetic: none of this happened.")
    return lines


def walk_rows(walk: Walk) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of a table of the three portfolios; return, volatility and drawdown in per cent."""
    rows = []
    for leg, s in walk.legs.items():
        percent = [f"{100 * s[name]:.2f}" for name in ("ann_ret", "ann_vol", "max_drawdown")]
        rows.append([leg.replace("_", " "), f"{s['sharpe']:.3f}", *percent])
    return ["", "Sharpe", "return", "vol", "max dd"], rows


def choice_rows(walk: Walk) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of a table of what was chosen; Sharpe ratios where it was chosen and in the account."""
    rows = [
        [
            f"{row['trade_from']:%Y-%m-%d}",
            *(value_in_words(row[d.name]) for d in walk.sweep.dimensions),
            f"{row['in_sample']:.2f}",
            f"{row['account']:.2f}",
        ]
        for row in walk_frame(walk).to_dict("records")
    ]
    return ["traded from", *(d.name for d in walk.sweep.dimensions), "Sharpe before", "then"], rows


def walk_frame(walk: Walk) -> pd.DataFrame:
    """One row a window: first and last session of training and trading, parameters, Sharpe ratios of the choice.

    `in_sample` and `out_of_sample` are of the chosen try's own run; `account` of the one account in the window.
    """
    sessions, returns = walk.sweep.sessions, walk.sweep.returns
    begin = walk.windows[0].begin
    rows = []
    for window, chosen in zip(walk.windows, walk.choices, strict=True):
        account = np.asarray(walk.account.returns)[window.begin - begin : window.end - begin]
        rows.append(
            {
                "train_from": sessions[window.train],
                "train_to": sessions[window.begin - 1],
                "trade_from": sessions[window.begin],
                "trade_to": sessions[window.end - 1],
                **walk.sweep.good[chosen].params,
                "in_sample": statistics(returns[window.train : window.begin, chosen])["sharpe"],
                "out_of_sample": statistics(returns[window.begin : window.end, chosen])["sharpe"],
                "account": statistics(account)["sharpe"],
            }
        )
    return pd.DataFrame(rows)


def walk_summary(walk: Walk) -> dict[str, Any]:
    """Everything that describes a walk-forward, JSON-able, fractions; `config` is the one it started from."""
    first = walk.account.returns.index[0]
    before = int(walk.sweep.panel.sessions.searchsorted(first)) - 1
    return {
        **walk.legs,
        "in_sample_winner_params": walk.sweep.good[walk.winner].params,
        "in_words": walk_in_words(walk),
        "costs": {name: value for name, value in walk.account.costs.items() if name != "sessions"},
        "windows": walk_frame(walk).to_dict("records"),
        "expanding": walk.expanding,
        "criterion": walk.sweep.criterion,
        "grid": [str(dimension) for dimension in walk.sweep.dimensions],
        "config": walk.sweep.config,
        "data": data_summary(walk.sweep.panel, walk.sweep.panel.sessions[before], first),
        "versions": versions(),
    }
