"""One fold: the stages of training, then calibration on validation and prediction on test."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hilum.experiment import cell_features, fit, synthetic_images
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.inference import conformal, temperature
from hilum.inference.model import ModelMetadata, TrainedModel, compile_model, probability_columns
from hilum.metrics import metrics, thresholds
from hilum.models.backbones import Backbone
from hilum.models.heads import NumpyHead
from hilum.training.batches import PartIndices
from hilum.types import HilumError, Labels, Probabilities

SENSITIVITY = 0.9  # target of the thresholds that are stored with a model


@dataclass(frozen=True, slots=True)
class TrainedFold:
    """A fold's model, its rows of predictions and history, and its validation loss or nan."""

    key: FoldKey
    model: TrainedModel
    predictions: pd.DataFrame
    history: pd.DataFrame
    loss: float
    choice: dict[str, Any] | None = None  # how its pool was chosen among several


def train_fold(context: CellContext, split: pd.DataFrame, key: FoldKey) -> TrainedFold:
    """Train, calibrate and test one fold; `split` has the fold's sample_id and part."""
    rows = _rows(context, split)
    parts = PartIndices(rows["train"], rows["validation"], context.labels, test=rows["test"])
    parts = replace(parts, balanced=context.recipe.train.balance == "sampling")
    enlarged = synthetic_images.add_synthetic_images(context, parts, key)
    backbone, head, history = fit.train_stages(*enlarged, key)
    model, p = _calibrate(context, _model(context, backbone, head), parts)
    loss = _loss(context.labels[parts.validation], p)
    if context.recipe.train.stages[-1].refit:
        model = replace(model, head=fit.refit_head(*enlarged, key, history))
    logits = _logits(context, model, rows["test"])
    seen = np.concatenate([rows["train"], rows["validation"]])
    model = replace(
        model,
        facts=replace(
            model.facts,
            seen=tuple(sorted(context.manifest.table["sha256"].iloc[seen])),
            provenance={
                **_provenance(context, key, loss, rows),
                "engine": model.runtime.describe(),
            },
        ),
    )
    predictions = _predictions(context, model, logits, rows["test"], key)
    return TrainedFold(key, model, predictions, history, loss)


def with_choice(trained: TrainedFold, choice: dict[str, Any]) -> TrainedFold:
    """The fold, and its model, with the record of how its pool was chosen."""
    facts = trained.model.facts
    facts = replace(facts, provenance={**facts.provenance, "pool_choice": choice})
    return replace(trained, choice=choice, model=replace(trained.model, facts=facts))


def _rows(context: CellContext, split: pd.DataFrame) -> dict[str, Any]:
    at = pd.Series(np.arange(len(context.labels)), index=list(context.pixels.sample_ids))
    # sorted, so that sums over images do not depend on the order of the split's table
    rows = {
        part: np.sort(at.loc[group["sample_id"]].to_numpy())
        for part, group in split.groupby("part")
    }
    if not context.recipe.split.validation:
        rows.setdefault("validation", np.zeros(0, np.int64))
    for part in ("train", "validation", "test"):
        if part not in rows:
            raise HilumError(
                f"each fold needs train, validation and test images; got no {part} images; "
                "add images or change the split."
            )
    return rows


def _loss(labels: Labels, p: Probabilities) -> float:
    """Log loss of labels (image,) and p (image, class); nan, never chosen, where empty."""
    return float(metrics.log_loss(labels, p)) if len(labels) else float("nan")


def _model(context: CellContext, backbone: Backbone, head: NumpyHead) -> TrainedModel:
    engine = context.runtime.facts
    facts = ModelMetadata(
        context.classes, context.normalise, engine.precision, context.recipe.model.mirror
    )
    if backbone is context.backbone:
        return TrainedModel(facts, context.pipeline, backbone, head, context.runtime)
    return compile_model(facts, context.pipeline, backbone, head)


def _logits(context: CellContext, model: TrainedModel, rows: Any) -> Probabilities:
    """Logits (image, class); from cached features where the backbone stayed frozen."""
    if model.runtime is not context.runtime:
        return model.logits(context.pixels.stack[rows])
    return model.from_features(
        cell_features.features(context)[rows],
        cell_features.mirrored_features(context)[rows] if model.facts.mirror else None,
    )


def _calibrate(
    context: CellContext, model: TrainedModel, parts: PartIndices
) -> tuple[TrainedModel, Probabilities]:
    """The model with temperature, thresholds and limits, and validation p (image, class).

    Temperature scaling is that of Guo et al. 2017, arXiv:1706.04599. Without validation images
    all stays as it is: temperature 1, no threshold, no limit.
    """
    labels = context.labels[parts.validation]
    if not len(labels):
        return model, np.zeros((0, len(context.classes)))
    logits = _logits(context, model, parts.validation)
    fitted = temperature.fit_temperature(labels, logits)
    model = replace(model, facts=replace(model.facts, temperature=fitted.value))
    p = model.calibrated(logits)
    points = {
        name: thresholds.choose_threshold(labels == i, p[:, i], SENSITIVITY).threshold
        for i, name in enumerate(context.classes)
        if (labels == i).any()
    }
    possible = conformal.class_limits(labels, p, context.classes)
    facts = replace(model.facts, thresholds=points, conformal=possible)
    return replace(model, facts=facts), p


def _predictions(
    context: CellContext, model: TrainedModel, logits: Probabilities, rows: Any, key: FoldKey
) -> pd.DataFrame:
    described = context.manifest.table.iloc[rows][
        ["sample_id", "path", "patient_id", "source", "label"]
    ]
    table = described.reset_index(drop=True).assign(cell=key.cell, fold=key.fold, seed=key.seed)
    table[probability_columns(context.classes)] = model.calibrated(logits)
    return table


def _provenance(
    context: CellContext, key: FoldKey, loss: float, rows: dict[str, Any]
) -> dict[str, Any]:
    table = context.manifest.table
    return {
        "recipe": context.recipe.name,
        "mode": context.recipe.mode,
        "cell": key.cell,
        "seed": key.seed,
        "fold": key.fold,
        "validation_log_loss": round(loss, 6) if np.isfinite(loss) else None,
        "images": {part: len(indices) for part, indices in rows.items()},
        "classes": {
            name: int((context.labels[rows["train"]] == i).sum())
            for i, name in enumerate(context.classes)
        },
        "datasets": sorted(set(table["dataset"].dropna())),
        "sources": sorted(set(table["source"].dropna())),
    }
