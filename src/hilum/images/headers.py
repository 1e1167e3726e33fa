"""Headers of many files, by this process or by several; in the order of the files either way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

from hilum import files
from hilum.files import Executor, WorkerLostError
from hilum.images.find_images import printable
from hilum.images.read_image import probe
from hilum.progress import Progress, silent
from hilum.types import HilumError

Header: TypeAlias = dict[str, Any] | str  # what it says, or why it cannot be read
Readers: TypeAlias = int | Executor  # so many processes, or those that are there already
CHUNK = 512  # files of a task: a tenth of a second or more, while a process takes as long to ask
TRIES = 3  # processes that may be lost at one task
AHEAD = 4  # tasks, for each process, that may be done before an earlier one


def read_headers(
    paths: Sequence[str], done: Callable[[int, int], None] | None = None, workers: Readers = 1
) -> Iterator[Header]:
    """What `probe` says of each file, or why it cannot be read; `done` counts them.

    Raises HilumError where a process is lost again and again at the same files.
    """
    chunks = [tuple(paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    if isinstance(workers, int):
        workers = min(workers, max(1, len(chunks)))
        if workers == 1:  # one by one, so that a bar moves
            chunks = [(path,) for path in paths]
    count = 0
    with _executor(workers) as executor:
        try:
            for found in executor.map(_headers, chunks, silent):
                for header in found:
                    count += 1
                    if done:
                        done(count, len(paths))
                    yield header
        except WorkerLostError as error:
            raise _lost(paths[count : count + CHUNK], error) from None


def _executor(workers: Readers) -> AbstractContextManager[Executor]:
    """Those that are there stay; processes end with their work."""
    if not isinstance(workers, int):
        return nullcontext(workers)
    return files.executor_of(workers, 1, TRIES, AHEAD * workers)


def _headers(paths: tuple[str, ...], progress: Progress) -> list[Header]:
    return [_header(path) for path in paths]


def _header(path: str) -> Header:
    try:
        return probe(path)
    except HilumError as error:  # the sentence without the path
        return str(error).removeprefix(f"{path}: ").rstrip(".")


def _lost(paths: Sequence[str], error: WorkerLostError) -> HilumError:
    return HilumError(
        f"a worker process must live until its headers are read; {TRIES} ended at the files from "
        f"{printable(paths[0])!r} to {printable(paths[-1])!r} ({error.ending}); use fewer "
        "--workers if memory ran out, or move the file away that ends them."
    )
