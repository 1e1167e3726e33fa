"""How much each class counts: weights in the loss, or how often its images are drawn."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.types import HilumError, Labels


def class_weights(labels: Labels, classes: int) -> npt.NDArray[np.float64]:
    """(image,) class indices -> (class,) weights n / (classes * n_class).

    Equation 1 of Zhang & Liu (study 003); equals scikit-learn's "balanced". Raises HilumError for
    a class without images.
    King & Zeng 2001, doi:10.1093/oxfordjournals.pan.a004868.
    """
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        empty = [int(i) for i in np.flatnonzero(counts == 0)]
        raise HilumError(
            f"class weights need at least one training image per class; got none for class number "
            f"{empty}; add images or drop the class."
        )
    return len(labels) / (classes * counts)


def source_shares(labels: Labels, sources: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Class and source of each image (image,) -> its weight, so that every pair of them is one.

    n / (pairs * n_pair): the class weights above with (class, source) in the place of the class,
    the group-balanced loss of Idrissi et al. 2022 (arXiv:2110.14503, "RWG"). A source's rare class
    then counts as much as its common one, which leaves less to gain from knowing the source.
    """
    codes = pd.MultiIndex.from_arrays([labels, sources]).factorize()[0]
    return class_weights(codes, int(codes.max()) + 1)[codes]


def balanced_order(labels: Labels, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """(image,) class indices -> positions of one epoch, shuffled, every class equally often.

    The largest class comes once, without replacement. A smaller one is gone through as many whole
    times as fit, each in a new order, and then in part: all its images come equally often up to
    one. Which of them come once more changes with `random` from epoch to epoch. Raises HilumError
    where there is no image.
    """
    if len(labels) == 0:
        raise HilumError(
            f"balanced sampling needs training images; got {len(labels)}; "
            "add images or change the split."
        )
    most = int(np.bincount(labels).max())
    parts = [_draw(np.flatnonzero(labels == c), most, random) for c in np.unique(labels)]
    return random.permutation(np.concatenate(parts))


def numbered(names: Sequence[str]) -> list[str]:
    """The same names, repeats marked "#1", "#2" ..., so that augmentation draws afresh for each."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        out.append(f"{name}#{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return out


def _draw(
    rows: npt.NDArray[np.int64], images: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    rounds = -(-images // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(rounds)])[:images]
