"""Homologous transfer: a source task that the backbone learns before the target task.

Zhang & Liu (study 003, section 2.3). What the target holds stays out of the source's training
unless the published mode asks for the leak.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from hilum import files, recipes
from hilum.data import leakage, prepared_dataset
from hilum.data import manifest as manifests
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import cell_context, dataset, fold, run_basis, splits
from hilum.experiment.cell_context import CellData, FoldKey
from hilum.experiment.context import RunContext, StoredPixels, preprocessing_of
from hilum.inference import model_folder
from hilum.inference.model import ModelMetadata
from hilum.inference.model_folder import read_parts as read_model
from hilum.inference.training_record import Films
from hilum.metrics import scores
from hilum.models import backbones, weights
from hilum.progress import Progress
from hilum.recipes import Recipe, SourcePlan
from hilum.types import HilumError, Leak, Manifest, told_apart

CELL = "source"
CHANCE = 0.5  # AUROC
OF_LAST_MAP = ("average", "flatten", "last", "fc1", "fc2", "fc3")  # pools that it has as well
DONE = "done"
SIDES = ("the source task's training", "test")


@dataclass(frozen=True, slots=True)
class SourceTask:
    """What is needed to train a source task, picklable; `folder` holds it once it is trained."""

    recipe: Recipe
    least_auroc: float
    manifest: Manifest
    pixels: StoredPixels
    split: pd.DataFrame
    seed: int
    folder: Path
    ray: Path | None = None  # see CellContext


@dataclass(frozen=True, slots=True)
class SourceTaskResult:
    """The source task's outcome: its model, its own test, and what it shares with the target."""

    facts: ModelMetadata
    classes: list[str]
    predictions: pd.DataFrame
    history: pd.DataFrame
    shared: list[Leak]  # the target's images among those that the source was trained on
    auroc: float  # macro, on the source task's own test images
    patients: frozenset[str] = frozenset()  # that it was trained on, where they are known
    films: Films | None = None  # the images that it was fitted or chosen on


@dataclass(frozen=True, slots=True)
class PlannedSourceTask:
    """A source task, its dataset, and what it shares with the target."""

    task: SourceTask
    dataset: PreparedDataset
    shared: list[Leak]


def enabled(recipe: Recipe) -> bool:
    """Whether the recipe has a source task and has it switched on."""
    return recipe.source_task is not None and recipe.source_task.enabled


def seed_of(recipe: Recipe, seed: int) -> int:
    """The seed of the source task that the folds of `seed` start from."""
    once = recipe.source_task is not None and recipe.source_task.once
    return recipe.seeds[0] if once else seed


def plan(context: RunContext, recipe: Recipe, seed: int) -> PlannedSourceTask:
    """The source task of a cell for one seed: its images read and divided, nothing trained."""
    source = recipe.source_task
    assert source is not None  # noqa: S101 - callers ask first
    source_recipe = as_recipe(recipe, source)
    prepared = prepared_dataset.prepare_dataset(
        dataset.load_manifest(source_recipe, context.root, context.out / "source"),
        preprocessing_of(source_recipe),
        context.progress("source task: decode and prepare"),
    )
    shared = _shared(context.dataset, prepared)
    split = _split(
        source_recipe,
        source,
        prepared,
        [*shared, *_shared_with_main_question(context, prepared)],
        seed,
    )
    pixels = StoredPixels.of(prepared.pixels)
    folder = _folder(source_recipe, prepared, split, seed)
    task = SourceTask(
        source_recipe, source.least_auroc, prepared.manifest, pixels, split, seed, folder,
        context.shared_with_ray,
    )  # fmt: skip
    return PlannedSourceTask(task, prepared, shared)


def fit_source_task(task: SourceTask, progress: Progress) -> Path:
    """The folder of the trained source task; of several concurrent callers, one trains it.

    Raises HilumError where its AUROC is below the recipe's `least_auroc`.
    """
    if not (task.folder / DONE).is_file():
        with files.waiting(task.folder.with_suffix(".lock")):
            if not (task.folder / DONE).is_file():
                _train(task, progress)
    _require_auroc(task, pd.read_parquet(task.folder / "predictions.parquet"))
    return task.folder


def read_back(planned: PlannedSourceTask, progress: Progress) -> SourceTaskResult:
    """The source task's outcome, read from its folder, so that every run starts from the same bits.

    Trains it where that is not done yet. Raises as `fit_source_task`.
    """
    task = planned.task
    folder = fit_source_task(task, progress)
    trained = set(task.split.loc[task.split["part"] != "test", "sample_id"])
    table = task.manifest.table
    rows = table[table["sample_id"].isin(trained)]
    predictions = pd.read_parquet(folder / "predictions.parquet")
    paths = table.set_index("sample_id")["path"]  # those stored may be of another folder
    return SourceTaskResult(
        read_model(folder)[0],
        task.recipe.classes,
        predictions.assign(path=predictions["sample_id"].map(paths)),
        pd.read_parquet(folder / "history.parquet"),
        [leak for leak in planned.shared if leak.first in trained],
        _auroc(task, predictions),
        frozenset(rows["patient_id"].dropna()),
        Films.listed(rows, planned.dataset.fingerprints),
    )


def as_recipe(recipe: Recipe, source: SourcePlan) -> Recipe:
    """The source task as a recipe of its own: its preparation or the target's, and its backbone."""
    tree = recipes.as_tree(recipe)
    table = tree["source_task"]
    source_keys = {key: table[key] for key in ("classes", "data", "split", "augment", "train")}
    shared_keys = {key: tree[key] for key in ("mode", "prepare", "model", "modalities", "seeds")}
    # auxiliary backbones stay frozen, and maps of earlier stages are for the target's head
    shared_keys["model"]["auxiliary_backbones"] = []
    if shared_keys["model"].get("pool") not in OF_LAST_MAP:
        shared_keys["model"]["pool"] = None
    shared_keys["prepare"] = table.get("prepare", shared_keys["prepare"])
    return recipes.parse_recipe({"name": f"{recipe.name}-source", **shared_keys, **source_keys})


def _shared(target: PreparedDataset, source: PreparedDataset) -> list[Leak]:
    """Images, near duplicates and patients that source and target have in common."""
    sides = [(side.manifest, side.fingerprints) for side in (source, target)]
    return leakage.between(sides[0], sides[1], SIDES)


def _shared_with_main_question(context: RunContext, source: PreparedDataset) -> list[Leak]:
    """The same with the main question's images, where this is one of its tasks.

    A task whose images are among those of the main question so has the same source training, and
    finds the main question's source model in the cache.
    """
    if context.main_manifest is None:
        return []
    main = manifests.read_manifest(context.main_manifest)
    return _shared(prepared_dataset.prepare_dataset(main, preprocessing_of(context.recipe)), source)


def _split(
    recipe: Recipe, source: SourcePlan, dataset: PreparedDataset, shared: list[Leak], seed: int
) -> pd.DataFrame:
    """The source's split; where the tasks stay apart, nothing shared is trained on."""
    table = splits.make_split(recipe.split, dataset.manifest, dataset.fingerprints, seed).table
    table = table[table["fold"] == 0]
    if not source.exclude_target:
        return table
    excluded = {leak.first for leak in shared}
    return table[(table["part"] == "test") | ~table["sample_id"].isin(excluded)]


def _folder(recipe: Recipe, dataset: PreparedDataset, split: pd.DataFrame, seed: int) -> Path:
    # defaults stay out of the digest, so that a new recipe key leaves trained models valid; of the
    # seeds only the one that it was trained with counts
    settings = recipe.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"name", "seeds"}
    )
    labels = dataset.manifest.table[["sample_id", "label"]].sort_values("sample_id").to_csv()
    parts = split.sort_values("sample_id").to_csv()
    start = weights.file_of(backbones.backbone_card(recipe.model.backbone), recipe.model.weights)
    starting_weights = run_basis.of_file(start) if start else "random"
    origin = (run_basis.VERSIONS, dataset.pixels.digest, labels, parts, starting_weights, seed)
    # a folder of their own: decoded films, which may go, are swept out of `sources`
    return files.cache_home() / "source_tasks" / files.stable_digest(settings, *origin)


def _train(task: SourceTask, progress: Progress) -> None:
    data = CellData(task.recipe.classes, task.manifest, task.pixels.open())
    context = cell_context.set_up(task.recipe, data, progress, ray=task.ray)
    trained = fold.train_fold(context, task.split, FoldKey(CELL, task.seed, 0))
    with files.replaced_folder(task.folder) as whole:
        model_folder.save_trained_model(trained.model, whole)
        trained.predictions.to_parquet(whole / "predictions.parquet")
        trained.history.to_parquet(whole / "history.parquet")
        (whole / DONE).touch()


def _require_auroc(task: SourceTask, predictions: pd.DataFrame) -> None:
    auroc = _auroc(task, predictions)
    if not auroc >= task.least_auroc:
        raise HilumError(
            f"a source task must reach an AUROC of at least {task.least_auroc}; got "
            f"{told_apart(auroc, task.least_auroc, 3)[0]}; {_remedy(auroc)}."
        )


def _auroc(task: SourceTask, predictions: pd.DataFrame) -> float:
    """Macro AUROC on the source task's own test images."""
    rows = scores.score(predictions, task.recipe.classes, CELL)
    return next(s.value for s in rows if (s.name, s.class_) == ("auroc", "macro"))


def _remedy(auroc: float) -> str:
    """What to do; where it is worse than chance, the likeliest causes first (spec S1-12)."""
    if auroc < CHANCE:
        return (
            "less than 0.5 is chance or worse: train it longer, and if that does not "
            "help, labels may be inverted, or BatchNorm may be in the wrong mode"
        )
    return "train it longer, or leave the source out"


def lineage(source: SourceTaskResult) -> dict[str, object]:
    """What `model.json` and the report say about the source task."""
    record = source.facts.provenance
    return {
        "classes": source.classes,
        "auroc": round(source.auroc, 4),
        "images": record.get("images"),
        "datasets": record.get("datasets"),
        "shared_with_target": len({leak.second for leak in source.shared}),
        "examples": [asdict(leak) for leak in source.shared[:3]],
    }
