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
from riskoverlay.strategies import OwnPosition, RiskParityBlend, VolTargetDrawdownSizer, open_account


class CrossOver(OwnPosition, bt.strategies.SMA_CrossOver):
    """Backtrader's own sample strategy, which buys and sells its first feed; `OwnPosition` keeps its books apart."""


def main() -> dict[str, float]:
    """Run both; returns each strategy's profit and the account's, money."""
    cerebro = bt.Cerebro(stdstats=False)
    for feed in load("sample").feeds():
        cerebro.adddata(feed)
    open_account(cerebro, cash=100_000)
    cerebro.addstrategy(RiskParityBlend)
    cerebro.addstrategy(CrossOver, fast=50, slow=200)
    # A sizer each: 60 % of the equity for ours, 40 % for the other, whose one slot is SPY.
    cerebro.addsizer_byidx(0, VolTargetDrawdownSizer, allocation=0.6, lev_max=1.5)
    cerebro.addsizer_byidx(1, VolTargetDrawdownSizer, allocation=0.4, slots=1, lev_max=1.5)
    cerebro.addanalyzer(StrategyProfit, _name="profit")
    cerebro.addanalyzer(DailySeries, _name="series")
    strategies = cerebro.run()

    profits = {}
    for strategy in strategies:
        analysis = strategy.analyzers.profit.get_analysis()
        profits[analysis["strategy"]] = analysis["profit"]
    series = strategies[0].analyzers.series.get_analysis()
    profits["account"] = series["value"][-1] - series["start"]
    for name, profit in profits.items():
        print(f"{name:16} {profit:12,.2f}")
    return profits


if __name__ == "__main__":
    main()
