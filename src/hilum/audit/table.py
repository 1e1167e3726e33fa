"""The table of audits: one row per question."""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
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
from hilum.types import Finding, Score

Progress: TypeAlias = Callable[[int, int], None]
NO_IMAGES = "no images are at hand; name labelled ones with --data"
NONE_NEW = "the model was built on these very images or their patients"
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
LEAKS = (leakage.PATIENTS.id, leakage.IMAGES.id)
AUDITS = {row.question.id: row for row in sorted(ROWS, key=lambda row: row.question.id)}


def early(evidence: Evidence, progress: Progress | None = None) -> list[Finding]:
    """What the images and their split tell alone, before anything is trained on them."""
    return _asked([row for row in AUDITS.values() if row.question.early], evidence, progress)


def run(
    evidence: Evidence, progress: Progress | None = None, known: Sequence[Finding] = ()
) -> list[Finding]:
    """Every audit, the gravest question first; the dear ones only where `evidence.thorough`.

    What is `known` from before training is not asked again, but for leaks: a source task may share
    images too, and features tell more of unknown patients.
    """
    kept = [finding for finding in known if finding.id not in LEAKS]
    told = {finding.id for finding in kept}
    wanted = [
        row
        for name, row in AUDITS.items()
        if name not in told and (evidence.thorough or not row.question.dear)
    ]
    found = [*kept, *_asked(wanted, evidence, progress)]
    return sorted(found, key=lambda finding: weigh(finding.id))


def stamped(
    scores: Sequence[Score], findings: Sequence[Finding], cells: Container[str]
) -> list[Score]:
    """The scores of these cells, each with what the audits of its images alone have found."""
    mine = [finding for finding in findings if AUDITS[finding.id].question.early]
    named = {
        status: ", ".join(finding.id for finding in mine if finding.status == status)
        for status in ("fail", "warn", "unknown")
    }
    words = [f"{status}: {names}" for status, names in named.items() if names]
    stamp = "; ".join(words) or ("pass" if mine else "")
    return [replace(score, stamp=stamp) if score.cell in cells else score for score in scores]


def _asked(rows: Sequence[Audit], evidence: Evidence, progress: Progress | None) -> list[Finding]:
    found: list[Finding] = []
    empty = not len(evidence.manifest)
    for row in rows:
        if empty and not (evidence.recognised is not None and row.question.id in LEAKS):
            found.append(row.question.unknown(NONE_NEW if evidence.recognised else NO_IMAGES))
        else:
            found.append(row(evidence))
        if progress:
            progress(len(found), len(rows))
    return found


def left(findings: Sequence[Finding]) -> list[str]:
    """The audits that were not among these, by id and title: a run leaves the dear ones out."""
    made = {finding.id for finding in findings}
    rest = [row.question for name, row in AUDITS.items() if name not in made]
    return [f"{question.id} ({question.title})" for question in rest]
