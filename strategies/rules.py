"""Every parameter of weights, trading, leverage and account: its default, unit, bounds and meaning."""

from dataclasses import dataclass
from reprlib import repr as shortened
from typing import Any

from riskoverlay.conventions import PERIODS
from riskoverlay.errors import InputError
from riskoverlay.rules import Rules, parameter

from .covariance import SHRINKAGES
from .financing import Charges, Financing, check_day_count, day_count_parameter, flat
from .schedule import RebalanceSchedule

__all__ = [
    "NOTEBOOK",
    "PORTFOLIO_MARGIN",
    "REG_T",
    "SHORTHAND",
    "AccountTerms",
    "AllocationRules",
    "ExecutionTerms",
    "LeverageRules",
    "ScheduleRules",
    "SizingRules",
    "TradingRules",
    "WeightRules",
]

REG_T = {"initial_margin": 0.50, "maintenance_margin": 0.25}
"""US Regulation T for long stock: half down to open, a quarter to keep (FINRA Rule 4210)."""

PORTFOLIO_MARGIN = {"initial_margin": 0.15, "maintenance_margin": 0.15}
"""A portfolio-margin account: the 15 % house floor of US brokers for diversified equity funds."""

SHORTHAND = ("borrow_rate", "cash_rate", "day_count")
"""Parameters that `financing` stands for."""

MOST_LEVERAGE = 20.0
"""What is above it is a slip of the keyboard: at 20 times, a loss of a twentieth takes the whole account."""

MOST_SESSIONS = 252 * 100
"""A hundred years: no series is longer, and what is above it was never meant."""

MOST_MONEY = 1e15
"""Above it a float holds no cents, and a result of money is none."""

_FRACTION: dict[str, Any] = {
    "at_least": 0.0, "at_most": 1.0, "per_cent": True, "problem": "is outside [0, 1]",
    "cure": "give a fraction such as 0.30",
}  # fmt: skip
_SESSIONS: dict[str, Any] = {
    "at_least": 2, "at_most": MOST_SESSIONS, "problem": "is not a whole number of at least 2",
    "cure": "give a number of sessions", "too_large": "give a number of sessions, no more than a hundred years of them",
}  # fmt: skip
_COST: dict[str, Any] = {
    "at_least": 0.0, "at_most": MOST_MONEY, "problem": "is not a cost", "cure": "give a number >= 0",
    "too_large": "give money in a larger unit",
}  # fmt: skip


def _least_history() -> Any:
    return parameter(252, "returns required before the first weights", "sessions", **_SESSIONS)


def _leverage(example: str) -> dict[str, Any]:
    return {
        "at_least": 0.0, "at_most": MOST_LEVERAGE, "per_cent": True, "problem": "is negative or not a number",
        "cure": f"give a leverage such as {example}",
    }  # fmt: skip


def _loss(example: str) -> dict[str, Any]:
    return {
        "at_least": 0.0, "at_most": 1.0, "per_cent": True, "problem": "is negative or not a number",
        "cure": f"give a loss such as {example}",
    }  # fmt: skip


def _margin(example: str) -> dict[str, Any]:
    return {
        "above": 0.0, "at_most": 1.0, "per_cent": True, "problem": "is no part of a position's value",
        "cure": f"give a fraction such as {example}",
    }  # fmt: skip


@dataclass(frozen=True)
class ScheduleRules(Rules):
    """When weights are decided."""

    rebalance_freq: str = parameter(
        "ME", "pandas offset alias: ME, QE, YE, W-FRI, ... (M is read as ME)", checked=False
    )
    calendar: str | None = parameter(
        "XNYS",
        "exchange calendar that knows the rebalance sessions, or None: the first session of the next period",
        optional=True, checked=False,
    )  # fmt: skip

    def check(self) -> None:
        """Whether the schedule is one."""
        RebalanceSchedule(self.rebalance_freq, self.calendar)


@dataclass(frozen=True)
class WeightRules(ScheduleRules):
    """What to hold before leverage, and when that is decided."""

    cov_lookback: int = parameter(252, "sessions of log returns in the covariance", "sessions", **_SESSIONS)
    min_hist: int = _least_history()
    shrink_alpha: float = parameter(
        0.30, 'shrinkage towards the diagonal, in [0, 1]; not used by shrinkage="ledoit_wolf"', "fraction", **_FRACTION
    )
    alpha_minvar: float = parameter(0.30, "part of minimum variance in the blend, in [0, 1]", "fraction", **_FRACTION)
    risk_parity: str = parameter(
        "converged", '"converged", or "notebook": its iteration, which does not converge',
        choices=("converged", "notebook"),
    )  # fmt: skip
    min_variance: str = parameter(
        "long_only", '"long_only", or "clipped": the notebook\'s clipped inverse', choices=("long_only", "clipped")
    )
    shrinkage: str = parameter("diagonal", '"diagonal" or "ledoit_wolf"', choices=SHRINKAGES)


@dataclass(frozen=True)
class AllocationRules(ScheduleRules):
    """What a rule of weights is given, and when."""

    lookback: int | None = parameter(
        252, "sessions of returns that a rule of weights is given; none: all there are", "sessions",
        optional=True, **_SESSIONS,
    )  # fmt: skip
    min_hist: int = _least_history()
    on_error: str = parameter(
        "stop", '"stop", or "hold": a rule of weights that fails keeps the last ones', choices=("stop", "hold")
    )


NOTEBOOK = WeightRules(risk_parity="notebook", min_variance="clipped")
"""The notebook's own weights, solvers that do not solve included."""


@dataclass(frozen=True)
class TradingRules(Rules):
    """When holdings follow weights and leverage."""

    relever: str = parameter(
        "daily", '"daily", or "rebalance": leverage acts on rebalance sessions only',
        choices=("daily", "rebalance"), problem="is not known", cure="give 'daily' or 'rebalance'",
    )  # fmt: skip
    drift: str = parameter(
        "hold", '"hold": holdings drift between rebalances; "daily": every session re-weights to the blend',
        choices=("hold", "daily"), problem="is not known", cure="give 'hold' or 'daily'",
    )  # fmt: skip
    lev_band: float = parameter(
        0.10,
        "how far held leverage may be from the target before it is acted on (0.10 = a tenth of equity)",
        "leverage", at_least=0.0, at_most=2.0, per_cent=True, problem="is not a distance",
        cure="give a leverage >= 0, e.g. 0.10, or relever=rebalance",
    )  # fmt: skip


@dataclass(frozen=True)
class LeverageRules(Rules):
    """How much to hold: volatility target × drawdown brake."""

    vol_lookback: int = parameter(
        60, "sessions of unlevered returns in the volatility σ (>= 2)", "sessions", **_SESSIONS
    )
    target_vol: float = parameter(
        0.12, "annual volatility aimed at, a fraction (0.12 = 12 %)", "fraction a year",
        above=0.0, at_most=1.0, per_cent=True, problem="is not positive", cure="give an annual volatility such as 0.12",
    )  # fmt: skip
    lev_min: float = parameter(
        0.30, "lower bound of leverage; 1 and lev_max=1: the unlevered portfolio, same broker", "leverage",
        **_leverage("0.30"),
    )  # fmt: skip
    lev_max: float = parameter(
        2.0, "upper bound of leverage", "leverage",
        **_leverage("2.0"),
    )  # fmt: skip
    dd_threshold1: float = parameter(
        0.10, "drawdown (positive fraction) where the brake starts", "fraction", **_loss("0.10")
    )
    dd_threshold2: float = parameter(
        0.25, "drawdown (positive fraction) where the brake is full", "fraction", **_loss("0.25")
    )
    dd_min_scale: float = parameter(0.30, "factor of the full brake", "fraction", **_FRACTION)

    def check(self) -> None:
        """Whether low is not above high."""
        for low, high in (("lev_min", "lev_max"), ("dd_threshold1", "dd_threshold2")):
            one, other = getattr(self, low), getattr(self, high)
            if one > other:
                raise InputError(f"is above {high}={other}", f"give {low} <= {high}", low, one)


@dataclass(frozen=True)
class SizingRules(Rules):
    """What a size means."""

    whole_shares: bool = parameter(True, "round holdings down to whole shares")
    allocation: float = parameter(
        1.0, "part of the account's equity that this strategy may use, in (0, 1]", "fraction", shown=False,
        above=0.0, at_most=1.0, problem="is not a part of the account", cure="give 0 < allocation <= 1",
    )  # fmt: skip
    drawdown: str = parameter(
        "account",
        '"account" (fund value of the whole account) or "sleeve" (allocation × starting equity plus the strategy\'s '
        "own profit after its own commissions and slippage)",
        shown=False, choices=("account", "sleeve"), problem="is not known", cure="give 'account' or 'sleeve'",
    )  # fmt: skip
    slots: int | None = parameter(
        None, "number of equal parts for strategies without weights; None: the number of their feeds",
        shown=False, optional=True, at_least=1, at_most=1_000_000, problem="is not a count",
        cure="give a whole number >= 1, or None for one a feed",
    )  # fmt: skip
    reverse: bool = parameter(False, "an order against a holding opens the other side as well", shown=False)
    periods: float = parameter(
        PERIODS, "sessions a year (252 daily, 52 weekly)", "sessions a year", shown=False,
        above=0.0, at_most=366.0, problem="is not a number of sessions a year", cure="give e.g. 252",
    )  # fmt: skip


@dataclass(frozen=True)
class ExecutionTerms(Rules):
    """What is paid in, and how orders are filled."""

    cash: float = parameter(
        100_000.0, "money to start with, a cent at least", "money", at_least=0.01, at_most=MOST_MONEY,
        problem="is not an opening balance", cure="give money > 0, a cent at least",
        too_large="give money in a larger unit",
    )  # fmt: skip
    execution: str = parameter(
        "next_open",
        '"next_open" (market orders fill at the next open) or "close" (at the close that decided them)',
        choices=("next_open", "close"), problem="is not known", cure="give 'next_open' or 'close'",
    )  # fmt: skip
    slippage_bps: float = parameter(
        2.0,
        "basis points that every market fill is worse than its reference price, also beyond the bar's range",
        "basis points", at_least=0.0, below=1e4, problem="is not a cost",
        cure="give basis points >= 0 and below 10000",
    )  # fmt: skip


@dataclass(frozen=True)
class AccountTerms(Rules):
    """What the account charges, and how much it lends."""

    commission_bps: float = parameter(
        1.0, "commission in basis points of the traded value (1.0 = 0.01 %)", "basis points",
        at_least=0.0, below=1e4, problem="is not a cost", cure="give basis points >= 0 and below 10000",
    )  # fmt: skip
    commission_per_share: float = parameter(0.0, "money a share, on top", "money", **_COST)
    commission_min: float = parameter(
        0.0, "least commission of one order, money; applied only where a commission is charged", "money", **_COST
    )
    initial_margin: float = parameter(
        REG_T["initial_margin"], "fraction of a position's value that must be equity when it is opened", "fraction",
        **_margin("0.50"),
    )  # fmt: skip
    maintenance_margin: float = parameter(
        REG_T["maintenance_margin"], "fraction below which holdings are cut", "fraction", **_margin("0.25")
    )
    borrow_rate: Any = parameter(
        0.05, "annual fraction on the debit; a number, or a dated series (see `DatedRate`)", "fraction a year",
        checked=False, dated=True,
    )  # fmt: skip
    cash_rate: Any = parameter(
        0.0, "annual fraction paid on idle cash; number or series, normally below `borrow_rate`", "fraction a year",
        checked=False, dated=True,
    )  # fmt: skip

    withholding: float = parameter(
        0.0, "part of a dividend that is withheld as tax, of long positions; prices are then `raw`", "fraction",
        at_least=0.0, at_most=1.0, problem="is not a part of a dividend", cure="give a fraction, such as 0.15",
    )  # fmt: skip
    day_count: int = day_count_parameter()
    financing: Any = parameter(
        None,
        "instead of borrow_rate, cash_rate and day_count all terms of the loan in one value: a `Financing`; here also "
        "ibkr_pro, retail, box_spread, futures, funds or flat (or NAME:argument=value,...), or FILE.toml, FILE.json",
        optional=True, checked=False,
    )  # fmt: skip

    @property
    def charges(self) -> Charges:
        """What the loan costs, and idle cash earns."""
        if self.financing is not None:
            return Charges(self.financing)
        return Charges(flat(self.borrow_rate, self.cash_rate, self.day_count), ("borrow_rate", "cash_rate"))

    def check(self) -> None:
        """Whether the margins and the day count are in order, and the loan has one price."""
        check_day_count(self.day_count)
        if self.maintenance_margin > self.initial_margin:
            raise InputError(
                f"initial_margin={self.initial_margin!r}, maintenance_margin={self.maintenance_margin!r}",
                "give 0 < maintenance_margin <= initial_margin <= 1",
            )
        self._check_financing()

    def _check_financing(self) -> None:
        if self.financing is None:
            return
        if not isinstance(self.financing, Financing):
            raise InputError(
                "is no Financing", "give e.g. ibkr_pro(benchmark=0.04)", "financing", shortened(self.financing)
            )
        for name in SHORTHAND:
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or value != getattr(AccountTerms, name):
                raise InputError("is given beside financing, which says it", "give one of them", name, value)
