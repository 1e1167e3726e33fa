"""What a network is made of, stage by stage: shapes and parameters, for a drawing of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from hilum.models.backbones import Backbone
from hilum.models.freezing import Action
from hilum.models.numpy_head import NumpyHead

Place: TypeAlias = Literal["input", "backbone", "beside", "head"]


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One stage of a network, or one layer of its head."""

    name: str
    where: Place
    channels: int
    rows: int  # of the map that it hands on; 1 for a vector
    columns: int
    layers: int  # convolutions and fully connected layers in it
    parameters: int
    trained: int  # of the parameters


def summarise_layers(
    backbone: Backbone, head: NumpyHead, shape: tuple[int, int], actions: Mapping[str, Action]
) -> list[LayerSummary]:
    """Input, stages and head for films of `shape` (height, width), found by one film of zeros.

    `actions` says of the backbone's parameters, by their names in it, which were trained; those
    that it does not name were not.
    """
    network: Any = backbone.net
    modules = dict(network.named_modules())
    dense = ((name,) for name in backbone.card.classifier[: backbone.kept])
    stages = (*backbone.reached.stages, *dense)
    ends = {stage: modules[_last_module(network, stage)] for stage in stages}
    seen = _shapes(backbone, ends, shape)
    rows = [LayerSummary("film", "input", 1, *shape, 0, 0, 0)]
    for stage in stages:
        parameters = {
            f"net.{name}": value.numel()
            for name, value in network.named_parameters()
            if _belongs_to(name, stage)
        }
        trained = sum(count for name, count in parameters.items() if actions.get(name) == "train")
        layers = sum(
            isinstance(module, (nn.Conv2d, nn.Linear)) and _belongs_to(name, stage)
            for name, module in modules.items()
        )
        rows.append(
            LayerSummary(
                _stage_name(stage),
                "backbone",
                *seen[stage],
                layers,
                sum(parameters.values()),
                trained,
            )
        )
    return [*rows, *(_whole_network(other.backbone) for other in backbone.neighbours), *_head(head)]


def _whole_network(backbone: Backbone) -> LayerSummary:
    """An auxiliary network, as one box; it is never trained."""
    layers = sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in backbone.modules())
    count = sum(value.numel() for value in backbone.parameters())
    return LayerSummary(backbone.card.name, "beside", backbone.channels, 1, 1, layers, count, 0)


def _belongs_to(name: str, stage: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in stage)


def _last_module(network: nn.Module, stage: tuple[str, ...]) -> str:
    """The module of a stage that comes last in the network's own order."""
    return [name for name, _ in network.named_modules() if name in stage][-1]


def _shapes(
    backbone: Backbone, ends: Mapping[tuple[str, ...], nn.Module], shape: tuple[int, int]
) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """What each stage hands on: (channels, rows, columns)."""
    network: Any = backbone.net
    seen: dict[tuple[str, ...], tuple[int, int, int]] = {}

    def note(stage: tuple[str, ...], out: Tensor) -> None:
        dims = tuple(out.shape[1:])
        seen[stage] = (dims[0], dims[1], dims[2]) if len(dims) == 3 else (dims[-1], 1, 1)

    hooks = [
        module.register_forward_hook(lambda _, __, out, stage=stage: note(stage, out))
        for stage, module in ends.items()
    ]
    with torch.inference_mode():
        film = torch.zeros(1, 3, *shape, device=next(network.parameters()).device)
        if backbone.cut:  # it has no end of its own
            network.eval().forward_intermediates(film, list(backbone.earlier), stop_early=True)
        else:
            output = network.eval().forward_features(film)
            network.forward_head(output, pre_logits=not backbone.kept)
    for hook in hooks:
        hook.remove()
    return seen


def _stage_name(stage: tuple[str, ...]) -> str:
    return stage[0] if len(stage) == 1 else f"{stage[0]} to {stage[-1]}"


def _head(head: NumpyHead) -> list[LayerSummary]:
    """The fitted layers, all of them trained."""
    rows = []
    for i, (weights, bias) in enumerate(head.layers):
        last = i == len(head.layers) - 1
        count = weights.size + bias.size
        name = "classes" if last else f"dense {i + 1}"
        rows.append(LayerSummary(name, "head", weights.shape[0], 1, 1, 1, count, count))
    return rows
