"""VolTargetDrawdownSizer: leverage from what is known, and sizes for any strategy."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from markets import frame

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
    script: dict[int, Any], *closes: Any, strategy: type = Scripted, deposits: Any = (), **params: Any
) -> list[dict[str, float]]:
    cerebro = bt.Cerebro(stdstats=False)
    for i, series in enumerate(closes):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame(series), name=f"F{i}"))
    open_account(cerebro, cash=10_000.0, execution="close", slippage_bps=0.0, commission_bps=0.0, borrow_rate=0.0)
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
