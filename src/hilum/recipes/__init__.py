"""A study as data: TOML to frozen models; unknown keys are refused and the nearest one named."""

from hilum.recipes.departures import reference
from hilum.recipes.grid import cells, tasks, without_tasks
from hilum.recipes.load import load_recipe, own_data, recipe_names
from hilum.recipes.schema import (
    AugmentPlan,
    CopiesPlan,
    DataSet,
    Departure,
    Mode,
    ModelPlan,
    PublishedNumber,
    Recipe,
    Schedule,
    SourcePlan,
    SplitPlan,
    Stage,
    Stop,
    TrainPlan,
)
from hilum.recipes.trees import Tree, as_tree, merged, parse_recipe
from hilum.recipes.write import as_toml

__all__ = [
    "AugmentPlan",
    "CopiesPlan",
    "DataSet",
    "Departure",
    "Mode",
    "ModelPlan",
    "PublishedNumber",
    "Recipe",
    "Schedule",
    "SourcePlan",
    "SplitPlan",
    "Stage",
    "Stop",
    "TrainPlan",
    "Tree",
    "as_toml",
    "as_tree",
    "cells",
    "load_recipe",
    "merged",
    "own_data",
    "parse_recipe",
    "recipe_names",
    "reference",
    "tasks",
    "without_tasks",
]
