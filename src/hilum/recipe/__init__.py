"""A study as data: TOML to frozen models; unknown keys are refused and the nearest one named."""

from hilum.recipe.departures import reference
from hilum.recipe.loading import load, names, own_data
from hilum.recipe.plans import (
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
from hilum.recipe.trees import Tree, as_tree, merged, parse
from hilum.recipe.unfolding import alone, cells, tasks
from hilum.recipe.writing import as_toml

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
    "alone",
    "as_toml",
    "as_tree",
    "cells",
    "load",
    "merged",
    "names",
    "own_data",
    "parse",
    "reference",
    "tasks",
]
