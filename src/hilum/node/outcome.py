"""What became of a result that was sent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from hilum.node.queue_tables import Result

Kind: TypeAlias = Literal["sent", "later", "refused"]
More: TypeAlias = Callable[[], Sequence[Result]]  # waits a moment; empty where nothing more came
# status codes of C-STORE, and failure reasons of STOW: DICOM PS3.4 table B.2-1, PS3.18 annex I
DUPLICATE = 0x0111
BUSY = 0xA7  # the first byte of "out of resources"
WARNINGS = (0x0001, 0x0107, 0x0116)  # and 0xB000 to 0xBFFF
WARNING = 0xB


@dataclass(frozen=True, slots=True)
class Outcome:
    """Sent; to be sent later (the archive is in trouble); or refused, which may be lasting."""

    kind: Kind
    note: str = ""


class Sender(Protocol):
    """Takes results to the archive."""

    def send(self, results: Sequence[Result], more: More) -> Iterable[tuple[Result, Outcome]]:
        """Each with its outcome, as it comes, and what came `more` meanwhile.

        Fewer where the archive falls silent; what has no outcome still waits. Raises
        ConnectionError where the archive cannot be used at all.
        """

    def ask(self, transaction: str, results: Sequence[Result]) -> bool:
        """Ask the archive to commit to results; False where it offers no storage commitment.

        Raises ConnectionError where it cannot be asked now.
        """


def by_status(status: int) -> Outcome:
    """The outcome that an archive's status code means."""
    if status in (0, DUPLICATE):
        return Outcome("sent")
    if status in WARNINGS or status >> 12 == WARNING:
        return Outcome("sent", f"the archive stored it with the warning 0x{status:04X}")
    note = f"the archive answered 0x{status:04X}"
    return Outcome("later" if status >> 8 == BUSY else "refused", note)
