"""Which stored value of a 16-bit PNG or TIFF file is white; docs/decisions/0011."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

BITS = 16
NOT_STATED = "not stated"  # of the fact `white`
SPARED = 1000  # of so many pixels one may be brighter than white: hot pixels decide nothing
MOST_BELOW_LETTERS = 14  # bits of a film with letters at 65535: a film of 16 bits has more
LEAST_BITS = 8  # no film has fewer; darker ones are dark


def declared(bits: int | None) -> int | None:
    """White that a file states by its number of significant bits, None where it states nothing."""
    return None if bits is None or not LEAST_BITS <= bits <= BITS else 2**bits - 1


def white(pixels: npt.NDArray[np.uint16], bits: int | None = None) -> int:
    """Stored value that is white in (height, width); `bits` are those that the file declares.

    Declared bits are at the top of the sample, as the PNG standard (Third Edition, 11.3.2.4)
    asks, or at its bottom, as detectors deliver them: the values show which. Where nothing is
    declared, white is 2**n - 1 for the least n, 8 or more, that all but one of SPARED pixels fit
    into. Letters and frames at the file's own greatest value, 65535, do not count where the film
    stays below a quarter of that.
    https://www.w3.org/TR/png-3/#11sBIT
    """
    counts = np.bincount(pixels.reshape(-1), minlength=2**BITS)
    spare = pixels.size // SPARED
    greatest, top = _greatest(counts, spare), _greatest(counts[:-1], spare)
    if not spare or not LEAST_BITS < top.bit_length() <= MOST_BELOW_LETTERS:
        top = greatest
    stated = declared(bits)
    if bits is None or stated is None:
        return max(2 ** top.bit_length(), 2**LEAST_BITS) - 1
    if top <= stated and _fills_low_bits(counts[: stated + 1], bits, spare):
        return stated
    shifted = stated << BITS - bits
    return shifted if top <= shifted and _is_shifted(counts, bits, spare) else 2**BITS - 1


def without_lone_pixels(pixels: npt.NDArray[np.uint16], top: int) -> npt.NDArray[np.uint16]:
    """(height, width) with each pixel above `top` that has none such next to it as its neighbours.

    Nothing in a body or on a film is brighter than white and one pixel small: that is a defect of
    the detector. It becomes the median of the 8 around it, as detectors correct such pixels.
    """
    beyond = pixels > top
    if min(pixels.shape) < 2 or not beyond.any():
        return pixels
    around = np.ones((3, 3), np.uint8)
    many = cv2.filter2D(beyond.astype(np.uint8), -1, around, borderType=cv2.BORDER_CONSTANT)
    rows, columns = np.nonzero(beyond & (many == 1))
    padded = np.pad(pixels, 1, mode="reflect")  # the edge's neighbours, never the pixel itself
    places = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    near = np.stack([padded[rows + i, columns + j] for i, j in places])
    mended = pixels.copy()
    mended[rows, columns] = np.median(near, axis=0).astype(np.uint16)
    return mended


def _greatest(counts: npt.NDArray[np.int64], spare: int) -> int:
    """Greatest value, each met `counts` times, but for `spare` pixels above it."""
    return int(np.searchsorted(counts.cumsum(), counts.sum() - spare))


def _fills_low_bits(counts: npt.NDArray[np.int64], bits: int, spare: int) -> bool:
    """Do values up to 2**bits - 1, each met `counts` times, lie where scaled ones would not?"""
    values = np.arange(len(counts))
    unused = BITS - bits
    scaled = np.rint((values >> unused) * ((2**BITS - 1) / (2**bits - 1)))
    as_standard = (values == scaled) | (values & (2**unused - 1) == 0)
    return int(counts[~as_standard].sum()) > spare


def _is_shifted(counts: npt.NDArray[np.int64], bits: int, spare: int) -> bool:
    """Are the low bits that the file does not declare all zero?"""
    low = np.arange(len(counts)) & (2 ** (BITS - bits) - 1) != 0
    return int(counts[low].sum()) <= spare


def white_is_guessed(facts: Mapping[str, Any]) -> bool:
    """Does a file that `probe` or `read` gave these facts of not say which value is white?"""
    return facts.get("white") == NOT_STATED and facts.get("greys") != "as stored"


def white_note(guessed: int, images: int) -> tuple[str, ...]:
    """What a reader must know about `guessed` files among `images`; nothing where there are none.

    The sentence does not depend on how many of them were looked at first.
    """
    if not guessed:
        return ()
    return (
        f"{guessed:,} of {images:,} files have more than 8 bits and do not say which "
        f"value is white. It is guessed for each file from all but one in {SPARED:,} of "
        "its pixels, so an underexposed image may be shown brighter than it was.",
    )
