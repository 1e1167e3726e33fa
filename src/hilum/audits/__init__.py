"""Does the classifier read the lungs or the hospital? One file per audit."""

from hilum.audits.base import Audit, AuditRule
from hilum.audits.evidence import Evidence
from hilum.audits.registry import (
    AUDITS,
    by_severity,
    groups,
    mark_scores,
    not_run,
    run_audits,
    run_before_training,
    run_group,
    still_known,
    to_run,
)
from hilum.audits.verdict import tested, verdict

__all__ = [
    "AUDITS",
    "Audit",
    "AuditRule",
    "Evidence",
    "by_severity",
    "groups",
    "mark_scores",
    "not_run",
    "run_audits",
    "run_before_training",
    "run_group",
    "still_known",
    "tested",
    "to_run",
    "verdict",
]
