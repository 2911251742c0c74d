"""Every parameter of the application, from the rules that declare them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from reprlib import repr as shortened
from typing import Any

from riskoverlay.analyzers import StatisticsRules
from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, PriceSelection
from riskoverlay.rules import Parameter, Rules, check_names, parameter
from riskoverlay.strategies import (
    SHORTHAND,
    AccountTerms,
    AllocationRules,
    ExecutionTerms,
    LeverageRules,
    SizingRules,
    TradingRules,
    WeightRules,
)

from .loans import check_one_loan, named_financing, parse_financing
from .rates import AUTO, parse_rate, resolved_rates, spread

__all__ = [
    "BLEND",
    "GROUPS",
    "PARAMETERS",
    "Config",
    "check_owner",
    "make_config",
    "parse_value",
    "resolved",
    "shown_parameters",
    "strangers",
    "values_of",
]

BLEND = "blend"
"""The rule of weights that is the system's own."""


@dataclass(frozen=True)
class FundChoice(Rules):
    """Which funds are made of other bars."""

    leveraged: str | None = parameter(
        None,
        "leveraged funds to make, SYMBOL=UNDERLYING:FACTOR:EXPENSE:SPREAD,... as SSO=SPY:2:0.0089:0.004: reset daily, "
        "borrowing at the T-bill + spread",
        checked=False, optional=True,
    )  # fmt: skip


@dataclass(frozen=True)
class RuleChoice(Rules):
    """Whose weights."""

    weights: str = parameter(
        BLEND,
        "rule of weights: blend, equal, inverse_volatility, risk_parity, min_variance, max_diversification, hrp (or "
        "NAME:argument=value,...); FILE.py:function; FILE.csv of dates × symbols; or SPY:0.6,TLT:0.4",
        checked=False,
    )  # fmt: skip


@dataclass(frozen=True)
class StrategyChoice(Rules):
    """Whose strategy, and who sizes its orders."""

    strategy: Any = parameter(
        None,
        "instead of weights, a strategy of your own: FILE.py:Class or FILE.py:Class:name=value,...; the file is run",
        checked=False, optional=True,
    )  # fmt: skip
    sizer: Any = parameter(
        None,
        "of your strategy, FILE.py:Class[:name=value,...] (default: the overlay, if it sends orders without a size)",
        checked=False, optional=True,
    )  # fmt: skip


Config = dict[str, Any]
"""One value for each of `PARAMETERS`, flat, as the summary file stores it."""

GROUPS: dict[str, tuple[type[Rules], ...]] = {
    "prices": (PriceSelection, FundChoice),
    "weights": (WeightRules, TradingRules, RuleChoice, AllocationRules),
    "strategy": (StrategyChoice,),
    "leverage": (LeverageRules, SizingRules),
    "execution": (ExecutionTerms,),
    "account": (AccountTerms,),
    "statistics": (StatisticsRules,),
}
"""The rules by what they are about, in the order in which they are shown and stored."""


def shown_parameters(*rules: type[Rules]) -> dict[str, Parameter]:
    """The parameters of some rules that the application has, by name; a rate by date is `auto` there by default."""
    described = {name: about for one in rules for name, about in one.described().items() if about.shown}
    return {name: replace(about, default=AUTO) if about.dated else about for name, about in described.items()}


PARAMETERS: dict[str, Parameter] = {
    name: about for rules in GROUPS.values() for name, about in shown_parameters(*rules).items()
}
"""Every parameter by name."""


def values_of(config: Mapping[str, Any], *rules: type[Rules]) -> dict[str, Any]:
    """The values of a configuration that some rules take, ready to pass on.

    Parameters
    ----------
    config : mapping
        Every parameter.
    *rules : subclasses of Rules

    Returns
    -------
    dict
        By name.
    """
    return {name: config[name] for name in _names(rules)}


@cache
def _names(rules: tuple[type[Rules], ...]) -> tuple[str, ...]:
    """Of `shown_parameters`, which takes as long as a run by the twin of the account."""
    return tuple(shown_parameters(*rules))


OWN = {
    True: frozenset(WeightRules.described()) - frozenset(AllocationRules.described()),
    False: frozenset(AllocationRules.described()) - frozenset(WeightRules.described()),
}
"""Parameters of the blend alone (True), and of every other rule of weights alone."""

OF_WEIGHTS = frozenset(shown_parameters(*GROUPS["weights"])) - {"calendar"}
"""Parameters that a strategy which decides for itself does not have."""


def strangers(config: Mapping[str, Any]) -> frozenset[str]:
    """Parameters that the strategy of a configuration, or its rule of weights, does not have."""
    return OF_WEIGHTS if config.get("strategy") is not None else OWN[config.get("weights", BLEND) != BLEND]


def check_owner(config: Mapping[str, Any], given: Iterable[str]) -> None:
    """Refuse parameters that the strategy, or its rule of weights, does not have.

    Parameters
    ----------
    config : mapping
        Which strategy, and which rule.
    given : iterable of str
        Names of parameters that somebody has chosen.

    Raises
    ------
    InputError
    """
    theirs, weights = config.get("strategy") is not None, config.get("weights", BLEND)
    if not theirs and config.get("sizer") is not None:
        raise InputError("sizer belongs to a strategy of your own", "give one, too, or no sizer")
    for name in given:
        if name not in strangers(config):
            continue
        if theirs:
            raise InputError(f"{name} is of weights, and strategy=... decides itself", "leave it out")
        blend = weights == BLEND
        whose = "rules of weights other than the blend" if blend else "the blend"
        own = ", ".join(sorted(OWN[blend]))
        raise InputError(f"{name} is for {whose}, and weights={weights}", f"leave it out; there are {own}")


def parse_value(name: str, text: str) -> Any:
    """The value of a parameter from text (command line, file).

    Parameters
    ----------
    name : str
        One of `PARAMETERS`.
    text : str

    Returns
    -------
    object
        Of the type of the parameter's default.

    Raises
    ------
    InputError
        Text that is no such value.
    """
    about = PARAMETERS[name]
    if text.lower() == "none" and about.optional:
        return None
    if name == "financing":
        return parse_financing(text)
    if about.dated:
        return parse_rate(name, text)
    for kind, what in ((bool, "true or false"), (int, "a whole number"), (float, "a number")):
        if isinstance(about.default, kind):
            try:
                return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
            except (KeyError, ValueError):
                raise InputError("is unreadable", f"give {what}", name, text) from None
    return text


def make_config(values: Mapping[str, Any] | None = None) -> Config:
    """The defaults, overridden by some values.

    Parameters
    ----------
    values : mapping, optional
        By name.

    Returns
    -------
    Config

    Raises
    ------
    InputError
        A name that is not a parameter (with the nearest that is), a value of another type than the default's, or two
        prices for one loan.
    """
    given = values or {}
    check_names(given, PARAMETERS)
    config: Config = {name: about.default for name, about in PARAMETERS.items()}
    if len(given) < len(PARAMETERS):  # a whole configuration names what its rule does not have, too
        chosen = [name for name, value in given.items() if not _is_default(name, value)]
        check_owner(given, chosen)
    config |= {name: _of_right_type(PARAMETERS[name], value) for name, value in given.items()}
    check_one_loan(config)
    return config


def resolved(config: Config, panel: Panel) -> Config:
    """A configuration with what `auto` came to on a panel: its rates, and whether prices are raw.

    Parameters
    ----------
    config : Config
    panel : Panel

    Returns
    -------
    Config

    Raises
    ------
    InputError
        Something of dividends, where they are in the prices; members, where nobody asks for them; two prices for one
        loan.
    """
    if config["withholding"] and not panel.raw:
        raise InputError(
            "is of dividends, and in adjusted prices there are none",
            "give --prices raw, or leave it out", "withholding", config["withholding"],
        )  # fmt: skip
    if panel.members and config["strategy"] is not None:
        raise InputError(
            "are of weights, and strategy=... decides itself", "leave them out", "members", config["members"]
        )
    prices = "raw" if panel.raw else "given" if config["prices"] == "given" else "adjusted"
    check_one_loan(config)
    given = config["financing"] is not None  # and says it, so that nothing is left to `auto`
    loan = {name: config[name] for name in SHORTHAND} if given else {}
    return {**resolved_rates(config, panel.rates), **loan, "prices": prices}


def _is_default(name: str, value: Any) -> bool:
    default = PARAMETERS[name].default
    return type(value) is type(default) and bool(value == default)


def _of_right_type(about: Parameter, value: Any) -> Any:
    default = about.default
    if value is None and about.optional:
        return None
    if about.name == "financing":
        return named_financing(value)
    if about.dated:
        return _rate(about, value)
    if isinstance(default, bool) != isinstance(value, bool):
        right = False
    elif isinstance(default, int):
        right = isinstance(value, int)
    elif isinstance(default, float):
        right = isinstance(value, (int, float))
        value = float(value) if right and isinstance(value, int) else value
    else:
        right = default is None or isinstance(value, str)
    if not right:
        raise InputError(f"{about.name}={shortened(value)} is of the wrong type", f"give one like {default!r}")
    return value


def _rate(about: Parameter, value: Any) -> Any:
    """A number, an expression, or whatever by date the account itself will check."""
    if isinstance(value, bool) or (isinstance(value, str) and value != AUTO and spread(value) is None):
        raise InputError(f"{about.name}={shortened(value)} is of the wrong type", "give one like 0.05 or 'irx+0.015'")
    return float(value) if isinstance(value, int) else value
