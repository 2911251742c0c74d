"""The terms of the loan that a configuration names: a preset's or a file's, over the bill if no benchmark is given."""

import inspect
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, TypeGuard

import pandas as pd

from riskoverlay.errors import InputError, MissingFileError
from riskoverlay.strategies import PRESETS, SHORTHAND, AccountTerms, Financing

from .rates import AUTO, IRX_RATE, rate_in_words, spread, with_dated_rates
from .references import parse_arguments

__all__ = [
    "account_terms",
    "check_one_loan",
    "financing_in_words",
    "financing_of",
    "is_financing_file",
    "named_financing",
    "one_loan",
    "parse_financing",
    "rates_asked",
]

TERMS = tuple(AccountTerms.described())  # known once: a run by the twin takes less time than to ask

SUFFIXES = {".toml": tomllib.loads, ".json": json.loads}
"""Kinds of file, and what reads them."""


def is_financing_file(text: object) -> TypeGuard[str]:
    """Whether a value of `--financing` names a file."""
    return isinstance(text, str) and Path(text).suffix.lower() in SUFFIXES


def parse_financing(text: str) -> str | dict[str, Any]:
    """A value of `--financing` as a configuration keeps it.

    Parameters
    ----------
    text : str
        NAME, NAME:argument=value,... or a file.

    Returns
    -------
    str or dict
        The preset, or what is in the file.

    Raises
    ------
    InputError, MissingFileError
        As `financing_of`; a file that cannot be read.
    """
    value: str | dict[str, Any] = _read(Path(text)) if is_financing_file(text) else text.strip()
    try:
        return named_financing(value)
    except InputError as error:
        raise InputError(f"financing {text}: {error.said}", error.cure) from None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingFileError(f"financing {path} does not exist", f"give a file, or one of {', '.join(PRESETS)}")
    try:
        found = SUFFIXES[path.suffix.lower()](path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"financing {path} cannot be read ({error})", "correct the file") from None
    if not isinstance(found, dict):
        raise InputError(f"financing {path} holds no terms", "give benchmark, tiers, ... by name")
    return found


def named_financing(value: Any) -> Any:
    """Terms as a configuration keeps them: a preset by its name; others by what they are, where a file can hold it.

    Parameters
    ----------
    value : str, mapping or Financing

    Returns
    -------
    str, dict or Financing
        The last, if its benchmark is dated.

    Raises
    ------
    InputError
        As `financing_of`.
    """
    found = financing_of(value)
    dated = any(isinstance(rate, (pd.Series, Mapping)) for rate in (found.benchmark, found.cash_benchmark))
    return value if isinstance(value, str) or dated else found.written()


def financing_of(value: Any) -> Financing:
    """The terms that a configuration names.

    Parameters
    ----------
    value : str, mapping or Financing
        A preset with or without arguments, or terms as `Financing.read` takes them.

    Returns
    -------
    Financing
        Its benchmark may be None, or an expression of irx.

    Raises
    ------
    InputError
        No such preset or argument; a value out of bounds.
    """
    if isinstance(value, Financing):
        found = value
    elif isinstance(value, Mapping):
        found = Financing.read(value)
    elif isinstance(value, str):
        found = _preset(value)
    else:
        raise InputError("is of the wrong type", "give a preset's name, or a Financing", "financing", shortened(value))
    for name in ("benchmark", "cash_benchmark"):
        rate = getattr(found, name)
        if isinstance(rate, str) and spread(rate) is None:
            raise InputError("is unreadable", "give a number as 0.05, or irx+0.001", name, rate)
    return found


def _preset(text: str) -> Financing:
    name, _, arguments = text.partition(":")
    make = PRESETS.get(name)
    if make is None:
        raise InputError("is unknown", f"give one of {', '.join(PRESETS)}, or a file .toml or .json", "financing", text)
    given = dict(parse_arguments(arguments))
    known = list(inspect.signature(make).parameters)
    for argument, value in given.items():
        if argument not in known:
            raise InputError(f"is no argument of {name}", f"give one of {', '.join(known)}", argument, value)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise InputError("is not a number", "give one", argument, value)
    return make(**given)


def check_one_loan(config: Mapping[str, Any]) -> None:
    """Refuse two prices for one loan.

    Parameters
    ----------
    config : mapping
        Every parameter.

    Raises
    ------
    InputError
        `financing` beside a rate or a day count.
    """
    if config["financing"] is None:
        return
    for name, default in one_loan(("financing",)).items():
        value = config[name]
        if not (isinstance(value, type(default)) and value == default):
            raise InputError("is given beside financing, which says it", "give one of them", name, value)


def one_loan(given: Iterable[str]) -> dict[str, Any]:
    """What is set back where a loan's terms are given another way: `financing` and its shorthand say the same thing.

    Parameters
    ----------
    given : iterable of str
        Names of parameters that replace those of a configuration.

    Returns
    -------
    dict
        Values of others.
    """
    names = set(given)
    if "financing" in names:
        return {name: AccountTerms.day_count if name == "day_count" else AUTO for name in SHORTHAND}
    return {"financing": None} if names.intersection(SHORTHAND) else {}


def rates_asked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rates that the loan of a configuration needs, as `read_rates` takes them."""
    if config["financing"] is None:
        return {}
    found = financing_of(config["financing"])
    rates = (found.benchmark, found.cash_benchmark)
    needs = found.benchmark is None or any(isinstance(rate, str) for rate in rates)
    return {"financing": IRX_RATE} if needs else {}


def account_terms(config: Mapping[str, Any], rates: Mapping[str, pd.Series]) -> dict[str, Any]:
    """Arguments of `open_account` that a configuration and the dated rates of its prices come to.

    Parameters
    ----------
    config : mapping
        Every parameter of the account.
    rates : mapping
        As `read_rates` gives them.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        Two prices for one loan; a benchmark that is not there.
    """
    values = {name: config[name] for name in TERMS}
    if values["financing"] is None:
        return with_dated_rates(values, rates)
    check_one_loan(config)
    found = financing_of(values["financing"])
    over = {"benchmark": IRX_RATE if found.benchmark is None else found.benchmark}
    if found.cash_benchmark is not None:
        over["cash_benchmark"] = found.cash_benchmark
    dated = replace(found, **with_dated_rates(over, rates))
    return {name: value for name, value in values.items() if name not in SHORTHAND} | {"financing": dated}


def financing_in_words(value: Any) -> tuple[str, str]:
    """What a loan costs and what idle cash earns, to print.

    Parameters
    ----------
    value : str, mapping or Financing
        As a configuration has it.

    Returns
    -------
    loan, cash : str
        "T-bill + 1.5 % to 100,000, + 1 % above", "T-bill − 0.5 % above 10,000".
    """
    terms = financing_of(value)
    base = rate_in_words(IRX_RATE if terms.benchmark is None else terms.benchmark)
    cash_base = base if terms.cash_benchmark is None else rate_in_words(terms.cash_benchmark)
    parts: list[str] = []
    for upper, over in terms.tiers:
        shown = _plus(over) if parts else base + (f" {_plus(over)}" if over else "")
        parts.append(f"{shown} to {upper:,.0f}" if math.isfinite(upper) else f"{shown} above" if parts else shown)
    loan = ", ".join(parts)
    if terms.cash_spread is None:
        return loan, "0 %"
    cash = cash_base + (f" {_plus(terms.cash_spread)}" if terms.cash_spread else "")
    return loan, cash + (f" above {terms.cash_free:,.0f}" if terms.cash_free else "")


def _plus(over: float) -> str:
    return f"{'−' if over < 0.0 else '+'} {100 * abs(over):g} %"
