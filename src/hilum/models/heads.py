"""Heads as data: what follows the backbone, built as a torch module to fit.

What is fitted goes on as a `numpy_head.NumpyHead`, which predicts without torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from hilum.models.cards import Pool
from hilum.models.head_layers import EPSILON, MOMENTUM, PositionMean, dense, uninitialised_linear
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.types import HilumError, nearest_name

__all__ = [
    "HEADS",
    "HeadModule",
    "HeadPlan",
    "NumpyHead",
    "Standardise",
    "activity_penalty",
    "build_head",
    "find_head",
    "penalty",
    "zero_linear",
]


@dataclass(frozen=True, slots=True)
class HeadPlan:
    """What a head does, in the order of its fields; the last linear layer is always there.

    Dropout: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html; BatchNorm:
    Ioffe & Szegedy 2015, arXiv:1502.03167.
    """

    pool: Pool = "average"  # what the backbone is to hand over, as flattened features
    map_dropout: float = 0.0  # on all of that
    average: bool = False  # over the map's positions
    hidden: int = 0  # units of a dense layer with ReLU; 0: none
    norm: bool = False  # BatchNorm after its ReLU
    dropout: float = 0.0  # before the last layer
    l1: float = 0.0  # penalties on the dense layers, see `penalty`
    l2: float = 0.0
    penalise: Literal["outputs", "weights"] = "outputs"  # Keras: activity or kernel regularizer

    @property
    def plain(self) -> bool:
        """Whether it is one linear layer and nothing else, whatever its features."""
        return replace(self, pool="average") == HeadPlan()


HEADS: dict[str, HeadPlan] = {
    "linear": HeadPlan(),
    "mlp": HeadPlan(hidden=128),
    # section 3.1.3: after the last pooling layer Flatten and 1000 neurons; their ReLU is ours
    "elazhari2022": HeadPlan(pool="last", hidden=1000),
    # figures 1 and 2: 64 nodes after the convolutional base; pooling and ReLU are ours
    "wiklund2020": HeadPlan(pool="flatten", hidden=64),
    # section 4.3: dropout on the map, 0.2 for ResNet and Inception-ResNetV2
    "cuijpers2020": HeadPlan("flatten", 0.5, average=True, hidden=128, norm=True, l1=1e-3, l2=1e-3),
    # section 3.3: dropout on the fully connected layer; its rate is ours
    "zhang2022": HeadPlan(dropout=0.5),
    "yamani2021": HeadPlan(),
}


class HeadModule(nn.Module):
    """A head to fit: (image, feature) -> logits (image, class).

    Where its plan penalises outputs, `activations` holds those of the last batch.
    """

    def __init__(self, plan: HeadPlan, layers: nn.Sequential) -> None:
        super().__init__()
        self.plan = plan
        self.layers = layers
        self.activations: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """(image, feature) -> logits (image, class)."""
        seen = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                seen.append(x)
        if (self.plan.l1 or self.plan.l2) and self.plan.penalise == "outputs":
            self.activations = [*seen, x.float().softmax(1)]
        return x

    def __getstate__(self) -> dict[str, object]:
        """Without the last batch: a copy could not hold its graph."""
        return {**self.__dict__, "activations": []}


def find_head(name: str) -> HeadPlan:
    """The row of HEADS called `name`. Raises HilumError with the nearest name for another."""
    if name not in HEADS:
        hint = nearest_name(name, HEADS, "choose one.")
        raise HilumError(f"a head is one of {', '.join(HEADS)}; got {name!r}; {hint}")
    return HEADS[name]


def build_head(plan: HeadPlan, shape: tuple[int, int], classes: int, seed: int = 0) -> HeadModule:
    """The head's module for features of `shape` (channel, position), see `Backbone.shape`.

    Raises HilumError for rates outside [0, 1) and for a BatchNorm without a layer before it.
    """
    _check(plan)
    return HeadModule(plan, nn.Sequential(*_layers(plan, shape, classes, seed)))


def zero_linear(features: int, classes: int) -> nn.Linear:
    """One linear layer, all zeros: every class equally likely before fitting."""
    layer = uninitialised_linear(features, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def penalty(network: nn.Module) -> Tensor:
    """What the heads inside `network` add to the loss of the batch that they saw last."""
    total = torch.zeros(())
    for head in network.modules():
        if isinstance(head, HeadModule):
            plan = head.plan
            if plan.penalise == "outputs":
                total = total + activity_penalty(head.activations, plan.l1, plan.l2)
            else:
                total = total + _kernel_penalty(head)
    return total


def activity_penalty(activations: Sequence[Tensor], l1: float, l2: float) -> Tensor:
    """Sum over layers' outputs (image, unit) of (l1 sum|a| + l2 sum a^2) / images.

    Keras's activity regularizer: on outputs after their activation, divided by the batch size.
    On softmax the L1 part is the constant l1, whose gradient is zero.
    https://keras.io/api/layers/regularizers/
    """
    total = torch.zeros(())
    for values in activations:
        total = total + _norms(values.float(), l1, l2) / len(values)
    return total


def _kernel_penalty(head: HeadModule) -> Tensor:
    total = torch.zeros(())
    for layer in head.layers:
        if isinstance(layer, nn.Linear):
            total = total + _norms(layer.weight, head.plan.l1, head.plan.l2)
    return total


def _norms(values: Tensor, l1: float, l2: float) -> Tensor:
    return l1 * values.abs().sum() + l2 * values.square().sum()


def _layers(plan: HeadPlan, shape: tuple[int, int], classes: int, seed: int) -> list[nn.Module]:
    channels, positions = shape
    width = channels if plan.average else channels * positions
    averaged = plan.average and positions > 1
    layers: list[nn.Module] = []
    if plan.map_dropout:  # in one step with the mean; an empty layer keeps the names of the others
        layers.append(nn.Identity() if averaged else nn.Dropout(plan.map_dropout))
    if averaged:
        layers.append(PositionMean(positions, plan.map_dropout))
    if not plan.hidden:
        return [*layers, nn.Dropout(plan.dropout), zero_linear(width, classes)]
    generator = torch.Generator().manual_seed(seed)
    layers += [dense(width, plan.hidden, generator), nn.ReLU()]
    if plan.norm:
        layers.append(nn.BatchNorm1d(plan.hidden, EPSILON, MOMENTUM))
    return [*layers, nn.Dropout(plan.dropout), dense(plan.hidden, classes, generator)]


def _check(plan: HeadPlan) -> None:
    for name, rate in (("map_dropout", plan.map_dropout), ("dropout", plan.dropout)):
        if not 0 <= rate < 1:
            raise HilumError(f"a head's {name} is at least 0 and below 1; got {rate}; change it.")
    if plan.hidden < 0 or (plan.norm and not plan.hidden):
        raise HilumError(
            f"a head's hidden layer has 0 or more units, and BatchNorm needs one; got "
            f"hidden={plan.hidden}, norm={plan.norm}; change one of them."
        )
