"""A node: receiver, worker and delivery around one spool."""

import gc
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hilum.files import alone
from hilum.node.answers import FilmAnswers
from hilum.node.commitment import Commitments
from hilum.node.deliver import FIRST_PAUSE, Delivery
from hilum.node.outcome import Sender
from hilum.node.peers import Peers
from hilum.node.receive import Receiver
from hilum.node.rules import FilmRules
from hilum.node.spool import Spool
from hilum.node.work import AnsweringThread


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node is called, where it listens, and what it keeps its queue in."""

    title: str  # AE title
    host: str
    port: int
    spool: Path
    peers: Peers
    rules: FilmRules
    first_pause: float = FIRST_PAUSE  # seconds before the second try to send


@dataclass(slots=True)
class Node:
    """A node that runs."""

    spool: Spool
    receiver: Receiver
    worker: AnsweringThread
    delivery: Delivery

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.receiver.port


@contextmanager
def running(
    settings: NodeSettings, digest: str, answers: FilmAnswers, sender: Sender
) -> Iterator[Node]:
    """A node from its first film to its last; what is not finished then waits in the spool.

    Raises HilumError for a port in use, or a spool that cannot be written or is in use.
    """
    with alone(settings.spool, "--spool", "node"):
        spool = Spool(settings.spool, digest)
        commitments = Commitments(spool)
        receiver = Receiver(
            spool, settings.title, (settings.host, settings.port), settings.peers, commitments
        )
        worker = AnsweringThread(spool, answers, settings.rules)
        delivery = Delivery(spool, sender, commitments, settings.first_pause)
        try:
            receiver.start()
            worker.start()
            delivery.start()
            yield Node(spool, receiver, worker, delivery)
        finally:
            receiver.stop()
            worker.stop()
            delivery.stop()
            spool.close()


def run_until_signal() -> None:
    """Wait for SIGTERM or Ctrl-C."""
    gc.freeze()  # pynetdicom collects garbage again and again: model and libraries are none
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(1.0):
        pass


def log_to(handler: logging.Handler) -> None:
    """Let the node's own lines be written, and nothing of the libraries: they quote headers."""
    own = logging.getLogger("hilum.node")
    own.setLevel(logging.INFO)
    own.addHandler(handler)
    own.propagate = False
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
