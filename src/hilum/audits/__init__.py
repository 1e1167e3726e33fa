"""Does the classifier read the lungs or the hospital? One file per audit."""

from hilum.audits.base import Audit, AuditRule
from hilum.audits.evidence import Evidence
from hilum.audits.registry import AUDITS, mark_scores, not_run, run_audits, run_before_training
from hilum.audits.verdict import tested, verdict

__all__ = [
    "AUDITS",
    "Audit",
    "AuditRule",
    "Evidence",
    "mark_scores",
    "not_run",
    "run_audits",
    "run_before_training",
    "tested",
    "verdict",
]
