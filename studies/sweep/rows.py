"""A finished try as a row: what it is found by, its numbers to the last bit, and a checksum over all of it."""

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.feeds import Panel
from riskoverlay.strategies import Financing

from ..workbench.allocations import files_of
from ..workbench.parameters import GROUPS, PARAMETERS, Config, make_config, shown_parameters
from ..workbench.summaries import with_older_meanings
from ..workbench.theirs import described
from .tries import Outcome

__all__ = ["NAMES", "checksum", "key_of", "key_of_row", "pack", "prices_hash", "row_of", "unpack"]

PRICES = frozenset(shown_parameters(*GROUPS["prices"]))
NAMES = tuple(name for name in PARAMETERS if name not in PRICES)
"""Every parameter but those that choose the prices."""


def key_of(config: Config) -> str:
    """What a try is found by: a hash of every parameter but those that choose the prices.

    Parameters
    ----------
    config : Config
        With the rates that `auto` came to.

    Returns
    -------
    str
    """
    return _hash(_text_of(config))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text_of(config: Config) -> str:
    """Every parameter that makes a try, of its type, as JSON; a rate by date as its dates and numbers."""

    def plain(value: Any) -> Any:
        if value is None or isinstance(value, (str, int, float)):
            return value
        if isinstance(value, (type, tuple)):
            return described(value)
        if isinstance(value, Mapping):
            value = pd.Series(dict(value))
        return [[str(day), float(rate)] for day, rate in value.items()] if isinstance(value, pd.Series) else value

    def plain_terms(terms: Any) -> Any:
        """Of a loan: by name, its benchmark perhaps by date."""
        return {name: plain(one) for name, one in terms.written().items()} if isinstance(terms, Financing) else terms

    named = {name: plain(value) if name != "financing" else plain_terms(value)
             for name, value in make_config(config).items() if name in NAMES}  # fmt: skip
    named |= {f"file {name}": digest for name, digest in files_of(config).items()}
    return json.dumps(named, sort_keys=True, default=repr)


def row_of(study: str, config: Config, outcome: Outcome) -> dict[str, Any]:
    """A try that has just finished, by column.

    Parameters
    ----------
    study : str
    config : Config
        Its whole configuration.
    outcome : Outcome

    Returns
    -------
    dict
    """
    text = _text_of(config)
    row = {
        "study": study,
        "key": _hash(text),
        "config": text,
        "statistics": json.dumps({name: float(value) for name, value in outcome.statistics.items()}),
        "returns": outcome.returns.astype("<f8").tobytes(),
        "reason": outcome.reason,
        "seconds": float(outcome.seconds),
        "finished_at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
    }
    return row | {"checksum": checksum(row)}


def checksum(row: Mapping[str, Any]) -> str:
    """sha256 over the content of a row, its checksum left out."""
    digest = hashlib.sha256()
    for name in sorted(name for name in row if name != "checksum"):
        value = row[name]
        content = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def key_of_row(row: Mapping[str, Any], number: int) -> str | None:
    """What a try that is kept is found by today.

    Parameters
    ----------
    row : mapping
    number : int
        Format of its study.

    Returns
    -------
    str or None
        None: nobody knows what it was run with.
    """
    said = json.loads(row["config"])
    meant = {name: value for name, value in with_older_meanings(said, number).items() if name not in PRICES}
    if meant.keys() != set(NAMES):
        return None
    return str(row["key"]) if meant.keys() == said.keys() else key_of(meant)


def pack(returns: npt.NDArray[np.float64]) -> str:
    """Numbers as text, to the last bit."""
    return base64.b64encode(returns.astype("<f8").tobytes()).decode()


def unpack(text: str) -> npt.NDArray[np.float64]:
    """What `pack` was given."""
    return np.frombuffer(base64.b64decode(text), dtype="<f8").astype(float)


def prices_hash(panel: Panel) -> str:
    """Of bars and dated rates."""
    digest = hashlib.sha256(panel.sha256.encode())
    for name, rate in panel.rates.items():
        digest.update(name.encode())
        digest.update(pd.DatetimeIndex(rate.index).to_numpy().astype("datetime64[D]").astype("<i8").tobytes())
        digest.update(rate.to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()
