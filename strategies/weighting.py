"""Rules of weights: anybody's function or optimizer, fixed and dated weights, and rules that have a name here."""

import copy
import datetime as dt
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.dates import ordinals
from riskoverlay.errors import InputError, RiskOverlayError, StrategyError

from .histories import Histories
from .rules import AllocationRules
from .schedule import DatedSchedule, RebalanceSchedule, due_sessions

__all__ = [
    "Answers",
    "Known",
    "RememberedRule",
    "WeightRule",
    "about_weights",
    "as_rule",
    "check_symbols_of",
    "check_weights",
    "checked_weights",
    "decided_by",
    "decisions_of",
]

Floats = npt.NDArray[np.float64]

ASKED = ("returns", "prices", "date", "held")
"""What a function may ask for by name; its first argument is the returns, whatever it is called."""

ROUNDING = 1e-6
"""What an optimizer's weights may be below 0, or sum to above 1: it stops where it is near enough."""


SUM = 1.0 + 1e-9
"""The most that weights may sum to: beyond it, leverage is the sizer's to give."""


@dataclass(frozen=True)
class Known:
    """What a rule of weights may look at: nothing after the close that decides.

    Attributes
    ----------
    date : date
        The session that decides.
    closes : ndarray of shape (n + 1, k)
        Of the symbols that are eligible, up to and including this session's; adjusted, where prices are as traded for
        what is known today.
    days : sequence of date, n + 1
        Of the closes.
    names : tuple of str, k
    holds : callable, optional
        Gives what is held, shape (k,); None where nobody knows.
    """

    date: dt.date
    closes: Floats
    days: Sequence[dt.date]
    names: tuple[str, ...]
    holds: Callable[[], Floats] | None = None

    @cached_property
    def prices(self) -> pd.DataFrame:
        """The closes by date and symbol, shape (n + 1, k)."""
        return pd.DataFrame(self.closes, pd.DatetimeIndex(list(self.days), name="date"), list(self.names))

    @cached_property
    def returns(self) -> pd.DataFrame:
        """Simple returns by date and symbol, shape (n, k)."""
        return pd.DataFrame(self.closes[1:] / self.closes[:-1] - 1.0, self.prices.index[1:], list(self.names))

    @property
    def held(self) -> pd.Series:
        """Parts of what is held by symbol, in sum what is invested; all 0 if nothing is.

        Raises
        ------
        InputError
            There is no account.
        """
        if self.holds is None:
            raise InputError(
                "a rule that asks for `held` needs the account, which the twin and the paper form do not ask",
                "give --engine cerebro, or a rule of prices",
            )
        return pd.Series(self.holds(), list(self.names))


class WeightRule(Protocol):
    """Gives unlevered weights at the close of a rebalance session."""

    @property
    def least(self) -> int | None:
        """Returns that a symbol must have to be weighed; None: `min_hist`."""

    @property
    def dates(self) -> Sequence[dt.date] | None:
        """When it decides; None: on the schedule."""

    @property
    def symbols(self) -> Sequence[str]:
        """Those that it names; each must have a feed."""

    def __call__(self, known: Known) -> Any:
        """Weights of `known.names`, in this order, or by name."""


@dataclass(frozen=True)
class FunctionRule:
    """A function of returns, and of what else it asks for by name (`ASKED`).

    Attributes
    ----------
    function : callable
    arguments : mapping
        By name, beside what is known.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    least: None = None
    dates: None = None
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = self._parameters
        for name in self.arguments:
            open_ended = any(one.kind is one.VAR_KEYWORD for one in named.values())
            if name in ASKED or (name not in named and not open_ended):
                own = [one for one in list(named)[1:] if one not in ASKED]
                there = f"give some of {', '.join(own)}" if own else "it has none"
                raise InputError(f"is no argument of {self.name}", there, name, self.arguments[name])
        for name, one in list(named.items())[1:]:
            needed = one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
            if needed and name not in ASKED and name not in self.arguments:
                raise InputError(f"{self.name} needs {name}", f"give it a value, or ask for {', '.join(ASKED)}")

    @property
    def name(self) -> str:
        """Of the function."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def asks_for(self, name: str) -> bool:
        """Whether the function is given something by this name, one of `ASKED`."""
        return name in self._parameters

    @cached_property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        return dict(inspect.signature(self.function).parameters)

    def __call__(self, known: Known) -> Any:
        """As `WeightRule`."""
        first, *others = self._parameters
        given = {name: getattr(known, name) for name in others if name in ASKED}
        return self.function(getattr(known, first if first in ASKED else "returns"), **given, **self.arguments)


@dataclass(frozen=True)
class EstimatorRule:
    """A portfolio optimizer in scikit-learn's way: `fit` on returns, then `weights_`. A copy is fitted each time.

    Attributes
    ----------
    estimator : object
    """

    estimator: Any
    least: None = None
    dates: None = None
    symbols: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of its class."""
        return type(self.estimator).__name__

    def __call__(self, known: Known) -> Any:
        """As `WeightRule`."""
        return rounded(copy.deepcopy(self.estimator).fit(known.returns).weights_)


@dataclass(frozen=True)
class FixedRule:
    """Weights that do not change; that of a symbol which is not eligible is cash.

    Attributes
    ----------
    weights : mapping
        By symbol, fractions.
    """

    weights: Mapping[str, float]
    least: int = 0
    dates: None = None
    name: str = "fixed weights"

    def __post_init__(self) -> None:
        check_weights(self.weights)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every one with a weight."""
        return tuple(self.weights)

    def __call__(self, known: Known) -> Floats:
        """As `WeightRule`."""
        return np.array([self.weights.get(name, 0.0) for name in known.names])


@dataclass(frozen=True)
class DatedRule:
    """Weights by date: a row is decided at its date's close, or at the next session's; the last one holds.

    Attributes
    ----------
    table : DataFrame of shape (n, k)
        Fractions by date and symbol.

    Raises
    ------
    InputError
        No dates, dates twice or unsorted; and as `check_weights`, with the date.
    """

    table: pd.DataFrame
    least: int = 0
    name: str = "dated weights"

    def __post_init__(self) -> None:
        table = self.table
        if not isinstance(table.index, pd.DatetimeIndex) or table.index.hasnans:
            raise InputError("dated weights have an index that is no dates", "give a DatetimeIndex, one row a decision")
        if not table.index.is_monotonic_increasing or table.index.has_duplicates:
            raise InputError("dated weights have dates that are unsorted or there twice", "give one row a date, sorted")
        if table.empty or table.columns.has_duplicates:
            raise InputError("dated weights have no rows, or a symbol twice", "give dates × symbols")
        for day, row in table.iterrows():
            try:
                check_weights({str(name): float(weight) for name, weight in row.items()})
            except InputError as error:
                raise InputError(f"weights of {pd.Timestamp(str(day)).date()}: {error}", "correct this row") from None

    @cached_property
    def dates(self) -> tuple[dt.date, ...]:
        """Of the rows."""
        return tuple(pd.DatetimeIndex(self.table.index).date)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every column."""
        return tuple(map(str, self.table.columns))

    def __call__(self, known: Known) -> Floats:
        """As `WeightRule`."""
        at = int(np.searchsorted(ordinals(self.table.index), known.date.toordinal(), side="right")) - 1
        return self.table.iloc[at].reindex(list(known.names), fill_value=0.0).to_numpy(dtype=np.float64)


def check_weights(weights: Mapping[str, float] | Iterable[tuple[str, float]]) -> dict[str, float]:
    """Weights by name, checked.

    Parameters
    ----------
    weights : mapping, or pairs, of name to weight
        Fractions.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        None; one that is negative or no number; a sum above 1.
    """
    found = dict(weights)
    if not found:
        raise InputError("weights are empty", "give at least one, as {'SPY': 0.6, 'TLT': 0.4}")
    for name, weight in found.items():
        if not (math.isfinite(weight) and weight >= 0.0):
            raise InputError(f"weight of {name}: {weight!r} is not a fraction >= 0", "give one such as 0.6")
    total = sum(found.values())
    if total > SUM:
        raise InputError(f"weights sum to {total:g}", "give at most 1: the rest is cash, and leverage is the sizer's")
    return found


class Answers:
    """What was computed, by key: each once, as long as there is room.

    Parameters
    ----------
    most : int
        Answers that are kept, the oldest go first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[bytes, Any] = {}

    def __len__(self) -> int:
        """Answers that are there."""
        return len(self._known)

    def get(self, key: bytes, compute: Callable[[], Any]) -> Any:
        """A copy of the answer; what is raised by `compute` is not kept.

        Parameters
        ----------
        key : bytes
        compute : callable

        Returns
        -------
        object
        """
        if key not in self._known:
            found = compute()
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = found
        return copy.copy(self._known[key])


class RememberedRule:
    """A rule that is asked once for the same closes: many runs of one panel ask alike, and an optimizer takes its time.

    One that asks for `held` is asked each time. Not for an audit, which asks again to see whether the answer changes.

    Parameters
    ----------
    rule : WeightRule
    most : int
        Answers that are kept, the oldest go first.
    """

    def __init__(self, rule: WeightRule, most: int = 4096) -> None:
        self.rule, self._answers = rule, Answers(most)
        self.least, self.dates, self.symbols = rule.least, rule.dates, rule.symbols
        self.name = getattr(rule, "name", type(rule).__name__)

    def __call__(self, known: Known) -> Any:
        """As `WeightRule`; what is raised is not kept."""
        if isinstance(self.rule, FunctionRule) and self.rule.asks_for("held"):
            return self.rule(known)
        digest = blake2b(np.ascontiguousarray(known.closes).tobytes(), digest_size=16)
        digest.update(
            repr((known.date, known.closes.shape, known.names, [day.toordinal() for day in known.days])).encode()
        )
        return self._answers.get(digest.digest(), lambda: self.rule(known))


def as_rule(rule: Any, **arguments: Any) -> WeightRule:
    """A rule of weights from whatever can be one.

    Parameters
    ----------
    rule : callable, estimator, mapping, pairs, DataFrame, or WeightRule
        A function `weights(returns)`: simple returns known at the close, a DataFrame of shape (n, k), to weights of
        shape (k,); it may ask for `prices`, `date` and `held` by name. Anything with `fit(X)` and `weights_`. Fixed
        weights by symbol; a DataFrame of weights, dates × symbols.
    **arguments
        Of the function.

    Returns
    -------
    WeightRule

    Raises
    ------
    InputError
        Something else, or arguments that are not the function's.
    """
    if isinstance(rule, (FunctionRule, EstimatorRule, FixedRule, DatedRule, RememberedRule)):
        return rule
    if isinstance(rule, pd.DataFrame):
        return DatedRule(rule)
    if isinstance(rule, (Mapping, tuple, list)):
        return FixedRule(check_weights(rule))
    if hasattr(rule, "fit") and not isinstance(rule, type):
        return EstimatorRule(rule)
    if callable(rule) and not isinstance(rule, type):
        return FunctionRule(rule, arguments)
    raise InputError(
        f"rule={rule!r} is no rule of weights",
        "give a function of returns, an object with fit and weights_, weights by symbol, or a table of dates × symbols",
    )


def rounded(weights: Any) -> Any:
    """An optimizer's weights without what it has left of its constraints: at most 1e-6 below 0, or above 1 in sum."""
    found = np.asarray(weights, dtype=np.float64)
    if found.ndim == 1 and np.isfinite(found).all() and found.min(initial=0.0) >= -ROUNDING:
        found = np.clip(found, 0.0, None)
        total = found.sum()
        return found / total if 1.0 < total <= 1.0 + ROUNDING else found
    return weights


def checked_weights(weights: Any, names: Sequence[str]) -> Floats:
    """What a rule gave, as an array, or refused.

    Parameters
    ----------
    weights : array-like of shape (k,), Series or mapping
        By symbol, where it has names.
    names : sequence of str, k

    Returns
    -------
    ndarray of shape (k,)

    Raises
    ------
    InputError
        Another shape or other symbols; not finite; negative; a sum above 1 + 1e-9.
    """
    if isinstance(weights, (Mapping, pd.Series)):
        by_name = dict(weights.items())
        strange = [str(name) for name in by_name if name not in names]
        if strange or len(by_name) != len(names):
            what = f"has {', '.join(strange)}, which it was not given" if strange else f"{len(by_name)} weights"
            raise InputError(f"{what}, for {', '.join(names)}", "give a weight for each column of the returns")
        weights = [by_name[name] for name in names]
    try:
        found = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"weights are {type(weights).__name__}", "give numbers, one for each column") from None
    if found.shape != (len(names),):
        raise InputError(f"weights have shape {found.shape}", f"give {len(names)} numbers, one for each column")
    for name, weight in zip(names, found.tolist(), strict=True):
        if not np.isfinite(weight):
            raise InputError(f"weight of {name} is {weight}", "give a number; where none is known, 0 is cash")
        if weight < 0.0:
            raise InputError(f"weight of {name} is {weight:g}", "give 0 or more: nothing is sold short")
    if found.sum() > SUM:
        raise InputError(f"weights sum to {found.sum():g}", "give at most 1: leverage is the sizer's")
    return found


def check_symbols_of(weighed: Iterable[str], names: Sequence[str]) -> None:
    """Refuse a weight for a symbol without a feed.

    Parameters
    ----------
    weighed : iterable of str
        Symbols that a rule names.
    names : sequence of str
        Of the feeds.

    Raises
    ------
    InputError
    """
    for symbol in weighed:
        if symbol not in names:
            raise InputError(f"weights: {symbol!r} has no feed", f"give some of {', '.join(names)}")


def decided_by(rule: WeightRule, known: Known) -> Floats:
    """The weights of a rule, checked.

    Parameters
    ----------
    rule : WeightRule
    known : Known

    Returns
    -------
    ndarray of shape (k,)

    Raises
    ------
    StrategyError
        The rule raised something; it is the cause.
    InputError
        As `checked_weights`, and the rule's own.
    """
    try:
        weights = rule(known)
    except RiskOverlayError:
        raise
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        name = getattr(rule, "name", type(rule).__name__)
        raise StrategyError(
            f"{name} raises {type(error).__name__}: {first}", "correct it, or give on_error=hold"
        ) from error
    return checked_weights(weights, known.names)


def decisions_of(
    histories: Histories, rules: AllocationRules, rule: WeightRule, asked: Sequence[int] | None = None
) -> tuple[list[int], Floats]:
    """The weights that `Allocation` decides.

    Parameters
    ----------
    histories : Histories
    rules : AllocationRules
    rule : WeightRule
    asked : sequence of int, optional
        Positions of the sessions that decide (default: those of the schedule, or of the rule).

    Returns
    -------
    list of int, d
        Positions of the sessions at whose close weights were decided.
    ndarray of shape (d, k)
        Fractions.

    Raises
    ------
    InputError
        Weights that are none, a symbol of the rule that is not there, a rule that asks for what is held.
    StrategyError
        The rule raises. Both with date and feeds; with `on_error="hold"` neither, and nothing is decided then.
    """
    days = histories.days
    check_symbols_of(rule.symbols, histories.names)
    if asked is None:
        dated = rule.dates
        plan = RebalanceSchedule(rules.rebalance_freq, rules.calendar) if dated is None else DatedSchedule(dated)
        asked = due_sessions(plan, days)
    least = rules.min_hist if rule.least is None else rule.least
    lookback = 1 if rule.least is not None else rules.lookback or len(days)
    known: list[int] = []
    weights: list[Floats] = []
    for t, eligible in histories.deciding(asked, least):
        names = tuple(histories.names[i] for i in eligible)
        decided = np.zeros(len(histories.names))
        try:
            if eligible:
                rows, closes = histories.window(t, lookback, eligible)
                decided[eligible] = decided_by(rule, Known(days[t], closes, days[rows], names))
        except RiskOverlayError as error:
            if rules.on_error != "hold":
                raise about_weights(error, days[t], names) from error.__cause__
            continue
        known.append(t)
        weights.append(decided)
    return known, np.array(weights).reshape(-1, len(histories.names))


def about_weights(error: RiskOverlayError, day: dt.date, names: Sequence[str]) -> RiskOverlayError:
    """What went wrong with weights, with their date and assets.

    Parameters
    ----------
    error : RiskOverlayError
        Of the rule, which knows neither.
    day : date
        That they were for.
    names : sequence of str
        Of the feeds that were weighed.

    Returns
    -------
    RiskOverlayError
        Of the same kind.
    """
    return type(error)(f"weights of {day} of assets 0 to {len(names) - 1}, {', '.join(names)}: {error}")
