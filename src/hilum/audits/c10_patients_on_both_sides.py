"""C-10: are images of one patient on both sides of the split?"""

import numpy as np

from hilum.audits import look_alikes
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.inference.seen_before import Recognised
from hilum.types import Finding, counted

DROP = 0.05
RULE = AuditRule(
    id="C-10",
    title="Patients on both sides",
    rule="any patient in two parts fails; missing patient identifiers warn, and fail where "
    f"the nearest training image has the right label for {DROP:.0%} fewer test images "
    "once look-alikes are left out",
    source="Yagis et al. 2021, doi:10.1038/s41598-021-01681-w: slice-level splits add 29-55 points",
    remedy="give every image a patient_id, and keep each patient on one side of the split",
    severity=250,
    before_training=True,
    leakage=True,
)


def audit(evidence: Evidence) -> Finding:
    """Pairs of images of one patient in different parts of a fold, or of model and test."""
    if evidence.recognised is not None:
        return _patients_met(evidence.recognised)
    if evidence.split is None:
        return RULE.unknown("no split was recorded")
    pairs = [leak for leak in evidence.leaks if leak.kind == "same patient"]
    if pairs:
        patients = len({leak.first for leak in pairs})
        sentence = (
            f"Of {counted(patients, 'image')} the patient has another image in another part of "
            "the split."
        )
        return RULE.finding("fail", float(len(pairs)), sentence)
    missing = int(evidence.manifest["patient_id"].isna().sum())
    if missing:
        return _nameless(evidence, missing)
    return RULE.finding("pass", 0.0, "No patient is in two parts of the split.")


def _patients_met(recognised: Recognised) -> Finding:
    """Patients of an external test whom the model was built on; no pass on what is unknown."""
    met, why = int(recognised.patients.sum()), recognised.unchecked_patients
    if met:
        sentence = (
            f"{met:,} of {len(recognised.patients):,} images are of patients who were "
            "used to build the model; no score counts them."
        )
        return RULE.finding("fail", float(met), sentence)
    if recognised.patients_state == "not checked":
        return RULE.unknown(why)
    if recognised.elsewhere.any():
        sentence = (
            f"{int(recognised.elsewhere.sum()):,} images have a patient number that "
            "training has from another source: leakage cannot be excluded if sources "
            "share their numbers."
        )
        return RULE.finding("warn", 0.0, sentence)
    if recognised.patients_state == "partly":
        sentence = (
            f"Leakage between patients cannot be excluded: {why}. No known patient is in both sets."
        )
        return RULE.finding("warn", 0.0, sentence)
    return RULE.finding("pass", 0.0, "No patient of this test was used to build the model.")


def _nameless(evidence: Evidence, missing: int) -> Finding:
    """What clusters of near duplicates tell where patients are unknown."""
    lead = (
        f"{missing} of {len(evidence.manifest)} images have no patient identifier: "
        "leakage between patients cannot be excluded."
    )
    learned, tested = look_alikes.first_fold(evidence)
    if evidence.features is None or not len(learned) or not len(tested):
        return RULE.finding("warn", 0.0, lead)
    groups = look_alikes.look_alike_groups(evidence)
    single, without = look_alikes.side_by_side(evidence, groups, learned, tested)
    met = int(np.isin(groups[tested], groups[learned]).sum())
    seen = (
        f"{met} of {len(tested)} test images have a look-alike in training, and the "
        f"nearest training image has the right label for {single:.1%} of the test "
        f"images ({without:.1%} once look-alikes are left out; {len(np.unique(groups))} "
        "clusters)."
    )
    if single - without > DROP:
        return RULE.finding("fail", single - without, f"{seen} {lead}")
    return RULE.finding("warn", single - without, f"{lead} {seen}")
