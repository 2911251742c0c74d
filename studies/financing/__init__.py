"""What the loan may cost."""

# ruff: noqa: F403  each module says what it exports

from .spreads import *
