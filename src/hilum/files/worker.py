"""A process that carries out tasks for another, and the other's side of it.

Both sides see the other's end by their pipe: a worker exits in the middle of a task once nobody
holds its input, be it after Ctrl-C or a kill.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from hilum.files.parallel import limit_threads, wanted_threads
from hilum.progress import silent
from hilum.types import HilumError

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


class Worker:
    """This side of such a process."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, sys.path))  # the same modules as here
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from hilum.files import worker; worker.main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1"},
        )

    def ask(self, function: Callable[..., Any], task: Any) -> TaskOutcome:
        """Send one task and wait; raises HilumError where the process ends before it is done."""
        to_worker, from_worker = self._process.stdin, self._process.stdout
        assert to_worker is not None  # noqa: S101
        assert from_worker is not None  # noqa: S101
        content = pickle.dumps((function, task))
        try:
            pickle.dump(content, to_worker)
            to_worker.flush()
            outcome: TaskOutcome = pickle.load(from_worker)  # noqa: S301 - our own process
        except (OSError, EOFError, pickle.UnpicklingError):
            raise HilumError(
                "a worker process must live until its task is done; got "
                f"{self._ending()}; use fewer --workers if memory ran out, or continue "
                "with --resume."
            ) from None
        return outcome

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent any more
                    pipe.close()

    def _ending(self) -> str:
        code = self._process.wait()
        if code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit code {code}"


def main() -> None:
    """Carry out what comes on standard input, one task after the other, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints of libraries stay out of the answers
    if (threads := wanted_threads()) is not None:
        limit_threads(threads)
    waiting: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(sys.stdin.buffer, waiting), daemon=True).start()
    while True:
        content = waiting.get()
        pickle.dump(_carry_out(content), answers)
        answers.flush()


def _receive(pipe: IO[bytes], waiting: "SimpleQueue[bytes]") -> None:
    try:
        while True:
            waiting.put(pickle.load(pipe))  # noqa: S301 - from the process that started this one
    finally:
        os._exit(0)  # also in the middle of a task


def _carry_out(content: bytes) -> TaskOutcome:
    value, error = None, None
    with warnings.catch_warnings(record=True) as caught:
        try:
            function, task = pickle.loads(content)  # noqa: S301 - as above
            value = function(task, silent)
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
