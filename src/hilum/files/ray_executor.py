"""Tasks carried out by Ray's actors, on this machine or on a cluster (extra `ray`).

Tasks and outcomes are pickled here, not by Ray: an exception of several arguments would arrive as
another. `ray.wait` keeps no order, so that an outcome is known by its reference.
https://docs.ray.io/en/latest/ray-core/actors.html
"""

import itertools
import os
import pickle
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self, TypeVar

from hilum.files import worker
from hilum.files.disk import CACHE
from hilum.files.executors import Function
from hilum.files.parallel import available_cpus, limit_threads
from hilum.files.worker import TaskOutcome, WorkerLostError
from hilum.progress import Progress, silent
from hilum.types import HilumError

Task = TypeVar("Task")
Result = TypeVar("Result")
LOCAL = "local"  # in place of an address: started here, for this command
LEAST = (2, 54)  # versions before let web pages run code by way of the dashboard
ANSWER = 10  # seconds in which a machine takes a connection
WATCHED = 10  # seconds between two looks whether Ray is there
PATIENCE = 300  # seconds without any actor that works
HERE = "127.0.0.1"
# "0": a local Ray listens on HERE alone. Given to ray.init, that address would be replaced by one
# that others can reach (resolve_ip_for_localhost in ray._private.services)
OF_A_CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
STORE = 100_000_000  # bytes of shared memory of a local Ray: answers lie in files


@dataclass(frozen=True, slots=True)
class CommandPlace:
    """What a process of Ray takes over from the command: where paths begin, the cache, threads."""

    folder: str
    cache: str
    threads: int

    @classmethod
    def here(cls, threads: int) -> Self:
        """This process's own, for one of so many threads."""
        return cls(str(Path.cwd()), os.environ.get(CACHE, ""), threads)

    def take_up(self) -> None:
        """Go there."""
        os.chdir(self.folder)
        if self.cache:
            os.environ[CACHE] = self.cache
        limit_threads(self.threads)


class TaskActor:
    """A process of Ray's that carries out tasks."""

    def __init__(self, place: CommandPlace) -> None:
        place.take_up()

    def answer(self) -> None:
        """Say that it is there."""

    def carry_out(self, content: bytes) -> bytes:
        """Pickled function and task to their pickled outcome."""
        return pickle.dumps(worker.carry_out(content, silent))


@dataclass(slots=True)
class _Task:
    number: int
    content: bytes
    lost: int = 0  # actors that were at it


@dataclass(slots=True)
class RayExecutor:
    """Up to `count` tasks at a time, each by an actor of `threads` cores that goes on with others.

    A task goes to an actor that has answered once: one for which a cluster has no core keeps none
    waiting. It goes to another where its actor is lost, and a WorkerLostError ends the rest once
    `tries` of them are. `ahead` tasks, besides one of each actor, may be done before their turn.
    """

    count: int
    threads: int
    tries: int
    ahead: int
    _starting: dict[Any, Any] = field(default_factory=dict)  # a reference -> the actor
    _idle: list[Any] = field(default_factory=list)
    _running: dict[Any, tuple[_Task, Any]] = field(default_factory=dict)
    _failed: int = 0  # actors that have never answered

    def map(
        self, function: Function[Task, Result], tasks: Iterable[Task], progress: Progress
    ) -> Iterator[Result]:
        """As Executor says; the steps of a task are not shown."""
        content = (pickle.dumps((function, task)) for task in tasks)
        try:
            for outcome in self._outcomes(itertools.starmap(_Task, enumerate(content))):
                yield outcome.result()
        except BaseException:  # Ctrl-C too: nobody waits for what is under way
            self.close()
            raise

    def close(self) -> None:
        """End all actors, whatever they are doing."""
        import ray

        working = (actor for _, actor in self._running.values())
        for actor in [*self._starting.values(), *self._idle, *working]:
            ray.kill(actor)
        for some in (self._starting, self._idle, self._running):
            some.clear()

    def _outcomes(self, coming: Iterator[_Task]) -> Iterator[TaskOutcome]:
        """In the order of tasks; a few wait, so that no actor does."""
        waiting: deque[_Task] = deque()
        done: dict[int, TaskOutcome] = {}
        for turn in itertools.count():
            while turn not in done:
                waiting.extend(itertools.islice(coming, max(0, self.count - len(waiting))))
                if not (waiting or self._running):
                    return
                self._assign(waiting, turn + self.count + self.ahead)
                self._wait(waiting, done)
            yield done.pop(turn)

    def _assign(self, waiting: deque[_Task], most: int) -> None:
        """Give tasks to actors that are free; start further ones for the rest."""
        import ray

        while waiting and self._idle and waiting[0].number < most:
            task, actor = waiting.popleft(), self._idle.pop()
            self._running[actor.carry_out.remote(task.content)] = (task, actor)
        known = len(self._starting) + len(self._idle) + len(self._running)
        made = ray.remote(TaskActor).options(num_cpus=self.threads, max_restarts=0)
        for _ in range(min(len(waiting) - len(self._starting), self.count - known)):
            actor = made.remote(CommandPlace.here(self.threads))
            self._starting[actor.answer.remote()] = actor

    def _wait(self, waiting: deque[_Task], done: dict[int, TaskOutcome]) -> None:
        """Take in what comes first: an actor that answers, an outcome, or the loss of either."""
        import ray

        end = time.monotonic() + PATIENCE
        while not (ready := self._first_ready()):
            if not any(node["Alive"] for node in ray.nodes()):
                raise HilumError(
                    "a Ray must run until the command is done; got the end of its last machine; "
                    "start it again, and continue with --resume."
                )
            if not self._running and time.monotonic() > end:
                raise HilumError(
                    f"Ray must have free cores for an actor, {self.threads} of them; got none in "
                    f"{PATIENCE} s; see ray status, and start the command when others are done."
                )
        task, actor = self._running.pop(ready[0], (None, None))
        actor = actor or self._starting.pop(ready[0])
        try:
            answer = ray.get(ready[0])
        except ray.exceptions.RayError as error:
            ray.kill(actor)  # its cores are free for another
            self._lost(task, str(error).strip().splitlines()[0])
            if task is not None:
                waiting.appendleft(task)
        else:
            self._idle.append(actor)
            if task is not None:
                done[task.number] = pickle.loads(answer)  # noqa: S301 - of our own actor

    def _first_ready(self) -> list[Any]:
        """What comes first, or nothing within WATCHED seconds."""
        import ray

        ready, _ = ray.wait([*self._starting, *self._running], num_returns=1, timeout=WATCHED)
        return list(ready)

    def _lost(self, task: _Task | None, ending: str) -> None:
        """Count a loss; WorkerLostError where it is one too many."""
        if task is None:
            self._failed += 1
        else:
            task.lost += 1
        if (self._failed if task is None else task.lost) >= self.tries:
            raise WorkerLostError(ending)


@contextmanager
def ray_executor(
    address: str, count: int | None, threads: int, tries: int, ahead: int
) -> Iterator[RayExecutor]:
    """One for the Ray at `address`, or LOCAL; `count` None takes all of its cores.

    `ahead` is of each actor. Raises HilumError where Ray is not installed, old, or not there.
    """
    with connected(address, (count or max(1, available_cpus() // threads)) * threads):
        import ray

        actors = count or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        executor = RayExecutor(actors, threads, tries, ahead * actors)
        try:
            yield executor
        finally:
            executor.close()


@contextmanager
def connected(address: str, cores: int) -> Iterator[None]:
    """Inside the block, the Ray at `address` is at hand, or one of our own with so many `cores`.

    Raises HilumError where Ray is not installed, old, or not there.
    """
    if address == LOCAL:
        os.environ[OF_A_CLUSTER] = "0"  # read when ray is imported
    require_ray()
    import ray

    _connect(address, cores)
    try:
        yield
    finally:
        ray.shutdown()


def require_ray() -> None:
    """Raise HilumError where Ray is not installed, or too old; it is not imported."""
    try:
        found = version("ray")
    except PackageNotFoundError:
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
            runtime_env={"env_vars": {"PYTHONPATH": path}}, **quiet,
        )  # fmt: skip
        _require_loopback()
        return
    try:
        _require_answer(address)
        ray.init(address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise HilumError(
            f"--ray must be {LOCAL} or the address of a Ray that runs; got {address!r} "
            f"({str(error).strip().splitlines()[0]}); check it with ray status."
        ) from None


def _require_answer(address: str) -> None:
    """Raise OSError where nobody takes a connection: Ray itself would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()


def listens_here_alone() -> bool:
    """Whether the Ray at hand is of this machine, and no other can reach it."""
    return set(_addresses()) == {HERE}


def _require_loopback() -> None:
    """Raise HilumError where a Ray of our own listens to others; it is stopped."""
    import ray

    if not listens_here_alone():
        addresses = _addresses()
        ray.shutdown()
        raise HilumError(
            f"--ray {LOCAL} must listen on {HERE} alone; got {', '.join(addresses)}; set "
            f"{OF_A_CLUSTER}=0 before ray is imported."
        )


def _addresses() -> list[str]:
    """Of the machines of the Ray at hand."""
    import ray

    return [str(node["NodeManagerAddress"]) for node in ray.nodes()]
