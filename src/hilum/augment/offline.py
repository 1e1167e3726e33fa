"""Offline augmentation: copies that are made once, before training, each with its lineage."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.augment import sample
from hilum.augment.sample import AugmentationRanges
from hilum.types import HilumError, Stack8

Rows: TypeAlias = npt.NDArray[np.int64]  # (image,) indices

CHUNK = 256  # images copied at once, apart from the result


@dataclass(frozen=True, slots=True)
class OfflineConfig:
    """How copies differ, and how many images there shall be in all, originals included.

    Exactly one of `times` (each image becomes that many) and `target` (so many images in all).
    Study 004's 84 images become 420 with times=5, or 450 with target=450.
    """

    ranges: AugmentationRanges
    seed: int
    times: int = 0
    target: int = 0

    def __post_init__(self) -> None:
        if (self.times > 0) == (self.target > 0) or min(self.times, self.target) < 0:
            raise HilumError(
                "offline augmentation needs either times or target above zero; "
                f"got times = {self.times} and target = {self.target}; set one."
            )


@dataclass(frozen=True, slots=True)
class Offline:
    """New images (image, height, width), the originals' rows (image,), and how each was made.

    `parameters` has the new sample_id as its index and, before the parameters, the columns "parent"
    (sample_id) and "copy" (1, 2, ...).
    """

    stack: Stack8 = field(repr=False)
    parents: Rows
    parameters: pd.DataFrame

    @property
    def sample_ids(self) -> tuple[str, ...]:
        """The new images' names: the parent's with "#copy" and its number."""
        return tuple(self.parameters.index)


def augmented(stack: Stack8, sample_ids: Sequence[str], rows: Rows, plan: OfflineConfig) -> Offline:
    """New images made from `rows` of `stack` only: give training rows of the classes to enlarge.

    `sample_ids` (image,) name the stack's images. Each copy's parameters depend on the seed and its
    own name, not on which other images there are. Raises HilumError for no rows, and for a target
    that is smaller than what there is.
    """
    rows = np.unique(np.asarray(rows, np.int64))
    parents, copies = _schedule(rows, plan)
    origins = [sample_ids[row] for row in parents]
    names = [f"{name}#copy{copy}" for name, copy in zip(origins, copies, strict=True)]
    parameters = sample.sample(plan.ranges, names, plan.seed, 0)
    images = np.empty((len(parents), *stack.shape[1:]), np.uint8)
    for start in range(0, len(parents), CHUNK):
        part = slice(start, start + CHUNK)
        images[part] = sample.apply(np.asarray(stack[parents[part]]), parameters.iloc[part])
    parameters.insert(0, "parent", origins)
    parameters.insert(1, "copy", copies)
    return Offline(images, parents, parameters)


def _schedule(rows: Rows, plan: OfflineConfig) -> tuple[Rows, Rows]:
    """Parent row and copy number of each new image: whole rounds, then a drawn part of one."""
    if len(rows) == 0:
        raise HilumError(
            f"offline augmentation needs training images; got {len(rows)}; "
            "add images of that class or change the split."
        )
    count = (plan.target or plan.times * len(rows)) - len(rows)
    if count < 0:
        raise HilumError(
            f"offline augmentation only adds images; got a target of {plan.target} for the "
            f"{len(rows)} there are; raise the target."
        )
    rounds, rest = divmod(count, len(rows))
    more = np.sort(np.random.default_rng(plan.seed).choice(rows, rest, replace=False))
    numbers = np.repeat(np.arange(1, rounds + 2), [len(rows)] * rounds + [rest])
    return np.concatenate([np.tile(rows, rounds), more]), numbers
