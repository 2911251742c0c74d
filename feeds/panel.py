"""Panel: the bars of several symbols, each from its first session to its last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError

from .actions import ACTIONS, back_adjusted
from .bars import PanelFeed, RawPanelFeed
from .membership import Stretches
from .symbols import check_symbols
from .treatment import AS_GIVEN
from .validation import FIELDS
from .window import between, check_window

__all__ = ["Panel", "shared_indexes"]


@dataclass(frozen=True)
class Panel:
    """Validated daily bars of one or more symbols. Made by `align`.

    Attributes
    ----------
    frames : mapping
        symbol -> DataFrame of shape (its sessions, 5), adjusted open high low close and volume in shares; or of shape
        (its sessions, 7), as traded, with dividend (cash a share on its ex-date, in that day's shares; 0: none) and
        split (new shares for one, effective before that day's open; 1: none). From its first session to its last it has
        all of the panel's; a frame without rows has none in this window.
    dropped : tuple of str
        One sentence for each symbol of which `align` left sessions out.
    source : str
        Where the bars are from ("sample", "csv", ...).
    synthetic : bool
        Whether they are made up; whatever is shown of them must say so.
    adjusted : bool
        Whether the prices are known, or said, to be adjusted for dividends and splits.
    warnings : tuple of str
        One sentence for each thing about the bars that whoever uses them should know, of `quality` and `Cache`.
    rates : mapping
        name -> annual interest rates (fractions) by date, for an account that charges by them.
    currency : str or None
        Of all prices, where the source says it.
    members : mapping
        symbol -> stretches (from, to) in which it belongs to the universe, both dates included, None is open; a symbol
        that is not there always does.
    split_adjusted : tuple of str
        Symbols of a raw panel whose source has no splits: their prices are taken as adjusted for them.
    """

    frames: Mapping[str, pd.DataFrame]
    dropped: tuple[str, ...] = ()
    source: str = "frames"
    synthetic: bool = False
    adjusted: bool = False
    warnings: tuple[str, ...] = ()
    rates: Mapping[str, pd.Series] = field(default_factory=dict)
    currency: str | None = None
    members: Mapping[str, Stretches] = field(default_factory=dict)
    split_adjusted: tuple[str, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.frames)

    @property
    def raw(self) -> bool:
        """Whether prices are as traded, and the frames have dividends and splits."""
        return "split" in next(iter(self.frames.values())).columns

    @cached_property
    def sessions(self) -> pd.DatetimeIndex:
        """Dates on which any symbol has a bar."""
        indexes = list({id(frame.index): frame.index for frame in self.frames.values()}.values())
        if len(indexes) == 1:
            return pd.DatetimeIndex(indexes[0])
        return pd.DatetimeIndex(np.unique(np.concatenate([index.to_numpy() for index in indexes])), name="date")

    @property
    def opens(self) -> pd.DataFrame:
        """Opens, shape (n_sessions, n_symbols), a column per symbol; nan where it has no bar."""
        return self._table("open")

    @property
    def closes(self) -> pd.DataFrame:
        """Closes, shape (n_sessions, n_symbols), a column per symbol; nan where it has no bar."""
        return self._table("close")

    @property
    def dividends(self) -> pd.DataFrame:
        """Cash a share on its ex-date, shape (n_sessions, n_symbols); 0 where none, and of adjusted prices."""
        return self._table("dividend", 0.0)

    @property
    def splits(self) -> pd.DataFrame:
        """New shares for one, shape (n_sessions, n_symbols); 1 where none, and of adjusted prices."""
        return self._table("split", 1.0)

    @property
    def joins(self) -> list[tuple[str, date]]:
        """Symbols whose first bar is after the first session, and its date."""
        begun = {symbol: frame.index[0] for symbol, frame in self.frames.items() if len(frame)}
        return [(symbol, day.date()) for symbol, day in begun.items() if day > self.sessions[0]]

    @property
    def leaves(self) -> list[tuple[str, date]]:
        """Symbols whose last bar is before the last session, and its date."""
        ended = {symbol: frame.index[-1] for symbol, frame in self.frames.items() if len(frame)}
        return [(symbol, day.date()) for symbol, day in ended.items() if day < self.sessions[-1]]

    @property
    def complete_from(self) -> date:
        """The first session by which every symbol has begun that ever does."""
        first: date = max(frame.index[0] for frame in self.frames.values() if len(frame)).date()
        return first

    @property
    def adjustment(self) -> str:
        """What is known of the prices' adjustment, to follow "prices are"."""
        if self.raw:
            given = [symbol for symbol in self.symbols if symbol in self.split_adjusted]
            if len(given) == len(self.symbols):
                return "adjusted for splits only, dividends in cash"
            words = "as traded, dividends and splits apart"
            return f"{words}, those of {', '.join(given)} adjusted for splits" if given else words
        if self.adjusted:
            return "adjusted for dividends and splits"
        return AS_GIVEN

    @property
    def sha256(self) -> str:
        """Hash of symbols, dates, the bits of every value, in order, and members; the same on every machine."""
        digest = hashlib.sha256("\n".join(self.symbols).encode())
        digest.update(_days(self.sessions))
        whole = all(len(frame) == len(self.sessions) for frame in self.frames.values())
        fields = [*FIELDS, *ACTIONS] if self.raw else list(FIELDS)
        for frame in self.frames.values():
            if not whole:
                digest.update(_days(pd.DatetimeIndex(frame.index)))
            digest.update((frame[fields].to_numpy() + 0.0).astype("<f8").tobytes())  # -0.0 becomes 0.0
        for symbol, stretches in sorted(self.members.items()):
            digest.update(f"\n{symbol} {' '.join(f'{first}..{last}' for first, last in stretches)}".encode())
        return digest.hexdigest()

    def between(self, start: object = None, end: object = None) -> Panel:
        """The sessions of a window.

        Parameters
        ----------
        start, end : date, optional
            Both included; None is open.

        Returns
        -------
        Panel
            A symbol without a bar in it has a frame without rows.

        Raises
        ------
        InputError
            There are none.
        """
        first, last = check_window(start, end)
        inside = between(pd.DataFrame(index=self.sessions), first, last, next(iter(self.frames))).index
        frames = {symbol: frame[frame.index.isin(inside)] for symbol, frame in self.frames.items()}
        return replace(self, frames=shared_indexes(frames))

    def select(self, symbols: Sequence[str]) -> Panel:
        """Some of the symbols.

        Parameters
        ----------
        symbols : sequence of str
            In the order wanted.

        Returns
        -------
        Panel

        Raises
        ------
        InputError
            A symbol that the panel has not, and symbols of which none has a bar.
        """
        chosen = check_symbols(symbols)
        for symbol in chosen:
            if symbol not in self.frames:
                raise InputError(f"symbol {symbol!r} is not in the panel", f"it has {', '.join(self.symbols)}")
        if all(self.frames[symbol].empty for symbol in chosen):
            raise InputError(f"{', '.join(chosen)}: no session", "give one that has begun, or a longer window")
        members = {symbol: self.members[symbol] for symbol in chosen if symbol in self.members}
        return replace(self, frames={symbol: self.frames[symbol] for symbol in chosen}, members=members)

    def adjusted_prices(self) -> Panel:
        """The panel with its prices adjusted by its own dividends and splits, as `back_adjusted` does.

        Returns
        -------
        Panel
            Of adjusted prices, or prices taken as given, itself.
        """
        if not self.raw:
            return self
        frames = {symbol: back_adjusted(frame) for symbol, frame in self.frames.items()}
        return replace(self, frames=frames, adjusted=True, split_adjusted=())

    def feeds(self) -> list[PanelFeed]:
        """A new backtrader feed for each symbol, named for it.

        Returns
        -------
        list of PanelFeed
            `RawPanelFeed` where prices are as traded.
        """
        kind: Any = RawPanelFeed if self.raw else PanelFeed  # backtrader `params` are arguments
        return [
            kind(dataname=frame, name=symbol, members=self.members.get(symbol)) for symbol, frame in self.frames.items()
        ]

    def _table(self, field: str, none: float = np.nan) -> pd.DataFrame:
        """A column of every frame, by session."""
        if field in ACTIONS and not self.raw:
            return pd.DataFrame(none, index=self.sessions, columns=list(self.symbols))
        columns = {symbol: frame[field] for symbol, frame in self.frames.items()}
        if any(len(column) < len(self.sessions) for column in columns.values()):
            columns = {symbol: column.reindex(self.sessions, fill_value=none) for symbol, column in columns.items()}
        return pd.DataFrame(columns)


def shared_indexes(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The frames, those with equal dates with one index object.

    Parameters
    ----------
    frames : mapping
        symbol -> DataFrame by date.

    Returns
    -------
    dict
    """
    seen: dict[tuple[object, ...], pd.Index] = {}
    out = {}
    for symbol, frame in frames.items():
        key = (len(frame), *frame.index[:1], *frame.index[-1:])
        index = seen.setdefault(key, frame.index)
        out[symbol] = frame.set_axis(index) if index.equals(frame.index) else frame
    return out


def _days(index: pd.DatetimeIndex) -> bytes:
    """Days since 1970."""
    return index.to_numpy().astype("datetime64[D]").astype("<i8").tobytes()
