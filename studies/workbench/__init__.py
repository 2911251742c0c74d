"""What every study is made with: parameters, one assembly of a Cerebro, backtest, workers, outputs."""

# ruff: noqa: F403  each module says what it exports

from .assembly import *
from .beside import *
from .captions import *
from .outputs import *
from .parameters import *
from .portfolios import *
from .runs import *
from .summaries import *
from .workers import *
