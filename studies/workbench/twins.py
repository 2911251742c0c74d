"""Runs by the twin of the account: what `simulate` gives, without Cerebro and a thousand times as fast."""

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.analyzers import simple_returns, summary
from riskoverlay.errors import InputError, TwinError
from riskoverlay.feeds import Panel
from riskoverlay.strategies import (
    SHORTHAND,
    AccountTerms,
    AllocationRules,
    Charges,
    ExecutionTerms,
    LeverageRules,
    TradingRules,
    WeightRules,
)
from riskoverlay.strategies.decisions import Decisions, decide, nightly, volatilities
from riskoverlay.strategies.histories import Histories
from riskoverlay.strategies.weighting import decisions_of
from riskoverlay.strategies.weights import WeightMemory

from .allocations import rule_of, rules_of_weights
from .loans import account_terms
from .parameters import Config, values_of
from .rates import bill_returns
from .runs import Run, check_counts, check_size_of_account

if TYPE_CHECKING:
    from riskoverlay.strategies.twin import TwinResult

__all__ = ["ENGINES", "EQUAL", "TwinRun", "Twins", "check_twin", "engine_of"]

Floats = npt.NDArray[np.float64]
OfWeights = WeightRules | AllocationRules

FUND_START = 100.0
"""backtrader's value of a fund share before the first session."""

ENGINES = ("twin", "cerebro")
"""What runs a try."""

EQUAL = 1e-9
"""Relative: what twin and Cerebro may differ by in daily equity, and absolute in fractions."""

COMPARED = ("commission", "slippage", "interest", "traded", "dividends", "tax")
"""What is compared of each session beside value and leverage."""

KEPT = 256
"""Settings of weights, volatility and rates whose arrays a panel's twins keep."""


def engine_of(engine: str | None, config: Config) -> str:
    """What runs tries of a configuration.

    Parameters
    ----------
    engine : str or None
        As the user wants it; None: the twin where it can.
    config : Config

    Returns
    -------
    str
        One of `ENGINES`.

    Raises
    ------
    InputError
        None of them, or the twin for what it cannot run.
    """
    if engine is None:
        return "twin" if config["strategy"] is None else "cerebro"
    if engine not in ENGINES:
        raise InputError("is unknown", f"give one of {', '.join(ENGINES)}", "engine", engine)
    if engine == "twin" and config["strategy"] is not None:
        raise InputError("runs strategies of weights alone", "leave it out", "engine", engine)
    return engine


@dataclass(frozen=True)
class TwinRun:
    """What one run by the twin gave.

    Attributes
    ----------
    sessions : DatetimeIndex
        All n sessions of the run.
    decided : list of date
        Sessions on which weights were decided; statistics count from the session after the first.
    returns : ndarray of shape (m,)
        Of the sessions that count; fractions.
    risk_free : ndarray of shape (m,)
        What a bill paid over each session that counts; fractions.
    account : TwinResult
        Everything else.
    """

    sessions: pd.DatetimeIndex
    decided: list[date]
    returns: Floats
    risk_free: Floats
    account: "TwinResult"

    @cached_property
    def statistics(self) -> dict[str, float]:
        """`analyzers.summary` of `returns`."""
        return summary(self.returns, self.risk_free)

    @property
    def mean_leverage(self) -> float:
        """Held, over the sessions that count."""
        return float(np.nanmean(self.account.daily["leverage"][-len(self.returns) :]))


class Twins:
    """Runs of one panel; what depends on prices, weights and rates only is computed once a setting.

    Parameters
    ----------
    panel : Panel
        Bars of the universe, and dated rates.

    Raises
    ------
    InputError
        A price that is missing between others.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.days = list(panel.sessions.date)
        tables = (table.to_numpy(dtype=np.float64) for table in (panel.closes, panel.dividends, panel.splits))
        closes, dividends, splits = tables
        self.histories = Histories.of(
            self.days, closes, panel.symbols, dividends=dividends, splits=splits, members=panel.members
        )
        self.closes = self.histories.closes
        opens = panel.opens.to_numpy(dtype=np.float64)
        self.opens = np.where(np.isfinite(opens), opens, self.closes)  # nobody looks where there is no bar
        self.remember = WeightMemory()
        # Not methods with a cache: that would keep every panel for ever.
        self._decisions: Callable[[OfWeights, str], Decisions] = lru_cache(KEPT)(self._decide)
        self._volatilities: Callable[[OfWeights, str, int], Floats] = lru_cache(KEPT)(self._measure)
        self._nights: Callable[..., tuple[Charges, Floats]] = lru_cache(KEPT)(self._charge)
        self._bills: Callable[[Any, int], Floats] = lru_cache(KEPT)(self._pay)

    @cached_property
    def adjusted(self) -> "Twins":
        """Of the same prices adjusted for their dividends and splits."""
        return type(self)(self.panel.adjusted_prices()) if self.panel.raw else self

    @cached_property
    def _prices(self) -> tuple[Any, Any]:
        from riskoverlay.strategies.twin import as_read

        return as_read(self.opens), as_read(self.closes)

    def __reduce__(self) -> tuple[Any, ...]:
        return Twins, (self.panel,)

    def _decide(self, rules: OfWeights, weights: str) -> Decisions:
        if isinstance(rules, WeightRules):
            return decide(self.histories, rules, self.remember)
        sessions, decided = decisions_of(self.histories, rules, rule_of(weights))
        return Decisions(np.array(sessions, dtype=np.int64), decided)

    def _measure(self, rules: OfWeights, weights: str, vol_lookback: int) -> Floats:
        return volatilities(self._decisions(rules, weights), self.histories, vol_lookback)

    def _charge(self, *loan: Any) -> tuple[Charges, Floats]:
        *shorthand, financing = loan
        values = {**vars(AccountTerms()), **dict(zip(SHORTHAND, shorthand, strict=True))}
        known = json.loads(financing) if isinstance(financing, str) and financing.startswith("{") else financing
        charges = AccountTerms(**account_terms({**values, "financing": known}, self.panel.rates)).charges
        return charges, nightly(charges, self.days)

    def _pay(self, rate: Any, after: int) -> Floats:
        return bill_returns(rate, self.panel.rates, self.days[after:], self.days[after - 1])

    def _by_night(self, config: Config) -> tuple[Charges, Floats]:
        """What the account charges, also by night."""
        financing = config["financing"]
        loan = [
            *(config[name] for name in SHORTHAND),
            json.dumps(financing) if isinstance(financing, dict) else financing,
        ]
        return (self._nights if all(isinstance(value, Hashable) for value in loan) else self._charge)(*loan)

    def _by_session(self, rate: Any, after: int) -> Floats:
        return (self._bills if isinstance(rate, Hashable) else self._pay)(rate, after)

    def decisions(self, config: Config) -> Decisions:
        """The weights that a configuration decides on these prices."""
        return self._decisions(rules_of_weights(config), config["weights"])

    def run(self, config: Config, *, record: bool = False) -> TwinRun:
        """One run.

        Parameters
        ----------
        config : Config
            Every parameter, with the rates that `auto` came to; those of the prices are not looked at.
        record : bool
            Whether to list the fills.

        Returns
        -------
        TwinRun

        Raises
        ------
        InputError, ConvergenceError
            As `simulate`; a strategy of somebody's.
        """
        from riskoverlay.strategies.twin import twin  # numba takes half a second, which a backtest does not need

        if config["strategy"] is not None:
            raise InputError("the twin of the account knows no strategy but those of weights", "give engine=cerebro")
        of_weights = rules_of_weights(config), config["weights"]
        decisions = self._decisions(*of_weights)
        decided = [self.days[t] for t in decisions.sessions]
        check_counts(config, self.panel.sessions, decided, decided[0] if decided else None)
        terms = AccountTerms(**account_terms(config, self.panel.rates))
        charges, nights = self._by_night(config)
        result = twin(
            self.days, *self._prices, decisions, self._volatilities(*of_weights, config["vol_lookback"]),
            trading=TradingRules(**values_of(config, TradingRules)),
            leverage=LeverageRules(**values_of(config, LeverageRules)),
            whole_shares=config["whole_shares"],
            execution=ExecutionTerms(**values_of(config, ExecutionTerms)),
            account=terms,
            charges=charges,
            nights=nights,
            histories=self.histories,
            record=record,
        )  # fmt: skip
        first = int(decisions.sessions[0])
        money = result.daily["target_leverage"][first] * result.daily["value"][first]
        check_size_of_account(config, decided[0], decisions.weights[0], money, self.closes[first])
        return TwinRun(
            sessions=self.panel.sessions,
            decided=decided,
            returns=simple_returns(result.fund, FUND_START)[first + 1 :],
            risk_free=self._by_session(config["risk_free"], first + 1),
            account=result,
        )


def check_twin(bars: Panel | Twins, config: Config, run: Run) -> Mapping[str, float]:
    """Compare a run through Cerebro with the twin's.

    Parameters
    ----------
    bars, config
        Of the run.
    run : Run
        As `simulate` gave it.

    Returns
    -------
    mapping
        Largest difference by column: of daily equity and of money relative to equity, of leverage as it is; and of the
        numbers of each fill, relative.

    Raises
    ------
    InputError
        The twin's run is refused, which Cerebro's was not.
    TwinError
        They differ by more than 1e-9: the day, the column and both values.
    """
    twins = bars if isinstance(bars, Twins) else Twins(bars)
    other = twins.run(config, record=True)
    daily, value = other.account.daily, run.value.to_numpy()
    paid = run.costs["sessions"]
    seen: dict[str, Floats] = {
        "value": value,
        **{name: run.exposure[name].to_numpy() for name in map(str, run.exposure)},
        **{name: np.asarray(paid[name], dtype=np.float64) for name in COMPARED},
    }
    scale = np.abs(value)
    found: dict[str, float] = {}
    for name, column in seen.items():
        off = np.abs(column - daily[name])
        if name in ("value", *paid):
            off = off / scale
        off = np.where(np.isnan(column) & np.isnan(daily[name]), 0.0, off)
        worst = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        if not off[worst] <= EQUAL:
            raise TwinError(other.sessions[worst].date(), name, float(column[worst]), float(daily[name][worst]))
        found[name] = float(off[worst])
    found["fills"] = _compare_fills(run, other, twins.panel)
    return found


def _compare_fills(run: Run, other: TwinRun, panel: Panel) -> float:
    """The largest relative difference of size, price, reference and commission, fill by fill."""
    names = dict(zip(panel.symbols, range(len(panel.symbols)), strict=True))
    rows = [
        (names[fill["symbol"]], fill["size"], fill["price"], fill["reference"], fill["commission"], fill["margin_call"])
        for fill in run.fills
    ]
    through, by_twin = np.array(rows, dtype=np.float64).reshape(-1, 6), other.account.fills
    for i, (one, two) in enumerate(zip(through, by_twin[:, 1:], strict=False)):
        if not np.allclose(one, two, rtol=EQUAL, atol=EQUAL):
            raise TwinError(run.fills[i]["date"], f"fill {i}", str(one.tolist()), str(two.tolist()))
    counts = {"fills": (len(through), len(by_twin)), "unfilled": (run.unfilled, other.account.unfilled),
              "trims": (run.trims, other.account.trims)}  # fmt: skip
    for name, (counted, other_count) in counts.items():
        if counted != other_count:
            raise TwinError(other.sessions[-1].date(), name, counted, other_count)
    if not len(through):
        return 0.0
    return float(np.max(np.abs(through - by_twin[:, 1:]) / np.maximum(np.abs(through), 1.0)))
