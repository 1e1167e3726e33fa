"""Tasks carried out by Ray's actors, on this machine or on a cluster (extra `ray`).

Tasks and outcomes are pickled here, not by Ray: an exception of several arguments would arrive as
another. `ray.wait` keeps no order, so that an outcome is known by its reference.
https://docs.ray.io/en/latest/ray-core/actors.html
"""

import os
import pickle
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hilum.files import worker
from hilum.files.executors import Function
from hilum.files.parallel import available_cpus, limit_threads
from hilum.files.worker import TaskOutcome, WorkerLostError
from hilum.progress import Progress, silent
from hilum.types import HilumError

Task = TypeVar("Task")
Result = TypeVar("Result")
LOCAL = "local"  # in place of an address: started here, for this command
LEAST = (2, 54)  # versions before let web pages run code by way of the dashboard
STORE = 100_000_000  # bytes of shared memory of a local Ray: answers lie in files


class TaskActor:
    """A process of Ray's, in the working folder of the command."""

    def __init__(self, folder: str, threads: int) -> None:
        os.chdir(folder)
        limit_threads(threads)

    def carry_out(self, content: bytes) -> bytes:
        """Pickled function and task to their pickled outcome."""
        return pickle.dumps(worker.carry_out(content, silent))


@dataclass(slots=True)
class _Running:
    number: int
    content: bytes
    actor: Any
    tries: int = 1


@dataclass(slots=True)
class RayExecutor:
    """Up to `count` tasks at a time, each by an actor of `threads` cores that goes on with others.

    A task whose actor is lost goes to a new one; a WorkerLostError once `tries` of them are lost at
    it. `ahead` tasks, besides one of each actor, may be done before their turn.
    """

    count: int
    threads: int
    tries: int
    ahead: int
    _idle: list[Any] = field(default_factory=list)
    _all: list[Any] = field(default_factory=list)

    def map(
        self, function: Function[Task, Result], tasks: Iterable[Task], progress: Progress
    ) -> Iterator[Result]:
        """As Executor says; the steps of a task are not shown."""
        try:
            yield from self._results(function, tasks)
        except BaseException:  # Ctrl-C too: nobody waits for what is under way
            self.close()
            raise

    def _results(self, function: Function[Task, Result], tasks: Iterable[Task]) -> Iterator[Result]:
        import ray

        coming, done = enumerate(tasks), dict[int, TaskOutcome]()
        running: dict[Any, _Running] = {}
        turn, more = 0, True
        while more or running or done:
            while more and len(running) < self.count and len(running) + len(done) <= self._most:
                number, task = next(coming, (-1, None))
                if number < 0:
                    more = False
                    break
                self._start(running, _Running(number, pickle.dumps((function, task)), self._free()))
            if turn in done:
                yield done.pop(turn).result()
                turn += 1
            elif running:
                (ready, *_), _ = ray.wait([*running], num_returns=1)
                self._take(ready, running, done)

    @property
    def _most(self) -> int:
        return self.count + self.ahead

    def _take(self, ready: Any, running: dict[Any, _Running], done: dict[int, TaskOutcome]) -> None:
        """Take in an outcome, or begin its task again where the actor was lost."""
        import ray

        run = running.pop(ready)
        try:
            done[run.number] = pickle.loads(ray.get(ready))  # noqa: S301 - of our own actor
        except ray.exceptions.RayError as error:
            ray.kill(run.actor)  # its cores are free for another
            if run.tries >= self.tries:
                raise WorkerLostError(str(error).strip().splitlines()[0]) from None
            again = _Running(run.number, run.content, self._free(), run.tries + 1)
            self._start(running, again)
        else:
            self._idle.append(run.actor)

    def _start(self, running: dict[Any, _Running], run: _Running) -> None:
        running[run.actor.carry_out.remote(run.content)] = run

    def _free(self) -> Any:
        """An actor that waits, or a new one."""
        import ray

        if self._idle:
            return self._idle.pop()
        made = ray.remote(TaskActor).options(num_cpus=self.threads, max_restarts=0)
        self._all.append(made.remote(str(Path.cwd()), self.threads))
        return self._all[-1]

    def close(self) -> None:
        """End all actors, whatever they are doing."""
        import ray

        for actor in self._all:
            ray.kill(actor)
        self._all.clear()
        self._idle.clear()


@contextmanager
def ray_executor(
    address: str, count: int | None, threads: int, tries: int, ahead: int
) -> Iterator[RayExecutor]:
    """One for the Ray at `address`, or LOCAL; `count` None takes all of its cores.

    `ahead` is of each actor. Raises HilumError where Ray is not installed, old, or not there.
    """
    _require_ray()
    import ray

    _connect(address, (count or max(1, available_cpus() // threads)) * threads)
    try:
        actors = count or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        executor = RayExecutor(actors, threads, tries, ahead * actors)
        try:
            yield executor
        finally:
            executor.close()
    finally:
        ray.shutdown()


def _require_ray() -> None:
    """Raise HilumError where Ray is not installed, or too old."""
    try:
        import ray

        found = str(ray.__version__)
    except (ImportError, AttributeError):  # an ordinary folder of that name can be imported too
        raise HilumError(
            "--ray needs the package ray, which is not installed; run pip install 'hilum[ray]'."
        ) from None
    if tuple(map(int, found.split(".")[:2])) < LEAST:
        raise HilumError(
            f"--ray needs ray {'.'.join(map(str, LEAST))} or newer, as earlier ones let web pages "
            f"run code; got {found}; run pip install 'hilum[ray]'."
        )


def _connect(address: str, cores: int) -> None:
    import ray

    path = os.pathsep.join(filter(None, sys.path))  # a local Ray finds the modules that we do
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        ray.init(
            "local", num_cpus=cores, include_dashboard=False, object_store_memory=STORE,
            _node_ip_address="127.0.0.1", runtime_env={"env_vars": {"PYTHONPATH": path}}, **quiet,
        )  # fmt: skip
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise HilumError(
            f"--ray must be {LOCAL} or the address of a Ray that runs; got {address!r} "
            f"({str(error).strip().splitlines()[0]}); check it with ray status."
        ) from None
