"""Changed bars: a panel whose bars after a session did not happen, or happened otherwise."""

from dataclasses import replace

import numpy as np
import pandas as pd

from riskoverlay.feeds import Panel

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
        (the same sessions for every symbol) take the place of the rest. times ten, tenth: prices and volume; nan: no
        numbers.
    seed : int
        Of what is drawn.

    Returns
    -------
    Panel
        Not validated: nan would not pass.
    """
    frames = {symbol: frame.copy() for symbol, frame in panel.frames.items()}
    rest = len(panel.sessions) - cut - 1
    if change == "removed":
        frames = {symbol: frame.iloc[: cut + 1] for symbol, frame in frames.items()}
    elif change == "replaced":
        skipped = max(0, min(SKIPPED, rest - 1))
        drawn = _drawn(len(panel.sessions), rest - skipped, np.random.default_rng([seed, cut]))
        frames = {symbol: _continued(frame, cut, skipped, drawn) for symbol, frame in frames.items()}
    else:
        factor = {"times ten": 10.0, "tenth": 0.1, "nan": np.nan}[change]
        for frame in frames.values():
            frame.iloc[cut + 1 :] *= factor
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
    frames = {}
    for symbol, original in panel.frames.items():
        frame = original.copy()
        o, high, low, c, volume = frame.iloc[at]
        if change == "higher high":
            high, volume = 1.1 * high, 10.0 * volume
            c = c if close else high
        else:
            low, volume = 0.9 * low, 0.1 * volume
            c = c if close else low
        frame.iloc[at] = [o, high, low, c, volume]
        frames[symbol] = frame
    return replace(panel, frames=frames)


def _drawn(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` session numbers in 1 .. n-1, in blocks of neighbours."""
    starts = rng.integers(1, max(2, n), size=count // BLOCK + 1)
    numbers = (starts[:, None] + np.arange(BLOCK)).ravel()[:count]
    return np.asarray((numbers - 1) % max(1, n - 1) + 1)


def _continued(frame: pd.DataFrame, cut: int, skipped: int, drawn: np.ndarray) -> pd.DataFrame:
    """The bars up to `cut`, then the moves of the drawn sessions on the dates after those skipped."""
    bars = frame.to_numpy(dtype=float)
    moves = bars[drawn, :4] / bars[drawn - 1, 3:4]  # open, high, low, close over the close before
    closes = bars[cut, 3] * np.cumprod(moves[:, 3])
    before = np.concatenate([[bars[cut, 3]], closes[:-1]])
    new = np.column_stack([before[:, None] * moves, bars[drawn, 4]])
    index = frame.index[: cut + 1].append(frame.index[cut + 1 + skipped :])
    return pd.DataFrame(np.vstack([bars[: cut + 1], new]), index=index, columns=frame.columns)
