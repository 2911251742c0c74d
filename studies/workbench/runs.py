"""One portfolio through Cerebro and an account: what it gave."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import backtrader as bt
import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.analyzers import StatisticsRules, summary
from riskoverlay.analyzers.accounting import turnover
from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError
from riskoverlay.feeds import (
    Cache,
    LeveragedFund,
    Panel,
    PriceSelection,
    load,
    parse_funds,
    read_members,
    selected_symbols,
    with_leveraged,
)
from riskoverlay.strategies import AccountTerms, Rebalancing, VolTargetDrawdownSizer
from riskoverlay.strategies.weights import WeightMemory

from .assembly import Pair, assemble, pair_of
from .loans import rates_asked
from .parameters import Config, values_of
from .progress import Progress
from .rates import AUTO, bill_returns, read_rates
from .references import blamed
from .theirs import theirs_of

__all__ = [
    "UNLEVERED",
    "Run",
    "check_counts",
    "check_size_of_account",
    "collect",
    "load_panel",
    "sessions_below",
    "simulate",
    "symbols_read",
]

UNLEVERED = {"lev_min": 1.0, "lev_max": 1.0}
"""The base portfolio: the same strategy, sizer and broker, its leverage bounded to 1."""

FUTURES_SUFFIX = "=F"
"""Of Yahoo's symbols for futures."""


@dataclass(frozen=True)
class Run:
    """What one run through Cerebro gave.

    Attributes
    ----------
    decided : list of date
        Sessions on which weights were decided; statistics count from the session after the first. Empty of a strategy
        that decides no weights: they count from the session of its first fill.
    sessions : DatetimeIndex
        All n sessions of the run.
    value : Series of shape (n,)
        Equity at each close, money.
    returns : Series of shape (m,)
        Of the sessions that count, m < n; fractions.
    weights : DataFrame of shape (n, n_symbols)
        Unlevered weights in force at each close, after what was decided on it; fractions, nan if none are decided.
    exposure : DataFrame of shape (n, 4)
        leverage (held), target_leverage, volatility_part, brake_part; the last three nan without the overlay.
    risk_free : ndarray of shape (m,)
        What a bill paid over each session that counts; fractions.
    statistics : dict
        `analyzers.summary` of `returns`: growth, excess_sharpe, ann_ret, ann_vol, sharpe, max_drawdown; fractions.
    drawdown : dict
        Of the whole run: depth, peak, trough, recovery, length, worst.
    costs : dict
        Analysis of `TradingCosts`, money.
    attribution : dict
        Analysis of `LeverageAttribution`: parts of the log growth of the whole run.
    fills : list of dict
        Every execution, as `Fills` lists them.
    actions : list of dict
        What dividends and splits did to its shares, as `Fills` lists them.
    pending : list of dict
        Orders that no bar of the panel fills any more: `symbol`, `size` (signed), `decided` (a date).
    overlaid : bool
        Whether the overlay sizes its orders.
    unfilled : int
        Own orders that came to nothing.
    trims : int
        Sessions on which the account could not open the leverage wanted.
    below_maintenance : int
        Sessions that closed below the maintenance margin.
    """

    decided: list[date]
    sessions: pd.DatetimeIndex
    value: pd.Series
    returns: pd.Series
    weights: pd.DataFrame
    exposure: pd.DataFrame
    risk_free: npt.NDArray[np.float64]
    statistics: dict[str, float]
    drawdown: dict[str, Any]
    costs: dict[str, Any]
    attribution: dict[str, Any]
    fills: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    pending: list[dict[str, Any]]
    overlaid: bool
    unfilled: int
    trims: int
    below_maintenance: int

    @property
    def first(self) -> pd.Timestamp:
        """The first session whose return counts."""
        return self.returns.index[0]

    @property
    def begins(self) -> pd.Timestamp:
        """The session before it, from whose close it counts: the one that decided the first weights."""
        return self.sessions[int(self.sessions.searchsorted(self.first)) - 1]

    @property
    def every_return(self) -> pd.Series:
        """Of the sessions that count; of somebody's strategy also of those before its first fill, where another may
        have traded."""
        return self.returns if self.decided else self.value.pct_change().iloc[1:]

    @property
    def mean_leverage(self) -> float:
        """Held, over the sessions that count."""
        return float(self.exposure["leverage"].loc[self.first :].mean())

    @property
    def next_decision(self) -> tuple[dict[str, float], float]:
        """Unlevered weights by symbol and leverage, decided at the last close for the session after it; nan of what is
        not decided."""
        weights = {str(symbol): float(weight) for symbol, weight in self.weights.iloc[-1].items()}
        return weights, float(self.exposure["target_leverage"].iloc[-1])

    @property
    def turnover(self) -> float:
        """Traded value a year, both sides, over the mean equity; of the sessions that count."""
        counts = self.sessions >= self.first
        traded = float(np.asarray(self.costs["sessions"]["traded"])[counts].sum())
        return turnover(traded, self.value.to_numpy()[counts], PERIODS)[1]

    @property
    def interest(self) -> tuple[float, float]:
        """Paid on the loan and earned on idle cash over the whole run, money, both positive."""
        sessions = np.asarray(self.costs["sessions"]["interest"], dtype=np.float64)
        return float(sessions[sessions > 0.0].sum()), float(np.abs(sessions[sessions < 0.0]).sum())


def load_panel(config: Config, cache: Cache | None = None) -> Panel:
    """The bars that a configuration names, with the dated rates its account needs.

    Parameters
    ----------
    config : Config
    cache : Cache, optional
        Of what Yahoo says.

    Returns
    -------
    Panel

    Raises
    ------
    InputError, MissingFileError
        As `feeds.load` and `with_leveraged`; a symbol of a futures contract, and funds where no bill is known.
    """
    funds = parse_funds(config["leveraged"])
    names, read = _symbols(config, funds)
    _refuse_contracts(read)
    selection = values_of(config, PriceSelection)
    if funds:
        selection |= {"symbols": read, "members": None}  # of what a fund is made of nobody asks who belonged
    panel = load(**selection, calendar=config["calendar"], cache=cache)
    asked = values_of(config, AccountTerms, StatisticsRules) | rates_asked(config)
    asked |= {"leveraged": AUTO} if funds else {}
    rates, notes = read_rates(asked, panel.sessions, config["source"], config["data_dir"], cache, seed=config["seed"])
    if funds:
        panel = with_leveraged(panel, funds, _bill(rates, notes, config)).select(names)
    if funds and config["members"] is not None:
        stretches = read_members(config["members"])
        panel = replace(panel, members={symbol: stretches[symbol] for symbol in names})
    return replace(panel, rates=rates, warnings=(*panel.warnings, *_what_joins(panel, config), *notes))


def symbols_read(config: Config) -> tuple[str, ...]:
    """Symbols whose bars a configuration needs: those of its panel, what its funds are made of in their place."""
    return _symbols(config, parse_funds(config["leveraged"]))[1]


def _symbols(config: Config, funds: Sequence[LeveragedFund]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Symbols of the panel, a fund in the place that it was given, else behind the others; and those to be read."""
    names = selected_symbols(config["symbols"], config["members"])
    behind = [fund.symbol for fund in funds if fund.symbol not in names]
    if behind:
        names = selected_symbols((*names, *behind), config["members"])
    made = {fund.symbol: fund.underlying for fund in funds}
    return names, tuple(dict.fromkeys([*(name for name in names if name not in made), *made.values()]))


def _bill(rates: Mapping[str, pd.Series], notes: Sequence[str], config: Config) -> pd.Series:
    """The rate that funds pay."""
    if "irx" not in rates:
        raise InputError(
            "; ".join(["needs the T-bill's rate, and none is known", *notes]),
            "put ^IRX beside the prices, back to the first session, or give --borrow-rate irx+0.015, which asks Yahoo",
            "leveraged", config["leveraged"],
        )  # fmt: skip
    return rates["irx"]


def _what_joins(panel: Panel, config: Config) -> list[str]:
    """What a universe that grows means for a strategy."""
    if config["strategy"] is not None:
        return [f"a strategy of backtrader's waits for all of its feeds: {panel.complete_from}"] if panel.joins else []
    least = config["min_hist"]
    return [
        f"{symbol}: {len(frame)} sessions, and min_hist={least} asks for {least + 1}: it is never held"
        for symbol, frame in panel.frames.items()
        if len(frame) <= least < len(panel.sessions)
    ]


def _refuse_contracts(symbols: Sequence[str]) -> None:
    """No command knows the multiplier and the margin of a contract, and it would be bought as shares."""
    for name in symbols:
        if name.upper().endswith(FUTURES_SUFFIX):
            raise InputError(
                f"symbol {name} is a futures contract, which the command line and sweeps cannot hold",
                "hold it in Python: setcommission(margin=..., mult=...), as examples/futures.py does",
            )


def simulate(
    panel: Panel,
    config: Config,
    *,
    advance: Callable[[int], None] | None = None,
    pair: Pair | None = None,
    since: date | None = None,
    remember: WeightMemory | None = None,
    **account: Any,
) -> Run:
    """One run through Cerebro.

    Parameters
    ----------
    panel : Panel
        Bars of the universe.
    config : Config
        Every parameter; those of the prices are not looked at.
    advance : callable, optional
        Called with the number of sessions done, now and then.
    pair : Pair, optional
        A `Rebalancing` strategy and its sizer (default: as `config` says).
    since : date, optional
        Statistics count from the session after it (default: the one that decided the first weights).
    remember : WeightMemory, optional
        Weights that runs of the panel share: each is computed once.
    **account
        More arguments of `open_account`, e.g. broker="stock".

    Returns
    -------
    Run

    Raises
    ------
    InputError
        A parameter out of bounds, a panel too short for the first weights, or an account too small for a whole share of
        anything at the first rebalance; somebody's strategy of which no order was filled.
    ConvergenceError
        Weights that cannot be solved for.
    StrategyError
        Something raised in a file of the user's; it is the cause.
    """
    theirs = theirs_of(config) if pair is None else None
    # Ours looks at what became of an order, not at who has seen it.
    told = {"acknowledge": theirs is not None, **account}
    cerebro = assemble(panel, config, pairs=[pair or pair_of(config, remember)], **told)
    if advance is not None:
        cerebro.addanalyzer(Progress, advance=advance)
    if theirs is None:
        (strategy,) = cerebro.run()
    else:
        with blamed(theirs.name, theirs.files):
            (strategy,) = cerebro.run()
    return collect(strategy, panel, config, since)


def collect(strategy: Any, panel: Panel, config: Config, since: date | None = None) -> Run:
    """What a strategy's run gave.

    Parameters
    ----------
    strategy : bt.Strategy
        As it is after the run, with the analyzers of `ANALYZERS` by their names.
    panel : Panel
        Whose bars it ran on.
    config : Config
    since : date, optional
        As `simulate`.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        As `simulate`.
    """
    analyses = {name: analyzer.get_analysis() for name, analyzer in strategy.analyzers.getitems()}
    daily, exposure = analyses["DailySeries"], analyses["Exposure"]
    sessions = pd.DatetimeIndex(daily["dates"], name="date")
    weights = pd.DataFrame(exposure["target_weights"], sessions)
    decided: list[date] = list(getattr(strategy, "rebalances", ()))
    if isinstance(strategy, Rebalancing):
        after = check_counts(config, panel.sessions, decided, since)
        first = int(sessions.searchsorted(pd.Timestamp(decided[0])))
        money = exposure["target_leverage"][first] * daily["value"][first]
        check_size_of_account(
            config, decided[0], weights.iloc[first].to_numpy(), money, panel.closes.ffill().iloc[first].to_numpy()
        )
    else:
        after = _first_fill(type(strategy).__name__, analyses, sessions)
    returns = pd.Series(daily["returns"], sessions)[after:]
    sizer = strategy.getsizer()
    risk_free = bill_returns(config["risk_free"], panel.rates, list(returns.index), sessions[after - 1])
    leverages = ("leverage", "target_leverage", "volatility_part", "brake_part")
    return Run(
        decided=decided,
        sessions=sessions,
        value=pd.Series(daily["value"], sessions),
        returns=returns,
        weights=weights,
        exposure=pd.DataFrame({name: exposure[name] for name in leverages}, sessions),
        risk_free=risk_free,
        statistics=summary(np.asarray(returns), risk_free),
        drawdown=analyses["MaxDrawdown"],
        costs=analyses["TradingCosts"],
        attribution=analyses["LeverageAttribution"],
        fills=analyses["Fills"]["fills"],
        actions=analyses["Fills"]["actions"],
        pending=_pending(strategy),
        overlaid=isinstance(sizer, VolTargetDrawdownSizer) and getattr(sizer, "asked", True),
        unfilled=getattr(strategy, "unfilled", 0),
        trims=getattr(sizer, "trims", 0),
        below_maintenance=sessions_below(exposure["leverage"], config["maintenance_margin"]),
    )


def sessions_below(leverage: npt.ArrayLike, maintenance: float) -> int:
    """Sessions that closed below the maintenance margin.

    Parameters
    ----------
    leverage : array-like of shape (n,)
        Held at each close.
    maintenance : float
        Margin, a fraction of the value held.

    Returns
    -------
    int
    """
    return int((np.asarray(leverage, dtype=np.float64) * maintenance > 1.0 + 1e-9).sum())


def _first_fill(name: str, analyses: Mapping[str, Any], sessions: pd.DatetimeIndex) -> int:
    """Position of the session of the first fill; of the second session, if it is the first: a return needs a close
    before it."""
    fills, orders = analyses["Fills"]["fills"], analyses["TradingCosts"]["orders"]
    if not fills:
        raise InputError(
            f"no order of {name} was filled in {len(sessions)} sessions: {orders['sent']} sent, {orders['rejected']} "
            "rejected", "give more history" if not orders["sent"] else "give more cash, or send smaller orders",
        )  # fmt: skip
    return max(int(sessions.searchsorted(pd.Timestamp(fills[0]["date"]))), 1)


def check_counts(config: Config, sessions: pd.DatetimeIndex, decided: list[date], since: date | None) -> int:
    """Position of the first session that counts.

    Parameters
    ----------
    config : Config
    sessions : DatetimeIndex
        Of the run.
    decided : list of date
        Sessions on which weights were decided.
    since : date or None
        Statistics count from the session after it; None: after the first decision.

    Returns
    -------
    int

    Raises
    ------
    InputError
        No weights were decided, or no session counts.
    """
    if not decided:
        raise InputError(
            f"{len(sessions)} sessions decide no weights: min_hist={config['min_hist']} "
            f"needs {config['min_hist'] + 1} up to a rebalance session ({config['rebalance_freq']})",
            "give more history, or a smaller min_hist",
        )
    after = int(sessions.searchsorted(pd.Timestamp(since or decided[0]), side="right"))
    if after == len(sessions):
        raise InputError(
            f"the first weights are decided on the last session, {decided[0]}",
            "nothing can be earned; give more history, or a smaller min_hist",
        )
    return after


def check_size_of_account(
    config: Config, day: date, weights: npt.NDArray[np.float64], money: float, closes: npt.NDArray[np.float64]
) -> None:
    """Refuse an account whose first weights are less than a share of every symbol, or less than their commission: it
    would hold cash, and say so of the strategy.

    Parameters
    ----------
    config : Config
    day : date
        The first rebalance.
    weights : ndarray of shape (n_symbols,)
        Unlevered, decided on it.
    money : float
        Leverage × equity, before the account's own limit.
    closes : ndarray of shape (n_symbols,)
        Prices of that session.

    Raises
    ------
    InputError
    """
    limit = config["cash"] / config["initial_margin"]
    wanted = weights * money
    bought = wanted * (limit / max(wanted.sum(), limit))
    shares = np.divide(bought, closes, out=np.zeros_like(bought), where=bought > 0.0)  # not every price is known
    most, when = float(shares.max()), f"at the first rebalance, {day:%Y-%m-%d}"
    if config["whole_shares"] and 0.0 < most < 1.0:
        raise InputError(
            f"does not buy one share of anything {when}",
            f"give at least {math.ceil(config['cash'] / most):,}, or --no-whole-shares", "cash", config["cash"],
        )  # fmt: skip
    for name, charged in (
        ("commission_min", np.full(len(bought), config["commission_min"])),
        ("commission_per_share", config["commission_per_share"] * shares),
    ):
        if most > 0.0 and bool((charged >= bought).all()):
            raise InputError(f"is no less than what is bought {when}", "give less, or more cash", name, config[name])


def _pending(strategy: Any) -> list[dict[str, Any]]:
    """What the broker still holds of a strategy's orders when the bars are over, in the order sent; no stop or limit,
    which may never be filled."""
    broker = strategy.broker
    return [
        {"symbol": order.data._name, "size": order.executed.remsize, "decided": bt.num2date(order.created.dt).date()}
        for order in (*broker.pending, *broker.submitted)
        if order.owner is strategy and order.exectype in (bt.Order.Market, bt.Order.Close)
    ]
