"""Results to an archive by C-STORE (DICOM PS3.4 annex B).

https://dicom.nema.org/medical/dicom/current/output/chtml/part04/chapter_B.html
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association

from hilum.node.commitment import PUSH_INSTANCE, PUSH_MODEL, REQUEST
from hilum.node.outcome import More, Outcome, by_status
from hilum.node.peers import Archive
from hilum.node.prompt import HANDLERS
from hilum.node.queue_tables import Result
from hilum.node.whole_messages import WholeMessages

_config.STORE_SEND_CHUNKED_DATASET = True  # a file's bytes go as the spool has them
PATIENCE = 30.0  # seconds for an answer
NO_CONTEXT = Outcome("refused", "the archive takes no object of this kind")


@dataclass(frozen=True, slots=True)
class StoreSender:
    """Sends by C-STORE; one association for all that wait."""

    title: str
    archive: Archive
    patience: float = PATIENCE

    def send(self, results: Sequence[Result], more: More) -> Iterator[tuple[Result, Outcome]]:
        """See `outcome.Sender`: a result without an answer is the last one."""
        # a peer picks one transfer syntax for a context: each syntax has a context of its own
        kinds = {_kind(result) for result in results}
        with self._association([build_context(*kind) for kind in sorted(kinds)]) as association:
            if _takes_nothing(association):
                yield from ((result, NO_CONTEXT) for result in results)
                return
            association.dimse = WholeMessages(association)
            while results and kinds >= {_kind(result) for result in results}:
                for result in results:
                    if not association.is_established:
                        return
                    yield result, self._one(association, result)
                results = more()

    def _one(self, association: Association, result: Result) -> Outcome:
        try:
            status = association.send_c_store(result.path)
        except ValueError:  # no context was accepted for it
            return NO_CONTEXT
        except RuntimeError:  # the association has just ended
            return Outcome("later", "the archive ended the association")
        if "Status" not in status:
            return Outcome("later", f"the archive gave no answer within {self.patience:g} s")
        return by_status(int(status.Status))

    def ask(self, transaction: str, results: Sequence[Result]) -> bool:
        """See `outcome.Sender`: by N-ACTION; the archive answers by an association of its own."""
        question = Dataset()
        question.TransactionUID = transaction
        question.ReferencedSOPSequence = [_reference(result) for result in results]
        with self._association([build_context(PUSH_MODEL)]) as association:
            if _takes_nothing(association):
                return False
            try:
                status, _ = association.send_n_action(question, REQUEST, PUSH_MODEL, PUSH_INSTANCE)
            except (RuntimeError, ValueError):
                raise ConnectionError("the archive ended the association") from None
        if "Status" not in status:
            raise ConnectionError(f"the archive gave no answer within {self.patience:g} s")
        return True  # a refusal is no answer either: it is asked again later

    @contextmanager
    def _association(self, contexts: list[Any]) -> Iterator[Association]:
        entity = AE(self.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.patience
        entity.connection_timeout = self.patience
        association = entity.associate(
            self.archive.host, self.archive.port, contexts, self.archive.title,
            evt_handlers=HANDLERS,
        )  # fmt: skip
        try:
            if not association.is_established and not _takes_nothing(association):
                raise ConnectionError(_why(association))
            yield association
        finally:
            if association.is_established:
                association.release()


def _kind(result: Result) -> tuple[str, str]:
    return result.class_, result.syntax


def _reference(result: Result) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = result.class_, result.instance
    return made


def _takes_nothing(association: Association) -> bool:
    """Whether the archive took the association, and not one of its contexts."""
    return bool(association.rejected_contexts) and not association.accepted_contexts


def _why(association: Association) -> str:
    if association.is_rejected:
        return "the archive rejected the association"
    return "the archive cannot be reached, or gives no answer"
