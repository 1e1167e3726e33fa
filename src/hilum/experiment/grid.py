"""Every cell of the grid, fold by fold; the best one is chosen on validation data alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hilum import recipes
from hilum.data import prepared_dataset
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import cell_network, checkpoints, fold_task, shared_pass, source_task, splits
from hilum.experiment.cell_context import FoldKey
from hilum.experiment.checkpoints import FoldResult
from hilum.experiment.context import RunContext, StoredPixels, preprocessing_of
from hilum.experiment.fold_task import FoldTask
from hilum.experiment.source_task import PlannedSourceTask, SourceTaskResult
from hilum.models.cards import Pool
from hilum.progress import Advance, StepName, note, silent
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
    choices: tuple[dict[str, Any], ...] = ()  # of each fold that chose its pool among several


def run_grid(context: RunContext) -> GridResult:
    """Run every cell that is not finished yet; one that fails does not stop the others.

    Raises the first cell's HilumError where none succeeds.
    """
    planned = recipes.cells(context.recipe)
    planned = {name: cell for name, cell in planned.items() if name not in context.refused}
    pools = shared_pass.pools_of_cells(planned)
    cells = {
        name: Cell(context, name, recipe, pools.get(name, ())) for name, recipe in planned.items()
    }
    cell_network.forget_network()
    submitted: list[FoldTask] = []
    tasks = _remaining_tasks(cells.values(), submitted)
    results = context.executor.map(fold_task.run_or_refuse, tasks, context.progress)
    for number, result in enumerate(results):
        task = submitted[number]
        cells[task.key.cell].add(task.key, result)
    for cell in cells.values():
        cell.close()
    failed = {**context.refused, **{c.name: c.failure for c in cells.values() if c.failure}}
    done = [cell for cell in cells.values() if cell.failure is None]
    if not done:
        raise next(iter(failed.values()))
    return _gather(done, tuple(LeftOut(name, str(error)) for name, error in failed.items()))


def _gather(cells: list["Cell"], failed: tuple[LeftOut, ...]) -> GridResult:
    folds = [fold for cell in cells for fold in cell.folds]
    mean = {cell.name: float(np.mean([fold.loss for fold in cell.folds])) for cell in cells}
    sources = {cell.name: cell.source for cell in cells if cell.source}
    histories = [source.history.assign(cell=f"{cell}: source") for cell, source in sources.items()]
    return GridResult(
        pd.concat([fold.predictions for fold in folds], ignore_index=True),
        pd.concat([*histories, *(fold.history for fold in folds)], ignore_index=True),
        min(mean, key=lambda name: mean[name]),  # the first, where all are nan
        failed,
        sources,
        tuple(
            {"cell": fold.key.cell, "seed": fold.key.seed, "fold": fold.key.fold, **fold.choice}
            for fold in folds
            if fold.choice is not None
        ),
    )


def _remaining_tasks(cells: Iterable["Cell"], submitted: list[FoldTask]) -> Iterator[FoldTask]:
    """The folds that are left to run, each listed in `handed_out`; none of a cell that has failed.

    A cell's images and source task are only prepared when its turn comes.
    """
    for cell in cells:
        try:
            for task in cell.tasks():
                if cell.failure is not None:
                    break
                submitted.append(task)
                yield task
        except HilumError as error:
            cell.fail(error)


class Cell:
    """One cell while its folds come in."""

    def __init__(
        self, context: RunContext, name: str, recipe: Recipe, pools: tuple[Pool, ...]
    ) -> None:
        self.name = name
        self.failure: HilumError | None = None
        self.source: SourceTaskResult | None = None  # of the first seed
        self._context, self._recipe, self._pools = context, recipe, pools
        self._results: dict[FoldKey, FoldResult] = {}
        self._advance: Advance = silent(name)
        self._planned: dict[int, PlannedSourceTask] = {}  # source tasks by seed
        self._tables = {
            FoldKey(name, seed, int(str(number))): table
            for seed, split in context.splits.items()
            for number, table in split.table.groupby("fold")
        }

    @property
    def folds(self) -> list[FoldResult]:
        """Those that are finished, in the order of seeds and folds."""
        return [self._results[key] for key in self._tables if key in self._results]

    def tasks(self) -> Iterator[FoldTask]:
        """What is not finished yet; raises HilumError where a fold's data cannot be prepared."""
        self._advance = self._context.progress(StepName(f"folds of {self.name}", "folds"))
        self._advance(0, len(self._tables))
        for key in self._tables:
            if (stored := checkpoints.load_fold(self._context.work, key)) is not None:
                self.add(key, stored)
        if self._results:
            note(self._advance, f"{len(self._results):,} trained before")
        data: PreparedDataset | None = None
        for key, table in self._tables.items():
            if key not in self._results:
                data = data or self._prepare()
                yield self._task(key, table, data)

    def add(self, key: FoldKey, result: FoldResult | HilumError) -> None:
        """Take in a fold; of the models, the best one stays."""
        if isinstance(result, HilumError):
            self.fail(result)
            return
        self._results[key] = result
        checkpoints.keep_best_model(self._context.work, self.folds)
        self._advance(len(self._results), len(self._tables))

    def fail(self, error: HilumError) -> None:
        """Give the cell up; the first reason counts."""
        self.failure = self.failure or error

    def close(self) -> None:
        """Read the source task's outcome, once all folds are in."""
        if self.failure is not None or not source_task.enabled(self._recipe):
            return
        try:
            planned = self._plan_source(self._context.recipe.seeds[0])
            self.source = source_task.read_back(planned, self._context.progress)
        except HilumError as error:
            self.fail(error)

    def _task(self, key: FoldKey, table: pd.DataFrame, data: PreparedDataset) -> FoldTask:
        context, source = self._context, None
        if source_task.enabled(self._recipe):
            source = self._plan_source(source_task.seed_of(self._recipe, key.seed)).task
        return FoldTask(
            key, self._recipe, context.classes, data.manifest, StoredPixels.of(data.pixels), table,
            source, context.work, self._rounds(key, table), self._pools, context.shared_with_ray,
        )  # fmt: skip

    def _rounds(self, key: FoldKey, table: pd.DataFrame) -> "pd.Series[int] | None":
        """Rounds inside a fold's training images, where its pool is chosen among several."""
        if len(cell_network.pools_of(self._recipe.model)) == 1:
            return None
        data, plan = self._context.dataset, self._recipe.split
        return splits.inner_rounds(plan, data.manifest, data.fingerprints, table, key.seed)

    def _plan_source(self, seed: int) -> PlannedSourceTask:
        if seed not in self._planned:
            self._planned[seed] = source_task.plan(self._context, self._recipe, seed)
        return self._planned[seed]

    def _prepare(self) -> PreparedDataset:
        """The run's images in the cell's preparation."""
        dataset, pipeline = self._context.dataset, preprocessing_of(self._recipe)
        if pipeline.digest == preprocessing_of(self._context.recipe).digest:
            return dataset
        again = prepared_dataset.prepare_dataset(
            dataset.manifest, pipeline, self._context.progress("preparing")
        )
        return replace(dataset, pixels=again.pixels)
