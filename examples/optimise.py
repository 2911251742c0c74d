"""Backtrader's own optimisation over our parameters, in two processes.

Parameters of the strategy are given as they are, those of its default sizer through `overlay`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # from the checkout; not needed with riskoverlay installed


from riskoverlay.analyzers import AnnualizedSharpe
from riskoverlay.feeds import load
from riskoverlay.strategies import RiskParityBlend
from riskoverlay.studies.workbench import assemble, make_config


def main(maxcpus: int = 2) -> dict[tuple[float, float], float]:
    """Sharpe ratio by (alpha_minvar, target_vol). Many tries make one of them look good by luck."""
    panel, config = load("sample", end="2013-12-31"), make_config({"cash": 100_000.0})
    cerebro = assemble(panel, config, pairs=(), analyzers=[(AnnualizedSharpe, {})])
    cerebro.optstrategy(
        RiskParityBlend, alpha_minvar=(0.0, 0.3, 0.6), overlay=tuple({"target_vol": target} for target in (0.08, 0.12))
    )
    results = {}
    for (run,) in cerebro.run(maxcpus=maxcpus):
        key = (run.params.alpha_minvar, run.params.overlay["target_vol"])
        results[key] = run.analyzers.AnnualizedSharpe.get_analysis()["sharpe"]
    for (alpha, target), sharpe in results.items():
        print(f"alpha_minvar {alpha:.1f}  target_vol {target:.2f}  sharpe {sharpe:.3f}")
    return results


if __name__ == "__main__":
    main()
