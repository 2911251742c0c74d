"""Panel: the bars of several symbols on the same sessions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from riskoverlay.errors import InputError

from .bars import PanelFeed
from .symbols import check_symbols
from .validation import FIELDS, validate
from .window import between, span

__all__ = ["Panel", "align"]


@dataclass(frozen=True)
class Panel:
    """Validated daily bars of one or more symbols, all with the same index. Made by `align`.

    Attributes
    ----------
    frames : mapping
        symbol -> DataFrame of shape (n_sessions, 5), adjusted open high low close and volume in shares.
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
    """

    frames: Mapping[str, pd.DataFrame]
    dropped: tuple[str, ...] = ()
    source: str = "frames"
    synthetic: bool = False
    adjusted: bool = False
    warnings: tuple[str, ...] = ()
    rates: Mapping[str, pd.Series] = field(default_factory=dict)
    currency: str | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.frames)

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Dates, the same for all symbols."""
        return pd.DatetimeIndex(next(iter(self.frames.values())).index)

    @property
    def closes(self) -> pd.DataFrame:
        """Adjusted closes, shape (n_sessions, n_symbols), a column per symbol."""
        return pd.DataFrame({symbol: frame["close"] for symbol, frame in self.frames.items()})

    @property
    def adjustment(self) -> str:
        """What is known of the prices' adjustment, to follow "prices are"."""
        if self.adjusted:
            return "adjusted for dividends and splits"
        return "taken as given: if they are not adjusted, this is price return only"

    @property
    def sha256(self) -> str:
        """Hash of symbols, dates and the bits of every value, in order; the same on every machine."""
        digest = hashlib.sha256("\n".join(self.symbols).encode())
        digest.update(self.sessions.to_numpy().astype("datetime64[D]").astype("<i8").tobytes())
        for frame in self.frames.values():
            digest.update((frame[list(FIELDS)].to_numpy() + 0.0).astype("<f8").tobytes())  # -0.0 becomes 0.0
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

        Raises
        ------
        InputError
            There are none.
        """
        frames = {symbol: between(frame, start, end, symbol) for symbol, frame in self.frames.items()}
        return replace(self, frames=_shared(frames))

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
            A symbol that the panel has not.
        """
        chosen = check_symbols(symbols)
        for symbol in chosen:
            if symbol not in self.frames:
                raise InputError(f"symbol {symbol!r} is not in the panel", f"it has {', '.join(self.symbols)}")
        return replace(self, frames={symbol: self.frames[symbol] for symbol in chosen})

    def feeds(self) -> list[PanelFeed]:
        """A new backtrader feed for each symbol, named for it.

        Returns
        -------
        list of PanelFeed
        """
        return [
            PanelFeed(dataname=frame, name=symbol)  # type: ignore[call-arg]  # backtrader `params`
            for symbol, frame in self.frames.items()
        ]


def align(
    frames: Mapping[str, pd.DataFrame], *, source: str = "frames", synthetic: bool = False, adjusted: bool = False
) -> Panel:
    """Validate the frames and keep the sessions that all of them have.

    Backtrader waits for a feed that starts late and freezes one that ends early, so no feed may have a
    session that another has not. What was left out is said in `Panel.dropped`.

    Parameters
    ----------
    frames : mapping
        symbol -> DataFrame as `validate` takes it.
    source : str
    synthetic, adjusted : bool
        See `Panel`.

    Returns
    -------
    Panel

    Raises
    ------
    InputError
        No frames, a frame that `validate` refuses, frames without a common session.
    """
    if not frames:
        raise InputError("frames is empty", "give at least one symbol")
    valid = {symbol: validate(frame, symbol) for symbol, frame in frames.items()}
    common = next(iter(valid.values())).index
    for frame in valid.values():
        common = common[common.isin(frame.index)]
    if common.empty:
        spans = ", ".join(f"{symbol} {span(frame.index)}" for symbol, frame in valid.items())
        raise InputError(f"no session is common to all symbols ({spans})", "give symbols that overlap")
    dropped = []
    for symbol, frame in valid.items():
        lost = frame.index[~frame.index.isin(common)]
        if len(lost):
            dropped.append(
                f"{symbol}: {len(lost)} of {len(frame)} sessions left out, {span(lost)}: not every symbol has them"
            )
    kept = {symbol: frame.loc[common] for symbol, frame in valid.items()}
    return Panel(_shared(kept), tuple(dropped), source, synthetic, adjusted)


def _shared(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The frames, equal in their dates, with one index object for all."""
    index = next(iter(frames.values())).index
    return {symbol: frame.set_axis(index) for symbol, frame in frames.items()}
