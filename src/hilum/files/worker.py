"""A process that carries out tasks for another, and the other's side of it.

Both sides see the other's end by their pipe: a worker exits in the middle of a task once nobody
holds its input, be it after Ctrl-C or a kill.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, Any

from hilum.files import exit_codes
from hilum.files.parallel import THREADS, limit_threads, wanted_threads
from hilum.progress import Advance, Progress, unit_of
from hilum.types import HilumError

REPORTS = 0.1  # seconds between two reports of a step: the pipe also carries results
_SHOWN: dict[Any, Any] = {}  # warnings that were shown: each worker would show its own


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """Outcome of a task: its value or what it raised, and the warnings on the way."""

    value: Any
    error: BaseException | None
    warned: tuple[tuple[Warning | str, type[Warning], str, int], ...]  # text, category, file, line

    def result(self) -> Any:
        """The value; warnings and errors of the worker process are raised here."""
        for text, category, file, line in self.warned:
            warnings.warn_explicit(text, category, file, line, registry=_SHOWN)
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True, slots=True)
class StepReport:
    """How far a step of the task is; `words` is a note instead, `done` of -1 opens the step."""

    number: int  # of the step within its task
    step: str
    unit: str
    done: int = -1
    total: int = 0
    words: str | None = None


class WorkerLostError(HilumError):
    """A worker process that ended in the middle of a task; `ending` says how."""

    def __init__(self, ending: str) -> None:
        super().__init__(
            f"a worker process must live until its task is done; got {ending}; use fewer "
            "--workers if memory ran out, or continue with --resume."
        )
        self.ending = ending


class Worker:
    """This side of such a process, with at most so many `threads`, or as many as here.

    It loads a module before its first task, while this process does something else.
    """

    def __init__(self, threads: int | None = None, module: str = "hilum") -> None:
        path = os.pathsep.join(filter(None, sys.path))  # the same modules as here
        limit = {} if threads is None else {THREADS: str(threads)}
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of ours
            [sys.executable, "-P", "-c", "from hilum.files import worker; worker.main()", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1", **limit},
        )

    def ask(
        self, function: Callable[..., Any], task: Any, reported: Callable[[StepReport], None]
    ) -> TaskOutcome:
        """Send one task and wait, with every report of its steps handed to `reported`.

        Raises WorkerLostError where the process ends before it is done.
        """
        to_worker, from_worker = self._process.stdin, self._process.stdout
        assert to_worker is not None  # noqa: S101
        assert from_worker is not None  # noqa: S101
        content = pickle.dumps((function, task))
        try:
            pickle.dump(content, to_worker)
            to_worker.flush()
            while isinstance(answer := pickle.load(from_worker), StepReport):  # noqa: S301 - ours
                reported(answer)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise WorkerLostError(exit_codes.ending(self._process.wait())) from None
        outcome: TaskOutcome = answer
        return outcome

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent any more
                    pipe.close()


def main() -> None:
    """Carry out what comes on standard input, one task after the other, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    answers = _Answers(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # prints of libraries stay out of the answers
    if (threads := wanted_threads()) is not None:
        limit_threads(threads)
    waiting: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(sys.stdin.buffer, waiting), daemon=True).start()
    with suppress(ImportError):  # the task says what is missing
        import_module(sys.argv[1])
    while True:
        answers.send(carry_out(waiting.get(), _Steps(answers)))


def _receive(pipe: IO[bytes], waiting: "SimpleQueue[bytes]") -> None:
    try:
        while True:
            waiting.put(pickle.load(pipe))  # noqa: S301 - from the process that started this one
    finally:
        os._exit(0)  # also in the middle of a task


class _Answers:
    """The pipe to the other side; threads of a task may report at the same time."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self._lock = pipe, Lock()

    def send(self, value: TaskOutcome | StepReport) -> None:
        content = pickle.dumps(value)
        with self._lock:
            self._pipe.write(content)
            self._pipe.flush()


class _Steps:
    """The Progress of one task: its steps are numbered, and reported to the other side."""

    def __init__(self, answers: _Answers) -> None:
        self._answers, self._opened = answers, 0

    def __call__(self, step: str, /) -> Advance:
        self._opened += 1
        report = StepReport(self._opened, str(step), unit_of(step))
        self._answers.send(report)
        return _Step(self._answers, report)


class _Step:
    """Reports its first and last position, and those between now and then."""

    def __init__(self, answers: _Answers, report: StepReport) -> None:
        self._answers, self._report, self._latest = answers, report, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._latest >= REPORTS:
            self._latest = now
            self._answers.send(replace(self._report, done=done, total=total))

    def note(self, words: str, /) -> None:
        self._answers.send(replace(self._report, words=words))


def carry_out(content: bytes, progress: Progress) -> TaskOutcome:
    """The outcome of a pickled function and task, whatever it raises."""
    value, error = None, None
    with warnings.catch_warnings(record=True) as caught:
        try:
            function, task = pickle.loads(content)  # noqa: S301 - as above
            value = function(task, progress)
        except Exception as raised:  # noqa: BLE001 - it is raised where the task came from
            error = _portable(raised)
    warned = tuple((w.message, w.category, w.filename, w.lineno) for w in caught)
    return TaskOutcome(value, error, warned)


def _portable(error: Exception) -> Exception:
    """The same, or its text where it does not survive pickling; with where it was raised."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # noqa: BLE001
        error = RuntimeError(str(error))
    if not isinstance(error, HilumError):
        error.add_note(where)
    return error
