"""Ridge regression of two classes in closed form, for benchmarks of frozen features.

All penalties come from one decomposition (Saunders et al. 1998, ICML, 515-521). Both classes count
alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from hilum.data import leakage
from hilum.data.prepared_dataset import PreparedDataset

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
PENALTIES = np.logspace(-3, 2, 11)  # in units of the mean eigenvalue


@dataclass(frozen=True)
class Ridge:
    """Weighted kernel ridge regression: one column of `alphas` for each penalty."""

    alphas: Array  # (image, penalty)
    means: tuple[float, Array, float]  # of targets; of kernel rows (image,); of all of it
    weights: Array  # (image,)

    def scores(self, kernel: Array) -> Array:
        """Kernel (other, image) -> (penalty, other)."""
        target, rows, whole = self.means
        centred = kernel - (kernel * self.weights).sum(1)[:, None] - rows + whole
        return np.asarray((centred @ self.alphas + target).T)


def balanced(labels: Rows) -> Array:
    """(image,) what each image counts; each class half."""
    counts = np.bincount(labels, minlength=2)
    return np.asarray(0.5 / counts[labels])


def fit(kernel: Array, labels: Rows) -> Ridge:
    """All penalties from one decomposition (Saunders et al. 1998, ICML, 515-521)."""
    weights, targets = balanced(labels), 2.0 * labels - 1
    rows = (kernel * weights).sum(1)
    target, whole = float((weights * targets).sum()), float((weights * rows).sum())
    centred, root = kernel - rows[:, None] - rows + whole, np.sqrt(weights)
    values, vectors = np.linalg.eigh(root[:, None] * centred * root)
    values = np.maximum(values, 0)
    part = vectors.T @ (root * (targets - target))
    shrunk = part[:, None] / (values[:, None] + PENALTIES * values.mean())
    return Ridge(root[:, None] * (vectors @ shrunk), (target, rows, whole), weights)


def kernel_of(features: Array, train: Rows) -> Array:
    """(image, image) inner products, standardised by the training images."""
    spread = features[train].std(0) + 1e-6
    standard = (features - features[train].mean(0)) / spread
    return np.asarray(standard @ standard.T / standard.shape[1])


def loss_inside(kernel: Array, labels: Rows, groups: Rows, seed: int) -> Array:
    """Balanced squared loss (penalty,) of held-out images in five rounds by group.

    `kernel` (image, image) is of the training images, as are labels and groups (image,).
    """
    held = np.zeros((len(PENALTIES), len(labels)))
    for fitted, out in rounds(labels, groups, seed):
        model = fit(kernel[np.ix_(fitted, fitted)], labels[fitted])
        held[:, out] = model.scores(kernel[np.ix_(out, fitted)])
    return np.asarray(((held - (2.0 * labels - 1)) ** 2 * balanced(labels)).sum(1))


def rounds(labels: Rows, groups: Rows, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Five divisions by group."""
    return StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)


def tied(images: PreparedDataset) -> Rows:
    """Groups (image,): images of one patient, or nearly alike, or tied by others, stay together."""
    table = images.manifest.table
    alike = leakage.clusters(images.manifest, images.fingerprints)
    group = table["sample_id"].map(alike).astype(object)
    patients = table["patient_id"].astype(object).fillna(table["sample_id"])
    for _ in range(len(table)):
        before = group
        for key in (patients, table["sample_id"].map(alike)):
            group = group.groupby(key.to_numpy()).transform("min")
        if group.equals(before):
            break
    return np.asarray(group.factorize()[0], np.int64)
