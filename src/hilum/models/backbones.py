"""Backbones: a network without its classifier, from normalised pixels to pooled features."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hilum.models import networks, weights
from hilum.models.cards import BACKBONES, Card, Pool, known
from hilum.models.weights import Weights
from hilum.types import HilumError, MissingError

__all__ = [
    "BACKBONES", "Backbone", "Card", "Pool", "build", "card", "rebuild", "require_fit",
    "require_pool", "require_size",
]  # fmt: skip
LEAST_SIDE = 32  # pixels: five halvings leave one place (Keras's min_size as well)


def card(name: str) -> Card:
    """The card of a backbone: a row of BACKBONES, one of its aliases, or any other timm name.

    Raises HilumError for a name that nobody knows, with the nearest ones.
    """
    return known(name) or networks.describe(name)


class Backbone(nn.Module):
    """Normalised float (image, 3, height, width) -> features (image, feature)."""

    def __init__(self, row: Card, record: Weights, pool: Pool = "average") -> None:
        super().__init__()
        self.card = row
        self.weights = record
        self.pool = pool
        self.kept = _kept(row, pool)  # fully connected layers that stay
        self.flat = pool == "flatten" or (pool == "last" and bool(row.classifier))
        # timm's networks have no common type
        self.net: Any = networks.create(row, record.variant, keep=self.kept)

    def maps(self, x: Tensor) -> Tensor:
        """(image, 3, height, width) -> the last spatial map (image, channel, row, column).

        Raises HilumError for a network that has none.
        """
        found: Tensor = self.net.forward_features(x)
        if found.ndim != 4:
            raise HilumError(
                f"a spatial map has four axes; {self.card.name!r} gives {found.ndim}; "
                "choose a convolutional backbone."
            )
        # some transformers put the channels last
        return found.permute(0, 3, 1, 2) if self._channels_last() else found

    def forward(self, x: Tensor) -> Tensor:
        """(image, 3, height, width) -> (image, feature)."""
        return self.maps(x).flatten(1) if self.flat else self._pooled(self.net.forward_features(x))

    def from_maps(self, found: Tensor) -> Tensor:
        """(image, channel, row, column), as `maps` gives -> features: the rest of `forward`."""
        if self.flat:
            return found.flatten(1)
        return self._pooled(found.permute(0, 2, 3, 1) if self._channels_last() else found)

    def shape(self, width: int) -> tuple[int, int]:
        """(channel, position) of features (image, width): a flattened map lists channel first."""
        return (self.card.features, width // self.card.features) if self.flat else (width, 1)

    def record(self) -> dict[str, Any]:
        """What `rebuild` needs besides the tensors, ready for JSON."""
        return {
            "name": self.card.name,
            "timm_name": self.card.timm_name,
            "pool": self.pool,
            "variant": self.weights.variant,
            "digest": self.weights.digest,
            "origin": self.weights.origin,
            "licence": self.weights.licence,
        }

    def extra_repr(self) -> str:
        """Name, pooling and variant, for the printed network."""
        return f"{self.card.timm_name!r}, pool={self.pool!r}, variant={self.weights.variant!r}"

    def _pooled(self, found: Tensor) -> Tensor:
        """What the network's own `forward_features` gives -> features (image, feature)."""
        features: Tensor = self.net.forward_head(found, pre_logits=self.kept == 0)
        return features.mean((2, 3)) if features.ndim == 4 else features

    def _channels_last(self) -> bool:
        return str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC")


def build(
    name: str, which: str | Path = "imagenet", seed: int = 0, pool: Pool = "average"
) -> Backbone:
    """A backbone in evaluation mode with weights "imagenet", "random" (from `seed`) or of a file.

    Raises HilumError for an unknown name or a file that does not fit, MissingError where the
    weights are not to be had, or lack the fully connected layers that `pool` keeps.
    """
    row = card(name)
    loaded = weights.load(row, which, seed, _kept(row, pool))
    backbone = _bare(row, loaded.without_state(), pool)
    state = _backbone_part(backbone, loaded)
    backbone.net.load_state_dict(state)
    if backbone.kept:  # the fully connected layers count as well
        shapes = {name: tensor.shape for name, tensor in state.items()}
        backbone.weights = replace(backbone.weights, digest=weights.digest(state, shapes))
    return backbone


def rebuild(record: Mapping[str, Any], state: Mapping[str, Tensor]) -> Backbone:
    """A backbone from its `record()` and `state_dict()`, as a model folder keeps them.

    Raises HilumError where the two do not belong together.
    """
    digest, origin, licence, variant = (
        str(record[key]) for key in ("digest", "origin", "licence", "variant")
    )
    row = card(str(record["name"]))
    backbone = _bare(row, Weights({}, digest, origin, licence, variant), record["pool"])
    try:
        backbone.load_state_dict(dict(state))
    except RuntimeError as error:
        raise HilumError(
            f"the tensors of a saved {record['name']!r} must fit it; got: "
            f"{str(error).splitlines()[-1].strip()}; restore the model folder."
        ) from error
    return backbone


def _bare(row: Card, record: Weights, pool: Pool) -> Backbone:
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        return Backbone(row, record, pool).eval()


def require_size(row: Card, size: tuple[int, int]) -> None:
    """Raise HilumError where a network of our own is not made for `size`, (height, width)."""
    if row.own and size != (row.side, row.side):
        raise HilumError(
            f"{row.name} takes images of {row.side} x {row.side} pixels; got {size[0]} x "
            f"{size[1]}; set prepare.side to 0 or {row.side}."
        )


def require_fit(row: Card, size: tuple[int, int]) -> None:
    """Raise HilumError where nothing of an image of `size`, (height, width), would reach the end.

    The shapes are worked through without arithmetic, on torch's meta device.
    """
    require_size(row, size)
    if min(size) < LEAST_SIDE or not _passes(row, size):
        raise HilumError(
            f"{row.name} cannot take images of {size[0]} x {size[1]} pixels; it was trained on "
            f"{row.side} x {row.side} and needs {LEAST_SIDE} or more; set prepare.side to 0 or "
            f"{row.side}."
        )


def _passes(row: Card, size: tuple[int, int]) -> bool:
    """Whether images of `size` come through the network with a place left."""
    if row.own:
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


def require_pool(row: Card, pool: str) -> None:
    """Raise HilumError where a network has nothing that `pool` could hand over."""
    _kept(row, pool)


def _kept(row: Card, pool: str) -> int:
    """How many fully connected layers `pool` keeps. Raises HilumError where there are none."""
    layers = [f"fc{i}" for i in range(1, len(row.classifier) + 1)]
    known_pools = ["average", "last", *([] if row.own else ["flatten"]), *layers]
    if pool not in known_pools:
        raise HilumError(
            f"a pool of {row.name} is one of {', '.join(known_pools)}; got {pool!r}; choose one."
        )
    return layers.index(pool) + 1 if pool in layers else 0


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
