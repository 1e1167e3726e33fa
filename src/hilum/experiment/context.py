"""Shared by all cells of a run: recipe, images, splits and folders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from hilum import preprocess
from hilum.data.prepared_dataset import PreparedDataset
from hilum.files.executors import Executor, SerialExecutor
from hilum.models import backbones
from hilum.preprocess import Pipeline
from hilum.preprocess.lungs import segmenter
from hilum.progress import Progress
from hilum.recipes import Recipe
from hilum.recipes.schema import PreparePlan
from hilum.types import HilumError, Pixels, Split


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Location of prepared pixels in the store, in place of the pixels in a task for a process."""

    path: Path
    shape: tuple[int, ...]  # (image, height, width)
    sample_ids: tuple[str, ...]
    digest: str

    @classmethod
    def of(cls, pixels: Pixels) -> Self:
        """Of pixels that are mapped from the store."""
        stack = pixels.stack
        assert isinstance(stack, np.memmap)  # noqa: S101 - what prepare_dataset gives
        assert stack.filename is not None  # noqa: S101
        return cls(Path(stack.filename), stack.shape, pixels.sample_ids, pixels.digest)

    def open(self) -> Pixels:
        """Map them again."""
        return Pixels(
            np.memmap(self.path, np.uint8, "r", shape=self.shape), self.sample_ids, self.digest
        )


@dataclass(frozen=True, slots=True)
class RunContext:
    """The recipe, its images and splits, and its folders."""

    recipe: Recipe
    classes: list[str]
    dataset: PreparedDataset
    splits: dict[int, Split]  # by seed
    root: Path | None  # of datasets as published
    out: Path
    work: Path  # of finished folds
    progress: Progress
    refused: Mapping[str, HilumError] = field(default_factory=dict)  # cells that cannot be run
    main_manifest: Path | None = None  # of a task: the main question's manifest
    executor: Executor = field(default_factory=SerialExecutor)  # of folds
    replicas_by_ray: bool = False  # whether the Ray that is connected trains parts of batches

    @property
    def shared_with_ray(self) -> Path | None:
        """A folder for the files of Ray's workers, where they train parts of batches."""
        return self.work if self.replicas_by_ray else None

    @property
    def first(self) -> Split:
        """The first seed's split, on which leaks are looked for and audits are made."""
        return self.splits[self.recipe.seeds[0]]


def preprocessing_of(recipe: Recipe) -> Pipeline:
    """The recipe's steps at its side, or at the side that the backbone was trained for."""
    return prepared(recipe.prepare, recipe.model.backbone)


def prepared(plan: PreparePlan, backbone: str) -> Pipeline:
    """The same for one backbone."""
    side = plan.side or backbones.backbone_card(backbone).side
    return preprocess.from_list(preprocess.with_side(plan.steps, side), segmenter.load_segmenter)
