"""Where the account's return comes from: the terms are what they say, and nothing is left over."""

from __future__ import annotations

import datetime as dt
import io
import math
import pickle
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from markets import QUICK, come_and_gone, frame, parameters, random_market, with_lives

from riskoverlay.analyzers import (
    TERMS,
    DailySeries,
    Exposure,
    Fills,
    LeverageAttribution,
    StrategyProfit,
    TradingCosts,
    deciding_term,
)
from riskoverlay.analyzers.accounting import capital, deposits, log_links
from riskoverlay.analyzers.attribution import _closes_before
from riskoverlay.analyzers.ledger import Ledger, ledger_of
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, PanelFeed, align, load
from riskoverlay.strategies import OwnPosition, RiskParityBlend, VolTargetDrawdownSizer, open_account
from riskoverlay.strategies.fixed import FixedWeights
from riskoverlay.studies.workbench import Config, make_config
from riskoverlay.studies.workbench.assembly import assemble

ANALYZERS = (DailySeries, Exposure, Fills, LeverageAttribution, StrategyProfit, TradingCosts)
NIGHT = pd.Timedelta("23:59:59.999989")
SIZER = {"vol_lookback": 20}
BLEND = {"cov_lookback": 60, "min_hist": 60}
FREE = {"commission_bps": 0.0, "slippage_bps": 0.0, "borrow_rate": 0.0, "cash_rate": 0.0}
PAID = ("commission", "slippage", "tax", "loan_interest", "idle_cash")

Floats = npt.NDArray[np.float64]


class Flows(bt.Analyzer):
    """Pays money in and takes it out, at random, on a part of the bars; keeps what has been paid."""

    params = (("seed", 0), ("rate", 0.03))

    def __init__(self) -> None:
        self.rng = np.random.default_rng(self.p.seed)
        self.paid: list[float] = []

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        if self.rng.random() < self.p.rate and value > 0.0:
            self.paid.append(float(self.rng.uniform(-0.4, 0.6)) * value)
            self.strategy.broker.add_cash(self.paid[-1])


class TradesAtRandom(OwnPosition, bt.Strategy):
    """Trades sizes of its own at random, both sides."""

    params = (("seed", 0), ("most", 60))

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(self.p.seed)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for data in self.datas:
            if len(data) and self.rng.random() < 0.2:
                size = int(self.rng.integers(-self.p.most, self.p.most + 1))
                (self.buy if size > 0 else self.sell)(data, size=abs(size) or 1)


class TurnsAround(OwnPosition, bt.Strategy):
    """Unsized orders by what a feed did over ten bars: in, out, and to the other side."""

    def next(self) -> None:
        for data in self.datas:
            if len(data) > 10 and len(data) % 7 == 0:
                (self.buy if data.close[0] > data.close[-10] else self.sell)(data)


class HoldsWeights(bt.Strategy):
    """Weights by bar: {bar: (weight, ...)}, sent on it."""

    params = (("script", ()),)
    base_weights: Any = None

    def target_weight(self, data: Any) -> float:
        return float(self.base_weights[self.datas.index(data)])

    def next(self) -> None:
        for bar, weights in self.p.script:
            if bar == len(self):
                self.base_weights = list(weights)
                for data, weight in zip(self.datas, weights, strict=True):
                    missing = self.getsizer().target_size(data, weight) - self.getposition(data).size
                    (self.buy if missing > 0.0 else self.sell)(data)


class RawTable(bt.feeds.PandasData):
    lines = ("dividend", "split")
    params = (("dividend", -1), ("split", -1))


def analysis(strategy: Any, analyzer: type = LeverageAttribution) -> dict[str, Any]:
    found: dict[str, Any] = getattr(strategy.analyzers, analyzer.__name__).get_analysis()
    return found


def add_analyzers(cerebro: bt.Cerebro, analyzers: Sequence[type] = ANALYZERS) -> None:
    for analyzer in analyzers:
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)


def cerebro_of(panel: Panel | Sequence[Any], **account: Any) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds() if isinstance(panel, Panel) else panel:
        cerebro.adddata(feed)
    open_account(cerebro, **account)
    return cerebro


def run(panel: Panel | Sequence[Any], strategy: type, values: Any = None, sizer: Any = None, **account: Any) -> Any:
    """One strategy under the overlay in one account."""
    cerebro = cerebro_of(panel, **account)
    cerebro.addstrategy(strategy, **(values or {}))
    cerebro.addsizer(VolTargetDrawdownSizer, **(sizer or {}))
    add_analyzers(cerebro)
    (found,) = cerebro.run()
    return found


def backtest(panel: Panel, config: Config, **flows: Any) -> Any:
    """The strategy of a configuration, as the commands run it, money moving in and out if asked."""
    more = [(Flows, flows)] if flows else []
    cerebro = assemble(panel, config, analyzers=[*((analyzer, {}) for analyzer in ANALYZERS), *more])
    (found,) = cerebro.run()
    return found


def parts(found: dict[str, Any]) -> dict[str, Floats]:
    return {term: np.array(part) for term, part in found["contributions"].items()}


def check(strategy: Any, *, room: float = 1e-12) -> dict[str, Any]:
    """Terms of each session are the fund's log return of it, their sums the log growth; the analysis.

    room: what rounding may leave, per session, in units of what was held and turned over per unit of equity.
    """
    found, series = analysis(strategy), analysis(strategy, DailySeries)
    n = len(found["dates"])
    assert found["dates"] == series["dates"][:n]
    assert list(found["contributions"]) == list(found["total"]) == list(TERMS)
    fund = np.array([series["start_fund"], *series["fund"][:n]])
    assert found["returns"] == series["returns"][:n]
    logs = np.diff(np.log(fund))
    held = np.array(analysis(strategy, Exposure)["leverage"])[:n]
    traded = np.array(analysis(strategy, TradingCosts)["sessions"]["traded"])[:n] / np.array(series["value"])[:n]
    scale = 1.0 + np.nan_to_num(held) + np.r_[0.0, np.nan_to_num(held)[:-1]] + np.abs(traded)
    off = np.abs(sum(parts(found).values()) - logs)
    assert (off <= room * scale).all(), (off / scale).max()
    assert sum(found["total"].values()) == pytest.approx(math.log(fund[-1] / fund[0]), abs=room * scale.sum())
    assert found["log_growth"] == pytest.approx(math.log(fund[-1] / fund[0]), abs=1e-9)
    for term, part in found["contributions"].items():
        assert found["total"][term] == pytest.approx(math.fsum(part), abs=1e-9)
        years = [found["by_year"][year][term] for year in found["by_year"]]
        assert math.fsum(years) == pytest.approx(math.fsum(part), abs=1e-9)
    assert list(found["by_year"]) == sorted({str(day.year) for day in found["dates"]})
    return found


# -- nothing is left over ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three() -> dict[str, Panel]:
    """Two years of three funds, by kind of prices."""
    return {kind: load("sample", "SPY,TLT,GLD", prices=kind, end="2011-12-30") for kind in ("adjusted", "raw")}


@pytest.mark.parametrize("execution", ["next_open", "close"])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("prices", ["adjusted", "raw"])
def test_terms_are_the_growth(three: dict[str, Panel], execution: str, whole: bool, prices: str) -> None:
    more = {"execution": execution, "whole_shares": whole, "withholding": 0.15 if prices == "raw" else 0.0}
    found = check(backtest(three[prices], make_config({**QUICK, **more, "lev_max": 2.0})))
    total = found["total"]
    assert abs(sum(total.values()) - found["log_growth"]) < 1e-9
    assert (total["execution"] == 0.0) is (execution == "close")
    assert (total["tax"] < 0.0) is (prices == "raw")
    assert min(abs(total[term]) for term in ("mean_leverage", "timing", "drift")) > 1e-6
    assert max(total[term] for term in ("commission", "slippage", "loan_interest")) < 0.0
    assert total["others"] == 0.0


def test_terms_of_real_prices_are_the_growth(market: Path) -> None:
    panel = load("csv", "SPY,TLT,GLD,EEM", data_dir=market, prices="raw", end="2012-12-31")
    found = check(backtest(panel, make_config({"withholding": 0.15})))
    assert len(found["dates"]) > 700
    assert abs(sum(found["total"].values()) - found["log_growth"]) < 1e-9
    assert found["total"]["tax"] < 0.0


def random_case(seed: int) -> dict[str, int]:
    """A random market, any account, money moving in and out: the terms add up. What has happened in it."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        panel = come_and_gone(rng)
    else:
        frames = random_market(rng, 110, int(rng.integers(1, 5))).frames
        panel = align(with_lives(frames, rng) if rng.random() < 0.5 else frames, universe="ragged")
    full = {"initial_margin": 0.4, "maintenance_margin": 0.4, "target_vol": 1.0, "lev_min": 1.0, "lev_max": 8.0}
    chosen = parameters(rng) | (full if rng.random() < 0.4 else {})  # whose first fall is a margin call
    config = make_config({**chosen, "withholding": float(rng.choice([0.0, 0.3]))})
    strategy = backtest(panel, config, seed=seed, rate=float(rng.choice([0.0, 0.05])))
    series = analysis(strategy, DailySeries)
    flows = np.abs(series["deposits"]) > 1e-6
    if min(series["fund"]) <= 0.0:
        assert math.isnan(analysis(strategy)["log_growth"])
        return {"ruined": 1}
    try:
        found = check(strategy)
    except AssertionError as error:
        raise AssertionError(f"market {seed}: {error}") from None
    return {
        "called": int(analysis(strategy, TradingCosts)["orders"]["margin_calls"] > 0),
        "paid in": int((np.array(series["deposits"])[flows] > 0.0).any()),
        "paid out": int((np.array(series["deposits"])[flows] < 0.0).any()),
        "acted": int(bool(analysis(strategy, Fills)["actions"])),
        "taxed": int(found["total"]["tax"] < 0.0),
        "executed": int(found["total"]["execution"] != 0.0),
        "lent": int(found["total"]["loan_interest"] < 0.0),
        "idle": int(found["total"]["idle_cash"] > 0.0),
    }


def random_cases(seeds: range, least: dict[str, int]) -> None:
    said = [random_case(seed) for seed in seeds]
    for kind, number in least.items():
        assert sum(one.get(kind, 0) for one in said) >= number, kind


def test_terms_of_random_markets() -> None:
    least = {"called": 3, "paid in": 3, "paid out": 3, "acted": 3, "taxed": 1, "executed": 3, "lent": 3, "idle": 3}
    random_cases(range(20), least)


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(10))
def test_terms_of_five_hundred_random_markets(chunk: int) -> None:
    least = {"called": 3, "paid in": 9, "paid out": 9, "acted": 9, "taxed": 3, "executed": 9, "lent": 9, "idle": 9}
    random_cases(range(1_000 + 50 * chunk, 1_050 + 50 * chunk), least)


# -- each term by hand, and from other analyzers -----------------------------------------------------------------------


def test_two_sessions_by_hand() -> None:
    """Three quarters of A at leverage 2, decided at a close of 100, filled at 104; the loan costs 0.1 % a day."""
    panel = align({"A": frame([100.0, 100.0, 110.0, 99.0], opens=[100.0, 100.0, 104.0, 110.0])})
    account = {"commission_bps": 10.0, "slippage_bps": 100.0, "borrow_rate": 0.365, "day_count": 365}
    lever = {"lev_min": 2.0, "lev_max": 2.0}
    strategy = run(panel, HoldsWeights, {"script": ((2, (0.75,)),)}, lever, cash=10_000.0, **account)
    found = check(strategy)
    price = 104.0 * 1.01
    fee, slip = 150 * price * 0.001, 150 * 1.04
    value = 10_000.0 + 150 * (110.0 - 104.0) - fee - slip
    loan = 150 * price + fee - 10_000.0
    # Had the 150 been bought at 100, the first session would have made leverage × source, to the cent.
    one = {"mean_leverage": 2.0 * 0.75 * 0.10, "execution": -150 * 4.0 / 10_000.0, "commission": -fee / 10_000.0,
           "slippage": -slip / 10_000.0}  # fmt: skip
    # In the second more is held than was decided; three nights from Friday to Monday.
    two = {
        "mean_leverage": -2.0 * 0.75 * 0.10,
        "drift": -150 * 11.0 / value + 0.15,
        "loan_interest": -0.003 * loan / value,
    }
    assert found["leverage"][2:] == [2.0, 2.0]
    np.testing.assert_allclose(found["source"], [np.nan, np.nan, 0.075, -0.075], rtol=1e-12)
    assert found["mean_leverage"] == 2.0
    for at, terms in ((2, one), (3, two)):
        simple = sum(terms.values())
        assert found["returns"][at] == pytest.approx(simple, rel=1e-12)
        for term in TERMS:
            linked = terms.get(term, 0.0) * math.log1p(simple) / simple
            assert found["contributions"][term][at] == pytest.approx(linked, rel=1e-12, abs=1e-15), term
    assert found["by_year"] == {"2020": found["total"]}


def test_terms_are_what_other_analyzers_and_the_prices_say(three: dict[str, Panel]) -> None:
    panel = three["raw"]
    config = make_config({**QUICK, "withholding": 0.15, "cash_rate": 0.03, "lev_min": 0.3})
    strategy = backtest(panel, config, seed=3, rate=0.02)
    found, series, aims = check(strategy), analysis(strategy, DailySeries), analysis(strategy, Exposure)
    costs = analysis(strategy, TradingCosts)["sessions"]
    closes, paid, split = (table.to_numpy() for table in (panel.closes, panel.dividends, panel.splits))
    n, symbols = len(panel.sessions), panel.symbols
    base = np.vstack([closes[:1], closes[:-1]]) / split - paid  # the close before, ex split and dividend

    value, fund = np.array(series["value"]), np.array([series["start_fund"], *series["fund"]])
    held = np.array([series["start"], *value[:-1]]) + series["deposits"]
    returns = fund[1:] / fund[:-1] - 1.0
    k = np.where(returns == 0.0, 1.0, np.log1p(returns) / np.where(returns == 0.0, 1.0, returns))

    weights = np.array([aims["target_weights"][symbol] for symbol in symbols]).T
    b = np.r_[np.nan, (weights[:-1] * (closes[1:] / base[1:] - 1.0)).sum(axis=1)]
    known = np.isfinite(b)
    L = np.r_[np.nan, aims["target_leverage"][:-1]]
    mean = L[known].mean()
    levered = np.where(known, L * b, 0.0)

    day = {date: at for at, date in enumerate(series["dates"])}
    column = {symbol: at for at, symbol in enumerate(symbols)}
    size, night, income = np.zeros((n, len(symbols))), np.zeros(n), np.zeros(n)
    for fill in analysis(strategy, Fills)["fills"]:
        t, i = day[fill["date"]], column[fill["symbol"]]
        size[t, i] += fill["size"]
        night[t] += fill["size"] * (base[t, i] - fill["reference"])
        income[t] -= fill["size"] * base[t, i]
    for action in analysis(strategy, Fills)["actions"]:
        t, i = day[action["date"]], column[action["symbol"]]
        size[t, i] += action["shares"]
        income[t] += action["cashed"] + action["dividend"]
    worth = (size.cumsum(axis=0) * closes).sum(axis=1)  # as if every fill had been at the close before
    interest = np.array(costs["interest"])
    expected = {
        "mean_leverage": np.where(known, mean * b, 0.0),
        "timing": np.where(known, (L - mean) * b, 0.0),
        "drift": (np.diff(worth, prepend=0.0) + income) / held - levered,
        "execution": night / held,
        **{term: -np.array(costs[term]) / held for term in ("commission", "slippage", "tax")},
        "loan_interest": np.where(interest > 0.0, -interest, 0.0) / held,
        "idle_cash": np.where(interest < 0.0, -interest, 0.0) / held,
        "others": np.zeros(n),
    }
    np.testing.assert_allclose(found["source"], b, rtol=1e-9)
    np.testing.assert_allclose(found["leverage"][1:], L[1:], rtol=1e-12)
    assert found["mean_leverage"] == pytest.approx(mean, rel=1e-12)
    for term, part in expected.items():
        np.testing.assert_allclose(found["contributions"][term], k * part, atol=1e-12, err_msg=term)
        assert term == "others" or np.abs(part).max() > 1e-6, term


def test_the_night_is_counted_from_the_close_ex_split_and_dividend() -> None:
    """Bought on an ex-date: what the price fell for the dividend and the split is no gain of the night."""
    bars = frame([100.0, 100.0, 100.0, 48.0, 48.0, 48.0], opens=[100.0, 100.0, 100.0, 49.0, 48.0, 48.0])
    bars["dividend"], bars["split"] = [0.0, 0.0, 0.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 2.0, 1.0, 1.0]
    for execution, night in (("next_open", -1.0), ("close", 0.0)):
        feeds = [RawTable(dataname=bars, name="A")]
        lever = {"lev_min": 1.0, "lev_max": 1.0}
        strategy = run(feeds, HoldsWeights, {"script": ((3, (0.5,)),)}, lever, execution=execution, **FREE)
        found = check(strategy)
        size = sum(fill["size"] for fill in analysis(strategy, Fills)["fills"])
        # The close before was 100: 50 a new share, 48 without its dividend; the open is 49.
        expected = np.zeros(6)
        expected[3] = size * night / 10_000.0
        simple = np.expm1(sum(parts(found).values()))
        k = np.where(simple == 0.0, 1.0, np.log1p(simple) / np.where(simple == 0.0, 1.0, simple))
        np.testing.assert_allclose(found["contributions"]["execution"], k * expected / 10.0, atol=1e-15)
        assert found["source"][3] == pytest.approx(0.5 * (48.0 / 48.0 - 1.0))


@pytest.mark.parametrize("one", [None, *PAID])
def test_what_costs_nothing_is_nothing(three: dict[str, Panel], one: str | None) -> None:
    """Each cost switched on alone moves its own term and no other cost's."""
    on: dict[str, dict[str, float]] = {
        "commission": {"commission_bps": 5.0}, "slippage": {"slippage_bps": 5.0}, "tax": {"withholding": 0.3},
        "loan_interest": {"borrow_rate": 0.1}, "idle_cash": {"cash_rate": 0.05},
    }  # fmt: skip
    config = make_config({**QUICK, **FREE, "withholding": 0.0, "lev_min": 0.3, **on.get(one or "", {})})
    found = check(backtest(three["raw"], config))
    for term in (*PAID, "others"):
        assert any(found["contributions"][term]) is (term == one), term
    assert one is None or (found["total"][one] > 0.0) is (one == "idle_cash")


# -- whose return it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broker", ["margin", "stock"])
@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_directions_are_a_source(three: dict[str, Panel], broker: str, execution: str) -> None:
    """A strategy without weights: the source is that of the slots it holds, longs and shorts."""
    panel = three["adjusted"]
    account = {"broker": broker, "execution": execution, "commission_bps": 3.0, "slippage_bps": 3.0}
    strategy = run(panel, TurnsAround, None, {**SIZER, "reverse": True}, cash=1e6, **account)
    found = check(strategy)
    sides = np.sign([analysis(strategy, Exposure)["own_weights"][symbol] for symbol in panel.symbols]).T
    expected = (sides[:-1] / 3.0 * panel.closes.pct_change().to_numpy()[1:]).sum(axis=1)
    known = np.isfinite(found["source"])
    assert known.sum() > 400
    assert (sides < 0.0).any()
    np.testing.assert_allclose(np.array(found["source"])[known], expected[known[1:]], atol=1e-15)
    assert found["total"]["commission"] < 0.0


def other_profit(strategies: Sequence[Any], one: Any) -> Floats:
    """Per session, what the strategies beside one made, the account's interest aside."""
    kinds = {"gross_profit": 1.0, "dividends": 1.0, "commission": -1.0, "slippage": -1.0, "tax": -1.0}
    costs = [analysis(strategy, TradingCosts)["sessions"] for strategy in strategies if strategy is not one]
    return np.sum([sign * np.array(cost[kind]) for cost in costs for kind, sign in kinds.items()], axis=0)


@pytest.mark.parametrize("first", [True, False])
def test_others_are_what_they_earn(three: dict[str, Panel], first: bool) -> None:
    cerebro = cerebro_of(three["raw"], cash=200_000.0, withholding=0.15, commission_bps=2.0)
    ours = (RiskParityBlend, BLEND)
    theirs = (TradesAtRandom, {"seed": 5})
    for strategy, values in (ours, theirs) if first else (theirs, ours):
        cerebro.addstrategy(strategy, **values)
    cerebro.addsizer_byidx(0 if first else 1, VolTargetDrawdownSizer, allocation=0.5, **SIZER)
    add_analyzers(cerebro)
    strategies = cerebro.run()
    mine, other = strategies if first else strategies[::-1]
    found, series = check(mine), analysis(mine, DailySeries)
    earned = other_profit(strategies, mine) / np.array([series["start"], *series["value"][:-1]])
    assert np.abs(earned).max() > 1e-3
    returns = np.array(found["returns"])
    k = np.where(returns == 0.0, 1.0, np.log1p(returns) / np.where(returns == 0.0, 1.0, returns))
    np.testing.assert_allclose(found["contributions"]["others"], k * earned, atol=1e-14)
    # What half of the account is levered to is the source of the whole by half.
    sizer = mine.getsizer()
    np.testing.assert_allclose(found["leverage"][1:], 0.5 * np.array(sizer.leverages[:-1]), rtol=1e-15)
    assert abs(found["total"]["drift"]) < 0.2 * abs(found["total"]["mean_leverage"])
    # The other is not levered: there is nothing to say of it but the account's return.
    empty = analysis(other)
    assert empty["contributions"] == empty["total"] == empty["by_year"] == {}
    assert math.isnan(empty["mean_leverage"]) and np.isnan([*empty["leverage"], *empty["source"]]).all()
    assert (empty["dates"], empty["returns"]) == (found["dates"], found["returns"])
    assert empty["log_growth"] == found["log_growth"]


class WatchesItself(RiskParityBlend):
    """Brings its analyzers itself; others have none."""

    def __init__(self) -> None:
        super().__init__()
        self.watchers = [self._addanalyzer(analyzer, _name=analyzer.__name__) for analyzer in ANALYZERS]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_others_need_no_analyzer(three: dict[str, Panel], at: int) -> None:
    """A ledger is kept of those without one, whether they stand before or after."""

    def found(strategy: type, analyzers: Sequence[type]) -> dict[str, Any]:
        cerebro = cerebro_of(three["adjusted"], cash=200_000.0)
        for i in range(3):
            if i == at:
                cerebro.addstrategy(strategy, **BLEND, overlay={"vol_lookback": 20})
            else:
                cerebro.addstrategy(TradesAtRandom, seed=i)
        add_analyzers(cerebro, analyzers)
        return check(cerebro.run()[at])

    alone = found(WatchesItself, ())
    assert alone["total"]["others"] != 0.0
    assert repr(alone) == repr(found(RiskParityBlend, ANALYZERS))


@pytest.mark.parametrize("sizer", [None, bt.sizers.FixedSize, VolTargetDrawdownSizer])
def test_without_the_overlay_there_is_nothing_to_attribute(three: dict[str, Panel], sizer: Any) -> None:
    class Asked(VolTargetDrawdownSizer):
        asked = False

    cerebro = cerebro_of(three["adjusted"])
    cerebro.addstrategy(TradesAtRandom)
    if sizer is not None:
        cerebro.addsizer(Asked if sizer is VolTargetDrawdownSizer else sizer)
    add_analyzers(cerebro)
    found = analysis(cerebro.run()[0])
    assert found["contributions"] == found["total"] == found["by_year"] == {}
    assert math.isnan(found["mean_leverage"])
    assert len(found["dates"]) == len(found["leverage"]) == len(found["source"]) == len(found["returns"]) > 400
    assert found["log_growth"] == pytest.approx(math.fsum(np.log1p(found["returns"])), abs=1e-12)


@pytest.mark.parametrize("broker", ["margin", "stock"])
def test_contracts_count_their_multiplier(broker: str) -> None:
    rng = np.random.default_rng(2)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (2, 150)), axis=1))
    feeds = [
        PanelFeed(dataname=frame(row, opens=row * 1.002), name=name) for row, name in zip(closes, "AB", strict=True)
    ]
    cerebro = bt.Cerebro(stdstats=False)
    for feed in feeds:
        cerebro.adddata(feed)
    account = open_account(cerebro, cash=1e6, broker=broker, slippage_bps=1.0)
    account.setcommission(margin=500.0, mult=25.0, commission=2.0, name="A")
    cerebro.addstrategy(FixedWeights, weights={"A": 0.6, "B": 0.4}, rebalance_freq="W-FRI")
    cerebro.addsizer(VolTargetDrawdownSizer, **SIZER)
    add_analyzers(cerebro)
    (strategy,) = cerebro.run()
    found = check(strategy)
    points = {"A": 25.0, "B": 1.0}
    night = np.zeros(150)
    day = {date: at for at, date in enumerate(found["dates"])}
    for fill in analysis(strategy, Fills)["fills"]:
        t = day[fill["date"]]
        night[t] += (
            fill["size"] * (closes["AB".index(fill["symbol"]), t - 1] - fill["reference"]) * points[fill["symbol"]]
        )
    series = analysis(strategy, DailySeries)
    returns = np.array(found["returns"])
    k = np.where(returns == 0.0, 1.0, np.log1p(returns) / np.where(returns == 0.0, 1.0, returns))
    expected = k * night / np.array([series["start"], *series["value"][:-1]])
    np.testing.assert_allclose(found["contributions"]["execution"], expected, atol=1e-15)
    assert {fill["symbol"] for fill in analysis(strategy, Fills)["fills"]} == {"A", "B"}


@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_the_stock_broker_is_attributed_alike(three: dict[str, Panel], execution: str) -> None:
    account = {"cash": 1e6, "broker": "stock", "execution": execution, "borrow_rate": 0.08}
    found = check(run(three["adjusted"], RiskParityBlend, BLEND, SIZER, **account))
    assert found["total"]["loan_interest"] < 0.0
    assert abs(found["total"]["drift"]) < 0.1 * abs(found["total"]["mean_leverage"])


# -- sessions ----------------------------------------------------------------------------------------------------------


def hours_of(days: pd.DatetimeIndex, hours: Sequence[float]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([day + pd.Timedelta(hours=hour) for day in days for hour in hours])


def intraday(days: pd.DatetimeIndex, hours: Sequence[float], calendar: str | None, **flows: Any) -> tuple[Any, Any]:
    """Bars within a day, and the daily bars that they make, under the same strategy."""
    index = hours_of(days, hours)
    frames = {}
    for seed, name in enumerate("AB"):
        rng = np.random.default_rng(seed)
        frames[name] = frame(100 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(index))))).set_axis(index)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    daily = {name: bars.groupby(bars.index.normalize()).agg(rules) for name, bars in frames.items()}
    minutes = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}

    def one(tables: dict[str, pd.DataFrame], **params: Any) -> Any:
        feeds = [bt.feeds.PandasData(dataname=bars, name=name, **params) for name, bars in tables.items()]
        cerebro = cerebro_of(feeds, cash=1e6, borrow_rate=0.1)
        blend = {"cov_lookback": 20, "min_hist": 20, "rebalance_freq": "W-FRI", "calendar": calendar}
        cerebro.addstrategy(RiskParityBlend, **blend, overlay={"vol_lookback": 10})
        if flows:
            cerebro.addanalyzer(Flows, **flows)
        add_analyzers(cerebro)
        return cerebro.run()[0]

    return one(frames, **minutes), one(daily)


DAYS = pd.bdate_range("2019-09-03", "2019-11-27")


@pytest.mark.parametrize(
    ("hours", "calendar"), [((11.0, 16.0), "XNYS"), ((11.0, 15.0), "XNYS"), ((11.0, 16.0), None)], ids=str
)
def test_sessions_of_bars_within_a_day_are_those_of_daily_bars(hours: Sequence[float], calendar: str | None) -> None:
    """Also where a session is decided late, with the first bar of the next: source and leverage stay on their dates."""
    within, daily = intraday(DAYS, hours, calendar)
    late = hours[-1] != 16.0 or calendar is None
    sizer = within.getsizer()
    assert [dt.date.fromordinal(day) for day in sizer.sessions] == list(DAYS.date)[: -1 if late else None]
    assert len(sizer.sessions) == len(sizer.base_returns) == len(sizer.leverages)
    found, other = check(within), check(daily)
    assert found["dates"] == other["dates"] == list(DAYS.date)
    end = -1 if late else None  # the last session of all never ends for who waits for a later bar
    np.testing.assert_allclose(found["source"][:end], other["source"][:end], rtol=1e-9)
    assert np.isnan(found["source"][-1]) == late
    assert np.isfinite(other["source"]).sum() > 30
    before = [math.nan, *sizer.leverages]
    np.testing.assert_array_equal(found["leverage"], before[: len(found["dates"])])


@pytest.mark.parametrize("broker", ["margin", "stock"])
def test_money_that_moves_within_a_session(three: dict[str, Panel], broker: str) -> None:
    """Feeds of two stamps make two bars a session; what is paid in between is held against the second only."""
    panel = three["adjusted"]
    feeds = []
    for name, bars in panel.frames.items():
        moved = bars.set_axis(bars.index + NIGHT) if name == "TLT" else bars
        feeds.append(bt.feeds.PandasData(dataname=moved, name=name))
    cerebro = cerebro_of(feeds, cash=1e6, broker=broker, borrow_rate=0.08)
    cerebro.addstrategy(RiskParityBlend, **BLEND)
    cerebro.addsizer(VolTargetDrawdownSizer, **SIZER)
    cerebro.addanalyzer(Flows, seed=4, rate=0.05)
    add_analyzers(cerebro)
    (strategy,) = cerebro.run()
    assert len(strategy) == 2 * len(panel.sessions)
    found = check(strategy)
    assert len(found["dates"]) == len(panel.sessions)
    ledger = ledger_of(strategy)
    shares = np.array(ledger._shares).reshape(-1, 2)
    assert (np.abs(shares[:, 1] - shares[:, 0]) > 1.0).sum() > 5  # amid a session, not at its begin
    assert np.abs(parts(found)["drift"]).max() < 0.5


def test_bars_are_sessions_of_their_own_only_where_they_are_asked_for(three: dict[str, Panel]) -> None:
    ledger = ledger_of(run(three["adjusted"].between(None, "2010-12-31"), RiskParityBlend, BLEND, SIZER))
    assert ledger.by_bar is ledger
    within, _ = intraday(DAYS, (11.0, 16.0), "XNYS")
    ledger = ledger_of(within)
    assert (len(ledger), len(ledger.by_bar)) == (len(DAYS), 2 * len(DAYS))
    assert ledger.by_bar.by_bar is ledger.by_bar
    for name in ("gross_profit", "commission", "slippage", "interest", "traded"):
        by_bar = getattr(ledger.by_bar, name).reshape(-1, 2).sum(axis=1)
        np.testing.assert_allclose(by_bar, getattr(ledger, name), atol=1e-9)


class ChangesTarget(RiskParityBlend):
    """Another target from a close on."""

    params = (("at", 0),)  # type: ignore[assignment]

    def next(self) -> None:
        if len(self) == self.p.at:
            self.getsizer().reconfigure(target_vol=0.05)
        super().next()


def test_reconfiguring_decides_the_last_session_anew(three: dict[str, Panel]) -> None:
    at = 200
    changed = run(three["adjusted"], ChangesTarget, {**BLEND, "at": at}, SIZER)
    plain = run(three["adjusted"], ChangesTarget, BLEND, SIZER)
    one, other = changed.getsizer(), plain.getsizer()
    assert len(one.leverages) == len(other.leverages) == len(one.sessions) == len(plain)
    assert one.leverages[: at - 1] == other.leverages[: at - 1]
    assert one.leverages[at - 1] == pytest.approx(other.leverages[at - 1] * 5.0 / 12.0)
    assert check(changed)["leverage"][at] == one.leverages[at - 1]
    early = VolTargetDrawdownSizer()  # before the first close there is none to decide anew
    early.set(changed, changed.broker)
    early.reconfigure(lev_max=0.5)
    assert (early.leverage, len(early.leverages)) == (0.5, 0)


def test_a_run_that_is_stopped_amid_a_session_ends_before_it(three: dict[str, Panel]) -> None:
    class StopsTheRun(TradesAtRandom):
        def next(self) -> None:
            super().next()
            if len(self) == 150:
                self.cerebro.runstop()

    ours = RiskParityBlend
    for order, ran, known in (
        ((StopsTheRun, ours), 149, 149),  # ours does not hear of the last bar
        ((ours, StopsTheRun), 150, 150),
        ((ours, StopsTheRun, TradesAtRandom), 150, 149),  # what the last has earned on it is not known
    ):
        cerebro = cerebro_of(three["adjusted"], cash=200_000.0)
        for strategy in order:
            cerebro.addstrategy(strategy, **(BLEND if strategy is ours else {"seed": 1}))
        add_analyzers(cerebro)
        one = next(strategy for strategy in cerebro.run() if isinstance(strategy, ours))
        assert len(analysis(one, DailySeries)["dates"]) == ran
        assert len(check(one)["dates"]) == known


def test_dates_on_which_only_other_feeds_trade_have_no_source(three: dict[str, Panel]) -> None:
    """The universe is closed on them: its source is that of its own sessions, once."""
    panel = three["adjusted"]
    closed = panel.sessions[100::50]
    feeds = [
        bt.feeds.PandasData(dataname=bars if name == "GLD" else bars.drop(closed), name=name)
        for name, bars in panel.frames.items()
    ]
    strategy = run(feeds, RiskParityBlend, {**BLEND, "symbols": ("SPY", "TLT")}, SIZER)
    found, sizer = check(strategy), strategy.getsizer()
    assert found["dates"] == list(panel.sessions.date)
    source = pd.Series(found["source"], panel.sessions)
    assert source[closed].isna().all()
    np.testing.assert_array_equal(source.drop(closed), sizer.base_returns)
    leverage = pd.Series(found["leverage"], panel.sessions)
    np.testing.assert_array_equal(leverage.drop(closed)[1:], sizer.leverages[:-1])


def test_a_fill_of_the_first_session_has_no_night() -> None:
    """Bought amid the first date, after its first bar: there is no close before, and none of the future is read."""

    class BuysAtOnce(OwnPosition, bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy()

    index = hours_of(DAYS[:3], (11.0, 13.0, 16.0))
    bars = frame(np.linspace(100.0, 120.0, len(index))).set_axis(index)
    feed = bt.feeds.PandasData(dataname=bars, name="A", timeframe=bt.TimeFrame.Minutes, compression=60)
    strategy = run([feed], BuysAtOnce, None, SIZER)
    found = check(strategy)
    (fill,) = analysis(strategy, Fills)["fills"]
    assert fill["date"] == found["dates"][0]
    assert not any(found["contributions"]["execution"])


def test_what_is_to_come_moves_only_the_mean(three: dict[str, Panel]) -> None:
    panel, at = three["raw"], 300
    rng = np.random.default_rng(1)
    frames = {}
    for symbol, bars in panel.frames.items():
        frames[symbol] = bars.copy()
        columns = ["open", "high", "low", "close"]
        frames[symbol].loc[bars.index[at:], columns] *= float(rng.uniform(0.8, 1.4))
    config = make_config({**QUICK, "withholding": 0.15})
    one, other = (check(backtest(table, config)) for table in (panel, align(frames)))
    assert one["mean_leverage"] != other["mean_leverage"]
    for name in ("leverage", "source", "returns"):
        np.testing.assert_array_equal(one[name][:at], other[name][:at])
    assert one["returns"][at:] != other["returns"][at:]
    mine, theirs = parts(one), parts(other)
    for term in set(TERMS) - {"mean_leverage", "timing"}:
        np.testing.assert_array_equal(mine[term][:at], theirs[term][:at], err_msg=term)
    levered = [found["mean_leverage"] + found["timing"] for found in (mine, theirs)]
    np.testing.assert_allclose(levered[0][:at], levered[1][:at], atol=1e-15)
    assert np.abs(mine["timing"][:at] - theirs["timing"][:at]).max() > 1e-6


# -- an account that comes to nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [40.0, 50.0])
def test_a_ruined_account_has_no_growth(last: float) -> None:
    """Two thirds of the price gone at leverage 2: less than nothing is left; at 50, nothing at all."""
    panel = align({"A": frame([100.0, 100.0, 100.0, 110.0, last, last, 60.0], opens=[100.0] * 4 + [last, last, 60.0])})
    lever = {"lev_min": 2.0, "lev_max": 2.0}
    rules = {"script": ((2, (1.0,)),)}
    strategy = run(panel, HoldsWeights, rules, lever, cash=10_000.0, execution="close", maintenance_margin=0.01, **FREE)
    series, found = analysis(strategy, DailySeries), analysis(strategy)
    assert min(series["fund"]) <= 1e-9
    assert set(found["total"]) == set(TERMS)
    assert np.isnan([*found["total"].values(), found["log_growth"], *found["by_year"]["2020"].values()]).all()
    for part in found["contributions"].values():
        assert np.isfinite(part[:4]).all()
        assert np.isnan(part[4:]).all()
    assert found["contributions"]["mean_leverage"][3] == pytest.approx(math.log(1.2))
    assert found["returns"][4] == pytest.approx(series["value"][4] / 12_000.0 - 1.0)


def test_links_add_up_whatever_the_parts() -> None:
    rng = np.random.default_rng(8)
    simple = rng.normal(0.0, 0.1, (5, 40))
    simple[:, 7] = 0.0
    returns = simple.sum(axis=0)
    fund = 100.0 * np.cumprod(1.0 + returns)
    linked = simple * log_links(returns, fund)
    assert linked.sum() == pytest.approx(math.log(fund[-1] / 100.0), abs=1e-12)
    np.testing.assert_allclose(linked.sum(axis=0), np.log1p(returns), atol=1e-15)
    assert log_links(returns, fund)[7] == 1.0
    tiny = np.array([1e-17, -1e-12, 1e-9])
    np.testing.assert_allclose(log_links(tiny, np.ones(3)), 1.0 - tiny / 2.0, rtol=1e-15)
    ruined = log_links(np.array([0.1, -1.0, 0.5, np.nan]), np.array([1.1, 0.0, 0.1, 1.0]))
    np.testing.assert_array_equal(np.isnan(ruined), [False, True, True, True])
    assert log_links(np.zeros(0), np.zeros(0)).size == 0


def test_capital_is_what_makes_a_fund_of_profits() -> None:
    """Bars of which some make one session: profits over it add up to what the fund has made of the session."""
    rng = np.random.default_rng(6)
    profit, paid = rng.normal(0.0, 5.0, 30), np.where(rng.random(30) < 0.5, rng.uniform(-20.0, 30.0, 30), 0.0)
    rows = [(100.0, 10.0, 10.0)]
    for earned, moved in zip(profit, paid, strict=True):
        equity, unit, held = rows[-1]
        held += moved / unit
        rows.append((equity + moved + earned, (equity + moved + earned) / held, held))
    value, fund, shares = np.array(rows[1:]).T
    np.testing.assert_allclose(deposits(value, fund, shares, 10.0, 10.0), paid, atol=1e-9)
    for begins in (np.arange(30), np.arange(0, 30, 3), np.array([0, 1, 20])):
        base = capital(value, paid, fund, begins, 100.0, 10.0)
        ends = np.append(begins[1:], 30) - 1
        made = np.diff(fund[ends], prepend=10.0) / np.r_[10.0, fund[ends[:-1]]]
        np.testing.assert_allclose(np.add.reduceat(profit / base, begins), made, atol=1e-12)
    alone = capital(value, paid, fund, np.arange(30), 100.0, 10.0)
    np.testing.assert_allclose(alone, np.r_[100.0, value[:-1]] + paid, rtol=1e-12)


# -- one term of several -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "term"),
    [
        ({"a": 0.5, "b": -0.7, "c": 0.4}, "a"),  # the sum is a gain: the largest gain, not the largest of all
        ({"a": 0.5, "b": -0.7, "c": -0.4}, "b"),
        ({"a": 0.2, "b": -0.9, "c": 0.3, "d": -0.1}, "b"),
        ({"a": -0.2, "b": 0.2, "c": 0.0}, "a"),
        ({"a": 0.0}, "a"),
        ({"a": 0.3, "b": 0.3}, "a"),
    ],
)
def test_the_term_that_decided(total: dict[str, float], term: str) -> None:
    assert deciding_term(total) == term


@pytest.mark.parametrize("total", [{}, {"a": math.nan, "b": 1.0}, {"a": math.inf}])
def test_nothing_decides_what_is_no_sum(total: dict[str, float]) -> None:
    with pytest.raises(InputError, match="is not a sum of numbers: give the total"):
        deciding_term(total)


# -- as analyzers are used ---------------------------------------------------------------------------------------------


def test_results_are_plain_printed_in_short_and_pickled(three: dict[str, Panel]) -> None:
    strategy = run(three["adjusted"], RiskParityBlend, BLEND, SIZER)
    analyzer, found = strategy.analyzers.LeverageAttribution, analysis(strategy)
    assert repr(pickle.loads(pickle.dumps(found))) == repr(found)
    kinds = {type(leaf) for name in ("leverage", "source", "returns") for leaf in found[name]}
    kinds |= {type(leaf) for part in found["contributions"].values() for leaf in part}
    kinds |= {type(leaf) for year in found["by_year"].values() for leaf in year.values()}
    assert kinds == {float}
    assert {type(day) for day in found["dates"]} == {dt.date}
    out = io.StringIO()
    with redirect_stdout(out):
        analyzer.print()
    assert len(out.getvalue()) < 8_000
    assert f"{len(found['dates'])} values" in out.getvalue()
    assert analyzer.digest()["total"] == found["total"]


def test_it_works_as_a_slave_and_in_every_mode_of_the_engine(three: dict[str, Panel]) -> None:
    class Slave(RiskParityBlend):
        def __init__(self) -> None:
            super().__init__()
            self.slave = self._addanalyzer_slave(LeverageAttribution)

    panel = three["adjusted"].between(None, "2010-12-31")
    cerebro = cerebro_of(panel)
    cerebro.addstrategy(Slave, **BLEND, overlay=SIZER)
    want = repr(cerebro.run()[0].slave.get_analysis())
    for mode in ({}, {"runonce": False}, {"preload": False}, {"exactbars": 1}, {"quicknotify": True}):
        cerebro = cerebro_of(panel)
        cerebro.addstrategy(RiskParityBlend, **BLEND, overlay=SIZER)
        cerebro.addanalyzer(LeverageAttribution)
        assert repr(cerebro.run(**mode)[0].analyzers[0].get_analysis()) == want, mode


def test_it_comes_out_of_an_optimisation(three: dict[str, Panel]) -> None:
    cerebro = cerebro_of(three["adjusted"].between(None, "2010-12-31"))
    cerebro.optstrategy(RiskParityBlend, **BLEND, overlay=({"target_vol": 0.05}, {"target_vol": 0.20}))
    add_analyzers(cerebro)
    means = [analysis(one)["mean_leverage"] for (one,) in cerebro.run(maxcpus=1)]
    assert means[0] < means[1]


def test_no_session_and_no_bar() -> None:
    panel = align({"A": frame([100.0, 101.0])})
    found = check(run(panel, RiskParityBlend, BLEND, SIZER))
    assert math.isnan(found["mean_leverage"])
    assert set(found["total"].values()) == {0.0}
    empty = bt.feeds.PandasData(dataname=frame([100.0]).iloc[:0], name="A")
    cerebro = cerebro_of([empty])
    cerebro.addstrategy(RiskParityBlend, **BLEND)
    add_analyzers(cerebro)
    found = analysis(cerebro.run()[0])
    assert (found["dates"], found["by_year"], found["log_growth"]) == ([], {}, 0.0)
    assert found["total"] == dict.fromkeys(TERMS, 0.0)


def test_ledgers_know_the_close_before_of_a_fill(three: dict[str, Panel]) -> None:
    strategy = run(three["adjusted"], RiskParityBlend, BLEND, SIZER)
    ledger: Ledger = ledger_of(strategy)
    closes = three["adjusted"].closes.to_numpy()
    expected = [closes[t - 1, fill.feed] for fill, t in zip(ledger.fills, ledger.fill_sessions, strict=True)]
    assert _closes_before(ledger) == expected
    assert len(expected) > 100
