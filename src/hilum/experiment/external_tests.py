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
from hilum.inference import model as models
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
    about: dict[str, Any]  # the films: sets, numbers, what was left out
    told: list[str]

    def scores(self, classes: Sequence[str]) -> list[Score]:
        """Every score of every cell on these films alone."""
        cells = self.predictions["cell"].unique()
        return [s for cell in cells for s in scores.score(self.predictions, classes, str(cell))]


def test_on_later_films(ground: RunContext, grown: GridResult) -> ExternalTest | None:
    """Show the films of `later` to the model that each cell keeps; None where none are asked for.

    A second test that cannot be made stops no study: the reason is told.
    """
    if not ground.recipe.external_tests:
        return None
    try:
        taken = _films(ground)
    except HilumError as error:
        return ExternalTest(
            pd.DataFrame(columns=["cell"]), {}, [f"No second test on later films: {error}"]
        )
    tables = list(_predicted(ground, grown, taken))
    if not tables:
        why = "every one is of the source tasks' patients"
        return ExternalTest(
            pd.DataFrame(columns=["cell"]), {}, [f"No second test on later films: {why}."]
        )
    predictions = pd.concat(tables, ignore_index=True)
    return ExternalTest(
        predictions, summary.data(taken.manifest), [_told(ground.recipe, taken.manifest)]
    )


def _films(ground: RunContext) -> PreparedDataset:
    """The films, decoded; what the study holds too, near duplicates included, is left out."""
    own = ground.dataset
    found = dataset.load_later_manifest(ground.recipe, ground.root, ground.out / NAME, own.manifest)
    taken = prepared_dataset.prepare_dataset(
        found, preprocessing_of(ground.recipe), ground.progress("decode later films")
    )
    sides = [(side.manifest, side.fingerprints) for side in (taken, own)]
    shared = {leak.first for leak in leakage.between(sides[0], sides[1], SIDES)}
    if not shared:
        return taken
    apart = ~taken.manifest.table["sample_id"].isin(shared)
    kept = manifests.select(taken.manifest, apart, "the study has the same film, or nearly")
    return prepared_dataset.prepare_dataset(
        kept, preprocessing_of(ground.recipe), ground.progress("decode later films")
    )


def _predicted(
    ground: RunContext, grown: GridResult, taken: PreparedDataset
) -> Iterator[pd.DataFrame]:
    """Each cell's answers to the films that its source task, where it has one, was not taught."""
    digest = preprocessing_of(ground.recipe).digest
    for cell in grown.predictions["cell"].unique():
        model = models.load_trained_model(checkpoints.best_model_folder(ground.work, str(cell)))
        shown = evidence.pixels_for_model(model, taken, digest, ground.progress)
        table = taken.manifest.table
        learnt = grown.sources.get(str(cell))
        if learnt is not None:
            taught = table["sha256"].isin(learnt.facts.seen)
            taught |= table["patient_id"].isin(learnt.patients)
        else:
            taught = pd.Series(data=False, index=table.index)
        if taught.all():
            continue
        origin = model.facts.provenance
        about = table.loc[~taught, ["sample_id", "path", "patient_id", "source", "label"]].assign(
            cell=f"{cell}: {NAME}", fold=origin["fold"], seed=origin["seed"]
        )
        logits = model.logits(
            shown.stack[~taught.to_numpy()], ground.progress(f"later films, {cell}")
        )
        about[probability_columns(ground.classes)] = model.calibrated(logits)
        yield about


def _told(plan: Recipe, films: Manifest) -> str:
    wanted: Counter[str] = Counter()
    for item in plan.external_tests:
        wanted.update(item.take)
    labels = films.table["label"].value_counts()
    listed = " and ".join(
        f"{count} {name}" + (f" (of {wanted[name]} asked for)" if wanted[name] > count else "")
        for name, count in labels.items()
    )
    return (
        f"Cells named 'later' are a second test: {listed} of other patients than the study's, "
        "shown to the model that each cell keeps. Nothing was chosen by them."
    )
