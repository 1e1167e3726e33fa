"""Heads on pooled features: torch modules to fit, and a plain NumPy executor to predict with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hilum.types import Floats, HilumError

Array: TypeAlias = npt.NDArray[np.float64]
Layer: TypeAlias = tuple[Array, Array]  # weights (output, input), bias (output,)

SMALLEST_SPREAD = 1e-6  # a feature that hardly varies in training is left at its own scale


@dataclass(frozen=True, slots=True)
class Standardise:
    """Training mean and deviation (feature,): x -> (x - mean) / deviation."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, features: Floats) -> "Standardise":
        """From the training part alone: (..., feature), all leading axes taken together."""
        flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
        spread = flat.std(axis=0)
        return cls(flat.mean(axis=0), np.where(spread > SMALLEST_SPREAD, spread, 1.0))

    def __call__(self, features: Floats) -> Floats:
        """(..., feature) -> the same shape, standardised."""
        return ((features - self.mean) / self.deviation).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Head:
    """Standardise, then linear layers with ReLU between them; float64 throughout."""

    standardise: Standardise
    layers: tuple[Layer, ...]

    def logits(self, features: Floats) -> Array:
        """(image, feature) -> (image, class), each image by itself: the same bits in any company.

        Raises HilumError for features of another width.
        """
        wanted = len(self.standardise.mean)
        if features.ndim != 2 or features.shape[1] != wanted:
            raise HilumError(
                f"this head takes features (image, {wanted}); got shape {features.shape}; "
                "use the backbone that it was trained on."
            )
        out = np.empty((len(features), len(self.layers[-1][1])))
        row = np.empty(wanted)  # one buffer: the product's rounding may depend on alignment
        for i, values in enumerate(features):
            row[:] = values
            out[i] = self._one(row)
        return out

    def arrays(self) -> dict[str, Array]:
        """Every array by name, for safetensors."""
        found = {"mean": self.standardise.mean, "deviation": self.standardise.deviation}
        for i, (weight, bias) in enumerate(self.layers):
            found |= {f"{i}.weight": weight, f"{i}.bias": bias}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.floating]]) -> "Head":
        """The inverse of `arrays`. Raises HilumError where one is missing or does not fit."""
        count = sum(name.endswith(".weight") for name in arrays)
        names = ["mean", "deviation"]
        names += [f"{i}.{part}" for i in range(count) for part in ("weight", "bias")]
        missing = sorted(set(names) - set(arrays))
        if missing or count == 0:
            raise HilumError(
                f"a head wants mean, deviation and 0.weight, 0.bias, ...; got {sorted(arrays)}, "
                f"without {missing}; restore the model folder."
            )
        plain = {name: np.ascontiguousarray(arrays[name], np.float64) for name in names}
        layers = tuple((plain[f"{i}.weight"], plain[f"{i}.bias"]) for i in range(count))
        head = cls(Standardise(plain["mean"], plain["deviation"]), layers)
        head.check()
        return head

    @classmethod
    def from_module(cls, standardise: Standardise, module: nn.Module) -> "Head":
        """From a fitted `linear` or `mlp` module that took standardised features."""
        layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        return cls(standardise, tuple((_array(it.weight), _array(it.bias)) for it in layers))

    def check(self) -> None:
        """Raise HilumError unless every layer takes what the one before it gives."""
        width = len(self.standardise.mean)
        for i, (weight, bias) in enumerate(self.layers):
            if weight.shape != (len(bias), width):
                raise HilumError(
                    f"layer {i} of a head must have weights ({len(bias)}, {width}); "
                    f"got {weight.shape}; restore the model folder."
                )
            width = len(bias)

    def _one(self, row: Array) -> Array:
        x = (row - self.standardise.mean) / self.standardise.deviation
        for weight, bias in self.layers[:-1]:
            x = np.maximum(weight @ x + bias, 0.0)
        weight, bias = self.layers[-1]
        return weight @ x + bias


def linear(features: int, classes: int) -> nn.Module:
    """One linear layer, all zeros: every class equally likely before fitting."""
    layer = _blank(features, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(features: int, hidden: int, classes: int, dropout: float, seed: int) -> nn.Module:
    """(image, feature) -> hidden layer, ReLU, dropout -> (image, class).

    Initialised as Glorot & Bengio 2010 (Keras's default).
    """
    generator = torch.Generator().manual_seed(seed)
    layers = [_glorot(features, hidden, generator), _glorot(hidden, classes, generator)]
    return nn.Sequential(layers[0], nn.ReLU(), nn.Dropout(dropout), layers[1])


def _glorot(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = _blank(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _blank(inputs: int, outputs: int) -> nn.Linear:
    """Not initialised: the caller's random state is not touched."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    return layer


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().numpy().copy()
