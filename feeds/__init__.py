"""Bars in: validated, aligned daily bars from files, Yahoo or a synthetic market, and a feed that is fast."""

if __name__ != "riskoverlay.feeds":
    raise ImportError(f"{__name__} is riskoverlay.feeds: import it by that name")


from .adjust import adjust
from .alignment import align
from .bars import PanelFeed, RawPanelFeed
from .cache import Cache
from .files import read_csv_folder, read_parquet, read_wide_csv
from .leveraged import FundTerms, LeveragedFund, leveraged, parse_funds, with_leveraged
from .membership import read_members
from .panel import Panel
from .quality import Finding, check_bars, quality
from .sample import SAMPLE_SYMBOLS, sample_market, sample_states
from .sample_rate import sample_rate
from .sources import SOURCES, PriceSelection, load, load_raw, selected_symbols
from .symbols import DEFAULT_SYMBOLS, check_symbols
from .treatment import treatment
from .validation import validate
from .yahoo import read_yahoo

__all__ = [
    "DEFAULT_SYMBOLS",
    "SAMPLE_SYMBOLS",
    "SOURCES",
    "Cache",
    "Finding",
    "FundTerms",
    "LeveragedFund",
    "Panel",
    "PanelFeed",
    "PriceSelection",
    "RawPanelFeed",
    "adjust",
    "align",
    "check_bars",
    "check_symbols",
    "leveraged",
    "load",
    "load_raw",
    "parse_funds",
    "quality",
    "read_csv_folder",
    "read_members",
    "read_parquet",
    "read_wide_csv",
    "read_yahoo",
    "sample_market",
    "sample_rate",
    "sample_states",
    "selected_symbols",
    "treatment",
    "validate",
    "with_leveraged",
]
