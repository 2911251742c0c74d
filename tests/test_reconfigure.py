"""Parameters that change in the middle of a run, and a strategy that begins to trade on a date."""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
import pytest
from markets import QUICK

from riskoverlay.analyzers import DailySeries, Fills
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account

BLEND = {"cov_lookback": 60, "min_hist": 60}
SIZER = {"vol_lookback": 20}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", "SPY,TLT,GLD", end="2011-06-30")


class Changes(RiskParityBlend):
    """Changed by what is given, at the close of a session number."""

    params = (("at", 0), ("blend", None), ("sizing", None))  # type: ignore[assignment]

    def next(self) -> None:
        if len(self) == self.p.at:
            self.reconfigure(**(self.p.blend or {}))
            self.getsizer().reconfigure(**(self.p.sizing or {}))
        super().next()


def run(panel: Panel, blend: dict[str, Any], sizing: dict[str, Any], cls: type = Changes, **account: Any) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in panel.feeds():
        cerebro.adddata(feed)
    open_account(cerebro, **account)
    cerebro.addstrategy(cls, **{**BLEND, **blend})
    cerebro.addsizer(VolTargetDrawdownSizer, **{**SIZER, **sizing})
    cerebro.addanalyzer(DailySeries, _name="daily")
    cerebro.addanalyzer(Fills, _name="fills")
    (strategy,) = cerebro.run()
    return strategy


def fills(strategy: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = strategy.analyzers.fills.get_analysis()["fills"]
    return found


def value(strategy: Any) -> list[float]:
    found: list[float] = strategy.analyzers.daily.get_analysis()["value"]
    return found


def test_what_is_changed_before_it_matters_is_as_if_it_had_been_so(panel: Panel) -> None:
    """Both look-backs and the target, changed on session 10: a run that began with them is the same."""
    later = run(
        panel,
        {
            "memory": 60,
            "cov_lookback": 30,
            "min_hist": 30,
            "at": 10,
            "blend": {"cov_lookback": 60, "min_hist": 60},
            "sizing": {"vol_lookback": 20, "target_vol": 0.06},
        },
        {"memory": 20, "vol_lookback": 5},
    )
    whole = run(panel, {}, {"target_vol": 0.06})
    assert fills(later) == fills(whole)
    assert value(later) == value(whole)
    assert fills(whole) != fills(run(panel, {}, {}))


@pytest.mark.parametrize(
    ("blend", "sizing"),
    [({"alpha_minvar": 1.0}, {}), ({"rebalance_freq": "W-FRI"}, {}), ({"drift": "daily"}, {}), ({}, {"lev_max": 0.5}),
     ({}, {"whole_shares": False})],
    ids=str,
)  # fmt: skip
def test_a_change_acts_from_its_close_on_and_not_before(
    panel: Panel, blend: dict[str, Any], sizing: dict[str, Any]
) -> None:
    at = 150
    changed = run(panel, {"at": at, "blend": blend, "sizing": sizing}, {})
    plain = run(panel, {}, {})
    day = panel.sessions[at - 1].date()
    before = [[fill for fill in fills(one) if fill["date"] <= day] for one in (changed, plain)]
    assert before[0] == before[1]
    assert value(changed)[:at] == value(plain)[:at]
    assert fills(changed) != fills(plain)


@pytest.mark.parametrize(
    ("blend", "sizing", "message"),
    [
        ({"cov_lookback": 61}, {}, r"cov_lookback=61 is more than the 60 sessions that are kept: give memory when"),
        ({"min_hist": 99}, {}, r"min_hist=99 is more than the 60 sessions that are kept"),
        ({"alpha_minvr": 0.1}, {}, r"alpha_minvr=0\.1 is not a parameter: did you mean alpha_minvar\?"),
        ({"alpha_minvar": 2.0}, {}, r"alpha_minvar=2\.0 is above 1"),
        ({}, {"vol_lookback": 21}, r"vol_lookback=21 is more than the 20 returns that are kept: give memory when"),
        ({}, {"lev_min": 3.0}, r"lev_min=3\.0 is above lev_max=2\.0"),
        ({}, {"slots": 3}, r"slots=3 is not a parameter"),
    ],
)
def test_what_cannot_be_changed_is_refused(
    panel: Panel, blend: dict[str, Any], sizing: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(panel, {"at": 100, "blend": blend, "sizing": sizing}, {})


def test_memory_lets_look_backs_grow(panel: Panel) -> None:
    grown = run(
        panel,
        {"memory": 90, "at": 120, "blend": {"cov_lookback": 90, "min_hist": 90}, "sizing": {"vol_lookback": 40}},
        {"memory": 40},
    )
    assert fills(grown) != fills(run(panel, {}, {}))
    # Weights decided after the change are those of a run that looked as far back from the beginning.
    whole = run(panel, {"cov_lookback": 90, "min_hist": 90}, {"vol_lookback": 40})
    assert grown.base_weights == whole.base_weights
    assert grown.getsizer()._volatility.value == pytest.approx(whole.getsizer()._volatility.value, rel=1e-12)


@pytest.mark.parametrize("date", ["2010-09-15", dt.date(2010, 9, 15), "2010-09-30"])
def test_nothing_is_traded_before_its_date_and_weights_are_known_on_it(panel: Panel, date: Any) -> None:
    day = dt.date.fromisoformat(str(date))
    late = run(panel, {"trade_from": date}, {})
    first = min(fill["date"] for fill in fills(late))
    sessions = [session.date() for session in panel.sessions]
    assert first == sessions[sessions.index(day) + 1]  # decided at its close, filled at the next open
    assert late.rebalances[0] < day
    assert len(set(value(late)[: sessions.index(day) + 1])) == 1
    assert min(fill["date"] for fill in fills(run(panel, {}, {}))) < day


def test_a_date_that_is_none_is_refused(panel: Panel) -> None:
    with pytest.raises(InputError, match=r"trade_from='soon' is not a date: give datetime\.date"):
        run(panel, {"trade_from": "soon"}, {})


def test_quick_is_what_the_others_use() -> None:
    assert {**BLEND, **SIZER} == QUICK
