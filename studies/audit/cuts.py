"""Cut after a session, change the bars that come, and compare what was done by then."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import backtrader as bt
import numpy as np

from riskoverlay.feeds import Panel

from .changes import INSIDE, changed_after, changed_inside
from .compare import difference, first_apart
from .findings import Cut, Dependence
from .recorder import Feeds, Setup, record
from .tape import LINES, Difference, Tape, without_bars

__all__ = ["TOLERANCE", "Auditor"]

TOLERANCE = 1e-9
"""Numbers further apart, as a fraction of themselves, differ: sums over longer arrays may round otherwise."""
RARELY = 5
"""After one session in so many, bars without numbers are tried too: other numbers find nearly all that they find."""
SEARCH = 60
"""Runs spent on finding an earlier use than the cuts have shown."""


@dataclass
class Auditor:
    """One run on the whole panel, and everything it is compared with. Pickles, for other processes.

    Parameters
    ----------
    setup : Setup
    panel : Panel
    feeds : Feeds
    changes : tuple of str
        Some of `AFTER`.
    seed : int
        Of the replaced bars.
    base : Tape
        The run on the whole panel.
    """

    setup: Setup
    panel: Panel
    feeds: Feeds
    changes: tuple[str, ...]
    seed: int
    base: Tape

    def __post_init__(self) -> None:
        sessions = self.panel.sessions
        self.days = [float(bt.date2num(session)) for session in sessions.to_pydatetime()]
        marks = {(event.when, event.same_bar) for event in self.base.events if event.kind == "order"}
        self.at_open, self.at_close = ("open", True) in marks, ("close", True) in marks

    def choose(self, count: int) -> list[int]:
        """Sessions to cut after: half around orders and before bars that the feeds made themselves, the first ones
        above all, half evenly spread.

        Parameters
        ----------
        count : int

        Returns
        -------
        list of int
            Numbers of sessions, sorted.
        """
        most = len(self.days) - 1
        if count >= most:
            return list(range(most))
        numbers = {int(day): at for at, day in enumerate(self.days)}
        ordered = sorted({numbers[int(event.day)] for event in self.base.orders() if int(event.day) in numbers})
        wanted: list[int] = []
        for some, steps in ((self._before_made_up_bars(), (0,)), (ordered, (0, -1, 1))):
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

    def _before_made_up_bars(self) -> list[int]:
        """Sessions before a bar that is not the panel's: on another day, or with another close."""
        before = set()
        for feed, bars in self.base.bars.items():
            closes = self._closes_of(feed)
            for day, close in zip(bars[:, 0], bars[:, LINES.index("close")], strict=True):
                if closes.get(day) != close:
                    before.add(int(np.searchsorted(self.days, day)) - 1)
        return sorted(at for at in before if at >= 0)

    def _closes_of(self, feed: str) -> dict[float, float]:
        """The panel's closes of a feed by day number."""
        if feed not in self.panel.frames:
            return {}
        closes = self.panel.closes[feed].to_numpy()
        return {day: close for day, close in zip(self.days, closes, strict=True) if close == close}

    # -- cuts --------------------------------------------------------------------------------------------------------

    def cut(self, at: int) -> Cut:
        """Every change after session number `at`, until one makes a difference.

        Parameters
        ----------
        at : int

        Returns
        -------
        Cut
        """
        runs = 0
        for change in self.changes:
            if self._left_out(change, at):
                continue
            compared, found = self.compare(at, change)
            runs += compared
            if found is not None:
                return Cut(self.session(at), runs, self.dependence("look-ahead", change, found, at))
        for change in INSIDE:
            for close in [True] * self.at_close + [False] * self.at_open:
                runs += 1
                inside = self.compare_inside(at, change, close)
                if inside is not None:
                    return Cut(self.session(at), runs, self.dependence("same bar", change, inside, at))
        return Cut(self.session(at), runs, None)

    def _left_out(self, change: str, at: int) -> bool:
        """Whether a change is not made after this session: of prices ten times as high, or a tenth, one is enough."""
        if change == "nan":
            return at % RARELY != 0
        both = {"times ten", "tenth"} <= set(self.changes)
        return both and change == ("tenth" if at % 2 else "times ten")

    def compare(self, at: int, change: str) -> tuple[bool, Difference | None]:
        """Compare with a run whose bars after session number `at` are changed.

        Parameters
        ----------
        at : int
        change : str
            One of `AFTER`.

        Returns
        -------
        compared : bool
            Whether it could be.
        difference : Difference or None
            The first.
        """
        panel = changed_after(self.panel, at, change, self.seed)
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
        """Orders of session number `at` that are filled at its own close (or open) and depend on more than that.

        Parameters
        ----------
        at : int
        change : str
            One of `INSIDE`.
        close : bool
            The close, or the open.

        Returns
        -------
        Difference or None
        """
        tape = record(self.setup, changed_inside(self.panel, at, change, close=close), self.feeds, self.days[at + 1])
        early = difference(without_bars(self.base), without_bars(tape), self.days[at], TOLERANCE, late=False)
        if early is not None:
            return early
        today = [[event for event in run.events if int(event.day) == int(self.days[at])] for run in (self.base, tape)]
        if close:
            one, two = ([event for event in events if event.kind in ("notice", "account")] for events in today)
            if first_apart(one, two, tolerance=TOLERANCE) is not None:
                return None  # orders of before were filled inside this bar: what follows rightly differs
        when = "close" if close else "open"
        one, two = ([event for event in events if event.same_bar and event.when == when] for events in today)
        return first_apart(one, two, tolerance=TOLERANCE)

    def search(self, ahead: Sequence[Dependence], done: Sequence[Cut]) -> list[Dependence]:
        """Earlier uses: halving among the sessions with orders, then every session after the last that is clean.

        Parameters
        ----------
        ahead : sequence of Dependence
            What the cuts have found.
        done : sequence of Cut

        Returns
        -------
        list of Dependence
            What is found beside them.
        """
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
            (numbers[cut.date] for cut in done if cut.finding is None and numbers[cut.date] < first()), default=-1
        )
        ordered = sorted({numbers[d] for d in map(self.day_date, (e.day for e in self.base.orders())) if d in numbers})
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

    # -- words -------------------------------------------------------------------------------------------------------

    def session(self, at: int) -> date:
        """Date of session number `at`."""
        return self.panel.sessions[at].date()

    def day_date(self, day: float) -> date:
        """Date of a day number of backtrader's; 0 is the first session."""
        return bt.num2date(day).date() if day else self.session(0)

    def dependence(self, kind: str, change: str, found: Difference, at: int | None = None) -> Dependence:
        """A difference as what it says of the strategy.

        Parameters
        ----------
        kind, change : str
            See `Dependence`.
        found : Difference
        at : int, optional
            Number of the session of the cut.

        Returns
        -------
        Dependence
        """
        if at is not None:
            where = "bars after" if kind == "look-ahead" else "inside of the bar of"
            change = f"{where} {self.session(at)}: {change}"
        cut = None if at is None else self.session(at)
        return Dependence(
            kind,
            change,
            cut,
            self.day_date(found.day),
            found.kind,
            found.strategy,
            found.feed,
            found.before,
            found.after,
        )
