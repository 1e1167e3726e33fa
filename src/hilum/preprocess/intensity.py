"""Steps that change grey levels and leave the geometry alone."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from hilum.preprocess import parameters
from hilum.preprocess.step import Movement, Size, as_uint8
from hilum.types import GreyImage, HilumError

# raise when what CLAHE makes of a film changes: stored pixels and models then no longer match
CLAHE_VERSION = 2


@dataclass(frozen=True, slots=True)
class _Intensity:
    """What every grey-level step shares: the size stays as it was."""

    moves_pixels: ClassVar[Movement] = "never"

    def size(self, before: Size | None) -> Size | None:
        """As before."""
        return before

    def side_needed(self, after: int | None) -> int | None:
        """As later steps need."""
        return after


@dataclass(frozen=True, slots=True)
class PercentileWindow(_Intensity):
    """Stretch the grey levels between two percentiles over the whole range."""

    low: float = 0.5
    high: float = 99.5
    name: ClassVar[str] = "percentile_window"

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise HilumError(
                f"percentile_window needs 0 <= low < high <= 100; got low {self.low} and high "
                f"{self.high}; try 0.5 and 99.5."
            )

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> stretched; a constant image is returned as it is."""
        low, high = np.percentile(pixels, [self.low, self.high])
        if high <= low:
            return pixels
        top = 255 if pixels.dtype == np.uint8 else 1
        out = (pixels.astype(np.float32) - low) * (top / (high - low))
        out = np.clip(out, 0, top)
        return np.rint(out).astype(np.uint8) if pixels.dtype == np.uint8 else out


@dataclass(frozen=True, slots=True)
class Clahe(_Intensity):
    """Contrast-limited adaptive histogram equalisation of the 8-bit image.

    Zuiderveld 1994, doi:10.1016/B978-0-12-336156-1.50061-6.
    """

    clip: float = parameters.between(2.0, 0, 1000)
    tiles: int = parameters.between(8, 1, 128)
    name: ClassVar[str] = "clahe"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> equalised; a film of more bits as the same film of 8 bits is."""
        equaliser = cv2.createCLAHE(self.clip, (self.tiles, self.tiles))
        # of 65,536 bins each may hold less than one pixel of a tile: there no clip limits anything
        even = equaliser.apply(as_uint8(pixels))
        return even if pixels.dtype == np.uint8 else even.astype(np.float32) / 255


@dataclass(frozen=True, slots=True)
class Equalise(_Intensity):
    """Global histogram equalisation of the 8-bit image.

    Hummel 1977, doi:10.1016/S0146-664X(77)80011-7.
    """

    name: ClassVar[str] = "equalise"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> uint8."""
        return cv2.equalizeHist(as_uint8(pixels))
