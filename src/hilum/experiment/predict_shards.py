"""Answers to a batch by several processes, or in parts that outlive a kill: the bytes of one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hilum import files, images
from hilum.experiment import answering, shards
from hilum.experiment.answering import BLOCK, Answered
from hilum.experiment.shards import Shard
from hilum.files import Executor, WorkerLostError
from hilum.files.executors import require_workers
from hilum.files.ray_executor import ray_executor
from hilum.inference.model import TrainedModel
from hilum.progress import Advance, Progress, note
from hilum.types import HilumError

TRIES = 3  # processes that may be lost at one shard
AHEAD = 8  # shards, for each process, that may be done before an earlier one


@dataclass(frozen=True, slots=True)
class Spread:
    """How a batch is shared out among processes, and whether what is done already is kept."""

    workers: int = 1
    resume: bool = False
    threads: int = 1  # of each process
    size: int | None = None  # files of a shard, a multiple of BLOCK; None: by their number
    ray: str = ""  # the address of a Ray in place of processes here, or "local"

    @property
    def in_parts(self) -> bool:
        """Whether answers are written part by part."""
        return self.workers != 1 or self.resume or self.ray != ""

    def check(self) -> None:
        """Raise HilumError for fewer than one process, or shards that are not whole blocks."""
        require_workers(self.workers)
        if self.size is not None and (self.size < 1 or self.size % BLOCK):
            raise HilumError(
                f"a shard has a multiple of {BLOCK} files; got {self.size}; change it."
            )

    def refuse_heatmaps(self) -> None:
        """Raise HilumError where parts are asked for: maps take all cores for one image."""
        if self.in_parts:
            got = f"--workers {self.workers}" if self.workers != 1 else "--resume"
            got = f"--ray {self.ray}" if self.ray else got
            raise HilumError(
                f"heat maps are drawn by one process from the first image on; got --heatmaps with "
                f"{got}; leave one of them out."
            )

    @contextmanager
    def executor(self) -> Iterator[tuple[Executor, int]]:
        """What carries shards out, and how many at a time."""
        if self.ray:
            count = self.workers if self.workers > 1 else None
            with ray_executor(self.ray, count, self.threads, TRIES, AHEAD) as actors:
                yield actors, actors.count
        else:
            ahead = AHEAD * self.workers
            with files.executor_of(self.workers, self.threads, TRIES, ahead) as executor:
                yield executor, self.workers


@dataclass(frozen=True, slots=True)
class Batch:
    """Files to answer, and by what."""

    folder: Path  # of the model
    model: TrainedModel
    paths: Sequence[Path]
    out: Path
    spread: Spread


@contextmanager
def answered(batch: Batch, progress: Progress) -> Iterator[Answered]:
    """Answers to all files in order, put together from parts; these are removed afterwards.

    Raises HilumError where a process is lost again and again, with the file that it read.
    """
    _require_processor(batch.model)
    batch.spread.check()
    spread, key = batch.spread, shards.model_key(batch.folder, batch.model)
    with shards.parts_folder(batch.out, spread.resume) as folder:
        advance = progress("predict")
        advance(0, len(batch.paths))
        with spread.executor() as (executor, count):
            size = spread.size or shards.shard_size(len(batch.paths), count)
            planned = shards.plan_shards(batch.folder, key, batch.paths, folder, size)
            parts = _parts(planned, batch, executor, progress, advance)
        yield answering.joined(parts)


def _require_processor(model: TrainedModel) -> None:
    device = model.runtime.facts.device
    if device != "cpu":
        raise HilumError(
            f"parts of a batch are computed by processor cores; got a model on {device}; add "
            "--device cpu, or leave --workers and --resume out."
        )


def _parts(
    planned: Sequence[Shard],
    batch: Batch,
    executor: Executor,
    progress: Progress,
    advance: Advance,
) -> list[Answered]:
    """The answers of every shard, in order; those that are not there are computed first."""
    classes = batch.model.facts.classes
    known = {shard.number: part for shard in planned if (part := shards.read_part(shard, classes))}
    done = sum(len(planned[number].paths) for number in known)
    if done:
        advance(done, len(batch.paths))
        note(advance, f"{done:,} predicted before")
    todo = [shard for shard in planned if shard.number not in known]
    finished = 0
    try:
        for shard, count in zip(
            todo, executor.map(shards.answer_shard, todo, progress), strict=True
        ):
            done, finished = done + count, finished + 1
            known[shard.number] = _read_back(shard, classes)
            advance(done, len(batch.paths))
    except WorkerLostError as error:
        raise _lost(todo[finished], error) from None
    return [known[shard.number] for shard in planned]


def _read_back(shard: Shard, classes: list[str]) -> Answered:
    part = shards.read_part(shard, classes)
    if part is None:
        raise HilumError(
            f"{shard.part} must be as it was written a moment ago; got another file or none; leave "
            "the folder alone, and continue with --resume."
        )
    return part


def _lost(shard: Shard, error: WorkerLostError) -> HilumError:
    path = shard.last_read()
    reading = f" while it read {images.printable(Path(path))!r}" if path else ""
    return HilumError(
        f"a worker process must live until its shard is done; {TRIES} ended at the same shard, the "
        f"last{reading} ({error.ending}); move that file away or use fewer --workers if memory ran "
        "out, and continue with --resume."
    )
