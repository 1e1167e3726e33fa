"""Any decoded array to one grey array: luma, alpha, scale, orientation."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hilum.images import white_level
from hilum.types import GreyImage, HilumError

Number = TypeVar("Number", bound=np.generic)
# ITU-R BT.601 luma in 1/65536, summing to 65536: equal channels come out unchanged.
LUMA = (19595, 38470, 7471)
AS_STORED = "as stored"


def luma(colour: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """(height, width, RGB) -> (height, width) of the same type; ITU-R BT.601, rounded.

    https://www.itu.int/rec/R-REC-BT.601
    """
    red, green, blue = (colour[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red)
    if colour.dtype.kind == "u" and colour.dtype.itemsize <= 2:
        total = np.full(red.shape, 32768, np.uint32)
        for weight, channel in zip(LUMA, (red, green, blue), strict=True):
            total += np.multiply(channel, np.uint32(weight), dtype=np.uint32)
        return (total >> np.uint32(16)).astype(colour.dtype)
    return (colour.astype(np.float64) @ (np.array(LUMA) / 65536)).astype(colour.dtype)


def on_black(pixels: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(height, width) laid on black, the radiograph's own background, by its unsigned `alpha`."""
    opaque = np.iinfo(alpha.dtype).max
    if alpha.min() == opaque:
        return pixels
    blended = pixels.astype(np.uint64) * alpha + opaque // 2
    return (blended // opaque).astype(pixels.dtype)


def scale(pixels: npt.NDArray[Any], bits: int | None = None) -> tuple[GreyImage, str]:
    """(height, width) of any number type -> uint8 as it is, or float32 in [0, 1]; and the rule.

    16 bits unsigned are divided by their white (`white_level.white`; `bits` are those that the file
    declares); brighter pixels become white, lone ones what lies around them. Floats that lie in
    [0, 1] stay. Whatever else has no agreed white (signed, 32 bits, other floats) is stretched over
    the values that all but one pixel of `white_level.SPARED` at each end have.
    """
    if pixels.dtype == np.uint8:
        return pixels, AS_STORED
    if pixels.dtype == np.uint16:
        top = white_level.white(pixels, bits)
        how = "guessed" if white_level.declared(bits) is None else "declared"
        if how == "guessed":
            pixels = white_level.without_lone_pixels(pixels, top)
        scaled = pixels.astype(np.float32) / np.float32(top)
        return np.minimum(scaled, 1, out=scaled), f"white {top}, {how}"
    low, high = _range(pixels)
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.clip(pixels, 0, 1).astype(np.float32), AS_STORED
    # halves, so that the span of two huge floats of opposite sign does not overflow
    span = (high / 2 - low / 2) or 1.0
    stretched = (pixels / np.float64(2) - low / 2) / span
    return np.clip(stretched, 0, 1).astype(np.float32), "stretched"


def _range(pixels: npt.NDArray[Any]) -> tuple[float, float]:
    """Least and greatest value but for the spared; HilumError for what is no finite number."""
    ends = [float(pixels.min()), float(pixels.max())]
    if not np.isfinite(ends).all():
        broken = int((~np.isfinite(pixels)).sum())
        raise HilumError(
            f"expected finite pixels, got {broken:,} that are NaN or infinite; "
            "replace them before saving the image"
        )
    spare = pixels.size // white_level.SPARED
    if not spare:
        return ends[0], ends[1]
    ordered = np.partition(pixels.reshape(-1), (spare, pixels.size - 1 - spare))
    return float(ordered[spare]), float(ordered[-1 - spare])


def negative(pixels: GreyImage) -> GreyImage:
    """(height, width) with black and white exchanged."""
    if pixels.dtype == np.uint8:
        return ~pixels.astype(np.uint8)
    return 1 - pixels.astype(np.float32)


def upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """(height, width) turned and mirrored as TIFF 6.0 tag 274 (EXIF orientation 1-8) asks.

    TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
    """
    if orientation >= 5:
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
