"""Weights in .h5, read in a process that may end: HDF5 reads some damaged files without end."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.files import exit_codes
from hilum.models import h5_worker
from hilum.types import HilumError

COMMAND = (sys.executable, "-P", "-m", h5_worker.__name__)  # -P: nothing of the current folder
SECONDS, MEGABYTE = 20.0, 0.1  # of computing for any file, and for each megabyte of it more
WAITING = 10  # times its seconds, by the clock: other programs compute too


def read(path: Path, most: int) -> tuple[list[tuple[str, npt.NDArray[np.float32]]], Any]:
    """Weights by name in the network's order, of `most` bytes together, and its description.

    Raises ValueError with what is wrong.
    """
    weights = []
    with _reading(path, most) as answers:
        while "description" not in (line := json.loads(answers.readline())):
            if "error" in line:
                raise ValueError(line["error"])
            weights.append((line["name"], _array(answers, line["shape"])))
    return weights, line["description"]


def _array(answers: BufferedReader, shape: list[int]) -> npt.NDArray[np.float32]:
    values = np.empty(shape, "<f4")
    if answers.readinto(values.reshape(-1).view(np.uint8).data) < values.nbytes:
        raise EOFError
    return values


@contextmanager
def _reading(path: Path, most: int) -> Iterator[BufferedReader]:
    """What a process says of a file; ValueError where it ends before it has said all."""
    seconds, late = SECONDS + MEGABYTE * path.stat().st_size / 1e6, list[bool]()
    process = _started(str(path), str(most), str(seconds))
    timer = Timer(WAITING * seconds, _stop, [process, late])
    timer.start()
    try:
        yield process.stdout  # type: ignore[misc]
    except (json.JSONDecodeError, EOFError):
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # it closed its pipe, so it is about to end
        process.kill()
        raise ValueError(_ending(process.wait(), bool(late), seconds)) from None
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def _stop(process: "subprocess.Popen[bytes]", late: list[bool]) -> None:
    late.append(True)
    process.kill()


def _started(*words: str) -> "subprocess.Popen[bytes]":
    nowhere = subprocess.DEVNULL
    try:
        return subprocess.Popen(  # noqa: S603 - our own module
            [*COMMAND, *words], stdin=nowhere, stdout=subprocess.PIPE, stderr=nowhere
        )
    except OSError as error:
        raise HilumError(
            "expected to start a process that reads weights, got "
            f"{error.strerror or type(error).__name__}; end other programs and try again."
        ) from None


def _ending(code: int, late: bool, seconds: float) -> str:
    if late or exit_codes.out_of_time(code):
        return f"content that takes longer to read than {seconds:.0f} s of computing"
    return f"content that ends its reading ({exit_codes.ending(code)})"
