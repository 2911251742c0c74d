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


def charges_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an account charges by a configuration, where no bill is known."""
    return with_dated_rates(values_of(config, AccountTerms), {})


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
