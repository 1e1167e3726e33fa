"""What long work reports to, whatever shows it: a bar in a terminal, a server, nothing."""

from collections.abc import Callable
from typing import Protocol, Self, TypeAlias, runtime_checkable

Advance: TypeAlias = Callable[[int, int], None]  # (done, total): how far a step of the work is

IMAGES = "images"  # what a step counts unless it says otherwise


class StepName(str):
    """A step's name with the plural of what it counts; a plain string is a step of images.

    `process` numbers those that work at the same time (`--workers`) from 1; 0 is the run's own.

    >>> StepName("fold 1, head", "epochs").within("main")
    'main: fold 1, head'
    """

    unit: str
    process: int

    def __new__(cls, name: str, unit: str = IMAGES, process: int = 0) -> Self:
        """Name, unit and process."""
        step = super().__new__(cls, name)
        step.unit, step.process = unit, process
        return step

    def within(self, task: str) -> Self:
        """The same step of a named task."""
        return type(self)(f"{task}: {self}", self.unit, self.process)


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
        """Open a step; a StepName also says what is counted."""


@runtime_checkable
class TakesNotes(Protocol):
    """An Advance that can show a few words as well; one that cannot is never asked to."""

    def note(self, words: str, /) -> None:
        """Show `words` next to the step, in place of earlier ones."""


def silent(step: str, /) -> Advance:
    """Show nothing."""
    return lambda done, total: None


def note(advance: Advance | None, words: str) -> None:
    """Show a few words next to a step, such as how many images come from the cache."""
    if isinstance(advance, TakesNotes):
        advance.note(words)


def unit_of(step: str) -> str:
    """The plural of what a step counts."""
    return step.unit if isinstance(step, StepName) else IMAGES


def process_of(step: str) -> int:
    """The number of the process in which a step runs; 0 is the run's own."""
    return step.process if isinstance(step, StepName) else 0
