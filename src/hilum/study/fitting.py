"""The stages of training: a head on cached features, then, where asked for, every layer."""

import copy
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from hilum.models import heads
from hilum.models.backbones import Backbone
from hilum.models.heads import Head, Standardise
from hilum.models.normalise import Door
from hilum.recipe import Stage
from hilum.study import bench as benches
from hilum.study.bench import Bench, Key
from hilum.train import balance, loop, probe
from hilum.train.batches import FeatureBatches, Parts, PixelBatches
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
            backbone, head, rows = _tuned(bench, parts, stage, key, (backbone, head))
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
    network = _module(bench, views.shape[-1], key.seed)
    batches = FeatureBatches(scaled, parts, stage.batch, key.seed)
    course = loop.fit(network, batches, _plan(bench, parts, stage))
    return Head.from_module(standard, network), course.rows


def _probe(
    bench: Bench, parts: Parts, standard: Standardise, views: Floats
) -> tuple[Head, list[dict[str, Any]]]:
    train = Labelled(
        standard(views[:, parts.train]).reshape(-1, views.shape[-1]),
        np.tile(bench.labels[parts.train], len(views)),
    )
    validation = Labelled(standard(views[0, parts.validation]), bench.labels[parts.validation])
    fitted = probe.fit(train, validation, _weights(bench, parts))
    return Head(standard, ((fitted.weights, fitted.bias),)), list(fitted.history)


def _tuned(
    bench: Bench, parts: Parts, stage: Stage, key: Key, start: tuple[Backbone, Head | None]
) -> tuple[Backbone, Head, list[dict[str, Any]]]:
    """Train every layer, from the head that was fitted before where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    backbone, standard = copy.deepcopy(start[0]), _standard(bench, parts, start[1])
    top = _module(bench, len(standard.mean), key.seed)
    if start[1] is not None:
        _fill(top, start[1])
    network = nn.Sequential(Door(bench.normalise), backbone, _Scaled(standard), top)
    network = network.to(device).requires_grad_()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = PixelBatches(
        bench.pixels.stack,
        bench.pixels.sample_ids,
        parts,
        benches.ranges(bench.recipe.augment),
        stage.batch,
        key.seed,
        device,
    )
    label = f"fold {key.fold + 1}, {stage.name}"
    course = loop.fit(network, batches, _plan(bench, parts, stage, device), bench.tell(label))
    backbone = backbone.cpu().eval()
    return backbone, Head.from_module(standard, top.cpu()), course.rows


class _Scaled(nn.Module):
    """Standardisation as a fixed layer, so that tuning starts from the fitted head's numbers."""

    def __init__(self, standard: Standardise) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.deviation: torch.Tensor
        self.register_buffer("mean", torch.from_numpy(standard.mean).float())
        self.register_buffer("deviation", torch.from_numpy(standard.deviation).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(image, feature) -> the same, standardised."""
        return (x - self.mean) / self.deviation


def _standard(bench: Bench, parts: Parts, head: Head | None) -> Standardise:
    return head.standardise if head else Standardise.of(benches.plain(bench)[parts.train])


def _module(bench: Bench, features: int, seed: int) -> nn.Module:
    plan, classes = bench.recipe.model, len(bench.classes)
    if plan.head == "mlp":
        return heads.mlp(features, plan.hidden, classes, plan.dropout, seed)
    return nn.Sequential(nn.Dropout(plan.dropout), heads.linear(features, classes))


def _fill(module: nn.Module, head: Head) -> None:
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, head.layers, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))


def _plan(bench: Bench, parts: Parts, stage: Stage, device: str = "cpu") -> loop.Plan:
    if stage.optimiser == "lbfgs":
        raise HilumError(
            f"train.stages: lbfgs fits a linear head only; got head {bench.recipe.model.head!r}; "
            "choose optimiser adam."
        )
    schedule = stage.schedule
    rates = loop.rates(stage.lr, stage.epochs, schedule.kind, schedule.every, schedule.factor)
    weights = torch.tensor(_weights(bench, parts), dtype=torch.float32, device=device)
    bf16 = stage.trainable == "all" and bench.runtime.facts.precision == "bf16"
    return loop.Plan(
        stage.optimiser, rates, stage.momentum, stage.weight_decay, stage.patience, weights, bf16
    )


def _weights(bench: Bench, parts: Parts) -> Any:
    if bench.recipe.train.balance == "none":
        return np.ones(len(bench.classes))
    return balance.class_weights(bench.labels[parts.train], len(bench.classes))
