"""The criterion of a sweep over the two dimensions that it depends on most."""

import numpy as np

from .judged import Judged
from .space import Dimension
from .tries import CRITERIA

__all__ = ["heat"]


def heat(judged: Judged) -> tuple[Dimension, Dimension, np.ndarray] | None:
    """The criterion over the two dimensions that it depends on most.

    Parameters
    ----------
    judged : Judged

    Returns
    -------
    tuple or None
        Dimension of the rows, of the columns, and the best criterion of each cell, a year's, (n_rows, n_columns),
        nan where every try failed; of more dimensions the best over the others. None with fewer than two dimensions of
        several values.
    """
    result = judged.sweep
    worth = np.array([found[CRITERIA[result.criterion]] for found in result.statistics])
    wide = [d for d in result.dimensions if d.values is not None and len(d.values) > 1]
    if len(wide) < 2:
        return None

    def effect(dimension: Dimension) -> float:
        at = np.array([repr(one.params[dimension.name]) for one in result.good])
        return float(np.std([worth[at == value].mean() for value in set(at)]))

    chosen = sorted(wide, key=effect, reverse=True)[:2]
    rows, columns = (dimension for dimension in wide if dimension in chosen)
    cells = np.full((len(rows.values or ()), len(columns.values or ())), np.nan)
    for one, value in zip(result.good, worth, strict=True):
        i = (rows.values or ()).index(one.params[rows.name])
        j = (columns.values or ()).index(one.params[columns.name])
        cells[i, j] = np.fmax(cells[i, j], value)
    return rows, columns, cells
