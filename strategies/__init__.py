"""What to hold, and how much of it."""

if __name__ != "riskoverlay.strategies":
    raise ImportError(f"{__name__} is riskoverlay.strategies: import it by that name")

from .blend import RiskParityBlend
from .broker import MarginBroker, open_account
from .ledger import OwnPosition
from .margin import DatedRate, MarginAccount, debit_balance
from .overlay import VolTargetDrawdownSizer
from .rules import (
    NOTEBOOK,
    PORTFOLIO_MARGIN,
    REG_T,
    AccountTerms,
    ExecutionTerms,
    LeverageRules,
    SizingRules,
    TradingRules,
    WeightRules,
)

__all__ = [
    "NOTEBOOK",
    "PORTFOLIO_MARGIN",
    "REG_T",
    "AccountTerms",
    "DatedRate",
    "ExecutionTerms",
    "LeverageRules",
    "MarginAccount",
    "MarginBroker",
    "OwnPosition",
    "RiskParityBlend",
    "SizingRules",
    "TradingRules",
    "VolTargetDrawdownSizer",
    "WeightRules",
    "debit_balance",
    "open_account",
]
