"""Every parameter of the application, read from the classes and functions that declare it."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import repr as shortened
from typing import Any

import feeds
import strategies

from .rates import parse_rate, spread

__all__ = ["PARAMETERS", "RATES", "Config", "Parameter", "make_config", "parse_value", "part"]

Config = dict[str, Any]
"""One value for each of `PARAMETERS`, flat, as the summary file stores it."""


@dataclass(frozen=True)
class Parameter:
    """A parameter with its default and help, and the owner that declares it: data, strategy, sizer, account, run."""

    name: str
    default: Any
    help: str
    owner: str

    @property
    def flag(self) -> str:
        """Its command-line flag: --target-vol."""
        return "--" + self.name.replace("_", "-")


def _documented(doc: str | None) -> dict[str, str]:
    """name -> text of every `name : text` or `one, two : text` entry of a docstring, lines joined."""
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(doc or "").splitlines():
        start = re.match(r"((?:\w+, )*\w+) ?: (\S.*)", line)
        if start:
            names = start[1].split(", ")
            entries.update(dict.fromkeys(names, start[2]))
        elif line.startswith("    ") and names:
            entries.update({name: f"{entries[name]} {line.strip()}" for name in names})
        else:
            names = []
    return entries


def _of_class(cls: type, owner: str, names: tuple[str, ...]) -> list[Parameter]:
    defaults, texts = dict(cls.params._getpairs()), _documented(cls.__doc__)  # type: ignore[attr-defined]
    return [Parameter(name, defaults[name], texts[name], owner) for name in names]


def _of_function(function: Callable[..., Any], owner: str, names: tuple[str, ...]) -> list[Parameter]:
    signature, texts = inspect.signature(function).parameters, _documented(function.__doc__)
    return [Parameter(name, signature[name].default, texts[name], owner) for name in names]


_LIST = [
    *_of_function(feeds.load, "data", ("source", "symbols", "start", "end", "data_dir", "seed")),
    *_of_class(
        strategies.RiskParityBlend,
        "strategy",
        (
            "rebalance_freq", "cov_lookback", "min_hist", "shrink_alpha", "alpha_minvar", "risk_parity",
            "min_variance", "shrinkage", "calendar", "relever", "drift", "lev_band",
        ),
    ),
    *_of_class(
        strategies.VolTargetDrawdownSizer,
        "sizer",
        (
            "vol_lookback", "target_vol", "lev_min", "lev_max", "dd_threshold1", "dd_threshold2", "dd_min_scale",
            "whole_shares",
        ),
    ),
    *_of_function(strategies.open_account, "run", ("cash", "execution", "slippage_bps")),
    *_of_class(
        strategies.MarginAccount,
        "account",
        (
            "commission_bps", "commission_per_share", "commission_min", "initial_margin", "maintenance_margin",
            "borrow_rate", "cash_rate",
        ),
    ),
]  # fmt: skip

RATES = ("borrow_rate", "cash_rate")
"""Parameters that may be dated: a number, a series, or in a configuration an expression such as irx+0.015."""

PARAMETERS: dict[str, Parameter] = {parameter.name: parameter for parameter in _LIST}


def parse_value(name: str, text: str) -> Any:
    """The value of a parameter from text (command line, file), of the type of its default.

    Raises ValueError naming the flag, the text and what it should be.
    """
    default = PARAMETERS[name].default
    if text.lower() == "none" and name in ("calendar", "start", "end", "data_dir", "symbols"):
        return None
    if name in RATES:
        return parse_rate(name, text)
    for kind, what in ((bool, "true or false"), (int, "a whole number"), (float, "a number")):
        if isinstance(default, kind):
            try:
                if kind is bool:
                    return {"true": True, "false": False}[text.lower()]
                return kind(text)
            except (KeyError, ValueError):
                raise ValueError(f"{name}={text!r} is unreadable: give {what}") from None
    return text


def make_config(values: Mapping[str, Any] | None = None) -> Config:
    """The defaults, overridden by `values`.

    Raises ValueError for a name that is not a parameter (with the nearest that is), and for a value of another type
    than the default's.
    """
    config: Config = {name: parameter.default for name, parameter in PARAMETERS.items()}
    for name, value in (values or {}).items():
        if name not in PARAMETERS:
            near = difflib.get_close_matches(name, PARAMETERS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(PARAMETERS)}"
            raise ValueError(f"{name[:60]}={shortened(value)} is not a parameter: {hint}")
        config[name] = _checked(name, value)
    return config


def _checked(name: str, value: Any) -> Any:
    default = PARAMETERS[name].default
    if isinstance(default, bool) != isinstance(value, bool):
        right = False
    elif isinstance(default, int):
        right = isinstance(value, int)
    elif isinstance(default, float):
        right = isinstance(value, (int, float)) or (
            name in RATES and (not isinstance(value, str) or spread(value) is not None)
        )
        value = float(value) if right and isinstance(value, int) else value
    elif isinstance(default, str):
        right = isinstance(value, str) or (value is None and name == "calendar")
    else:
        right = True
    if not right:
        raise ValueError(f"{name}={shortened(value)} is of the wrong type: give one like {default!r}")
    return value


def part(config: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """The values that one owner takes, ready to pass on."""
    return {name: config[name] for name, parameter in PARAMETERS.items() if parameter.owner == owner}
