"""C-11: are identical or nearly identical images on both sides of the split?"""

from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.inference.seen_before import Recognised
from hilum.types import Finding, Leak

RULE = AuditRule(
    id="C-11",
    title="Images on both sides",
    rule="any identical or near-identical pair across parts fails",
    source="Roberts et al. 2021, doi:10.1038/s42256-021-00307-0 (Frankenstein datasets)",
    remedy="list the duplicates with hilum data leaks, and test on other images",
    severity=260,
    before_training=True,
    leakage=True,
)


def audit(evidence: Evidence) -> Finding:
    """Pairs of identical or nearly identical images in different parts, or of model and test."""
    if evidence.recognised is not None:
        return _images_met(evidence.recognised)
    if evidence.split is None:
        return RULE.unknown("no split was recorded")
    pairs = [leak for leak in evidence.leaks if leak.kind != "same patient"]
    if not pairs:
        return RULE.finding("pass", 0.0, "No image has a duplicate in another part of the split.")
    return RULE.finding("fail", float(len(pairs)), _twins(pairs))


def _twins(pairs: list[Leak]) -> str:
    kinds = sorted({leak.kind for leak in pairs})
    images = len({frozenset((leak.first, leak.second)) for leak in pairs})
    pairs_are = "pair of images is" if images == 1 else "pairs of images are"
    return f"{images} {pairs_are} on both sides of the split ({', '.join(kinds)})."


def _images_met(recognised: Recognised) -> Finding:
    """Films of an external test that the model was built on, or near duplicates of them."""
    same, near = (
        int(recognised.files.sum()),
        int(((recognised.near >= 0) & ~recognised.files).sum()),
    )
    if same or near:
        sentence = (
            f"{same + near:,} of {len(recognised.files):,} images were used to build "
            f"the model ({same:,} identical files, {near:,} near duplicates); no score "
            "counts them."
        )
        return RULE.finding("fail", float(same + near), sentence)
    if recognised.films_state == "not checked":
        only = (
            ""
            if recognised.files_state == "not checked"
            else ("; none is a file that the model was built on")
        )
        return RULE.unknown(f"{recognised.unchecked_films}{only}")
    return RULE.finding("pass", 0.0, "None of the images was used to build the model.")
