"""VolTargetDrawdownSizer: leverage from what is known, and sizes for any strategy."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from markets import frame

from riskoverlay.feeds import load
from riskoverlay.strategies import OwnPosition, VolTargetDrawdownSizer, open_account


class Scripted(OwnPosition, bt.Strategy):
    """Sends unsized orders {bar: [(feed, "buy"|"sell"|"close"), ...]}; records sizes and the sizer's state."""

    params = (("script", ()),)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, float]] = []

    def next(self) -> None:
        sizer = self.getsizer()
        self.seen.append(
            {
                "leverage": sizer.leverage,
                "brake": sizer.brake_part,
                "vol": sizer.volatility_part,
                "dd": sizer.drawdown,
                "value": self.broker.getvalue(),
                **{f"held{i}": self.held(data) for i, data in enumerate(self.datas)},
            }
        )
        for feed, action in dict(self.p.script).get(len(self), ()):
            getattr(self, action)(self.datas[feed])


class Weighted(Scripted):
    """A strategy that plans: half of each of two feeds from the start."""

    base_weights: Any = None

    def target_weight(self, data: Any) -> float:
        return 0.5

    def next(self) -> None:
        self.base_weights = [0.5, 0.5]
        super().next()


def run(
    script: dict[int, Any], *closes: Any, strategy: type = Scripted, cash: float = 10_000.0, **params: Any
) -> list[dict[str, float]]:
    cerebro = bt.Cerebro(stdstats=False)
    for i, series in enumerate(closes):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame(series), name=f"F{i}"))
    open_account(cerebro, cash=cash, execution="close", slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
    cerebro.addstrategy(strategy, script=tuple(script.items()))
    cerebro.addsizer(VolTargetDrawdownSizer, **params)
    return cerebro.run()[0].seen


ONE = {"lev_min": 1.0, "lev_max": 1.0}


def test_entry_is_leverage_times_equity_and_exit_is_flat() -> None:
    seen = run({1: [(0, "buy")], 4: [(0, "sell")]}, [100.0, 100, 110, 110, 110, 110], lev_min=1.5, lev_max=1.5)
    assert [row["held0"] for row in seen] == [0, 150, 150, 150, 0, 0]


def test_unlevered_when_both_bounds_are_one() -> None:
    assert run({1: [(0, "buy")]}, [100.0] * 4, **ONE)[-1]["held0"] == 100


def test_two_feeds_get_half_each_and_slots_override() -> None:
    flat = [100.0] * 4
    assert run({1: [(0, "buy")]}, flat, flat, **ONE)[-1]["held0"] == 50
    assert run({1: [(0, "buy")]}, flat, flat, slots=1, **ONE)[-1]["held0"] == 100


def test_short_entry_and_cover() -> None:
    seen = run({1: [(0, "sell")], 3: [(0, "buy")]}, [100.0] * 6, **ONE)
    assert [row["held0"] for row in seen] == [0, -100, -100, 0, 0, 0]


def test_reverse_closes_and_opens_the_other_side() -> None:
    script = {1: [(0, "buy")], 3: [(0, "sell")]}
    assert run(script, [100.0] * 6, **ONE)[-1]["held0"] == 0
    assert run(script, [100.0] * 6, reverse=True, **ONE)[-1]["held0"] == -100


def test_adding_to_a_holding_tops_it_up_to_its_slot() -> None:
    seen = run({1: [(0, "buy")], 3: [(0, "buy")]}, [100.0, 100, 100, 50, 50, 50], **ONE)
    # 100 shares at 50 are 5,000 of 5,000: full. With leverage 1 nothing is added.
    assert seen[-1]["held0"] == 100
    seen = run(
        {1: [(0, "buy")], 2: [(1, "buy")], 4: [(0, "buy")]}, [100.0] * 6, [100.0, 100, 100, 200, 200, 200], **ONE
    )
    # The other feed doubled: equity 15,000, so a slot is 7,500: 75 shares.
    assert seen[-1]["held0"] == 75


def test_close_is_not_asked_about() -> None:
    assert run({1: [(0, "buy")], 3: [(0, "close")]}, [100.0] * 6, **ONE)[-1]["held0"] == 0


def test_allocation_is_a_part_of_the_account() -> None:
    assert run({1: [(0, "buy")]}, [100.0] * 4, allocation=0.6, **ONE)[-1]["held0"] == 60


def test_whole_shares_round_down() -> None:
    closes = [70.0] * 4
    assert run({1: [(0, "buy")]}, closes, **ONE)[-1]["held0"] == 142
    assert run({1: [(0, "buy")]}, closes, whole_shares=False, **ONE)[-1]["held0"] == pytest.approx(10_000 / 70)


def test_a_planning_strategy_is_sized_by_its_weights() -> None:
    flat = [100.0] * 4
    seen = run({1: [(0, "buy"), (1, "buy")]}, flat, flat, strategy=Weighted, lev_min=1.2, lev_max=1.2)
    assert (seen[-1]["held0"], seen[-1]["held1"]) == (60, 60)


def test_volatility_part_is_target_over_the_rolling_deviation_of_base_returns() -> None:
    rng = np.random.default_rng(7)
    a, b = (100 * np.exp(np.cumsum(rng.normal(0, 0.01, 40))) for _ in range(2))
    seen = run({}, a, b, strategy=Weighted, vol_lookback=10, target_vol=0.12, lev_min=0.1, lev_max=5.0)
    base = 0.5 * (a[1:] / a[:-1] - 1) + 0.5 * (b[1:] / b[:-1] - 1)  # weights are in force from the second bar
    for t, row in enumerate(seen):
        expected = 1.0 if t < 10 else 0.12 / (np.std(base[t - 10 : t]) * np.sqrt(252))
        assert row["vol"] == pytest.approx(expected, rel=1e-12), t
    weekly = run({}, a, b, strategy=Weighted, vol_lookback=10, lev_min=0.1, lev_max=5.0, periods=52)
    assert weekly[-1]["vol"] == pytest.approx(seen[-1]["vol"] * np.sqrt(252 / 52), rel=1e-12)


def test_volatility_of_a_strategy_without_weights_is_that_of_its_unlevered_positions() -> None:
    rng = np.random.default_rng(8)
    a = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 30)))
    seen = run({3: [(0, "buy")], 20: [(0, "sell")]}, a, vol_lookback=5, lev_min=0.1, lev_max=1.9)
    returns = a[1:] / a[:-1] - 1
    # Bought at the close of bar 3, booked on bar 4 (index 3): held from its close on, so index 4 earns first.
    assert [row["vol"] for row in seen[:8]] == [1.0] * 8
    expected = np.clip(0.12 / (np.std(returns[8:13]) * np.sqrt(252)), 0.1, 1.9)
    assert seen[13]["vol"] == pytest.approx(expected)
    # Flat again: base returns of 0 come in.
    assert seen[-1]["vol"] == 1.9


def test_brake_reads_the_drawdown_of_actual_equity() -> None:
    closes = [100.0, 100.0, 82.5, 82.5, 70.0, 100.0, 100.0]
    seen = run({1: [(0, "buy")]}, closes, lev_min=0.1, lev_max=1.0, dd_threshold1=0.10, dd_threshold2=0.25)
    assert [row["dd"] for row in seen] == pytest.approx([0, 0, 0.175, 0.175, 0.30, 0, 0])
    assert [row["brake"] for row in seen] == pytest.approx([1, 1, 0.65, 0.65, 0.30, 1, 1])
    assert seen[2]["leverage"] == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("dd_threshold1", 0.05, 1 - 0.7 * (0.175 - 0.05) / 0.20),
        ("dd_threshold2", 0.20, 0.30 + 0.7 * (0.20 - 0.175) / 0.10),
        ("dd_min_scale", 0.5, 0.75),
        ("lev_min", 0.8, 0.8),
        ("lev_max", 0.9, 0.65),
    ],
)
def test_every_brake_parameter_acts(name: str, value: float, expected: float) -> None:
    params = {"lev_min": 0.1, "lev_max": 1.0, name: value}
    row = run(
        {1: [(0, "buy")]}, [100.0, 100.0, 100.0 * (1 - 0.175 / (0.9 if name == "lev_max" else 1.0))] * 1, **params
    )[-1]
    assert row["leverage"] == pytest.approx(expected)


def test_deposits_are_not_performance() -> None:
    class Deposits(Scripted):
        def next(self) -> None:
            super().next()
            if len(self) == 3:
                self.broker.add_cash(-4_000.0)
            if len(self) == 4:
                self.broker.add_cash(50_000.0)

    seen = run({}, [100.0] * 8, strategy=Deposits)
    assert seen[-1]["value"] == 56_000.0
    assert [row["dd"] for row in seen] == [0.0] * 8


def test_sleeve_drawdown_is_the_strategys_own() -> None:
    class Other(bt.Strategy):
        """Loses its own money beside the sleeve."""

        def next(self) -> None:
            if len(self) == 1:
                self.buy(self.datas[1], size=50)

    def drawdowns(kind: str) -> tuple[float, float]:
        cerebro = bt.Cerebro(stdstats=False)
        for closes in ([100.0, 100, 90, 90], [100.0, 100, 20, 20]):
            cerebro.adddata(bt.feeds.PandasData(dataname=frame(closes)))
        open_account(cerebro, cash=10_000.0, execution="close", slippage_bps=0, commission_bps=0, borrow_rate=0)
        cerebro.addstrategy(Scripted, script=((1, [(0, "buy")]),))
        cerebro.addstrategy(Other)
        cerebro.addsizer_byidx(0, VolTargetDrawdownSizer, allocation=0.5, slots=1, drawdown=kind, **ONE)
        seen = cerebro.run()[0].seen
        return seen[-1]["dd"], seen[-1]["held0"]

    assert drawdowns("account") == (pytest.approx(0.45), 50)  # 500 + 4,000 of 10,000
    assert drawdowns("sleeve") == (pytest.approx(0.10), 50)  # 500 of its 5,000


def test_target_beyond_the_account_is_trimmed_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    seen = run({1: [(0, "buy")], 3: [(0, "buy")]}, [100.0] * 5, lev_min=3.0, lev_max=3.0)
    assert seen[-1]["held0"] == 200
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "leverage 3.0000 wanted, 2.0000 opened" in messages[0]


def test_trims_counts_sessions() -> None:
    class Asks(Scripted):
        def next(self) -> None:
            super().next()
            for _ in range(3):
                self.getsizer().affordable(2.5 if len(self) % 2 else 1.5)
            self.seen[-1]["trims"] = self.getsizer().trims

    assert [row["trims"] for row in run({}, [100.0] * 5, strategy=Asks)] == [1, 1, 2, 2, 3]


def test_a_sizer_that_is_replaced_stops_watching() -> None:
    class TwoSizers(Scripted):
        def __init__(self) -> None:
            super().__init__()
            self.setsizer(VolTargetDrawdownSizer(lev_min=0.5, lev_max=0.5))

        def start(self) -> None:
            self.watchers = len(self._slave_analyzers)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame([100.0] * 3)))
    cerebro.addstrategy(TwoSizers)
    cerebro.addsizer(VolTargetDrawdownSizer)
    assert cerebro.run()[0].watchers == 1


def test_future_bars_do_not_move_leverage() -> None:
    rng = np.random.default_rng(9)
    a = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 80)))
    changed = a.copy()
    changed[50:] *= rng.uniform(0.5, 2.0, 30)
    params = {"vol_lookback": 10, "lev_min": 0.1, "lev_max": 1.9}
    one, two = (run({2: [(0, "buy")]}, series, **params) for series in (a, changed))
    assert one[:50] == two[:50]
    assert one[50:] != two[50:]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"allocation": 0.0}, "allocation=0.0"),
        ({"allocation": 1.1}, "allocation=1.1"),
        ({"drawdown": "peak"}, "drawdown='peak'.*'sleeve'"),
        ({"slots": 0}, "slots=0"),
        ({"periods": 0}, "periods=0"),
        ({"target_vol": 0.0}, "target_vol=0.0"),
        ({"lev_min": 2.0, "lev_max": 1.0}, "lev_min=2.0 is above lev_max=1.0"),
        ({"dd_threshold1": 0.3}, "dd_threshold1=0.3 is above dd_threshold2=0.25"),
        ({"dd_min_scale": 1.5}, "dd_min_scale=1.5"),
        ({"vol_lookback": 1}, "vol_lookback=1"),
    ],
)
def test_bad_parameters_are_refused_at_start(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run({}, [100.0] * 3, **params)


# -- orders under way --------------------------------------------------------------------------------------------------

BROKERS = ("margin", "stock")


class Sends(OwnPosition, bt.Strategy):
    """Calls {bar: function of the strategy}; keeps what is held after each session and the size of each order."""

    params = (("script", ()),)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []
        self.sizes: list[Any] = []

    def next(self) -> None:
        self.seen.append(self.held(self.data))
        act = dict(self.p.script).get(len(self))
        if act is not None:
            act(self)

    def notify_order(self, order: Any) -> None:
        super().notify_order(order)
        if order.status == order.Submitted:
            self.sizes.append(order.created.size)


def sent(script: dict[int, Any], closes: Any, broker: str = "margin", **params: Any) -> Sends:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame(closes), name="A"))
    open_account(cerebro, cash=10_000.0, slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0, broker=broker)
    cerebro.addstrategy(Sends, script=tuple(script.items()))
    cerebro.addsizer(VolTargetDrawdownSizer, **{"lev_min": 1.5, "lev_max": 1.5, **params})
    return cerebro.run()[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("broker", BROKERS)
def test_close_and_entry_on_one_bar(broker: str) -> None:
    """The close is counted: what is held afterwards is one slot, not a slot less what was closed, nor twice."""
    script = {1: lambda s: s.buy(), 4: lambda s: (s.close(), s.sell()), 7: lambda s: (s.close(), s.buy())}
    strategy = sent(script, [100.0] * 10, broker)
    assert strategy.seen == [0, 150, 150, 150, -150, -150, -150, 150, 150, 150]
    assert strategy.sizes == [150, -150, -150, 150, 150]


@pytest.mark.parametrize("broker", BROKERS)
def test_two_entries_on_one_bar_are_one(broker: str) -> None:
    assert sent({1: lambda s: (s.buy(), s.buy())}, [100.0] * 4, broker).seen[-1] == 150


@pytest.mark.parametrize("broker", BROKERS)
def test_an_entry_sent_again_is_the_same_entry(broker: str) -> None:
    """A limit order a day, each for what is not under way yet: the fill is one slot."""
    script = {bar: lambda s: s.buy(exectype=bt.Order.Limit, price=95.0) for bar in range(1, 6)}
    strategy = sent(script, [100.0] * 6 + [95.0, 95.0, 95.0], broker)
    assert strategy.sizes == [150]
    assert strategy.seen[-1] == 150


@pytest.mark.parametrize("broker", BROKERS)
def test_what_waits_to_reduce_is_not_counted(broker: str) -> None:
    """With a stop under the holding a sell still closes all of it, and a buy adds nothing."""

    def stop(strategy: Any) -> None:
        strategy.sell(size=150, exectype=bt.Order.Stop, price=50.0)

    script = {1: lambda s: s.buy(), 3: stop, 4: lambda s: s.buy(), 5: lambda s: s.sell()}
    assert sent(script, [100.0] * 7, broker).seen == [0, 150, 150, 150, 150, 0, 0]


@pytest.mark.parametrize("broker", BROKERS)
def test_the_exits_of_a_bracket_are_not_counted(broker: str) -> None:
    def bracket(strategy: Any) -> None:
        strategy.buy_bracket(size=100, exectype=bt.Order.Limit, price=90.0, stopprice=80.0, limitprice=120.0)

    # Below a limit that waits, a short is a short of its own: its slot, no more and no less.
    assert sent({1: bracket, 2: lambda s: s.sell()}, [100.0] * 4, broker).seen[-1] == -150


def test_orders_of_others_are_not_counted() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame([100.0] * 4), name="A"))
    open_account(cerebro, cash=10_000.0, slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
    for _ in range(2):
        at = cerebro.addstrategy(Sends, script=((1, lambda s: s.buy()),))
        cerebro.addsizer_byidx(at, VolTargetDrawdownSizer, lev_min=1.0, lev_max=1.0, allocation=0.5)
    assert [strategy.seen[-1] for strategy in cerebro.run()] == [50, 50]


@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("signal", [bt.SIGNAL_LONGSHORT, bt.SIGNAL_LONG])
def test_every_reversal_of_a_signal_strategy_is_one_slot(signal: int, broker: str) -> None:
    """backtrader's own close-and-enter: shares held = ± leverage × equity / close, as at the close that decided."""
    rng = np.random.default_rng(4)
    decided: list[tuple[float, float]] = []
    apart: list[float] = []

    class Crosses(bt.Indicator):
        lines = ("signal",)

        def __init__(self) -> None:
            self.lines.signal = bt.ind.SMA(period=5) - bt.ind.SMA(period=20)

    class Signals(bt.SignalStrategy):
        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed and self.position.size:
                leverage_equity, close = decided[-1]
                apart.append(abs(abs(self.position.size) - leverage_equity / close))

        def next(self) -> None:
            decided.append((self.getsizer().leverage * self.broker.getvalue(), self.data.close[0]))

    cerebro = bt.Cerebro(stdstats=False)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 400)))
    cerebro.adddata(bt.feeds.PandasData(dataname=frame(closes), name="A"))
    open_account(cerebro, cash=100_000.0, broker=broker)
    cerebro.signal_strategy(Signals)
    cerebro.add_signal(signal, Crosses)
    cerebro.addsizer(VolTargetDrawdownSizer, lev_min=0.3, lev_max=1.8)
    cerebro.run()
    assert len(apart) > 10
    assert max(apart) < 1.0


def test_whole_sizes_are_whole_numbers() -> None:
    """`{:d}` in a user's print takes them."""
    strategy = sent({1: lambda s: s.buy(), 3: lambda s: s.sell()}, [70.0] * 5)
    assert strategy.sizes == [214, -214]
    assert all(isinstance(size, int) for size in (*strategy.sizes, *strategy.seen))
    assert sent({1: lambda s: s.buy()}, [70.0] * 3, whole_shares=False).seen[-1] == pytest.approx(15_000 / 70)


def test_what_is_held_in_part_is_sold_whole() -> None:
    """Shares that a strategy has bought by a size of its own, 10.5 of them: none of it stays behind."""
    strategy = sent({1: lambda s: s.buy(size=10.5), 3: lambda s: s.sell()}, [70.0] * 5)
    assert strategy.sizes == [10.5, -10.5]
    assert strategy.seen[-1] == 0


@pytest.mark.parametrize(
    ("weights", "leverage"), [((0.5, 0.5), 2.5), ((0.8, 0.2), 1 / 0.45), ((1.0, 0.0), 2.0), ((0.0, 1.0), 2.5)]
)
def test_the_room_is_by_the_margins_of_what_is_to_be_held(weights: tuple[float, float], leverage: float) -> None:
    """Opening takes a half of the first feed and a quarter of the second: 2.5 is wanted, Σ w·margin·leverage <= 1."""

    class Plans(Scripted):
        base_weights: Any = list(weights)

        def target_weight(self, data: Any) -> float:
            return weights[("F0", "F1").index(data._name)]

    cerebro = bt.Cerebro(stdstats=False)
    for name in ("F0", "F1"):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame([100.0] * 4), name=name))
    broker = open_account(cerebro, cash=1e6, execution="close", slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
    broker.setcommission(leverage=4.0, name="F1")
    cerebro.addstrategy(Plans, script=((1, [(i, "buy") for i in (0, 1) if weights[i]]),))
    cerebro.addsizer(VolTargetDrawdownSizer, lev_min=2.5, lev_max=2.5)
    last = cerebro.run()[0].seen[-1]
    assert [last["held0"], last["held1"]] == pytest.approx([1e4 * w * leverage for w in weights], abs=1.0)


def test_nothing_is_lost_before_the_first_bar() -> None:
    class Looks(Scripted):
        def start(self) -> None:
            sizer = self.getsizer()
            self.seen.append({"drawdown": sizer.drawdown, "leverage": sizer.leverage, "brake": sizer.brake_part})

    assert run({}, [100.0, 101.0], strategy=Looks)[0] == {"drawdown": 0.0, "leverage": 1.0, "brake": 1.0}


def test_a_change_of_parameters_acts_on_the_same_bar() -> None:
    class Changes(Scripted):
        def next(self) -> None:
            sizer = self.getsizer()
            before = sizer.leverage
            if len(self) == 3:
                sizer.reconfigure(lev_min=1.5, lev_max=1.5)
            self.seen.append({"before": before, "after": sizer.leverage})

    seen = run({}, [100.0] * 5, strategy=Changes, **ONE)
    assert [(one["before"], one["after"]) for one in seen] == [(1, 1), (1, 1), (1, 1.5), (1.5, 1.5), (1.5, 1.5)]


class Stops(bt.Strategy):
    """Enters without a size, and in answer to the fill sends a stop without one, as backtrader's samples do."""

    def __init__(self) -> None:
        self.sizes: list[float] = []

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.sizes.append(order.executed.size)
            if order.isbuy():
                self.sell(exectype=bt.Order.StopTrail, trailpercent=0.03)

    def next(self) -> None:
        if not self.position and len(self) % 5 == 0:
            self.buy()


@pytest.mark.parametrize("broker", ["margin", "stock"])
@pytest.mark.parametrize("quick", [False, True])
def test_a_stop_sent_in_answer_to_a_fill_is_what_was_bought(broker: str, quick: bool) -> None:
    cerebro = bt.Cerebro(stdstats=False, quicknotify=quick)
    for feed in load("sample", symbols="SPY", end="2011-12-30").feeds():
        cerebro.adddata(feed)
    open_account(cerebro, broker=broker)
    cerebro.addstrategy(Stops)
    cerebro.addsizer(VolTargetDrawdownSizer, lev_max=1.0)
    (strategy,) = cerebro.run()
    bought, sold = strategy.sizes[::2], strategy.sizes[1::2]
    assert len(sold) > 5
    assert sold == [-size for size in bought[: len(sold)]]


class BuysOnce(bt.Strategy):
    """Buys once, with a size or without."""

    params = (("size", None), ("room", None))

    def next(self) -> None:
        if len(self) == 2:
            self.buy(size=self.p.size)

    def stop(self) -> None:
        if self.p.room is not None:
            self.p.room.append(self.getsizer().affordable(10.0))


def test_what_others_hold_takes_room_and_what_is_held_does_not() -> None:
    cerebro, room = bt.Cerebro(stdstats=False), []  # type: ignore[var-annotated]
    (feed,) = load("sample", symbols="SPY", end="2010-03-31").feeds()
    cerebro.adddata(feed)
    broker = open_account(cerebro, 100_000.0, initial_margin=1.0, maintenance_margin=0.25, slippage_bps=0.0)
    cerebro.addstrategy(BuysOnce, size=300)
    cerebro.addstrategy(BuysOnce, room=room)
    cerebro.addsizer_byidx(1, VolTargetDrawdownSizer, lev_min=1.0, lev_max=1.0, allocation=0.5)
    first, second = cerebro.run()
    held = broker.getposition(first.data).size - 300
    assert held > 100
    close, value = second.data.close[0], broker.getvalue()
    assert room == [pytest.approx((1.0 - 300 * close / value) / 0.5, rel=1e-12)]


def test_the_last_cent_of_an_account_may_be_levered() -> None:
    held = run({1: [(0, "buy")]}, [100.0] * 4, cash=0.5, whole_shares=False, **ONE)[-1]["held0"]
    assert held == pytest.approx(0.005)


class CrossesInAnOptimisation(bt.strategies.SMA_CrossOver):
    """A class of its own: backtrader pickles the first of two classes of one name as the second."""


def test_a_levered_strategy_comes_back_whole_from_an_optimisation() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    (feed,) = load("sample", symbols="SPY", end="2010-06-30").feeds()
    cerebro.adddata(feed)
    open_account(cerebro)
    cerebro.optstrategy(CrossesInAnOptimisation, fast=(3, 5), slow=(10,))
    cerebro.addsizer(VolTargetDrawdownSizer)
    runs = cerebro.run(maxcpus=2, optreturn=False)
    assert [run[0].p.fast for run in runs] == [3, 5]
