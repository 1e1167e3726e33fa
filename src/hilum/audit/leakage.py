"""C-10 and C-11: patients and images that stand on both sides of the split."""

from hilum.audit.evidence import Evidence
from hilum.types import Finding, Leak, Status

PATIENTS = ("C-10", "Patients on both sides")
IMAGES = ("C-11", "Images on both sides")
RULE = "any pair across parts fails; missing patient identifiers warn"
REFERENCE = "Yagis et al. 2021, doi:10.1038/s41598-021-01681-w: slice-level splits add 29-55 points"
RULE_IMAGES = "any identical or near-identical pair across parts fails"
REFERENCE_IMAGES = "Roberts et al. 2021, doi:10.1038/s42256-021-00307-0 (Frankenstein datasets)"


def audit_patients(evidence: Evidence) -> Finding:
    """Pairs of images of one patient in different parts of a fold."""
    head = (RULE, REFERENCE)
    if evidence.split is None:
        return _unknown(PATIENTS, head, "no split was recorded")
    pairs = [leak for leak in evidence.leaks if leak.kind == "same patient"]
    if pairs:
        patients = len({leak.first for leak in pairs})
        return _finding(
            PATIENTS,
            "fail",
            len(pairs),
            head,
            f"{patients} images have their own patient in another part of the split.",
        )
    missing = int(evidence.manifest["patient_id"].isna().sum())
    if missing:
        return _finding(
            PATIENTS,
            "warn",
            0,
            head,
            f"Patient identifiers do not exist for {missing} of {len(evidence.manifest)} "
            "images: leakage between patients cannot be excluded.",
        )
    return _finding(PATIENTS, "pass", 0, head, "No patient stands in two parts of the split.")


def audit_images(evidence: Evidence) -> Finding:
    """Pairs of identical or nearly identical images in different parts of a fold."""
    head = (RULE_IMAGES, REFERENCE_IMAGES)
    if evidence.split is None:
        return _unknown(IMAGES, head, "no split was recorded")
    pairs = [leak for leak in evidence.leaks if leak.kind != "same patient"]
    if not pairs:
        return _finding(
            IMAGES, "pass", 0, head, "No image has a twin in another part of the split."
        )
    return _finding(IMAGES, "fail", len(pairs), head, _twins(pairs))


def _twins(pairs: list[Leak]) -> str:
    kinds = sorted({leak.kind for leak in pairs})
    images = len({frozenset((leak.first, leak.second)) for leak in pairs})
    pairs_are = "pair of images is" if images == 1 else "pairs of images are"
    return f"{images} {pairs_are} on both sides of the split ({', '.join(kinds)})."


def _finding(
    which: tuple[str, str], status: Status, value: int, head: tuple[str, str], sentence: str
) -> Finding:
    return Finding(which[0], status, float(value), *head, sentence, which[1])


def _unknown(which: tuple[str, str], head: tuple[str, str], why: str) -> Finding:
    return Finding(which[0], "unknown", None, *head, f"Cannot be checked, because {why}.", which[1])
