"""The lungs of a radiograph: a U-Net's file of weights behind its own preparation, compiled.

The network: Ronneberger et al. 2015, arXiv:1505.04597.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum import files
from hilum.models.runtime import compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.models.runtime.compiling import SavedNetwork
from hilum.preprocess import Pipeline, from_list
from hilum.preprocess.lungs import unet_file
from hilum.preprocess.lungs.masks import LEAST_SIDE, LungMask, assess_mask
from hilum.preprocess.lungs.unet_file import UnetConfig
from hilum.types import Floats, Grey8, GreyImage, Stack8, as_path

if TYPE_CHECKING:  # lungs are found without torch where the network's conversion is found
    from torch import nn

    from hilum.preprocess.lungs.unet import UNet

WEIGHTS = "lungs.safetensors"
EVERYWHERE = Target("fp32", "cpu")  # the mask does not depend on the processor


@dataclass(frozen=True, slots=True)
class LungSegmenter:
    """Finds the lungs of a radiograph; see `masks.FindsLungs`."""

    facts: UnetConfig
    pipeline: Pipeline
    runtime: Runtime = field(repr=False)
    digest: str

    @property
    def side(self) -> int:
        """Pixels of the network's input."""
        return self.facts.side

    def __call__(self, pixels: GreyImage) -> LungMask:
        """(height, width) of any size -> the lungs at that size, judged."""
        height, width = pixels.shape
        if min(height, width) < LEAST_SIDE:
            reason = f"image of {width} x {height} pixels, less than {LEAST_SIDE}"
            return LungMask(np.zeros((height, width), bool), reason, 0.0, 0.0)
        small = self.pipeline(pixels)
        return assess_mask(self._p(small), self.facts.threshold, (height, width), small)

    def quick_masks(self, stack: Stack8) -> list[LungMask]:
        """(image, height, width) -> the lungs of each after one pass, without its mirror image.

        Three times as fast as one by one, for those who ask after hundreds.
        """
        small = np.stack([self.pipeline(image) for image in stack])
        probabilities = self.runtime(small).reshape(small.shape)
        size = stack.shape[1], stack.shape[2]
        return [
            assess_mask(p, self.facts.threshold, size, seen)
            for p, seen in zip(probabilities, small, strict=True)
        ]

    def probabilities(self, pixels: GreyImage) -> Floats:
        """(height, width) of any size -> (side, side), in [0, 1]."""
        return self._p(self.pipeline(pixels))

    def _p(self, small: Grey8) -> Floats:
        views = [small, small[:, ::-1]] if self.facts.mirror else [small]
        p = self.runtime(np.stack(views)).reshape(-1, *small.shape)
        return np.asarray((p[0] + p[1, :, ::-1]) / 2 if self.facts.mirror else p[0])


def preparation(side: int) -> Pipeline:
    """What the network sees: the film stretched to a square, its grey levels spread out."""
    return from_list([{"step": "resize", "side": side}, {"step": "percentile_window"}])


def compiled(network: "UNet") -> LungSegmenter:
    """A network in memory made ready on this machine."""
    from hilum.preprocess.lungs import unet

    facts = network.facts
    engine = compiling.compile_network(unet.Flat(network), (facts.side, facts.side), EVERYWHERE)
    return LungSegmenter(facts, preparation(facts.side), engine, unet.unet_digest(network))


def stored(path: Path) -> LungSegmenter:
    """The network of a file made ready on this machine. Raises as `load_unet` does."""
    facts = unet_file.read_unet_config(path)
    engine = compiling.compile_saved(*saved_network(path), EVERYWHERE)
    return LungSegmenter(facts, preparation(facts.side), engine, unet_file.unet_file_digest(path))


def saved_network(path: Path) -> tuple[SavedNetwork, tuple[int, int]]:
    """The network of a file, not yet built, and the (height, width) that it sees."""
    side = unet_file.read_unet_config(path).side
    return SavedNetwork((files.sha256(path),), partial(_built, path)), (side, side)


def embedded() -> AbstractContextManager[Path]:
    """The file of the network that comes with hilum."""
    return resources.as_file(resources.files("hilum.preprocess.lungs") / WEIGHTS)


def _built(path: Path) -> "nn.Module":
    from hilum.preprocess.lungs import unet

    return unet.Flat(unet.load_unet(path))


def load_segmenter(network: str = "") -> LungSegmenter:
    """The finder that comes with hilum, or that of a user's own file of weights.

    Raises as `load_unet` does.
    """
    return _cached(network)


@cache
def _cached(network: str) -> LungSegmenter:
    if network:
        return stored(as_path(network))
    with embedded() as path:
        return stored(path)
