"""What is printed: lines, tables, bars that move on, and notes on stderr."""

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel

from ..workbench.captions import universe_in_words
from .moving import Moving

__all__ = ["Screen", "shown"]

SYNTHETIC = "Synthetic market: made-up prices with the moments of the real ones. Nothing here happened."

Advance = Callable[[int], None]


class _Printer(Console):
    """rich's console, which leaves with status 1, that of findings, when nobody reads on, and breaks on a full disk."""

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
        except OSError as error:
            with suppress(OSError, ValueError):  # what is left to be flushed at the end goes nowhere, without a word
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
            raise InputError(f"stdout cannot be written ({error.strerror})", "give it a reader, or room") from None


class Screen:
    """A terminal or a pipe; a pipe gets plain text and no bars.

    Parameters
    ----------
    quiet : bool
        Print nothing but notes and errors.
    no_color : bool, optional
        Plain text on a terminal, too: no colour, nothing bold, no escape of any kind (default: if the environment has
        a NO_COLOR that is not empty).
    """

    def __init__(self, quiet: bool = False, no_color: bool | None = None) -> None:
        plain = bool(os.environ.get("NO_COLOR")) if no_color is None else no_color
        self._console = _Printer(soft_wrap=False, quiet=quiet, color_system=None if plain else "auto")

    def line(self, text: str, style: str | None = None) -> None:
        """Print a line, wrapped; nothing in it is read as markup.

        Parameters
        ----------
        text : str
        style : str, optional
            Of rich's.
        """
        self._console.print(text, style=style, highlight=False, markup=False)

    def synthetic(self, panel: Panel) -> None:
        """Say that prices are made up, if they are."""
        if panel.synthetic:
            self.line(SYNTHETIC, style="yellow")

    def window(self, panel: Panel) -> None:
        """Say from which bar to which a run went: what `start` and `end` have made of the prices."""
        first, last = panel.sessions[0], panel.sessions[-1]
        self.line(f"Bars from {first:%Y-%m-%d} to {last:%Y-%m-%d}, {len(panel.sessions)} sessions.")
        for line in universe_in_words(panel):
            self.line(f"{line}.")

    def table(
        self,
        titles: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        left: Sequence[str] = (),
        fold: bool = False,
        dim_under: bool = False,
        min_width: int | None = None,
    ) -> None:
        """Print a table.

        Parameters
        ----------
        titles : sequence of str
        rows : iterable of sequence of str
        left : sequence of str
            Titles of columns of text, beside the first; numbers are set to the right.
        fold : bool
            Break what is too wide inside of words.
        dim_under : bool
            Print the first cell of every second row dimly: it explains the one above.
        min_width : int, optional
            Of the columns of numbers.
        """
        padding = (0, 1, 0, 0) if dim_under else (0, 1)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=padding)
        for i, title in enumerate(titles):
            text = i == 0 or title in left or not title
            table.add_column(
                escape(title),
                justify="left" if text else "right",
                overflow="fold" if fold else "ellipsis",
                min_width=34 if dim_under and i == 0 else None if text else min_width,
            )
        for number, row in enumerate(rows):
            first, *rest = map(escape, row)
            table.add_row(f"[dim]{first}[/dim]" if dim_under and number % 2 else first, *rest)
        self._console.print(table)

    def notes(self, sentences: Iterable[str]) -> None:
        """Print notes on stderr."""
        for sentence in sentences:
            print(f"note: {sentence}", file=sys.stderr)

    # -- what moves ----------------------------------------------------------------------------------------------------

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance | None]:
        """A bar with the time on a terminal, nothing in a pipe.

        Parameters
        ----------
        what : str
        total : int
            Steps.

        Yields
        ------
        callable or None
            To be called with the number of steps done since the last call.
        """
        with self._moving(what, total) as moving:
            yield moving.advance if moving is not None else None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """What is being done and for how long, on a terminal, where nothing is counted.

        Parameters
        ----------
        what : str
        """
        with self._moving(what):
            yield

    @contextmanager
    def prices(self, count: int) -> Iterator[Callable[[str], None] | None]:
        """A bar that names each symbol as its prices come, on a terminal.

        Parameters
        ----------
        count : int
            Symbols that are asked for; those of rates may come on top.

        Yields
        ------
        callable or None
            To be called with each symbol.
        """
        with self._moving("prices", count) as moving:
            yield moving.arrive if moving is not None else None

    @contextmanager
    def _moving(self, what: str, total: int | None = None) -> Iterator[Moving | None]:
        file = self._console.file
        if self._console.quiet or not file.isatty():
            yield None
            return
        # Its thread makes the processes of a ladder begin from nothing, a tenth of its time: they cannot be forked.
        with Moving(file, what, total, width=self._console.width) as moving:
            yield moving


def shown(shape: str, value: float) -> str:
    """A number as it is printed; what a run has none of, such as a ratio to nothing, is a dash.

    Parameters
    ----------
    shape : str
        For `str.format`.
    value : float

    Returns
    -------
    str
    """
    return shape.format(value) if math.isfinite(value) else "–"
