"""One fold of a network that outlines lungs: fitted, stored, read back and tested as stored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from hilum import files, images
from hilum.experiment import cell_context, mask_conventions, segmentation_data
from hilum.experiment.cell_context import FoldKey
from hilum.experiment.segmentation_data import SegmentationContext
from hilum.files.disk import synchronise_all
from hilum.metrics import dice
from hilum.models.runtime import compiling
from hilum.preprocess.lungs import segmenter, unet
from hilum.preprocess.lungs.unet import UNet
from hilum.progress import StepName
from hilum.training import loop, segmentation
from hilum.training.segmentation import ImageMaskPairs

CELL = "main"
THRESHOLDS = (0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7)  # the first of equals is taken
Rows = npt.NDArray[np.int64]  # (image,) places in the manifest


@dataclass(frozen=True, slots=True)
class Fold:
    """A finished fold: one row per test image, one per epoch and part, validation Dice."""

    folder: Path
    predictions: pd.DataFrame
    history: pd.DataFrame
    dice: float


def run_segmentation_fold(context: SegmentationContext, rows: pd.DataFrame, key: FoldKey) -> Fold:
    """Train and test one fold, or read it where it was finished before."""
    folder = context.work / f"seed{key.seed}-fold{key.fold}"
    done = folder / "done.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        train_segmentation_fold(context, rows, key, folder)
    stored = json.loads(done.read_text())
    predictions = pd.read_parquet(folder / "predictions.parquet")
    return Fold(folder, predictions, pd.read_csv(folder / "history.csv"), stored["dice"])


def train_segmentation_fold(
    context: SegmentationContext, rows: pd.DataFrame, key: FoldKey, folder: Path
) -> None:
    """Train and test one fold; writes weights, predictions, history and `done.json`."""
    recipe, stage = context.recipe, context.stage
    pairs, test = segmentation_data.pairs(context, rows)
    facts = unet.UnetConfig(
        recipe.model.backbone, side=pairs.images.shape[1], mirror=recipe.model.mirror
    )
    network = unet.build_unet(facts, recipe.model.weights, key.seed)
    schedule = stage.schedule
    how = segmentation.SegmentationConfig(
        loop.learning_rates(stage.lr, stage.epochs, schedule.kind, schedule.every, schedule.factor),
        cell_context.ranges(recipe.augment),
        stage.batch,
        stage.weight_decay,
        stage.average,
        key.seed,
        stage.patience,
        compiling.training_device(),
    )

    def keep() -> None:  # so that a run that is killed keeps the weights so far
        unet.save_unet(network, folder / segmenter.WEIGHTS)

    course = segmentation.train_segmenter(
        network, pairs, how, context.progress(StepName(f"fold {key.fold + 1}", "epochs")), keep
    )
    network = network.cpu().eval()
    unet.with_facts(
        network,
        threshold=_threshold(network, pairs),
        provenance=_provenance(context, key, (pairs, test), course.dice),
    )
    # tested as it is stored: read back, with fp16's rounding
    stored = unet.load_unet(unet.save_unet(network, folder / segmenter.WEIGHTS))
    tested = pd.DataFrame(_test(context, segmenter.compiled(stored), test, key))
    tested.to_parquet(folder / "predictions.parquet")
    course_rows = pd.DataFrame(course.rows)
    course_rows.assign(cell=CELL, fold=key.fold, seed=key.seed, stage=stage.name).to_csv(
        folder / "history.csv", index=False
    )
    synchronise_all(folder)
    with files.atomic_write(folder / "done.json") as path:
        path.write_text(json.dumps({"dice": course.dice}))


def _threshold(network: UNet, pairs: ImageMaskPairs) -> float:
    """The threshold of the highest mean Dice (Dice 1945, doi:10.2307/1932409) on validation."""
    probabilities = []
    with torch.inference_mode():
        for row in pairs.validation:
            pixels = torch.from_numpy(np.array(pairs.images[row]))[None, None]
            p = torch.sigmoid(network(pixels))  # (1, 1, height, width)
            if network.facts.mirror:
                p = (p + torch.sigmoid(network(pixels.flip(3))).flip(3)) / 2
            probabilities.append(p[0, 0].numpy())
    p_lung, true = np.stack(probabilities), pairs.masks[pairs.validation] > segmentation_data.WHITE
    means = [float(dice.dice(p_lung >= value, true).mean()) for value in THRESHOLDS]
    return THRESHOLDS[int(np.argmax(means))]


def _test(
    context: SegmentationContext, finder: segmenter.LungSegmenter, rows: Rows, key: FoldKey
) -> Iterator[dict[str, Any]]:
    """One row per test image at its own size; the masks go to `masks/`, for the report."""
    advance, table = context.progress("test"), context.manifest.table
    folder = files.ensure_writable_folder(context.out / "masks")
    files.remove_unfinished(folder)
    for done, row in enumerate(table.iloc[rows].to_dict("records"), 1):
        image = images.read(Path(row["path"]))
        predicted = finder(image.pixels)
        aspect = float(image.facts.get("pixel_aspect", 1))
        true = segmentation_data.read_mask(Path(row["mask_path"]), predicted.mask.shape, aspect)
        path = folder / f"{files.stable_digest(row['sample_id'], key.seed)[:16]}.png"
        with files.atomic_write(path, synced=False) as draft:
            draft.write_bytes(
                cv2.imencode(".png", predicted.mask.astype(np.uint8) * 255)[1].tobytes()
            )
        advance(done, len(rows))
        columns = ("sample_id", "path", "patient_id", "source", "label", "mask_path")
        yield {
            "cell": CELL,
            "fold": key.fold,
            "seed": key.seed,
            **{name: row[name] for name in columns},
            "dice": float(dice.dice(predicted.mask, true)),
            "status": predicted.status,
            "fraction": predicted.fraction,
            "true_fraction": float(true.mean()),
            "confidence": predicted.confidence,
            "found": f"masks/{path.name}",
        }


def _provenance(
    context: SegmentationContext, key: FoldKey, rows: tuple[ImageMaskPairs, Rows], dice: float
) -> dict[str, Any]:
    """Origin of the weights, and the held-out patients, so that the test can be repeated."""
    table, (pairs, test) = context.manifest.table, rows
    return {
        "recipe": context.recipe.name,
        "fold": key.fold,
        "seed": key.seed,
        "validation_dice": round(dice, 5),
        "images": {
            "train": len(pairs.train),
            "validation": len(pairs.validation),
            "test": len(test),
        },
        "datasets": sorted(set(table["dataset"].dropna())),
        "licence": sorted(set(table["licence"].dropna())),
        "convention": mask_conventions.followed(table),
        "tested": sorted(set(table["patient_id"].iloc[test].dropna())),
    }
