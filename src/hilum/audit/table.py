"""The table of audits: one row per question."""

from hilum.audit import border, calibration, confounding, leakage, metadata, population
from hilum.audit.evidence import Evidence
from hilum.audit.question import Audit
from hilum.types import Finding

ROWS = (
    Audit(confounding.QUESTION, confounding.audit),
    Audit(border.QUESTION, border.audit),
    Audit(metadata.QUESTION, metadata.audit),
    Audit(population.QUESTION, population.audit),
    Audit(leakage.PATIENTS, leakage.audit_patients),
    Audit(leakage.IMAGES, leakage.audit_images),
    Audit(calibration.QUESTION, calibration.audit),
)
AUDITS: dict[str, Audit] = {row.question.id: row for row in ROWS}


def run(evidence: Evidence) -> list[Finding]:
    """Every audit in the table, in its order; the dear ones only where `evidence.thorough`."""
    return [row(evidence) for row in ROWS if evidence.thorough or not row.question.dear]
