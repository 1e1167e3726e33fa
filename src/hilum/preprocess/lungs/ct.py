"""The lungs of an axial CT slice in an 8-bit picture, by thresholds and morphology.

After Hu, Hoffman & Reinhardt 2001, doi:10.1109/42.929615: air, without the air around the body. A
picture from a publication has no Hounsfield units, so the threshold is the picture's own (Otsu
1979, doi:10.1109/TSMC.1979.4310076). Consolidated lung is as bright as muscle: closing brings back
small opacities, a lung step's `hull` most of the others.
"""

import cv2
import numpy as np

from hilum.preprocess.lungs.masks import LEAST_SIDE, OK, LungMask, fill_holes, largest
from hilum.preprocess.step import as_uint8
from hilum.types import Grey8, GreyImage, Mask, told_apart

SIDE = 256  # pixels of the longer side at which the morphology is done
SHARE = (0.02, 0.8)  # of the picture that can be lung
LEAST_BODY = 0.35  # of the picture that is not outside air
HOLE = 0.03  # of the picture: what a mask may enclose and still take in
MOST_BODY = 0.7  # of the body that can be lung: more is fat under the skin, taken for air
LEAST_HALF = 0.175  # of what one half of the picture holds that the other must
OUTSIDE = 0.5  # of a piece beyond the picture's inscribed ellipse: then it is air around the body
OPENING, CLOSING = 2, 7  # radii in pixels: skin folds and couch; vessels and small opacities


def lungs(pixels: GreyImage) -> LungMask:
    """(height, width) of any size -> the lungs at that size, and what speaks against them."""
    grey = as_uint8(pixels)
    if min(grey.shape) < LEAST_SIDE or np.ptp(grey) == 0:
        why = f"picture of {grey.shape[1]} x {grey.shape[0]} pixels and {np.ptp(grey)} grey levels"
        return LungMask(np.zeros(grey.shape, bool), why, 0.0, 0.0)
    scale = SIDE / max(grey.shape)
    height, width = (max(1, round(n * scale)) for n in grey.shape)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    small_mask, body = _air(cv2.GaussianBlur(small, (3, 3), 0))
    mask = cv2.resize(small_mask.astype(np.float32), grey.shape[::-1]) >= 0.5
    return LungMask(mask, _fault(small_mask, body) or OK, float(mask.mean()), 1.0)


def _fault(mask: Mask, body: Mask) -> str:
    """What is wrong with a mask (row, column) of the lungs in a body; or nothing."""
    share = float(mask.mean())
    if share < SHARE[0]:
        return "no lungs found"
    if share > SHARE[1]:
        return "lungs of {} of the picture, at most {}".format(*told_apart(share, SHARE[1], 0, "%"))
    if (filling := float(mask[body].mean())) > MOST_BODY:
        return "lungs of {} of the body, at most {}".format(*told_apart(filling, MOST_BODY, 0, "%"))
    left, right = (int(half.sum()) for half in np.array_split(mask, 2, axis=1))
    if min(left, right) < LEAST_HALF * max(left, right):
        return "lung in one half of the picture only"
    return ""


def _air(small: Grey8) -> tuple[Mask, Mask]:
    """Dark pieces that are not around the body, closed over vessels and opacities; and the body."""
    level = _otsu(small)
    inside = ~_outer_air(_open(small <= level))
    if float(inside.mean()) < LEAST_BODY:  # the threshold has split tissue, not air from tissue
        level = _otsu(small[small <= level])
        inside = ~_outer_air(_open(small <= level))
    # black air around the body hides the step from grey lung to tissue: look again without it
    dark = _open(inside & (small <= _otsu(small[inside])))
    lung = dark & ~_outer_air(dark)
    pieces = _without_small_holes(lung & largest(lung, most=4))
    room = cv2.copyMakeBorder(
        pieces.astype(np.uint8), *(CLOSING,) * 4, borderType=cv2.BORDER_REPLICATE
    )
    closed = cv2.morphologyEx(room, cv2.MORPH_CLOSE, _disc(CLOSING))
    mask = _without_small_holes(closed[CLOSING:-CLOSING, CLOSING:-CLOSING].astype(bool))
    return mask, inside


def _without_small_holes(mask: Mask) -> Mask:
    """The mask with what it encloses, unless that is as large as a heart."""
    holes = fill_holes(mask) & ~mask
    count, labels = cv2.connectedComponents(holes.astype(np.uint8))
    small = np.bincount(labels.ravel(), minlength=count) <= HOLE * mask.size
    return np.asarray(mask | (holes & small[labels]))


def _outer_air(dark: Mask) -> Mask:
    """Dark pieces that hold a corner of the picture or lie mostly at its rim."""
    count, labels = cv2.connectedComponents(dark.astype(np.uint8))
    height, width = dark.shape
    y, x = np.ogrid[:height, :width]
    rim = ((2 * x + 1) / width - 1) ** 2 + ((2 * y + 1) / height - 1) ** 2 > 1
    area = np.bincount(labels.ravel(), minlength=count)
    outside = np.bincount(labels[rim], minlength=count) > OUTSIDE * area
    outside[np.unique(labels[[0, 0, -1, -1], [0, -1, 0, -1]])] = True
    outside[0] = False  # what is bright
    return np.asarray(outside[labels])


def _open(dark: Mask) -> Mask:
    return cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, _disc(OPENING)).astype(bool)


def _otsu(values: Grey8) -> float:
    return float(cv2.threshold(values.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)[0])


def _disc(radius: int) -> Grey8:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
