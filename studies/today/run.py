"""One account, brought to the last session that is over: what it holds, what it should hold, what is to be sent."""

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import count, pairwise
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.feeds import Cache, Panel
from riskoverlay.feeds.window import check_window
from riskoverlay.strategies import Correction, state_of
from riskoverlay.strategies.schedule import RebalanceSchedule, check_frequency, session_closes

from ..financing import distance_to_call
from ..workbench import BLEND, Config, assemble, load_panel, our_sizer, our_strategy
from ..workbench.allocations import sessions_before
from ..workbench.twins import Twins
from .statement import Statement

__all__ = ["KINDS", "advance", "load_window", "now", "ran"]

SPARE = 5
"""Sessions read beyond those that a restart needs: a symbol may have had no bar on some."""

KINDS = ["commission", "slippage", "interest", "tax", "dividends", "traded"]
"""Money by session that a journal keeps."""

REVISED = 1e-6
"""Relative change of a close, and absolute of a weight, that is a revision and no rounding."""


def now() -> dt.datetime:
    """This moment, in UTC."""
    return dt.datetime.now(dt.UTC)


def load_window(
    config: Config, state: Mapping[str, Any] | None, cache: Cache | None = None, *, begins: str | None = None
) -> Panel:
    """The bars that an account needs: a warm-up before the session it stands at, or before its first.

    Parameters
    ----------
    config : Config
        `end` is the last session wanted; None: the last that is over.
    state : mapping or None
        As `state_of`; None: it begins.
    cache : Cache, optional
    begins : str, optional
        Date of the first session of an account that is looked at from there on.

    Returns
    -------
    Panel

    Raises
    ------
    InputError, MissingFileError
        As `load_panel`; stale prices.
    """
    _, end = check_window(None, config["end"])
    known = session_closes(config["calendar"] or "XNYS", now().year)
    over = known.days[bisect_right(known.utc, bt.date2num(now().replace(tzinfo=None))) - 1]
    wanted = end or pd.Timestamp.fromordinal(over)
    sessions = sessions_before(config) + SPARE + (0 if state else config["vol_lookback"])
    first, start = pd.Timestamp(state["decided"] if state else begins or wanted), config["start"]
    if state is None:  # as far as a rebalance session from which on the volatility is known
        first -= check_frequency(config["rebalance_freq"])
    if config["weights"] == BLEND or config["lookback"] is not None:  # another rule is given all there is
        start = str((first - pd.Timedelta(days=math.ceil(1.5 * sessions) + 10)).date())
    until = str(wanted.date()) if config["calendar"] else config["end"]  # not a session that is under way
    panel = load_panel({**config, "start": start, "end": until}, cache)
    if (found := panel.sessions[-1]) < wanted:
        problem = f"the last session of the prices up to {wanted:%Y-%m-%d} is {found:%Y-%m-%d}"
        raise InputError("; ".join([problem, *panel.dropped]), f"fetch newer ones, or give --as-of {found:%Y-%m-%d}")
    return panel


def advance(
    panel: Panel, account: Mapping[str, Any], held: Statement, deposit: float = 0.0
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Bring an account to the last session of a panel: the strategy itself decides, the broker of the backtest fills.

    Parameters
    ----------
    panel : Panel
        As `load_window`.
    account : mapping
        `config` and `opened`, and where it stands: `strategy` (as `state_of`), and the `answer` of then.
    held : Statement
        What the broker says.
    deposit : float
        Paid in since the session before, money; negative: paid out.

    Returns
    -------
    account : dict
        Where it stands now, with the `answer`.
    entries : list of dict
        A row a session done, for the journal.

    Raises
    ------
    InputError
        As `simulate`; bars that do not have the session it stands at.
    """
    config, state, day = account["config"], account.get("strategy"), panel.sessions[-1].date()
    statement = Correction(day.toordinal(), held.positions, held.cash, deposit, opens=state is None)
    strategy = ran(panel, config, statement, **({"trade_from": day} if state is None else {"resume": state}))
    after = state_of(strategy)
    if after["decided"] is None:
        raise InputError(f"no weights are decided by {day}: min_hist={config['min_hist']}", "give more history")
    if after["value"] <= 0.0:
        raise InputError(f"nothing is left on {day}: equity is {after['value']:,.2f}", "look at positions and cash")
    entries = _entries(strategy, state, account.get("answer", {}).get("leverage", {}).get("peak_on", ""))
    answer = _answer(strategy, config, after, entries[-1]["peak_on"]) | {
        "why": _why(strategy, config, after, state, statement), "notes": _notes(panel, account),
        "differences": _differences(statement, state), "others": dict(held.others),
    }  # fmt: skip
    entries[-1]["differences"] = answer["differences"]
    if state is None and held.cash is not None:  # what a backtest beside it begins with
        config = {**config, "cash": after["value"]}
    return {**account, "config": config, "strategy": after, "answer": answer}, entries


def ran(panel: Panel, config: Config, statement: Correction, **begins: Any) -> Any:
    """The strategy of an account after a run through Cerebro.

    Parameters
    ----------
    panel : Panel
    config : Config
    statement : Correction
        What the broker says, on one session.
    **begins
        Where it begins: `trade_from` or `resume`.

    Returns
    -------
    Rebalancing
    """
    kind, values = our_strategy(config)
    cerebro = assemble(panel, config, pairs=[((kind, {**values, **begins}), our_sizer(config))], acknowledge=False)
    cerebro.broker.statement = statement
    return cerebro.run()[0]


def _entries(strategy: Any, state: Mapping[str, Any] | None, peak_on: str) -> list[dict[str, Any]]:
    """A row for each session since the one it stood at."""
    found = {name: one.get_analysis() for name, one in strategy.analyzers.getitems()}
    daily, exposure, costs = found["DailySeries"], found["Exposure"], found["TradingCosts"]["sessions"]
    peak, statement, days = state["peak"] if state else 0.0, strategy.broker.statement, daily["dates"]
    rows = []
    for t in range(bisect_right(days, dt.date.fromisoformat(state["session"])) if state else len(days) - 1, len(days)):
        day, fund = days[t], daily["fund"][t]
        peak, peak_on = (fund, str(day)) if fund >= peak else (peak, peak_on)
        rows.append({
            "session": str(day), "value": daily["value"][t], "fund": fund, "peak": peak, "peak_on": peak_on,
            "deposit": statement.deposit if day.toordinal() == statement.day else 0.0,
            **{name: exposure[name][t] for name in ("leverage", "target_leverage", "volatility_part", "brake_part")},
            "weights": {name: column[t] for name, column in exposure["target_weights"].items()}, "differences": [],
            **{name: costs[name][t] for name in KINDS},
            "fills": [{**fill, "date": str(fill["date"]), "executed": str(fill["executed"])}
                      for fill in found["Fills"]["fills"] if fill["date"] == day],
        })  # fmt: skip
    return rows


def _answer(strategy: Any, config: Config, after: Mapping[str, Any], peak_on: str) -> dict[str, Any]:
    """What is to be known and done."""
    sizer, value, maintenance = strategy.getsizer(), after["value"], config["maintenance_margin"]
    closes = {data._name: float(data.close[0]) for data in strategy.datas if len(data)}
    holdings = {name: size for name, (size, _) in after["positions"].items() if size}
    orders = [_order(one["symbol"], one["size"], closes[one["symbol"]], strategy.broker) for one in after["orders"]]
    held = sum(size * closes[name] for name, size in holdings.items())
    gross = held + sum(one["money"] for one in orders)
    return {
        **{name: after[name] for name in ("session", "value", "cash", "weights", "decided")},
        "holdings": holdings, "closes": closes, "orders": orders,
        "leverage": {"target": sizer.leverage, "held": held / value, "volatility": sizer._volatility.value,
                     "peak_on": peak_on, **{one: after[one] for one in ("volatility_part", "brake_part", "drawdown")}},
        "afterwards": {"leverage": gross / value, "loan": max(gross - value, 0.0),
                       "margin_used": gross / value * maintenance,
                       "to_call": float(distance_to_call([gross / value], maintenance)[0])},
        "called": strategy.broker._called_on is not None, "next_rebalance": _next_rebalance(config, after),
    }  # fmt: skip


def _order(symbol: str, size: float, close: float, broker: Any) -> dict[str, Any]:
    cost = broker.account.getcommission(size, close) + abs(size) * close * broker.p.slip_perc
    return {
        "symbol": symbol, "side": "BUY" if size > 0 else "SELL", "shares": abs(size), "last_close": close,
        "estimated_cost": float(cost), "money": size * close,
    }  # fmt: skip


def _next_rebalance(config: Config, after: Mapping[str, Any]) -> str:
    """The next session on which weights are decided."""
    schedule = RebalanceSchedule(config["rebalance_freq"], config["calendar"])
    schedule._first = after["schedule_from"]
    days = map(dt.date.fromordinal, count(dt.date.fromisoformat(after["session"]).toordinal()))
    return next(str(day) for before, day in pairwise(days) if schedule.due(day, before))


def _why(strategy: Any, config: Config, after: Any, state: Any, statement: Correction) -> str:
    """Why something is to be done, or nothing."""
    apart = f"leverage {strategy._held_leverage():.2f} is held, {strategy.getsizer().leverage:.2f} is aimed at"
    if after["decided"] == after["session"]:
        return f"rebalance session: weights were decided at this close; {apart}"
    if not after["orders"]:
        return f"{apart}: within the band of {config['lev_band']:g}"
    if state is None:
        return f"the account begins: to the weights of {after['decided']}; {apart}"
    if statement.differs or state["again"]:
        return f"what was ordered and is not there is tried again; {apart}"
    return f"{apart}: beyond the band of {config['lev_band']:g}"


def _differences(statement: Correction, state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What is held otherwise than expected, by symbol and cause; and the money."""
    if statement.positions is None or state is None:
        return []
    ordered, found = {order["symbol"]: order["size"] for order in state["orders"]}, []
    for name in dict.fromkeys([*statement.expected, *statement.positions]):
        expected, held = statement.expected.get(name, 0.0), statement.positions.get(name, 0.0)
        before = state["positions"].get(name, (0.0,))[0]
        partial = "partial fill" if min(before, expected) < held < max(before, expected) else "unknown"
        cause = "unknown" if not ordered.get(name) else "missed order" if held == before else partial
        found += [{"symbol": name, "expected": expected, "held": held, "cause": cause}] if held != expected else []
    cash, expected = statement.cash, statement.expected_cash
    if cash is not None and abs(cash - expected) >= 0.005:
        price = "worse price, or fees" if cash < expected else "better price"
        cause = "other shares" if found else price if ordered else "unknown"
        found.append({"symbol": "cash", "expected": expected, "held": cash, "cause": cause})
    return found


def _notes(panel: Panel, account: Mapping[str, Any]) -> list[str]:
    """What is odd with the prices, and what happened to the holdings since."""
    state, last = account.get("strategy"), panel.sessions[-1]
    text = f"has no bar on {last:%Y-%m-%d}: an order for it waits"
    notes = [f"{name} {text}" for name, frame in panel.frames.items() if last not in frame.index]
    if state is None:
        return notes
    for name, close in account["answer"]["closes"].items():
        found = float(panel.frames[name]["close"][: state["session"]].iloc[-1])
        was = f"the close of {name} on {state['session']} was {close:.6g} and is {found:.6g} now: a revision, or prices"
        if not math.isclose(found, close, rel_tol=REVISED):
            notes.append(f"{was} that were adjusted anew; hold the shares against the broker's statement")
    for name, frame in panel.frames.items() if panel.raw else ():
        for day, bar in frame[frame.index > state["session"]].iterrows():
            notes += [f"{name} pays {bar['dividend']:g} a share on {day:%Y-%m-%d}"] if bar["dividend"] else []
            notes += [f"{name} is split {bar['split']:g} for 1 on {day:%Y-%m-%d}"] if bar["split"] != 1.0 else []
    return notes + _revised_weights(panel, account["config"], state)


def _revised_weights(panel: Panel, config: Config, state: Mapping[str, Any]) -> list[str]:
    """Whether today's prices would have decided other weights than are in force."""
    twins = Twins(panel)
    decisions, decided = twins.decisions(config), dt.date.fromisoformat(state["decided"])
    days = [twins.days[t] for t in decisions.sessions]
    weights = decisions.weights[days.index(decided)].tolist() if decided in days else []
    moved = {name: one - state["weights"].get(name, 0.0) for name, one in zip(panel.symbols, weights, strict=False)}
    worst = max(moved, key=lambda name: abs(moved[name]), default="")
    if abs(moved.get(worst, 0.0)) <= REVISED:
        return []
    other = f"today's prices would have decided other weights on {decided}, {worst} {moved[worst]:+.4f}"
    return [f"{other}: those in force stay until the next rebalance session"]
