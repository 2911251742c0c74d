"""Leveraged funds made of other bars: a multiple of each session's total return, reset daily, what it borrows paid
for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.conventions import DAYS_PER_YEAR
from riskoverlay.dates import ordinals
from riskoverlay.errors import InputError
from riskoverlay.rates import DatedRate, Rate
from riskoverlay.rules import Rules, parameter

from .actions import ACTIONS, raw_bars
from .panel import Panel, shared_indexes
from .rows import PRICES
from .symbols import check_symbols
from .validation import validate

__all__ = ["FundTerms", "LeveragedFund", "leveraged", "parse_funds", "with_leveraged"]

Floats = npt.NDArray[np.float64]

_PRICES = ("open", "high", "low", "close")
_SHAPE = "give SYMBOL=UNDERLYING:FACTOR:EXPENSE:SPREAD, several separated by commas, as SSO=SPY:2:0.0089:0.004"
_CHARGE: dict[str, Any] = {"at_least": 0.0, "at_most": 0.10, "per_cent": True}


@dataclass(frozen=True)
class FundTerms(Rules):
    """What a leveraged fund holds, and what it charges."""

    factor: float = parameter(
        2.0, "times the underlying's session return; below 0: inverse", "times", at_least=-20.0, at_most=20.0,
        per_cent=True, cure="give one such as 2, 3, 0.5 or -1",
    )  # fmt: skip
    expense: float = parameter(
        0.0, "expense ratio", "fraction a year", cure="give a fraction a year such as 0.0089", **_CHARGE
    )
    spread: float = parameter(
        0.0, "above the rate, of what is borrowed; below it, of what is lent", "fraction a year",
        cure="give a fraction a year such as 0.004", **_CHARGE,
    )  # fmt: skip

    def check(self) -> None:
        """Whether the factor is one."""
        if self.factor == 0.0:
            raise InputError("is nothing of the underlying", "give one such as 2, 3, 0.5 or -1", "factor", self.factor)


class LeveragedFund(NamedTuple):
    """A fund, and what it is made of.

    Attributes
    ----------
    symbol : str
        Its own.
    underlying : str
        Symbol of the bars that it multiplies.
    terms : FundTerms
    """

    symbol: str
    underlying: str
    terms: FundTerms

    @property
    def in_words(self) -> str:
        """What it is, in one sentence."""
        factor, expense, spread = self.terms.factor, self.terms.expense, self.terms.spread
        times = f"{factor:g}".replace("-", "−")
        paid = f", borrowed at the short rate + {100 * spread:g} %" if factor > 1.0 else ""
        earned = f", the rest lent at the short rate − {100 * spread:g} %" if factor < 1.0 else ""
        return (
            f"{self.symbol} is made of {self.underlying}: {times} times its total return of each session"
            f"{paid}{earned}, expense {100 * expense:g} % a year"
        )


def leveraged(bars: pd.DataFrame, factor: float, expense: float, spread: float, rate: Rate) -> pd.DataFrame:
    """The bars of a fund that holds L times its assets in another, reset at every close.

    Its return of session t, over d calendar days, is

        L·r(t) − (L − 1)·i(t) − |L − 1|·spread·d/365 − expense·d/365,

    r the total return of the underlying, C(t)/C(t-1) − 1, of prices as traded C(t)/(C(t-1)/s(t) − D(t)) − 1, and i what
    the rate pays from one session to the next: each night at the rate of the day on which it begins, so that nothing is
    known before its time. With L > 1 the fund borrows L − 1 at rate + spread; with L < 1 it earns interest, rate −
    spread on the 1 − L that it lends: half of itself at 0.5, twice itself at −1. Open, high and low are the same line
    through the close before, high and low swapped where L < 0. The first bar is the underlying's own: the fund begins
    at its close.

    Parameters
    ----------
    bars : DataFrame of shape (n_sessions, 5 or 7)
        As `Panel.frames` has them: adjusted, or as traded with columns dividend and split.
    factor : float
        L, not 0: 2, 3, 0.5, −1.
    expense : float
        Fraction a year, which accrues daily.
    spread : float
        Fraction a year.
    rate : float, Series or mapping
        Annual fraction, actual/365; by date as `DatedRate`, known at the close of its date.

    Returns
    -------
    DataFrame of shape (n_sessions, 5)
        open high low close volume: adjusted, without dividends; the volume is the underlying's.

    Raises
    ------
    InputError
        Bars that `validate` or `raw_bars` refuses, a factor, charge or rate out of bounds, a rate that begins after the
        first session, and a session that leaves nothing of the fund.
    """
    return _made(bars, FundTerms(factor, expense, spread), _dated(rate), "bars", "the fund")


def parse_funds(text: Any) -> tuple[LeveragedFund, ...]:
    """Leveraged funds from text.

    Parameters
    ----------
    text : str or None
        SYMBOL=UNDERLYING:FACTOR:EXPENSE:SPREAD, several separated by commas; None: none.

    Returns
    -------
    tuple of LeveragedFund

    Raises
    ------
    InputError
        Text that is no such fund; a name twice; a fund of itself, or of another.
    """
    if text is None:
        return ()
    if not isinstance(text, str) or not text.strip():
        raise InputError("is unreadable", _SHAPE, "leveraged", text)
    try:
        funds = tuple(_fund(part) for part in text.split(","))
        check_symbols([fund.symbol for fund in funds])
    except InputError as error:
        raise InputError(f"leveraged={text!r}: {error.said}", error.cure) from None
    made = [fund.symbol for fund in funds]
    for fund in funds:
        if fund.underlying in made:
            raise InputError(
                f"makes {fund.symbol} of {fund.underlying}, which is made itself",
                "name the fund otherwise, or what it is made of", "leveraged", text,
            )  # fmt: skip
    return funds


def with_leveraged(panel: Panel, funds: Sequence[LeveragedFund], rate: Rate) -> Panel:
    """A panel with leveraged funds beside what they are made of.

    Parameters
    ----------
    panel : Panel
        With the bars of every underlying.
    funds : sequence of LeveragedFund
    rate : float, Series or mapping
        As `leveraged`.

    Returns
    -------
    Panel
        The funds come last; where prices are as traded they have neither dividends nor splits. What each is made of is
        in its `warnings`.

    Raises
    ------
    InputError
        As `leveraged`; an underlying that the panel has not, a fund's symbol that it has.
    """
    frames, known = dict(panel.frames), _dated(rate)
    for fund in funds:
        if fund.underlying not in panel.frames:
            raise InputError(
                f"{fund.symbol} is made of {fund.underlying}, which is not in the panel",
                f"it has {', '.join(panel.symbols)}",
            )
        if fund.symbol in frames:
            raise InputError(f"symbol {fund.symbol!r} is in the panel", "give the fund another name")
        made = _made(panel.frames[fund.underlying], fund.terms, known, fund.underlying, fund.symbol)
        frames[fund.symbol] = made.assign(dividend=0.0, split=1.0) if panel.raw else made
    words = tuple(fund.in_words for fund in funds)
    return replace(panel, frames=shared_indexes(frames), warnings=(*panel.warnings, *words))


def _fund(text: str) -> LeveragedFund:
    symbol, equals, rest = text.strip().partition("=")
    underlying, *numbers = rest.split(":")
    names = ("factor", "expense", "spread")
    if not equals or len(numbers) != len(names):
        raise InputError(f"{text.strip()!r} is unreadable", _SHAPE)
    (symbol,), (underlying,) = check_symbols([symbol]), check_symbols([underlying])
    values = {}
    for name, number in zip(names, numbers, strict=True):
        try:
            values[name] = float(number)
        except ValueError:
            raise InputError("is no number", _SHAPE, name, number.strip()) from None
    return LeveragedFund(symbol, underlying, FundTerms(**values))


def _dated(rate: Rate) -> DatedRate:
    if not isinstance(rate, (int, float, pd.Series, Mapping)):
        raise InputError("is not a rate", "give an annual fraction such as 0.03, or a series by date", "rate", rate)
    return DatedRate(rate, "rate")


def _made(bars: pd.DataFrame, terms: FundTerms, rate: DatedRate, name: str, fund: str) -> pd.DataFrame:
    """The fund's bars; `name` is what errors call the underlying."""
    columns = {str(column).strip().lower() for column in bars.columns}
    whole = raw_bars(bars, name) if columns & set(ACTIONS) else validate(bars, name)
    close = whole["close"].to_numpy()
    base = close[:-1]
    if "split" in whole:
        dividend, split = (whole[field].to_numpy()[1:] for field in ACTIONS)
        base = base / split - dividend
    moves = whole[list(_PRICES)].to_numpy()[1:] / base[:, np.newaxis] - 1.0
    grown = 1.0 + terms.factor * moves - _costs(ordinals(whole.index), terms, rate)[:, np.newaxis]
    _refuse_worthless(grown, moves, terms, whole.index[1:], name, fund)
    closes = close[0] * np.cumprod(np.r_[1.0, grown[:, -1]])
    prices = closes[:-1, np.newaxis] * grown
    prices[:, -1] = closes[1:]
    out = whole[[*_PRICES, "volume"]].copy()
    # The largest and the smallest of the four: high and low are swapped where the factor is negative, and what a
    # vendor's rounding puts outside of his range would lie further outside.
    made = (prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1])
    for field, values in zip(_PRICES, made, strict=True):
        out[field] = np.r_[whole[field].iloc[:1], values]
    _refuse_beyond(out, fund)
    return out


def _costs(days: Sequence[int], terms: FundTerms, rate: DatedRate) -> Floats:
    """What the fund pays over each session but the first, less what it earns; fractions."""
    borrowed = terms.factor - 1.0
    a_day = (abs(borrowed) * terms.spread + terms.expense) / DAYS_PER_YEAR
    paid = [borrowed * rate.between(one, two) + a_day * (two - one) for one, two in pairwise(days)]
    return np.array(paid, dtype=np.float64)


def _refuse_worthless(grown: Floats, moves: Floats, terms: FundTerms, days: pd.Index, name: str, fund: str) -> None:
    """No fund survives a session, or an hour of it, that takes all."""
    gone = (grown <= 0.0).any(axis=1)
    if gone.any():
        at = int(np.argmax(gone))
        worst = int(np.argmin(grown[at]))
        raise InputError(
            f"loses {100 * (1.0 - grown[at, worst]):.1f} % of {fund} on {days[at]:%Y-%m-%d}: {name} is "
            f"{100 * moves[at, worst]:+.1f} % from the close before",
            "give a smaller factor, or a window without that session", "factor", terms.factor,
        )  # fmt: skip


def _refuse_beyond(out: pd.DataFrame, fund: str) -> None:
    """What wears itself down over decades comes to less than any price."""
    low, high = PRICES
    beyond = ((out["low"] < low) | (out["high"] > high)).to_numpy()
    if beyond.any():
        day = out.index[int(np.argmax(beyond))]
        raise InputError(
            f"{fund}: its price is outside of {low:g} to {high:g} from {day:%Y-%m-%d} on",
            "give a later start or an earlier end",
        )
