"""The table of audits: one row per question."""

from collections.abc import Callable
from typing import TypeAlias

from hilum.audit import (
    border,
    calibration,
    confounding,
    corruption,
    deletion,
    energy,
    laterality,
    leakage,
    localisation,
    masked,
    metadata,
    occlusion,
    population,
    saliency,
    transplant,
)
from hilum.audit.evidence import Evidence
from hilum.audit.question import Audit
from hilum.types import Finding

Progress: TypeAlias = Callable[[int, int], None]
NO_IMAGES = "no images are at hand; name labelled ones with --data"
ROWS = (
    Audit(masked.QUESTION, masked.audit),
    Audit(confounding.QUESTION, confounding.audit),
    Audit(border.QUESTION, border.audit),
    Audit(metadata.QUESTION, metadata.audit),
    Audit(occlusion.QUESTION, occlusion.audit),
    Audit(transplant.QUESTION, transplant.audit),
    Audit(laterality.QUESTION, laterality.audit),
    Audit(population.QUESTION, population.audit),
    Audit(leakage.PATIENTS, leakage.audit_patients),
    Audit(leakage.IMAGES, leakage.audit_images),
    Audit(energy.QUESTION, energy.audit),
    Audit(saliency.QUESTION, saliency.audit),
    Audit(localisation.QUESTION, localisation.audit),
    Audit(deletion.QUESTION, deletion.audit),
    Audit(calibration.QUESTION, calibration.audit),
    Audit(corruption.QUESTION, corruption.audit),
)
AUDITS: dict[str, Audit] = {row.question.id: row for row in ROWS}


def run(evidence: Evidence, progress: Progress | None = None) -> list[Finding]:
    """Every audit in the table, in its order; the dear ones only where `evidence.thorough`."""
    wanted = [row for row in ROWS if evidence.thorough or not row.question.dear]
    found = []
    for row in wanted:
        found.append(row(evidence) if len(evidence.manifest) else row.question.unknown(NO_IMAGES))
        if progress:
            progress(len(found), len(wanted))
    return found
