"""What of a recipe cannot work, whatever the images: a row per key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hilum.experiment import cell_context, cell_network, schema_to_training
from hilum.experiment.context import prepared
from hilum.models import backbones, freezing, heads, pools
from hilum.models.cards import Pool
from hilum.recipes import CopiesPlan, Mode, ModelPlan, Recipe, Stage, TrainPlan
from hilum.recipes.schema import PreparePlan
from hilum.types import HilumError

FineTuning: TypeAlias = tuple[str, int, int, tuple[str, ...]]  # trainable, last, first, freeze


@dataclass(frozen=True, slots=True)
class Row:
    """One check: what of a cell it depends on, and what raises HilumError or says what is wrong."""

    asks: Callable[[Recipe], tuple[Any, ...]]
    check: Callable[..., object]


def _auxiliary_backbones(model: ModelPlan, stages: list[Stage]) -> None:
    """Auxiliary backbones are frozen, and give averages of the same films' maps."""
    for name in model.auxiliary_backbones:
        backbones.backbone_card(name)
    if not model.auxiliary_backbones:
        return
    if any(stage.through for stage in stages):
        raise HilumError(
            "auxiliary networks are frozen, and their head is trained alone; got a "
            "stage that trains the backbone; give every stage trainable = 'head'."
        )
    for pool in cell_network.pools_of(model):
        if not pools.averages(pool):
            raise HilumError(
                f"joined networks hand over their averages; got pool {pool!r}; choose average, "
                "stages or early."
            )


def _panels(plan: PreparePlan, model: ModelPlan, views: int, stages: list[Stage]) -> None:
    """Two pictures of a film are for a frozen network that averages maps, and are not warped."""
    panels = prepared(plan, model.backbone).panels
    if panels == 1:
        return
    if views or any(stage.through for stage in stages):
        raise HilumError(
            "film_and_lungs is for frozen networks without augmented views, which would mix its "
            f"two pictures; got {views} views and stages {[stage.trainable for stage in stages]}; "
            "set augment.views = 0 and give every stage trainable = 'head'."
        )
    if model.auxiliary_backbones:
        raise HilumError(
            "film_and_lungs is for one network; got others in model.auxiliary_backbones; leave "
            "them out."
        )
    for pool in cell_network.pools_of(model):
        backbones.require_panels(backbones.backbone_card(model.backbone), pool, panels)


def _pool(model: ModelPlan, train: TrainPlan, share: float) -> None:
    _choice(model, train, share)
    for name in (model.backbone, *model.auxiliary_backbones):
        for pool in cell_network.pools_of(model):
            backbones.require_pool(backbones.backbone_card(name), pool)


def _choice(model: ModelPlan, train: TrainPlan, share: float) -> None:
    """A pool is chosen among several by fits of a plain head, on validation images."""
    if len(cell_network.pools_of(model)) == 1:
        return
    if not schema_to_training.head_plan(model).plain or not train.cache:
        raise HilumError(
            "a pool is chosen among several for a plain linear head on cached features; got head "
            f"{model.head!r} and train.cache = {str(train.cache).lower()}; name one pool."
        )
    through = [stage.name for stage in train.stages if stage.through]
    if through:
        raise HilumError(
            "a pool is chosen among several for a frozen network; got a stage that trains the "
            f"backbone, {through[0]!r}; name one pool, or give every stage trainable = 'head'."
        )
    if not share:
        raise HilumError(
            "a pool is chosen on validation images; got split.validation = 0; set it above 0, or "
            "name one pool."
        )


def _head(model: ModelPlan) -> None:
    heads.build_head(schema_to_training.head_plan(model), (1, 1), 2)


def _side(name: str, plan: PreparePlan) -> None:
    backbones.require_fit(backbones.backbone_card(name), prepared(plan, name).shape)


def _copies(plan: CopiesPlan | None, mode: Mode) -> None:
    if plan is None:
        return
    cell_context.ranges(plan.ranges)
    if plan.before_split and (mode != "published" or not plan.times):
        raise HilumError(
            "copies made before the split leak each test image into training, so only "
            "a published mode may make them, with times set; got before_split = true "
            f"in the {mode} mode with times = {plan.times}; drop before_split."
        )
    if (plan.times > 0) == (plan.target > 0):
        raise HilumError(
            f"copies need times or target, one of them above 0; got times = {plan.times} and "
            f"target = {plan.target}; set one."
        )


def _stages(stages: list[Stage], model: ModelPlan, cache: bool) -> None:
    through = ""
    if any(stage.refit for stage in stages[:-1]):
        raise HilumError("only the last stage can be fitted again; got refit before it; drop it.")
    for stage in stages:
        if stage.optimiser == "lbfgs" and not (schema_to_training.head_plan(model).plain and cache):
            raise HilumError(
                f"lbfgs fits a plain linear head on cached features; got head {model.head!r} and "
                f"train.cache = {str(cache).lower()}; choose optimiser adam."
            )
        if through and not stage.through:
            raise HilumError(
                "a stage of the head alone comes before those of the backbone; got "
                f"{stage.name!r} after {through!r}; change their order."
            )
        through = stage.name if stage.through or not cache else through


def _unvalidated(share: float, stages: list[Stage]) -> None:
    """Without validation images nothing is chosen: no epoch, no strength of a penalty, no stop."""
    if share:
        return
    for stage in stages:
        solved = stage.optimiser == "lbfgs"
        if solved or stage.keep != "last" or stage.stop is not None or stage.patience:
            raise HilumError(
                "without validation images (0) a stage goes through all its epochs and keeps the "
                f"last; got {stage.name!r} with optimiser {stage.optimiser}, keep {stage.keep!r}, "
                f"patience {stage.patience} and {'a' if stage.stop else 'no'} stop rule; set keep "
                "= 'last' and no stop, or a share above 0."
            )


def _freezing(name: str, pool: Pool, stages: list[FineTuning]) -> None:
    if not stages:
        return
    backbone = backbones.outline_backbone(backbones.backbone_card(name), pool)
    card = backbone.reached
    names = [f"net.{name}" for name, _ in backbone.net.named_parameters()]
    for stage in stages:
        actions = freezing.resolve(
            [*names, "head"], schema_to_training.freezing_rules(card, *stage)
        )
        if "train" not in {actions[name] for name in names}:
            raise HilumError(
                "a stage that trains the backbone must leave some of it to train; got "
                f"none of {len(names)} parameters; freeze less, or train the head alone."
            )


def _fine_tuning(stages: list[Stage]) -> list[FineTuning]:
    """What freezing depends on, of the stages that train the backbone."""
    tuning = [stage for stage in stages if stage.trainable != "head"]
    return [(s.trainable, s.last, s.first, tuple(s.freeze)) for s in tuning]


def _balance(plan: TrainPlan, classes: list[str]) -> None:
    if "smote" in plan.balance and len(classes) == 1:
        raise HilumError(
            f"SMOTE balances two classes or more; got {classes[0]!r} alone; name the other classes "
            "or choose none."
        )
    others = [stage.optimiser for stage in plan.stages if stage.optimiser != "lbfgs"]
    if plan.balance == "sources" and (others or plan.copies is not None):
        raise HilumError(
            "balance by sources weights the images that a linear head is fitted to by "
            f"lbfgs; got {', '.join(others) or 'copies of images'}; choose weights or "
            "sampling for that."
        )


def _figures(names: Sequence[str]) -> None:
    from hilum.report.figures import (
        registry,
    )  # matplotlib is only loaded where figures are requested

    for name in names:
        if name not in registry.asked_figures():
            raise HilumError(f"figures needs figures of a report; {registry.unknown(name)}")


def _classes(classes: list[str]) -> None:
    if len(set(classes)) != len(classes) or len(classes) == 1:
        raise HilumError(
            f"at least two different classes are needed; got {', '.join(classes)}; "
            "correct the list."
        )


def shares_batches(train: TrainPlan) -> list[Stage]:
    """The stages whose batches replicas share out: images go through the backbone."""
    return [stage for stage in train.stages if stage.through or not train.cache]


def _replicas(*plans: TrainPlan) -> None:
    """Each part of a batch has two images at least, which BatchNorm can average."""
    for train in plans:
        least = 2 * train.replicas
        for stage in shares_batches(train):
            if train.replicas > 1 and stage.batch < least:
                raise HilumError(
                    f"{train.replicas} replicas need batches of at least {least} images; got "
                    f"{stage.batch} in stage {stage.name!r}; enlarge it or set replicas lower."
                )


def training_plans(cell: Recipe) -> tuple[TrainPlan, ...]:
    """The cell's own, and that of its source task if it has one."""
    source = cell.source_task
    return (cell.train, source.train) if source and source.enabled else (cell.train,)


ALONE: dict[str, Row] = {
    "model.backbone": Row(lambda r: (r.model.backbone,), backbones.backbone_card),
    "model.head": Row(lambda r: (r.model,), _head),
    "model.auxiliary_backbones": Row(lambda r: (r.model, r.train.stages), _auxiliary_backbones),
    "model.pool": Row(lambda r: (r.model, r.train, r.split.validation), _pool),
    "classes": Row(lambda r: (r.classes,), _classes),
    "figures": Row(lambda r: (r.figures,), _figures),
    "train.balance": Row(lambda r: (r.train, r.classes), _balance),
    "train.copies": Row(lambda r: (r.train.copies, r.mode), _copies),
    "train.stages": Row(lambda r: (r.train.stages, r.model, r.train.cache), _stages),
    "train.replicas": Row(training_plans, _replicas),
    "split.validation": Row(lambda r: (r.split.validation, r.train.stages), _unvalidated),
    "train.stages.freeze": Row(
        lambda r: (
            r.model.backbone,
            cell_network.pools_of(r.model)[0],
            _fine_tuning(r.train.stages),
        ),
        _freezing,
    ),
    "augment": Row(lambda r: (r.augment,), cell_context.ranges),
    "prepare.steps": Row(lambda r: (r.prepare, r.model.backbone), prepared),
    "prepare.panels": Row(lambda r: (r.prepare, r.model, r.augment.views, r.train.stages), _panels),
    "prepare.side": Row(lambda r: (r.model.backbone, r.prepare), _side),
}
