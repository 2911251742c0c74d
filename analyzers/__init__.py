"""What happened: backtrader Analyzers and Observers for any strategy, over pure functions."""

# ruff: noqa: F403  each module says what it exports

if __name__ != "riskoverlay.analyzers":
    raise ImportError(f"{__name__} is riskoverlay.analyzers: import it by that name")


from .active import *
from .attribution import *
from .costs import *
from .drawdown import *
from .exposure import *
from .fills import *
from .observers import *
from .profit import *
from .pyfolio import *
from .riskfree import *
from .series import *
from .sharpe import *
from .statistics import *
