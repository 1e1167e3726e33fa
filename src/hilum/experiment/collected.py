"""The answers to a batch, collected part by part: numbers of each film, not what they came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.experiment.answering import Answered
from hilum.inference.model import TrainedModel
from hilum.inference.seen_before import Recognised, RecordComparison
from hilum.inference.training_record import Films
from hilum.types import Floats

TOGETHER = 1 << 16  # films that are compared with the model's own at a time


@dataclass(frozen=True, slots=True)
class Collected:
    """What the rows of a table and the judgement of its source take."""

    probabilities: npt.NDArray[np.float64]  # (file, class), nan where it could not be read
    read: npt.NDArray[np.bool_]  # (file,)
    reasons: list[str]  # (file,)
    recognised: Recognised  # those that could be read
    patients: list[str | None]  # (film,) of these
    points: Floats  # (film, component)


def collect(model: TrainedModel, parts: Iterable[Answered], count: int) -> Collected:
    """Answers to `count` files; no part is kept."""
    probabilities = np.empty((count, len(model.facts.classes)))
    read, reasons = np.empty(count, bool), list[str]()
    patients, points = list[str | None](), _Points(count)
    comparison, waiting = RecordComparison(model.built_on, model.facts.seen), list[Films]()
    for part in parts:
        rows = slice(len(reasons), len(reasons) + len(part.reasons))
        probabilities[rows], read[rows] = part.probabilities, part.read
        reasons += part.reasons
        patients += part.films.patients
        points.add(part.points)
        waiting.append(part.films)
        if sum(len(films.sha256) for films in waiting) >= TOGETHER:
            comparison.add(Films.joined(waiting))
            waiting.clear()
    comparison.add(Films.joined(waiting))
    return Collected(probabilities, read, reasons, comparison.outcome(), patients, points.filled)


class _Points:
    """Pieces of (film, component) put into one array as they come: joined, they are there twice."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self._table: Floats = np.empty((0, 0), np.float32)

    def add(self, pieces: Sequence[Floats]) -> None:
        for piece in pieces:
            if not len(self._table):
                self._table = np.empty((self._most, piece.shape[1]), piece.dtype)
            self._table[self._count : self._count + len(piece)] = piece
            self._count += len(piece)

    @property
    def filled(self) -> Floats:
        return self._table[: self._count]
