"""One fold as a task: all that it needs in, its results out, both picklable.

It reads the store and writes its own folder, the features' cache and its source task; nothing else
depends on where it is carried out.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hilum.experiment import cell_context, checkpoints, fold, pool_choice, source_task
from hilum.experiment.cell_context import CellData, FoldKey
from hilum.experiment.checkpoints import FoldResult
from hilum.experiment.context import StoredPixels
from hilum.experiment.pool_choice import FoldImages
from hilum.experiment.source_task import SourceTask
from hilum.files import blas
from hilum.models.cards import Pool
from hilum.progress import Progress, silent
from hilum.recipes import Recipe
from hilum.types import HilumError, Manifest


@dataclass(frozen=True, slots=True)
class FoldTask:
    """A fold of a cell; `recipe` is the cell's own."""

    key: FoldKey
    recipe: Recipe
    classes: list[str]
    manifest: Manifest
    pixels: StoredPixels
    split: pd.DataFrame  # sample_id and part
    source: SourceTask | None
    work: Path
    rounds: "pd.Series[int] | None" = None  # inside training, where a pool is chosen
    pools: tuple[Pool, ...] = ()  # of all cells that use this one's network and images
    ray: Path | None = None  # see CellContext


def run_fold(task: FoldTask, progress: Progress = silent) -> FoldResult:
    """Train and test one fold, its source task first where needed, and keep it in its folder."""
    blas.take_buffers()  # a worker has its own
    source = source_task.fit_source_task(task.source, progress) if task.source else None
    data = CellData(task.classes, task.manifest, task.pixels.open())
    images = FoldImages(data, task.split, task.rounds)
    recipe, choice = pool_choice.choose_pool(task.recipe, images, task.key, progress, source)
    context = cell_context.set_up(recipe, data, progress, source, task.pools, task.ray)
    trained = fold.train_fold(context, task.split, task.key)
    if choice is not None:
        trained = fold.with_choice(trained, choice)
    return checkpoints.save_fold(task.work, trained)


def run_or_refuse(task: FoldTask, progress: Progress) -> FoldResult | HilumError:
    """As `run_fold`, with the error of a fold that cannot be trained as its result."""
    try:
        return run_fold(task, progress)
    except HilumError as error:
        return error
