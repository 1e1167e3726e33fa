"""C-25: how much of what the classifier knows is lost on slightly worse images?"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from hilum.audits import sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import bootstrap, metrics
from hilum.types import Finding, Grey8, HilumError, Labels

RULE = AuditRule(
    id="C-25",
    title="Degraded images",
    rule="share of the balanced accuracy above chance that is lost, mean of 6 corruptions "
    "at 3 strengths: above 0.5 warns; it never fails",
    source="Hendrycks & Dietterich 2019, arXiv:1903.12261 (relative mCE; chance replaces AlexNet)",
    severity=50,
    expensive=True,
)
MANY = 96
LIMIT = 0.5
REPLICATES = 1000
Corrupt = Callable[[Grey8, float], Grey8]


def _jpeg(image: Grey8, quality: float) -> Grey8:
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _blur(image: Grey8, share: float) -> Grey8:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), share * max(image.shape)), np.uint8)


def _noise(image: Grey8, spread: float) -> Grey8:
    # the same noise on every image: the audit must give the same figure twice
    random = np.random.default_rng(25)
    noise = random.normal(0, spread * 255, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _contrast(image: Grey8, share: float) -> Grey8:
    middle = float(image.mean())
    return np.clip(np.rint(middle + share * (image - middle)), 0, 255).astype(np.uint8)


def _crop(image: Grey8, share: float) -> Grey8:
    height, width = image.shape
    top, left = round(share * height), round(share * width)
    inside = image[top : height - top, left : width - left]
    return np.asarray(cv2.resize(inside, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _bits(image: Grey8, bits: float) -> Grey8:
    step = 2 ** (8 - int(bits))
    return (image // step * step + step // 2).astype(np.uint8)


CORRUPTIONS: dict[str, tuple[Corrupt, tuple[float, float, float]]] = {
    "JPEG": (_jpeg, (50, 25, 10)),  # quality
    "blur": (_blur, (0.002, 0.004, 0.008)),  # deviation, share of the side
    "noise": (_noise, (0.01, 0.03, 0.06)),  # deviation, share of the grey scale
    "contrast": (_contrast, (0.7, 0.5, 0.3)),  # what is left of it
    "crop": (_crop, (0.03, 0.06, 0.12)),  # cut off at each side
    "bit depth": (_bits, (5, 4, 3)),  # bits
}


def audit(evidence: Evidence) -> Finding:
    """Balanced accuracy on prepared images, whole and corrupted, of the same images."""
    model, stack = sampling.model(evidence), sampling.stack(evidence)
    rows = sampling.unseen(evidence, MANY)
    clean, labels = np.ascontiguousarray(stack[rows]), evidence.labels[rows]
    predicted = [model.probabilities(clean).argmax(1)]
    for corrupt, strengths in CORRUPTIONS.values():
        for strength in strengths:
            worse = np.stack([corrupt(image, strength) for image in clean])
            predicted.append(model.probabilities(worse).argmax(1))
    accuracies = _accuracies(labels, np.stack(predicted), evidence.groups[rows], evidence.seed)
    chance = 1 / len(np.unique(labels))
    if np.quantile(accuracies[1:, 0], 0.025) <= chance:
        raise HilumError(
            f"the classifier is no better than chance on the {len(rows)} images as they are"
        )
    loss = relative_losses(accuracies, chance)
    each = loss[0].reshape(len(CORRUPTIONS), -1).mean(1)
    value, worst = float(loss[0].mean()), int(each.argmax())
    low, high = (float(x) for x in np.quantile(loss[1:].mean(1), [0.025, 0.975]))
    sentence = (
        f"Slightly degraded images cost {max(value, 0):.0%} of the accuracy above "
        f"chance; {[*CORRUPTIONS][worst]} costs most ({max(each[worst], 0):.0%})."
    )
    return RULE.finding("warn" if value > LIMIT else "pass", value, sentence, (low, high))


def _accuracies(
    labels: Labels, predicted: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.float64]:
    """(1 + replicate, version): balanced accuracy, of all patients first, then resampled.

    Brodersen et al. 2010, doi:10.1109/ICPR.2010.764.
    """
    names, patients = np.unique(groups, return_inverse=True)
    right = (predicted == labels).T.astype(np.float64)  # (image, version)
    classes = [labels == c for c in np.unique(labels)]

    def figures(weights: bootstrap.Array) -> bootstrap.Array:
        each = weights[:, patients]
        shares = [metrics.ratio(each[:, c] @ right[c], each[:, c].sum(1)[:, None]) for c in classes]
        return np.asarray(np.mean(shares, axis=0))

    random = np.random.default_rng([seed, 25])
    replicates = bootstrap.replicate(figures, len(names), random, REPLICATES, len(labels))
    every = np.concatenate([figures(np.ones((1, len(names)))), replicates])
    return every[~np.isnan(every).any(1)]


def relative_losses(accuracies: npt.NDArray[np.float64], chance: float) -> npt.NDArray[np.float64]:
    """Accuracy lost to each corruption as a share of what was above chance, (resample, corruption).

    `accuracies` has a row per resample, the images as they are in its first column. The few
    resamples that are at chance already have no share to lose and are left out.
    """
    above = accuracies[accuracies[:, 0] > chance]
    return (above[:, :1] - above[:, 1:]) / (above[:, :1] - chance)
