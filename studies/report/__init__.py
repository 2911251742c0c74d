"""The report of a backtest: one HTML file that needs nothing else."""

# ruff: noqa: F403  each module says what it exports

from .page import *
