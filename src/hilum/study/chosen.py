"""The cell that validation prefers, its model read back from where the run leaves it."""

from dataclasses import dataclass

from hilum import recipe
from hilum.evaluate import model as models
from hilum.evaluate.model import Model
from hilum.recipe import Recipe
from hilum.study import evidence, store
from hilum.study.cells import Grown
from hilum.study.ground import Ground, preparation
from hilum.study.source import Learnt
from hilum.types import Pixels


@dataclass(frozen=True, slots=True)
class Chosen:
    """One cell, what it was asked for, its model, and the pixels as that wants them."""

    cell: str
    plan: Recipe  # the cell's own
    model: Model
    pixels: Pixels
    learnt: Learnt | None  # its source task, of the first seed


def take(ground: Ground, grown: Grown) -> Chosen:
    """Put the chosen cell's model into `model/` and read it back, as a user would."""
    cell = grown.chosen
    store.keep(ground.out, ground.work, cell)
    model = models.load(ground.out / "model")
    digest = preparation(ground.plan).digest
    pixels = evidence.prepared_for(model, ground.taken, digest, ground.tell)
    return Chosen(cell, recipe.cells(ground.plan)[cell], model, pixels, grown.sources.get(cell))
