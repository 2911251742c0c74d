"""One account, brought to the last session that is over: what it holds, what it should hold, what is to be sent."""

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.feeds import Cache, Panel
from riskoverlay.strategies import Correction, state_of
from riskoverlay.strategies.schedule import RebalanceSchedule, check_frequency, session_closes

from ..financing import distance_to_call
from ..workbench.allocations import sessions_before
from ..workbench.assembly import assemble, our_sizer, our_strategy
from ..workbench.parameters import BLEND, Config, resolved
from ..workbench.runs import load_panel
from ..workbench.twins import Twins

__all__ = ["KINDS", "Held", "advance", "load_window", "now", "open_day", "ran"]

SPARE = 5
"""Sessions read beyond those that a restart needs: a symbol may have had no bar on some."""

KINDS = ["commission", "slippage", "interest", "tax", "dividends", "traded"]
"""Money by session that a journal keeps."""

REVISED = 1e-6
"""Relative change of a close, and absolute of a weight, that is a revision and no rounding."""


@dataclass(frozen=True)
class Held:
    """What a broker says one holds, and what has been paid in since the session before.

    Attributes
    ----------
    positions : mapping or None
        Symbol -> shares; None: what the account itself expects.
    cash : float or None
        Money; negative: the loan.
    deposit : float
        Money; negative: paid out.
    others : mapping
        Symbols that are not the account's -> shares.
    """

    positions: Mapping[str, float] | None = None
    cash: float | None = None
    deposit: float = 0.0
    others: Mapping[str, float] = field(default_factory=dict)


def now() -> dt.datetime:
    """This moment, in UTC."""
    return dt.datetime.now(dt.UTC)


def load_window(
    config: Config, state: Mapping[str, Any] | None, as_of: dt.date | None, cache: Cache | None = None, *,
    begins: dt.date | None = None,
) -> Panel:  # fmt: skip
    """The bars that an account needs: a warm-up before the session it stands at, or before its first.

    Parameters
    ----------
    config : Config
    state : mapping or None
        As `state_of`; None: it begins.
    as_of : date or None
        The last session wanted; None: the last that is over.
    cache : Cache, optional
    begins : date, optional
        Of an account that is looked at from its first session on.

    Returns
    -------
    Panel

    Raises
    ------
    InputError, MissingFileError
        As `load_panel`; stale prices.
    """
    first, sessions = begins or as_of or now().date(), sessions_before(config) + SPARE
    if state is not None:
        first = dt.date.fromisoformat(state["decided"])
    else:  # as far as a rebalance session from which on the volatility is known
        first = (pd.Timestamp(first) - check_frequency(config["rebalance_freq"])).date()
        sessions += config["vol_lookback"]
    start = str(first - dt.timedelta(days=math.ceil(1.5 * sessions) + 10))
    if config["weights"] != BLEND and config["lookback"] is None:
        start = config["start"]  # the rule is given all there is
    panel = load_panel({**config, "start": start, "end": None if as_of is None else str(as_of)}, cache)
    _check_fresh(panel, config, as_of)
    return panel


def _check_fresh(panel: Panel, config: Config, as_of: dt.date | None) -> None:
    """Refuse prices that end before the last session that is over."""
    found, without = panel.sessions[-1].date(), "".join(f"; {one}" for one in panel.dropped)
    if as_of is not None:
        if found != as_of:
            raise InputError(f"is no session: the prices end on {found}{without}", "give that", "as_of", str(as_of))
        return
    known, moment = session_closes(config["calendar"] or "XNYS", now().year), bt.date2num(now().replace(tzinfo=None))
    wanted = dt.date.fromordinal(known.days[bisect_right(known.utc, moment) - 1])
    if found < wanted:
        raise InputError(
            f"the prices end on {found}, and {wanted} is over{without}", f"fetch newer ones, or give --as-of {found}"
        )


def open_day(panel: Panel, config: Config) -> dict[str, Any]:
    """What stands in a new account beside its strategy's state.

    Parameters
    ----------
    panel : Panel
        Up to its first session.
    config : Config

    Returns
    -------
    dict
    """
    return {"config": resolved(config, panel), "opened": str(panel.sessions[-1].date())}


def advance(panel: Panel, account: Mapping[str, Any], held: Held) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Bring an account to the last session of a panel: the strategy itself decides, the broker of the backtest fills.

    Parameters
    ----------
    panel : Panel
        As `load_window`.
    account : mapping
        `config` and `opened`, and where it stands: `strategy` (as `state_of`), `closes`, `peak_on`.
    held : Held

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
    statement = Correction(day.toordinal(), held.positions, held.cash, held.deposit, opens=state is None)
    strategy = ran(panel, config, statement, **({"trade_from": day} if state is None else {"resume": state}))
    after = state_of(strategy)
    if after["decided"] is None:
        raise InputError(f"no weights are decided by {day}: min_hist={config['min_hist']}", "give more history")
    if after["value"] <= 0.0:
        raise InputError(f"nothing is left on {day}: equity is {after['value']:,.2f}", "look at positions and cash")
    entries, peak_on = _entries(strategy, state), account.get("peak_on", str(day))
    for entry in entries:
        peak_on = entry["session"] if entry["fund"] >= entry["peak"] else peak_on
    answer = _answer(strategy, config, after, peak_on) | {
        "why": _why(strategy, config, after, state, statement), "notes": _notes(panel, account),
        "differences": _differences(statement, state), "others": dict(held.others),
    }  # fmt: skip
    if state is None and held.cash is not None:  # what a backtest beside it begins with
        account = {**account, "config": {**config, "cash": after["value"]}}
    closes = {name: float(frame["close"].iloc[-1]) for name, frame in panel.frames.items() if len(frame)}
    return {**account, "strategy": after, "closes": closes, "peak_on": peak_on, "answer": answer}, entries


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


def _entries(strategy: Any, state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A row for each session since the one it stood at."""
    found = {name: one.get_analysis() for name, one in strategy.analyzers.getitems()}
    daily, exposure, costs = found["DailySeries"], found["Exposure"], found["TradingCosts"]["sessions"]
    since = dt.date.fromisoformat(state["session"]) if state else daily["dates"][-2]
    peak, statement = state["peak"] if state else 0.0, strategy.broker.statement
    rows = []
    for t, day in ((t, day) for t, day in enumerate(daily["dates"]) if day > since):
        peak = max(peak, daily["fund"][t])
        rows.append({
            "session": str(day), "peak": peak,
            "deposit": statement.deposit if day.toordinal() == statement.day else 0.0,
            **{name: daily[name][t] for name in ("value", "fund")},
            **{name: exposure[name][t] for name in ("leverage", "target_leverage", "volatility_part", "brake_part")},
            "weights": {name: column[t] for name, column in exposure["target_weights"].items()},
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
    held = sum(size * closes[name] for name, size in holdings.items())
    gross = held + sum(order["size"] * closes[order["symbol"]] for order in after["orders"])
    leverage = gross / value
    return {
        **{name: after[name] for name in ("session", "value", "cash", "weights", "decided")},
        "holdings": holdings,
        "closes": closes,
        "leverage": {
            "target": sizer.leverage, "held": held / value, "volatility": sizer._volatility.value, "peak_on": peak_on,
            **{name: after[name] for name in ("volatility_part", "brake_part", "drawdown")},
        },
        "orders": [_order(order, closes, strategy) for order in after["orders"]],
        "afterwards": {
            "leverage": leverage, "loan": max(gross - value, 0.0), "margin_used": leverage * maintenance,
            "to_call": float(distance_to_call([leverage], maintenance)[0]),
        },
        "called": strategy.broker._called_on is not None,
        "next_rebalance": str(_next_rebalance(config, after)),
    }  # fmt: skip


def _order(order: Mapping[str, Any], closes: Mapping[str, float], strategy: Any) -> dict[str, Any]:
    size, close, broker = order["size"], closes[order["symbol"]], strategy.broker
    return {
        "symbol": order["symbol"], "side": "BUY" if size > 0 else "SELL", "shares": abs(size), "close": close,
        "cost": float(broker.account.getcommission(size, close) + abs(size) * close * broker.p.slip_perc),
        "money": size * close, "waits": order["waits"],
    }  # fmt: skip


def _next_rebalance(config: Config, after: Mapping[str, Any]) -> dt.date:
    """The next session on which weights are decided."""
    schedule = RebalanceSchedule(config["rebalance_freq"], config["calendar"])
    schedule._first = after["schedule_from"]
    day = dt.date.fromisoformat(after["session"])
    while True:
        before, day = day, day + dt.timedelta(days=1)
        if schedule.due(day, before):
            return day


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
    names = dict.fromkeys([*statement.expected, *statement.positions])
    before = {name: size for name, (size, _) in state["positions"].items()}
    ordered = {order["symbol"]: order["size"] for order in state["orders"]}
    found = []
    for name in names:
        expected, held = statement.expected.get(name, 0.0), statement.positions.get(name, 0.0)
        if held != expected:
            start, wanted = before.get(name, 0.0), ordered.get(name, 0.0)
            cause = "unknown"
            if wanted and held == start:
                cause = "missed order"
            elif wanted and min(start, expected) < held < max(start, expected):
                cause = "partial fill"
            found.append({"symbol": name, "expected": expected, "held": held, "cause": cause})
    cash, expected_cash = statement.cash, statement.expected_cash
    if cash is not None and abs(cash - expected_cash) >= 0.005:
        cause = "worse price, or fees" if cash < expected_cash else "better price"
        cause = "other shares" if found else cause if ordered else "unknown"
        found.append({"symbol": "cash", "expected": expected_cash, "held": cash, "cause": cause})
    return found


def _notes(panel: Panel, account: Mapping[str, Any]) -> list[str]:
    """What is odd with the prices, and what happened to the holdings since."""
    state, last = account.get("strategy"), panel.sessions[-1]
    missing = [name for name, frame in panel.frames.items() if last not in frame.index]
    notes = [f"{name} has no bar on {last:%Y-%m-%d}: an order for it waits" for name in missing]
    if state is None:
        return notes
    stood = pd.Timestamp(state["session"])
    for name, close in account["closes"].items():
        found = float(panel.frames[name]["close"][:stood].iloc[-1])
        if not math.isclose(found, close, rel_tol=REVISED):
            notes.append(
                f"the close of {name} on {state['session']} was {close:.6g} and is {found:.6g} now: a revision, or "
                "prices that were adjusted anew; hold the shares against the broker's statement"
            )
    for name, frame in panel.frames.items() if panel.raw else ():
        since = frame[frame.index > stood]
        paid, ratio = since["dividend"], since["split"]
        notes += [f"{name} pays {x:g} a share on {day:%Y-%m-%d}" for day, x in paid[paid != 0.0].items()]
        notes += [f"{name} is split {x:g} for 1 on {day:%Y-%m-%d}" for day, x in ratio[ratio != 1.0].items()]
    return notes + _revised_weights(panel, account["config"], state)


def _revised_weights(panel: Panel, config: Config, state: Mapping[str, Any]) -> list[str]:
    """Whether today's prices would have decided other weights than are in force."""
    twins = Twins(panel)
    decisions = twins.decisions(config)
    days = [str(twins.days[t]) for t in decisions.sessions]
    if state["decided"] not in days:
        return []
    weights = dict(zip(panel.symbols, decisions.weights[days.index(state["decided"])].tolist(), strict=True))
    moved = {name: weights.get(name, 0.0) - state["weights"].get(name, 0.0) for name in weights}
    worst = max(moved, key=lambda name: abs(moved[name]))
    if abs(moved[worst]) <= REVISED:
        return []
    return [
        f"today's prices would have decided other weights on {state['decided']}, {worst} {moved[worst]:+.4f}: those in "
        "force stay until the next rebalance session"
    ]
