"""What it costs to borrow, and what idle cash earns: the terms of a loan as one value, and what they come to."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shortened
from typing import Any

from riskoverlay.conventions import DAYS_PER_YEAR
from riskoverlay.errors import InputError
from riskoverlay.rates import HIGHEST_RATE, DatedRate, Rate, by_date
from riskoverlay.rules import Rules, check_names, parameter, per_cent

__all__ = [
    "PRESETS",
    "Charges",
    "Financing",
    "box_spread",
    "flat",
    "funds",
    "futures",
    "ibkr_pro",
    "marginal_interest",
    "retail",
]

MOST_SPREAD = 0.25
"""Annual fraction: a larger spread was meant per cent."""

NO_FLOOR = -HIGHEST_RATE

_FLOOR: dict[str, Any] = {
    "at_least": NO_FLOOR, "at_most": HIGHEST_RATE, "per_cent": True, "problem": "is not a rate",
    "cure": "give an annual fraction; -1: none",
}  # fmt: skip


_DAY_COUNT = {"problem": "is no day count", "cure": "give 365 (actual/365) or 360 (actual/360)"}


def day_count_parameter() -> Any:
    """The field of `Rules` that says by which year interest is charged."""
    what = "days a year by which interest is charged, 365 or 360"
    return parameter(365, what, "days", at_least=360, at_most=365, **_DAY_COUNT)


def check_day_count(day_count: int) -> None:
    """InputError for a year of interest that is none."""
    if day_count not in (360, 365):
        raise InputError(_DAY_COUNT["problem"], _DAY_COUNT["cure"], "day_count", day_count)


@dataclass(frozen=True, eq=False)
class Financing(Rules):
    """The terms on which an account borrows.

    Each tier of the debit bears max(benchmark + its spread, floor), as brokers compute it: the first 100,000 the first
    spread, what is above it the next. Idle cash above `cash_free` earns max(benchmark + cash_spread, cash_floor).

    Short positions bear `short_fee` on their value. What they have brought is collateral: it neither pays the loan nor
    counts as idle cash, and earns max(benchmark + short_rebate, 0) on their value, where there is a rebate.

    Raises
    ------
    InputError
        A value out of its bounds; tiers that are not.
    """

    benchmark: Any = parameter(
        None, "annual fraction, or fractions by date (see `DatedRate`); none: to be given, usually a bill's",
        "fraction a year", optional=True, checked=False,
    )  # fmt: skip
    tiers: tuple[tuple[float, float], ...] = parameter(
        ((math.inf, 0.0),), "(up to, spread) of the debit: money, and annual fraction over the benchmark; the last is "
        "up to infinity", checked=False,
    )  # fmt: skip
    floor: float = parameter(0.0, "least rate of any tier; -1: none", "fraction a year", **_FLOOR)
    day_count: int = day_count_parameter()
    cash_benchmark: Any = parameter(
        None, "of idle cash, where it has another", "fraction a year", optional=True, checked=False
    )
    cash_spread: float | None = parameter(
        None, "over the benchmark, on idle cash; none: nothing is paid on it", "fraction a year", optional=True,
        checked=False,
    )  # fmt: skip
    cash_floor: float = parameter(0.0, "least rate on idle cash; -1: none", "fraction a year", **_FLOOR)
    cash_free: float = parameter(
        0.0, "idle cash that earns nothing", "money", at_least=0.0, problem="is not an amount", cure="give money >= 0"
    )
    short_fee: float = parameter(
        0.0, "fee for borrowed shares, of their value", "fraction a year", at_least=0.0, at_most=HIGHEST_RATE,
        per_cent=True, problem="is not a fee", cure="give an annual fraction, such as 0.003",
    )  # fmt: skip
    short_rebate: float | None = parameter(
        None, "over the benchmark, on the value of short positions; none: nothing is paid", "fraction a year",
        optional=True, checked=False,
    )  # fmt: skip

    __eq__, __hash__ = object.__eq__, object.__hash__  # its rates may be series, which compare date by date

    def check(self) -> None:
        """Whether tiers, spreads and the day count are in order."""
        check_day_count(self.day_count)
        for name in ("cash_spread", "short_rebate"):
            value = getattr(self, name)
            if value is not None:
                _check_spread(name, value)
        object.__setattr__(self, "tiers", _tiers(self.tiers))

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Financing":
        """Terms as a file has them.

        Parameters
        ----------
        values : mapping
            Fields by name. `tiers` is a list of mappings with `spread` and, but for the last, `up_to`.

        Returns
        -------
        Financing

        Raises
        ------
        InputError
            A name that is none, a value out of bounds or of another type.
        """
        check_names(values, cls.described())
        given = dict(values)
        if "tiers" in given:
            given["tiers"] = _listed(given["tiers"])
        for name, about in cls.described().items():
            value = given.get(name)
            wrong = isinstance(value, bool) or (isinstance(value, str) and not name.endswith("benchmark"))
            if wrong or (value is None and name in given and not about.optional):
                raise InputError("is not a number", "give one", name, value)
        return cls(**given)

    def written(self) -> dict[str, Any]:
        """The terms as `read` reads them, without those that are the default's."""
        values = {name: (getattr(self, name), about.default) for name, about in self.described().items()}
        kept = {name: value for name, (value, default) in values.items() if type(value) is not type(default)
                or value != default}  # fmt: skip
        if "tiers" in kept:
            kept["tiers"] = [
                {"spread": spread} if upper == math.inf else {"up_to": upper, "spread": spread}
                for upper, spread in self.tiers
            ]
        return kept


def _check_spread(name: str, value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and abs(value) <= MOST_SPREAD):
        cure = per_cent(abs(value), MOST_SPREAD) if number and math.isfinite(value) else ""
        raise InputError("is not a spread", cure or "give an annual fraction, such as 0.015", name, value)


def _listed(tiers: Any) -> tuple[tuple[float, float], ...]:
    """Tiers of a file as pairs."""
    cure = "give a list of {up_to = 100000, spread = 0.015}, the last without up_to"
    if not isinstance(tiers, Sequence) or isinstance(tiers, str) or not all(isinstance(one, Mapping) for one in tiers):
        raise InputError("are no tiers", cure, "tiers", shortened(tiers))
    for one in tiers:
        check_names(one, ("up_to", "spread"))
        if "spread" not in one:
            raise InputError("has no spread", cure, "tiers", shortened(dict(one)))
    return tuple((one.get("up_to", math.inf), one["spread"]) for one in tiers)


def _tiers(tiers: Any) -> tuple[tuple[float, float], ...]:
    """Tiers as they are kept."""
    cure = "give ((100_000, 0.015), ..., (math.inf, 0.005)): up to so much, this spread"
    try:
        pairs = tuple((upper, spread) for upper, spread in tiers)
        uppers = tuple(float(upper) for upper, _ in pairs)
    except (TypeError, ValueError):
        raise InputError("are no tiers", cure, "tiers", shortened(tiers)) from None
    for _, spread in pairs:
        _check_spread("spread", spread)
    rising = all(low < high for low, high in zip((0.0, *uppers), uppers, strict=False))
    if not pairs or not rising or uppers[-1] != math.inf:
        raise InputError("do not rise from above 0 to infinity", cure, "tiers", shortened(tiers))
    return tuple(zip(uppers, (float(spread) for _, spread in pairs), strict=True))


# -- presets -----------------------------------------------------------------------------------------------------------


def ibkr_pro(benchmark: Rate | None = None) -> Financing:
    """Interactive Brokers, IBKR Pro, US dollars: benchmark + 1.5 % to 100,000, 1.0 % to 1 million, 0.75 % to 50
    million, 0.5 % above, actual/360; benchmark − 0.5 % on idle cash above 10,000.

    Its "Margin rates and financing" and "Interest paid on cash" as published in 2024: 600,000 at a benchmark of 5.32 %
    is 106.72 a day. Not modelled: less is paid on the cash of accounts below 100,000.

    Parameters
    ----------
    benchmark : float, Series or mapping, optional
        Annual fraction: the effective federal funds rate; a bill's is close to it.

    Returns
    -------
    Financing
    """
    tiers = ((100_000.0, 0.015), (1_000_000.0, 0.01), (50_000_000.0, 0.0075), (math.inf, 0.005))
    return Financing(benchmark, tiers, day_count=360, cash_spread=-0.005, cash_free=10_000.0)


def retail(benchmark: Rate | None = None, spread: float = 0.08) -> Financing:
    """A full-service or discount broker's list price: benchmark + 8 %, actual/360; idle cash earns nothing.

    The base rates of Schwab and Fidelity and what they add for loans below 50,000 came to some 12.5 to 13.5 % in 2024,
    at a federal funds rate of 5.33 %.

    Parameters
    ----------
    benchmark : float, Series or mapping, optional
        Annual fraction.
    spread : float
        Annual fraction.

    Returns
    -------
    Financing
    """
    return Financing(benchmark, ((math.inf, spread),), day_count=360)


def box_spread(benchmark: Rate | None = None, spread: float = 0.003) -> Financing:
    """Money raised by selling box spreads of S&P 500 index options: bill + 0.30 %, on idle cash bill − 0.5 %.

    What a box costs over a bill of its term: some 0.35 % on average 2004-2018 (van Binsbergen, Diamond and Grotteria,
    "Risk-free interest rates", Journal of Financial Economics, 2022), about 0.30 % in 2024.

    Parameters
    ----------
    benchmark : float, Series or mapping, optional
        Annual fraction: the bill's.
    spread : float
        Annual fraction.

    Returns
    -------
    Financing
    """
    return Financing(benchmark, ((math.inf, spread),), cash_spread=-0.005)


def futures(benchmark: Rate | None = None, spread: float = 0.006) -> Financing:
    """The levered part held in futures: what they imply over bills, bill + 0.60 %; cash is collateral in bills.

    Five-year Treasury futures implied 0.59 % over bills 1991-2018, the roll of S&P 500 futures 0.62 %, from 0.20 to
    1.42 %. What is up to equity is held in the funds themselves, and costs nothing of it.

    Parameters
    ----------
    benchmark : float, Series or mapping, optional
        Annual fraction: the bill's.
    spread : float
        Annual fraction.

    Returns
    -------
    Financing
    """
    return Financing(benchmark, ((math.inf, spread),), cash_spread=0.0)


def funds(benchmark: Rate | None = None, spread: float = 0.004, expense: float = 0.0089) -> Financing:
    """The levered part held in funds of twice the return: bill + swap spread + expense; on idle cash bill − 0.5 %.

    Leverage L is L − 1 in the double fund and the rest in the single one. A double fund that owns 2 of its index for 1
    borrows 1, at bill + 0.40 % within its swaps, and takes 0.89 % (ProShares Ultra S&P 500, prospectus of 2024). Its
    daily reset is not in here: `feeds.leveraged` is such a fund day by day.

    Parameters
    ----------
    benchmark : float, Series or mapping, optional
        Annual fraction: the bill's.
    spread, expense : float
        Annual fractions.

    Returns
    -------
    Financing
    """
    return Financing(benchmark, ((math.inf, spread + expense),), cash_spread=-0.005)


def flat(borrow_rate: Rate = 0.05, cash_rate: Rate = 0.0, day_count: int = 365) -> Financing:
    """One rate on all of the loan, another on all of the cash: what `borrow_rate` and `cash_rate` are short for.

    Parameters
    ----------
    borrow_rate, cash_rate : float, Series or mapping
        Annual fractions.
    day_count : int
        365 or 360.

    Returns
    -------
    Financing
    """
    return Financing(
        borrow_rate, floor=NO_FLOOR, day_count=day_count, cash_benchmark=cash_rate, cash_spread=0.0, cash_floor=NO_FLOOR
    )


PRESETS: Mapping[str, Callable[..., Financing]] = {
    one.__name__: one for one in (ibkr_pro, retail, box_spread, futures, funds, flat)
}
"""Ways to pay for leverage, by name."""


# -- what they come to -------------------------------------------------------------------------------------------------


def marginal_interest(debit: float, bounds: Any, nights: Any) -> float:
    """Interest on a debit, tier by tier.

    Parameters
    ----------
    debit : float
        Money, > 0.
    bounds : sequence of float, k
        Upper ends of the tiers, money.
    nights : sequence of float, k
        Interest on 1 unit of money within each; those of tiers above the debit are not looked at.

    Returns
    -------
    float
        Money.
    """
    paid = lower = 0.0
    for j in range(len(bounds)):
        if debit <= lower:
            break
        paid += (min(debit, bounds[j]) - lower) * nights[j]
        lower = bounds[j]
    return paid


class Charges:
    """What a financing charges from one day to another.

    Parameters
    ----------
    financing : Financing
    names : pair of str
        What the benchmarks of loan and cash are called in errors.

    Attributes
    ----------
    bounds : list of float, k
        Upper ends of the tiers, money.
    loans : list of DatedRate, k
        Of the tiers, by 365 days a year.
    idle : DatedRate
        Of idle cash.
    day_factor : float
        365 over the day count.

    Raises
    ------
    InputError
        No benchmark; rates that are none.
    """

    def __init__(self, financing: Financing, names: tuple[str, str] = ("benchmark", "cash_benchmark")) -> None:
        base = financing.benchmark
        if base is None:
            raise InputError(
                "financing has no benchmark", "give an annual fraction or a dated series, as ibkr_pro(benchmark=0.04)"
            )
        idle = base if financing.cash_benchmark is None else financing.cash_benchmark
        self.financing = financing
        self.bounds = [upper for upper, _ in financing.tiers]
        self.loans = [_over(base, spread, financing.floor, names[0]) for _, spread in financing.tiers]
        spread, rebate = financing.cash_spread, financing.short_rebate
        self.idle = DatedRate(0.0) if spread is None else _over(idle, spread, financing.cash_floor, names[1])
        self._rebate = None if rebate is None else _over(base, rebate, 0.0, names[0])
        self._shorts = bool(financing.short_fee or rebate is not None)
        self._free = financing.cash_free
        self._loan = self.loans[0] if len(self.loans) == 1 else None
        self.day_factor = DAYS_PER_YEAR / financing.day_count  # `DatedRate` counts by 365

    def interest(self, balance: float, start: int, end: int, shorts: float = 0.0) -> float:
        """Interest of some nights.

        Parameters
        ----------
        balance : float
            Money borrowed; negative: idle cash, which earns.
        start, end : int
            Days, as proleptic ordinals.
        shorts : float
            Value of short positions, money, >= 0.

        Returns
        -------
        float
            Money; negative: received.

        Raises
        ------
        InputError
            A dated rate that begins after `start`.
        """
        if balance <= 0.0:
            earning = balance + self._free
            charged = earning * self.idle.between(start, end) * self.day_factor if earning < 0.0 else 0.0
        elif self._loan is not None:
            charged = balance * self._loan.between(start, end) * self.day_factor
        else:
            reached = sum(1 for upper in self.bounds if upper < balance) + 1
            nights = [loan.between(start, end) for loan in self.loans[:reached]]
            charged = marginal_interest(balance, self.bounds[:reached], nights) * self.day_factor
        if shorts and self._shorts:
            rebate = 0.0 if self._rebate is None else self._rebate.between(start, end)
            fee = self.financing.short_fee * (end - start) / DAYS_PER_YEAR
            charged += shorts * (fee - rebate) * self.day_factor
        return charged


def _over(base: Rate, spread: float, floor: float, name: str) -> DatedRate:
    """A rate over another, never below the floor."""
    if spread == 0.0 and floor == NO_FLOOR:
        return DatedRate(base, name)
    if isinstance(base, (int, float)):
        DatedRate(base, name)
        return DatedRate(max(base + spread, floor), name)
    if isinstance(base, str):
        raise InputError("is no rate", "give an annual fraction, or fractions by date", name, base)
    return DatedRate((by_date(base) + spread).clip(lower=floor), name)
