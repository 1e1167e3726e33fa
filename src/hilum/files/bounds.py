"""Bounds on what a process may take from the system; on Linux alone, elsewhere there are none."""

import math
import time
from pathlib import Path

STATUS = Path("/proc/self/statm")


def bound_memory(more: int) -> None:
    """Let this process take `more` bytes of address space beyond what it holds.

    Beyond it an allocation fails, which readers of images report as one sentence.
    """
    if STATUS.is_file():
        import resource  # Unix only

        held = int(STATUS.read_text().split()[0]) * resource.getpagesize()
        _bound(resource.RLIMIT_AS, held + more)


def bound_processor(more: float) -> None:
    """Let this process compute for `more` seconds from now, on all its threads together.

    Beyond it the system ends the process by SIGXCPU, whatever it is doing.
    """
    if STATUS.is_file():
        import resource

        _bound(resource.RLIMIT_CPU, math.ceil(time.process_time() + more))


def _bound(which: int, wanted: int) -> None:
    import resource

    _, hard = resource.getrlimit(which)
    resource.setrlimit(
        which, (wanted if hard == resource.RLIM_INFINITY else min(hard, wanted), hard)
    )
