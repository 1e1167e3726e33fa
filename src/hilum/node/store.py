"""Results to an archive by C-STORE (DICOM PS3.4 annex B)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom import dcmread
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from hilum.node.outcome import Outcome, by_status
from hilum.node.peers import Archive
from hilum.node.queue_tables import Result

PATIENCE = 30.0  # seconds for an answer
NO_CONTEXT = Outcome("refused", "the archive takes no object of this kind")


@dataclass(frozen=True, slots=True)
class StoreSender:
    """Sends by C-STORE; one association for all that wait."""

    title: str
    archive: Archive
    patience: float = PATIENCE

    def send(self, results: Sequence[Result]) -> Iterator[Outcome]:
        """See `outcome.Sender`: a result without an answer is the last one."""
        with self._association(results) as association:
            if _takes_nothing(association):
                yield from (NO_CONTEXT for _ in results)
            for result in results:
                if not association.is_established:
                    return
                yield self._one(association, result)

    def _one(self, association: Association, result: Result) -> Outcome:
        try:
            status = association.send_c_store(dcmread(result.path))
        except ValueError:  # no context was accepted for it
            return NO_CONTEXT
        except RuntimeError:  # the association has just ended
            return Outcome("later", "the archive ended the association")
        if "Status" not in status:
            return Outcome("later", f"the archive gave no answer within {self.patience:g} s")
        return by_status(int(status.Status))

    @contextmanager
    def _association(self, results: Sequence[Result]) -> Iterator[Association]:
        entity = AE(self.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.patience
        entity.connection_timeout = self.patience
        # a peer picks one transfer syntax for a context: each syntax has a context of its own
        kinds = dict.fromkeys((result.class_, result.syntax) for result in results)
        contexts: list[Any] = [build_context(class_, syntax) for class_, syntax in kinds]
        association = entity.associate(
            self.archive.host, self.archive.port, contexts, self.archive.title
        )
        try:
            if not association.is_established and not _takes_nothing(association):
                raise ConnectionError(_why(association))
            yield association
        finally:
            if association.is_established:
                association.release()


def _takes_nothing(association: Association) -> bool:
    """Whether the archive took the association, and not one of its contexts."""
    return bool(association.rejected_contexts) and not association.accepted_contexts


def _why(association: Association) -> str:
    if association.is_rejected:
        return "the archive rejected the association"
    return "the archive cannot be reached, or gives no answer"
