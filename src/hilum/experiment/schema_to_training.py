"""Recipe keys translated to settings of models and of the training loop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from hilum.experiment import cell_network
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
    """A fitted head as a module that the next stage can start from, and its standardisation."""

    standard: Standardise
    module: nn.Module


def head_plan(plan: ModelPlan) -> HeadPlan:
    """The named head with the recipe's changes; raises HilumError for an unknown name."""
    changes = {
        name: value
        for name in ("hidden", "dropout", "map_dropout", "penalise")
        if (value := getattr(plan, name)) is not None
    }
    return replace(heads.find_head(plan.head), pool=cell_network.pools_of(plan)[0], **changes)


def freezing_rules(
    card: BackboneCard, trainable: str, last: int, first: int, freeze: Sequence[str]
) -> list[freezing.Rule]:
    """A stage as freezing rules: its patterns first, then how much of the backbone trains."""
    rules: list[freezing.Rule] = [(pattern, "freeze") for pattern in freeze]
    if trainable == "all" and not first:
        return [*rules, freezing.EVERYTHING]
    if trainable == "head":  # fully connected layers that a pool keeps are the backbone's too
        return [freezing.BACKBONE, freezing.EVERYTHING]
    counts = {"last": last, "all": len(card.stages) - first}
    return [*rules, *freezing.last_stages(card, counts[trainable])]


def trained_parameters(recipe: Recipe, backbone: Backbone) -> dict[str, freezing.Action]:
    """What the stages of a cell, its source task's among them, do to each backbone parameter."""
    names = [name for name, _ in backbone.named_parameters()]
    inside = [f"1.{name}" for name in names]  # as the tuned network names them
    head = ["3.layers.0.weight", "3.layers.0.bias"]  # the head's, which a pattern may be about
    changed: set[str] = set()
    task = recipe.source_task
    plans = [recipe.train, *([task.train] if task and task.enabled else [])]
    for stage in (stage for plan in plans for stage in plan.stages if stage.trainable != "head"):
        rules = freezing_rules(
            backbone.reached, stage.trainable, stage.last, stage.first, stage.freeze
        )
        actions = freezing.resolve([*inside, *head], rules)
        changed |= {
            name for name, full in zip(names, inside, strict=True) if actions[full] == "train"
        }
    return {name: "train" if name in changed else "freeze" for name in names}


def head_module(context: CellContext, features: int, seed: int) -> nn.Module:
    """The recipe's head for standardised features (image, feature), not fitted yet."""
    shape = context.backbone.shape(features)
    return heads.build_head(head_plan(context.recipe.model), shape, len(context.classes), seed)


def trains_backbone(context: CellContext, stage: Stage) -> bool:
    """Whether a stage's images go through the backbone in every epoch."""
    return stage.through or not context.recipe.train.cache


def loop_plan(
    context: CellContext, parts: PartIndices, stage: Stage, device: str = "cpu"
) -> loop.LoopConfig:
    """A stage as a LoopConfig; raises HilumError for lbfgs on another head."""
    if stage.optimiser == "lbfgs":
        raise HilumError(
            "train.stages: lbfgs fits a plain linear head; got head "
            f"{context.recipe.model.head!r}; choose optimiser adam."
        )
    schedule = stage.schedule
    rates = loop.learning_rates(
        stage.lr, stage.epochs, schedule.kind, schedule.every, schedule.factor
    )
    weights = torch.tensor(class_weights(context, parts), dtype=torch.float32, device=device)
    stop = (stage.stop.accuracy, stage.stop.loss) if stage.stop else None
    plan = head_plan(context.recipe.model)
    penalised = plan.l1 > 0 or plan.l2 > 0
    fine = context.recipe.model.precision == "fp32"
    bf16 = trains_backbone(context, stage) and not fine and has_bf16(torch.device(device))
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


def class_weights(context: CellContext, parts: PartIndices) -> Any:
    """(class,) what each class weighs in the loss, from the training part."""
    if context.recipe.train.balance != "weights":
        return np.ones(len(context.classes))
    return sampling.class_weights(parts.labels[parts.train], len(context.classes))


def sample_weights(context: CellContext, rows: Rows) -> Any:
    """(image,) what each image counts besides its class's weight; None where all count alike."""
    if context.recipe.train.balance != "sources":
        return None
    sources = context.manifest.table["source"].fillna("").to_numpy(object)
    return sampling.source_shares(context.labels[rows], sources[rows])
