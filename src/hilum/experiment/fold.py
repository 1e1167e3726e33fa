"""One fold: the stages of training, then calibration on validation and prediction on test."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hilum.experiment import cell_context as benches
from hilum.experiment import fit, synthetic_images
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.inference import conformal, temperature
from hilum.inference.model import ModelMetadata, TrainedModel, assemble, probability_columns
from hilum.metrics import metrics, thresholds
from hilum.models.backbones import Backbone
from hilum.models.heads import NumpyHead
from hilum.training.batches import PartIndices
from hilum.types import HilumError, Labels, Probabilities

SENSITIVITY = 0.9  # what the thresholds stored with a model aim at


@dataclass(frozen=True, slots=True)
class FoldResult:
    """A fold's model, its rows of predictions and history, and its validation loss or nan."""

    key: FoldKey
    model: TrainedModel
    predictions: pd.DataFrame
    history: pd.DataFrame
    loss: float


def run_fold(bench: CellContext, split: pd.DataFrame, key: FoldKey) -> FoldResult:
    """Train, calibrate and test one fold; `split` has the fold's sample_id and part."""
    rows = _rows(bench, split)
    parts = PartIndices(rows["train"], rows["validation"], bench.labels, test=rows["test"])
    parts = replace(parts, balanced=bench.recipe.train.balance == "sampling")
    enlarged = synthetic_images.add_synthetic_images(bench, parts, key)
    backbone, head, history = fit.train(*enlarged, key)
    model, p = _calibrated(bench, _model(bench, backbone, head), parts)
    loss = _loss(bench.labels[parts.validation], p)
    if bench.recipe.train.stages[-1].refit:
        model = replace(model, head=fit.refitted(*enlarged, key, history))
    logits = _logits(bench, model, rows["test"])
    seen = np.concatenate([rows["train"], rows["validation"]])
    model = replace(
        model,
        facts=replace(
            model.facts,
            seen=tuple(sorted(bench.manifest.table["sha256"].iloc[seen])),
            provenance={
                **_provenance(bench, key, loss, rows),
                "engine": model.runtime.describe(),
            },
        ),
    )
    predictions = _predictions(bench, model, logits, rows["test"], key)
    return FoldResult(key, model, predictions, history, loss)


def _rows(bench: CellContext, split: pd.DataFrame) -> dict[str, Any]:
    at = pd.Series(np.arange(len(bench.labels)), index=list(bench.pixels.sample_ids))
    found = {
        part: np.sort(at.loc[group["sample_id"]].to_numpy())
        for part, group in split.groupby("part")
    }
    if not bench.recipe.split.validation:
        found.setdefault("validation", np.zeros(0, np.int64))
    for part in ("train", "validation", "test"):
        if part not in found:
            raise HilumError(
                f"each fold needs train, validation and test images; got no {part} images; "
                "add images or change the split."
            )
    return found


def _loss(labels: Labels, p: Probabilities) -> float:
    """Log loss of the validation part; nan, which no cell is chosen by, where there is none."""
    return float(metrics.log_loss(labels, p)) if len(labels) else float("nan")


def _model(bench: CellContext, backbone: Backbone, head: NumpyHead) -> TrainedModel:
    engine = bench.runtime.facts
    facts = ModelMetadata(
        bench.classes, bench.normalise, engine.precision, bench.recipe.model.mirror
    )
    if backbone is bench.backbone:
        return TrainedModel(facts, bench.pipeline, backbone, head, bench.runtime)
    return assemble(facts, bench.pipeline, backbone, head)


def _logits(bench: CellContext, model: TrainedModel, rows: Any) -> Probabilities:
    """The model's own logits; from cached features where the backbone stayed frozen."""
    if model.runtime is not bench.runtime:
        return model.logits(bench.pixels.stack[rows])
    return model.from_features(
        benches.features(bench)[rows],
        benches.mirrored_features(bench)[rows] if model.facts.mirror else None,
    )


def _calibrated(
    bench: CellContext, model: TrainedModel, parts: PartIndices
) -> tuple[TrainedModel, Probabilities]:
    """Temperature, thresholds and limits from the validation part, and what is said of it then.

    Without such a part all stays as it is: temperature 1, no threshold, no limit.
    """
    labels = bench.labels[parts.validation]
    if not len(labels):
        return model, np.zeros((0, len(bench.classes)))
    logits = _logits(bench, model, parts.validation)
    fitted = temperature.fit(labels, logits)
    model = replace(model, facts=replace(model.facts, temperature=fitted.value))
    p = model.calibrated(logits)
    points = {
        name: thresholds.choose(labels == i, p[:, i], SENSITIVITY).threshold
        for i, name in enumerate(bench.classes)
        if (labels == i).any()
    }
    possible = conformal.limits(labels, p, bench.classes)
    facts = replace(model.facts, thresholds=points, conformal=possible)
    return replace(model, facts=facts), p


def _predictions(
    bench: CellContext, model: TrainedModel, logits: Probabilities, rows: Any, key: FoldKey
) -> pd.DataFrame:
    about = bench.manifest.table.iloc[rows][["sample_id", "path", "patient_id", "source", "label"]]
    table = about.reset_index(drop=True).assign(cell=key.cell, fold=key.fold, seed=key.seed)
    table[probability_columns(bench.classes)] = model.calibrated(logits)
    return table


def _provenance(
    bench: CellContext, key: FoldKey, loss: float, rows: dict[str, Any]
) -> dict[str, Any]:
    table = bench.manifest.table
    return {
        "recipe": bench.recipe.name,
        "mode": bench.recipe.mode,
        "cell": key.cell,
        "seed": key.seed,
        "fold": key.fold,
        "validation_log_loss": round(loss, 6) if np.isfinite(loss) else None,
        "images": {part: len(found) for part, found in rows.items()},
        "classes": {
            name: int((bench.labels[rows["train"]] == i).sum())
            for i, name in enumerate(bench.classes)
        },
        "datasets": sorted(set(table["dataset"].dropna())),
        "sources": sorted(set(table["source"].dropna())),
    }
