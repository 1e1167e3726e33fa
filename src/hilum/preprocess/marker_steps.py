"""Steps for burnt-in marks: show them, fill them in, cut borders off, put another film's on."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, cast

import cv2
import numpy as np

from hilum import images
from hilum.preprocess import markers, parameters
from hilum.preprocess.markers import READS, Fill, Method
from hilum.preprocess.step import Movement, Size, as_uint8, level
from hilum.preprocess.text_network import require_text_network
from hilum.types import Grey8, GreyImage, MissingError

DRAWN = 512  # pixels of the film that carries the drawn mark


@dataclass(frozen=True, slots=True)
class _Marked:
    """What steps share that look at the whole film and leave its size alone."""

    method: Method = "shape"
    moves_pixels: ClassVar[Movement] = "never"

    def __post_init__(self) -> None:
        """Raises MissingError where the method's network is not installed."""
        if self.method in READS:
            require_text_network()

    def size(self, before: Size | None) -> Size | None:
        """As before."""
        return before

    def side_needed(self, after: int | None) -> int | None:
        """Everything: small print is gone on a small film."""
        return None


@dataclass(frozen=True, slots=True)
class FindMarkers(_Marked):
    """Burnt-in letters, arrows and stickers as a picture: white where one is, else black."""

    name: ClassVar[str] = "find_markers"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> the same size, two grey levels."""
        out = np.zeros_like(pixels)
        out[markers.find_markers(as_uint8(pixels), self.method).mask] = level(pixels, 255)
        return out


@dataclass(frozen=True, slots=True)
class RemoveMarkers(_Marked):
    """Burnt-in letters, arrows and stickers filled in from around them; nothing else changes.

    Study 001, section 5.1 and Fig. 9, with `method = "threshold"`; it prints neither threshold,
    radius nor fill. `radius` in pixels, `fill` is telea or navier_stokes.
    """

    fill: Fill = "telea"
    radius: float = parameters.between(3.0, 0.1, 100)
    name: ClassVar[str] = "remove_markers"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> the same size."""
        mask = markers.find_markers(as_uint8(pixels), self.method).mask
        return markers.remove(pixels, mask, self.fill, self.radius)


@dataclass(frozen=True, slots=True)
class CropBorders:
    """Cut off flat black or white borders, as digitisers and journals' pages leave them."""

    name: ClassVar[str] = "crop_borders"
    moves_pixels: ClassVar[Movement] = "by content"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> what lies inside the borders."""
        top, right, bottom, left = markers.borders(as_uint8(pixels))
        height, width = pixels.shape
        return pixels[top : height - bottom, left : width - right]

    def size(self, before: Size | None) -> Size | None:
        """Depends on the film."""
        return None

    def side_needed(self, after: int | None) -> int | None:
        """More than later steps need, by the deepest borders there may be."""
        return None if after is None else int(after / (1 - 2 * markers.DEEPEST)) + 1


@dataclass(frozen=True, slots=True)
class TransplantMarkers(_Marked):
    """Another film's marks on this one, as study 001 tried (section 5.2, Fig. 11).

    `donor` is an image or a folder of images, and the film's own pixels choose one; without
    one an L and PORTABLE are drawn. Change the donor's name when its images change: prepared
    pixels are remembered by names.
    """

    donor: str = ""
    name: ClassVar[str] = "transplant_markers"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> the same size."""
        if not self.donor:
            return markers.transplant(pixels, drawn_marker(), self.method)
        names = _donors(self.donor)
        number = int.from_bytes(sha256(pixels.tobytes()).digest()[:8], "big")
        return markers.transplant(pixels, _film(names[number % len(names)]), self.method)


@lru_cache(maxsize=1)
def drawn_marker() -> Grey8:
    """An L and PORTABLE at the upper right of a black film (512, 512)."""
    film = np.zeros((DRAWN, DRAWN), np.uint8)
    cv2.putText(film, "L", (455, 50), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (240,), 4, cv2.LINE_AA)
    cv2.putText(film, "PORTABLE", (410, 72), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (240,), 1, cv2.LINE_AA)
    return cast(Grey8, film)


@lru_cache(maxsize=16)
def _donors(donor: str) -> tuple[Path, ...]:
    place = Path(donor)
    if not place.exists():
        raise MissingError(
            "transplant_markers needs an image or a folder of images as donor; got "
            f"{donor!r}, which does not exist; name another, or none to have a marker "
            "drawn."
        )
    paths = (place,) if place.is_file() else tuple(sorted(images.list_images(place)[0]))
    if not paths:
        raise MissingError(
            f"the donor folder must hold images; got none in {donor!r}; name another."
        )
    return paths


@lru_cache(maxsize=64)
def _film(path: Path) -> Grey8:
    return as_uint8(images.read(path).pixels)
