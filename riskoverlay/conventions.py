"""Numbers that every room uses alike."""

__all__ = ["DAYS_PER_YEAR", "PERIODS"]

PERIODS = 252
"""Sessions in a year: the only place that says so."""

DAYS_PER_YEAR = 365
"""Calendar days a year in which brokers quote loan interest (actual/365)."""
