"""The rule of weights that a configuration names: a name, a function or table in a file, or weights as they stand."""

import hashlib
import inspect
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from riskoverlay.errors import InputError, MissingFileError
from riskoverlay.strategies import (
    Allocation,
    AllocationRules,
    Financing,
    RememberedRule,
    RiskParityBlend,
    WeightRule,
    WeightRules,
    as_rule,
)
from riskoverlay.strategies.optimizers import NAMED_RULES, named_rule

from .loans import one_loan
from .parameters import BLEND, PARAMETERS, Config, values_of
from .references import parse_arguments, parse_reference, sources
from .theirs import described, files_of_strategy, theirs_of, with_arguments, written

__all__ = [
    "OWNERS",
    "arguments_of",
    "config_summary",
    "files_of",
    "files_of_weights",
    "full_name",
    "read_weights",
    "rule_of",
    "rules_of_weights",
    "sessions_before",
    "strategy_of",
    "with_params",
]

OWNERS = {"rule.": "weights", "strategy.": "strategy", "sizer.": "sizer"}
"""What stands before an argument of somebody's, where parameters are named -> the parameter that names whose it is."""

SHAPES = "a name such as risk_parity, FILE.py:function, FILE.csv, or SPY:0.6,TLT:0.4"


def rules_of_weights(config: Mapping[str, Any]) -> WeightRules | AllocationRules:
    """What a configuration says of weights: those of the blend, or of any other rule."""
    kind = WeightRules if config["weights"] == BLEND else AllocationRules
    return kind(**values_of(config, kind))


def strategy_of(config: Config, *, anew: bool = False) -> tuple[type, dict[str, Any]]:
    """The rebalancing strategy with the rule of a configuration, and its parameters but those of trading.

    Parameters
    ----------
    config : Config
    anew : bool
        Whether the rule is asked again for what it was asked before: an audit has to.

    Returns
    -------
    type, dict
    """
    if config["weights"] == BLEND:
        return RiskParityBlend, values_of(config, WeightRules)
    rule = rule_of(config["weights"])
    if anew and isinstance(rule, RememberedRule):
        rule = rule.rule
    return Allocation, {**values_of(config, AllocationRules), "rule": rule}


def sessions_before(config: Config) -> int:
    """Returns that have to be there before the first weights, or that these look back at, whichever are more."""
    if config["weights"] == BLEND:
        return max(config["cov_lookback"], config["min_hist"])
    if rule_of(config["weights"]).least is not None:
        return 0
    return max(config["lookback"] or 0, config["min_hist"])


def config_summary(config: Config) -> dict[str, Any]:
    """A configuration in a file: its parameters, and what the user's files were that it names, by SHA-256."""
    made_of = files_of(config)
    written = {**config, **{name: described(config[name]) for name in OWNERS.values() if name != "weights"}}
    if isinstance(config["financing"], Financing):  # its benchmark is dated
        written["financing"] = config["financing"].written()
    return {"config": written, "files": made_of} if made_of else {"config": written}


def files_of(config: Config) -> dict[str, str]:
    """The user's files that a configuration names, and the modules beside them: file name -> SHA-256 of its bytes."""
    return files_of_strategy(config) if config["strategy"] is not None else files_of_weights(config["weights"])


def with_params(config: Config, params: Mapping[str, Any]) -> Config:
    """A configuration with some parameters changed, arguments of what it names too (`OWNERS` before their name).

    Parameters
    ----------
    config : Config
    params : mapping
        By name.

    Returns
    -------
    Config

    Raises
    ------
    InputError
        A rule that takes no arguments, a strategy or a sizer that is not there.
    """
    given = {name: value for name, value in params.items() if not name.startswith(tuple(OWNERS))}
    changed = {**config, **one_loan(given), **given}
    for prefix, owner in OWNERS.items():
        own = arguments_of(params, prefix)
        if not own:
            continue
        if changed[owner] is None:
            raise InputError(f"{prefix}{next(iter(own))} is an argument of no {owner}", f"give a {owner}, too")
        change = _with_arguments if owner == "weights" else with_arguments
        changed[owner] = change(changed[owner], own)
    return changed


def arguments_of(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Those of some parameters that are arguments of one of `OWNERS`.

    Parameters
    ----------
    params : mapping
    prefix : str
        One of `OWNERS`.

    Returns
    -------
    dict
        By their own names.
    """
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


GIVEN = frozenset({"returns", "prices", "date", "held"})
"""What a rule of weights is told of a session, by name: the rest are arguments of the user's."""


def full_name(config: Config, name: str) -> str:
    """The name of an argument of somebody's with its owner before it, where one alone has it.

    Parameters
    ----------
    config : Config
        Which rule, strategy and sizer.
    name : str
        With an owner before it, it is left as it is; so is what nobody has.

    Returns
    -------
    str

    Raises
    ------
    InputError
        An argument that the strategy has, and its sizer, too; or neither of them.
    """
    theirs = theirs_of(config)
    if theirs is None:
        known = {"rule.": _arguments_of_rule(config["weights"])}
    else:
        parts = {"strategy.": theirs.strategy, "sizer.": theirs.sizer}
        known = {prefix: _parameters(part[0]) for prefix, part in parts.items() if part is not None}
    owners = [prefix for prefix, names in known.items() if name in names]
    if len(owners) > 1:
        both = " and ".join(f"{prefix}{name}" for prefix in owners)
        raise InputError(f"{name} may be {both}", "give one of these names")
    if theirs is not None and not owners and "." not in name and name not in PARAMETERS:
        there = ", ".join(argument for names in known.values() for argument in names)
        raise InputError(f"{name} is no parameter, and no argument of {theirs.name}", f"give one of {there or 'none'}")
    return f"{owners[0]}{name}" if owners else name


def _parameters(of: Any) -> list[str]:
    """Of a class of backtrader's, by name."""
    return list(of.params._getkeys())


def _arguments_of_rule(text: str) -> list[str]:
    """Of a rule that is a function or a class, by name."""
    name = text.partition(":")[0]
    if name in NAMED_RULES:
        rule: Any = named_rule(name)
    elif ".py:" in text:
        rule = parse_reference(text).found()
    else:
        return []
    return [key for key in inspect.signature(rule).parameters if key not in GIVEN]


def _with_arguments(text: str, own: Mapping[str, Any]) -> str:
    """A rule with other arguments, in its text: so that everything that reads a configuration knows them."""
    if ".py:" in text:
        return str(with_arguments(text, own))
    name, _, rest = text.partition(":")
    if name not in NAMED_RULES:
        one = next(iter(own))
        raise InputError(f"rule.{one}: weights={text} take no arguments", "give a rule that is a function")
    return written(name, {**dict(parse_arguments(rest)), **own})


def rule_of(text: str) -> WeightRule:
    """A rule of weights from text.

    Parameters
    ----------
    text : str
        NAME or NAME:argument=value,...; FILE.py:function or FILE.py:function:argument=value,...; FILE.csv; or
        SYMBOL:WEIGHT,SYMBOL:WEIGHT.

    Returns
    -------
    WeightRule
        A function or an optimizer is asked once for the same closes, in this process.

    Raises
    ------
    InputError, MissingFileError, StrategyError
        Text that is none of these; as `as_rule` and `read_weights`; a file that does not run.
    """
    if text.lower().endswith(".csv"):
        return as_rule(read_weights(text))
    return _rule(text)


@lru_cache(maxsize=64)
def _rule(text: str) -> WeightRule:
    name, _, rest = text.partition(":")
    if name in NAMED_RULES:
        return RememberedRule(as_rule(named_rule(name), **dict(parse_arguments(rest))))
    if ".py:" not in text:
        return as_rule(_written_out(text))
    reference = parse_reference(text)
    found, arguments = reference.found(), dict(reference.arguments)
    sources(reference.file)
    return RememberedRule(as_rule(found(**arguments)) if isinstance(found, type) else as_rule(found, **arguments))


def read_weights(path: str) -> pd.DataFrame:
    """Weights by date and symbol from a file.

    Parameters
    ----------
    path : str
        CSV: dates in the first column, a column for each symbol, fractions.

    Returns
    -------
    DataFrame of shape (n, k)

    Raises
    ------
    InputError, MissingFileError
        No such file, or not of this shape.
    """
    file = _table_file(path)
    try:
        table = pd.read_csv(file, index_col=0, dtype=str, encoding="utf-8-sig")  # text: every digit counts
        table.index = pd.DatetimeIndex(pd.to_datetime(table.index, format="ISO8601"), name="date")
        return table.astype(float)
    except (ValueError, TypeError, UnicodeDecodeError, pd.errors.ParserError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"{path} is no table of weights ({first})", "give dates (YYYY-MM-DD) in the first column, then fractions"
        ) from None


def _table_file(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise MissingFileError(f"{path} does not exist", "give a CSV file of dates × symbols")
    return file


def files_of_weights(text: str) -> dict[str, str]:
    """What a rule of weights is made of.

    Parameters
    ----------
    text : str
        As `rule_of`.

    Returns
    -------
    dict
        File name -> SHA-256 of its bytes; nothing for a rule that is in no file.
    """
    if text.lower().endswith(".csv"):
        return {Path(text).name: hashlib.sha256(_table_file(text).read_bytes()).hexdigest()}
    if ".py:" not in text:
        return {}
    rule_of(text)
    return sources(parse_reference(text).file)


def _written_out(text: str) -> Mapping[str, float]:
    weights: dict[str, float] = {}
    for part in text.split(","):
        symbol, _, weight = (piece.strip() for piece in part.partition(":"))
        try:
            given = float(weight)
        except ValueError:
            given = None
        if not symbol or given is None:
            raise InputError("is no rule of weights", f"give {SHAPES}", "weights", text)
        if symbol in weights:
            raise InputError(f"weights have {symbol} twice", "give one weight a symbol")
        weights[symbol] = given
    return weights
