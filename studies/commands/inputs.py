"""The files that a command reads, or keeps tries in: no output may take the place of one."""

import argparse
from pathlib import Path

from riskoverlay.feeds.cache import Cache
from riskoverlay.feeds.files import files_of

from ..workbench.beside import parse_benchmark
from ..workbench.loans import is_financing_file
from ..workbench.parameters import Config
from ..workbench.rates import IRX
from ..workbench.runs import symbols_read

__all__ = ["inputs_of"]

_BESIDE = ("", "-journal", "-wal", "-shm")  # what SQLite keeps beside its file


def inputs_of(options: argparse.Namespace, config: Config) -> list[tuple[str, str | Path]]:
    """The files that a command reads, or keeps tries in.

    Parameters
    ----------
    options : argparse.Namespace
    config : Config

    Returns
    -------
    list of (str, str or Path)
        What a file is, and its name.

    Raises
    ------
    InputError
        A symbol or a benchmark that is none.
    """
    found: list[tuple[str, str | Path]] = []
    if options.config:
        found.append(("the config file", options.config))
    symbols = [*symbols_read(config), IRX]
    for text in getattr(options, "benchmark", ()):
        symbols += parse_benchmark(text).weights
    if config["data_dir"]:
        found += [("the price file", path) for path in files_of(config["data_dir"], symbols)]
    elif config["source"] == "yahoo":
        cache = Cache(options.cache_dir) if options.cache_dir else Cache()
        found += [("the cached price file", cache.path(symbol)) for symbol in symbols]
    terms = getattr(options, "financing", None)
    if is_financing_file(terms):
        found.append(("the file of the loan's terms", terms))
    weights = str(config["weights"])
    if ".py:" in weights or weights.lower().endswith(".csv"):
        found.append(("the file of weights", weights.partition(".py:")[0] + (".py" if ".py:" in weights else "")))
    for text in (config["strategy"], config["sizer"], *getattr(options, "analyzer", ())):
        if text:
            found.append(("the strategy's file", text.partition(".py:")[0] + ".py"))
    return found + [("the storage", name) for name in _storage(getattr(options, "storage", None))]


def _storage(name: str | None) -> list[str]:
    """The files of a storage that is one; a database elsewhere has none."""
    if not name:
        return []
    scheme, separator, rest = name.partition("://")
    if not separator:
        return [name + more for more in _BESIDE]
    return [rest.removeprefix("/") + more for more in _BESIDE] if scheme.startswith("sqlite") else []
