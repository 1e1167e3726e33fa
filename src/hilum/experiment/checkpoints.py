"""Checkpoints fold by fold, so that a run that was killed can be resumed."""

import json
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd

from hilum import files, recipes
from hilum.experiment import clear_previous, run_basis
from hilum.experiment.cell_context import FoldKey
from hilum.experiment.fold import TrainedFold
from hilum.experiment.run_basis import Basis, ChangedError
from hilum.files.disk import synchronise_all
from hilum.inference import model_folder
from hilum.inference.model_json import MARK, WORK
from hilum.recipes import Recipe
from hilum.report import run_folder
from hilum.types import HilumError, Results

MODEL = "model"
DONE = (
    "fold.json"  # another name than when models of a cell shared one folder: such folds are redone
)


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One finished fold; its model stays in the fold's folder while it is the cell's best."""

    key: FoldKey
    predictions: pd.DataFrame
    history: pd.DataFrame
    loss: float  # on validation, nan without
    choice: dict[str, Any] | None = None  # how its pool was chosen among several


def require_recipe(out: Path, recipe: Recipe) -> None:
    """Raise ChangedError where finished folds, or a finished run, in `out` are another recipe's."""
    mark, finished_recipe = out / WORK / MARK, _recipe_of_finished_run(out)
    if (mark.is_file() and _recipe_of_folds(mark) != recipe) or (
        finished_recipe is not None and finished_recipe != recipes.without_tasks(recipe)
    ):
        raise ChangedError(
            f"--resume needs the recipe that {str(out)!r} was started with; got a "
            "changed one; choose another --out or leave --resume out."
        )


def _recipe_of_folds(mark: Path) -> Recipe | None:
    """The recipe of unfinished folds, from `mark`; None where it is no longer valid."""
    try:
        return recipes.parse_recipe(tomllib.loads(mark.read_text(encoding="utf-8")))
    except (HilumError, ValueError, RecursionError):  # of another version
        return None


def begin_run(out: Path, recipe: Recipe, basis: Basis, resume: bool) -> Path:
    """The folder of finished folds, emptied, with outputs of an earlier run, unless resumed.

    Raises ChangedError when the folds there belong to another recipe, or used other images,
    labels, weights or versions.
    """
    work = out / WORK
    if resume and (work / MARK).is_file():
        require_recipe(out, recipe)
        run_basis.require_same(out, run_basis.read_basis(work), basis)
        return work
    clear_previous.clear(out, tasks=not resume)
    _remove(work)
    work.mkdir(parents=True)
    run_basis.write_basis(basis, work)
    with files.atomic_write(work / MARK) as temporary:  # last: where it is, the basis is as well
        temporary.write_text(recipes.as_toml(recipe), encoding="utf-8")
    return work


def save_fold(work: Path, fold: TrainedFold) -> FoldResult:
    """Keep a fold with its model in a folder of its own; no other fold is read."""
    folder = _folder(work, fold.key)
    folder.mkdir(parents=True, exist_ok=True)
    # what a killed run has left of its model would go into `model/` with it
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    fold.history.to_csv(folder / "history.csv", index=False)
    fold.predictions.to_parquet(folder / "predictions.parquet")
    model_folder.save_trained_model(fold.model, folder / MODEL)
    synchronise_all(folder)
    # written last: a fold counts as done only when all of it is there
    with files.atomic_write(folder / DONE) as temporary:
        chosen = {} if fold.choice is None else {"choice": fold.choice}
        temporary.write_text(json.dumps({"loss": fold.loss, **chosen}))
    return FoldResult(fold.key, fold.predictions, fold.history, fold.loss, fold.choice)


def load_fold(work: Path, key: FoldKey) -> FoldResult | None:
    """A fold that was finished before, or None."""
    folder = _folder(work, key)
    if not (folder / DONE).is_file():
        return None
    try:
        done = json.loads((folder / DONE).read_text())
        predictions = pd.read_parquet(folder / "predictions.parquet")
        history = pd.read_csv(folder / "history.csv")
        return FoldResult(key, predictions, history, done["loss"], done.get("choice"))
    except (OSError, ValueError, KeyError):  # cut short by a power failure: trained again
        return None


def best(folds: Sequence[FoldResult]) -> FoldResult:
    """The fold of the least validation loss, the first of equals, or where none validates."""
    chosen = folds[0]
    for fold in folds[1:]:
        if fold.loss < chosen.loss:
            chosen = fold
    return chosen


def keep_best_model(work: Path, folds: Sequence[FoldResult]) -> None:
    """Remove the models of a cell's finished folds but that of the best: they are large."""
    best_fold = best(folds)
    for fold in folds:
        if fold is not best_fold:
            shutil.rmtree(_folder(work, fold.key) / MODEL, ignore_errors=True)


def publish_best_model(out: Path, work: Path, cell: str) -> None:
    """Copy the chosen cell's best model to `model/`."""
    with files.replaced_folder(out / MODEL) as whole:
        shutil.copytree(best_model_folder(work, cell), whole, dirs_exist_ok=True)


def best_model_folder(work: Path, cell: str) -> Path:
    """The folder of a cell's best model, the only one that is left, as long as the run lasts."""
    return next(_folder(work, FoldKey(cell, 0, 0)).parent.glob(f"*/{MODEL}"))


def finish(work: Path) -> None:
    """Remove the folds, last of all: where they exist, a run is not finished."""
    with files.atomic_write(
        work.parent / run_basis.NAME
    ) as temporary:  # a kill right here loses none
        shutil.copyfile(work / run_basis.NAME, temporary)
    _remove(work)


def _remove(work: Path) -> None:
    """Renamed first: folds that are only partly removed could be taken for all of them."""
    for partial in work.parent.glob(f".{work.name}-*"):  # of a run killed right here
        shutil.rmtree(partial, ignore_errors=True)
    if work.is_dir():
        renamed = work.with_name(f".{work.name}-{uuid4().hex[:8]}")
        work.rename(renamed)
        shutil.rmtree(renamed, ignore_errors=True)


def finished(out: Path, recipe: Recipe, basis: Basis) -> Results | None:
    """What a finished run of this question, see `require_recipe`, has left in `out`, or None.

    Raises ChangedError where it used other images, labels, weights or versions.
    """
    results = _results(out)
    if results is not None:
        run_basis.require_same(out, run_basis.read_basis(out), basis)
    return results


def _recipe_of_finished_run(out: Path) -> Recipe | None:
    """The recipe of a finished run in `out`; None without one, or where it is no longer valid."""
    stored = out / "recipe.toml"
    if (out / WORK).exists() or not ((out / "results.json").is_file() and stored.is_file()):
        return None
    try:
        return recipes.without_tasks(recipes.load_recipe(str(stored)))
    except HilumError:  # of another version: run again
        return None


def _results(out: Path) -> Results | None:
    if _recipe_of_finished_run(out) is None:
        return None
    try:
        return run_folder.read_record(out)
    except HilumError:
        return None  # of another version: run again


def _folder(work: Path, key: FoldKey) -> Path:
    return work / files.stable_digest(key.cell)[:12] / f"seed{key.seed}-fold{key.fold}"
