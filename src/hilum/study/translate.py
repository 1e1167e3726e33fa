"""A recipe's words in the terms of models and of the training loop."""

from typing import Any

import numpy as np
import torch
from torch import nn

from hilum.models import heads
from hilum.recipe import Stage
from hilum.study.bench import Bench
from hilum.train import balance, loop
from hilum.train.batches import Parts
from hilum.types import HilumError


def head_module(bench: Bench, features: int, seed: int) -> nn.Module:
    """The recipe's head for standardised features (image, feature), not fitted yet."""
    plan, classes = bench.recipe.model, len(bench.classes)
    if plan.head == "mlp":
        return heads.mlp(features, plan.hidden, classes, plan.dropout, seed)
    return nn.Sequential(nn.Dropout(plan.dropout), heads.linear(features, classes))


def loop_plan(bench: Bench, parts: Parts, stage: Stage, device: str = "cpu") -> loop.Plan:
    """A stage as the loop understands it; raises HilumError for lbfgs on another head."""
    if stage.optimiser == "lbfgs":
        raise HilumError(
            f"train.stages: lbfgs fits a linear head only; got head {bench.recipe.model.head!r}; "
            "choose optimiser adam."
        )
    schedule = stage.schedule
    rates = loop.rates(stage.lr, stage.epochs, schedule.kind, schedule.every, schedule.factor)
    weights = torch.tensor(class_weights(bench, parts), dtype=torch.float32, device=device)
    stop = (stage.stop.accuracy, stage.stop.loss) if stage.stop else None
    bf16 = stage.trainable != "head" and bench.runtime.facts.precision == "bf16"
    return loop.Plan(
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
    )


def class_weights(bench: Bench, parts: Parts) -> Any:
    """(class,) what each class weighs in the loss, from the training part."""
    if bench.recipe.train.balance == "none":
        return np.ones(len(bench.classes))
    return balance.class_weights(bench.labels[parts.train], len(bench.classes))
