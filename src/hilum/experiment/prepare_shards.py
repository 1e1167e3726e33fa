"""Prepared films by several processes, or in parts that outlive a kill: the bytes of one.

A part lists what became of each film; the films themselves lie where they belong. It counts as done
where these are as they were written.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hilum import files
from hilum.experiment import shards
from hilum.experiment.prepare_film import NO_PIXELS, FilmJob, FilmOutcome, prepare_film
from hilum.experiment.shards import Shard, Watch
from hilum.experiment.spread import Spread
from hilum.files import intact
from hilum.files.versions import IMAGES, NETWORKS
from hilum.preprocess import Pipeline, from_list
from hilum.preprocess.geometry import Letterbox
from hilum.preprocess.lungs import segmenter
from hilum.preprocess.lungs.masks import LungMask
from hilum.preprocess.step import Step
from hilum.progress import Progress

CHUNK = 64  # films between two reports


@dataclass(frozen=True, slots=True)
class PrepareWork:
    """Steps on a shard's films; the part says what became of each."""

    steps: str  # JSON
    jobs: tuple[FilmJob, ...]

    def carry_out(self, shard: Shard, watch: Watch) -> None:
        """As shards.Work says."""
        steps = _built(self.steps)

        def one(job: FilmJob) -> FilmOutcome:
            watch.reading(job.path)
            return prepare_film(job, steps)

        done: list[FilmOutcome] = []
        for chunk in files.mapped_ahead(one, self.jobs, CHUNK):
            done += chunk
            watch.done(len(done))
        with shard.writing() as temporary:
            temporary.write_text(json.dumps([_row(outcome) for outcome in done]), "utf-8")


@lru_cache(maxsize=1)  # a process works on one batch
def _built(text: str) -> tuple[Step, ...]:
    """Steps of their declared form, with the network that finds lungs where one needs it."""
    return from_list(json.loads(text), segmenter.load_segmenter).steps[:-1]


def _row(outcome: FilmOutcome) -> list[object]:
    lungs = outcome.lungs
    judged = None if lungs is None else [lungs.status, lungs.fraction, lungs.confidence]
    return [outcome.fault, judged, _written(outcome.job)]


def _written(job: FilmJob) -> list[int | None]:
    """A checksum of each of a job's files, None where there is none."""
    return [
        zlib.crc32(path.read_bytes()) if path.is_file() else None for path in (job.target, job.mask)
    ]


def read_part(shard: Shard) -> list[FilmOutcome] | None:
    """What became of a shard's films, or None where that, or one of them, is not as written."""
    jobs = shard.work.jobs if isinstance(shard.work, PrepareWork) else ()
    try:
        if not shard.is_whole():
            return None
        rows = json.loads(shard.part.read_bytes()[: -intact.TRAILER_BYTES])
        if any(_written(job) != written for job, (_, _, written) in zip(jobs, rows, strict=True)):
            return None
        return [
            FilmOutcome(job, fault, None if judged is None else LungMask(NO_PIXELS, *judged))
            for job, (fault, judged, _) in zip(jobs, rows, strict=True)
        ]
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def outcomes(
    jobs: Sequence[FilmJob], steps: Sequence[Step], out: Path, spread: Spread, progress: Progress
) -> Iterator[list[FilmOutcome]]:
    """What became of all films, in order; the parts, in `out`, are removed when all is done.

    Raises as `shards.all_parts` does.
    """
    spread.check()
    # a letterbox at the end only satisfies the check for a fixed size; it is taken off again
    whole = Pipeline((*steps, Letterbox()))
    text = json.dumps(whole.as_list())
    batch = shards.Batch(
        [job.path for job in jobs],
        files.stable_digest("prepare", whole.digest, files.releases(*IMAGES, *NETWORKS), str(out)),
        lambda cut: PrepareWork(text, tuple(jobs[cut])),
        read_part,
        "prepare",
        "prepared",
    )
    with shards.parts_folder(out / shards.INSIDE, spread.resume) as folder:
        parts = shards.all_parts(batch, folder, spread, progress)
        yield [outcome for part in parts for outcome in part]
