"""How much of the machine this process may use, and work that overlaps."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hilum.types import HilumError

T = TypeVar("T")
Item = TypeVar("Item")
THREADS = "HILUM_THREADS"  # at most so many; processes that this one starts keep to it as well
# by which libraries that are loaded later learn it: torch, OpenMP in scikit-learn and faiss, BLAS
_LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GROUPS, _MINE = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_cpus() -> int:
    """How many cores this process may use: by affinity, control group and $HILUM_THREADS.

    A group grants what the strictest of its parents does (Linux kernel documentation: control
    group v2, cpu.max; v1, CFS bandwidth control).
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    granted = (_quota(folder) for folder in _folders())
    limits = (*granted, wanted_threads())
    return min([allowed, *(limit for limit in limits if limit is not None)])


def wanted_threads() -> int | None:
    """What $HILUM_THREADS says, or None; raises HilumError for what is no number of threads."""
    text = os.environ.get(THREADS, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise HilumError(
            f"{THREADS} must be a whole number of at least 1; got {text!r}; change or unset it."
        )
    return int(text)


def limit_threads(count: int) -> None:
    """Use at most `count` threads: in this process, its libraries, and processes that it starts."""
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ |= dict.fromkeys((THREADS, *_LIBRARIES), str(count))
    cores = available_cpus()
    cv2.setNumThreads(cores)
    threadpool_limits(cores)  # BLAS is loaded by now
    if "torch" in sys.modules:  # otherwise it reads the environment
        import torch

        torch.set_num_threads(cores)


@contextmanager
def single_threaded_products() -> Iterator[None]:
    """Products of matrices on one thread each: how many share one may decide its last digits."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


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


def mapped_ahead(work: Callable[[Item], T], items: Sequence[Item], size: int) -> Iterator[list[T]]:
    """Results of items by threads, `size` of them at a time; the next while these are used."""
    with ThreadPoolExecutor(available_cpus()) as pool:
        chunks = (items[start : start + size] for start in range(0, len(items), size))
        yield from prefetch(list(pool.map(work, chunk)) for chunk in chunks)
