"""The table of audits: one row per question."""

from collections.abc import Callable

from hilum.audit import border, calibration, confounding, leakage, metadata, population
from hilum.audit.evidence import Evidence
from hilum.types import Finding

AUDITS: dict[str, Callable[[Evidence], Finding]] = {
    "C-02": confounding.audit,
    "C-03": border.audit,
    "C-04": metadata.audit,
    "C-09": population.audit,
    "C-10": leakage.audit_patients,
    "C-11": leakage.audit_images,
    "C-17": calibration.audit,
}


def run(evidence: Evidence) -> list[Finding]:
    """Every audit in the table, in its order."""
    return [audit(evidence) for audit in AUDITS.values()]
