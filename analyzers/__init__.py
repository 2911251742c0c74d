"""What happened: backtrader Analyzers and Observers for any strategy, over pure functions."""

if __name__ != "riskoverlay.analyzers":
    raise ImportError(f"{__name__} is riskoverlay.analyzers: import it by that name")


from .costs import TradingCosts
from .drawdown import MaxDrawdown
from .exposure import Exposure
from .fills import Fills
from .observers import DrawdownBrake, Leverage, plot
from .profit import StrategyProfit
from .pyfolio import PortfolioReturns
from .series import DailySeries
from .sharpe import AnnualizedSharpe
from .statistics import (
    PERIODS,
    Drawdown,
    annualized_return,
    annualized_volatility,
    drawdown_series,
    max_drawdown,
    monthly_returns,
    sharpe_ratio,
    simple_returns,
    summary,
    worst_drawdowns,
)

__all__ = [
    "PERIODS",
    "AnnualizedSharpe",
    "DailySeries",
    "Drawdown",
    "DrawdownBrake",
    "Exposure",
    "Fills",
    "Leverage",
    "MaxDrawdown",
    "PortfolioReturns",
    "StrategyProfit",
    "TradingCosts",
    "annualized_return",
    "annualized_volatility",
    "drawdown_series",
    "max_drawdown",
    "monthly_returns",
    "plot",
    "sharpe_ratio",
    "simple_returns",
    "summary",
    "worst_drawdowns",
]
