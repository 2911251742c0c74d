"""Rules as values: a parameter is declared once, as a field of a frozen dataclass that checks itself.

backtrader's `params`, the command line, config files and the pages of the documentation are made from these fields.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from numbers import Integral
from reprlib import repr as shortened
from typing import Any, Self

from .errors import InputError

__all__ = ["Parameter", "Rules", "check_names", "parameter", "per_cent"]

META = "parameter"


@dataclass(frozen=True)
class Parameter:
    """What is known of a field.

    Attributes
    ----------
    help : str
        A few words, for whoever sees the name for the first time.
    unit : str
        sessions, fraction, fraction a year, basis points, money, leverage, ...
    at_least, above, at_most, below : float, optional
        Bounds of a number.
    choices : tuple of str
        The values that a text may have.
    optional : bool
        Whether None is a value.
    dated : bool
        Whether a series by date is a value, too.
    checked : bool
        Whether the bounds are all there is to check; False: whoever uses the value does.
    shown : bool
        Whether the application has it: as a flag, in config files. Else it is backtrader's `params` only.
    per_cent : bool
        Whether a number above `at_most` may be meant per cent: the error then asks.
    problem, cure : str
        What an error says of a value out of bounds (default: made from the bounds).
    too_large : str
        The cure for a finite number above `at_most`, of which the error says that it is (default: as the others).
    name : str
        Of the field.
    default : object
        Its type is the parameter's.
    """

    help: str
    unit: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    dated: bool = False
    checked: bool = True
    shown: bool = True
    per_cent: bool = False
    problem: str = ""
    cure: str = ""
    too_large: str = ""
    name: str = ""
    default: Any = None

    @property
    def flag(self) -> str:
        """Its command-line flag: --target-vol."""
        return "--" + self.name.replace("_", "-")

    @property
    def bounds(self) -> str:
        """The values that are allowed, in a few characters."""
        if self.choices:
            return ", ".join(self.choices)
        parts = [
            f"{sign} {limit:.15g}"
            for sign, limit in (
                (">=", self.at_least), (">", self.above), ("<=", self.at_most), ("<", self.below),
            )
            if limit is not None
        ]  # fmt: skip
        return " and ".join(parts)

    def holds(self, value: Any) -> bool:
        """Whether a value is within the bounds.

        Parameters
        ----------
        value : object

        Returns
        -------
        bool
        """
        if self.choices:
            return value in self.choices
        number = isinstance(value, (float, Integral))
        return (
            number
            and math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


def parameter(default: Any, help: str, unit: str = "", **more: Any) -> Any:
    """A field of a `Rules`.

    Parameters
    ----------
    default : object
        Its type is the parameter's.
    help, unit : str
        See `Parameter`.
    **more
        The other attributes of `Parameter`.

    Returns
    -------
    dataclasses.Field
    """
    return field(default=default, metadata={META: Parameter(help, unit, **more)})


@dataclass(frozen=True)
class Rules:
    """Base of the frozen dataclasses whose fields are parameters; raises InputError for a value out of bounds."""

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(one, getattr(self, one.name))
        self.check()

    def check(self) -> None:
        """What no single field knows; for the subclass."""

    @classmethod
    def described(cls) -> dict[str, Parameter]:
        """The parameters by name, in order."""
        return {one.name: replace(one.metadata[META], name=one.name, default=_default(one)) for one in fields(cls)}

    @classmethod
    def params(cls) -> tuple[tuple[str, Any], ...]:
        """Names and defaults as backtrader's `params` take them."""
        return tuple((one.name, _default(one)) for one in fields(cls))

    @classmethod
    def of(cls, values: Any) -> Self:
        """Pick the values of these rules out of more.

        Parameters
        ----------
        values : mapping or object
            With one key, or attribute (as backtrader's `self.p` has them), for each field.

        Returns
        -------
        Rules
        """
        if isinstance(values, Mapping):
            return cls(**{one.name: values[one.name] for one in fields(cls)})
        return cls(**{one.name: getattr(values, one.name) for one in fields(cls)})


def per_cent(value: float, at_most: float = 1.0) -> str:
    """The cure for a fraction above its bound that may have been given in per cent.

    Parameters
    ----------
    value : float
        Above the bound.
    at_most : float
        The bound.

    Returns
    -------
    str
        "per cent? give 0.12"; nothing, if that would be above the bound, too.
    """
    return f"per cent? give {value / 100:g}" if value / 100 <= at_most else ""


def check_names(values: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse a name that is not known, with the nearest that is.

    Parameters
    ----------
    values : mapping
        Given, by name.
    known : iterable of str
        Names that are parameters.

    Raises
    ------
    InputError
    """
    names = tuple(known)
    for name, value in values.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(names)}"
            raise InputError(f"{name[:60]}={shortened(value)} is not a parameter", hint)


def _default(one: Field[Any]) -> Any:
    if one.default is MISSING:
        raise TypeError(f"{one.name} has no default: a parameter needs one")
    return one.default


def _check(one: Field[Any], value: Any) -> None:
    about: Parameter = one.metadata[META]
    if (value is None and about.optional) or not about.checked:
        return
    default: Any = one.default
    kind = type(default)
    problem = "is unknown" if about.choices else f"is not {about.bounds}"
    if kind is bool:
        right = value in (True, False)
        problem, default_cure = "is neither", "give True or False"
    elif kind is int or (about.optional and not about.choices):
        right = isinstance(value, Integral) and about.holds(value)
        default_cure = f"give a whole number {about.bounds}"
    else:
        right = about.holds(value)
        default_cure = f"give one of {', '.join(about.choices)}" if about.choices else f"give a number {about.bounds}"
    if right:
        return
    cure, most = about.cure or default_cure, about.at_most
    above = most is not None and isinstance(value, (float, int)) and most < value < math.inf
    if most is not None and above and (about.per_cent or about.too_large):
        asked = per_cent(value, most) if about.per_cent else about.too_large
        raise InputError(f"is above {most:.15g}", asked or cure, one.name, value)
    raise InputError(about.problem or problem, cure, one.name, value)
