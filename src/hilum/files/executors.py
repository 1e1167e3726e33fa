"""Where tasks are carried out: one after another in this process, or in processes of their own.

Processes are plain ones, not multiprocessing's, and never forked: libraries that hold threads do
not survive a fork, and a caller's script need not guard its main part.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event, Lock
from typing import Protocol, TypeAlias, TypeVar

from hilum.files.worker import StepReport, Worker, WorkerLostError
from hilum.progress import Advance, Progress, StepName, note
from hilum.types import HilumError

Task = TypeVar("Task")
Result = TypeVar("Result")
Function: TypeAlias = Callable[[Task, Progress], Result]
Reports: TypeAlias = "SimpleQueue[tuple[int, StepReport | None] | None]"  # None: see _Shown


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

    Function, tasks and results travel pickled. What a task raises arrives as it is; a process that
    is killed is a WorkerLostError once `tries` of them have been at the same task. The steps of a
    task are shown from the thread that asks for results, with the number of their process.
    """

    count: int
    threads: int | None = None  # of each process; None: as many as here
    tries: int = 1
    ahead: int = 0  # tasks, besides one of each process, that may be done before their turn
    module: str = "hilum"  # what a process loads at once
    _idle: list[tuple[int, Worker]] = field(default_factory=list)
    _started: list[Worker] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def map(
        self, function: Function[Task, Result], tasks: Iterable[Task], progress: Progress
    ) -> Iterator[Result]:
        """As Executor says; a few tasks wait, so that no process does."""
        submitted: deque[Future[Result]] = deque()
        shown, stopped = _Shown(progress), Event()
        with ThreadPoolExecutor(self.count) as pool:
            try:
                for task in tasks:
                    submitted.append(pool.submit(self._run, function, task, shown.reports, stopped))
                    if len(submitted) > self.count + self.ahead:
                        yield shown.until_done(submitted.popleft())
                while submitted:
                    yield shown.until_done(submitted.popleft())
            except BaseException:  # Ctrl-C too: nobody waits for what is under way
                stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise

    def start(self) -> None:
        """Start all processes now: what they load is loaded by the time of the first task."""
        with self._lock:
            while len(self._started) < self.count:
                self._add_worker()

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        with self._lock:
            for worker in self._started:
                worker.end()
            self._started.clear()
            self._idle.clear()

    def _run(
        self, function: Function[Task, Result], task: Task, reports: Reports, stopped: Event
    ) -> Result:
        for _ in range(self.tries - 1):
            with suppress(WorkerLostError):
                return self._try(function, task, reports, stopped)
        return self._try(function, task, reports, stopped)

    def _try(
        self, function: Function[Task, Result], task: Task, reports: Reports, stopped: Event
    ) -> Result:
        with self._lock:
            if stopped.is_set():  # its worker was ended on purpose
                raise HilumError("the other tasks were stopped")
            if not self._idle:
                self._add_worker()
            number, worker = self._idle.pop()
        try:
            outcome = worker.ask(function, task, lambda report: reports.put((number, report)))
        finally:
            reports.put((number, None))
        with self._lock:
            self._idle.append((number, worker))
        return outcome.result()

    def _add_worker(self) -> None:
        self._started.append(Worker(self.threads, self.module))
        self._idle.append((len(self._started), self._started[-1]))


class _Shown:
    """Steps of all processes, shown by one thread: a Progress need not be safe for several.

    A process number with None says that its task is over; None alone wakes who waits for a result.
    """

    def __init__(self, progress: Progress) -> None:
        self.reports: Reports = SimpleQueue()
        self._progress = progress
        self._steps: dict[tuple[int, int], _StepShown] = {}  # by process and number of the step

    def until_done(self, future: Future[Result]) -> Result:
        """The result, with every report shown that arrives before it."""
        future.add_done_callback(lambda _: self.reports.put(None))
        while not (future.done() and self.reports.empty()):
            if (arrived := self.reports.get()) is not None:
                self._show(*arrived)
        return future.result()

    def _show(self, process: int, report: StepReport | None) -> None:
        if report is None:
            for key in [key for key in self._steps if key[0] == process]:
                self._steps.pop(key).close()
            return
        key = (process, report.number)
        if key not in self._steps:
            step = StepName(report.step, report.unit, process)
            self._steps[key] = _StepShown(self._progress(step))
        self._steps[key].show(report)


@dataclass(slots=True)
class _StepShown:
    advance: Advance
    latest: tuple[int, int] = (0, 0)  # done, total

    def show(self, report: StepReport) -> None:
        if report.words is not None:
            note(self.advance, report.words)
        elif report.done >= 0:
            self.latest = (report.done, report.total)
            self.advance(*self.latest)

    def close(self) -> None:
        """A step of a task that is over goes no further than it came."""
        done, total = self.latest
        if done < total:
            self.advance(done, done)


def require_workers(workers: int) -> None:
    """Raise HilumError for fewer than one process."""
    if not isinstance(workers, int) or workers < 1:
        raise HilumError(f"workers must be at least 1; got {workers!r}; leave it out for one.")


@contextmanager
def executor_of(
    workers: int,
    threads: int | None = None,
    tries: int = 1,
    ahead: int = 0,
    module: str = "",
) -> Iterator[Executor]:
    """One for so many processes, see ProcessExecutor; 1 computes here, as it is.

    With a `module` they start at once and load it. Raises HilumError for fewer than one.
    """
    require_workers(workers)
    if workers == 1:
        yield SerialExecutor()
        return
    processes = ProcessExecutor(workers, threads, tries, ahead, module or "hilum")
    try:
        if module:
            processes.start()
        yield processes
    finally:
        processes.close()
