"""Three portfolio optimizers through the same broker: what is left of each when loans, spreads and whole shares count.

skfolio stops at weights; `Allocation` holds them. Needs the extra `optimizers`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # from the checkout; not needed with riskoverlay installed

from skfolio.optimization import HierarchicalRiskParity, MeanRisk, RiskBudgeting

from riskoverlay.analyzers import AnnualizedSharpe, MaxDrawdown, TradingCosts
from riskoverlay.feeds import load
from riskoverlay.strategies import Allocation, VolTargetDrawdownSizer
from riskoverlay.studies.workbench import assemble, make_config

OPTIMIZERS = {"minimum variance": MeanRisk(), "HRP": HierarchicalRiskParity(), "risk budgeting": RiskBudgeting()}


def run(optimizer: object, end: str) -> dict[str, float]:
    """Sharpe ratio over bills, drawdown and costs of one optimizer on the sample market, levered to 12 % volatility."""
    cerebro = assemble(
        load("sample", end=end),
        make_config({"cash": 100_000.0, "borrow_rate": 0.05, "cash_rate": 0.0}),
        pairs=[((Allocation, {"rule": optimizer, "lookback": 252}), (VolTargetDrawdownSizer, {"target_vol": 0.12}))],
        analyzers=[(AnnualizedSharpe, {}), (MaxDrawdown, {}), (TradingCosts, {})],
    )
    (strategy,) = cerebro.run()
    costs = strategy.analyzers.TradingCosts.get_analysis()
    return {
        "sharpe": strategy.analyzers.AnnualizedSharpe.get_analysis()["sharpe"],
        "max_drawdown": strategy.analyzers.MaxDrawdown.get_analysis()["depth"],
        "costs": costs["commission"] + costs["slippage"],
        "interest": costs["interest"],
    }


def main(end: str = "2013-12-31") -> dict[str, dict[str, float]]:
    """One table."""
    results = {name: run(optimizer, end) for name, optimizer in OPTIMIZERS.items()}
    for name, result in results.items():
        print(f"{name:17}", "  ".join(f"{key} {value:10.3f}" for key, value in result.items()))
    return results


if __name__ == "__main__":
    main()
