"""Flags that `sweep` and `walkforward` share: what is tried, and where."""

import argparse
from typing import Any

from riskoverlay.errors import require

from ..sweep import CRITERIA, Dimension, parse_dimension
from ..workbench.parameters import Config
from .flags import add_engine, add_workers

__all__ = ["add_tries", "tries_of"]


def add_tries(command: argparse.ArgumentParser) -> None:
    """The flags of tries."""
    group = command.add_argument_group("tries")
    group.add_argument(
        "--grid", action="append", required=True, metavar="NAME=VALUES",
        help="a parameter, or an argument of your rule or strategy, and its values, a,b,c or low:high:step; once each",
    )  # fmt: skip
    group.add_argument(
        "--trials", type=int, metavar="N",
        help="try N points, spread evenly over the grid, of which low:high may be bounds (default: every point)",
    )  # fmt: skip
    group.add_argument("--sweep-seed", type=int, default=0, metavar="N", help="seed of --trials (default 0)")
    group.add_argument("--criterion", default="sharpe", choices=CRITERIA, help="what is best (default sharpe)")
    add_engine(group, "the account as one loop, checked through Cerebro", "every try through it")
    group.add_argument("--study", default="sweep", metavar="NAME", help="name in the storage (default sweep)")
    add_workers(group)
    group.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that runs the tries")


def tries_of(options: argparse.Namespace, config: Config) -> tuple[list[Dimension], dict[str, Any]]:
    """What is tried, and where.

    Parameters
    ----------
    options : argparse.Namespace
    config : Config
        Whose rule of weights or strategy it is.

    Returns
    -------
    dimensions : list of Dimension
    where : dict
        Arguments of `sweep` and `walkforward`.

    Raises
    ------
    InputError
        A dimension that cannot be read.
    MissingExtraError
        Tries are to be kept, and SQLAlchemy is not installed.
    """
    dimensions = [parse_dimension(text, config) for text in options.grid]
    if options.storage is not None:
        require("sqlalchemy", "sweep", "a storage of tries")
    names = ("trials", "criterion", "storage", "study", "engine", "workers", "dask")
    return dimensions, {"seed": options.sweep_seed, **{name: getattr(options, name) for name in names}}
