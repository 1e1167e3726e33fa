"""How much memory a block takes at its peak, pages of mapped files that it touches included."""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

PeakMemory: TypeAlias = Callable[[], AbstractContextManager[Callable[[], int]]]


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Bytes by which the process grew at most, once the block has ended; skips where none says."""
    try:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak is what there is now
        before = _status("VmRSS")
    except OSError:
        pytest.skip("no /proc says how much memory a process took")
    grown: list[int] = []
    yield lambda: grown[0]
    grown.append(_status("VmHWM") - before)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
