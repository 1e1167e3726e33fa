"""Lines of print on a film: rectangles of any slant, from the text network's probabilities."""

from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hilum.preprocess.text_network import text_probabilities
from hilum.types import Floats, Grey8

Line: TypeAlias = npt.NDArray[np.float32]  # (4, 2) corners, x and y in pixels of the film

# chosen on the tuning half of tests/data/markers.csv, as every number of the finders
INSIDE = 0.05  # probability of a line's pixels
PRINT = 0.25  # mean probability over a line's rectangle
THINNEST = 3.0  # pixels of a line's shorter side, where the network sees it
THICKEST = 0.15  # of the film's longer side: the network takes some films as a whole for print
GROWN = 1.6  # the network was trained on shrunk lines: area over outline by which they grow again


def find_text_lines(film: Grey8) -> list[Line]:
    """Lines of print on a film (height, width) in uint8."""
    return [*lines_of(text_probabilities(film), (film.shape[0], film.shape[1]))]


def lines_of(probabilities: Floats, shape: tuple[int, int]) -> Iterator[Line]:
    """Lines on a film of `shape` (height, width) from probabilities of the same view of it.

    Connected pixels above INSIDE, each group's smallest rectangle grown by its area over its
    outline (Liao et al. 2020, arXiv:1911.08947, section 3.5).
    """
    inside = (probabilities > INSIDE).astype(np.uint8)
    pieces, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    back = np.array(shape[::-1], np.float32) / probabilities.shape[::-1]
    for piece in pieces:
        centre, (wide, high), angle = cv2.minAreaRect(piece)
        if min(wide, high) < THINNEST:
            continue
        more = GROWN * wide * high / (wide + high)
        if min(wide, high) + more > THICKEST * max(probabilities.shape):
            continue
        if mean_inside(probabilities, cv2.boxPoints((centre, (wide, high), angle))) >= PRINT:
            yield cv2.boxPoints((centre, (wide + more, high + more), angle)) * back


def mean_inside(probabilities: Floats, corners: Line) -> float:
    """Mean probability over a rectangle."""
    mask = np.zeros(probabilities.shape, np.uint8)
    cv2.fillPoly(mask, [corners.astype(np.int32)], (1,))
    return float(cv2.mean(probabilities, mask)[0])
