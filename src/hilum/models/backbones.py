"""Backbones by name: built with weights, joined, rebuilt from a model folder, checked to fit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hilum.models import networks, pools, weights
from hilum.models.backbone import Backbone, channels_last, earlier, kept
from hilum.models.cards import BACKBONES, BackboneCard, Pool, known_card
from hilum.models.unfilled import Unfilled
from hilum.models.weights import Weights
from hilum.types import HilumError, MissingError

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneCard",
    "Pool",
    "backbone_card",
    "build_backbone",
    "join_backbones",
    "outline_backbone",
    "rebuild_backbone",
    "require_fit",
    "require_panels",
    "require_pool",
    "require_size",
    "richest_common_pooling",
    "with_panels",
    "with_pooling",
]
LEAST_SIDE = 32  # pixels: five halvings leave one place (Keras's min_size as well)


def backbone_card(name: str) -> BackboneCard:
    """The card of a backbone: a row of BACKBONES, one of its aliases, or any other timm name.

    Raises HilumError for a name that nobody knows, with the nearest ones.
    """
    return known_card(name) or networks.describe(name)


def build_backbone(
    name: str, which: str | Path = "imagenet", seed: int = 0, pool: Pool = "average"
) -> Backbone:
    """A backbone in evaluation mode with weights "imagenet", "random" (from `seed`) or of a file.

    Raises HilumError for an unknown name or a file that does not fit, MissingError where the
    weights are not to be had, or lack the fully connected layers that `pool` keeps.
    """
    row = backbone_card(name)
    loaded = weights.load_weights(row, which, seed, kept(row, pool))
    backbone = _uninitialised(row, loaded.without_state(), pool)
    state = _backbone_part(backbone, loaded)
    backbone.net.load_state_dict(state)
    if backbone.kept:  # the fully connected layers count as well
        shapes = {name: tensor.shape for name, tensor in state.items()}
        backbone.weights = replace(backbone.weights, digest=weights.state_digest(state, shapes))
    return backbone


def join_backbones(first: Backbone, others: Sequence[Backbone], common: str = "") -> Backbone:
    """`first` with other networks next to it, all of them as they are.

    `common` is the normalisation that all of them see, where it is not each one's own. Raises
    HilumError unless every one hands over its averages and is alone.
    """
    for member in (first, *others):
        if not pools.averages(member.pool) or member.beside:
            raise HilumError(
                f"joined networks return their averages; got pool {member.pool!r} of "
                f"{member.card.name!r}; choose pool average, stages or early."
            )
    joined = _uninitialised(first.card, first.weights, first.pool, others, common, first.panels)
    joined.net = first.net
    return joined


def with_pooling(backbone: Backbone, pool: Pool) -> Backbone:
    """The same network, alone, handing over what `pool` says.

    Raises HilumError where the network has nothing of the kind, or lacks the layers for it.
    """
    if kept(backbone.card, pool) != backbone.kept:
        raise HilumError(
            f"pool {pool!r} of {backbone.card.name!r} needs other layers than pool "
            f"{backbone.pool!r} has kept; choose pool {backbone.pool}."
        )
    other = _uninitialised(backbone.card, backbone.weights, pool, panels=backbone.panels)
    if not (other.cut or backbone.cut):
        other.net = backbone.net
        return other
    state = backbone.net.state_dict()
    wanted = other.net.state_dict()
    if not wanted.keys() <= state.keys():
        raise HilumError(
            f"pool {pools.name_of(other.pool)!r} of {backbone.card.name!r} needs deeper layers "
            f"than pool {pools.name_of(backbone.pool)!r} has kept; choose that pool."
        )
    other.net.load_state_dict({name: state[name] for name in wanted})
    return other


def outline_backbone(row: BackboneCard, pool: Pool) -> Backbone:
    """The backbone with shapes only: no memory, no arithmetic."""
    with torch.device("meta"), Unfilled():
        return Backbone(row, Weights({}, "", "", "", ""), pool)


def richest_common_pooling(names: Sequence[str]) -> Pool:
    """Pool "stages" where each of these networks can hand out stages, "average" otherwise."""
    return "stages" if all(map(_has_stages, names)) else "average"


@cache
def _has_stages(name: str) -> bool:
    row = backbone_card(name)
    if row.own:
        return False
    try:
        return bool(earlier(networks.outline(row), name))
    except HilumError:
        return False


def with_panels(backbone: Backbone, panels: int) -> Backbone:
    """The same network, alone, for so many pictures of a film, one below the other.

    Each has averages of its own, so that a head can weigh them apart. Raises HilumError for a
    network without spatial maps that are averaged.
    """
    if panels == backbone.panels:
        return backbone
    require_panels(backbone.card, backbone.pool, panels)
    other = _uninitialised(backbone.card, backbone.weights, backbone.pool, panels=panels)
    other.net = backbone.net
    return other


def rebuild_backbone(record: Mapping[str, Any], state: Mapping[str, Tensor]) -> Backbone:
    """A backbone from its `record()` and `state_dict()`, as a model folder keeps them.

    Raises HilumError where the two do not belong together.
    """
    backbone = _without_tensors(record)
    try:
        backbone.load_state_dict(dict(state))
    except RuntimeError as error:
        raise HilumError(
            f"the tensors of a saved {record['name']!r} must fit it; got: "
            f"{str(error).splitlines()[-1].strip()}; restore the model folder."
        ) from error
    return backbone


def _without_tensors(record: Mapping[str, Any]) -> Backbone:
    """What `record` describes, without its tensors."""
    digest, origin, licence, variant = (
        str(record[key]) for key in ("digest", "origin", "licence", "variant")
    )
    loaded = Weights({}, digest, origin, licence, variant)
    beside = [_without_tensors(other) for other in record.get("beside", ())]
    row, common = backbone_card(str(record["name"])), str(record.get("common", ""))
    panels = int(record.get("panels", 1))
    return _uninitialised(row, loaded, pools.settled(record["pool"]), beside, common, panels)


def _uninitialised(
    row: BackboneCard,
    record: Weights,
    pool: Pool,
    beside: Sequence[Backbone] = (),
    common: str = "",
    panels: int = 1,
) -> Backbone:
    """A backbone whose own tensors hold anything: the caller loads or replaces them."""
    # the caller's random state stays as it was
    with torch.random.fork_rng(devices=[]), Unfilled():
        return Backbone(row, record, pool, beside, common, panels).eval()


def require_size(row: BackboneCard, size: tuple[int, int]) -> None:
    """Raise HilumError where a network of our own is not made for `size`, (height, width)."""
    if row.own and size != (row.side, row.side):
        raise HilumError(
            f"{row.name} takes images of {row.side} x {row.side} pixels; got {size[0]} x "
            f"{size[1]}; set prepare.side to 0 or {row.side}."
        )


def require_fit(row: BackboneCard, size: tuple[int, int]) -> None:
    """Raise HilumError where nothing of an image of `size`, (height, width), would reach the end.

    The shapes are worked through without arithmetic, on torch's meta device.
    """
    require_size(row, size)
    if min(size) < LEAST_SIDE or not _has_output(row, size):
        raise HilumError(
            f"{row.name} cannot take images of {size[0]} x {size[1]} pixels; it was trained on "
            f"{row.side} x {row.side} and needs {LEAST_SIDE} or more; set prepare.side to 0 or "
            f"{row.side}."
        )


@cache
def _has_output(row: BackboneCard, size: tuple[int, int]) -> bool:
    """Whether images of `size` come through the network with a place left; asked once of each."""
    if row.own or size == (row.side, row.side):
        return True
    network: Any = networks.outline(row).eval()
    try:
        with torch.no_grad():
            network(torch.empty(1, 3, *size, device="meta"))
    except NotImplementedError:
        return True  # an operation without a meta kernel says nothing about sizes
    except (RuntimeError, AssertionError):
        return False
    return True


def require_panels(row: BackboneCard, pool: Pool, panels: int) -> None:
    """Raise HilumError where a network's maps are not averaged picture by picture."""
    if not pools.averages(pool) or row.own or channels_last(networks.outline(row)):
        raise HilumError(
            f"{panels} pictures of a film need a network whose maps are averaged; got pool "
            f"{pool!r} of {row.name!r}; choose another network, or pool average, stages or early."
        )


def require_pool(row: BackboneCard, pool: Pool) -> None:
    """Raise HilumError where a network has nothing that `pool` could hand over."""
    kept(row, pool)
    if strides := pools.strides_of(pools.settled(pool)):
        earlier(networks.outline(row), row.name, strides)


def _backbone_part(backbone: Backbone, loaded: Weights) -> dict[str, Tensor]:
    wanted = list(backbone.net.state_dict())
    missing = [name for name in wanted if name not in loaded.state]
    if missing:
        raise MissingError(
            f"pool {backbone.pool!r} keeps fully connected layers of {backbone.card.name}; got "
            f"weights without them ({loaded.origin}, {missing[0]!r} is missing first); pass a "
            "file that holds the classifier too, or choose pool flatten."
        )
    return {name: loaded.state[name] for name in wanted}
