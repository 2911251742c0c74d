"""How much of a result is luck: plain functions over returns, fractions per session in and out."""

from .bootstrap import Interval, bootstrap_intervals, confidence
from .overfitting import Overfitting, cscv
from .sharpe import (
    SCORES,
    Deflated,
    annual_sharpe,
    annualized_returns,
    deflated_sharpe,
    expected_maximum,
    minimum_track_record,
    probabilistic_sharpe,
    session_sharpe,
)
from .words import interval_rows, intervals_summary

__all__ = [
    "SCORES",
    "Deflated",
    "Interval",
    "Overfitting",
    "annual_sharpe",
    "annualized_returns",
    "bootstrap_intervals",
    "confidence",
    "cscv",
    "deflated_sharpe",
    "expected_maximum",
    "interval_rows",
    "intervals_summary",
    "minimum_track_record",
    "probabilistic_sharpe",
    "session_sharpe",
]
