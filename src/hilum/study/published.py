"""The paper's numbers beside ours."""

from collections.abc import Sequence

from hilum.recipe import PublishedNumber
from hilum.types import Published, Score


def beside(
    numbers: Sequence[PublishedNumber], scores: Sequence[Score], chosen: str
) -> list[Published]:
    """One row per published number; it agrees when it lies in our 95 % interval.

    A number without a cell of its own is compared with the cell `chosen` on validation data.
    """
    found = {(score.cell, score.name, score.class_): score for score in scores}
    return [
        _row(number, found.get((number.cell or chosen, number.name, number.class_)))
        for number in numbers
    ]


def _row(number: PublishedNumber, score: Score | None) -> Published:
    head = (number.where, number.name, number.class_, number.value)
    if score is None:
        return Published(*head, None, None, None, None)
    agrees = None
    if score.low is not None and score.high is not None:
        agrees = score.low <= number.value <= score.high
    return Published(*head, score.value, score.low, score.high, agrees)
