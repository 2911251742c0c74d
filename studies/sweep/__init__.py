"""Many runs, and what they prove."""

# ruff: noqa: F403  each module says what it exports

from .judged import *
from .run import *
from .space import *
from .surface import *
from .tries import *
from .words import *
