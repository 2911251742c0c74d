"""One contender in a process of its own: reads its prices once, then runs its job each time it is told to.

    worker.py CONTENDER JOB PRICES.npz

A line on standard input is one run; a line of JSON on standard output answers it: seconds of wall and processor time,
end value, and the highest memory of the process so far in MB. Only what a contender imports is imported.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

CASH = 100_000.0
BPS = 1e-4
FIELDS = ("open", "high", "low", "close", "volume")

# What distinguishes the jobs; prices are made by compare.py.
JOBS: dict[str, dict[str, Any]] = {
    "a": {"sizer": {"lev_min": 1.0, "lev_max": 1.0}},
    "b": {},
    "c": {"strategy": {"drift": "daily", "lev_band": 0.0}},
    "d": {},
    "e": {},
    "s": {},
}

TRIES = 1_000

Run = Callable[[], float]


def frames_of(path: str) -> dict[str, pd.DataFrame]:
    """symbol -> bars, from the file that compare.py wrote."""
    with np.load(path) as stored:
        index = pd.DatetimeIndex(stored["sessions"].astype("datetime64[ns]"), name="date")
        symbols = [str(symbol) for symbol in stored["symbols"]]
        return {s: pd.DataFrame(dict(zip(FIELDS, stored[s], strict=True)), index) for s in symbols}


def ours(frames: dict[str, pd.DataFrame], job: str, feed: str = "PanelFeed", trace: str | None = None) -> Run:
    """This project's strategy, sizer and broker, on its own feed or on backtrader's PandasData."""
    import backtrader as bt

    from riskoverlay.feeds import PanelFeed
    from riskoverlay.strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account

    kind = {"PanelFeed": PanelFeed, "PandasData": bt.feeds.PandasData}[feed]

    def run() -> float:
        cerebro = bt.Cerebro(stdstats=False)
        for symbol, frame in frames.items():
            cerebro.adddata(kind(dataname=frame, name=symbol))
        broker = open_account(cerebro, cash=CASH, acknowledge=False)  # as run.py does
        cerebro.addstrategy(RiskParityBlend, **JOBS[job].get("strategy", {}))
        cerebro.addsizer(VolTargetDrawdownSizer, **JOBS[job].get("sizer", {}))
        cerebro.run()
        value: float = broker.getvalue()
        return value

    return run


def panel_of(frames: dict[str, pd.DataFrame]) -> Any:
    """The bars as a panel."""
    from riskoverlay.feeds import align

    return align(frames)


def config_of(job: str) -> dict[str, Any]:
    """What `ours` runs, as a configuration."""
    from riskoverlay.studies.workbench.parameters import make_config

    of = JOBS[job]
    return make_config({"borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0, "cash": CASH,
                        **of.get("strategy", {}), **of.get("sizer", {})})  # fmt: skip


def twin(frames: dict[str, pd.DataFrame], job: str) -> Run:
    """The twin of the account as a sweep runs it: weights and volatilities are known from the try before."""
    from riskoverlay.studies.workbench.twins import Twins

    twins, config = Twins(panel_of(frames)), config_of(job)
    return lambda: float(twins.run(config).account.daily["value"][-1])


def sweep(frames: dict[str, pd.DataFrame], job: str) -> Run:
    """A sweep of 1,000 tries in one process, its checks through Cerebro included; gives the best growth."""
    from riskoverlay.studies.sweep import parse_dimension, sweep

    panel, config = panel_of(frames), config_of(job)
    grid = [parse_dimension(f"{name}=0.02:0.10:0.001") for name in ("target_vol", "dd_threshold1")]
    return lambda: float(max(sweep(panel, config, grid, trials=TRIES, criterion="growth").worth))


def paper(frames: dict[str, pd.DataFrame], job: str) -> Run:
    """The notebook's own array code, in its published form."""
    from riskoverlay.strategies.paper import paper_backtest

    closes = pd.DataFrame({symbol: frame["close"] for symbol, frame in frames.items()})
    return lambda: float(CASH * paper_backtest(closes).equity_dynamic[-1])


def bt_library(frames: dict[str, pd.DataFrame], job: str) -> Run:
    """The bt library's nearest form of job a: equal risk contribution, a year back, month ends, whole shares."""
    import bt

    closes = pd.DataFrame({symbol: frame["close"] for symbol, frame in frames.items()})

    def run() -> float:
        strategy = bt.Strategy(
            "erc",
            [
                bt.algos.RunAfterDays(252),
                bt.algos.RunMonthly(run_on_end_of_period=True),
                bt.algos.SelectAll(),
                bt.algos.WeighERC(lookback=pd.DateOffset(months=12)),
                bt.algos.Rebalance(),
            ],
        )
        test = bt.Backtest(
            strategy,
            closes,
            initial_capital=CASH,
            commissions=lambda size, price: abs(size) * price * BPS,
            integer_positions=True,
            progress_bar=False,
        )
        return float(bt.run(test).prices.iloc[-1, 0] * CASH / 100.0)

    return run


def trades_of(path: str) -> tuple[list[Any], dict[Any, list[tuple[int, float]]]]:
    """Sessions, and by index of the session that fills them the (feed, size) that `ours` trades."""
    with np.load(path) as stored:
        days = stored["sessions"]
        decided: dict[int, list[tuple[int, float]]] = {}
        for bar, feed, size in zip(stored["trade_bar"], stored["trade_feed"], stored["trade_size"], strict=True):
            decided.setdefault(int(bar), []).append((int(feed), float(size)))
        return list(days), decided


def backtrader_next(frames: dict[str, pd.DataFrame], job: str, path: str) -> Run:
    """backtrader-next with the same trades given to it: no decisions, no loan."""
    import backtrader_next as bt

    _, decided = trades_of(path)

    class Replay(bt.Strategy):
        def next(self) -> None:
            for feed, size in decided.get(len(self), ()):  # filled on the next session, whose index this is
                (self.buy if size > 0 else self.sell)(self.datas[feed], size=abs(size))

    def run() -> float:
        cerebro = bt.Cerebro(stdstats=False)
        for symbol, frame in frames.items():
            cerebro.adddata(bt.feeds.PandasData(dataframe=frame, name=symbol))
        cerebro.broker.setcash(CASH)
        cerebro.broker.setcommission(commission=BPS, leverage=10.0)
        cerebro.broker.set_slippage_perc(2 * BPS, slip_out=True)
        cerebro.addstrategy(Replay)
        cerebro.run()
        return float(cerebro.broker.getvalue())

    return run


def vectorbt(frames: dict[str, pd.DataFrame], job: str, path: str) -> Run:
    """vectorbt's from_orders with our trades given to it, filled at the next open: the floor for array engines."""
    import vectorbt as vbt

    days, decided = trades_of(path)
    closes = pd.DataFrame({symbol: frame["close"] for symbol, frame in frames.items()})
    opens = pd.DataFrame({symbol: frame["open"] for symbol, frame in frames.items()})
    sizes = np.full(closes.shape, np.nan)
    for bar, orders in decided.items():
        if bar < len(days):
            for feed, size in orders:
                sizes[bar, feed] = size  # on the session that fills it

    def run() -> float:
        portfolio = vbt.Portfolio.from_orders(
            closes, size=sizes, price=opens, fees=BPS, slippage=2 * BPS, init_cash=10 * CASH, cash_sharing=True,
            group_by=True, call_seq="auto", freq="1D",
        )  # fmt: skip
        return float(portfolio.final_value() - 9 * CASH)

    return run


def main(contender: str, job: str, path: str) -> None:
    frames = frames_of(path)
    if contender in ("backtrader-next", "vectorbt"):
        run = {"backtrader-next": backtrader_next, "vectorbt": vectorbt}[contender](frames, job, path)
    elif job == "s":
        run = sweep(frames, job)
    elif contender in ("paper", "bt", "twin", "twin without numba"):
        run = {"paper": paper, "bt": bt_library}.get(contender, twin)(frames, job)
    else:
        run = ours(frames, job, feed={"ours": "PanelFeed", "stock feed": "PandasData"}[contender])
    value = run()  # compiled code, caches and calendars are not what is measured
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True, "value": value}), flush=True)
    repeated = (
        20 if contender.startswith(("twin", "vectorbt")) else 1
    )  # a try among others, not the first after a pause
    for _ in sys.stdin:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(repeated):
            value = run()
        answer = {
            "wall": (time.perf_counter() - wall) / repeated,
            "cpu": (time.process_time() - cpu) / repeated,
            "value": value,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
