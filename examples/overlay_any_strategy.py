"""The overlay on somebody else's strategy: backtrader's SMA_CrossOver, which knows nothing of leverage.

It calls `buy()` and `sell()` without a size; the sizer decides how much, from the volatility of the strategy's own
unlevered exposure and the drawdown of the account.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # from the checkout; not needed with riskoverlay installed

import backtrader as bt

from riskoverlay.analyzers import AnnualizedSharpe, Exposure, MaxDrawdown
from riskoverlay.feeds import load
from riskoverlay.strategies import VolTargetDrawdownSizer
from riskoverlay.studies.workbench import assemble, make_config


def run(**overlay: float) -> dict[str, float]:
    """Sharpe ratio, drawdown and highest leverage of the strategy on SPY under an overlay."""
    cerebro = assemble(
        load("sample", symbols="SPY"),
        make_config({"cash": 100_000.0}),
        pairs=[((bt.strategies.SMA_CrossOver, {"fast": 50, "slow": 200}), (VolTargetDrawdownSizer, overlay))],
        analyzers=[(AnnualizedSharpe, {}), (MaxDrawdown, {}), (Exposure, {})],
    )
    analyzers = cerebro.run()[0].analyzers
    return {
        "sharpe": analyzers.AnnualizedSharpe.get_analysis()["sharpe"],
        "max_drawdown": analyzers.MaxDrawdown.get_analysis()["depth"],
        "max_leverage": max(analyzers.Exposure.get_analysis()["leverage"]),
    }


def main() -> dict[str, dict[str, float]]:
    """The strategy as it is, and under the overlay."""
    results = {"unlevered": run(lev_min=1.0, lev_max=1.0), "overlay": run(target_vol=0.12, lev_max=1.8)}
    for name, result in results.items():
        print(f"{name:10}", "  ".join(f"{key} {value:7.3f}" for key, value in result.items()))
    return results


if __name__ == "__main__":
    main()
