from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from feeds import Panel, align, load
from studies.parameters import Config, make_config

settings.register_profile(
    "default", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")

QUICK = {"cov_lookback": 60, "min_hist": 60, "vol_lookback": 20}
"""Parameters with which a few hundred sessions go through every rule."""

FREE = {
    "execution": "close",
    "whole_shares": False,
    "commission_bps": 0.0,
    "slippage_bps": 0.0,
    "borrow_rate": 0.0,
}
"""An account without costs that fills fractions at the close that decided."""


@pytest.fixture(scope="session")
def sample() -> Panel:
    """Three years of the sample market."""
    return load("sample", end="2012-12-31")


@pytest.fixture
def quick() -> Config:
    return make_config(QUICK)


@pytest.fixture(scope="session")
def market() -> Path:
    """Folder of real prices; tests that need it are skipped without it."""
    folder = os.environ.get("RISKOVERLAY_MARKET")
    if not folder:
        pytest.skip("RISKOVERLAY_MARKET is not set: no real prices")
    return Path(folder)


def frame(
    closes: list[float] | np.ndarray, start: str = "2020-01-01", opens: list[float] | None = None
) -> pd.DataFrame:
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


def panel(**closes: list[float] | np.ndarray) -> Panel:
    """Panel of hand-made closes by symbol."""
    return align({symbol: frame(values) for symbol, values in closes.items()})
