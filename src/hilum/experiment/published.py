"""Comparison of the paper's numbers with the run's."""

from collections.abc import Sequence

import pandas as pd

from hilum.metrics import thresholds
from hilum.metrics.intervals import Proportion
from hilum.recipes import PublishedNumber
from hilum.types import Published, Score

AT_A_THRESHOLD = ("sensitivity", "specificity")


def compare_with_paper(
    numbers: Sequence[PublishedNumber],
    scores: Sequence[Score],
    chosen: str,
    predictions: pd.DataFrame | None = None,
    seed: int | None = None,
) -> list[Published]:
    """One row per published number; it agrees when it lies in our 95% interval.

    A number without a cell of its own is compared with the cell `chosen` on validation data. One
    with a threshold needs the test `predictions`; of several seeds those of `seed`, since the
    images of all would count several times. Its interval is
    Wilson's (Wilson 1927, doi:10.1080/01621459.1927.10502953).
    """
    by_key = {(score.cell, score.name, score.class_): score for score in scores}
    rows = []
    for number in numbers:
        cell = number.cell or chosen
        if number.threshold is None:
            rows.append(_row(number, by_key.get((cell, number.name, number.class_))))
        else:
            answers = None if predictions is None else _of_cell(predictions, cell, seed)
            rows.append(
                _row(number, answers if answers is None else _at_threshold(number, answers))
            )
    return rows


def _row(number: PublishedNumber, ours: Score | Proportion | None) -> Published:
    head = (number.where, number.name, number.class_, number.value)
    if ours is None or (not ours.n and isinstance(ours, Proportion)):
        return Published(*head, None, None, None, None, number.threshold)
    agrees = None
    if ours.low is not None and ours.high is not None:
        agrees = ours.low <= number.value <= ours.high
    measured = (ours.value, ours.low, ours.high, agrees)
    return Published(*head, *measured, number.threshold, ours.k, ours.n)


def _of_cell(predictions: pd.DataFrame, cell: str, seed: int | None) -> pd.DataFrame:
    """The cell's test predictions, each image once per fold."""
    rows = predictions[predictions["cell"] == cell]
    seeds = list(rows["seed"].unique())
    return rows[rows["seed"] == (seed if seed in seeds else next(iter(seeds), None))]


def _at_threshold(number: PublishedNumber, predictions: pd.DataFrame) -> Proportion | None:
    """Sensitivity or specificity where the class is called from the threshold on."""
    column = f"p_{number.class_}"
    if number.threshold is None or number.name not in AT_A_THRESHOLD or column not in predictions:
        return None
    positive = (predictions["label"] == number.class_).to_numpy(dtype=bool)
    (point,) = thresholds.sweep_thresholds(
        positive, predictions[column].to_numpy(), [number.threshold]
    )
    proportion: Proportion = getattr(point, number.name)
    return proportion
