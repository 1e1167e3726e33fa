"""What all folds of a cell share: images, backbone, and features that are computed once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.augment import sample
from hilum.augment.sample import AugmentationRanges
from hilum.data import feature_cache
from hilum.files.versions import NETWORKS
from hilum.inference.model import compiled, mirrored
from hilum.models import backbones, heads
from hilum.models.backbones import Backbone, Pool
from hilum.models.runtime.base import Runtime
from hilum.preprocess import Pipeline
from hilum.recipes import AugmentPlan, ModelPlan, Recipe
from hilum.types import Floats, Grey8, Labels, Manifest, Pixels, Stack8

Progress: TypeAlias = Callable[[int, int], None]
Tell: TypeAlias = Callable[[str], Progress]  # name a step, get the function that moves its bar


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
    tell: Tell
    labels: Labels = field(repr=False)  # (image,)


@dataclass(frozen=True, slots=True)
class FoldKey:
    """Which fold of which cell, and its seed."""

    cell: str
    seed: int
    fold: int


def set_up(
    recipe: Recipe,
    classes: list[str],
    manifest: Manifest,
    prepared: tuple[Pixels, Pipeline],
    tell: Tell,
    learnt: Backbone | None = None,
) -> CellContext:
    """Load the backbone, or take the one that a source task has taught, and compile it."""
    pixels, pipeline = prepared
    plan = recipe.model
    backbone = _network(recipe, pipeline.panels, learnt)
    normalise = normalisation(recipe)
    engine = compiled(backbone, normalise, pipeline, plan.precision)
    labels = np.array([classes.index(name) for name in manifest.table["label"]], np.int64)
    return CellContext(
        recipe, classes, manifest, pixels, pipeline, backbone, normalise, engine, tell, labels
    )


def _network(recipe: Recipe, panels: int, learnt: Backbone | None) -> Backbone:
    """The recipe's networks, side by side where there are several."""
    plan, seed = recipe.model, recipe.seeds[0]
    common = "" if recipe.prepare.normalise == "auto" else recipe.prepare.normalise
    wanted = pool(plan)
    first = learnt or backbones.build(plan.backbone, plan.weights, seed, wanted)
    if first.pool != wanted:
        first = backbones.with_pooling(first, wanted)
    first = backbones.with_panels(first, panels)
    others = [
        backbones.with_panels(backbones.build(name, pool=wanted), panels)
        for name in plan.auxiliary_backbones
    ]
    return backbones.join(first, others, common) if others else first


def pool(plan: ModelPlan) -> Pool:
    """What the networks hand over to the head; raises HilumError for an unknown head."""
    head = heads.named(plan.head)
    if plan.pool == "auto":
        return (
            backbones.richest_common_pooling([plan.backbone, *plan.auxiliary_backbones])
            if head.plain
            else head.pool
        )
    return plan.pool or head.pool


def normalisation(recipe: Recipe) -> str:
    """The recipe's normalisation, or the one that the backbone's weights were trained with."""
    if recipe.prepare.normalise != "auto":
        return recipe.prepare.normalise
    return backbones.card(recipe.model.backbone).normalise


def ranges(plan: AugmentPlan) -> AugmentationRanges:
    """The recipe's augmentation as plain ranges."""
    return AugmentationRanges(**plan.model_dump(exclude={"views"}))


def features(bench: CellContext) -> Floats:
    """Features (image, feature) of the images as they are."""
    return _kept(bench, "plain", lambda stack: stack, "features")


def mirrored_features(bench: CellContext) -> Floats:
    """Features (image, feature) of the mirrored images."""
    return _kept(bench, "mirror", mirrored, "features, mirrored")


def augmented(bench: CellContext, seed: int, rows: npt.NDArray[np.int64]) -> list[Floats]:
    """Features (image, feature) of each augmented view; rows that never train stay zero."""
    spread = ranges(bench.recipe.augment)
    return [
        _view(bench, spread, seed, number, rows) for number in range(bench.recipe.augment.views)
    ]


def _view(
    bench: CellContext,
    spread: AugmentationRanges,
    seed: int,
    number: int,
    rows: npt.NDArray[np.int64],
) -> Floats:
    known = _names(bench)
    names = [known[row] for row in rows]
    drawn = sample.sample(spread, names, seed, number)

    def change(stack: Stack8, start: int) -> Stack8:
        return sample.apply(stack, drawn.iloc[start : start + len(stack)], workers=1)

    def compute() -> Floats:
        out = np.zeros((len(bench.labels), bench.runtime.facts.outputs), np.float32)
        images = _images(bench.pixels.stack, rows, change)
        out[rows] = bench.runtime.stream(
            images, len(rows), bench.tell(f"features, view {number + 1}")
        )
        return out

    key = files.stable_digest(_key(bench), "augmented", repr(spread), seed, number, names)
    return feature_cache.cached(key, compute)


def _names(bench: CellContext) -> Sequence[str]:
    """What an image's draws hang on: its name, or its content where the split goes by that."""
    if bench.recipe.split.order == "name":
        return bench.pixels.sample_ids
    return bench.manifest.table["sha256"].tolist()


def _kept(bench: CellContext, view: str, change: Callable[[Stack8], Stack8], step: str) -> Floats:
    def compute() -> Floats:
        rows = np.arange(len(bench.labels))
        images = _images(bench.pixels.stack, rows, lambda stack, start: change(stack))
        return bench.runtime.stream(images, len(rows), bench.tell(step))

    return feature_cache.cached(files.stable_digest(_key(bench), view), compute)


def _images(
    stack: Stack8, rows: npt.NDArray[np.int64], change: Callable[[Stack8, int], Stack8]
) -> Iterator[Grey8]:
    """Images one by one, changed in chunks, so that memory stays flat."""
    for start in range(0, len(rows), feature_cache.CHUNK):
        yield from change(stack[rows[start : start + feature_cache.CHUNK]], start)


def plain_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Where the features of images as they are lie in the store."""
    return files.stable_digest(_network_key(pixels, backbone, normalise, runtime), "plain")


def _key(bench: CellContext) -> str:
    return _network_key(bench.pixels, bench.backbone, bench.normalise, bench.runtime)


def _network_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Everything that the features depend on besides the view."""
    facts = runtime.facts
    made_by = files.releases(*NETWORKS)
    known = (pixels.digest, backbone.record(), normalise, facts.engine, facts.precision, made_by)
    return files.stable_digest(*known, *([facts.quantised] if facts.quantised else ()))
