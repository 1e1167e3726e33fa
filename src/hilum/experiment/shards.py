"""Parts of a batch as tasks: some files each in, a file of answers each out.

A part's name has a digest of all that its answers depend on: the model, versions and its files as
they are (path, size, time of last change). Where there is a part of that name, it is not made
again. It is written by rename and has a checksum.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from hilum import files
from hilum.experiment import answering
from hilum.experiment.answering import BLOCK, Answered
from hilum.files import intact
from hilum.files.versions import FITS, IMAGES, NETWORKS
from hilum.inference import digest, exported
from hilum.inference.model import TrainedModel, probability_columns
from hilum.inference.training_record import Print
from hilum.progress import Progress, StepName
from hilum.types import HilumError

VERSIONS = files.releases(*NETWORKS, *FITS, *IMAGES)
ENDING = ".parts"  # of the folder next to the output
PART, READING = "shard-{number:05}-{key}.parquet", "shard-{number:05}.reading"
PATTERNS = ("shard-*.parquet", "shard-*.reading", ".*-shard-*.parquet")
MOST = 1024  # files of a shard: what a kill can cost a process
EACH = 8  # shards that a process gets, where there are enough files: the last ones end together


@dataclass(frozen=True, slots=True)
class Shard:
    """Some files of a batch, in order, and where their answers go."""

    number: int
    key: str  # digest of what the answers depend on
    model: Path
    model_key: str
    paths: tuple[str, ...]
    folder: Path

    @property
    def part(self) -> Path:
        """The file of answers."""
        return self.folder / PART.format(number=self.number, key=self.key)

    @property
    def reading(self) -> Path:
        """What the process that is at it reads: a number among its files for each, one a line."""
        return self.folder / READING.format(number=self.number)

    def last_read(self) -> str:
        """The file that was begun last, or "" where there is none."""
        with suppress(OSError, ValueError, IndexError):
            return self.paths[int(self.reading.read_text().splitlines()[-1])]
        return ""


def model_key(folder: Path, model: TrainedModel) -> str:
    """Digest of all of a model that an answer's digits depend on, here and now."""
    sources = model.sources if isinstance(model.sources, str) else model.sources.digest
    computed = model.runtime.describe()
    return files.stable_digest(digest.model_digest(folder), sources, computed, VERSIONS)


def shard_size(count: int, processes: int) -> int:
    """Files of a shard: whole blocks, several shards for each process, and none too large."""
    even = -(-count // (EACH * processes))
    return min(MOST, max(1, -(-even // BLOCK)) * BLOCK)


def plan_shards(
    model: Path, key: str, paths: Sequence[Path], folder: Path, size: int
) -> list[Shard]:
    """Cut files into shards of `size`, a multiple of BLOCK, in order."""
    return [
        Shard(
            number,
            files.stable_digest(key, [_state(path) for path in paths[start : start + size]])[:16],
            model,
            key,
            tuple(str(path) for path in paths[start : start + size]),
            folder,
        )
        for number, start in enumerate(range(0, len(paths), size))
    ]


def _state(path: Path) -> list[str | int]:
    try:
        state = path.stat()
    except OSError:  # the reader says what is wrong with it
        return [str(path), -1, -1]
    return [str(path), state.st_size, state.st_mtime_ns]


@contextmanager
def parts_folder(out: Path, resume: bool) -> Iterator[Path]:
    """The folder of parts of an output, held alone; emptied first unless resumed.

    It is removed when the block ends well. Raises HilumError where another process holds it.
    """
    folder = out.with_name(out.name + ENDING)
    with files.alone(folder, "--out", "command"):
        _remove_parts(folder, () if resume else PATTERNS)
        yield folder
        _remove_parts(folder, PATTERNS)
    with suppress(OSError):  # what else lies in it stays
        folder.rmdir()


def _remove_parts(folder: Path, patterns: Sequence[str]) -> None:
    for pattern in {*patterns, *PATTERNS[1:]}:  # of a process that was killed
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def answer_shard(shard: Shard, progress: Progress) -> int:
    """Answer a shard's files and write its part; how many files there were.

    Raises HilumError where the model is not the one that the batch was begun with.
    """
    with files.single_threaded_products():
        model = _held_model(shard.model, shard.model_key)
        advance, count = progress(StepName(f"shard {shard.number + 1:,}")), len(shard.paths)
        advance(0, count)
        with shard.reading.open("w", buffering=1) as mark:
            answered = answering.answer_files(
                model,
                [Path(path) for path in shard.paths],
                lambda done: advance(done, count),
                _noting(shard.paths, mark.write),
            )
    write_part(shard, answered)
    return count


@lru_cache(maxsize=1)  # a process works on one batch
def _held_model(folder: Path, key: str) -> TrainedModel:
    model = exported.load(folder)
    if model_key(folder, model) != key:
        raise HilumError(
            "all processes need the same model, versions and kind of processor; got another "
            f"result of {str(folder)!r} in one of them; leave the model's folder as it is, and use "
            "machines that are alike."
        )
    return model


def _noting(paths: Sequence[str], write: Callable[[str], object]) -> Callable[[Path], None]:
    places = {Path(path): place for place, path in enumerate(paths)}

    def note_place(path: Path) -> None:
        write(f"{places[path]}\n")

    return note_place


def write_part(shard: Shard, answered: Answered) -> None:
    """Write a shard's answers whole or not at all; its mark of reading is over."""
    import pyarrow as pa  # the small installation has no shards
    import pyarrow.parquet as pq

    table, read = answered.table, (answered.table["label"] != "").to_numpy()
    points = [row.tobytes() for piece in answered.points for row in piece]
    rows = table.drop(columns="path").assign(
        sha256=_spread(read, [one.sha256 for one in answered.prints]),
        perceptual=_spread(read, [one.perceptual.tobytes() for one in answered.prints]),
        patient=_spread(read, [one.patient for one in answered.prints]),
        point=_spread(read, points),
    )
    width = answered.points[0].shape[1] if answered.points else 0
    stored = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(
        {b"hilum": json.dumps({"components": width}).encode()}
    )
    with files.atomic_write(shard.part) as temporary:
        pq.write_table(stored, temporary)
        intact.add_trailer(temporary)
    shard.reading.unlink(missing_ok=True)


def _spread(read: "np.typing.NDArray[np.bool_]", values: Sequence[object]) -> list[object]:
    following = iter(values)
    return [next(following) if known else None for known in read]


def read_part(shard: Shard, classes: list[str]) -> Answered | None:
    """A shard's answers, or None where they are not there, or not as they were written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not intact.has_trailer(shard.part):
            return None
        content = shard.part.read_bytes()[: -intact.TRAILER_BYTES]
        stored = pq.read_table(pa.BufferReader(content))
        width = int(json.loads(stored.schema.metadata[b"hilum"])["components"])
        rows = stored.to_pandas(ignore_metadata=True)
        return _rebuilt(shard, classes, rows, width)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def _rebuilt(shard: Shard, classes: list[str], rows: pd.DataFrame, width: int) -> Answered:
    read = (rows["label"] != "").to_numpy(bool)
    probabilities = rows[probability_columns(classes)].to_numpy(np.float64)
    table = answering.answer_table(
        list(shard.paths), classes, probabilities, read, rows["reason"].tolist()
    )
    known = rows[read]
    prints = [
        Print(sha256, np.frombuffer(bits, np.uint8), None if pd.isna(patient) else str(patient))
        for sha256, bits, patient in zip(
            known["sha256"], known["perceptual"], known["patient"], strict=True
        )
    ]
    points = np.frombuffer(b"".join(known["point"]), np.float32).reshape(len(known), width)
    return Answered(table, prints, [points] if len(known) else [])
