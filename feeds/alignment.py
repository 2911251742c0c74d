"""Sessions of a panel: those that all symbols have, or all that live then."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from riskoverlay.conventions import STALE_DAYS
from riskoverlay.errors import InputError

from .actions import ACTIONS, carried, raw_bars
from .panel import Panel, shared_indexes
from .validation import validate
from .window import span

__all__ = ["UNIVERSES", "align"]

UNIVERSES = ("ragged", "common")


def align(
    frames: Mapping[str, pd.DataFrame],
    *,
    source: str = "frames",
    synthetic: bool = False,
    adjusted: bool = False,
    universe: str = "common",
) -> Panel:
    """Validate the frames and choose the sessions.

    Backtrader waits for a feed that starts late and freezes one that ends early: without a strategy that knows of
    symbols that come and go, no feed may have a session that another has not (common). A symbol lives from its first
    bar to its last, or to the end of all if that is at most 10 days later; a session on which a symbol that lives has
    no bar is left out for all (ragged). What was left out is said in `Panel.dropped`.

    Parameters
    ----------
    frames : mapping
        symbol -> DataFrame as `validate` takes it. With columns dividend and split in each, and not adjusted, prices
        are taken as traded; those of a session that is left out happen on the symbol's next.
    source : str
    synthetic, adjusted : bool
        See `Panel`.
    universe : {"common", "ragged"}
        Sessions that all symbols have, or that all have that live then.

    Returns
    -------
    Panel

    Raises
    ------
    InputError
        No frames, a frame that `validate` or `raw_bars` refuses, dividends and splits in some frames only, symbols
        without a session.
    """
    if universe not in UNIVERSES:
        raise InputError("is unknown", f"give one of {', '.join(UNIVERSES)}", "universe", universe)
    if not frames:
        raise InputError("frames is empty", "give at least one symbol")
    raw = not adjusted and _with_actions(frames)
    valid = {symbol: raw_bars(frame, symbol) if raw else validate(frame, symbol) for symbol, frame in frames.items()}
    indexes = {symbol: pd.DatetimeIndex(frame.index) for symbol, frame in valid.items()}
    sessions = _common(indexes) if universe == "common" else _lived(indexes)
    dropped, kept = [], {}
    for symbol, frame in valid.items():
        held = frame.index.isin(sessions)
        if not held.any():
            spans = ", ".join(f"{symbol} {span(index)}" for symbol, index in indexes.items())
            raise InputError(f"no session is common to all symbols ({spans})", "give symbols that overlap")
        lost, of = frame.index[~held], indexes[symbol][held]
        kept[symbol] = carried(frame, of, symbol) if raw else frame.loc[of]
        if len(lost):
            dropped.append(
                f"{symbol}: {len(lost)} of {len(frame)} sessions left out, {span(lost)}: not every symbol has them"
            )
    return Panel(shared_indexes(kept), tuple(dropped), source, synthetic, adjusted)


def _with_actions(frames: Mapping[str, pd.DataFrame]) -> bool:
    """Whether the frames have dividends and splits."""
    having = {
        symbol: set(ACTIONS) <= {str(column).strip().lower() for column in frame.columns}
        for symbol, frame in frames.items()
    }
    if len(set(having.values())) > 1:
        (has, has_not) = (next(symbol for symbol, there in having.items() if there is which) for which in (True, False))
        raise InputError(
            f"{has} has columns dividend and split, {has_not} has not", "give both to all symbols, or to none"
        )
    return all(having.values())


def _common(indexes: Mapping[str, pd.DatetimeIndex]) -> pd.DatetimeIndex:
    first, *others = indexes.values()
    for index in others:
        first = first[first.isin(index)]
    return first


def _lived(indexes: Mapping[str, pd.DatetimeIndex]) -> pd.DatetimeIndex:
    days = pd.DatetimeIndex(np.unique(np.concatenate([index.to_numpy() for index in indexes.values()])), name="date")
    kept = np.ones(len(days), dtype=bool)
    for index in indexes.values():
        end = days[-1] if days[-1] - index[-1] <= pd.Timedelta(days=STALE_DAYS) else index[-1]
        kept &= days.isin(index) | (days < index[0]) | (days > end)
    return days[kept]
