"""Pulmonary vessels: a tree that branches and tapers from each hilum into the lung."""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hilum.phantom.anatomy import Patient
from hilum.phantom.solids import Grid, Plane, capsule

Segments: TypeAlias = npt.NDArray[np.float64]  # (segment, 5): u, v of both ends, radius, cm

STEP = 1.0  # cm that a branch grows at a time
STEPS = 15
SMALLEST = 0.05  # radius in cm below which a vessel is not drawn
MOST = 110  # branches that grow at the same time in one lung
CROWDING = 2.2  # an artery, its vein and its bronchial wall share one line on the film
FULL = 2.4  # cm of vessel that saturate the drawing


@dataclass(frozen=True, slots=True)
class Tips:
    """The growing ends of a tree: place (tip, 2), heading (tip,) in radians, radius (tip,)."""

    at: npt.NDArray[np.float64]
    heading: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float64]


def grow(who: Patient) -> Segments:
    """The vessels of both lungs of one person; the lower lobes carry more (upright posture)."""
    rng = np.random.default_rng([*who.seed, 12])
    return np.concatenate([_tree(rng, -1), _tree(rng, 1)])


def _tree(rng: np.random.Generator, side: int) -> Segments:
    tips, pieces = _roots(rng, side), []
    for _ in range(STEPS):
        tips = _branch(rng, tips)
        heading = tips.heading + rng.normal(0, 0.13, len(tips.radius))
        step = STEP * rng.uniform(0.8, 1.2, len(tips.radius))[:, None]
        ends = tips.at + step * np.stack([side * np.cos(heading), np.sin(heading)], axis=1)
        pieces.append(np.column_stack([tips.at, ends, tips.radius]))
        keep = (np.abs(side * ends[:, 0] - 8) < 6.5) & (np.abs(ends[:, 1]) < 13.5)
        keep &= tips.radius > SMALLEST
        tips = Tips(ends[keep], heading[keep], tips.radius[keep] * 0.95)
    return np.concatenate(pieces)


def _roots(rng: np.random.Generator, side: int) -> Tips:
    # arteries and veins leave the hilum as a fan, thicker downwards
    heading = np.radians([-78, -52, -28, -4, 18, 38, 55, 68, 80])
    heading = heading + rng.normal(0, 0.1, len(heading))
    radius = (0.44 + 0.14 * np.sin(heading)) * rng.uniform(0.7, 1.15, len(heading))
    hilum = np.array([side * 4.3, -0.6 if side < 0 else -1.4])
    spread = np.stack([side * 0.4 * np.cos(heading), 1.7 * np.sin(heading)], axis=1)
    return Tips(hilum + spread + rng.normal(0, 0.25, spread.shape), heading, radius)


def _branch(rng: np.random.Generator, tips: Tips) -> Tips:
    # a parent's cube is shared by its children: Murray 1926, doi:10.1073/pnas.12.3.207
    n = len(tips.radius)
    split = (rng.random(n) < 0.36) & (tips.radius > 1.3 * SMALLEST)
    split &= np.arange(n) < MOST - n
    share = rng.uniform(0.55, 0.85, n)
    side = rng.choice([-1.0, 1.0], n)
    angle = rng.uniform(0.25, 0.6, n)
    main = np.where(split, np.cbrt(share), 1.0)
    bent = tips.heading + np.where(split, -0.35 * side * angle, 0.0)
    young = Tips(
        tips.at[split],
        (tips.heading + side * angle)[split],
        (tips.radius * np.cbrt(1 - share))[split],
    )
    return Tips(
        np.concatenate([tips.at, young.at]),
        np.concatenate([bent, young.heading]),
        np.concatenate([tips.radius * main, young.radius]),
    )


def draw_vessels(grid: Grid, segments: Segments, swell: float = 1.0) -> Plane:
    """Chord (height, width) in cm through the vessels; where two cross, the thicker one's."""
    height, width = grid.shape
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    ordered = segments[np.argsort(segments[:, 4])]
    starts = np.rint(grid.pixels(ordered[:, :2]) * 32).astype(np.int32)  # doubled board, 4 bits
    ends = np.rint(grid.pixels(ordered[:, 2:4]) * 32).astype(np.int32)
    across = 2 * ordered[:, 4] * swell
    thickness = np.maximum(np.rint(across * grid.pitch * 2), 1).astype(int)
    # round tubes are pi/4 as thick on average as in the middle; thin ones fill part of a pixel
    level = CROWDING * across * across * np.pi / 4 * grid.pitch * 2 / thickness
    shade = np.clip(np.rint(level / FULL * 255), 1, 255)
    lines, looks = np.stack([starts, ends], axis=1), np.stack([thickness, shade], axis=1)
    changes = np.flatnonzero((looks[1:] != looks[:-1]).any(1)) + 1
    for alike, first in zip(np.split(lines, changes), [0, *changes.tolist()], strict=True):
        wide, grey = looks[first].tolist()
        cv2.polylines(
            canvas,
            list(alike),
            isClosed=False,
            color=(grey,),
            thickness=int(wide),
            lineType=cv2.LINE_AA,
            shift=4,
        )
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(FULL / 255)


TRUNKS = (  # start, end, radii in cm: interlobar and upper arteries, right then left
    ((-3.2, -1.4), (-5.5, 3.6), (1.0, 0.4)),
    ((-3.2, -1.2), (-4.9, -3.8), (0.85, 0.35)),
    ((2.8, -3.0), (5.0, -2.0), (1.2, 0.95)),
    ((4.9, -2.2), (6.2, 2.8), (0.95, 0.35)),
)


def hila(grid: Grid) -> Plane:
    """Chord (height, width) in cm through the large arteries at both hila."""
    total = np.zeros(grid.shape, np.float32)
    for start, end, radii in TRUNKS:
        total = np.maximum(total, capsule(grid, np.array(start), np.array(end), radii))
    return total
