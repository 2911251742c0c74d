"""Pictures: PNG, SVG or PDF, drawn without a screen."""

# ruff: noqa: F403  each module says what it exports

from .canvas import *
from .panels import *
from .routes import *
from .sweep import *
from .waterfall import *
