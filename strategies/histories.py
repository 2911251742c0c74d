"""Closes of a universe whose members come and go, and whose prices may be as traded: what a rule of weights may see."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from riskoverlay.conventions import STALE_DAYS
from riskoverlay.errors import InputError

from .actions import ex

__all__ = ["Histories", "is_member"]

Floats = npt.NDArray[np.float64]

Stretches = Sequence[tuple[dt.date | None, dt.date | None]]
"""From and to, both included; None is open."""


def is_member(stretches: Stretches | None, day: dt.date) -> bool:
    """Whether a symbol may be weighed on a date.

    Parameters
    ----------
    stretches : sequence of (date or None, date or None)
        When it may; None: always.
    day : date

    Returns
    -------
    bool
    """
    if stretches is None:
        return True
    return any((first is None or first <= day) and (last is None or day <= last) for first, last in stretches)


@dataclass(frozen=True)
class Histories:
    """Closes of k symbols on n sessions, and how long each lives.

    Attributes
    ----------
    days : sequence of date, n
        Sessions.
    closes : ndarray of shape (n, k)
        Without gaps: a symbol that has ended keeps its last, one that has not begun has its first already (1, if it
        never does); nobody looks at that.
    bases : ndarray of shape (n, k)
        What a close is held against for its total return: the close before, ex split and dividend.
    growth : ndarray of shape (n, k)
        Total return of each price beyond its own since its first, 1 without dividends and splits.
    actions : ndarray of shape (a, 4)
        Session, symbol, dividend (money a share) and split (new shares for one), in this order, of all that somebody
        may hold shares through.
    first, last : ndarray of shape (k,)
        Sessions of the first and the last bar.
    gone : ndarray of shape (k,)
        The session from which a symbol has ended (`clock.ended`); n: it does not.
    names : tuple of str, k
    members : mapping
        Symbol -> stretches of dates on which it may be weighed, as `is_member`.
    """

    days: Sequence[dt.date]
    closes: Floats
    bases: Floats
    growth: Floats
    actions: Floats
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    gone: npt.NDArray[np.int64]
    names: tuple[str, ...]
    members: Mapping[str, Stretches] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        days: Sequence[dt.date],
        closes: Floats,
        names: Sequence[str],
        *,
        dividends: Floats | None = None,
        splits: Floats | None = None,
        members: Mapping[str, Stretches] | None = None,
    ) -> "Histories":
        """From tables by session and symbol.

        Parameters
        ----------
        days : sequence of date, n
        closes : ndarray of shape (n, k)
            nan before the first bar of a symbol and after its last.
        names : sequence of str, k
        dividends, splits : ndarray of shape (n, k), optional
            Money a share on its ex-date, new shares for one (default: prices are adjusted for them).
        members : mapping, optional
            Of the symbols that may not always be weighed.

        Returns
        -------
        Histories

        Raises
        ------
        InputError
            A gap between two closes of a symbol.
        """
        n, k = closes.shape
        known = np.isfinite(closes)
        never = ~known.any(axis=0)
        first = np.where(never, n, np.argmax(known, axis=0))
        last = np.where(never, n - 1, n - 1 - np.argmax(known[::-1], axis=0))
        at = np.arange(n)[:, None]
        gap = ~known & (at >= first) & (at <= last)
        if gap.any():
            row, column = np.argwhere(gap)[0].tolist()
            raise InputError(
                f"close of {names[column]} on {days[row]} is nan",
                "give positive prices of every session between a symbol's first and its last",
            )
        filled = np.where(never, 1.0, closes[np.clip(at, np.minimum(first, last), last), np.arange(k)])
        bases = np.vstack([np.full((1, k), np.nan), filled[:-1]])
        growth, actions = np.ones((n, k)), np.zeros((0, 4))
        if dividends is not None and splits is not None:
            bases[1:] = ex(filled[:-1], splits[1:], dividends[1:])
            growth[1:] = np.cumprod(np.where(bases[1:] == filled[:-1], 1.0, filled[:-1] / bases[1:]), axis=0)
            t, i = np.nonzero(((dividends != 0.0) | (splits != 1.0)) & (at > first))
            actions = np.column_stack([t, i, dividends[t, i], splits[t, i]])
        numbers = np.array([day.toordinal() for day in days])
        gone = np.searchsorted(numbers, numbers[last] + STALE_DAYS, side="right")
        return cls(days, filled, bases, growth, actions, first, last, gone, tuple(names), members or {})

    @property
    def whole(self) -> bool:
        """Whether every symbol has a bar on every session."""
        return bool((self.first == 0).all() and (self.last == len(self.days) - 1).all())

    def eligible(self, t: int, least: int) -> list[int]:
        """Symbols that may be weighed at a close: members, with so many returns, that have not ended.

        Parameters
        ----------
        t : int
            Session.
        least : int
            Returns.

        Returns
        -------
        list of int
        """
        alive = (t - self.first >= least) & (t < self.gone)
        return [i for i in np.flatnonzero(alive).tolist() if is_member(self.members.get(self.names[i]), self.days[t])]

    def deciding(self, asked: Iterable[int], least: int) -> Iterator[tuple[int, list[int]]]:
        """The sessions that decide weights, and who may be weighed.

        Parameters
        ----------
        asked : iterable of int
            Sessions on which a rule is asked, ascending; before the first is none.
        least : int
            As `eligible`.

        Yields
        ------
        session : int
        eligible : list of int
            Empty where the last has gone: then all that was held is sold, once.
        """
        held = False
        for t in asked:
            eligible = self.eligible(t, least) if t >= 0 else []
            if eligible or held:
                yield t, eligible
            held = bool(eligible)

    def window(self, t: int, lookback: int, chosen: Sequence[int]) -> tuple[slice, Floats]:
        """Total-return closes known at a close, of the sessions on which all of some symbols have one.

        Parameters
        ----------
        t : int
            Session.
        lookback : int
            Returns at most.
        chosen : sequence of int, m
            Symbols.

        Returns
        -------
        sessions : slice
        closes : ndarray of shape (sessions, m)
            The last ones are as traded.
        """
        rows = slice(max(t - lookback, int(self.first[list(chosen)].max()), 0), t + 1)
        of = list(chosen)
        return rows, (self.closes[rows] * self.growth[rows])[:, of] / self.growth[t, of]
