"""Locks that end with their process: one writer of a folder, one maker of a file."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from hilum.files.disk import write_error
from hilum.files.refusals import naming_path
from hilum.types import HilumError

LOCK = ".hilum-lock"
PAUSE = 0.05  # seconds between two tries for a lock that another holds


@contextmanager
def alone(folder: Path, option: str = "--out", what: str = "run") -> Iterator[None]:
    """Hold `folder`, which is made where it is not there, as its only writer.

    `option` and `what` are named in messages: who chose the folder, and what writes to it.

    Raises HilumError where another process holds it, or where the folder cannot be written.
    """
    fresh = not folder.exists()
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _take(path)
    except OSError as error:
        raise HilumError(
            f"{option} must be a place that can be written; got {str(folder)!r} "
            f"({error.strerror}); choose another."
        ) from None
    if handle is None:
        raise HilumError(
            f"one {what} at a time may write to {str(folder)!r}; got another that is still "
            f"running{_holder(path)}; wait until it ends, or choose another {option}."
        )
    try:
        with naming_path(folder):
            yield
        fresh = False
    finally:
        with suppress(OSError):  # Windows removes no open file; the next run takes it over
            path.unlink()
        os.close(handle)
        if fresh:
            with suppress(OSError):  # only where nothing else is in it
                folder.rmdir()


def _take(path: Path) -> int | None:
    """The lock file, open and held, with its holder written in it; None where another holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _lock(handle):
            os.close(handle)
            return None
        if _is_at(handle, path):
            break
        os.close(handle)
    with suppress(OSError):  # a full disk: who holds it is not said
        os.ftruncate(handle, 0)
        now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        os.write(handle, f"process {os.getpid()} on {platform.node()}, since {now}".encode())
    return handle


def _holder(path: Path) -> str:
    """Who holds a lock, in brackets; "" where that is not known."""
    with suppress(OSError, ValueError):
        if said := path.read_text(encoding="utf-8").strip():
            return f" ({said})"
    return ""


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file still is the one at `path`: its holder before may have removed it."""
    with suppress(OSError):
        return os.fstat(handle).st_ino == path.stat().st_ino
    return False


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, after its present holder; where others wait, one at a time.

    Raises HilumError where it cannot be written.
    """
    with holding(path, wait=True):
        yield


@contextmanager
def holding(path: Path, *, wait: bool) -> Iterator[bool]:
    """The same; where nobody waits and another holds it, the block gets False and holds nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _wait(path) if wait else _try(path)
    except OSError as error:
        raise write_error(path, error) from error
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()
        os.close(handle)


def _wait(path: Path) -> int:
    while (handle := _try(path)) is None:
        time.sleep(PAUSE)
    return handle


def _try(path: Path) -> int | None:
    """The lock file, open and held; None where another holds it, or has just removed it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if _lock(handle) and _is_at(handle, path):
        return handle
    os.close(handle)
    return None


def _lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: as before there were any
        return True
    return True


def _lock_on_windows(handle: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True
