"""Markets made by hand, and the settings with which a few hundred sessions go through every rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.typing import ArrayLike

from riskoverlay.feeds import Panel, align
from riskoverlay.strategies import NOTEBOOK, AccountTerms, LeverageRules, WeightRules
from riskoverlay.strategies.leverage import target_leverage
from riskoverlay.strategies.paper import PaperResult, paper_backtest
from riskoverlay.strategies.weights import blended_weights
from riskoverlay.studies.workbench.parameters import values_of
from riskoverlay.studies.workbench.rates import with_dated_rates

QUICK = {"cov_lookback": 60, "min_hist": 60, "vol_lookback": 20}
"""Parameters with which a few hundred sessions go through every rule."""

FREE = {"execution": "close", "whole_shares": False, "commission_bps": 0.0, "slippage_bps": 0.0, "borrow_rate": 0.0}
"""An account without costs that fills fractions at the close that decided."""

Prices = Sequence[float] | npt.NDArray[np.float64]


def frame(closes: Prices, start: str = "2020-01-01", opens: Prices | None = None) -> pd.DataFrame:
    """Bars on consecutive business days; opens are the closes before unless given."""
    closes = np.asarray(closes, dtype=float)
    opens = np.r_[closes[0], closes[:-1]] if opens is None else np.asarray(opens, dtype=float)
    index = pd.bdate_range(start, periods=len(closes), name="date")
    columns = {
        "open": opens,
        "high": np.maximum(opens, closes),
        "low": np.minimum(opens, closes),
        "close": closes,
        "volume": np.full(len(closes), 1e6),
    }
    return pd.DataFrame(columns, index=index)


def panel(**closes: Prices) -> Panel:
    """Panel of hand-made closes by symbol."""
    return align({symbol: frame(values) for symbol, values in closes.items()})


# -- prices as traded, and members that come and go --------------------------------------------------------------------


def as_traded(
    frames: Mapping[str, pd.DataFrame], rng: np.random.Generator, *, yields: float = 0.02, splits: bool = True
) -> dict[str, pd.DataFrame]:
    """Bars of the same total returns, C(t)/(C(t−1)/s − D) − 1, of which part is paid out and which are split.

    yields: the most that a dividend may be of the price before it.
    """
    found = {}
    for symbol, bars in frames.items():
        n, closes = len(bars), bars["close"].to_numpy()
        paid = np.where(rng.random(n) < 0.06, rng.uniform(0.0, yields, n), 0.0)
        ratio = np.where(rng.random(n) < 0.04, rng.choice([2.0, 3.0, 1.5, 0.1], n), 1.0) if splits else np.ones(n)
        paid[0], ratio[0] = 0.0, 1.0
        scale = np.cumprod((1.0 - paid) / ratio)
        raw = bars.copy()
        for name in ("open", "high", "low", "close"):
            raw[name] = bars[name] * scale
        before = np.r_[closes[0], (closes * scale)[:-1]]
        raw["dividend"], raw["split"] = paid * before / ratio, ratio
        found[symbol] = raw
    return found


def with_lives(frames: Mapping[str, pd.DataFrame], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Some begin later, some end: the first keeps all sessions."""
    found = {}
    for at, (symbol, bars) in enumerate(frames.items()):
        n = len(bars)
        first = int(rng.integers(1, n // 2)) if at and rng.random() < 0.5 else 0
        last = int(rng.integers(first + 2, n)) if at and rng.random() < 0.4 else n
        found[symbol] = bars.iloc[first:last]
    return found


def come_and_gone(rng: np.random.Generator, n: int = 110) -> Panel:
    """A random market of prices as traded, most of whose symbols begin late or end early."""
    frames = random_market(rng, n, int(rng.integers(1, 5))).frames
    return align(with_lives(as_traded(frames, rng), rng), universe="ragged")


def charges_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an account charges by a configuration, where no bill is known."""
    return with_dated_rates(values_of(config, AccountTerms), {})


# -- random markets and parameters ------------------------------------------------------------------------------------

SHORT = {"cov_lookback": 20, "min_hist": 20, "vol_lookback": 10, "calendar": None}


def random_market(rng: np.random.Generator, n: int, k: int) -> Panel:
    """Prices that wander, gap overnight, and now and then crash: margin calls and refused orders are common."""
    days = pd.bdate_range("2020-01-01", periods=n)
    daily = rng.normal(0.0003, rng.uniform(0.004, 0.03, k), (n, k)) - 0.35 * (
        rng.random((n, k)) < rng.choice([0, 0.02])
    )
    close = rng.uniform(3.0, 400.0, k) * np.exp(np.cumsum(daily, axis=0))
    opens = np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0.0, rng.choice([0.002, 0.08]), (n, k)))
    frames = {}
    for i in range(k):
        high, low = np.maximum(opens[:, i], close[:, i]), np.minimum(opens[:, i], close[:, i])
        columns = {"open": opens[:, i], "high": high, "low": low, "close": close[:, i], "volume": 1e6}
        frames[f"S{i}"] = pd.DataFrame(columns, index=days)
    return align(frames)


def parameters(rng: np.random.Generator) -> dict[str, Any]:
    """Any of what a backtest can be told."""
    maintenance = float(rng.choice([0.1, 0.25, 0.45, 0.9]))
    return {
        **SHORT,
        "rebalance_freq": str(rng.choice(["ME", "W-FRI", "2ME", "D"])),
        "relever": str(rng.choice(["daily", "rebalance"])),
        "drift": str(rng.choice(["hold", "daily"])),
        "lev_band": float(rng.choice([0.0, 0.1, 0.5])),
        "target_vol": float(rng.choice([0.05, 0.5, 1.0])),
        "lev_min": float(rng.choice([0.0, 0.3, 1.0])),
        "lev_max": float(rng.choice([1.0, 2.0, 8.0])),
        "dd_threshold1": 0.05, "dd_threshold2": float(rng.choice([0.05, 0.2, 0.9])),
        "whole_shares": bool(rng.random() < 0.7),
        "cash": float(rng.choice([3_000.0, 100_000.0])),
        "execution": str(rng.choice(["next_open", "close"])),
        "slippage_bps": float(rng.choice([0.0, 2.0, 200.0])),
        "commission_bps": float(rng.choice([0.0, 1.0, 50.0])),
        "commission_per_share": float(rng.choice([0.0, 0.005])),
        "commission_min": float(rng.choice([0.0, 1.0])),
        "maintenance_margin": maintenance,
        "initial_margin": float(rng.choice([maintenance, maintenance, max(0.5, maintenance)])),
        "borrow_rate": rate(rng, 0.3), "cash_rate": rate(rng, 0.03),
        "day_count": int(rng.choice([360, 365])),
    }  # fmt: skip


def rate(rng: np.random.Generator, most: float) -> Any:
    """A number, or one by date."""
    if rng.random() < 0.5:
        return float(rng.choice([0.0, most]))
    return {str(day.date()): float(rng.uniform(0.0, most)) for day in pd.date_range("2019-12-01", periods=9, freq="ME")}


# -- rules given one by one --------------------------------------------------------------------------------------------


def paper(closes: pd.DataFrame, **rules: Any) -> PaperResult:
    """`paper_backtest`, the fields of its two rules given by name beside its own arguments."""
    weights = {name: rules.pop(name) for name in WeightRules.described() if name in rules}
    leverage = {name: rules.pop(name) for name in LeverageRules.described() if name in rules}
    return paper_backtest(closes, replace(NOTEBOOK, **weights), LeverageRules(**leverage), **rules)


def blended(returns: ArrayLike, budgets: ArrayLike | None = None, **rules: Any) -> npt.NDArray[np.float64]:
    """`blended_weights`, the fields of its rules given by name."""
    return blended_weights(returns, WeightRules(**rules), budgets=budgets)


def leverage_at(sigma: float | None, drawdown: float, **rules: Any) -> float:
    """`target_leverage`, the fields of its rules given by name."""
    return target_leverage(sigma, drawdown, LeverageRules(**rules))
