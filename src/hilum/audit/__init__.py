"""Does the classifier read the lungs or the hospital? One file per question."""

from hilum.audit.evidence import Evidence
from hilum.audit.question import Audit, Question
from hilum.audit.table import AUDITS, LEAKS, early, left, run, stamped
from hilum.audit.verdict import tested, verdict

__all__ = [
    "AUDITS",
    "LEAKS",
    "Audit",
    "Evidence",
    "Question",
    "early",
    "left",
    "run",
    "stamped",
    "tested",
    "verdict",
]
