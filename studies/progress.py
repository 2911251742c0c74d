"""Says how far a run through Cerebro is."""

from __future__ import annotations

from collections.abc import Callable

import backtrader as bt

__all__ = ["Progress"]


class Progress(bt.Analyzer):
    """Calls `advance(sessions)` every `every` sessions and once at the end; it changes nothing in the run.

    Params
    ------
    advance : called with the number of sessions since the last call; None: nothing is said
    every : sessions between calls
    """

    params = (("advance", None), ("every", 100))

    def start(self) -> None:
        self._advance: Callable[[int], None] = self.p.advance
        self._said = 0

    def next(self) -> None:
        if len(self.strategy) - self._said >= self.p.every:
            self._say()

    def stop(self) -> None:
        self._say()

    def _say(self) -> None:
        sessions = len(self.strategy)
        self._advance(sessions - self._said)
        self._said = sessions
