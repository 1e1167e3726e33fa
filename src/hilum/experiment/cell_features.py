"""Features of a cell's images, computed once, by the process that comes to them first.

Processes that need the same features share out the views, and the parts of a view.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from hilum.augment import sample
from hilum.data import feature_cache
from hilum.experiment.cell_context import CellContext, ranges
from hilum.experiment.view import Change, Rows, View
from hilum.experiment.view_pass import ViewPass
from hilum.inference.model import mirrored
from hilum.progress import note
from hilum.types import Floats, Stack8

# views whose features follow each other: of real images, then of the synthetic ones
Views: TypeAlias = tuple[View, ...]


def features(context: CellContext) -> Floats:
    """Features (image, feature) of the images as they are."""
    return arrays([plain(context)])[0]


def mirrored_features(context: CellContext) -> Floats:
    """Features (image, feature) of the mirrored images."""
    return arrays([mirror(context)])[0]


def plain(context: CellContext) -> Views:
    """The images as they are."""
    return _as_kept(context, "plain", lambda stack, _: stack, "features")


def mirror(context: CellContext) -> Views:
    """The mirrored images."""
    return _as_kept(context, "mirror", lambda stack, _: mirrored(stack), "features, mirrored")


def augmented(context: CellContext, seed: int, rows: Rows) -> list[Views]:
    """The recipe's augmented views of some rows; features of the others stay zero."""
    spread = ranges(context.recipe.augment)
    seed_names = _names(context)
    names = [seed_names[row] for row in rows]
    views: list[Views] = []
    for number in range(context.recipe.augment.views):
        parameters = sample.sample(spread, names, seed, number)

        def change(stack: Stack8, start: int, each: object = parameters) -> Stack8:
            return sample.apply(stack, each.iloc[start : start + len(stack)], workers=1)  # type: ignore[attr-defined]

        name = ("augmented", repr(spread), seed, number, names)
        step = f"features, view {number + 1}"
        views.append((View(context, name, step, rows, change, len(context.labels)),))
    return views


def arrays(wanted: Sequence[Views]) -> list[Floats]:
    """Features (image, feature) of each; those that nobody has computed yet are computed here."""
    return [_joined(parts) for parts in _stored(wanted)]


def stacked(wanted: Sequence[Views]) -> Floats:
    """The same as one array (view, image, feature) in memory, which the caller may change.

    Each is copied once: those of flattened maps fill gigabytes.
    """
    each = _stored(wanted)
    out = np.empty((len(each), sum(map(len, each[0])), each[0][0].shape[1]), np.float32)
    for view, parts in zip(out, each, strict=True):
        np.concatenate(parts, out=view)
    return out


def _stored(wanted: Sequence[Views]) -> list[list[Floats]]:
    """The parts of each, memory-mapped, after those that nobody has computed yet."""
    missing: list[View] = []
    for view in (view for each in wanted for view in each):
        if not feature_cache.is_stored(view.own_key):
            missing.append(view)
            continue
        advance = view.context.progress(view.step)
        note(advance, "all from the cache")
        advance(len(view.rows), len(view.rows))
    passes = [ViewPass(view) for view in missing]
    while passes:
        left = [one for one in passes if not one.finish(wait=False)]
        if len(left) == len(passes):  # other processes are at all of them
            left.pop(0).finish(wait=True)
        passes = left
    return [[feature_cache.stored(view.own_key) for view in each] for each in wanted]


def _joined(parts: list[Floats]) -> Floats:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _as_kept(context: CellContext, name: str, change: Change, step: str) -> Views:
    before = context.before
    if before is None:
        return (View(context, (name,), step, np.arange(len(context.labels)), change),)
    # of real images every cell and fold has the same
    rows = np.arange(len(before.labels), len(context.labels))
    added = View(context, (f"{name}, added",), f"{step}, synthetic", rows, change)
    return (*_as_kept(before, name, change, step), added)


def _names(context: CellContext) -> Sequence[str]:
    """What seeds an image's augmentation: its name, or its digest where the split uses that."""
    if context.recipe.split.order == "name":
        return context.pixels.sample_ids
    return context.manifest.table["sha256"].tolist()
