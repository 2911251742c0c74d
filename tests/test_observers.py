"""Observers say what the analyzers say, and plots need no screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from markets import frame

from riskoverlay.analyzers import DrawdownBrake, Exposure, Leverage, plot
from riskoverlay.feeds import Panel
from riskoverlay.strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account

ROOT = Path(__file__).parents[1]


def blend(panel: Panel, **modes: Any) -> tuple[bt.Cerebro, Any]:
    cerebro = bt.Cerebro(stdstats=False, **modes)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    open_account(cerebro)
    cerebro.addstrategy(RiskParityBlend, cov_lookback=60, min_hist=60)
    cerebro.addsizer(VolTargetDrawdownSizer, vol_lookback=20, dd_threshold1=0.02, dd_threshold2=0.05)
    cerebro.addobserver(Leverage)
    cerebro.addobserver(DrawdownBrake)
    cerebro.addanalyzer(Exposure, _name="exposure")
    return cerebro, cerebro.run()[0]


def line(observer: Any, name: str) -> np.ndarray:
    return np.array(getattr(observer.lines, name).get(size=len(observer)))


@pytest.mark.parametrize("runonce", [True, False])
def test_observers_say_what_the_analyzer_says(sample: Panel, runonce: bool) -> None:
    panel = sample.between(None, "2011-12-31")
    _, strategy = blend(panel, runonce=runonce)
    leverage, brake = strategy.observers
    exposure = strategy.analyzers.exposure.get_analysis()
    assert np.allclose(line(leverage, "held"), exposure["leverage"])
    assert np.allclose(line(leverage, "target"), exposure["target_leverage"])
    assert np.allclose(line(brake, "brake"), exposure["brake_part"])
    assert 0.3 <= line(brake, "brake").min() < 1.0
    fall = line(brake, "drawdown")
    assert fall.max() == 0.0
    assert -0.5 < fall.min() < -0.02
    assert np.allclose(np.clip(1.0 - (-fall - 0.02) / 0.03 * 0.7, 0.3, 1.0), line(brake, "brake"))


class Straddle(bt.Strategy):
    """Long 10 of the first, short 10 of the second; a deposit on the way."""

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        if len(self) == 1:
            self.buy(self.data0, size=10)
        if len(self.data1) == 1:
            self.sell(self.data1, size=10)
        if len(self) == 6:
            self.broker.add_cash(5_000.0)


def test_any_strategy_shorts_count_and_deposits_are_no_performance() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(10_000.0)
    cerebro.broker.set_fundmode(True)
    late = frame([100.0] * 8, start="2020-01-03")
    cerebro.adddata(bt.feeds.PandasData(dataname=frame([100.0] * 10)))
    cerebro.adddata(bt.feeds.PandasData(dataname=late))
    cerebro.addstrategy(Straddle)
    cerebro.addobserver(Leverage)
    cerebro.addobserver(DrawdownBrake)
    leverage, brake = cerebro.run()[0].observers
    held = line(leverage, "held")
    assert held[1] == pytest.approx(0.1)
    assert held[4] == pytest.approx(0.2)
    assert held[-1] == pytest.approx(2_000 / 15_000)
    assert np.isnan(line(leverage, "target")).all()
    assert np.isnan(line(brake, "brake")).all()
    assert np.allclose(line(brake, "drawdown"), 0.0)


def test_plot_writes_what_cerebro_would_show(sample: Panel, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    import matplotlib

    before = matplotlib.get_backend()
    panel = sample.between(None, "2010-12-31").select(["SPY", "TLT"])
    cerebro, _ = blend(panel)
    (path,) = plot(cerebro, tmp_path / "plot.png", size=(8, 4), dpi=50, style="line")
    assert path == tmp_path / "plot.png"
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (400, 200)
    (usual,) = plot(cerebro, tmp_path / "usual.png", style="line")
    data = usual.read_bytes()
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (1600, 900)
    svg = plot(cerebro, tmp_path / "plot.svg", numfigs=2)
    assert [one.name for one in svg] == ["plot_1.svg", "plot_2.svg"]
    assert matplotlib.get_backend() == before
    with pytest.raises(ValueError, match="has not run: call"):
        plot(bt.Cerebro(), tmp_path / "no.png")
    exact, _ = blend(panel, exactbars=1)
    with pytest.raises(ValueError, match="kept no bars to draw: run it with exactbars"):
        plot(exact, tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


@pytest.mark.long
def test_plot_in_a_fresh_process_without_a_screen(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    code = (
        "import backtrader as bt; from riskoverlay.analyzers import plot; from riskoverlay.feeds import load\n"
        "cerebro = bt.Cerebro(); cerebro.adddata(load('sample', end='2010-06-30').feeds()[0])\n"
        "cerebro.addstrategy(bt.Strategy); cerebro.run(); print(plot(cerebro, 'a.png')[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size > 5_000


@pytest.mark.parametrize("kind", [Leverage, DrawdownBrake])
def test_they_are_drawn_below_the_prices_unless_told_otherwise(kind: Any) -> None:
    assert kind.plotinfo.plot and kind.plotinfo.subplot
