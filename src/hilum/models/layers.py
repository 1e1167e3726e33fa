"""Layers as Keras builds them, which three of the five studies used, and the mean over a map."""

from typing import TypeVar

import torch
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

EPSILON = 1e-3  # of Keras's BatchNormalization; torch has 1e-5
MOMENTUM = 0.01  # Keras keeps 0.99 of the running statistics; torch's default is 0.1


def glorot(layer: Layer, generator: torch.Generator | None = None) -> Layer:
    """Weights uniform as Glorot & Bengio 2010 (PMLR 9:249-256), bias zero: Keras's defaults."""
    if not layer.weight.is_meta:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def dense(inputs: int, outputs: int, generator: torch.Generator | None = None) -> nn.Linear:
    """(image, input) -> (image, output), initialised as `glorot` does."""
    return glorot(blank(inputs, outputs), generator)


def blank(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer not initialised: the caller's random state is not touched."""
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, inputs, outputs, device=torch.get_default_device()
    )
    return layer


class Average(nn.Module):
    """Flattened map (image, channel * position) -> mean over its positions (image, channel)."""

    def __init__(self, positions: int) -> None:
        super().__init__()
        self.positions = positions

    def forward(self, x: Tensor) -> Tensor:
        """(image, channel * position) -> (image, channel)."""
        return x.reshape(x.shape[0], -1, self.positions).mean(2)

    def extra_repr(self) -> str:
        """Number of positions, for the printed network."""
        return f"positions={self.positions}"
