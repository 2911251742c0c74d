"""Every asset's positions and trades for pyfolio, and the returns for QuantStats.

    python examples/pyfolio_quantstats.py

Needs pyfolio-reloaded and quantstats. Prints each library's Sharpe ratio and maximum drawdown beside ours.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from riskoverlay.analyzers import PERIODS, PortfolioReturns, summary
from riskoverlay.feeds import load
from riskoverlay.strategies import RiskParityBlend
from riskoverlay.studies.workbench import assemble, make_config

warnings.filterwarnings("ignore", message='Module "zipline.assets" not found')


def main() -> dict[str, dict[str, float]]:
    """Sharpe ratio (mean/std(ddof=1)·√252, as both libraries define it) and maximum drawdown, by whom."""
    import matplotlib

    matplotlib.use("Agg")  # before the libraries ask for a screen
    import quantstats as qs
    from pyfolio import pos, timeseries, txn

    cerebro = assemble(
        load("sample", end="2012-12-31"),
        make_config({"cash": 100_000.0}),
        pairs=[((RiskParityBlend, {"cov_lookback": 126, "min_hist": 126}), None)],  # None: its own sizer
        analyzers=[(PortfolioReturns, {})],
    )
    (strategy,) = cerebro.run()

    returns, positions, transactions, _ = strategy.analyzers.PortfolioReturns.get_pf_items()
    stats = timeseries.perf_stats(returns, positions=positions, transactions=transactions)
    print(stats.to_string())
    print("mean allocation:")
    print(pos.get_percent_alloc(positions).mean().map("{:.1%}".format).to_string())
    print(f"mean daily turnover: {txn.get_turnover(positions, transactions).mean():.2%}")

    naive = returns.tz_localize(None)  # QuantStats wants dates without a time zone
    r = returns.to_numpy()
    return {
        "riskoverlay": {
            "sharpe": float(r.mean() / r.std(ddof=1) * np.sqrt(PERIODS)),
            "max_drawdown": summary(r)["max_drawdown"],
        },
        "pyfolio": {"sharpe": float(stats["Sharpe ratio"]), "max_drawdown": float(stats["Max drawdown"])},
        "quantstats": {"sharpe": float(qs.stats.sharpe(naive)), "max_drawdown": float(qs.stats.max_drawdown(naive))},
    }


if __name__ == "__main__":
    for name, figures in main().items():
        print(f"{name:<12} Sharpe {figures['sharpe']:8.5f}   max drawdown {figures['max_drawdown']:8.4%}")
