"""What cannot work is refused before any work, each question once.

A cell of the grid that cannot work fails alone; where none can, the run stops at once.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from hilum import recipes
from hilum.experiment import source_task
from hilum.experiment.data_checks import DIVIDED, LISTED, ListedData
from hilum.experiment.recipe_checks import ALONE, Row, shares_batches, training_plans
from hilum.recipes import Recipe
from hilum.types import HilumError

InvalidCells: TypeAlias = dict[str, HilumError]  # cell -> why it cannot be run


def check_recipe(recipe: Recipe) -> InvalidCells:
    """Cells that their recipe alone makes impossible.

    Raises the first cell's error where no cell is left, and HilumError for what none can use.
    """
    _require_use_of_replicas(recipe)
    return _check_cells(recipe, ALONE, (), {})


def _require_use_of_replicas(recipe: Recipe) -> None:
    """HilumError where batches are to be shared out, and no cell has any that could be."""
    plans = [plan for cell in recipes.cells(recipe).values() for plan in training_plans(cell)]
    asked = [plan for plan in plans if plan.replicas > 1]
    if asked and not any(map(shares_batches, asked)):
        raise HilumError(
            "replicas share out batches of stages that train the backbone; got none of these; "
            "leave train.replicas out."
        )


def check_manifest(recipe: Recipe, data: ListedData, refused: InvalidCells) -> InvalidCells:
    """The same, and cells that missing weights or these images make impossible.

    Raises as `check_recipe` does.
    """
    return _check_cells(recipe, LISTED, (data,), refused)


def check_splits(recipe: Recipe, data: ListedData, refused: InvalidCells) -> InvalidCells:
    """The same, and cells that only the split shows to be impossible.

    Raises as `check_recipe` does.
    """
    return _check_cells(recipe, DIVIDED, (data,), refused)


def _check_cells(
    recipe: Recipe, rows: Mapping[str, Row], data: tuple[ListedData, ...], refused: InvalidCells
) -> InvalidCells:
    """Cells of a grid share many checks: each is made once, by its key and arguments."""
    answers: dict[str, HilumError | None] = {}
    invalid = dict(refused)
    grid = recipes.cells(recipe)
    for name, cell in grid.items():
        for key, row, arguments in _questions(cell, rows):
            if name in invalid:
                break
            question = f"{key} {arguments!r}"
            if question not in answers:
                answers[question] = _answer(key, row, (*arguments, *data))
            if (error := answers[question]) is not None:
                invalid[name] = error
    if len(invalid) == len(grid):
        raise next(iter(invalid.values()))
    return invalid


def _questions(cell: Recipe, rows: Mapping[str, Row]) -> Iterator[tuple[str, Row, tuple[Any, ...]]]:
    """Every row for the cell; those of training also for its source task."""
    for key, row in rows.items():
        yield key, row, row.asks(cell)
    if source_task.enabled(cell) and rows is ALONE:
        assert cell.source_task is not None  # noqa: S101 - it is enabled
        task = source_task.as_recipe(cell, cell.source_task)
        for key, row in rows.items():
            yield f"source_task.{key}", row, row.asks(task)


def _answer(key: str, row: Row, arguments: tuple[Any, ...]) -> HilumError | None:
    try:
        row.check(*arguments)
    except HilumError as error:
        return type(error)(f"recipe key {key!r}: {error}")
    return None
