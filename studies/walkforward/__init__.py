"""What choosing by the past would have earned."""

# ruff: noqa: F403  each module says what it exports

from .account import *
from .choosing import *
from .run import *
from .words import *
