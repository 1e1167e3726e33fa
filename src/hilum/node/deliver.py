"""The thread that takes results to the archive, again and again, with growing pauses."""

import logging
import sqlite3
import threading
import time
from dataclasses import dataclass, field

from pydicom import uid

from hilum.node.commitment import Commitments
from hilum.node.outcome import Outcome, Sender
from hilum.node.queue_tables import Result
from hilum.node.spool import Spool

LOG = logging.getLogger("hilum.node")
MOST = 64  # results read from the queue at a time
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0  # seconds between two tries
REFUSALS = 5  # of one result, then it has failed
IDLE = 1.0  # seconds between two looks at the queue where nothing came
LINGER = 1.0  # seconds that an association stays open for the next film's results
LONG = 256  # results sent, then the archive is asked to commit to them before more are sent
TROUBLE, COMMITMENT = "archive", "commitment"  # the facts that `--status` shows


def pause_after(tries: int, first: float = FIRST_PAUSE) -> float:
    """Seconds to wait after so many tries: doubled each time, up to five minutes."""
    return min(LONGEST_PAUSE, first * 2.0 ** min(tries, 30))


@dataclass(slots=True)
class Delivery:
    """The thread; `start`, `stop`."""

    spool: Spool
    sender: Sender
    commitments: Commitments
    first_pause: float = FIRST_PAUSE
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _commits: bool = True  # until the archive says that it does not offer it
    _troubles: int = 0  # times in a row that the archive could not be used
    _sent: int = 0  # results since the archive was asked to commit

    def start(self) -> None:
        """Begin with what waits."""
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the result that is being sent."""
        self._ended.set()
        self.spool.results_came.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.spool.results_came.clear()
            try:
                results = self.spool.waiting(MOST)
                if results:
                    self._send(results)
                if (not results or self._sent >= LONG) and self._ask():
                    continue
                if results:
                    continue
            except (OSError, sqlite3.Error) as error:  # of the queue itself
                LOG.warning("the queue cannot be written: %s", error)
                self._ended.wait(self.first_pause)
            self.spool.results_came.wait(min(IDLE, self.first_pause))

    def _send(self, results: list[Result]) -> None:
        answered = 0
        try:
            # an outcome is settled before the next result is sent
            for result, outcome in self.sender.send(results, self._more):
                answered += 1
                self._settle(result, outcome)
                self._note_recovery()
                if self._ended.is_set():
                    return
        except ConnectionError as error:
            self._wait_for_archive(str(error))
            return
        if not answered:
            self._wait_for_archive("the archive ended the association")

    def _note_recovery(self) -> None:
        if self._troubles:
            self._troubles = 0
            self.spool.note(TROUBLE, "")
            LOG.info("the archive answers again")

    def _more(self) -> list[Result]:
        """Results for an association that is open: the next film's come while it is answered."""
        if self._ended.is_set() or self._sent >= LONG:
            return []
        self.spool.results_came.clear()
        if found := self.spool.waiting(MOST):
            return found
        self.spool.results_came.wait(min(LINGER, self.first_pause))
        return [] if self._ended.is_set() else self.spool.waiting(MOST)

    def _ask(self) -> bool:
        """Ask the archive to commit to what it has stored; whether there was something to ask."""
        self._sent = 0
        results = self.commitments.to_ask(LONG) if self._commits else []
        if not results:
            return False
        transaction = uid.generate_uid()
        self.commitments.asking(results, transaction)
        try:
            self._commits = self.sender.ask(transaction, results)
        except ConnectionError:
            self.commitments.take_back(transaction, LONGEST_PAUSE)
            return False
        self.spool.note(COMMITMENT, "" if self._commits else "not offered by the archive")
        if not self._commits:
            self.commitments.not_offered()
        return True

    def _settle(self, result: Result, outcome: Outcome) -> None:
        if outcome.kind == "sent":
            self._sent += 1
            self.spool.settle(result, "sent", outcome.note, self._commits)
            LOG.info("a result of film %d sent", result.film)
        elif outcome.kind == "refused" and result.tries + 1 >= REFUSALS:
            self.spool.settle(result, "failed", f"{outcome.note}, {REFUSALS} times")
            LOG.warning("film %d failed; see hilum node --status", result.film)
        else:
            pause = pause_after(result.tries, self.first_pause)
            self.spool.postpone(result, pause, outcome.note)

    def _wait_for_archive(self, trouble: str) -> None:
        """Nothing can be sent: every result waits, and none of them is to blame."""
        if not self._troubles:
            LOG.warning("%s; results wait", trouble)
        pause = pause_after(self._troubles, self.first_pause)
        self._troubles += 1
        self.spool.note(TROUBLE, f"{trouble}; next try at {_clock(time.time() + pause)}")
        self._ended.wait(pause)


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
