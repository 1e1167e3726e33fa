"""Where tasks are carried out: one after another in this process, or in processes of their own.

Processes are plain ones, not multiprocessing's, and never forked: libraries that hold threads do
not survive a fork, and a caller's script need not guard its main part.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol, TypeAlias, TypeVar

from hilum.files.worker import Worker
from hilum.progress import Progress
from hilum.types import HilumError

Task = TypeVar("Task")
Result = TypeVar("Result")
Function: TypeAlias = Callable[[Task, Progress], Result]


class Executor(Protocol):
    """Carries out tasks that do not depend on each other."""

    def map(
        self, function: Function[Task, Result], tasks: Iterable[Task], progress: Progress
    ) -> Iterator[Result]:
        """Yield `function(task, progress)` of every task in the order of `tasks`.

        `tasks` is read as it is needed. The first task that raises ends it.
        """


class SerialExecutor:
    """One task after another in this process; the next is fetched when one is done."""

    def map(
        self, function: Function[Task, Result], tasks: Iterable[Task], progress: Progress
    ) -> Iterator[Result]:
        """As Executor says."""
        for task in tasks:
            yield function(task, progress)


@dataclass(slots=True)
class ProcessExecutor:
    """Up to `count` tasks at a time, each in a process that goes on with further tasks.

    Function, tasks and results travel pickled; steps within a task are not reported. What a task
    raises arrives as it is; a process that is killed is a HilumError.
    """

    count: int
    _idle: list[Worker] = field(default_factory=list)
    _started: list[Worker] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def map(
        self, function: Function[Task, Result], tasks: Iterable[Task], progress: Progress
    ) -> Iterator[Result]:
        """As Executor says; a few tasks wait, so that no process does."""
        submitted: deque[Future[Result]] = deque()
        advance, done = progress(f"tasks in {self.count} processes"), 0
        with ThreadPoolExecutor(self.count) as pool:
            try:
                for task in tasks:
                    submitted.append(pool.submit(self._run, function, task))
                    if len(submitted) > self.count:
                        yield submitted.popleft().result()
                        done += 1
                        advance(done, done + len(submitted))
                while submitted:
                    yield submitted.popleft().result()
                    done += 1
                    advance(done, done + len(submitted))
            except BaseException:  # Ctrl-C too: nobody waits for what is under way
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        with self._lock:
            for worker in self._started:
                worker.end()
            self._started.clear()
            self._idle.clear()

    def _run(self, function: Function[Task, Result], task: Task) -> Result:
        with self._lock:
            if not self._idle:
                self._idle.append(Worker())
                self._started.append(self._idle[-1])
            worker = self._idle.pop()
        outcome = worker.ask(function, task)
        with self._lock:
            self._idle.append(worker)
        return outcome.result()


@contextmanager
def executor_of(workers: int) -> Iterator[Executor]:
    """One for so many processes; 1 computes here. Raises HilumError for fewer than one."""
    if workers < 1:
        raise HilumError(f"workers must be at least 1; got {workers}; leave it out for one.")
    if workers == 1:
        yield SerialExecutor()
        return
    processes = ProcessExecutor(workers)
    try:
        yield processes
    finally:
        processes.close()
