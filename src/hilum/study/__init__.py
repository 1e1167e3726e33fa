"""Whole jobs, one call each: run a recipe, predict, evaluate, describe the machine.

Each is imported when it is asked for: a prediction need not wait for the audits and the report.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.study.drawing import Ask
    from hilum.study.external import evaluate
    from hilum.study.machine import environment
    from hilum.study.predicting import explain, predict
    from hilum.study.questions import run

__all__ = ["Ask", "environment", "evaluate", "explain", "predict", "run"]

_HOMES = {
    "Ask": "drawing",
    "environment": "machine",
    "evaluate": "external",
    "explain": "predicting",
    "predict": "predicting",
    "run": "questions",
}

if not TYPE_CHECKING:  # a type checker would take every module of the package for one of these

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"hilum.study has {', '.join(__all__)}; got {name!r}; take one.")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
