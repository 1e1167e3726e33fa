"""What a process and those that it started hold: handles, threads, memory."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Held:
    """At one moment, of a whole family of processes."""

    handles: int
    threads: int
    processes: int
    memory: int  # resident bytes


def by_family(pid: int) -> Held:
    """What a process holds together with everything that descends from it."""
    return of_processes([*_descent(pid)])


def of_processes(family: Sequence[int]) -> Held:
    """What these processes hold."""
    total = np.zeros(3, dtype=np.int64)
    for member in family:
        with suppress(OSError):  # one that has ended since
            place = PROC / str(member)
            pages = int((place / "statm").read_text().split()[1])
            total += [_count(place / "fd"), _count(place / "task"), pages * PAGE]
    handles, threads, memory = map(int, total)
    return Held(handles, threads, len(family), memory)


def _descent(pid: int) -> Iterator[int]:
    yield pid
    for path in (PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                yield from _descent(int(child))


def _count(folder: Path) -> int:
    return len(os.listdir(folder))  # noqa: PTH208 - no Path each


@dataclass(frozen=True, slots=True)
class Growth:
    """From the second to the last quarter of a series, and by the hour.

    Of handles and threads the least number counts: a connection has some while it lasts.
    """

    handles: int
    threads: int
    memory: float  # of the second quarter's median
    slope: float  # MiB in an hour, by both medians

    @classmethod
    def of(cls, seconds: Sequence[float], series: Sequence[Held]) -> "Growth":
        """The first quarter is warming up."""
        quarter = len(series) // 4
        second, last = series[quarter : 2 * quarter], series[-quarter:]

        def more(of: Callable[[Held], float]) -> float:
            return float(np.median([*map(of, last)]) - np.median([*map(of, second)]))

        before = float(np.median([one.memory for one in second]))
        grown = more(lambda one: one.memory)
        hours = (np.median(seconds[-quarter:]) - np.median(seconds[quarter : 2 * quarter])) / 3600
        return cls(
            min(one.handles for one in last) - min(one.handles for one in second),
            min(one.threads for one in last) - min(one.threads for one in second),
            grown / before,
            grown / MIB / float(hours),
        )

    def __str__(self) -> str:
        return (
            f"{self.handles:+} handles, {self.threads:+} threads, "
            f"memory {self.memory:+.2%} ({self.slope:+.1f} MiB in an hour)"
        )
