"""What to hold, and how much of it."""

from .blend import RiskParityBlend
from .broker import MarginBroker, open_account
from .ledger import OwnPosition
from .margin import PORTFOLIO_MARGIN, REG_T, DatedRate, MarginAccount, debit_balance
from .overlay import VolTargetDrawdownSizer

__all__ = [
    "PORTFOLIO_MARGIN",
    "REG_T",
    "DatedRate",
    "MarginAccount",
    "MarginBroker",
    "OwnPosition",
    "RiskParityBlend",
    "VolTargetDrawdownSizer",
    "debit_balance",
    "open_account",
]
