"""The shape of a pixel, and images resampled to square pixels; DICOM PS3.3 10.7, C.7.6.3.1.7."""

import numpy as np

from hilum.images.dicom_elements import Elements
from hilum.types import GreyImage, HilumError

# The first that is usable decides: Pixel Aspect Ratio is for images that have no spacing.
SHAPE_KEYWORDS = (
    "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio",
)  # fmt: skip
SQUARE = 0.01  # relative difference of the sides up to which a pixel counts as square
MOST = 16  # times as long one side may be as the other: reformatted CT reaches 10


def aspect(elements: Elements) -> float:
    """Height of a pixel over its width; 1 where they hardly differ, or nothing usable is said.

    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_10.7.html
    """
    for keyword in SHAPE_KEYWORDS:
        values = [value or 0.0 for value in elements.numbers(keyword)]  # vertical, horizontal
        if len(values) != 2 or min(values) <= 0:
            continue
        ratio = values[0] / values[1]
        if not 1 / MOST <= ratio <= MOST:
            raise HilumError(
                f"expected pixels with one side at most {MOST} times the other, got "
                f"{ratio:.3g} to 1 in {keyword}; correct the header"
            )
        return 1.0 if abs(ratio - 1) <= SQUARE else ratio
    return 1.0


def square_size(height: int, width: int, aspect: float) -> tuple[int, int]:
    """(height, width) in square pixels: the side along which pixels are longer grows."""
    return round(height * max(aspect, 1)), round(width * max(1 / aspect, 1))


def squared(pixels: GreyImage, aspect: float) -> GreyImage:
    """Grey (height, width) of such pixels -> square ones, each the mean of what it covers."""
    rows, columns = pixels.shape
    height, width = square_size(rows, columns, aspect)
    if height > rows:
        pixels = _repeat_rows(pixels, height)
    return _repeat_rows(pixels.T, width).T.copy() if width > columns else pixels


def _repeat_rows(pixels: GreyImage, count: int) -> GreyImage:
    """(row, column) -> (`count`, column), no fewer rows; whole factors repeat rows exactly.

    In whole numbers, as OpenCV's INTER_AREA takes wrong neighbours at some enlargements.
    """
    rows, at = len(pixels), np.arange(count)
    first = at * rows // count
    beyond = np.maximum((at + 1) * rows - (first + 1) * count, 0) / rows
    share = beyond.astype(np.float32)[:, None]  # of each new row that lies on the next old one
    mixed = pixels[first] * (1 - share) + pixels[np.minimum(first + 1, rows - 1)] * share
    return np.rint(mixed).astype(np.uint8) if pixels.dtype == np.uint8 else mixed
