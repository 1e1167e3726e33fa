"""C-22: does the model's gate know images that are no films of its kind?"""

from contextlib import suppress

import numpy as np

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.inference import ood
from hilum.metrics import metrics
from hilum.types import Finding, Floats, GreyImage, HilumError, Status

RULE = AuditRule(
    id="C-22",
    title="Out-of-distribution check",
    rule="AUROC of the out-of-distribution check below 0.98 on far images (noise, "
    "photographs) or below 0.9 on near ones (inverted and turned test films) fails; "
    "more than 10% of test films rejected warns",
    source="Çallı et al. 2023, doi:10.1109/TMI.2022.3224067 (FRODO); Sun et al. 2022, "
    "arXiv:2204.06507",
    remedy="check by eye that every image is of the kind that the model was trained on",
    severity=60,
)
FAR, NEAR, REFUSED = 0.98, 0.9, 0.1
OWN, POSED, NOISE = 100, 20, 12  # test images, films in each pose, noises of each grain
SIDE = 256  # pixels of the noises and photographs
GRAINS = (0.0, 3.0, 12.0)  # pixels by which noise is blurred


def audit(evidence: Evidence) -> Finding:
    """The gate's AUROC between test films and both kinds of other images."""
    model, features = evidence.model, evidence.features
    if model is None or model.gate is None:
        return RULE.unknown("the model has no out-of-distribution check")
    if features is None:
        return RULE.unknown("the network's features are not available")
    at = predictions.predicted_rows(evidence, predictions.predictions(evidence))
    at = at[at >= 0]
    at = at[ood.evenly_spaced(len(at), OWN)] if len(at) else at
    films = _films(evidence, at[ood.evenly_spaced(len(at), POSED)]) if len(at) else []
    if not films:
        return RULE.unknown("the test images can no longer be read")
    far = [*noises(evidence.seed), *photographs()]
    near = [ood.posed(film, pose) for film in films for pose in ood.POSES]
    usual = model.gate.scores(np.asarray(features[at]))
    areas = []
    for others in (far, near):
        features_of_others: Floats = model.runtime(
            np.stack([model.pipeline(image) for image in others])
        )
        scores = np.concatenate([usual, model.gate.scores(features_of_others)])
        areas.append(metrics.auroc(np.arange(len(scores)) >= len(usual), scores))
    refused = float((usual > 1).mean())
    sentence = (
        "The out-of-distribution check separates test films from noise and photographs "
        f"with AUROC {areas[0]:.2f}, and from inverted and turned films with "
        f"{areas[1]:.2f}. It rejects {refused:.0%} of the test films."
    )
    bad = areas[0] < FAR or areas[1] < NEAR
    status: Status = "fail" if bad else "warn" if refused > REFUSED else "pass"
    return RULE.finding(status, min(areas), sentence)


def noises(seed: int) -> list[GreyImage]:
    """(SIDE, SIDE) uniform noise of several grains, stretched to all greys."""
    import cv2

    random = np.random.default_rng([seed, 22])
    images: list[GreyImage] = []
    for grain in GRAINS:
        for _ in range(NOISE):
            noise = random.random((SIDE, SIDE), np.float32)
            smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain) if grain else noise)
            images.append(((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32))
    return images


def photographs() -> list[GreyImage]:
    """(SIDE, SIDE) pieces of scikit-learn's two photographs, of a temple and of a flower."""
    from sklearn.datasets import load_sample_images

    pieces: list[GreyImage] = []
    for picture in load_sample_images().images:
        grey = picture.mean(axis=2).astype(np.uint8)
        tops, lefts = (np.linspace(0, size - SIDE, 3).astype(int) for size in grey.shape)
        pieces += [grey[y : y + SIDE, x : x + SIDE].copy() for y in tops for x in lefts]
    return pieces


def _films(evidence: Evidence, at: np.ndarray) -> list[GreyImage]:
    """The images as they lie on disk, but for those that cannot be read any more."""
    assert evidence.model is not None  # noqa: S101 - callers have asked
    side = evidence.model.pipeline.decode_side
    films: list[GreyImage] = []
    for row in at.tolist():
        with suppress(HilumError):
            films.append(evidence.source_image(row, side))
    return films
