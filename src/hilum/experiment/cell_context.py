"""What all folds of a cell share: recipe, images, and the frozen backbone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hilum.augment.sample import AugmentationRanges
from hilum.experiment import cell_network
from hilum.experiment.cell_network import CompiledNetwork
from hilum.experiment.context import preprocessing_of
from hilum.experiment.shared_pass import SharedPass
from hilum.models.backbones import Backbone, Pool
from hilum.models.runtime.base import Runtime
from hilum.preprocess import Pipeline
from hilum.progress import Progress
from hilum.recipes import AugmentPlan, Recipe
from hilum.types import Labels, Manifest, Pixels


@dataclass(frozen=True, slots=True)
class CellContext:
    """One cell's images and frozen backbone; rows follow the manifest."""

    recipe: Recipe
    classes: list[str]
    manifest: Manifest
    pixels: Pixels
    pipeline: Pipeline
    backbone: Backbone
    normalise: str
    runtime: Runtime
    progress: Progress
    labels: Labels = field(repr=False)  # (image,)
    before: "CellContext | None" = None  # the same without the synthetic images appended last
    shared: SharedPass | None = None  # with networks of other pools
    ray: Path | None = None  # where workers of Ray Train compute replicas: a folder for its files

    @property
    def network(self) -> CompiledNetwork:
        """Backbone and runtime."""
        return CompiledNetwork(self.backbone, self.runtime)


@dataclass(frozen=True, slots=True)
class CellData:
    """A cell's images: their manifest, prepared pixels in its order, and the classes to learn."""

    classes: list[str]
    manifest: Manifest
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class FoldKey:
    """A cell, one of its folds, and the seed."""

    cell: str
    seed: int
    fold: int


def set_up(
    recipe: Recipe,
    dataset: CellData,
    progress: Progress,
    source: Path | None = None,
    pools: Sequence[Pool] = (),
    ray: Path | None = None,
) -> CellContext:
    """Read the cell's network, or that of a source task's folder, and compile it.

    Cells and folds that are trained one after another in a process share one network; where
    others ask for other `pools` of it, a pass over the images serves them all.
    """
    pipeline, normalise = preprocessing_of(recipe), cell_network.normalisation(recipe)
    several = dict.fromkeys((cell_network.pools_of(recipe.model)[0], *pools))
    networks = {pool: cell_network.compiled(recipe, pool, pipeline, source) for pool in several}
    own = networks[cell_network.pools_of(recipe.model)[0]]
    shared = SharedPass((*networks.values(),), normalise, pipeline) if len(networks) > 1 else None
    names = dataset.classes
    labels = np.array([names.index(name) for name in dataset.manifest.table["label"]], np.int64)
    return CellContext(
        recipe, names, dataset.manifest, dataset.pixels, pipeline, own.backbone, normalise,
        own.runtime, progress, labels, shared=shared, ray=ray,
    )  # fmt: skip


def ranges(plan: AugmentPlan) -> AugmentationRanges:
    """The recipe's augmentation as plain ranges."""
    return AugmentationRanges(**plan.model_dump(exclude={"views"}))
