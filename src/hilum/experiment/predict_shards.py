"""Answers to a batch by several processes, or in parts that outlive a kill: the bytes of one."""

import glob
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files
from hilum.experiment import answering, shard_model, shards
from hilum.experiment.answer_rows import answer_table
from hilum.experiment.answering import Answered
from hilum.experiment.shards import Shard, Watch
from hilum.experiment.spread import Spread
from hilum.files import intact
from hilum.inference.model import TrainedModel, probability_columns
from hilum.inference.training_record import HASH, Films
from hilum.progress import Progress

ENDING = ".parts"  # of the folder next to the table


@dataclass(frozen=True, slots=True)
class AnswerWork:
    """A model answers a shard's files; the part is a table with a row per file."""

    model: Path
    model_key: str

    def carry_out(self, shard: Shard, watch: Watch) -> None:
        """As shards.Work says; HilumError where the model is another one now."""
        model = shard_model.held_model(self.model, self.model_key)
        paths = [Path(path) for path in shard.paths]
        answered = answering.answer_files(model, paths, watch.done, watch.reading)
        write_part(shard, answered, model.facts.classes)


@dataclass(frozen=True, slots=True)
class Asked:
    """Files to answer, and by what."""

    folder: Path  # of the model
    model: TrainedModel
    paths: Sequence[Path]
    out: Path
    spread: Spread

    @property
    def batch(self) -> shards.Batch[Answered]:
        """The same as shards know it."""
        key = shard_model.model_key(self.folder, self.model)
        work, classes = AnswerWork(self.folder, key), self.model.facts.classes
        return shards.Batch(
            self.paths,
            key,
            lambda _: work,
            lambda shard: read_part(shard, classes),
            "predict",
            "predicted",
        )


@contextmanager
def answered(asked: Asked, progress: Progress) -> Iterator[Sequence[Answered]]:
    """Answers to all files in order, a part for each shard; these are removed afterwards.

    Raises as `shards.all_parts` does.
    """
    shard_model.require_processor(asked.model)
    asked.spread.check()
    batch, out = asked.batch, asked.out
    with shards.parts_folder(out.with_name(out.name + ENDING), asked.spread.resume) as folder:
        files.remove_unfinished(out.parent, glob.escape(out.name))
        yield shards.all_parts(batch, folder, asked.spread, progress)


def write_part(shard: Shard, answered: Answered, classes: list[str]) -> None:
    """Write a shard's answers whole or not at all."""
    import pyarrow as pa  # the small installation has no shards
    import pyarrow.parquet as pq

    read, films = answered.read, answered.films
    table = answer_table(list(shard.paths), classes, answered.probabilities, read, answered.reasons)
    points = [row.tobytes() for piece in answered.points for row in piece]
    rows = table.drop(columns="path").assign(
        sha256=_spread_out(read, films.sha256),
        perceptual=_spread_out(read, [bits.tobytes() for bits in films.hashes]),
        patient=_spread_out(read, films.patients),
        point=_spread_out(read, points),
    )
    width = answered.points[0].shape[1] if answered.points else 0
    stored = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(
        {b"hilum": json.dumps({"components": width}).encode()}
    )
    with shard.writing() as temporary:
        pq.write_table(stored, temporary)


def _spread_out(read: npt.NDArray[np.bool_], values: Sequence[object]) -> list[object]:
    following = iter(values)
    return [next(following) if known else None for known in read]


def read_part(shard: Shard, classes: list[str]) -> Answered | None:
    """A shard's answers, or None where they are not there, or not as they were written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not shard.is_whole():
            return None
        content = shard.part.read_bytes()[: -intact.TRAILER_BYTES]
        stored = pq.read_table(pa.BufferReader(content))
        width = int(json.loads(stored.schema.metadata[b"hilum"])["components"])
        rows = stored.to_pandas(ignore_metadata=True)
        return _rebuilt(classes, rows, width)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def _rebuilt(classes: list[str], rows: pd.DataFrame, width: int) -> Answered:
    read = (rows["label"] != "").to_numpy(bool)
    known = rows[read]
    patients = (None if pd.isna(name) else str(name) for name in known["patient"])
    hashes = np.frombuffer(b"".join(known["perceptual"]), np.uint8).reshape(len(known), HASH)
    points = np.frombuffer(b"".join(known["point"]), np.float32).reshape(len(known), width)
    return Answered(
        rows[probability_columns(classes)].to_numpy(np.float64),
        read,
        [sys.intern(reason) for reason in rows["reason"]],
        Films(tuple(known["sha256"]), hashes, tuple(patients), (None,) * len(known)),
        [points] if len(known) else [],
    )
