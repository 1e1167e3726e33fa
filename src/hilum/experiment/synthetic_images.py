"""Synthetic training images: offline copies, and SMOTE between two patients.

SMOTE: Chawla et al. 2002, doi:10.1613/jair.953.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files
from hilum.augment import offline
from hilum.experiment import cell_context
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.recipes import CopiesPlan
from hilum.training import smote
from hilum.training.batches import PartIndices
from hilum.types import Pixels, Stack8


def add_synthetic_images(
    context: CellContext, parts: PartIndices, key: FoldKey
) -> tuple[CellContext, PartIndices]:
    """The same context with the recipe's additional training images appended to its own.

    They are made from the fold's training part alone, after the split (spec S2-07, S4-03), unless
    copies are asked for `before_split` (S0-09).
    """
    plan = context.recipe.train
    if plan.copies is not None:
        context, parts = _add_copies(context, parts, plan.copies, key)
    if plan.balance == "smote":
        context, parts = _add_smote(context, parts, key)
    return context, parts


def _add_copies(
    context: CellContext, parts: PartIndices, plan: CopiesPlan, key: FoldKey
) -> tuple[CellContext, PartIndices]:
    spread = cell_context.ranges(plan.ranges)
    pool = np.arange(len(context.manifest.table)) if plan.before_split else parts.train
    for name in plan.classes or context.classes:
        originals = pool[parts.labels[pool] == context.classes.index(name)]
        config = offline.OfflineConfig(spread, key.seed, plan.times, plan.target)
        copies = offline.augmented(
            context.pixels.stack, context.pixels.sample_ids, originals, config
        )
        context, parts = _append(
            context, parts, copies.stack, parts.labels[copies.parents], copies.parameters
        )
    return context, parts


def _add_smote(
    context: CellContext, parts: PartIndices, key: FoldKey
) -> tuple[CellContext, PartIndices]:
    synthetic = smote.synthetic(context.pixels.stack, parts.labels, key.seed, rows=parts.train)
    lineage = smote.parents_table(synthetic, context.pixels.sample_ids).set_index("sample_id")
    return _append(context, parts, synthetic.rows, synthetic.labels, lineage)


def _append(
    context: CellContext,
    parts: PartIndices,
    stack: Stack8,
    labels: npt.NDArray[np.int64],
    lineage: pd.DataFrame,
) -> tuple[CellContext, PartIndices]:
    """Append images (image, height, width); `lineage` is indexed by their new sample_ids."""
    pixels = context.pixels
    count = len(pixels.sample_ids)
    extended = Pixels(
        np.concatenate([pixels.stack, stack]),
        (*pixels.sample_ids, *map(str, lineage.index)),
        files.stable_digest(pixels.digest, lineage.to_csv()),
    )
    all_labels = np.concatenate([context.labels, labels])
    train = np.concatenate([parts.train, np.arange(count, count + len(stack))])
    enlarged = replace(parts, train=train, labels=all_labels)
    longer = replace(context, pixels=extended, labels=all_labels, before=context)
    return longer, enlarged
