"""What is printed of an analysis is a digest; get_analysis() has all of it."""

from __future__ import annotations

import io
from typing import Any

import backtrader as bt
import pytest
from markets import frame

from riskoverlay import analyzers
from riskoverlay.analyzers import DailySeries, Exposure, Fills, MaxDrawdown, TradingCosts
from riskoverlay.analyzers.ledger import SHORT, LedgerReader, _few_words
from riskoverlay.feeds import PanelFeed

OURS = [one for one in vars(analyzers).values() if isinstance(one, type) and issubclass(one, LedgerReader)]


class Buys(bt.Strategy):
    params = (("size", 10),)

    def next(self) -> None:
        (self.buy if len(self) % 2 else self.close)(size=self.p.size)


def cerebro(*kinds: type) -> bt.Cerebro:
    engine = bt.Cerebro(stdstats=False)
    engine.adddata(PanelFeed(dataname=frame([100.0 + i % 7 for i in range(1_000)]), name="A"))
    for kind in kinds:
        engine.addanalyzer(kind, _name=kind.__name__)
    return engine


def test_a_writer_gets_lines_that_a_person_reads() -> None:
    engine, out = cerebro(*OURS, bt.analyzers.TimeReturn), io.StringIO()
    engine.addwriter(bt.WriterFile, out=out)
    engine.addstrategy(Buys)
    (strategy,) = engine.run()
    lines = out.getvalue().splitlines()
    assert len(OURS) >= 8
    assert max(map(len, lines)) < 200
    assert any(line.strip() == "- value: 1000 values, 10000.0 ... " + str(strategy.broker.getvalue()) for line in lines)
    assert any(line.strip().startswith("- turnover: ") for line in lines)
    assert len(strategy.analyzers.DailySeries.get_analysis()["value"]) == 1_000
    assert sum("2020-" in line for line in lines) > 200  # backtrader's own analyzer is left as it is


@pytest.mark.parametrize("way", ["print", "pprint"])
def test_printed_on_the_terminal(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    engine = cerebro(DailySeries, Exposure, Fills, MaxDrawdown, TradingCosts)
    engine.addstrategy(Buys)
    (strategy,) = engine.run()
    for analyzer in strategy.analyzers:
        getattr(analyzer, way)()
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) < 200
    assert "1000 values" in said
    assert "rows of date, executed, symbol" in said
    assert str(strategy.analyzers.TradingCosts.get_analysis()["commission"]) in said


def test_what_is_short_is_written_out() -> None:
    engine = cerebro(TradingCosts)
    engine.addstrategy(Buys)
    (strategy,) = engine.run()
    costs: Any = strategy.analyzers.TradingCosts
    digest, whole = costs.digest(), costs.get_analysis()
    assert digest.keys() == whole.keys()
    assert digest["orders"] == whole["orders"]
    assert digest["by_year"] == whole["by_year"]


def test_optimisation_still_hands_strategies_over() -> None:
    """Whole strategies are pickled with `optreturn=False`."""
    engine = cerebro(TradingCosts)
    engine.optstrategy(Buys, size=(5, 10))
    results = engine.run(maxcpus=2, optreturn=False)
    assert [runs[0].p.size for runs in results] == [5, 10]
    assert all(runs[0].analyzers.TradingCosts.get_analysis()["traded"] > 0 for runs in results)


def test_ten_values_are_printed_one_by_one_and_eleven_are_not() -> None:
    assert _few_words(list(range(SHORT))) == list(range(SHORT))
    assert _few_words(list(range(SHORT + 1))) == f"{SHORT + 1} values, 0 ... {SHORT}"
    assert SHORT == 10


def test_a_series_that_begins_later_has_lists_of_one_length() -> None:
    engine = cerebro()
    engine.addanalyzer(DailySeries, _name="series", first="2021-01-04")
    engine.addstrategy(Buys)
    (strategy,) = engine.run()
    found = {name: len(one) for name, one in strategy.analyzers.series.get_analysis().items() if isinstance(one, list)}
    assert set(found.values()) == {found["dates"]}
    assert 0 < found["dates"] < 1_000
