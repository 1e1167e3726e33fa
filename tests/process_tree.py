"""What a process has started, and whether it still runs."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

LINUX = Path("/proc/self/task").is_dir()


def children(pid: int) -> list[int]:
    """Processes that any thread of a process has started."""
    if not LINUX:
        pytest.skip("children of a process are listed on Linux alone")
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # of a thread that has ended since
            found += map(int, path.read_text().split())
    return sorted(found)


def alive(pid: int) -> bool:
    """Whether it runs: one that has ended, and that nobody has asked about, does not."""
    stat = Path(f"/proc/{pid}/stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(pid, 0)
        return not LINUX or "Z" not in stat.read_text().rpartition(")")[2].split()[0]
    return False
