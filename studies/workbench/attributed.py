"""Where dynamic's growth beyond base comes from, term by term."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.analyzers import TERMS, deciding_term
from riskoverlay.conventions import PERIODS

from .portfolios import Backtest
from .runs import Run

__all__ = ["ATTRIBUTED", "Attributed", "attributed", "attributed_in_words", "attributed_summary"]

ATTRIBUTED = ("base", "constant", "dynamic")
"""Portfolios whose growth is taken apart."""

SHOWN = 5e-5
"""Log growth a year below which a term is not named: it would be printed as 0.00 %."""


@dataclass(frozen=True)
class Attributed:
    """Log growth of the portfolios as a sum of terms, over the sessions that count for all.

    Attributes
    ----------
    terms : DataFrame of shape (n_terms, 3)
        Log growth a year by term of `TERMS` and portfolio of `ATTRIBUTED`; fractions.
    by_year : DataFrame of shape (n_years, n_terms)
        Dynamic − base, log growth of each calendar year.
    """

    terms: pd.DataFrame
    by_year: pd.DataFrame

    @property
    def difference(self) -> pd.Series:
        """Dynamic − base by term, log growth a year."""
        return self.terms["dynamic"] - self.terms["base"]

    @property
    def decided(self) -> str:
        """The term of the difference that decided: `deciding_term`."""
        return deciding_term({str(name): float(value) for name, value in self.difference.items()})


def attributed(result: Backtest) -> Attributed | None:
    """Take the growth of a result apart.

    Parameters
    ----------
    result : Backtest

    Returns
    -------
    Attributed or None
        None without an overlay, and of an account that was ruined.
    """
    if not result.overlaid:
        return None
    first = max(result.runs[name].first for name in ATTRIBUTED)
    parts = {name: _counted(result.runs[name], first) for name in ATTRIBUTED}
    if not all(np.isfinite(part.to_numpy()).all() for part in parts.values()):
        return None
    terms = pd.DataFrame({name: part.sum() * PERIODS / len(part) for name, part in parts.items()})
    apart = parts["dynamic"] - parts["base"]
    used = [str(name) for name in terms.index if bool((terms.loc[name] != 0.0).any())]
    by_year = apart[used].groupby(pd.DatetimeIndex(apart.index).year).sum()
    return Attributed(terms.loc[used], by_year)


def _counted(run: Run, first: pd.Timestamp) -> pd.DataFrame:
    """Contributions to log growth by session and term."""
    found = pd.DataFrame(run.attribution["contributions"], index=run.sessions)
    return found.loc[first:, list(TERMS)]


def attributed_in_words(found: Attributed) -> str:
    """One sentence: what each term gave or took, and which decided.

    Parameters
    ----------
    found : Attributed

    Returns
    -------
    str
    """
    apart = found.difference
    named = [f"{_words(str(name))} {_signed(value)}" for name, value in _by_size(apart) if abs(value) >= SHOWN]
    return (
        f"Dynamic − base in log growth a year, {_signed(float(apart.sum()))} %: {', '.join(named)}. "
        f"What decided: {_words(found.decided)}."
    )


def _by_size(apart: pd.Series) -> list[tuple[Any, float]]:
    return sorted(apart.items(), key=lambda item: -abs(item[1]))


def _words(term: str) -> str:
    return TERMS[term]


def _signed(value: float) -> str:
    return f"{100 * value:+.2f}".replace("-", "−")


def attributed_summary(found: Attributed) -> Mapping[str, Any]:
    """For `write_json`: log growth a year by term and portfolio, dynamic − base, also by year; fractions.

    Parameters
    ----------
    found : Attributed

    Returns
    -------
    dict
    """
    years = {str(year): row.to_dict() for year, row in found.by_year.iterrows()}
    return {
        **{str(name): found.terms[name].to_dict() for name in found.terms},
        "dynamic_minus_base": found.difference.to_dict(),
        "by_year": years,
        "decided": found.decided,
    }
