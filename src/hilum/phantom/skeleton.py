"""Bone: cm of compact-bone equivalent along each ray, for ribs, spine, clavicles, shoulders."""

import cv2
import numpy as np

from hilum.phantom.anatomy import Patient, Posture, cage
from hilum.phantom.solids import Grid, Plane, Points, curve, fill, strip

RIBS = 11
FIRST_RIB, SPACING = -13.6, 2.28  # v of the first rib's neck, cm from rib to rib
DROPS = ((1, 3.4), (2, 5.8), (3, 7.8), (5, 9.8), (8, 10.2), (11, 8.8))  # rib, cm from neck to front
FRONT_ENDS = ((1, 0.66), (2, 0.72), (4, 0.77), (7, 0.70), (9, 0.62), (11, 0.5))  # share of the ring


def build_skeleton(grid: Grid, who: Patient, how: Posture) -> Plane:
    """Compact-bone equivalent (height, width), cm."""
    rng = np.random.default_rng([*who.seed, 11])
    total = _ribs(grid, who, how, rng)
    total += _spine(grid, who, how)
    total += _clavicles(grid, who, how)
    total += _shoulders(grid, how)
    return total * np.float32(who.bone)


def rib_paths(who: Patient, how: Posture, side: int, shares: Points) -> Points:
    """Centre lines (rib, point, 2) from the neck (share 0) by the flank (0.5) to the sternum (1).

    `shares` is (rib, point). A rib is half a ring in a plane that descends towards the front,
    and the film shows that ring from behind.
    """
    rib = np.arange(1, RIBS + 1)
    neck = FIRST_RIB + SPACING * (rib - 1)
    drop = curve(DROPS, rib) * who.rib_drop * (1.12 - 0.12 * how.inspiration)
    reach = cage(who, (neck + drop / 2).astype(np.float32)) + 0.35
    reach[0] = 6.3 * who.chest
    angle = np.pi * shares
    forward = (1 - np.cos(angle)) / 2
    out = 1.7 + (reach - 1.7)[:, None] * np.power(np.sin(angle), 0.9)
    rise = 0.5 * np.sin(2 * angle) * (angle < np.pi / 2)
    v = neck[:, None] + drop[:, None] * forward - rise
    return np.stack([side * out + how.rotation * forward, v], axis=-1)


def _ribs(grid: Grid, who: Patient, how: Posture, rng: np.random.Generator) -> Plane:
    total = np.zeros(grid.shape, np.float32)
    nudge = rng.normal(0, 0.12, (2, RIBS, 1))
    size = rng.normal(1.0, 0.06, (RIBS, 1))
    ends = curve(FRONT_ENDS, np.arange(1, RIBS + 1)).astype(float)
    for start, stop, wall, marrow in ((0.02, 0.5, 0.52, 0.22), (0.5, 1.0, 0.32, 0.12)):
        shares = np.linspace(start, np.minimum(stop, ends), 20, axis=1)
        width = size * (0.72 + 0.5 * np.abs(np.cos(np.pi * shares)))
        both = [rib_paths(who, how, side, shares) for side in (-1, 1)]
        paths = np.concatenate(both)
        paths[..., 1] += nudge.reshape(-1, 1)
        widths = np.concatenate([width, width])
        total += wall * fill(grid, strip(paths, widths))
        total -= marrow * fill(grid, strip(paths, 0.56 * widths))
    edge = np.abs(grid.u) / (cage(who, np.maximum(grid.v, -7)) + 0.35)
    return total * (1 + 0.7 * np.power(np.minimum(edge, 1.05), 10))


def _spine(grid: Grid, who: Patient, how: Posture) -> Plane:
    levels = np.arange(-20.6, 22.0, SPACING)
    wide = curve(((-20, 1.25), (-10, 1.45), (0, 1.6), (10, 1.9), (22, 2.3)), levels).astype(float)
    middle = who.scoliosis * np.sin(levels / 7.0) + 0.2 * how.rotation
    at = np.stack([middle, levels], axis=1)[:, None, :]
    scale = np.stack([wide, np.full_like(wide, SPACING * 0.41)], axis=1)[:, None, :]
    bodies = VERTEBRA * scale + at
    plates = strip(np.concatenate([bodies[:, [2, 3]], bodies[:, [0, 5]]]), 0.18)
    tips = strip(SPINOUS + at - (0.25 * how.rotation, 0.0), np.array([0.32, 0.5]))
    total = 0.5 * fill(grid, bodies) + 0.3 * fill(grid, plates) + 0.3 * fill(grid, tips)
    circle = np.linspace(0, 2 * np.pi, 12)[:-1]
    eye = np.stack([0.3 * np.cos(circle), 0.48 * np.sin(circle) - 0.15], axis=1)
    wings: list[Points] = []
    for side in (-1, 1):
        aside = np.stack([side * wide, np.zeros_like(wide)], axis=1)[:, None, :]
        wings += [*(eye + 0.66 * aside + at)]
        arm = np.array([[-0.2 * side, -0.3], [1.1 * side, -0.75]]) + aside + at
        wings += [*strip(arm, np.array([0.8, 0.55]))]
    return total + 0.18 * fill(grid, wings)


VERTEBRA = np.array([[-1, -1], [-0.86, 0], [-1, 1], [1, 1], [0.86, 0], [1, -1]], float)
SPINOUS = np.array([[0.0, 0.1], [0.0, 1.35]])


def _clavicles(grid: Grid, who: Patient, how: Posture) -> Plane:
    outer, inner = [], []
    for side in (-1, 1):
        share = np.linspace(0, 1, 24)
        u = side * (1.9 + 15.2 * share) + 0.9 * how.rotation * (1 - share)
        bend = 0.75 * np.sin(2 * np.pi * share) * (1 - 0.3 * share)
        v = -8.6 - who.lordosis * share + bend - 0.25 * how.arms * share
        width = curve(
            ((0, 1.5), (0.05, 1.95), (0.2, 1.4), (0.5, 1.05), (0.85, 1.25), (0.96, 1.5), (1, 0.7)),
            share,
        )
        path = np.stack([u, v], axis=1)
        outer.append(strip(path, width))
        inner.append(strip(path, width * 0.58))
    manubrium = np.array([[-2.6, -9.8], [2.6, -9.8], [1.8, -6.0], [-1.8, -6.0]])
    manubrium += (0.9 * how.rotation, 0.0)
    return 0.85 * fill(grid, outer) - 0.32 * fill(grid, inner) + 0.25 * fill(grid, [manubrium])


BLADE = np.array(
    [[11.2, -11.0], [11.7, -7.5], [12.6, -3.0], [13.6, 1.2], [14.3, 1.3], [15.0, -2.6],
     [16.5, -6.6], [17.3, -8.0], [17.2, -10.0], [14.5, -10.6]]
)  # fmt: skip
BORDER = np.array([[13.9, 1.0], [14.6, -2.4], [16.1, -6.4], [17.2, -7.8]])
SPINE = np.array([[11.7, -8.6], [14.5, -10.0], [17.4, -11.6], [19.6, -11.9]])
SOCKET = np.array([[17.4, -10.2], [17.15, -9.0], [17.45, -7.7]])
CORACOID = np.array([[15.6, -10.2], [16.4, -10.6], [17.2, -9.8]])


def _shoulders(grid: Grid, how: Posture) -> Plane:
    total = np.zeros(grid.shape, np.float32)
    out = np.array([1.1 + how.arms, 0.35 * how.arms])
    circle = np.linspace(0, 2 * np.pi, 40)[:-1]
    ring = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    for side in (-1, 1):
        mirror = np.array([side, 1.0])
        thick = [strip(BORDER, np.array([0.2, 0.5, 0.8, 1.1]))]
        thick.append(strip(SPINE, np.array([0.2, 0.7, 1.2, 0.9])))
        total += 0.3 * fill(grid, [(BLADE + out) * mirror])
        total += 0.7 * fill(grid, [(part + out) * mirror for part in thick])
        total += 0.4 * fill(
            grid,
            [(strip(part, np.full(len(part), 0.6)) + out) * mirror for part in (SOCKET, CORACOID)],
        )
        head = np.array([19.6, -8.7]) + out
        shaft = head + np.array([[0.7, 1.2], [1.6, 8.0], [3.4, 22.0]])
        ball = head + 2.25 * ring * (0.95, 1.05)
        total += 1.0 * fill(grid, [ball * mirror, strip(shaft, 2.3) * mirror])
        total -= 0.35 * fill(grid, [(head + 1.8 * ring) * mirror, strip(shaft, 1.35) * mirror])
    return np.asarray(cv2.GaussianBlur(total, (0, 0), 0.14 * grid.pitch))
