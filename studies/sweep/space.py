"""Which parameters are tried: dimensions given as text, every point of their grid, or some points drawn from it."""

import ast
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from riskoverlay.errors import InputError

from ..workbench.allocations import OWNERS, full_name
from ..workbench.parameters import GROUPS, PARAMETERS, Config, make_config, parse_value, shown_parameters, strangers

__all__ = ["MOST", "Dimension", "Params", "check_dimensions", "draw", "grid", "parse_dimension", "points_of"]

MOST = 100_000
"""Points beyond which a grid is taken for a slip of the keyboard."""

BLOCK = 1024
"""Points drawn at once: a power of two, by which a Sobol sequence is even."""

ENOUGH = 2**20
"""Draws after which points that are not found are taken not to exist; a grid of `MOST` takes fewer."""

Params = dict[str, Any]
"""Values of one try, by name of the dimension."""


@dataclass(frozen=True)
class Dimension:
    """A parameter and what is tried of it.

    Attributes
    ----------
    name : str
    values : tuple or None
        In order; None: `low` to `high`, both included.
    low, high : object
        Bounds, of which any number between may be drawn.
    """

    name: str
    values: tuple[Any, ...] | None
    low: Any = None
    high: Any = None

    def __str__(self) -> str:
        if self.values is None:
            return f"{self.name}={self.low}:{self.high}"
        return f"{self.name}={','.join(map(str, self.values))}"

    @property
    def numeric(self) -> bool:
        """Whether values have an order and a distance."""
        if self.name.startswith(tuple(OWNERS)):
            ends = self.values if self.values is not None else (self.low, self.high)
            return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in ends)
        default = PARAMETERS[self.name].default
        words = any(isinstance(value, str) for value in self.values or ())  # a dated rate
        return isinstance(default, (int, float)) and not isinstance(default, bool) and not words


def parse_dimension(text: str, config: Config | None = None) -> Dimension:
    """A dimension from text.

    Parameters
    ----------
    text : str
        `name=a,b,c`, `name=low:high:step` (both ends included, in exact decimals) or, to draw from, `name=low:high`.
        Whole numbers have a step of 1 unless another is given. An argument of the rule of weights, of your strategy or
        its sizer is named rule.NAME, strategy.NAME, sizer.NAME.
    config : Config, optional
        Whose rule or strategy it is: an argument that one of them alone has needs no more than its name.

    Returns
    -------
    Dimension

    Raises
    ------
    InputError
        A name that is no parameter or one of the prices, an unreadable, empty or repeated value.
    """
    name, equals, values = text.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    if not equals or not values.strip():
        raise InputError("has no values", "give name=a,b,c or name=low:high:step", "grid", text)
    if config is not None and (name not in PARAMETERS or name in strangers(config)):
        name = full_name(config, name)
    if name.startswith(tuple(OWNERS)):
        if ":" in values and "{" not in values:
            return _range(name, text, [part.strip() for part in values.split(":")])
        return Dimension(name, _each_once(text, tuple(_literal(part.strip()) for part in values.split(","))))
    if name not in PARAMETERS:
        make_config({name: values})  # raises, with the nearest name
    if name in shown_parameters(*GROUPS["prices"]):
        raise InputError(
            f"grid={text!r}: {name} chooses the prices, which are the same for every try",
            f"give {PARAMETERS[name].flag} once, and another --storage for each value",
        )
    if ":" in values and Dimension(name, ()).numeric:
        return _range(name, text, [part.strip() for part in values.split(":")])
    return Dimension(name, _each_once(text, tuple(parse_value(name, part.strip()) for part in values.split(","))))


def _each_once(text: str, found: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(map(str, found))) < len(found):
        raise InputError("has a value twice", "give each once", "grid", text)
    return found


def _literal(text: str) -> Any:
    """A value of an argument of the user's own: a Python literal, else the text as it is. Nothing in it is run."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _number(name: str, text: str) -> Any:
    """A number of a range: of an argument of a rule, whole where it is written so."""
    return _literal(text) if name.startswith(tuple(OWNERS)) else parse_value(name, text)


def _range(name: str, text: str, parts: list[str]) -> Dimension:
    try:
        numbers = [Decimal(part) for part in parts]
    except InvalidOperation:
        numbers = []
    if len(numbers) not in (2, 3) or not all(number.is_finite() for number in numbers):
        raise InputError("is no range", f"give {name}=low:high:step", "grid", text)
    low, high = numbers[:2]
    if low > high:
        raise InputError(f"grid={text!r}: {low} is above {high}", "give low:high:step")
    if name.startswith(tuple(OWNERS)):
        whole = all(re.fullmatch(r"[+-]?\d+", part) for part in parts)
    else:
        whole = isinstance(PARAMETERS[name].default, int)
    if len(numbers) == 2 and whole:
        numbers.append(Decimal(1))
    if len(numbers) == 2 and low < high:
        return Dimension(name, None, _number(name, parts[0]), _number(name, parts[1]))
    step = numbers[2] if len(numbers) == 3 else Decimal(1)
    if step <= 0:
        raise InputError(f"grid={text!r}: step {step} is not above zero", "give low:high:step")
    if whole:
        for number in (low, high, step):
            _number(name, f"{number:f}")
    count = int((high - low) / step) + 1
    if count > MOST:
        raise InputError(f"has more than {MOST} values", "give a larger step", "grid", text)
    return Dimension(name, tuple(_number(name, f"{low + k * step:f}") for k in range(count)))


def check_dimensions(dimensions: Sequence[Dimension]) -> None:
    """InputError for none, or two of one name."""
    if not dimensions:
        raise InputError("grid is empty", "give at least one, e.g. --grid target_vol=0.08,0.10,0.12")
    names = [dimension.name for dimension in dimensions]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"grid: {name} is given twice", "give all its values at once")


def grid(dimensions: Sequence[Dimension]) -> list[Params]:
    """Every point, the last dimension moving fastest. InputError for a dimension without steps, or too many points."""
    check_dimensions(dimensions)
    for dimension in dimensions:
        if dimension.values is None:
            raise InputError(
                "has no step", f"give {dimension.name}=low:high:step, or --trials N", "grid", str(dimension)
            )
    count = size(dimensions)
    if count > MOST:
        raise InputError(f"grid has {count:.0f} points", "give fewer values, or --trials N")
    names = [dimension.name for dimension in dimensions]
    axes = [dimension.values or () for dimension in dimensions]
    return [dict(zip(names, point, strict=True)) for point in itertools.product(*axes)]


def size(dimensions: Sequence[Dimension]) -> float:
    """Number of points, inf with a dimension that has bounds only."""
    return math.prod(math.inf if dimension.values is None else len(dimension.values) for dimension in dimensions)


def draw(dimensions: Sequence[Dimension], trials: int, seed: int = 0) -> list[Params]:
    """Distinct points spread evenly over the grid, without regard to any result: a pure function of its arguments.

    A scrambled Sobol sequence (Sobol 1967, Owen 1998): values are taken by their position, bounds linearly. It is
    preferred to a Latin hypercube because it goes on: more points of the same seed begin with those of fewer, so that a
    study that has grown finds what it has tried.

    Parameters
    ----------
    dimensions : sequence of Dimension
    trials : int
        Number of points.
    seed : int
        Of the scrambling, from 0.

    Returns
    -------
    list of Params

    Raises
    ------
    InputError
        More points than there are, or than `MOST`; a negative seed.
    """
    check_dimensions(dimensions)
    if seed < 0:
        raise InputError("is too small", "give a whole number >= 0", "sweep_seed", seed)
    if trials < 1:
        raise InputError("is not a number of tries", "give a whole number >= 1", "trials", trials)
    count = size(dimensions)
    if trials > count:
        raise InputError(f"is more than the {count:.0f} points", "give fewer, or no --trials for all", "trials", trials)
    if trials > MOST:
        raise InputError(f"is more than {MOST}", "give fewer", "trials", trials)
    from scipy.stats import qmc  # half a second, which every command would wait for

    sequence = qmc.Sobol(len(dimensions), scramble=True, rng=np.random.default_rng(seed))
    found: dict[str, Params] = {}
    while len(found) < trials:
        for place in sequence.random(BLOCK):
            point = {d.name: _value_at(d, float(x)) for d, x in zip(dimensions, place, strict=True)}
            found.setdefault(repr(point), point)
        if sequence.num_generated > ENOUGH + 64 * trials:  # bounds that are a few roundings apart
            raise InputError(f"is more than the {len(found)} points found", "give fewer", "trials", trials)
    return list(found.values())[:trials]


def _value_at(dimension: Dimension, x: float) -> Any:
    """The value at `x` of 0 .. 1, 1 excluded."""
    if dimension.values is not None:
        return dimension.values[int(x * len(dimension.values))]
    return dimension.low + x * (dimension.high - dimension.low)


def points_of(dimensions: Sequence[Dimension], trials: int | None = None, seed: int = 0) -> list[Params]:
    """What a sweep tries: every point of a grid, or `trials` of them.

    Parameters
    ----------
    dimensions : sequence of Dimension
    trials : int, optional
    seed : int
        As `draw`.

    Returns
    -------
    list of Params

    Raises
    ------
    InputError
        As `grid` and `draw`.
    """
    return grid(dimensions) if trials is None else draw(dimensions, trials, seed)
