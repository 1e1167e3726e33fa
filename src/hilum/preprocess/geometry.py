"""Steps that decide which part of the film is seen, and at what size."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from PIL import Image as Pillow

from hilum.preprocess import parameters
from hilum.preprocess.step import Movement, Size, level, resized
from hilum.types import GreyImage, HilumError


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Fit the whole film into a square without distortion, grey bars on the two short sides.

    The size is `int(side * scale)` and the bars are centred, as in the code that Zhang & Liu
    describe (study 003, section 2.2); `method="pillow"` uses Pillow's bicubic filter as they did.
    """

    side: int = parameters.side()
    fill: int = parameters.between(128, 0, 255)
    method: Literal["area", "pillow"] = "area"
    name: ClassVar[str] = "letterbox"
    moves_pixels: ClassVar[Movement] = "by size"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> (side, side)."""
        scale = min(self.side / pixels.shape[1], self.side / pixels.shape[0])
        # a sliver such as 1 x 3000 would otherwise scale to no pixel at all
        height, width = (max(1, int(length * scale)) for length in pixels.shape)
        small = _pillow(pixels, (height, width)) if self.method == "pillow" else None
        small = resized(pixels, (height, width)) if small is None else small
        out = np.full((self.side, self.side), level(pixels, self.fill), pixels.dtype)
        top, left = (self.side - height) // 2, (self.side - width) // 2
        out[top : top + height, left : left + width] = small
        return out

    def size(self, before: Size | None) -> Size | None:
        """Always (side, side)."""
        return self.side, self.side

    def side_needed(self, after: int | None) -> int | None:
        """`side`, or everything when the published filter must see every pixel."""
        return self.side if self.method == "area" else None


@dataclass(frozen=True, slots=True)
class Resize:
    """Stretch to a square and accept the distortion, as Keras' `load_img` does.

    https://keras.io/api/data_loading/image/
    """

    side: int = parameters.side()
    name: ClassVar[str] = "resize"
    moves_pixels: ClassVar[Movement] = "by size"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> (side, side)."""
        return resized(pixels, (self.side, self.side))

    def size(self, before: Size | None) -> Size | None:
        """Always (side, side)."""
        return self.side, self.side

    def side_needed(self, after: int | None) -> int | None:
        """`side`."""
        return self.side


@dataclass(frozen=True, slots=True)
class ResizeShorter:
    """Scale so that the shorter side is `side`, aspect ratio kept (torchvision's `Resize(int)`).

    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Resize.html
    """

    side: int = parameters.side()
    name: ClassVar[str] = "resize_shorter"
    moves_pixels: ClassVar[Movement] = "by size"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> shorter side `side`."""
        shorter = min(pixels.shape)
        height, width = (int(self.side * length / shorter) for length in pixels.shape)
        return resized(pixels, (height, width))

    def size(self, before: Size | None) -> Size | None:
        """Depends on the film's aspect ratio."""
        return None

    def side_needed(self, after: int | None) -> int | None:
        """`side`."""
        return self.side


@dataclass(frozen=True, slots=True)
class CentreCrop:
    """Keep the central square; an image smaller than that is refused.

    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.CenterCrop.html
    """

    side: int = parameters.side()
    name: ClassVar[str] = "centre_crop"
    moves_pixels: ClassVar[Movement] = "by size"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> (side, side), offsets rounded as torchvision does."""
        height, width = pixels.shape
        if min(height, width) < self.side:
            raise HilumError(
                f"centre_crop needs an image of at least {self.side} x {self.side} pixels; got "
                f"{width} x {height}; put resize_shorter before it or choose a smaller side."
            )
        top, left = round((height - self.side) / 2), round((width - self.side) / 2)
        return pixels[top : top + self.side, left : left + self.side]

    def size(self, before: Size | None) -> Size | None:
        """Always (side, side)."""
        return self.side, self.side

    def side_needed(self, after: int | None) -> int | None:
        """`side`."""
        return self.side


@dataclass(frozen=True, slots=True)
class BorderCrop:
    """Cut the same fraction off each of the four sides, where letters and dates are burnt in.

    Study 001 (Wirgård Wiklund et al., Fig. 8) gives no fraction; 10% is ours.
    """

    fraction: float = parameters.between(0.1, 0, 0.49)
    name: ClassVar[str] = "border_crop"
    moves_pixels: ClassVar[Movement] = "by size"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        """(height, width) -> the inner rectangle."""
        top, left = (int(length * self.fraction) for length in pixels.shape)
        height, width = pixels.shape
        return pixels[top : height - top, left : width - left]

    def size(self, before: Size | None) -> Size | None:
        """The inner rectangle of a known size."""
        if before is None:
            return None
        height, width = (length - 2 * int(length * self.fraction) for length in before)
        return height, width

    def side_needed(self, after: int | None) -> int | None:
        """More than later steps need, by what is cut away."""
        return None if after is None else int(after / (1 - 2 * self.fraction)) + 1


def _pillow(pixels: GreyImage, size: Size) -> GreyImage:
    """Pillow's antialiased bicubic filter; bit-compatible with the published pipeline.

    https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters
    """
    image = Pillow.fromarray(np.ascontiguousarray(pixels))
    out = np.asarray(image.resize((size[1], size[0]), Pillow.Resampling.BICUBIC))
    return out if out.dtype == np.uint8 else np.clip(out, 0, 1).astype(np.float32)
