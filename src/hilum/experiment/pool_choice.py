"""The pool of a fold, chosen among several by cross-validation inside the images it trains on.

No test image takes part: what a choice on test folds would claim, see Cawley & Talbot 2010,
JMLR 11:2079.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from hilum.experiment import cell_context, cell_network, fit
from hilum.experiment.cell_context import CellContext, CellData, FoldKey
from hilum.experiment.schema_to_training import class_weights, sample_weights
from hilum.metrics import metrics
from hilum.models import pools
from hilum.models.cards import Pool
from hilum.models.heads import Standardise
from hilum.progress import Progress, StepName
from hilum.recipes import Recipe
from hilum.training import compare_features
from hilum.training.batches import PartIndices
from hilum.training.compare_features import HeldOut, Round
from hilum.types import Floats


@dataclass(frozen=True, slots=True)
class FoldImages:
    """A fold's images: each one's part, and its round inside training, None where it has none."""

    data: CellData
    split: pd.DataFrame  # sample_id and part
    rounds: "pd.Series[int] | None"  # sample_id -> round, of training and validation images


def choose_pool(
    recipe: Recipe, images: FoldImages, key: FoldKey, progress: Progress, source: Path | None
) -> tuple[Recipe, dict[str, Any] | None]:
    """The recipe with one pool, and how it was chosen: None where there was nothing to choose.

    The pool of the lowest log loss of held-out images, at its best penalty, the first of equals.
    Without rounds the fold's own validation images are the held-out ones.
    """
    candidates = cell_network.pools_of(recipe.model)
    if len(candidates) == 1:
        return recipe, None
    advance = progress(StepName(f"seed {key.seed}, fold {key.fold + 1}, choose maps", "pools"))
    advance(0, len(candidates))
    rows, widest = [], pools.widest(candidates)
    for number, pool in enumerate(candidates, 1):
        computed = with_pool(recipe, widest or pool)
        context = cell_context.set_up(computed, images.data, progress, source)
        held_out = _held_out(context, images, key, pool)
        rows.append(_row(pool, held_out, context.classes))
        advance(number, len(candidates))
    best = min(range(len(rows)), key=lambda at: rows[at]["loss"])
    choice = {
        "pool": pools.plain(candidates[best]),
        "candidates": rows,
        "images": len(held_out.labels),
        "rounds": 1 if images.rounds is None else int(images.rounds.nunique()),
    }
    return with_pool(recipe, candidates[best]), choice


def with_pool(recipe: Recipe, pool: Pool) -> Recipe:
    """The recipe with this pool."""
    model = recipe.model.model_copy(update={"pool": pools.plain(pool)})
    return recipe.model_copy(update={"model": model})


def _row(pool: Pool, held_out: HeldOut, classes: list[str]) -> dict[str, Any]:
    """What is recorded of a candidate; its macro AUROC is for the reader and decides nothing."""
    p = softmax(held_out.logits, axis=1)
    areas = [metrics.auroc(held_out.labels == at, p[:, at]) for at in range(len(classes))]
    return {
        "pool": pools.plain(pool),
        "loss": round(held_out.loss, 6),
        "auroc": round(float(np.mean(areas)), 6) if np.isfinite(areas).all() else None,
        "strength": held_out.strength,
    }


def _held_out(context: CellContext, images: FoldImages, key: FoldKey, pool: Pool) -> HeldOut:
    at = pd.Series(np.arange(len(context.labels)), index=list(context.pixels.sample_ids))
    used = images.split[images.split["part"] != "test"].set_index("sample_id")["part"]
    rounds = images.rounds if images.rounds is not None else (used == "validation").astype(int)
    named = rounds.sort_index()
    rows = at.loc[named.index].to_numpy()
    parts = PartIndices(np.sort(rows), np.zeros(0, np.int64), context.labels)
    views, backbone = fit.all_views(context, parts, key), context.backbone
    if pool != backbone.pool:
        views = views[:, :, backbone.columns(pool)]
    held = sorted(set(named)) if images.rounds is not None else [1]
    tried = (
        (rows[named.to_numpy() != number], rows[named.to_numpy() == number]) for number in held
    )
    weights = class_weights(context, parts)
    return compare_features.best_strength(_rounds(context, views, tried), weights)


def _rounds(
    context: CellContext, views: Floats, tried: "Iterator[tuple[Any, Any]]"
) -> Iterator[Round]:
    """Rounds of views (view, image, feature); augmented ones train and are not held out."""
    plain = 1 + context.recipe.model.mirror
    blocks = fit.pictures(context, views.shape[-1])
    for train, held in tried:
        train, held = np.sort(train), np.sort(held)
        standard = Standardise.of(views, train)
        parts = PartIndices(train, held, context.labels)
        data = fit.training_views(context, views, parts, standard)
        seen = standard(views[:plain, held])
        yield Round(
            tuple(fit.columns(data, block) for block in blocks),
            tuple(np.ascontiguousarray(seen[..., block]) for block in blocks),
            context.labels[held],
            sample_weights(context, held),
        )
