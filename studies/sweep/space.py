"""Which parameters are tried: dimensions given as text, every point of their grid, or points that TPE proposes."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from riskoverlay.errors import InputError
from riskoverlay.feeds import PriceSelection

from ..workbench.parameters import PARAMETERS, make_config, parse_value, shown_parameters

__all__ = ["MOST", "Dimension", "Params", "check_dimensions", "distributions", "grid", "parse_dimension", "propose"]

MOST = 100_000
"""Points beyond which a grid is taken for a slip of the keyboard."""

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
        Bounds of a search.
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
        default = PARAMETERS[self.name].default
        words = any(isinstance(value, str) for value in self.values or ())  # a dated rate
        return isinstance(default, (int, float)) and not isinstance(default, bool) and not words


def parse_dimension(text: str) -> Dimension:
    """A dimension from text.

    Parameters
    ----------
    text : str
        `name=a,b,c`, `name=low:high:step` (both ends included, in exact decimals) or, for a search, `name=low:high`.
        Whole numbers have a step of 1 unless another is given.

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
    if name not in PARAMETERS:
        make_config({name: values})  # raises, with the nearest name
    if name in shown_parameters(PriceSelection):
        raise InputError(
            f"grid={text!r}: {name} chooses the prices, which are the same for every try",
            f"give {PARAMETERS[name].flag} once, and another --storage for each value",
        )
    if ":" in values and Dimension(name, ()).numeric:
        return _range(name, text, [part.strip() for part in values.split(":")])
    found = tuple(parse_value(name, part.strip()) for part in values.split(","))
    if len(set(map(str, found))) < len(found):
        raise InputError("has a value twice", "give each once", "grid", text)
    return Dimension(name, found)


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
    if len(numbers) == 2 and isinstance(PARAMETERS[name].default, int):
        numbers.append(Decimal(1))
    if len(numbers) == 2:
        return Dimension(name, None, parse_value(name, parts[0]), parse_value(name, parts[1]))
    step = numbers[2]
    if step <= 0:
        raise InputError(f"grid={text!r}: step {step} is not above zero", "give low:high:step")
    if isinstance(PARAMETERS[name].default, int):
        for number in (low, high, step):
            parse_value(name, f"{number:f}")
    count = int((high - low) / step) + 1
    if count > MOST:
        raise InputError(f"has {count} values", "give a larger step", "grid", text)
    return Dimension(name, tuple(parse_value(name, f"{low + k * step:f}") for k in range(count)))


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
                "has no step", f"give {dimension.name}=low:high:step, or --search tpe", "grid", str(dimension)
            )
    count = size(dimensions)
    if count > MOST:
        raise InputError(f"grid has {count:.0f} points", "give fewer values, or --search tpe --trials N")
    names = [dimension.name for dimension in dimensions]
    axes = [dimension.values or () for dimension in dimensions]
    return [dict(zip(names, point, strict=True)) for point in itertools.product(*axes)]


def size(dimensions: Sequence[Dimension]) -> float:
    """Number of points, inf with a dimension that has bounds only."""
    return math.prod(math.inf if dimension.values is None else len(dimension.values) for dimension in dimensions)


# -- Optuna ------------------------------------------------------------------------------------------------------------


def distributions(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Optuna's description of the dimensions, numbers as ranges so that its plots have axes."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for dimension in dimensions:
        if not dimension.numeric:
            found[dimension.name] = CategoricalDistribution(dimension.values or ())
            continue
        values = dimension.values or (dimension.low, dimension.high)
        kind = IntDistribution if isinstance(PARAMETERS[dimension.name].default, int) else FloatDistribution
        found[dimension.name] = kind(min(values), max(values))
    return found


def propose(
    dimensions: Sequence[Dimension], history: Sequence[tuple[Params, float | None]], *, count: int, seed: int
) -> list[Params]:
    """The next points of the tree-structured Parzen estimator: a pure function of history and seed.

    No point comes twice, so fewer than `count` come when the grid is used up. Each point has a sampler of its own,
    seeded by the search's seed and the number of the point: a search that was stopped proposes the same again.

    Parameters
    ----------
    dimensions : sequence of Dimension
    history : sequence of (Params, float or None)
        Points tried and what each was worth (more is better), None for one that failed.
    count : int
        How many are asked for before the first of them is known.
    seed : int
        Of the search.

    Returns
    -------
    list of Params
    """
    import optuna

    check_dimensions(dimensions)
    asked = _asked(dimensions)
    study = optuna.create_study(direction="maximize")
    for params, value in history:
        if value is not None:
            study.add_trial(
                optuna.trial.create_trial(params=_to_optuna(dimensions, params), distributions=asked, value=value)
            )
    seen = {_key(params) for params, _ in history}
    points: list[Params] = []
    for number in range(len(history), len(history) + count):
        if len(seen) >= size(dimensions):
            break
        draw = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=draw)
        for _ in range(50):
            params = _from_optuna(dimensions, study.ask(asked).params)
            if _key(params) not in seen:
                break
        else:  # it insists on what is known: any other point is news
            left = [point for point in grid(dimensions) if _key(point) not in seen]
            params = left[draw % len(left)]
        seen.add(_key(params))
        points.append(params)
    return points


def _key(params: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(map(repr, params.values()))


def _asked(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Numbers on a grid are asked for by position: steps of binary fractions would miss them by a rounding."""
    from optuna.distributions import IntDistribution

    found = distributions(dimensions)
    for dimension in dimensions:
        if dimension.numeric and dimension.values is not None:
            found[dimension.name] = IntDistribution(0, len(dimension.values) - 1)
    return found


def _to_optuna(dimensions: Sequence[Dimension], params: Params) -> Params:
    return {
        d.name: d.values.index(params[d.name]) if d.numeric and d.values is not None else params[d.name]
        for d in dimensions
    }


def _from_optuna(dimensions: Sequence[Dimension], params: Params) -> Params:
    return {
        d.name: d.values[params[d.name]] if d.numeric and d.values is not None else params[d.name] for d in dimensions
    }
