"""How much of a paper result survives each step towards a real account."""

from .run import LEGS, Ladder, Leg, Step, ladder, run_rung
from .rungs import IDEAL, REAL, RUNGS, Rung, changes_something, rung_settings
from .words import (
    conclusion,
    costs_in_words,
    ladder_frame,
    ladder_summary,
    signed,
    universe_in_words,
    waterfall_bars,
)

__all__ = [
    "IDEAL",
    "LEGS",
    "REAL",
    "RUNGS",
    "Ladder",
    "Leg",
    "Rung",
    "Step",
    "changes_something",
    "conclusion",
    "costs_in_words",
    "ladder",
    "ladder_frame",
    "ladder_summary",
    "run_rung",
    "rung_settings",
    "signed",
    "universe_in_words",
    "waterfall_bars",
]
