"""Calendars of exchanges: built once for everybody, as far as they are defined."""

from __future__ import annotations

import exchange_calendars
import pandas as pd
import pytest

from riskoverlay.errors import InputError
from riskoverlay.exchange import CALENDARS, USUAL, exchange_calendar, reach


def test_one_calendar_serves_every_usual_year(monkeypatch: pytest.MonkeyPatch) -> None:
    built = exchange_calendar("XNYS", 2010, 2012)
    monkeypatch.setattr(exchange_calendars, "get_calendar", None)  # nobody asks again
    assert exchange_calendar("XNYS", *USUAL) is built
    assert exchange_calendar("XNYS", 2031, 2031) is built


@pytest.mark.parametrize("name", ["XNYS", "XLON", "XTKS", "24/7"])
def test_sixty_years_say_of_one_what_a_calendar_of_its_own_says(name: str) -> None:
    own = exchange_calendars.get_calendar(name, start="2012-01-01", end="2012-12-31")
    shared = exchange_calendar(name, 2012, 2012)
    pd.testing.assert_series_equal(shared.closes["2012"], own.closes, check_freq=False)


@pytest.mark.parametrize(("first", "last"), [(1929, 1931), (2060, 2061)])
def test_other_years_are_built_too(first: int, last: int) -> None:
    sessions = exchange_calendar("XNYS", first, last).sessions
    assert (sessions[0].year, sessions[-1].year) == (first, last)


def test_a_calendar_with_ends_is_built_up_to_them() -> None:
    low, high = reach("XBOM")
    assert low == pd.Timestamp("1997-01-01") and high is not None
    sessions = exchange_calendar("XBOM", 1990, high.year + 5).sessions
    assert low <= sessions[0] and sessions[-1] <= high
    assert reach("XNYS") == (None, None)


def test_years_beyond_the_ends_have_no_sessions() -> None:
    sessions = exchange_calendar("XSAU", 1995, 1996).sessions
    assert not len(sessions[sessions < "1997"])


def test_what_cannot_be_made_is_refused_by_name() -> None:
    # exchange_calendars lists it and fails on pandas 3.
    try:
        exchange_calendars.get_calendar("XTAE")
    except (ValueError, NotImplementedError):
        with pytest.raises(InputError, match="calendar='XTAE' cannot be made by exchange_calendars: give another"):
            exchange_calendar("XTAE", 2010, 2011)
    assert "XTAE" in CALENDARS
