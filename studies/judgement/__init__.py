"""How much of a result is luck: plain functions over returns, fractions per session in and out."""

# ruff: noqa: F403  each module says what it exports

from .bootstrap import *
from .overfitting import *
from .sharpe import *
from .words import *
