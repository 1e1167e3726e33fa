"""A trained model prepared for explanation.

A backbone runs forward once, without gradient, to its last map; only what follows that map (the
pooling and the head) is differentiated. So a heat map costs one forward pass, by a compiled network
where there is one, and that pass yields the features as well: the prediction costs nothing more.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from hilum.inference import model as models
from hilum.inference.model import ModelMetadata, TrainedModel, mirrored
from hilum.models.backbones import Backbone
from hilum.models.head_layers import PositionMean, uninitialised_linear
from hilum.models.heads import NumpyHead
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.base import Runtime
from hilum.types import Floats, Grey8, HilumError, Probabilities, Stack8


@dataclass(frozen=True, slots=True)
class FeaturesAndMaps:
    """Output of a backbone: features (image, feature) and its last maps.

    Maps: (image, channel, row, column), without gradient.
    """

    features: Floats
    maps: Tensor


See: TypeAlias = Callable[[Stack8], FeaturesAndMaps]


class HeadFromMaps(nn.Module):
    """The last map (image, channel, row, column) -> logits (image, class), in float64."""

    def __init__(self, backbone: Backbone, head: NumpyHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = _as_module(head)

    def forward(self, maps: Tensor) -> Tensor:
        """(image, channel, row, column) -> (image, class)."""
        logits: Tensor = self.head(self.backbone.from_maps(maps).double())
        return logits


@dataclass(frozen=True, slots=True)
class ExplainableModel:
    """A model prepared for explanation; `logits` takes prepared images as the model does."""

    normalise: InputNormalisation
    tail: HeadFromMaps
    mirror: bool
    see: See  # raises HilumError where the network has no map
    logits: Callable[[Stack8], Probabilities]

    def last_map(self, image: Grey8) -> Tensor:
        """(height, width) -> (1, channel, row, column), without gradient."""
        return self.see(image[None]).maps


def make_explainable(model: TrainedModel) -> ExplainableModel:
    """An explainable model whose maps and logits come from compiled networks."""
    plain = of_parts(model.facts, model.backbone, model.head, model.logits)
    return replace(
        plain, see=compiled_sight(lambda: models.compile_features_and_maps(model), plain.see)
    )


def of_parts(
    facts: ModelMetadata,
    backbone: Backbone,
    head: NumpyHead,
    logits: Callable[[Stack8], Probabilities] | None = None,
) -> ExplainableModel:
    """An explainable model; `logits` where a compiled model answers faster than torch."""
    copied = copy.deepcopy(backbone).eval()
    copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in copied.modules():
        if hasattr(layer, "inplace"):  # two of them in a row would overwrite what a gradient needs
            layer.inplace = False  # type: ignore[assignment]
    normalise, tail = InputNormalisation(facts.normalise), HeadFromMaps(copied, head).eval()
    answer = logits or torch_logits(normalise, tail, facts.mirror)
    return ExplainableModel(normalise, tail, facts.mirror, torch_sight(normalise, copied), answer)


def same_bits(explainable: ExplainableModel, model: TrainedModel) -> bool:
    """Whether a film has the very features, bit by bit, that the model's own network gives it.

    Only then can the pass for a heat map give the prediction as well. False where there is no map.
    """
    noise = np.random.default_rng(0).integers(0, 256, (1, *model.pipeline.shape), np.uint8)
    try:
        return np.array_equal(explainable.see(noise).features, model.runtime(noise))
    except HilumError:
        return False


def torch_sight(normalise: InputNormalisation, backbone: Backbone) -> See:
    """Features and maps of prepared films (image, height, width), by torch itself."""

    def one(film: Grey8) -> tuple[Tensor, Tensor]:
        maps = backbone.maps(normalise(_pixels(film)).contiguous(memory_format=torch.channels_last))
        return backbone.from_maps(maps), maps

    def see(stack: Stack8) -> FeaturesAndMaps:
        with torch.no_grad():
            features, maps = zip(*(one(film) for film in stack), strict=True)
        return FeaturesAndMaps(torch.cat(features).numpy(), torch.cat(maps))

    return see


def compiled_sight(compiled: Callable[[], Runtime], plain: See) -> See:
    """The same by a network whose output row is features, then flattened maps.

    It is compiled at the first call; `plain` is called once, for the map's size.
    """

    @cache
    def ready(shape: tuple[int, ...]) -> tuple[Runtime, list[int]]:
        size = plain(np.zeros((1, *shape), np.uint8)).maps.shape[1:]
        return compiled(), list(size)

    def see(stack: Stack8) -> FeaturesAndMaps:
        runtime, size = ready(stack.shape[1:])
        rows = runtime(stack)
        width = rows.shape[1] - int(np.prod(size))
        maps = np.ascontiguousarray(rows[:, width:]).reshape(len(stack), *size)
        return FeaturesAndMaps(np.ascontiguousarray(rows[:, :width]), torch.from_numpy(maps))

    return see


def torch_logits(
    normalise: InputNormalisation, tail: HeadFromMaps, mirror: bool
) -> Callable[[Stack8], Probabilities]:
    """Prepared films (image, height, width) -> logits (image, class), by torch itself."""

    def one(film: Grey8) -> Probabilities:
        output: Tensor = tail.head(tail.backbone(normalise(_pixels(film))).double())
        return output[0].numpy()

    def logits(stack: Stack8) -> Probabilities:
        with torch.inference_mode():
            plain = np.stack([one(film) for film in stack])
            if not mirror:
                return plain
            return (plain + np.stack([one(film) for film in mirrored(stack)])) / 2

    return logits


def _as_module(head: NumpyHead) -> nn.Sequential:
    """The executor's head as a differentiable module: standardise, average, linear with ReLU."""
    layers: list[nn.Module] = [_Standard(head)]
    if head.positions > 1:
        layers.append(PositionMean(head.positions))
    for weight, bias in head.layers:
        layer = uninitialised_linear(weight.shape[1], weight.shape[0]).double()
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class _Standard(nn.Module):
    """(image, feature) -> the same, standardised by the head's statistics."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, head: NumpyHead) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(head.standardise.mean))
        self.register_buffer("deviation", torch.from_numpy(head.standardise.deviation))

    def forward(self, x: Tensor) -> Tensor:
        """(image, feature) -> (image, feature)."""
        return (x - self.mean) / self.deviation


def _pixels(image: Grey8) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None, None]
