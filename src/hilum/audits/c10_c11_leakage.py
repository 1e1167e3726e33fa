"""C-10 and C-11: patients and images that stand on both sides of the split."""

import numpy as np

from hilum.audits import look_alikes
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.inference.seen_before import Recognised
from hilum.types import Finding, Labels, Leak

DROP = 0.05
PATIENTS = AuditRule(
    "C-10",
    "Patients on both sides",
    "any pair across parts fails; missing patient identifiers warn, and fail where the nearest "
    f"training image's label is right for {DROP:.0%} fewer once look-alikes are left out",
    "Yagis et al. 2021, doi:10.1038/s41598-021-01681-w: slice-level splits add 29-55 points",
    early=True,
)
IMAGES = AuditRule(
    "C-11",
    "Images on both sides",
    "any identical or near-identical pair across parts fails",
    "Roberts et al. 2021, doi:10.1038/s42256-021-00307-0 (Frankenstein datasets)",
    early=True,
)


def audit_patients(evidence: Evidence) -> Finding:
    """Pairs of images of one patient in different parts of a fold, or of model and test."""
    if evidence.recognised is not None:
        return _patients_met(evidence.recognised)
    if evidence.split is None:
        return PATIENTS.unknown("no split was recorded")
    pairs = [leak for leak in evidence.leaks if leak.kind == "same patient"]
    if pairs:
        patients = len({leak.first for leak in pairs})
        sentence = f"{patients} images have their own patient in another part of the split."
        return PATIENTS.found("fail", float(len(pairs)), sentence)
    missing = int(evidence.manifest["patient_id"].isna().sum())
    if missing:
        return _nameless(evidence, missing)
    return PATIENTS.found("pass", 0.0, "No patient stands in two parts of the split.")


def _patients_met(found: Recognised) -> Finding:
    """Patients of an external test whom the model was built on; no pass on what is unknown."""
    met, why = int(found.patients.sum()), found.unchecked_patients
    if met:
        sentence = (
            f"{met:,} of {len(found.patients):,} images are of patients whom the model was built "
            "on; no score counts them."
        )
        return PATIENTS.found("fail", float(met), sentence)
    if found.patients_state == "not checked":
        return PATIENTS.unknown(why)
    if found.elsewhere.any():
        sentence = (
            f"{int(found.elsewhere.sum()):,} images have a patient number that the model's "
            "training has from another source: leakage cannot be excluded where sources share "
            "their numbers."
        )
        return PATIENTS.found("warn", 0.0, sentence)
    if found.patients_state == "partly":
        sentence = f"Leakage between patients cannot be excluded: {why}. No known one is met again."
        return PATIENTS.found("warn", 0.0, sentence)
    return PATIENTS.found("pass", 0.0, "The model was built on no patient of this test.")


def _images_met(found: Recognised) -> Finding:
    """Films of an external test that the model was built on, or near duplicates of them."""
    same, near = int(found.files.sum()), int(((found.near >= 0) & ~found.files).sum())
    if same or near:
        sentence = (
            f"{same + near:,} of {len(found.files):,} images are among those that the model was "
            f"built on ({same:,} the very files, {near:,} near duplicates); no score counts them."
        )
        return IMAGES.found("fail", float(same + near), sentence)
    if found.films_state == "not checked":
        only = "" if found.files_state == "not checked" else "; none is one of its very files"
        return IMAGES.unknown(f"{found.unchecked_films}{only}")
    return IMAGES.found("pass", 0.0, "No image is among those that the model was built on.")


def _nameless(evidence: Evidence, missing: int) -> Finding:
    """What clusters of near duplicates tell where patients are unknown."""
    lead = (
        f"Patient identifiers do not exist for {missing} of {len(evidence.manifest)} images: "
        "leakage between patients cannot be excluded."
    )
    known, asked = parts(evidence)
    if evidence.features is None or not len(known) or not len(asked):
        return PATIENTS.found("warn", 0.0, lead)
    groups = look_alikes.of(evidence)
    single, without = look_alikes.side_by_side(evidence, groups, known, asked)
    met = int(np.isin(groups[asked], groups[known]).sum())
    seen = (
        f"{met} of {len(asked)} test images have a look-alike in training, and the nearest image "
        f"there has the right label for {single:.1%} of the test, for {without:.1%} once "
        f"look-alikes are left out ({len(np.unique(groups))} clusters)."
    )
    if single - without > DROP:
        return PATIENTS.found("fail", single - without, f"{seen} {lead}")
    return PATIENTS.found("warn", single - without, f"{lead} {seen}")


def parts(evidence: Evidence) -> tuple[Labels, Labels]:
    """Rows of the images that the first fold learns from, and of those that it tests."""
    assert evidence.split is not None  # noqa: S101 - callers have asked
    table = evidence.split.table
    first = table[table["fold"] == table["fold"].min()].set_index("sample_id")["part"]
    part = first.reindex(evidence.manifest["sample_id"]).to_numpy(object)
    learnt = (part == "train") | (part == "validation")
    return np.flatnonzero(learnt).astype(np.int64), np.flatnonzero(part == "test").astype(np.int64)


def audit_images(evidence: Evidence) -> Finding:
    """Pairs of identical or nearly identical images in different parts, or of model and test."""
    if evidence.recognised is not None:
        return _images_met(evidence.recognised)
    if evidence.split is None:
        return IMAGES.unknown("no split was recorded")
    pairs = [leak for leak in evidence.leaks if leak.kind != "same patient"]
    if not pairs:
        return IMAGES.found("pass", 0.0, "No image has a twin in another part of the split.")
    return IMAGES.found("fail", float(len(pairs)), _twins(pairs))


def _twins(pairs: list[Leak]) -> str:
    kinds = sorted({leak.kind for leak in pairs})
    images = len({frozenset((leak.first, leak.second)) for leak in pairs})
    pairs_are = "pair of images is" if images == 1 else "pairs of images are"
    return f"{images} {pairs_are} on both sides of the split ({', '.join(kinds)})."
