"""Rebalance sessions: month-ends, holidays on them, closures, calendars, and what must not be known."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import exchange_calendars
import pandas as pd
import pytest

from riskoverlay.strategies.schedule import RebalanceSchedule, check_frequency, rebalance_sessions


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def sessions(start: str, end: str, calendar: str = "XNYS") -> pd.DatetimeIndex:
    return exchange_calendars.get_calendar(calendar, start=start, end=end).sessions


def due_dates(schedule: RebalanceSchedule, bars: pd.DatetimeIndex) -> list[str]:
    dates = [None, *bars.date]
    return [str(date) for previous, date in pairwise(dates) if schedule.due(date, previous)]


# Frequencies


@pytest.mark.parametrize(
    ("alias", "read_as"),
    [
        ("ME", "ME"),
        ("M", "ME"),
        ("2M", "2ME"),
        ("Q", "QE-DEC"),
        ("Q-NOV", "QE-NOV"),
        ("Y", "YE-DEC"),
        ("A", "YE-DEC"),
        ("A-JUN", "YE-JUN"),
        ("BM", "BME"),
        ("W-FRI", "W-FRI"),
        ("MS", "MS"),
        ("D", "D"),
    ],
)
def test_frequency_aliases(alias: str, read_as: str) -> None:
    assert check_frequency(alias).freqstr == read_as


@pytest.mark.parametrize("alias", ["", "foo", "monthly", "0ME", "-1ME", "h", "15min", "M E", "nan", "None"])
def test_unknown_frequencies_are_refused_in_one_line(alias: str) -> None:
    with pytest.raises(
        ValueError, match=r"^rebalance_freq=.* is no period of days: give an alias such as ME"
    ) as caught:
        RebalanceSchedule(alias)
    assert "\n" not in str(caught.value)
    assert repr(alias) in str(caught.value)


def test_unknown_calendars_are_refused_in_one_line() -> None:
    for name in ("NOWHERE", ""):
        with pytest.raises(ValueError, match=rf"^calendar='{name}' is unknown: give a name"):
            RebalanceSchedule("ME", name)
    RebalanceSchedule("ME", "XNYS")
    RebalanceSchedule("ME", None)


# Sessions of a list


def test_the_last_session_of_each_period() -> None:
    bars = sessions("2012-01-01", "2012-12-31")
    by_hand = [max(d for d in bars if d.month == month) for month in range(1, 13)]
    assert list(rebalance_sessions(bars, "ME")) == by_hand
    assert list(rebalance_sessions(bars, "M")) == by_hand
    assert list(rebalance_sessions(bars, "QE")) == by_hand[2::3]
    assert list(rebalance_sessions(bars, "YE")) == by_hand[-1:]


def test_multiples_count_from_the_first_session() -> None:
    bars = sessions("2012-02-06", "2012-12-31")
    assert [d.month for d in rebalance_sessions(bars, "2ME")] == [2, 4, 6, 8, 10, 12]
    assert [d.month for d in rebalance_sessions(bars[bars >= "2012-03-01"], "2ME")] == [3, 5, 7, 9, 11, 12]


# Bar by bar


@pytest.mark.parametrize("freq", ["ME", "QE", "YE", "W-FRI", "2ME", "D", "BME", "MS"])
def test_bar_by_bar_equals_the_list_that_knows_the_future(freq: str) -> None:
    known = sessions("2005-01-03", "2035-12-31")
    bars = known[known <= "2025-12-31"]
    expected = [str(d.date()) for d in rebalance_sessions(known, freq) if d <= bars[-1]]
    assert due_dates(RebalanceSchedule(freq), bars) == expected


@pytest.mark.parametrize(
    ("freq", "start", "end", "expected"),
    [
        ("ME", "2018-03-26", "2018-04-04", ["2018-03-29"]),  # Good Friday on the 30th
        ("ME", "2024-03-25", "2024-04-03", ["2024-03-28"]),  # Good Friday on the 29th
        ("ME", "2012-10-24", "2012-11-02", ["2012-10-31"]),  # closed on the 29th and 30th, open on the 31st
        ("W-FRI", "2012-10-24", "2012-11-02", ["2012-10-26", "2012-11-02"]),
        ("W-FRI", "2018-03-26", "2018-04-06", ["2018-03-29", "2018-04-06"]),
        ("W-MON", "2012-10-22", "2012-11-05", ["2012-10-22", "2012-10-26", "2012-11-05"]),
        ("W-FRI", "2001-09-05", "2001-09-21", ["2001-09-07", "2001-09-10", "2001-09-21"]),
        ("ME", "2023-12-27", "2024-01-03", ["2023-12-29"]),
        ("QE-NOV", "2024-11-25", "2024-12-31", ["2024-11-29"]),
    ],
)
def test_holidays_and_closures(freq: str, start: str, end: str, expected: list[str]) -> None:
    assert due_dates(RebalanceSchedule(freq), sessions(start, end)) == expected


def test_both_sides_of_a_good_friday_month_end() -> None:
    schedule = RebalanceSchedule("ME")
    assert not schedule.due(day("2018-03-28"), day("2018-03-27"))
    assert schedule.due(day("2018-03-29"), day("2018-03-28"))
    assert not schedule.due(day("2018-04-02"), day("2018-03-29"))


def test_a_rebalance_session_without_a_bar_is_served_by_the_next_bar() -> None:
    schedule = RebalanceSchedule("ME")
    assert schedule.due(day("2018-04-02"), day("2018-03-28"))
    assert not schedule.due(day("2018-04-03"), day("2018-04-02"))
    assert schedule.due(day("2018-06-15"), day("2018-04-03")), "several lost at once are served once"
    assert not schedule.due(day("2018-06-18"), day("2018-06-15"))


def test_the_first_bar_counts_only_if_it_is_a_rebalance_session() -> None:
    assert RebalanceSchedule("ME").due(day("2018-03-29"), None)
    assert not RebalanceSchedule("ME").due(day("2018-03-28"), None)
    assert not RebalanceSchedule("ME").due(day("2018-04-02"), None)


def test_bars_on_days_that_are_not_sessions() -> None:
    schedule = RebalanceSchedule("ME")
    assert schedule.due(day("2018-03-29"), day("2018-03-28"))
    assert not schedule.due(day("2018-03-31"), day("2018-03-30"))
    assert not RebalanceSchedule("ME").due(day("2018-03-31"), None)


def test_an_unfinished_month_at_the_end_of_the_data_is_not_due() -> None:
    bars = sessions("2025-11-03", "2025-12-04")
    assert due_dates(RebalanceSchedule("ME"), bars) == ["2025-11-28"]


def test_the_calendar_counts() -> None:
    # 31 December 2024 is a session in New York and none in Tokyo.
    assert RebalanceSchedule("ME", "XNYS").due(day("2024-12-31"), day("2024-12-30"))
    assert not RebalanceSchedule("ME", "XTKS").due(day("2024-12-31"), day("2024-12-30"))
    assert RebalanceSchedule("ME", "XTKS").due(day("2024-12-30"), day("2024-12-27"))


def test_answers_do_not_depend_on_how_far_was_asked_before() -> None:
    fresh, used = RebalanceSchedule("ME"), RebalanceSchedule("ME")
    used.due(day("2019-01-02"), None)
    used.due(day("2090-01-05"), day("2090-01-04"))
    bars = sessions("2019-01-02", "2021-06-30")
    assert due_dates(used, bars) == due_dates(fresh, bars)
    assert used.due(day("2015-01-30"), day("2015-01-29")), "an earlier date than the first is read as well"


def test_dates_across_three_centuries() -> None:
    for date, previous in [
        ("1900-01-31", "1900-01-30"),
        ("1951-03-30", "1951-03-29"),
        ("2100-12-31", "2100-12-30"),
        ("2200-11-28", "2200-11-27"),
    ]:
        assert RebalanceSchedule("ME").due(day(date), day(previous))
    running = RebalanceSchedule("YE")
    assert running.due(day("1900-12-31"), day("1900-12-28"))
    assert running.due(day("2100-12-31"), day("2100-12-30"))
    for date in ("1799-12-31", "2201-01-02"):
        with pytest.raises(ValueError, match=rf"^date {date} is outside calendar XNYS, 1800-"):
            RebalanceSchedule("ME").due(day(date), None)


@pytest.mark.long
def test_a_calendar_that_ends() -> None:
    end = exchange_calendars.get_calendar("XKRX").bound_max().date()
    schedule = RebalanceSchedule("W-WED", "XKRX")
    one = dt.timedelta(days=1)
    assert not schedule.due(end, end - one), "the end of a week that is not known to its end"
    with pytest.raises(ValueError, match="is outside calendar XKRX"):
        schedule.due(end + one, end)


@pytest.mark.long
def test_a_period_that_ends_with_the_calendar_is_complete() -> None:
    end = exchange_calendars.get_calendar("XKRX").bound_max()
    assert (end.month, end.day) == (12, 31)
    last = sessions(f"{end.year}-12-01", str(end.date()), "XKRX")
    assert due_dates(RebalanceSchedule("ME", "XKRX"), last) == [str(last[-1].date())]


# Without a calendar


def test_without_a_calendar_the_first_bar_of_the_next_period_serves() -> None:
    bars = sessions("2018-01-02", "2018-07-10")
    expected = [str(min(d for d in bars if d.month == month).date()) for month in range(2, 8)]
    assert due_dates(RebalanceSchedule("ME", None), bars) == expected
    weekly = due_dates(RebalanceSchedule("W-FRI", None), sessions("2018-03-26", "2018-04-11"))
    assert weekly == ["2018-04-02", "2018-04-09"]


def test_without_a_calendar_every_day_may_be_a_bar() -> None:
    bars = pd.date_range("2018-03-29", "2018-05-02")
    assert due_dates(RebalanceSchedule("ME", None), bars) == ["2018-04-01", "2018-05-01"]
    assert not RebalanceSchedule("ME", None).due(day("2018-04-01"), None)


def test_without_a_calendar_multiples_count_from_the_first_date() -> None:
    bars = sessions("2012-02-06", "2012-12-31")
    due = due_dates(RebalanceSchedule("2ME", None), bars)
    assert [d[:7] for d in due] == ["2012-03", "2012-05", "2012-07", "2012-09", "2012-11"]


def test_without_a_calendar_there_is_an_end_too() -> None:
    with pytest.raises(ValueError, match=r"^date 2201-01-01 is outside calendar None"):
        RebalanceSchedule("ME", None).due(day("2201-01-01"), None)
