"""What to trade tomorrow: an account brought from session to session, and held against a broker's statement."""

# ruff: noqa: F403  each module says what it exports

from .history import *
from .run import *
from .statement import *
from .store import *
from .words import *
