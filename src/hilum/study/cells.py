"""Every cell of the grid, fold by fold; the best one is chosen on validation data alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hilum import recipe
from hilum.data import pixels
from hilum.recipe import Recipe
from hilum.study import bench as benches
from hilum.study import fold, source, store
from hilum.study.bench import Bench, Key
from hilum.study.ground import Ground, preparation
from hilum.study.int8 import Trial
from hilum.study.source import Learnt
from hilum.study.store import Stored
from hilum.types import HilumError, LeftOut


@dataclass(frozen=True, slots=True)
class Grown:
    """All cells' tables, the one that validation prefers, and the cells that came to nothing.

    Where no image validates, the first cell is in the place of the preferred one.
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    chosen: str
    failed: tuple[LeftOut, ...]
    sources: dict[str, Learnt]  # cell -> its source task, of the first seed
    trials: tuple[Trial, ...] = ()  # of int8, where a cell wants it


def grow(ground: Ground) -> Grown:
    """Run every cell that is not finished yet; one that fails does not stop the others.

    Raises the first cell's HilumError where none succeeds.
    """
    done: dict[str, list[Stored]] = {}
    sources: dict[str, Learnt] = {}
    failed: dict[str, HilumError] = dict(ground.refused)
    for name, plan in recipe.cells(ground.plan).items():
        if name in failed:
            continue
        try:
            if source.wanted(plan):
                sources[name] = source.learn(ground, plan, ground.plan.seeds[0])
            done[name] = list(_cell(ground, name, plan, sources.get(name)))
        except HilumError as error:
            failed[name] = error
    if not done:
        raise next(iter(failed.values()))
    mean = {name: float(np.mean([fold.loss for fold in folds])) for name, folds in done.items()}
    folds = [fold for found in done.values() for fold in found]
    chosen = min(mean, key=lambda name: mean[name])  # the first, where all are nan
    return Grown(
        pd.concat([fold.predictions for fold in folds], ignore_index=True),
        pd.concat([*_first(sources), *(fold.history for fold in folds)], ignore_index=True),
        chosen,
        tuple(LeftOut(name, str(error)) for name, error in failed.items()),
        sources,
        tuple(fold.trial for fold in folds if fold.trial),
    )


def _first(sources: dict[str, Learnt]) -> list[pd.DataFrame]:
    """The source tasks' histories, under their cells' names."""
    return [learnt.history.assign(cell=f"{cell}: source") for cell, learnt in sources.items()]


def _cell(ground: Ground, name: str, plan: Recipe, first: Learnt | None) -> Iterator[Stored]:
    """Every fold of every seed; the network is only loaded when a fold is left to run.

    `first` is the source task's outcome of the first seed, where the cell has a source task.
    """
    total = sum(split.table["fold"].nunique() for split in ground.splits.values())
    move, done = ground.tell(f"folds of {name}"), 0
    for seed, split in ground.splits.items():
        bench: Bench | None = None
        for number, table in split.table.groupby("fold"):
            key = Key(name, seed, int(number))
            if (stored := store.load(ground.work, key)) is None:
                bench = bench or _bench(ground, plan, seed, first)
                stored = store.save(ground.work, fold.run(bench, table, key))
            done += 1
            move(done, total)
            yield stored


def _bench(ground: Ground, plan: Recipe, seed: int, first: Learnt | None) -> Bench:
    pipeline, taken = preparation(plan), ground.taken
    if pipeline.digest != preparation(ground.plan).digest:
        again = pixels.ingest(taken.manifest, pipeline, ground.tell("preparing"))
        taken = replace(taken, pixels=again.pixels)
    prepared = (taken.pixels, pipeline)
    learnt = first
    anew = plan.source is not None and not plan.source.once
    if first is not None and anew and seed != ground.plan.seeds[0]:
        learnt = source.learn(ground, plan, seed)
    backbone = learnt.model.backbone if learnt else None
    return benches.set_up(plan, ground.classes, taken.manifest, prepared, ground.tell, backbone)
