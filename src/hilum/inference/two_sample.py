"""Do points come from a mixture of groups that are known? A two-sample test that allows any shares.

The distance between the points and the nearest mixture of the groups is a maximum mean discrepancy
(Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html). How large it is by chance is
found by drawing the same number of known points from that mixture, whole patients at a time, and
comparing them with the rest. So neither the shares of sources and classes nor several images of a
patient raise an alarm.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.types import Floats, HilumError

Array: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
DRAWS = 399  # of the null distribution: p is at least 1 / 400
SCALES = (0.5, 1.0, 2.0)  # of the median distance, averaged: no bandwidth suits every difference
STEPS = 100  # of the search for the nearest mixture
MOST_DRAWN = 0.5  # share of a group that a draw may take, so that the rest can be compared with
NEGLIGIBLE = 1e-3  # share of a group that counts as none
MOST_ASKED = 1 << 14  # points that are looked at: drawn from more, they tell the shares as well
PIECE = 512  # points whose kernels with the known ones are in memory at a time


@dataclass(frozen=True, slots=True)
class Known:
    """Points of known groups; what is computed of them once."""

    points: Array  # (point, component)
    group: Indices  # (point,)
    patient: Indices  # (point,) points of one number are drawn together
    kernel: Array  # (point, point)
    middle: float  # median distance between two points

    @classmethod
    def of(cls, points: Floats, group: Indices, patient: Indices) -> "Known":
        """HilumError for fewer than two points or a group without one."""
        if len(points) < 2 or set(group.tolist()) != set(range(int(group.max(initial=0)) + 1)):
            raise HilumError(
                f"known points need two or more, and one in each group; got {len(points)} in "
                f"groups {sorted(set(group.tolist()))}; number the groups from 0."
            )
        table = np.asarray(points, np.float64)
        squared = squared_distances(table, table)
        middle = float(np.sqrt(np.median(squared[np.triu_indices(len(table), 1)])))
        return cls(table, group, patient, kernel_of(squared, middle or 1.0), middle or 1.0)

    @property
    def members(self) -> Array:
        """(point, group) 1 where a point is in a group, else 0."""
        return np.eye(int(self.group.max()) + 1)[self.group]


@dataclass(frozen=True, slots=True)
class Apart:
    """The outcome: distance to the nearest mixture, its shares, and p by chance."""

    used: int  # points that were compared
    distance: float  # squared maximum mean discrepancy
    shares: Array  # (group,) of the nearest mixture
    p: float


def squared_distances(first: Array, second: Array) -> Array:
    """(a, component), (b, component) -> squared Euclidean distances (a, b)."""
    lengths = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :]
    return np.maximum(lengths - 2 * first @ second.T, 0.0)


def kernel_of(squared: Array, middle: float) -> Array:
    """The mean of Gaussian kernels of several widths around the median distance.

    Gretton et al. 2012, section 8.
    """
    rows = [np.exp(-squared / (2 * (scale * middle) ** 2)) for scale in SCALES]
    return np.asarray(np.mean(rows, axis=0))


def nearest_mixture(inner: Array, cross: Array) -> Array:
    """The shares w (..., group) on the simplex that minimise w C w - 2 a w.

    `inner` C (..., group, group) are mean kernels between groups, `cross` a (..., group) those
    between the points and each group. Accelerated projected gradient: Beck & Teboulle 2009,
    doi:10.1137/080716542.
    """
    groups = cross.shape[-1]
    step = 1 / np.linalg.eigvalsh(inner)[..., -1:]
    shares = np.full(cross.shape, 1 / groups)
    ahead, pace = shares, 1.0
    for _ in range(STEPS):
        slope = np.einsum("...gh,...h->...g", inner, ahead) - cross
        moved = on_simplex(ahead - step * slope)
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = moved + (pace - 1) / faster * (moved - shares)
        shares, pace = moved, faster
    return shares


def on_simplex(values: Array) -> Array:
    """(..., group) -> the nearest shares: none below 0, of sum 1.

    Duchi et al. 2008, doi:10.1145/1390156.1390191.
    """
    groups = values.shape[-1]
    falling = -np.sort(-values, axis=-1)
    excess = (np.cumsum(falling, axis=-1) - 1) / np.arange(1, groups + 1)
    kept = (falling > excess).sum(axis=-1, keepdims=True)
    return np.maximum(values - np.take_along_axis(excess, kept - 1, axis=-1), 0.0)


def discrepancy(batch: Array | float, inner: Array, cross: Array) -> tuple[Array, Array]:
    """Squared distance (...) to the nearest mixture, and its shares (..., group).

    `batch` is the mean kernel inside the points; Gretton et al. 2012, equation 5.
    """
    shares = nearest_mixture(inner, cross)
    within = np.einsum("...g,...gh,...h->...", shares, inner, shares)
    return batch - 2 * (shares * cross).sum(-1) + within, shares


def measure_apart(known: Known, points: Floats, seed: int = 0) -> Apart:
    """Whether `points` (point, component) come from a mixture of the known groups, any shares.

    Where the nearest mixture has too few known points to draw as many from, fewer are compared; of
    more than MOST_ASKED points, so many are drawn.
    Raises HilumError for fewer than two points.
    """
    if len(points) < 2:
        raise HilumError(
            f"a two-sample test needs two points or more; got {len(points)}; add some."
        )
    random = np.random.default_rng(seed)
    drawn = random.permutation(len(points))[:MOST_ASKED]
    shuffled, sums = np.asarray(points[drawn], np.float64), known.kernel @ known.members
    shares = nearest_mixture(*_means(known, sums, shuffled))
    used = shuffled[: most_comparable(known, shares)]
    distance, shares = _distance(known, sums, used)
    null = null_distances(known, shares, len(used), random)
    p = (1 + int((null >= distance).sum())) / (1 + len(null))
    return Apart(len(used), float(distance), shares, p)


def most_comparable(known: Known, shares: Array) -> int:
    """How many points can be drawn from a mixture, with as many left of each group."""
    counts = known.members.sum(0)
    there = shares > NEGLIGIBLE
    return max(2, int((MOST_DRAWN * counts[there] / shares[there]).min()))


def _distance(known: Known, sums: Array, points: Array) -> tuple[Array, Array]:
    """`sums` (point, group) of the known points' kernel."""
    batch = kernel_of(squared_distances(points, points), known.middle).mean()
    return discrepancy(float(batch), *_means(known, sums, points))


def _means(known: Known, sums: Array, points: Array) -> tuple[Array, Array]:
    """Mean kernels (group, group) between known groups, and (group,) of these with the points."""
    members = known.members
    counts = members.sum(0)
    pieces = [points[start : start + PIECE] for start in range(0, len(points), PIECE)]
    kernels = (
        kernel_of(squared_distances(piece, known.points), known.middle) @ members
        for piece in pieces
    )
    return members.T @ sums / np.outer(counts, counts), np.concatenate([*kernels]).mean(0) / counts


def null_distances(known: Known, shares: Array, size: int, random: np.random.Generator) -> Array:
    """Distances (draw,) of `size` known points, drawn in these shares, from all the others."""
    members, sums = known.members, known.kernel @ known.members
    counts, whole = members.sum(0), known.members.T @ sums
    batches, inners, crosses = [], [], []
    wanted, groups = _rounded(shares, size), _by_group(known)
    for _ in range(DRAWS):
        drawn = _draw(groups, wanted, random)
        ours, block = members[drawn], known.kernel[np.ix_(drawn, drawn)]
        inside = ours.T @ block @ ours
        left = np.maximum(counts - ours.sum(0), 1)
        away = ours.T @ sums[drawn]
        batches.append(block.mean())
        inners.append((whole - away - away.T + inside) / np.outer(left, left))
        crosses.append((sums[drawn] - block @ ours).mean(0) / left)
    distances, _ = discrepancy(np.array(batches), np.array(inners), np.array(crosses))
    return distances


def _rounded(shares: Array, size: int) -> Indices:
    """(group,) -> whole numbers of sum `size`, by the largest remainders."""
    exact = shares / shares.sum() * size
    whole = np.floor(exact).astype(np.int64)
    most = np.argsort(whole - exact, kind="stable")[: size - whole.sum()]
    whole[most] += 1
    return whole


def _by_group(known: Known) -> list[tuple[Indices, Indices, int]]:
    """Of each group its points' positions, the number of each one's patient, and of patients."""
    rows = [np.flatnonzero(known.group == number) for number in range(known.members.shape[1])]
    patients = [np.unique(known.patient[at], return_inverse=True) for at in rows]
    return [
        (at, place.astype(np.int64), len(names))
        for at, (names, place) in zip(rows, patients, strict=True)
    ]


def _draw(
    groups: list[tuple[Indices, Indices, int]], wanted: Indices, random: np.random.Generator
) -> Indices:
    """Positions of known points, so many of each group; patients whole but for the last."""
    chosen = []
    for (rows, patient, patients), count in zip(groups, wanted.tolist(), strict=True):
        if count:
            order = random.permutation(patients)[patient]
            chosen.append(rows[np.argsort(order, kind="stable")][:count])
    return np.concatenate(chosen)
