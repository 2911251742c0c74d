"""What the loan costs: every way to pay for it, and the spread at which the overlay is worth nothing."""

# ruff: noqa: F403  each module says what it exports

from .routes import *
from .spreads import *
from .words import *
