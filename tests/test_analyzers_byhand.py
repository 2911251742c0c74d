"""Each analyzer on a few bars whose every figure is worked out by hand."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from riskoverlay.analyzers import (
    AnnualizedSharpe,
    DailySeries,
    Exposure,
    Fills,
    MaxDrawdown,
    PortfolioReturns,
    StrategyProfit,
    TradingCosts,
)
from riskoverlay.analyzers.profit import _cut_or_continued

DAYS = [date(2019, 12, 27), date(2019, 12, 30), date(2019, 12, 31), date(2020, 1, 2), date(2020, 1, 3)]


def bars(opens: Any, closes: Any, index: Any = DAYS) -> Any:
    index = pd.DatetimeIndex(index, name="date")
    top = np.maximum(opens, closes) + 5.0
    low = np.minimum(opens, closes) - 5.0
    return pd.DataFrame(dict(open=opens, high=top, low=low, close=closes, volume=1e6), index=index, dtype=float)


A = bars([10, 11, 12, 10, 9], [10, 12, 11, 8, 10])
B = bars([50, 50, 52, 54, 50], [50, 51, 53, 52, 50])


class Script(bt.Strategy):
    """Orders by session number: {1: [(feed, size), ...]}; a size may come with keywords of the order."""

    params = (("plan", ()), ("deposit", ()))

    def next(self) -> None:
        for when, feed, size, *more in self.p.plan:
            if len(self) == when:
                send = self.buy if size > 0 else self.sell
                send(data=self.datas[feed], size=abs(size), **dict(*more))
        for when, money in self.p.deposit:
            if len(self) == when:
                self.broker.add_cash(money)


def run(
    cls: Any,
    plan: Any = (),
    frames: Any = None,
    coc: Any = False,
    commission: Any = 0.0,
    slip: Any = 0.0,
    leverage: Any = 1.0,
    deposit: Any = (),
    cash: Any = 1000.0,
    **params: Any,
) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    for name, frame in (frames or {"A": A, "B": B}).items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=name)
    cerebro.broker.setcash(cash)
    cerebro.broker.setcommission(commission=commission, leverage=leverage)
    cerebro.broker.set_slippage_fixed(slip, slip_open=True, slip_out=True)
    cerebro.broker.set_coc(coc)
    cerebro.addstrategy(Script, plan=plan, deposit=deposit)
    cerebro.addanalyzer(cls, _name="it", **params)
    (strategy,) = cerebro.run()
    return strategy.analyzers.it


def get(*args: Any, **kwargs: Any) -> Any:
    return run(*args, **kwargs).get_analysis()


BUY_SELL = ((1, 0, 20), (3, 0, -20))  # A: bought on the 2nd day's open, 11, sold on the 4th day's open, 10


def test_daily_series() -> None:
    got = get(DailySeries, BUY_SELL)
    assert got["dates"] == DAYS
    assert got["value"] == [1000.0, 1020.0, 1000.0, 980.0, 980.0]
    assert got["cash"] == [1000.0, 780.0, 780.0, 980.0, 980.0]
    assert got["loan"] == [0.0] * 5
    assert got["returns"] == pytest.approx([0.0, 0.02, -20 / 1020, -0.02, 0.0])
    assert (got["start"], got["start_fund"], got["fund"][1]) == (1000.0, 100.0, 102.0)
    assert got["deposits"] == [0.0] * 5


def test_daily_series_from_a_first_session() -> None:
    for first in ("2019-12-31", "2019-12-31", date(2019, 12, 31)):
        got = get(DailySeries, BUY_SELL, first=first)
        assert got["dates"] == DAYS[2:]
        assert got["returns"] == pytest.approx([-20 / 1020, -0.02, 0.0])
        assert (got["start"], got["start_fund"]) == (1020.0, 102.0)
    assert get(DailySeries, first="2020-01-01")["dates"] == DAYS[3:]
    assert get(DailySeries, first="2020-01-04")["dates"] == []


def test_the_loan_is_gross_longs_above_equity() -> None:
    # 200 A at 11 = 2200 with 1000 of equity; and 10 B sold short, whose proceeds are no money to spend.
    got = get(DailySeries, ((1, 0, 200), (1, 1, -10)), leverage=4.0)
    equity = [1000.0, 1000 + 200 - 10, 1000 + 0 - 30, 1000 - 600 - 20, 1000 - 200 - 0]
    assert got["value"] == pytest.approx(equity)
    longs = np.array([0.0, 2400, 2200, 1600, 2000])
    assert got["loan"] == pytest.approx(np.maximum(longs - equity, 0.0))
    assert got["cash"] == pytest.approx([1000.0] + [1000.0 - 2200 + 500] * 4)


def test_deposits_are_not_performance() -> None:
    plain, paid = get(DailySeries, BUY_SELL), get(DailySeries, BUY_SELL, deposit=((1, 500.0), (4, -300.0)))
    assert paid["deposits"] == pytest.approx([0.0, 500.0, 0.0, 0.0, -300.0])
    assert paid["value"] == pytest.approx([1000.0, 1520.0, 1500.0, 1480.0, 1180.0])
    assert paid["returns"] == pytest.approx([0.0, 20 / 1500, -20 / 1520, -20 / 1500, 0.0])
    assert plain["deposits"] == [0.0] * 5
    assert get(TradingCosts, BUY_SELL, deposit=((1, 500.0), (4, -300.0)))["deposits"] == pytest.approx(200.0)
    idle = get(MaxDrawdown, deposit=((2, -900.0),))
    assert idle["depth"] == pytest.approx(0.0, abs=1e-12)


def test_sharpe() -> None:
    r = np.array([0.0, 0.02, -20 / 1020, -0.02, 0.0])
    for kwargs, these in [({}, r), (dict(first="2020-01-02"), r[3:]), (dict(periods=12, risk_free=0.03), r)]:
        n = kwargs.get("periods", 252)
        got = get(AnnualizedSharpe, BUY_SELL, **kwargs)
        assert got["ann_ret"] == pytest.approx((1.0 + these.mean()) ** n - 1.0)
        assert got["ann_vol"] == pytest.approx(these.std() * n**0.5)
        assert got["sharpe"] == pytest.approx((got["ann_ret"] - kwargs.get("risk_free", 0.0)) / got["ann_vol"])
        assert got["sessions"] == len(these)
    idle = get(AnnualizedSharpe)
    assert (idle["ann_ret"], idle["ann_vol"]) == (0.0, 0.0) and math.isnan(idle["sharpe"])
    assert get(AnnualizedSharpe, BUY_SELL, first="2030-01-01")["sessions"] == 0


def test_max_drawdown() -> None:
    got = get(MaxDrawdown, BUY_SELL)
    assert got["depth"] == pytest.approx(980 / 1020 - 1.0)
    assert (got["peak"], got["trough"], got["recovery"], got["length"]) == (DAYS[1], DAYS[3], None, 3)
    assert [w["trough"] for w in got["worst"]] == [DAYS[3]]
    late = get(MaxDrawdown, BUY_SELL, first="2020-01-02")  # the value before the first session is a peak
    assert late["depth"] == pytest.approx(-0.02)
    assert (late["peak"], late["trough"], late["length"]) == (DAYS[2], DAYS[3], 2)
    held = get(MaxDrawdown, ((1, 0, 20),), frames={"A": bars([10, 10, 10, 10, 10], [10, 9, 10, 8, 9])}, worst=1)
    assert (held["depth"], held["peak"]) == (pytest.approx(-0.04), DAYS[2])
    assert len(held["worst"]) == 1
    assert len(get(MaxDrawdown, ((1, 0, 20),), frames={"A": bars([10] * 5, [10, 9, 10, 8, 9])})["worst"]) == 2
    never = get(MaxDrawdown, BUY_SELL, first="2030-01-01")
    assert (never["depth"], never["worst"]) == (0.0, [])


def test_costs_by_hand_at_the_open() -> None:
    got = get(TradingCosts, BUY_SELL, commission=0.01, slip=0.5)
    # Bought at 11.5, sold at 9.5, each against the open: 20 × 0.5 twice. Fees 1 % of 230 and of 190.
    assert got["slippage"] == pytest.approx(20.0)
    assert got["commission"] == pytest.approx(2.3 + 1.9)
    assert got["gross_profit"] == pytest.approx(20 * (10 - 11))
    assert got["interest"] == 0.0
    assert got["total"] == pytest.approx(24.2)
    assert (got["start"], got["end"]) == (1000.0, pytest.approx(1000.0 - 20.0 - 24.2))
    assert got["by_year"] == {
        "2019": {"commission": pytest.approx(2.3), "slippage": pytest.approx(10.0), "interest": 0.0, "tax": 0.0},
        "2020": {"commission": pytest.approx(1.9), "slippage": pytest.approx(10.0), "interest": 0.0, "tax": 0.0},
    }
    assert got["sessions"]["gross_profit"] == pytest.approx([0.0, 20.0, -20.0, -20.0, 0.0])
    assert got["sessions"]["traded"] == pytest.approx([0.0, 230.0, 0.0, 190.0, 0.0])
    value = get(DailySeries, BUY_SELL, commission=0.01, slip=0.5)["value"]
    assert got["traded"] == pytest.approx(420.0)
    assert got["turnover"] == pytest.approx(420.0 / np.mean(value))
    assert got["turnover_annual"] == pytest.approx(420.0 / np.mean(value) * 252 / 5)
    assert get(TradingCosts, BUY_SELL, periods=5)["turnover_annual"] == get(TradingCosts, BUY_SELL)["turnover"]


def test_years_are_in_order() -> None:
    turn = [
        date(year, month, 2) for year in (2022, 2023, 2024) for month in (6, 9)
    ]  # in a set of ints 2024 comes first
    got = get(TradingCosts, ((2, 0, 20),), {"A": bars([10] * 6, [10] * 6, turn)}, commission=0.01)
    assert list(got["by_year"]) == ["2022", "2023", "2024"]
    assert [year["commission"] for year in got["by_year"].values()] == pytest.approx([0.0, 2.0, 0.0])


def test_costs_by_hand_at_the_close() -> None:
    got = get(TradingCosts, BUY_SELL, commission=0.01, slip=0.5, coc=True)
    # Decided and priced on the closes of the 1st and 3rd day, 10 and 11; booked a bar later, with its change.
    assert got["slippage"] == pytest.approx(20.0)
    assert got["commission"] == pytest.approx(20 * 10.5 * 0.01 + 20 * 10.5 * 0.01)
    assert got["gross_profit"] == pytest.approx(20 * (11 - 10))
    assert got["sessions"]["gross_profit"] == pytest.approx([0.0, 40.0, -20.0, 0.0, 0.0])
    assert got["end"] == pytest.approx(1000.0 + 20.0 - 20.0 - 4.2)


def test_an_order_may_opt_out_of_cheating() -> None:
    got = get(Fills, ((1, 0, 20, dict(coc=False)),), coc=True)["fills"]
    assert (got[0]["price"], got[0]["reference"]) == (11.0, 11.0)


def test_limit_stop_and_close_orders_have_no_slippage() -> None:
    plan = (
        (1, 0, 10, dict(exectype=bt.Order.Limit, price=10.5)),
        (1, 0, 10, dict(exectype=bt.Order.Close)),
        (2, 1, 2, dict(exectype=bt.Order.Stop, price=51.0)),
    )
    got = get(TradingCosts, plan, slip=0.25)
    assert got["slippage"] == 0.0
    fills = get(Fills, plan, slip=0.25)["fills"]
    assert [(f["kind"], f["price"] == f["reference"]) for f in fills] == [
        ("Limit", True),
        ("Close", True),
        ("Stop", True),
    ]
    assert got["start"] + got["gross_profit"] == pytest.approx(got["end"], rel=1e-12)


def test_orders_are_counted_by_how_they_ended() -> None:
    plan = (
        (1, 0, 20),  # filled
        (3, 0, 9000),  # margin, when submitted
        (1, 0, 1, dict(exectype=bt.Order.Limit, price=1.0, valid=pd.Timestamp("2019-12-31"))),  # expires
        (1, 0, 1, dict(exectype=bt.Order.Limit, price=1.0)),  # open to the end
        (5, 0, 1),  # on the last bar: sent, never heard of
    )
    got = get(TradingCosts, plan)["orders"]
    assert got == {
        "sent": 5,
        "filled": 1,
        "rejected": 1,
        "expired": 1,
        "cancelled": 0,
        "open": 2,
        "partial": 0,
        "margin_calls": 0,
    }


@pytest.mark.parametrize("last", [4, 5])
def test_what_is_cancelled_on_the_last_bar_counts_as_cancelled(last: int) -> None:
    class Cancels(bt.Strategy):
        def next(self) -> None:
            if len(self) == 2:
                self.order = self.buy(size=1, exectype=bt.Order.Limit, price=1.0)
            if len(self) == last:
                self.cancel(self.order)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=A), name="A")
    cerebro.addstrategy(Cancels)
    cerebro.addanalyzer(TradingCosts)
    got = cerebro.run()[0].analyzers.tradingcosts.get_analysis()["orders"]
    assert (got["sent"], got["cancelled"], got["open"]) == (1, 1, 0)


def test_a_refused_reversal_is_partly_filled() -> None:
    # 20 A bought; then 20 sold and 9000 more short: closing is done, opening refused (no money for it).
    class Cash(bt.CommInfoBase):
        params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED), ("commission", 1.0))

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=A), name="A")
    cerebro.broker.setcash(1000.0)
    cerebro.broker.set_shortcash(False)
    cerebro.broker.set_checksubmit(False)
    cerebro.broker.addcommissioninfo(Cash())
    cerebro.addstrategy(Script, plan=((1, 0, 20), (2, 0, -9020)))
    cerebro.addanalyzer(TradingCosts)
    (strategy,) = cerebro.run()
    got = strategy.analyzers.tradingcosts.get_analysis()
    assert got["orders"]["partial"] == got["orders"]["rejected"] == 1
    assert got["start"] + got["gross_profit"] - got["commission"] == pytest.approx(got["end"], rel=1e-12)


def test_fills() -> None:
    got = get(Fills, BUY_SELL, commission=0.01, slip=0.5)["fills"]
    assert got[0] == {
        "date": DAYS[1],
        "executed": DAYS[1],
        "symbol": "A",
        "size": 20.0,
        "price": 11.5,
        "reference": 11.0,
        "commission": pytest.approx(2.3),
        "kind": "Market",
        "margin_call": False,
    }
    assert (got[1]["date"], got[1]["size"], got[1]["price"]) == (DAYS[3], -20.0, 9.5)
    close = get(Fills, BUY_SELL, coc=True)["fills"]
    assert [(f["date"], f["executed"], f["price"]) for f in close] == [
        (DAYS[1], DAYS[0], 10.0),
        (DAYS[3], DAYS[2], 11.0),
    ]


def test_feeds_without_names_are_numbered_and_twins_told_apart() -> None:
    got = get(Exposure, frames={"": A})
    assert got["symbols"] == ["data0"]
    cerebro = bt.Cerebro(stdstats=False)
    for _ in range(2):
        cerebro.adddata(bt.feeds.PandasData(dataname=A), name="A")
    cerebro.addanalyzer(Exposure)
    assert cerebro.run()[0].analyzers.exposure.get_analysis()["symbols"] == ["A", "A_1"]


def test_exposure_held() -> None:
    got = get(Exposure, ((1, 0, 50), (1, 1, -10)), leverage=4.0)
    equity = np.array([1000.0, 1000 + 50 - 10, 1000 + 0 - 30, 1000 - 150 - 20, 1000 - 50 - 0])
    a, b = np.array([0, 600, 550, 400, 500]), -np.array([0, 510, 530, 520, 500])
    assert got["dates"] == DAYS
    assert got["weights"]["A"] == pytest.approx(a / equity) == got["own_weights"]["A"]
    assert got["weights"]["B"] == pytest.approx(b / equity)
    assert got["leverage"] == pytest.approx((a - b) / equity) == got["own_leverage"]
    for key in ("target_leverage", "volatility_part", "brake_part"):
        assert all(math.isnan(x) for x in got[key])
    assert all(math.isnan(x) for x in got["target_weights"]["A"] + got["target_weights"]["B"])


@pytest.mark.parametrize(("last", "known"), [(10.5, True), (10.0, False), (9.5, False)])
def test_an_account_without_equity_has_no_leverage(last: float, known: bool) -> None:
    """100 bought at 20 with 1000 of equity: nothing is left at 10."""
    got = get(Exposure, ((1, 0, 100),), {"A": bars([20] * 5, [20, 20, 20, 20, last])}, leverage=4.0)
    assert got["leverage"][3] == pytest.approx(2.0)
    parts = (got["leverage"], got["own_leverage"], got["weights"]["A"], got["own_weights"]["A"])
    assert [part[4] for part in parts] == pytest.approx([1050.0 / 50.0 if known else math.nan] * 4, nan_ok=True)


class Sizer(bt.Sizer):
    leverage = volatility_part = None
    brake_part = 1.0

    def _getsizing(self, comminfo: Any, cash: Any, data: Any, isbuy: Any) -> Any:
        return 1


class Aiming(bt.Strategy):
    """Says what it aims at, and changes its weights in place."""

    base_weights = None

    def next(self) -> None:
        if len(self) == 2:
            self.base_weights = [0.75, 0.25]
        elif len(self) > 2:
            self.base_weights[0] -= 0.1
            self.getsizer().leverage = len(self) / 2
            self.getsizer().volatility_part = np.float64(len(self))


def test_exposure_aimed_at() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    for name, frame in (("A", A), ("B", B)):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=name)
    cerebro.addstrategy(Aiming)
    cerebro.addsizer(Sizer)
    cerebro.addanalyzer(Exposure)
    got = cerebro.run()[0].analyzers.exposure.get_analysis()
    nan = math.nan
    assert got["target_leverage"] == pytest.approx([nan, nan, 1.5, 2.0, 2.5], nan_ok=True)
    assert got["volatility_part"] == pytest.approx([nan, nan, 3.0, 4.0, 5.0], nan_ok=True)
    assert got["brake_part"] == [1.0] * 5
    assert got["target_weights"]["A"] == pytest.approx([nan, 0.75, 0.65, 0.55, 0.45], nan_ok=True)
    assert got["target_weights"]["B"] == pytest.approx([nan, 0.25, 0.25, 0.25, 0.25], nan_ok=True)


def test_exposure_tells_weights_of_another_length() -> None:
    class Wrong(bt.Strategy):
        base_weights = (1.0,)

    cerebro = bt.Cerebro(stdstats=False)
    for frame in (A, B):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Wrong)
    cerebro.addanalyzer(Exposure)
    with pytest.raises(ValueError, match="base_weights has 1 values for 2 feeds: give"):
        cerebro.run()


class Fee(bt.CommInfoBase):
    """Buying power × 4, and 10 money a session that a position is held, whatever it is."""

    params = (("leverage", 4.0), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC))

    def get_credit_interest(self, data: Any, pos: Any, dt: Any) -> Any:
        return 10.0


def test_two_strategies_on_one_feed() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=A), name="A")
    cerebro.broker.setcash(1000.0)
    cerebro.broker.addcommissioninfo(Fee())
    cerebro.broker.set_int2pnl(False)
    cerebro.addstrategy(Script, plan=((1, 0, 100), (3, 0, -100)))
    cerebro.addstrategy(Script, plan=((2, 0, 50),))
    cerebro.addanalyzer(StrategyProfit)
    cerebro.addanalyzer(TradingCosts)
    cerebro.addanalyzer(Exposure)
    one, two = cerebro.run()
    p, q = (s.analyzers.strategyprofit.get_analysis() for s in (one, two))
    assert (p["gross_profit"], q["gross_profit"]) == (100.0 * (10 - 11), 50.0 * (10 - 12))
    # 10 on each of three sessions: the first alone; then 100 to 50; the last the second alone.
    assert (p["interest"], q["interest"]) == (pytest.approx(10 + 20 / 3), pytest.approx(10 / 3 + 10))
    assert p["profit"] == pytest.approx(-100 - 10 - 20 / 3)
    assert p["strategy"] == "Script"
    assert p["sessions"]["long"] == [0.0, 1200.0, 1100.0, 0.0, 0.0]
    assert q["sessions"]["short"] == [0.0] * 5
    assert 1000.0 + p["profit"] + q["profit"] == pytest.approx(cerebro.broker.getvalue(), rel=1e-12)
    costs = one.analyzers.tradingcosts.get_analysis()
    assert costs["interest"] == 30.0
    assert costs["sessions"]["interest"] == [0.0, 0.0, 10.0, 10.0, 10.0]
    assert costs["by_year"]["2019"]["interest"] == 10.0
    held = two.analyzers.exposure.get_analysis()
    assert held["leverage"][2] == pytest.approx(150 * 11 / held_equity(one)) and held["own_leverage"][1] == 0.0
    assert held["own_weights"]["A"][2] == pytest.approx(50 * 11 / held_equity(one))


def held_equity(_: Any) -> Any:
    return 1000.0 + 100 * (11 - 11) + 50 * (11 - 12) - 10.0


def test_pyfolio_shapes() -> None:
    plan = ((1, 0, 20), (1, 1, -2), (3, 0, -20))
    it = run(PortfolioReturns, plan)
    returns, positions, transactions, gross = it.get_pf_items()
    assert str(returns.index.tz) == "UTC" and [t.date() for t in returns.index] == DAYS
    assert list(positions.columns) == ["A", "B", "cash"]
    assert positions["A"].tolist() == [0.0, 240.0, 220.0, 0.0, 0.0]
    assert positions["B"].tolist() == [0.0, -102.0, -106.0, -104.0, -100.0]
    equity = positions.sum(axis=1)
    assert equity.tolist() == pytest.approx([1000.0, 1018.0, 994.0, 976.0, 980.0])
    assert (1.0 + returns).cumprod().mul(1000.0).tolist() == pytest.approx(equity.tolist())
    assert gross.tolist() == pytest.approx([0.0, 342 / 1018, 326 / 994, 104 / 976, 100 / 980])
    assert list(transactions.columns) == ["amount", "price", "symbol", "sid", "txn_dollars"]
    assert transactions["symbol"].tolist() == ["A", "B", "A"] and transactions["sid"].tolist() == [0, 1, 0]
    assert transactions["txn_dollars"].tolist() == [-220.0, 100.0, 200.0]
    assert [t.date() for t in transactions.index] == [DAYS[1], DAYS[1], DAYS[3]]
    naive = run(PortfolioReturns, tz=None).get_pf_items()
    assert naive[0].index.tz is None and naive[2].empty and naive[2].index.tz is None


def test_pyfolio_holds_the_trades_of_all_strategies() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=A), name="A")
    cerebro.addstrategy(Script, plan=((2, 0, 5),))
    cerebro.addstrategy(Script, plan=((1, 0, 3),))
    cerebro.addanalyzer(PortfolioReturns)
    _, positions, transactions, _ = cerebro.run()[0].analyzers.portfolioreturns.get_pf_items()
    assert transactions["amount"].tolist() == [3.0, 5.0]  # by date
    assert positions["A"].tolist() == [0.0, 36.0, 88.0, 64.0, 80.0]


def test_dates_follow_the_strategys_time_zone() -> None:
    class Seen(bt.Strategy):
        def __init__(self) -> None:
            self.days: list[Any] = []

        def next(self) -> None:
            self.days.append(self.datetime.date(0))

    index = pd.date_range("2020-01-02 23:30", periods=5, freq="7h")
    for tz in (None, "Asia/Tokyo", "America/New_York"):
        pytz = pytest.importorskip("pytz") if tz else None
        cerebro = bt.Cerebro(stdstats=False, tz=pytz.timezone(tz) if tz else None)
        cerebro.adddata(bt.feeds.PandasData(dataname=bars([9.0] * 5, [9.0] * 5, index), timeframe=bt.TimeFrame.Minutes))
        cerebro.addstrategy(Seen)
        cerebro.addanalyzer(DailySeries)
        (strategy,) = cerebro.run()
        assert len(set(strategy.days)) < len(strategy.days)
        assert strategy.analyzers.dailyseries.get_analysis()["dates"] == sorted(set(strategy.days))


def test_a_night_belongs_to_who_held_it() -> None:
    """Cheat on close: bought at the first close, booked on the second bar; the night between was held."""

    class Nightly(bt.brokers.BackBroker):
        """Charges 10 a night after the fills of the close before it, as is right when cheating."""

        def next(self) -> None:
            super().next()
            if any(position.size for position in self.positions.values()):
                self.d_credit["night"] += 10.0
                self.cash -= 10.0
                self._get_value()

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=A), name="A")
    cerebro.broker = Nightly()
    cerebro.broker.setcash(1000.0)
    cerebro.broker.set_coc(True)
    cerebro.addstrategy(Script, plan=((1, 0, 20), (2, 0, -20)))
    cerebro.addstrategy(Script, plan=((2, 0, 5),))
    cerebro.addanalyzer(StrategyProfit)
    one, two = (s.analyzers.strategyprofit.get_analysis() for s in cerebro.run())
    assert (one["interest"], two["interest"]) == (10.0, 30.0)
    assert (one["gross_profit"], two["gross_profit"]) == (40.0, 5.0 * (10 - 12))
    assert 1000.0 + one["profit"] + two["profit"] == pytest.approx(cerebro.broker.getvalue(), rel=1e-12)


def test_margin_calls_are_marked() -> None:
    plan = ((1, 0, 20), (2, 0, -5, dict(margin_call=True)))
    assert get(TradingCosts, plan)["orders"]["margin_calls"] == 1
    assert [f["margin_call"] for f in get(Fills, plan)["fills"]] == [False, True]


class Minimum(bt.CommInfoBase):
    """Five money a trade at least."""

    params = (("commission", 0.01), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))

    def _getcommission(self, size: Any, price: Any, pseudoexec: Any) -> Any:
        return max(5.0, abs(size) * price * 0.01)

    def get_credit_interest(self, data: Any, pos: Any, dt: Any) -> Any:
        return 3.0


def test_a_minimum_commission_is_no_interest() -> None:
    """A reversal is charged twice, for what it closes and for what it opens; int2pnl adds 3 to it."""
    for int2pnl in (True, False):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=A), name="A")
        cerebro.broker.setcash(1000.0)
        cerebro.broker.set_int2pnl(int2pnl)
        cerebro.broker.addcommissioninfo(Minimum())
        cerebro.addstrategy(Script, plan=((1, 0, 20), (2, 0, -30)))
        cerebro.addanalyzer(TradingCosts)
        got = cerebro.run()[0].analyzers.tradingcosts.get_analysis()
        assert got["sessions"]["commission"] == pytest.approx([0.0, 5.0, 10.0, 0.0, 0.0])
        assert got["sessions"]["interest"] == pytest.approx([0.0, 0.0, 3.0, 3.0, 3.0])


def test_no_session_at_all() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=A.iloc[:0]), name="A")
    for cls in (AnnualizedSharpe, DailySeries, Exposure, Fills, MaxDrawdown, StrategyProfit, TradingCosts):
        cerebro.addanalyzer(cls)
    cerebro.addanalyzer(PortfolioReturns)
    (strategy,) = cerebro.run()
    results = strategy.analyzers
    assert results.dailyseries.get_analysis()["dates"] == []
    assert math.isnan(results.annualizedsharpe.get_analysis()["sharpe"])
    assert results.maxdrawdown.get_analysis()["depth"] == 0.0
    assert results.tradingcosts.get_analysis()["end"] == 10_000.0
    assert all(item.empty for item in results.portfolioreturns.get_pf_items())


def test_a_ledger_that_ends_a_session_early_holds_what_it_held() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert _cut_or_continued(rows, 1).tolist() == [[1.0, 2.0]]
    assert _cut_or_continued(rows, 2).tolist() == rows.tolist()
    assert _cut_or_continued(rows, 4).tolist() == [[1.0, 2.0], [3.0, 4.0], [3.0, 4.0], [3.0, 4.0]]
