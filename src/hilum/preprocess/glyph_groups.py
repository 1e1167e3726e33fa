"""Glyphs of like size that lie close together: one mark each."""

from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hilum.preprocess.glyphs import Scores
from hilum.types import Mask

Frames: TypeAlias = npt.NDArray[np.int32]  # (part, 4) left, top, width, height

LEAST = (3, 6)  # pixels of a mark's shorter and longer side
SURE, LIKELY = 0.6, 0.35  # scores of a mark's surest part and of the parts next to it
PRINTED, BARE = 0.45, 0.85  # the same of a surest part that is print, and that is not
NEAR = 0.5  # gap between the letters of one mark, share of the smaller
ALIKE = 2.5  # how often the smaller letter of one mark goes into the larger


def groups(score: Scores, printed: Mask | None) -> Iterator[tuple[tuple[slice, slice], Mask]]:
    """Each mark's ink in a window around it, from the scores (height, width) of its pixels.

    Where `printed` (height, width) says what is print, a mark's surest part there needs a lower
    score, and elsewhere a higher one.
    """
    from scipy.sparse.csgraph import connected_components  # slow to load; few films are searched

    likely = (score > LIKELY).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(likely, connectivity=8)
    if count < 2:
        return
    frames, best, at = stats[1:, :4], np.zeros(count, np.float32), np.flatnonzero(likely)
    np.maximum.at(best, labels.ravel()[at], score.ravel()[at])
    near = _are_neighbours(frames)
    sure = best[1:] > (SURE if printed is None else _needed(labels, printed, count))
    kept = sure | (near & sure).any(1)
    group = connected_components(near & kept & kept[:, None])[1]
    for number in np.unique(group[kept]):
        parts = np.flatnonzero(kept & (group == number))
        place = _window(frames[parts])
        yield place, np.isin(labels[place], parts + 1)


def _needed(labels: npt.NDArray[np.int32], printed: Mask, count: int) -> npt.NDArray[np.float64]:
    """(part,) the score that each of `count` - 1 parts needs to be sure of itself."""
    area = np.bincount(labels.ravel(), minlength=count)
    print_ = np.bincount(labels[printed], minlength=count)
    return np.where(2 * print_ >= area, PRINTED, BARE)[1:]


def is_speck(ink: Mask) -> bool:
    """Whether a mark is too small to be one."""
    _, _, wide, high = cv2.boundingRect(ink.view(np.uint8))
    return min(wide, high) < LEAST[0] or max(wide, high) < LEAST[1]


def _are_neighbours(frames: Frames) -> npt.NDArray[np.bool_]:
    """(part, part): of one mark, as two letters are that are of like size and close by."""
    low, size = frames[:, :2], frames[:, 2:].max(1)
    high = low + frames[:, 2:]
    gap = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(2)
    smaller, larger = np.minimum.outer(size, size), np.maximum.outer(size, size)
    return (gap <= NEAR * smaller) & (larger <= ALIKE * smaller)


def _window(frames: Frames) -> tuple[slice, slice]:
    """The box around all frames, with as much again on each side."""
    left, top = (int(start) for start in frames[:, :2].min(0))
    right, bottom = (int(end) for end in (frames[:, :2] + frames[:, 2:]).max(0))
    margin = max(right - left, bottom - top)
    return (
        slice(max(0, top - margin), bottom + margin),
        slice(max(0, left - margin), right + margin),
    )
