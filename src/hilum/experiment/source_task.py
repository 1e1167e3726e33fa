"""Homologous transfer: a source task that the backbone learns before the target task.

Zhang & Liu (study 003, section 2.3). What the target holds stays out of the source's training
unless the published mode asks for the leak.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from hilum import files, recipes
from hilum.data import leakage, prepared_dataset
from hilum.data import manifest as manifests
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import cell_context as benches
from hilum.experiment import dataset, fold, run_basis, splits
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.inference import model as models
from hilum.inference.model import TrainedModel
from hilum.inference.training_record import Films
from hilum.metrics import scores
from hilum.models import backbones, weights
from hilum.recipes import Recipe, SourcePlan
from hilum.types import HilumError, Leak

CELL = "source"
CHANCE = 0.5  # AUROC
SIDES = ("the source task's training", "test")


@dataclass(frozen=True, slots=True)
class SourceTaskResult:
    """The source task's outcome: its model, its own test, and what it shares with the target."""

    model: TrainedModel
    classes: list[str]
    predictions: pd.DataFrame
    history: pd.DataFrame
    shared: list[Leak]  # the target's images among those that the source was trained on
    auroc: float  # macro, on the source task's own test images
    patients: frozenset[str] = frozenset()  # whom it was trained on, where they are known
    taught: Films | None = None  # the images that it was fitted or chosen on


def wanted(plan: Recipe) -> bool:
    """Whether the recipe has a source task and has it switched on."""
    return plan.source_task is not None and plan.source_task.enabled


def train_source_task(ground: RunContext, plan: Recipe, seed: int) -> SourceTaskResult:
    """Train the source task, or read it from the cache where the same one was trained before.

    Raises HilumError where it has learnt less than the recipe's `least_auroc`.
    """
    task = plan.source_task
    assert task is not None  # noqa: S101 - callers ask first
    own = as_recipe(plan, task)
    taken = prepared_dataset.prepare_dataset(
        dataset.load_manifest(own, ground.root, ground.out / "source"),
        preprocessing_of(own),
        ground.tell("source task: decode and prepare"),
    )
    shared = _shared(ground.taken, taken)
    split = _split(own, task, taken, [*shared, *_shared_beside(ground, taken)], seed)
    folder = _folder(own, taken, split, seed)
    if not (folder / "done").is_file():
        prepared = (taken.pixels, preprocessing_of(own))
        bench = benches.set_up(own, task.classes, taken.manifest, prepared, ground.tell)
        _train(bench, split, folder, FoldKey(CELL, seed, 0))
    trained = set(split.loc[split["part"] != "test", "sample_id"])
    found = _checked(task, folder, [leak for leak in shared if leak.first in trained])
    table = taken.manifest.table
    mine = table[table["sample_id"].isin(trained)]
    return replace(
        found,
        predictions=_here(found.predictions, taken),
        patients=frozenset(mine["patient_id"].dropna()),
        taught=Films.listed(mine, taken.fingerprints),
    )


def as_recipe(plan: Recipe, task: SourcePlan) -> Recipe:
    """The source task as a recipe of its own: its preparation or the target's, and its backbone."""
    tree = recipes.as_tree(plan)
    source = tree["source_task"]
    mine = {key: source[key] for key in ("classes", "data", "split", "augment", "train")}
    kept = {key: tree[key] for key in ("mode", "prepare", "model", "modalities", "seeds")}
    # what stands beside the backbone learns nothing, and its earlier maps are for the target's head
    kept["model"]["auxiliary_backbones"] = []
    if kept["model"].get("pool") in ("auto", "stages"):
        kept["model"]["pool"] = None
    kept["prepare"] = source.get("prepare", kept["prepare"])
    return recipes.parse({"name": f"{plan.name}-source", **kept, **mine})


def _shared(target: PreparedDataset, taken: PreparedDataset) -> list[Leak]:
    """Images, near duplicates and patients that source and target have in common."""
    sides = [(side.manifest, side.fingerprints) for side in (taken, target)]
    return leakage.between(sides[0], sides[1], SIDES)


def _shared_beside(ground: RunContext, taken: PreparedDataset) -> list[Leak]:
    """The same with the main question's images, where this is one of its tasks.

    A task whose images are among those of the main question so has the same source training, and
    finds the main question's source model in the cache.
    """
    if ground.beside is None:
        return []
    main = manifests.load(ground.beside)
    return _shared(prepared_dataset.prepare_dataset(main, preprocessing_of(ground.plan)), taken)


def _here(predictions: pd.DataFrame, taken: PreparedDataset) -> pd.DataFrame:
    """Predictions with the paths of this run: the cached ones may come from another folder."""
    paths = taken.manifest.table.set_index("sample_id")["path"]
    return predictions.assign(path=predictions["sample_id"].map(paths))


def _split(
    own: Recipe, task: SourcePlan, taken: PreparedDataset, shared: list[Leak], seed: int
) -> pd.DataFrame:
    """The source's split; where the tasks stay apart, nothing shared is trained on."""
    table = splits.make_split(own.split, taken.manifest, taken.fingerprints, seed).table
    table = table[table["fold"] == 0]
    if not task.exclude_target:
        return table
    theirs = {leak.first for leak in shared}
    return table[(table["part"] == "test") | ~table["sample_id"].isin(theirs)]


def _folder(own: Recipe, taken: PreparedDataset, split: pd.DataFrame, seed: int) -> Path:
    # what is as by default stays out: a key that is added to recipes leaves trained models valid;
    # and of the seeds only the one that it was trained with counts
    what = own.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"name", "seeds"}
    )
    labels = taken.manifest.table[["sample_id", "label"]].sort_values("sample_id").to_csv()
    parts = split.sort_values("sample_id").to_csv()
    weighed = weights.file_of(backbones.card(own.model.backbone), own.model.weights)
    learnt_from = run_basis.of_file(weighed) if weighed else "random"
    origin = (run_basis.VERSIONS, taken.pixels.digest, labels, parts, learnt_from, seed)
    return files.cache_home() / "sources" / files.stable_digest(what, *origin)


def _train(bench: CellContext, split: pd.DataFrame, folder: Path, key: FoldKey) -> None:
    outcome = fold.run_fold(bench, split, key)
    models.save(outcome.model, folder)
    outcome.predictions.to_parquet(folder / "predictions.parquet")
    outcome.history.to_parquet(folder / "history.parquet")
    (folder / "done").touch()


def _checked(task: SourcePlan, folder: Path, shared: list[Leak]) -> SourceTaskResult:
    """Read the trained source back, so that a first and a later run stand on the same bits."""
    predictions = pd.read_parquet(folder / "predictions.parquet")
    judged = scores.score(predictions, task.classes, CELL)
    auroc = next(s.value for s in judged if (s.name, s.class_) == ("auroc", "macro"))
    if not auroc >= task.least_auroc:
        raise HilumError(
            f"a source task must be learnt to an AUROC of at least {task.least_auroc}; got "
            f"{auroc:.3f}; {_remedy(auroc)}."
        )
    history = pd.read_parquet(folder / "history.parquet")
    return SourceTaskResult(models.load(folder), task.classes, predictions, history, shared, auroc)


def _remedy(auroc: float) -> str:
    """What to do; where it is worse than chance, the likeliest causes first (spec S1-12)."""
    if auroc < CHANCE:
        return (
            "less than 0.5 is chance or worse: train it longer, and where it stays there, labels "
            "may be inverted, or BatchNorm in the wrong mode"
        )
    return "train it longer, or leave the source out"


def lineage(learnt: SourceTaskResult) -> dict[str, object]:
    """What `model.json` and the report say about the source task."""
    record = learnt.model.facts.provenance
    return {
        "classes": learnt.classes,
        "auroc": round(learnt.auroc, 4),
        "images": record.get("images"),
        "datasets": record.get("datasets"),
        "shared_with_target": len({leak.second for leak in learnt.shared}),
        "examples": [asdict(leak) for leak in learnt.shared[:3]],
    }
