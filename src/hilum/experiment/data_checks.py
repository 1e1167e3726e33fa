"""What of a recipe cannot work with these images, listed or divided: a row per key."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.experiment import dataset, source_task, splits
from hilum.experiment.context import prepared
from hilum.experiment.recipe_checks import Row
from hilum.models import backbones, weights
from hilum.preprocess.lungs.steps import LungStep
from hilum.recipes import AugmentPlan, CopiesPlan, ModelPlan, Recipe, SplitPlan, TrainPlan
from hilum.recipes.schema import PreparePlan
from hilum.training.smote import NEIGHBOURS
from hilum.types import HilumError, Manifest, Split

# the kind of a lung step -> the modality that it is for
SEEN = {"radiograph": "X-ray", "ct": "CT"}


@dataclass(frozen=True, slots=True)
class ListedData:
    """A dataset that is listed, not decoded, with its splits once they are made."""

    manifest: Manifest
    classes: list[str]
    where: tuple[Path | None, Path]  # datasets as published, and the run's own folder
    splits: Mapping[int, Split] | None = None


def _weights(model: ModelPlan, _: ListedData) -> None:
    """Only once the data are found: this may query a hub."""
    weights.require_weights(backbones.backbone_card(model.backbone), model.weights)
    for name in model.auxiliary_backbones:
        weights.require_weights(backbones.backbone_card(name), "imagenet")


def _modalities(modalities: str, data: ListedData) -> None:
    counts = data.manifest.table["modality"].value_counts()
    if modalities == "one" and len(counts) > 1:
        listed = " and ".join(f"{count} of {name}" for name, count in counts.items())
        raise HilumError(
            "radiographs and CT are not mixed, because a network could separate them "
            f"by their looks; got {listed} images; keep one with data.keep.modality, or "
            'set it to "mixed".'
        )


def _lung_steps(plan: PreparePlan, backbone: str, data: ListedData) -> None:
    """A lung segmenter for films is not used on slices, nor the other way round."""
    present = set(data.manifest.table["modality"].dropna())
    for step in prepared(plan, backbone).steps:
        if isinstance(step, LungStep) and (others := present - {SEEN[step.kind]}):
            raise HilumError(
                f"step {step.name} with kind {step.kind!r} looks for lungs in {SEEN[step.kind]} "
                f"images; got {', '.join(sorted(others))}; set its kind, or keep one with "
                "data.keep.modality."
            )


def _divisible(plan: SplitPlan, seed: int, data: ListedData) -> None:
    splits.trial_split(plan, data.manifest, seed)


def _neighbours(balance: str, data: ListedData) -> None:
    if "smote" in balance:
        counts = data.manifest.table["label"].value_counts().to_dict()
        _require_enough(counts, "in all")


def _neighbours_left(balance: str, data: ListedData) -> None:
    if "smote" not in balance or data.splits is None:
        return
    labels = data.manifest.table.set_index("sample_id")["label"]
    for seed, split in data.splits.items():
        train = split.table[split.table["part"] == "train"]
        for fold, rows in train.groupby("fold"):
            counts = labels[rows["sample_id"]].value_counts().to_dict()
            remark = f"left to train in fold {fold} of seed {seed}, which only the split could show"
            _require_enough(counts, remark)


def _require_enough(counts: Mapping[str, int], remark: str) -> None:
    most = max(counts.values())
    for name, count in counts.items():
        if count < most and count <= NEIGHBOURS:
            raise HilumError(
                f"SMOTE with {NEIGHBOURS} neighbours needs more than {NEIGHBOURS} "
                f"images of a class that it enlarges; got {count} of {name!r} {remark}; "
                "add images or choose none."
            )


def _copies(plan: CopiesPlan | None, data: ListedData) -> None:
    for name in plan.classes if plan else ():
        if name not in data.classes:
            raise HilumError(
                "copies can only be made of classes that exist "
                f"({', '.join(data.classes)}); got {name!r}; correct it."
            )


def _source(task: Recipe | None, data: ListedData) -> None:
    """Classes and counts of the source task's data; a phantom always has what its recipe names."""
    if task is None or any(item.phantom for item in task.data):
        return
    root, out = data.where
    listed = dataset.load_manifest(task, root, out / "source")
    source_data = ListedData(listed, task.classes, data.where)
    _modalities(task.modalities, source_data)
    _divisible(task.split, task.seeds[0], source_data)


def _source_data(cell: Recipe) -> Recipe | None:
    """The source task without what its data do not depend on."""
    if cell.source_task is None or not cell.source_task.enabled:
        return None
    task = source_task.as_recipe(cell, cell.source_task)
    plain = {"model": ModelPlan(), "train": TrainPlan(), "augment": AugmentPlan()}
    return task.model_copy(update=plain)


LISTED: dict[str, Row] = {
    "model.weights": Row(lambda r: (r.model,), _weights),
    "modalities": Row(lambda r: (r.modalities,), _modalities),
    "prepare.steps": Row(lambda r: (r.prepare, r.model.backbone), _lung_steps),
    "split": Row(lambda r: (r.split, r.seeds[0]), _divisible),
    "train.balance": Row(lambda r: (r.train.balance,), _neighbours),
    "train.copies.classes": Row(lambda r: (r.train.copies,), _copies),
    "source_task": Row(lambda r: (_source_data(r),), _source),
}
DIVIDED: dict[str, Row] = {"train.balance": Row(lambda r: (r.train.balance,), _neighbours_left)}
