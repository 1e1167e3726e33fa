"""Training a network that outlines lungs: read pairs, split by patient, fit, test, report."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

from hilum import files, images, report
from hilum.data import manifest as manifests
from hilum.data import pixels
from hilum.evaluate import intervals, lungs, overlap
from hilum.models import unet
from hilum.models.unet import UNet
from hilum.prepare.lungs import OK
from hilum.prepare.step import as_uint8, resized
from hilum.recipe import Recipe, Stage
from hilum.study import bench as benches
from hilum.study import divide, gather, machine, outputs, published, store, summary
from hilum.study.bench import Key, Tell
from hilum.train import loop, masks
from hilum.train.masks import Pairs
from hilum.types import (
    HilumError,
    Leak,
    LeftOut,
    Manifest,
    Mask,
    Results,
    Score,
    Split,
    Stack8,
)

CELL = "main"
SIDE = 256  # pixels of the network's input unless the recipe names another
SHAPES = 0.01  # relative difference of the sides' ratio up to which a mask is resized
THRESHOLDS = (0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7)  # the first of equals is taken
WHITE = 127  # a mask's grey level above which it is lung


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all folds stand on; rows of the stacks (image, side, side) follow the manifest."""

    plan: Recipe
    stage: Stage
    manifest: Manifest
    images: Stack8
    masks: Stack8
    out: Path
    work: Path
    tell: Tell


@dataclass(frozen=True, slots=True)
class _Fold:
    """A finished fold: one row per test image, one per epoch and part, validation Dice."""

    folder: Path
    predictions: pd.DataFrame
    history: pd.DataFrame
    dice: float


def run(plan: Recipe, root: Path | None, out: Path, tell: Tell, resume: bool = False) -> Results:
    """Carry out a recipe that learns lungs and write every file of `out`.

    `model/lungs.safetensors` is the network of the fold with the best validation Dice. Raises
    HilumError where the recipe or the masks do not fit, MissingError for data that are not here.
    """
    started, stage = time.monotonic(), _only_stage(plan)
    work = store.begin(outputs.folder(out), plan, resume)
    ground, splits, leaks = _ground(plan, stage, (root, out, work), tell)
    folds = [
        _fold(ground, rows, Key(CELL, seed, int(str(number))))
        for seed, split in splits.items()
        for number, rows in split.table.groupby("fold")
    ]
    best = max(folds, key=lambda fold: fold.dice)
    shutil.rmtree(out / "model", ignore_errors=True)
    (out / "model").mkdir()
    shutil.copy(best.folder / lungs.WEIGHTS, out / "model" / lungs.WEIGHTS)
    predictions = pd.concat([fold.predictions for fold in folds], ignore_index=True)
    judged = scores(predictions)
    results = Results(
        recipe=plan.name,
        title=plan.title,
        mode=plan.mode,
        classes=[],
        n=summary.counts(ground.manifest, []),
        scores=judged,
        published=published.beside(plan.published, judged, CELL),
        audits=[],
        verdict=_verdict(predictions, judged),
        environment=machine.provenance(time.monotonic() - started),
        data=summary.data(ground.manifest),
        split=summary.split(splits, leaks),
        model=_model(out / "model" / lungs.WEIGHTS),
        limits=[*plan.limits, *ground.manifest.notes],
    )
    outputs.write_recipe(out, plan)
    outputs.write_manifest(out, ground.manifest)
    outputs.write_left_out(out, ground.manifest.left_out)
    outputs.write_splits(out, {seed: split.table for seed, split in splits.items()})
    outputs.write_history(out, pd.concat([fold.history for fold in folds], ignore_index=True))
    outputs.write_predictions(out, predictions)
    outputs.write_results(out, results)
    report.build_masks(out)
    shutil.rmtree(work)
    return results


def scores(predictions: pd.DataFrame) -> list[Score]:
    """Mean Dice over all test images and by source, and how many masks pass their check."""
    found = [overlap.mean(predictions, "dice", CELL)]
    if predictions["source"].nunique() > 1:
        groups = predictions.groupby("source")
        found += [overlap.mean(rows, "dice", CELL, str(name)) for name, rows in groups]
    good, n = int((predictions["status"] == OK).sum()), len(predictions)
    ends = intervals.wilson(good, n)
    return [*found, Score(CELL, "mask_ok", "overall", good / n, good, n, *ends, "wilson")]


def _only_stage(plan: Recipe) -> Stage:
    """The recipe's one stage; raises HilumError for what a segmentation has no use for."""
    stage = plan.train.stages[0]
    wrong = {
        "train.stages": len(plan.train.stages) != 1,
        "train.stages.trainable": stage.trainable != "all",
        "train.stages.optimiser": stage.optimiser != "adamw",
        "train.balance": plan.train.balance != "none",
        "grid": bool(plan.grid),
        "source": plan.source is not None,
    }
    for key, bad in wrong.items():
        if bad:
            raise HilumError(
                'a recipe with learns = "lungs" has one stage with trainable = "all" and optimiser '
                f'= "adamw", balance = "none", no grid and no source; got another {key}; mend it.'
            )
    return stage


def _ground(
    plan: Recipe, stage: Stage, where: tuple[Path | None, Path, Path], tell: Tell
) -> tuple[_Ground, dict[int, Split], list[Leak]]:
    root, out, work = where
    found = gather.gather(plan, root, out, tell)
    found = manifests.select(found, found.table["mask_path"].notna(), "it has no lung mask")
    side = plan.prepare.side or SIDE
    taken = pixels.ingest(found, lungs.preparation(side), tell("decode and prepare"))
    manifest, stack, truth = _paired(taken.manifest, taken.pixels.stack, side)
    area = (truth > WHITE).mean((1, 2))
    # a split wants classes: large and small lungs, so that no part has only the hard ones
    table = manifest.table.assign(label=np.where(area > np.median(area), "large", "small"))
    strata = Manifest(table)
    splits = {
        seed: divide.divide(plan.split, strata, taken.fingerprints, seed) for seed in plan.seeds
    }
    leaks = divide.check(splits[plan.seeds[0]], strata, taken.fingerprints, plan.mode)
    return _Ground(plan, stage, manifest, stack, truth, out, work, tell), splits, leaks


def _paired(manifest: Manifest, stack: Stack8, side: int) -> tuple[Manifest, Stack8, Stack8]:
    """Images whose masks fit, and both as (image, side, side); the others are left out."""
    truth: list[Any] = []
    faults: list[LeftOut] = []
    for row in manifest.table.itertuples():
        try:
            whole = read_mask(Path(row.mask_path), _size(Path(row.path)))
            truth.append(resized(whole.astype(np.float32), (side, side)))
        except HilumError as error:
            truth.append(None)
            faults.append(LeftOut(str(row.path), str(error)))
    kept = np.array([mask is not None for mask in truth])
    if not kept.any():
        raise HilumError(
            f"training wants images with lung masks that fit; got none of {len(truth)}, for "
            f"instance {faults[0].what}: {faults[0].reason}"
        )
    good = np.stack([as_uint8(mask) for mask in truth if mask is not None])
    if kept.all():
        return manifest, stack, good
    table = manifest.table[kept].reset_index(drop=True)
    whole_manifest = Manifest(table, (*manifest.left_out, *faults), manifest.notes)
    return whole_manifest, np.asarray(stack[kept]), good


def _size(path: Path) -> tuple[int, int]:
    """(height, width) of an image, from its header."""
    facts = images.probe(path)
    return int(facts["height"]), int(facts["width"])


def read_mask(path: Path, size: tuple[int, int]) -> Mask:
    """A mask's file at the (height, width) of its image; raises HilumError for another shape."""
    grey = as_uint8(images.read(path).pixels)
    ratio = grey.shape[1] * size[0] / (grey.shape[0] * size[1])
    if abs(ratio - 1) > SHAPES:
        raise HilumError(
            f"a mask must have its image's shape; got {grey.shape[1]} x {grey.shape[0]} for an "
            f"image of {size[1]} x {size[0]} ({path.name}); mend or remove it."
        )
    return np.asarray(resized(grey, size) > WHITE)


def _fold(ground: _Ground, rows: pd.DataFrame, key: Key) -> _Fold:
    """Train and test one fold, or read it where it was finished before."""
    folder = ground.work / f"seed{key.seed}-fold{key.fold}"
    done = folder / "done.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _train(ground, rows, key, folder)
    told = json.loads(done.read_text())
    predictions = pd.read_parquet(folder / "predictions.parquet")
    return _Fold(folder, predictions, pd.read_csv(folder / "history.csv"), told["dice"])


def _train(ground: _Ground, rows: pd.DataFrame, key: Key, folder: Path) -> None:
    plan, stage = ground.plan, ground.stage
    pairs, test = _pairs(ground, rows)
    facts = unet.Facts(plan.model.backbone, side=pairs.images.shape[1], mirror=plan.model.mirror)
    network = unet.build(facts, plan.model.weights, key.seed)
    schedule = stage.schedule
    how = masks.Plan(
        loop.rates(stage.lr, stage.epochs, schedule.kind, schedule.every, schedule.factor),
        benches.ranges(plan.augment),
        stage.batch,
        stage.weight_decay,
        stage.average,
        key.seed,
        stage.patience,
        "cuda" if torch.cuda.is_available() else "cpu",
    )

    def keep() -> None:  # so that a run that is killed has something to show
        unet.save(network, folder / lungs.WEIGHTS)

    course = masks.fit(network, pairs, how, ground.tell(f"fold {key.fold + 1}"), keep)
    network = network.cpu().eval()
    unet.with_facts(
        network,
        threshold=_threshold(network, pairs),
        provenance=_provenance(ground, key, (pairs, test), course.dice),
    )
    # tested as it is stored: read back, with fp16's rounding
    stored = unet.load(unet.save(network, folder / lungs.WEIGHTS))
    tested = pd.DataFrame(_tested(ground, lungs.compiled(stored), test, key))
    tested.to_parquet(folder / "predictions.parquet")
    course_rows = pd.DataFrame(course.rows)
    course_rows.assign(cell=CELL, fold=key.fold, seed=key.seed, stage=stage.name).to_csv(
        folder / "history.csv", index=False
    )
    with files.atomic_write(folder / "done.json") as path:
        path.write_text(json.dumps({"dice": course.dice}))


def _pairs(ground: _Ground, rows: pd.DataFrame) -> tuple[Pairs, Any]:
    ids = ground.manifest.table["sample_id"]
    part = rows.set_index("sample_id")["part"].reindex(ids).to_numpy()
    at = {name: np.flatnonzero(part == name) for name in ("train", "validation", "test")}
    for name, found in at.items():
        if len(found) == 0:
            raise HilumError(
                f"each fold needs train, validation and test images; got no {name} images; "
                "add images or change the split."
            )
    pairs = Pairs(ground.images, ground.masks, tuple(ids), at["train"], at["validation"])
    return pairs, at["test"]


def _threshold(network: UNet, pairs: Pairs) -> float:
    """The threshold of the highest mean Dice on the validation images."""
    found = []
    with torch.inference_mode():
        for row in pairs.validation:
            pixels = torch.from_numpy(np.array(pairs.images[row]))[None, None]
            p = torch.sigmoid(network(pixels))
            if network.facts.mirror:
                p = (p + torch.sigmoid(network(pixels.flip(3))).flip(3)) / 2
            found.append(p[0, 0].numpy())
    said, true = np.stack(found), pairs.masks[pairs.validation] > WHITE
    means = [float(overlap.dice(said >= value, true).mean()) for value in THRESHOLDS]
    return THRESHOLDS[int(np.argmax(means))]


def _tested(ground: _Ground, finder: lungs.Finder, rows: Any, key: Key) -> Iterator[dict[str, Any]]:
    """One row per test image at its own size; the masks go to `masks/`, for the report."""
    move, table = ground.tell("test"), ground.manifest.table
    home = outputs.room(ground.out / "masks")
    for done, row in enumerate(table.iloc[rows].to_dict("records"), 1):
        image = images.read(Path(row["path"])).pixels
        found = finder(image)
        true = read_mask(Path(row["mask_path"]), found.mask.shape)
        path = home / f"{files.digest(row['sample_id'], key.seed)[:16]}.png"
        cv2.imwrite(str(path), found.mask.astype(np.uint8) * 255)
        move(done, len(rows))
        kept = ("sample_id", "path", "patient_id", "source", "label", "mask_path")
        yield {
            "cell": CELL,
            "fold": key.fold,
            "seed": key.seed,
            **{name: row[name] for name in kept},
            "dice": float(overlap.dice(found.mask, true)),
            "status": found.status,
            "fraction": found.fraction,
            "true_fraction": float(true.mean()),
            "confidence": found.confidence,
            "found": f"masks/{path.name}",
        }


def _provenance(ground: _Ground, key: Key, rows: tuple[Pairs, Any], dice: float) -> dict[str, Any]:
    """Where the weights come from, and who was held out, so that anyone can test again."""
    table, (pairs, test) = ground.manifest.table, rows
    return {
        "recipe": ground.plan.name,
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
        "tested": sorted(set(table["patient_id"].iloc[test].dropna())),
    }


def _verdict(predictions: pd.DataFrame, judged: list[Score]) -> str:
    overall, passed = judged[0], judged[-1]
    people = predictions["patient_id"].nunique() or "an unknown number of"
    span = "" if overall.low is None else f" ({overall.low:.3f} to {overall.high:.3f})"
    return (
        f"Mean Dice {overall.value:.3f}{span} on {overall.n} images of {people} patients that "
        f"training has not seen; {passed.k} of {passed.n} masks pass their check."
    )


def _model(path: Path) -> dict[str, Any]:
    facts = unet.load(path).facts
    told = {name: value for name, value in facts.provenance.items() if name != "tested"}
    return {
        "cell": CELL,
        "encoder": facts.encoder,
        "widths": list(facts.widths),
        "side": facts.side,
        "threshold": facts.threshold,
        "mirror": facts.mirror,
        "bytes": path.stat().st_size,
        **told,
    }
