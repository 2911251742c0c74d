"""Volatility targeting of the US market since 1926: a paper's alpha, and what an account leaves of it.

    python examples/century.py french_factors_daily.csv [END]

The file is Kenneth French's daily factors as CSV: date, mkt_rf, smb, hml, rf, per cent a day. END is the last day, by
default that of Moreira & Muir (2017), Volatility-Managed Portfolios, Journal of Finance 72(4), table I.

- There are no opens. A session opens at the close before, so that a fill at the next open would be one at the close
  that decided: there orders are filled, before the night whose interest they bear.
- French spreads a month's bill, known before it begins, evenly over its sessions. The account charges by nights, so the
  rate of a date is what makes its nights until the next session pay that session's rf. No loan pays: below 0 is 0.
- The paper weighs by last month's 1/variance, without a bound; the overlay by 1/volatility of the last 22 sessions, day
  by day. Both aim at the market's volatility of the whole sample, which nobody knew then.
- Alpha is of monthly excess returns on the market's, its standard error White's (HC0), which is how 1.56 comes out.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # from the checkout; not needed with riskoverlay installed

import numpy as np
import pandas as pd

from riskoverlay.feeds import Panel, align
from riskoverlay.studies.workbench import Run, backtest, make_config, simulate

PAPER = {"alpha": 4.86, "error": 1.56, "beta": 0.61}
AT_BILLS = {
    "weights": "equal", "calendar": None, "lookback": 22, "min_hist": 22, "vol_lookback": 22, "whole_shares": False,
    "execution": "close", "borrow_rate": "irx", "cash_rate": "irx", "risk_free": "irx", "commission_bps": 0.0,
    "slippage_bps": 0.0, "lev_min": 0.0, "lev_max": 6.0, "initial_margin": 0.15, "maintenance_margin": 0.15,
    "dd_min_scale": 1.0,
}  # fmt: skip
COSTS = {"borrow_rate": "irx+0.015", "cash_rate": "irx-0.005", "commission_bps": 1.0, "slippage_bps": 2.0}
STEPS: dict[str, dict[str, Any]] = {
    "  lev_max 2": {"lev_max": 2.0}, "  and loan, costs": COSTS, "  and the brake": {"dd_min_scale": 0.3},
}  # fmt: skip
SHOWN = {"growth": "{:.2f} %", "sharpe": "{:.3f}", "drawdown": "{:.1f} %", "leverage": "{:.2f}", "beta": "{:.2f}",
         "alpha": "{:z.2f} %", "error": "{:.2f}"}  # fmt: skip


def months(series: pd.Series) -> pd.PeriodIndex:
    """The month of each of its dates."""
    return pd.DatetimeIndex(series.index).to_period("M")


def monthly(factors: pd.DataFrame, total: pd.Series) -> pd.Series:
    """Excess returns by month, of total returns by session."""
    one, bill = ((1.0 + daily).groupby(months(daily)).prod() for daily in (total, factors["rf"]))
    return (one - bill).dropna()


def line(factors: pd.DataFrame, excess: pd.Series) -> dict[str, float]:
    """Monthly excess returns on the market's of the same months; per cent a year."""
    market = monthly(factors, factors["mkt_rf"] + factors["rf"])[excess.index]
    X, y = np.column_stack([np.ones(len(market)), market]), excess.to_numpy()
    inverse = np.linalg.inv(X.T @ X)
    alpha, beta = inverse @ X.T @ y
    e = y - X @ (alpha, beta)
    error = np.sqrt((inverse @ (X.T * e**2) @ X @ inverse)[0, 0])
    return {"beta": beta, "alpha": 1200 * alpha, "error": 1200 * error, "r2": 1 - e.var() / y.var(), "months": len(y)}


def recipe(factors: pd.DataFrame) -> dict[str, float]:
    """The paper's: c over the variance of the month before, c such that the volatility is the market's."""
    market, daily = monthly(factors, factors["mkt_rf"] + factors["rf"]), factors["mkt_rf"]
    by_month = daily.groupby(months(daily))
    variance = by_month.var(ddof=0) * by_month.size()
    managed = (market / variance.shift(1)).dropna()
    return line(factors, managed * market[managed.index].std() / managed.std())


def panel_of(factors: pd.DataFrame) -> Panel:
    """The market as one symbol, and its bill."""
    close = 100.0 * (1.0 + factors["mkt_rf"] + factors["rf"]).cumprod()
    bars = pd.DataFrame({"open": close.shift(1).fillna(close), "close": close})
    bars = bars.assign(high=bars.max(axis=1), low=bars.min(axis=1), volume=0.0)
    nights = np.diff(factors.index.to_numpy()) / np.timedelta64(1, "D")
    bill = pd.Series(factors["rf"].to_numpy()[1:] * 365 / nights, factors.index[:-1])
    return replace(align({"MARKET": bars}, source="french", adjusted=True), rates={"irx": bill})


def row(factors: pd.DataFrame, run: Run) -> dict[str, float]:
    """An account from the end of the month of its first decision on: growth by the calendar, Sharpe ratio by month."""
    ends = run.value.index[~months(run.value).duplicated(keep="last")]
    value = run.value[ends[ends >= run.begins][0] :]
    excess, years = monthly(factors, value.pct_change().iloc[1:]), (value.index[-1] - value.index[0]).days / 365.25
    return {
        "growth": 100 * ((value.iloc[-1] / value.iloc[0]) ** (1 / years) - 1),
        "sharpe": excess.mean() / excess.std() * np.sqrt(12),
        "drawdown": 100 * (value / value.cummax() - 1).min(),
        "leverage": run.mean_leverage,
        **line(factors, excess),
    }


def main(path: str, end: str = "2015-12-31") -> dict[str, dict[str, float]]:
    """A row for each account, for the paper, and for its recipe."""
    factors = pd.read_csv(path, index_col="date", parse_dates=True).loc[:end] / 100.0
    panel, market = panel_of(factors), factors["mkt_rf"]
    config: dict[str, Any] = {**AT_BILLS, "target_vol": float(market.std() * np.sqrt(252))}
    rows = {name: row(factors, run) for name, run in backtest(panel, make_config(config)).runs.items()}
    for name, change in STEPS.items():
        config |= change
        rows[name] = row(factors, simulate(panel, make_config(config)))
    rows |= {"1/variance, recipe": recipe(factors), "1/variance, paper": PAPER}
    print(f"{len(factors):,} sessions, {factors.index[0]:%Y-%m-%d} to {factors.index[-1]:%Y-%m-%d}; a year, at bills:")
    print(f"{'':20}" + "".join(f"{name:>11}" for name in SHOWN))
    for name, one in rows.items():
        cells = [shape.format(one[key]) if key in one else "" for key, shape in SHOWN.items()]
        print(f"{name:20}" + "".join(f"{cell:>11}" for cell in cells))
    free, bounded, charged, braked = (rows[name] for name in ("dynamic", *STEPS))
    print(f"Of {free['alpha']:.2f} % of alpha at bills, {bounded['alpha']:.2f} % is left with a leverage of at most 2,")
    print(f"{charged['alpha']:.2f} % with loans at T-bill + 1.5 %, cash at T-bill − 0.5 %, 1 bps and 2 bps a trade.")
    beside = (
        f"beta of {braked['beta']:.2f} (was {charged['beta']:.2f}), a deepest drawdown of {braked['drawdown']:.1f} %"
    )
    print(f"With the brake it is {braked['alpha']:.2f} %, at a {beside}.")
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:3]) if len(sys.argv) > 1 else print(__doc__)
