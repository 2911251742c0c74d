"""What choosing by the past would have earned."""

from .account import Account, Plan, trade_plan
from .choosing import Window, choose, windows
from .run import Walk, walkforward
from .words import choice_rows, walk_frame, walk_in_words, walk_rows, walk_summary

__all__ = [
    "Account",
    "Plan",
    "Walk",
    "Window",
    "choice_rows",
    "choose",
    "trade_plan",
    "walk_frame",
    "walk_in_words",
    "walk_rows",
    "walk_summary",
    "walkforward",
    "windows",
]
