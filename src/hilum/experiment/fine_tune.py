"""Training the backbone itself, whole or its last stages, from the head that was fitted before."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from hilum.experiment import cell_context, cell_features
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.experiment.schema_to_training import FittedHead, freezing_rules, head_module, loop_plan
from hilum.models import freezing, weights
from hilum.models.backbones import Backbone
from hilum.models.heads import Standardise
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime import compiling
from hilum.progress import StepName
from hilum.recipes import Stage
from hilum.training import ray_train
from hilum.training.batches import PartIndices, PixelBatches
from hilum.training.ray_train import TrainingJob
from hilum.training.replicas import InTurn
from hilum.types import HilumError


def fine_tune(
    context: CellContext,
    parts: PartIndices,
    stage: Stage,
    key: FoldKey,
    start: tuple[Backbone, FittedHead | None],
) -> tuple[Backbone, FittedHead, list[dict[str, Any]]]:
    """Fine-tune from `start` and return a new backbone, its head and the history.

    Starting from a fitted head keeps the features from being torn up by a random one (Kumar et
    al. 2022, arXiv:2202.10054).
    """
    device = compiling.training_device()
    backbone, standard = copy.deepcopy(start[0]), _standard(context, parts, start[1])
    fitted = copy.deepcopy(start[1].module) if start[1] else None
    top = fitted or head_module(context, len(standard.mean), key.seed)
    network: nn.Module = nn.Sequential(
        InputNormalisation(context.normalise), backbone, _StandardiseLayer(standard), top
    )
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # a head alone: no BatchNorm of the backbone learns, its statistics may drift
    batch_norm = stage.batch_norm if stage.through else "frozen"
    rules = freezing_rules(backbone.reached, stage.trainable, stage.last, stage.first, stage.freeze)
    freezing.apply_rules(network, rules, batch_norm)
    batches = PixelBatches(
        context.pixels.stack,
        context.pixels.sample_ids,
        parts,
        cell_context.ranges(context.recipe.augment),
        stage.batch,
        key.seed,
        device,
        stage.side,
    )
    plan = loop_plan(context, parts, stage, device)
    job = TrainingJob(network, batches, plan, _replicas(context, parts, key))
    course = ray_train.train_job(job, context.ray, context.progress(step_of(key, stage)))
    tuned = _with_origin(backbone.cpu().eval(), f"{weights.TUNED}{start[0].weights.origin}")
    return tuned, FittedHead(standard, top.cpu()), course.rows


def _replicas(context: CellContext, parts: PartIndices, key: FoldKey) -> InTurn:
    """Into how many parts batches are cut; raises HilumError for fewer than two images in one."""
    count = context.recipe.train.replicas
    images = parts.images or len(parts.train)
    if count > 1 and images < 2 * count:
        raise HilumError(
            f"train.replicas = {count} needs two training images for each; got {images}; set it "
            "lower."
        )
    return InTurn(count, key.seed)


def step_of(key: FoldKey, stage: Stage) -> StepName:
    """The step of a stage's training, for progress."""
    return StepName(f"seed {key.seed}, fold {key.fold + 1}, {stage.name}", "epochs")


def _with_origin(backbone: Backbone, origin: str) -> Backbone:
    """The same backbone, its record with the digest of the tuned weights."""
    state = dict(backbone.net.state_dict())
    shapes = {name: tensor.shape for name, tensor in state.items()}
    digest = weights.state_digest(state, shapes)
    backbone.weights = replace(backbone.weights, digest=digest, origin=origin)
    return backbone


class _StandardiseLayer(nn.Module):
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


def _standard(context: CellContext, parts: PartIndices, top: FittedHead | None) -> Standardise:
    return top.standard if top else Standardise.of(cell_features.features(context), parts.train)
