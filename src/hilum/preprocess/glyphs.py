"""Glyph candidates on a film: small figures with strokes and sharp edges, scored one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hilum.preprocess.glyph_weights import CENTRE, OFFSET, PRODUCTS, SPREAD, WEIGHTS
from hilum.types import Floats, Grey8

Labels: TypeAlias = npt.NDArray[np.uint16]  # (height, width), 0 is none
Scores: TypeAlias = npt.NDArray[np.float32]  # (height, width), 0 to 1

KERNEL = 15  # pixels: a stroke must be thinner, bone and soft tissue are wider
LEVELS = (20, 40, 80)  # grey levels that a stroke must differ by: faint, plain, bright
SMALLEST = 5  # pixels of the longer side
LARGEST = 0.35  # of the film's longer side
CLUTTER = 25  # pixels of the window in which the neighbourhood's restlessness is measured
FEATURES = (
    "length",  # logarithm of the longer side
    "fill",  # share of the box
    "stroke",  # logarithm of the width: twice the area over the outline
    "contrast",  # logarithm of the top-hat's mean
    "slope",  # logarithm of the gradient along the outline
    "ground",  # grey behind it, 0 to 1, 1 the brightest of its own polarity
    "clutter",  # logarithm of the gradient around
    "cut",  # 1 at the film's edge
    "level",  # logarithm of the level that it was found at
    "quiet",  # logarithm of the gradient just outside
    "even",  # logarithm of the deviation of grey just outside
    "rise",  # logarithm of the step in grey from outside to inside
)


@dataclass(frozen=True, slots=True)
class Layer:
    """Candidates of one polarity at one level."""

    bright: bool
    pixels: npt.NDArray[np.int64]  # (pixel,) places in the flattened film
    owner: npt.NDArray[np.int64]  # (pixel,) the candidate that each belongs to
    boxes: npt.NDArray[np.int32]  # (candidate, 4) left, top, width, height
    features: Floats  # (candidate, feature), in the order of FEATURES

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """(candidate,) probability that each is a glyph or a part of one."""
        z = (self.features - np.array(CENTRE)) / np.array(SPREAD)
        one, other = np.triu_indices(len(FEATURES))
        logit = OFFSET + z @ np.array(WEIGHTS) + (z[:, one] * z[:, other]) @ np.array(PRODUCTS)
        return 1 / (1 + np.exp(-logit))


def layers(film: Grey8) -> Iterator[Layer]:
    """Candidates of a film (height, width), bright and dark ones, at each of LEVELS.

    A white top-hat (Serra 1982, chapter XII.D) leaves what is thinner than KERNEL.
    """
    slope = _slope(film)
    around = cv2.blur(slope, (CLUTTER, CLUTTER))
    kernel = np.ones((KERNEL, KERNEL), np.uint8)
    for bright in (True, False):
        grey = film if bright else cv2.bitwise_not(film)
        opened = cv2.morphologyEx(grey, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
        squared = cv2.multiply(grey, grey, dtype=cv2.CV_32F)
        hat = cv2.subtract(grey, opened)
        planes = _Planes(bright, grey, squared, opened, hat, slope, around)
        for level in LEVELS:
            layer = _layer(planes, level)
            if layer is not None:
                yield layer


def scores(film: Grey8) -> dict[bool, Scores]:
    """Bright and dark (height, width): the highest score of a candidate over each pixel, else 0."""
    best = {bright: np.zeros(film.size, np.float32) for bright in (True, False)}
    for layer in layers(film):
        plane = best[layer.bright]
        new = layer.scores.astype(np.float32)[layer.owner]
        plane[layer.pixels] = np.maximum(plane[layer.pixels], new)
    return {bright: plane.reshape(film.shape) for bright, plane in best.items()}


@dataclass(frozen=True, slots=True)
class _Planes:
    """What one polarity's candidates are measured on, each (height, width)."""

    bright: bool
    grey: Grey8
    squared: Floats
    background: Grey8
    hat: Grey8
    slope: Floats
    around: Floats


def _slope(film: Grey8) -> Floats:
    """Gradient in grey levels per pixel (Scharr 2000, doi:10.11588/heidok.00000962)."""
    across = cv2.Scharr(film, cv2.CV_32F, 1, 0, scale=1 / 32)
    return np.asarray(cv2.magnitude(across, cv2.Scharr(film, cv2.CV_32F, 0, 1, scale=1 / 32)))


def _layer(planes: _Planes, level: int) -> Layer | None:
    inside = cv2.threshold(planes.hat, level, 1, cv2.THRESH_BINARY)[1]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        inside, connectivity=8, ltype=cv2.CV_16U
    )
    length = stats[:, 2:4].max(1)
    fits = (length >= SMALLEST) & (length <= LARGEST * max(inside.shape))
    fits[0] = False
    if not fits.any():
        return None
    number = np.zeros(count, np.uint16)
    number[fits] = np.arange(1, fits.sum() + 1)
    zone = _Zone.of(np.asarray(number.take(labels)), len(stats[fits]))
    boxes = stats[fits, :4]
    features = _features(planes, zone, boxes, level)
    own = zone.own > 0
    return Layer(planes.bright, zone.pixels[own], zone.own[own] - 1, boxes, features)


@dataclass(frozen=True, slots=True)
class _Zone:
    """The pixels in and around a layer's candidates, flat; candidates count from 1, 0 is none."""

    count: int
    pixels: npt.NDArray[np.int64]  # places in the flattened film
    own: npt.NDArray[np.int64]  # candidate that a pixel lies in
    rim: npt.NDArray[np.int64]  # candidate whose outline a pixel belongs to
    beside: npt.NDArray[np.int64]  # candidate that a pixel lies 2 or 3 pixels outside of

    @classmethod
    def of(cls, labels: Labels, count: int) -> "_Zone":
        """Collect them from labels (height, width)."""
        inside = (labels > 0).view(np.uint8)
        three = np.ones((3, 3), np.uint8)
        far = cv2.dilate(labels, np.ones((7, 7), np.uint8))
        pixels = np.flatnonzero(far > 0)
        own = labels.take(pixels).astype(np.int64)
        core = cv2.erode(inside, three, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        near = cv2.dilate(inside, three).take(pixels)
        rim = np.where(core.take(pixels) > 0, 0, own)
        beside = np.where(near > 0, 0, far.take(pixels).astype(np.int64))
        return cls(count, pixels, own, rim, beside)

    def means(
        self, part: npt.NDArray[np.int64], *planes: npt.NDArray[np.generic]
    ) -> list[npt.NDArray[np.float64]]:
        """(candidate,) number of the part's pixels, then the mean of each plane over them."""
        chosen = part > 0
        label, at = part[chosen] - 1, self.pixels[chosen]
        number = np.bincount(label, minlength=self.count).astype(np.float64)
        full = np.maximum(number, 1)
        return [number] + [
            np.bincount(label, plane.take(at), minlength=self.count) / full for plane in planes
        ]


def _features(planes: _Planes, zone: _Zone, boxes: npt.NDArray[np.int32], level: int) -> Floats:
    """(candidate, feature)."""
    height, width = planes.grey.shape
    left, top, wide, high = boxes.T
    area, hat, grey, background = zone.means(zone.own, planes.hat, planes.grey, planes.background)
    outline, slope, clutter = zone.means(zone.rim, planes.slope, planes.around)
    _, quiet, beside, power = zone.means(zone.beside, planes.slope, planes.grey, planes.squared)
    columns = (
        np.log(np.maximum(wide, high)),
        area / (wide * high),
        np.log(2 * area / np.maximum(outline, 1)),
        np.log1p(hat),
        np.log1p(slope),
        background / 255,
        np.log1p(clutter),
        (left == 0) | (top == 0) | (left + wide == width) | (top + high == height),
        np.full(zone.count, np.log(level)),
        np.log1p(quiet),
        np.log1p(np.sqrt(np.maximum(power - beside**2, 0))),
        np.log1p(np.maximum(grey - beside, 0)),
    )
    return np.stack(columns, 1).astype(np.float32)
