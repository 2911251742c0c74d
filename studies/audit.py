"""The look-ahead audit: does a strategy decide the same when the future is another?"""

from __future__ import annotations

import gc
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import backtrader as bt
import numpy as np

from feeds import Panel

from .futures import FUTURES, INSIDE, other_bar, other_future
from .tape import LINES, Difference, Event, Feeds, Setup, Tape, difference, parting, record, values_differ

__all__ = ["AuditResult", "Cut", "Dependence", "audit", "audit_summary"]

TOLERANCE = 1e-9
"""Numbers further apart, as a fraction of themselves, differ: sums over longer arrays may round otherwise."""
FORGOTTEN = 1e-6
"""What a value may still depend on bars a third of the run before it, as a fraction of itself."""
RARELY = 5
"""After one session in so many, bars without numbers are tried too: other numbers find nearly all that they find."""
SEARCH = 60
"""Runs spent on finding an earlier use than the cuts have shown."""


@dataclass(frozen=True)
class Dependence:
    """Something that should not depend on what it depends on."""

    kind: str
    """look-ahead, same bar, warm-up, mode, repeat, crash."""
    change: str
    """What was done: one of `FUTURES`, `INSIDE`, a later start, a mode of Cerebro, nothing."""
    cut: date | None
    """The last session before the change."""
    date: date
    """The session in which the two runs part."""
    what: str
    """order, cancel, notice, fill, account, weights, bar, indicator, crash."""
    strategy: str
    feed: str
    before: str
    """On the whole panel."""
    after: str
    """With the change."""

    def sentence(self) -> str:
        """In one line."""
        where = f"{self.date}: {self.what}" + (f" of {self.strategy}" if self.strategy else "")
        if self.before == self.after:
            return f"{where}: {self.before}"
        return f"{where}: {self.before} becomes {self.after} ({self.change})"


@dataclass(frozen=True)
class Cut:
    """A session after which the future was changed in every way there is."""

    date: date
    runs: int
    """Runs compared up to this session."""
    finding: Dependence | None


@dataclass(frozen=True)
class AuditResult:
    """Verdicts by cut, in order of date, and what was found beside them."""

    cuts: tuple[Cut, ...]
    findings: tuple[Dependence, ...]
    """First those of the cuts, each session once and the earliest first; then warm-up, mode, repeat, crash."""
    sessions: int
    orders: int

    @property
    def clean(self) -> bool:
        return not self.findings

    @property
    def first(self) -> Dependence | None:
        """The earliest use of the future."""
        found = [finding for finding in self.findings if finding.kind in ("look-ahead", "same bar")]
        return min(found, key=lambda finding: finding.date, default=None)


def audit(
    setup: Setup,
    panel: Panel,
    *,
    feeds: Feeds = Panel.feeds,
    cuts: int = 50,
    futures: Sequence[str] = FUTURES,
    workers: int = 0,
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
    setup : called with a Cerebro that has the feeds; adds account, strategies, sizers, analyzers
    panel : bars of the universe, at least 6 sessions
    feeds : makes the feeds of a panel, once for each run; `Panel.feeds` or your own, which is then audited too
    futures : what to do to the bars after a cut, in this order until one makes a difference; see `other_future`
    cuts : number of sessions to cut after; around orders, and evenly spread. At most every session but the last
    workers : processes; 0: this one. With processes, setup and feeds must pickle. A strategy that keeps bars of an
        earlier run in its module is only caught by other processes
    seed : of the replaced futures
    advance : called with 1 for every cut done

    Raises
    ------
    ValueError
        cuts or workers out of bounds, a panel too short, a run that does not start; setup's own.
    """
    if cuts < 1:
        raise ValueError(f"cuts={cuts!r} is not a number of sessions: give a whole number >= 1")
    for future in futures:
        if future not in FUTURES:
            raise ValueError(f"futures: {future!r} is not known: give some of {', '.join(FUTURES)}")
    if workers < 0:
        raise ValueError(f"workers={workers!r} is not a number of processes: give 0 (this one) or more")
    if len(panel.sessions) < 6:
        raise ValueError(f"panel has {len(panel.sessions)} sessions: give at least 6")
    base = record(setup, panel, feeds)
    if base.error is not None and not base.started:
        if isinstance(base.error, ValueError):
            raise base.error
        first = (str(base.error).splitlines() or [""])[0]
        raise ValueError(
            f"the run does not start ({type(base.error).__name__}: {first}): correct the strategy or its arguments"
        )
    auditor = _Auditor(setup, panel, feeds, tuple(futures), seed, base)

    def result(done: Sequence[Cut], findings: Sequence[Dependence]) -> AuditResult:
        return AuditResult(tuple(done), tuple(findings), len(panel.sessions), len(base.orders()))

    findings: list[Dependence] = auditor.crash()
    again = auditor.repeat()
    if again:
        return result([], [*findings, *again])
    findings += auditor.warm_up() + auditor.modes()
    done = []
    for cut in _perform(auditor, auditor.choose(cuts), workers):
        done.append(cut)
        if advance is not None:
            advance(1)
    done.sort(key=lambda cut: cut.date)
    ahead = [cut.finding for cut in done if cut.finding is not None]
    if ahead:
        ahead += auditor.search(ahead, done)
    seen: dict[tuple[str, date], Dependence] = {}
    for finding in sorted(ahead, key=lambda finding: finding.date):
        seen.setdefault((finding.kind, finding.date), finding)
    return result(done, [*seen.values(), *findings])


@dataclass
class _Auditor:
    """One run on the whole panel, and everything it is compared with. Pickles, for other processes."""

    setup: Setup
    panel: Panel
    feeds: Feeds
    futures: tuple[str, ...]
    seed: int
    base: Tape

    def __post_init__(self) -> None:
        sessions = self.panel.sessions
        self.days = [float(bt.date2num(session)) for session in sessions.to_pydatetime()]
        marks = {(event.when, event.same_bar) for event in self.base.events if event.kind == "order"}
        self.at_open, self.at_close = ("open", True) in marks, ("close", True) in marks

    def choose(self, count: int) -> list[int]:
        """Numbers of the sessions to cut after: half around orders and before bars that the feeds made themselves, the
        first ones above all, half evenly spread."""
        most = len(self.days) - 1
        if count >= most:
            return list(range(most))
        numbers = {int(day): at for at, day in enumerate(self.days)}
        ordered = sorted(
            {numbers[int(event.day)] for event in self.base.orders() if int(event.day) in numbers}
        )
        wanted: list[int] = []
        for some, steps in ((self._made(), (0,)), (ordered, (0, -1, 1))):
            if some:
                few = np.unique(np.linspace(0, len(some) - 1, max(1, count // 6)).astype(int))
                wanted += [some[0], *(some[i] + step for i in few for step in steps)]
        chosen = dict.fromkeys([at for at in wanted if 0 <= at < most][: max(1, count // 2)])
        spread = count
        while len(chosen) < count:  # what falls on a session already chosen makes room for a finer spread
            for at in np.linspace(0, most - 1, spread).round().astype(int).tolist():
                if len(chosen) < count:
                    chosen.setdefault(at)
            spread += count
        return sorted(chosen)

    def _made(self) -> list[int]:
        """Sessions before a bar that is not the panel's: on another day, or with another close."""
        before = set()
        for feed, bars in self.base.bars.items():
            closes = (
                dict(zip(self.days, self.panel.frames[feed]["close"], strict=True))
                if feed in self.panel.frames
                else {}
            )
            for day, close in zip(bars[:, 0], bars[:, LINES.index("close")], strict=True):
                if closes.get(day) != close:
                    before.add(int(np.searchsorted(self.days, day)) - 1)
        return sorted(at for at in before if at >= 0)

    # -- cuts --------------------------------------------------------------------------------------------------------

    def cut(self, at: int) -> Cut:
        """Every other future after session number `at`, until one makes a difference."""
        runs = 0
        for change in self.futures:
            if change == "nan" and at % RARELY:
                continue
            compared, found = self.compare(at, change)
            runs += compared
            if found is not None:
                return Cut(self.session(at), runs, self.finding("look-ahead", change, found, at))
        for change in INSIDE:
            for close in [True] * self.at_close + [False] * self.at_open:
                runs += 1
                inside = self.compare_inside(at, change, close)
                if inside is not None:
                    return Cut(self.session(at), runs, self.finding("same bar", change, inside, at))
        return Cut(self.session(at), runs, None)

    def compare(self, at: int, change: str) -> tuple[bool, Difference | None]:
        """Whether a run on another future could be compared, and the first difference."""
        panel = other_future(self.panel, at, change, self.seed)
        # Up to the next bar; without one, up to the cut: a feed that fills holes has none to fill.
        removed = change == "removed"
        until = math.floor(self.days[at]) + 1.0 if removed else self.days[at + 1]
        tape = record(self.setup, panel, self.feeds, until)
        if not tape.started:
            # Indicators are computed at once, for bars of all the run: too few of them, or bad ones, may crash there.
            tape = record(self.setup, panel, self.feeds, until, runonce=False)
        if not tape.started and change in ("removed", "nan"):
            return False, None  # refusing to start on few bars, or on no numbers, is not reading them
        return True, difference(self.base, tape, until, TOLERANCE, late=not removed)

    def compare_inside(self, at: int, change: str, close: bool) -> Difference | None:
        """Orders of session number `at` that are filled at its own close (or open) and depend on more than that."""
        tape = record(
            self.setup, other_bar(self.panel, at, change, close=close), self.feeds, self.days[at + 1]
        )
        early = difference(
            _without_bars(self.base), _without_bars(tape), self.days[at], TOLERANCE, late=False
        )
        if early is not None:
            return early
        today = [
            [event for event in run.events if int(event.day) == int(self.days[at])]
            for run in (self.base, tape)
        ]
        if close:
            told = [[event for event in events if event.kind in ("notice", "account")] for events in today]
            if _apart(*told) is not None:
                return None  # orders of before were filled inside this bar: what follows rightly differs
        when = "close" if close else "open"
        return _apart(
            *([event for event in events if event.same_bar and event.when == when] for events in today)
        )

    def search(self, ahead: Sequence[Dependence], done: Sequence[Cut]) -> list[Dependence]:
        """Earlier uses: halving among the sessions with orders, then every session after the last that is clean."""
        budget = SEARCH
        found: list[Dependence] = []
        tried = {cut.date for cut in done}
        numbers = {self.session(at): at for at in range(len(self.days))}

        def use(at: int) -> bool:
            nonlocal budget
            budget -= 1
            tried.add(self.session(at))
            finding = self.cut(at).finding
            if finding is not None:
                found.append(finding)
            return finding is not None

        def first() -> int:
            return numbers.get(min(finding.date for finding in (*ahead, *found)), 0)

        clean = max(
            (numbers[cut.date] for cut in done if cut.finding is None and numbers[cut.date] < first()),
            default=-1,
        )
        ordered = sorted(
            {numbers[d] for d in map(self.day_date, (e.day for e in self.base.orders())) if d in numbers}
        )
        low, candidates = 0, [at for at in ordered if at < first()]
        high = len(candidates)
        while low < high and budget > 0:
            middle = (low + high) // 2
            if use(candidates[middle]):
                high = middle
            else:
                low, clean = middle + 1, max(clean, candidates[middle])
        for at in range(clean + 1, first()):
            if budget <= 0 or at >= first():
                break
            if self.session(at) not in tried:
                use(at)
        return found

    # -- beside the cuts ---------------------------------------------------------------------------------------------

    def crash(self) -> list[Dependence]:
        error, last = self.base.error, self.base.events[-1] if self.base.events else None
        if error is None or last is None:
            return []
        text = f"{type(error).__name__}: {error}"
        return [Dependence("crash", "none", None, self.day_date(last.day), "crash", "", "", text, text)]

    def repeat(self) -> list[Dependence]:
        found = difference(self.base, record(self.setup, self.panel, self.feeds))
        return [] if found is None else [self.finding("repeat", "a second run", found)]

    def modes(self) -> list[Dependence]:
        for name, mode in (
            ("runonce=False", {"runonce": False}),
            ("preload=False", {"runonce": False, "preload": False}),
        ):
            found = difference(
                self.base, record(self.setup, self.panel, self.feeds, **mode), tolerance=TOLERANCE
            )
            if found is not None:
                return [self.finding("mode", name, found)]
        return []

    def warm_up(self) -> list[Dependence]:
        n = len(self.days)
        tail = n // 3
        for start in (1, n // 3):
            late = record(self.setup, self.panel.between(self.panel.sessions[start], None), self.feeds)
            if late.error is not None or self.base.error is not None:
                continue
            found = self._indicators(late, tail) or self._weights(late, tail)
            if not self.base.indicators and not any(event.kind == "weights" for event in self.base.events):
                found = self._sides(late, tail)
            if found is not None:
                return [self.finding("warm-up", f"the panel starts {self.session(start)}", found)]
        return []

    def _indicators(self, late: Tape, tail: int) -> Difference | None:
        for name, values in self.base.indicators.items():
            other = late.indicators.get(name)
            if other is None or min(len(values), len(other)) < tail:
                continue
            a, b = values[-tail:], other[-tail:]
            apart = np.abs(a - b) > FORGOTTEN * np.maximum(np.abs(a), np.abs(b))
            if apart.any():
                at = int(np.argmax(apart))
                strategy, indicator = name.split(" ", 1)
                texts = (f"{indicator} {a[at]:.10g}", f"{b[at]:.10g}")
                return Difference(self.days[len(self.days) - tail + at], "indicator", strategy, "", *texts)
        return None

    def _weights(self, late: Tape, tail: int) -> Difference | None:
        one, two = (
            {(event.day, event.strategy): event for event in tape.events if event.kind == "weights"}
            for tape in (self.base, late)
        )
        begun = max(self.days[-tail], min((day for day, _ in two), default=math.inf))
        for key in sorted(one.keys() | two.keys()):
            a, b = one.get(key), two.get(key)
            if key[0] >= begun and (a is None or b is None or values_differ(a.values, b.values, FORGOTTEN)):
                return parting(a, b)
        return None

    def _sides(self, late: Tape, tail: int) -> Difference | None:
        sides = [
            [
                event._replace(values=(event.values[0], event.values[2]))
                for event in tape.orders()
                if event.day >= self.days[-tail]
            ]
            for tape in (self.base, late)
        ]
        return _apart(*sides)

    # -- words -------------------------------------------------------------------------------------------------------

    def session(self, at: int) -> date:
        return self.panel.sessions[at].date()

    def day_date(self, day: float) -> date:
        return bt.num2date(day).date() if day else self.session(0)

    def finding(self, kind: str, change: str, found: Difference, at: int | None = None) -> Dependence:
        return Dependence(
            kind=kind,
            change=change if at is None else f"bars after {self.session(at)}: {change}"
            if kind == "look-ahead"
            else f"inside of the bar of {self.session(at)}: {change}",
            cut=None if at is None else self.session(at),
            date=self.day_date(found.day),
            what=found.kind,
            strategy=found.strategy,
            feed=found.feed,
            before=found.before,
            after=found.after,
        )  # fmt: skip


def _without_bars(tape: Tape) -> Tape:
    return Tape(events=tape.events, started=tape.started)


def _apart(one: Sequence[Event], two: Sequence[Event]) -> Difference | None:
    """The first difference of two lists of events; order numbers aside, which count what came before."""
    for i in range(max(len(one), len(two))):
        a, b = one[i] if i < len(one) else None, two[i] if i < len(two) else None
        if a is None or b is None or a[:4] != b[:4] or values_differ(a.values, b.values, TOLERANCE):
            return parting(a, b)
    return None


# -- processes -------------------------------------------------------------------------------------------------------

_auditor: _Auditor  # of a worker


def _perform(auditor: _Auditor, numbers: Sequence[int], workers: int) -> Iterator[Cut]:
    if workers == 0:
        yield from map(auditor.cut, numbers)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(numbers)), context, initializer=_begin, initargs=(auditor,))
    try:
        # The long runs first, so that no process ends on one.
        yield from pool.map(_work, sorted(numbers, reverse=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(auditor: _Auditor) -> None:
    global _auditor
    _auditor = auditor
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C
    gc.freeze()
    gc.disable()  # looking for cycles among a run's orders takes a sixth of it


def _work(at: int) -> Cut:
    gc.collect()
    return _auditor.cut(at)


# -- what is told ----------------------------------------------------------------------------------------------------


def audit_summary(result: AuditResult) -> dict[str, Any]:
    """Everything an audit said, JSON-able."""
    return {
        "clean": result.clean,
        "first": None if result.first is None else asdict(result.first),
        "findings": [asdict(finding) for finding in result.findings],
        "cuts": [
            {"date": cut.date, "runs": cut.runs, "verdict": "clean" if cut.finding is None else cut.finding.kind,
             "finding": None if cut.finding is None else asdict(cut.finding)}
            for cut in result.cuts
        ],
        "sessions": result.sessions,
        "orders": result.orders,
    }  # fmt: skip
