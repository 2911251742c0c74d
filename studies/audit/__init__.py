"""Does a strategy decide the same when the future is another?"""

# ruff: noqa: F403  each module says what it exports

from .candidate import *
from .changes import *
from .findings import *
from .recorder import *
from .run import *
