"""A batch in parts: some files each in, a file of results each out, by one process or several.

A part's name has a digest of all that its results depend on: what is done, versions and its files
as they are (path, size, time of last change). Where there is a part of that name, it is not made
again. It is written by rename and has a checksum.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hilum import files, images
from hilum.experiment.answering import BLOCK
from hilum.experiment.spread import TRIES, Spread
from hilum.files import Executor, WorkerLostError, intact
from hilum.progress import Progress, StepName, note
from hilum.types import HilumError

Part = TypeVar("Part")
INSIDE = ".parts"  # the folder of parts within an output that is a folder: hidden, so never listed
PART, READING = "shard-{number:05}-{key}.part", "shard-{number:05}.reading"
PATTERNS = ("shard-*.part", "shard-*.reading", ".*-shard-*.part")
MOST = 1024  # files of a shard: what a kill can cost a process
EACH = 8  # shards that a process gets, where there are enough files: the last ones end together


@dataclass(frozen=True, slots=True)
class Watch:
    """What a shard's work tells of itself: how many files are done, and which it begins."""

    done: Callable[[int], None]
    reading: Callable[[Path], None]


class Work(Protocol):
    """What is done with the files of a shard; it travels to the process that does it."""

    def carry_out(self, shard: "Shard", watch: Watch) -> None:
        """Write the shard's part."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Some files of a batch, in order, and where what is made of them goes."""

    number: int
    key: str  # digest of what the results depend on
    work: Work
    paths: tuple[str, ...]
    folder: Path

    @property
    def part(self) -> Path:
        """The file of results."""
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

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A temporary path that becomes the part, with its checksum, when the block ends well."""
        with files.atomic_write(self.part) as temporary:
            yield temporary
            intact.add_trailer(temporary)

    def is_whole(self) -> bool:
        """Whether the part is as it was written; raises OSError where there is none."""
        return intact.has_trailer(self.part)


@dataclass(frozen=True, slots=True)
class Batch(Generic[Part]):
    """Files, what is done with them, and how a part is read."""

    paths: Sequence[Path]
    key: str  # digest of all that results depend on, the files apart
    work: Callable[[slice], Work]  # of the files at these places
    read: Callable[[Shard], Part | None]  # None where it is not there, or not as it was written
    step: str  # its name while it is carried out, "predict"
    past: str  # "predicted"

    def shards(self, folder: Path, size: int) -> list[Shard]:
        """All files in shards of `size`, a multiple of BLOCK, in order."""
        cuts = [slice(start, start + size) for start in range(0, len(self.paths), size)]
        return [
            Shard(
                number,
                files.stable_digest(self.key, [_state(path) for path in self.paths[cut]])[:16],
                self.work(cut),
                tuple(str(path) for path in self.paths[cut]),
                folder,
            )
            for number, cut in enumerate(cuts)
        ]


def shard_size(count: int, processes: int) -> int:
    """Files of a shard: whole blocks, several shards for each process, and none too large."""
    even = -(-count // (EACH * processes))
    return min(MOST, max(1, -(-even // BLOCK)) * BLOCK)


def _state(path: Path) -> list[str | int]:
    try:
        state = path.stat()
    except OSError:  # the reader says what is wrong with it
        return [str(path), -1, -1]
    return [str(path), state.st_size, state.st_mtime_ns]


@contextmanager
def parts_folder(folder: Path, resume: bool) -> Iterator[Path]:
    """The folder of parts of an output, held alone; emptied first unless resumed.

    It is removed when the block ends well. Raises HilumError where another process holds it.
    """
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


def carry_out(shard: Shard, progress: Progress) -> int:
    """Do a shard's work, which writes its part; how many files there were.

    Nothing is done where the part is there: its process was lost before it could say so.
    """
    advance, count = progress(StepName(f"shard {shard.number + 1:,}")), len(shard.paths)
    advance(0, count)
    with suppress(OSError):
        if shard.is_whole():
            return count
    with files.single_threaded_products(), shard.reading.open("w", buffering=1) as mark:
        watch = Watch(lambda done: advance(done, count), _noting(shard.paths, mark.write))
        shard.work.carry_out(shard, watch)
    shard.reading.unlink(missing_ok=True)
    return count


def _noting(paths: Sequence[str], write: Callable[[str], object]) -> Callable[[Path], None]:
    places = {Path(path): place for place, path in enumerate(paths)}

    def note_place(path: Path) -> None:
        write(f"{places[path]}\n")

    return note_place


def all_parts(batch: Batch[Part], folder: Path, spread: Spread, progress: Progress) -> list[Part]:
    """The parts of every shard, in order; those that are not in `folder` are made first.

    Raises HilumError where a process is lost again and again, with the file that it read.
    """
    spread.check()
    advance, total = progress(batch.step), len(batch.paths)
    advance(0, total)
    with spread.executor() as (executor, count):
        planned = batch.shards(folder, spread.size or shard_size(total, count))
        known = {shard.number: part for shard in planned if (part := batch.read(shard)) is not None}
        done = sum(len(planned[number].paths) for number in known)
        if done:
            advance(done, total)
            note(advance, f"{done:,} {batch.past} before")
        todo = [shard for shard in planned if shard.number not in known]
        for shard in todo:
            shard.part.unlink(missing_ok=True)  # damaged, or of films that have gone since
        for shard, part in _made(batch, todo, executor, progress):
            known[shard.number] = part
            done += len(shard.paths)
            advance(done, total)
    return [known[shard.number] for shard in planned]


def _made(
    batch: Batch[Part], todo: Sequence[Shard], executor: Executor, progress: Progress
) -> Iterator[tuple[Shard, Part]]:
    """Shards with their parts, as they are done, in order."""
    finished = 0
    try:
        for shard, _ in zip(todo, executor.map(carry_out, todo, progress), strict=True):
            finished += 1
            yield shard, _read_back(batch, shard)
    except WorkerLostError as error:
        raise _lost(todo[finished], error) from None


def _read_back(batch: Batch[Part], shard: Shard) -> Part:
    part = batch.read(shard)
    if part is None:
        raise HilumError(
            f"{shard.part} must be as it was written a moment ago; got another file or none; leave "
            "the folder alone, and continue with --resume."
        )
    return part


def _lost(shard: Shard, error: WorkerLostError) -> HilumError:
    path = shard.last_read()
    reading = f" while it read {images.printable(Path(path))!r}" if path else ""
    remedy = "move that file away or use" if path else "use"
    return HilumError(
        f"a worker process must live until its shard is done; {TRIES} ended at the same shard, the "
        f"last{reading} ({error.ending}); {remedy} fewer --workers if memory ran out, and continue "
        "with --resume."
    )
