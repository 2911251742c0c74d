"""What the files of a backtest hold, what makes them again, and what an older file means."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import pandas as pd

from riskoverlay import __version__
from riskoverlay.errors import InputError, MissingFileError
from riskoverlay.feeds import Panel

from .allocations import config_summary
from .attributed import attributed, attributed_summary
from .parameters import Config, make_config
from .portfolios import Backtest
from .runs import Run
from .theirs import ACCOUNT

__all__ = [
    "FORMAT",
    "backtest_summary",
    "check_format",
    "data_summary",
    "read_config",
    "run_summary",
    "series_frame",
    "versions",
    "weights_frame",
    "with_older_meanings",
]

FORMAT = 6
"""Of summaries and of studies in a storage. 0: those without a number."""

OLDER_MEANINGS: dict[int, dict[str, Any]] = {
    1: {"risk_free": 0.0, "day_count": 365, "adjusted": False},
    2: {"weights": "blend"},
    3: {"strategy": None, "sizer": None},
    4: {"prices": "given", "universe": "common", "members": None, "withholding": 0.0},
    5: {"financing": None, "leveraged": None},
}
"""format -> parameters that files of this format, and of older ones, do not name, with what those files mean by it.

Whoever adds a parameter raises FORMAT, and says here what made the results of before.
"""

VERSIONED = ("backtrader", "numpy", "pandas", "scipy", "yfinance", "exchange_calendars")


def series_frame(result: Backtest) -> pd.DataFrame:
    """The notebook's series.

    Parameters
    ----------
    result : Backtest

    Returns
    -------
    DataFrame of shape (n_sessions, n_columns)
        A row a session from the one that decided the first weights (equities 1, no return yet). Closes by symbol, and
        where they are as traded `div_SYM`, dividends a share, and `split_SYM`, new shares for one; `ret_SYM` simple
        total returns; `w_SYM` unlevered weights and `leverage` the target leverage in force for the session,
        both decided at the close before; `ret_port_base`, `equity_base`, `dd_base` and the same of dynamic: returns of
        the two accounts, their growth of 1 and its drawdown (negative fraction). If orders of the dynamic account wait
        for the session after the last, the last row also has `next_w_SYM` and `next_leverage`, what was decided for it,
        and `order_SYM`, shares to be traded; the rows above have nothing there. A strategy that decides no weights has
        no `w_SYM`, and `value_base`, ... in money; its one account, `acc`, has no target leverage.
    """
    closes, lead = result.panel.closes, result.leading
    before = int(closes.index.searchsorted(min(run.first for run in result.portfolios.values()))) - 1
    out, dividends, splits = closes.copy(), result.panel.dividends, result.panel.splits
    if result.panel.raw:
        out = out.join(dividends.add_prefix("div_")).join(splits.add_prefix("split_"))
    for symbol in closes:
        out[f"ret_{symbol}"] = closes[symbol] / (closes[symbol].shift(1) / splits[symbol] - dividends[symbol]) - 1.0
    if lead.decided:
        for symbol in closes:
            out[f"w_{symbol}"] = lead.weights[symbol].shift(1)
    columns: dict[str, pd.Series] = {}
    short = {"base": "base", "dynamic": "dyn", ACCOUNT: "acc"}
    shown = {short[name]: run for name, run in result.portfolios.items() if name in short}
    for name, run in shown.items():
        equity = (1.0 + run.returns).cumprod().reindex(closes.index)
        equity.iloc[before] = 1.0
        columns |= {
            f"ret_port_{name}": run.returns.reindex(closes.index),
            f"equity_{name}": equity,
            f"dd_{name}": equity / equity.cummax() - 1.0,
        }
        if not run.decided:
            columns[f"value_{name}"] = run.value.reindex(closes.index)
        if name == "base":
            columns["leverage"] = lead.exposure["target_leverage"].shift(1)
    out = out.assign(**columns).iloc[before:]
    return out.join(_next_row(lead)) if lead.pending and lead.decided else out


def weights_frame(run: Run) -> pd.DataFrame:
    """The unlevered weights that a run has decided.

    Parameters
    ----------
    run : Run

    Returns
    -------
    DataFrame of shape (n_decisions, n_symbols)
        Fractions, by the session that decided.
    """
    return run.weights.loc[pd.DatetimeIndex(run.decided, name="date")]


def _next_row(run: Run) -> pd.DataFrame:
    """What was decided at the last close for the session after it, one row."""
    weights, leverage = run.next_decision
    shares = dict.fromkeys(weights, 0.0)
    for order in run.pending:
        shares[order["symbol"]] += order["size"]
    row = {f"next_w_{symbol}": weight for symbol, weight in weights.items()} | {"next_leverage": leverage}
    return pd.DataFrame(row | {f"order_{symbol}": size for symbol, size in shares.items()}, index=run.sessions[-1:])


def run_summary(run: Run) -> dict[str, Any]:
    """What describes one run.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict
        Statistics (fractions: `growth` and `excess_sharpe`, and the notebook's `ann_ret`, `ann_vol`, `sharpe`), and
        what it cost (money) with the identity that proves it. `turnover` is a year's, of the sessions that count.
        `next_session`: weights and leverage decided at the last close, and the orders that wait to be filled; of what
        decides no weights those orders.
    """
    weights, leverage = run.next_decision
    decided = {"weights": weights, "leverage": leverage} if run.decided else {}
    costs = {name: value for name, value in run.costs.items() if name != "sessions"}
    paid, earned = run.interest
    return {
        **run.statistics,
        "turnover": run.turnover,
        "interest_paid": paid,
        "interest_earned": earned,
        "sessions_below_maintenance": run.below_maintenance,
        "costs": costs,
        "drawdown": run.drawdown,
        "mean_leverage": run.mean_leverage,
        "unfilled_orders": run.unfilled,
        "trimmed_sessions": run.trims,
        "next_session": {**decided, "orders": run.pending},
    }


def backtest_summary(result: Backtest) -> dict[str, Any]:
    """Everything that describes a backtest; `config` runs it again.

    Parameters
    ----------
    result : Backtest

    Returns
    -------
    dict
        For `write_json`. `dynamic_beyond` is what dynamic did beyond each of the others, as `active_statistics`;
        `account_beyond`, where there is one account. `attribution`, where there is an overlay: `attributed_summary`.
    """
    return {
        "format": FORMAT,
        **config_summary(result.config),
        **{name: run_summary(run) for name, run in result.portfolios.items()},
        "benchmarks": {name: run_summary(run) for name, run in result.benchmarks.items()},
        f"{result.lead}_beyond": result.active,
        **({} if (apart := attributed(result)) is None else {"attribution": attributed_summary(apart)}),
        "data": data_summary(result.panel, result.leading.begins, result.leading.first),
        "versions": versions(),
    }


def data_summary(panel: Panel, first_weights: date, statistics_from: date) -> dict[str, Any]:
    """Which bars a result is from, and between which dates.

    Parameters
    ----------
    panel : Panel
    first_weights : date
        The session on which weights were first decided.
    statistics_from : date
        The first session that counts.

    Returns
    -------
    dict
    """
    return {
        "source": panel.source,
        "synthetic": panel.synthetic,
        "adjusted": panel.adjusted,
        "raw": panel.raw,
        "joins": [{"symbol": symbol, "date": day} for symbol, day in panel.joins],
        "leaves": [{"symbol": symbol, "date": day} for symbol, day in panel.leaves],
        "complete_from": panel.complete_from,
        "symbols": list(panel.symbols),
        "first_session": panel.sessions[0],
        "last_session": panel.sessions[-1],
        "sessions": len(panel.sessions),
        "first_weights": first_weights,
        "statistics_from": statistics_from,
        "dropped": list(panel.dropped),
        "warnings": list(panel.warnings),
        "sha256": panel.sha256,
    }


def versions() -> dict[str, str]:
    """Versions of the packages that make the numbers."""
    return {"riskoverlay": __version__, **{name: version(name) for name in VERSIONED}}


# -- what was written before -------------------------------------------------------------------------------------------


def check_format(number: Any, what: str) -> int:
    """Refuse what a newer program wrote.

    Parameters
    ----------
    number : object
        Its `format`; None: it has none, and is of format 0.
    what : str
        The beginning of the error: "config a.json".

    Returns
    -------
    int

    Raises
    ------
    InputError
    """
    if number is None:
        return 0
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InputError(f"{what} has format {number!r}", "give a file written by a run")
    if number > FORMAT:
        raise InputError(
            f"{what} has format {number}, and this program knows none above {FORMAT}", "give it a newer riskoverlay"
        )
    return number


def with_older_meanings(config: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A configuration that says what it meant when it was written, and did not need to say.

    Parameters
    ----------
    config : mapping
        As stored.
    number : int
        Its format.

    Returns
    -------
    dict
    """
    meant = dict(config)
    for last, meanings in sorted(OLDER_MEANINGS.items()):
        if number <= last:
            meant = {**meanings, **meant}
    return meant


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, each name once: of two values nobody knows which was meant, and Python takes the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise InputError(f"names {shortened(twice)} more than once", "give one value for it")
    return found


def read_config(path: str | Path) -> Config:
    """The `config` of a summary file, or a file that is one.

    Parameters
    ----------
    path : str or Path
        A summary of this format or an older one: parameters that came later have the values that made its results.
        Or parameters by name alone; those that it does not name have their defaults.

    Returns
    -------
    Config

    Raises
    ------
    MissingFileError, InputError
        No such file; not JSON; written by a newer program; a name or a value that is no parameter's.
    """
    path = Path(path)
    cure = "give a summary file written by a run"
    if not path.is_file():
        raise MissingFileError(f"config {path} does not exist", cure)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except InputError as error:
        raise InputError(f"config {path} {error.said}", error.cure) from None
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise InputError(f"config {path} is not JSON ({error})", cure) from None
    if isinstance(content, dict) and isinstance(content.get("config"), dict):
        content = with_older_meanings(content["config"], check_format(content.get("format"), f"config {path}"))
    if not isinstance(content, dict):
        raise InputError(f"config {path} holds no parameters", cure)
    try:
        return make_config(content)
    except InputError as error:
        raise InputError(f"config {path}: {error.said}", error.cure) from None
