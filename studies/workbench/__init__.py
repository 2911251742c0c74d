"""What every study is made with: parameters, one assembly of a Cerebro, backtest, workers, outputs."""

from .assembly import ANALYZERS, assemble, our_sizer, our_strategy, set_up
from .outputs import write_file, write_json
from .parameters import GROUPS, PARAMETERS, Config, make_config, parse_value, values_of
from .runs import UNLEVERED, Backtest, Run, backtest, load_panel, simulate
from .summaries import backtest_summary, read_config, series_frame
from .workers import open_workers

__all__ = [
    "ANALYZERS",
    "GROUPS",
    "PARAMETERS",
    "UNLEVERED",
    "Backtest",
    "Config",
    "Run",
    "assemble",
    "backtest",
    "backtest_summary",
    "load_panel",
    "make_config",
    "open_workers",
    "our_sizer",
    "our_strategy",
    "parse_value",
    "read_config",
    "series_frame",
    "set_up",
    "simulate",
    "values_of",
    "write_file",
    "write_json",
]
