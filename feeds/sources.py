"""One call for every source of daily bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .files import read_csv_folder, read_parquet, read_wide_csv
from .panel import Panel, align
from .sample import SAMPLE_END, SAMPLE_START, sample_market
from .symbols import DEFAULT_SYMBOLS, check_symbols
from .window import between, check_window
from .yahoo import read_yahoo

__all__ = ["SOURCES", "load"]

_FILES = {"csv": read_csv_folder, "parquet": read_parquet, "wide": read_wide_csv}
SOURCES = ("sample", "csv", "yahoo", "parquet", "wide")


def load(
    source: str = "sample",
    symbols: Sequence[str] | str | None = None,
    start: object = "2010-01-01",
    end: object = None,
    data_dir: str | Path | None = None,
    seed: int = 63,
) -> Panel:
    """The validated, aligned bars of `symbols` from `source`.

    source: where the bars are from: sample (a synthetic market), csv (folder of SYMBOL.csv), parquet (folder
        or file), wide (one wide CSV) or yahoo
    symbols: names of the assets, separated by commas (default SPY,QQQ,IWM,EFA,EEM,TLT,LQD,GLD)
    start: first day, included; the sample market opens on 2010-01-04, or on an earlier start, which makes
        another market of it
    end: last day, included (default: the last there is)
    data_dir: folder or file with the prices, for csv, parquet and wide
    seed: whole number from which the sample market is drawn

    Raises ValueError and FileNotFoundError, in one line, for whatever argument or file is not right.
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r} is unknown: give one of {', '.join(SOURCES)}")
    if source in _FILES and data_dir is None:
        raise ValueError(f"source={source!r} needs data_dir: give the folder or file with the prices")
    if source not in _FILES and data_dir is not None:
        raise ValueError(
            f"data_dir={str(data_dir)!r} is not read by source={source!r}: give one of {', '.join(_FILES)}"
        )
    names = check_symbols(DEFAULT_SYMBOLS if symbols is None else symbols)
    first, last = check_window(start, end)
    if source == "sample":
        opening = pd.Timestamp(SAMPLE_START) if first is None else min(first, pd.Timestamp(SAMPLE_START))
        market = sample_market(names, opening, pd.Timestamp(SAMPLE_END) if last is None else last, seed)
        return market.between(first, last)
    frames = _FILES[source](data_dir, names) if data_dir is not None else read_yahoo(names, first, last)
    frames = {symbol: between(frame, first, last, symbol) for symbol, frame in frames.items()}
    return align(frames, source=source)
