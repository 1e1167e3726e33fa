"""How much of the machine this process may use."""

import os
from pathlib import Path

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
