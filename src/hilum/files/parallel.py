"""How much of the machine this process may use, and work that overlaps."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_GROUPS, _MINE = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_cpus() -> int:
    """How many processor cores this process may use: by affinity and by control group.

    A group grants what the strictest of its parents does (Linux kernel documentation: control
    group v2, cpu.max; v1, CFS bandwidth control).
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    granted = (_quota(folder) for folder in _folders())
    return min([allowed, *(limit for limit in granted if limit is not None)])


def _folders() -> Iterator[Path]:
    """The process's control groups of either version, and their parents as far as they show.

    A container may show its own group as the root, under the name that it has outside.
    """
    try:
        lines = _MINE.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    bases = {(_GROUPS, "/")}
    for line in lines:
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if not kinds:
            bases |= {(_GROUPS, path)}
        elif "cpu" in kinds.split(","):
            bases |= {(_GROUPS / kinds, path), (_GROUPS / "cpu", path)}
    for base, path in sorted(bases):
        below = base.joinpath(*(part for part in path.split("/") if part not in ("", "..")))
        yield from (folder for folder in (below, *below.parents) if folder.is_relative_to(base))


def _quota(folder: Path) -> int | None:
    """Whole cores that a control group grants, or None where it sets no limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if quota.isdigit():  # "max" in version 2 and -1 in version 1 set no limit
                return max(1, int(quota) // int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """The same items, each computed in a second thread while its forerunner is used."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # the sentinel never gets here
