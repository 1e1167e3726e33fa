"""What a backbone needs its pixels to look like, and the layer that normalises prepared pixels."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hilum.types import HilumError

PerChannel: TypeAlias = npt.NDArray[np.float64]  # (3,)


@dataclass(frozen=True, slots=True)
class Normalise:
    """y = (x * scale - mean) / std for x in 0..255; channels in the network's own order.

    The first rows below are those of Keras Applications (https://keras.io/api/applications/) and
    timm, the others those of the publications on the cards that name them.
    """

    scale: float
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False  # the network's first channel is blue


NORMALISE: dict[str, Normalise] = {
    "unit": Normalise(1 / 255),
    "signed": Normalise(1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": Normalise(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Normalise(1.0, (103.939, 116.779, 123.68), bgr=True),
    "clip": Normalise(
        1 / 255, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    ),
    "xrv": Normalise(2048 / 255, (1024.0, 1024.0, 1024.0)),  # -1024 to 1024
    "rad_dino": Normalise(1 / 255, (0.5307, 0.5307, 0.5307), (0.2583, 0.2583, 0.2583)),
    "eva_x": Normalise(
        1 / 255, (0.49185243, 0.49185243, 0.49185243), (0.28509309, 0.28509309, 0.28509309)
    ),
}


def affine(mode: str) -> tuple[PerChannel, PerChannel]:
    """(gain, offset) of `mode` per channel of the network: y = gain * x + offset, x in 0..255.

    Raises HilumError for a name that is not in NORMALISE.
    """
    if mode not in NORMALISE:
        raise HilumError(
            f"a normalisation is one of {', '.join(NORMALISE)}; got {mode!r}; choose one of them."
        )
    row = NORMALISE[mode]
    mean, std = np.asarray(row.mean), np.asarray(row.std)
    return row.scale / std, -mean / std


class InputNormalisation(nn.Module):
    """Grey uint8 (image, 1, height, width) -> normalised float (image, 3, height, width)."""

    gain: Tensor
    offset: Tensor

    def __init__(self, mode: str) -> None:
        super().__init__()
        gain, offset = affine(mode)
        self.mode = mode
        self.register_buffer("gain", channels(gain), persistent=False)
        self.register_buffer("offset", channels(offset), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """(image, 1, height, width) in 0..255 -> (image, 3, height, width)."""
        return pixels.to(self.gain.dtype) * self.gain + self.offset  # one channel becomes three

    def extra_repr(self) -> str:
        """Mode, for the printed network."""
        return f"mode={self.mode!r}"


def normalisation_change(first: str, second: str) -> tuple[PerChannel, PerChannel]:
    """(gain, offset) per channel that turn pixels normalised as `first` into those of `second`.

    Grey films alone: their three channels show the same. Raises HilumError as `affine` does.
    """
    (gain, offset), (wanted, shift) = affine(first), affine(second)
    return wanted / gain, shift - wanted / gain * offset


def channels(values: PerChannel) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1)
