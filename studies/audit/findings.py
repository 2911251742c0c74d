"""What an audit finds."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from ..workbench.summaries import FORMAT

__all__ = ["AuditResult", "Cut", "Dependence", "audit_summary"]


@dataclass(frozen=True)
class Dependence:
    """Something that should not depend on what it depends on.

    Attributes
    ----------
    kind : str
        look-ahead, same bar, warm-up, mode, repeat, crash.
    change : str
        What was done: one of `AFTER`, `INSIDE`, a later start, a mode of Cerebro, nothing.
    cut : date or None
        The last session before the change.
    date : date
        The session in which the two runs part.
    what : str
        order, cancel, notice, fill, account, weights, bar, indicator, crash.
    strategy, feed : str
        Their names.
    before, after : str
        On the whole panel, and with the change.
    """

    kind: str
    change: str
    cut: date | None
    date: date
    what: str
    strategy: str
    feed: str
    before: str
    after: str

    def sentence(self) -> str:
        """In one line."""
        where = f"{self.date}: {self.what}" + (f" of {self.strategy}" if self.strategy else "")
        if self.before == self.after:
            return f"{where}: {self.before}"
        return f"{where}: {self.before} becomes {self.after} ({self.change})"


@dataclass(frozen=True)
class Cut:
    """A session after which the bars were changed in every way there is.

    Attributes
    ----------
    date : date
    runs : int
        Runs compared up to this session.
    finding : Dependence or None
    """

    date: date
    runs: int
    finding: Dependence | None


@dataclass(frozen=True)
class AuditResult:
    """Verdicts by cut, in order of date, and what was found beside them.

    Attributes
    ----------
    cuts : tuple of Cut
    findings : tuple of Dependence
        First those of the cuts, each session once and the earliest first; then warm-up, mode, repeat, crash.
    sessions, orders : int
        Of the run on the whole panel.
    traceback : str
        Of the error that ended that run, for whoever wrote what raised it; "" if it came to its end.
    """

    cuts: tuple[Cut, ...]
    findings: tuple[Dependence, ...]
    sessions: int
    orders: int
    traceback: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def first(self) -> Dependence | None:
        """The earliest use of the future."""
        found = [finding for finding in self.findings if finding.kind in ("look-ahead", "same bar")]
        return min(found, key=lambda finding: finding.date, default=None)


def audit_summary(result: AuditResult) -> dict[str, Any]:
    """Everything an audit said.

    Parameters
    ----------
    result : AuditResult

    Returns
    -------
    dict
        For `write_json`.
    """
    return {
        "format": FORMAT,
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
