"""The table of audits: one row per question."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from hilum.audit import (
    border,
    calibration,
    confounding,
    corruption,
    decisions,
    deletion,
    energy,
    laterality,
    leakage,
    localisation,
    masked,
    metadata,
    occlusion,
    paper,
    population,
    probes,
    saliency,
    seeds,
    shift,
    strangers,
    subgroups,
    transplant,
)
from hilum.audit.evidence import Evidence
from hilum.audit.question import Audit
from hilum.audit.verdict import weigh
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
    Audit(probes.SOURCE, probes.audit_source),
    Audit(probes.RANDOM, probes.audit_random),
    Audit(probes.EXTERNAL, probes.audit_external),
    Audit(decisions.THRESHOLD, decisions.audit_threshold),
    Audit(decisions.BENEFIT, decisions.audit_benefit),
    Audit(decisions.ABSTENTION, decisions.audit_coverage),
    Audit(subgroups.QUESTION, subgroups.audit),
    Audit(strangers.QUESTION, strangers.audit),
    Audit(seeds.QUESTION, seeds.audit),
    Audit(shift.QUESTION, shift.audit),
    Audit(paper.QUESTION, paper.audit),
)
AUDITS = {row.question.id: row for row in sorted(ROWS, key=lambda row: row.question.id)}


def run(evidence: Evidence, progress: Progress | None = None) -> list[Finding]:
    """Every audit, the gravest question first; the dear ones only where `evidence.thorough`."""
    wanted = [row for row in AUDITS.values() if evidence.thorough or not row.question.dear]
    found = []
    for row in wanted:
        found.append(row(evidence) if len(evidence.manifest) else row.question.unknown(NO_IMAGES))
        if progress:
            progress(len(found), len(wanted))
    return sorted(found, key=lambda finding: weigh(finding.id))


def left(findings: Sequence[Finding]) -> list[str]:
    """The audits that were not among these, by id and title: a run leaves the dear ones out."""
    made = {finding.id for finding in findings}
    rest = [row.question for name, row in AUDITS.items() if name not in made]
    return [f"{question.id} ({question.title})" for question in rest]
