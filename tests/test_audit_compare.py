"""Where two tapes part: tapes made by hand, whose first difference is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from riskoverlay.studies.audit.compare import difference, first_apart, values_differ
from riskoverlay.studies.audit.tape import Difference, Event, Tape

DAY = 734_000.0


def bars(*closes: float, first: float = DAY) -> np.ndarray:
    """Bars on consecutive days without volume."""
    days = first + np.arange(len(closes))
    return np.column_stack([days, *[np.array(closes)] * 4, np.zeros(len(closes))])


def tape(**more: Any) -> Tape:
    return Tape(started=True, **more)


def event(day: float, kind: str = "order", *values: Any, feed: str = "A") -> Event:
    return Event(DAY + day, kind, "S", feed, values, "close", False)


def test_numbers_differ_by_a_fraction_of_themselves() -> None:
    assert not values_differ((100.0, "buy", None, math.nan), (100.0 + 0.9e-6, "buy", None, math.nan), 1e-8)
    assert values_differ((100.0,), (100.0 + 1.1e-6,), 1e-8)
    assert values_differ((100.0 + 1.1e-6,), (100.0,), 1e-8)
    assert not values_differ((-8.0,), (-6.0,), 0.25)  # as far as allowed is not further
    for one, two in [
        ((1.0,), (1.0, 2.0)),
        (("buy",), ("sell",)),
        ((None,), (1.0,)),
        ((1.0,), (math.nan,)),
        ((1.0,), ("1",)),
    ]:
        assert values_differ(one, two, 0.5)
        assert values_differ(two, one, 0.5)


def test_the_first_bar_that_differs_is_told_with_both_values() -> None:
    one, two = tape(bars={"A": bars(1.0, 2.0, 3.0, 4.0)}), tape(bars={"A": bars(1.0, 2.0, 3.5, 9.0)})
    assert difference(one, two) == Difference(DAY + 2, "bar", "", "A", "open 3", "open 3.5")
    assert difference(one, two, until=DAY + 2) is None  # what comes from there on is not compared
    assert difference(one, two, until=DAY + 2.5) is not None
    assert difference(one, two, tolerance=0.6) is None


def test_a_bar_on_another_day_counts_from_the_earlier_of_the_two() -> None:
    one, two = tape(bars={"A": bars(1.0, 2.0)}), tape(bars={"A": bars(1.0, 2.0)})
    two.bars["A"][1, 0] += 3.0
    for a, b in ((one, two), (two, one)):
        found = difference(a, b)
        assert found is not None
        assert found.day == DAY + 1


def test_a_bar_that_only_one_has_and_a_value_that_only_one_has() -> None:
    one, two = tape(bars={"A": bars(1.0, 2.0)}), tape(bars={"A": bars(1.0)})
    assert difference(one, two) == Difference(DAY + 1, "bar", "", "A", "a bar", "no bar")
    assert difference(two, one) == Difference(DAY + 1, "bar", "", "A", "no bar", "a bar")
    nothing = tape(bars={"A": bars(1.0, math.nan)})
    found = difference(one, nothing)
    assert found is not None
    assert (found.day, found.before, found.after) == (DAY + 1, "open 2", "open nan")
    assert difference(nothing, tape(bars={"A": bars(1.0, math.nan)})) is None
    two.error = RuntimeError("crash")  # it has fewer bars for that: its events tell of it
    assert difference(one, two) is None


def test_of_several_feeds_the_earliest_is_told_and_of_one_day_the_first() -> None:
    one = tape(bars={"A": bars(1.0, 2.0, 3.0), "B": bars(1.0, 2.0, 3.0), "C": bars(1.0, 2.0, 3.0)})
    two = tape(bars={"A": bars(1.0, 2.0, 9.0), "B": bars(1.0, 9.0, 3.0), "C": bars(1.0, 9.0, 3.0)})
    found = difference(one, two)
    assert found is not None
    assert (found.day, found.feed) == (DAY + 1, "B")
    del two.bars["B"]  # a feed that is not there is not compared
    found = difference(one, two)
    assert found is not None
    assert found.feed == "C"


def test_a_run_that_did_not_start_has_no_bars_to_compare() -> None:
    one, two = tape(bars={"A": bars(1.0)}), Tape(bars={"A": bars(2.0)})
    assert difference(one, two) is None
    assert difference(two, one) is None


def test_events_are_compared_up_to_a_day_and_the_one_that_is_lacking_is_told() -> None:
    common = [event(0, "order", "buy", 1.0), event(1, "account", 5.0, 5.0)]
    one, two = tape(events=[*common, event(2, "order", "sell", 1.0)]), tape(events=common)
    assert difference(one, two) == Difference(DAY + 2, "order", "S", "A", "sell A 1", "nothing")
    assert difference(two, one) == Difference(DAY + 2, "order", "S", "A", "nothing", "sell A 1")
    assert difference(one, two, until=DAY + 2) is None
    other = tape(events=[common[0], event(1, "account", 5.0, 6.0), event(2, "order", "sell", 1.0)])
    found = difference(one, other)
    assert found is not None
    assert (found.kind, found.before, found.after) == ("account", "value 5.00, cash 5.00", "value 5.00, cash 6.00")


@pytest.mark.parametrize(
    ("before", "after", "kind", "said"),
    [
        (event(1, "order", "buy"), event(1, "account", 1.0, 1.0), "order", ("buy A", "nothing")),
        (event(1, "account", 1.0, 1.0), event(1, "order", "buy"), "order", ("nothing", "buy A")),
        (event(1, "account", 1.0, 1.0), event(2, "crash", "E"), "account", ("value 1.00, cash 1.00", "nothing")),
        (event(2, "notice", "Margin"), event(1, "account", 1.0, 1.0), "account", ("nothing", "value 1.00, cash 1.00")),
        (event(1, "weights", 0.5), event(1, "crash", "E"), "crash", ("nothing", "crash: E")),
    ],
)  # fmt: skip
def test_of_two_kinds_the_earlier_is_what_one_run_did_and_the_other_did_not(
    before: Event, after: Event, kind: str, said: tuple[str, str]
) -> None:
    found = first_apart([before], [after], tolerance=0.0)
    assert found is not None
    assert (found.kind, (found.before, found.after)) == (kind, said)


def test_events_in_words() -> None:
    assert event(1, "weights", 0.5, 0.123456).text() == "weights 0.5 0.1235"
    assert event(1, "account", 1234.567, None).text() == "value 1,234.57, cash 0.00"
    assert event(1, "crash", "TypeError").text() == "crash: TypeError"
    assert event(1, "order", "buy", 1.23456789012, None, "Market").text() == "buy A 1.23456789 Market"


def test_fills_priced_before_and_booked_after() -> None:
    fill = (DAY, "S", "A", 5.0, 10.25)
    one, two = tape(late={1: fill}), tape(late={1: (*fill[:4], 10.5)})
    assert difference(one, two) == Difference(DAY, "fill", "S", "A", "filled 5 at 10.25", "filled 5 at 10.5")
    assert difference(one, tape()) == Difference(DAY, "fill", "S", "A", "filled 5 at 10.25", "nothing")
    assert difference(tape(), one) == Difference(DAY, "fill", "S", "A", "nothing", "filled 5 at 10.25")
    assert difference(one, two, late=False) is None
    assert difference(one, two, until=DAY) is None
    assert difference(one, two, until=DAY + 1) is not None
    # Refused in one of the runs for want of money: their accounts differ, and that is told elsewhere.
    assert difference(one, tape(refused={1})) is None
    assert difference(tape(refused={1}), one) is None
    assert difference(one, tape(refused={2})) is not None


def test_the_earliest_of_all_is_told() -> None:
    one = tape(bars={"A": bars(1.0, 2.0, 3.0)}, events=[event(1, "order", "buy")], late={1: (DAY, "S", "A", 5.0, 10.0)})
    two = tape(bars={"A": bars(1.0, 2.0, 4.0)}, events=[event(1, "order", "sell")], late={1: (DAY, "S", "A", 5.0, 9.0)})
    found = difference(one, two)
    assert found is not None
    assert found.kind == "fill"
    found = difference(one, two, late=False)
    assert found is not None
    assert found.kind == "order"
    one.events, two.events = [], []
    found = difference(one, two, late=False)
    assert found is not None
    assert found.kind == "bar"
    several = tape(late={1: (DAY + 1, "S", "A", 5.0, 10.0), 2: (DAY, "S", "B", 5.0, 10.0)})
    found = difference(several, tape())
    assert found is not None
    assert found.feed == "B"
