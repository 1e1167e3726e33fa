"""What each map of a network knows of CT slices: COVID-CT, patients apart, and another collection.

    python benchmarks/ct_maps.py --data DIR --sides 224 320 --seeds 3
    python benchmarks/ct_maps.py --data DIR --train sarscov2_ct --steps equalise

The means of each map are classified by ridge regression in closed form, both classes weighed
alike, over the film and its mirror image. Its penalty, and in the row "chosen" the set of maps,
come from five rounds inside the training images of each fold, patients apart: no test image takes
part. With --train a collection trains and COVID-CT tests, and back; groups are its look-alikes.
--steps prepares the slices, as in `hilum prepare`, before they are scaled and padded.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits
from torch import nn

from hilum import preprocess
from hilum.data import prepared_dataset
from hilum.datasets.registry import DATASETS
from hilum.experiment import prepare
from hilum.models import backbones
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.compiling import compile_network
from hilum.types import Stack8
from ridge import Array, Rows, fit, kernel_of, loss_inside, rounds, tied

STRIDES = (4, 8, 16, 32)
SETS = ((32,), (16,), (8,), (4,), (8, 16), (4, 8, 16), (8, 16, 32))


@dataclass(frozen=True)
class Slices:
    """Features (image, feature) by set of maps, labels (image,) 0 or 1, groups (image,)."""

    features: Mapping[str, Array]
    labels: Rows
    groups: Rows


def read(card: str, asked: argparse.Namespace) -> Slices:
    """The means over film and mirror image, at each side, and of both sides together."""
    dataset, sides, backbone = DATASETS[card], asked.sides, asked.backbone
    manifest = dataset.read(asked.data / dataset.card.folder)
    found: dict[tuple[int, int], Array] = {}
    for side in sides:
        scaled = preprocess.from_list([{"step": "letterbox", "side": side}]).steps
        steps = prepare.steps_named(asked.steps, side) if asked.steps else ()
        pipeline = preprocess.Pipeline((*steps, *scaled))
        images = prepared_dataset.prepare_dataset(manifest, pipeline)
        for stride, means in means_of_maps(images.pixels.stack, backbone).items():
            found[side, stride] = means
    labels = (images.manifest.table["label"] == "covid19").to_numpy().astype(np.int64)
    return Slices(joined(found, sides), labels, tied(images))


def means_of_maps(stack: Stack8, backbone: str) -> dict[int, Array]:
    """Prepared (image, height, width) -> means (image, channel) of the maps of each stride.

    Averaged over the image and its mirror image.
    """
    network = backbones.build_backbone(backbone, pool=STRIDES)
    ends = np.cumsum([0, *network.earlier.values()])
    layer = nn.Sequential(InputNormalisation(network.card.normalise), network).eval()
    run = compile_network(layer, (stack.shape[1], stack.shape[2]))
    both = (run(stack) + run(np.ascontiguousarray(stack[:, :, ::-1]))) / 2
    return {
        stride: both[:, ends[at] : ends[at + 1]].astype(np.float64)
        for at, stride in enumerate(STRIDES)
    }


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


def scores(data: Slices, train: Rows, test: Rows, seed: int) -> dict[str, Array]:
    """Scores (test image,) by set of maps; "chosen": the set of the lowest loss inside."""
    answers, losses = {}, {}
    for name, features in data.features.items():
        kernel = kernel_of(features, train)
        own = kernel[np.ix_(train, train)]
        loss = loss_inside(own, data.labels[train], data.groups[train], seed)
        model = fit(own, data.labels[train])
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
    given.add_argument("--steps", type=lambda text: text.split(","), default=[])
    given.add_argument("--train", default="", help="another set that trains; default: folds")
    asked = given.parse_args()
    test = read("covid_ct", asked)
    with threadpool_limits(1):
        if asked.train:
            other = read(asked.train, asked)
            show([across_sets(other, test, seed) for seed in range(asked.seeds)])
            show([across_sets(test, other, seed) for seed in range(asked.seeds)])
        else:
            show([across_folds(test, seed) for seed in range(asked.seeds)])


def show(each: list[dict[str, float]]) -> None:
    """Print a Markdown table of AUROC, a dict for each seed."""
    print("| maps | AUROC by seed | mean |\n|---|---|---|")
    for name in each[0]:
        values = [one[name] for one in each]
        print(f"| {name} | {' '.join(f'{v:.3f}' for v in values)} | {np.mean(values):.3f} |")


if __name__ == "__main__":
    main()
