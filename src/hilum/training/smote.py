"""Synthetic minority over-sampling: new training rows on the lines between near neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.types import HilumError, Labels

Rows: TypeAlias = npt.NDArray[np.int64]  # (image,) indices
Values: TypeAlias = npt.NDArray[Any]  # (image, ...): pixels uint8 or float32, or features
Squares: TypeAlias = npt.NDArray[np.float64]

NEIGHBOURS = 5  # of Chawla et al.
QUERIES = 512  # images whose distances are held at once
NUMBERS = 1 << 19  # float64 values converted at once: 4 MB


@dataclass(frozen=True, slots=True)
class Draws:
    """What was drawn: pairs of parents (image, 2), how far along and which class (image,)."""

    parents: Rows
    lambdas: npt.NDArray[np.float64]
    labels: Labels


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Synthetic images (image, ...) of the originals' kind of number, and where they come from.

    Image i is `first + lambdas[i] * (second - first)` of `parents[i]`, indices into the originals.
    """

    rows: Values = field(repr=False)
    labels: Labels
    parents: Rows
    lambdas: npt.NDArray[np.float64]


def synthetic(
    features: Values,
    labels: Labels,
    seed: int,
    neighbours: int = NEIGHBOURS,
    rows: Rows | None = None,
) -> Synthetic:
    """Bring every class to the size of the largest; `features` (image, ...), `labels` (image,).

    Only `rows` (default: all) count and become parents: give the training rows. Equals
    imbalanced-learn's SMOTE for the same `random_state`, which starts again with the seed in every
    class. Pixels of uint8 are rounded to the nearest level. Grey pixels have the neighbours and
    lines of three equal channels, so a third of the published 150,528 numbers suffices. Next to the
    result it needs a few megabytes. Raises HilumError as `draw` does.

    Chawla, Bowyer, Hall & Kegelmeyer 2002, doi:10.1613/jair.953.
    """
    draws = draw_parents(features, labels, seed, neighbours, rows)
    return Synthetic(blend(features, draws), draws.labels, draws.parents, draws.lambdas)


def draw_parents(
    features: Values,
    labels: Labels,
    seed: int,
    neighbours: int = NEIGHBOURS,
    rows: Rows | None = None,
) -> Draws:
    """Parents and places on the line between them, class by class; nothing is made yet.

    A class of n images has n - 1 neighbours at most, fewer than asked for where it is that small.
    Raises HilumError for a single class and for a class of one image.
    Chawla et al. 2002, doi:10.1613/jair.953.
    """
    rows = np.arange(len(labels)) if rows is None else np.asarray(rows, np.int64)
    wanted = _shortfall(labels[rows], neighbours)
    parents = [np.empty((0, 2), np.int64)]
    lambdas = [np.empty(0)]
    for class_, missing in wanted.items():
        own = rows[labels[rows] == class_]
        near = nearest_neighbours(features, own, min(neighbours, len(own) - 1))
        random = np.random.RandomState(seed)  # the stream of imbalanced-learn
        first, which = np.divmod(random.randint(0, near.size, missing), near.shape[1])
        lambdas.append(random.uniform(size=missing))
        parents.append(np.column_stack([own[first], own[near[first, which]]]))
    classes = np.repeat(np.array(list(wanted), np.int64), list(wanted.values()))
    return Draws(np.concatenate(parents), np.concatenate(lambdas), classes)


def blend(features: Values, draws: Draws) -> Values:
    """(image, ...) on the line between each pair of parents, in the originals' kind of number."""
    integers = features.dtype.kind in "iu"
    out = np.empty((len(draws.parents), *features.shape[1:]), features.dtype)
    for i, (first, second) in enumerate(draws.parents):
        start, end = features[first], features[second]
        # unsigned differences would wrap
        step = end.astype(np.float64) - start if integers else end - start
        between = start + draws.lambdas[i] * step
        out[i] = np.rint(between) if integers else between
    return out


def nearest_neighbours(features: Values, rows: Rows, neighbours: int) -> Rows:
    """(row, neighbour) positions within `rows`, Euclidean, nearest first, never the row itself.

    The search goes block by block, so that wide features are never copied whole.
    """
    flat = features.reshape(len(features), -1)
    nearest = np.empty((len(rows), neighbours), np.int64)
    for start in range(0, len(rows), QUERIES):
        block = np.arange(start, min(start + QUERIES, len(rows)))
        squares = _squares(flat, rows, block)
        squares[np.arange(len(block)), block] = np.inf
        nearest[block] = squares.argsort(axis=1, kind="stable")[:, :neighbours]
    return nearest


def parents_table(images: Synthetic, sample_ids: Sequence[str]) -> pd.DataFrame:
    """One row per synthetic image: its own sample_id, its parents' ids, lambda and class number.

    `sample_ids` (image,) name the originals; the new name is the first parent's with a number.
    """
    first, second = ([sample_ids[row] for row in side] for side in images.parents.T)
    return pd.DataFrame(
        {
            "sample_id": [f"{name}#smote{i}" for i, name in enumerate(first)],
            "first": first,
            "second": second,
            "lambda": images.lambdas,
            "label": images.labels,
        }
    )


def _shortfall(labels: Labels, neighbours: int) -> dict[int, int]:
    """How many images each smaller class lacks, in the order of the class numbers."""
    if neighbours < 1:
        raise HilumError(
            f"SMOTE needs at least one neighbour; got neighbours = {neighbours}; 5 is usual."
        )
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise HilumError(
            "SMOTE balances two classes or more; got training images of the classes "
            f"{classes.tolist()} only; add the other classes or change train.balance."
        )
    wanted = {
        int(class_): int(counts.max() - count)
        for class_, count in zip(classes, counts, strict=True)
        if count < counts.max()
    }
    single = [int(c) for c, count in zip(classes, counts, strict=True) if count == 1]
    if wanted and single:
        raise HilumError(
            "SMOTE needs at least two training images per class; got one of class "
            f"number {single}; add images or change train.balance."
        )
    return wanted


def _squares(flat: Values, rows: Rows, block: Rows) -> Squares:
    """(query, row) squared distances from the rows at `block`, summed over stripes of columns."""
    gram = np.zeros((len(block), len(rows)))
    norms = np.zeros(len(rows))
    stripe = max(64, NUMBERS // len(rows))
    for left in range(0, flat.shape[1], stripe):
        part = flat[rows, left : left + stripe].astype(np.float64)
        gram += part[block] @ part.T
        norms += np.einsum("ij,ij->i", part, part)
    return norms[block, None] + norms - 2 * gram
