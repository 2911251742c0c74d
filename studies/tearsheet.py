"""QuantStats' page of dynamic against base."""

from __future__ import annotations

import importlib.util
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .backtest import Backtest
from .outputs import write_file

__all__ = ["check_tearsheet", "write_tearsheet"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""QuantStats' page asks for an icon on its author's server and calls a script that is not in it: neither is let."""


def check_tearsheet() -> None:
    """ImportError, with the cure, when QuantStats is missing: to be asked before a long run."""
    if importlib.util.find_spec("quantstats") is None:
        raise ImportError(
            "a tearsheet needs quantstats: install it with pip install 'backtrader-riskoverlay[report]'"
        )


def write_tearsheet(path: str | Path, result: Backtest) -> None:
    """Write QuantStats' HTML of the returns that count, base as the benchmark, and nothing that asks the network.

    Its Sharpe ratio is mean/std(ddof=1)·√252: not ours (see `analyzers.sharpe_ratio`). Its maximum drawdown is ours.
    ImportError without QuantStats; ValueError as `write_file`.
    """
    check_tearsheet()
    title = "Dynamic against base" + (
        ", synthetic market: nothing here happened" if result.panel.synthetic else ""
    )

    def write(temporary: Path) -> None:
        with _quiet():
            from quantstats import reports

            reports.html(
                result.dynamic.returns.rename("dynamic"),
                benchmark=result.base.returns.rename("base"),
                output=str(temporary),
                title=title,
                strategy_title="dynamic",
                benchmark_title="base",
            )
        page = temporary.read_text(encoding="utf-8")
        temporary.write_text(_closed(page), encoding="utf-8")

    write_file(path, write)


def _closed(page: str) -> str:
    """The page without its icon and its script, under a policy that lets nothing out."""
    page = re.sub(r'<link rel="shortcut icon"[^>]*>', "", page).replace('<body onload="save()">', "<body>")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><link rel="icon" href="data:,">'
    return page.replace("<head>", f"<head>\n    {policy}", 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """QuantStats draws with pyplot and asks for fonts that few machines have: no window, no complaints."""
    import matplotlib

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    backend = matplotlib.get_backend()
    try:
        matplotlib.use("Agg")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        matplotlib.use(backend)
        fonts.setLevel(level)
