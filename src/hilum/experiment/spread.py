"""How a batch is shared out among processes, and whether what is done already is kept."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from hilum import files
from hilum.experiment.answering import BLOCK
from hilum.files import Executor, SerialExecutor
from hilum.files.executors import require_workers
from hilum.files.ray_executor import RayExecutor, connected, ray_executor, require_ray
from hilum.images import Readers
from hilum.types import HilumError

TRIES = 3  # processes that may be lost at one shard or fold
TASKS = "hilum.experiment.fold_task"  # what processes load that train folds
AHEAD = 8  # shards, for each process, that may be done before an earlier one


@dataclass(frozen=True, slots=True)
class Spread:
    """Processes or Ray's actors for a batch, the size of its shards, and whether it goes on."""

    workers: int = 1
    resume: bool = False
    threads: int = 1  # of each process
    size: int | None = None  # files of a shard, a multiple of BLOCK; None: by their number
    ray: str = ""  # the address of a Ray in place of processes here, or "local"

    @property
    def in_parts(self) -> bool:
        """Whether results are written part by part."""
        return self.workers != 1 or self.resume or self.ray != ""

    def check(self) -> None:
        """Raise HilumError for fewer than one process, shards that are no whole blocks, no Ray."""
        require_workers(self.workers)
        if self.ray:
            require_ray()
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
            with _actors(self.ray, self.workers, self.threads, AHEAD) as actors:
                yield actors, actors.count
        else:
            ahead = AHEAD * self.workers
            with files.executor_of(self.workers, self.threads, TRIES, ahead) as executor:
                yield executor, self.workers


def spread_of(workers: int, resume: bool, ray: str) -> Spread:
    """The same as a user says it: each process has as many cores as $HILUM_THREADS, or one."""
    return Spread(workers, resume, files.wanted_threads() or 1, ray=ray)


@contextmanager
def executor_of_folds(workers: int, ray: str, replicas: int = 1) -> Iterator[Executor]:
    """What trains folds: each has all cores of this machine, or as many of another.

    With several `replicas` it is they that a Ray is for: each has so many cores, and folds are
    trained one after another from here. Raises HilumError where there is no such Ray.
    """
    if not ray:
        with files.executor_of(workers, tries=TRIES, module=TASKS) as processes:
            yield processes
        return
    require_workers(workers)
    if replicas > 1:
        with connected(ray, max(workers, replicas) * files.available_cpus()):
            yield SerialExecutor()
        return
    with _actors(ray, workers, files.available_cpus(), 0) as actors:
        yield actors


@contextmanager
def readers_of_headers(workers: int, ray: str) -> Iterator[Readers]:
    """So many processes, or actors of a Ray, of one core each.

    Raises HilumError where there is no such Ray.
    """
    if not ray:
        yield workers
        return
    require_workers(workers)
    with _actors(ray, workers, 1, AHEAD) as actors:
        yield actors


def _actors(
    ray: str, workers: int, threads: int, ahead: int
) -> AbstractContextManager[RayExecutor]:
    """One worker is what a user gets who names no number: as many as the Ray has cores for."""
    return ray_executor(ray, workers if workers > 1 else None, threads, TRIES, ahead)


ALONE = Spread()
