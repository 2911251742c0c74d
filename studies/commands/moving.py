"""A line on a terminal that moves on by itself, so that nobody wonders whether a program has stopped."""

import threading
import time
from collections.abc import Callable
from typing import IO, Self

__all__ = ["Moving"]

EVERY = 0.5
"""Seconds between two looks at the clock."""

BAR = 24
"""Characters of a bar."""


class Moving:
    """What is being done, how far it is, and for how long: `prices [######......] 4/8 TLT 0:03`.

    A thread writes it anew, so it moves also where nothing is counted. It is written with carriage returns and spaces
    alone, without a colour or any other escape, and is gone when the `with` ends.

    Parameters
    ----------
    file : text file
        A terminal.
    what : str
    total : int, optional
        Steps, if they are counted.
    width : int
        Columns of the terminal.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        file: IO[str],
        what: str,
        total: int | None = None,
        *,
        width: int = 80,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._what, self._total, self._width, self._clock = file, what, total, width, clock
        self._done, self._step, self._shown = 0, "", 0
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._move, daemon=True)

    def __enter__(self) -> Self:
        self._began = self._clock()
        self._draw()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._file.write(f"\r{' ' * self._shown}\r")
        self._file.flush()

    def advance(self, steps: int) -> None:
        """So many steps more are done.

        Parameters
        ----------
        steps : int
        """
        self._done += steps
        self._draw()

    def arrive(self, step: str) -> None:
        """One step more is done, and has a name.

        Parameters
        ----------
        step : str
        """
        self._step = step
        self.advance(1)

    @property
    def text(self) -> str:
        """The line as it is now."""
        parts = [self._what]
        if self._total:
            total = max(self._total, self._done)
            full = BAR * self._done // total
            parts += [f"[{'#' * full}{'.' * (BAR - full)}]", f"{self._done:,}/{total:,}"]
        minutes, seconds = divmod(int(self._clock() - self._began), 60)
        return " ".join(part for part in (*parts, self._step, f"{minutes}:{seconds:02d}") if part)[: self._width - 1]

    def _move(self) -> None:
        while not self._over.wait(EVERY):
            self._draw()

    def _draw(self) -> None:
        with self._writing:
            text = self.text
            # The cursor waits at the left: a note on stderr that comes in between begins there.
            self._file.write(f"\r{text.ljust(self._shown)}\r")
            self._file.flush()
            self._shown = len(text)
