"""The network of a cell, as its recipe says, compiled once for all cells and folds that use it."""

from dataclasses import dataclass
from pathlib import Path

from hilum import files
from hilum.inference.model import compile_backbone
from hilum.inference.model_folder import read_parts as read_model
from hilum.models import backbones, heads, pools
from hilum.models.backbones import Backbone, Pool
from hilum.models.runtime.base import Runtime
from hilum.preprocess import Pipeline
from hilum.recipes import ModelPlan, Recipe

CANDIDATES: tuple[Pool, ...] = ("stages", "average", (8, 16), (16,))  # of pool "choose"


@dataclass(frozen=True, slots=True)
class CompiledNetwork:
    """A backbone and its runtime."""

    backbone: Backbone
    runtime: Runtime


_latest: dict[str, CompiledNetwork] = {}  # the network of the cell that is trained, by its pools


def compiled(
    recipe: Recipe, pool: Pool, pipeline: Pipeline, source: Path | None
) -> CompiledNetwork:
    """The recipe's network, or that of a source task's folder, with one of its pools.

    The latest network is kept, with every pool that was asked of it.
    """
    plan = recipe.model
    chosen = [plan.backbone, plan.weights, plan.auxiliary_backbones, plan.precision]
    shape = (list(pipeline.shape), pipeline.panels)
    prepare = recipe.prepare.normalise
    network = files.stable_digest(chosen, prepare, recipe.seeds[0], shape, str(source))
    key = f"{network} {pools.plain(pool)}"
    if key not in _latest:
        if not all(known.startswith(network) for known in _latest):
            _latest.clear()
        backbone = _with_pool(recipe, pool, pipeline.panels, source)
        runtime = compile_backbone(backbone, normalisation(recipe), pipeline, plan.precision)
        _latest[key] = CompiledNetwork(backbone, runtime)
    return _latest[key]


def forget_network() -> None:
    """Drop the cached network: its weights may have changed when a run begins."""
    _latest.clear()


def backbone_of(recipe: Recipe, panels: int) -> Backbone:
    """The recipe's backbone, joined with its auxiliary backbones where there are any."""
    return _with_pool(recipe, pools_of(recipe.model)[0], panels, None)


def _with_pool(recipe: Recipe, pooling: Pool, panels: int, source: Path | None) -> Backbone:
    plan, seed = recipe.model, recipe.seeds[0]
    common = "" if recipe.prepare.normalise == "auto" else recipe.prepare.normalise
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
