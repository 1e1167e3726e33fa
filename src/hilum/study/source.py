"""Homologous transfer: a source task that the backbone learns before the target task.

Zhang & Liu (study 003, section 2.3). What the target holds stays out of the source's training
unless the published mode asks for the leak.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from hilum import files, recipe
from hilum.data import leaks, pixels
from hilum.data import manifest as manifests
from hilum.data.pixels import Ingested
from hilum.evaluate import model as models
from hilum.evaluate import scores
from hilum.evaluate.built_on import Films
from hilum.evaluate.model import Model
from hilum.models import backbones, weights
from hilum.recipe import Recipe, SourcePlan
from hilum.study import basis, divide, fold, gather
from hilum.study import bench as benches
from hilum.study.bench import Bench, Key
from hilum.study.ground import Ground, preparation
from hilum.types import HilumError, Leak

CELL = "source"
CHANCE = 0.5  # AUROC
SIDES = ("the source task's training", "test")


@dataclass(frozen=True, slots=True)
class Learnt:
    """The source task's outcome: its model, its own test, and what it shares with the target."""

    model: Model
    classes: list[str]
    predictions: pd.DataFrame
    history: pd.DataFrame
    shared: list[Leak]  # the target's images among those that the source was trained on
    auroc: float  # macro, on the source task's own test images
    patients: frozenset[str] = frozenset()  # whom it was trained on, where they are known
    taught: Films | None = None  # the images that it was fitted or chosen on


def wanted(plan: Recipe) -> bool:
    """Whether the recipe has a source task and has it switched on."""
    return plan.source is not None and plan.source.enabled


def learn(ground: Ground, plan: Recipe, seed: int) -> Learnt:
    """Train the source task, or read it from the cache where the same one was trained before.

    Raises HilumError where it has learnt less than the recipe's `least_auroc`.
    """
    task = plan.source
    assert task is not None  # noqa: S101 - callers ask first
    own = as_recipe(plan, task)
    taken = pixels.ingest(
        gather.gather(own, ground.root, ground.out / "source"),
        preparation(own),
        ground.tell("source task: decode and prepare"),
    )
    shared = _shared(ground.taken, taken)
    split = _split(own, task, taken, [*shared, *_shared_beside(ground, taken)], seed)
    folder = _folder(own, taken, split, seed)
    if not (folder / "done").is_file():
        prepared = (taken.pixels, preparation(own))
        bench = benches.set_up(own, task.classes, taken.manifest, prepared, ground.tell)
        _train(bench, split, folder, Key(CELL, seed, 0))
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
    tree = recipe.as_tree(plan)
    mine = {key: tree["source"][key] for key in ("classes", "data", "split", "augment", "train")}
    kept = {key: tree[key] for key in ("mode", "prepare", "model", "modalities", "seeds")}
    # what stands beside the backbone learns nothing, and its earlier maps are for the target's head
    kept["model"]["beside"] = []
    if kept["model"].get("pool") in ("auto", "stages"):
        kept["model"]["pool"] = None
    if kept["model"].get("precision") == "int8":
        kept["model"]["precision"] = "auto"  # only its weights are wanted
    kept["prepare"] = tree["source"].get("prepare", kept["prepare"])
    return recipe.parse({"name": f"{plan.name}-source", **kept, **mine})


def _shared(target: Ingested, taken: Ingested) -> list[Leak]:
    """Images, near duplicates and patients that source and target have in common."""
    sides = [(side.manifest, side.fingerprints) for side in (taken, target)]
    return leaks.between(sides[0], sides[1], SIDES)


def _shared_beside(ground: Ground, taken: Ingested) -> list[Leak]:
    """The same with the main question's images, where this is one of its tasks.

    A task whose images are among those of the main question so has the same source training, and
    finds the main question's source model in the cache.
    """
    if ground.beside is None:
        return []
    main = manifests.load(ground.beside)
    return _shared(pixels.ingest(main, preparation(ground.plan)), taken)


def _here(predictions: pd.DataFrame, taken: Ingested) -> pd.DataFrame:
    """Predictions with the paths of this run: the cached ones may come from another folder."""
    paths = taken.manifest.table.set_index("sample_id")["path"]
    return predictions.assign(path=predictions["sample_id"].map(paths))


def _split(
    own: Recipe, task: SourcePlan, taken: Ingested, shared: list[Leak], seed: int
) -> pd.DataFrame:
    """The source's split; where the tasks stay apart, nothing shared is trained on."""
    table = divide.divide(own.split, taken.manifest, taken.fingerprints, seed).table
    table = table[table["fold"] == 0]
    if not task.apart:
        return table
    theirs = {leak.first for leak in shared}
    return table[(table["part"] == "test") | ~table["sample_id"].isin(theirs)]


def _folder(own: Recipe, taken: Ingested, split: pd.DataFrame, seed: int) -> Path:
    # what is as by default stays out: a key that is added to recipes leaves trained models valid;
    # and of the seeds only the one that it was trained with counts
    what = own.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"name", "seeds"}
    )
    labels = taken.manifest.table[["sample_id", "label"]].sort_values("sample_id").to_csv()
    parts = split.sort_values("sample_id").to_csv()
    weighed = weights.file_of(backbones.card(own.model.backbone), own.model.weights)
    learnt_from = basis.of_file(weighed) if weighed else "random"
    origin = (basis.VERSIONS, taken.pixels.digest, labels, parts, learnt_from, seed)
    return files.cache_home() / "sources" / files.digest(what, *origin)


def _train(bench: Bench, split: pd.DataFrame, folder: Path, key: Key) -> None:
    outcome = fold.run(bench, split, key)
    models.save(outcome.model, folder)
    outcome.predictions.to_parquet(folder / "predictions.parquet")
    outcome.history.to_parquet(folder / "history.parquet")
    (folder / "done").touch()


def _checked(task: SourcePlan, folder: Path, shared: list[Leak]) -> Learnt:
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
    return Learnt(models.load(folder), task.classes, predictions, history, shared, auroc)


def _remedy(auroc: float) -> str:
    """What to do; where it is worse than chance, the likeliest causes first (spec S1-12)."""
    if auroc < CHANCE:
        return (
            "less than 0.5 is chance or worse: train it longer, and where it stays there, labels "
            "may be inverted, or BatchNorm in the wrong mode"
        )
    return "train it longer, or leave the source out"


def lineage(learnt: Learnt) -> dict[str, object]:
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
