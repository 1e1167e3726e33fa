"""Whole jobs, one call each: run a recipe, predict, evaluate, describe the machine."""

from hilum.study.external import evaluate, predict
from hilum.study.machine import environment
from hilum.study.questions import run

__all__ = ["environment", "evaluate", "predict", "run"]
