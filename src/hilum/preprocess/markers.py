"""Burnt-in marks of a radiograph: where they are, what is put there instead, and borders."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from hilum.preprocess import glyph_groups, glyphs
from hilum.preprocess.marker_plates import fill_plate, plate
from hilum.preprocess.step import as_uint8, resized
from hilum.preprocess.text_lines import find_text_lines
from hilum.types import Grey8, GreyImage, HilumError, Mask

Method: TypeAlias = Literal["shape", "threshold", "text", "shape_and_text"]
Fill: TypeAlias = Literal["telea", "navier_stokes"]

SIDE = 448  # pixels of the longer side at which marks are looked for
READABLE = 32  # a film with a shorter side below this holds no letter that could be read
NESTED = 0.8  # share of a box inside another that makes it a part of that one
BRIGHT = 0.95  # of the brightest grey level: the threshold that study 001 does not print
WIDEN = 3  # pixels of the square by which that mask is dilated
FLAT, DARK, LIGHT = 6, 16, 239  # grey levels of a border: its spread, black film, white page
COVERED = 0.5  # of a line's box that shapes cover, so that it is theirs already
STEP = 12  # grey levels by which the film sets in behind a border
DEEPEST = 0.3  # of the film that a border may take at each side
NEAREST = cv2.INTER_NEAREST
FILLS: dict[Fill, int] = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}


@dataclass(frozen=True, slots=True)
class MarkerBox:
    """A frame in pixels of the film."""

    left: int
    top: int
    width: int
    height: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)


@dataclass(frozen=True, slots=True)
class Markers:
    """Pixels that belong to marks (height, width), and one box around each mark."""

    mask: Mask
    boxes: tuple[MarkerBox, ...]


def find_markers(film: Grey8, method: Method = "shape") -> Markers:
    """Marks of a film (height, width) in uint8; none where the shorter side is below READABLE.

    `shape` takes letters, arrows and stickers by strokes and edges, in the lungs and outside;
    `threshold` is study 001's way (section 5.2), which takes bright bone as well; `text` takes
    lines of print by a network; `shape_and_text` takes what shapes find and the lines that they
    miss. Raises HilumError for anything but uint8 (height, width) and for another method,
    MissingError where `text` is not installed.
    """
    if film.ndim != 2 or film.dtype != np.uint8:
        raise HilumError(
            f"markers are found on a uint8 image (height, width); got {film.dtype} of shape "
            f"{film.shape}; convert it with hilum.preprocess.step.as_uint8."
        )
    if method not in WAYS:
        raise HilumError(f"markers are found by {' or '.join(WAYS)}; got {method!r}; choose one.")
    if min(film.shape) < READABLE:
        return Markers(np.zeros(film.shape, np.bool_), ())
    return WAYS[method](film)


def remove(pixels: GreyImage, mask: Mask, fill: Fill = "telea", radius: float = 3.0) -> GreyImage:
    """(height, width) with the mask's pixels filled in from around it, every other as it was.

    Telea 2004 (doi:10.1080/10867651.2004.10487596) or Bertalmio et al. 2001 (Navier-Stokes,
    doi:10.1109/CVPR.2001.990497). A mask of all pixels leaves nothing to fill from: the image is
    returned as it is.
    """
    if mask.all() or not mask.any():
        return pixels
    filled = cv2.inpaint(pixels, mask.astype(np.uint8), radius, FILLS[fill])
    return np.where(mask, np.clip(filled, 0, None if pixels.dtype == np.uint8 else 1), pixels)


def transplant(pixels: GreyImage, donor: GreyImage, method: Method = "shape") -> GreyImage:
    """(height, width) with the marks of `donor`, stretched to that size, and nothing else of it.

    Study 001, section 5.2 and Fig. 11.
    """
    sized = resized(as_uint8(donor), (pixels.shape[0], pixels.shape[1]))
    marks = find_markers(as_uint8(sized), method)
    new = sized if pixels.dtype == np.uint8 else sized.astype(np.float32) / 255
    return np.where(marks.mask, new, pixels)


def borders(film: Grey8) -> tuple[int, int, int, int]:
    """Pixels of flat black or white border at the top, right, bottom and left of (height, width).

    A border ends where the film sets in with a step; air next to the patient fades in and stays.
    """
    top, bottom = _strip(film), _strip(film[::-1])
    left, right = _strip(film.T), _strip(film.T[::-1])
    return top, right, bottom, left


def _strip(film: Grey8) -> int:
    """Rows of border at the top of a film (height, width)."""
    deepest = int(DEEPEST * len(film))
    low, high = np.percentile(film[: deepest + 2], [5, 95], axis=1)
    flat = (high - low <= FLAT) & ((high <= DARK) | (low >= LIGHT))
    rows = int(np.argmin(flat)) if not flat.all() else len(flat)
    if not 0 < rows <= deepest:
        return 0
    edge = np.abs(film[rows + 1].astype(np.int16) - film[rows - 1])
    return rows if np.median(edge) >= STEP else 0


def _by_threshold(film: Grey8) -> Markers:
    level = max(BRIGHT * int(film.max()), 1.0)
    bright = ((film >= level) & (film.min() < level)).astype(np.uint8)
    wide = cv2.dilate(bright, np.ones((WIDEN, WIDEN), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(wide, connectivity=8)
    return Markers(wide > 0, tuple(MarkerBox(*map(int, row[:4])) for row in stats[1:]))


def _by_shape(film: Grey8, printed: Mask | None = None) -> Markers:
    """Groups of likely glyphs that hold at least one sure one, with the plates they are on.

    Less sure ones are enough where `printed` (height, width) says so.
    """
    scale = SIDE / max(film.shape)
    if scale >= 1:
        return _marks(film, printed)
    height, width = (max(1, round(length * scale)) for length in film.shape)
    small = as_uint8(resized(film, (height, width)))
    if printed is not None:
        printed = cv2.resize(printed.view(np.uint8), (width, height), interpolation=NEAREST) > 0
    marks = _marks(small, printed)
    ink = marks.mask.astype(np.uint8)
    mask = cv2.resize(ink, film.shape[::-1], interpolation=NEAREST)
    return Markers(mask > 0, tuple(_scaled(box, small.shape, film.shape) for box in marks.boxes))


def _by_text(film: Grey8) -> Markers:
    """Lines of print, each rectangle as a whole."""
    mask, whole = np.zeros(film.shape, np.uint8), np.array(film.shape[::-1])
    boxes = []
    for line in find_text_lines(film):
        corners = np.rint(line).astype(np.int32)
        cv2.fillPoly(mask, [corners], (1,))
        left, top = (int(low) for low in np.clip(corners.min(0), 0, whole - 1))
        right, bottom = (int(high) for high in np.clip(corners.max(0) + 1, 1, whole))
        boxes.append(MarkerBox(left, top, right - left, bottom - top))
    return Markers(mask > 0, tuple(_outermost(boxes)))


def _by_shape_and_text(film: Grey8) -> Markers:
    """What shapes find, judged by where print is, and the lines of print that they do not cover."""
    lines = _by_text(film)
    marks = _by_shape(film, lines.mask)
    covered = np.zeros(film.shape, np.bool_)
    for box in marks.boxes:
        covered[box.place] = True
    new = [box for box in lines.boxes if covered[box.place].mean() < COVERED]
    return Markers(marks.mask | lines.mask, (*marks.boxes, *new))


WAYS = {
    "shape": _by_shape,
    "threshold": _by_threshold,
    "text": _by_text,
    "shape_and_text": _by_shape_and_text,
}
READS = ("text", "shape_and_text")  # ways that need the text network
# raise when what they find changes: stored pixels and models then no longer match
READS_VERSION = 1


def _scaled(box: MarkerBox, small: tuple[int, ...], full: tuple[int, ...]) -> MarkerBox:
    down, across = full[0] / small[0], full[1] / small[1]
    left, top = int(box.left * across), int(box.top * down)
    right = min(full[1], int(np.ceil((box.left + box.width) * across)))
    bottom = min(full[0], int(np.ceil((box.top + box.height) * down)))
    return MarkerBox(left, top, right - left, bottom - top)


def _marks(film: Grey8, printed: Mask | None) -> Markers:
    mask, boxes = np.zeros(film.shape, np.uint8), []
    for score in glyphs.scores(film).values():
        for place, ink in glyph_groups.groups(score, printed):
            if glyph_groups.is_speck(ink):
                continue
            plate_mask = plate(film[place], ink)
            if plate_mask is not None and not _leaves_window(plate_mask, place, film.shape):
                ink |= plate_mask
            # an outlined arrow goes with what it encloses
            mask[place] |= fill_plate(ink.astype(np.uint8))
            left, top, wide, high = cv2.boundingRect(ink.view(np.uint8))
            boxes.append(MarkerBox(place[1].start + left, place[0].start + top, wide, high))
    mask = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    return Markers(mask > 0, tuple(_outermost(boxes)))


def _leaves_window(patch: Mask, place: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    """Whether a patch reaches an edge of its window that is no edge of the film."""
    rows, columns = place
    return bool(
        (patch[0].any() and rows.start > 0)
        or (patch[-1].any() and rows.stop < shape[0])
        or (patch[:, 0].any() and columns.start > 0)
        or (patch[:, -1].any() and columns.stop < shape[1])
    )


def _outermost(boxes: list[MarkerBox]) -> Iterator[MarkerBox]:
    """Boxes without those that lie in a larger one, as a letter's does in its sticker's."""
    ordered = sorted(boxes, key=lambda box: -box.width * box.height)
    for index, box in enumerate(ordered):
        area = box.width * box.height
        if all(_overlap(box, larger) < NESTED * area for larger in ordered[:index]):
            yield box


def _overlap(one: MarkerBox, other: MarkerBox) -> int:
    """Pixels that two boxes share."""
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return max(wide, 0) * max(high, 0)
