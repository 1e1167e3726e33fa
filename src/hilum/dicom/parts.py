"""What results need of a film's pixels: its picture and its lungs; without highdicom.

Decoding processes run this, so that it loads little.
"""

from functools import cache

import cv2
import numpy as np

from hilum.preprocess.lungs import ct, masks
from hilum.preprocess.lungs.masks import LungMask
from hilum.preprocess.step import as_uint8
from hilum.types import Grey8, Image, Mask

SIDE = 608  # pixels of the longer side of the film in the picture
FINEST = 1024  # pixels of the longer side on which lungs are found; the outline is no finer


def picture_side(side: int | None) -> int | None:
    """The shorter side that a film is decoded to for its results, where a network takes `side`."""
    return side and max(side, SIDE)


def parts_of(image: Image, is_slice: bool) -> tuple[Grey8, Mask | None, str]:
    """What a picture shows of an image, its lungs, and why there are none."""
    return fitted(as_uint8(image.pixels)), *find_lungs(image, is_slice)


def fitted(film: Grey8) -> Grey8:
    """(height, width) -> the same with its longer side of SIDE pixels."""
    scale = SIDE / max(film.shape)
    size = _scaled(film.shape, scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(film, size, interpolation=how), np.uint8)


def _scaled(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """(height, width) -> (width, height) at a scale, as OpenCV takes a size."""
    height, width = (max(1, round(length * scale)) for length in shape)
    return width, height


def find_lungs(image: Image, is_slice: bool) -> tuple[Mask | None, str]:
    """The lungs (row, column) of a film's pixels, or none and why; no finer than FINEST."""
    found = _found(image, is_slice)
    return (found.mask.astype(bool), "") if found.good else (None, found.status)


def _found(image: Image, is_slice: bool) -> LungMask:
    pixels = image.pixels
    scale = FINEST / max(pixels.shape)
    if scale < 1:
        pixels = cv2.resize(pixels, _scaled(pixels.shape, scale), interpolation=cv2.INTER_AREA)
    if is_slice:
        return ct.lungs(pixels)
    return lung_finder()(pixels)


@cache
def lung_finder() -> masks.FindsLungs:
    """The lungs of radiographs, loaded with the first film."""
    from hilum.preprocess.lungs import segmenter

    return segmenter.load_segmenter()
