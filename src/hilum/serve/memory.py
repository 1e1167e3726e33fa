"""A bound on what a process may take from the system."""

from pathlib import Path

STATUS = Path("/proc/self/statm")


def bound(more: int) -> None:
    """Let this process take `more` bytes of address space beyond what it holds; Linux only.

    Beyond it an allocation fails, which readers of images report as one sentence.
    """
    if not STATUS.is_file():
        return
    import resource  # Unix only

    held = int(STATUS.read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + more if hard == resource.RLIM_INFINITY else min(hard, held + more)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
