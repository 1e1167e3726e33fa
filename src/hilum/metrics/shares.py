"""Shares of images: which images a score is the share of, and which of these are right."""

from collections.abc import Sequence

import numpy as np

from hilum.metrics.metrics import Bools
from hilum.metrics.predictions import SeedPredictions
from hilum.metrics.registry import Metric


def right_of_counted(
    metric: Metric, class_: str, classes: Sequence[str], sample: SeedPredictions
) -> tuple[Bools, Bools] | None:
    """(image,) which images are right, and which count, or None for what is no share of images.

    Precision, recall and F1 averaged over all classes' counts ("micro") are the accuracy.
    """
    if class_ == "micro" or (class_ == "overall" and metric.share is not None):
        right = sample.predicted == sample.labels
        return right, np.ones_like(right)
    if metric.share is None or class_ not in classes:
        return None
    c = list(classes).index(class_)
    own, named = sample.labels == c, sample.predicted == c
    counted = metric.share(own, named)
    return counted & (own == named), counted
