"""The files of a backtest: the notebook's two, by its names, and how a file is written without losing an old one."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from feeds import Panel

from .backtest import Backtest, Run
from .parameters import Config, make_config

__all__ = [
    "data_summary",
    "read_config",
    "run_summary",
    "series_frame",
    "summary",
    "versions",
    "write_file",
    "write_json",
]

VERSIONED = ("backtrader", "numpy", "pandas", "scipy", "yfinance", "exchange_calendars")


def series_frame(result: Backtest) -> pd.DataFrame:
    """The notebook's series, a row a session from the one that decided the first weights (equities 1, no return yet).

    Columns: closes by symbol; `ret_SYM` simple returns; `w_SYM` unlevered weights and `leverage` the target leverage in
    force for the session, both decided at the close before; `ret_port_base`, `equity_base`, `dd_base` and the same of
    dynamic: returns of the two accounts, their growth of 1 and its drawdown (negative fraction).
    """
    closes = result.panel.closes
    before = int(closes.index.searchsorted(result.base.first)) - 1
    out = closes.copy()
    for symbol in closes:
        out[f"ret_{symbol}"] = closes[symbol] / closes[symbol].shift(1) - 1.0
    for symbol in closes:
        out[f"w_{symbol}"] = result.dynamic.weights[symbol].shift(1)
    columns: dict[str, pd.Series] = {}
    for name, run in (("base", result.base), ("dyn", result.dynamic)):
        equity = (1.0 + run.returns).cumprod().reindex(closes.index)
        equity.iloc[before] = 1.0
        columns |= {
            f"ret_port_{name}": run.returns.reindex(closes.index),
            f"equity_{name}": equity,
            f"dd_{name}": equity / equity.cummax() - 1.0,
        }
    columns["leverage"] = result.dynamic.exposure["target_leverage"].shift(1)
    order = ["ret_port_base", "equity_base", "dd_base", "leverage", "ret_port_dyn", "equity_dyn", "dd_dyn"]
    return out.assign(**{name: columns[name] for name in order}).iloc[before:]


def run_summary(run: Run) -> dict[str, Any]:
    """Statistics (fractions) of one run, and what it cost (money) with the identity that proves it."""
    costs = {name: value for name, value in run.costs.items() if name != "sessions"}
    return {
        **run.statistics,
        "costs": costs,
        "drawdown": run.drawdown,
        "mean_leverage": float(run.exposure["leverage"].loc[run.first :].mean()),
        "unfilled_orders": run.unfilled,
        "trimmed_sessions": run.trims,
    }


def summary(result: Backtest) -> dict[str, Any]:
    """Everything that describes a backtest, JSON-able; `config` runs it again."""
    return {
        "config": result.config,
        "base": run_summary(result.base),
        "dynamic": run_summary(result.dynamic),
        "data": data_summary(result.panel, result.base.decided[0], result.base.first),
        "versions": versions(),
    }


def data_summary(panel: Panel, first_weights: date, statistics_from: date) -> dict[str, Any]:
    """Which bars a result is from, and between which dates: weights first decided, statistics counted from."""
    return {
        "source": panel.source,
        "synthetic": panel.synthetic,
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
    return {name: version(name) for name in VERSIONED}


def read_config(path: str | Path) -> Config:
    """The `config` of a summary file, or a file that is one; parameters it does not name have their defaults.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; not JSON; a name or a value that is no parameter's.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"config {path} does not exist: give a summary file written by a run")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise ValueError(
            f"config {path} is not JSON ({error}): give a summary file written by a run"
        ) from None
    if isinstance(content, dict) and isinstance(content.get("config"), dict):
        content = content["config"]
    if not isinstance(content, dict):
        raise ValueError(f"config {path} holds no parameters: give a summary file written by a run")
    try:
        return make_config(content)
    except ValueError as error:
        raise ValueError(f"config {path}: {error}") from None


def _plain(value: Any) -> Any:
    """JSON has no dates and no nan."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (date, pd.Timestamp)):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON as `write_file` does; dates become YYYY-MM-DD, nan null."""
    text = json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"
    write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_file(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: the old file is whole until the new one is.

    Raises
    ------
    ValueError
        The folder does not exist or cannot be written.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written ({error.strerror}): give a file in a folder that can"
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 is for secrets
        if path.is_dir():
            raise ValueError(f"{path} is a folder: give a file name")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
