"""What a run would read, divide, train and take, found out without writing anything."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from hilum import files, phantom, recipes
from hilum.data import prepared_dataset
from hilum.experiment import (
    cell_network,
    dataset,
    segmentation_data,
    speed,
    splits,
    validate,
    work_count,
)
from hilum.experiment.context import preprocessing_of
from hilum.experiment.data_checks import ListedData
from hilum.experiment.speed import Speed
from hilum.experiment.work_count import WorkCount
from hilum.inference.model import compile_backbone
from hilum.progress import Progress
from hilum.recipes import Recipe
from hilum.types import Fingerprints, HilumError, LeftOut, Manifest, MissingError, Split

SMALL = 64  # pixels of the phantom's films where only their table is needed
TRIAL = 4  # films of the phantom that are drawn at their own size
OFFLINE = "HF_HUB_OFFLINE"
SPLIT = ("fold", "part", "label", "source")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one question of a recipe would do; `seconds` is None where no trial could be made."""

    name: str
    images: int
    counts: list[dict[str, Any]]  # class, source, images
    left_out: list[LeftOut]
    cached: int  # images that are prepared already
    split: list[dict[str, Any]]  # fold, part, class, source, images; of the first seed
    folds: int
    seeds: int
    cells: list[str]
    refused: dict[str, str]  # cells that cannot be run, and why
    work: WorkCount
    seconds: float | None
    estimate: str  # how `seconds` was found, or why it was not
    notes: tuple[str, ...] = ()

    @property
    def trainings(self) -> int:
        """Models that would be trained."""
        return len(self.cells) * self.folds * self.seeds


def forecast_run(recipe: Recipe, root: Path | None, progress: Progress) -> list[Forecast]:
    """The main question, then each task. Nothing is written, in the cache neither.

    Raises HilumError and MissingError as a run would before it decodes.
    """
    with TemporaryDirectory(prefix="hilum-") as name, _offline():
        questions = {"main": recipes.without_tasks(recipe), **recipes.tasks(recipe)}
        found: list[Forecast] = []
        for number, (task, question) in enumerate(questions.items()):
            try:
                found.append(_forecast(task, question, (root, Path(name) / task), progress))
            except HilumError as error:
                if not number:
                    raise
                found.append(_impossible(task, error))
        return found


def _forecast(
    name: str, recipe: Recipe, where: tuple[Path | None, Path], progress: Progress
) -> Forecast:
    refused = validate.check_recipe(recipe)
    manifest = dataset.load_manifest(_with_small_films(recipe), *where, progress)
    classes = [] if recipe.learns == "lungs" else dataset.classes_of(recipe, manifest)
    listed, notes = ListedData(manifest, classes, where), []
    if recipe.learns == "lungs":
        manifest = segmentation_data.with_masks(manifest)
    else:
        try:
            refused = validate.check_manifest(recipe, listed, refused)
        except MissingError as error:  # weights; data that are not here were missed before
            notes.append(f"A run would ask the hub for weights: {error}")
    manifest = prepared_dataset.hashed(manifest, progress=progress("read files"))
    cached, known = prepared_dataset.stored_dataset(manifest, preprocessing_of(recipe))
    prints = None if known is None else known.fingerprints
    by_seed = {seed: _split(recipe, manifest, prints, seed) for seed in recipe.seeds}
    if prints is None:
        notes.append(
            "Near duplicates are only known once the images are decoded, and stay in one part: "
            "the numbers of the split can change by a few images."
        )
    first = next(iter(by_seed.values()))
    cells = {cell: one for cell, one in recipes.cells(recipe).items() if cell not in refused}
    work = work_count.count(cells, manifest, by_seed)
    progress("trial")
    seconds, estimate = _seconds(recipe, cells, manifest, (work, len(manifest.table) - cached))
    return Forecast(
        name,
        len(manifest.table),
        counted(manifest.table, ["label", "source"]),
        list(manifest.left_out),
        cached,
        counted(first.table.merge(manifest.table, on="sample_id"), SPLIT),
        int(first.table["fold"].nunique()),
        len(recipe.seeds),
        list(cells),
        {cell: str(error) for cell, error in refused.items()},
        work,
        seconds,
        estimate,
        (*manifest.notes, *first.notes, *notes),
    )


def _split(recipe: Recipe, manifest: Manifest, prints: Fingerprints | None, seed: int) -> Split:
    if recipe.learns == "lungs":  # sizes are not known yet; that there are two of them is
        manifest = segmentation_data.by_size(manifest, np.arange(len(manifest.table)) % 2 == 0)
    if prints is None:
        return splits.trial_split(recipe.split, manifest, seed)
    return splits.make_split(recipe.split, manifest, prints, seed)


def counted(table: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """How many rows have each combination of values; "label" becomes "class"."""
    plain = table[list(columns)].astype(object).where(table[list(columns)].notna(), "unknown")
    counts = plain.groupby(list(columns), sort=True).size().rename("images").reset_index()
    return counts.rename(columns={"label": "class"}).to_dict("records")


def _with_small_films(recipe: Recipe) -> Recipe:
    """The same with a phantom of small films, whose table is that of the large ones."""
    small = {"size": SMALL}
    data = [
        item.model_copy(update={"phantom": {**item.phantom, **small}}) if item.phantom else item
        for item in recipe.data
    ]
    return recipe.model_copy(update={"data": data})


def _seconds(
    recipe: Recipe, cells: Mapping[str, Recipe], manifest: Manifest, todo: tuple[WorkCount, int]
) -> tuple[float | None, str]:
    """How long the work and so many images to decode take, by a trial, and in words how."""
    if recipe.learns == "lungs":
        return None, f"not estimated: for lungs only the recipe says what it takes ({recipe.cost})"
    (work, new), total = todo, 0.0
    try:
        with files.scratch_cache() as scratch:
            paths, drawing = _films(recipe, manifest, scratch)
            decode, prepared = speed.decoding(paths, preprocessing_of(recipe))
            for cell in _networks(cells).values():
                measured = replace(_network_speed(cell, prepared), decode=decode)
                total += measured.frozen * work.frozen[work_count.network(cell)]
                total += measured.training * work.training[work_count.network(cell)]
            total += drawing + decode * new + measured.audits(work.tested)
    except (HilumError, OSError) as error:
        return None, f"not estimated: {error}"
    return total, (
        f"from a trial on this machine, as busy as it is now: {len(paths)} images decoded, "
        f"{speed.PASSES} passes of each network; scores, audits and report by experience"
    )


def _networks(cells: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """A cell of each network that there is."""
    return {work_count.network(cell): cell for cell in cells.values()}


def _network_speed(cell: Recipe, prepared: Sequence[Any]) -> Speed:
    pipeline, normalise = preprocessing_of(cell), cell_network.normalisation(cell)
    backbone = cell_network.backbone_of(cell, pipeline.panels)
    runtime = compile_backbone(backbone, normalise, pipeline, cell.model.precision)
    trains = work_count.trains_backbone(cell)
    learning = speed.learning(backbone, normalise, prepared) if trains else 0.0
    return Speed(0.0, speed.passing(runtime, prepared), learning)


def _films(recipe: Recipe, manifest: Manifest, scratch: Path) -> tuple[list[Path], float]:
    """Images for the trial, and how many seconds drawing takes where a phantom is drawn first."""
    drawn_sets = [item for item in recipe.data if item.phantom]
    if not drawn_sets:
        return speed.spread(manifest.table["path"].tolist()), 0.0
    request = dataset.phantom_request(drawn_sets[0], recipe.classes)
    few = replace(request, images=min(TRIAL, request.images))
    drawn: list[Manifest] = []

    def draw() -> None:
        drawn.append(phantom.write_phantom(few, scratch / "phantom"))

    each = speed.timed(draw) / few.images
    share = request.images / min(files.available_cpus(), request.images)
    return [Path(path) for path in drawn[0].table["path"]], each * share


def _impossible(name: str, error: HilumError) -> Forecast:
    why = {name: str(error)}
    return Forecast(name, 0, [], [], 0, [], 0, 0, [], why, WorkCount(), 0.0, "it cannot be run")


@contextmanager
def _offline() -> Iterator[None]:
    """Weights are looked for on this machine alone: a trial downloads nothing."""
    kept = os.environ.get(OFFLINE)
    os.environ[OFFLINE] = "1"
    try:
        yield
    finally:
        if kept is None:
            del os.environ[OFFLINE]
        else:
            os.environ[OFFLINE] = kept
