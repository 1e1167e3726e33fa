"""A recipe's words in the terms of models and of the training loop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from hilum.experiment import cell_context as benches
from hilum.experiment.cell_context import CellContext
from hilum.models import freezing, heads
from hilum.models.backbones import Backbone
from hilum.models.cards import BackboneCard
from hilum.models.heads import HeadPlan, Standardise
from hilum.models.runtime.torch import has_bf16
from hilum.recipes import ModelPlan, Recipe, Stage
from hilum.training import loop, sampling
from hilum.training.batches import PartIndices, Rows
from hilum.types import HilumError


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A fitted head as a module that the next stage can go on with, and its standardisation."""

    standard: Standardise
    module: nn.Module


def head_plan(plan: ModelPlan) -> HeadPlan:
    """The named head with the recipe's changes; raises HilumError for an unknown name."""
    changes = {
        name: value
        for name in ("hidden", "dropout", "map_dropout", "penalise")
        if (value := getattr(plan, name)) is not None
    }
    return replace(heads.named(plan.head), pool=benches.pool(plan), **changes)


def freezing_rules(
    card: BackboneCard, trainable: str, last: int, first: int, freeze: Sequence[str]
) -> list[freezing.Rule]:
    """A stage's words as rules: its patterns first, then how much of the backbone trains."""
    mine: list[freezing.Rule] = [(pattern, "freeze") for pattern in freeze]
    if trainable == "all" and not first:
        return [*mine, freezing.EVERYTHING]
    if trainable == "head":  # fully connected layers that a pool keeps are the backbone's too
        return [freezing.BACKBONE, freezing.EVERYTHING]
    counts = {"last": last, "all": len(card.stages) - first}
    return [*mine, *freezing.last_stages(card, counts[trainable])]


def trained(plan: Recipe, backbone: Backbone) -> dict[str, freezing.Action]:
    """What the stages of a cell, its source task's among them, do to each backbone parameter."""
    names = [name for name, _ in backbone.named_parameters()]
    inside = [f"1.{name}" for name in names]  # as the tuned network names them
    beside = ["3.layers.0.weight", "3.layers.0.bias"]  # the head's, which a pattern may be about
    learnt: set[str] = set()
    task = plan.source_task
    plans = [plan.train, *([task.train] if task and task.enabled else [])]
    for stage in (stage for one in plans for stage in one.stages if stage.trainable != "head"):
        rules = freezing_rules(
            backbone.card, stage.trainable, stage.last, stage.first, stage.freeze
        )
        actions = freezing.resolve([*inside, *beside], rules)
        learnt |= {
            name for name, full in zip(names, inside, strict=True) if actions[full] == "train"
        }
    return {name: "train" if name in learnt else "freeze" for name in names}


def head_module(bench: CellContext, features: int, seed: int) -> nn.Module:
    """The recipe's head for standardised features (image, feature), not fitted yet."""
    shape = bench.backbone.shape(features)
    return heads.build(head_plan(bench.recipe.model), shape, len(bench.classes), seed)


def trains_backbone(bench: CellContext, stage: Stage) -> bool:
    """Whether a stage's images go through the backbone in every epoch."""
    return stage.through or not bench.recipe.train.cache


def loop_plan(
    bench: CellContext, parts: PartIndices, stage: Stage, device: str = "cpu"
) -> loop.LoopConfig:
    """A stage as the loop understands it; raises HilumError for lbfgs on another head."""
    if stage.optimiser == "lbfgs":
        raise HilumError(
            f"train.stages: lbfgs fits a plain linear head; got head {bench.recipe.model.head!r}; "
            "choose optimiser adam."
        )
    schedule = stage.schedule
    rates = loop.learning_rates(
        stage.lr, stage.epochs, schedule.kind, schedule.every, schedule.factor
    )
    weights = torch.tensor(class_weights(bench, parts), dtype=torch.float32, device=device)
    stop = (stage.stop.accuracy, stage.stop.loss) if stage.stop else None
    mine = head_plan(bench.recipe.model)
    penalised = mine.l1 > 0 or mine.l2 > 0
    fine = bench.recipe.model.precision == "fp32"
    bf16 = trains_backbone(bench, stage) and not fine and has_bf16(torch.device(device))
    return loop.LoopConfig(
        stage.optimiser,
        rates,
        stage.momentum,
        stage.weight_decay,
        stage.patience,
        weights,
        bf16,
        stage.average,
        stage.smoothing,
        stop,
        heads.penalty if penalised else None,
        stage.eps,
        stage.keep,
        parts.watches,
    )


def class_weights(bench: CellContext, parts: PartIndices) -> Any:
    """(class,) what each class weighs in the loss, from the training part."""
    if bench.recipe.train.balance != "weights":
        return np.ones(len(bench.classes))
    return sampling.class_weights(parts.labels[parts.train], len(bench.classes))


def sample_weights(bench: CellContext, rows: Rows) -> Any:
    """(image,) what each image counts besides its class's weight; None where all count alike."""
    if bench.recipe.train.balance != "sources":
        return None
    sources = bench.manifest.table["source"].fillna("").to_numpy(object)
    return sampling.source_shares(bench.labels[rows], sources[rows])
