"""Every parameter of the application, from the rules that declare them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from reprlib import repr as shortened
from typing import Any

from riskoverlay.analyzers import StatisticsRules
from riskoverlay.errors import InputError
from riskoverlay.feeds import PriceSelection
from riskoverlay.rules import Parameter, Rules, check_names
from riskoverlay.strategies import AccountTerms, ExecutionTerms, LeverageRules, SizingRules, TradingRules, WeightRules

from .rates import AUTO, parse_rate, spread

__all__ = ["GROUPS", "PARAMETERS", "Config", "make_config", "parse_value", "shown_parameters", "values_of"]

Config = dict[str, Any]
"""One value for each of `PARAMETERS`, flat, as the summary file stores it."""

GROUPS: dict[str, tuple[type[Rules], ...]] = {
    "prices": (PriceSelection,),
    "weights": (WeightRules, TradingRules),
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
        A name that is not a parameter (with the nearest that is), or a value of another type than the default's.
    """
    given = values or {}
    check_names(given, PARAMETERS)
    config: Config = {name: about.default for name, about in PARAMETERS.items()}
    return config | {name: _of_right_type(PARAMETERS[name], value) for name, value in given.items()}


def _of_right_type(about: Parameter, value: Any) -> Any:
    default = about.default
    if value is None and about.optional:
        return None
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
