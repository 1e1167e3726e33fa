"""How often images pass through a network in a run, counted from its recipe and its splits."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from hilum import files
from hilum.experiment import cell_network
from hilum.recipes import CopiesPlan, Recipe
from hilum.types import Manifest, Split

ADDED = ", added"  # of synthetic images


@dataclass(frozen=True, slots=True)
class WorkCount:
    """Passes of images through each network, and the images that test the selected cell."""

    frozen: Counter[str] = field(default_factory=Counter)  # forwards, network -> images
    training: Counter[str] = field(default_factory=Counter)  # forwards and backwards, at most
    tested: int = 0


@dataclass(frozen=True, slots=True)
class _Fold:
    """How many images each part of a fold has, and of the training part each class."""

    images: int
    train: int
    validation: int
    test: int
    by_class: Mapping[str, int]


def count(
    cells: Mapping[str, Recipe], manifest: Manifest, by_seed: Mapping[int, Split]
) -> WorkCount:
    """The passes of all cells; features that cells share are computed once.

    A stage that can stop early is counted with all of its epochs.
    """
    labels = manifest.table.set_index("sample_id")["label"]
    work, known = WorkCount(tested=_tested(by_seed)), set()
    for cell in cells.values():
        for seed, split in by_seed.items():
            for number, table in split.table.groupby("fold"):
                fold = _fold(table, labels)
                made = _synthetic(cell, fold)
                shared = cell.split.kind == "kfold" and not made
                sets = _features(cell, fold, made, shared)
                for view, images in sets.items():
                    key = (_settings(cell), view, *_scope(view, shared, (seed, number)))
                    if key not in known:
                        known.add(key)
                        work.frozen[network(cell)] += images
                _add_training(work, cell, fold, made)
    return work


def network(cell: Recipe) -> str:
    """A name for all that decides how fast a cell's network is."""
    return files.stable_digest(_settings(cell))


def trains_backbone(cell: Recipe) -> bool:
    """Whether images go through the backbone in every epoch of a stage."""
    return any(stage.through or not cell.train.cache for stage in cell.train.stages)


def _settings(cell: Recipe) -> str:
    model = cell.model.model_dump_json(exclude={"head", "hidden", "dropout", "penalise"})
    pools = repr(cell_network.pools_of(cell.model))  # the head decides on it
    return model + pools + cell.prepare.model_dump_json()


def _tested(by_seed: Mapping[int, Split]) -> int:
    split = next(iter(by_seed.values())).table
    return int((split["part"] == "test").sum())


def _fold(table: pd.DataFrame, labels: "pd.Series[str]") -> _Fold:
    parts = table["part"].value_counts()
    train = labels[table.loc[table["part"] == "train", "sample_id"]].value_counts().to_dict()
    sizes = [int(parts.get(part, 0)) for part in ("train", "validation", "test")]
    return _Fold(len(labels), sizes[0], sizes[1], sizes[2], train)


def _synthetic(cell: Recipe, fold: _Fold) -> int:
    """Training images that are made: copies, and SMOTE's, which bring classes to one size."""
    made = _copies(cell.train.copies, fold) if cell.train.copies else 0
    if cell.train.balance == "smote":
        most = max(fold.by_class.values())
        made += sum(most - images for images in fold.by_class.values())
    return made


def _copies(plan: CopiesPlan, fold: _Fold) -> int:
    chosen = [fold.by_class.get(name, 0) for name in plan.classes or fold.by_class]
    return sum(
        max(0, plan.target - images) if plan.target else images * max(0, plan.times - 1)
        for images in chosen
    )


def _features(cell: Recipe, fold: _Fold, made: int, shared: bool) -> dict[str, int]:
    """Images of each set of features that a fold needs."""
    taken = ("plain", "mirror") if cell.model.mirror else ("plain",)
    seen = fold.images if shared else fold.train + made
    sets = dict.fromkeys(taken, fold.images)
    sets |= {f"{view}{ADDED}": made for view in taken if made}
    sets |= {f"view {number}": seen for number in range(cell.augment.views)}
    if not cell.model.chooses_pool:
        return sets
    return {**sets, **{f"all pools, {view}": images for view, images in sets.items()}}


def _scope(view: str, shared: bool, fold: tuple[int, object]) -> tuple[object, ...]:
    """Beyond which folds a set of features is not shared."""
    if view.endswith(ADDED):
        return fold
    if "view" in view:
        return fold[:1] if shared else fold
    return ()


def _add_training(work: WorkCount, cell: Recipe, fold: _Fold, made: int) -> None:
    name, trained = network(cell), False
    for stage in cell.train.stages:
        if stage.through or not cell.train.cache:
            trained = True
            each = stage.steps * stage.batch or fold.train + made
            work.training[name] += each * stage.epochs
            work.frozen[name] += fold.validation * stage.epochs
    if trained:  # the new network's answers, the mirrored image's as well
        work.frozen[name] += (fold.validation + fold.test) * (1 + cell.model.mirror)
