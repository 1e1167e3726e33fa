"""Frames decoded in processes that may end: a damaged one costs its film, not the batch."""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock, Timer
from typing import Any

from hilum.files import exit_codes
from hilum.images.dicom_header import Layout
from hilum.types import HilumError

SCRIPT = Path(__file__).with_name("codec_worker.py")
SECONDS, MEGAPIXEL = 2.0, 3.0  # of computing for any frame, and for each million samples more
WAITING = 10  # times that, by the clock: other programs compute too


@dataclass(frozen=True, slots=True)
class Frame:
    """One compressed frame: for which codec of `codec_worker`, under which layout."""

    codec: str
    layout: Layout
    data: bytes

    @property
    def seconds(self) -> float:
        """Of computing: ten times and more what the slowest codec takes."""
        layout = self.layout
        return SECONDS + MEGAPIXEL * layout.rows * layout.columns * layout.samples / 1e6


class _LostError(Exception):
    """A process that ended before its answer, with its exit code; `late`: it took too long."""

    def __init__(self, code: int, late: bool) -> None:
        super().__init__(code, late)
        self.code, self.late = code, late


def decode(frame: Frame) -> tuple[Mapping[str, Any], bytes]:
    """What the codec says of the frame, and its pixels as little-endian bytes.

    Raises HilumError for a frame that the codec refuses, that ends it, or on which it takes longer
    than any frame of its size does.
    """
    process, is_new = _PROCESSES.take()
    try:
        return process.ask(frame)
    except _LostError as lost:
        if lost.late or is_new:
            raise _refused(frame, lost) from None
    process = _PROCESSES.start()  # the other one may have been ended from outside while idle
    try:
        return process.ask(frame)
    except _LostError as lost:
        raise _refused(frame, lost) from None


def close() -> None:
    """End all processes that decode; the next frame starts one again."""
    _PROCESSES.close()


def _refused(frame: Frame, lost: _LostError) -> HilumError:
    if lost.late:
        return HilumError(
            f"expected {frame.codec} pixel data that are decoded within {frame.seconds:.0f} s of "
            "computing, got data that take longer; copy or export the file again"
        )
    return HilumError(
        f"expected whole {frame.codec} pixel data, got data that end the decoder "
        f"({exit_codes.ending(lost.code)}); copy or export the file again"
    )


def _refusal(frame: Frame, error: str) -> Exception:
    """What was raised on the other side, by its type."""
    if error == "MemoryError":
        return MemoryError()
    return HilumError(
        f"expected whole {frame.codec} pixel data, got data that cannot be decoded ({error}); copy "
        "or export the file again"
    )


class _CodecProcess:
    """One running `codec_worker`."""

    def __init__(self) -> None:
        # our own script, and nothing of a file on the line
        command = [sys.executable, "-I", str(SCRIPT)]
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise HilumError(
                "expected to start a process that decodes, got "
                f"{error.strerror or type(error).__name__}; end other programs and try again"
            ) from None

    def ask(self, frame: Frame) -> tuple[Mapping[str, Any], bytes]:
        """As `decode`; raises _LostError, and is over then."""
        request = {
            "codec": frame.codec,
            "layout": asdict(frame.layout),
            "seconds": frame.seconds,
            "bytes": len(frame.data),
        }
        late: list[bool] = []
        timer = Timer(WAITING * frame.seconds, self._stop, [late])
        timer.start()
        try:
            facts, pixels = self._exchange(json.dumps(request).encode() + b"\n", frame.data)
        except (OSError, EOFError, ValueError):
            code = self._ending()
            raise _LostError(code, bool(late) or exit_codes.out_of_time(code)) from None
        except BaseException:  # Ctrl-C: nobody reads the rest of its answer
            self.end()
            raise
        finally:
            timer.cancel()
        _PROCESSES.give_back(self)
        if "error" in facts:
            raise _refusal(frame, facts["error"])
        return facts, pixels

    def _exchange(self, request: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
        to_worker, from_worker = self._process.stdin, self._process.stdout
        assert to_worker is not None  # noqa: S101
        assert from_worker is not None  # noqa: S101
        to_worker.write(request)
        to_worker.write(data)
        to_worker.flush()
        facts: dict[str, Any] = json.loads(from_worker.readline())  # ValueError for nothing
        pixels = from_worker.read(facts["bytes"])
        if len(pixels) < facts["bytes"]:
            raise EOFError
        return facts, pixels

    def _stop(self, late: list[bool]) -> None:
        late.append(True)
        self._process.kill()

    def _ending(self) -> int:
        """The exit code of a process that no longer answers, negative for a signal."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # it closed its pipe, so it is about to end
        self.end()
        return self._process.returncode

    def end(self) -> None:
        """Kill the process where it still runs, and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent any more
                    pipe.close()
        _PROCESSES.forget(self)


class _Processes:
    """Those that run, and which are idle: at most as many as threads have decoded at once."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Know of none: also in a forked process, whose parent goes on talking to them."""
        self._lock = Lock()  # a new one: another thread may have held it during the fork
        self._all: set[_CodecProcess] = set()
        self._idle: list[_CodecProcess] = []

    def take(self) -> tuple[_CodecProcess, bool]:
        """A process for one frame, and whether it was started just now."""
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        return self.start(), True

    def start(self) -> _CodecProcess:
        process = _CodecProcess()
        with self._lock:
            self._all.add(process)
        return process

    def give_back(self, process: _CodecProcess) -> None:
        with self._lock:
            self._idle.append(process)

    def forget(self, process: _CodecProcess) -> None:
        with self._lock:
            self._all.discard(process)

    def close(self) -> None:
        with self._lock:
            ended = list(self._all)
            self._idle.clear()
        for process in ended:
            process.end()


_PROCESSES = _Processes()
atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PROCESSES.clear)
