"""What a frame must be, and how frames become a panel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskoverlay.feeds import align, sample_market, validate


def bars(n: Any = 5, start: Any = "2020-01-06", **changed: Any) -> Any:
    close = np.linspace(100.0, 104.0, n)
    columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": np.full(n, 1e6)}
    return pd.DataFrame(columns, index=pd.bdate_range(start, periods=n, name="date")).assign(**changed)


def test_a_good_frame_comes_back_alike_and_apart() -> None:
    frame = bars()
    checked = validate(frame, "X")
    pd.testing.assert_frame_equal(checked, frame.set_axis(frame.index.as_unit("ns")), check_freq=False)
    checked.iloc[0, 0] = 7.0
    assert frame.iloc[0, 0] == 100.0


def test_names_of_columns_without_case_others_left_out_integers_become_floats() -> None:
    frame = bars(volume=1).rename(columns=str.title).assign(Dividend=0.0)
    checked = validate(frame, "X")
    assert list(checked.columns) == ["open", "high", "low", "close", "volume"]
    assert (checked.dtypes == np.float64).all()


def test_aware_dates_become_their_local_day() -> None:
    frame = bars().tz_localize("America/New_York")
    assert list(validate(frame, "X").index) == list(bars().index)
    late = bars().set_axis(bars().index + pd.Timedelta(hours=23)).tz_localize("America/New_York")
    assert list(validate(late, "X").index) == list(bars().index)


def put(field: Any, value: Any, at: Any = 2) -> Any:
    frame = bars()
    frame[field] = frame[field].astype(object)
    frame.iloc[at, frame.columns.get_loc(field)] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (bars().drop(columns="low"), ["column 'low'", "missing"]),
        (bars().assign(Close=1.0), ["'close'", "more than once"]),
        (bars().iloc[:0], ["no rows"]),
        (bars().reset_index(drop=True), ["RangeIndex", "DatetimeIndex"]),
        (bars().set_axis([*bars().index[:4], pd.NaT]), ["row 5", "no date"]),
        (put("open", np.nan), ["open", "2020-01-08", "nan"]),
        (put("volume", np.inf), ["volume", "2020-01-08", "inf"]),
        (put("close", "n/a"), ["close", "2020-01-08", "'n/a'"]),
        (put("close", 0.0), ["close is 0", "2020-01-08"]),
        (put("low", -1.5), ["low is -1.5", "2020-01-08"]),
        (put("volume", -1), ["volume is -1", "2020-01-08"]),
        (put("high", 50.0), ["high 50", "below low 101", "2020-01-08"]),
        (put("close", 104.0), ["close 104", "outside low 101 .. high 103", "2020-01-08"]),
        (put("open", 100.0), ["open 100", "outside low 101 .. high 103", "2020-01-08"]),
        (bars().iloc[[0, 1, 1, 2]], ["2020-01-07", "more than once"]),
        (bars().iloc[[0, 2, 1, 3]], ["2020-01-07", "after 2020-01-08", "sort"]),
        (bars().iloc[::-1], ["2020-01-09", "after 2020-01-10", "sort"]),
    ],
)
def test_bad_frames_are_named(frame: Any, words: Any) -> None:
    with pytest.raises(ValueError) as error:
        validate(frame, "folder/SPY.csv")
    text = str(error.value)
    assert text.startswith("folder/SPY.csv") and "\n" not in text
    for word in words:
        assert word in text


def test_rounding_of_adjusted_prices_passes_and_more_does_not() -> None:
    flat = bars(open=100.0, high=100.0, low=100.0, close=100.0)
    validate(flat.assign(close=100.0 * (1 + 9e-7)), "X")
    validate(flat.assign(close=100.0 * (1 - 9e-7)), "X")
    for factor in (1 + 1.1e-6, 1 - 1.1e-6):
        with pytest.raises(ValueError, match="close"):
            validate(flat.assign(close=100.0 * factor), "X")
    validate(flat.assign(volume=0.0), "X")


def test_align_keeps_common_sessions_and_says_what_it_left_out() -> None:
    a, b = bars(6), bars(6, start="2020-01-08")
    panel = align({"A": a, "B": b}, source="test")
    assert list(panel.sessions) == list(a.index[2:])
    assert panel.dropped == (
        "A: 2 of 6 sessions left out, 2020-01-06 to 2020-01-07: not every symbol has them",
        "B: 2 of 6 sessions left out, 2020-01-14 to 2020-01-15: not every symbol has them",
    )
    assert panel.frames["A"].index is panel.frames["B"].index
    assert (panel.source, panel.synthetic, panel.symbols) == ("test", False, ("A", "B"))
    assert list(panel.closes["B"]) == list(b["close"].iloc[:4])
    assert align({"A": a}).dropped == ()


def test_align_refuses_nothing_and_nothing_in_common() -> None:
    with pytest.raises(ValueError, match="frames is empty"):
        align({})
    with pytest.raises(ValueError, match=r"no session is common .*A 2020-01-06 to 2020-01-10, B 2021"):
        align({"A": bars(), "B": bars(start="2021-01-04")})


def test_between_has_both_ends_and_select_has_an_order() -> None:
    panel = align({"A": bars(), "B": bars(), "C": bars()})
    part = panel.between("2020-01-07", "2020-01-09")
    assert [f"{day:%m-%d}" for day in part.sessions] == ["01-07", "01-08", "01-09"]
    assert len(panel.between(start="2020-01-09").sessions) == 2
    assert len(panel.between(end="2020-01-07").sessions) == 2
    assert panel.select(["C", "A"]).symbols == ("C", "A")
    for bad, words in (
        (lambda: panel.between("2020-02-01"), "no session from 2020-02-01 to the last"),
        (lambda: panel.between("2020-01-09", "2020-01-08"), "start=2020-01-09 is after end=2020-01-08"),
        (lambda: panel.between("soon"), "start='soon' is not a date"),
        (lambda: panel.select(["D"]), "'D' is not in the panel"),
        (lambda: panel.select(["A", "A"]), "'A' is there twice"),
        (lambda: panel.select([]), "symbols is empty"),
    ):
        with pytest.raises(ValueError, match=words):
            bad()


def test_hash_sees_each_value_date_symbol_and_order() -> None:
    panel = align({"A": bars(), "B": bars()})
    assert panel.sha256 == align({"A": bars(), "B": bars()}).sha256
    others = [
        align({"B": bars(), "A": bars()}),
        align({"A": bars(), "C": bars()}),
        align({"A": bars(start="2020-01-13"), "B": bars(start="2020-01-13")}),
        *(align({"A": bars(), "B": put(f, v, 4)}) for f, v in (("close", 104.0 + 1e-13), ("volume", 1e6 + 1))),
    ]
    assert len({panel.sha256, *(other.sha256 for other in others)}) == 6


def test_hash_is_of_values_and_minus_zero_is_zero() -> None:
    """Two panels that are equal in every value have one hash, whatever the sign of a zero."""
    zero, minus = (align({"A": bars(volume=np.array([1.0, nothing, 2.0, 3.0, 4.0]))}) for nothing in (0.0, -0.0))
    assert (zero.frames["A"] == minus.frames["A"]).all(axis=None)
    assert np.signbit(minus.frames["A"]["volume"].iloc[1])
    assert zero.sha256 == minus.sha256


def test_feeds_are_new_each_time_and_named() -> None:
    panel = sample_market(("SPY", "TLT"), end="2010-02-01")
    first, second = panel.feeds(), panel.feeds()
    assert [feed._name for feed in first] == ["SPY", "TLT"]
    assert first[0] is not second[0]
