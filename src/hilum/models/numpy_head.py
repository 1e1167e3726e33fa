"""The plain NumPy executor of fitted heads: one image gives the same bits in any company."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.types import Floats, HilumError

if TYPE_CHECKING:  # a prediction needs no torch
    from torch import nn

Array: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
Layer: TypeAlias = tuple[Array, Array]  # weights (output, input), bias (output,)

SOME = 3  # missing names that a sentence quotes
COLUMNS = 4096  # features that are measured at a time
SMALLEST_SPREAD = 1e-6  # a feature that hardly varies in training is left at its own scale


@dataclass(frozen=True, slots=True)
class Standardise:
    """Training mean and deviation (feature,): x -> (x - mean) / deviation."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, features: Floats, rows: Rows | None = None) -> "Standardise":
        """From the training part alone: (..., image, feature), of these rows (image,) if given."""
        width = features.shape[-1]
        mean, spread = np.empty(width), np.empty(width)
        for start in range(0, width, COLUMNS):  # flattened maps fill gigabytes
            some = slice(start, min(start + COLUMNS, width))
            values = features[..., some] if rows is None else features[..., rows, some]
            flat = values.reshape(-1, some.stop - start).astype(np.float64)
            mean[some], spread[some] = flat.mean(axis=0), flat.std(axis=0)
        return cls(mean, np.where(spread > SMALLEST_SPREAD, spread, 1.0))

    @classmethod
    def none(cls, width: int) -> "Standardise":
        """Features (..., feature) of this width as they are, for the published heads."""
        return cls(np.zeros(width), np.ones(width))

    def __call__(self, features: Floats, out: Floats | None = None) -> Floats:
        """(..., feature) -> the same shape, standardised; in `out`, if given, contiguous float32.

        `out` may be `features`.
        """
        out = np.empty(features.shape, np.float32) if out is None else out
        width = len(self.mean)
        for row, values in zip(out.reshape(-1, width), features.reshape(-1, width), strict=True):
            row[:] = (values - self.mean) / self.deviation
        return out


@dataclass(frozen=True, slots=True)
class NumpyHead:
    """Standardise, average over a map's positions, linear layers with ReLU between; float64."""

    standardise: Standardise
    layers: tuple[Layer, ...]
    positions: int = 1  # of the flattened map (channel * position); 1: pooled features

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
        """Every array by name, for safetensors.

        https://huggingface.co/docs/safetensors
        """
        arrays = {"mean": self.standardise.mean, "deviation": self.standardise.deviation}
        if self.positions > 1:
            arrays["positions"] = np.array([self.positions], np.float64)
        for i, (weight, bias) in enumerate(self.layers):
            arrays |= {f"{i}.weight": weight, f"{i}.bias": bias}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.floating]]) -> "NumpyHead":
        """The inverse of `arrays`. Raises HilumError where one is missing or does not fit."""
        count = sum(name.endswith(".weight") for name in arrays)
        names = ["mean", "deviation"]
        names += [f"{i}.{part}" for i in range(count) for part in ("weight", "bias")]
        missing = sorted(set(names) - set(arrays))
        if missing or count == 0:
            raise HilumError(
                f"a head needs mean, deviation and 0.weight, 0.bias, ...; got {len(arrays)} "
                f"arrays, without {missing[:SOME] or 'a layer'}; restore the model folder."
            )
        plain = {name: np.ascontiguousarray(arrays[name], np.float64) for name in names}
        layers = tuple((plain[f"{i}.weight"], plain[f"{i}.bias"]) for i in range(count))
        positions = int(np.asarray(arrays.get("positions", 1)).item())
        head = cls(Standardise(plain["mean"], plain["deviation"]), layers, positions)
        head.check()
        return head

    @classmethod
    def from_module(cls, standardise: Standardise, module: "nn.Module") -> "NumpyHead":
        """From a fitted module of `heads` that took standardised features.

        BatchNorm, as in evaluation, is folded into the layer after it. Raises HilumError for a
        module that the executor cannot follow.
        """
        from hilum.models import head_layers

        head = cls(standardise, *head_layers.as_arrays(module))
        head.check()
        return head

    def check(self) -> None:
        """Raise HilumError unless every layer takes what the one before it gives."""
        width, rest = divmod(len(self.standardise.mean), max(self.positions, 1))
        if rest or self.positions < 1:
            raise HilumError(
                f"a head that averages over positions takes a multiple of their number; got "
                f"{len(self.standardise.mean)} features and {self.positions} positions; "
                "restore the model folder."
            )
        for i, (weight, bias) in enumerate(self.layers):
            if weight.shape != (len(bias), width):
                raise HilumError(
                    f"layer {i} of a head must have weights ({len(bias)}, {width}); "
                    f"got {weight.shape}; restore the model folder."
                )
            width = len(bias)

    def _one(self, row: Array) -> Array:
        x = (row - self.standardise.mean) / self.standardise.deviation
        if self.positions > 1:
            x = x.reshape(-1, self.positions).mean(axis=1)
        for weight, bias in self.layers[:-1]:
            x = np.maximum(weight @ x + bias, 0.0)
        weight, bias = self.layers[-1]
        return weight @ x + bias
