"""The contract that every preparation step keeps, and the small conversions that steps share."""

from typing import ClassVar, Literal, Protocol, TypeAlias, cast

import cv2
import numpy as np

from hilum.types import Grey8, GreyImage

Size: TypeAlias = tuple[int, int]  # (height, width)
# whether a place of the decoded image has the same coordinates (row, column) after a step; if not,
# whether the image's size decides where it lies then, or what the image shows
Movement: TypeAlias = Literal["never", "by size", "by content"]


class Step(Protocol):
    """One deterministic operation on a grey image (height, width), uint8 or float32 in [0, 1]."""

    name: ClassVar[str]
    moves_pixels: ClassVar[Movement]

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> (height, width); the kind of number (uint8 or float32) is kept."""

    def size(self, before: Size | None) -> Size | None:
        """(height, width) after this step, None while it still depends on the image."""

    def side_needed(self, after: int | None) -> int | None:
        """Shorter side this step must be given so that later ones find `after`; None: all of it."""


def level(pixels: GreyImage, grey: int) -> int | float:
    """The grey level 0-255 in the kind of number of an image (height, width)."""
    return grey if pixels.dtype == np.uint8 else grey / 255


def as_uint8(pixels: GreyImage) -> Grey8:
    """(height, width) in [0, 1] or uint8 -> uint8, rounded to the nearest level, never wrapped."""
    if pixels.dtype == np.uint8:
        return cast(Grey8, pixels)
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def resized(pixels: GreyImage, size: Size) -> GreyImage:
    """(height, width) -> `size`; area averaging downwards, bicubic upwards, range kept."""
    if pixels.shape == size:
        return pixels
    height, width = size
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    out = cv2.resize(pixels, (width, height), interpolation=how)
    # bicubic overshoots at edges; uint8 saturates by itself
    return out if out.dtype == np.uint8 else np.clip(out, 0, 1)
