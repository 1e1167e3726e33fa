"""A second test on films that come later: none of the study's own images or patients.

Wirgård Wiklund et al. (study 001, section 4.1) evaluate on 200 further films without a finding.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hilum.data import leakage, prepared_dataset
from hilum.data import manifest as manifests
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import checkpoints, dataset, evidence, summary
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.grid import GridResult
from hilum.inference import model_folder
from hilum.inference.model import probability_columns
from hilum.metrics import scores
from hilum.recipes import Recipe
from hilum.types import HilumError, Manifest, Score

NAME = "later"
SIDES = ("later", "study")


@dataclass(frozen=True, slots=True)
class ExternalTest:
    """Predictions of films that came later, cells named "CELL: later"; what the report says."""

    predictions: pd.DataFrame
    data: dict[str, Any]  # the films: sets, numbers, what was left out
    notes: list[str]

    def scores(self, classes: Sequence[str]) -> list[Score]:
        """Every score of every cell on these films alone."""
        cells = self.predictions["cell"].unique()
        return [s for cell in cells for s in scores.score(self.predictions, classes, str(cell))]

    def of_cell(self, cell: str) -> pd.DataFrame | None:
        """The predictions of one cell; None where it has none."""
        rows = self.predictions[self.predictions["cell"] == f"{cell}: {NAME}"]
        return None if rows.empty else rows


def test_on_later_films(run: RunContext, grid_result: GridResult) -> ExternalTest | None:
    """Predict the films of `external_tests` with each cell's model; None where the recipe has none.

    A second test that cannot be made stops no study: `notes` gives the reason.
    """
    if not run.recipe.external_tests:
        return None
    try:
        films = _films(run)
    except HilumError as error:
        return ExternalTest(
            pd.DataFrame(columns=["cell"]), {}, [f"No second test on later films: {error}"]
        )
    tables = list(_predict(run, grid_result, films))
    if not tables:
        why = "all of them are of the source tasks' patients"
        return ExternalTest(
            pd.DataFrame(columns=["cell"]), {}, [f"No second test on later films: {why}."]
        )
    predictions = pd.concat(tables, ignore_index=True)
    return ExternalTest(
        predictions, summary.data(films.manifest), [_note(run.recipe, films.manifest)]
    )


def _films(run: RunContext) -> PreparedDataset:
    """The films, decoded; what the study holds too, near duplicates included, is left out."""
    study = run.dataset
    manifest = dataset.load_later_manifest(run.recipe, run.root, run.out / NAME, study.manifest)
    films = prepared_dataset.prepare_dataset(
        manifest, preprocessing_of(run.recipe), run.progress("decode later films")
    )
    sides = [(side.manifest, side.fingerprints) for side in (films, study)]
    shared = {leak.first for leak in leakage.between(sides[0], sides[1], SIDES)}
    if not shared:
        return films
    apart = ~films.manifest.table["sample_id"].isin(shared)
    manifest = manifests.select(films.manifest, apart, "the study has the same film, or nearly")
    return prepared_dataset.prepare_dataset(
        manifest, preprocessing_of(run.recipe), run.progress("decode later films")
    )


def _predict(
    run: RunContext, grid_result: GridResult, films: PreparedDataset
) -> Iterator[pd.DataFrame]:
    """Each cell's predictions, without the films that its source task was trained on."""
    digest = preprocessing_of(run.recipe).digest
    for cell in grid_result.predictions["cell"].unique():
        model = model_folder.load_trained_model(checkpoints.best_model_folder(run.work, str(cell)))
        pixels = evidence.pixels_for_model(model, films, digest, run.progress)
        table = films.manifest.table
        source = grid_result.sources.get(str(cell))
        if source is not None:
            trained_on = table["sha256"].isin(source.facts.seen)
            trained_on |= table["patient_id"].isin(source.patients)
        else:
            trained_on = pd.Series(data=False, index=table.index)
        if trained_on.all():
            continue
        origin = model.facts.provenance
        rows = table.loc[
            ~trained_on, ["sample_id", "path", "patient_id", "source", "label"]
        ].assign(cell=f"{cell}: {NAME}", fold=origin["fold"], seed=origin["seed"])
        logits = model.logits(
            pixels.stack[~trained_on.to_numpy()], run.progress(f"later films, {cell}")
        )
        rows[probability_columns(run.classes)] = model.calibrated(logits)
        yield rows


def _note(recipe: Recipe, films: Manifest) -> str:
    requested: Counter[str] = Counter()
    for item in recipe.external_tests:
        requested.update(item.take)
    labels = films.table["label"].value_counts()
    listed = " and ".join(
        f"{count} {name}"
        + (f" (of {requested[name]} asked for)" if requested[name] > count else "")
        for name, count in labels.items()
    )
    return (
        f"Cells named 'later' are a second test: {listed} of other patients than the "
        "study's, shown to the model that each cell keeps. They had no part in any "
        "choice."
    )
