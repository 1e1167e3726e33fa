"""What a precision costs: the same model by fp32 and bf16, and how far their answers part.

    python benchmarks/precision.py [--quick] [--data FOLDER_OF_CLASS_FOLDERS]

A linear head is fitted to features in what this machine computes in by itself, and calibrated, as a
run does; then the films that it has not seen are told by each precision. Asked of bf16: the same
order, probabilities within 0.01 and AUROC within 0.002 of fp32's.
"""

import numpy as np
from scipy.stats import spearmanr

import side_by_side
from hilum import preprocess
from hilum.data import manifest, prepared_dataset
from hilum.inference import temperature
from hilum.inference.model import compile_backbone
from hilum.metrics import metrics
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime.base import Runtime
from hilum.training import linear_probe
from hilum.types import Floats, Labels, Pixels, Probabilities, Stack8
from side_by_side import Row

SIDE = 224
NETWORKS = ("tf_efficientnet_lite0", "resnet50")
PIPELINE = preprocess.from_list([{"step": "resize", "side": SIDE}])


def head(features: Floats, labels: Labels) -> tuple[NumpyHead, float]:
    """A linear head and its temperature: three images of four teach, the fourth watches."""
    watched = np.arange(len(labels)) % 4 == 0
    standard = Standardise.of(features[~watched])
    parts = [
        linear_probe.LabelledFeatures(standard(features[own]), labels[own])
        for own in (~watched, watched)
    ]
    fitted = linear_probe.fit_probe(parts[0], parts[1], np.ones(labels.max() + 1))
    made = NumpyHead(standard, ((fitted.weights, fitted.bias),))
    return made, temperature.fit_temperature(labels[watched], made.logits(features[watched])).value


def apart(labels: Labels, full: Probabilities, other: Probabilities) -> str:
    """How far two precisions' probabilities (image, class) of the same images part."""
    areas = [metrics.auroc(labels == 1, p[:, 1]) for p in (full, other)]
    order = spearmanr(full[:, 1], other[:, 1]).statistic
    same = int((full.argmax(1) == other.argmax(1)).sum())
    distance = np.abs(full - other).max(1)
    return (
        f"AUROC {areas[1]:.4f} against {areas[0]:.4f}, order {order:.4f} (Spearman), p within "
        f"{distance.max():.3f} (19 of 20 films within {np.quantile(distance, 0.95):.3f}), "
        f"same class {same}/{len(labels)}"
    )


def logits(made: NumpyHead, run: Runtime, stack: Stack8) -> Floats:
    """(image, class), averaged with those of the mirror image, as a run does."""
    return (made.logits(run(stack)) + made.logits(run(stack[:, :, ::-1]))) / 2


def measure(name: str, stacks: tuple[Pixels, Pixels], labels: tuple[Labels, Labels]) -> list[Row]:
    """Each precision in turn, with one network; the first labels teach, the others test."""
    backbone, mode = side_by_side.backbone(name), backbones.backbone_card(name).normalise
    own, asked = (compile_backbone(backbone, mode, PIPELINE, wanted) for wanted in ("auto", "bf16"))
    runs: dict[str, Runtime | None] = {
        "fp32": compile_backbone(backbone, mode, PIPELINE, "fp32"),
        "bf16": asked if asked.facts.precision == "bf16" else None,
    }
    made, sharpness = head(own(stacks[0].stack), labels[0])
    there = {who: run for who, run in runs.items() if run is not None}
    told = {
        who: temperature.apply_temperature(logits(made, run, stacks[1].stack), sharpness)
        for who, run in there.items()
    }
    spent = side_by_side.in_turn(
        {who: lambda run=run: run(stacks[1].stack[:64]) for who, run in there.items()}, 3
    )
    what = f"{name}, {len(labels[1])} films"
    rows = []
    for who in runs:
        if who not in there:
            rows.append(Row("precision", what, who, None, "", note="not here"))
            continue
        note = "what a run takes here" if who == own.facts.precision else ""
        alike = "" if who == "fp32" else apart(labels[1], told["fp32"], told[who])
        ratio = None if who == "fp32" else spent["fp32"] / spent[who]
        wanted = "p within 0.01, AUROC within 0.002" if who == "bf16" else ""
        rate = 64 / spent[who]
        rows.append(Row("precision", what, who, rate, "images/s", ratio, wanted, alike, note))
    return rows


def main() -> None:
    """Print and store the table."""
    size = side_by_side.asked(__doc__, "precision")
    with side_by_side.workplace() as folder:
        taught, tested = size.pick(96, 600), size.pick(96, 600)
        table = side_by_side.films(size, taught + tested, SIDE, folder / "films")
        table = table.sample(frac=1, random_state=0)
        names = sorted(table["label"].unique())
        stacks, labels = [], []
        for part in (table[:taught], table[taught:]):
            found = prepared_dataset.prepare_dataset(
                manifest.assemble_manifest(part, "bench"), PIPELINE
            )
            stacks.append(found.pixels)
            labels.append(np.array([names.index(n) for n in found.manifest.table["label"]]))
        rows = [
            row
            for name in NETWORKS[: size.pick(1, 2)]
            for row in measure(name, (stacks[0], stacks[1]), (labels[0], labels[1]))
        ]
    side_by_side.finish(rows, size.out)


if __name__ == "__main__":
    main()
