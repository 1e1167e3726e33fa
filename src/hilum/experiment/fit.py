"""The stages of training: a head on cached features, then, where set, every layer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from hilum.experiment import cell_features, fine_tune
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.experiment.schema_to_training import (
    FittedHead,
    class_weights,
    head_module,
    head_plan,
    loop_plan,
    sample_weights,
    trains_backbone,
)
from hilum.models.backbones import Backbone
from hilum.models.heads import NumpyHead, Standardise
from hilum.models.runtime.torch import on_one_thread
from hilum.recipes import Stage
from hilum.training import linear_probe, loop, smote
from hilum.training.batches import FeatureBatches, PartIndices
from hilum.training.linear_probe import LabelledFeatures
from hilum.types import Floats, HilumError

Array: TypeAlias = npt.NDArray[np.float64]


def train_stages(
    context: CellContext, parts: PartIndices, key: FoldKey
) -> tuple[Backbone, NumpyHead, pd.DataFrame]:
    """All stages in order; each begins where the one before it ended."""
    backbone, histories = context.backbone, []
    top: FittedHead | None = None
    for stage in context.recipe.train.stages:
        stage_parts = replace(parts, images=stage.steps * stage.batch)
        if trains_backbone(context, stage):
            backbone, top, rows = fine_tune.fine_tune(
                context, stage_parts, stage, key, (backbone, top)
            )
        elif backbone is context.backbone:
            top, rows = _head(context, stage_parts, stage, key)
        else:
            raise HilumError(
                f"train.stages: a stage of the head alone comes before those of the backbone; got "
                f"{stage.name!r} after one; change their order."
            )
        histories.append(pd.DataFrame([{"stage": stage.name, **row} for row in rows]))
    assert top is not None  # noqa: S101 - a recipe has at least one stage
    history = pd.concat(histories, ignore_index=True)
    history = history.assign(cell=key.cell, fold=key.fold, seed=key.seed)
    return backbone, NumpyHead.from_module(top.standard, top.module), history


def refit_head(
    context: CellContext, parts: PartIndices, key: FoldKey, history: pd.DataFrame
) -> NumpyHead:
    """The linear head at the strength that validation chose, refitted to both parts' images."""
    rows = history[history["part"] == "validation"].dropna(subset="strength")
    best = rows.loc[rows.groupby("stage", sort=False)["loss"].idxmin(), "strength"]
    strengths = best.tolist()[-context.backbone.panels :]
    parts = replace(parts, train=np.concatenate([parts.train, parts.validation]))
    views = all_views(context, parts, key)
    if context.recipe.train.balance == "smote_features":
        views, parts = _with_synthetic(views, parts, key)
    standard = Standardise.of(views, parts.train)
    weights = class_weights(context, parts)
    train = training_views(context, views, parts, standard)
    fitted = [
        linear_probe.solve_alone(columns(train, block), weights, float(strength))
        for block, strength in zip(pictures(context, views.shape[-1]), strengths, strict=True)
    ]
    # theta (class, feature + 1): the last column is the bias
    top = _linear(context, standard, [(theta[:, :-1], theta[:, -1]) for theta in fitted])
    return NumpyHead.from_module(top.standard, top.module)


def all_views(context: CellContext, parts: PartIndices, key: FoldKey) -> Floats:
    """(view, image, feature): plain, mirrored where predictions average it, and augmented.

    An array of the caller's own.
    """
    views = [cell_features.plain(context)]
    if context.recipe.model.mirror:
        views.append(cell_features.mirror(context))
    unchanged = len(context.labels) == len(context.manifest.table)  # no synthetic images appended
    shared = unchanged and context.recipe.split.kind == "kfold"
    used = np.arange(len(context.labels)) if shared else parts.train
    views += cell_features.augmented(context, key.seed, used)
    return cell_features.stacked(views)


def _head(
    context: CellContext, parts: PartIndices, stage: Stage, key: FoldKey
) -> tuple[FittedHead, list[dict[str, Any]]]:
    """Fit a head on cached features."""
    views = all_views(context, parts, key)
    if context.recipe.train.balance == "smote_features":
        views, parts = _with_synthetic(views, parts, key)
    standard = Standardise.of(views, parts.train)
    if stage.optimiser == "lbfgs" and head_plan(context.recipe.model).plain:
        return _probe(context, parts, standard, views, stage.name)
    network = head_module(context, views.shape[-1], key.seed)
    batches = FeatureBatches(standard(views, out=views), parts, stage.batch, key.seed)
    advance = context.progress(fine_tune.step_of(key, stage))
    with on_one_thread():
        course = loop.train_network(network, batches, loop_plan(context, parts, stage), advance)
    return FittedHead(standard, network), course.rows


def _with_synthetic(views: Floats, parts: PartIndices, key: FoldKey) -> tuple[Floats, PartIndices]:
    """SMOTE on features (view, image, feature): the same parents and weights in every view."""
    parents = smote.draw_parents(views[0], parts.labels, key.seed, rows=parts.train)
    synthetic = np.stack([smote.blend(view, parents) for view in views])
    count = views.shape[1]
    train = np.concatenate([parts.train, np.arange(count, count + len(parents.labels))])
    labels = np.concatenate([parts.labels, parents.labels])
    return np.concatenate([views, synthetic], axis=1), replace(parts, train=train, labels=labels)


def _probe(
    context: CellContext, parts: PartIndices, standard: Standardise, views: Floats, name: str
) -> tuple[FittedHead, list[dict[str, Any]]]:
    """One layer on views (view, image, feature), or one for each picture's own features."""
    train = training_views(context, views, parts, standard)
    rows = parts.validation
    validation = LabelledFeatures(
        standard(views[0, rows]), parts.labels[rows], sample_weights(context, rows)
    )
    weights, blocks = class_weights(context, parts), pictures(context, views.shape[-1])
    fitted = [
        linear_probe.fit_probe(columns(train, b), columns(validation, b), weights) for b in blocks
    ]
    history = [
        {**row, "stage": name if len(fitted) == 1 else f"{name}, picture {number}"}
        for number, probe in enumerate(fitted, 1)
        for row in probe.history
    ]
    return _linear(context, standard, [(probe.weights, probe.bias) for probe in fitted]), history


def pictures(context: CellContext, width: int) -> list[slice]:
    """The slice of the features (width,) that belongs to each picture of the film."""
    features_each = width // context.backbone.panels
    return [slice(start, start + features_each) for start in range(0, width, features_each)]


def columns(data: LabelledFeatures, block: slice) -> LabelledFeatures:
    """The same images with these features alone."""
    return replace(data, features=np.ascontiguousarray(data.features[:, block]))


def training_views(
    context: CellContext, views: Floats, parts: PartIndices, standard: Standardise
) -> LabelledFeatures:
    """The training part's views (view, image, feature) as (view x image, feature)."""
    features = standard(views[:, parts.train]).reshape(-1, views.shape[-1])
    weights = sample_weights(context, parts.train)
    return LabelledFeatures(
        features,
        np.tile(parts.labels[parts.train], len(views)),
        None if weights is None else np.tile(weights, len(views)),
    )


def _linear(
    context: CellContext, standard: Standardise, layers: Sequence[tuple[Array, Array]]
) -> FittedHead:
    """One layer with the mean logits of layers ((class, feature), (class,)) on their own features.

    Such a mean is the normalised geometric mean of their probabilities (Hinton 2002,
    doi:10.1162/089976602760128018).
    """
    weights = np.concatenate([weight for weight, _ in layers], axis=1) / len(layers)
    bias = np.mean([bias for _, bias in layers], axis=0)
    network = head_module(context, weights.shape[1], 0)
    layer = next(part for part in network.modules() if isinstance(part, nn.Linear))
    layer.weight.data = torch.tensor(weights, dtype=torch.float32)
    layer.bias.data = torch.tensor(bias, dtype=torch.float32)
    return FittedHead(standard, network)
