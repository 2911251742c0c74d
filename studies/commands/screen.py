"""What is printed: lines, tables, bars that move on, and notes on stderr."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from riskoverlay.feeds import Panel

__all__ = ["Screen"]

SYNTHETIC = "Synthetic market: made-up prices with the moments of the real ones. Nothing here happened."

Advance = Callable[[int], None]


class Screen:
    """A terminal or a pipe; a pipe gets plain text and no bars.

    Parameters
    ----------
    quiet : bool
        Print nothing but notes and errors.
    no_color : bool, optional
        No colours on a terminal either.
    """

    def __init__(self, quiet: bool = False, no_color: bool | None = None) -> None:
        self._console = Console(soft_wrap=False, quiet=quiet, no_color=no_color)

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

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance | None]:
        """A bar on a terminal, nothing in a pipe.

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
        if not self._console.is_terminal:
            yield None
            return
        columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        # Without a thread that redraws it: a process with threads cannot be forked.
        with Progress(*columns, console=self._console, transient=True, auto_refresh=False) as bar:
            task = bar.add_task(what, total=total)

            def advance(steps: int) -> None:
                bar.advance(task, steps)
                bar.refresh()

            bar.refresh()
            yield advance

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
        if not self._console.is_terminal:
            yield None
            return
        columns = (TextColumn("prices {task.fields[symbol]}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("prices", total=count, symbol="", visible=False)
            arrived: list[str] = []

            def arrive(symbol: str) -> None:
                arrived.append(symbol)
                total = max(count, len(arrived))
                bar.update(task, completed=len(arrived), total=total, symbol=symbol, visible=True)

            yield arrive
