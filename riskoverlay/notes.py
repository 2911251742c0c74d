"""Notes of a run, and how to have it say nothing."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["gathered", "log", "name_of", "silenced"]

log = logging.getLogger("riskoverlay")
"""What a run has to say that is no error: a trimmed leverage, an order tried again."""


@contextmanager
def silenced(
    logger: logging.Logger = log, *, level: int = logging.ERROR, category: type[Warning] | None = None
) -> Iterator[None]:
    """Keep a logger below `level` quiet, and Python's warnings of one category too.

    Parameters
    ----------
    logger : logging.Logger
        Ours by default: hundreds of runs would say the same hundreds of times.
    level : int
        What is said all the same.
    category : type of Warning, optional
        Python's warnings to ignore (default: none).
    """
    before = logger.level
    logger.setLevel(level)
    try:
        with warnings.catch_warnings():
            if category is not None:
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logger.setLevel(before)


@contextmanager
def gathered() -> Iterator[list[logging.LogRecord]]:
    """Notes are kept, and not said.

    Yields
    ------
    list of logging.LogRecord
        With their text made, so that they pickle.
    """
    notes: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            record.msg, record.args = record.getMessage(), None
            notes.append(record)

    keep, before, through = Keep(), log.handlers, log.propagate
    log.handlers, log.propagate = [keep], False
    try:
        yield notes
    finally:
        log.handlers, log.propagate = before, through


def name_of(data: Any) -> str:
    """A feed's name in a message.

    Parameters
    ----------
    data : feed

    Returns
    -------
    str
        Its own; data0, data1, ... by its place in Cerebro where it has none.
    """
    return str(data._name or f"data{getattr(data, '_id', 1) - 1}")
