"""Two strategies in one account: ours on 60 % of it, backtrader's moving-average cross-over on the same SPY.

Both hold SPY; each sees and trades its own shares only. The parts add up to the account.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # from the checkout; not needed with riskoverlay installed

import backtrader as bt

from riskoverlay.analyzers import DailySeries, StrategyProfit
from riskoverlay.feeds import load
from riskoverlay.strategies import OwnPosition, RiskParityBlend, VolTargetDrawdownSizer
from riskoverlay.studies.workbench import assemble, make_config


class CrossOver(OwnPosition, bt.strategies.SMA_CrossOver):
    """Backtrader's own sample strategy, which buys and sells its first feed; `OwnPosition` keeps its books apart."""


def main() -> dict[str, float]:
    """Run both; returns each strategy's profit and the account's, money."""
    # A sizer each: 60 % of the equity for ours, 40 % for the other, whose one slot is SPY.
    cerebro = assemble(
        load("sample"),
        make_config({"cash": 100_000.0}),
        pairs=[
            ((RiskParityBlend, {}), (VolTargetDrawdownSizer, {"allocation": 0.6, "lev_max": 1.5})),
            (
                (CrossOver, {"fast": 50, "slow": 200}),
                (VolTargetDrawdownSizer, {"allocation": 0.4, "slots": 1, "lev_max": 1.5}),
            ),
        ],
        analyzers=[(StrategyProfit, {}), (DailySeries, {})],
    )
    strategies = cerebro.run()

    profits = {}
    for strategy in strategies:
        analysis = strategy.analyzers.StrategyProfit.get_analysis()
        profits[analysis["strategy"]] = analysis["profit"]
    series = strategies[0].analyzers.DailySeries.get_analysis()
    profits["account"] = series["value"][-1] - series["start"]
    for name, profit in profits.items():
        print(f"{name:16} {profit:12,.2f}")
    return profits


if __name__ == "__main__":
    main()
