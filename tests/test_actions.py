"""Dividends, splits and members that come and go: in the account, in the rules, and in the twin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from identities import check_books
from markets import as_traded, parameters, random_market, with_lives

from riskoverlay.analyzers import Fills, PortfolioReturns, StrategyProfit, TradingCosts
from riskoverlay.errors import InputError, RiskOverlayError, TwinError
from riskoverlay.feeds import Panel, align, load
from riskoverlay.strategies import OwnPosition, VolTargetDrawdownSizer, open_account
from riskoverlay.strategies.actions import holdings, shares_after
from riskoverlay.studies.audit import audit
from riskoverlay.studies.audit.candidate import Candidate
from riskoverlay.studies.audit.changes import changed_after
from riskoverlay.studies.cli import main
from riskoverlay.studies.report import report_html
from riskoverlay.studies.workbench import backtest, make_config, simulate
from riskoverlay.studies.workbench.assembly import pair_of
from riskoverlay.studies.workbench.runs import Run
from riskoverlay.studies.workbench.twins import Twins, check_twin

FREE = {
    "execution": "close", "whole_shares": False, "commission_bps": 0.0, "slippage_bps": 0.0,
    "borrow_rate": 0.0, "cash_rate": 0.0, "risk_free": 0.0,
}  # fmt: skip
HELD = {**FREE, "lev_min": 1.0, "lev_max": 1.0, "rebalance_freq": "D", "drift": "daily", "calendar": None}
"""An account that is invested in full at every close."""


class RawTable(bt.feeds.PandasData):
    """Somebody's own feed of prices as traded."""

    lines = ("dividend", "split")
    params = (("dividend", -1), ("split", -1))


def bars(closes: list[float], *, dividends: Mapping[int, float] | None = None,
         splits: Mapping[int, float] | None = None) -> pd.DataFrame:  # fmt: skip
    """Opens are the closes of the session; the n-th dividend and split by session."""
    days = pd.bdate_range("2020-01-01", periods=len(closes), name="date")
    frame = pd.DataFrame({name: np.array(closes) for name in ("open", "high", "low", "close")}, index=days)
    frame["volume"], frame["dividend"], frame["split"] = 1e6, 0.0, 1.0
    for name, given in (("dividend", dividends), ("split", splits)):
        for at, value in (given or {}).items():
            frame.iloc[at, frame.columns.get_loc(name)] = value
    return frame


class ActsByScript(bt.Strategy):
    """Sends what its script says on each session, and writes down what it hears."""

    params = (("script", ()),)

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.trades: list[Any] = []
        self.orders: list[Any] = []

    def next(self) -> None:
        for at, send in self.p.script:
            if at == len(self) - 1:
                order = send(self)
                self.orders += order if isinstance(order, list) else [order]

    def notify_action(self, action: Any) -> None:
        self.heard.append(action)

    def notify_trade(self, trade: Any) -> None:
        self.trades.append(trade)


class OwnActsByScript(OwnPosition, ActsByScript):
    def notify_action(self, action: Any) -> None:
        super().notify_action(action)
        ActsByScript.notify_action(self, action)


def run(frame: pd.DataFrame, *scripts: Any, kind: type = ActsByScript, quick: bool = False, **account: Any) -> Any:
    """Strategies of some scripts in one account without costs, on one feed."""
    cerebro = bt.Cerebro(stdstats=False, quicknotify=quick)
    cerebro.adddata(RawTable(dataname=frame), name="A")
    free = {"slippage_bps": 0.0, "commission_bps": 0.0, "borrow_rate": 0.0}
    open_account(cerebro, 10_000.0, **{**free, **account})
    for script in scripts:
        cerebro.addstrategy(kind, script=script)
    for analyzer in (TradingCosts, StrategyProfit, Fills, PortfolioReturns):
        cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    strategies: list[Any] = cerebro.run()
    return strategies


def costs(strategy: Any) -> Any:
    return strategy.analyzers.TradingCosts.get_analysis()


# -- one dividend, one split, by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("execution", "entitled"), [("next_open", 0), ("close", 1)])
def test_who_buys_at_the_close_before_is_paid_and_who_buys_at_the_open_is_not(execution: str, entitled: int) -> None:
    frame = bars([10.0, 10.0, 9.0, 9.0], dividends={2: 1.0})
    (one,) = run(frame, [(1, lambda s: s.buy(size=100))], execution=execution, withholding=0.15)
    assert costs(one)["dividends"] == 100.0 * entitled
    assert costs(one)["tax"] == pytest.approx(15.0 * entitled)
    bought = 10.0 if execution == "close" else 9.0
    assert costs(one)["end"] == pytest.approx(10_000.0 + 100 * (9.0 - bought) + entitled * 85.0)


def test_who_is_short_pays_all_of_it() -> None:
    frame = bars([10.0, 10.0, 10.0, 9.0, 9.0], dividends={3: 1.0})
    (one,) = run(frame, [(0, lambda s: s.sell(size=50))], withholding=0.3)
    assert (costs(one)["dividends"], costs(one)["tax"], costs(one)["gross_profit"]) == (-50.0, 0.0, 50.0)
    assert costs(one)["end"] == 10_000.0


def test_a_split_changes_shares_cost_and_nothing_else() -> None:
    frame = bars([30.0, 30.0, 30.0, 10.0, 11.0], splits={3: 3.0})
    (one,) = run(frame, [(0, lambda s: s.buy(size=7)), (3, lambda s: s.close())], commission_bps=10.0)
    (trade,) = [trade for trade in one.trades if trade.isclosed]
    assert [fill["size"] for fill in one.analyzers.Fills.get_analysis()["fills"]] == [7, -21]
    assert trade.pnl == pytest.approx(21 * 1.0)
    assert trade.pnlcomm == pytest.approx(21.0 - 0.001 * (210 + 231))
    assert costs(one)["gross_profit"] == pytest.approx(21.0)
    assert one.analyzers.Fills.get_analysis()["actions"] == [
        {"date": date(2020, 1, 6), "symbol": "A", "shares": 14.0, "cashed": 0.0, "dividend": 0.0, "tax": 0.0}
    ]


@pytest.mark.parametrize("quick", [False, True])
def test_fractions_of_a_share_are_cashed_at_the_last_close(quick: bool) -> None:
    frame = bars([2.0, 2.0, 2.0, 21.0, 21.0], splits={3: 0.1})
    script = [(0, lambda s: s.buy(size=25)), (3, lambda s: s.close())]
    (one,) = run(frame, script, quick=quick)
    (booked,) = one.analyzers.Fills.get_analysis()["actions"]
    assert (booked["shares"], booked["cashed"]) == (-23.0, pytest.approx(0.5 * 20.0))
    assert costs(one)["end"] == pytest.approx(10_000.0 + 2 * (21.0 - 20.0))
    (less,) = run(frame, [(0, lambda s: s.buy(size=7))], quick=quick)  # not a share is left: the trade is over
    assert costs(less)["end"] == pytest.approx(10_000.0)
    assert [(trade.isclosed, trade.size) for trade in less.trades] == [(False, 7), (True, 0.0)]
    assert less.trades[-1].pnl == pytest.approx(0.0)
    (part,) = run(frame, [(0, lambda s: s.buy(size=7.5))], quick=quick)  # whole shares never were
    assert part.broker.getposition(part.data).size == pytest.approx(0.75)


def test_a_dividend_is_profit_of_the_trade_that_was_open() -> None:
    frame = bars([10.0, 10.0, 10.0, 9.0, 9.5, 9.5], dividends={3: 1.0})
    (one,) = run(frame, [(0, lambda s: s.buy(size=10)), (3, lambda s: s.close())], withholding=0.2)
    (trade,) = [trade for trade in one.trades if trade.isclosed]
    assert trade.pnl == pytest.approx(10 * (9.5 - 10.0) + 10 * 0.8)


@pytest.mark.parametrize(("held", "split", "after"), [
    (300.0, 0.333333, 100.0), (7.0, 0.1, 0.0), (15.0, 0.1, 1.0), (-15.0, 0.1, -1.0), (10.0, 1.5, 15.0),
    (2.5, 3.0, 7.5), (3.0, 1.5, 4.0), (-3.0, 2.0, -6.0),
])  # fmt: skip
def test_shares_after_a_split(held: float, split: float, after: float) -> None:
    assert shares_after(held, split) == pytest.approx(after, abs=0)


def test_tax_is_on_what_the_account_is_long() -> None:
    """Ten long and four short are six long to who pays the dividend; the long one bears the tax."""
    found = holdings({"a": 10.0, "b": -4.0}, 1.0, 2.0, 50.0, 0.25)
    assert (found["a"].dividend, found["b"].dividend) == (20.0, -8.0)
    assert (found["a"].tax, found["b"].tax) == (pytest.approx(0.25 * 12.0), 0.0)
    assert holdings({"a": 4.0, "b": -10.0}, 1.0, 2.0, 50.0, 0.25)["a"].tax == 0.0


# -- orders that wait --------------------------------------------------------------------------------------------------


def test_orders_that_wait_are_split_too() -> None:
    frame = bars([30.0, 30.0, 30.0, 10.0, 9.0, 8.0, 12.0, 13.0], splits={3: 3.0})
    frame["low"] -= 0.5
    frame["high"] += 0.5

    def orders(s: Any) -> list[Any]:
        limit = s.buy(size=5, exectype=bt.Order.Limit, price=24.6)
        stop = s.buy(size=2, exectype=bt.Order.StopLimit, price=36.0, plimit=37.2)
        trail = s.sell(size=1, exectype=bt.Order.StopTrail, trailamount=6.0)
        return [limit, stop, trail]

    (one,) = run(frame, [(1, orders)])
    limit, stop, trail = one.orders
    assert (limit.created.size, limit.created.price) == (15.0, pytest.approx(8.2))
    assert (limit.executed.size, limit.executed.price) == (15.0, pytest.approx(8.0))
    assert (stop.created.price, stop.created.pricelimit) == (pytest.approx(12.0), pytest.approx(12.4))
    assert (stop.executed.size, stop.executed.price) == (6.0, pytest.approx(12.0))
    assert (trail.trailamount, trail.executed.size) == (2.0, -3.0)


def test_a_market_order_fills_in_new_shares_at_the_open_and_in_old_ones_at_the_close_before() -> None:
    frame = bars([30.0, 30.0, 10.0, 10.0], splits={2: 3.0})
    for execution, size, price in (("next_open", 12, 10.0), ("close", 4, 30.0)):
        (one,) = run(frame, [(1, lambda s: s.buy(size=4))], execution=execution)
        (fill,) = one.analyzers.Fills.get_analysis()["fills"]
        assert (fill["size"], fill["price"]) == (size, price)
        assert one.broker.getposition(one.data).size == 12
        assert costs(one)["end"] == pytest.approx(10_000.0)


def test_an_order_of_which_no_share_is_left_is_cancelled_with_its_bracket() -> None:
    frame = bars([3.0, 3.0, 3.0, 30.0, 30.0, 30.0], splits={3: 0.1})
    (one,) = run(frame, [(1, lambda s: s.buy_bracket(size=5, price=2.0, stopprice=1.0, limitprice=9.0))])
    assert {order.getstatusname() for order in one.orders} == {"Canceled"}
    assert costs(one)["end"] == 10_000.0


# -- who hears of it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_every_book_agrees_when_several_strategies_share_a_feed(execution: str) -> None:
    closes = [*np.linspace(30, 33, 6), *np.linspace(11, 12, 6)]
    frame = bars(closes, dividends={4: 0.7, 8: 0.2}, splits={6: 3.0})
    scripts = (
        [(1, lambda s: s.buy(size=9)), (5, lambda s: s.buy(size=2))],
        [(3, lambda s: s.sell(size=4)), (8, lambda s: s.close())],
    )
    found = run(frame, *scripts, kind=OwnActsByScript, execution=execution, withholding=0.15, commission_per_share=0.01)
    broker = found[0].broker
    assert [one.held(one.data) for one in found] == [33.0, 0.0]
    assert sum(one.held(one.data) for one in found) == broker.getposition(found[0].data).size
    nine, two = (order.executed.price for order in found[0].orders)
    # The second order is filled before the split at a close, in six new shares after it at an open.
    paid = 9 * nine + (2 * two if execution == "close" else 6 * two)
    assert found[0].getposition().price == pytest.approx(paid / 33.0)
    profits = [one.analyzers.StrategyProfit.get_analysis()["profit"] for one in found]
    assert sum(profits) == pytest.approx(costs(found[0])["end"] - 10_000.0, abs=1e-9)
    assert [(action.split, action.dividend) for action in found[0].heard] == [(1.0, 0.7), (3.0, 0.0), (1.0, 0.2)]
    positions = found[0].analyzers.PortfolioReturns.get_analysis()
    assert positions["positions"]["A"][-1] + positions["cash"][-1] == pytest.approx(costs(found[0])["end"])


def test_a_dividend_is_no_fall_to_the_sizer_and_no_deposit_to_the_fund() -> None:
    """Price and dividend make a total return of exactly 0: no volatility, no drawdown."""
    closes = [100.0] * 6 + [90.0] * 6 + [45.0] * 6

    class HoldsThrough(bt.Strategy):
        def next(self) -> None:
            if not self.position:
                self.buy()

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(RawTable(dataname=bars(closes, dividends={6: 10.0}, splits={12: 2.0})), name="A")
    open_account(cerebro, 10_000.0, slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
    cerebro.addstrategy(HoldsThrough)
    cerebro.addsizer(VolTargetDrawdownSizer, vol_lookback=5, whole_shares=False, lev_max=1.0, lev_min=1.0)
    (one,) = cerebro.run()
    sizer = one.getsizer()
    assert sizer._volatility.value == pytest.approx(0.0, abs=1e-12)
    assert sizer.drawdown == pytest.approx(0.0, abs=1e-12)
    assert one.broker.fundvalue == pytest.approx(100.0)
    assert one.broker.fundshares == pytest.approx(100.0)


@pytest.mark.parametrize("broker", ["stock", "margin"])
def test_raw_prices_need_a_broker_that_pays(broker: str) -> None:
    panel = align({"A": bars([10.0, 9.0, 9.0, 9.0], dividends={1: 1.0})})
    assert panel.raw
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    open_account(cerebro, broker=broker)
    cerebro.addstrategy(bt.Strategy)
    if broker == "margin":
        cerebro.run()
    else:
        with pytest.raises(InputError, match="MarginBroker"):
            cerebro.run()


@pytest.mark.parametrize(("frame", "said"), [
    (bars([10.0, 10.0, 9.0], dividends={2: 12.0}), "pays 12 a share on 2020-01-03, which closed at 10 before"),
    (bars([10.0, 10.0, 9.0], dividends={2: 6.0}, splits={2: 2.0}), "pays 6 a share on 2020-01-03, which closed at 5"),
])  # fmt: skip
def test_a_dividend_beyond_the_price_is_refused(frame: pd.DataFrame, said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(frame, [])


# -- the account against the market's total return ---------------------------------------------------------------------


def grown(panel: Panel, symbol: str, **more: Any) -> float:
    """Growth of an account that holds one symbol, its dividends reinvested at the ex-date's close."""
    found = simulate(panel.select([symbol]), make_config({**HELD, "weights": f"{symbol}:1", **more}))
    return float(found.value.iloc[-1] / found.value.loc[found.begins])


def reinvested(panel: Panel, symbol: str) -> float:
    """Π (C(t) + D(t))·s(t)/C(t − 1): a line of arithmetic."""
    closes, paid, split = (table[symbol] for table in (panel.closes, panel.dividends, panel.splits))
    return float(((closes + paid) * split / closes.shift(1)).iloc[2:].prod())


def test_an_account_is_worth_what_dividends_reinvested_at_the_close_are() -> None:
    panel = load("sample", prices="raw", end="2013-12-31", symbols="SPY,QQQ,TLT")
    assert panel.dividends.to_numpy().any()
    for symbol in panel.symbols:
        assert grown(panel, symbol) == pytest.approx(reinvested(panel, symbol), rel=1e-9)


@pytest.mark.long
def test_accounts_of_real_funds_are_within_a_basis_point_a_year_of_their_total_return(market: Path) -> None:
    whole = {"market": load("csv", data_dir=market), "actions": load(
        "csv", "SPY,QQQ,IWM,EEM", start=None, data_dir=market.parent / "actions")}  # fmt: skip
    for folder, panel in whole.items():
        for symbol in panel.symbols:
            one = panel.select([symbol])
            frame = one.frames[symbol]
            years = (one.sessions[-1] - one.sessions[1]).days / 365.25
            if folder == "market":  # the vendor's adjusted column, which the account has not seen
                adjusted = pd.read_csv(market / f"{symbol}.csv", index_col="date", parse_dates=True)["adj_close"]
                total = float(adjusted[frame.index[-1]] / adjusted[frame.index[1]])
            else:
                before = frame["close"].shift(1) / frame["split"] - frame["dividend"]
                total = float((frame["close"] / before).iloc[2:].prod())
            off = 1e4 * (grown(one, symbol) ** (1 / years) - total ** (1 / years))
            assert abs(off) < 1.0, (folder, symbol, off)


@pytest.mark.parametrize("seed", range(5))
def test_a_raw_account_is_the_account_of_prices_adjusted_by_reinvestment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = as_traded(random_market(rng, 90, 3).frames, rng)
    adjusted = {}
    for symbol, frame in raw.items():
        factor = ((frame["close"] + frame["dividend"]) / frame["close"] * frame["split"]).cumprod()
        adjusted[symbol] = frame[["open", "high", "low", "close", "volume"]].mul(
            [1.0, 1.0, 1.0, 1.0, 0.0], axis=1
        ).mul(factor, axis=0).assign(volume=1e6)  # fmt: skip
    config = make_config({**HELD, "weights": "S0:0.5,S1:0.2,S2:0.3", "cash": 1e6})
    one, other = simulate(align(raw), config), simulate(align(adjusted), config)
    assert np.asarray(one.value) == pytest.approx(np.asarray(other.value), rel=1e-9)
    assert one.costs["dividends"] > 0.0 and len(one.actions) > 5


def ordered(run: Run) -> dict[tuple[date, str], float]:
    """What was traded by session and symbol, money."""
    found: dict[tuple[date, str], float] = {}
    for fill in run.fills:
        key = fill["date"], fill["symbol"]
        found[key] = found.get(key, 0.0) + fill["size"] * fill["price"]
    return found


def split_at_random(seed: int) -> bool:
    """The same market in other shares: nothing changes but their number. Whether any were held."""
    rng = np.random.default_rng(seed)
    panel = random_market(rng, 90, int(rng.integers(1, 4)))
    # A least commission would be paid for the last digit of a share, which is another after a split.
    free = {"commission_per_share": 0.0, "commission_min": 0.0}
    config = make_config({**parameters(rng), "whole_shares": False, **free})
    raw = align(as_traded(panel.frames, rng, yields=0.0))
    one, other = simulate(panel, config), simulate(raw, config)
    assert np.asarray(one.value) == pytest.approx(np.asarray(other.value), rel=1e-9), seed
    assert one.weights.to_numpy() == pytest.approx(other.weights.to_numpy(), rel=1e-9, abs=1e-9, nan_ok=True), seed
    left, right = ordered(one), ordered(other)
    for key in left.keys() | right.keys():  # of neither an order that is the last digit of a share
        assert left.get(key, 0.0) == pytest.approx(right.get(key, 0.0), rel=1e-9, abs=1e-9 * config["cash"]), (
            seed,
            key,
        )
    return any(action["shares"] for action in other.actions)


def test_splits_change_shares_and_nothing_else() -> None:
    assert sum(split_at_random(seed) for seed in range(12)) > 8


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(10))
def test_five_hundred_histories_split_at_random(chunk: int) -> None:
    assert sum(split_at_random(seed) for seed in range(1_000 + 50 * chunk, 1_000 + 50 * (chunk + 1))) > 30


# -- books and twin on random markets ----------------------------------------------------------------------------------


def compare(seed: int) -> set[str]:
    """A market of prices as traded whose members come and go: its books, and its twin."""
    rng = np.random.default_rng(seed)
    frames = random_market(rng, 110, int(rng.integers(1, 5))).frames
    if rng.random() < 0.8:
        frames = as_traded(frames, rng)
    if rng.random() < 0.7:
        frames = with_lives(frames, rng)
    members = {}
    if rng.random() < 0.3:
        days = [day.date() for day in pd.bdate_range("2020-01-01", periods=110)]
        for symbol in frames:
            first, last = sorted(rng.integers(0, 110, 2).tolist())
            twice = ((None, days[first]), (days[last], None))
            members[symbol] = twice if rng.random() < 0.7 else twice[1:]
    panel = replace(align(frames, universe="ragged"), members=members)
    config = make_config({**parameters(rng), "withholding": float(rng.choice([0.0, 0.15]))})
    try:
        run = simulate(panel, config)
    except RiskOverlayError as error:
        with pytest.raises(type(error)) as other:
            Twins(panel).run(config)
        assert str(other.value) == str(error), seed
        return {"refused"}
    try:
        check_twin(panel, config, run)
    except TwinError as error:
        raise AssertionError(f"market {seed}: {error}") from None
    check_books(panel, run, rounding=1e-9)
    done = {
        "acted": len(run.actions),
        "cashed": sum(action["cashed"] > 0.0 for action in run.actions),
        "joined": len(panel.joins),
        "left": len(panel.leaves),
        "members": len(members),
        "called": run.costs["orders"]["margin_calls"],
    }
    return {"ran", *(name for name, count in done.items() if count)}


def compare_many(seeds: range) -> None:
    said = [compare(seed) for seed in seeds]
    least_of = {"ran": 50, "acted": 30, "cashed": 3, "joined": 5, "left": 5, "members": 5, "called": 1}
    for kind, least in least_of.items():
        assert sum(kind in one for one in said) >= least * len(said) / 100, kind


def test_random_markets_of_raw_prices() -> None:
    compare_many(range(40))


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(20))
def test_two_thousand_random_markets_of_raw_prices(chunk: int) -> None:
    compare_many(range(10_000 + 100 * chunk, 10_000 + 100 * (chunk + 1)))


# -- the commands ------------------------------------------------------------------------------------------------------

SMALL = [
    "--symbols",
    "SPY,TLT,GLD",
    "--end",
    "2011-12-30",
    "--cov-lookback",
    "60",
    "--min-hist",
    "60",
    "--csv",
    "",
    "--quiet",
]


def test_prices_are_chosen_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = {}
    for name, more in {
        "default": [], "adjusted": ["--prices", "adjusted"], "raw": ["--prices", "raw"],
        "taxed": ["--prices", "raw", "--withholding", "0.3"],
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.json"
        assert main(["backtest", *SMALL[:-1], *more, "--json", str(path)]) == 0
        found[name] = json.loads(path.read_text())
        said = capsys.readouterr().out
        assert ("tax on dividends" in said) == (name == "taxed")
        assert ("\ndividends " in said) == (name in ("raw", "taxed"))
        assert ("less 30 % tax" in " ".join(said.split())) == (name == "taxed")
    assert found["default"]["dynamic"] == found["adjusted"]["dynamic"]
    assert [found[name]["data"]["raw"] for name in found] == [False, False, True, True]
    raw, taxed = found["raw"]["base"]["costs"], found["taxed"]["base"]["costs"]
    assert raw["dividends"] > 0.0 == raw["tax"]
    assert taxed["tax"] == pytest.approx(0.3 * taxed["dividends"])
    assert found["taxed"]["base"]["growth"] < found["raw"]["base"]["growth"]


def test_withholding_without_dividends_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", *SMALL, "--withholding", "0.3", "--json", ""]) == 2
    assert "withholding=0.3 is of dividends, and in adjusted prices there are none" in capsys.readouterr().err


def test_the_series_of_raw_prices_have_what_was_paid(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    flags = [path if flag == "" else flag for flag in SMALL]
    assert main(["backtest", *map(str, flags), "--prices", "raw", "--json", ""]) == 0
    series = pd.read_csv(path)
    before = series["SPY"].shift(1) / series["split_SPY"] - series["div_SPY"]
    assert series["ret_SPY"].iloc[1:].to_numpy() == pytest.approx((series["SPY"] / before - 1.0).iloc[1:].to_numpy())
    assert (series["div_TLT"] > 0.0).sum() >= 10


def test_the_page_shows_dividends_where_there_are_some(tmp_path: Path) -> None:
    panel = load("sample", "SPY,TLT", prices="raw", end="2011-06-30")
    config = make_config({"cov_lookback": 60, "min_hist": 60, "withholding": 0.15})
    page = report_html(backtest(panel, config))
    for text in ("tax on dividends", "dividends in cash, less 15 % tax", 'data-key="dynamic.costs.dividends"'):
        assert text in page
    other = report_html(backtest(panel.adjusted_prices(), {**config, "withholding": 0.0}))
    assert "tax on dividends" not in other and "dividends in cash" not in other


def test_trade_from_begins_with_the_weights_that_were_known_on_raw_prices() -> None:
    """A restart: weights and volatility of before, dividends and splits in them."""
    panel = load("sample", "SPY,QQQ,TLT", prices="raw", end="2014-12-31")
    config = make_config({"cov_lookback": 60, "min_hist": 60, "borrow_rate": 0.0, "risk_free": 0.0, "cash_rate": 0.0})
    whole = simulate(panel, config)
    begins = panel.sessions[900]
    strategy, sizer = pair_of(config)
    later = simulate(panel, config, pair=((strategy[0], {**strategy[1], "trade_from": begins.date()}), sizer))
    assert later.fills[0]["date"] > begins.date()
    pd.testing.assert_frame_equal(later.weights, whole.weights, check_exact=True)
    volatility = [run.exposure["volatility_part"].iloc[900:] for run in (whole, later)]
    pd.testing.assert_series_equal(*volatility, check_exact=True)


# -- the audit ---------------------------------------------------------------------------------------------------------


class AfterDividends(bt.Strategy):
    """Buys after a dividend, or with `ahead` before it."""

    params = (("ahead", 0),)

    def next(self) -> None:
        for data in self.datas:
            if len(data) <= 20 or (self.p.ahead and len(data) + 1 >= data.buflen()):
                continue
            if data.dividend[self.p.ahead] > 0.0 and not self.getposition(data).size:
                self.buy(data, size=10)
            elif self.getposition(data).size and data.close[0] > data.close[-10]:
                self.close(data)


def account(ahead: int) -> Any:
    def setup(cerebro: bt.Cerebro) -> None:
        open_account(cerebro, 1e6)
        cerebro.addstrategy(AfterDividends, ahead=ahead)

    return setup


def test_an_audit_finds_who_trades_on_tomorrows_dividend() -> None:
    panel = load("sample", "SPY,TLT", prices="raw", end="2010-12-31")
    paid = [day.date() for day in panel.sessions[21:] if panel.dividends.loc[day, "SPY":"TLT"].any()]
    found = audit(account(1), panel, cuts=12)
    first = found.first
    assert first is not None and first.kind == "look-ahead"
    before = panel.sessions[panel.sessions.searchsorted(pd.Timestamp(paid[0])) - 1]
    assert first.date == before.date()
    honest = audit(account(0), panel, cuts=8, changes=("removed", "replaced", "times ten"))
    assert not [one for one in honest.findings if one.kind == "look-ahead"]


def test_our_own_strategy_is_clean_on_raw_prices_of_a_universe_that_grows() -> None:
    whole = load("sample", "SPY,TLT", prices="raw", end="2010-12-31")
    frames = {**whole.frames, "TLT": whole.frames["TLT"].iloc[100:]}
    panel = replace(whole, frames=frames)
    config = make_config({"cov_lookback": 20, "min_hist": 20, "vol_lookback": 10, "withholding": 0.15})
    result = audit(Candidate(config), panel, cuts=6)
    assert result.clean, result.findings
    assert {future for future in ("replaced", "times ten", "tenth") if not changes_actions(panel, future)} == set()


def changes_actions(panel: Panel, future: str) -> bool:
    """Whether dividends, and splits, after the 120th session are others."""
    other = changed_after(panel, 120, future)
    at = other.sessions[120]
    for name in ("dividends", "splits"):
        one, two = (getattr(each, name).loc[:at] for each in (panel, other))
        assert one.equals(two)
    return not panel.dividends.loc[at:].iloc[1:].reset_index(drop=True).equals(
        other.dividends.loc[at:].iloc[1:].reset_index(drop=True))  # fmt: skip
