"""Features of a cell's images, computed once, by the process that comes to them first.

Processes that need the same features share out the views: while one computes the images as they
are, another goes on with the mirrored ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.augment import sample
from hilum.data import feature_cache
from hilum.experiment.cell_context import CellContext, ranges
from hilum.experiment.cell_network import CompiledNetwork
from hilum.files.versions import NETWORKS
from hilum.inference.model import mirrored
from hilum.models.backbones import Backbone
from hilum.models.runtime.base import Runtime
from hilum.progress import note
from hilum.types import Floats, Grey8, Pixels, Stack8

Change: TypeAlias = Callable[[Stack8, int], Stack8]  # of a chunk and the place where it begins
Rows: TypeAlias = npt.NDArray[np.int64]  # (image,)
WORTH = 400  # images from which a pass for several pools pays for compiling its network


@dataclass(frozen=True, slots=True)
class View:
    """Images of a context as its network sees them: which rows, and what is done with them."""

    context: CellContext
    name: tuple[object, ...]  # of the key, next to pixels and network
    step: str
    rows: Rows
    change: Change
    whole: int | None = None  # rows of the array, if there are more: theirs stay zero

    def key(self, network: CompiledNetwork) -> str:
        """Where its features by a network lie in the store."""
        content = (self.context.pixels, network.backbone, self.context.normalise, network.runtime)
        return files.stable_digest(_network_key(*content), *self.name)

    @property
    def own_key(self) -> str:
        """The same by the context's own network."""
        return self.key(self.context.network)


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
    missing: list[View] = []
    for view in (view for each in wanted for view in each):
        if not feature_cache.is_stored(view.own_key):
            missing.append(view)
            continue
        advance = view.context.progress(view.step)
        note(advance, "all from the cache")
        advance(len(view.rows), len(view.rows))
    while missing:
        left = [view for view in missing if not _compute(view, wait=False)]
        if len(left) == len(missing):  # other processes are at all of them
            _compute(left.pop(0), wait=True)
        missing = left
    return [_joined([feature_cache.stored(view.own_key) for view in each]) for each in wanted]


def _joined(parts: list[Floats]) -> Floats:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _compute(view: View, *, wait: bool) -> bool:
    """Whether the features are in the store; unless waited for, not where another is at them."""
    context = view.context
    shared = context.shared if len(view.rows) >= WORTH else None
    keys = [view.own_key] if shared is None else sorted(map(view.key, shared.members))
    lock = files.stable_digest(*keys)  # one for all that the pass gives

    def compute() -> Mapping[str, Floats]:
        plan = shared.plan(context.runtime, context.pixels.stack) if shared is not None else None
        if plan is None:
            return {view.own_key: _run(view, context.runtime)}
        carrier = next((one for one, _ in plan.columns if one.runtime is plan.runtime), None)
        known = view.key(carrier) if carrier is not None else ""
        stored = known != "" and feature_cache.is_stored(known)
        whole = feature_cache.stored(known) if stored else _run(view, plan.runtime)
        return {view.key(network): whole[:, at] for network, at in plan.columns}

    return feature_cache.produced(view.own_key, compute, lock, wait=wait)


def _run(view: View, runtime: Runtime) -> Floats:
    stack, rows = view.context.pixels.stack, view.rows
    images = _images(stack, rows, view.change)
    found = runtime.stream(images, len(rows), view.context.progress(view.step))
    if view.whole is None:
        return found
    out = np.zeros((view.whole, found.shape[1]), np.float32)
    out[rows] = found
    return out


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


def _images(stack: Stack8, rows: Rows, change: Change) -> Iterator[Grey8]:
    """Images (height, width) one by one, changed in chunks, so that memory stays flat."""
    for start in range(0, len(rows), feature_cache.CHUNK):
        yield from change(stack[rows[start : start + feature_cache.CHUNK]], start)


def plain_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Where the features of images as they are lie in the store."""
    return files.stable_digest(_network_key(pixels, backbone, normalise, runtime), "plain")


def _network_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Everything that the features depend on besides the view."""
    facts = runtime.facts
    made_by = files.releases(*NETWORKS)
    content = (pixels.digest, backbone.record(), normalise, facts.engine, facts.precision, made_by)
    return files.stable_digest(*content, *([facts.quantised] if facts.quantised else ()))
