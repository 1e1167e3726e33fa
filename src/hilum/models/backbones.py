"""Backbones: a network without its classifier, from normalised pixels to pooled features."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from hilum.models import networks, weights
from hilum.models.cards import BACKBONES, Card, known
from hilum.models.weights import Weights
from hilum.types import HilumError

__all__ = ["BACKBONES", "Backbone", "Card", "Pool", "build", "card", "rebuild"]

Pool: TypeAlias = Literal["average", "flatten"]


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
        self.net: Any = networks.create(row, record.variant)  # timm's networks have no common type

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
        if self.pool == "flatten":
            return self.maps(x).flatten(1)
        features: Tensor = self.net.forward_head(self.net.forward_features(x), pre_logits=True)
        return features.mean((2, 3)) if features.ndim == 4 else features

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

    def _channels_last(self) -> bool:
        return str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC")


def build(
    name: str, which: str | Path = "imagenet", seed: int = 0, pool: Pool = "average"
) -> Backbone:
    """A backbone in evaluation mode with weights "imagenet", "random" (from `seed`) or of a file.

    Raises HilumError for an unknown name or a file that does not fit, MissingError where the
    weights are not to be had.
    """
    row = card(name)
    loaded = weights.load(row, which, seed)
    backbone = _bare(row, loaded.without_state(), pool)
    backbone.net.load_state_dict(_backbone_part(backbone, loaded.state))
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


def _backbone_part(backbone: Backbone, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: state[name] for name in backbone.net.state_dict()}
