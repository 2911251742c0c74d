"""How much of a paper result survives each step towards a real account."""

# ruff: noqa: F403  each module says what it exports

from .run import *
from .rungs import *
from .steps import *
from .words import *
