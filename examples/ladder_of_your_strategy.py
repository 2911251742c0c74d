"""Somebody else's strategy up the ladder: what backtrader's SMA_CrossOver loses on its way to a real account."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # from the checkout; not needed with riskoverlay installed

import backtrader as bt

from riskoverlay.feeds import load
from riskoverlay.studies.ladder import Ladder, conclusion, ladder
from riskoverlay.studies.workbench import make_config


def main(end: str = "2015-12-31") -> Ladder:
    """Every rung, and what to make of them."""
    cross = (bt.strategies.SMA_CrossOver, {"fast": 50, "slow": 200})
    result = ladder(load("sample", symbols="SPY", end=end), make_config({"strategy": cross, "target_vol": 0.15}))
    for step in result.steps:
        sharpes = "  ".join(f"{name} {leg.statistics['excess_sharpe']:6.3f}" for name, leg in step.legs.items())
        print(f"{step.rung.id:16} {sharpes}  {step.what}")
    print(conclusion(result))
    return result


if __name__ == "__main__":
    main()
