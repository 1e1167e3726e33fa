"""C-01: how well can the classes be separated with the lungs blacked out?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.audits import cross_validated_probe, predictions, sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import metrics
from hilum.preprocess.lungs import masks
from hilum.preprocess.lungs.masks import LungMask
from hilum.types import Finding, Floats, Grey8, HilumError, Labels, Probabilities, Status, counted

RULE = AuditRule(
    id="C-01",
    title="Lungs blacked out",
    rule="R = (AUROC with the lungs blacked out - 0.5) / (AUROC of whole images - 0.5), of "
    "a linear probe on the model's own features: above 0.25 warns, above 0.5 fails; "
    "where the interval of such an R reaches 0, the images are too few to say",
    source="Maguolo & Nanni 2021, doi:10.1016/j.inffus.2021.04.008: similar results without the "
    "lungs",
    remedy="crop the images to the lungs (step crop_lungs), and take every class from the "
    "same sources",
    severity=270,
)
WARNS, FAILS = 0.25, 0.5  # of R
FEW, MANY = 360, 1200  # images in a run, and in `hilum audit`
MARGIN = 0.03  # of the shorter side, around the box of the lungs
CENTRE = ((0.12, 0.88), (0.1, 0.9))  # rows and columns, where no mask can be believed
LEAST = 10  # images of each class on which a probe is tested
Box = tuple[int, int, int, int]  # rows from, to, columns from, to
Boxes = npt.NDArray[np.int64]  # (image, panel, 4)


@dataclass(frozen=True, slots=True)
class Hidden:
    """Features (image, feature) of images whole and with the lungs' box blacked out."""

    rows: npt.NDArray[np.int64]  # (image,) places in the manifest
    boxes: Boxes  # what each lost
    whole: Floats
    masked: Floats
    with_lungs: int  # images whose lungs were found; the others lost a usual box


def hidden(evidence: Evidence) -> Hidden:
    """Features with and without lungs of a sample of all images, made once for every audit."""
    return evidence.once("hidden", lambda: _hidden(evidence))


def audit(evidence: Evidence) -> Finding:
    """A probe on whole images against one on images without lungs, of the same images."""
    seen = hidden(evidence)
    labels, groups = evidence.labels[seen.rows], evidence.groups[seen.rows]
    folds = predictions.folds(evidence)[seen.rows]
    tested, whole = _probe_probabilities(seen.whole, labels, groups, folds, evidence.seed)
    _, masked = _probe_probabilities(seen.masked, labels, groups, folds, evidence.seed)
    areas = cross_validated_probe.resampled(
        labels[tested], (whole, masked), groups[tested], evidence.seed
    )
    full, without = areas[0]
    if np.nanquantile(areas[1:, 0], 0.025) <= 0.5:
        raise HilumError(
            "the classes cannot be separated on whole images either (AUROC "
            f"{full:.2f}, {len(labels[tested])} images)"
        )
    ratios = metrics.ratio((areas - 0.5)[:, 1], (areas - 0.5)[:, 0])
    low, high = (float(x) for x in np.nanquantile(ratios[1:], [0.025, 0.975]))
    value = float(ratios[0])
    if low <= 0 and value > WARNS:
        raise HilumError(
            f"{len(tested)} images are too few to say how much of the score remains "
            f"with the lungs blacked out (AUROC of a probe {without:.2f} against {full:.2f}; R "
            f"lies between {low:.2f} and {high:.2f})"
        )
    status: Status = "fail" if value > FAILS else "warn" if value > WARNS else "pass"
    sentence = _sentence(status, value, (float(full), float(without)), seen)
    return RULE.finding(status, value, sentence, (low, high))


def blacked(image: Grey8, boxes: npt.NDArray[np.int64]) -> Grey8:
    """(height, width) with boxes (panel, 4) of 0."""
    out = image.copy()
    for top, bottom, left, right in boxes:
        out[top:bottom, left:right] = 0
    return out


def lung_boxes(evidence: Evidence, rows: npt.NDArray[np.int64]) -> tuple[Boxes, int]:
    """(image, panel, 4) the box around the lungs, rows from, to, columns from, to, in pixels; and
    in how many images all were found.

    Where they were not, it is the box that is usual in this panel.
    """
    lungs_of_images = sampling.lungs(evidence, rows)
    height, width = sampling.stack(evidence).shape[1:]
    side = height // evidence.panels
    boxes: Boxes = np.empty((len(lungs_of_images), evidence.panels, 4), np.int64)
    for panel in range(evidence.panels):
        boxes[:, panel] = _boxes([lungs[panel] for lungs in lungs_of_images], (side, width))
        boxes[:, panel, :2] += panel * side
    return boxes, sum(all(panel.good for panel in lungs) for lungs in lungs_of_images)


def _boxes(lungs: Sequence[LungMask], shape: tuple[int, int]) -> Boxes:
    """(image, 4): the lungs' box in one panel of `shape` (height, width)."""
    boxes = [_ends(masks.box(one.mask, MARGIN)) if one.good else None for one in lungs]
    measured = [box for box in boxes if box]
    usual = _usual(measured) if len(measured) >= LEAST else _centre(shape)
    return np.array([box or usual for box in boxes], np.int64)


def _ends(box: tuple[slice, slice]) -> Box:
    rows, columns = box
    return rows.start, rows.stop, columns.start, columns.stop


def _hidden(evidence: Evidence) -> Hidden:
    model, stack = sampling.model(evidence), sampling.stack(evidence)
    most = MANY if evidence.thorough else FEW
    rows = _sample(evidence, most)
    chosen = np.ascontiguousarray(stack[rows])
    boxes, with_lungs = lung_boxes(evidence, rows)
    dark = np.stack([blacked(image, box) for image, box in zip(chosen, boxes, strict=True)])
    features = evidence.features
    whole = model.runtime(chosen) if features is None else np.asarray(features[rows])
    return Hidden(rows, boxes, whole, model.runtime(dark), with_lungs)


def _sample(evidence: Evidence, most: int) -> npt.NDArray[np.int64]:
    """Places of up to `most` images, a third of them or more such as test the probe."""
    labelled, tests = evidence.labels >= 0, predictions.folds(evidence) >= 0
    free, untested = (np.flatnonzero(labelled & part) for part in (tests, ~tests))
    tested = sampling.balanced_sample(evidence, free, max(most // 3, most - len(untested)))
    return np.sort(
        np.concatenate([tested, sampling.balanced_sample(evidence, untested, most - len(tested))])
    )


def _probe_probabilities(
    table: Floats, labels: Labels, groups: npt.NDArray[np.int64], folds: Labels, seed: int
) -> tuple[npt.NDArray[np.int64], Probabilities]:
    """Tested images (image,) and p (image, class): fold by fold, each tested by a probe that was
    fitted to all others; cross-validated by patient where that leaves too few of a class.
    """
    tested = np.flatnonzero(folds >= 0)
    numbers = np.unique(folds[tested])
    parts = [(np.flatnonzero(folds != n), np.flatnonzero(folds == n)) for n in numbers]
    every = np.unique(labels)
    sizes = [(labels[rows] == c).sum() for rows in (tested, *(t for t, _ in parts)) for c in every]
    if not parts or min(sizes) < LEAST:
        return np.arange(len(labels)), cross_validated_probe.out_of_fold(
            table, labels, groups, seed
        )
    return tested, cross_validated_probe.part_by_part(table, labels, parts)[tested]


def _sentence(status: Status, value: float, areas: tuple[float, float], seen: Hidden) -> str:
    full, without = areas
    # the classifier's own answers to dark films can be another matter: a box is new to it
    figures = f"with the lungs blacked out (AUROC {without:.2f} against {full:.2f})"
    without_lungs = len(seen.rows) - seen.with_lungs
    rest = (
        (
            f" In {counted(without_lungs, 'image')} no lungs were found; there the box usual for "
            "this set was blacked out."
        )
        if without_lungs
        else ""
    )
    if status == "fail":
        how = "nearly as well" if value > 0.75 else "more than half as well"
        part = "what" if value > 0.75 else "much of what"
        return (
            f"A probe on the classifier's features does {how} {figures}: {part} tells the "
            f"classes apart lies outside the lungs.{rest}"
        )
    if status == "warn":
        return f"A probe on the classifier's features keeps part of its score {figures}.{rest}"
    return f"A probe on the classifier's features keeps little of its score {figures}.{rest}"


def _usual(boxes: list[Box]) -> Box:
    ends = np.median(boxes, axis=0)
    top, bottom, left, right = (round(float(end)) for end in ends)
    return top, bottom, left, right


def _centre(shape: tuple[int, int]) -> Box:
    (top, bottom), (left, right) = (
        (round(start * side), round(stop * side))
        for (start, stop), side in zip(CENTRE, shape, strict=True)
    )
    return top, bottom, left, right
