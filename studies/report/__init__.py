"""The pages: a backtest, a ladder, a sweep, a walk-forward, each one HTML file that needs nothing else."""

# ruff: noqa: F403  each module says what it exports

from .kinds import *
from .own import *
from .page import *
from .portfolios import *
from .spans import *
