"""Does a strategy decide the same when the future is another?"""

from .candidate import FromFile, Ours, Theirs, parse_reference
from .changes import AFTER, INSIDE, changed_after, changed_inside
from .findings import AuditResult, Cut, Dependence, audit_summary
from .recorder import Feeds, Setup, record
from .run import audit

__all__ = [
    "AFTER",
    "INSIDE",
    "AuditResult",
    "Cut",
    "Dependence",
    "Feeds",
    "FromFile",
    "Ours",
    "Setup",
    "Theirs",
    "audit",
    "audit_summary",
    "changed_after",
    "changed_inside",
    "parse_reference",
    "record",
]
