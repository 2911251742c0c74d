"""The sample market: made-up daily bars with the moments of eight ETFs that are in calibration.json.

Every session is in one of four states (calm, normal, stressed, crisis) that follow each other as a Markov
chain. A session's log returns are Student-t: correlated normals, each over the root of a chi-square with
the degrees of freedom that its excess kurtosis in that state asks for (ν = 4 + 6/kurtosis, rounded). The
chi-squares are nested sums of the same squares, so that wild days are wild for all. Part of a return happens
overnight; highs and lows are the extremes of a Brownian bridge from open to close.

The same numbers come out on every machine: raw PCG64 output, whose stream is fixed; normals and logarithms
rounded to 2⁻²⁰, which swallows the last bits in which maths libraries differ; from there on only + - * / and
square roots, in a fixed order. Each session consumes a fixed count of draws and each symbol has its own
stream, so neither a later `end` nor other `symbols` change a bar.
"""

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError

from .alignment import align
from .calendars import exchange_sessions
from .panel import Panel
from .symbols import check_symbols
from .window import check_window

__all__ = ["SAMPLE_END", "SAMPLE_START", "SAMPLE_SYMBOLS", "sample_market", "sample_states"]

Floats = npt.NDArray[np.float64]

SAMPLE_START, SAMPLE_END = "2010-01-04", "2025-12-31"

# The calibrated eight, then twins of them: SYN09 is like the first, SYN10 like the second, ... up to SYN64.
_CALIBRATED = ("SPY", "QQQ", "IWM", "EFA", "EEM", "TLT", "LQD", "GLD")
SAMPLE_SYMBOLS = (*_CALIBRATED, *(f"SYN{n:02d}" for n in range(9, 65)))

_MAX_FREEDOM = 40  # a Student-t beyond is as good as normal
_GRID = 2.0**20

# The bridge's volatility in units of the session's own, set so that the median of log(high/low) over the
# close-to-close volatility is the calibrated median_range_over_close_vol. Real days are not Brownian.
_BRIDGE = dict(zip(_CALIBRATED, (1.03, 1.00, 1.04, 0.97, 0.89, 0.79, 0.88, 0.86), strict=True))

# Volumes rise with the state and with the size of the move; only their median is calibrated.
_VOLUME_OF_STATE = (-0.18, 0.07, 0.37, 0.77)
_VOLUME_OF_MOVE, _VOLUME_NOISE, _USUAL_MOVE = 0.2, 0.25, 0.65


def sample_market(
    symbols: Sequence[str] | str = _CALIBRATED, start: object = SAMPLE_START, end: object = SAMPLE_END, seed: int = 63
) -> Panel:
    """The sample market's bars from its opening day on, on XNYS sessions; `Panel.synthetic` is True.

    Parameters
    ----------
    symbols : sequence of str, or str
        Of SAMPLE_SYMBOLS, up to 64. SYN09 ... SYN64 are twins of the eight in turn: same moments, but volatility times
        0.85 + 0.05·g and, in each state, correlation 0.9 − 0.05·g with it, where g is 0 for SYN09 ... SYN16, 1 for
        SYN17 ... SYN24, and so on.
    start : date or str
        The opening day. Another opening day is another market: to see a part of one, use `Panel.between`.
    end : date or str
        The last day, included. A later one adds bars and changes none.
    seed : int
        >= 0; another seed is another market.

    Returns
    -------
    Panel

    Raises
    ------
    InputError
        An unknown symbol, a negative seed, start after end, no session between them.
    """
    chosen = check_symbols(symbols)
    for symbol in chosen:
        if symbol not in SAMPLE_SYMBOLS:
            raise InputError(
                f"symbols: {symbol!r} is not in the sample market",
                f"give some of {', '.join(_CALIBRATED)}, SYN09 ... SYN64",
            )
    sessions = _sessions(start, end)
    market = _Market(len(sessions), seed)
    frames = {symbol: market.bars(symbol).set_axis(sessions) for symbol in chosen}
    return align(frames, source="sample", synthetic=True, adjusted=True)


def sample_states(n_sessions: int, seed: int = 63) -> npt.NDArray[np.int64]:
    """State of each session: 0 calm, 1 normal, 2 stressed, 3 crisis.

    Parameters
    ----------
    n_sessions : int
    seed : int

    Returns
    -------
    ndarray of shape (n_sessions,)
    """
    return _Market(n_sessions, seed).states


class _Market:
    """What the symbols share: the states, and the correlated innovations of the calibrated eight."""

    def __init__(self, n_sessions: int, seed: int) -> None:
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise InputError("is not an integer >= 0", "give one, as 63", "seed", seed)
        self.seed = int(seed)
        self.n = n_sessions
        count = len(_CALIBRATED)
        uniform = self._uniform(0, 1 + count + _MAX_FREEDOM)
        self.states = _chain(uniform[:, 0])
        normal = _on_grid(ndtri(uniform[:, 1:]))
        independent, mixing = normal[:, :count], normal[:, count:]
        chi_square = np.cumsum(mixing * mixing, axis=1)
        factors = np.array([_cholesky(state["correlation"]) for state in _states()])[self.states]
        freedom = np.array([[_freedom(k) for k in state["kurtosis_excess"]] for state in _states()])[self.states]
        self.scale = np.empty((self.n, count))
        self.innovation = np.empty((self.n, count))  # mean 0, variance 1
        for i in range(count):
            ν = freedom[:, i]
            self.scale[:, i] = np.sqrt((ν - 2) / chi_square[np.arange(self.n), ν - 1])
            correlated = np.zeros(self.n)
            for j in range(i + 1):
                correlated = correlated + factors[:, i, j] * independent[:, j]
            self.innovation[:, i] = correlated * self.scale[:, i]

    def bars(self, symbol: str) -> pd.DataFrame:
        """Open, high, low, close and volume of one symbol, in order of sessions."""
        number = SAMPLE_SYMBOLS.index(symbol)
        at = number % len(_CALIBRATED)
        twin = _CALIBRATED[at]
        uniform = self._uniform(number + 1, 5)
        own, gap_noise, volume_noise = (_on_grid(ndtri(uniform[:, k])) for k in (0, 1, 2))
        up, down = (_on_grid(-np.log(uniform[:, k])) for k in (3, 4))

        innovation, wider = self.innovation[:, at], 1.0
        if number != at:
            group = number // len(_CALIBRATED) - 1
            wider, ρ = 0.85 + 0.05 * group, 0.9 - 0.05 * group
            innovation = ρ * innovation + math.sqrt(1 - ρ * ρ) * own * self.scale[:, at]
        mean = self._by_state("mean_annual_log_return", at) / PERIODS
        σ = wider * self._by_state("annual_volatility", at) / math.sqrt(PERIODS)

        # Given the return, the gap is its share of it plus noise: then gap and day are uncorrelated, and the
        # variances add up to the calibrated shares.
        share = _calibration()["overnight_share_of_variance"][twin]
        total = mean + σ * innovation
        gap = share * total + math.sqrt(share * (1 - share)) * σ * self.scale[:, at] * gap_noise
        inside = total - gap

        # Extremes of a Brownian bridge: (d ± √(d² + 2s²E))/2, d its move, s its volatility, E exponential.
        s = _BRIDGE[twin] * math.sqrt(1 - share) * σ * self.scale[:, at]
        high = (inside + np.sqrt(inside * inside + 2 * s * s * up)) / 2
        low = (inside - np.sqrt(inside * inside + 2 * s * s * down)) / 2

        start = _calibration()["start_price"][twin]
        growth = _exp(total)
        close = start * np.cumprod(growth) / growth[0]
        open_ = close / growth * _exp(gap)
        o, h, l, c = (_rounded(x) for x in (open_, open_ * _exp(high), open_ * _exp(low), close))  # noqa: E741
        busy = np.array(_VOLUME_OF_STATE)[self.states] + _VOLUME_NOISE * volume_noise
        busy = busy + _VOLUME_OF_MOVE * (np.minimum(np.abs(innovation), 5.0) - _USUAL_MOVE)
        volume = np.rint(_calibration()["median_daily_volume_shares"][twin] * _exp(busy) / 100) * 100
        highest, lowest = (np.maximum(h, np.maximum(o, c)), np.minimum(l, np.minimum(o, c)))  # rounding may cross
        return pd.DataFrame({"open": o, "high": highest, "low": lowest, "close": c, "volume": volume})

    def _by_state(self, figure: str, at: int) -> Floats:
        return np.array([state[figure][at] for state in _states()])[self.states]

    def _uniform(self, stream: int, width: int) -> Floats:
        """`width` numbers in (0, 1) for each session, shape (n, width)."""
        raw = np.random.PCG64(np.random.SeedSequence([self.seed, stream])).random_raw(self.n * width)
        return (((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53).reshape(self.n, width)


def _sessions(start: object, end: object) -> pd.DatetimeIndex:
    first, last = check_window(start, end)
    if first is None or last is None:
        raise InputError(
            f"start={start!r}, end={end!r}", f"the sample market needs both, as {SAMPLE_START}, {SAMPLE_END}"
        )
    sessions = exchange_sessions(first, last)
    if sessions.empty:
        raise InputError(f"no XNYS session from {first:%Y-%m-%d} to {last:%Y-%m-%d}", "give a longer window")
    return pd.DatetimeIndex(sessions.to_numpy(), name="date")


def _chain(uniform: Floats) -> npt.NDArray[np.int64]:
    """The states' path: the first by its share of days, the next by the transition row of the one before."""
    shares = [state["share_of_days"] for state in _states()]
    rows = _calibration()["daily_transition"]
    path = np.empty(len(uniform), dtype=np.int64)
    weights = shares
    for t, u in enumerate(uniform):
        state, reached = 0, weights[0]
        while u >= reached and state < len(weights) - 1:
            state += 1
            reached += weights[state]
        path[t] = state
        weights = rows[state]
    return path


def _freedom(kurtosis_excess: float) -> int:
    """Degrees of freedom whose Student-t has this excess kurtosis, 6/(ν - 4); at most _MAX_FREEDOM."""
    if kurtosis_excess <= 6 / (_MAX_FREEDOM - 4):
        return _MAX_FREEDOM
    return round(4 + 6 / kurtosis_excess)


def _cholesky(matrix: list[list[float]]) -> list[list[float]]:
    """Lower triangular L with L Lᵀ = matrix, in plain arithmetic: LAPACK differs by machine."""
    n = len(matrix)
    L = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[i][j]
            for k in range(j):
                rest -= L[i][k] * L[j][k]
            L[i][j] = math.sqrt(rest) if i == j else rest / L[j][j]
    return L


def _exp(x: Floats) -> Floats:
    """exp by its series in plain arithmetic; exact enough for |x| <= 3."""
    total = np.ones_like(x)
    for k in range(24, 0, -1):
        total = 1.0 + x * total / k
    return total


def _on_grid(x: Floats) -> Floats:
    rounded: Floats = np.rint(x * _GRID) / _GRID
    return rounded


def _rounded(price: Floats) -> Floats:
    """Prices to six decimals, as vendors give them."""
    rounded: Floats = np.rint(price * 1e6) / 1e6
    return rounded


@cache
def _calibration() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("calibration.json").read_text(encoding="utf-8")
    figures: dict[str, Any] = json.loads(text)
    return figures


def _states() -> list[dict[str, Any]]:
    return list(_calibration()["states"].values())
