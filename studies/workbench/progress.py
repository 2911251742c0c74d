"""Says how far a run through Cerebro is."""

from collections.abc import Callable

import backtrader as bt

__all__ = ["Progress"]


class Progress(bt.Analyzer):
    """Calls `advance(sessions)` every `every` sessions and once at the end; it changes nothing in the run.

    Parameters
    ----------
    advance : callable
        Called with the number of sessions since the last call.
    every : int
        Sessions between calls.
    """

    params = (("advance", None), ("every", 100))

    def start(self) -> None:
        """Begin to count."""
        self._advance: Callable[[int], None] = self.p.advance
        self._reported = 0

    def next(self) -> None:
        """Count a session."""
        if len(self.strategy) - self._reported >= self.p.every:
            self._report()

    def stop(self) -> None:
        """Say the rest."""
        self._report()

    def _report(self) -> None:
        sessions = len(self.strategy)
        self._advance(sessions - self._reported)
        self._reported = sessions
