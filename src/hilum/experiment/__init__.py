"""Whole jobs, one call each: run a recipe, predict, evaluate, describe the machine.

Each is imported when it is asked for: a prediction need not wait for the audits and the report.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.experiment.environment import describe_environment
    from hilum.experiment.evaluate import evaluate_model
    from hilum.experiment.predict import explain_files, predict_files
    from hilum.experiment.tasks import run_recipe
    from hilum.explain.writer import HeatmapRequest

__all__ = [
    "HeatmapRequest",
    "describe_environment",
    "evaluate_model",
    "explain_files",
    "predict_files",
    "run_recipe",
]

_HOMES = {
    "HeatmapRequest": "hilum.explain.writer",
    "describe_environment": "hilum.experiment.environment",
    "evaluate_model": "hilum.experiment.evaluate",
    "explain_files": "hilum.experiment.predict",
    "predict_files": "hilum.experiment.predict",
    "run_recipe": "hilum.experiment.tasks",
}

if not TYPE_CHECKING:  # a type checker would take every module of the package for one of these

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(
                f"hilum.experiment has {', '.join(__all__)}; got {name!r}; take one."
            )
        return getattr(import_module(_HOMES[name]), name)
