"""A small U-Net: an encoder with ImageNet weights down to stride 16, and a light decoder.

Ronneberger, Fischer & Brox 2015, doi:10.1007/978-3-319-24574-4_28.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hilum import files
from hilum.models import backbones, torchvision_compat, weights
from hilum.models.normalise import InputNormalisation
from hilum.preprocess.lungs import unet_file
from hilum.preprocess.lungs.unet_file import FORMAT, UnetConfig
from hilum.types import HilumError

__all__ = [
    "Flat",
    "UNet",
    "UnetConfig",
    "build_unet",
    "load_unet",
    "save_unet",
    "unet_digest",
    "with_facts",
]
STRIDES = (2, 4, 8, 16)  # pixels of the image per pixel of each map that is used


class UNet(nn.Module):
    """Grey uint8 (image, 1, height, width) -> logits (image, 1, height, width).

    Skip connections as in Ronneberger et al. 2015, arXiv:1505.04597.
    """

    def __init__(self, facts: UnetConfig) -> None:
        super().__init__()
        card = backbones.backbone_card(facts.encoder)
        self.facts = facts
        self.normalise = InputNormalisation(card.normalise)
        self.encoder, channels = _encoder(card.timm_name or card.name)
        self.context = _Context(channels[-1], facts.widths[0])
        self.up = nn.ModuleList()
        skips = channels[-2::-1]
        if len(facts.widths) != len(channels):
            raise HilumError(
                f"a U-Net on {facts.encoder} needs {len(channels)} widths; got {facts.widths}; "
                "give one for each of its maps."
            )
        for before, skip, after in zip(facts.widths[:-1], skips, facts.widths[1:], strict=True):
            self.up.append(_conv(before + skip, after, 3))
        self.out = nn.Conv2d(facts.widths[-1], 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(image, 1, height, width) in 0..255 -> (image, 1, height, width)."""
        maps = self.encoder(self.normalise(pixels))
        x = self.context(maps[-1])
        for up, skip in zip(self.up, maps[-2::-1], strict=True):
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        # the finest map has half the image's side: outlines of lungs need no more
        return F.interpolate(self.out(x), scale_factor=2.0, mode="bilinear")


class Flat(nn.Module):
    """A U-Net as an executor needs it: one row of probabilities per image."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """(image, 1, height, width) in 0..255 -> (image, height * width) in [0, 1]."""
        out: Tensor = torch.sigmoid(self.network(pixels)).flatten(1)
        return out


class _Context(nn.Module):
    """The coarsest map with what lies around each place and what the whole image says.

    After Chen et al. 2017, arXiv:1706.05587, with depthwise filters.
    """

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.narrow = _conv(before, width, 1)
        self.near = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=d, dilation=d, groups=width, bias=False)
            for d in (1, 3)
        )
        self.whole = nn.Conv2d(width, width, 1)
        self.join = _conv(3 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(image, channel, row, column) -> (image, width, row, column)."""
        x = self.narrow(x)
        maps = torch.cat([x, *(near(x) for near in self.near)], 1)
        out: Tensor = self.join(maps) + self.whole(x.mean((2, 3), keepdim=True))
        return out


def build_unet(facts: UnetConfig, which: str | Path = "imagenet", seed: int = 0) -> UNet:
    """A U-Net whose encoder has weights "imagenet", "random" or of a file; the decoder's are drawn.

    Raises HilumError for an encoder without maps at strides 2 to 16, MissingError as `load_weights`
    does.
    """
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        torch.manual_seed(seed)
        network = UNet(facts)
    state = weights.load_weights(backbones.backbone_card(facts.encoder), which, seed).state
    names = network.encoder.state_dict()
    network.encoder.load_state_dict({name: state[name] for name in names})
    return network


def save_unet(network: UNet, path: Path, half: bool = True) -> Path:
    """Write the tensors, as fp16 unless `half` is false, and the facts next to them."""
    state = {name: _stored(tensor, half) for name, tensor in network.state_dict().items()}
    tensors = {name: tensor for name, tensor in state.items() if "num_batches" not in name}
    header = {"format": str(FORMAT), "facts": json.dumps(asdict(network.facts))}
    with files.atomic_write(path) as temporary:
        save_file(tensors, temporary, header)
    return path


def load_unet(path: Path) -> UNet:
    """Read what `save` wrote, in evaluation mode; what was fp16 is float32 again.

    Raises MissingError where there is no such file, HilumError where it is none of ours.
    """
    facts = unet_file.read_unet_config(path)
    try:
        network = UNet(facts)
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        counters = {k: v for k, v in network.state_dict().items() if "num_batches" in k}
        network.load_state_dict({**state, **counters})
    except unet_file.FAULTS as error:
        raise unet_file.unfit(path, error) from error
    return network.eval()


def with_facts(network: UNet, **changes: Any) -> UNet:
    """The same network with other facts, its tensors shared."""
    network.facts = replace(network.facts, **changes)
    return network


def unet_digest(network: UNet) -> str:
    """SHA-256 over the tensors as they are stored, and what decides the mask besides them."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    return unet_file.digest_of(arrays, network.facts)


def _encoder(name: str) -> tuple[nn.Module, list[int]]:
    """A timm network's maps at strides 2, 4, 8 and 16, without the layers behind them."""
    try:
        network = torchvision_compat.timm().create_model(name, pretrained=False, features_only=True)
        maps = len(STRIDES)
        if tuple(network.feature_info.reduction()[:maps]) != STRIDES:
            raise ValueError(f"strides {network.feature_info.reduction()}")
        network = torchvision_compat.timm().create_model(
            name, pretrained=False, features_only=True, out_indices=tuple(range(maps))
        )
    except (AttributeError, RuntimeError, ValueError) as error:
        raise HilumError(
            f"a U-Net needs an encoder with maps at strides 2 to {STRIDES[-1]}; got {name!r} "
            f"({type(error).__name__}); choose tf_efficientnet_lite0, for instance."
        ) from error
    last = str(network.feature_info[maps - 1]["module"])
    if last.startswith("blocks."):  # timm keeps the blocks that come after the last map
        network.blocks = network.blocks[: int(last.split(".")[1]) + 1]
    return network, network.feature_info.channels()


def _conv(before: int, after: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _stored(tensor: Tensor, half: bool) -> Tensor:
    plain = tensor.detach().cpu().contiguous()
    return plain.half() if half and plain.is_floating_point() else plain
