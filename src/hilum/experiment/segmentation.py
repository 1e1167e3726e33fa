"""Training a network that outlines lungs: read pairs, split by patient, fit, test, report."""

import shutil
import time
import warnings
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
from hilum.experiment.cell_context import FoldKey, Tell
from hilum.experiment.segmentation_fold import CELL
from hilum.inference import model_json
from hilum.metrics import dice, intervals
from hilum.preprocess.lungs import segmenter, unet
from hilum.preprocess.lungs.masks import OK
from hilum.recipes import Recipe, Stage
from hilum.types import HilumError, HilumWarning, Results, Score


def run(plan: Recipe, root: Path | None, out: Path, tell: Tell, resume: bool = False) -> Results:
    """Carry out a recipe that learns lungs and write every file of `out`.

    `model/lungs.safetensors` is the network of the fold with the best validation Dice. Raises
    HilumError where the recipe or the masks do not fit, MissingError for data that are not here.
    """
    with files.alone(out):
        return _run(plan, root, out, tell, resume)


def _run(plan: Recipe, root: Path | None, out: Path, tell: Tell, resume: bool) -> Results:
    started, stage = time.monotonic(), _only_stage(plan)
    if resume:
        checkpoints.require_recipe(out, plan)
    work = outputs.make_run_folder(out) / model_json.WORK
    ground, splits, leaks = segmentation_data.ground(plan, stage, (root, out, work), tell)
    checkpoints.begin(out, plan, dependencies.of_pairs(plan, ground.manifest, splits), resume)
    mixed = mask_conventions.note(ground.manifest.table)
    if mixed:
        warnings.warn(mixed, HilumWarning, stacklevel=2)
    folds = [
        segmentation_fold.run(ground, rows, FoldKey(CELL, seed, int(str(number))))
        for seed, split in splits.items()
        for number, rows in split.table.groupby("fold")
    ]
    best = max(folds, key=lambda fold: fold.dice)
    shutil.rmtree(out / "model", ignore_errors=True)
    (out / "model").mkdir()
    shutil.copy(best.folder / segmenter.WEIGHTS, out / "model" / segmenter.WEIGHTS)
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
        verdict=_verdict(predictions, judged, mask_conventions.followed(ground.manifest.table)),
        environment=environment.provenance(time.monotonic() - started),
        data=summary.data(ground.manifest),
        split=summary.split(splits, leaks),
        model=_model(out / "model" / segmenter.WEIGHTS),
        limits=[*([mixed] if mixed else []), *plan.limits, *ground.manifest.notes],
        replication=replication.sentence(plan),
        departures=replication.rows(plan),
    )
    outputs.write_recipe(out, plan)
    outputs.write_manifest(out, ground.manifest)
    outputs.write_left_out(out, ground.manifest.left_out)
    outputs.write_splits(out, {seed: split.table for seed, split in splits.items()})
    outputs.write_history(out, pd.concat([fold.history for fold in folds], ignore_index=True))
    outputs.write_predictions(out, predictions)
    outputs.write_results(out, results)
    report.build_masks(out)
    checkpoints.finish(work)
    return results


def scores(predictions: pd.DataFrame) -> list[Score]:
    """Mean Dice over all test images and by source, and how many masks pass their check."""
    found = [dice.mean(predictions, "dice", CELL)]
    if predictions["source"].nunique() > 1:
        groups = predictions.groupby("source")
        found += [dice.mean(rows, "dice", CELL, str(name)) for name, rows in groups]
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
        "source_task": plan.source_task is not None,
    }
    for key, bad in wrong.items():
        if bad:
            raise HilumError(
                'a recipe with learns = "lungs" has one stage with trainable = "all" and optimiser '
                f'= "adamw", balance = "none", no grid and no source_task; got another {key}; '
                "change it."
            )
    return stage


def _verdict(predictions: pd.DataFrame, judged: list[Score], convention: str) -> str:
    overall, passed = judged[0], judged[-1]
    people = predictions["patient_id"].nunique() or "an unknown number of"
    span = "" if overall.low is None else f" ({overall.low:.3f} to {overall.high:.3f})"
    return (
        f"Mean Dice {overall.value:.3f}{span} on {overall.n} images of {people} patients that "
        f"training has not seen; {passed.k} of {passed.n} masks pass their check. "
        f"Convention of the reference masks: {convention}."
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
