"""Numbers that every room uses alike."""

__all__ = ["DAYS_PER_YEAR", "PERIODS", "STALE_DAYS"]

PERIODS = 252
"""Sessions in a year: the only place that says so."""

DAYS_PER_YEAR = 365
"""Calendar days a year in which brokers quote loan interest (actual/365)."""

STALE_DAYS = 10
"""Calendar days without a bar after which a feed counts as ended; the NYSE has not closed for so long since 1914."""
