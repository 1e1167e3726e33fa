"""What long work reports to, whatever shows it: a bar in a terminal, a server, nothing."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

Advance: TypeAlias = Callable[[int, int], None]  # (done, total): how far a step of the work is


class Progress(Protocol):
    """What long work reports to: called with a step's name, it gives what advances that step.

    >>> import hilum
    >>> def progress(step):
    ...     def advance(done, total):
    ...         print(f"{step}: {done} of {total}")
    ...     return advance
    >>> manifest = hilum.open_data("films", progress=progress)
    >>> progress("decode and prepare")(1, 2)
    decode and prepare: 1 of 2
    """

    def __call__(self, step: str, /) -> Advance:
        """Open a step."""


def silent(step: str, /) -> Advance:
    """Show nothing."""
    return lambda done, total: None
