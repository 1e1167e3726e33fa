"""Files to the rows of a table: decoded while the network works, answered in blocks.

A product of matrices rounds by its shape. What is computed for several films at once is therefore
computed for blocks of BLOCK listed files, counted from the first: parts of a batch that are whole
blocks give the digits of the batch.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.inference import answer
from hilum.inference.answer import Answers, PreparedImage, See
from hilum.inference.model import Features, TrainedModel
from hilum.inference.training_record import Films
from hilum.preprocess import Pipeline
from hilum.types import Floats, HilumError

BLOCK = 16  # listed files; chunks are whole blocks
CHUNK = 8 * BLOCK  # images held in memory at a time
DRAWN = BLOCK  # the same where their maps are held as well
Decoded: TypeAlias = tuple[
    list[str], list[PreparedImage | str]
]  # paths, and films or what went wrong


@dataclass(slots=True)
class Answered:
    """Answers to files, and what the readable ones are recognised and compared by."""

    probabilities: npt.NDArray[np.float64]  # (file, class), nan where it could not be read
    read: npt.NDArray[np.bool_]  # (file,)
    reasons: list[str]  # why each is abstained from, or could not be read
    films: Films  # those that could be read
    points: list[Floats]  # pieces of (film, component)


def joined(parts: Sequence[Answered]) -> Answered:
    """Parts of a batch as one, in this order."""
    return Answered(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.read for part in parts]),
        [reason for part in parts for reason in part.reasons],
        Films.joined([part.films for part in parts]),
        [piece for part in parts for piece in part.points],
    )


def answer_files(
    model: TrainedModel,
    paths: Sequence[Path],
    advance: Callable[[int], None],
    reading: Callable[[Path], None] | None = None,
) -> Answered:
    """Answers to files; `advance` is called with how many are done, `reading` before each file."""
    parts, done = [], 0
    for names, decoded in decoded_chunks(paths, model.pipeline, CHUNK, reading):
        parts.append(answer_chunk(model, decoded, model.features))
        done += len(names)
        advance(done)
    return joined(parts)


def decoded_chunks(
    paths: Sequence[Path],
    pipeline: Pipeline,
    size: int,
    reading: Callable[[Path], None] | None = None,
) -> Iterator[Decoded]:
    """Decode the next chunk while the network works on this one."""

    def one(path: Path) -> PreparedImage | str:
        if reading is not None:
            reading(path)
        try:
            return answer.prepare_file(path, pipeline)
        except HilumError as error:
            return answer.refusal(error, path)

    for start, decoded in zip(
        range(0, len(paths), size), files.mapped_ahead(one, paths, size), strict=True
    ):
        yield [str(path) for path in paths[start : start + size]], decoded


def answer_chunk(
    model: TrainedModel, decoded: list[PreparedImage | str], features: See
) -> Answered:
    """Answers to a chunk of decoded files; the readable ones go through the network together."""
    films = [item for item in decoded if not isinstance(item, str)]
    read = np.array([not isinstance(item, str) for item in decoded], bool)
    answers: list[Answers] = []
    if films:
        seen = features(np.stack([film.pixels for film in films]))
        answers = [
            answer.answer_features(model, films[rows], _rows_of(seen, rows))
            for rows in _blocks(decoded)
        ]
    p = np.full((len(decoded), len(model.facts.classes)), np.nan)
    if films:
        p[read] = np.concatenate([part.probabilities for part in answers])
    said = (reason for part in answers for reason in part.reasons)
    reasons = [sys.intern(item if isinstance(item, str) else next(said)) for item in decoded]
    prints = Films.printed([film.fingerprint for film in films])
    return Answered(p, read, reasons, prints, [part.points for part in answers])


def _blocks(decoded: list[PreparedImage | str]) -> Iterator[slice]:
    """Places, among the films that were read, of those of each block of files."""
    start = 0
    for first in range(0, len(decoded), BLOCK):
        count = sum(not isinstance(item, str) for item in decoded[first : first + BLOCK])
        if count:
            yield slice(start, start + count)
        start += count


def _rows_of(features: Features, rows: slice) -> Features:
    plain, mirror = features
    return plain[rows], None if mirror is None else mirror[rows]
