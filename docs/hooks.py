"""What mkdocs does beside its own: the tables of parameters, and the sources of the API pages."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROOMS = ("strategies", "analyzers", "feeds", "studies")
MARKER = "<!-- parameters -->"
MARKER_OF_CEREBRO = "<!-- parameters of Cerebro only -->"

_sources = tempfile.TemporaryDirectory(prefix="riskoverlay-docs-")


def on_config(config: Any) -> Any:
    """Let mkdocstrings read the checkout, whatever is installed.

    It reads files and does not follow `__path__`, so the package is copied with its rooms inside.
    """
    package = Path(_sources.name) / "riskoverlay"
    ignored = shutil.ignore_patterns("__pycache__")
    for folder, place in ((ROOT / "riskoverlay", package), *((ROOT / room, package / room) for room in ROOMS)):
        shutil.copytree(folder, place, ignore=ignored, dirs_exist_ok=True)
    if _sources.name not in sys.path:
        sys.path.insert(0, _sources.name)
    handlers = config.plugins["mkdocstrings"].config.handlers
    handlers.setdefault("python", {})["paths"] = [_sources.name]
    return config


on_config.mkdocs_priority = 100  # type: ignore[attr-defined]  # before mkdocstrings reads its configuration


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in the place of their markers."""
    return with_tables(markdown)


def with_tables(markdown: str) -> str:
    """A page with a table for each marker.

    Parameters
    ----------
    markdown : str

    Returns
    -------
    str
    """
    if MARKER in markdown:
        markdown = markdown.replace(MARKER, tables())
    if MARKER_OF_CEREBRO in markdown:
        markdown = markdown.replace(MARKER_OF_CEREBRO, table_of_cerebro())
    return markdown


def tables() -> str:
    """A table for each group of parameters that the command line has."""
    from riskoverlay.studies.workbench import GROUPS, shown_parameters

    parts = []
    for title, rules in GROUPS.items():
        parts.append(f"## {title.capitalize()}\n\n{_table(shown_parameters(*rules).values())}")
    return "\n\n".join(parts)


def table_of_cerebro() -> str:
    """The parameters that only backtrader's `params` have."""
    from riskoverlay.studies.workbench import GROUPS

    described = [about for rules in GROUPS.values() for one in rules for about in one.described().values()]
    return _table([about for about in described if not about.shown])


def _table(parameters: Iterable[Any]) -> str:
    lines = ["| parameter | default | unit | bounds | meaning |", "|---|---|---|---|---|"]
    for about in parameters:
        bounds = about.bounds and f"`{about.bounds}`"
        meaning = about.help.replace("|", "\\|")
        default = f"`{about.default}`"
        lines.append(f"| `{about.name}` | {default} | {about.unit} | {bounds} | {meaning} |")
    return "\n".join(lines)
