"""Lung masks: from probabilities to two clean lungs, and whether they can be believed."""

import re
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from hilum.types import Floats, Grey8, GreyImage, Mask, told_apart

VERSION = 2  # raise when the arithmetic of masks or of their check changes, here or in `ct`
OK = "ok"
# a figure of one mask in a status, with its limit: statuses that differ by it alone are one
MEASURED = re.compile(r" \((?:[a-z]+ )?\d+\.\d+(?:, at (?:least|most) \d+\.\d+)?\)")
LEAST_SIDE = 64  # pixels: on smaller films ribs and outlines can no longer be separated
LEAST_SECOND = 0.15  # share of the larger lung that the smaller one must have
AREA = (0.06, 0.75)  # share of the image
SOLID = 0.75  # share of its convex hull that a lung fills at least
CERTAIN = 0.925  # soft Dice of the probabilities and the mask drawn from them, at least
BORDER = 0.35  # share of the image's border that may be lung
RING = 4  # pixels of the network's input on either side of the outline, between which a step lies
DARKEST = -0.04  # of the grey levels: the least step from the lungs up to what surrounds them
# on a slice the step is steeper and the network less sure; of 2,498 films 5 lie beyond this line,
# of 989 slices that the other checks let through 5 do not
STEEPEST, DOUBT = 0.65, 5.0


@dataclass(frozen=True, slots=True)
class LungMask:
    """A mask (height, width) of the image's own size, and what speaks against it."""

    mask: Mask
    status: str  # "ok", or what is wrong with it
    fraction: float  # of the image that is lung
    confidence: float  # 1: every pixel was certain

    @property
    def good(self) -> bool:
        """Whether the mask can be believed."""
        return self.status == OK


class FindsLungs(Protocol):
    """What finds the lungs of a radiograph; it is handed to the steps that need one."""

    @property
    def digest(self) -> str:
        """Hash of all that decides the mask."""

    @property
    def side(self) -> int:
        """Pixels of the shorter side below which an image would lose by scaled decoding."""

    def __call__(self, pixels: GreyImage) -> LungMask:
        """(height, width) of any size -> the lungs at that size."""


def assess_mask(p: Floats, threshold: float, size: tuple[int, int], seen: Grey8) -> LungMask:
    """Probabilities (row, column) of an image of `size` (height, width) -> its lungs, judged.

    `seen` (row, column) are the grey levels that the network saw.
    """
    enlarged = cv2.resize(p, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    mask = largest(enlarged >= threshold)
    sizes = float(enlarged.sum(dtype=np.float64)) + int(mask.sum())
    confidence = 2 * float(enlarged[mask].sum(dtype=np.float64)) / sizes if mask.any() else 0.0
    wrong = fault(mask, confidence) or no_film(step(seen, mask), confidence)
    return LungMask(mask, wrong or OK, float(mask.mean()), confidence)


def largest(mask: Mask, most: int = 2) -> Mask:
    """(height, width) -> its largest pieces without holes; a small fragment is no second lung."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = [i + 1 for i in np.argsort(-areas, kind="stable")[:most]]
    kept = [i for i in kept if areas[i - 1] >= LEAST_SECOND * areas.max()] if count > 1 else []
    return fill_holes(np.isin(labels, kept))


def fill_holes(mask: Mask) -> Mask:
    """(height, width) -> the same with every hole closed."""
    out = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(out, _outlines(mask), -1, 1, cv2.FILLED)
    return out.astype(bool)


def dilated(mask: Mask, by: float, hull: bool) -> Mask:
    """(height, width) -> the convex hull of each lung if asked, then `by` of the shorter side.

    Consolidated lung is as bright as what surrounds it, so that a mask that follows the grey
    levels leaves it out; a hull and a margin bring most of it back.
    """
    out = mask.astype(np.uint8)
    if hull:
        hulls = [cv2.convexHull(outline) for outline in _outlines(mask)]
        cv2.drawContours(out, hulls, -1, 1, cv2.FILLED)
    if by <= 0 or not out.any():
        return out.astype(bool)
    # exact distances (Felzenszwalb & Huttenlocher 2012, doi:10.4086/toc.2012.v008a019)
    away = cv2.distanceTransform(1 - out, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= by * min(mask.shape))


def box(mask: Mask, margin: float) -> tuple[slice, slice]:
    """Rows and columns of the box around the lungs in a mask (height, width).

    It is wider each way by `margin`, a share of the image's shorter side.
    """
    extra = round(margin * min(mask.shape))
    spans = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    (top, bottom), (left, right) = [(int(at[0]), int(at[-1]) + 1) for at in spans]
    height, width = mask.shape
    return (
        slice(max(0, top - extra), min(height, bottom + extra)),
        slice(max(0, left - extra), min(width, right + extra)),
    )


def fault(mask: Mask, confidence: float = 1.0) -> str:
    """What is wrong with a mask (height, width) of two lungs, in words; empty where nothing is."""
    outlines = _outlines(mask)
    fraction = float(mask.mean())
    if not outlines:
        return "no lungs found"
    if fraction < AREA[0]:
        return "lungs of {} of the image, at least {}".format(
            *told_apart(fraction, AREA[0], 0, "%")
        )
    if fraction > AREA[1]:
        return "lungs of {} of the image, at most {}".format(*told_apart(fraction, AREA[1], 0, "%"))
    if confidence < CERTAIN:
        return "too uncertain ({}, at least {})".format(*told_apart(confidence, CERTAIN, 3))
    if (solid := min(map(_solidity, _separate_lungs(mask, outlines)))) < SOLID:
        return "ragged outline (solidity {}, at least {})".format(*told_apart(solid, SOLID))
    if (edge := _on_border(mask)) > BORDER:
        return "{} of the border is lung, at most {}".format(*told_apart(edge, BORDER, 0, "%"))
    return _fault_of_pieces(mask, outlines)


def step(seen: Grey8, mask: Mask) -> float:
    """Grey levels, 1 for all, from just within a mask of any size up to just around it.

    `seen` (row, column) uint8. Nan where there is nothing to compare, as around lungs that were cut
    out already.
    """
    small = cv2.resize(mask.astype(np.uint8) * 255, seen.shape[::-1], interpolation=cv2.INTER_AREA)
    lung = (small > 127).astype(np.uint8)
    side = 2 * RING + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    within = seen[cv2.erode(lung, disc) > 0]
    around = seen[(cv2.dilate(lung, disc) > lung) & (seen > 0)]
    if not within.size or not around.size:
        return float("nan")
    return float(np.median(around) - np.median(within)) / 255


def no_film(rise: float, confidence: float) -> str:
    """What tells from the `step` at the lungs' outline that this is no radiograph, or nothing."""
    if rise < DARKEST:
        return "lungs brighter than what is around them: black and white may be exchanged"
    if rise + DOUBT * (1 - confidence) > STEEPEST:
        return 'lungs as dark as on a CT slice, for which there is kind = "ct"'
    return ""


def _separate_lungs(mask: Mask, outlines: list[Grey8]) -> list[Grey8]:
    """Outlines of both lungs also where they are joined: cut at the lowest column between them."""
    left, _, wide, high = cv2.boundingRect(outlines[0])
    if len(outlines) > 1 or wide < high:
        return outlines
    third = max(1, wide // 3)
    middle = mask[:, left + third : left + 2 * third]
    cut = mask.copy()
    cut[:, left + third + int(middle.sum(0).argmin())] = False
    return _outlines(cut)


def _fault_of_pieces(mask: Mask, outlines: list[Grey8]) -> str:
    """One piece must hold both lungs, two pieces must lie side by side."""
    spans = [cv2.boundingRect(outline) for outline in outlines]
    if len(spans) == 1:
        wide, high = spans[0][2], spans[0][3]
        return "" if wide >= high else "only one lung found"
    (a, _, wide_a, _), (b, _, wide_b, _) = sorted(spans)[:2]
    overlap = max(0, min(a + wide_a, b + wide_b) - b)
    return "lungs one above the other" if overlap > 0.5 * min(wide_a, wide_b) else ""


def _outlines(mask: Mask) -> list[Grey8]:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(outline) for outline in outlines]


def _solidity(outline: Grey8) -> float:
    hull = cv2.contourArea(cv2.convexHull(outline))
    return float(cv2.contourArea(outline) / hull) if hull else 0.0


def _on_border(mask: Mask) -> float:
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())
