"""The rungs: what stands between the notebook's paper result, or a free broker, and the account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..workbench.parameters import BLEND, Config

__all__ = ["IDEAL", "REAL", "RUNGS", "STRATEGY_RUNGS", "Rung", "changes_something", "rung_settings", "rungs_of"]

ARRAYS, STOCK, MARGIN = "arrays", "stock", "margin"
"""What a rung runs through: array arithmetic, backtrader's own broker, the account."""


@dataclass(frozen=True)
class Rung:
    """One difference between paper and account.

    Attributes
    ----------
    id : str
    what : str
        What changes, in a few plain words.
    switches : tuple of str
        Settings that are ideal (`IDEAL`) above this rung, real from it on.
    through : {"arrays", "stock", "margin"}
        Array arithmetic, or Cerebro with backtrader's own broker or a margin account.
    """

    id: str
    what: str
    switches: tuple[str, ...] = ()
    through: str = ARRAYS

    @property
    def broker(self) -> bool:
        """Whether it runs through Cerebro."""
        return self.through != ARRAYS


RAW_PRICES = Rung("raw_prices", "prices as traded, dividends in cash", ("prices", "withholding"), MARGIN)
"""What adjusted prices hide: dividends wait for an order to be invested, and are taxed; shares are those of the day."""

RUNGS = (
    Rung("notebook", "nothing: the notebook as published"),
    Rung("converged_risk_parity", "risk parity is solved", ("risk_parity",)),
    Rung("long_only_min_variance", "minimum variance is solved", ("min_variance",)),
    Rung("simple_returns", "simple returns of assets, not log", ("portfolio_returns",)),
    Rung("no_look_ahead", "what is known today earns tomorrow", ("look_ahead",)),
    Rung("event_driven", "through a broker, without costs", (), MARGIN),
    Rung("hold_between_rebalances", "holdings drift between rebalances", ("drift",), MARGIN),
    Rung("leverage_band", "leverage acts only beyond a band", ("lev_band", "relever"), MARGIN),
    Rung("next_open_fills", "orders fill at the next open", ("execution",), MARGIN),
    Rung("whole_shares", "no fractions of a share", ("whole_shares",), MARGIN),
    Rung("commission", "the broker takes its commission",
         ("commission_bps", "commission_per_share", "commission_min"), MARGIN),
    Rung("slippage", "fills are worse than the quote", ("slippage_bps",), MARGIN),
    RAW_PRICES,
    Rung("loan_interest", "loans have a price, and limits",
         ("borrow_rate", "cash_rate", "financing", "initial_margin", "maintenance_margin"), MARGIN),
)  # fmt: skip
"""From paper to account. Each rung keeps what the rungs above it changed; the last is `backtest`."""

STRATEGY_RUNGS = (
    Rung("stock_broker", "backtrader's broker, filled at once", (), STOCK),
    Rung("next_open_fills", "orders fill at the next open", ("execution",), STOCK),
    Rung("whole_shares", "no fractions of a share", ("whole_shares",), STOCK),
    Rung("margin_account", "a margin account and its limits", ("initial_margin", "maintenance_margin"), MARGIN),
    Rung("commission", "the broker takes its commission",
         ("commission_bps", "commission_per_share", "commission_min"), MARGIN),
    Rung("slippage", "fills are worse than the quote", ("slippage_bps",), MARGIN),
    RAW_PRICES,
    Rung("loan_interest", "loans cost, idle cash earns", ("borrow_rate", "cash_rate", "financing"), MARGIN),
)  # fmt: skip
"""Of anybody's strategy, from backtrader's own broker, free and filled at once, to the account."""

SOLVERS = ("converged_risk_parity", "long_only_min_variance")
"""Rungs of the notebook's rule alone."""

PAPER = Rung("paper", "nothing: arrays, weights on the day they are decided")
"""The top for any other rule of weights."""


def rungs_of(config: Mapping[str, Any]) -> tuple[Rung, ...]:
    """The rungs for the strategy of a configuration, and its rule of weights.

    Parameters
    ----------
    config : mapping

    Returns
    -------
    tuple of Rung
        `RUNGS`, or those without the notebook's own solvers; `STRATEGY_RUNGS`, if the strategy is somebody's.
    """
    if config["strategy"] is not None:
        return STRATEGY_RUNGS
    if config["weights"] == BLEND:
        return RUNGS
    return (PAPER, *(rung for rung in RUNGS[1:] if rung.id not in SOLVERS))


IDEAL: dict[str, Any] = {
    "risk_parity": "notebook",
    "min_variance": "clipped",
    "portfolio_returns": "log",
    "look_ahead": True,
    "drift": "daily",
    "lev_band": 0.0,
    "relever": "daily",
    "execution": "close",
    "whole_shares": False,
    "commission_bps": 0.0,
    "commission_per_share": 0.0,
    "commission_min": 0.0,
    "slippage_bps": 0.0,
    "prices": "adjusted",
    "withholding": 0.0,
    "borrow_rate": 0.0,
    "cash_rate": 0.0,
    "financing": None,
    "initial_margin": 1e-6,  # no limit that any leverage could reach
    "maintenance_margin": 1e-6,
}
"""Every switch as the paper has it."""

NO_LOANS = {"initial_margin": 1.0, "maintenance_margin": 1.0}
"""What backtrader's own broker asks for: it lends nothing."""

REAL = {"portfolio_returns": "simple", "look_ahead": False}
"""Switches that are no parameters of the account: a broker leaves no choice."""


def rung_settings(config: Config, rung: Rung) -> dict[str, Any]:
    """The user's config with every switch of the rungs below ideal.

    Parameters
    ----------
    config : Config
    rung : Rung
        One of `rungs_of(config)`.

    Returns
    -------
    dict
        On the last rung nothing is ideal.
    """
    rungs = rungs_of(config)
    below = rungs[rungs.index(rung) + 1 :]
    ideal = {name: IDEAL[name] for other in below for name in other.switches}
    return {**config, **REAL, **ideal, **(NO_LOANS if rung.through == STOCK else {})}


def changes_something(settings: Mapping[str, Any], rung: Rung) -> bool:
    """Whether a rung differs from the one above.

    Parameters
    ----------
    settings : mapping
        The user's config and `REAL`.
    rung : Rung

    Returns
    -------
    bool
    """

    def ideal(name: str) -> bool:  # a dated rate is a Series, and never ideal
        return isinstance(settings[name], type(IDEAL[name])) and bool(settings[name] == IDEAL[name])

    return not rung.switches or not all(ideal(name) for name in rung.switches)
