"""Storage commitment: an archive says which results it keeps (DICOM PS3.4 annex J).

A result that was sent is kept as a file until the archive has committed to it. One that it has
lost is sent again.
https://dicom.nema.org/medical/dicom/current/output/chtml/part04/chapter_J.html
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset, uid

from hilum.node.queue_tables import Result
from hilum.node.spool import Spool

PUSH_MODEL = uid.UID("1.2.840.10008.1.20.1")
PUSH_INSTANCE = uid.UID("1.2.840.10008.1.20.1.1")
REQUEST = 1  # action type of N-ACTION, PS3.4 J.3.2.1.1
AGAIN = 600.0  # seconds without the archive's word, then it is asked again
ASKS = 3  # times that it is asked for one result
NO_REASON = 0x0110  # "processing failure", PS3.3 C.14.1.1
LOSSES = 5  # times that a result is sent, then it has failed


@dataclass(frozen=True, slots=True)
class Commitments:
    """What was asked of the archive, and what it said; in the spool's queue."""

    spool: Spool
    again: float = AGAIN

    def to_ask(self, most: int) -> list[Result]:
        """Results to ask for now; one that was asked for too often is given up."""
        now = time.time()
        with self.spool.change() as queue:
            over = queue.execute(
                "UPDATE commitments SET state='unanswered' WHERE state='asked' AND due<=? AND "
                "tries>=? RETURNING result", (now, ASKS)
            ).fetchall()  # fmt: skip
            rows = queue.execute(
                "SELECT results.* FROM commitments JOIN results ON results.id=result WHERE "
                "commitments.state IN ('unasked', 'asked') AND commitments.due<=? "
                "ORDER BY result LIMIT ?", (now, most)
            ).fetchall()  # fmt: skip
        self.spool.forget(row["result"] for row in over)
        return [self.spool.result(row) for row in rows]

    def asking(self, results: Sequence[Result], transaction: str) -> None:
        """Note a question before it is put: the answer may come first."""
        with self.spool.change() as queue:
            queue.executemany(
                "UPDATE commitments SET state='asked', asking=?, tries=tries+1, due=? "
                "WHERE result=?",
                [(transaction, time.time() + self.again, result.id) for result in results],
            )

    def take_back(self, transaction: str, pause: float) -> None:
        """A question that did not reach the archive."""
        with self.spool.change() as queue:
            queue.execute(
                "UPDATE commitments SET state='unasked', tries=tries-1, due=? WHERE asking=? AND "
                "state='asked'", (time.time() + pause, transaction)
            )  # fmt: skip

    def not_offered(self) -> None:
        """The archive does not commit to anything: nothing waits for its word."""
        with self.spool.change() as queue:
            over = queue.execute(
                "DELETE FROM commitments WHERE state IN ('unasked', 'asked') RETURNING result"
            ).fetchall()
        self.spool.forget(row["result"] for row in over)

    def heard(self, information: Dataset) -> None:
        """The archive's word on one question: what it keeps, and what it does not."""
        transaction = str(information.get("TransactionUID") or "")
        kept = {str(item.ReferencedSOPInstanceUID) for item in _items(information, "Referenced")}
        lost = {
            str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or NO_REASON)
            for item in _items(information, "Failed")
        }
        with self.spool.change() as queue:
            rows = queue.execute(
                "SELECT results.* FROM commitments JOIN results ON results.id=result WHERE "
                "asking=? AND commitments.state='asked'", (transaction,)
            ).fetchall()  # fmt: skip
            over = [row["id"] for row in rows if row["instance"] in kept]
            queue.executemany(
                "UPDATE commitments SET state='committed' WHERE result=?", [(n,) for n in over]
            )
            for row in rows:
                if row["instance"] in lost and row["instance"] not in kept:
                    _send_again(queue, row, lost)
        self.spool.forget(over)
        if lost:
            self.spool.results_came.set()


def _items(information: Dataset, which: str) -> Sequence[Dataset]:
    return list(information.get(f"{which}SOPSequence") or ())


def _send_again(queue: sqlite3.Connection, row: Any, lost: Mapping[str, int]) -> None:
    """A result that the archive has not kept waits once more; too often, and it has failed."""
    note = f"the archive took it and does not keep it (0x{lost[row['instance']]:04X})"
    queue.execute("DELETE FROM commitments WHERE result=?", (row["id"],))
    if row["tries"] >= LOSSES:
        queue.execute("UPDATE results SET state='failed', note=? WHERE id=?", (note, row["id"]))
        queue.execute(
            "UPDATE films SET state='failed', reason=?, finished=? WHERE id=?",
            (f"{note}, {row['tries']} times", time.time(), row["film"]),
        )
        return
    queue.execute("UPDATE results SET state='waiting', note=? WHERE id=?", (note, row["id"]))
    queue.execute("UPDATE films SET state='done' WHERE id=?", (row["film"],))
