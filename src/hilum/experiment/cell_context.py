"""What all folds of a cell share: images, backbone, and features that are computed once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.augment import sample
from hilum.augment.sample import AugmentationRanges
from hilum.data import feature_cache
from hilum.experiment.context import preprocessing_of
from hilum.files.versions import NETWORKS
from hilum.inference.model import compile_backbone, mirrored
from hilum.inference.model_folder import read_parts as read_model
from hilum.models import backbones, heads, pools
from hilum.models.backbones import Backbone, Pool
from hilum.models.runtime.base import Runtime
from hilum.preprocess import Pipeline
from hilum.progress import Progress, note
from hilum.recipes import AugmentPlan, ModelPlan, Recipe
from hilum.types import Floats, Grey8, Labels, Manifest, Pixels, Stack8


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


@dataclass(frozen=True, slots=True)
class CellData:
    """A cell's images: their manifest, prepared pixels in its order, and the classes to learn."""

    classes: list[str]
    manifest: Manifest
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class CompiledNetwork:
    """A backbone and its runtime."""

    backbone: Backbone
    runtime: Runtime


CANDIDATES: tuple[Pool, ...] = ("stages", "average", (8, 16), (16,))  # of pool "choose"
_latest: dict[str, CompiledNetwork] = {}  # the network of the cell that is trained, by its pools


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
    keep: bool = False,
) -> CellContext:
    """Read the cell's network, or that of a source task's folder, and compile it.

    The folds of a cell that are trained one after another in a process share one network; with
    `keep`, those that differ in their pool alone.
    """
    pipeline = preprocessing_of(recipe)
    network = _network(recipe, pipeline, source, keep)
    names = dataset.classes
    labels = np.array([names.index(name) for name in dataset.manifest.table["label"]], np.int64)
    return CellContext(
        recipe, names, dataset.manifest, dataset.pixels, pipeline, network.backbone,
        normalisation(recipe), network.runtime, progress, labels,
    )  # fmt: skip


def _network(
    recipe: Recipe, pipeline: Pipeline, source: Path | None, keep: bool
) -> CompiledNetwork:
    """The cell's network; the latest one where it is the same."""
    model, prepare = recipe.model.model_dump(mode="json"), recipe.prepare.normalise
    shape = (list(pipeline.shape), pipeline.panels)
    cell = {name: value for name, value in model.items() if name != "pool"}
    others = files.stable_digest(cell, prepare, recipe.seeds[0], shape, str(source))
    key = f"{others} {model['pool']}"
    if key not in _latest:
        if not keep or not all(known.startswith(others) for known in _latest):
            _latest.clear()
        backbone = backbone_of(recipe, pipeline.panels, source)
        precision = recipe.model.precision
        runtime = compile_backbone(backbone, normalisation(recipe), pipeline, precision)
        _latest[key] = CompiledNetwork(backbone, runtime)
    return _latest[key]


def forget_network() -> None:
    """Drop the cached network: its weights may have changed when a run begins."""
    _latest.clear()


def backbone_of(recipe: Recipe, panels: int, source: Path | None = None) -> Backbone:
    """The recipe's backbone, joined with its auxiliary backbones where there are any."""
    plan, seed = recipe.model, recipe.seeds[0]
    common = "" if recipe.prepare.normalise == "auto" else recipe.prepare.normalise
    pooling = pools_of(plan)[0]
    first = (
        read_model(source)[2]
        if source
        else backbones.build_backbone(plan.backbone, plan.weights, seed, pooling)
    )
    if first.pool != pooling:
        first = backbones.with_pooling(first, pooling)
    first = backbones.with_panels(first, panels)
    others = [
        backbones.with_panels(backbones.build_backbone(name, pool=pooling), panels)
        for name in plan.auxiliary_backbones
    ]
    return backbones.join_backbones(first, others, common) if others else first


def pools_of(plan: ModelPlan) -> tuple[Pool, ...]:
    """Poolings of the maps that the head may get: one, or those that validation chooses among.

    Raises HilumError for an unknown head, and for strides that no network has.
    """
    head, names = heads.find_head(plan.head), [plan.backbone, *plan.auxiliary_backbones]
    match plan.pool:
        case None:
            return (head.pool,)
        case "auto":
            return (backbones.richest_common_pooling(names) if head.plain else head.pool,)
        case "choose":
            richest = backbones.richest_common_pooling(names)
            return CANDIDATES if richest == "stages" and head.plain else (head.pool,)
        case list() as several if not isinstance(several[0], int):
            return tuple(dict.fromkeys(map(pools.settled, several)))
    return (pools.settled(plan.pool),)


def normalisation(recipe: Recipe) -> str:
    """The recipe's normalisation, or the one that the backbone's weights were trained with."""
    if recipe.prepare.normalise != "auto":
        return recipe.prepare.normalise
    return backbones.backbone_card(recipe.model.backbone).normalise


def ranges(plan: AugmentPlan) -> AugmentationRanges:
    """The recipe's augmentation as plain ranges."""
    return AugmentationRanges(**plan.model_dump(exclude={"views"}))


def features(context: CellContext) -> Floats:
    """Features (image, feature) of the images as they are."""
    return _kept(context, "plain", lambda stack: stack, "features")


def mirrored_features(context: CellContext) -> Floats:
    """Features (image, feature) of the mirrored images."""
    return _kept(context, "mirror", mirrored, "features, mirrored")


def augmented(context: CellContext, seed: int, rows: npt.NDArray[np.int64]) -> list[Floats]:
    """Features (image, feature) of each augmented view; rows that never train stay zero."""
    spread = ranges(context.recipe.augment)
    return [
        _view(context, spread, seed, number, rows) for number in range(context.recipe.augment.views)
    ]


def _view(
    context: CellContext,
    spread: AugmentationRanges,
    seed: int,
    number: int,
    rows: npt.NDArray[np.int64],
) -> Floats:
    seed_names = _names(context)
    names = [seed_names[row] for row in rows]
    parameters = sample.sample(spread, names, seed, number)

    def change(stack: Stack8, start: int) -> Stack8:
        return sample.apply(stack, parameters.iloc[start : start + len(stack)], workers=1)

    step = f"features, view {number + 1}"

    def compute() -> Floats:
        out = np.zeros((len(context.labels), context.runtime.facts.outputs), np.float32)
        images = _images(context.pixels.stack, rows, change)
        out[rows] = context.runtime.stream(images, len(rows), context.progress(step))
        return out

    key = files.stable_digest(_key(context), "augmented", repr(spread), seed, number, names)
    return _cached(context, key, (step, len(rows)), compute)


def _names(context: CellContext) -> Sequence[str]:
    """What seeds an image's augmentation: its name, or its digest where the split uses that."""
    if context.recipe.split.order == "name":
        return context.pixels.sample_ids
    return context.manifest.table["sha256"].tolist()


def _kept(context: CellContext, view: str, change: Callable[[Stack8], Stack8], step: str) -> Floats:
    before = context.before
    if before is not None:  # of real images every cell and fold has the same
        real = _kept(before, view, change, step)
        rows = np.arange(len(before.labels), len(context.labels))
        added = _of_rows(context, rows, f"{view}, added", change, f"{step}, synthetic")
        return np.concatenate([real, added])
    return _of_rows(context, np.arange(len(context.labels)), view, change, step)


def _of_rows(
    context: CellContext,
    rows: npt.NDArray[np.int64],
    view: str,
    change: Callable[[Stack8], Stack8],
    step: str,
) -> Floats:
    def compute() -> Floats:
        images = _images(context.pixels.stack, rows, lambda stack, start: change(stack))
        return context.runtime.stream(images, len(rows), context.progress(step))

    key = files.stable_digest(_key(context), view)
    return _cached(context, key, (step, len(rows)), compute)


def _cached(
    context: CellContext, key: str, step: tuple[str, int], compute: Callable[[], Floats]
) -> Floats:
    """The features of `key`; of those in the cache the step (name, images) says so."""
    if feature_cache.is_stored(key):
        name, images = step
        advance = context.progress(name)
        note(advance, "all from the cache")
        advance(images, images)
    return feature_cache.cached(key, compute)


def _images(
    stack: Stack8, rows: npt.NDArray[np.int64], change: Callable[[Stack8, int], Stack8]
) -> Iterator[Grey8]:
    """Images (height, width) one by one, changed in chunks, so that memory stays flat."""
    for start in range(0, len(rows), feature_cache.CHUNK):
        yield from change(stack[rows[start : start + feature_cache.CHUNK]], start)


def plain_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Where the features of images as they are lie in the store."""
    return files.stable_digest(_network_key(pixels, backbone, normalise, runtime), "plain")


def _key(context: CellContext) -> str:
    return _network_key(context.pixels, context.backbone, context.normalise, context.runtime)


def _network_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Everything that the features depend on besides the view."""
    facts = runtime.facts
    made_by = files.releases(*NETWORKS)
    content = (pixels.digest, backbone.record(), normalise, facts.engine, facts.precision, made_by)
    return files.stable_digest(*content, *([facts.quantised] if facts.quantised else ()))
