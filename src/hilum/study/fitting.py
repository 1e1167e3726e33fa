"""The stages of training: a head on cached features, then, where asked for, every layer."""

from typing import Any

import numpy as np
import pandas as pd

from hilum.models.backbones import Backbone
from hilum.models.heads import Head, Standardise
from hilum.recipe import Stage
from hilum.study import bench as benches
from hilum.study import tuning
from hilum.study.bench import Bench, Key
from hilum.study.translate import class_weights, head_module, loop_plan
from hilum.train import loop, probe
from hilum.train.batches import FeatureBatches, Parts
from hilum.train.probe import Labelled
from hilum.types import Floats, HilumError


def train(bench: Bench, parts: Parts, key: Key) -> tuple[Backbone, Head, pd.DataFrame]:
    """All stages in order; each begins where the one before it ended."""
    backbone, head, histories = bench.backbone, None, []
    for stage in bench.recipe.train.stages:
        if stage.trainable == "head":
            if backbone is not bench.backbone:
                raise HilumError(
                    f"train.stages: a head stage comes before stages that train all; got "
                    f"{stage.name!r} after one; change their order."
                )
            head, rows = _head(bench, parts, stage, key)
        else:
            backbone, head, rows = tuning.tune(bench, parts, stage, key, (backbone, head))
        histories.append(pd.DataFrame(rows).assign(stage=stage.name))
    assert head is not None  # noqa: S101 - a recipe has at least one stage
    history = pd.concat(histories, ignore_index=True)
    return backbone, head, history.assign(cell=key.cell, fold=key.fold, seed=key.seed)


def _views(bench: Bench, parts: Parts, key: Key) -> Floats:
    """(view, image, feature): plain, mirrored where predictions average it, and augmented."""
    views = [benches.plain(bench)]
    if bench.recipe.model.mirror:
        views.append(benches.mirror(bench))
    used = np.arange(len(bench.labels)) if bench.recipe.split.kind == "kfold" else parts.train
    views += benches.augmented(bench, key.seed, used)
    return np.stack(views)


def _head(bench: Bench, parts: Parts, stage: Stage, key: Key) -> tuple[Head, list[dict[str, Any]]]:
    """Fit a head on cached features."""
    views = _views(bench, parts, key)
    standard = Standardise.of(views[:, parts.train])
    if stage.optimiser == "lbfgs" and bench.recipe.model.head == "linear":
        return _probe(bench, parts, standard, views)
    scaled = standard(views)
    network = head_module(bench, views.shape[-1], key.seed)
    batches = FeatureBatches(scaled, parts, stage.batch, key.seed)
    course = loop.fit(network, batches, loop_plan(bench, parts, stage))
    return Head.from_module(standard, network), course.rows


def _probe(
    bench: Bench, parts: Parts, standard: Standardise, views: Floats
) -> tuple[Head, list[dict[str, Any]]]:
    train = Labelled(
        standard(views[:, parts.train]).reshape(-1, views.shape[-1]),
        np.tile(bench.labels[parts.train], len(views)),
    )
    validation = Labelled(standard(views[0, parts.validation]), bench.labels[parts.validation])
    fitted = probe.fit(train, validation, class_weights(bench, parts))
    return Head(standard, ((fitted.weights, fitted.bias),)), list(fitted.history)
