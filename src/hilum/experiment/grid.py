"""Every cell of the grid, fold by fold; the best one is chosen on validation data alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hilum import recipes
from hilum.data import prepared_dataset
from hilum.experiment import cell_context as benches
from hilum.experiment import checkpoints, fold, source_task
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.experiment.checkpoints import StoredFold
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.source_task import SourceTaskResult
from hilum.recipes import Recipe
from hilum.types import HilumError, LeftOut


@dataclass(frozen=True, slots=True)
class GridResult:
    """All cells' tables, the one that validation prefers, and the cells that came to nothing.

    Where no image validates, the first cell is in the place of the preferred one.
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    chosen: str
    failed: tuple[LeftOut, ...]
    sources: dict[str, SourceTaskResult]  # cell -> its source task, of the first seed


def run_grid(ground: RunContext) -> GridResult:
    """Run every cell that is not finished yet; one that fails does not stop the others.

    Raises the first cell's HilumError where none succeeds.
    """
    done: dict[str, list[StoredFold]] = {}
    sources: dict[str, SourceTaskResult] = {}
    failed: dict[str, HilumError] = dict(ground.refused)
    for name, plan in recipes.cells(ground.plan).items():
        if name in failed:
            continue
        try:
            if source_task.wanted(plan):
                sources[name] = source_task.train_source_task(ground, plan, ground.plan.seeds[0])
            done[name] = list(_cell(ground, name, plan, sources.get(name)))
        except HilumError as error:
            failed[name] = error
    if not done:
        raise next(iter(failed.values()))
    mean = {name: float(np.mean([fold.loss for fold in folds])) for name, folds in done.items()}
    folds = [fold for found in done.values() for fold in found]
    chosen = min(mean, key=lambda name: mean[name])  # the first, where all are nan
    return GridResult(
        pd.concat([fold.predictions for fold in folds], ignore_index=True),
        pd.concat([*_first(sources), *(fold.history for fold in folds)], ignore_index=True),
        chosen,
        tuple(LeftOut(name, str(error)) for name, error in failed.items()),
        sources,
    )


def _first(sources: dict[str, SourceTaskResult]) -> list[pd.DataFrame]:
    """The source tasks' histories, under their cells' names."""
    return [learnt.history.assign(cell=f"{cell}: source") for cell, learnt in sources.items()]


def _cell(
    ground: RunContext, name: str, plan: Recipe, first: SourceTaskResult | None
) -> Iterator[StoredFold]:
    """Every fold of every seed; the network is only loaded when a fold is left to run.

    `first` is the source task's outcome of the first seed, where the cell has a source task.
    """
    total = sum(split.table["fold"].nunique() for split in ground.splits.values())
    move, done = ground.tell(f"folds of {name}"), 0
    for seed, split in ground.splits.items():
        bench: CellContext | None = None
        for number, table in split.table.groupby("fold"):
            key = FoldKey(name, seed, int(number))
            if (stored := checkpoints.load(ground.work, key)) is None:
                bench = bench or _bench(ground, plan, seed, first)
                stored = checkpoints.save(ground.work, fold.run_fold(bench, table, key))
            done += 1
            move(done, total)
            yield stored


def _bench(
    ground: RunContext, plan: Recipe, seed: int, first: SourceTaskResult | None
) -> CellContext:
    pipeline, taken = preprocessing_of(plan), ground.taken
    if pipeline.digest != preprocessing_of(ground.plan).digest:
        again = prepared_dataset.prepare_dataset(taken.manifest, pipeline, ground.tell("preparing"))
        taken = replace(taken, pixels=again.pixels)
    prepared = (taken.pixels, pipeline)
    learnt = first
    anew = plan.source_task is not None and not plan.source_task.once
    if first is not None and anew and seed != ground.plan.seeds[0]:
        learnt = source_task.train_source_task(ground, plan, seed)
    backbone = learnt.model.backbone if learnt else None
    return benches.set_up(plan, ground.classes, taken.manifest, prepared, ground.tell, backbone)
