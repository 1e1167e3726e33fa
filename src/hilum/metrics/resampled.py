"""Every score of one sample at once, for many weightings of its patients.

Confusion counts and the terms of METRICS are summed per patient beforehand, so a replicate of the
bootstrap is a product of matrices; areas under curves re-weigh a ranking sorted once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.metrics import metrics
from hilum.metrics.metrics import Array
from hilum.metrics.predictions import SeedPredictions
from hilum.metrics.registry import METRICS

Values: TypeAlias = dict[str, Array]  # by scope: (replicate,), "each": (replicate, class)
Key: TypeAlias = tuple[str, str]  # a score's name and its class, "macro", "overall", ...
AVERAGE = {"macro": metrics.macro, "weighted": metrics.weighted}  # of values of each class


@dataclass(frozen=True, slots=True)
class Terms:
    """What the metrics of one basis add up over images: (patient, term), the last term a one."""

    sums: Array
    columns: Mapping[str, slice]  # which terms are a metric's

    def under(self, weights: Array) -> tuple[dict[str, Array], Array]:
        """(replicate, patient) -> each metric's sums (replicate, term), and images (replicate,)."""
        sums = weights @ self.sums
        return {name: sums[:, own] for name, own in self.columns.items()}, sums[:, -1]


@dataclass(frozen=True, slots=True)
class PatientSums:
    """What is enough to compute every score of one sample under any weights of patients."""

    classes: tuple[str, ...]
    counts: Array  # (patient, class * class) confusion
    losses: Terms
    gaps: Terms
    rankings: tuple[metrics.Ranking, ...]  # per class
    patients: npt.NDArray[np.int64]  # (image,)


def summarise(sample: SeedPredictions, classes: Sequence[str], patients: int) -> PatientSums:
    """Sums per patient of everything that adds up, and the rankings."""
    size = len(classes)
    cells = np.eye(size * size)[sample.labels * size + sample.predicted]
    return PatientSums(
        classes=tuple(classes),
        counts=_sums(cells, sample.patients, patients),
        losses=_terms("losses", sample, patients),
        gaps=_terms("gaps", sample, patients),
        rankings=tuple(metrics.rank(sample.labels == c, sample.p[:, c]) for c in range(size)),
        patients=sample.patients,
    )


def _terms(basis: str, sample: SeedPredictions, patients: int) -> Terms:
    """The terms of all metrics of a basis side by side, so that one product re-weighs them."""
    parts: list[Array] = []
    columns: dict[str, slice] = {}
    for name, row in METRICS.items():
        if row.basis == basis:
            own = row.function(sample.labels, sample.p)
            parts.append(own if own.ndim == 2 else own[:, None])
            begin = sum(part.shape[1] for part in parts[:-1])
            columns[name] = slice(begin, begin + parts[-1].shape[1])
    rows = np.column_stack([*parts, np.ones(len(sample.labels))])
    return Terms(_sums(rows, sample.patients, patients), columns)


def _sums(rows: Array, patients: npt.NDArray[np.int64], count: int) -> Array:
    """(image, column) -> (patient, column)."""
    out = np.zeros((count, rows.shape[1]))
    np.add.at(out, patients, rows)
    return out


def all_metrics(summary: PatientSums, weights: Array) -> dict[Key, Array]:
    """(replicate, patient) weights -> each score (replicate,), in the order of METRICS."""
    size = len(summary.classes)
    matrix = (weights @ summary.counts).reshape(-1, size, size)
    support = matrix.sum(-1)
    values = {
        **_of_counts(matrix),
        **_of_rankings(summary, weights[:, summary.patients]),
        **_of_losses(summary.losses, weights),
        **_of_gaps(summary.gaps, weights),
    }
    out: dict[Key, Array] = {}
    for name, row in METRICS.items():
        for scope in row.scopes:
            if scope == "each":
                each = zip(summary.classes, values[name]["each"].T, strict=True)
                out |= {(name, class_): column for class_, column in each}
            elif scope in values[name]:
                out[name, scope] = values[name][scope]
            else:
                out[name, scope] = AVERAGE[scope](values[name]["each"], support)
    return out


def _of_counts(matrix: Array) -> dict[str, Values]:
    """Matrices (replicate, class, class) -> of each metric its values by scope."""
    out: dict[str, Values] = {}
    for name, row in METRICS.items():
        if row.basis == "counts":
            scope = "each" if "each" in row.scopes else "overall"
            out[name] = {scope: row.function(matrix)}
            if "micro" in row.scopes:
                out[name]["micro"] = metrics.micro(row.function, matrix)
    return out


def _of_losses(losses: Terms, weights: Array) -> dict[str, Values]:
    """(replicate, patient) weights -> means of each class's loss, and their sum."""
    sums, images = losses.under(weights)
    means = {name: metrics.ratio(own, images[:, None]) for name, own in sums.items()}
    return {name: {"each": each, "overall": each.sum(-1)} for name, each in means.items()}


def _of_gaps(gaps: Terms, weights: Array) -> dict[str, Values]:
    """(replicate, patient) weights -> the bins' absolute sums, by the number of images."""
    sums, images = gaps.under(weights)
    return {
        name: {"overall": metrics.ratio(np.abs(own).sum(-1), images)} for name, own in sums.items()
    }


def _of_rankings(summary: PatientSums, weights: Array) -> dict[str, Values]:
    """(replicate, image) weights -> of every metric of rankings: values (replicate, class).

    A class at a time: its sums over ties serve all of them, and need not be kept.
    """
    rows = [row for row in METRICS.values() if row.basis == "ranking"]
    columns: dict[str, list[Array]] = {row.name: [] for row in rows}
    for ranking in summary.rankings:
        ties = metrics.tie_sums(ranking, weights)
        for row in rows:
            columns[row.name].append(row.function(ties))
    return {name: {"each": np.stack(each, -1)} for name, each in columns.items()}


def stacked(values: dict[Key, Array]) -> Array:
    """Scores (replicate,) each -> (replicate, score) in the dictionary's order."""
    return np.stack([*values.values()], axis=-1)
