"""The plate that a mark is on: a sticker, a lead tag, a disc, cut out by its even grey."""

import cv2
import numpy as np

from hilum.types import Grey8, Mask

# grey levels that a plate may vary by, and that its outline must then jump by in the median: a
# drawn plate, one that was compressed, lead
EVEN = ((3, 8.0), (8, 20.0), (12, 20.0))
COMPACT = 0.75  # of its box that a plate fills: pi / 4 were a disc
LARGEST = 8.0  # plate's box over its mark's
MOST = 0.6  # of the mark's nearest surroundings must be even


def plate(film: Grey8, ink: Mask) -> Mask | None:
    """The plate (height, width) with the mark `ink` (height, width) on it, None without one."""
    mark = ink.astype(np.uint8)
    near = cv2.dilate(mark, np.ones((3, 3), np.uint8))
    rim = (cv2.dilate(near, np.ones((3, 3), np.uint8)) > 0) & (near == 0)
    if not rim.any():
        return None
    off = np.abs(film.astype(np.int16) - int(np.median(film[rim])))
    for tolerance, sharp in EVEN:
        even = off <= tolerance
        if even[rim].mean() >= MOST:
            patch = fill_plate(_largest_piece(even | (near > 0), rim & even))
            if _is_plate_shaped(patch, mark) and _outline_contrast(film, patch) >= sharp:
                return patch > 0
    return None


def fill_plate(patch: Grey8) -> Grey8:
    """The patch (height, width), 0 or 1, with its holes closed."""
    outline, _ = cv2.findContours(patch, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(patch, outline, -1, (1,), cv2.FILLED))


def _is_plate_shaped(patch: Grey8, mark: Grey8) -> bool:
    """Whether a patch is as compact as a disc at least, and no wide field around a small mark."""
    _, _, wide, high = cv2.boundingRect(patch)
    _, _, mark_wide, mark_high = cv2.boundingRect(mark)
    small = wide * high <= LARGEST * mark_wide * mark_high
    return bool(small and patch.sum() >= COMPACT * wide * high)


def _largest_piece(where: Mask, seed: Mask) -> Grey8:
    """The piece of `where` (height, width) that holds most of `seed`."""
    count, pieces = cv2.connectedComponents(where.astype(np.uint8), connectivity=4)
    most = np.bincount(pieces[seed], minlength=count)[1:].argmax() + 1
    return (pieces == most).astype(np.uint8)


def _outline_contrast(film: Grey8, patch: Grey8) -> float:
    """Median step in grey across a patch's outline, which is small where anatomy ends."""
    slope = cv2.morphologyEx(film, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    outer = (cv2.dilate(patch, np.ones((3, 3), np.uint8)) > 0) & (patch == 0)
    return float(np.median(slope[outer])) if outer.any() else 0.0
