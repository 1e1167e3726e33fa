"""Training images that no patient has: offline copies, and SMOTE's between two patients."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files
from hilum.augment import offline
from hilum.experiment import cell_context as benches
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.recipes import CopiesPlan
from hilum.training import smote
from hilum.training.batches import PartIndices
from hilum.types import Pixels, Stack8


def add_synthetic_images(
    bench: CellContext, parts: PartIndices, key: FoldKey
) -> tuple[CellContext, PartIndices]:
    """The same bench with the recipe's additional training images behind its own.

    They are made from the fold's training part alone, after the split (spec S2-07, S4-03), unless
    copies are asked for `before_split` (S0-09).
    """
    plan = bench.recipe.train
    if plan.copies is not None:
        bench, parts = _copied(bench, parts, plan.copies, key)
    if plan.balance == "smote":
        bench, parts = _blended(bench, parts, key)
    return bench, parts


def _copied(
    bench: CellContext, parts: PartIndices, plan: CopiesPlan, key: FoldKey
) -> tuple[CellContext, PartIndices]:
    spread = benches.ranges(plan.ranges)
    pool = np.arange(len(bench.manifest.table)) if plan.before_split else parts.train
    for name in plan.classes or bench.classes:
        own = pool[parts.labels[pool] == bench.classes.index(name)]
        wanted = offline.OfflineConfig(spread, key.seed, plan.times, plan.target)
        made = offline.augmented(bench.pixels.stack, bench.pixels.sample_ids, own, wanted)
        bench, parts = _added(bench, parts, made.stack, parts.labels[made.parents], made.parameters)
    return bench, parts


def _blended(
    bench: CellContext, parts: PartIndices, key: FoldKey
) -> tuple[CellContext, PartIndices]:
    made = smote.synthetic(bench.pixels.stack, parts.labels, key.seed, rows=parts.train)
    lineage = smote.lineage(made, bench.pixels.sample_ids).set_index("sample_id")
    return _added(bench, parts, made.rows, made.labels, lineage)


def _added(
    bench: CellContext,
    parts: PartIndices,
    stack: Stack8,
    labels: npt.NDArray[np.int64],
    lineage: pd.DataFrame,
) -> tuple[CellContext, PartIndices]:
    """Put images behind the others; `lineage` is indexed by their new sample_ids."""
    pixels = bench.pixels
    count = len(pixels.sample_ids)
    whole = Pixels(
        np.concatenate([pixels.stack, stack]),
        (*pixels.sample_ids, *map(str, lineage.index)),
        files.stable_digest(pixels.digest, lineage.to_csv()),
    )
    every = np.concatenate([bench.labels, labels])
    train = np.concatenate([parts.train, np.arange(count, count + len(stack))])
    grown = replace(parts, train=train, labels=every)
    return replace(bench, pixels=whole, labels=every), grown
