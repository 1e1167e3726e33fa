"""Training a network that outlines lungs: read pairs, split by patient, fit, test, report."""

import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from hilum import files, report
from hilum.experiment import (
    checkpoints,
    dependencies,
    environment,
    mask_conventions,
    outputs,
    published,
    replication,
    segmentation_data,
    segmentation_fold,
    summary,
)
from hilum.experiment.cell_context import FoldKey
from hilum.experiment.segmentation_data import PreparedSegmentation
from hilum.experiment.segmentation_fold import CELL, Fold
from hilum.inference import model_json
from hilum.metrics import dice, intervals
from hilum.preprocess.lungs import segmenter, unet
from hilum.preprocess.lungs.masks import OK
from hilum.progress import Progress
from hilum.recipes import Recipe, Stage
from hilum.types import HilumError, HilumWarning, Results, Score


def run_segmentation(
    recipe: Recipe,
    root: Path | None,
    out: Path,
    progress: Progress,
    resume: bool = False,
    workers: int = 1,
    ray: str = "",
) -> Results:
    """Carry out a recipe that learns lungs and write every file of `out`.

    `model/lungs.safetensors` is the network of the fold with the best validation Dice. Raises
    HilumError where the recipe or the masks do not fit, MissingError for data that are not here.
    """
    if workers > 1 or ray:
        raise HilumError(
            'a recipe with learns = "lungs" trains its folds one after another; got '
            f"{f'ray = {ray}' if ray else f'workers = {workers}'}; leave it out."
        )
    with files.alone(out):
        return _run(recipe, root, out, progress, resume)


def _run(recipe: Recipe, root: Path | None, out: Path, progress: Progress, resume: bool) -> Results:
    started, stage = time.monotonic(), _only_stage(recipe)
    if resume:
        checkpoints.require_recipe(out, recipe)
    work = outputs.make_run_folder(out) / model_json.WORK
    prepared = segmentation_data.prepare_masks(recipe, stage, (root, out, work), progress)
    context, manifest = prepared.context, prepared.context.manifest
    basis = dependencies.of_pairs(recipe, manifest, prepared.splits)
    checkpoints.begin_run(out, recipe, basis, resume)
    mixed = mask_conventions.note(manifest.table)
    if mixed:
        warnings.warn(mixed, HilumWarning, stacklevel=2)
    folds = [
        segmentation_fold.run_segmentation_fold(
            context, rows, FoldKey(CELL, seed, int(str(number)))
        )
        for seed, split in prepared.splits.items()
        for number, rows in split.table.groupby("fold")
    ]
    _publish(max(folds, key=lambda fold: fold.dice).folder, out)
    results = _results(prepared, folds, out)
    results = replace(
        results,
        limits=[*([mixed] if mixed else []), *results.limits],
        environment=environment.provenance(time.monotonic() - started),
    )
    _write(out, prepared, folds, results)
    report.build_segmentation_report(out)
    checkpoints.finish(work)
    return results


def _publish(fold: Path, out: Path) -> None:
    """Put a fold's network into `model/`."""
    with files.replaced_folder(out / "model") as whole:
        shutil.copy(fold / segmenter.WEIGHTS, whole / segmenter.WEIGHTS)


def _results(prepared: PreparedSegmentation, folds: Sequence[Fold], out: Path) -> Results:
    """Everything but what the run has cost."""
    recipe, manifest = prepared.context.recipe, prepared.context.manifest
    predictions = pd.concat([fold.predictions for fold in folds], ignore_index=True)
    rows = scores(predictions)
    return Results(
        recipe=recipe.name,
        title=recipe.title,
        mode=recipe.mode,
        classes=[],
        n=summary.counts(manifest, []),
        scores=rows,
        published=published.compare_with_paper(recipe.published, rows, CELL),
        audits=[],
        verdict=_verdict(predictions, rows, mask_conventions.followed(manifest.table)),
        environment={},
        data=summary.data(manifest),
        split=summary.split(prepared.splits, prepared.leaks),
        model=_model(out / "model" / segmenter.WEIGHTS),
        limits=[*recipe.limits, *manifest.notes],
        replication=replication.replication_sentence(recipe),
        departures=replication.departure_rows(recipe),
    )


def _write(
    out: Path, prepared: PreparedSegmentation, folds: Sequence[Fold], results: Results
) -> None:
    manifest = prepared.context.manifest
    outputs.write_recipe(out, prepared.context.recipe)
    outputs.write_manifest(out, manifest)
    outputs.write_left_out(out, manifest.left_out)
    outputs.write_splits(out, {seed: split.table for seed, split in prepared.splits.items()})
    outputs.write_history(out, pd.concat([fold.history for fold in folds], ignore_index=True))
    predictions = pd.concat([fold.predictions for fold in folds], ignore_index=True)
    outputs.write_predictions(out, predictions)
    outputs.write_results(out, results)


def scores(predictions: pd.DataFrame) -> list[Score]:
    """Mean Dice over all test images and by source, and how many masks pass their check."""
    rows = [dice.mean(predictions, "dice", CELL)]
    if predictions["source"].nunique() > 1:
        groups = predictions.groupby("source")
        rows += [dice.mean(group, "dice", CELL, str(name)) for name, group in groups]
    good, n = int((predictions["status"] == OK).sum()), len(predictions)
    ends = intervals.wilson(good, n)
    return [*rows, Score(CELL, "mask_ok", "overall", good / n, good, n, *ends, "wilson")]


def _only_stage(recipe: Recipe) -> Stage:
    """The recipe's one stage; raises HilumError for what a segmentation has no use for."""
    stage = recipe.train.stages[0]
    wrong = {
        "train.stages": len(recipe.train.stages) != 1,
        "train.stages.trainable": stage.trainable != "all",
        "train.stages.optimiser": stage.optimiser != "adamw",
        "train.balance": recipe.train.balance != "none",
        "train.replicas": recipe.train.replicas != 1,
        "grid": bool(recipe.grid),
        "source_task": recipe.source_task is not None,
    }
    for key, bad in wrong.items():
        if bad:
            raise HilumError(
                'a recipe with learns = "lungs" has one stage with trainable = "all" and optimiser '
                '= "adamw", balance = "none", one replica, no grid and no source_task; got another '
                f"{key}; change it."
            )
    return stage


def _verdict(predictions: pd.DataFrame, rows: list[Score], convention: str) -> str:
    overall, passed = rows[0], rows[-1]
    people = predictions["patient_id"].nunique() or "an unknown number of"
    span = "" if overall.low is None else f" ({overall.low:.3f} to {overall.high:.3f})"
    return (
        f"Mean Dice {overall.value:.3f}{span} on {overall.n} images of {people} "
        f"patients that were not in training. {passed.k} of {passed.n} masks pass their "
        f"check. Convention of the reference masks: {convention}."
    )


def _model(path: Path) -> dict[str, Any]:
    facts = unet.load_unet(path).facts
    origin = {name: value for name, value in facts.provenance.items() if name != "tested"}
    return {
        "cell": CELL,
        "encoder": facts.encoder,
        "widths": list(facts.widths),
        "side": facts.side,
        "threshold": facts.threshold,
        "mirror": facts.mirror,
        "bytes": path.stat().st_size,
        **origin,
    }
