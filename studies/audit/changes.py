"""Changed bars: a panel whose bars after a session did not happen, or happened otherwise."""

from dataclasses import replace

import numpy as np
import pandas as pd

from riskoverlay.feeds import Panel
from riskoverlay.feeds.validation import FIELDS

__all__ = ["AFTER", "INSIDE", "changed_after", "changed_inside"]

AFTER = ("removed", "replaced", "times ten", "tenth", "nan")
"""What can be done to the bars after a session."""
INSIDE = ("higher high", "lower low")
"""What can be done to the inside of one bar."""

SKIPPED = 25
"""Sessions left out of replaced bars: the next bar is then never in the same month, week or quarter's last days."""
BLOCK = 20
"""Sessions in a row that replaced bars take from the panel, so that it moves like one."""


def changed_after(panel: Panel, cut: int, change: str, seed: int = 0) -> Panel:
    """The panel, its bars after a session changed; those up to it are the same.

    Parameters
    ----------
    panel : Panel
    cut : int
        Number of the session.
    change : {"removed", "replaced", "times ten", "tenth", "nan"}
        removed: there are none. replaced: 25 sessions are left out, and bars drawn in blocks from the panel's own moves
        (the same sessions for every symbol) take the place of the rest; a symbol that has not begun begins then. times
        ten, tenth: prices, dividends and volume, and no splits; nan: no numbers.
    seed : int
        Of what is drawn.

    Returns
    -------
    Panel
        Not validated: nan would not pass.
    """
    frames = {symbol: frame.copy() for symbol, frame in panel.frames.items()}
    sessions, rest = panel.sessions, len(panel.sessions) - cut - 1
    if change == "removed":
        frames = {symbol: frame.loc[: sessions[cut]] for symbol, frame in frames.items()}
    elif change == "replaced":
        skipped = max(0, min(SKIPPED, rest - 1))
        drawn = _drawn(len(sessions), rest - skipped, np.random.default_rng([seed, cut]))
        dates = sessions[cut + 1 + skipped :]
        frames = {symbol: _continued(frame, sessions[cut], dates, drawn) for symbol, frame in frames.items()}
    else:
        factor = {"times ten": 10.0, "tenth": 0.1, "nan": np.nan}[change]
        for frame in frames.values():
            after = frame.index > sessions[cut]
            frame.loc[after, [name for name in frame if name != "split"]] *= factor
            if "split" in frame:
                frame.loc[after, "split"] = 1.0
    return replace(panel, frames=frames)


def changed_inside(panel: Panel, at: int, change: str, *, close: bool = True) -> Panel:
    """The panel with another high or low, and volume, of one session; its open is kept.

    Parameters
    ----------
    panel : Panel
    at : int
        Number of the session.
    change : {"higher high", "lower low"}
        The high a tenth higher, ten times the volume (and the close at the high); the low a tenth lower, a tenth of the
        volume (and the close at the low).
    close : bool
        Whether the close is kept.

    Returns
    -------
    Panel
    """
    frames, day = dict(panel.frames), panel.sessions[at]
    for symbol, original in panel.frames.items():
        if day not in original.index:
            continue
        frame = original.copy()
        o, high, low, c, volume = frame[list(FIELDS)].to_numpy()[int(frame.index.searchsorted(day))].tolist()
        if change == "higher high":
            high, volume = 1.1 * high, 10.0 * volume
            c = c if close else high
        else:
            low, volume = 0.9 * low, 0.1 * volume
            c = c if close else low
        for field, value in zip(FIELDS, (o, high, low, c, volume), strict=True):
            frame.loc[day, field] = value
        frames[symbol] = frame
    return replace(panel, frames=frames)


def _drawn(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` session numbers in 1 .. n-1, in blocks of neighbours."""
    starts = rng.integers(1, max(2, n), size=count // BLOCK + 1)
    numbers = (starts[:, None] + np.arange(BLOCK)).ravel()[:count]
    return np.asarray((numbers - 1) % max(1, n - 1) + 1)


def _continued(frame: pd.DataFrame, cut: pd.Timestamp, dates: pd.DatetimeIndex, drawn: np.ndarray) -> pd.DataFrame:
    """The bars up to `cut`, then the moves of the drawn sessions, and what they paid, on some dates."""
    kept = frame.loc[:cut]
    bars = frame.to_numpy(dtype=float)
    if len(bars) < 2:
        return kept
    drawn = (drawn - 1) % (len(bars) - 1) + 1  # of a symbol that has not lived as long, among its own
    last = float(bars[max(len(kept) - 1, 0), 3])
    # Open, high, low, close and dividend over the close before: new shares over old ones, where there was a split.
    moves = bars[drawn, :4] / bars[drawn - 1, 3:4]
    closes = last * np.cumprod(moves[:, 3])
    before = np.concatenate([[last], closes[:-1]])
    new = [before[:, None] * moves, bars[drawn, 4]]
    if "dividend" in frame:
        new += [bars[drawn, 5] / bars[drawn - 1, 3] * before, bars[drawn, 6]]
    return pd.DataFrame(
        np.vstack([kept.to_numpy(dtype=float), np.column_stack(new)]),
        index=kept.index.append(dates), columns=frame.columns,
    )  # fmt: skip
