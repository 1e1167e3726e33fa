"""How a process has ended, by its exit code as `subprocess` gives it: negative for a signal."""

import signal

OVERTIME = -getattr(signal, "SIGXCPU", 0)  # see `bounds.bound_processor`; not on Windows


def out_of_time(code: int | None) -> bool:
    """Whether the system has ended a process because it computed for too long."""
    return code == OVERTIME != 0


def ending(code: int) -> str:
    """`signal SIGKILL`, or `exit code 3`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"
