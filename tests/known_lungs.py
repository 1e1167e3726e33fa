"""A stand-in for the network: it knows where the lungs are, so that steps can be tested alone."""

from dataclasses import dataclass, field

import numpy as np

from hilum.preprocess.lungs.masks import OK, LungMask, fault
from hilum.types import GreyImage, Mask


def two_boxes(height: int, width: int) -> Mask:
    """Two upright lungs of a fifth of the width each."""
    mask = np.zeros((height, width), bool)
    mask[height // 5 : -height // 5, width // 5 : 2 * width // 5] = True
    mask[height // 5 : -height // 5, 3 * width // 5 : 4 * width // 5] = True
    return mask


@dataclass
class Known:
    """Finds two boxes in every image, or nothing at all."""

    digest: str = "known"
    side: int = 256
    nothing: bool = False
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, pixels: GreyImage) -> LungMask:
        self.asked.append(pixels.shape)
        mask = two_boxes(*pixels.shape) & (not self.nothing)
        return LungMask(mask, fault(mask) or OK, float(mask.mean()), 1.0)
