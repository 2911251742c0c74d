"""Symbols that begin late, end early, and belong to a universe for a time."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskoverlay.errors import InputError, MissingFileError
from riskoverlay.feeds import Panel, align, load, load_raw, read_members, selected_symbols
from riskoverlay.feeds.calendars import exchange_sessions

DAYS = exchange_sessions(pd.Timestamp("2024-01-02"), pd.Timestamp("2024-06-28"))  # 124


def bars(first: int = 0, last: int = 124, seed: int = 1, drop: Any = ()) -> pd.DataFrame:
    """Rows first .. last - 1 of a market's 124, without some."""
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.01, 124)))
    columns = {"open": close, "high": 1.01 * close, "low": 0.99 * close, "close": close, "volume": 1e6}
    whole = pd.DataFrame(columns, index=pd.DatetimeIndex(DAYS.to_numpy(), name="date"))
    return whole.drop(whole.index[list(drop)]).loc[DAYS[first] : DAYS[last - 1]]


def raw(*given: Any, pays: Any = None, splits: Any = None, **more: Any) -> pd.DataFrame:
    """Bars with dividends and splits by number of the session."""
    out = bars(*given, **more).assign(dividend=0.0, split=1.0)
    for field, actions in (("dividend", pays), ("split", splits)):
        for at, value in (actions or {}).items():
            out.loc[DAYS[at], field] = value
    return out


def ragged(**frames: pd.DataFrame) -> Panel:
    return align(frames, universe="ragged")


def write(folder: Path, **tables: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    for symbol, table in tables.items():
        table.to_csv(folder / f"{symbol}.csv", index_label="date")
    return folder


def written(folder: Path, text: str) -> Path:
    path = folder / "members.csv"
    path.write_text(text)
    return path


# -- lives -------------------------------------------------------------------------------------------------------------


def test_each_lives_from_its_first_bar_to_its_last() -> None:
    panel = ragged(A=bars(), B=bars(40, seed=2), C=bars(0, 80, seed=3), D=bars(40, 80, seed=4), E=bars(40, seed=5))
    assert list(panel.sessions) == list(DAYS)
    assert {symbol: len(frame) for symbol, frame in panel.frames.items()} == {
        "A": 124,
        "B": 84,
        "C": 80,
        "D": 40,
        "E": 84,
    }
    assert panel.dropped == ()
    day = {number: DAYS[number].date() for number in (40, 79)}
    assert panel.joins == [("B", day[40]), ("D", day[40]), ("E", day[40])]
    assert panel.leaves == [("C", day[79]), ("D", day[79])]
    assert panel.complete_from == day[40] and type(panel.complete_from) is date
    assert panel.frames["B"].index is panel.frames["E"].index
    closes = panel.closes
    assert closes.shape == (124, 5) and closes["D"].notna().to_numpy().nonzero()[0].tolist() == list(range(40, 80))
    np.testing.assert_array_equal(closes["D"].dropna(), bars(40, 80, seed=4)["close"])
    assert panel.opens["C"].isna().sum() == 44


def test_common_is_what_all_have() -> None:
    frames = {"A": bars(), "B": bars(40, seed=2)}
    common = align(frames)
    assert len(common.sessions) == 84 and len(common.dropped) == 1
    assert (common.joins, common.leaves, common.complete_from) == ([], [], DAYS[40].date())
    assert align(frames, universe="common").sha256 == common.sha256 != align(frames, universe="ragged").sha256
    with pytest.raises(InputError, match="universe='all' is unknown: give one of ragged, common"):
        align(frames, universe="all")


def test_a_session_that_one_who_lives_has_not_is_left_out_for_all() -> None:
    panel = ragged(A=bars(), B=bars(40, seed=2, drop=[60, 61]), C=bars(0, 50, seed=3))
    assert list(panel.sessions) == list(DAYS.delete([60, 61]))
    assert panel.dropped == (
        f"A: 2 of 124 sessions left out, {DAYS[60]:%Y-%m-%d} to {DAYS[61]:%Y-%m-%d}: not every symbol has them",
    )
    # Before B lives, its holes are nobody's.
    assert len(ragged(A=bars(), B=bars(62, seed=2)).sessions) == 124


def test_who_joins_later_changes_no_row_of_before() -> None:
    before = ragged(A=bars(drop=[30]), B=bars(seed=2))
    after = ragged(A=bars(drop=[30]), B=bars(seed=2), C=bars(100, seed=3, drop=[110]))
    assert DAYS[110] in before.sessions and DAYS[110] not in after.sessions
    for symbol in ("A", "B"):
        cut = slice(None, DAYS[99])
        pd.testing.assert_frame_equal(
            after.frames[symbol].loc[cut], before.frames[symbol].loc[cut], check_exact=True, check_freq=False
        )
    assert after.select("A,B").between(None, DAYS[99]).sha256 == before.between(None, DAYS[99]).sha256


@pytest.mark.parametrize(("last", "lives"), [("2024-06-18", True), ("2024-06-17", False)])
def test_a_file_that_is_a_little_older_is_of_one_who_lives(last: str, lives: bool) -> None:
    older = bars(seed=2).loc[:last]  # the other ends on 2024-06-28
    panel = ragged(A=bars(), B=older)
    assert str(panel.sessions[-1].date()) == (last if lives else "2024-06-28")
    assert panel.leaves == ([] if lives else [("B", date(2024, 6, 17))])
    assert len(panel.dropped) == int(lives)


def test_lives_that_do_not_meet() -> None:
    panel = ragged(A=bars(0, 50), B=bars(50, seed=2))
    assert len(panel.sessions) == 124
    assert (panel.joins, panel.leaves) == ([("B", DAYS[50].date())], [("A", DAYS[49].date())])
    with pytest.raises(InputError, match="no session is common to all symbols"):
        ragged(A=bars(drop=range(0, 124, 2)), B=bars(seed=2, drop=range(1, 124, 2)))


def test_hash_of_equal_lives_is_as_ever_and_sees_who_lives_when() -> None:
    one = {"A": bars(), "B": bars(seed=2)}
    assert ragged(**one).sha256 == align(one).sha256
    # The same values, on other days.
    left = ragged(A=bars(), B=bars(10, 30, seed=2))
    moved = bars(10, 30, seed=2).set_axis(bars(11, 31).index)
    assert left.sha256 != ragged(A=bars(), B=moved).sha256


def test_between_keeps_who_has_not_joined_and_select_refuses_nobody() -> None:
    panel = ragged(A=bars(), B=bars(40, seed=2))
    early = panel.between(None, DAYS[39])
    assert early.symbols == ("A", "B") and len(early.frames["B"]) == 0 and len(early.sessions) == 40
    assert early.closes["B"].isna().all() and (early.dividends["B"] == 0.0).all()
    assert (early.joins, early.leaves, early.complete_from) == ([], [], DAYS[0].date())
    assert early.sha256 == ragged(A=bars(), B=bars(40, seed=2)).between(None, DAYS[39]).sha256 != panel.sha256
    assert len(early.adjusted_prices().feeds()) == 2
    part = panel.between(DAYS[30], DAYS[50])
    assert [len(frame) for frame in part.frames.values()] == [21, 11]
    assert part.joins == [("B", DAYS[40].date())]
    with pytest.raises(InputError, match="B: no session: give one that has begun"):
        early.select("B")
    with pytest.raises(InputError, match="no session from 2025-01-01 to the last"):
        panel.between("2025-01-01")
    assert list(panel.select("B").sessions) == list(DAYS[40:])


# -- what happened on a session that is left out -----------------------------------------------------------------------


def total(frame: pd.DataFrame) -> float:
    """What one share and its reinvested dividends grow to."""
    close, paid, split = (frame[name].to_numpy() for name in ("close", "dividend", "split"))
    return float(np.prod(close[1:] / (close[:-1] / split[1:] - paid[1:])))


@pytest.mark.parametrize("universe", ["ragged", "common"])
def test_what_happened_on_a_session_left_out_happens_on_the_next(universe: str) -> None:
    whole = raw(pays={60: 1.5, 20: 1.0}, splits={62: 2.0})
    panel = align({"A": whole, "B": raw(seed=2, drop=[60, 61])}, universe=universe)
    kept = panel.frames["A"]
    assert (kept.loc[DAYS[62], "dividend"], kept.loc[DAYS[62], "split"]) == (0.75, 2.0)
    assert (kept["dividend"] > 0).sum() == 2 and kept.loc[DAYS[20], "dividend"] == 1.0
    assert total(kept) == pytest.approx(total(whole), rel=1e-12)
    assert total(whole) != pytest.approx(total(whole.drop(DAYS[[60, 61]])), rel=1e-3)


def test_several_splits_and_dividends_are_in_the_later_days_shares() -> None:
    whole = raw(pays={60: 1.0, 61: 0.5, 62: 0.25}, splits={60: 3.0, 61: 2.0, 62: 0.5})
    kept = align({"A": whole, "B": raw(seed=2, drop=[60, 61])}).frames["A"]
    assert kept.loc[DAYS[62], "split"] == 3.0
    assert kept.loc[DAYS[62], "dividend"] == pytest.approx((1.0 / 2.0 + 0.5) / 0.5 + 0.25)


def test_what_was_before_the_first_session_or_after_the_last_is_nobodys() -> None:
    whole = raw(pays={5: 1.0, 10: 2.0, 122: 1.0}, splits={6: 2.0})
    kept = align({"A": whole, "B": raw(10, 120, seed=2)}).frames["A"]
    assert list(kept["dividend"][kept["dividend"] > 0]) == [2.0]  # the first session's own
    assert (kept["split"] == 1.0).all()


def test_dividends_that_come_to_all_there_is_are_refused() -> None:
    price = raw()["close"].iloc[59]
    whole = raw(pays={60: 0.6 * price, 62: 0.6 * price})
    with pytest.raises(InputError, match=f"A: dividend .* on {DAYS[62]:%Y-%m-%d} is not below the close before"):
        align({"A": whole, "B": raw(seed=2, drop=[60, 61])})


# -- load --------------------------------------------------------------------------------------------------------------


def test_load_is_ragged_unless_common_is_asked_for(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", A=bars(), B=bars(40, seed=2))
    panel = load("csv", "A,B", data_dir=folder)
    assert len(panel.sessions) == 124 and panel.joins == [("B", DAYS[40].date())]
    common = load("csv", "A,B", data_dir=folder, universe="common")
    assert len(common.sessions) == 84 and common.joins == []
    with pytest.raises(InputError, match=f"B: no session from the first to {DAYS[39]:%Y-%m-%d}"):
        load("csv", "A,B", None, DAYS[39], data_dir=folder)


def test_each_life_has_daily_bars(tmp_path: Path) -> None:
    weekly = bars(40, seed=2).iloc[::5]
    folder = write(tmp_path / "p", A=bars(), B=weekly)
    with pytest.raises(InputError, match=r"^B: bars are 7 days apart"):
        load("csv", "A,B", data_dir=folder)
    apart = write(tmp_path / "apart", A=bars(0, 30), B=bars(70, seed=2))
    with pytest.raises(InputError, match=r"A, B: bars on 84 of 124 sessions of XNYS"):
        load("csv", "A,B", data_dir=apart)


def test_a_short_life_of_weeks_beside_long_ones_is_refused(tmp_path: Path) -> None:
    """Its holes are left out for all, and are few among all sessions."""
    long = exchange_sessions(pd.Timestamp("2020-01-02"), pd.Timestamp("2024-06-28"))
    close = np.full(len(long), 100.0) + np.arange(len(long)) % 7
    table = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": 1e6}, index=long)
    folder = write(tmp_path / "p", A=table, B=bars(60, seed=2).iloc[::5])
    with pytest.raises(InputError, match=r"^B: bars are 7 days apart"):
        load("csv", "A,B", data_dir=folder, start=None)


def test_real_lives(market: Path) -> None:
    folder = market.parent / "actions"
    if not folder.is_dir():
        pytest.skip("there are no raw bars beside the market")
    panel = load("csv", "SPY,IWM,EEM,QQQ", None, "2012-12-31", data_dir=folder)
    assert [symbol for symbol, _ in panel.joins] == ["IWM", "EEM", "QQQ"]
    assert str(panel.complete_from) == "2011-03-24" and str(panel.sessions[0].date()) == "1998-01-02"
    alone = load("csv", "SPY", None, "2012-12-31", data_dir=folder)
    cut = "2003-04-13"
    pd.testing.assert_frame_equal(
        panel.frames["SPY"].loc[:cut], alone.frames["SPY"].loc[:cut], check_exact=True, check_freq=False
    )


# -- members -----------------------------------------------------------------------------------------------------------


def test_members_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, "From, SYMBOL ,To,note\n2015-06-01,TLT,2018-12-31,back\n2010-01-04,SPY,,\n,TLT,2012-03-30\n\n,GLD\n"
    )
    assert read_members(path) == {
        "TLT": ((None, date(2012, 3, 30)), (date(2015, 6, 1), date(2018, 12, 31))),
        "SPY": ((date(2010, 1, 4), None),),
        "GLD": ((None, None),),
    }
    assert read_members(written(tmp_path, "symbol,from\nSPY,2010-01-04\n")) == {"SPY": ((date(2010, 1, 4), None),)}
    assert read_members(written(tmp_path, "\ufeffsymbol,from,to\nSPY,2010-01-04,2010-01-04\n"))["SPY"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "row 1: column 'symbol' is missing: give symbol, from, to"),
        ("symbol,to\nSPY,\n", "row 1: column 'from' is missing"),
        ("symbol,from,from\nSPY,,\n", "row 1: column 'from' is there more than once"),
        ("symbol,from,to\n", "has no rows: give symbol, from, to a row"),
        ("symbol,from,to\n\nSPY,1.2.2010,\n", "row 3: from '1.2.2010' is not a date: give YYYY-MM-DD"),
        ("symbol,from,to\nSPY,2010-01-04,soon\n", "row 2: to 'soon' is not a date"),
        ("symbol,from,to\n../x,2010-01-04,\n", "row 2: symbols: '../x' is not a symbol: give 1 to 32"),
        ("symbol,from,to\n,2010-01-04,\n", "row 2: symbols: '' is not a symbol"),
        ("symbol,from,to\nSPY,2010-01-04,2010-01-03\n", "row 2: from 2010-01-04 is after to 2010-01-03"),
        ("symbol,from,to\nSPY,2012-01-01,\nSPY,2010-01-04,2012-01-01\n", "rows 3 and 2: stretches of SPY overlap "
         "(2010-01-04 to 2012-01-01, and from 2012-01-01): end one before the other begins"),
        ("symbol,from,to\nSPY,,\nSPY,2010-01-04,\n", "rows 2 and 3: stretches of SPY overlap (open to open"),
        ("symbol,from,to\nSPY,,2010-01-04\nSPY,,2011-01-04\n", "rows 2 and 3: stretches of SPY overlap"),
    ],
)  # fmt: skip
def test_members_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as error:
        read_members(path)
    assert str(error.value).startswith(f"members: {path}") and words in str(error.value)


def test_members_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere.csv does not exist: give a CSV with the columns symbol"):
        load("sample", members=tmp_path / "nowhere.csv")
    with pytest.raises(MissingFileError, match="is not a file"):
        read_members(tmp_path)
    (tmp_path / "members.csv").write_bytes(b"symbol,from\n\xff\xfe,\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_members(tmp_path / "members.csv")


def test_load_with_members(tmp_path: Path) -> None:
    path = written(tmp_path, "symbol,from,to\nTLT,,2012-03-30\nSPY,2010-01-04,\nGLD,2011-01-03,\n")
    given: Any = {"source": "sample", "end": "2011-12-30"}
    panel = load(**given, members=path)
    assert panel.symbols == selected_symbols(None, path) == ("TLT", "SPY", "GLD")
    assert dict(panel.members) == read_members(path)
    assert len(panel.frames["GLD"]) == len(panel.sessions)  # bars are there before: for the covariances
    some = load(**given, symbols="SPY,TLT", members=path)
    assert some.symbols == ("SPY", "TLT") and list(some.members) == ["SPY", "TLT"]
    assert some.members == panel.select("SPY,TLT").members == some.between("2010-06-01").members
    assert [feed.p.members for feed in some.feeds()] == [((date(2010, 1, 4), None),), ((None, date(2012, 3, 30)),)]
    assert [feed.p.members for feed in load(**given, symbols="SPY").feeds()] == [None]
    with pytest.raises(InputError) as error:
        load(**given, symbols="SPY,QQQ", members=path)
    assert str(error.value) == f"members={str(path)!r} has no row of QQQ: give one a symbol, or leave it out"
    with pytest.raises(InputError, match="has no row of QQQ"):
        load_raw(**given, symbols="SPY,QQQ", members=path)
    assert tuple(load_raw(**given, members=path)[0]) == panel.symbols
    assert dict(load(**given, symbols="SPY").members) == {}
    assert selected_symbols() == load("sample", end="2010-02-01").symbols


def test_members_are_in_the_hash(tmp_path: Path) -> None:
    given: Any = {"source": "sample", "symbols": "SPY,TLT", "end": "2010-03-31"}
    hashes = [load(**given).sha256]
    for row in ("TLT,,", "TLT,2010-02-01,", "TLT,,2010-02-01"):
        hashes.append(load(**given, members=written(tmp_path, f"symbol,from,to\nSPY,,\n{row}\n")).sha256)
    assert len(set(hashes)) == 4
