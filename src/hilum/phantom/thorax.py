"""The soft parts: chords in cm of body, lungs, heart, great vessels, air ways and abdomen."""

from dataclasses import dataclass

import numpy as np

from hilum.phantom.anatomy import BREADTH, SHOULDERS, Patient, Posture, cage, dome_levels
from hilum.phantom.solids import (
    Ellipsoid,
    Grid,
    Knots,
    Plane,
    capsule,
    curve,
    ellipsoid,
    stack,
    step_up,
)

APEX = -13.2  # v of the lung's apex
WALL = 3.0  # cm of chest wall, front and back together, that the thinnest person has
SULCUS = 5.5  # cm that the posterior lung reaches below the dome


@dataclass(frozen=True, slots=True)
class Thorax:
    """Chords (height, width) in cm, and the silhouette of the visible lungs."""

    body: Plane  # outline to outline, everything inside included
    lung: Plane  # aerated lung
    air: Plane  # trachea, bronchi, stomach: replaces soft tissue
    fat: Plane  # breasts and subcutaneous fat: replaces nothing, lies on the body
    fields: Plane  # 1 inside a lung field as a reader would outline it, else 0
    sides: Plane  # depth into the field: 0 at the mediastinum, 1 at the lateral wall


def build_thorax(grid: Grid, who: Patient, how: Posture) -> Thorax:
    """The soft parts of one person in one posture."""
    cavity, across = _cavity(grid, who)
    above = _above_diaphragm(grid, who, how)
    heart = _heart(grid, who, how)
    great = _great_vessels(grid, who, how)
    # heart and liver both lie in front of the lung that is left: the larger one counts
    middle = np.hypot(heart, 0.75 * great)
    lung = cavity - np.maximum.reduce([cavity * (1 - above), middle, great])
    lung = np.maximum(lung, 0)
    outline = (cavity > 0.6) & (above > 0.97) & (heart < 2.2) & (great < 3.0)
    return Thorax(
        body=np.maximum(_body(grid, who, how), lung + WALL * step_up(lung, 0.0, 1.5)),
        lung=lung,
        air=_airways(grid, how) + _stomach(grid, who, how),
        fat=_breasts(grid, who) + _muscles(grid, who),
        fields=outline.astype(np.float32),
        sides=across,
    )


def _body(grid: Grid, who: Patient, how: Posture) -> Plane:
    fat = who.habitus
    v = grid.v
    torso_depth = curve(
        ((-14, 0.01), (-12, 7), (-9, 14), (-6, 17.5), (0, 20.5), (10, 21.5), (23, 21)), v
    )
    torso = stack(
        grid, np.zeros_like(v), curve(BREADTH, v) * who.chest + 1.1 * fat, torso_depth + 3.2 * fat
    )
    upper_depth = curve(
        ((-23, 12), (-17, 12), (-12, 14.0), (-8, 13), (-3, 9), (1, 4), (4, 0.01)), v
    )
    upper = stack(grid, np.zeros_like(v), curve(SHOULDERS, v) + 0.8 * fat, upper_depth + 1.5 * fat)
    body = _blend(_square(torso, torso_depth + 3.2 * fat), upper)
    for side in (-1, 1):
        shoulder = np.array([side * (19.6 + 0.3 * how.arms), -8.0])
        elbow = np.array([side * (23.6 + 0.8 * how.arms), 22.0])
        arm = capsule(grid, shoulder, elbow, (4.2 + 0.7 * fat, 3.4 + 0.7 * fat))
        body = np.maximum(body, arm)
    return np.asarray(body, np.float32)


def _blend(first: Plane, second: Plane) -> Plane:
    # a maximum without a crease
    return np.sqrt(np.sqrt(np.square(np.square(first)) + np.square(np.square(second))))


def _square(chord: Plane, depth: Plane) -> Plane:
    # an ellipse pressed flat in front and behind: fuller towards the sides
    ratio = chord / depth
    return depth * np.sqrt(ratio * (2 - ratio))


def _cavity(grid: Grid, who: Patient) -> tuple[Plane, Plane]:
    lateral = cage(who, grid.v)
    ridge = curve(((APEX, 4.4), (-11, 4.6), (-7, 4.4), (0, 3.5)), grid.v)
    medial = curve(((APEX, 4.0), (-12.2, 2.6), (-10, 1.6), (-6, 0.4), (-2, -3.0)), grid.v)
    depth = curve(((APEX, 0.0), (-12.6, 3.2), (-10, 8.2), (-6, 13.0), (0, 16.5), (8, 17)), grid.v)
    distance = np.abs(grid.u)
    outer = (distance - ridge) / np.maximum(lateral - ridge, 0.2)
    inner = np.maximum(ridge - distance, 0) / (ridge - medial)
    ratio = np.maximum(outer, inner * inner)
    flat = np.maximum(1 - ratio * ratio, 0)
    chord = depth * np.sqrt(flat) * (grid.v > APEX) * (ratio < 1)
    across = np.clip((distance - 3) / np.maximum(lateral - 3, 1), 0, 1)
    return np.asarray(chord, np.float32), np.asarray(across, np.float32)


def _dome(u: Plane, level: float, side: int, reach: float) -> Plane:
    # the crest lies at 6.4 cm; steep towards the rib cage, shallow towards the heart
    outward = side * u - 6.4
    lateral = 0.5 * np.square(np.maximum(outward, 0) / 4) + 1.6 * np.power(
        np.clip(outward / (reach - 6.4), 0, 1), 6
    )
    return level + lateral + 1.3 * np.square(np.minimum(outward, 0) / 6.4)


def _above_diaphragm(grid: Grid, who: Patient, how: Posture) -> Plane:
    right, left = dome_levels(who, how)
    reach = 14.3 * who.chest
    towards = step_up(grid.u, -3.0, 3.0)
    level = _dome(grid.u, right, -1, reach) * (1 - towards)
    level = level + _dome(grid.u, left, 1, reach) * towards
    depth = SULCUS * (0.35 + 0.65 * step_up(np.abs(grid.u), 3.0, 9.0))
    below = np.clip((grid.v - level) / depth, 0, 1)
    return 1 - np.sqrt(below)


def _heart(grid: Grid, who: Patient, how: Posture) -> Plane:
    size, right_dome = who.heart, dome_levels(who, how)[0]
    wide = size * (1 + 0.12 * (1 - how.inspiration))
    turn = 1.2 * how.rotation
    low = right_dome - 8.2
    solids = (
        Ellipsoid((2.9 + turn, 5.3 + low), (6.6 * wide, 4.5 * wide), 11.5, who.heart_tilt),
        Ellipsoid((-0.5 + turn, 4.8 + low), (3.3 * wide, 5.4 * size), 11.0, -4.0),
        Ellipsoid((1.9 + turn, 0.2 + 0.5 * low), (2.6 * wide, 5.2), 10.5, -20.0),
        Ellipsoid((2.2 + turn, 8.6 + low), (6.0 * wide, 2.6), 10.0, 8.0),
    )
    total = np.zeros(grid.shape, np.float32)
    for solid in solids:
        total += np.square(np.square(ellipsoid(grid, solid)))
    return np.sqrt(np.sqrt(total))


def _great_vessels(grid: Grid, who: Patient, how: Posture) -> Plane:
    v, turn, bow = grid.v, 0.8 * how.rotation, who.unfolding
    middle = 0.15 + _swing(who, v) + turn
    half = curve(((-23, 3.4), (-13, 3.1), (-10, 2.7), (-5, 2.5), (0, 2.3), (23, 2.4)), v)
    column = stack(grid, middle, half, curve(((-14, 6), (-8, 9), (-2, 12), (8, 12)), v))
    cava = stack(
        grid,
        np.full_like(v, -1.35 + turn),
        curve(((-11, 1.1), (-5, 1.25 + 0.5 * bow), (0, 1.4 + 0.6 * bow), (3, 1.2)), v),
        curve(((-12, 0.0), (-10, 5.5), (2, 6), (4, 0.0)), v),
    )
    down: Knots = ((-6.2, 2.2 + 0.5 * bow), (0, 2.1 + 0.9 * bow), (6, 1.4 + 0.7 * bow), (12, 0.5))
    aorta = stack(
        grid,
        curve(down, v) + 0.5 * turn,
        np.full_like(v, 1.15 + 0.2 * bow),
        curve(((-7, 0.0), (-5.8, 4.0), (14, 4.0), (15, 0.0)), v),
    )
    knob = ellipsoid(
        grid,
        Ellipsoid((1.95 + 0.5 * bow + turn, -5.6), (who.knob, who.knob * 1.1), 7.5),
    )
    return np.maximum.reduce([column, cava, aorta, knob])


def _swing(who: Patient, v: Plane) -> Plane:
    return np.float32(who.scoliosis) * np.sin(v / 7.0)


def _airways(grid: Grid, how: Posture) -> Plane:
    turn = 0.9 * how.rotation
    bend = curve(((-23, 0.0), (-9, -0.1), (-4, -0.45)), grid.v) + turn
    depth = curve(((-23, 2.5), (-5.2, 2.5), (-4.2, 1.7), (-3.6, 0.0)), grid.v)
    trachea = stack(grid, bend, np.full_like(grid.v, 0.88), depth)
    carina = np.array([-0.35 + turn, -4.3])
    right = capsule(grid, carina, np.array([-3.3 + turn, -1.4]), (0.75, 0.55))
    left = capsule(grid, carina, np.array([4.0 + turn, -1.7]), (0.7, 0.5))
    return np.maximum(trachea, 0.5 * np.maximum(right, left))


def _stomach(grid: Grid, who: Patient, how: Posture) -> Plane:
    left = dome_levels(who, how)[1]
    level = left + 0.9 + who.bubble * 0.7
    gas = ellipsoid(
        grid, Ellipsoid((6.6, level), (who.bubble * 1.35, who.bubble), 2.2 + who.bubble)
    )
    return gas * step_up(grid.v, level + 0.55 * who.bubble + 0.15, level + 0.55 * who.bubble)


def _breasts(grid: Grid, who: Patient) -> Plane:
    total = np.zeros(grid.shape, np.float32)
    if who.breast <= 0:
        return total
    wide = 4.6 + 0.55 * who.breast
    for side in (-1, 1):
        at = (side * who.breast_at[0], who.breast_at[1])
        cup = ellipsoid(grid, Ellipsoid(at, (wide, wide * 0.92), who.breast))
        total += cup * step_up(grid.v, at[1] - wide, at[1] + 0.2 * wide)
    return total


def _muscles(grid: Grid, who: Patient) -> Plane:
    strength = 1.2 if who.sex == "M" else 0.5
    total = np.zeros(grid.shape, np.float32)
    for side in (-1, 1):
        total += ellipsoid(grid, Ellipsoid((side * 10.5, -4.2), (6.5, 4.2), strength, -35.0 * side))
    return total
