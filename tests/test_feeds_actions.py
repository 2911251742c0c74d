"""Dividends and splits beside the prices: as traded, adjusted for splits, adjusted by us; made up; through a feed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from yahoo_server import bars, in_place_of_yahoo, with_dividend, with_split

from riskoverlay.errors import InputError
from riskoverlay.feeds import (
    DEFAULT_SYMBOLS,
    SAMPLE_SYMBOLS,
    Cache,
    Panel,
    PanelFeed,
    RawPanelFeed,
    align,
    check_bars,
    load,
    load_raw,
    sample_market,
    treatment,
)
from riskoverlay.feeds.actions import as_traded, back_adjusted, split_evidence, undo_splits
from riskoverlay.feeds.adjust import Raw
from riskoverlay.feeds.quality import errors
from riskoverlay.strategies import open_account

PRICES = ["open", "high", "low", "close"]
RAW = [*PRICES, "volume", "dividend", "split"]

# By hand: 10 to 11; 2 for 1 and 0.5 a new share from 11 to 5.25; nothing; 1 paid from 5 to 4.4.
CLOSES, PAID, SPLITS = [10.0, 11.0, 5.25, 5.0, 4.4], [0.0, 0.0, 0.5, 0.0, 1.0], [1.0, 1.0, 2.0, 1.0, 1.0]
GROWTH = [11 / 10, 5.25 / (11 / 2 - 0.5), 5.0 / 5.25, 4.4 / (5.0 - 1.0)]


def five(**changed: Any) -> pd.DataFrame:
    close = np.array(CLOSES)
    columns = {"open": close, "high": 1.01 * close, "low": 0.99 * close, "close": close,
               "volume": [100.0, 200.0, 500.0, 400.0, 300.0], "dividend": PAID, "split": SPLITS}  # fmt: skip
    return pd.DataFrame(columns, index=pd.bdate_range("2024-03-04", periods=5, name="date")).assign(**changed)


def split_adjusted(raw: pd.DataFrame) -> pd.DataFrame:
    """As yfinance has it: everything in the last day's shares, splits 0 on other days."""
    later = np.array([np.prod(raw["split"].iloc[t + 1 :]) for t in range(len(raw))])
    out = raw.assign(volume=raw["volume"] * later, split=raw["split"].where(raw["split"] != 1.0, 0.0))
    out[[*PRICES, "dividend"]] = raw[[*PRICES, "dividend"]].div(later, axis=0)
    return out


def write(folder: Path, **tables: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    for symbol, table in tables.items():
        table.to_csv(folder / f"{symbol}.csv", index_label="date")
    return folder


def traded() -> pd.DataFrame:
    """124 sessions as traded: two dividends, 4 for 1 on 2024-05-01, 1 for 2 on 2024-06-03."""
    served = with_split(with_dividend(with_dividend(bars(), "2024-03-15", 1.2), "2024-05-20", 1.3), "2024-05-01", 4.0)
    return undo_splits(with_split(served, "2024-06-03", 0.5))[RAW].replace({"split": {0.0: 1.0}})


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_total_return_by_hand() -> None:
    panel = align({"A": five()})
    assert (panel.raw, panel.adjusted) == (True, False)
    assert panel.adjustment == "as traded, dividends and splits apart"
    assert list(panel.frames["A"].columns) == RAW
    ours = panel.adjusted_prices()
    assert (ours.raw, ours.adjusted, ours.adjustment) == (False, True, "adjusted for dividends and splits")
    closes = ours.closes["A"].to_numpy()
    np.testing.assert_allclose(closes[1:] / closes[:-1], GROWTH, rtol=1e-14)
    factors = np.array([(11 / 2 - 0.5) / 11 * (4 / 5)] * 2 + [4 / 5] * 2 + [1.0])
    np.testing.assert_allclose(closes, np.array(CLOSES) * factors, rtol=1e-14)
    np.testing.assert_allclose(ours.frames["A"]["high"], 1.01 * np.array(CLOSES) * factors, rtol=1e-14)
    assert ours.frames["A"]["volume"].to_list() == [200.0, 400.0, 500.0, 400.0, 300.0]
    assert closes[-1] == CLOSES[-1]
    assert ours.adjusted_prices() is ours


def test_tables_by_session() -> None:
    panel = align({"A": five(), "B": five(close=1.0, open=1.0, high=1.0, low=1.0, dividend=0.0, split=1.0)})
    assert panel.dividends["A"].to_list() == PAID and panel.splits["A"].to_list() == SPLITS
    assert (panel.dividends["B"] == 0.0).all() and (panel.splits["B"] == 1.0).all()
    assert panel.opens["A"].to_list() == panel.closes["A"].to_list() == CLOSES
    plain = panel.adjusted_prices()
    assert (plain.dividends == 0.0).all(axis=None) and (plain.splits == 1.0).all(axis=None)
    assert plain.dividends.shape == plain.closes.shape == (5, 2)


def test_frames_of_ones_own_are_raw_with_both_columns_in_any_case() -> None:
    named = align({"A": five().rename(columns=str.title)})
    assert named.raw and named.sha256 == align({"A": five()}).sha256
    assert not align({"A": five().drop(columns="split")}).raw
    assert not align({"A": five()}, adjusted=True).raw
    with pytest.raises(InputError, match="A has columns dividend and split, B has not: give both to all symbols"):
        align({"A": five(), "B": five().drop(columns="split")})


def test_hash_sees_actions() -> None:
    panels = [
        align({"A": five()}),
        align({"A": five(dividend=0.0)}),
        align({"A": five(split=1.0)}),
        align({"A": five()}, adjusted=True),
    ]
    assert len({panel.sha256 for panel in panels}) == 4


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dividend": [0, 0, np.inf, 0, 0]}, "A: dividend is inf on 2024-03-06, which is no finite number: give 0"),
        ({"dividend": [0, 0, -0.1, 0, 0]}, "A: dividend is -0.1 on 2024-03-06, below zero"),
        ({"dividend": [0, 0, "n/a", 0, 0]}, "A: dividend is 'n/a' on 2024-03-06"),
        ({"split": [1, 1, -2, 1, 1]}, "A: split is -2 on 2024-03-06, below zero: give 1 or nothing"),
        ({"dividend": [0, 0, 5.5, 0, 0]}, "dividend 5.5 on 2024-03-06 is not below the close before, 5.5 a new share"),
    ],
)  # fmt: skip
def test_actions_that_are_none(changed: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        align({"A": five(**changed)})
    assert words in str(error.value)


def test_blanks_are_none_and_a_dividend_may_be_almost_all() -> None:
    blank = align({"A": five(dividend=[0, np.nan, 0.5, 0, 1], split=[0, None, 2, np.nan, 1])})
    assert blank.sha256 == align({"A": five()}).sha256
    align({"A": five(dividend=[99.0, 0, 5.49, 0, 0])})  # before the first session it is nobody's


# -- what prices are ---------------------------------------------------------------------------------------------------


def test_split_adjusted_prices_become_as_traded_again() -> None:
    raw = traded()
    assert set(raw["split"]) == {1.0, 4.0, 0.5}
    back = as_traded(split_adjusted(raw), "A")
    pd.testing.assert_frame_equal(back, raw, rtol=1e-12, check_freq=False)
    pd.testing.assert_frame_equal(as_traded(raw, "A"), raw, check_exact=True, check_freq=False)


def test_the_evidence_is_the_move_at_the_split_not_that_of_a_market() -> None:
    for fall, traded_then in ((0.26, True), (0.24, True), (0.9, False), (1.0, False)):
        close = np.array([100.0, 100.0, 100.0 * fall, 100.0 * fall])
        assert split_evidence(close, np.zeros(4), np.array([1.0, 1.0, 4.0, 1.0])).traded is traded_then
    # A dividend of half the price is no split.
    close, paid = np.array([100.0, 50.0]), np.array([0.0, 50.0])
    assert split_evidence(close, paid, np.array([1.0, 2.0])).traded is False
    assert split_evidence(close, np.zeros(2), np.array([1.0, 2.0])).traded is True


def test_prices_that_are_both_are_refused_by_date(tmp_path: Path) -> None:
    raw = traded()
    cure = "give all prices as traded, or all adjusted for splits"
    for before, factor, words in (
        ("2024-04-30", 0.25, "the split of 1 for 2 on 2024-06-03 is in the prices, but others are not"),
        ("2024-05-31", 2.0, "the split of 1 for 2 on 2024-06-03 is not in the prices, but others are"),
    ):
        mixed = raw.copy()
        mixed.loc[:before, PRICES] *= factor  # one of the two taken out
        folder = write(tmp_path / "p", A=mixed)
        with pytest.raises(InputError) as error:
            load("csv", "A", data_dir=folder)
        assert str(error.value) == f"{folder / 'A.csv'}: {words}: {cure}"
        (found,) = errors(check_bars(mixed, "A"))
        assert (found.check, found.text, found.dates) == ("split", f"{words}: {cure}", ("2024-06-03",))
    # What a market may do by itself says nothing.
    small = raw.assign(split=np.where(raw["split"] == 0.5, 1.05, raw["split"]))
    small.loc[:"2024-05-31", PRICES] *= 2.0
    np.testing.assert_array_equal(as_traded(small, "A")["close"], small["close"])


def test_quality_finds_what_a_run_by_actions_refuses() -> None:
    raw = traded()
    assert errors(check_bars(raw, "A")) == []
    assert [one.text[:20] for one in errors(check_bars(raw, "A", own=False))] == ["the split of 4 for 1"]
    twice = split_adjusted(raw)
    twice.loc[:"2024-04-30", PRICES] /= 4.0
    assert any("4 for 1 on 2024-05-01 was taken out of the prices twice" in one.text for one in check_bars(twice, "A"))
    at = raw.index[50]
    for field, value, words in (
        ("dividend", raw["close"].iloc[49], f"dividend on {at:%Y-%m-%d} is not below the close before"),
        ("split", -1.0, f"split on {at:%Y-%m-%d} is no number above zero"),
    ):
        broken = raw.copy()
        broken.loc[at, field] = value
        assert [one.text for one in errors(check_bars(broken, "A"))] == [words]
        assert len(errors(check_bars(broken, "A", own=False))) == 1  # the split of before: nobody pays


# -- load --------------------------------------------------------------------------------------------------------------


def test_a_file_as_traded_and_one_of_yfinance_are_one_panel(tmp_path: Path) -> None:
    raw = traded()
    one = load("csv", "A", data_dir=write(tmp_path / "raw", A=raw))
    other = load("csv", "A", data_dir=write(tmp_path / "adjusted", A=split_adjusted(raw)))
    assert one.raw and other.raw and one.warnings == other.warnings == ()
    pd.testing.assert_frame_equal(one.frames["A"], other.frames["A"], rtol=1e-12)
    pd.testing.assert_frame_equal(one.frames["A"], raw, rtol=1e-12, check_freq=False)


def test_splits_after_the_window_say_what_prices_were(tmp_path: Path) -> None:
    raw = traded()
    folder = write(tmp_path / "prices", A=split_adjusted(raw))
    whole = load("csv", "A", data_dir=folder)
    early = load("csv", "A", end="2024-04-15", data_dir=folder)
    pd.testing.assert_frame_equal(early.frames["A"], whole.between(None, "2024-04-15").frames["A"], check_exact=True)
    np.testing.assert_allclose(early.closes["A"], raw["close"][:"2024-04-15"], rtol=1e-12)


def test_yahoo_is_taken_back_by_all_its_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = traded()
    served = split_adjusted(raw).assign(adj_close=back_adjusted(raw)["close"])
    # By what the closes do at the split alone they would be as traded: Yahoo's never are.
    served.loc["2024-05-01":, [*PRICES, "adj_close"]] *= 0.35
    assert split_evidence(
        served["close"].to_numpy(), np.zeros(124), served["split"].replace(0.0, 1.0).to_numpy()
    ).traded
    with in_place_of_yahoo({"SPY": served}, monkeypatch, tmp_path):
        cache = Cache(tmp_path)
        panel = load("yahoo", "SPY", "2024-02-01", "2024-04-15", cache=cache)
        assert panel.raw and panel.warnings == ()
        assert str(panel.sessions[0].date()) == "2024-02-01"
        np.testing.assert_allclose(panel.frames["SPY"][RAW], raw.loc["2024-02-01":"2024-04-15", RAW], rtol=1e-9)
        adjusted = load("yahoo", "SPY", "2024-02-01", "2024-04-15", cache=cache, prices="adjusted")
        np.testing.assert_allclose(adjusted.closes["SPY"], served["adj_close"]["2024-02-01":"2024-04-15"], rtol=1e-9)
        held, _ = load_raw("yahoo", "SPY", "2024-02-01", "2024-04-15", cache=cache)
        assert len(held["SPY"].bars) == len(panel.sessions)


def test_prices_adjusted_by_us_are_those_of_the_raw_panel(tmp_path: Path) -> None:
    folder = write(tmp_path / "raw", A=traded())
    window: Any = {"source": "csv", "symbols": "A", "data_dir": folder, "end": "2024-06-14"}
    ours, raw = load(**window, prices="adjusted"), load(**window, prices="raw")
    assert (ours.adjusted, ours.raw, ours.warnings) == (True, False, ())
    assert ours.sha256 == raw.adjusted_prices().sha256
    assert load(**window).sha256 == raw.sha256
    assert ours.closes["A"].iloc[-1] == traded()["close"]["2024-06-14"]


def test_an_adjusted_close_is_not_looked_at_in_raw_prices(tmp_path: Path) -> None:
    raw = traded()
    at = raw.index[-1]
    with_vendor = raw.assign(adj_close=back_adjusted(raw)["close"])
    poisoned = with_vendor.assign(adj_close=with_vendor["adj_close"] * np.linspace(1.0, 3.0, len(raw)))
    hashes = {
        load("csv", "A", data_dir=write(tmp_path / "p", A=table), prices="raw").sha256
        for table in (raw, with_vendor, poisoned)
    }
    assert len(hashes) == 1
    vendors = load("csv", "A", data_dir=write(tmp_path / "p", A=poisoned), prices="adjusted")
    assert vendors.closes["A"][at] == pytest.approx(3.0 * raw["close"][at])


def test_where_dividends_are_not_known(tmp_path: Path) -> None:
    raw = traded()
    vendor = raw.assign(adj_close=back_adjusted(raw)["close"])
    folder = write(tmp_path / "some", A=vendor, B=vendor.drop(columns=["dividend", "split"]))
    panel = load("csv", "A,B", data_dir=folder)
    assert (panel.raw, panel.adjusted) == (False, True)
    # B's jump is in close only, and its adj_close has none.
    assert panel.warnings == ("prices are adjusted, not as traded: B has no column of dividends",)
    assert load("csv", "A,B", data_dir=folder, prices="adjusted").warnings == ()
    with pytest.raises(InputError) as error:
        load("csv", "A,B", data_dir=folder, prices="raw")
    assert str(error.value) == (
        "prices='raw' needs dividends, and B has no column of them: give a column dividend, cash a share on its "
        "ex-date, or prices=adjusted"
    )
    assert load("csv", "A", data_dir=folder, prices="raw").raw
    bare = write(tmp_path / "bare", A=raw)
    with pytest.raises(InputError, match="prices='raw' with adjusted=True, which says that prices of A are adjusted"):
        load("csv", "A", data_dir=bare, prices="raw", adjusted=True)


@pytest.mark.parametrize("call", [load, load_raw])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prices": "seen"}, "prices='seen' is unknown: give one of auto, raw, adjusted, given"),
        ({"universe": "all"}, "universe='all' is unknown: give one of ragged, common"),
    ],
)
def test_other_words_are_refused(call: Any, given: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        call("sample", "SPY", end="2010-02-01", **given)
    assert str(error.value) == words


def test_without_a_column_of_splits_dividends_are_cash_and_that_is_said(tmp_path: Path) -> None:
    raw = traded()
    folder = write(tmp_path / "p", A=split_adjusted(raw).drop(columns="split"), B=raw)
    alone = load("csv", "A", data_dir=folder)
    assert alone.adjustment == "adjusted for splits only, dividends in cash"
    assert alone.warnings == ("prices and dividends are taken as adjusted for splits: there is no column of splits",)
    assert (alone.splits == 1.0).all(axis=None)
    both = load("csv", "A,B", data_dir=folder)
    assert both.adjustment == "as traded, dividends and splits apart, those of A adjusted for splits"
    assert both.select("B").adjustment == "as traded, dividends and splits apart"
    assert both.warnings == (
        "prices of A and dividends are taken as adjusted for splits: there is no column of splits",
    )
    returns = both.adjusted_prices().closes.pct_change().iloc[1:]
    np.testing.assert_allclose(returns["A"], returns["B"], rtol=1e-9)


def test_treatment_is_of_columns_only() -> None:
    known = Raw("A", five().assign(adj_close=1.0))
    bare, paid = Raw("B", five()[[*PRICES, "volume"]]), Raw("C", five())
    assert treatment({"A": known, "C": paid}).own == ("A", "C")
    assert treatment({"A": known, "C": paid}, "adjusted").own == ("C",)
    mixed = treatment({"A": known, "B": bare, "C": paid})
    assert (mixed.raw, mixed.own, mixed.bare) == (False, ("C",), ("B",))
    assert treatment({"C": paid}, adjusted=True) == (False, (), (), (), ())


def test_real_prices(market: Path) -> None:
    panel = load("csv", data_dir=market)
    assert panel.adjustment == "adjusted for splits only, dividends in cash"
    assert panel.warnings[0] == "prices and dividends are taken as adjusted for splits: there is no column of splits"
    assert len(panel.warnings) == 2  # and IWM's volume
    theirs = load("csv", data_dir=market, prices="adjusted")
    assert theirs.warnings == panel.warnings[1:]
    np.testing.assert_allclose(
        panel.adjusted_prices().closes.pct_change().iloc[1:], theirs.closes.pct_change().iloc[1:], atol=5e-4
    )
    assert (panel.closes.iloc[0] > theirs.closes.iloc[0])[["SPY", "TLT", "LQD"]].all()


def test_real_bars_as_traded(market: Path) -> None:
    folder = market.parent / "actions"
    if not folder.is_dir():
        pytest.skip("there are no raw bars beside the market")
    panel = load("csv", "SPY,QQQ,IWM,EEM", None, data_dir=folder)
    assert panel.adjustment == "as traded, dividends and splits apart"
    assert panel.joins[0][0] == "QQQ" and len(panel.joins) == 3
    assert [(f"{day:%Y-%m-%d}", s) for day, row in panel.splits.iterrows() for s, r in row.items() if r != 1.0] == [
        ("2005-06-09", "IWM"), ("2005-06-09", "EEM"), ("2008-07-24", "EEM")
    ]  # fmt: skip
    file = pd.read_csv(folder / "EEM.csv", index_col="date", parse_dates=True).loc["2003-08-18":]
    close, paid, split = (file[name].to_numpy() for name in ("close", "dividend", "split"))
    growth = close[1:] / (close[:-1] / split[1:] - paid[1:])
    ours = panel.adjusted_prices().closes["EEM"]["2003-08-18":].to_numpy()
    np.testing.assert_allclose(ours[1:] / ours[:-1], growth, rtol=1e-12)
    pd.testing.assert_frame_equal(as_traded(split_adjusted(file), "EEM"), panel.frames["EEM"]["2003-08-18":], rtol=1e-9)


# -- the sample market -------------------------------------------------------------------------------------------------


def test_the_sample_as_traded_has_the_samples_total_returns() -> None:
    raw, plain = load("sample", prices="raw"), load("sample")
    assert plain.adjusted and plain.sha256 == load("sample", prices="adjusted").sha256 == sample_market().sha256
    assert (raw.raw, raw.synthetic, raw.adjusted, raw.warnings) == (True, True, False, ())
    ours, theirs = raw.adjusted_prices(), plain
    np.testing.assert_allclose(ours.closes / ours.closes.iloc[-1], theirs.closes / theirs.closes.iloc[-1], rtol=1e-12)
    for field in PRICES:
        ratio = pd.DataFrame({s: ours.frames[s][field] / theirs.frames[s][field] for s in raw.symbols})
        np.testing.assert_allclose(ratio, np.tile(ratio.iloc[-1], (len(ratio), 1)), rtol=1e-12)
    close, paid, split = raw.closes, raw.dividends, raw.splits
    growth = close / (close.shift() / split - paid)
    np.testing.assert_allclose(growth.iloc[1:], (plain.closes / plain.closes.shift()).iloc[1:], rtol=1e-12)
    assert (raw.closes.iloc[0] == plain.closes.iloc[0]).all()


def test_the_sample_pays_and_splits_plausibly() -> None:
    raw = load("sample", prices="raw")
    times = (raw.dividends > 0).sum()
    assert times.to_dict() == dict(zip(DEFAULT_SYMBOLS, (64, 64, 64, 32, 32, 191, 191, 0), strict=True))
    yields = (raw.dividends / raw.closes.shift() * raw.splits).sum() / 16
    assert yields.round(3).to_dict() == dict(
        zip(DEFAULT_SYMBOLS, (0.018, 0.007, 0.013, 0.029, 0.022, 0.026, 0.033, 0.0), strict=True)
    )
    days = raw.sessions[(raw.dividends > 0).any(axis=1) | (raw.splits != 1.0).any(axis=1)]
    assert all(day.month != raw.sessions[raw.sessions.get_loc(day) - 1].month for day in days)
    splits = (raw.splits != 1.0).sum()
    assert 3 <= splits.sum() <= 12 and (splits > 0).sum() >= 2
    before = raw.closes.shift().to_numpy()[(raw.splits != 1.0).to_numpy()]
    assert (before > 250.0).all() and set(np.unique(raw.splits)) == {1.0, 2.0}
    volume = raw.frames["SPY"]["volume"] / load("sample").frames["SPY"]["volume"]
    np.testing.assert_allclose(volume, raw.splits["SPY"].cumprod())
    assert load_raw("sample", "SPY", prices="raw")[0]["SPY"].bars.equals(raw.frames["SPY"])


def test_the_sample_as_traded_is_one_market_whatever_the_window_and_the_company() -> None:
    whole = load("sample", prices="raw")
    part = load("sample", "TLT,SPY", "2012-03-05", "2018-05-01", prices="raw")
    assert part.sha256 == whole.select("TLT,SPY").between("2012-03-05", "2018-05-01").sha256
    twins = load("sample", (SAMPLE_SYMBOLS[5], SAMPLE_SYMBOLS[13], SAMPLE_SYMBOLS[15]), end="2011-12-30", prices="raw")
    assert (twins.dividends > 0).sum().to_list() == [23, 23, 0]


# -- the feed ----------------------------------------------------------------------------------------------------------


class Seen(bt.Strategy):
    def __init__(self) -> None:
        self.rows: list[Any] = []

    def next(self) -> None:
        lines = self.data.lines
        self.rows.append([getattr(lines, name)[0] for name in RAW])


def engine(frame: pd.DataFrame, account: bool, **settings: Any) -> Any:
    cerebro = bt.Cerebro(stdstats=False, **settings)
    cerebro.adddata(RawPanelFeed(dataname=frame, name="A"))
    if account:
        open_account(cerebro)
    cerebro.addstrategy(Seen)
    return cerebro


@pytest.mark.parametrize("settings", [{}, {"preload": False}, {"runonce": False}, {"exactbars": 1}])
def test_the_raw_feed_has_lines_for_both(settings: Any) -> None:
    frame = align({"A": five()}).frames["A"]
    seen = engine(frame, account=True, **settings).run()[0].rows
    np.testing.assert_array_equal(seen, frame[RAW])


def test_a_panels_feeds_fit_its_prices() -> None:
    raw = align({"A": five()})
    assert [type(feed) for feed in raw.feeds()] == [RawPanelFeed]
    assert [type(feed) for feed in raw.adjusted_prices().feeds()] == [PanelFeed]
    assert [hasattr(one.feeds()[0].lines, "split") for one in (raw.adjusted_prices(), raw)] == [False, True]


def test_a_broker_that_pays_nothing_is_refused() -> None:
    frame = align({"A": five()}).frames["A"]
    words = "A: raw prices with dividends or splits need the MarginBroker: give prices=adjusted, or open_account"
    with pytest.raises(InputError) as error:
        engine(frame, account=False).run()
    assert str(error.value) == words
    for column in ({"dividend": 0.0}, {"split": 1.0}):
        with pytest.raises(InputError, match="need the MarginBroker"):
            engine(frame.assign(**column), account=False).run()
    nothing = frame.assign(dividend=0.0, split=1.0)
    assert len(engine(nothing, account=False).run()[0].rows) == 5


def test_filters_are_refused_where_they_would_lose_something() -> None:
    frame = align({"A": five()}).frames["A"]
    for table, refused in ((frame, True), (frame.assign(dividend=0.0, split=1.0), False)):
        for change in ("resampledata", "replaydata"):
            cerebro = bt.Cerebro(stdstats=False)
            getattr(cerebro, change)(RawPanelFeed(dataname=table, name="A"), timeframe=bt.TimeFrame.Weeks)
            open_account(cerebro)
            cerebro.addstrategy(bt.Strategy)
            if refused:
                with pytest.raises(InputError, match=r"A: raw prices .* cannot be resampled, replayed or filtered"):
                    cerebro.run()
            else:
                cerebro.run()


def test_the_panel_is_pickled_whole() -> None:
    panel = align({"A": five()})
    assert panel.sessions[0] == pd.Timestamp("2024-03-04")
    again: Panel = pickle.loads(pickle.dumps(panel))
    assert again.sha256 == panel.sha256 and list(again.sessions) == list(panel.sessions)
