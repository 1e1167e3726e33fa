"""The cell that validation prefers, its model read back from where the run leaves it."""

from dataclasses import dataclass

from hilum import recipes
from hilum.experiment import checkpoints, evidence
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.grid import GridResult
from hilum.experiment.source_task import SourceTaskResult
from hilum.inference import model as models
from hilum.inference.model import TrainedModel
from hilum.recipes import Recipe
from hilum.types import Pixels


@dataclass(frozen=True, slots=True)
class SelectedCell:
    """One cell, what it was asked for, its model, and the pixels as that wants them."""

    cell: str
    plan: Recipe  # the cell's own
    model: TrainedModel
    pixels: Pixels
    learnt: SourceTaskResult | None  # its source task, of the first seed


def select_cell(ground: RunContext, grown: GridResult) -> SelectedCell:
    """Put the chosen cell's model into `model/` and read it back, as a user would."""
    cell = grown.chosen
    checkpoints.publish_best_model(ground.out, ground.work, cell)
    model = models.load(ground.out / "model")
    digest = preprocessing_of(ground.plan).digest
    pixels = evidence.pixels_for_model(model, ground.taken, digest, ground.tell)
    return SelectedCell(
        cell, recipes.cells(ground.plan)[cell], model, pixels, grown.sources.get(cell)
    )
