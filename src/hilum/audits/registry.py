"""The table of audits: one row per question."""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import TypeAlias

from hilum.audits import (
    c01_lungs_blacked_out,
    c02_confounding,
    c03_border_only,
    c04_file_metadata,
    c05_c12_c23_feature_probes,
    c06_marks_filled,
    c07_marks_transplanted,
    c08_marker_side,
    c09_age_confounding,
    c10_c11_leakage,
    c13_heat_in_lungs,
    c14_weight_randomisation,
    c15_lesion_localisation,
    c16_deletion_insertion,
    c17_calibration,
    c18_c20_c21_decisions,
    c19_subgroups,
    c22_out_of_distribution,
    c24_seed_variance,
    c25_corruption,
    c26_prevalence_shift,
    c27_published_numbers,
)
from hilum.audits.base import Audit
from hilum.audits.evidence import Evidence
from hilum.audits.verdict import severity
from hilum.types import Finding, Score

Progress: TypeAlias = Callable[[int, int], None]
NO_IMAGES = "no images are at hand; name labelled ones with --data"
NONE_NEW = "the model was built on these very images or their patients"
ROWS = (
    Audit(c01_lungs_blacked_out.QUESTION, c01_lungs_blacked_out.audit),
    Audit(c02_confounding.QUESTION, c02_confounding.audit),
    Audit(c03_border_only.QUESTION, c03_border_only.audit),
    Audit(c04_file_metadata.QUESTION, c04_file_metadata.audit),
    Audit(c06_marks_filled.QUESTION, c06_marks_filled.audit),
    Audit(c07_marks_transplanted.QUESTION, c07_marks_transplanted.audit),
    Audit(c08_marker_side.QUESTION, c08_marker_side.audit),
    Audit(c09_age_confounding.QUESTION, c09_age_confounding.audit),
    Audit(c10_c11_leakage.PATIENTS, c10_c11_leakage.audit_patients),
    Audit(c10_c11_leakage.IMAGES, c10_c11_leakage.audit_images),
    Audit(c13_heat_in_lungs.QUESTION, c13_heat_in_lungs.audit),
    Audit(c14_weight_randomisation.QUESTION, c14_weight_randomisation.audit),
    Audit(c15_lesion_localisation.QUESTION, c15_lesion_localisation.audit),
    Audit(c16_deletion_insertion.QUESTION, c16_deletion_insertion.audit),
    Audit(c17_calibration.QUESTION, c17_calibration.audit),
    Audit(c25_corruption.QUESTION, c25_corruption.audit),
    Audit(c05_c12_c23_feature_probes.SOURCE, c05_c12_c23_feature_probes.audit_source),
    Audit(c05_c12_c23_feature_probes.RANDOM, c05_c12_c23_feature_probes.audit_random),
    Audit(c05_c12_c23_feature_probes.EXTERNAL, c05_c12_c23_feature_probes.audit_external),
    Audit(c18_c20_c21_decisions.THRESHOLD, c18_c20_c21_decisions.audit_threshold),
    Audit(c18_c20_c21_decisions.BENEFIT, c18_c20_c21_decisions.audit_benefit),
    Audit(c18_c20_c21_decisions.ABSTENTION, c18_c20_c21_decisions.audit_coverage),
    Audit(c19_subgroups.QUESTION, c19_subgroups.audit),
    Audit(c22_out_of_distribution.QUESTION, c22_out_of_distribution.audit),
    Audit(c24_seed_variance.QUESTION, c24_seed_variance.audit),
    Audit(c26_prevalence_shift.QUESTION, c26_prevalence_shift.audit),
    Audit(c27_published_numbers.QUESTION, c27_published_numbers.audit),
)
LEAKS = (c10_c11_leakage.PATIENTS.id, c10_c11_leakage.IMAGES.id)
AUDITS = {row.question.id: row for row in sorted(ROWS, key=lambda row: row.question.id)}


def run_before_training(evidence: Evidence, progress: Progress | None = None) -> list[Finding]:
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
    return sorted(found, key=lambda finding: severity(finding.id))


def mark_scores(
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


def not_run(findings: Sequence[Finding]) -> list[str]:
    """The audits that were not among these, by id and title: a run leaves the dear ones out."""
    made = {finding.id for finding in findings}
    rest = [row.question for name, row in AUDITS.items() if name not in made]
    return [f"{question.id} ({question.title})" for question in rest]
