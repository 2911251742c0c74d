"""Flags of a page: spans of time that it is to look at."""

import argparse

from riskoverlay.errors import InputError

from ..report import Span, parse_span

__all__ = ["add_spans", "spans_of"]


def add_spans(command: argparse.ArgumentParser) -> None:
    """The flag of spans."""
    command.add_argument(
        "--span", action="append", default=[], metavar="NAME=FROM:TO",
        help="a span of time for the table of crises, as lockdown=2020-02-19:2020-03-23; once for each",
    )  # fmt: skip


def spans_of(options: argparse.Namespace, *kinds: str) -> list[Span]:
    """The spans asked for, and whether a file that has them is.

    Parameters
    ----------
    options : argparse.Namespace
    *kinds : str
        Kinds of `Output` that have them.

    Returns
    -------
    list of Span

    Raises
    ------
    InputError
        A span that cannot be read, or no file to show it in.
    """
    spans = [parse_span(text) for text in options.span]
    if spans and not any(getattr(options, kind) for kind in kinds):
        raise InputError("is shown in no file", "give --html page.html, too", "span", options.span[0])
    return spans
