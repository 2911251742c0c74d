"""How much work a run does, counted; seconds are for benchmarks/."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from markets import QUICK, charges_of

import riskoverlay.strategies.blend as blend
from riskoverlay.analyzers import DailySeries, Exposure, Fills, TradingCosts
from riskoverlay.feeds import Panel, PanelFeed
from riskoverlay.strategies import (
    ExecutionTerms,
    LeverageRules,
    RiskParityBlend,
    SizingRules,
    TradingRules,
    VolTargetDrawdownSizer,
    WeightRules,
    open_account,
)
from riskoverlay.strategies.weights import blended_weights
from riskoverlay.studies.workbench.parameters import make_config, values_of


def run(panel: Panel, feed: type = PanelFeed, analyzers: bool = True, **mode: Any) -> Any:
    config = make_config(QUICK)
    cerebro = bt.Cerebro(stdstats=False, **mode)
    for symbol, frame in panel.frames.items():
        cerebro.adddata(feed(dataname=frame, name=symbol))
    open_account(cerebro, **values_of(config, ExecutionTerms), **charges_of(config))
    cerebro.addstrategy(RiskParityBlend, **values_of(config, WeightRules, TradingRules))
    cerebro.addsizer(VolTargetDrawdownSizer, **values_of(config, LeverageRules, SizingRules))
    if analyzers:
        for analyzer in (DailySeries, Exposure, TradingCosts, Fills):
            cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
    return cerebro.run()[0]


def test_fast_feed_and_stock_feed_give_the_same_bits(sample: Panel) -> None:
    ours, stock = run(sample), run(sample, bt.feeds.PandasData)
    for name in ("DailySeries", "TradingCosts", "Fills"):
        mine, theirs = (getattr(s.analyzers, name).get_analysis() for s in (ours, stock))
        assert mine == theirs, name
    mine, theirs = (s.analyzers.Exposure.get_analysis() for s in (ours, stock))
    np.testing.assert_array_equal(mine["leverage"], theirs["leverage"])
    np.testing.assert_array_equal(mine["target_leverage"], theirs["target_leverage"])


def test_rows_are_loaded_in_bulk(sample: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"loaded": 0, "ticks": 0}

    def counted(original: Any, name: str) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            rows[name] += 1
            return original(self, *args, **kwargs)

        return method

    monkeypatch.setattr(bt.feeds.PandasData, "_load", counted(bt.feeds.PandasData._load, "loaded"))
    monkeypatch.setattr(bt.feeds.PandasData, "_tick_fill", counted(bt.feeds.PandasData._tick_fill, "ticks"))
    run(sample)
    assert rows == {"loaded": 0, "ticks": 0}
    run(sample, preload=False)
    assert rows["loaded"] == (len(sample.sessions) + 1) * len(sample.symbols)


def test_weights_are_computed_on_rebalance_sessions_only(sample: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def counted(returns: Any, *rules: Any) -> Any:
        shapes.append(returns.shape)
        return blended_weights(returns, *rules)

    monkeypatch.setattr(blend, "blended_weights", counted)
    strategy = run(sample)
    assert shapes == [(60, len(sample.symbols))] * len(strategy.rebalances)
    assert 25 <= len(shapes) <= 36


def test_orders_are_sent_only_where_they_are_due(sample: Panel) -> None:
    strategy = run(sample)
    exposure = strategy.analyzers.Exposure.get_analysis()
    held, target = np.array(exposure["leverage"]), np.array(exposure["target_leverage"])
    acting = np.abs(target - held) > 0.1
    first = exposure["dates"].index(strategy.rebalances[0])
    due = set(strategy.rebalances) | {exposure["dates"][i] for i in np.flatnonzero(acting) if i > first}
    sessions = exposure["dates"]
    filled = {fill["date"] for fill in strategy.analyzers.Fills.get_analysis()["fills"]}
    assert {sessions[sessions.index(day) - 1] for day in filled} <= due
    sent = strategy.analyzers.TradingCosts.get_analysis()["orders"]["sent"]
    assert sent <= len(due) * len(sample.symbols)
    assert sent < len(sessions) * len(sample.symbols) / 4


def test_memory_does_not_grow_with_bars(sample: Panel) -> None:
    def sizes(panel: Panel) -> list[int]:
        strategy = run(panel, analyzers=False, exactbars=1)
        lines = [len(line.array) for data in strategy.datas for line in data.lines]
        volatility = strategy.getsizer()._volatility
        return [
            max(lines),
            len(strategy._orders),
            len(strategy._orderspending),
            len(strategy.broker.orders),
            len(strategy.broker.notifs),
            len(strategy._alive),
            len(volatility._returns) - 2 * QUICK["vol_lookback"],
            len(strategy._closes) <= 2 * (QUICK["min_hist"] + 1) * len(panel.symbols),
        ]

    short, long = sizes(sample.between(None, "2011-06-30")), sizes(sample)
    assert short == long
    assert max(long) <= 20
