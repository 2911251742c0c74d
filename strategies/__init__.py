"""What to hold, and how much of it."""

# ruff: noqa: F403  each module says what it exports

if __name__ != "riskoverlay.strategies":
    raise ImportError(f"{__name__} is riskoverlay.strategies: import it by that name")

from .account import *
from .actions import *
from .allocation import *
from .blend import *
from .broker import *
from .clock import *
from .financing import *
from .fixed import *
from .ledger import *
from .margin import *
from .overlay import *
from .rebalancing import *
from .restart import *
from .rules import *
from .weighting import *
