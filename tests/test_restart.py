"""A strategy that is stopped and started again at every session is the one that was never stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from markets import QUICK, SHORT, as_traded, leverage_at, random_market

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, align, load
from riskoverlay.strategies import Correction, state_of
from riskoverlay.studies.workbench import Config, load_panel, make_config
from riskoverlay.studies.workbench.allocations import sessions_before
from riskoverlay.studies.workbench.assembly import ANALYZERS, assemble, our_sizer, our_strategy
from riskoverlay.studies.workbench.runs import UNLEVERED

State = dict[str, Any]

SAME = 1e-12
"""Relative, and absolute of what is about 1."""


class StatesOfEverySession(bt.Analyzer):
    """Where a strategy stands at every close, as a file has it."""

    def start(self) -> None:
        self.states: dict[str, State] = {}

    def next(self) -> None:
        state = from_file(state_of(self.strategy))
        self.states[state["session"]] = state


def from_file(state: Mapping[str, Any]) -> State:
    """What is left of a state in a file: nothing may be lost."""
    read: State = json.loads(json.dumps(state, allow_nan=False))
    return read


def run(panel: Panel, config: Config, *, statement: Correction | None = None, sizing: Mapping[str, Any] | None = None,
        **values: Any) -> Any:  # fmt: skip
    """The strategy after a run: trade_from=..., or resume=a state."""
    strategy, parameters = our_strategy(config)
    sizer, leverage = our_sizer(config)
    pair = (strategy, {**parameters, **values}), (sizer, {**leverage, **(sizing or {})})
    analyzers = ANALYZERS if "resume" in values else (*ANALYZERS, (StatesOfEverySession, {}))
    cerebro = assemble(panel, config, pairs=[pair], acknowledge=False, analyzers=analyzers)
    cerebro.broker.statement = statement
    (done,) = cerebro.run()
    return done


def days_of(strategy: Any) -> list[State]:
    """All that an account did and paid, session by session."""
    found = {name: one.get_analysis() for name, one in strategy.analyzers.getitems() if name != "StatesOfEverySession"}
    daily, costs = found["DailySeries"], found["TradingCosts"]["sessions"]
    filled = ("symbol", "size", "price", "commission", "margin_call")
    fills: dict[date, list[Any]] = {}
    for one in found["Fills"]["fills"]:
        fills.setdefault(one["date"], []).append([one[name] for name in filled])
    return [
        {
            "day": str(day), "value": daily["value"][t], "fund": daily["fund"][t], "fills": fills.get(day, []),
            **{name: found["Exposure"][name][t] for name in ("leverage", "target_leverage", "brake_part")},
            **{name: costs[name][t] for name in ("commission", "slippage", "interest", "tax", "dividends", "traded")},
        }
        for t, day in enumerate(daily["dates"])
    ]  # fmt: skip


def apart(one: Any, other: Any, where: str = "") -> list[str]:
    """What differs between two plain values, by more than rounding."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return [f"{where}: {sorted(one)}, {sorted(other)}"]
        return [line for name in one for line in apart(one[name], other[name], f"{where}.{name}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {one}, {other}"]
        return [line for i, pair in enumerate(zip(one, other, strict=True)) for line in apart(*pair, f"{where}[{i}]")]
    if isinstance(one, float | int) and isinstance(other, float | int):
        same = one == other or bool(np.isclose(one, other, rtol=SAME, atol=SAME, equal_nan=True))
    else:
        same = one == other
    return [] if same else [f"{where}: {one!r}, {other!r}"]


@dataclass(frozen=True)
class Stretch:
    """Some sessions of a market: from the close of `first` on, `count` of them."""

    panel: Panel
    config: Config
    first: int
    count: int

    @property
    def days(self) -> pd.DatetimeIndex:
        return self.panel.sessions

    def whole(self) -> Any:
        """The run that is never stopped."""
        window = self.panel.between(None, self.days[self.first + self.count])
        return run(window, self.config, trade_from=self.days[self.first].date())

    def window(self, t: int, until: int | None = None) -> Panel:
        """The bars that a restart at the close of session t is given: the warm-up, and what came since."""
        start = max(0, t - sessions_before(self.config) - 5)
        return self.panel.between(self.days[start], self.days[t + 1 if until is None else until])


def check_chain(one: Stretch) -> tuple[list[State], list[State], Any]:
    """Session by session from where the account stood, against the run that is never stopped.

    Returns the days, the states at their closes, and the uninterrupted strategy.
    """
    done = one.whole()
    states, days = done.analyzers.StatesOfEverySession.states, days_of(done)[-one.count :]
    names = [str(day.date()) for day in one.days]
    state = states[names[one.first]]
    for i in range(one.count):
        t = one.first + i
        part = run(one.window(t), one.config, resume=state)
        state = from_file(state_of(part))
        assert not apart(days_of(part)[-1], days[i], days[i]["day"])
        assert not apart(state, states[names[t + 1]], names[t + 1])
        assert sum(bool(day["fills"]) for day in days_of(part)) == bool(days[i]["fills"])  # none before it
    return days, [states[day["day"]] for day in days], done


# -- the markets and settings ------------------------------------------------------------------------------------------

SMALL = {**SHORT, "borrow_rate": 0.04, "cash_rate": 0.01, "risk_free": 0.01}
BARE = {name: value for name, value in SMALL.items() if name != "cov_lookback"}


@cache
def traded() -> Panel:
    """Three symbols of the sample market as traded, with splits."""
    rng = np.random.default_rng(5)
    frames = load("sample", end="2010-12-31", adjusted=True).frames
    return align(as_traded({name: frames[name] for name in list(frames)[:3]}, rng))


@cache
def crashing() -> Panel:
    return random_market(np.random.default_rng(8), 140, 3)


@cache
def coming_and_going(late: int | None, end: int | None) -> Panel:
    """S0 and S1 on all sessions, S2 from and to some."""
    frames = dict(random_market(np.random.default_rng(11), 160, 3).frames)
    frames["S2"] = frames["S2"].iloc[late:end]
    return align(frames, universe="ragged")


@cache
def three_years() -> Panel:
    return load_panel(make_config({"end": "2012-12-31"}))


def dynamic() -> Stretch:
    return Stretch(three_years(), make_config(QUICK), 400, 30)


def fallen(day: State) -> bool:
    return any(margin_call for *_, margin_call in day["fills"])


def members() -> Panel:
    stretches = {
        "S0": ((None, date(2020, 5, 20)), (date(2020, 6, 10), None)),
        "S2": ((None, date(2020, 5, 6)), (date(2020, 5, 28), date(2020, 6, 12))),
    }
    return replace(coming_and_going(None, None), members=stretches)


STRETCHES: dict[str, Callable[[], Stretch]] = {
    "dynamic": dynamic,
    "prices as traded": lambda: Stretch(traded(), make_config({**SMALL, "withholding": 0.15}), 60, 30),
    "weekly, no band": lambda: Stretch(
        three_years(), make_config({**QUICK, "rebalance_freq": "W-FRI", "lev_band": 0.0}), 300, 15
    ),
    "at the close": lambda: Stretch(traded(), make_config({**SMALL, "execution": "close", "lev_band": 0.02}), 60, 25),
    "fractions, drift daily": lambda: Stretch(
        traded(), make_config({**SMALL, "whole_shares": False, "drift": "daily", "commission_min": 1.0}), 60, 25
    ),
    "margin calls": lambda: Stretch(
        crashing(),
        make_config({**SMALL, "lev_min": 3.0, "lev_max": 8.0, "target_vol": 1.0, "initial_margin": 0.25,
                     "maintenance_margin": 0.25, "slippage_bps": 20.0}),
        50, 45,
    ),
    "one joins": lambda: Stretch(
        coming_and_going(70, None), make_config({**SMALL, "rebalance_freq": "W-FRI"}), 85, 30
    ),
    "one ends": lambda: Stretch(
        coming_and_going(None, 80), make_config({**SMALL, "rebalance_freq": "W-FRI", "lev_band": 0.6}), 74, 25
    ),
    "members": lambda: Stretch(members(), make_config({**SMALL, "rebalance_freq": "W-FRI"}), 80, 40),
    "equal weights": lambda: Stretch(traded(), make_config({**BARE, "weights": "equal"}), 60, 25),
    "every second month": lambda: Stretch(
        coming_and_going(None, None),
        make_config({**SMALL, "relever": "rebalance", "rebalance_freq": "2ME"}), 50, 60,
    ),
    "a broker's loan": lambda: Stretch(
        traded(), make_config({**{name: SHORT[name] for name in SHORT}, "financing": "ibkr_pro:benchmark=0.04",
                               "target_vol": 0.4}), 60, 20,
    ),
}  # fmt: skip


def held_on(states: Sequence[State], name: str) -> list[bool]:
    return [state["positions"].get(name, [0.0])[0] != 0.0 for state in states]


@pytest.mark.parametrize("name", STRETCHES)
def test_stopped_at_every_session_it_is_the_run_that_is_never_stopped(name: str) -> None:
    one = STRETCHES[name]()
    days, states, done = check_chain(one)
    assert sum(len(day["fills"]) for day in days) > 3
    assert any(state["orders"] for state in states)
    # What the stretch is there for does occur in it.
    inside = slice(one.first + 1, one.first + one.count + 1)
    if name == "prices as traded":
        held = pd.DataFrame({symbol: held_on(states, symbol) for symbol in one.panel.symbols}).to_numpy()
        assert ((one.panel.splits.iloc[inside].to_numpy() != 1.0) & held).any()
        assert sum(day["dividends"] > 0.0 for day in days) > 1 and sum(day["tax"] > 0.0 for day in days) > 1
    elif name == "margin calls":
        assert sum(map(fallen, days)) > 1
        assert done.unfilled > states[0]["unfilled"]  # refused, and sent again at the same close
    elif name == "one joins":
        held_first, *_, held_last = held_on(states, "S2")
        assert not held_first and held_last
    elif name == "one ends":
        held_first, *_, held_last = held_on(states, "S2")
        assert held_first and not held_last and states[-1]["left_out"] == ["S2"]
    elif name == "members":
        decided = [state["weights"].keys() for state in states]
        assert {"S0", "S1", "S2"} in decided and {"S1", "S2"} in decided and {"S0", "S1"} in decided
    elif name == "every second month":
        decisions = pd.DatetimeIndex(sorted({state["decided"] for state in states}))
        assert len(decisions) == 3 and (np.diff(decisions.month) == 2).all()
    elif name == "a broker's loan":
        assert sum(day["interest"] > 0.0 for day in days) > 10


# -- what a state is made of -------------------------------------------------------------------------------------------


@cache
def stood(name: str) -> tuple[Stretch, list[State]]:
    """A stretch, and the states at its closes, the first before its first session."""
    one = STRETCHES[name]()
    states = one.whole().analyzers.StatesOfEverySession.states
    return one, [states[str(day.date())] for day in one.days[one.first : one.first + one.count + 1]]


def halved(positions: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [size // 2, price] for name, (size, price) in positions.items()}


def turned(weights: dict[str, float]) -> dict[str, float]:
    return dict(zip(weights, [*weights.values()][::-1], strict=True))


def in_force(state: State) -> bool:
    """It holds what it wants, and is some way into the stretch."""
    return bool(state["positions"]) and not state["orders"] and state["drawdown"] > 0.05


def waits(state: State) -> bool:
    return any(order["waits"] for order in state["orders"])


MATTERS: dict[str, tuple[str, Callable[[State], bool], Callable[[Any], Any]]] = {
    "session": ("dynamic", in_force, lambda day: str((pd.Timestamp(day) - pd.offsets.BDay()).date())),
    "cash": ("dynamic", in_force, lambda cash: cash + 1000.0),
    "fund_shares": ("dynamic", in_force, lambda shares: 1.3 * shares),
    "peak": ("dynamic", in_force, lambda peak: 1.3 * peak),
    "positions": ("dynamic", in_force, halved),
    "owned": ("dynamic", in_force, lambda owned: {name: size // 2 for name, size in owned.items()}),
    "orders": ("dynamic", lambda state: bool(state["orders"]), lambda orders: []),
    "base_returns": ("dynamic", in_force, lambda returns: [3.0 * one for one in returns]),
    "weights": ("dynamic", in_force, turned),
    "plan": ("dynamic", lambda state: not state["orders"], turned),
    "again": ("dynamic", lambda state: not state["orders"], lambda again: not again),
    "decided": ("dynamic", in_force, lambda decided: None),
    "schedule_from": ("every second month", lambda state: state["session"] > "2020-04-25", lambda first: first + 31),
    "sent_late": ("one ends", waits, lambda late: not late),
    "start_value": ("dynamic", in_force, lambda value: 0.9 * value),
    "cash_flow": ("dynamic", in_force, lambda money: money - 9_000.0),
}
"""Key -> where it tells: a stretch, the first state of it that is so, and another value."""

GIVEN: dict[str, State] = {
    "plan": {"again": True}, "sent_late": {"again": True}, "start_value": {"peak": 1.2e5}, "cash_flow": {"peak": 1.2e5},
}  # fmt: skip
"""What has to be so for a key to tell."""

OF_SLEEVES = {"start_value": {"drawdown": "sleeve"}, "cash_flow": {"drawdown": "sleeve"}}
"""A sizer with `drawdown="sleeve"` counts its own profit."""

INFORMS: dict[str, Any] = {
    "value": 1.0, "performance": 1.0, "drawdown": 0.5, "leverage": 0.5, "volatility_part": 0.5, "brake_part": 0.5,
    "trims": 7, "unfilled": 7, "left_out": ["AAA"],
}  # fmt: skip
"""Keys that only inform, and something else: all but the counts, and of whom it was said once that they are left out,
are computed anew at the next close. What is done does not hang on them."""

SOON = 12
"""Sessions after which a change has told."""


def from_here(name: str, states: Mapping[str, Any], t: int, **sizing: Any) -> list[State]:
    """What is done in the sessions after a state."""
    one, _ = stood(name)
    until = min(one.first + t + SOON, one.first + one.count)
    done = run(one.window(one.first + t, until), one.config, resume=states, sizing=sizing)
    return days_of(done)[-(until - one.first - t) :]


def test_every_key_of_a_state_is_known_here() -> None:
    assert sorted([*MATTERS, *INFORMS]) == sorted(stood("dynamic")[1][0])


@pytest.mark.parametrize("key", MATTERS)
def test_with_another_value_the_account_goes_on_otherwise(key: str) -> None:
    name, wanted, other = MATTERS[key]
    states = stood(name)[1]
    t = next(t for t, state in enumerate(states) if wanted(state))
    state, sizing = {**states[t], **GIVEN.get(key, {})}, OF_SLEEVES.get(key, {})
    changed = {**state, key: other(state[key])}
    assert changed[key] != state[key]
    try:
        found = from_here(name, changed, t, **sizing)
    except InputError as error:
        assert key == "session", error
        return
    assert apart(found, from_here(name, state, t, **sizing))


@pytest.mark.parametrize("key", INFORMS)
def test_what_only_informs_changes_nothing_that_is_done(key: str) -> None:
    states = stood("margin calls")[1]
    for t in (0, 17):
        assert states[t][key] != INFORMS[key]
        changed = {**states[t], key: INFORMS[key]}
        assert not apart(from_here("margin calls", changed, t), from_here("margin calls", states[t], t))


def test_of_an_order_symbol_size_and_whether_it_was_accepted_tell() -> None:
    _, states = stood("one ends")
    t = next(t for t, state in enumerate(states) if waits(state))
    usual = from_here("one ends", states[t], t)
    for key, other in {"size": -1.0, "symbol": "S0"}.items():
        orders = [{**order, key: other} for order in states[t]["orders"]]
        assert apart(from_here("one ends", {**states[t], "orders": orders}, t), usual)
    # What has been accepted is not held against the margins once more; at a price that nobody could pay it is refused.
    _, states = stood("dynamic")
    t = next(t for t, state in enumerate(states) if any(order["size"] > 0 for order in state["orders"]))
    dear = [{**order, "price": 1e6} for order in states[t]["orders"]]
    accepted = [{**order, "waits": True} for order in dear]
    usual = from_here("dynamic", states[t], t)
    assert apart(from_here("dynamic", {**states[t], "orders": dear}, t), usual)
    assert not apart(from_here("dynamic", {**states[t], "orders": accepted}, t), usual)


def test_bars_without_the_session_or_a_symbol_are_refused() -> None:
    one, states = stood("dynamic")
    t, state = one.first + 5, states[5]
    window = one.window(t)
    gone = {name: frame.drop(one.days[t]) for name, frame in window.frames.items()}
    with pytest.raises(
        InputError, match=rf"prices='{state['session']}' have no bar of that session, the last one done, but of 20"
    ):
        run(replace(window, frames=gone), one.config, resume=state)
    first, *others = window.symbols
    with pytest.raises(InputError, match=f"there is no feed of {first}: add it"):
        run(window.select(others), one.config, resume=state)
    with pytest.raises(ValueError, match="Invalid isoformat"):
        run(window, one.config, resume={**state, "session": "yesterday"})


def test_where_it_stands_does_not_hang_on_what_comes() -> None:
    one, states = stood("prices as traded")
    rng = np.random.default_rng(3)
    for t in (4, 11, 23):
        after = one.days > one.days[one.first + t]
        frames = {}
        for name, frame in one.panel.frames.items():
            other = frame.copy()
            other.loc[after, ["open", "high", "low", "close"]] *= rng.uniform(0.5, 2.0, (int(after.sum()), 1))
            other.loc[after, "dividend"] = 0.0
            frames[name] = other
        done = replace(one, panel=replace(one.panel, frames=frames)).whole()
        found = done.analyzers.StatesOfEverySession.states
        assert found[states[t]["session"]] == states[t]
        assert found[states[t + 3]["session"]] != states[t + 3]


# -- what a broker's statement says ------------------------------------------------------------------------------------


def wanted_after(one: Stretch, before: State, after: State, *, again: bool) -> dict[str, float]:
    """Orders of somebody who holds what the account does at a close, by arithmetic alone."""
    config, names = one.config, list(one.panel.symbols)
    closes = one.panel.closes.loc[pd.Timestamp(after["session"]), names].to_numpy()
    held = np.array([after["positions"].get(name, [0.0])[0] for name in names])
    equity = after["cash"] + held @ closes
    fund = equity / after["fund_shares"]
    fallen = max(0.0, 1.0 - fund / max(before["peak"], fund))
    sigma = np.std(after["base_returns"][-config["vol_lookback"] :]) * np.sqrt(252.0)
    rules = ("target_vol", "lev_min", "lev_max", "dd_threshold1", "dd_threshold2", "dd_min_scale")
    leverage = leverage_at(float(sigma), fallen, **{name: config[name] for name in rules})
    if after["decided"] == after["session"]:
        parts = np.array([after["weights"].get(name, 0.0) for name in names])
    elif again:
        parts = np.array([before["plan"].get(name, 0.0) for name in names])
    elif abs(leverage - held @ closes / equity) > config["lev_band"]:
        parts = held * closes / (held @ closes)
    else:
        return {}
    missing = np.trunc(parts * leverage * equity / closes) - held
    return {name: size for name, size in zip(names, missing.tolist(), strict=True) if size}


def ordered(state: State) -> dict[str, float]:
    return {order["symbol"]: order["size"] for order in state["orders"]}


@cache
def before_fills(lev_band: float = 0.1) -> tuple[Stretch, int, State, State]:
    """A close with orders of weights that it decided, and the close after them, as expected."""
    one = replace(dynamic(), config=make_config({**QUICK, "lev_band": lev_band}))
    states = one.whole().analyzers.StatesOfEverySession.states
    names = [str(day.date()) for day in one.days]
    t = next(t for t in range(one.first + 1, len(names)) if states[names[t]]["decided"] == names[t])
    return one, t, states[names[t]], states[names[t + 1]]


def stated(held: Mapping[str, float] | None, cash: float | None, deposit: float = 0.0, lev_band: float = 0.1) -> State:
    """Where the account stands after a statement."""
    one, t, before, _ = before_fills(lev_band)
    statement = Correction(one.days[t + 1].toordinal(), held, cash, deposit)
    return from_file(state_of(run(one.window(t), one.config, resume=before, statement=statement)))


def as_expected() -> tuple[dict[str, float], float, dict[str, float], pd.Series]:
    """Shares and cash after the fills, the orders that were filled, and the opens that filled them."""
    one, t, before, after = before_fills()
    held = {name: size for name, (size, _) in after["positions"].items()}
    return held, after["cash"], ordered(before), one.panel.opens.iloc[t + 1]


def told(case: str) -> tuple[dict[str, float], float]:
    """What the broker says: all but this is as expected."""
    held, cash, orders, opens = as_expected()
    bought = max(orders, key=lambda name: orders[name])
    kept = max((name for name in held if name != bought), key=lambda name: held[name])
    if case == "partial fill":
        missed = orders[bought] - orders[bought] // 2
        return {**held, bought: held[bought] - missed}, cash + missed * opens[bought]
    if case == "missed order":
        return {**held, bought: held[bought] - orders[bought]}, cash + orders[bought] * opens[bought]
    if case == "sold by hand":
        return {**held, kept: 0.0}, cash + held[kept] * opens[kept]
    if case == "bought by hand":
        return {**held, kept: held[kept] + 40.0}, cash - 40.0 * opens[kept]
    if case == "another order's shares":  # as many as were ordered, of something else
        return {**held, bought: held[bought] - orders[bought], kept: held[kept] + orders[bought]}, cash
    assert case == "worse price"
    return held, cash - 300.0


@pytest.mark.parametrize("lev_band", [0.0, 0.1])
@pytest.mark.parametrize(
    "case", ["partial fill", "missed order", "sold by hand", "bought by hand", "another order's shares", "worse price"]
)
def test_what_is_sent_comes_of_what_is_really_held(case: str, lev_band: float) -> None:
    one, _, before, after = before_fills(lev_band)
    held, cash = told(case)
    state = stated(held, cash, lev_band=lev_band)
    assert {name: size for name, (size, _) in state["positions"].items()} == held == state["owned"]
    assert state["cash"] == cash and state["fund_shares"] == after["fund_shares"]
    assert state["unfilled"] == after["unfilled"]
    differs = case != "worse price"
    assert ordered(state) == wanted_after(one, before, state, again=differs)
    assert bool(ordered(state)) == (differs or not lev_band)


def test_a_statement_as_expected_changes_nothing() -> None:
    _, _, _, after = before_fills()
    held, cash, _, _ = as_expected()
    assert stated(held, cash) == stated(None, None) == stated(held, None) == after


@pytest.mark.parametrize("deposit", [20_000.0, -30_000.0, 0.01])
def test_money_paid_in_or_out_is_no_performance(deposit: float) -> None:
    one, t, before, after = before_fills()
    held, cash, _, _ = as_expected()
    state = stated(None, None, deposit)
    assert state == stated(held, cash + deposit, deposit)  # the cash of a statement has it
    assert state["cash"] == pytest.approx(after["cash"] + deposit, rel=SAME)
    assert state["value"] == pytest.approx(after["value"] + deposit, rel=SAME)
    # Shares of the fund at its value without the money, which had no part in the session.
    fund = after["value"] / after["fund_shares"]
    assert state["fund_shares"] == pytest.approx(after["fund_shares"] + deposit / fund, rel=SAME)
    assert state["value"] / state["fund_shares"] == pytest.approx(fund, rel=SAME)
    assert state["peak"] == pytest.approx(after["peak"], rel=SAME)
    assert ordered(state) == wanted_after(one, before, state, again=False)
    # The brake sees performance only: by the value, this would be a fall of 30 % or a rise of 20.
    assert state["drawdown"] == pytest.approx(after["drawdown"], abs=SAME)
    assert state["brake_part"] == pytest.approx(after["brake_part"], rel=SAME)
    # And on the day after, by which it is invested or paid back, too.
    part = run(one.window(t + 1), one.config, resume=state)
    later, profit = from_file(state_of(part)), part.broker.getvalue() - state["value"]
    assert later["fund_shares"] == state["fund_shares"]
    assert later["performance"] / fund - 1.0 == pytest.approx(profit / state["value"], rel=1e-9)
    assert abs(deposit) < 1.0 or np.sign(sum(ordered(state).values())) == np.sign(deposit)


@pytest.mark.parametrize("case", ["partial fill", "sold by hand", "worse price"])
def test_from_a_statement_on_it_can_be_stopped_like_before(case: str) -> None:
    """All books have been told: the sessions after it, in one run, are those of a restart behind it."""
    one, t, before, _ = before_fills()
    held, cash = told(case)
    statement = Correction(one.days[t + 1].toordinal(), held, cash, 7000.0)
    through = run(one.window(t, t + 30), one.config, resume=before, statement=statement)
    behind = run(one.window(t + 1, t + 30), one.config, resume=stated(held, cash, 7000.0))
    assert not apart(days_of(behind)[-29:], days_of(through)[-29:])
    assert not apart(from_file(state_of(behind)), from_file(state_of(through)))
    assert {fill[0] for day in days_of(through)[-29:] for fill in day["fills"]} == {*held}


# -- all of it, and long stretches -------------------------------------------------------------------------------------

CHUNK = 250


@cache
def everything() -> Panel:
    return load_panel(make_config())


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(16))
def test_every_session_of_the_sample_market(chunk: int) -> None:
    """16 chunks, each from where the run that begins with it stands."""
    panel = everything()
    first = 260 + chunk * CHUNK
    last = min(first + CHUNK, len(panel.sessions) - 1)
    assert chunk < 15 or last == len(panel.sessions) - 1, len(panel.sessions)
    check_chain(Stretch(panel, make_config(), first, last - first))


def real_panel(market: Path) -> tuple[Panel, Config]:
    """Real prices as traded: one joins, one is split, the account is stretched so far that March 2020 calls it."""
    config = make_config({
        "source": "csv", "data_dir": str(market), "prices": "raw", "start": "2018-01-01", "end": "2020-12-31",
        "target_vol": 0.6, "lev_max": 6.0, "initial_margin": 0.2, "maintenance_margin": 0.2, "dd_threshold1": 0.4,
        "dd_threshold2": 0.9, "withholding": 0.15,
    })  # fmt: skip
    panel = load_panel(config)
    frames = {name: frame.copy() for name, frame in panel.frames.items()}
    after = frames["SPY"].index >= "2020-02-10"
    frames["SPY"].loc[after, ["open", "high", "low", "close", "dividend"]] /= 2.0
    frames["SPY"].loc[frames["SPY"].index[after][0], "split"] = 2.0
    frames["EEM"] = frames["EEM"].loc["2019-02-15":]
    return replace(panel, frames=frames), config


@pytest.mark.long
@pytest.mark.parametrize("name", ["real", "base", "weekly", "no band"])
def test_a_year_of_restarts(name: str, market: Path) -> None:
    if name != "real":
        settings: dict[str, dict[str, Any]] = {
            "base": dict(UNLEVERED), "weekly": {"rebalance_freq": "W-FRI"}, "no band": {"lev_band": 0.0},
        }  # fmt: skip
        check_chain(Stretch(three_years(), make_config({**settings[name], "end": "2012-12-31"}), 300, CHUNK))
        return
    panel, config = real_panel(market)
    first = panel.sessions.get_loc(pd.Timestamp("2019-11-15"))
    assert isinstance(first, int)
    days, states, _ = check_chain(Stretch(panel, config, first, CHUNK))
    at = {day["day"]: i for i, day in enumerate(days)}
    assert any(map(fallen, days))
    assert states[at["2020-02-10"]]["positions"]["SPY"][0] > 1.5 * states[at["2020-02-10"] - 1]["positions"]["SPY"][0]
    assert sum(day["dividends"] > 0.0 for day in days) > 10 and sum(day["tax"] > 0.0 for day in days) > 10
    held = held_on(states, "EEM")
    assert not held[0] and held[-1]
