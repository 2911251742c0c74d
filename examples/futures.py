"""The default portfolio with three of its funds as futures, made from the sample market, beside the same in shares.

A contract is not paid for: its margin is set aside, and each close settles what it made in cash. Nothing is borrowed
for it; its financing is inside its price, here 2 % a year. The sizer counts price × multiplier, in whole contracts.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # from the checkout; not needed with riskoverlay installed

import backtrader as bt
import numpy as np
import pandas as pd

from riskoverlay.analyzers import DailySeries, Exposure, TradingCosts
from riskoverlay.feeds import Panel, PanelFeed, load
from riskoverlay.strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account

CONTRACTS = {"ES": ("SPY", 50.0), "ZN": ("TLT", 1_000.0), "GC": ("GLD", 100.0)}
"""Name: the fund it is made from, and the money that one point makes."""

FINANCING = 0.02
"""Annual fraction by which a future falls behind its underlying."""

CASH = 20_000_000.0  # one ZN-like contract is worth about 100,000


def future(bars: pd.DataFrame) -> pd.DataFrame:
    """A continuous contract, rolled without a gap: the fund's bars less the financing inside the price."""
    days = np.asarray((bars.index - bars.index[0]).days, dtype=float)
    prices = bars[["open", "high", "low", "close"]].mul(np.exp(-FINANCING * days / 365.0), axis=0)
    return prices.assign(volume=bars["volume"])


def run(panel: Panel, contracts: dict[str, tuple[str, float]]) -> dict[str, float]:
    """The strategy on a panel, some of its funds replaced by contracts; what came of it."""
    names = {fund: name for name, (fund, _) in contracts.items()}
    cerebro = bt.Cerebro(stdstats=False)
    for symbol, bars in panel.frames.items():
        name = names.get(symbol, symbol)
        prices = future(bars) if symbol in names else bars
        cerebro.adddata(PanelFeed(dataname=prices), name=name)  # type: ignore[call-arg]  # backtrader `params`
    account = open_account(cerebro, cash=CASH, borrow_rate=0.05)
    for name, (fund, mult) in contracts.items():
        margin = 0.06 * mult * float(panel.frames[fund]["close"].iloc[0])
        account.setcommission(margin=margin, mult=mult, commission=2.5, name=name)  # money a contract
    cerebro.addstrategy(RiskParityBlend)
    cerebro.addsizer(VolTargetDrawdownSizer, target_vol=0.12, lev_max=2.0)
    for analyzer in (DailySeries, TradingCosts, Exposure):
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    (strategy,) = cerebro.run()
    costs = strategy.analyzers.TradingCosts.get_analysis()
    series = strategy.analyzers.DailySeries.get_analysis()
    return {
        "end": costs["end"],
        "interest": costs["interest"],
        "commission": costs["commission"],
        "largest loan": max(series["loan"]),
        "highest leverage": max(strategy.analyzers.Exposure.get_analysis()["leverage"]),
    }


def main() -> dict[str, dict[str, float]]:
    """In shares, and with contracts."""
    panel = load("sample")
    results = {"shares": run(panel, {}), "contracts": run(panel, CONTRACTS)}
    print(f"{'':18}" + "".join(f"{name:>16}" for name in results))
    for figure in results["shares"]:
        print(f"{figure:18}" + "".join(f"{result[figure]:16,.2f}" for result in results.values()))
    return results


if __name__ == "__main__":
    main()
