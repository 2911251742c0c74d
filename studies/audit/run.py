"""The look-ahead audit: does a strategy decide the same when the future is another?"""

import traceback
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import riskoverlay
from riskoverlay.errors import InputError, RiskOverlayError, StrategyError
from riskoverlay.feeds import Panel

from ..workbench.workers import check_workers, open_workers
from .beside import MODES, crash, mode, repeat, warm_up
from .changes import AFTER
from .cuts import Auditor
from .findings import AuditResult, Cut, Dependence
from .recorder import Feeds, Setup, record
from .tape import Tape

__all__ = ["audit"]

Check = Callable[[Auditor, Any], Any]
"""Of an auditor and what to check: a `Cut`, or findings."""


def audit(
    setup: Setup,
    panel: Panel,
    *,
    feeds: Feeds = Panel.feeds,
    cuts: int = 50,
    changes: Sequence[str] = AFTER,
    workers: int | None = 1,
    seed: int = 63,
    advance: Callable[[int], None] | None = None,
) -> AuditResult:
    """Run on the whole panel, then with other futures after each of many sessions, and compare what was done by then.

    What is compared, session by session: the bars delivered, every order (feed, side, size, type, prices),
    cancellation and notification, the account's value and cash, `base_weights` where a strategy has them, and crashes;
    of the session after a cut, only fills at prices of the cut. Whatever comes after a cut, a run does the same up to
    it, or reads the future. Four more things are looked for:

    same bar : an order that fills at the close that decided it (cheat-on-close) may depend on that close, but not on
        the session's high, low or volume, which are not known before it; with cheat-on-open, on the open alone
    warm-up : indicators and `base_weights` in the last third of the run must not depend on whether the panel starts
        with its first bar, its second, or after a third of it. Sizes and positions are not compared: they follow
        equity, which rightly depends on the start. Of a strategy without indicators and weights, the dates, feeds and
        sides of its orders are compared instead
    mode : runonce, next, and next without preloading must do the same
    repeat : so must two runs. If they do not, nothing else can be said, and nothing else is done

    Parameters
    ----------
    setup : callable
        Called with a Cerebro that has the feeds; adds account, strategies, sizers, analyzers. Its `files`, if it has
        them, are the files whose errors are the user's.
    panel : Panel
        Bars of the universe, at least 6 sessions.
    feeds : callable
        Makes the feeds of a panel, once for each run; `Panel.feeds` or your own, which is then audited too.
    cuts : int
        Number of sessions to cut after; around orders, and evenly spread. At most every session but the last.
    changes : sequence of str
        What to do to the bars after a cut, in this order until one makes a difference; see `changed_after`.
    workers : int, optional
        Processes; 1 is this one, None one a processor. With processes, setup and feeds must pickle. A strategy that
        keeps bars of an earlier run in its module is only caught by other processes.
    seed : int
        Of the replaced bars.
    advance : callable, optional
        Called with 1 for every cut done.

    Returns
    -------
    AuditResult

    Raises
    ------
    InputError
        cuts or workers out of bounds, a panel too short; setup's own.
    StrategyError
        The run does not start, for a reason that is the strategy's.
    """
    if cuts < 1:
        raise InputError("is not a number of sessions", "give a whole number >= 1", "cuts", cuts)
    for change in changes:
        if change not in AFTER:
            raise InputError(f"changes: {change!r} is not known", f"give some of {', '.join(AFTER)}")
    count = check_workers(workers)
    if len(panel.sessions) < 6:
        raise InputError(f"panel has {len(panel.sessions)} sessions", "give at least 6")
    base = record(setup, panel, feeds)
    _raise_what_no_audit_is_about(base, getattr(setup, "files", None))
    auditor = Auditor(setup, panel, feeds, tuple(changes), seed, base)

    def result(done: Sequence[Cut], findings: Sequence[Dependence]) -> AuditResult:
        text = "".join(traceback.format_exception(base.error)) if base.error is not None else ""
        return AuditResult(tuple(done), tuple(findings), len(panel.sessions), len(base.orders()), text)

    findings = crash(auditor)
    again = repeat(auditor)
    if again:
        return result([], [*findings, *again])
    # The long runs first, so that no process ends on one.
    jobs = [*_beside(auditor), *((Auditor.cut, number) for number in sorted(auditor.choose(cuts), reverse=True))]
    done: list[Cut] = []
    beside: dict[int, list[Dependence]] = {}
    with open_workers(_perform, auditor, min(count, len(jobs))) as pool:
        for at, found in pool.perform(dict(enumerate(jobs))):
            if isinstance(found, Cut):
                done.append(found)
                if advance is not None:
                    advance(1)
            else:
                beside[at] = found
    for what in (warm_up, mode):  # of each the first is enough
        findings += next((beside[at] for at in sorted(beside) if jobs[at][0] is what and beside[at]), [])
    done.sort(key=lambda cut: cut.date)
    ahead = [cut.finding for cut in done if cut.finding is not None]
    if ahead:
        ahead += auditor.search(ahead, done)
    seen: dict[tuple[str, date], Dependence] = {}
    for finding in sorted(ahead, key=lambda finding: finding.date):
        seen.setdefault((finding.kind, finding.date), finding)
    return result(done, [*seen.values(), *findings])


def _beside(auditor: Auditor) -> list[tuple[Check, Any]]:
    """What is run beside the cuts, the slowest first."""
    return [*((mode, name) for name in MODES), *((warm_up, start) for start in (1, len(auditor.days) // 3))]


def _perform(auditor: Auditor, job: tuple[Check, Any]) -> Any:
    check, of = job
    return check(auditor, of)


def _raise_what_no_audit_is_about(base: Tape, files: tuple[str, ...] | None) -> None:
    """Bad input, a run that does not start, and a bug of our own."""
    error = base.error
    if error is None:
        return
    if isinstance(error, RiskOverlayError):
        if not base.started:
            raise error
        return
    if files is not None and _is_ours(error, files):
        raise error
    if not base.started:
        first = (str(error).splitlines() or [""])[0]
        where = f"{', '.join(Path(file).name for file in files)}: " if files else ""
        raise StrategyError(
            f"{where}the run does not start ({type(error).__name__}: {first})", "correct the strategy or its arguments"
        ) from error


def _is_ours(error: BaseException, files: Sequence[str]) -> bool:
    """Whether an error arose in this program without any of the files on its way."""
    frames = [Path(frame.filename).resolve() for frame in traceback.extract_tb(error.__traceback__)]
    if not frames or {str(frame) for frame in frames} & set(files):
        return False
    return any(frames[-1].is_relative_to(Path(root).resolve()) for root in riskoverlay.__path__)
