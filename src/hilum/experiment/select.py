"""The cell that validation prefers, its model read back from where the run leaves it."""

from dataclasses import dataclass

from hilum import recipes
from hilum.experiment import cell_network, checkpoints, evidence
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.grid import GridResult
from hilum.experiment.source_task import SourceTaskResult
from hilum.inference import model_folder
from hilum.inference.model import TrainedModel
from hilum.recipes import Recipe
from hilum.types import Pixels


@dataclass(frozen=True, slots=True)
class SelectedCell:
    """One cell, its recipe, its model, and the pixels in its preparation."""

    cell: str
    recipe: Recipe  # the cell's own
    model: TrainedModel
    pixels: Pixels
    source: SourceTaskResult | None  # its source task, of the first seed


def select_cell(run: RunContext, grid_result: GridResult) -> SelectedCell:
    """Put the chosen cell's model into `model/` and read it back, as a user would."""
    cell = grid_result.chosen
    checkpoints.publish_best_model(run.out, run.work, cell)
    model = model_folder.load_trained_model(run.out / "model")
    cell_network.forget_network()  # kept until here: where it stayed frozen, it is the model's own
    digest = preprocessing_of(run.recipe).digest
    pixels = evidence.pixels_for_model(model, run.dataset, digest, run.progress)
    recipe = recipes.cells(run.recipe)[cell]
    return SelectedCell(cell, recipe, model, pixels, grid_result.sources.get(cell))
