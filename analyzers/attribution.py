"""Where the return of a levered account comes from: what its leverage earned, and what trading it took away."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from riskoverlay.errors import InputError

from .accounting import capital, log_links, per_session
from .ledger import Ledger, LedgerReader, ledger_of
from .statistics import simple_returns

__all__ = ["TERMS", "LeverageAttribution", "deciding_term"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TERMS: dict[str, str] = {
    "mean_leverage": "the source at the mean leverage",
    "timing": "leverage above and below its mean",
    "drift": "held otherwise than decided",
    "execution": "from the close to the fill",
    "commission": "commission",
    "slippage": "slippage",
    "tax": "tax on dividends",
    "loan_interest": "interest on the loan",
    "idle_cash": "interest on idle cash",
    "others": "other strategies in the account",
}
"""What an account's return is the sum of, in plain words."""


class LeverageAttribution(LedgerReader):
    """The account's return, session by session, against its source: the unlevered return Σ wᵢ·rᵢ.

    For a strategy that `VolTargetDrawdownSizer` sizes, which keeps the source and the leverage of every session. The
    terms of session t are simple returns on B, equity at the close before and what was paid in since. L is the leverage
    decided at the close before × the sizer's `allocation`, b the source (0 while it is not known: no weights were in
    force, or the session has not ended as far as the sizer knows), L̄ the mean of L over the sessions whose b is known:

    - `mean_leverage`, L̄·b: what a constant leverage would have earned; L̄ is known only afterwards
    - `timing`, (L − L̄)·b
    - `drift`, P/B − L·b. P is what own positions earned, had the session's fills been at the close before: gross
      profit and dividends less execution. What the leverage decided did not become: a band around it, weights that move
      between rebalances, whole shares, what the account could not open, margin calls, money that is paid in
    - `execution`, Σ size·(c̃ − reference)/B over the fills: the night from the close that decides to the fill. c̃ is the
      close before, ex split and dividend. 0 of a fill at the close itself, and where there is no close before
    - `commission`, `slippage`, `tax` withheld from dividends: −money/B
    - `loan_interest`, `idle_cash`: −interest/B of the account where it is paid, and where it is received
    - `others`: profit of the account's other strategies after their commission, slippage and tax, over B

    They sum to the fund's return R. Each × k = ln(1 + R)/R (1 where R = 0) they are parts of the fund's log growth, and
    can be added over sessions: Cariño (1999), Combining attribution effects over time, Journal of Performance
    Measurement 3(4), whose coefficients are these over the one of the whole, which is 1 as the total here is the log
    growth itself. So no term is a residual, to rounding::

        ln(fund(T)/fund(0)) = Σ over terms and sessions

    L̄ is the only thing that looks ahead: it moves between `mean_leverage` and `timing`, and no other term.

    Every strategy in the Cerebro has a ledger kept. A run that is stopped in the middle of a session (`runstop` by one
    of several strategies) is looked at up to the bar before. Where bars are several a session, B of a bar is equity
    before it and what was paid in, per unit of what the fund has grown since the session began.

    Notes
    -----
    `get_analysis()`, lists of one length: `dates`; `leverage` L; `source` b, nan where not known; `returns` R; all
    fractions. `contributions`, by term (`TERMS`), lists of its part of the log growth; `total`, by term, their sums;
    `by_year`, {"2012": {term: sum}}; `log_growth`; `mean_leverage` L̄, nan where b is never known. A fund value that
    comes to nothing has no logarithm: from its session on `contributions` are nan, and so are the sums and
    `log_growth`. Without the overlay, or of one that was never asked for a size, `contributions`, `total` and `by_year`
    are empty, `leverage`, `source` and `mean_leverage` nan.
    """

    def start(self) -> None:
        """Have a ledger kept of every strategy: what the others earn belongs to the account."""
        super().start()
        for strategy in self.strategy.cerebro.runningstrats:
            if not any(isinstance(slave, Ledger) for slave in strategy._slave_analyzers):
                ledger_of(strategy).start()  # who stands before this one in Cerebro has been started

    def analyse(self, ledger: Ledger) -> dict[str, Any]:
        """The analysis, from the ledger of the run, as `LedgerReader.analyse`."""
        sizer, bars = self.strategy.getsizer(), ledger.by_bar
        n = min(map(len, bars.all()))
        ends = np.append(ledger.ends[ledger.ends < n - 1], np.arange(n)[-1:])
        dates, fund = ledger.dates[: len(ends)], bars.fund[ends]
        returns = simple_returns(fund, ledger.start_fund)
        links = log_links(returns, fund)
        leverage, source = _decided(sizer, dates)
        known = np.isfinite(source)
        mean = float(leverage[known].mean()) if known.any() else float("nan")
        found: dict[str, Any] = {"contributions": {}, "total": {}, "by_year": {}}
        if _is_overlaid(sizer):
            begins = np.concatenate(([0], ends + 1))[: len(ends)]
            money = _money(ledger, bars, n)
            base = capital(
                bars.value[:n], bars.deposits[:n], bars.fund[:n], begins, ledger.start_value, ledger.start_fund
            )
            terms = {term: np.add.reduceat(amount / base, begins) for term, amount in money.items()}
            terms["mean_leverage"] = np.where(known, mean * source, 0.0)
            terms["timing"] = np.where(known, (leverage - mean) * source, 0.0)
            terms["drift"] -= np.where(known, leverage * source, 0.0)
            found = _summed({term: links * terms[term] for term in TERMS}, [day.year for day in dates])
        return {
            "dates": dates,
            "leverage": leverage.tolist(),
            "source": source.tolist(),
            "returns": returns.tolist(),
            **found,
            "log_growth": float((links * returns).sum()),
            "mean_leverage": mean,
        }


def _is_overlaid(sizer: Any) -> bool:
    """Whether the leverage is a sizer's that keeps it; one may know that it was never asked for a size."""
    return hasattr(sizer, "base_returns") and bool(getattr(sizer, "asked", True))


def _decided(sizer: Any, dates: Sequence[date]) -> tuple[Floats, Floats]:
    """Leverage in force in each session, decided at the close before, and its source; nan where there is none."""
    if not _is_overlaid(sizer):
        return np.full(len(dates), np.nan), np.full(len(dates), np.nan)
    days = np.array([day.toordinal() for day in dates], dtype=np.int64)
    sessions = np.append(np.array(sizer.sessions, dtype=np.int64), np.iinfo(np.int64).max)
    at = np.searchsorted(sessions, days)
    leverage = sizer.p.allocation * np.concatenate(([np.nan], sizer.leverages))[at]
    source = np.where((sessions[at] == days) & np.isfinite(leverage), np.append(sizer.base_returns, np.nan)[at], np.nan)
    return leverage, source


def _money(ledger: Ledger, bars: Ledger, n: int) -> dict[str, Floats]:
    """The terms that are money, of the first n bars; as `drift` all that positions would have earned."""
    gains = [
        fill.size * (close - fill.reference) * ledger.units[fill.feed]
        for fill, close in zip(ledger.fills, _closes_before(ledger), strict=True)
    ]
    execution = per_session(gains, bars.fill_sessions, len(bars))[: len(bars)]
    money = {
        "drift": bars.gross_profit + bars.dividends - execution,
        "execution": execution,
        "commission": 0.0 - bars.commission,
        "slippage": 0.0 - bars.slippage,
        "tax": 0.0 - bars.tax,
        "loan_interest": 0.0 - np.maximum(bars.interest, 0.0),
        "idle_cash": np.maximum(0.0 - bars.interest, 0.0),
    }
    others = [_profit(one)[:n] for one in bars.all() if one is not bars]
    return {term: amount[:n] for term, amount in money.items()} | {"others": np.sum([np.zeros(n), *others], axis=0)}


def _closes_before(ledger: Ledger) -> list[float]:
    """For each fill the close before its session, ex split and dividend, m: the price that it was decided at.

    Of a fill that cheats on close, and of a feed without a close before, its reference price.
    """
    ex = {(int(np.searchsorted(ledger.ends, bar)), feed): (bar, base) for bar, feed, base in ledger.bases}
    found = []
    for fill, session in zip(ledger.fills, ledger.fill_sessions.tolist(), strict=True):
        close = float("nan")
        if session and not fill.at_close:
            close = float(ledger.closes[session - 1, fill.feed])
            booked, base = ex.get((session, fill.feed), (fill.bar, close))
            close = base if booked <= fill.bar else close
        found.append(fill.reference if math.isnan(close) else close)
    return found


def _profit(ledger: Ledger) -> Floats:
    """What a strategy has earned, the account's interest aside."""
    return ledger.gross_profit + ledger.dividends - ledger.commission - ledger.slippage - ledger.tax


def _summed(contributions: Mapping[str, Floats], years: Sequence[int]) -> dict[str, Any]:
    """The contributions, and their sums: of all sessions, and by year."""
    of = np.array(years, dtype=int)
    return {
        "contributions": {term: part.tolist() for term, part in contributions.items()},
        "total": {term: float(part.sum()) for term, part in contributions.items()},
        "by_year": {
            str(year): {term: float(part[of == year].sum()) for term, part in contributions.items()}
            for year in sorted(set(years))
        },
    }


def deciding_term(total: Mapping[str, float]) -> str:
    """Of a sum, or of a difference of two, the term that decided it: the largest of those with the sum's own sign.

    Parameters
    ----------
    total : mapping
        Term -> amount.

    Returns
    -------
    str
        Where the sum is 0, the largest of all in absolute amount; of equal ones the first.

    Raises
    ------
    InputError
        No amounts, or one that is not a number: an account that was ruined has no sum.
    """
    whole = sum(total.values())
    if not total or not math.isfinite(whole):
        raise InputError("is not a sum of numbers", "give the total of an account that was not ruined", "total", total)
    return max(total, key=lambda term: (total[term] * whole > 0.0, abs(total[term])))
