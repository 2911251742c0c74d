"""Many runs, and what they prove."""

from .judged import Judged, judge
from .run import BATCH, SEARCHES, number_of_tries, sweep
from .space import Dimension, Params, parse_dimension
from .tries import CRITERIA, Outcome, Sweep, Try, run_try
from .words import in_words, params_in_words, ranking_rows, sweep_frame, sweep_summary, value_in_words

__all__ = [
    "BATCH",
    "CRITERIA",
    "SEARCHES",
    "Dimension",
    "Judged",
    "Outcome",
    "Params",
    "Sweep",
    "Try",
    "in_words",
    "judge",
    "number_of_tries",
    "params_in_words",
    "parse_dimension",
    "ranking_rows",
    "run_try",
    "sweep",
    "sweep_frame",
    "sweep_summary",
    "value_in_words",
]
