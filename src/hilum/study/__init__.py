"""Whole jobs, one call each: run a recipe, predict, evaluate, describe the machine."""

from hilum.study.external import evaluate
from hilum.study.machine import environment
from hilum.study.predicting import Ask, explain, predict
from hilum.study.questions import run

__all__ = ["Ask", "environment", "evaluate", "explain", "predict", "run"]
