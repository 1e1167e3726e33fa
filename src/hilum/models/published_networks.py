"""Networks that two of the studies built themselves; they learn from random weights alone.

Each splits its computation as timm's networks do, into `forward_features` and `forward_head`.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from hilum.models.head_layers import EPSILON, MOMENTUM, dense, glorot
from hilum.types import HilumError


class ElAzhariCnn(nn.Module):
    """The separable CNN of study 000: (image, 3, 200, 200) -> (image, 1000).

    El Azhari 2022, table 1. Its row 13 can have no such parameter count and is left out, row 6
    gives 46 x 46, and the counts of rows 19 and 20 change places: 77,253 parameters by Keras's
    counting with the two-class output. The activations (ReLU) and the dropout rate are ours.
    """

    side = 200

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = _named_sequence(
            {
                "conv1": _separable(3, 16),
                "pool1": nn.MaxPool2d(2),
                "conv2": _separable(16, 16),
                "pool2": nn.MaxPool2d(2),
                "norm2": _norm(16),
                "conv3": _separable(16, 32),
                "pool3": nn.MaxPool2d(2),
                "norm3": _norm(32),
                "conv4": _separable(32, 32),
                "pool4": nn.MaxPool2d(2),
                "norm4": _norm(32),
                "dropout": nn.Dropout(dropout),
                "conv5": _separable(32, 64),
            }
        )
        self.top = _named_sequence(
            {
                "pool5": nn.MaxPool2d(2),
                "conv6": _separable(64, 64),
                "pool6": nn.MaxPool2d(2),
                "norm6": _norm(64),
                "flatten": nn.Flatten(),
                "dense": dense(64, 1000),
                "relu": nn.ReLU(),
            }
        )

    def forward_features(self, x: Tensor) -> Tensor:
        """(image, 3, 200, 200) -> (image, 64, 8, 8), the last map with spatial resolution.

        The last convolution's own map has 2 x 2 places. Raises HilumError for another size.
        """
        _require_side(x, self.side)
        spatial_map: Tensor = self.features(x)
        return spatial_map

    def forward_head(self, x: Tensor, pre_logits: bool = True) -> Tensor:
        """(image, 64, 8, 8) -> (image, 1000)."""
        activations: Tensor = self.top(x)
        return activations


class WiklundFc(nn.Module):
    """The fully connected network of study 001: (image, 3, side, side) -> (image, 64).

    Wirgård Wiklund et al. 2020, figure 1. The paper gives neither image size nor activation.
    """

    def __init__(self, side: int = 224) -> None:
        super().__init__()
        self.side = side
        self.dense = dense(3 * side * side, 64)

    def forward_features(self, x: Tensor) -> Tensor:
        """(image, 3, side, side) -> (image, pixel); raises HilumError for another size."""
        _require_side(x, self.side)
        return x.flatten(1)

    def forward_head(self, x: Tensor, pre_logits: bool = True) -> Tensor:
        """(image, pixel) -> (image, 64)."""
        activations: Tensor = self.dense(x)
        return activations.relu()


class WiklundCnn(nn.Module):
    """The convolutional network of study 001: (image, 3, side, side) -> (image, 64).

    Wirgård Wiklund et al. 2020, section 4.1: a convolution before the same fully connected
    network. Its 32 filters of 3 x 3 are ours, and as no pooling is named, there is none.
    """

    def __init__(self, side: int = 224) -> None:
        super().__init__()
        self.side = side
        self.conv = glorot(nn.Conv2d(3, 32, 3))
        self.dense = dense(32 * (side - 2) ** 2, 64)

    def forward_features(self, x: Tensor) -> Tensor:
        """(image, 3, side, side) -> (image, 32, side - 2, side - 2); HilumError for another."""
        _require_side(x, self.side)
        spatial_map: Tensor = self.conv(x)
        return spatial_map.relu()

    def forward_head(self, x: Tensor, pre_logits: bool = True) -> Tensor:
        """(image, 32, side - 2, side - 2) -> (image, 64)."""
        activations: Tensor = self.dense(x.flatten(1))
        return activations.relu()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "elazhari_cnn": ElAzhariCnn,
    "wiklund_fc": WiklundFc,
    "wiklund_cnn": WiklundCnn,
}


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    """Keras's SeparableConv2D: 3 x 3 per channel, then 1 x 1 with bias, no padding; then ReLU.

    https://keras.io/api/layers/convolution_layers/separable_convolution2d/
    """
    return _named_sequence(
        {
            "depthwise": glorot(nn.Conv2d(inputs, inputs, 3, groups=inputs, bias=False)),
            "pointwise": glorot(nn.Conv2d(inputs, outputs, 1)),
            "relu": nn.ReLU(),
        }
    )


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, EPSILON, MOMENTUM)


def _require_side(x: Tensor, side: int) -> None:
    if tuple(x.shape[-2:]) != (side, side):
        raise HilumError(
            f"this network takes images of {side} x {side} pixels; got {x.shape[-2]} x "
            f"{x.shape[-1]}; prepare them at that size (prepare.side = 0 does)."
        )


def _named_sequence(layers: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
