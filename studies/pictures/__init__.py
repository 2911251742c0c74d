"""Pictures: PNG, SVG or PDF, drawn without a screen."""

from .canvas import check_picture
from .panels import write_picture
from .sweep import draw_sweep, draw_walk, heat
from .waterfall import draw_waterfall

__all__ = [
    "check_picture",
    "draw_sweep",
    "draw_walk",
    "draw_waterfall",
    "heat",
    "write_picture",
]
