"""How much of the machine this process may use, and work that overlaps."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_CGROUP = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """How many processor cores this process may use: by affinity and by control group.

    Linux kernel documentation, control group v2, cpu.max.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return min(allowed, _quota(_CGROUP) or allowed)


def _quota(path: Path) -> int | None:
    """Whole cores that a control group grants, or None where it sets no limit."""
    try:
        quota, period = path.read_text().split()
    except (OSError, ValueError):
        return None
    return max(1, int(quota) // int(period)) if quota.isdigit() else None


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each computed in a second thread while its forerunner is used."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # the sentinel never gets here
