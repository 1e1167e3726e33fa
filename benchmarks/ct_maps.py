"""What each map of a network knows of CT slices: COVID-CT, patients apart, and another collection.

    python benchmarks/ct_maps.py --data DIR --sides 224 320 --seeds 3
    python benchmarks/ct_maps.py --data DIR --sides 224 --train sarscov2_ct

The means of each map are classified by ridge regression in closed form, both classes weighed
alike, over the film and its mirror image. Its penalty, and in the row "chosen" the set of maps,
come from five rounds inside the training images of each fold, patients apart: no test image takes
part. With --train a collection trains and COVID-CT tests; groups are its look-alikes.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits
from torch import nn

from hilum import preprocess
from hilum.data import leakage, prepared_dataset
from hilum.data.prepared_dataset import PreparedDataset
from hilum.datasets.registry import DATASETS
from hilum.models import backbones
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.compiling import compile_network

Array = npt.NDArray[np.float64]
STRIDES = (4, 8, 16, 32)
SETS = ((32,), (16,), (8,), (4,), (8, 16), (4, 8, 16), (8, 16, 32))
PENALTIES = np.logspace(-3, 2, 11)  # in units of the mean eigenvalue


@dataclass(frozen=True)
class Slices:
    """Features (image, feature) by set of maps, labels (image,) 0 or 1, groups (image,)."""

    features: Mapping[str, Array]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]


def read(card: str, data: Path, backbone: str, sides: list[int]) -> Slices:
    """The means over film and mirror image, at each side, and of both sides together."""
    dataset = DATASETS[card]
    manifest = dataset.read(data / dataset.card.folder)
    found: dict[tuple[int, int], Array] = {}
    network = backbones.build_backbone(backbone, pool=STRIDES)
    ends = np.cumsum([0, *network.earlier.values()])
    for side in sides:
        pipeline = preprocess.from_list([{"step": "letterbox", "side": side}])
        images = prepared_dataset.prepare_dataset(manifest, pipeline)
        layer = nn.Sequential(InputNormalisation(network.card.normalise), network).eval()
        run = compile_network(layer, (side, side))
        stack = images.pixels.stack
        both = (run(stack) + run(np.ascontiguousarray(stack[:, :, ::-1]))) / 2
        for at, stride in enumerate(STRIDES):
            found[side, stride] = both[:, ends[at] : ends[at + 1]].astype(np.float64)
    labels = (images.manifest.table["label"] == "covid19").to_numpy().astype(np.int64)
    return Slices(joined(found, sides), labels, tied(images))


def tied(images: PreparedDataset) -> npt.NDArray[np.int64]:
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


def joined(found: Mapping[tuple[int, int], Array], sides: list[int]) -> dict[str, Array]:
    """Every set of maps at every side, and those of all sides together."""
    together = {
        f"{' and '.join(map(str, chosen))} pixels, strides {', '.join(map(str, strides))}": (
            chosen,
            strides,
        )
        for chosen, strides in product(
            [[side] for side in sides] + ([sides] if len(sides) > 1 else []), SETS
        )
    }
    return {
        name: np.concatenate([found[side, stride] for side, stride in product(*keys)], 1)
        for name, keys in together.items()
    }


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


def balanced(labels: npt.NDArray[np.int64]) -> Array:
    """(image,) what each image counts; each class half."""
    counts = np.bincount(labels, minlength=2)
    return np.asarray(0.5 / counts[labels])


def fit(kernel: Array, labels: npt.NDArray[np.int64]) -> Ridge:
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


def kernel_of(features: Array, train: npt.NDArray[np.int64]) -> Array:
    """(image, image) inner products, standardised by the training images."""
    spread = features[train].std(0) + 1e-6
    standard = (features - features[train].mean(0)) / spread
    return np.asarray(standard @ standard.T / standard.shape[1])


def inside(kernel: Array, data: Slices, train: npt.NDArray[np.int64], seed: int) -> Array:
    """Balanced squared loss (penalty,) of held-out training images, five rounds by group."""
    labels, held = data.labels[train], np.zeros((len(PENALTIES), len(train)))
    for fitted, out in rounds(labels, data.groups[train], seed):
        one, other = train[fitted], train[out]
        held[:, out] = fit(kernel[np.ix_(one, one)], labels[fitted]).scores(
            kernel[np.ix_(other, one)]
        )
    return np.asarray(((held - (2.0 * labels - 1)) ** 2 * balanced(labels)).sum(1))


def rounds(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], seed: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Five divisions by group."""
    return StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)


def scores(
    data: Slices, train: npt.NDArray[np.int64], test: npt.NDArray[np.int64], seed: int
) -> dict[str, Array]:
    """Scores (test image,) by set of maps; "chosen": the set of the lowest loss inside."""
    answers, losses = {}, {}
    for name, features in data.features.items():
        kernel = kernel_of(features, train)
        loss = inside(kernel, data, train, seed)
        model = fit(kernel[np.ix_(train, train)], data.labels[train])
        answers[name] = model.scores(kernel[np.ix_(test, train)])[int(loss.argmin())]
        losses[name] = float(loss.min())
    best = min(losses, key=lambda name: losses[name])
    return {**answers, "chosen": answers[best]}


def across_folds(data: Slices, seed: int) -> dict[str, float]:
    """AUROC of each set over five folds, patients apart."""
    found: dict[str, Array] = {}
    for train, test in rounds(data.labels, data.groups, seed):
        for name, values in scores(data, train, test, seed).items():
            found.setdefault(name, np.zeros(len(data.labels)))[test] = values
    return {name: float(roc_auc_score(data.labels, values)) for name, values in found.items()}


def across_sets(train: Slices, test: Slices, seed: int) -> dict[str, float]:
    """AUROC of each set on `test`, trained on all of `train`."""
    count = len(train.labels)
    both = Slices(
        {name: np.concatenate([one, test.features[name]]) for name, one in train.features.items()},
        np.concatenate([train.labels, test.labels]),
        np.concatenate([train.groups, test.groups + train.groups.max() + 1]),
    )
    rows = np.arange(len(both.labels))
    found = scores(both, rows[:count], rows[count:], seed)
    return {name: float(roc_auc_score(test.labels, values)) for name, values in found.items()}


def main() -> None:
    """Measure and print a Markdown table."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--data", type=Path, required=True)
    given.add_argument("--backbone", default="astra2d")
    given.add_argument("--sides", type=int, nargs="+", default=[224])
    given.add_argument("--seeds", type=int, default=3)
    given.add_argument("--train", default="", help="another set that trains; default: folds")
    asked = given.parse_args()
    test = read("covid_ct", asked.data, asked.backbone, asked.sides)
    with threadpool_limits(1):
        if asked.train:
            other = read(asked.train, asked.data, asked.backbone, asked.sides)
            each = [across_sets(other, test, seed) for seed in range(asked.seeds)]
        else:
            each = [across_folds(test, seed) for seed in range(asked.seeds)]
    print("| maps | AUROC by seed | mean |\n|---|---|---|")
    for name in each[0]:
        values = [one[name] for one in each]
        print(f"| {name} | {' '.join(f'{v:.3f}' for v in values)} | {np.mean(values):.3f} |")


if __name__ == "__main__":
    main()
