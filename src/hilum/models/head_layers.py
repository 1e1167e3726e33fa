"""The layers of heads: as Keras builds them, which three of the five studies used, and fitted."""

import math
import re
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hilum.models.unfilled import Unfilled
from hilum.types import HilumError

Array: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_] | npt.NDArray[np.uint8]  # 1 where a value is kept
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

EPSILON = 1e-3  # of Keras's BatchNormalization; torch has 1e-5
HALF = 0.5
MOMENTUM = 0.01  # Keras keeps 0.99 of the running statistics; torch's default is 0.1


def glorot(layer: Layer, generator: torch.Generator | None = None) -> Layer:
    """Weights uniform as Glorot & Bengio 2010 (PMLR 9:249-256), bias zero: Keras's defaults.

    https://proceedings.mlr.press/v9/glorot10a.html
    """
    if not layer.weight.is_meta:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def dense(inputs: int, outputs: int, generator: torch.Generator | None = None) -> nn.Linear:
    """(image, input) -> (image, output), initialised as `glorot` does."""
    return glorot(uninitialised_linear(inputs, outputs), generator)


def uninitialised_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer not initialised: the caller's random state is not touched."""
    with Unfilled():  # torch's own skip_init goes by the meta device, which loads the compiler
        return nn.Linear(inputs, outputs)


class PositionMean(nn.Module):
    """Flattened map (image, channel * position) -> mean over its positions (image, channel).

    In training each value of the map is dropped at the rate `dropout` (Srivastava et al. 2014,
    https://jmlr.org/papers/v15/srivastava14a.html), and what is kept is scaled up.
    """

    def __init__(self, positions: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.positions = positions
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(image, channel * position) -> (image, channel)."""
        if self.training and self.dropout:
            if x.device.type == "cpu" and not x.requires_grad:
                return self._mean_of_kept(x)
            x = nn.functional.dropout(x, self.dropout)
        return x.reshape(x.shape[0], -1, self.positions).mean(2)

    def _mean_of_kept(self, x: Tensor) -> Tensor:
        """The same on frozen features, whose mask nobody needs again.

        torch draws its masks on one thread, a word for each value: that was half of a study.
        """
        maps = x.float().reshape(x.shape[0], -1, self.positions).numpy()
        # drawn by torch, whose state stays the only one to seed and keep
        kept, share = _kept(maps.shape, self.dropout, int(torch.randint(2**63 - 1, ())))
        sums = np.einsum("icp,icp->ic", maps, kept.astype(np.float32))
        return torch.from_numpy(sums / np.float32(self.positions * share))

    def extra_repr(self) -> str:
        """Number of positions and rate, for the printed network."""
        return f"positions={self.positions}, dropout={self.dropout}"


def _kept(shape: tuple[int, ...], dropout: float, seed: int) -> tuple[Mask, float]:
    """Which values are kept (shape), and the rate of that; in steps of 1/65,536.

    A random word of 64 bits serves 64 values where half of them are dropped, else four.
    """
    random, count = np.random.Generator(np.random.SFC64(seed)), math.prod(shape)
    if dropout == HALF:
        bits = np.frombuffer(random.bytes(-(-count // 8)), np.uint8)
        return np.unpackbits(bits, count=count).reshape(shape), HALF
    dropped = round(dropout * 2**16)
    words = np.frombuffer(random.bytes(2 * count), np.uint16)
    return words.reshape(shape) >= dropped, 1 - dropped / 2**16


_LETTERS: dict[type[nn.Module], str] = {
    PositionMean: "A",
    nn.BatchNorm1d: "N",
    nn.Linear: "L",
    nn.ReLU: "R",
    nn.Dropout: "",
    nn.Identity: "",
}
_ORDER = re.compile(r"A?N?(LRN?)*L")  # what the executor of heads can do


def as_arrays(module: nn.Module) -> tuple[tuple[tuple[Array, Array], ...], int]:
    """Weights (output, input) and bias (output,) of a fitted head's linear layers, and positions.

    BatchNorm, as in evaluation, is folded into the layer after it. Raises HilumError for a
    module that the executor cannot follow.
    """
    leaves = [leaf for leaf in module.modules() if next(leaf.children(), None) is None]
    _require_order(leaves)
    average = next((leaf for leaf in leaves if isinstance(leaf, PositionMean)), None)
    layers = []
    norm: nn.BatchNorm1d | None = None
    for leaf in leaves:
        if isinstance(leaf, nn.BatchNorm1d):
            norm = leaf
        elif isinstance(leaf, nn.Linear):
            layers.append(_fold_normalisation(norm, leaf))
            norm = None
    return tuple(layers), average.positions if average else 1


def _require_order(leaves: list[nn.Module]) -> None:
    unknown = [leaf for leaf in leaves if type(leaf) not in _LETTERS]
    letters = "".join(_LETTERS.get(type(leaf), "") for leaf in leaves)
    if unknown or not _ORDER.fullmatch(letters):
        names = ", ".join(type(leaf).__name__ for leaf in leaves)
        raise HilumError(
            "a head is an average, then linear layers, each but the last followed by ReLU and "
            f"perhaps BatchNorm1d; got {names}; build it with heads.build_head."
        )


def _fold_normalisation(norm: nn.BatchNorm1d | None, layer: nn.Linear) -> tuple[Array, Array]:
    """layer(norm(x)) as one layer: W (s x + t) + b = (W s) x + (W t + b).

    In evaluation BatchNorm is affine: Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    weight, bias = _array(layer.weight), _array(layer.bias)
    if norm is None:
        return weight, bias
    assert norm.running_mean is not None  # noqa: S101 - a head's BatchNorm keeps statistics
    assert norm.running_var is not None  # noqa: S101
    scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    shift = _array(norm.bias) - scale * _array(norm.running_mean)
    return weight * scale, weight @ shift + bias


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().numpy().copy()
