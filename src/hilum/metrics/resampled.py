"""Every figure of one sample at once, for many weightings of its patients.

Confusion counts, losses and calibration gaps are summed per patient beforehand, so a replicate of
the bootstrap is a product of matrices; areas under curves re-weigh a ranking sorted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.metrics import calibration, metrics
from hilum.metrics.predictions import SeedPredictions

Array: TypeAlias = npt.NDArray[np.float64]
Key: TypeAlias = tuple[str, str]  # a score's name and its class, "macro", "overall", ...
COUNTED = {
    "sensitivity": metrics.sensitivity,
    "specificity": metrics.specificity,
    "precision": metrics.precision,
    "npv": metrics.npv,
    "f1": metrics.f1,
}  # of each class
OVERALL = {
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "mcc": metrics.mcc,
    "kappa": metrics.kappa,
}
POOLED = ("sensitivity", "precision", "f1")  # also averaged as micro and weighted


@dataclass(frozen=True, slots=True)
class PatientSums:
    """What is enough to compute every figure of one sample under any weights of patients."""

    classes: tuple[str, ...]
    counts: Array  # (patient, class * class) confusion
    losses: Array  # (patient, class + 2): squared errors per class, surprisal, images
    gaps: Array  # (patient, bin): sum of right - confidence
    rankings: tuple[metrics.Ranking, ...]  # per class
    patients: npt.NDArray[np.int64]  # (image,)


def summarise(sample: SeedPredictions, classes: Sequence[str], patients: int) -> PatientSums:
    """Sums per patient of everything that adds up, and the rankings."""
    size = len(classes)
    cells = np.eye(size * size)[sample.labels * size + sample.said]
    errors = metrics.squared_errors(sample.labels, sample.p)
    surprise = metrics.surprisals(sample.labels, sample.p)
    losses = np.column_stack([errors, surprise, np.ones(len(surprise))])
    confidence, right = sample.p.max(1), sample.said == sample.labels
    bins = np.eye(calibration.BINS)[calibration.bin_of(confidence, calibration.edges(confidence))]
    return PatientSums(
        classes=tuple(classes),
        counts=_sums(cells, sample.patients, patients),
        losses=_sums(losses, sample.patients, patients),
        gaps=_sums(bins * (right - confidence)[:, None], sample.patients, patients),
        rankings=tuple(metrics.rank(sample.labels == c, sample.p[:, c]) for c in range(size)),
        patients=sample.patients,
    )


def _sums(rows: Array, patients: npt.NDArray[np.int64], count: int) -> Array:
    """(image, column) -> (patient, column)."""
    out = np.zeros((count, rows.shape[1]))
    np.add.at(out, patients, rows)
    return out


def all_metrics(summary: PatientSums, weights: Array) -> dict[Key, Array]:
    """(replicate, patient) weights -> each figure (replicate,)."""
    size = len(summary.classes)
    matrix = (weights @ summary.counts).reshape(-1, size, size)
    support = matrix.sum(-1)
    out = {(name, "overall"): metric(matrix) for name, metric in OVERALL.items()}
    for name in COUNTED:
        out |= _counted(summary.classes, name, matrix)
    out |= _ranked(summary, weights[:, summary.patients], support)
    return out | _losses(summary, weights)


def _counted(classes: Sequence[str], name: str, matrix: Array) -> dict[Key, Array]:
    metric = COUNTED[name]
    each = metric(matrix)
    out = {(name, label): each[:, c] for c, label in enumerate(classes)}
    out[name, "macro"] = metrics.macro(metric, matrix)
    if name in POOLED:
        out[name, "micro"] = metrics.micro(metric, matrix)
        out[name, "weighted"] = metrics.weighted(metric, matrix)
    return out


def _ranked(summary: PatientSums, weights: Array, support: Array) -> dict[Key, Array]:
    """`weights` (replicate, image), `support` (replicate, class)."""
    both = [metrics.areas(ranking, weights) for ranking in summary.rankings]
    present = support > 0
    out: dict[Key, Array] = {}
    for name, areas in zip(("auroc", "auprc"), zip(*both, strict=True), strict=True):
        out |= {(name, label): area for label, area in zip(summary.classes, areas, strict=True)}
        total = np.where(present, np.stack(areas, -1), 0).sum(-1)
        out[name, "macro"] = metrics.ratio(total, present.sum(-1))
    return out


def _losses(summary: PatientSums, weights: Array) -> dict[Key, Array]:
    sums = weights @ summary.losses
    means = metrics.ratio(sums[:, :-1], sums[:, -1:])
    gaps = np.abs(weights @ summary.gaps).sum(-1)
    out = {("brier", label): means[:, c] for c, label in enumerate(summary.classes)}
    return out | {
        ("brier", "overall"): means[:, :-1].sum(-1),
        ("log_loss", "overall"): means[:, -1],
        ("ece", "overall"): metrics.ratio(gaps, sums[:, -1]),
    }


def stacked(values: dict[Key, Array]) -> Array:
    """Figures (replicate,) each -> (replicate, figure) in the dictionary's order."""
    return np.stack([*values.values()], axis=-1)
