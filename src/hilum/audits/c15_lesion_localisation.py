"""C-15: does the heat lie on the lesion, where somebody has outlined it?"""

import cv2
import numpy as np
from scipy.stats import binomtest

from hilum import images
from hilum.audits import sampled_maps, sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import intervals
from hilum.preprocess import Pipeline, from_list
from hilum.preprocess.step import as_uint8, resized
from hilum.types import Finding, Floats, HilumError, Mask, Status

RULE = AuditRule(
    id="C-15",
    title="Heat on the lesion",
    rule="pointing game: share of images whose hottest place lies on the outlined lesion; "
    "no more than chance would hit (binomial, p < 0.01) warns; it never fails",
    source="Saporta et al. 2022, doi:10.1038/s42256-022-00536-x; Zhang et al. 2018 (pointing game)",
    severity=30,
)
COLUMN = "lesion_path"  # of the manifest: a mask of the lesions (0 or 255), the film's own size
LEAST, SURE = 10, 0.01
NEAR = 1 / 15  # of the side: how far a hit may be off, 15 of 224 pixels
HALF = 0.5  # of its maximum: where a map is cut for its overlap


def audit(evidence: Evidence) -> Finding:
    """Grad-CAM's hottest place and overlap with the lesions' masks, against chance.

    The pointing game of Zhang et al. 2018, doi:10.1007/s11263-017-1059-x, with its tolerance of 15
    pixels (NEAR).
    """
    from hilum.explain import sanity_checks

    table = evidence.manifest
    if COLUMN not in table or table[COLUMN].isna().all():
        return RULE.unknown(f"the lesions are not outlined (no {COLUMN} in the manifest)")
    sample = sampled_maps.heat_maps(evidence)
    place = geometry(sampling.model(evidence).pipeline)
    off, hits, chances, overlaps = round(NEAR * max(place.shape)), [], [], []
    for row, heat in zip(sample.rows, sample.maps, strict=True):
        lesion = _lesion(table[COLUMN].iloc[row], table["path"].iloc[row], place)
        hit = None if lesion is None else sanity_checks.pointing_game(heat, lesion, off)
        if lesion is not None and hit is not None:
            hits.append(hit)
            chances.append(_chance(lesion, off))
            overlaps.append(_overlap(heat, lesion))
    if len(hits) < LEAST:
        raise HilumError(
            f"at least {LEAST} images with heat and an outlined lesion are needed; got {len(hits)}"
        )
    value, chance = float(np.mean(hits)), float(np.mean(chances))
    low, high = intervals.wilson(sum(hits), len(hits))
    luck = binomtest(sum(hits), len(hits), chance, alternative="greater").pvalue
    status: Status = "pass" if luck < SURE else "warn"
    sentence = (
        f"The hottest place lies on the lesion in {sum(hits)} of {len(hits)} images; chance would "
        f"hit {chance:.0%}. Mean overlap (IoU) {np.mean(overlaps):.2f}."
    )
    return RULE.finding(status, value, sentence, (low, high))


def geometry(pipeline: Pipeline) -> Pipeline:
    """The steps that move pixels; HilumError where some go by what the film shows."""
    for step in pipeline.steps:
        if step.moves_pixels == "by content":
            raise HilumError(f"step {step.name} moves pixels depending on what the film shows")
    rows = [
        row
        for row, step in zip(pipeline.as_list(), pipeline.steps, strict=True)
        if step.moves_pixels == "by size"
    ]
    # bars next to the film are no lesion
    return from_list([{**row, "fill": 0} if "fill" in row else row for row in rows])


def _lesion(path: object, film: str, place: Pipeline) -> Mask | None:
    """The prepared mask (height, width); None where there is none to be read."""
    if not isinstance(path, str):
        return None
    try:
        facts = images.probe(film)
        # a mask may be drawn on stored pixels that are not square, as those of its film are not
        pixels = resized(as_uint8(images.read(path).pixels), (facts["height"], facts["width"]))
        return np.asarray(place(pixels) > 127)
    except HilumError:
        return None


def _chance(lesion: Mask, off: int) -> float:
    """Share of the image that counts as a hit."""
    away = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away <= off).mean())


def _overlap(heat: Floats, lesion: Mask) -> float:
    hot = heat >= HALF * heat.max()
    return float((hot & lesion).sum() / (hot | lesion).sum())
