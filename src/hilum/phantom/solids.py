"""The drawing board of the phantom: a plane in body centimetres, and the chords of simple solids.

A chord is the length in cm that a ray from front to back travels inside a solid: what
Beer-Lambert needs. u grows towards the patient's left (the viewer's right), v downwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.float32]  # (height, width)
Points: TypeAlias = npt.NDArray[np.float64]  # (..., point, 2): u, v in cm
Knots: TypeAlias = Sequence[tuple[float, float]]

HALF_WIDTH = 24.0  # cm that the board reaches to either side of the midline
HALF_HEIGHT = 23.0
SUBPIXEL = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True, slots=True)
class Grid:
    """Pixel centres of the board in cm: u (1, width), v (height, 1), and pixels per cm."""

    pitch: float
    u: Plane
    v: Plane

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.v.shape[0], self.u.shape[1]

    def pixels(self, points: Points) -> Points:
        """Points (point, 2) in cm as pixel coordinates (x, y)."""
        return (points - (float(self.u[0, 0]), float(self.v[0, 0]))) * self.pitch

    def window(self, centre: tuple[float, float], reach: float) -> tuple[slice, slice]:
        """Rows and columns within `reach` cm of a centre."""
        column, row = self.pixels(np.array([centre]))[0]
        span = reach * self.pitch + 1
        rows = slice(max(int(row - span), 0), max(int(row + span) + 1, 0))
        return rows, slice(max(int(column - span), 0), max(int(column + span) + 1, 0))


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """A solid: centre and semi-axes (cm), tilt of the first axis in the film's plane (degrees)."""

    centre: tuple[float, float]
    axes: tuple[float, float]
    depth: float  # full length along the ray through the centre, cm
    tilt: float = 0.0


def board(pitch: float) -> Grid:
    """An empty board at `pitch` pixels per cm."""
    u = np.arange(-HALF_WIDTH, HALF_WIDTH, 1 / pitch, dtype=np.float32)
    v = np.arange(-HALF_HEIGHT, HALF_HEIGHT, 1 / pitch, dtype=np.float32)
    return Grid(pitch, u[None, :], v[:, None])


def curve(knots: Knots, at: npt.ArrayLike) -> Plane:
    """Smooth, monotone between its knots, constant beyond them.

    Fritsch & Carlson 1980, doi:10.1137/0717021.
    """
    pieces = _pieces(tuple(knots))
    x, step = pieces.x, pieces.step
    place = np.minimum(np.maximum(np.asarray(at, float), x[0]), x[-1])
    left = np.minimum(np.searchsorted(x[1:], place, side="right"), len(step) - 1)
    t = (place - x[left]) / step[left]
    cubic = pieces.lean[left] + t * pieces.bend[left]
    values = pieces.y[left] + t * (pieces.rise[left] + t * cubic)
    return np.asarray(values, np.float32)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A curve between its knots: y + t (rise + t (lean + t bend)), t from 0 to 1 in each step."""

    x: npt.NDArray[np.float64]  # (knot,), as y; the others (piece,)
    y: npt.NDArray[np.float64]
    step: npt.NDArray[np.float64]
    rise: npt.NDArray[np.float64]
    lean: npt.NDArray[np.float64]
    bend: npt.NDArray[np.float64]


@lru_cache(maxsize=256)
def _pieces(knots: tuple[tuple[float, float], ...]) -> _Pieces:
    # most curves are the same for everybody
    x, y = np.array(knots, float).T
    step, slope = np.diff(x), np.diff(y) / np.diff(x)
    tangent = _tangents(step, slope)
    bend = (tangent[:-1] + tangent[1:] - 2 * slope) * step
    lean = slope * step - tangent[:-1] * step - bend
    return _Pieces(x, y, step, tangent[:-1] * step, lean, bend)


def _tangents(
    step: npt.NDArray[np.float64], slope: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    # weighted harmonic means inside, flat at local extremes, one-sided at both ends
    ahead, behind = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    same = slope[:-1] * slope[1:] > 0
    a, b = np.where(same, slope[:-1], 1.0), np.where(same, slope[1:], 1.0)
    inside = np.where(same, (ahead + behind) / (ahead / a + behind / b), 0.0)
    return np.concatenate([slope[:1], inside, slope[-1:]])


def stack(grid: Grid, centre: Plane, half_width: Plane, depth: Plane) -> Plane:
    """Chord of axial slices that are ellipses: each (height, 1) argument is a function of v."""
    ratio = (grid.u - centre) / np.maximum(half_width, 1e-3)
    return depth * np.sqrt(np.maximum(1 - ratio * ratio, 0))


def ellipsoid(grid: Grid, solid: Ellipsoid) -> Plane:
    """Chord (height, width) of an ellipsoid, cm."""
    plane = np.zeros(grid.shape, np.float32)
    rows, columns = grid.window(solid.centre, max(solid.axes))
    du, dv = grid.u[:, columns] - solid.centre[0], grid.v[rows] - solid.centre[1]
    cos, sin = np.cos(np.radians(solid.tilt)), np.sin(np.radians(solid.tilt))
    along = (du * cos + dv * sin) / solid.axes[0]
    across = (dv * cos - du * sin) / solid.axes[1]
    inside = np.maximum(1 - along * along - across * across, 0)
    plane[rows, columns] = solid.depth * np.sqrt(inside)
    return plane


def capsule(grid: Grid, start: Points, end: Points, radii: tuple[float, float]) -> Plane:
    """Chord (height, width) of a straight tube from `start` to `end` with a tapering radius, cm."""
    plane = np.zeros(grid.shape, np.float32)
    middle = (start + end) / 2
    length = float(np.hypot(*(end - start)))
    rows, columns = grid.window((middle[0], middle[1]), length / 2 + max(radii))
    du, dv = grid.u[:, columns] - start[0], grid.v[rows] - start[1]
    step = (end - start) / length
    along = np.clip((du * step[0] + dv * step[1]) / length, 0, 1)
    radius = radii[0] + (radii[1] - radii[0]) * along
    aside = (du - along * length * step[0]) ** 2 + (dv - along * length * step[1]) ** 2
    plane[rows, columns] = 2 * np.sqrt(np.maximum(radius * radius - aside, 0))
    return plane


def fill(grid: Grid, polygons: Iterable[Points]) -> Plane:
    """Share of each pixel (height, width) that the union of the polygons covers, 0 to 1."""
    canvas = np.zeros(grid.shape, np.uint8)
    for polygon in polygons:
        corners = np.rint(grid.pixels(polygon) * (1 << SUBPIXEL)).astype(np.int32)
        cv2.fillPoly(canvas, [corners], (255,), cv2.LINE_AA, SUBPIXEL)
    return canvas.astype(np.float32) / np.float32(255)


def strip(path: Points, width: npt.ArrayLike) -> Points:
    """Polygons around paths (..., point, 2) of the given full width (point,) or more, cm."""
    direction = np.empty_like(path)
    direction[..., 1:-1, :] = path[..., 2:, :] - path[..., :-2, :]
    direction[..., 0, :] = path[..., 1, :] - path[..., 0, :]
    direction[..., -1, :] = path[..., -1, :] - path[..., -2, :]
    length = np.maximum(np.hypot(direction[..., 0], direction[..., 1]), 1e-9)
    normal = direction[..., ::-1] * (-1.0, 1.0)
    offset = normal * (np.asarray(width) / (2 * length))[..., None]
    return np.concatenate([path + offset, (path - offset)[..., ::-1, :]], axis=-2)


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Plane:
    """Smooth noise (height, width), about zero mean and unit spread, `cells` bumps across."""
    rows = max(round(cells * shape[0] / shape[1]), 2)
    coarse = rng.standard_normal((rows, cells), np.float32)
    noise = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise, np.float32) * np.float32(1.35)  # interpolation shrinks the spread


def step_up(values: Plane, low: float, high: float) -> Plane:
    """Smooth step: 0 below `low`, 1 above `high` (either order of the two limits)."""
    ramp = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)
