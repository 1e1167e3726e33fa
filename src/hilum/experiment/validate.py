"""What cannot work is refused before any work: tables of checks, a row per key of the recipe.

A cell of the grid that cannot work fails alone; where none can, the run stops at once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hilum import recipes
from hilum.experiment import cell_context, dataset, schema_to_training, source_task, splits
from hilum.experiment.context import prepared
from hilum.models import backbones, freezing, heads, networks, weights
from hilum.models.backbone import kept
from hilum.preprocess.lungs.steps import LungStep
from hilum.recipes import (
    AugmentPlan,
    CopiesPlan,
    Mode,
    ModelPlan,
    Recipe,
    SplitPlan,
    Stage,
    TrainPlan,
)
from hilum.recipes.schema import PreparePlan
from hilum.training.smote import NEIGHBOURS
from hilum.types import HilumError, Manifest, Split

InvalidCells: TypeAlias = dict[str, HilumError]  # cell -> why it cannot be run
Moving: TypeAlias = tuple[str, int, int, tuple[str, ...]]  # trainable, last, freeze of a stage
SEEN = {"radiograph": "X-ray", "ct": "CT"}  # the kind of a lung step -> the modality that it is for


@dataclass(frozen=True, slots=True)
class Row:
    """One check: what of a cell it depends on, and what raises HilumError or says what is wrong."""

    asks: Callable[[Recipe], tuple[Any, ...]]
    check: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the data: listed, not decoded; later also how they were divided."""

    manifest: Manifest
    classes: list[str]
    where: tuple[Path | None, Path]  # datasets as published, and the run's own folder
    splits: Mapping[int, Split] | None = None


def check_recipe(plan: Recipe) -> InvalidCells:
    """Cells that their recipe alone makes impossible.

    Raises the first cell's error where no cell is left.
    """
    return _sifted(plan, ALONE, (), {})


def check_manifest(plan: Recipe, known: Known, refused: InvalidCells) -> InvalidCells:
    """The same, and cells that missing weights or these images make impossible.

    Raises as `alone` does.
    """
    return _sifted(plan, LISTED, (known,), refused)


def check_splits(plan: Recipe, known: Known, refused: InvalidCells) -> InvalidCells:
    """The same, and cells that only the split shows to be impossible. Raises as `alone` does."""
    return _sifted(plan, DIVIDED, (known,), refused)


def _sifted(
    plan: Recipe, rows: Mapping[str, Row], given: tuple[Known, ...], refused: InvalidCells
) -> InvalidCells:
    """A grid asks the same of one network many times: each question is answered once."""
    answers: dict[str, HilumError | None] = {}
    found = dict(refused)
    grid = recipes.cells(plan)
    for name, cell in grid.items():
        for key, row, asked in _questions(cell, rows):
            if name in found:
                break
            known = f"{key} {asked!r}"
            if known not in answers:
                answers[known] = _answer(key, row, (*asked, *given))
            if (error := answers[known]) is not None:
                found[name] = error
    if len(found) == len(grid):
        raise next(iter(found.values()))
    return found


def _questions(cell: Recipe, rows: Mapping[str, Row]) -> Iterator[tuple[str, Row, tuple[Any, ...]]]:
    """Every row for the cell; those of training also for its source task."""
    for key, row in rows.items():
        yield key, row, row.asks(cell)
    if source_task.wanted(cell) and rows is ALONE:
        assert cell.source_task is not None  # noqa: S101 - it is wanted
        mine = source_task.as_recipe(cell, cell.source_task)
        for key, row in rows.items():
            yield f"source_task.{key}", row, row.asks(mine)


def _answer(key: str, row: Row, asked: tuple[Any, ...]) -> HilumError | None:
    try:
        row.check(*asked)
    except HilumError as error:
        return type(error)(f"recipe key {key!r}: {error}")
    return None


def _weights(model: ModelPlan, _: Known) -> None:
    """Once the data are there: a hub may have to be asked."""
    weights.require(backbones.card(model.backbone), model.weights)
    for name in model.auxiliary_backbones:
        weights.require(backbones.card(name), "imagenet")


def _beside(model: ModelPlan, stages: list[Stage]) -> None:
    """Networks beside the backbone are frozen, and hand over averages of the same films."""
    for name in model.auxiliary_backbones:
        backbones.card(name)
    if not model.auxiliary_backbones:
        return
    if any(stage.through for stage in stages):
        raise HilumError(
            "networks beside the backbone are frozen, and their head is trained alone; got a stage "
            "that goes through the backbone; give every stage trainable = 'head'."
        )
    pool = schema_to_training.head_plan(model).pool
    if pool not in backbones.AVERAGES:
        raise HilumError(
            f"joined networks hand over their averages; got pool {pool!r}; choose average or "
            "stages."
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
    pool = schema_to_training.head_plan(model).pool
    backbones.require_panels(backbones.card(model.backbone), pool, panels)


def _pool(model: ModelPlan) -> None:
    pool = schema_to_training.head_plan(model).pool
    backbones.require_pool(backbones.card(model.backbone), pool)


def _head(model: ModelPlan) -> None:
    heads.build(schema_to_training.head_plan(model), (1, 1), 2)


def _side(name: str, plan: PreparePlan) -> None:
    backbones.require_fit(backbones.card(name), prepared(plan, name).shape)


def _copies(plan: CopiesPlan | None, mode: Mode) -> None:
    if plan is None:
        return
    cell_context.ranges(plan.ranges)
    if plan.before_split and (mode != "published" or not plan.times):
        raise HilumError(
            "copies made before the split leak each test image into training, which only a "
            "published mode may repeat, with times set; got before_split = true in the "
            f"{mode} mode with times = {plan.times}; drop before_split."
        )
    if (plan.times > 0) == (plan.target > 0):
        raise HilumError(
            f"copies want times or target, one of them above 0; got times = {plan.times} and "
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
                f"a stage of the head alone comes before those of the backbone; got {stage.name!r} "
                f"after {through!r}; change their order."
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


def _freezing(name: str, pool: str, stages: list[Moving]) -> None:
    if not stages:
        return
    card = backbones.card(name)
    network = networks.outline(card, keep=kept(card, pool))
    names = [f"net.{name}" for name, _ in network.named_parameters()]
    for stage in stages:
        actions = freezing.resolve(
            [*names, "head"], schema_to_training.freezing_rules(card, *stage)
        )
        if "train" not in {actions[name] for name in names}:
            raise HilumError(
                f"a stage that trains the backbone leaves some of it to train; got none of "
                f"{len(names)} parameters; freeze less, or train the head alone."
            )


def _moving(stages: list[Stage]) -> list[Moving]:
    """What freezing depends on, of the stages that train the backbone."""
    moving = [stage for stage in stages if stage.trainable != "head"]
    return [(s.trainable, s.last, s.first, tuple(s.freeze)) for s in moving]


def _balance(plan: TrainPlan, classes: list[str]) -> None:
    if "smote" in plan.balance and len(classes) == 1:
        raise HilumError(
            f"SMOTE balances two classes or more; got {classes[0]!r} alone; name the other classes "
            "or choose none."
        )
    others = [stage.optimiser for stage in plan.stages if stage.optimiser != "lbfgs"]
    if plan.balance == "sources" and (others or plan.copies is not None):
        raise HilumError(
            "balance by sources weighs the images that a linear head is fitted to by lbfgs; got "
            f"{', '.join(others) or 'copies of images'}; choose weights or sampling for that."
        )


def _classes(classes: list[str]) -> None:
    if len(set(classes)) != len(classes) or len(classes) == 1:
        raise HilumError(
            f"at least two different classes are wanted; got {', '.join(classes)}; mend the list."
        )


def _modalities(modalities: str, known: Known) -> None:
    counts = known.manifest.table["modality"].value_counts()
    if modalities == "one" and len(counts) > 1:
        said = " and ".join(f"{count} of {name}" for name, count in counts.items())
        raise HilumError(
            f"radiographs and CT are not mixed, since a network could tell them apart by their "
            f'looks; got {said} images; keep one with data.keep.modality, or set it to "mixed".'
        )


def _lung_steps(plan: PreparePlan, backbone: str, known: Known) -> None:
    """A finder of lungs that is made for films is not asked about slices, nor the other way."""
    there = set(known.manifest.table["modality"].dropna())
    for step in prepared(plan, backbone).steps:
        if isinstance(step, LungStep) and (others := there - {SEEN[step.kind]}):
            raise HilumError(
                f"step {step.name} with kind {step.kind!r} looks for lungs in {SEEN[step.kind]} "
                f"images; got {', '.join(sorted(others))}; set its kind, or keep one with "
                "data.keep.modality."
            )


def _divisible(plan: SplitPlan, seed: int, known: Known) -> None:
    """A split by what the list tells; that near duplicates go together can only ask for more."""
    dry = plan.model_copy(update={"group": "image"}) if plan.group == "cluster" else plan
    splits.make_split(dry, known.manifest, None, seed)


def _neighbours(balance: str, known: Known) -> None:
    if "smote" in balance:
        counts = known.manifest.table["label"].value_counts().to_dict()
        _enough(counts, "in all")


def _neighbours_left(balance: str, known: Known) -> None:
    if "smote" not in balance or known.splits is None:
        return
    labels = known.manifest.table.set_index("sample_id")["label"]
    for seed, split in known.splits.items():
        train = split.table[split.table["part"] == "train"]
        for fold, rows in train.groupby("fold"):
            counts = labels[rows["sample_id"]].value_counts().to_dict()
            left = f"left to train in fold {fold} of seed {seed}, as only the split could tell"
            _enough(counts, left)


def _enough(counts: Mapping[str, int], left: str) -> None:
    most = max(counts.values())
    for name, count in counts.items():
        if count < most and count <= NEIGHBOURS:
            raise HilumError(
                f"SMOTE with {NEIGHBOURS} neighbours wants more than {NEIGHBOURS} images of a "
                f"class that it enlarges; got {count} of {name!r} {left}; add images or choose "
                "none."
            )


def _copied(plan: CopiesPlan | None, known: Known) -> None:
    for name in plan.classes if plan else ():
        if name not in known.classes:
            raise HilumError(
                f"copies are made of classes that there are ({', '.join(known.classes)}); got "
                f"{name!r}; mend it."
            )


def _source(task: Recipe | None, known: Known) -> None:
    """Its classes and numbers, where they are there to be listed; a phantom is drawn as asked."""
    if task is None or any(item.phantom for item in task.data):
        return
    root, out = known.where
    found = dataset.load_manifest(task, root, out / "source")
    mine = Known(found, task.classes, known.where)
    _modalities(task.modalities, mine)
    _divisible(task.split, task.seeds[0], mine)


def _source_data(cell: Recipe) -> Recipe | None:
    """The source task without what its data do not depend on."""
    if cell.source_task is None or not cell.source_task.enabled:
        return None
    task = source_task.as_recipe(cell, cell.source_task)
    plain = {"model": ModelPlan(), "train": TrainPlan(), "augment": AugmentPlan()}
    return task.model_copy(update=plain)


ALONE: dict[str, Row] = {
    "model.backbone": Row(lambda r: (r.model.backbone,), backbones.card),
    "model.head": Row(lambda r: (r.model,), _head),
    "model.auxiliary_backbones": Row(lambda r: (r.model, r.train.stages), _beside),
    "model.pool": Row(lambda r: (r.model,), _pool),
    "classes": Row(lambda r: (r.classes,), _classes),
    "train.balance": Row(lambda r: (r.train, r.classes), _balance),
    "train.copies": Row(lambda r: (r.train.copies, r.mode), _copies),
    "train.stages": Row(lambda r: (r.train.stages, r.model, r.train.cache), _stages),
    "split.validation": Row(lambda r: (r.split.validation, r.train.stages), _unvalidated),
    "train.stages.freeze": Row(
        lambda r: (
            r.model.backbone,
            schema_to_training.head_plan(r.model).pool,
            _moving(r.train.stages),
        ),
        _freezing,
    ),
    "augment": Row(lambda r: (r.augment,), cell_context.ranges),
    "prepare.steps": Row(lambda r: (r.prepare, r.model.backbone), prepared),
    "prepare.panels": Row(lambda r: (r.prepare, r.model, r.augment.views, r.train.stages), _panels),
    "prepare.side": Row(lambda r: (r.model.backbone, r.prepare), _side),
}
LISTED: dict[str, Row] = {
    "model.weights": Row(lambda r: (r.model,), _weights),
    "modalities": Row(lambda r: (r.modalities,), _modalities),
    "prepare.steps": Row(lambda r: (r.prepare, r.model.backbone), _lung_steps),
    "split": Row(lambda r: (r.split, r.seeds[0]), _divisible),
    "train.balance": Row(lambda r: (r.train.balance,), _neighbours),
    "train.copies.classes": Row(lambda r: (r.train.copies,), _copied),
    "source_task": Row(lambda r: (_source_data(r),), _source),
}
DIVIDED: dict[str, Row] = {"train.balance": Row(lambda r: (r.train.balance,), _neighbours_left)}
