"""Leveraged funds made of other bars: their formula, what they refuse, and their way into a run."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markets import QUICK, as_traded, frame

from riskoverlay.errors import InputError
from riskoverlay.feeds import (
    FundTerms,
    LeveragedFund,
    Panel,
    align,
    leveraged,
    load,
    parse_funds,
    validate,
    with_leveraged,
)
from riskoverlay.feeds.actions import back_adjusted
from riskoverlay.studies.cli import main
from riskoverlay.studies.sweep import parse_dimension
from riskoverlay.studies.sweep.rows import NAMES
from riskoverlay.studies.workbench import backtest, benchmark_panel, load_panel, make_config, parse_benchmark
from riskoverlay.studies.workbench.runs import simulate
from riskoverlay.studies.workbench.twins import Twins, check_twin

SSO = "SSO=SPY:2:0.0089:0.004"
FACTORS = (2.0, 3.0, 0.5, -1.0, 1.0)
END = "2011-12-30"


def bars_of(seed: int = 5, n: int = 300, *, raw: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 80.0 * np.exp(np.cumsum(rng.normal(0.0004, 0.012, n)))
    opens = np.r_[close[0], close[:-1]] * np.exp(rng.normal(0.0, 0.004, n))
    out = frame(close, opens=opens)
    out["high"] *= 1.0 + rng.random(n) * 0.01
    out["low"] *= 1.0 - rng.random(n) * 0.01
    return as_traded({"A": out}, rng)["A"] if raw else out


def rate_of(bars: pd.DataFrame, seed: int = 6) -> pd.Series:
    """Another rate on most days of the calendar, weekends among them."""
    days = pd.date_range(bars.index[0], bars.index[-1])
    rng = np.random.default_rng(seed)
    kept = np.r_[True, rng.random(len(days) - 1) < 0.7]
    return pd.Series(rng.uniform(0.0, 0.08, len(days))[kept], days[kept])


def nights(rate: pd.Series, days: pd.DatetimeIndex) -> Any:
    """What a rate pays from each session to the next, by every night."""
    daily = rate.reindex(pd.date_range(rate.index[0], days[-1])).ffill()
    return np.array([daily[one : two - pd.Timedelta(days=1)].sum() / 365 for one, two in pairwise(days)])


def by_hand(bars: pd.DataFrame, factor: float, expense: float, spread: float, rate: pd.Series) -> Any:
    """The closes: growth of one after another."""
    days = pd.DatetimeIndex(bars.index)
    calendar = np.diff(days.to_numpy()).astype("timedelta64[D]").astype(float)
    close = bars["close"].to_numpy()
    split, paid = (
        bars[name].to_numpy()[1:] if name in bars else other for name, other in (("split", 1), ("dividend", 0))
    )
    total = close[1:] / (close[:-1] / split - paid) - 1.0
    cost = (factor - 1.0) * nights(rate, days) + (abs(factor - 1.0) * spread + expense) * calendar / 365
    return close[0] * np.cumprod(np.r_[1.0, 1.0 + factor * total - cost])


# -- the formula -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("factor", FACTORS)
def test_closes_are_those_of_the_formula(factor: float, raw: bool) -> None:
    bars = bars_of(raw=raw)
    rate = rate_of(bars)
    made = leveraged(bars, factor, 0.0089, 0.004, rate)
    assert list(made.columns) == ["open", "high", "low", "close", "volume"]
    assert made.index.equals(bars.index) and made["volume"].equals(bars["volume"])
    np.testing.assert_allclose(made["close"], by_hand(bars, factor, 0.0089, 0.004, rate), rtol=1e-12)
    if raw:
        assert (bars["split"] != 1.0).sum() > 3 and (bars["dividend"] > 0.0).sum() > 3
        again = leveraged(back_adjusted(bars), factor, 0.0089, 0.004, rate)["close"]
        np.testing.assert_allclose(made["close"].pct_change()[1:], again.pct_change()[1:], rtol=1e-9, atol=1e-13)


def test_one_session_in_plain_numbers() -> None:
    """A Friday, a Monday: +2 % on the close before, three nights at 3.65 % a year."""
    bars = frame([100.0, 102.0], start="2020-01-03", opens=[100.0, 101.0])
    twice, half, short = (leveraged(bars, factor, 0.00365, 0.0073, 0.0365).iloc[1] for factor in (2.0, 0.5, -1.0))
    assert twice["close"] == pytest.approx(100.0 * (1.04 - 3 * (0.0001 + 0.00002 + 0.00001)), rel=1e-14)
    assert twice["open"] == pytest.approx(100.0 * (1.02 - 3 * 0.00013), rel=1e-14)
    # What it does not hold it lends: it earns the rate less the spread.
    assert half["close"] == pytest.approx(100.0 * (1.01 + 3 * (0.5 * (0.0001 - 0.00002) - 0.00001)), rel=1e-14)
    assert short["close"] == pytest.approx(100.0 * (0.98 + 3 * (2.0 * (0.0001 - 0.00002) - 0.00001)), rel=1e-14)
    assert (short["high"], short["low"]) == (short["open"], short["close"])


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("factor", FACTORS)
def test_open_high_and_low_are_the_same_line(factor: float, raw: bool) -> None:
    bars = bars_of(raw=raw)
    rate = rate_of(bars)
    made = leveraged(bars, factor, 0.01, 0.002, rate)
    validate(made, "made")
    lines = (
        {"open": "open", "high": "high", "low": "low"} if factor > 0 else {"open": "open", "high": "low", "low": "high"}
    )
    split, paid = (bars[name] if raw else other for name, other in (("split", 1.0), ("dividend", 0.0)))
    base = bars["close"].shift(1) / split - paid
    for field, of in lines.items():
        between = made["close"] - factor * (bars["close"] - bars[of]) / base * made["close"].shift(1)
        np.testing.assert_allclose(made[field][1:], between[1:], rtol=1e-12)
    pd.testing.assert_series_equal(made.iloc[0], bars[made.columns].iloc[0])  # it begins at the underlying's close


def test_a_vendors_rounding_is_not_multiplied() -> None:
    bars = bars_of()
    bars["high"] = bars[["open", "close"]].max(axis=1) * (1.0 - 9e-7)
    validate(bars, "bars")
    assert (bars["high"] < bars["close"]).any()
    for factor in (3.0, -3.0):
        validate(leveraged(bars, factor, 0.0, 0.0, 0.02), "made")


def test_a_market_that_never_moves_leaves_what_the_fund_pays() -> None:
    made = leveraged(frame(np.full(30, 50.0)), 2.0, 0.01, 0.005, 0.03)["close"]
    days = (made.index - made.index[0]).days.to_numpy()
    np.testing.assert_allclose(np.log(made / 50.0), -0.045 * days / 365, rtol=1e-3)


@pytest.mark.parametrize("name", ["factor", "expense", "spread", "rate"])
@pytest.mark.parametrize("factor", [2.0, -1.0])
def test_every_argument_matters(name: str, factor: float) -> None:
    bars = bars_of()
    given: dict[str, Any] = {"factor": factor, "expense": 0.01, "spread": 0.004, "rate": 0.03}
    other = {**given, name: given[name] + (0.5 if name == "factor" else 0.001)}
    one, two = (leveraged(bars, **values)["close"].iloc[-1] for values in (given, other))
    assert one != two
    if name != "factor":  # charges cost; a higher rate pays who lends
        assert (one > two) == (name != "rate" or factor > 1.0)


def test_a_number_is_a_rate_that_never_changes() -> None:
    bars = bars_of()
    level = pd.Series(0.03, bars.index)
    pd.testing.assert_frame_equal(
        leveraged(bars, 2, 0.0089, 0.004, 0.03), leveraged(bars, 2, 0.0089, 0.004, level), rtol=1e-12
    )
    known: dict[Any, float] = {date(2019, 12, 1): 0.03}
    assert leveraged(bars, 2, 0, 0, known).equals(leveraged(bars, 2, 0, 0, pd.Series(known)))


@pytest.mark.parametrize("raw", [False, True])
def test_the_future_changes_nothing_of_before(raw: bool) -> None:
    """Neither prices nor rates from a date on; the rate of a date is not paid for the session that ends on it."""
    bars, cut = bars_of(raw=raw), 150
    rate = rate_of(bars)
    day = bars.index[cut]
    known = leveraged(bars, 3.0, 0.0089, 0.004, rate)
    poisoned, later = bars.copy(), rate.copy()
    poisoned.loc[day:, ["open", "high", "low", "close"]] *= 1.07
    later[day:] = 0.9
    other = leveraged(poisoned, 3.0, 0.0089, 0.004, later)
    pd.testing.assert_frame_equal(other.iloc[:cut], known.iloc[:cut], check_exact=True)
    only_rates = leveraged(bars, 3.0, 0.0089, 0.004, later)
    pd.testing.assert_frame_equal(only_rates.iloc[: cut + 1], known.iloc[: cut + 1], check_exact=True)
    assert only_rates["close"].iloc[cut + 1] < known["close"].iloc[cut + 1]
    pd.testing.assert_frame_equal(leveraged(bars.iloc[:cut], 3.0, 0.0089, 0.004, rate), known.iloc[:cut])


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"factor": 0.0}, "factor=0.0 is nothing of the underlying: give one such as 2, 3, 0.5 or -1"),
        ({"factor": 200}, "factor=200 is above 20: per cent? give 2"),
        ({"factor": -21.0}, "factor=-21.0 is not >= -20 and <= 20: give one such as 2, 3, 0.5 or -1"),
        ({"factor": float("nan")}, "factor=nan is not >= -20 and <= 20: give one such as"),
        ({"expense": 0.89}, "expense=0.89 is above 0.1: per cent? give 0.0089"),
        ({"expense": -0.01}, "expense=-0.01 is not >= 0 and <= 0.1: give a fraction a year such as 0.0089"),
        ({"spread": 0.4}, "spread=0.4 is above 0.1: per cent? give 0.004"),
        ({"spread": float("inf")}, "spread=inf is not >= 0 and <= 0.1: give a fraction a year such as 0.004"),
        ({"rate": 5.3}, "rate=5.3 is not a rate: per cent? give 0.053"),
        ({"rate": "irx"}, "rate='irx' is not a rate: give an annual fraction such as 0.03, or a series by date"),
        ({"rate": pd.Series([0.03], [pd.Timestamp("2020-02-03")])},
         "rate starts on 2020-02-03, interest is due from 2020-01-0"),
        ({"rate": pd.Series(dtype=float)}, "rate is an empty series: give at least one dated annual rate"),
        ({"bars": frame([1.0, 2.0]).drop(columns="low")}, "bars: column 'low' is missing: give one each of"),
        ({"bars": bars_of(raw=True).assign(dividend=1e9)}, "bars: dividend 1000000000 on 2020-01-02 is not below"),
        ({"bars": frame([100.0, 101.0, 60.0]), "factor": 3},
         "factor=3 loses 121.8 % of the fund on 2020-01-03: bars is -40.6 % from the close before: "
         "give a smaller factor, or a window without that session"),
        ({"bars": frame([100.0, 101.0, 205.0]), "factor": -1.0}, "factor=-1.0 loses 103.0 % of the fund on 2020-01-03"),
        ({"bars": frame([2e-9, 1.1e-9]), "factor": 2.0},
         "the fund: its price is outside of 1e-09 to 1e+15 from 2020-01-02 on: give a later start or an earlier end"),
    ],
)  # fmt: skip
def test_what_is_refused(given: dict[str, Any], words: str) -> None:
    values: dict[str, Any] = {"bars": bars_of(), "factor": 2.0, "expense": 0.0, "spread": 0.0, "rate": 0.0}
    with pytest.raises(InputError) as caught:
        leveraged(**{**values, **given})
    assert str(caught.value).startswith(words)


def test_a_low_that_takes_all_is_refused_though_the_close_does_not() -> None:
    bars = frame([100.0, 100.0, 99.0])
    bars.loc[bars.index[2], "low"] = 50.0
    with pytest.raises(InputError, match=r"factor=2.0 loses 100.0 % of the fund on 2020-01-03: bars is -50.0 %"):
        leveraged(bars, 2.0, 0.0, 0.0, 0.0)
    bars.loc[bars.index[2], "low"] = 50.01
    assert leveraged(bars, 2.0, 0.0, 0.0, 0.0)["low"].iloc[2] == pytest.approx(0.02)


def test_the_largest_charges_are_taken() -> None:
    assert FundTerms(20.0, 0.1, 0.1).factor == 20.0 and FundTerms(-20).factor == -20


# -- text --------------------------------------------------------------------------------------------------------------


def test_funds_are_read() -> None:
    assert parse_funds(None) == ()
    assert parse_funds(SSO) == (LeveragedFund("SSO", "SPY", FundTerms(2.0, 0.0089, 0.004)),)
    two = parse_funds(" SSO = SPY : 2 : 0.0089 : 0.004 , YCS=EURUSD=X:-2:.01:0")
    assert two == (
        LeveragedFund("SSO", "SPY", FundTerms(2.0, 0.0089, 0.004)),
        LeveragedFund("YCS", "EURUSD=X", FundTerms(-2.0, 0.01, 0.0)),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "leveraged='' is unreadable: give SYMBOL=UNDERLYING:FACTOR:EXPENSE:SPREAD, several separated by"),
        (7, "leveraged=7 is unreadable: give SYMBOL="),
        ("SSO", "leveraged='SSO': 'SSO' is unreadable: give SYMBOL="),
        ("SSO=SPY:2:0.0089", "leveraged='SSO=SPY:2:0.0089': 'SSO=SPY:2:0.0089' is unreadable: give SYMBOL="),
        (f"{SSO},", f"leveraged='{SSO},': '' is unreadable: give SYMBOL="),
        ("SSO=SPY:2x:0:0", "leveraged='SSO=SPY:2x:0:0': factor='2x' is no number: give SYMBOL="),
        ("SSO=SPY:2:0.89:0.004", "leveraged='SSO=SPY:2:0.89:0.004': expense=0.89 is above 0.1: per cent? give 0.0089"),
        ("SSO=SPY:0:0:0", "leveraged='SSO=SPY:0:0:0': factor=0.0 is nothing of the underlying: give"),
        ("=SPY:2:0:0", "leveraged='=SPY:2:0:0': symbols: '' is not a symbol: give 1 to 32"),
        ("SSO=../x:2:0:0", "leveraged='SSO=../x:2:0:0': symbols: '../x' is not a symbol: give 1 to 32"),
        (f"{SSO},{SSO}", f"leveraged='{SSO},{SSO}': symbols: 'SSO' is there twice: give each symbol once"),
        ("SPY=SPY:2:0:0", "leveraged='SPY=SPY:2:0:0' makes SPY of SPY, which is made itself: name the fund otherwise"),
        ("A=SPY:2:0:0,B=A:2:0:0", "leveraged='A=SPY:2:0:0,B=A:2:0:0' makes B of A, which is made itself: name the"),
    ],
)
def test_text_that_is_no_fund(text: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_funds(text)
    assert str(caught.value).startswith(words)


# -- in a panel --------------------------------------------------------------------------------------------------------


def test_a_fund_stands_beside_what_it_is_made_of(sample: Panel) -> None:
    panel = with_leveraged(sample, parse_funds(f"{SSO},SH=SPY:-1:0.0089:0"), 0.02)
    assert panel.symbols == (*sample.symbols, "SSO", "SH")
    assert panel.frames["SSO"].equals(leveraged(sample.frames["SPY"], 2.0, 0.0089, 0.004, 0.02))
    assert panel.frames["SSO"].index is panel.frames["SPY"].index
    assert panel.warnings[len(sample.warnings) :] == (
        "SSO is made of SPY: 2 times its total return of each session, borrowed at the short rate + 0.4 %, "
        "expense 0.89 % a year",
        "SH is made of SPY: −1 times its total return of each session, the rest lent at the short rate − 0 %, "
        "expense 0.89 % a year",
    )
    assert panel.synthetic and not panel.raw
    assert with_leveraged(sample, (), 0.02).sha256 == sample.sha256 != panel.sha256


def test_in_a_raw_panel_it_has_neither_dividends_nor_splits() -> None:
    raw = load("sample", "SPY,TLT", prices="raw", end="2013-12-31")
    assert (raw.dividends["SPY"] > 0.0).any()
    panel = with_leveraged(raw, parse_funds(SSO), 0.02)
    assert panel.raw and (panel.dividends["SSO"] == 0.0).all() and (panel.splits["SSO"] == 1.0).all()
    # The sample's prices as traded have the total returns of the adjusted ones.
    adjusted = with_leveraged(load("sample", "SPY,TLT", end="2013-12-31"), parse_funds(SSO), 0.02)
    np.testing.assert_allclose(panel.closes["SSO"], adjusted.closes["SSO"], rtol=1e-9)
    np.testing.assert_allclose(panel.adjusted_prices().closes["SSO"], panel.closes["SSO"], rtol=1e-12)
    assert len(panel.feeds()) == 3


def test_a_panel_that_cannot_have_it(sample: Panel) -> None:
    with pytest.raises(InputError, match="X is made of ABC, which is not in the panel: it has SPY, QQQ"):
        with_leveraged(sample, parse_funds("X=ABC:2:0:0"), 0.0)
    with pytest.raises(InputError, match="symbol 'TLT' is in the panel: give the fund another name"):
        with_leveraged(sample, parse_funds("TLT=SPY:2:0:0"), 0.0)
    crash = align({"SPY": frame([100.0, 100.0, 60.0])})
    with pytest.raises(InputError, match=r"factor=3.0 loses 120.0 % of UPRO on 2020-01-03: SPY is -40.0 % from the"):
        with_leveraged(crash, parse_funds("UPRO=SPY:3:0:0"), 0.0)


# -- load_panel --------------------------------------------------------------------------------------------------------


def config_of(**values: Any) -> Any:
    return make_config({**QUICK, "end": END, "leveraged": SSO, **values})


@pytest.mark.parametrize(
    ("symbols", "names"),
    [
        ("SSO,TLT", ("SSO", "TLT")),
        ("TLT,SSO,SPY", ("TLT", "SSO", "SPY")),
        ("TLT,SPY", ("TLT", "SPY", "SSO")),
        ("TLT", ("TLT", "SSO")),
        (None, ("SPY", "QQQ", "IWM", "EFA", "EEM", "TLT", "LQD", "GLD", "SSO")),
    ],
)
def test_a_fund_takes_its_place_or_the_last(symbols: str | None, names: tuple[str, ...]) -> None:
    panel = load_panel(config_of(symbols=symbols))
    assert panel.symbols == names
    spy = load("sample", "SPY", end=END).frames["SPY"]
    made = leveraged(spy, 2.0, 0.0089, 0.004, panel.rates["irx"])
    pd.testing.assert_frame_equal(panel.frames["SSO"], made, check_exact=True)


def test_a_fund_asks_for_the_bill_where_nobody_else_does() -> None:
    numbers = {"borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0, "symbols": "SSO,TLT"}
    panel = load_panel(config_of(**numbers))
    assert panel.frames["SSO"].equals(load_panel(config_of(symbols="SSO,TLT")).frames["SSO"])
    assert load_panel(config_of(**{**numbers, "symbols": "SPY"}, leveraged=None)).rates == {}


def folder_of(path: Path, *symbols: str, bill: str | None = "2009-12-31", **prices: Any) -> dict[str, Any]:
    """A folder of the sample's bars, and a bill that is 2 % from a day on."""
    panel = load("sample", symbols, end=END, **prices)
    for symbol, bars in panel.frames.items():
        bars.to_csv(path / f"{symbol}.csv")
    if bill is not None:
        days = panel.sessions.insert(0, pd.Timestamp("2009-12-31"))
        quotes = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 2.0) | {"volume": 0.0}, days)
        quotes[bill:].to_csv(path / "^IRX.csv", index_label="date")
    return {"source": "csv", "data_dir": str(path), "adjusted": not prices}


def test_without_a_bill_it_is_refused(tmp_path: Path) -> None:
    files = folder_of(tmp_path, "SPY", "TLT", bill=None)
    cure = "put ^IRX beside the prices, back to the first session, or give --borrow-rate irx"
    with pytest.raises(InputError) as caught:
        load_panel(config_of(symbols="SSO,TLT", **files))
    assert str(caught.value).startswith(f"leveraged={SSO!r} needs the T-bill's rate, and none is known: {cure}")
    assert load_panel(config_of(symbols="SPY,TLT", **files, leveraged=None)).symbols == ("SPY", "TLT")
    folder_of(tmp_path, "SPY", "TLT", bill="2010-03-01")
    with pytest.raises(
        InputError, match=r"none is known; the bill's rate is not used: \^IRX begins on 2010-03-01, the"
    ):
        load_panel(config_of(symbols="SSO,TLT", **files))
    folder_of(tmp_path, "SPY", "TLT")
    assert load_panel(config_of(symbols="SSO,TLT", **files)).symbols == ("SSO", "TLT")


def test_prices_as_traded_of_files(tmp_path: Path) -> None:
    files = folder_of(tmp_path, "SPY", "TLT", prices="raw")
    panel = load_panel(config_of(symbols="SSO,TLT", **files))
    assert panel.raw and (panel.dividends["TLT"] > 0.0).any() and (panel.dividends["SSO"] == 0.0).all()
    spy = load("csv", "SPY", None, END, tmp_path).frames["SPY"]
    np.testing.assert_allclose(panel.closes["SSO"], by_hand(spy, 2.0, 0.0089, 0.004, panel.rates["irx"]), rtol=1e-12)
    config = config_of(symbols="SSO,TLT", **files)
    check_twin(panel, config, simulate(panel, config))


def test_members_are_those_of_the_fund(tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_text("symbol,from,to\nTLT,,\nSSO,2010-06-01,2011-03-31\n")
    panel = load_panel(config_of(members=str(path)))
    assert panel.symbols == ("TLT", "SSO")
    assert panel.members == {"TLT": ((None, None),), "SSO": ((date(2010, 6, 1), date(2011, 3, 31)),)}
    assert load_panel(config_of(members=str(path), symbols="SSO")).symbols == ("SSO",)
    held = simulate(panel, make_config(QUICK)).weights["SSO"]
    assert (held["2010-07-01":"2011-03-30"] > 0.0).all() and (held["2011-05-01":] == 0.0).all()
    path.write_text("symbol,from,to\nTLT,,\nSPY,,\n")
    with pytest.raises(InputError, match="has no row of SSO: give one a symbol, or leave it out"):
        load_panel(config_of(members=str(path)))


@pytest.mark.parametrize("universe", ["ragged", "common"])
def test_a_fund_begins_with_what_it_is_made_of(tmp_path: Path, universe: str) -> None:
    files = folder_of(tmp_path, "SPY", "TLT")
    late = pd.read_csv(tmp_path / "SPY.csv", index_col=0, parse_dates=True)["2010-06-01":]
    late.drop(late.index[50]).to_csv(tmp_path / "SPY.csv")
    panel = load_panel(config_of(symbols="TLT,SSO", universe=universe, **files))
    assert panel.frames["SSO"].index[0] == pd.Timestamp("2010-06-01")
    assert late.index[50] not in panel.sessions  # left out for all
    assert panel.joins == ([("SSO", date(2010, 6, 1))] if universe == "ragged" else [])


def test_futures_are_nothing_to_make_a_fund_of() -> None:
    with pytest.raises(InputError, match="symbol ES=F is a futures contract"):
        load_panel(config_of(leveraged="SSO=ES=F:2:0:0", symbols="TLT"))


def test_a_benchmark_may_be_a_fund_or_what_it_is_made_of() -> None:
    config = config_of(symbols="SSO,TLT")
    panel = load_panel(config)
    for text in ("SPY", "SSO", "mixed=SSO:0.5,GLD:0.5"):
        benchmark = parse_benchmark(text)
        bars = benchmark_panel([benchmark], panel, config)
        assert bars is not None and set(benchmark.weights) <= set(bars.symbols)
        if "SSO" in bars.symbols:
            assert bars.frames["SSO"].equals(panel.frames["SSO"])
    spy = [parse_benchmark("SPY")]
    result = backtest(panel, config, benchmarks=spy, bars=benchmark_panel(spy, panel, config))
    assert result.benchmarks["SPY"].statistics["growth"] != result.base.statistics["growth"]


def test_it_chooses_the_prices() -> None:
    assert "leveraged" not in NAMES  # studies of before are found again
    with pytest.raises(InputError, match="leveraged chooses the prices, which are the same for every try"):
        parse_dimension(f"leveraged={SSO}")


@pytest.mark.parametrize("source", ["sample", "market"])
def test_cerebro_and_the_twin_agree(source: str, request: pytest.FixtureRequest) -> None:
    values: dict[str, Any] = {"symbols": "SSO,TLT"}
    if source == "market":
        folder = request.getfixturevalue("market")
        values |= {"source": "csv", "data_dir": str(folder), "end": "2013-12-31"}
    config = config_of(**values)
    panel = load_panel(config)
    assert panel.raw == (source == "market")
    result = backtest(panel, config)
    twins = Twins(panel)
    assert max(check_twin(twins, result.config, result.dynamic).values()) < 1e-9
    assert len(result.dynamic.fills) > 20


def test_on_real_prices_it_multiplies_what_was_earned(market: Path) -> None:
    config = config_of(
        source="csv", data_dir=str(market), symbols="SSO,SPY,SH", leveraged=f"{SSO},SH=SPY:-1:0.0089:0.004", end=None
    )
    panel = load_panel(config)
    adjusted = panel.adjusted_prices().closes.pct_change().iloc[1:]
    for symbol, factor in (("SSO", 2.0), ("SH", -1.0)):
        line = np.polyfit(adjusted["SPY"], adjusted[symbol], 1)
        assert line[0] == pytest.approx(factor, abs=1e-3) and abs(line[1]) < 2e-4
    rates, spy = panel.rates["irx"], load("csv", "SPY", "2010-01-01", None, market).frames["SPY"]
    np.testing.assert_allclose(panel.closes["SSO"], by_hand(spy, 2.0, 0.0089, 0.004, rates), rtol=1e-12)


# -- the command -------------------------------------------------------------------------------------------------------

SMALL = ["--end", "2010-12-31", "--cov-lookback", "60", "--min-hist", "60", "--vol-lookback", "20"]


def test_a_run_and_the_run_of_its_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--symbols", "SSO,TLT", "--leveraged", SSO, *SMALL, "--check-twin"]
    assert main([*flags, "--json", "a.json", "--csv", "a.csv", "--html", "a.html"]) == 0
    out, notes = capsys.readouterr()
    assert out.startswith("SSO, TLT, sample\n")
    assert notes.startswith("note: SSO is made of SPY: 2 times its total return of each session, borrowed at")
    assert SSO in Path("a.json").read_text() and "SSO is made of SPY" in Path("a.html").read_text()
    assert main(["--config", "a.json", "--check-twin", "--json", "b.json", "--csv", "b.csv"]) == 0
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert main(["--config", "a.json", "--leveraged", "none", "--symbols", "TLT", "--json", "c.json", "--csv", ""]) == 0
    assert "SSO" not in Path("c.json").read_text()


def test_a_fund_that_is_none_costs_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--leveraged", "SSO=SPY:2:0.89:0.004"]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"error: leveraged='SSO=.*': expense=0.89 is above 0.1: per cent\? give 0.0089\n", error)
