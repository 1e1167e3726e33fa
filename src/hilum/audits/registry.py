"""The table of audits, a row each, and what runs them."""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import TypeAlias

from hilum.audits import (
    c01_lungs_blacked_out,
    c02_confounding,
    c03_border_only,
    c04_file_metadata,
    c05_source_in_features,
    c06_marks_filled,
    c07_marks_transplanted,
    c08_marker_side,
    c09_age_confounding,
    c10_patients_on_both_sides,
    c11_images_on_both_sides,
    c12_random_labels,
    c13_heat_in_lungs,
    c14_weight_randomisation,
    c15_lesion_localisation,
    c16_deletion_insertion,
    c17_calibration,
    c18_threshold,
    c19_subgroups,
    c20_decision_curve,
    c21_conformal_coverage,
    c22_out_of_distribution,
    c23_other_sources,
    c24_seed_variance,
    c25_corruption,
    c26_prevalence_shift,
    c27_published_numbers,
)
from hilum.audits.base import Audit
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Score

Progress: TypeAlias = Callable[[int, int], None]
NO_IMAGES = "there are no images; name labelled ones with --data"
NONE_NEW = "these images, or their patients, were used to build the model"
FILMS, MAPS, FEATURES = "films with marks", "heat maps", "look-alikes among features"
TABLES = "predictions"  # read in a moment
ROWS = (
    Audit(c01_lungs_blacked_out.RULE, c01_lungs_blacked_out.audit),
    Audit(c02_confounding.RULE, c02_confounding.audit, TABLES),
    Audit(c03_border_only.RULE, c03_border_only.audit),
    Audit(c04_file_metadata.RULE, c04_file_metadata.audit),
    Audit(c05_source_in_features.RULE, c05_source_in_features.audit, FEATURES),
    Audit(c06_marks_filled.RULE, c06_marks_filled.audit, FILMS),
    Audit(c07_marks_transplanted.RULE, c07_marks_transplanted.audit, FILMS),
    Audit(c08_marker_side.RULE, c08_marker_side.audit, FILMS),
    Audit(c09_age_confounding.RULE, c09_age_confounding.audit, TABLES),
    Audit(c10_patients_on_both_sides.RULE, c10_patients_on_both_sides.audit, FEATURES),
    Audit(c11_images_on_both_sides.RULE, c11_images_on_both_sides.audit, FEATURES),
    Audit(c12_random_labels.RULE, c12_random_labels.audit, FEATURES),
    Audit(c13_heat_in_lungs.RULE, c13_heat_in_lungs.audit, MAPS),
    Audit(c14_weight_randomisation.RULE, c14_weight_randomisation.audit),
    Audit(c15_lesion_localisation.RULE, c15_lesion_localisation.audit, MAPS),
    Audit(c16_deletion_insertion.RULE, c16_deletion_insertion.audit),
    Audit(c17_calibration.RULE, c17_calibration.audit, TABLES),
    Audit(c18_threshold.RULE, c18_threshold.audit, TABLES),
    Audit(c19_subgroups.RULE, c19_subgroups.audit, TABLES),
    Audit(c20_decision_curve.RULE, c20_decision_curve.audit, TABLES),
    Audit(c21_conformal_coverage.RULE, c21_conformal_coverage.audit, TABLES),
    Audit(c22_out_of_distribution.RULE, c22_out_of_distribution.audit),
    Audit(c23_other_sources.RULE, c23_other_sources.audit, FEATURES),
    Audit(c24_seed_variance.RULE, c24_seed_variance.audit, TABLES),
    Audit(c25_corruption.RULE, c25_corruption.audit),
    Audit(c26_prevalence_shift.RULE, c26_prevalence_shift.audit, TABLES),
    Audit(c27_published_numbers.RULE, c27_published_numbers.audit, TABLES),
)
AUDITS = {row.rule.id: row for row in ROWS}


def run_before_training(evidence: Evidence, progress: Progress | None = None) -> list[Finding]:
    """What the images and their split show alone, before anything is trained on them."""
    return _findings(
        [row for row in AUDITS.values() if row.rule.before_training], evidence, progress
    )


def run_audits(
    evidence: Evidence, progress: Progress | None = None, known: Sequence[Finding] = ()
) -> list[Finding]:
    """Every audit, the most severe first; the expensive ones only where `evidence.thorough`.

    What is `known` from before training is not run again, but for leakage: a source task may share
    images too, and features tell more of unknown patients.
    """
    kept = still_known(known)
    rows = [AUDITS[name] for name in to_run(kept, evidence.thorough)]
    return by_severity([*kept, *_findings(rows, evidence, progress)])


def still_known(known: Sequence[Finding]) -> list[Finding]:
    """Those of before training that stand when a model is there."""
    return [finding for finding in known if not AUDITS[finding.id].rule.leakage]


def to_run(kept: Sequence[Finding], thorough: bool) -> list[str]:
    """The audits, by id, that are left to run."""
    done = {finding.id for finding in kept}
    return [
        name
        for name, row in AUDITS.items()
        if name not in done and (thorough or not row.rule.expensive)
    ]


def groups(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The audits in groups that one process runs: those that share what they compute."""
    shared: dict[str, list[str]] = {}
    for name in names:
        shared.setdefault(AUDITS[name].shares or name, []).append(name)
    tables = shared.pop(TABLES, [])
    return [tuple(group) for group in (*shared.values(), tables) if group]


def run_group(evidence: Evidence, names: Sequence[str]) -> list[Finding]:
    """The findings of a group of audits."""
    return _findings([AUDITS[name] for name in names], evidence, None)


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """The findings of the most severe audits first, by id where two are as severe."""
    return sorted(findings, key=lambda one: (-AUDITS[one.id].rule.severity, one.id))


def mark_scores(
    scores: Sequence[Score], findings: Sequence[Finding], cells: Container[str]
) -> list[Score]:
    """The scores of these cells, each with what the audits of its images alone have found."""
    of_images = [finding for finding in findings if AUDITS[finding.id].rule.before_training]
    named = {
        status: ", ".join(finding.id for finding in of_images if finding.status == status)
        for status in ("fail", "warn", "unknown")
    }
    words = [f"{status}: {names}" for status, names in named.items() if names]
    stamp = "; ".join(words) or ("pass" if of_images else "")
    return [replace(score, stamp=stamp) if score.cell in cells else score for score in scores]


def _findings(
    rows: Sequence[Audit], evidence: Evidence, progress: Progress | None
) -> list[Finding]:
    findings: list[Finding] = []
    for row in rows:
        findings.append(_finding(row, evidence))
        if progress:
            progress(len(findings), len(rows))
    return findings


def _finding(row: Audit, evidence: Evidence) -> Finding:
    """Without images only leakage can be judged: by those that an external test set aside."""
    if len(evidence.manifest) or (evidence.recognised is not None and row.rule.leakage):
        return row(evidence)
    return row.rule.unknown(NONE_NEW if evidence.recognised else NO_IMAGES)


def not_run(findings: Sequence[Finding]) -> list[str]:
    """The audits that are not among these, by id and title: a run leaves expensive ones out."""
    done = {finding.id for finding in findings}
    return [f"{name} ({row.rule.title})" for name, row in AUDITS.items() if name not in done]
