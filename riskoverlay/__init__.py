"""Risk parity, minimum variance and a volatility-target × drawdown overlay for backtrader.

The rooms of the house are `riskoverlay.strategies`, `.analyzers`, `.feeds` and `.studies`. An installed copy has them
in this folder; in a checkout they stand beside it, and this file adds the folder above to where they are looked for.
"""

from pathlib import Path

__all__ = ["__version__"]

__version__ = "0.2.0"

if not (Path(__file__).parent / "strategies").is_dir():
    __path__.append(str(Path(__file__).parents[1]))
