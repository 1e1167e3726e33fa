"""Opacities by class: which share of the aerated lung along each ray has filled up.

The patterns follow what readers describe: COVID-19 bilateral, peripheral, lower-zone ground
glass (Wong et al. 2020, doi:10.1148/radiol.2020201160); bacterial pneumonia one dense lobe or
segment with air bronchograms up to a fissure; viral pneumonia perihilar streaks and a fine net.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from hilum.phantom.anatomy import Patient, Posture, cage, dome_levels
from hilum.phantom.solids import Grid, Plane, clouds, step_up
from hilum.phantom.thorax import APEX, Thorax
from hilum.phantom.vessels import Segments, draw_vessels


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a pattern may look at; `severity` lies between 0 and 1."""

    grid: Grid
    thorax: Thorax
    who: Patient
    how: Posture
    vessels: Segments
    severity: float
    rng: np.random.Generator


@dataclass(frozen=True, slots=True)
class Lobe:
    """Where one lobe consolidates: centre and radii in cm, and the fissure that bounds it."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    fissure: float  # v where the fissure crosses the centre's u
    slope: float  # of the fissure, towards the flank
    above: bool  # the lobe lies above its fissure


LOBES = {
    "right upper": Lobe((-7.2, -4.6), (5.2, 5.4), -0.6, -0.06, above=True),
    "right middle": Lobe((-6.2, 3.0), (4.8, 4.2), -0.3, 0.05, above=False),
    "right lower": Lobe((-7.8, 5.4), (5.2, 4.8), 1.0, 0.25, above=False),
    "left upper": Lobe((7.4, -4.4), (4.8, 5.4), 0.6, -0.15, above=True),
    "left lower": Lobe((7.6, 5.4), (5.0, 5.0), 0.8, 0.22, above=False),
}
LOBE_CHANCES = (0.24, 0.16, 0.26, 0.12, 0.22)


def opacity(scene: Scene, label: str) -> Plane:
    """Share (height, width), 0 to 1, of the aerated lung along each ray that is filled."""
    pattern = PATTERNS[label]
    return np.clip(pattern(scene), 0, 0.97).astype(np.float32)


def _normal(scene: Scene) -> Plane:
    return np.zeros(scene.grid.shape, np.float32)


def _covid(scene: Scene) -> Plane:
    grid, rng, amount = scene.grid, scene.rng, scene.severity
    clear = np.ones(grid.shape, np.float32)
    for side in (-1, 1):
        for _ in range(1 + rng.binomial(4, 0.25 + 0.6 * amount)):
            clear *= 1 - _patch(scene, side) * rng.uniform(0.14, 0.3) * (0.3 + 0.9 * amount)
    ragged = 1 + 0.16 * clouds(rng, grid.shape, 24) + 0.09 * clouds(rng, grid.shape, 70)
    rind = 0.4 + 0.6 * step_up(scene.thorax.sides, 0.15, 0.75)
    return (1 - clear) * np.clip(ragged, 0.4, 1.6) * rind


def _patch(scene: Scene, side: int) -> Plane:
    grid, rng = scene.grid, scene.rng
    floor = dome_levels(scene.who, scene.how)[side > 0]
    v = APEX + (floor + 1.5 - APEX) * (1 - 0.62 * rng.beta(1.1, 2.0))
    wall = float(cage(scene.who, np.array(v, np.float32)))
    u = side * (wall - rng.uniform(0.6, 3.6))
    size = (2.0 + 1.8 * scene.severity) * rng.uniform(0.75, 1.25)
    flat = rng.uniform(0.8, 1.5)
    distance = np.square((grid.u - u) / size) + np.square((grid.v - v) / (size * flat))
    warp = 0.4 * clouds(rng, grid.shape, 13) + 0.12 * clouds(rng, grid.shape, 30)
    return step_up(distance + warp, 2.2, -0.5)


def _bacterial(scene: Scene) -> Plane:
    grid, rng, amount = scene.grid, scene.rng, scene.severity
    lobe = LOBES[list(LOBES)[int(rng.choice(len(LOBES), p=LOBE_CHANCES))]]
    size = (0.74 + 0.46 * amount) * rng.uniform(0.9, 1.1)
    at = np.array(lobe.centre) + rng.normal(0, 0.6, 2)
    distance = np.square((grid.u - at[0]) / (lobe.radii[0] * size))
    distance = distance + np.square((grid.v - at[1]) / (lobe.radii[1] * size))
    body = step_up(distance + 0.25 * clouds(rng, grid.shape, 14), 1.5, 0.3)
    fissure = lobe.fissure + lobe.slope * (np.abs(grid.u) - abs(lobe.centre[0]))
    beyond = np.asarray((grid.v - fissure) * (1 if lobe.above else -1), np.float32)
    body *= step_up(beyond, 0.3, -0.15)
    body *= np.where(grid.u * lobe.centre[0] > 0, np.float32(1), np.float32(0))
    bronchi = draw_vessels(grid, scene.vessels[scene.vessels[:, 4] > 0.13], 0.55)
    uneven = 1 + 0.12 * clouds(rng, grid.shape, 30)
    dense = (0.16 + 0.6 * amount) * rng.uniform(0.9, 1.1)
    return body * uneven * dense * np.clip(1 - 0.4 * bronchi, 0.55, 1)


def _viral(scene: Scene) -> Plane:
    grid, rng, amount = scene.grid, scene.rng, scene.severity
    hilar = np.exp(-(np.square((np.abs(grid.u) - 4.2) / 6.0) + np.square((grid.v - 0.8) / 7.5)))
    net = _net(rng, grid, 46) + 0.8 * _net(rng, grid, 84)
    cuffs = draw_vessels(grid, scene.vessels[scene.vessels[:, 4] > 0.06], 1.9)
    cuffs = cv2.GaussianBlur(cuffs, (0, 0), 0.16 * grid.pitch)
    streaks = cuffs / np.maximum(scene.thorax.lung, 4)
    uneven = np.clip(1 + 0.22 * clouds(rng, grid.shape, 9), 0.6, 1.5)
    haze = 0.11 * hilar + 0.02
    return (
        (0.3 + 1.05 * amount) * uneven * (haze + hilar * (0.11 * net + 1.4 * streaks) + 0.02 * net)
    )


def _net(rng: np.random.Generator, grid: Grid, cells: int) -> Plane:
    # thin bright lines where smooth noise changes sign: a mesh of thickened septa
    return np.maximum(1 - np.abs(clouds(rng, grid.shape, cells)) / 0.45, 0)


def _pneumonia(scene: Scene) -> Plane:
    return _bacterial(scene) if scene.rng.random() < 0.5 else _viral(scene)


PATTERNS: dict[str, Callable[[Scene], Plane]] = {
    "covid19": _covid,
    "normal": _normal,
    "pneumonia": _pneumonia,
    "bacterial_pneumonia": _bacterial,
    "viral_pneumonia": _viral,
}
